//! What must hold for whatever policy text a security officer adopts.
//!
//! It does not choose the text: the tests beside it do. Each function says
//! whether the text can be put in force.

use policies::{Pdp, shipped};
use schemas::policy_set::PolicySet;
use schemas::{Grade, Jurisdiction};

/// Oldest view on which rows of a sealed grade may rest: a revocation takes effect within it.
const SEALED_VIEW_AGE_MAX_MS: u64 = 60_000;

/// Longest message in characters: text of a foreign line is cut, lists of names are ours.
const MESSAGE_CHARS_MAX: usize = 1_500;

/// Compiles a set; says the same each time, and says why not in a sentence of bounded length.
fn compiles(set: &PolicySet) -> Option<Pdp> {
    match Pdp::compile(set) {
        Ok(pdp) => {
            let again = Pdp::compile(set).expect("it compiled before");
            assert_eq!(again.version(), pdp.version());
            assert_eq!(pdp.version().number, set.number);
            Some(pdp)
        }
        Err(why) => {
            let message = why.to_string();
            assert!(message.chars().count() <= MESSAGE_CHARS_MAX, "{message}");
            None
        }
    }
}

/// `rules.toml`: no text loosens what the architecture promises.
pub(crate) fn policy_rules(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let set = PolicySet {
        rules: text.to_owned(),
        ..shipped()
    };
    let Some(pdp) = compiles(&set) else {
        return false;
    };
    for grade in Grade::ALL.iter().copied() {
        let age_ms = pdp.view_age_max_ms(grade);
        assert!((1..=86_400_000).contains(&age_ms));
        assert!(pdp.seals(grade, Jurisdiction::HONG_KONG));
        assert!(pdp.needs_linearizable(grade, Jurisdiction::HONG_KONG));
        if grade >= Grade::G3 {
            assert!(pdp.seals(grade, Jurisdiction::MAINLAND));
            assert!(age_ms <= SEALED_VIEW_AGE_MAX_MS);
        }
        if grade >= Grade::Important {
            assert!(pdp.needs_linearizable(grade, Jurisdiction::MAINLAND));
        }
    }
    true
}

/// `roles.csv`: casbin and the index read it alike, or it is refused.
pub(crate) fn policy_roles(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let set = PolicySet {
        roles: text.to_owned(),
        ..shipped()
    };
    compiles(&set).is_some()
}

/// `model.conf`: whatever compiles says what the one that ships says.
pub(crate) fn policy_model(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let set = PolicySet {
        model: text.to_owned(),
        ..shipped()
    };
    if compiles(&set).is_none() {
        return false;
    }
    let said = |text: &str| -> Vec<String> {
        let lines = text.lines().map(str::trim);
        lines
            .filter(|line| !line.is_empty() && !line.starts_with(['#', ';']))
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect()
    };
    assert_eq!(said(text), said(&shipped().model));
    true
}
