//! Requests for shared data: submit, read, decide, withdraw.
//!
//! It does not show a request to anyone but its parties and the supervising authority.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use catalog::View;
use http::{HeaderMap, header};
use schemas::code::Action;
use schemas::command::Command;
use schemas::request::{AccessRequest, Supervision};
use schemas::{ParticipantId, RequestId};

use super::{Body, Shared, read};
use crate::authn::Caller;
use crate::change::{Change, etag, if_match, propose, wrong_route};
use crate::gate::{Target, admit, pass};
use crate::openapi::{answers, headers};
use crate::page::{Page, PageQuery};
use crate::problem::Failure;
use crate::{Error, Parts};

fn may_see(view: &View, request: &AccessRequest, reader: &ParticipantId) -> bool {
    request.consumer == *reader
        || view.authority() == Some(reader)
        || view
            .dataset(&request.dataset)
            .is_some_and(|it| it.provider == *reader)
}

/// The request, unless the caller may not know of it.
pub(super) fn visible(
    parts: &Parts,
    caller: &Caller,
    id: &RequestId,
) -> Result<AccessRequest, Failure> {
    let view = parts.catalog.view();
    view.request(id)
        .filter(|it| may_see(&view, it, &caller.principal.participant))
        .cloned()
        .ok_or_else(|| {
            caller.fail(Error::NotFound {
                kind: "request",
                id: id.to_string(),
            })
        })
}

/// Requests that the caller's participant is party to.
#[utoipa::path(get, path = "/api/v1/requests", operation_id = "request_list",
    params(PageQuery),
    responses((status = 200, body = Page<AccessRequest>), answers::Read),
    extensions(("x-action" = json!("request.read"))))]
pub(crate) async fn list(
    State(parts): Shared,
    caller: Caller,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<Page<AccessRequest>>, Failure> {
    let Query(query) = query.map_err(|e| caller.fail(Error::from(e)))?;
    admit(&parts, &caller, Action::RequestRead, Target::default()).await?;
    let (view, read_at) = read(&parts);
    let reader = &caller.principal.participant;
    let found = view
        .requests()
        .filter(|it| may_see(&view, it, reader))
        .cloned();
    query
        .cut(found, |it| it.id.to_string(), read_at)
        .map(Json)
        .map_err(|e| caller.fail(e))
}

/// Clocks of requests that ran out (督办), with when what was late was done after all.
#[utoipa::path(get, path = "/api/v1/supervisions", operation_id = "supervision_list",
    params(PageQuery),
    responses((status = 200, body = Page<Supervision>), answers::Read),
    extensions(("x-action" = json!("request.read"))))]
pub(crate) async fn supervisions(
    State(parts): Shared,
    caller: Caller,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<Page<Supervision>>, Failure> {
    let Query(query) = query.map_err(|e| caller.fail(Error::from(e)))?;
    admit(&parts, &caller, Action::RequestRead, Target::default()).await?;
    let (view, read_at) = read(&parts);
    let reader = &caller.principal.participant;
    let seen = |it: &&Supervision| {
        let request = view.request(&it.request);
        request.is_some_and(|request| may_see(&view, request, reader))
    };
    let found = view.supervisions().filter(seen).cloned();
    query
        .cut(found, |it| format!("{}/{}", it.request, it.clock), read_at)
        .map(Json)
        .map_err(|e| caller.fail(e))
}

/// One request.
#[utoipa::path(get, path = "/api/v1/requests/{id}", operation_id = "request_show",
    params(("id" = String, Path)),
    responses((status = 200, body = AccessRequest,
        headers(("ETag" = String, description = "The revision, in quotes: for If-Match"))),
        answers::ReadOne),
    extensions(("x-action" = json!("request.read"))))]
pub(crate) async fn show(
    State(parts): Shared,
    caller: Caller,
    id: Result<Path<RequestId>, PathRejection>,
) -> Result<Response, Failure> {
    let Path(id) = id.map_err(|e| caller.fail(Error::from(e)))?;
    let request = visible(&parts, &caller, &id)?;
    admit(&parts, &caller, Action::RequestRead, Target::record(&id)).await?;
    let mut response = Json(&request).into_response();
    response
        .headers_mut()
        .insert(header::ETAG, etag(request.revision));
    Ok(response)
}

/// Ask for shared data.
#[utoipa::path(post, path = "/api/v1/requests", operation_id = "request_submit",
    params(headers::Change), request_body = Change, responses(answers::Change),
    extensions(("x-action" = json!("request.submit"))))]
pub(crate) async fn submit(
    State(parts): Shared,
    caller: Caller,
    headers: HeaderMap,
    body: Body<Change>,
) -> Result<Response, Failure> {
    let Json(change) = body.map_err(|e| caller.fail(Error::from(e)))?;
    let Command::SubmitRequest { request } = change.command() else {
        return Err(caller.fail(wrong_route("submit_request")));
    };
    let dataset = request.dataset.clone();
    let permit = pass(
        &parts,
        &caller,
        Action::RequestSubmit,
        Target::dataset(&dataset),
    )
    .await?;
    propose(&parts, &caller, &permit, &headers, change).await
}

/// Answer a request.
#[utoipa::path(post, path = "/api/v1/requests/{id}/decision", operation_id = "request_decide",
    params(("id" = String, Path), headers::Revise),
    request_body = Change, responses(answers::Revise),
    extensions(("x-action" = json!("request.decide"))))]
pub(crate) async fn decide(
    State(parts): Shared,
    caller: Caller,
    id: Result<Path<RequestId>, PathRejection>,
    headers: HeaderMap,
    body: Body<Change>,
) -> Result<Response, Failure> {
    let Path(id) = id.map_err(|e| caller.fail(Error::from(e)))?;
    let Json(change) = body.map_err(|e| caller.fail(Error::from(e)))?;
    let revision = match change.command() {
        Command::DecideRequest {
            request, revision, ..
        } if *request == id => *revision,
        _ => return Err(caller.fail(wrong_route("decide_request for this request"))),
    };
    if_match(&headers, revision).map_err(|e| caller.fail(e))?;
    let request = visible(&parts, &caller, &id)?;
    let target = Target {
        dataset: Some(&request.dataset),
        ..Target::record(&id)
    };
    let permit = pass(&parts, &caller, Action::RequestDecide, target).await?;
    propose(&parts, &caller, &permit, &headers, change).await
}

/// Take a request back.
#[utoipa::path(post, path = "/api/v1/requests/{id}/withdrawal", operation_id = "request_withdraw",
    params(("id" = String, Path), headers::Revise),
    request_body = Change, responses(answers::Revise),
    extensions(("x-action" = json!("request.withdraw"))))]
pub(crate) async fn withdraw(
    State(parts): Shared,
    caller: Caller,
    id: Result<Path<RequestId>, PathRejection>,
    headers: HeaderMap,
    body: Body<Change>,
) -> Result<Response, Failure> {
    let Path(id) = id.map_err(|e| caller.fail(Error::from(e)))?;
    let Json(change) = body.map_err(|e| caller.fail(Error::from(e)))?;
    let revision = match change.command() {
        Command::WithdrawRequest { request, revision } if *request == id => *revision,
        _ => return Err(caller.fail(wrong_route("withdraw_request for this request"))),
    };
    if_match(&headers, revision).map_err(|e| caller.fail(e))?;
    visible(&parts, &caller, &id)?;
    let permit = pass(
        &parts,
        &caller,
        Action::RequestWithdraw,
        Target::record(&id),
    )
    .await?;
    propose(&parts, &caller, &permit, &headers, change).await
}
