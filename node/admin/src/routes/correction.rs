//! Correction tickets: open, read, move, and the notices of corrections.
//!
//! It does not show a ticket to anyone but whoever asked, the provider, the authority, and the
//! consumers who were told of the correction.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use catalog::View;
use http::{HeaderMap, header};
use schemas::code::Action;
use schemas::command::Command;
use schemas::correction::Correction;
use schemas::{CorrectionId, ParticipantId};

use super::{Body, Shared, read};
use crate::authn::Caller;
use crate::change::{Change, etag, if_match, propose, wrong_route};
use crate::gate::{Target, admit, pass};
use crate::openapi::{answers, headers};
use crate::page::{Page, PageQuery};
use crate::problem::Failure;
use crate::{Error, Parts};

fn may_see(view: &View, it: &Correction, reader: &ParticipantId) -> bool {
    let provider = view.dataset(&it.dataset).map(|it| &it.provider);
    it.consumer == *reader
        || it.notified.contains(reader)
        || view.authority() == Some(reader)
        || provider == Some(reader)
}

fn visible(parts: &Parts, caller: &Caller, id: &CorrectionId) -> Result<Correction, Failure> {
    let view = parts.catalog.view();
    view.correction(id)
        .filter(|it| may_see(&view, it, &caller.principal.participant))
        .cloned()
        .ok_or_else(|| {
            caller.fail(Error::NotFound {
                kind: "correction",
                id: id.to_string(),
            })
        })
}

/// Tickets that the caller's participant may see.
#[utoipa::path(get, path = "/api/v1/corrections", operation_id = "correction_list",
    params(PageQuery),
    responses((status = 200, body = Page<Correction>), answers::Read),
    extensions(("x-action" = json!("correction.read"))))]
pub(crate) async fn list(
    State(parts): Shared,
    caller: Caller,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<Page<Correction>>, Failure> {
    page(&parts, &caller, query, may_see).await
}

/// Corrections of data that the caller's participant uses: what it was told of.
#[utoipa::path(get, path = "/api/v1/notices", operation_id = "notice_list",
    params(PageQuery),
    responses((status = 200, body = Page<Correction>), answers::Read),
    extensions(("x-action" = json!("correction.read"))))]
pub(crate) async fn notices(
    State(parts): Shared,
    caller: Caller,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<Page<Correction>>, Failure> {
    page(&parts, &caller, query, |_, it, reader| {
        it.notified.contains(reader)
    })
    .await
}

async fn page(
    parts: &Parts,
    caller: &Caller,
    query: Result<Query<PageQuery>, QueryRejection>,
    shown: fn(&View, &Correction, &ParticipantId) -> bool,
) -> Result<Json<Page<Correction>>, Failure> {
    let Query(query) = query.map_err(|e| caller.fail(Error::from(e)))?;
    admit(parts, caller, Action::CorrectionRead, Target::default()).await?;
    let (view, read_at) = read(parts);
    let reader = &caller.principal.participant;
    let found = view
        .corrections()
        .filter(|it| shown(&view, it, reader))
        .cloned();
    query
        .cut(found, |it| it.id.to_string(), read_at)
        .map(Json)
        .map_err(|e| caller.fail(e))
}

/// One ticket.
#[utoipa::path(get, path = "/api/v1/corrections/{id}", operation_id = "correction_show",
    params(("id" = String, Path)),
    responses((status = 200, body = Correction,
        headers(("ETag" = String, description = "The revision, in quotes: for If-Match"))),
        answers::ReadOne),
    extensions(("x-action" = json!("correction.read"))))]
pub(crate) async fn show(
    State(parts): Shared,
    caller: Caller,
    id: Result<Path<CorrectionId>, PathRejection>,
) -> Result<Response, Failure> {
    let Path(id) = id.map_err(|e| caller.fail(Error::from(e)))?;
    let correction = visible(&parts, &caller, &id)?;
    let target = Target::record(&id);
    admit(&parts, &caller, Action::CorrectionRead, target).await?;
    let mut response = Json(&correction).into_response();
    response
        .headers_mut()
        .insert(header::ETAG, etag(correction.revision));
    Ok(response)
}

/// Doubt a row.
#[utoipa::path(post, path = "/api/v1/corrections", operation_id = "correction_open",
    params(headers::Change), request_body = Change, responses(answers::Change),
    extensions(("x-action" = json!("correction.open"))))]
pub(crate) async fn open(
    State(parts): Shared,
    caller: Caller,
    headers: HeaderMap,
    body: Body<Change>,
) -> Result<Response, Failure> {
    let Json(change) = body.map_err(|e| caller.fail(Error::from(e)))?;
    let Command::OpenCorrection { correction } = change.command() else {
        return Err(caller.fail(wrong_route("open_correction")));
    };
    let dataset = correction.dataset.clone();
    let target = Target::dataset(&dataset);
    let permit = pass(&parts, &caller, Action::CorrectionOpen, target).await?;
    propose(&parts, &caller, &permit, &headers, change).await
}

/// Move a ticket.
#[utoipa::path(post, path = "/api/v1/corrections/{id}/state", operation_id = "correction_move",
    params(("id" = String, Path), headers::Revise),
    request_body = Change, responses(answers::Revise),
    extensions(("x-action" = json!("correction.move"))))]
pub(crate) async fn move_to(
    State(parts): Shared,
    caller: Caller,
    id: Result<Path<CorrectionId>, PathRejection>,
    headers: HeaderMap,
    body: Body<Change>,
) -> Result<Response, Failure> {
    let Path(id) = id.map_err(|e| caller.fail(Error::from(e)))?;
    let Json(change) = body.map_err(|e| caller.fail(Error::from(e)))?;
    let revision = match change.command() {
        Command::MoveCorrection {
            correction,
            revision,
            ..
        } if *correction == id => *revision,
        _ => return Err(caller.fail(wrong_route("move_correction for this ticket"))),
    };
    if_match(&headers, revision).map_err(|e| caller.fail(e))?;
    let correction = visible(&parts, &caller, &id)?;
    let target = Target::dataset(&correction.dataset);
    let permit = pass(&parts, &caller, Action::CorrectionMove, target).await?;
    propose(&parts, &caller, &permit, &headers, change).await
}
