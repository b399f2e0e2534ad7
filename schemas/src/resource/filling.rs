//! What is commonly filled in wrongly in a catalog record, as findings: the field, the rule, and
//! what to do.
//!
//! It does not refuse a record: the catalog refuses to take one in for review while a finding
//! blocks. It does not repeat what the catalog refuses at once, such as an empty text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Opening, ResourceCode};
use crate::code::codes;
use crate::dataset::{Dataset, ShareAttribute};
use crate::grading::{self, Derivation};
use crate::quality::Severity;
use crate::{DatasetId, Grade, LocalText};

codes! {
    /// A rule of filling in a catalog record.
    pub enum CatalogRule {
        /// Format, share method and opening are not stated.
        EntryMissing = "ENTRY_MISSING",
        /// The resource code has not the form of one.
        CodeForm = "CODE_FORM",
        /// Another dataset has that code.
        CodeTaken = "CODE_TAKEN",
        /// Another dataset of the provider has that title.
        TitleTaken = "TITLE_TAKEN",
        /// The title is a system's, not an information resource's.
        TitleIsSystem = "TITLE_IS_SYSTEM",
        /// The summary says nothing that the title does not say.
        SummaryRepeatsTitle = "SUMMARY_REPEATS_TITLE",
        /// Punctuation or blanks at an end, or doubled.
        StrayPunctuation = "STRAY_PUNCTUATION",
        /// The format is not shared by that method.
        FormatMethod = "FORMAT_METHOD",
        /// Unconditional sharing with conditions: conditions may not be added to obstruct.
        ConditionsUnfounded = "CONDITIONS_UNFOUNDED",
        /// Conditional opening without conditions, or conditions without it.
        OpenConditions = "OPEN_CONDITIONS",
        /// Opened to the public more widely than it is shared between departments.
        OpenBeyondShare = "OPEN_BEYOND_SHARE",
        /// A related code has not the form of one, or is the record's own.
        RelatedCode = "RELATED_CODE",
        /// Shared more widely than its grade allows by default.
        GradeShare = "GRADE_SHARE",
        /// No assessment of impact stands behind the grade.
        AssessmentMissing = "ASSESSMENT_MISSING",
        /// The grade is below what its assessment says.
        GradeBelowAssessment = "GRADE_BELOW_ASSESSMENT",
        /// The assessment says important or core, and no notice makes it so.
        ImportantSuspected = "IMPORTANT_SUSPECTED",
        /// Graded important without a notice, or notified and graded lower.
        ImportantBasis = "IMPORTANT_BASIS",
        /// A dataset that it was made from is not in the catalog, or is itself.
        SourceUnknown = "SOURCE_UNKNOWN",
        /// Graded below the highest of its sources without a reason.
        GradeBelowSource = "GRADE_BELOW_SOURCE",
        /// Personal columns in unconditional sharing or opening.
        PersonalUnconditional = "PERSONAL_UNCONDITIONAL",
    }
}

