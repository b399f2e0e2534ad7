//! Dataset cards and their life (政务信息资源目录, `domain.md` 1.2).
//!
//! It does not grade data or judge a share attribute: it keeps the duties that go with each.
//!
//! ```text
//!   DRAFT <-> DEPT_APPROVED -> SUBMITTED -> APPROVED -> PUBLISHED <-> SUSPENDED -> RETIRED
//!                   ^            |    ^                  |    |
//!                   +-- RETURNED +    +---- REVISING <---+    +-> RETIRED
//! ```

use std::collections::BTreeSet;
use std::sync::Arc;

use schemas::DatasetId;
use schemas::dataset::{Dataset, DatasetState, Grade, ShareAttribute};
use schemas::mapping;
use schemas::participant::{Person, Role};
use schemas::quality::{QualityCheck, QualityRule};

use super::author::Acting;
use super::limits::{CHECK_COLUMNS_MAX, CODE_CHARS_MAX, TEXT_CHARS_MAX};
use super::participant::authority;
use super::person::check_visibility;
use super::record::{Record, Submission};
use super::refusal::{Refusal, check_revision};
use super::store::State;
use super::{Change, limits};

/// Creates or revises a card. By a data steward of the provider.
pub(crate) fn describe(
    state: &State,
    acting: &Acting<'_>,
    it: &Dataset,
) -> Result<Change, Refusal> {
    acting.person_of(&it.provider, &[Role::DataSteward])?;
    let before = state.datasets.get(&it.id);
    match before {
        None if it.state != DatasetState::Draft => {
            return Err(Refusal::wrong_state(
                "a new dataset begins as DRAFT; move it afterwards",
            ));
        }
        None => {}
        Some(before) => check_revisable(state, before, it)?,
    }
    let revision = before.map_or(0, |before| before.revision);
    check_revision(it.id.as_str(), revision, it.revision)?;
    check_owner(state, it)?;
    if !state.standards.contains_key(&it.standard) {
        return Err(Refusal::not_found(format!(
            "there is no edition {} of standard {}; adopt it first",
            it.standard.edition, it.standard.standard
        )));
    }
    check_texts(it)?;
    check_share(it)?;
    check_columns(it)?;
    check_rules(it)?;
    check_mappings(it)?;
    check_visibility(&it.visibility)?;
    let record = Dataset {
        revision: revision + 1,
        ..it.clone()
    };
    Ok(Change::new(
        revision + 1,
        vec![Record::Dataset(Arc::new(record))],
    ))
}

/// What a revision may touch, and when.
fn check_revisable(state: &State, before: &Dataset, it: &Dataset) -> Result<(), Refusal> {
    if before.provider != it.provider {
        return Err(Refusal::not_allowed(format!(
            "{} is provided by {}; choose another identifier",
            it.id, before.provider
        )));
    }
    match before.state {
        DatasetState::Draft | DatasetState::Returned | DatasetState::Revising => {}
        DatasetState::DepartmentApproved
        | DatasetState::Submitted
        | DatasetState::Approved
        | DatasetState::Published
        | DatasetState::Suspended
        | DatasetState::Retired => {
            return Err(Refusal::wrong_state(format!(
                "{} is {}; a card is written as DRAFT, RETURNED or REVISING, move it there first",
                it.id, before.state
            )));
        }
    }
    if it.state != before.state {
        return Err(Refusal::wrong_state(format!(
            "{} is {}; describing it does not move it, send the state unchanged",
            it.id, before.state
        )));
    }
    // A dataset under revision is still served.
    if it.is_served() && it.grade == Grade::Core {
        return Err(Refusal::wrong_state(format!(
            "{} is served; suspend or retire it before its grade becomes CORE",
            it.id
        )));
    }
    if it.owner != before.owner && state.versions.contains_key(&it.id) {
        return Err(Refusal::not_allowed(format!(
            "the tables of {} are at node {}; a dataset with versions keeps its owner",
            it.id, before.owner
        )));
    }
    Ok(())
}

fn check_owner(state: &State, it: &Dataset) -> Result<(), Refusal> {
    let owner = state.nodes.get(&it.owner).ok_or_else(|| {
        Refusal::not_found(format!("there is no node {}; register it first", it.owner))
    })?;
    if owner.hosts.contains(&it.provider) {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "node {} does not act for {}; choose a node that does",
        it.owner, it.provider
    )))
}

