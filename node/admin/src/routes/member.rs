//! Who takes part in the catalog's Raft: members, and how they change.
//!
//! It does not register nodes: a node becomes a member after its record was signed.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use http::StatusCode;
use schemas::code::Action;
use schemas::command::RefusalCode;
use schemas::participant::Node;
use schemas::{NodeId, ParticipantId};
use serde::{Deserialize, Serialize};

use super::{Body, Shared};
use crate::authn::Caller;
use crate::gate::{Target, admit};
use crate::openapi::answers;
use crate::page::{Page, PageQuery};
use crate::problem::Failure;
use crate::{Error, Parts};

/// A node that has a number in Raft.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Member {
    /// The node.
    node: NodeId,
    /// Who runs it.
    operator: ParticipantId,
    /// Its number in Raft.
    raft_number: u64,
    /// Where members call it.
    address: String,
    /// Whether its vote counts.
    votes: bool,
    /// Whether it leads, as this node knows.
    leads: bool,
}

/// Which node is to take part.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMember {
    /// A node with a record in the catalog.
    node: NodeId,
}

/// Members of the catalog.
#[utoipa::path(get, path = "/api/v1/catalog/members", operation_id = "member_list",
    params(PageQuery),
    responses((status = 200, body = Page<Member>), answers::Read),
    extensions(("x-action" = json!("participant.read"))))]
pub(crate) async fn list(
    State(parts): Shared,
    caller: Caller,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<Page<Member>>, Failure> {
    let Query(query) = query.map_err(|e| caller.fail(Error::from(e)))?;
    admit(&parts, &caller, Action::ParticipantRead, Target::default()).await?;
    let (view, read_at) = super::read(&parts);
    let status = parts.catalog.status();
    let members = view
        .nodes()
        .filter(|it| it.raft_number != 0)
        .map(|node| Member {
            node: node.id.clone(),
            operator: node.operator.clone(),
            raft_number: node.raft_number,
            address: node.raft_address.clone(),
            votes: status.voters.contains(&node.raft_number),
            leads: status.leader == Some(node.raft_number),
        });
    let page = query.cut(members, |it| it.node.to_string(), read_at);
    page.map(Json).map_err(|e| caller.fail(e))
}

/// Give a registered node a vote, once it has caught up.
#[utoipa::path(post, path = "/api/v1/catalog/members", operation_id = "member_add",
    request_body = NewMember,
    responses((status = 204), answers::Member),
    extensions(("x-action" = json!("node.operate"))))]
pub(crate) async fn add(
    State(parts): Shared,
    caller: Caller,
    body: Body<NewMember>,
) -> Result<StatusCode, Failure> {
    let Json(NewMember { node }) = body.map_err(|e| caller.fail(Error::from(e)))?;
    admit(&parts, &caller, Action::NodeOperate, Target::record(&node)).await?;
    let node = registered(&parts, &node).map_err(|e| caller.fail(e))?;
    if parts.catalog.view().authority() != Some(&caller.principal.participant) {
        return Err(caller.fail(Error::CommandRefused {
            code: RefusalCode::NotAllowed,
            detail: "the authority's system administrator gives votes; ask her".to_owned(),
        }));
    }
    let added = parts
        .catalog
        .add_voter(node.raft_number, &node.raft_address)
        .await;
    added.map_err(|e| caller.fail(e))?;
    Ok(StatusCode::NO_CONTENT)
}

/// Take a node out of the catalog's Raft; its records stay.
#[utoipa::path(delete, path = "/api/v1/catalog/members/{id}", operation_id = "member_remove",
    params(("id" = String, Path)),
    responses((status = 204), answers::Member),
    extensions(("x-action" = json!("node.operate"))))]
pub(crate) async fn remove(
    State(parts): Shared,
    caller: Caller,
    id: Result<Path<NodeId>, PathRejection>,
) -> Result<StatusCode, Failure> {
    let Path(id) = id.map_err(|e| caller.fail(Error::from(e)))?;
    admit(&parts, &caller, Action::NodeOperate, Target::record(&id)).await?;
    let node = registered(&parts, &id).map_err(|e| caller.fail(e))?;
    let removed = parts.catalog.remove_member(node.raft_number).await;
    removed.map_err(|e| caller.fail(e))?;
    Ok(StatusCode::NO_CONTENT)
}

fn registered(parts: &Parts, id: &NodeId) -> Result<Node, Error> {
    let found = parts.catalog.view().node(id).cloned();
    found
        .filter(|it| it.raft_number != 0)
        .ok_or_else(|| Error::NotFound {
            kind: "node with a Raft number",
            id: id.to_string(),
        })
}
