//! Rule packs: what ships and what was adopted, adopting one and taking one back.
//!
//! It does not say which holds on a day for whom: the decision point and the catalog do.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::HeaderMap;
use schemas::RulePackId;
use schemas::code::Action;
use schemas::command::Command;
use schemas::rule_pack::{AdoptedRulePack, Effective, PackVersion, RulePack, RulePackKind};
use serde::Serialize;

use super::{Body, Shared, read};
use crate::Error;
use crate::authn::Caller;
use crate::change::{Change, propose, wrong_route};
use crate::gate::{Target, admit, pass};
use crate::openapi::{answers, headers};
use crate::page::{Page, PageQuery};
use crate::problem::Failure;

/// A rule pack without what it says.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct PackCard {
    /// Series, number and digest; number 0 ships with the program.
    version: PackVersion,
    /// What it holds.
    kind: RulePackKind,
    /// Where it holds.
    jurisdiction: String,
    /// When it holds.
    effective: Effective,
    /// What changed and why.
    note: String,
    /// Why it was taken back.
    withdrawn_because: Option<String>,
}

impl PackCard {
    fn of(pack: &RulePack, adopted: Option<&AdoptedRulePack>) -> Result<Self, Error> {
        let version = pack.version();
        Ok(Self {
            version: version.map_err(|e| Error::Invalid { why: e.to_string() })?,
            kind: pack.kind(),
            jurisdiction: pack.jurisdiction.clone(),
            effective: pack.effective,
            note: pack.note.clone(),
            withdrawn_because: adopted.and_then(|it| it.withdrawn_because.clone()),
        })
    }
}

/// Series and number, so that packs of a series follow each other.
fn place(pack: &RulePack) -> String {
    format!("{}/{:020}", pack.series, pack.number)
}

/// Rule packs that ship and those that were adopted.
#[utoipa::path(get, path = "/api/v1/rule-packs", operation_id = "rule_pack_list",
    params(PageQuery),
    responses((status = 200, body = Page<PackCard>), answers::Read),
    extensions(("x-action" = json!("policy.explain"))))]
pub(crate) async fn list(
    State(parts): Shared,
    caller: Caller,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Json<Page<PackCard>>, Failure> {
    let Query(query) = query.map_err(|e| caller.fail(Error::from(e)))?;
    admit(&parts, &caller, Action::PolicyExplain, Target::default()).await?;
    let (view, read_at) = read(&parts);
    let shipped = schemas::rule_pack::shipped().iter().map(|it| (it, None));
    let adopted = view.rule_packs().map(|it| (&it.pack, Some(it)));
    let mut all: Vec<(&RulePack, Option<&AdoptedRulePack>)> = shipped.chain(adopted).collect();
    all.sort_by_key(|(pack, _)| place(pack));
    let page = query
        .cut(all.into_iter(), |(pack, _)| place(pack), read_at)
        .map_err(|e| caller.fail(e))?;
    let cards = page
        .items
        .iter()
        .map(|(pack, adopted)| PackCard::of(pack, *adopted));
    Ok(Json(Page {
        items: cards
            .collect::<Result<Vec<PackCard>, Error>>()
            .map_err(|e| caller.fail(e))?,
        next_cursor: page.next_cursor,
        catalog_index: page.catalog_index,
        age_ms: page.age_ms,
    }))
}

/// One rule pack, with what it says.
#[utoipa::path(get, path = "/api/v1/rule-packs/{series}/{number}",
    operation_id = "rule_pack_show",
    params(("series" = String, Path), ("number" = u64, Path)),
    responses((status = 200, body = RulePack), answers::ReadOne),
    extensions(("x-action" = json!("policy.explain"))))]
pub(crate) async fn show(
    State(parts): Shared,
    caller: Caller,
    path: Result<Path<(RulePackId, u64)>, PathRejection>,
) -> Result<Json<RulePack>, Failure> {
    let Path((series, number)) = path.map_err(|e| caller.fail(Error::from(e)))?;
    let target = Target::record(&series);
    admit(&parts, &caller, Action::PolicyExplain, target).await?;
    let view = parts.catalog.view();
    let adopted = view.rule_packs().map(|it| &it.pack);
    let mut all = schemas::rule_pack::shipped().iter().chain(adopted);
    let found = all.find(|it| it.series == series && it.number == number);
    found.cloned().map(Json).ok_or_else(|| {
        caller.fail(Error::NotFound {
            kind: "rule pack",
            id: format!("{series}/{number}"),
        })
    })
}

/// Put a rule pack in force.
#[utoipa::path(post, path = "/api/v1/rule-packs", operation_id = "rule_pack_adopt",
    params(headers::Change), request_body = Change, responses(answers::Change),
    extensions(("x-action" = json!("policy.adopt"))))]
pub(crate) async fn adopt(
    State(parts): Shared,
    caller: Caller,
    headers: HeaderMap,
    body: Body<Change>,
) -> Result<Response, Failure> {
    let Json(change) = body.map_err(|e| caller.fail(Error::from(e)))?;
    let Command::AdoptRulePack { rule_pack } = change.command() else {
        return Err(caller.fail(wrong_route("adopt_rule_pack")));
    };
    let target = Target::record(&rule_pack.series);
    let permit = pass(&parts, &caller, Action::PolicyAdopt, target).await?;
    propose(&parts, &caller, &permit, &headers, change).await
}

/// Take a rule pack back: the number before it is in force again.
#[utoipa::path(post, path = "/api/v1/rule-packs/{series}/{number}/withdrawal",
    operation_id = "rule_pack_withdraw",
    params(("series" = String, Path), ("number" = u64, Path), headers::Change),
    request_body = Change, responses(answers::Change),
    extensions(("x-action" = json!("policy.adopt"))))]
pub(crate) async fn withdraw(
    State(parts): Shared,
    caller: Caller,
    path: Result<Path<(RulePackId, u64)>, PathRejection>,
    headers: HeaderMap,
    body: Body<Change>,
) -> Result<Response, Failure> {
    let Path(named) = path.map_err(|e| caller.fail(Error::from(e)))?;
    let Json(change) = body.map_err(|e| caller.fail(Error::from(e)))?;
    match change.command() {
        Command::WithdrawRulePack { series, number, .. }
            if (series, number) == (&named.0, &named.1) => {}
        _ => return Err(caller.fail(wrong_route("withdraw_rule_pack for this pack"))),
    }
    let target = Target::record(&named.0);
    let permit = pass(&parts, &caller, Action::PolicyAdopt, target).await?;
    propose(&parts, &caller, &permit, &headers, change).await
}