impl CatalogRule {
    /// What breaking it means: whether the record is kept from review.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::EntryMissing
            | Self::CodeForm
            | Self::CodeTaken
            | Self::FormatMethod
            | Self::ConditionsUnfounded
            | Self::OpenConditions
            | Self::OpenBeyondShare
            | Self::GradeBelowAssessment
            | Self::ImportantBasis
            | Self::SourceUnknown
            | Self::GradeBelowSource
            | Self::RelatedCode => Severity::Block,
            // Words are judged by people, and defaults by grade are ours and no law.
            Self::TitleTaken
            | Self::TitleIsSystem
            | Self::SummaryRepeatsTitle
            | Self::StrayPunctuation
            | Self::GradeShare
            | Self::AssessmentMissing
            | Self::ImportantSuspected
            | Self::PersonalUnconditional => Severity::Warn,
        }
    }

    /// What to do.
    #[must_use]
    #[expect(clippy::too_many_lines, reason = "a table of texts")]
    pub fn advice(self) -> LocalText {
        let (zh, en) = match self {
            Self::EntryMissing => (
                "填写信息资源格式、共享方式和开放属性。",
                "State format, share method and opening.",
            ),
            Self::CodeForm => (
                "代码为 类1位+项2位+目3位+细目/顺序码,例如 3060100/000001。",
                "Write class 1, item 2, subject 3, detail / sequence, such as 3060100/000001.",
            ),
            Self::CodeTaken => (
                "代码已被使用,请生成一个新的顺序码。",
                "The code is in use; have a new sequence made.",
            ),
            Self::TitleTaken => (
                "名称与本单位另一目录重复,请区分或合并。",
                "Another record of yours has this title; tell them apart or merge them.",
            ),
            Self::TitleIsSystem => (
                "名称应为信息资源的名称,不应为系统或平台的名称。",
                "Name the information resource, not the system that holds it.",
            ),
            Self::SummaryRepeatsTitle => (
                "摘要应说明内容、范围和用途,不应重复名称。",
                "Say what it holds and covers; do not repeat the title.",
            ),
            Self::StrayPunctuation => (
                "删除多余的标点或空格。",
                "Remove stray punctuation or blanks.",
            ),
            Self::FormatMethod => (
                "数据库类以库表或接口共享,文件类以文件共享。",
                "Share a database as tables or through an interface, and a file as a file.",
            ),
            Self::ConditionsUnfounded => (
                "无条件共享不得附加条件:删除共享条件或改为有条件共享。",
                "Unconditional sharing has no conditions: remove them or share conditionally.",
            ),
            Self::OpenConditions => (
                "有条件开放须写明开放条件,其他情形不填。",
                "Conditional opening states its conditions; otherwise leave them out.",
            ),
            Self::OpenBeyondShare => (
                "开放范围不得大于共享范围。",
                "Open it to the public no more widely than it is shared.",
            ),
            Self::RelatedCode => (
                "关联资源代码须为其他资源的有效代码。",
                "A related code is the well-formed code of another resource.",
            ),
            Self::GradeShare => (
                "该分级默认不得无条件共享,请改为有条件共享或复核分级。",
                "This grade is not shared unconditionally by default; add conditions or re-grade.",
            ),
            Self::AssessmentMissing => (
                "请按影响对象和影响程度评估分级,并附评估答案。",
                "Assess the grade by object and degree of impact, and keep the answers.",
            ),
            Self::GradeBelowAssessment => (
                "分级低于评估结果,请提高分级或重新评估。",
                "The grade is below what the assessment gives; raise it or assess anew.",
            ),
            Self::ImportantSuspected => (
                "疑似重要数据:未经告知或公开发布不作为重要数据,请报请认定。",
                "It may be important data; ask the authority, only its notice makes it so.",
            ),
            Self::ImportantBasis => (
                "重要数据须有告知或公开发布的依据,且依据与分级一致。",
                "Important data rests on a notice; state it, and grade as it says.",
            ),
            Self::SourceUnknown => (
                "衍生数据的来源须为目录中的其他数据集。",
                "Name other datasets of the catalog as the sources of derived data.",
            ),
            Self::GradeBelowSource => (
                "衍生数据分级低于来源的最高分级,请提高分级或说明理由。",
                "It is graded below its highest source; raise the grade or say why not.",
            ),
            Self::PersonalUnconditional => (
                "含个人信息的信息项不宜无条件共享或开放。",
                "Columns with personal information are not shared or opened unconditionally.",
            ),
        };
        LocalText::new(zh, en)
    }
}

/// One thing that is wrong with a catalog record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CatalogFinding {
    /// Which member of the record, as the JSON has it: `title.zh`.
    pub field: String,
    /// Which rule.
    pub rule: CatalogRule,
    /// Whether it keeps the record from review.
    pub severity: Severity,
    /// What to do.
    pub advice: LocalText,
}

impl CatalogFinding {
    /// A finding.
    #[must_use]
    pub fn new(field: impl Into<String>, rule: CatalogRule) -> Self {
        Self {
            field: field.into(),
            rule,
            severity: rule.severity(),
            advice: rule.advice(),
        }
    }
}

/// What other records of the catalog have that this one has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// Another dataset with the same resource code.
    pub same_code: Option<DatasetId>,
    /// Another dataset of the same provider with the same title.
    pub same_title: Option<DatasetId>,
    /// Grades of the datasets that it was made from, as far as they are in the catalog. None means
    /// that there is no catalog to look into.
    pub sources: Option<BTreeMap<DatasetId, Grade>>,
}

/// Every finding of a record, in the order of its members. Bounded by the record's own limits.
#[must_use]
pub fn findings(it: &Dataset, neighbours: &Neighbours) -> Vec<CatalogFinding> {
    let mut found = Found(Vec::new());
    of_code(it, neighbours, &mut found);
    of_texts(it, neighbours, &mut found);
    of_sharing(it, &mut found);
    match &it.resource {
        None => found.add("resource", CatalogRule::EntryMissing),
        Some(entry) => {
            of_entry(it, entry, &mut found);
        }
    }
    of_grade(it, &mut found);
    if let Some(derived) = it.grading.as_ref().and_then(|it| it.derived.as_ref()) {
        of_sources(it, derived, neighbours, &mut found);
    }
    found.0
}

struct Found(Vec<CatalogFinding>);

impl Found {
    fn add(&mut self, field: &str, rule: CatalogRule) {
        self.0.push(CatalogFinding::new(field, rule));
    }
}

fn of_code(it: &Dataset, neighbours: &Neighbours, found: &mut Found) {
    if ResourceCode::parse(&it.resource_code).is_err() {
        found.add("resource_code", CatalogRule::CodeForm);
    }
    if neighbours.same_code.is_some() {
        found.add("resource_code", CatalogRule::CodeTaken);
    }
}