fn check_texts(it: &Dataset) -> Result<(), Refusal> {
    limits::check_text("resource_code", &it.resource_code, CODE_CHARS_MAX)?;
    limits::check_local("title", &it.title)?;
    limits::check_local("summary", &it.summary)?;
    limits::check_text("theme", &it.theme, CODE_CHARS_MAX)?;
    limits::check_text("grade_basis", &it.grade_basis, TEXT_CHARS_MAX)?;
    for (field, text) in [
        ("share_conditions", &it.share_conditions),
        ("share_basis", &it.share_basis),
    ] {
        if let Some(text) = text {
            limits::check_text(field, text, TEXT_CHARS_MAX)?;
        }
    }
    Ok(())
}

/// Conditions are stated and a refusal to share rests on law (Decree 809; `domain.md` 1.1).
fn check_share(it: &Dataset) -> Result<(), Refusal> {
    match it.share {
        ShareAttribute::Conditional if it.share_conditions.is_none() => Err(Refusal::invalid(
            "CONDITIONAL sharing states its conditions; write share_conditions",
        )),
        ShareAttribute::NotShared if it.share_basis.is_none() => Err(Refusal::invalid(
            "NOT_SHARED needs a basis in law; write share_basis",
        )),
        ShareAttribute::Unconditional | ShareAttribute::Conditional | ShareAttribute::NotShared => {
            Ok(())
        }
    }
}

fn check_columns(it: &Dataset) -> Result<(), Refusal> {
    if it.columns.is_empty() {
        return Err(Refusal::invalid(
            "columns is empty; list the dataset's columns",
        ));
    }
    limits::check_count("columns", it.columns.len(), Dataset::COLUMNS_MAX)?;
    let mut names = BTreeSet::new();
    for column in &it.columns {
        limits::check_text("columns.name", &column.name, CODE_CHARS_MAX)?;
        limits::check_local("columns.title", &column.title)?;
        if !names.insert(column.name.as_str()) {
            return Err(Refusal::invalid(
                "two columns have one name; rename one".to_owned(),
            ));
        }
    }
    Ok(())
}

fn check_rules(it: &Dataset) -> Result<(), Refusal> {
    limits::check_count("quality_rules", it.quality_rules.len(), Dataset::RULES_MAX)?;
    let names: BTreeSet<&str> = it
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    let mut identifiers = BTreeSet::new();
    for rule in &it.quality_rules {
        limits::check_local("quality_rules.title", &rule.title)?;
        if !identifiers.insert(&rule.id) {
            return Err(Refusal::invalid(format!(
                "rule {} occurs twice; rename one",
                rule.id
            )));
        }
        let columns = columns_of(rule);
        limits::check_count("quality_rules.columns", columns.len(), CHECK_COLUMNS_MAX)?;
        if columns.iter().any(|column| !names.contains(column)) {
            return Err(Refusal::invalid(format!(
                "rule {} names a column that the dataset does not have; correct the name",
                rule.id
            )));
        }
        if let QualityCheck::References { referenced, .. } = &rule.check {
            limits::check_text("quality_rules.referenced", referenced, CODE_CHARS_MAX)?;
        }
    }
    Ok(())
}

/// A mapping makes columns that the card has, within its limits.
fn check_mappings(it: &Dataset) -> Result<(), Refusal> {
    limits::check_count("mappings", it.mappings.len(), mapping::MAPPINGS_MAX)?;
    let names: BTreeSet<&str> = it
        .columns
        .iter()
        .map(|column| column.name.as_str())
        .collect();
    let mut identifiers = BTreeSet::new();
    for mapping in &it.mappings {
        limits::check_local("mappings.title", &mapping.title)?;
        if !identifiers.insert(&mapping.id) {
            return Err(Refusal::invalid(format!(
                "mapping {} occurs twice; rename one",
                mapping.id
            )));
        }
        mapping
            .check(&|name| names.contains(name))
            .map_err(|source| Refusal::invalid(source.to_string()))?;
    }
    Ok(())
}

