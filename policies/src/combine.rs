//! Deny overrides: any reason makes the answer no, and every reason is told, once and in order.
//!
//! It does not look for reasons: the other files bring them.

use std::collections::BTreeSet;

use schemas::code::ReasonCode;
use schemas::decision::{Decision, Obligations, Reason};

use crate::export::Passage;
use crate::rules::Rules;

/// Reasons against, as they are found.
pub(crate) struct Reasons<'a> {
    rules: &'a Rules,
    found: BTreeSet<Reason>,
}

impl<'a> Reasons<'a> {
    pub(crate) fn new(rules: &'a Rules) -> Self {
        Self {
            rules,
            found: BTreeSet::new(),
        }
    }

    /// Adds a reason with what `rules.toml` cites for it.
    pub(crate) fn deny(&mut self, code: ReasonCode) {
        self.deny_because(code, self.rules.cites(code));
    }

    /// What `rules.toml` cites for a code.
    pub(crate) fn cites(&self, code: ReasonCode) -> String {
        self.rules.cites(code)
    }

    /// Adds a reason with a citation of its own.
    pub(crate) fn deny_because(&mut self, code: ReasonCode, cites: String) {
        self.add(Reason::new(code, cites));
    }

    pub(crate) fn add(&mut self, reason: Reason) {
        self.found.insert(reason);
    }

    /// Whether nothing was found yet.
    pub(crate) fn are_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// The decision. `obligations` are dropped when there is a reason against: a refusal must not
    /// tell what a permit would have shown.
    pub(crate) fn decide(self, obligations: Obligations, passage: Passage) -> Decision {
        if !self.found.is_empty() {
            return Decision::Deny(self.found.into_iter().collect());
        }
        match passage {
            Passage::None => Decision::Permit(obligations),
            Passage::Under(terms) => Decision::Permit(Obligations {
                export: Some(terms),
                ..obligations
            }),
            Passage::Measure(duty) => Decision::Measure { duty, obligations },
        }
    }
}