fn of_texts(it: &Dataset, neighbours: &Neighbours, found: &mut Found) {
    if neighbours.same_title.is_some() {
        found.add("title.zh", CatalogRule::TitleTaken);
    }
    for (field, title) in [("title.zh", &it.title.zh), ("title.en", &it.title.en)] {
        let lower = title.trim().to_lowercase();
        if SYSTEMS.iter().any(|word| lower.ends_with(word)) {
            found.add(field, CatalogRule::TitleIsSystem);
        }
    }
    let summaries = [
        ("summary.zh", &it.summary.zh, &it.title.zh),
        ("summary.en", &it.summary.en, &it.title.en),
    ];
    for (field, summary, title) in summaries {
        if bare(summary) == bare(title) {
            found.add(field, CatalogRule::SummaryRepeatsTitle);
        }
    }
    for (field, text) in [("title.zh", &it.title.zh), ("title.en", &it.title.en)] {
        // A title has no full stop; a summary may end with one.
        if is_stray(text) || text.ends_with(['。', '.']) {
            found.add(field, CatalogRule::StrayPunctuation);
        }
    }
    for (field, text) in [
        ("summary.zh", &it.summary.zh),
        ("summary.en", &it.summary.en),
    ] {
        if is_stray(text) {
            found.add(field, CatalogRule::StrayPunctuation);
        }
    }
}

fn of_sharing(it: &Dataset, found: &mut Found) {
    if it.share != ShareAttribute::Unconditional {
        return;
    }
    if it.share_conditions.is_some() {
        found.add("share_conditions", CatalogRule::ConditionsUnfounded);
    }
    if it.grade >= Grade::G3 {
        found.add("share", CatalogRule::GradeShare);
    }
    if it.has_personal_columns() {
        found.add("share", CatalogRule::PersonalUnconditional);
    }
}

fn of_entry(it: &Dataset, entry: &super::ResourceEntry, found: &mut Found) {
    if !entry.format.goes_with(entry.method) {
        found.add("resource.method", CatalogRule::FormatMethod);
    }
    if (entry.opening == Opening::Conditional) != entry.open_conditions.is_some() {
        found.add("resource.open_conditions", CatalogRule::OpenConditions);
    }
    let beyond = match it.share {
        ShareAttribute::Unconditional => false,
        ShareAttribute::Conditional => entry.opening == Opening::Unconditional,
        ShareAttribute::NotShared => entry.opening != Opening::NotOpen,
    };
    if beyond {
        found.add("resource.opening", CatalogRule::OpenBeyondShare);
    }
    if entry.opening == Opening::Unconditional && it.has_personal_columns() {
        found.add("resource.opening", CatalogRule::PersonalUnconditional);
    }
    for code in &entry.related {
        if *code == it.resource_code || ResourceCode::parse(code).is_err() {
            found.add("resource.related", CatalogRule::RelatedCode);
        }
    }
}

fn of_grade(it: &Dataset, found: &mut Found) {
    let grading = it.grading.as_ref();
    let important = grading.and_then(|it| it.important.as_ref());
    match grading.and_then(|it| it.assessment.as_ref()) {
        None => found.add("grading.assessment", CatalogRule::AssessmentMissing),
        Some(assessment) => {
            if it.grade < assessment.least(important) {
                found.add("grade", CatalogRule::GradeBelowAssessment);
            }
            if assessment.suspects() && important.is_none() {
                found.add("grading.important", CatalogRule::ImportantSuspected);
            }
        }
    }
    let without = it.grade == Grade::Important && important.is_none();
    let below = it.grade < Grade::Important && important.is_some();
    if without || below {
        found.add("grading.important", CatalogRule::ImportantBasis);
    }
}

fn of_sources(it: &Dataset, derived: &Derivation, neighbours: &Neighbours, found: &mut Found) {
    let none = derived.sources.is_empty() || derived.sources.contains(&it.id);
    let known = neighbours.sources.as_ref();
    let strange =
        known.is_some_and(|known| derived.sources.iter().any(|it| !known.contains_key(it)));
    if none || strange {
        found.add("grading.derived.sources", CatalogRule::SourceUnknown);
    }
    let grades = known.into_iter().flat_map(|it| it.values().copied());
    let proposed = grading::propose_derived(grades);
    let lower = proposed.is_some_and(|proposed| it.grade < proposed);
    if lower && derived.lower_because.is_none() {
        found.add("grade", CatalogRule::GradeBelowSource);
    }
}

/// Words that end the name of a system.
const SYSTEMS: &[&str] = &["系统", "平台", "system", "platform"];

/// The letters and digits of a text, by which two texts say the same.
fn bare(text: &str) -> String {
    let kept = text.chars().filter(|it| it.is_alphanumeric());
    kept.flat_map(char::to_lowercase).collect()
}

/// Blanks at an end, punctuation at the beginning or in the middle of a list at the end, or the
/// same mark twice.
fn is_stray(text: &str) -> bool {
    const MARKS: &[char] = &[',', ';', '、', '，', '；', '：', ':', '。', '.', '-', '_'];
    let doubled = text
        .chars()
        .zip(text.chars().skip(1))
        .any(|(a, b)| a == b && MARKS.contains(&a));
    let ends: &[char] = &[',', ';', '、', '，', '；', '：', ':', '-', '_'];
    text.trim() != text || text.starts_with(MARKS) || text.ends_with(ends) || doubled
}

#[cfg(test)]
mod tests;
