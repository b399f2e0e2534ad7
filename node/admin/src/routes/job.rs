//! Jobs of this node: what runs, how far it is, how it ended; cancel.
//!
//! It does not run jobs and does not show rows; a failed publish names its quarantine, and the data
//! plane's listener shows that.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use jobs::Job;
use schemas::JobId;
use schemas::code::Action;

use super::Shared;
use crate::authn::Caller;
use crate::gate::{Target, admit};
use crate::openapi::answers;
use crate::page::{Page, PageQuery};
use crate::problem::Failure;
use crate::{Error, Parts};

fn own(parts: &Parts, caller: &Caller, id: &JobId) -> Result<Job, Failure> {
    let found = parts.jobs.job(id).map_err(|e| caller.fail(e))?;
    found
        .filter(|job| job.participant == caller.principal.participant)
        .ok_or_else(|| {
            caller.fail(Error::NotFound {
                kind: "job",
                id: id.to_string(),
            })
        })
}

/// Jobs of the caller's participant on this node.
#[utoipa::path(get, path = "/api/v1/jobs", operation_id = "job_list",
    params(PageQuery),
    responses((status = 200, body = Page<Job>), answers::Read),
    extensions(("x-action" = json!("job.read"))))]
pub(crate) async fn list(
    State(parts): Shared,
    caller: Caller,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<Page<Job>>, Failure> {
    let Query(query) = query.map_err(|e| caller.fail(Error::from(e)))?;
    admit(&parts, &caller, Action::JobRead, Target::default()).await?;
    let page = page_of(&parts, &caller, &query).map_err(|e| caller.fail(e))?;
    Ok(Json(page))
}

fn page_of(parts: &Parts, caller: &Caller, query: &PageQuery) -> Result<Page<Job>, Error> {
    let limit = query.limit()?;
    let after = query.after()?.map(JobId::parse).transpose();
    let after = after.map_err(|e| Error::Invalid { why: e.to_string() })?;
    // One more than the page holds tells whether there is a next one.
    let participant = &caller.principal.participant;
    let jobs = parts.jobs.list(participant, after.as_ref(), limit + 1)?;
    let rest = PageQuery {
        limit: query.limit,
        cursor: None,
    };
    rest.cut(jobs.into_iter(), |job| job.id.to_string(), (0, 0))
}

/// One job.
#[utoipa::path(get, path = "/api/v1/jobs/{id}", operation_id = "job_show",
    params(("id" = String, Path)),
    responses((status = 200, body = Job), answers::ReadOne),
    extensions(("x-action" = json!("job.read"))))]
pub(crate) async fn show(
    State(parts): Shared,
    caller: Caller,
    id: Result<Path<JobId>, PathRejection>,
) -> Result<Json<Job>, Failure> {
    let Path(id) = id.map_err(|e| caller.fail(Error::from(e)))?;
    let job = own(&parts, &caller, &id)?;
    // Waiting for a job means asking often; one decision an answer would drown the ledger, so
    // the gate is asked once for each state that the caller sees.
    if job.state.is_ended() {
        admit(&parts, &caller, Action::JobRead, Target::record(&id)).await?;
    }
    Ok(Json(job))
}

/// Cancel a job.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/cancellation", operation_id = "job_cancel",
    params(("id" = String, Path)),
    responses((status = 200, body = Job), answers::Cancel),
    extensions(("x-action" = json!("job.cancel"))))]
pub(crate) async fn cancel(
    State(parts): Shared,
    caller: Caller,
    id: Result<Path<JobId>, PathRejection>,
) -> Result<Json<Job>, Failure> {
    let Path(id) = id.map_err(|e| caller.fail(Error::from(e)))?;
    own(&parts, &caller, &id)?;
    admit(&parts, &caller, Action::JobCancel, Target::record(&id)).await?;
    parts
        .jobs
        .cancel(&id, parts.clock.now())
        .map_err(|e| caller.fail(e))?;
    own(&parts, &caller, &id).map(Json)
}
