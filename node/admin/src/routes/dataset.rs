//! Datasets: find, describe, move through their life, and their versions.
//!
//! It does not take uploads and shows no rows; the data plane's listener does.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::catalog::search::{Facets, Place, Query, Sight};
use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query as UrlQuery, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, header};
use schemas::code::Action;
use schemas::command::Command;
use schemas::dataset::{Dataset, DatasetState, DatasetVersion, Grade, ShareAttribute, UpdateCycle};
use schemas::grading::{GradeAssessment, ImpactAnswer};
use schemas::quality::Severity;
use schemas::resource::CatalogFinding;
use schemas::rule_pack::ImpactObject;
use schemas::{DatasetId, ParticipantId, Signed};
use serde::{Deserialize, Serialize};

use super::{Body, Shared, read};
use crate::Error;
use crate::authn::Caller;
use crate::change::{Change, etag, if_match, propose, wrong_route};
use crate::gate::{Target, admit, pass};
use crate::openapi::{answers, headers};
use crate::page::{Page, PageQuery, encode, not_a_cursor};
use crate::problem::Failure;

/// Longest search text in characters.
const SEARCH_CHARS_MAX: usize = 200;

/// What to find.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Find {
    /// Words in title, summary, theme or identifier, in Chinese or English; all must occur. What
    /// has them all in its title comes first.
    q: Option<String>,
    /// Only of this provider.
    provider: Option<ParticipantId>,
    /// Only of this grade.
    grade: Option<Grade>,
    /// Only with this share attribute.
    share: Option<ShareAttribute>,
    /// Only with this update cycle.
    update_cycle: Option<UpdateCycle>,
    /// Only of this theme.
    theme: Option<String>,
    /// Whether to count what was found by provider, grade, share attribute, update cycle and theme.
    facets: Option<bool>,
    /// Most items in the answer.
    limit: Option<usize>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
}

/// A dataset that is not published is its provider's business only, and once it left the desk the
/// authority's, which approves or returns it.
fn may_see(dataset: &Dataset, authority: Option<&ParticipantId>, reader: &ParticipantId) -> bool {
    dataset.provider == *reader
        || (dataset.is_served() && dataset.visibility.admits(reader))
        || (authority == Some(reader) && dataset.state != DatasetState::Draft)
}

/// Find datasets.
#[utoipa::path(get, path = "/api/v1/datasets", operation_id = "dataset_list",
    params(Find),
    responses((status = 200, body = FoundDatasets), answers::Read),
    extensions(("x-action" = json!("dataset.discover"))))]
pub(crate) async fn list(
    State(parts): Shared,
    caller: Caller,
    query: Result<UrlQuery<Find>, QueryRejection>,
) -> Result<Json<FoundDatasets>, Failure> {
    let UrlQuery(find) = query.map_err(|e| caller.fail(Error::from(e)))?;
    if find
        .q
        .as_ref()
        .is_some_and(|q| q.chars().count() > SEARCH_CHARS_MAX)
    {
        let why = format!("q: at most {SEARCH_CHARS_MAX} characters");
        return Err(caller.fail(Error::Invalid { why }));
    }
    admit(&parts, &caller, Action::DatasetDiscover, Target::default()).await?;
    let page = PageQuery {
        limit: find.limit,
        cursor: find.cursor.clone(),
    };
    let after = page.after().and_then(place).map_err(|e| caller.fail(e))?;
    let query = Query {
        sight: Sight::Participant(&caller.principal.participant),
        words: find.q.as_deref().unwrap_or_default(),
        provider: find.provider.as_ref(),
        grade: find.grade,
        share: find.share,
        cycle: find.update_cycle,
        theme: find.theme.as_deref(),
        after,
        limit: page.limit().map_err(|e| caller.fail(e))?,
        facets: find.facets.unwrap_or_default(),
    };
    let (_, (catalog_index, age_ms)) = read(&parts);
    let found = parts.catalog.search(&query);
    Ok(Json(FoundDatasets {
        next_cursor: found.next.as_ref().map(cursor),
        total: found.total,
        facets: counts(&found.facets),
        items: found.items,
        catalog_index,
        age_ms,
    }))
}

/// One page of what was found.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct FoundDatasets {
    /// The datasets: first those with all words in their titles, each part in the order of
    /// identifiers.
    #[schema(value_type = Vec<Dataset>)]
    items: Vec<Arc<Dataset>>,
    /// Cursor of the next page; null at the end.
    next_cursor: Option<String>,
    /// How many were found in all.
    total: usize,
    /// When asked for: by facet, the commonest values and how many have each.
    facets: BTreeMap<String, Vec<FacetCount>>,
    /// Catalog index that the page was read at, or a later one.
    catalog_index: u64,
    /// Milliseconds since this replica last knew that it was current.
    age_ms: u64,
}

/// How many have a value.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct FacetCount {
    /// The value.
    value: String,
    /// How many have it.
    count: usize,
}

