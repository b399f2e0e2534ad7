//! Dataset cards and their life (政务信息资源目录, `domain.md` 1.2).
//!
//! It does not grade data or judge a share attribute: it keeps the duties that go with each.
//!
//! ```text
//!   DRAFT <-> DEPT_APPROVED -> SUBMITTED -> APPROVED -> PUBLISHED <-> SUSPENDED -> RETIRED
//!                   ^            |    ^                  |    |
//!                   +-- RETURNED +    +---- REVISING <---+    +-> RETIRED
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemas::calendar::Day;
use schemas::dataset::{Dataset, DatasetState, Grade, ShareAttribute};
use schemas::grading::{self, Derivation, GradeAssessment, ImpactAnswer};
use schemas::mapping;
use schemas::participant::{Person, Role};
use schemas::quality::{QualityCheck, QualityRule, Severity};
use schemas::resource::{self, Neighbours, ResourceEntry};
use schemas::rule_pack::{ImpactObject, RulePackKind};
use schemas::{DatasetId, ParticipantId};

use super::author::Acting;
use super::limits::{CHECK_COLUMNS_MAX, CODE_CHARS_MAX, TEXT_CHARS_MAX};
use super::participant::authority;
use super::person::check_visibility;
use super::record::{Record, Submission};
use super::refusal::{Refusal, check_revision};
use super::store::State;
use super::{Change, limits, rule_pack};

/// Creates or revises a card. By a data steward of the provider.
pub(crate) fn describe(
    state: &State,
    acting: &Acting<'_>,
    it: &Dataset,
) -> Result<Change, Refusal> {
    let person = acting.person_of(&it.provider, &[Role::DataSteward])?;
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
    check_resource(before.map(AsRef::as_ref), it)?;
    check_grading(state, before.map(AsRef::as_ref), it)?;
    check_columns(it)?;
    check_rules(it)?;
    check_mappings(it)?;
    check_visibility(&it.visibility)?;
    let mut record = Dataset {
        written_by: Some(person.id.clone()),
        revision: revision + 1,
        ..it.clone()
    };
    if let Some(entry) = &mut record.resource {
        entry.published_on = before.and_then(|it| published_on(it));
    }
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

/// Form, share method and opening: short, and not taken from a card that was published with them.
fn check_resource(before: Option<&Dataset>, it: &Dataset) -> Result<(), Refusal> {
    let Some(entry) = &it.resource else {
        return match before.and_then(published_on) {
            None => Ok(()),
            Some(_) => Err(Refusal::invalid(format!(
                "{} was published with a resource entry; send it along",
                it.id
            ))),
        };
    };
    if let Some(text) = &entry.open_conditions {
        limits::check_text("resource.open_conditions", text, TEXT_CHARS_MAX)?;
    }
    let most = ResourceEntry::RELATED_MAX;
    limits::check_count("resource.related", entry.related.len(), most)?;
    for code in &entry.related {
        limits::check_text("resource.related", code, CODE_CHARS_MAX)?;
    }
    Ok(())
}

/// The day of the first publication.
fn published_on(it: &Dataset) -> Option<Day> {
    it.resource.as_ref().and_then(|it| it.published_on)
}

/// Short texts, and an assessment that follows from the table in force. One that stands on record
/// unchanged keeps the table that it was made by.
fn check_grading(state: &State, before: Option<&Dataset>, it: &Dataset) -> Result<(), Refusal> {
    let Some(grading) = &it.grading else {
        return Ok(());
    };
    if let Some(basis) = &grading.important {
        let field = "grading.important.catalogue";
        limits::check_text(field, &basis.catalogue, TEXT_CHARS_MAX)?;
        let field = "grading.important.authority";
        limits::check_text(field, &basis.authority, TEXT_CHARS_MAX)?;
    }
    if let Some(derived) = &grading.derived {
        let field = "grading.derived.sources";
        limits::check_count(field, derived.sources.len(), Derivation::SOURCES_MAX)?;
        if let Some(text) = &derived.lower_because {
            limits::check_text("grading.derived.lower_because", text, TEXT_CHARS_MAX)?;
        }
    }
    let assessment_of = |it: &Dataset| it.grading.as_ref().and_then(|it| it.assessment.clone());
    let Some(assessment) = &grading.assessment else {
        return Ok(());
    };
    if before.and_then(assessment_of).as_ref() == Some(assessment) {
        return Ok(());
    }
    for answer in assessment.answers.values() {
        limits::check_text(
            "grading.assessment.because",
            &answer.because,
            TEXT_CHARS_MAX,
        )?;
    }
    let again = assess(state, &it.provider, assessment.answers.clone())?;
    if again == *assessment {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "the assessment is by pack {} number {} and says {}; the answers give {} by pack {} \
         number {}, have it made anew",
        assessment.pack.series,
        assessment.pack.number,
        assessment.proposed,
        again.proposed,
        again.pack.series,
        again.pack.number
    )))
}

