//! What can be asked of a ledger, and under which terms an entry is found: pure.
//!
//! It does not search: [`crate::Ledger::search`] does, over an index that can be rebuilt. Whoever
//! holds the entries themselves (an auditor with a package) asks [`Filter::matches`], which says
//! the same of the same entry.

use std::collections::BTreeSet;

use crypto::Digest;
use schemas::decision::{Decision, DecisionRequest, Facts};
use schemas::ledger_entry::{LedgerEntry, LedgerEvent, LedgerIndex, ReleaseOutcome};
use schemas::{DatasetId, Jurisdiction, ParticipantId, ReleaseId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Longest text of a term in bytes; a longer one stands under its SM3 digest.
pub const TERM_BYTES_MAX: usize = 128;

/// Most terms of one entry; what comes after is not found by search and is found by reading. A
/// refusal with every reason that there is has fewer.
pub const TERMS_MAX: usize = 96;

/// Which entries. Every part that is given must hold; without any, all entries do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// About this dataset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dataset: Option<DatasetId>,
    /// Naming this participant as asking, providing, receiving or speaking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub participant: Option<ParticipantId>,
    /// Done by this person, or by this node where a node asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// A decision on this action (`dataset.read`), or an entry of this kind (`receipt`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// `permit`, `deny` or `measure`, a refusal's code (`GRANT_EXPIRED`), how a release ended
    /// (`completed`, `aborted`, `revoked`, `expired`), `published` or `not_published`, and for a
    /// sign-in `accepted` or `rejected`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
    /// Asked for this purpose, by its code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<String>,
    /// Where the answer was to go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<Jurisdiction>,
    /// Of this release: its beginning, its end and its receipts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseId>,
    /// First instant, by the node's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// First instant that no longer counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Entries that match, ascending.
    pub indices: Vec<LedgerIndex>,
    /// Where the next page begins; none at the end.
    pub next: Option<LedgerIndex>,
    /// How many match in all, on this page and on others.
    pub total: u64,
    /// How many entries were looked at: all below this index. Hand it in again for the next page,
    /// so that what is recorded meanwhile does not move the pages.
    pub size: u64,
}

/// What a term says. The numbers stand in the index: they are never given another meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Field {
    Dataset = 1,
    Participant = 2,
    Actor = 3,
    Action = 4,
    Outcome = 5,
    Purpose = 6,
    Destination = 7,
    Release = 8,
    /// The entry that a release rests on; not asked for by people.
    Decision = 9,
}

/// A field and its text, at most [`TERM_BYTES_MAX`] bytes.
pub(crate) type Term = (Field, String);

/// Under what an entry is found again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keys {
    pub(crate) at: Timestamp,
    pub(crate) terms: BTreeSet<Term>,
}

impl Filter {
    /// Whether an entry is one of those that are asked for.
    #[must_use]
    pub fn matches(&self, entry: &LedgerEntry) -> bool {
        let keys = keys(entry);
        self.holds_at(keys.at) && self.terms().is_subset(&keys.terms)
    }

    /// Whether the instant is one of those that are asked for.
    pub(crate) fn holds_at(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }

    /// What must be among an entry's terms.
    pub(crate) fn terms(&self) -> BTreeSet<Term> {
        let mut terms = BTreeSet::new();
        let mut add = |field, text: Option<String>| terms.extend(text.map(|it| term(field, it)));
        add(
            Field::Dataset,
            self.dataset.as_ref().map(ToString::to_string),
        );
        add(
            Field::Participant,
            self.participant.as_ref().map(ToString::to_string),
        );
        add(Field::Actor, self.actor.clone());
        add(Field::Action, self.action.clone());
        add(Field::Outcome, self.outcome.clone());
        add(Field::Purpose, self.purpose.clone());
        add(
            Field::Destination,
            self.destination.map(|it| it.to_string()),
        );
        add(
            Field::Release,
            self.release.as_ref().map(ToString::to_string),
        );
        terms
    }

    /// Refuses a span of time that nothing can lie in, since an empty answer would be taken for
    /// "it never happened".
    ///
    /// # Errors
    /// [`Error::Question`] naming both ends.
    pub fn check(&self) -> Result<(), Error> {
        match (self.from, self.until) {
            (Some(from), Some(until)) if from >= until => Err(Error::Question {
                why: format!("nothing is from {from} on and before {until}; exchange the two"),
            }),
            _ => Ok(()),
        }
    }
}

