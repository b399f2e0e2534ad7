//! Data standards.
//!
//! It does not validate rows against them; the data plane does.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::HeaderMap;
use schemas::code::Action;
use schemas::command::Command;
use schemas::standard::DataStandard;
use schemas::{StandardEdition, StandardId};

use super::{Body, Shared, read};
use crate::Error;
use crate::authn::Caller;
use crate::change::{Change, propose, wrong_route};
use crate::gate::{Target, admit, pass};
use crate::openapi::{answers, headers};
use crate::page::{Page, PageQuery};
use crate::problem::Failure;

/// Data standards of the federation.
#[utoipa::path(get, path = "/api/v1/standards", operation_id = "standard_list",
    params(PageQuery),
    responses((status = 200, body = Page<DataStandard>), answers::Read),
    extensions(("x-action" = json!("dataset.discover"))))]
pub(crate) async fn list(
    State(parts): Shared,
    caller: Caller,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<Page<DataStandard>>, Failure> {
    let Query(query) = query.map_err(|e| caller.fail(Error::from(e)))?;
    admit(&parts, &caller, Action::DatasetDiscover, Target::default()).await?;
    let (view, read_at) = read(&parts);
    let key = |it: &DataStandard| format!("{}/{:010}", it.edition.standard, it.edition.edition);
    query
        .cut(view.standards().cloned(), key, read_at)
        .map(Json)
        .map_err(|e| caller.fail(e))
}

/// One edition of a data standard.
#[utoipa::path(get, path = "/api/v1/standards/{id}/{edition}", operation_id = "standard_show",
    params(("id" = String, Path), ("edition" = u32, Path)),
    responses((status = 200, body = DataStandard), answers::ReadOne),
    extensions(("x-action" = json!("dataset.discover"))))]
pub(crate) async fn show(
    State(parts): Shared,
    caller: Caller,
    path: Result<Path<(StandardId, u32)>, PathRejection>,
) -> Result<Json<DataStandard>, Failure> {
    let Path((standard, edition)) = path.map_err(|e| caller.fail(Error::from(e)))?;
    admit(
        &parts,
        &caller,
        Action::DatasetDiscover,
        Target::record(&standard),
    )
    .await?;
    let id = format!("{standard}/{edition}");
    let found = parts
        .catalog
        .view()
        .standard(&StandardEdition { standard, edition })
        .cloned();
    found.map(Json).ok_or_else(|| {
        caller.fail(Error::NotFound {
            kind: "data standard",
            id,
        })
    })
}

/// Adopt an edition of a data standard.
#[utoipa::path(post, path = "/api/v1/standards", operation_id = "standard_adopt",
    params(headers::Change), request_body = Change, responses(answers::Change),
    extensions(("x-action" = json!("standard.adopt"))))]
pub(crate) async fn adopt(
    State(parts): Shared,
    caller: Caller,
    headers: HeaderMap,
    body: Body<Change>,
) -> Result<Response, Failure> {
    let Json(change) = body.map_err(|e| caller.fail(Error::from(e)))?;
    let Command::AdoptStandard { standard } = change.command() else {
        return Err(caller.fail(wrong_route("adopt_standard")));
    };
    let target = Target::record(&standard.edition.standard);
    let permit = pass(&parts, &caller, Action::StandardAdopt, target).await?;
    // An edition never changes, so one that no row can be checked with must not become one.
    schemas::validate::RowSchema::compile(standard)
        .map_err(|e| caller.fail(Error::Invalid { why: e.to_string() }))?;
    propose(&parts, &caller, &permit, &headers, change).await
}
