//! New nodes: their applications, and what the authority's system administrator reads of them.
//!
//! It does not register anybody: that is hers to sign.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use http::StatusCode;
use schemas::code::Action;
use schemas::ledger_entry::LedgerEvent;

use super::{Body, Shared};
use crate::authn::{Caller, Trace};
use crate::enrolment::{Apply, Enrol, EnrolError, Enrolment, Welcome};
use crate::gate::{Target, admit};
use crate::openapi::answers;
use crate::page::{Page, PageQuery};
use crate::problem::Failure;
use crate::{Error, Parts};

/// Apply with an invitation, as a node that is not a member yet.
#[utoipa::path(post, path = "/api/v1/enrolments", operation_id = "enrolment_apply",
    security(()),
    request_body = Apply,
    responses((status = 201, body = Welcome), answers::Enrol),
    extensions(("x-action" = json!("none"))))]
pub(crate) async fn apply(
    State(parts): Shared,
    trace: Trace,
    body: Body<Apply>,
) -> Result<(StatusCode, Json<Welcome>), Failure> {
    let Json(apply) = body.map_err(|e| trace.fail(Error::from(e)))?;
    let enrol = enrol(&parts).map_err(|e| trace.fail(e))?.clone();
    let view = parts.catalog.view();
    let numbers: BTreeSet<u64> = view.nodes().map(|node| node.raft_number).collect();
    let now = parts.clock.now();
    let (invitation, participant, node) = (
        apply.invitation.clone(),
        apply.application.participant.id.clone(),
        apply.application.node.id.clone(),
    );
    let answer = on_files(move || enrol.apply(&apply, &numbers, now)).await;
    let answer = answer.map_err(|e| trace.fail(e))?;
    let event = LedgerEvent::Enrolled {
        invitation,
        participant,
        node,
        check: answer.check.clone(),
    };
    // On the ledger before the certificate leaves.
    let point = view.authority().and_then(|it| parts.point(it));
    let point = point.ok_or_else(|| trace.fail(nobody()))?;
    point
        .record(event, &trace.0)
        .await
        .map_err(|e| trace.fail(e))?;
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Applications that were answered and whose node is not registered yet.
#[utoipa::path(get, path = "/api/v1/enrolments", operation_id = "enrolment_list",
    params(PageQuery),
    responses((status = 200, body = Page<Enrolment>), answers::Read),
    extensions(("x-action" = json!("participant.register"))))]
pub(crate) async fn list(
    State(parts): Shared,
    caller: Caller,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<Page<Enrolment>>, Failure> {
    let Query(query) = query.map_err(|e| caller.fail(Error::from(e)))?;
    admit(
        &parts,
        &caller,
        Action::ParticipantRegister,
        Target::default(),
    )
    .await?;
    let view = parts.catalog.view();
    let waiting = answered(&parts).await.map_err(|e| caller.fail(e))?;
    let waiting = waiting
        .into_iter()
        .filter(|it| view.node(&it.node).is_none());
    let read_at = (view.index(), parts.catalog.staleness_ms());
    let page = query.cut(waiting, |it| it.id.clone(), read_at);
    page.map(Json).map_err(|e| caller.fail(e))
}

/// One application.
#[utoipa::path(get, path = "/api/v1/enrolments/{id}", operation_id = "enrolment_show",
    params(("id" = String, Path)),
    responses((status = 200, body = Enrolment), answers::ReadOne),
    extensions(("x-action" = json!("participant.register"))))]
pub(crate) async fn show(
    State(parts): Shared,
    caller: Caller,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<Enrolment>, Failure> {
    let Path(id) = id.map_err(|e| caller.fail(Error::from(e)))?;
    let target = Target::record(&id);
    admit(&parts, &caller, Action::ParticipantRegister, target).await?;
    let found = answered(&parts)
        .await
        .map_err(|e| caller.fail(e))?
        .into_iter()
        .find(|it| it.id == id);
    let missing = || {
        caller.fail(Error::NotFound {
            kind: "application",
            id,
        })
    };
    found.map(Json).ok_or_else(missing)
}

async fn answered(parts: &Parts) -> Result<Vec<Enrolment>, Error> {
    let Some(enrol) = parts.enrol.clone() else {
        return Ok(Vec::new());
    };
    on_files(move || enrol.answered()).await
}

/// Files are read, written and synced: not on a thread that serves other calls.
async fn on_files<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EnrolError> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    let done = done.map_err(|e| EnrolError::Failed { why: e.to_string() });
    Ok(done.flatten()?)
}

fn enrol(parts: &Parts) -> Result<&Arc<dyn Enrol>, Error> {
    parts.enrol.as_ref().ok_or_else(nobody)
}

/// Without an authority here, nobody is invited.
fn nobody() -> Error {
    Error::Enrol(EnrolError::NotInvited)
}
