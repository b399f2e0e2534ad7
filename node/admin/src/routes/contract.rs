//! Contracts: read.
//!
//! It does not make contracts: an agreed request does. Their terms are for the parties and the
//! supervising authority only, as their grants are.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use schemas::code::Action;
use schemas::request::Contract;
use schemas::{ContractId, ParticipantId};

use super::{Shared, read};
use crate::Error;
use crate::authn::Caller;
use crate::gate::{Target, admit};
use crate::openapi::answers;
use crate::page::{Page, PageQuery};
use crate::problem::Failure;

fn may_see(contract: &Contract, authority: Option<&ParticipantId>, reader: &ParticipantId) -> bool {
    contract.consumer == *reader || contract.provider == *reader || authority == Some(reader)
}

/// Contracts that the caller's participant is party to.
#[utoipa::path(get, path = "/api/v1/contracts", operation_id = "contract_list",
    params(PageQuery),
    responses((status = 200, body = Page<Contract>), answers::Read),
    extensions(("x-action" = json!("grant.read"))))]
pub(crate) async fn list(
    State(parts): Shared,
    caller: Caller,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<Page<Contract>>, Failure> {
    let Query(query) = query.map_err(|e| caller.fail(Error::from(e)))?;
    admit(&parts, &caller, Action::GrantRead, Target::default()).await?;
    let (view, read_at) = read(&parts);
    let (authority, reader) = (view.authority(), &caller.principal.participant);
    let found = view
        .contracts()
        .filter(|it| may_see(it, authority, reader))
        .cloned();
    query
        .cut(found, |it| it.id.to_string(), read_at)
        .map(Json)
        .map_err(|e| caller.fail(e))
}

/// One contract, with its terms.
#[utoipa::path(get, path = "/api/v1/contracts/{id}", operation_id = "contract_show",
    params(("id" = String, Path)),
    responses((status = 200, body = Contract), answers::ReadOne),
    extensions(("x-action" = json!("grant.read"))))]
pub(crate) async fn show(
    State(parts): Shared,
    caller: Caller,
    id: Result<Path<ContractId>, PathRejection>,
) -> Result<Json<Contract>, Failure> {
    let Path(id) = id.map_err(|e| caller.fail(Error::from(e)))?;
    let view = parts.catalog.view();
    let reader = &caller.principal.participant;
    let contract = view
        .contract(&id)
        .filter(|it| may_see(it, view.authority(), reader))
        .cloned();
    let contract = contract.ok_or_else(|| {
        caller.fail(Error::NotFound {
            kind: "contract",
            id: id.to_string(),
        })
    })?;
    admit(&parts, &caller, Action::GrantRead, Target::record(&id)).await?;
    Ok(Json(contract))
}
