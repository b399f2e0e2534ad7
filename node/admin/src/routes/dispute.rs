//! What follows an answer: the dispute of a refusal, and the review of an emergency grant.
//!
//! It does not show either to anyone who may not see the request.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use http::HeaderMap;
use schemas::RequestId;
use schemas::code::Action;
use schemas::command::Command;
use schemas::dispute::Dispute;
use schemas::emergency::EmergencyReview;

use super::request::visible;
use super::{Body, Shared};
use crate::Error;
use crate::authn::Caller;
use crate::change::{Change, if_match, propose, wrong_route};
use crate::gate::{Target, admit, pass};
use crate::openapi::{answers, headers};
use crate::problem::Failure;

fn absent(caller: &Caller, kind: &'static str, id: &RequestId) -> Failure {
    caller.fail(Error::NotFound {
        kind,
        id: id.to_string(),
    })
}

/// The dispute of a request's refusal.
#[utoipa::path(get, path = "/api/v1/requests/{id}/dispute", operation_id = "dispute_show",
    params(("id" = String, Path)),
    responses((status = 200, body = Dispute), answers::ReadOne),
    extensions(("x-action" = json!("request.read"))))]
pub(crate) async fn show(
    State(parts): Shared,
    caller: Caller,
    id: Result<Path<RequestId>, PathRejection>,
) -> Result<Json<Dispute>, Failure> {
    let Path(id) = id.map_err(|e| caller.fail(Error::from(e)))?;
    visible(&parts, &caller, &id)?;
    admit(&parts, &caller, Action::RequestRead, Target::record(&id)).await?;
    let found = parts.catalog.view().dispute(&id).cloned();
    found
        .map(Json)
        .ok_or_else(|| absent(&caller, "dispute", &id))
}

/// Take a step in a dispute.
#[utoipa::path(post, path = "/api/v1/requests/{id}/dispute", operation_id = "request_dispute",
    params(("id" = String, Path), headers::Revise),
    request_body = Change, responses(answers::Revise),
    extensions(("x-action" = json!("request.dispute"))))]
pub(crate) async fn step(
    State(parts): Shared,
    caller: Caller,
    id: Result<Path<RequestId>, PathRejection>,
    headers: HeaderMap,
    body: Body<Change>,
) -> Result<Response, Failure> {
    let Path(id) = id.map_err(|e| caller.fail(Error::from(e)))?;
    let Json(change) = body.map_err(|e| caller.fail(Error::from(e)))?;
    let revision = match change.command() {
        Command::DisputeRequest {
            request, revision, ..
        } if *request == id => *revision,
        _ => return Err(caller.fail(wrong_route("dispute_request for this request"))),
    };
    if_match(&headers, revision).map_err(|e| caller.fail(e))?;
    visible(&parts, &caller, &id)?;
    let target = Target::record(&id);
    let permit = pass(&parts, &caller, Action::RequestDispute, target).await?;
    propose(&parts, &caller, &permit, &headers, change).await
}

/// The emergency grant of a request, and its review.
#[utoipa::path(get, path = "/api/v1/requests/{id}/review", operation_id = "review_show",
    params(("id" = String, Path)),
    responses((status = 200, body = EmergencyReview), answers::ReadOne),
    extensions(("x-action" = json!("request.read"))))]
pub(crate) async fn review_of(
    State(parts): Shared,
    caller: Caller,
    id: Result<Path<RequestId>, PathRejection>,
) -> Result<Json<EmergencyReview>, Failure> {
    let Path(id) = id.map_err(|e| caller.fail(Error::from(e)))?;
    visible(&parts, &caller, &id)?;
    admit(&parts, &caller, Action::RequestRead, Target::record(&id)).await?;
    let found = parts.catalog.view().emergency(&id).cloned();
    found
        .map(Json)
        .ok_or_else(|| absent(&caller, "emergency grant", &id))
}

/// Review what was granted in an emergency.
#[utoipa::path(post, path = "/api/v1/requests/{id}/review", operation_id = "request_review",
    params(("id" = String, Path), headers::Change),
    request_body = Change, responses(answers::Change),
    extensions(("x-action" = json!("request.decide"))))]
pub(crate) async fn review(
    State(parts): Shared,
    caller: Caller,
    id: Result<Path<RequestId>, PathRejection>,
    headers: HeaderMap,
    body: Body<Change>,
) -> Result<Response, Failure> {
    let Path(id) = id.map_err(|e| caller.fail(Error::from(e)))?;
    let Json(change) = body.map_err(|e| caller.fail(Error::from(e)))?;
    match change.command() {
        Command::ReviewEmergency { request, .. } if *request == id => {}
        _ => return Err(caller.fail(wrong_route("review_emergency for this request"))),
    }
    let request = visible(&parts, &caller, &id)?;
    let target = Target {
        dataset: Some(&request.dataset),
        ..Target::record(&id)
    };
    let permit = pass(&parts, &caller, Action::RequestDecide, target).await?;
    propose(&parts, &caller, &permit, &headers, change).await
}
