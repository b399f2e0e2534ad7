//! The decision point of the policy set and the rule packs in force, compiled once for them.
//!
//! It does not choose them: the catalog view does.

use std::sync::{Arc, PoisonError, RwLock};

use catalog::View;
use crypto::Digest;
use policies::Pdp;
use schemas::code::ReasonCode;
use schemas::decision::{Decision, DecisionRequest, Facts, PolicyVersion, Reason};
use schemas::export::{Notice, PersonCounts};
use schemas::policy_set::PolicySet;
use schemas::rule_pack::{AdoptedRulePack, PackVersion, RulePack};
use schemas::{Grade, Jurisdiction, RulePackId, Timestamp, canonical};

use crate::Error;

/// A policy set, compiled or known to be unusable. With an unusable one everything is denied,
/// which needs no decision point to replay.
pub(crate) struct Decider {
    /// The set in force; none is the one that ships. The text itself is the key of the cache:
    /// comparing some kilobytes is cheaper than hashing them, and it cannot be wrong.
    set: Option<PolicySet>,
    /// The adopted rule packs. What a number says never changes; taking it back moves its revision.
    packs: Vec<(RulePackId, u64, u64)>,
    version: PolicyVersion,
    pdp: Option<Pdp>,
}

impl Decider {
    fn compiled(set: Option<PolicySet>, adopted: &[AdoptedRulePack]) -> Self {
        let text = set.clone().unwrap_or_else(policies::shipped);
        let packs = adopted
            .iter()
            .map(|it| (it.pack.series.clone(), it.pack.number, it.revision))
            .collect();
        let valid: Vec<RulePack> = adopted
            .iter()
            .filter(|it| it.withdrawn_because.is_none())
            .map(|it| it.pack.clone())
            .collect();
        let compiled = compile(&text).and_then(|pdp| {
            pdp.with_packs(&valid).map_err(|source| Error::Policy {
                number: text.number,
                source,
            })
        });
        match compiled {
            Ok(pdp) => Self {
                set,
                packs,
                version: pdp.version().clone(),
                pdp: Some(pdp),
            },
            Err(error) => {
                tracing::error!(%error, "all is refused until a usable policy set is adopted");
                let digest = canonical::digest(&text).unwrap_or(Digest::ZERO);
                let version = PolicyVersion {
                    number: text.number,
                    digest,
                };
                Self {
                    set,
                    packs,
                    version,
                    pdp: None,
                }
            }
        }
    }

    fn has_packs_of(&self, view: &View) -> bool {
        let compiled = self.packs.iter();
        let compiled = compiled.map(|(series, number, revision)| (series, *number, *revision));
        let adopted = view
            .rule_packs()
            .map(|it| (&it.pack.series, it.pack.number, it.revision));
        adopted.eq(compiled)
    }

    pub(crate) fn version(&self) -> &PolicyVersion {
        &self.version
    }

    pub(crate) fn decide(&self, request: &DecisionRequest, facts: &Facts) -> Decision {
        match &self.pdp {
            Some(pdp) => pdp.decide(request, facts),
            None => Decision::Deny(vec![Reason::new(
                ReasonCode::RoleMissing,
                format!(
                    "policy set {} does not compile and so allows nothing; adopt one that does",
                    self.version.number
                ),
            )]),
        }
    }

    pub(crate) fn needs_linearizable(&self, grade: Grade, destination: Jurisdiction) -> bool {
        self.pdp
            .as_ref()
            .is_some_and(|pdp| pdp.needs_linearizable(grade, destination))
    }

    pub(crate) fn export_packs(&self, at: Timestamp) -> Vec<PackVersion> {
        self.pdp
            .as_ref()
            .map_or_else(Vec::new, |pdp| pdp.export_packs(at))
    }

    pub(crate) fn is_assessment_reached(&self, at: Timestamp, counts: &PersonCounts) -> bool {
        self.pdp
            .as_ref()
            .is_some_and(|pdp| pdp.is_assessment_reached(at, counts))
    }

    pub(crate) fn near_thresholds(&self, at: Timestamp, counts: &PersonCounts) -> Vec<Notice> {
        self.pdp
            .as_ref()
            .map_or_else(Vec::new, |pdp| pdp.near_thresholds(at, counts))
    }

    /// The compiled set; none when it cannot be used.
    pub(crate) fn pdp(&self) -> Option<&Pdp> {
        self.pdp.as_ref()
    }

    pub(crate) fn view_age_max_ms(&self, grade: Grade) -> u64 {
        self.pdp
            .as_ref()
            .map_or(0, |pdp| pdp.view_age_max_ms(grade))
    }
}

/// The last decider that was used.
#[derive(Default)]
pub(crate) struct Deciders {
    latest: RwLock<Option<Arc<Decider>>>,
    /// Held while a set is compiled, so that it happens once.
    compiling: tokio::sync::Mutex<()>,
}

/// Whether a set was already in use here or was compiled for this call.
pub(crate) enum Found {
    Known(Arc<Decider>),
    New(Arc<Decider>),
}

impl Deciders {
    /// The decider of the set in force in `view`.
    pub(crate) async fn of(&self, view: &View) -> Found {
        if let Some(decider) = self.known(view) {
            return Found::Known(decider);
        }
        let _turn = self.compiling.lock().await;
        if let Some(decider) = self.known(view) {
            return Found::Known(decider);
        }
        let adopted: Vec<AdoptedRulePack> = view.rule_packs().cloned().collect();
        let decider = Arc::new(Decider::compiled(view.policy_set().cloned(), &adopted));
        let mut latest = self.latest.write().unwrap_or_else(PoisonError::into_inner);
        *latest = Some(Arc::clone(&decider));
        Found::New(decider)
    }

    fn known(&self, view: &View) -> Option<Arc<Decider>> {
        let latest = self.latest.read().unwrap_or_else(PoisonError::into_inner);
        latest
            .as_ref()
            .filter(|it| it.set.as_ref() == view.policy_set() && it.has_packs_of(view))
            .map(Arc::clone)
    }
}

/// Compiles a policy set.
pub(crate) fn compile(set: &PolicySet) -> Result<Pdp, Error> {
    Pdp::compile(set).map_err(|source| Error::Policy {
        number: set.number,
        source,
    })
}
