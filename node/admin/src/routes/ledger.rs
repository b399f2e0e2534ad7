//! The access ledger of the caller's participant: entries, proofs and checkpoints.
//!
//! It does not read the ledger itself: reading it is a decision and an entry too, and the reader
//! comes from the gate.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use crypto::merkle::ConsistencyProof;
use enforcement::LedgerReader;
use schemas::Signed;
use schemas::code::Action;
use schemas::ledger_entry::{Checkpoint, Cosignature, LedgerEntry, LedgerIdentity, LedgerIndex};
use serde::{Deserialize, Serialize};

use super::Shared;
use crate::authn::Caller;
use crate::gate::{Target, pass, point};
use crate::openapi::answers;
use crate::page::PAGE_ITEMS_MAX;
use crate::problem::Failure;
use crate::{Error, Parts};

/// Where the ledger stands.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Standing {
    /// Whose ledger.
    ledger: LedgerIdentity,
    /// Entries so far.
    size: u64,
    /// The latest checkpoint that this node signed.
    checkpoint: Option<Signed<Checkpoint>>,
    /// The latest that the catalog holds, with the witnesses' signatures.
    witnessed: Option<Signed<Checkpoint>>,
    /// Who witnessed it.
    cosignatures: Vec<Cosignature>,
}

/// Which entries.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Range {
    /// First index; 0 when absent.
    from: Option<u64>,
    /// Most entries: 1 to 1,000, 100 when absent.
    limit: Option<usize>,
}

/// One entry with its place.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Placed {
    /// Its permanent position.
    pub(super) index: LedgerIndex,
    /// The entry.
    pub(super) entry: LedgerEntry,
}

/// Which two sizes.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sizes {
    /// The earlier size.
    old: u64,
    /// The later size.
    new: u64,
}

pub(super) async fn reader(
    parts: &Parts,
    caller: &Caller,
    target: Target<'_>,
) -> Result<LedgerReader, Failure> {
    let permit = pass(parts, caller, Action::LedgerRead, target).await?;
    point(parts, caller)?
        .reader(&permit)
        .map_err(|refusal| caller.fail(refusal))
}

/// Size, latest checkpoint and its witnesses.
#[utoipa::path(get, path = "/api/v1/ledger", operation_id = "ledger_checkpoint",
    responses((status = 200, body = Standing), answers::Read),
    extensions(("x-action" = json!("ledger.read"))))]
pub(crate) async fn checkpoint(
    State(parts): Shared,
    caller: Caller,
) -> Result<Json<Standing>, Failure> {
    let reader = reader(&parts, &caller, Target::default()).await?;
    let view = parts.catalog.view();
    let witnessed = view.checkpoint(&caller.principal.participant);
    Ok(Json(Standing {
        ledger: reader.identity(),
        size: reader.size(),
        checkpoint: reader.latest_checkpoint(),
        witnessed: witnessed.map(|it| it.update.checkpoint.clone()),
        cosignatures: witnessed
            .map(|it| it.cosignatures.clone())
            .unwrap_or_default(),
    }))
}

/// Entries in the order in which they were written.
#[utoipa::path(get, path = "/api/v1/ledger/entries", operation_id = "ledger_entries",
    params(Range),
    responses((status = 200, body = Vec<Placed>), answers::Read),
    extensions(("x-action" = json!("ledger.read"))))]
pub(crate) async fn entries(
    State(parts): Shared,
    caller: Caller,
    query: Result<Query<Range>, QueryRejection>,
) -> Result<Json<Vec<Placed>>, Failure> {
    let Query(range) = query.map_err(|e| caller.fail(Error::from(e)))?;
    let limit = range.limit.unwrap_or(100);
    if !(1..=PAGE_ITEMS_MAX).contains(&limit) {
        let why = format!("limit={limit}: write 1 to {PAGE_ITEMS_MAX}");
        return Err(caller.fail(Error::Invalid { why }));
    }
    let reader = reader(&parts, &caller, Target::default()).await?;
    let from = LedgerIndex(range.from.unwrap_or(0));
    let found = reader.scan(from, limit).map_err(|e| caller.fail(e))?;
    Ok(Json(
        found
            .into_iter()
            .map(|(index, entry)| Placed { index, entry })
            .collect(),
    ))
}

/// One entry with everything that an offline verifier needs.
#[utoipa::path(get, path = "/api/v1/ledger/entries/{index}/evidence",
    operation_id = "ledger_evidence",
    params(("index" = u64, Path)),
    responses((status = 200, description = "Evidence, as `kouanctl ledger verify` reads it",
        body = Object), answers::ReadOne),
    extensions(("x-action" = json!("ledger.read"))))]
pub(crate) async fn evidence(
    State(parts): Shared,
    caller: Caller,
    index: Result<Path<u64>, PathRejection>,
) -> Result<Response, Failure> {
    let Path(index) = index.map_err(|e| caller.fail(Error::from(e)))?;
    let reader = reader(&parts, &caller, Target::record(index)).await?;
    if index >= reader.size() {
        let id = index.to_string();
        return Err(caller.fail(Error::NotFound {
            kind: "ledger entry",
            id,
        }));
    }
    // The entry must lie under a checkpoint; one is made when the last does not reach it.
    if reader
        .latest_checkpoint()
        .is_none_or(|it| it.body.size <= index)
    {
        let made = point(&parts, &caller)?.checkpoint_now().await;
        made.map_err(|e| caller.fail(e))?;
    }
    let evidence = reader
        .evidence(LedgerIndex(index))
        .map_err(|e| caller.fail(e))?;
    Ok(Json(evidence).into_response())
}

/// Proof that the tree of the earlier size is a prefix of the later one.
#[utoipa::path(get, path = "/api/v1/ledger/consistency", operation_id = "ledger_consistency",
    params(Sizes),
    responses((status = 200, description = "RFC 6962 consistency proof over SM3", body = Object),
        answers::Read),
    extensions(("x-action" = json!("ledger.read"))))]
pub(crate) async fn consistency(
    State(parts): Shared,
    caller: Caller,
    query: Result<Query<Sizes>, QueryRejection>,
) -> Result<Json<ConsistencyProof>, Failure> {
    let Query(sizes) = query.map_err(|e| caller.fail(Error::from(e)))?;
    let reader = reader(&parts, &caller, Target::default()).await?;
    if sizes.old > sizes.new || sizes.new > reader.size() {
        let why = format!("old <= new <= {} must hold", reader.size());
        return Err(caller.fail(Error::Invalid { why }));
    }
    reader
        .consistency(sizes.old, sizes.new)
        .map(Json)
        .map_err(|e| caller.fail(e))
}
