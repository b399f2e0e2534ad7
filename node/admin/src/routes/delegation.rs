//! Delegations: who decides in whose place.
//!
//! It does not show one to anyone but the participant whose people they are, and the authority.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::HeaderMap;
use schemas::PersonId;
use schemas::code::Action;
use schemas::command::Command;
use schemas::delegation::Delegation;

use super::{Body, Shared, read};
use crate::Error;
use crate::authn::Caller;
use crate::change::{Change, if_match, propose, wrong_route};
use crate::gate::{Target, admit, pass};
use crate::openapi::{answers, headers};
use crate::page::{Page, PageQuery};
use crate::problem::Failure;

/// Delegations of the caller's participant; of all participants for the authority.
#[utoipa::path(get, path = "/api/v1/delegations", operation_id = "delegation_list",
    params(PageQuery),
    responses((status = 200, body = Page<Delegation>), answers::Read),
    extensions(("x-action" = json!("participant.read"))))]
pub(crate) async fn list(
    State(parts): Shared,
    caller: Caller,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<Page<Delegation>>, Failure> {
    let Query(query) = query.map_err(|e| caller.fail(Error::from(e)))?;
    admit(&parts, &caller, Action::ParticipantRead, Target::default()).await?;
    let (view, read_at) = read(&parts);
    let reader = &caller.principal.participant;
    let all = view.authority() == Some(reader);
    let found = view
        .delegations()
        .filter(|it| all || it.participant == *reader)
        .cloned();
    query
        .cut(found, |it| it.from.to_string(), read_at)
        .map(Json)
        .map_err(|e| caller.fail(e))
}

/// Let somebody decide in one's place.
#[utoipa::path(post, path = "/api/v1/delegations", operation_id = "delegation_set",
    params(headers::Revise), request_body = Change, responses(answers::Revise),
    extensions(("x-action" = json!("delegation.set"))))]
pub(crate) async fn set(
    State(parts): Shared,
    caller: Caller,
    headers: HeaderMap,
    body: Body<Change>,
) -> Result<Response, Failure> {
    let Json(change) = body.map_err(|e| caller.fail(Error::from(e)))?;
    let Command::SetDelegation { delegation } = change.command() else {
        return Err(caller.fail(wrong_route("set_delegation")));
    };
    if_match(&headers, delegation.revision).map_err(|e| caller.fail(e))?;
    let target = Target::record(&delegation.from);
    let permit = pass(&parts, &caller, Action::DelegationSet, target).await?;
    propose(&parts, &caller, &permit, &headers, change).await
}

/// End a delegation before its time.
#[utoipa::path(post, path = "/api/v1/delegations/{from}/end", operation_id = "delegation_end",
    params(("from" = String, Path), headers::Revise),
    request_body = Change, responses(answers::Revise),
    extensions(("x-action" = json!("delegation.set"))))]
pub(crate) async fn end(
    State(parts): Shared,
    caller: Caller,
    from: Result<Path<PersonId>, PathRejection>,
    headers: HeaderMap,
    body: Body<Change>,
) -> Result<Response, Failure> {
    let Path(id) = from.map_err(|e| caller.fail(Error::from(e)))?;
    let Json(change) = body.map_err(|e| caller.fail(Error::from(e)))?;
    let revision = match change.command() {
        Command::EndDelegation { from, revision, .. } if *from == id => *revision,
        _ => return Err(caller.fail(wrong_route("end_delegation for this person"))),
    };
    if_match(&headers, revision).map_err(|e| caller.fail(e))?;
    let target = Target::record(&id);
    let permit = pass(&parts, &caller, Action::DelegationSet, target).await?;
    propose(&parts, &caller, &permit, &headers, change).await
}
