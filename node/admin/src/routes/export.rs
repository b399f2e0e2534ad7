//! Exports: instruments and evidence, and how many persons were sent in a year.
//!
//! It does not count persons: the counter home behind the gate does. Instruments are for their
//! processor, the recipients that they name and the supervising authority; figures of persons are
//! the processor's own.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::HeaderMap;
use schemas::code::Action;
use schemas::command::Command;
use schemas::export::{Instrument, Notice, PersonTotals};
use schemas::{InstrumentId, ParticipantId, Signed};
use serde::Serialize;

use super::{Body, Shared, read};
use crate::Error;
use crate::authn::Caller;
use crate::change::{Change, propose, wrong_route};
use crate::gate::{Target, admit, pass, point};
use crate::openapi::{answers, headers};
use crate::page::{Page, PageQuery};
use crate::problem::Failure;

/// How many persons a participant sent abroad in a year.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ExportReport {
    /// The figures, signed by the participant.
    totals: Signed<PersonTotals>,
    /// Thresholds of today's rules that they come near to.
    near: Vec<Notice>,
}

fn may_see(
    instrument: &Instrument,
    authority: Option<&ParticipantId>,
    reader: &ParticipantId,
) -> bool {
    instrument.processor == *reader
        || instrument.envelope.recipients.contains(reader)
        || authority == Some(reader)
}

/// Instruments and evidence that the caller's participant may see.
#[utoipa::path(get, path = "/api/v1/instruments", operation_id = "instrument_list",
    params(PageQuery),
    responses((status = 200, body = Page<Instrument>), answers::Read),
    extensions(("x-action" = json!("grant.read"))))]
pub(crate) async fn list(
    State(parts): Shared,
    caller: Caller,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<Page<Instrument>>, Failure> {
    let Query(query) = query.map_err(|e| caller.fail(Error::from(e)))?;
    admit(&parts, &caller, Action::GrantRead, Target::default()).await?;
    let (view, read_at) = read(&parts);
    let (authority, reader) = (view.authority(), &caller.principal.participant);
    let found = view
        .instruments()
        .filter(|it| may_see(it, authority, reader))
        .cloned();
    query
        .cut(found, |it| it.id.to_string(), read_at)
        .map(Json)
        .map_err(|e| caller.fail(e))
}

/// One instrument.
#[utoipa::path(get, path = "/api/v1/instruments/{id}", operation_id = "instrument_show",
    params(("id" = String, Path)),
    responses((status = 200, body = Instrument), answers::ReadOne),
    extensions(("x-action" = json!("grant.read"))))]
pub(crate) async fn show(
    State(parts): Shared,
    caller: Caller,
    id: Result<Path<InstrumentId>, PathRejection>,
) -> Result<Json<Instrument>, Failure> {
    let Path(id) = id.map_err(|e| caller.fail(Error::from(e)))?;
    admit(&parts, &caller, Action::GrantRead, Target::default()).await?;
    let view = parts.catalog.view();
    let found = view.instrument(&id);
    found
        .filter(|it| may_see(it, view.authority(), &caller.principal.participant))
        .cloned()
        .map(Json)
        .ok_or_else(|| {
            caller.fail(Error::NotFound {
                kind: "instrument",
                id: id.to_string(),
            })
        })
}

/// Register an instrument, or correct one.
#[utoipa::path(post, path = "/api/v1/instruments", operation_id = "instrument_register",
    params(headers::Change), request_body = Change, responses(answers::Change),
    extensions(("x-action" = json!("export.register"))))]
pub(crate) async fn register(
    State(parts): Shared,
    caller: Caller,
    headers: HeaderMap,
    body: Body<Change>,
) -> Result<Response, Failure> {
    let Json(change) = body.map_err(|e| caller.fail(Error::from(e)))?;
    let Command::RegisterInstrument { instrument } = change.command() else {
        return Err(caller.fail(wrong_route("register_instrument")));
    };
    let target = Target::record(&instrument.id);
    let permit = pass(&parts, &caller, Action::ExportRegister, target).await?;
    propose(&parts, &caller, &permit, &headers, change).await
}

/// Suspend an instrument, end it or revive it.
#[utoipa::path(post, path = "/api/v1/instruments/{id}/state",
    operation_id = "instrument_move_to",
    params(("id" = String, Path), headers::Change),
    request_body = Change, responses(answers::Change),
    extensions(("x-action" = json!("export.register"))))]
pub(crate) async fn move_to(
    State(parts): Shared,
    caller: Caller,
    id: Result<Path<InstrumentId>, PathRejection>,
    headers: HeaderMap,
    body: Body<Change>,
) -> Result<Response, Failure> {
    let Path(id) = id.map_err(|e| caller.fail(Error::from(e)))?;
    let Json(change) = body.map_err(|e| caller.fail(Error::from(e)))?;
    match change.command() {
        Command::MoveInstrument { instrument, .. } if *instrument == id => {}
        _ => return Err(caller.fail(wrong_route("move_instrument for this instrument"))),
    }
    let target = Target::record(&id);
    let permit = pass(&parts, &caller, Action::ExportRegister, target).await?;
    propose(&parts, &caller, &permit, &headers, change).await
}

/// How many persons the caller's participant sent abroad in a year.
#[utoipa::path(get, path = "/api/v1/exports/{year}", operation_id = "export_report",
    params(("year" = u16, Path)),
    responses((status = 200, body = ExportReport), answers::ReadOne),
    extensions(("x-action" = json!("export.register"))))]
pub(crate) async fn report(
    State(parts): Shared,
    caller: Caller,
    year: Result<Path<u16>, PathRejection>,
) -> Result<Json<ExportReport>, Failure> {
    let Path(year) = year.map_err(|e| caller.fail(Error::from(e)))?;
    let target = Target::record(year);
    admit(&parts, &caller, Action::ExportRegister, target).await?;
    let point = point(&parts, &caller)?;
    let totals = point.totals(year).await.map_err(|e| caller.fail(e))?;
    let absent = || {
        caller.fail(Error::NotFound {
            kind: "counter home on this node for",
            id: year.to_string(),
        })
    };
    let totals = totals.ok_or_else(absent)?;
    let near = point.standing(year).await.ok_or_else(absent)?.near;
    Ok(Json(ExportReport { totals, near }))
}
