//! Grants: read and revoke.
//!
//! It does not give grants: an agreed request does.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::HeaderMap;
use schemas::code::Action;
use schemas::command::Command;
use schemas::request::Grant;
use schemas::{GrantId, ParticipantId};

use super::{Body, Shared, read};
use crate::authn::Caller;
use crate::change::{Change, propose, wrong_route};
use crate::gate::{Target, admit, pass};
use crate::openapi::{answers, headers};
use crate::page::{Page, PageQuery};
use crate::problem::Failure;
use crate::{Error, Parts};

fn may_see(grant: &Grant, authority: Option<&ParticipantId>, reader: &ParticipantId) -> bool {
    grant.consumer == *reader || grant.provider == *reader || authority == Some(reader)
}

fn visible(parts: &Parts, caller: &Caller, id: &GrantId) -> Result<Grant, Failure> {
    let view = parts.catalog.view();
    view.grant(id)
        .filter(|it| may_see(it, view.authority(), &caller.principal.participant))
        .cloned()
        .ok_or_else(|| {
            caller.fail(Error::NotFound {
                kind: "grant",
                id: id.to_string(),
            })
        })
}

/// Grants that the caller's participant is party to.
#[utoipa::path(get, path = "/api/v1/grants", operation_id = "grant_list",
    params(PageQuery),
    responses((status = 200, body = Page<Grant>), answers::Read),
    extensions(("x-action" = json!("grant.read"))))]
pub(crate) async fn list(
    State(parts): Shared,
    caller: Caller,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<Page<Grant>>, Failure> {
    let Query(query) = query.map_err(|e| caller.fail(Error::from(e)))?;
    admit(&parts, &caller, Action::GrantRead, Target::default()).await?;
    let (view, read_at) = read(&parts);
    let (authority, reader) = (view.authority(), &caller.principal.participant);
    let found = view
        .grants()
        .filter(|it| may_see(it, authority, reader))
        .cloned();
    query
        .cut(found, |it| it.id.to_string(), read_at)
        .map(Json)
        .map_err(|e| caller.fail(e))
}

/// One grant.
#[utoipa::path(get, path = "/api/v1/grants/{id}", operation_id = "grant_show",
    params(("id" = String, Path)),
    responses((status = 200, body = Grant), answers::ReadOne),
    extensions(("x-action" = json!("grant.read"))))]
pub(crate) async fn show(
    State(parts): Shared,
    caller: Caller,
    id: Result<Path<GrantId>, PathRejection>,
) -> Result<Json<Grant>, Failure> {
    let Path(id) = id.map_err(|e| caller.fail(Error::from(e)))?;
    let grant = visible(&parts, &caller, &id)?;
    admit(&parts, &caller, Action::GrantRead, Target::record(&id)).await?;
    Ok(Json(grant))
}

/// End a grant before its time.
#[utoipa::path(post, path = "/api/v1/grants/{id}/revocation", operation_id = "grant_revoke",
    params(("id" = String, Path), headers::Change),
    request_body = Change, responses(answers::Change),
    extensions(("x-action" = json!("grant.revoke"))))]
pub(crate) async fn revoke(
    State(parts): Shared,
    caller: Caller,
    id: Result<Path<GrantId>, PathRejection>,
    headers: HeaderMap,
    body: Body<Change>,
) -> Result<Response, Failure> {
    let Path(id) = id.map_err(|e| caller.fail(Error::from(e)))?;
    let Json(change) = body.map_err(|e| caller.fail(Error::from(e)))?;
    match change.command() {
        Command::RevokeGrant { grant, .. } if *grant == id => {}
        _ => return Err(caller.fail(wrong_route("revoke_grant for this grant"))),
    }
    let grant = visible(&parts, &caller, &id)?;
    let target = Target {
        dataset: Some(&grant.dataset),
        ..Target::record(&id)
    };
    let permit = pass(&parts, &caller, Action::GrantRevoke, target).await?;
    propose(&parts, &caller, &permit, &headers, change).await
}
