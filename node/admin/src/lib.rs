//! REST for people and programs: participants, datasets, requests, grants, transfers, jobs, the
//! ledger and the policies of one node.
//!
//! It does not touch rows: uploads, previews and quarantined rows are the data plane's. It writes
//! intents, as signed proposals into the catalog or as jobs of its own node, and it reaches the
//! ledger only through the gate.

mod authn;
mod change;
pub mod enrolment;
mod error;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod gate;
mod openapi;
mod page;
pub mod problem;
mod routes;
mod serve;

use std::collections::BTreeMap;
use std::sync::Arc;

use catalog::Catalog;
use enforcement::{Clock, EnforcementPoint, Sessions};
use jobs::Jobs;
use schemas::{NodeId, ParticipantId};

pub use error::Error;
pub use openapi::document;
pub use serve::{AdminServer, TlsListener, serve};

/// What the REST interface works with.
pub struct Parts {
    /// This node.
    pub node: NodeId,
    /// The catalog replica.
    pub catalog: Catalog,
    /// The gate of each hosted participant.
    pub points: BTreeMap<ParticipantId, Arc<EnforcementPoint>>,
    /// Local work.
    pub jobs: Jobs,
    /// Who is signed in.
    pub sessions: Arc<Sessions>,
    /// Answers applications of new nodes, where the transport authority is.
    pub enrol: Option<Arc<dyn enrolment::Enrol>>,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
}

impl Parts {
    /// The gate of `participant`, when this node acts for it.
    pub(crate) fn point(&self, participant: &ParticipantId) -> Option<&Arc<EnforcementPoint>> {
        self.points.get(participant)
    }
}