/// The dataset's own columns that a rule reads.
fn columns_of(rule: &QualityRule) -> Vec<&str> {
    match &rule.check {
        QualityCheck::Complete { column }
        | QualityCheck::Range { column, .. }
        | QualityCheck::References { column, .. } => vec![column],
        QualityCheck::Unique { columns } => columns.iter().map(String::as_str).collect(),
        QualityCheck::Order { lesser, greater } => vec![lesser, greater],
        QualityCheck::Sum { parts, total } => {
            parts.iter().chain([total]).map(String::as_str).collect()
        }
        QualityCheck::RowCount { .. } => Vec::new(),
    }
}

/// Moves a dataset through its life. The department's steps are the provider's stewards'; what
/// the data authority decides on a submitted card is its own stewards'.
pub(crate) fn shift(
    state: &State,
    acting: &Acting<'_>,
    id: &DatasetId,
    revision: u64,
    to: DatasetState,
) -> Result<Change, Refusal> {
    let person = acting.person_with(&[Role::DataSteward])?;
    let before = find(state, id)?;
    let by_authority = match to {
        DatasetState::Returned | DatasetState::Approved => true,
        DatasetState::Draft
        | DatasetState::DepartmentApproved
        | DatasetState::Submitted
        | DatasetState::Published
        | DatasetState::Revising
        | DatasetState::Suspended
        | DatasetState::Retired => false,
    };
    if by_authority {
        acting.person_of(authority(state)?, &[Role::DataSteward])?;
    } else {
        acting.person_of(&before.provider, &[Role::DataSteward])?;
    }
    check_revision(id.as_str(), before.revision, revision)?;
    if !is_step(before.state, to) {
        return Err(Refusal::wrong_state(format!(
            "{id} is {}; from there it does not become {to}",
            before.state
        )));
    }
    if by_authority {
        check_separation(state, person, id)?;
    }
    if to == DatasetState::Published && before.grade == Grade::Core {
        return Err(Refusal::not_allowed(format!(
            "{id} is graded CORE; core data is not published, lower-grade extracts can be"
        )));
    }
    let record = Dataset {
        state: to,
        revision: before.revision + 1,
        ..before.clone()
    };
    let mut records = vec![Record::Dataset(Arc::new(record))];
    if to == DatasetState::Submitted {
        let submission = Submission {
            dataset: id.clone(),
            by: person.id.clone(),
        };
        records.push(Record::Submission(Arc::new(submission)));
    }
    Ok(Change::new(before.revision + 1, records))
}

/// Where the authority provides data itself, the one who submitted does not decide.
fn check_separation(state: &State, person: &Person, id: &DatasetId) -> Result<(), Refusal> {
    match state.submissions.get(id) {
        Some(submission) if submission.by == person.id => Err(Refusal::not_allowed(format!(
            "{} submitted {id}; another steward of the authority decides on it \
             (separation of duties)",
            person.id
        ))),
        Some(_) | None => Ok(()),
    }
}

/// The steps of `domain.md` 1.2, with three ways out of corners that it leaves open: an approval
/// of the department can be taken back, a returned card goes through the department again, and a
/// suspended dataset can be served again.
fn is_step(from: DatasetState, to: DatasetState) -> bool {
    let next: &[DatasetState] = match from {
        DatasetState::Draft | DatasetState::Returned => &[DatasetState::DepartmentApproved],
        DatasetState::DepartmentApproved => &[DatasetState::Submitted, DatasetState::Draft],
        DatasetState::Submitted => &[DatasetState::Returned, DatasetState::Approved],
        DatasetState::Approved => &[DatasetState::Published],
        DatasetState::Published => &[
            DatasetState::Revising,
            DatasetState::Suspended,
            DatasetState::Retired,
        ],
        DatasetState::Revising => &[
            DatasetState::Submitted,
            DatasetState::Suspended,
            DatasetState::Retired,
        ],
        DatasetState::Suspended => &[DatasetState::Published, DatasetState::Retired],
        DatasetState::Retired => &[],
    };
    next.contains(&to)
}

/// The dataset of that identifier.
pub(crate) fn find<'a>(state: &'a State, id: &DatasetId) -> Result<&'a Dataset, Refusal> {
    state
        .datasets
        .get(id)
        .map(AsRef::as_ref)
        .ok_or_else(|| Refusal::not_found(format!("there is no dataset {id}; check the name")))
}