fn counts(facets: &Facets) -> BTreeMap<String, Vec<FacetCount>> {
    let one = |(value, count): &(Arc<str>, usize)| FacetCount {
        value: value.to_string(),
        count: *count,
    };
    let all = facets.iter();
    all.map(|(facet, values)| {
        let name = facet.as_str().to_owned();
        (name, values.iter().map(one).collect())
    })
    .collect()
}

/// A place as a cursor carries it.
fn cursor(place: &Place) -> String {
    let tier = if place.beyond_titles { '1' } else { '0' };
    encode(&format!("{tier}{}", place.id))
}

fn place(text: Option<String>) -> Result<Option<Place>, Error> {
    let Some(text) = text else { return Ok(None) };
    let read = |beyond_titles, id: &str| {
        let id = DatasetId::parse(id).ok()?;
        Some(Place { beyond_titles, id })
    };
    let place = match text.split_at_checked(1) {
        Some(("0", id)) => read(false, id),
        Some(("1", id)) => read(true, id),
        _ => None,
    };
    place.map(Some).ok_or_else(not_a_cursor)
}

/// One dataset's card.
#[utoipa::path(get, path = "/api/v1/datasets/{id}", operation_id = "dataset_show",
    params(("id" = String, Path)),
    responses((status = 200, body = Dataset,
        headers(("ETag" = String, description = "The revision, in quotes: for If-Match"))),
        answers::ReadOne),
    extensions(("x-action" = json!("dataset.discover"))))]
pub(crate) async fn show(
    State(parts): Shared,
    caller: Caller,
    id: Result<Path<DatasetId>, PathRejection>,
) -> Result<Response, Failure> {
    let Path(id) = id.map_err(|e| caller.fail(Error::from(e)))?;
    let dataset = visible(&parts, &caller, &id)?;
    admit(
        &parts,
        &caller,
        Action::DatasetDiscover,
        Target::dataset(&id),
    )
    .await?;
    let mut response = Json(&dataset).into_response();
    response
        .headers_mut()
        .insert(header::ETAG, etag(dataset.revision));
    Ok(response)
}

/// The dataset, unless the caller may not know of it: then it does not exist for her.
fn visible(parts: &crate::Parts, caller: &Caller, id: &DatasetId) -> Result<Dataset, Failure> {
    let view = parts.catalog.view();
    view.dataset(id)
        .filter(|it| may_see(it, view.authority(), &caller.principal.participant))
        .cloned()
        .ok_or_else(|| {
            caller.fail(Error::NotFound {
                kind: "dataset",
                id: id.to_string(),
            })
        })
}

/// What is filled in wrongly in a card.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Findings {
    /// In the order of the card's members.
    items: Vec<CatalogFinding>,
    /// Whether one of them keeps the card from review.
    blocked: bool,
}

/// What is filled in wrongly in a dataset's card, compared with the other cards.
#[utoipa::path(get, path = "/api/v1/datasets/{id}/findings", operation_id = "dataset_findings",
    params(("id" = String, Path)),
    responses((status = 200, body = Findings), answers::ReadOne),
    extensions(("x-action" = json!("dataset.discover"))))]
pub(crate) async fn findings(
    State(parts): Shared,
    caller: Caller,
    id: Result<Path<DatasetId>, PathRejection>,
) -> Result<Json<Findings>, Failure> {
    let Path(id) = id.map_err(|e| caller.fail(Error::from(e)))?;
    let dataset = visible(&parts, &caller, &id)?;
    let target = Target::dataset(&id);
    admit(&parts, &caller, Action::DatasetDiscover, target).await?;
    let items = parts.catalog.view().findings(&dataset);
    let blocked = items.iter().any(|it| it.severity == Severity::Block);
    Ok(Json(Findings { items, blocked }))
}

/// A resource code that is free.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct FreeCode {
    /// Classification and sequence.
    resource_code: String,
}

/// The first free resource code of a classification. It is not kept for the caller.
#[utoipa::path(get, path = "/api/v1/resource-codes/{classification}",
    operation_id = "resource_code_next",
    params(("classification" = String, Path)),
    responses((status = 200, body = FreeCode), answers::Read),
    extensions(("x-action" = json!("dataset.discover"))))]
pub(crate) async fn next_code(
    State(parts): Shared,
    caller: Caller,
    classification: Result<Path<String>, PathRejection>,
) -> Result<Json<FreeCode>, Failure> {
    let Path(classification) = classification.map_err(|e| caller.fail(Error::from(e)))?;
    admit(&parts, &caller, Action::DatasetDiscover, Target::default()).await?;
    let view = parts.catalog.view();
    let code = view.next_resource_code(&classification);
    let code = code.map_err(|e| caller.fail(Error::Invalid { why: e.to_string() }))?;
    let resource_code = code.to_string();
    Ok(Json(FreeCode { resource_code }))
}

