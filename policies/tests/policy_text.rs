//! Policy text that cannot be put in force: the message names the part, the line and what to do.

use policies::{Error, Part, Pdp, shipped};
use schemas::policy_set::PolicySet;

/// The rules that ship, with one piece of text replaced.
fn rules(from: &str, to: &str) -> PolicySet {
    let mut set = shipped();
    assert!(set.rules.contains(from), "{from:?} is not in rules.toml");
    set.rules = set.rules.replacen(from, to, 1);
    set
}

fn check(set: &PolicySet, expected: &str) {
    let said = match Pdp::compile(set) {
        Ok(_) => "it compiles".to_owned(),
        Err(error) => error.to_string(),
    };
    assert_eq!(said, expected);
}

#[test]
fn the_set_that_ships_compiles_to_number_zero() {
    let pdp = Pdp::compile(&shipped()).unwrap();
    assert_eq!(pdp.version().number, 0);
    let again = Pdp::compile(&shipped()).unwrap();
    assert_eq!(pdp.version(), again.version());
}

#[test]
fn a_set_with_another_text_or_number_is_another_version() {
    let base = Pdp::compile(&shipped()).unwrap().version().clone();
    for set in [
        PolicySet {
            number: 1,
            ..shipped()
        },
        PolicySet {
            note: "reviewed".to_owned(),
            ..shipped()
        },
        rules("rows_max = 1_000", "rows_max = 999"),
    ] {
        assert_ne!(Pdp::compile(&set).unwrap().version().digest, base.digest);
    }
}

#[test]
fn rules_that_are_not_this_toml_are_named_by_line() {
    let line = |set: &PolicySet| match Pdp::compile(set) {
        Err(Error::Line {
            part: Part::Rules,
            line,
            ..
        }) => Some(line),
        _ => None,
    };
    let at = |text: &str| {
        1 + shipped()
            .rules
            .lines()
            .position(|line| line == text)
            .unwrap()
    };
    assert_eq!(line(&rules("[inspect]", "[inspect")), Some(at("[inspect]")));
    let unknown = rules("rows_max = 1_000", "rows_max = 1_000\nrow_max = 1");
    assert_eq!(line(&unknown), Some(at("rows_max = 1_000") + 1));
    let negative = rules("rows_max = 1_000", "rows_max = -1");
    assert_eq!(line(&negative), Some(at("rows_max = 1_000")));
}

#[test]
fn a_set_may_tighten_but_not_loosen() {
    check(
        &rules(
            "view_age_max_ms = 86_400_000",
            "view_age_max_ms = 86_400_001",
        ),
        "rules.toml: grade.G1: view_age_max_ms must be 1 to 86400000",
    );
    check(
        &rules("view_age_max_ms = 60_000", "view_age_max_ms = 60_001"),
        "rules.toml: grade.G3: view_age_max_ms must be 1 to 60000",
    );
    check(
        &rules("seal = true", "seal = false"),
        "rules.toml: grade.G3: seal must be true: from G3 on, bytes are sealed",
    );
    check(
        &rules("linearizable = true", "linearizable = false"),
        "rules.toml: grade.IMPORTANT: linearizable must be true for important and core data",
    );
    check(
        &rules("SENSITIVE_PERSONAL = \"keyed_hash\"", "PERSONAL = \"null\""),
        "rules.toml: mask.SENSITIVE_PERSONAL is missing: such columns are always masked",
    );
    check(
        &rules("\"keyed_hash\"\n\n", "{ generalise = { step = 0 } }\n\n"),
        "rules.toml: mask: a step of 0 cannot be rounded to; write 1 or more",
    );
    check(
        &rules("rows_max = 1_000", "rows_max = 10_001"),
        "rules.toml: inspect.rows_max must be 1 to 10000",
    );
    let tightened = [
        rules("seal = false", "seal = true"),
        rules("view_age_max_ms = 86_400_000", "view_age_max_ms = 1"),
        rules("linearizable = false", "linearizable = true"),
        rules(
            "[mask]",
            "[mask]\nPERSONAL = { truncate = { keep_chars = 3 } }",
        ),
    ];
    for set in tightened {
        check(&set, "it compiles");
    }
}

#[test]
fn citations_are_complete() {
    check(
        &rules("GRANT_REVOKED = ", "ROW_LIMIT = "),
        "rules.toml: cites.GRANT_REVOKED is missing: say what such a refusal rests on",
    );
    check(
        &rules("format = 2", "format = 1"),
        "rules.toml: format is 1, this program reads 2",
    );
}

#[test]
fn text_beyond_its_limit_is_refused() {
    let long = "#".repeat(1 << 20);
    let sets = [
        (
            Part::Model,
            PolicySet {
                model: long.clone(),
                ..shipped()
            },
        ),
        (
            Part::Roles,
            PolicySet {
                roles: long.clone(),
                ..shipped()
            },
        ),
        (
            Part::Rules,
            PolicySet {
                rules: long.clone(),
                ..shipped()
            },
        ),
    ];
    for (expected, set) in sets {
        let part = match Pdp::compile(&set) {
            Err(Error::TooLarge { part, .. }) => Some(part),
            _ => None,
        };
        assert_eq!(part, Some(expected));
    }
    let set = PolicySet {
        note: long,
        ..shipped()
    };
    assert!(matches!(Pdp::compile(&set), Err(Error::Digest { .. })));
}