/// Under what an entry is found.
pub(crate) fn keys(entry: &LedgerEntry) -> Keys {
    let mut terms = Terms(BTreeSet::new());
    match &entry.event {
        LedgerEvent::Decided {
            request,
            facts,
            decision,
        } => decided(&mut terms, request, facts, decision),
        LedgerEvent::Released {
            release,
            dataset,
            decided_at,
            ..
        } => {
            terms.add(Field::Action, "released");
            terms.add(Field::Decision, &decided_at.to_string());
            terms.add(Field::Release, release.as_str());
            terms.add(Field::Dataset, dataset.as_str());
        }
        LedgerEvent::ReleaseEnded {
            release, outcome, ..
        } => {
            terms.add(Field::Action, "release_ended");
            terms.add(Field::Release, release.as_str());
            terms.add(Field::Outcome, ended(*outcome));
        }
        LedgerEvent::Receipt { receipt } => {
            terms.add(Field::Action, "receipt");
            terms.add(Field::Release, receipt.body.release.as_str());
            terms.add(Field::Dataset, receipt.body.dataset.as_str());
            terms.add(Field::Participant, receipt.body.participant.as_str());
        }
        LedgerEvent::Published {
            dataset, version, ..
        } => {
            let passed = version.is_some();
            terms.add(Field::Action, "published");
            terms.add(Field::Dataset, dataset.as_str());
            terms.add(
                Field::Outcome,
                if passed { "published" } else { "not_published" },
            );
        }
        LedgerEvent::SignedIn {
            person, accepted, ..
        } => {
            terms.add(Field::Action, "signed_in");
            terms.add(Field::Actor, person.as_str());
            terms.add(
                Field::Outcome,
                if *accepted { "accepted" } else { "rejected" },
            );
        }
        LedgerEvent::Enrolled { participant, .. } => {
            terms.add(Field::Action, "enrolled");
            terms.add(Field::Participant, participant.as_str());
        }
        LedgerEvent::PolicyInForce { .. } => terms.add(Field::Action, "policy_in_force"),
        LedgerEvent::Started { .. } => terms.add(Field::Action, "started"),
        LedgerEvent::Gap { .. } => terms.add(Field::Action, "gap"),
    }
    Keys {
        at: entry.at,
        terms: terms.0,
    }
}

fn decided(terms: &mut Terms, request: &DecisionRequest, facts: &Facts, decision: &Decision) {
    let principal = &request.principal;
    terms.add(Field::Action, request.action.as_str());
    terms.add(Field::Participant, principal.participant.as_str());
    terms.add(Field::Destination, &request.destination.to_string());
    if let Some(dataset) = &request.dataset {
        terms.add(Field::Dataset, dataset.as_str());
    }
    if let Some(person) = &principal.person {
        terms.add(Field::Actor, person.as_str());
    }
    if let Some(node) = &principal.node {
        terms.add(Field::Actor, node.as_str());
    }
    if let Some(purpose) = &request.purpose {
        terms.add(Field::Purpose, &purpose.code);
    }
    if let Some(grant) = &facts.grant {
        terms.add(Field::Participant, grant.consumer.as_str());
        terms.add(Field::Participant, grant.provider.as_str());
    }
    match decision {
        Decision::Permit(_) => terms.add(Field::Outcome, "permit"),
        Decision::Measure { .. } => terms.add(Field::Outcome, "measure"),
        Decision::Deny(reasons) => {
            terms.add(Field::Outcome, "deny");
            for reason in reasons {
                terms.add(Field::Outcome, reason.code.as_str());
            }
        }
    }
}

/// The word for how a release ended.
pub(crate) fn ended(outcome: ReleaseOutcome) -> &'static str {
    match outcome {
        ReleaseOutcome::Completed => "completed",
        ReleaseOutcome::Aborted => "aborted",
        ReleaseOutcome::Revoked => "revoked",
        ReleaseOutcome::Expired => "expired",
    }
}

struct Terms(BTreeSet<Term>);

impl Terms {
    fn add(&mut self, field: Field, text: &str) {
        if self.0.len() < TERMS_MAX {
            self.0.insert(term(field, text.to_owned()));
        }
    }
}

pub(crate) fn term(field: Field, text: String) -> Term {
    if text.len() > TERM_BYTES_MAX {
        return (field, Digest::of(text.as_bytes()).to_string());
    }
    (field, text)
}