/// Answers about impact.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Impact {
    /// One for each object of impact.
    answers: BTreeMap<ImpactObject, ImpactAnswer>,
}

/// The grade that answers about impact give, by the table in force at the caller's seat. Nothing is
/// kept: the answer is for a card's `grading.assessment`.
#[utoipa::path(post, path = "/api/v1/assessments", operation_id = "grade_assess",
    request_body = Impact,
    responses((status = 200, body = GradeAssessment), answers::Read),
    extensions(("x-action" = json!("dataset.discover"))))]
pub(crate) async fn assess(
    State(parts): Shared,
    caller: Caller,
    body: Body<Impact>,
) -> Result<Json<GradeAssessment>, Failure> {
    let Json(impact) = body.map_err(|e| caller.fail(Error::from(e)))?;
    admit(&parts, &caller, Action::DatasetDiscover, Target::default()).await?;
    let view = parts.catalog.view();
    let assessed = view.assess(&caller.principal.participant, impact.answers);
    let assessed = assessed.map_err(|why| caller.fail(Error::Invalid { why }))?;
    Ok(Json(assessed))
}

/// Create or revise a dataset card.
#[utoipa::path(put, path = "/api/v1/datasets/{id}", operation_id = "dataset_describe",
    params(("id" = String, Path), headers::Revise),
    request_body = Change, responses(answers::Revise),
    extensions(("x-action" = json!("dataset.describe"))))]
pub(crate) async fn describe(
    State(parts): Shared,
    caller: Caller,
    id: Result<Path<DatasetId>, PathRejection>,
    headers: HeaderMap,
    body: Body<Change>,
) -> Result<Response, Failure> {
    let Path(id) = id.map_err(|e| caller.fail(Error::from(e)))?;
    let Json(change) = body.map_err(|e| caller.fail(Error::from(e)))?;
    let revision = match change.command() {
        Command::DescribeDataset { dataset } if dataset.id == id => dataset.revision,
        _ => return Err(caller.fail(wrong_route("describe_dataset for this dataset"))),
    };
    if_match(&headers, revision).map_err(|e| caller.fail(e))?;
    // A new dataset is not in the catalog yet, and the gate would ask whose it is.
    let known = parts.catalog.view().dataset(&id).is_some();
    let target = if known {
        Target::dataset(&id)
    } else {
        Target::record(&id)
    };
    let permit = pass(&parts, &caller, Action::DatasetDescribe, target).await?;
    propose(&parts, &caller, &permit, &headers, change).await
}

/// Move a dataset through its life.
#[utoipa::path(post, path = "/api/v1/datasets/{id}/state", operation_id = "dataset_move_to",
    params(("id" = String, Path), headers::Revise),
    request_body = Change, responses(answers::Revise),
    extensions(("x-action" = json!("dataset.describe"))))]
pub(crate) async fn move_to(
    State(parts): Shared,
    caller: Caller,
    id: Result<Path<DatasetId>, PathRejection>,
    headers: HeaderMap,
    body: Body<Change>,
) -> Result<Response, Failure> {
    let Path(id) = id.map_err(|e| caller.fail(Error::from(e)))?;
    let Json(change) = body.map_err(|e| caller.fail(Error::from(e)))?;
    let revision = match change.command() {
        Command::MoveDataset {
            dataset, revision, ..
        } if *dataset == id => *revision,
        _ => return Err(caller.fail(wrong_route("move_dataset for this dataset"))),
    };
    if_match(&headers, revision).map_err(|e| caller.fail(e))?;
    let permit = pass(
        &parts,
        &caller,
        Action::DatasetDescribe,
        Target::dataset(&id),
    )
    .await?;
    propose(&parts, &caller, &permit, &headers, change).await
}

/// Published versions, oldest first.
#[utoipa::path(get, path = "/api/v1/datasets/{id}/versions", operation_id = "dataset_versions",
    params(("id" = String, Path), PageQuery),
    responses((status = 200, body = Page<Signed<DatasetVersion>>),
        answers::ReadOne),
    extensions(("x-action" = json!("dataset.discover"))))]
pub(crate) async fn versions(
    State(parts): Shared,
    caller: Caller,
    id: Result<Path<DatasetId>, PathRejection>,
    query: Result<UrlQuery<PageQuery>, QueryRejection>,
) -> Result<Json<Page<Signed<DatasetVersion>>>, Failure> {
    let Path(id) = id.map_err(|e| caller.fail(Error::from(e)))?;
    let UrlQuery(query) = query.map_err(|e| caller.fail(Error::from(e)))?;
    visible(&parts, &caller, &id)?;
    admit(
        &parts,
        &caller,
        Action::DatasetDiscover,
        Target::dataset(&id),
    )
    .await?;
    let (view, read_at) = read(&parts);
    let key = |it: &Signed<DatasetVersion>| format!("{:020}", it.body.number);
    query
        .cut(view.versions(&id).cloned(), key, read_at)
        .map(Json)
        .map_err(|e| caller.fail(e))
}
