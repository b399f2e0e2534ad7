//! The replicated catalog itself: leader, members, index, digest.
//!
//! It does not change membership; that is a node operator's own tool.

use axum::Json;
use axum::extract::State;
use schemas::NodeId;
use schemas::code::Action;
use serde::Serialize;

use super::Shared;
use crate::authn::Caller;
use crate::gate::{Target, admit};
use crate::openapi::answers;
use crate::problem::Failure;

/// How the catalog stands on this node.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct CatalogStatus {
    /// This node.
    node: NodeId,
    /// Its Raft number.
    raft_number: u64,
    /// The leader's Raft number, when one is known.
    leader: Option<u64>,
    /// Raft term.
    term: u64,
    /// Last log index applied here.
    applied: u64,
    /// Raft numbers of the voters.
    voters: Vec<u64>,
    /// SM3 root of the state at `applied`: equal on every replica at the same index.
    state_digest: String,
    /// Milliseconds since this replica last knew that it was current.
    age_ms: u64,
}

/// How the catalog stands on this node.
#[utoipa::path(get, path = "/api/v1/catalog", operation_id = "catalog_status",
    responses((status = 200, body = CatalogStatus), answers::Read),
    extensions(("x-action" = json!("participant.read"))))]
pub(crate) async fn status(
    State(parts): Shared,
    caller: Caller,
) -> Result<Json<CatalogStatus>, Failure> {
    admit(&parts, &caller, Action::ParticipantRead, Target::default()).await?;
    let status = parts.catalog.status();
    Ok(Json(CatalogStatus {
        node: status.node,
        raft_number: status.raft_number,
        leader: status.leader,
        term: status.term,
        applied: status.applied,
        voters: status.voters.into_iter().collect(),
        state_digest: status.state_digest.to_string(),
        age_ms: parts.catalog.staleness_ms(),
    }))
}
