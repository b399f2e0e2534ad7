//! Transfers: start one on the consumer's node, and see how each stands.
//!
//! It does not move bytes: it writes a job, and the data plane does the work.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use jobs::{Job, JobKind, KEY_BYTES_MAX, NewJob};
use schemas::code::Action;
use schemas::transfer::Transfer;
use schemas::{GrantId, JobId, ParticipantId, TransferId};
use serde::Deserialize;

use super::{Body, Shared, read};
use crate::authn::Caller;
use crate::gate::{Target, admit};
use crate::openapi::answers;
use crate::page::{Page, PageQuery};
use crate::problem::Failure;
use crate::{Error, Parts};

/// What to fetch.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Start {
    /// The grant to use.
    grant: GrantId,
    /// The version's number; the latest when absent.
    version: Option<u64>,
}

fn may_see(transfer: &Transfer, authority: Option<&ParticipantId>, reader: &ParticipantId) -> bool {
    transfer.consumer == *reader || transfer.provider == *reader || authority == Some(reader)
}

/// Transfers that the caller's participant is party to.
#[utoipa::path(get, path = "/api/v1/transfers", operation_id = "transfer_list",
    params(PageQuery),
    responses((status = 200, body = Page<Transfer>), answers::Read),
    extensions(("x-action" = json!("transfer.run"))))]
pub(crate) async fn list(
    State(parts): Shared,
    caller: Caller,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<Page<Transfer>>, Failure> {
    let Query(query) = query.map_err(|e| caller.fail(Error::from(e)))?;
    admit(&parts, &caller, Action::TransferRun, Target::default()).await?;
    let (view, read_at) = read(&parts);
    let (authority, reader) = (view.authority(), &caller.principal.participant);
    let found = view
        .transfers()
        .filter(|it| may_see(it, authority, reader))
        .cloned();
    query
        .cut(found, |it| it.id.to_string(), read_at)
        .map(Json)
        .map_err(|e| caller.fail(e))
}

/// One transfer.
#[utoipa::path(get, path = "/api/v1/transfers/{id}", operation_id = "transfer_show",
    params(("id" = String, Path)),
    responses((status = 200, body = Transfer), answers::ReadOne),
    extensions(("x-action" = json!("transfer.run"))))]
pub(crate) async fn show(
    State(parts): Shared,
    caller: Caller,
    id: Result<Path<TransferId>, PathRejection>,
) -> Result<Json<Transfer>, Failure> {
    let Path(id) = id.map_err(|e| caller.fail(Error::from(e)))?;
    admit(&parts, &caller, Action::TransferRun, Target::record(&id)).await?;
    let view = parts.catalog.view();
    let reader = &caller.principal.participant;
    let found = view
        .transfer(&id)
        .filter(|it| may_see(it, view.authority(), reader))
        .cloned();
    let missing = || {
        caller.fail(Error::NotFound {
            kind: "transfer",
            id: id.to_string(),
        })
    };
    found.map(Json).ok_or_else(missing)
}

/// Fetch a version under a grant. Answers at once with the job that does it.
#[utoipa::path(post, path = "/api/v1/transfers", operation_id = "transfer_start",
    request_body = Start,
    params(("Idempotency-Key" = String, Header,
        description = "Makes a retry the same job; 1 to 128 bytes")),
    responses((status = 202, body = Job,
        headers(("Location" = String, description = "The job"))), answers::Begin),
    extensions(("x-action" = json!("transfer.run"))))]
pub(crate) async fn start(
    State(parts): Shared,
    caller: Caller,
    headers: HeaderMap,
    body: Body<Start>,
) -> Result<Response, Failure> {
    let Json(start) = body.map_err(|e| caller.fail(Error::from(e)))?;
    let key = headers
        .get("idempotency-key")
        .and_then(|it| it.to_str().ok())
        .filter(|it| (1..=KEY_BYTES_MAX).contains(&it.len()))
        .ok_or_else(|| {
            let why = format!(
                "send Idempotency-Key with 1 to {KEY_BYTES_MAX} bytes, so that a retry does not \
                 start a second transfer"
            );
            caller.fail(Error::Invalid { why })
        })?;
    let grant = parts.catalog.view().grant(&start.grant).cloned();
    let grant = grant
        .filter(|it| it.consumer == caller.principal.participant)
        .ok_or_else(|| {
            caller.fail(Error::NotFound {
                kind: "grant",
                id: start.grant.to_string(),
            })
        })?;
    admit(
        &parts,
        &caller,
        Action::TransferRun,
        Target::record(&grant.id),
    )
    .await?;
    let job = create(&parts, &caller, key, start).map_err(|e| caller.fail(e))?;
    let location = format!("/api/v1/jobs/{}", job.id);
    let mut response = (StatusCode::ACCEPTED, Json(job)).into_response();
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

fn create(parts: &Parts, caller: &Caller, key: &str, start: Start) -> Result<Job, Error> {
    // The identifiers follow from the key, so that a retry names the same job and transfer.
    let participant = caller.principal.participant.clone();
    let name = crypto::Digest::of(format!("{participant}\n{key}").as_bytes()).to_string();
    let short = &name[..24];
    let invalid = |e: schemas::Error| Error::Invalid { why: e.to_string() };
    let kind = JobKind::Transfer {
        transfer: TransferId::parse(format!("t-{short}")).map_err(invalid)?,
        grant: start.grant,
        version: start.version,
    };
    Ok(parts.jobs.create(NewJob {
        id: JobId::parse(format!("j-{short}")).map_err(invalid)?,
        participant,
        person: caller.principal.person.clone(),
        key: key.to_owned(),
        kind,
        at: parts.clock.now(),
    })?)
}