/// What answers give by the table in force at a provider's seat.
pub(crate) fn assess(
    state: &State,
    provider: &ParticipantId,
    answers: BTreeMap<ImpactObject, ImpactAnswer>,
) -> Result<GradeAssessment, Refusal> {
    let (pack, table) = rule_pack::nearest(state, provider, RulePackKind::Grading)
        .and_then(|pack| Some((pack, pack.grading()?)))
        .ok_or_else(|| {
            Refusal::not_found("no grading table is in force today; have one adopted".to_owned())
        })?;
    let invalid = |error: schemas::Error| Refusal::invalid(error.to_string());
    let proposed = grading::assess(table, &answers).map_err(invalid)?;
    Ok(GradeAssessment {
        pack: pack.version().map_err(invalid)?,
        answers,
        proposed,
    })
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
    check_separation(state, person, before, to)?;
    if to == DatasetState::Submitted {
        check_filling(state, before)?;
    }
    if to == DatasetState::Published && before.grade == Grade::Core {
        return Err(Refusal::not_allowed(format!(
            "{id} is graded CORE; core data is not published, lower-grade extracts can be"
        )));
    }
    let mut record = Dataset {
        state: to,
        revision: before.revision + 1,
        ..before.clone()
    };
    if to == DatasetState::Published
        && let Some(entry) = &mut record.resource
    {
        let today = Day::of(state.leader_time());
        entry.published_on.get_or_insert(today);
    }
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

/// Who wrote a card does not approve it for the department, unless the authority registered that
/// she may, and who submitted it does not decide on it for the authority. A revision goes from its
/// writer to the authority directly (`domain.md` 1.2), so there who submits is the second person.
fn check_separation(
    state: &State,
    person: &Person,
    before: &Dataset,
    to: DatasetState,
) -> Result<(), Refusal> {
    let id = &before.id;
    let decides = matches!(to, DatasetState::Returned | DatasetState::Approved);
    let submission = state.submissions.get(id);
    if decides && submission.is_some_and(|it| it.by == person.id) {
        return Err(Refusal::not_allowed(format!(
            "{} submitted {id}; another steward of the authority decides on it \
             (separation of duties)",
            person.id
        )));
    }
    let approves = to == DatasetState::DepartmentApproved
        || (before.state, to) == (DatasetState::Revising, DatasetState::Submitted);
    let provider = state.participants.get(&before.provider);
    let alone = provider.is_some_and(|it| it.approves_alone());
    if approves && before.written_by.as_ref() == Some(&person.id) && !alone {
        return Err(Refusal::not_allowed(format!(
            "{} wrote {id}; another steward of {} approves it (separation of duties)",
            person.id, before.provider
        )));
    }
    Ok(())
}

/// Findings told in one refusal.
const FINDINGS_TOLD_MAX: usize = 8;

/// The authority's time is not spent on a card that is filled in wrongly.
fn check_filling(state: &State, it: &Dataset) -> Result<(), Refusal> {
    let neighbours = Neighbours {
        same_code: same_code(state, it),
        same_title: None,
        sources: Some(sources(state, it)),
    };
    let blocking: Vec<String> = resource::findings(it, &neighbours)
        .into_iter()
        .filter(|it| it.severity == Severity::Block)
        .map(|it| format!("{} {}: {}", it.field, it.rule, it.advice.en))
        .take(FINDINGS_TOLD_MAX)
        .collect();
    if blocking.is_empty() {
        return Ok(());
    }
    Err(Refusal::invalid(format!(
        "{} is not filled in for review: {}",
        it.id,
        blocking.join("; ")
    )))
}

/// Grades of the datasets that a card says it was made from, as far as they are in the catalog.
pub(crate) fn sources(state: &State, it: &Dataset) -> BTreeMap<DatasetId, Grade> {
    let derived = it.grading.as_ref().and_then(|it| it.derived.as_ref());
    let named = derived.into_iter().flat_map(|it| &it.sources);
    named
        .filter_map(|id| Some((id.clone(), state.datasets.get(id)?.grade)))
        .collect()
}

/// Another dataset with the same resource code that was taken in for review. A draft takes no code,
/// or anybody could keep another's record from review.
pub(crate) fn same_code(state: &State, it: &Dataset) -> Option<DatasetId> {
    let taken_in = |other: &Dataset| {
        let before = [
            DatasetState::Draft,
            DatasetState::DepartmentApproved,
            DatasetState::Returned,
        ];
        other.id != it.id && !before.contains(&other.state)
    };
    let of_code = state.resource_codes.get(&it.resource_code)?;
    let mut others = of_code.iter().filter_map(|id| state.datasets.get(id));
    others.find(|other| taken_in(other)).map(|it| it.id.clone())
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
