//! The decision point of the policy set in force, compiled once per set.
//!
//! It does not choose the set: the catalog view does.

use std::sync::{Arc, PoisonError, RwLock};

use catalog::View;
use crypto::Digest;
use policies::Pdp;
use schemas::code::ReasonCode;
use schemas::decision::{Decision, DecisionRequest, Facts, PolicyVersion, Reason};
use schemas::policy_set::PolicySet;
use schemas::{Grade, Jurisdiction, canonical};

use crate::Error;

/// A policy set, compiled or known to be unusable. With an unusable one everything is denied,
/// which needs no decision point to replay.
pub(crate) struct Decider {
    /// The set in force; none is the one that ships. The text itself is the key of the cache:
    /// comparing some kilobytes is cheaper than hashing them, and it cannot be wrong.
    set: Option<PolicySet>,
    version: PolicyVersion,
    pdp: Option<Pdp>,
}

impl Decider {
    fn compiled(set: Option<PolicySet>) -> Self {
        let text = set.clone().unwrap_or_else(policies::shipped);
        match compile(&text) {
            Ok(pdp) => Self {
                set,
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
                    version,
                    pdp: None,
                }
            }
        }
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
        let set = view.policy_set();
        if let Some(decider) = self.known(set) {
            return Found::Known(decider);
        }
        let set = set.cloned();
        let _turn = self.compiling.lock().await;
        if let Some(decider) = self.known(set.as_ref()) {
            return Found::Known(decider);
        }
        let decider = Arc::new(Decider::compiled(set));
        let mut latest = self.latest.write().unwrap_or_else(PoisonError::into_inner);
        *latest = Some(Arc::clone(&decider));
        Found::New(decider)
    }

    fn known(&self, set: Option<&PolicySet>) -> Option<Arc<Decider>> {
        let latest = self.latest.read().unwrap_or_else(PoisonError::into_inner);
        latest
            .as_ref()
            .filter(|it| it.set.as_ref() == set)
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
