//! Participants, their nodes and the persons who act for them.
//!
//! It does not list persons: who works where is party-only.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::HeaderMap;
use schemas::ParticipantId;
use schemas::code::Action;
use schemas::command::Command;
use schemas::participant::{Node, Participant};

use super::{Body, Shared, read};
use crate::Error;
use crate::authn::Caller;
use crate::change::{Change, if_match, propose, wrong_route};
use crate::gate::{Target, admit, pass};
use crate::openapi::{answers, headers};
use crate::page::{Page, PageQuery};
use crate::problem::Failure;

/// Participants of the federation.
#[utoipa::path(get, path = "/api/v1/participants", operation_id = "participant_list",
    params(PageQuery),
    responses((status = 200, body = Page<Participant>), answers::Read),
    extensions(("x-action" = json!("participant.read"))))]
pub(crate) async fn list(
    State(parts): Shared,
    caller: Caller,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<Page<Participant>>, Failure> {
    let Query(query) = query.map_err(|e| caller.fail(Error::from(e)))?;
    admit(&parts, &caller, Action::ParticipantRead, Target::default()).await?;
    let (view, read_at) = read(&parts);
    let page = query.cut(
        view.participants().cloned(),
        |it| it.id.to_string(),
        read_at,
    );
    page.map(Json).map_err(|e| caller.fail(e))
}

/// One participant.
#[utoipa::path(get, path = "/api/v1/participants/{id}", operation_id = "participant_show",
    params(("id" = String, Path)),
    responses((status = 200, body = Participant), answers::ReadOne),
    extensions(("x-action" = json!("participant.read"))))]
pub(crate) async fn show(
    State(parts): Shared,
    caller: Caller,
    id: Result<Path<ParticipantId>, PathRejection>,
) -> Result<Json<Participant>, Failure> {
    let Path(id) = id.map_err(|e| caller.fail(Error::from(e)))?;
    admit(
        &parts,
        &caller,
        Action::ParticipantRead,
        Target::record(&id),
    )
    .await?;
    let found = parts.catalog.view().participant(&id).cloned();
    let missing = || {
        caller.fail(Error::NotFound {
            kind: "participant",
            id: id.to_string(),
        })
    };
    found.map(Json).ok_or_else(missing)
}

/// Register or change a participant.
#[utoipa::path(post, path = "/api/v1/participants", operation_id = "participant_register",
    params(headers::Revise), request_body = Change, responses(answers::Revise),
    extensions(("x-action" = json!("participant.register"))))]
pub(crate) async fn register(
    State(parts): Shared,
    caller: Caller,
    headers: HeaderMap,
    body: Body<Change>,
) -> Result<Response, Failure> {
    let Json(change) = body.map_err(|e| caller.fail(Error::from(e)))?;
    let Command::RegisterParticipant { participant } = change.command() else {
        return Err(caller.fail(wrong_route("register_participant")));
    };
    if_match(&headers, participant.revision).map_err(|e| caller.fail(e))?;
    let target = Target::record(&participant.id);
    let permit = pass(&parts, &caller, Action::ParticipantRegister, target).await?;
    propose(&parts, &caller, &permit, &headers, change).await
}

/// Nodes of the federation.
#[utoipa::path(get, path = "/api/v1/nodes", operation_id = "node_list",
    params(PageQuery),
    responses((status = 200, body = Page<Node>), answers::Read),
    extensions(("x-action" = json!("participant.read"))))]
pub(crate) async fn nodes(
    State(parts): Shared,
    caller: Caller,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<Page<Node>>, Failure> {
    let Query(query) = query.map_err(|e| caller.fail(Error::from(e)))?;
    admit(&parts, &caller, Action::ParticipantRead, Target::default()).await?;
    let (view, read_at) = read(&parts);
    let page = query.cut(view.nodes().cloned(), |it| it.id.to_string(), read_at);
    page.map(Json).map_err(|e| caller.fail(e))
}

/// Register or change a node.
#[utoipa::path(post, path = "/api/v1/nodes", operation_id = "node_register",
    params(headers::Revise), request_body = Change, responses(answers::Revise),
    extensions(("x-action" = json!("participant.register"))))]
pub(crate) async fn register_node(
    State(parts): Shared,
    caller: Caller,
    headers: HeaderMap,
    body: Body<Change>,
) -> Result<Response, Failure> {
    let Json(change) = body.map_err(|e| caller.fail(Error::from(e)))?;
    let Command::RegisterNode { node } = change.command() else {
        return Err(caller.fail(wrong_route("register_node")));
    };
    if_match(&headers, node.revision).map_err(|e| caller.fail(e))?;
    let target = Target::record(&node.id);
    let permit = pass(&parts, &caller, Action::ParticipantRegister, target).await?;
    propose(&parts, &caller, &permit, &headers, change).await
}

/// Bind roles and a key to a person.
#[utoipa::path(post, path = "/api/v1/persons", operation_id = "person_bind",
    params(headers::Revise), request_body = Change, responses(answers::Revise),
    extensions(("x-action" = json!("role.bind"))))]
pub(crate) async fn bind_person(
    State(parts): Shared,
    caller: Caller,
    headers: HeaderMap,
    body: Body<Change>,
) -> Result<Response, Failure> {
    let Json(change) = body.map_err(|e| caller.fail(Error::from(e)))?;
    let Command::BindPerson { person } = change.command() else {
        return Err(caller.fail(wrong_route("bind_person")));
    };
    if_match(&headers, person.revision).map_err(|e| caller.fail(e))?;
    let target = Target::record(&person.id);
    let permit = pass(&parts, &caller, Action::RoleBind, target).await?;
    propose(&parts, &caller, &permit, &headers, change).await
}
