//! How a dataset came by its grade: answers about impact, the notice that makes data important,
//! and the datasets that it was made from (GB/T 43697-2024; `domain.md` 2.1).
//!
//! It does not infer important data: that is so by notification or publication only. A table that
//! says so is a suspicion, and a person acts on it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::calendar::Day;
use crate::code::codes;
use crate::rule_pack::{GradingTable, ImpactDegree, ImpactObject, PackVersion};
use crate::{DatasetId, Error, Grade};

/// The answer about one object of impact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImpactAnswer {
    /// How much it would be harmed if the data were leaked, changed, destroyed or misused.
    pub degree: ImpactDegree,
    /// Why: field, group, region, precision, scale, depth, coverage, importance.
    pub because: String,
}

/// A guided assessment: every object answered, and the grade that the table of a rule pack gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GradeAssessment {
    /// Which pack's table.
    pub pack: PackVersion,
    /// One answer for each object.
    pub answers: BTreeMap<ImpactObject, ImpactAnswer>,
    /// The highest grade over the answers (就高从严).
    pub proposed: Grade,
}

/// Why data is important: it was notified or published as such (告知或公开发布; NDSR 29, 37).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportantBasis {
    /// The catalogue of important data, and the entry in it.
    pub catalogue: String,
    /// Which authority notified or published it.
    pub authority: String,
    /// When.
    pub notified_on: Day,
}

codes! {
    /// How a dataset was made from others (GB/T 43697-2024, annex I).
    pub enum DerivationKind {
        /// 脱敏数据.
        Desensitised = "DESENSITISED",
        /// 统计数据.
        Statistics = "STATISTICS",
        /// 标签数据.
        Labelled = "LABELLED",
        /// 融合数据.
        Fused = "FUSED",
    }
}

/// What a dataset was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Derivation {
    /// How.
    pub kind: DerivationKind,
    /// From which datasets of the catalog: at most [`Derivation::SOURCES_MAX`].
    pub sources: BTreeSet<DatasetId>,
    /// Why its grade may be lower than the highest of its sources, where it is.
    pub lower_because: Option<String>,
}

impl Derivation {
    /// Most sources.
    pub const SOURCES_MAX: usize = 64;
}

/// How a dataset came by its grade.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Grading {
    /// The assessment.
    pub assessment: Option<GradeAssessment>,
    /// The notice by which it is important data.
    pub important: Option<ImportantBasis>,
    /// What it was made from.
    pub derived: Option<Derivation>,
}

/// The grade that a table gives: the highest over all objects, each answered once.
///
/// # Errors
/// [`Error::Field`] with the object that has no answer.
pub fn assess(
    table: &GradingTable,
    answers: &BTreeMap<ImpactObject, ImpactAnswer>,
) -> Result<Grade, Error> {
    let mut highest = Grade::G1;
    for object in ImpactObject::ALL {
        let missing = || Error::Field {
            record: "grading",
            field: "answers",
            why: format!("{object} has no answer; NONE is one, with the reason"),
        };
        let answer = answers.get(object).ok_or_else(missing)?;
        let cell = table.cell(*object, answer.degree).ok_or_else(missing)?;
        highest = highest.max(cell.grade);
    }
    Ok(highest)
}

impl GradeAssessment {
    /// Whether the table says important or core, which only a notice makes so.
    #[must_use]
    pub fn suspects(&self) -> bool {
        self.proposed >= Grade::Important
    }

    /// The least grade that a record with this assessment may have: what the table says, and the
    /// highest general level where important data is suspected and not notified.
    #[must_use]
    pub fn least(&self, important: Option<&ImportantBasis>) -> Grade {
        if self.suspects() && important.is_none() {
            return Grade::G4;
        }
        self.proposed
    }
}

/// The grade that is proposed for a derived dataset: the highest of its sources. Labelled and fused
/// data may deserve more, which an assessment says.
#[must_use]
pub fn propose_derived(sources: impl IntoIterator<Item = Grade>) -> Option<Grade> {
    sources.into_iter().max()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rule_pack::{PackBody, shipped};

    fn table() -> GradingTable {
        let found = shipped().iter().find_map(|it| match &it.body {
            PackBody::Grading(table) => Some(table.clone()),
            _ => None,
        });
        found.unwrap()
    }

    fn answers(of: impl Fn(ImpactObject) -> ImpactDegree) -> BTreeMap<ImpactObject, ImpactAnswer> {
        let answer = |object: &ImpactObject| {
            let because = "scale".to_owned();
            let degree = of(*object);
            (*object, ImpactAnswer { degree, because })
        };
        ImpactObject::ALL.iter().map(answer).collect()
    }

    /// GB/T 43697-2024, table 1 and annex H, as the shipped pack has them.
    #[test]
    fn the_table_is_the_standards() {
        let row = |object| {
            let one = |degree: &ImpactDegree| {
                let only = answers(|it| {
                    if it == object {
                        *degree
                    } else {
                        ImpactDegree::None
                    }
                });
                assess(&table(), &only).unwrap().as_str()
            };
            let grades: Vec<&str> = ImpactDegree::ALL.iter().map(one).collect();
            grades.join(" ")
        };
        let rows: Vec<String> = ImpactObject::ALL.iter().map(|it| row(*it)).collect();
        assert_eq!(
            rows,
            [
                "G1 IMPORTANT CORE CORE",
                "G1 G4 IMPORTANT CORE",
                "G1 G4 IMPORTANT CORE",
                "G1 G4 IMPORTANT CORE",
                "G1 G2 G3 G4",
                "G1 G2 G3 G4",
            ]
        );
    }

    #[test]
    fn an_object_without_an_answer_is_named() {
        let mut some = answers(|_| ImpactDegree::None);
        some.remove(&ImpactObject::SocialOrder);
        let refused = assess(&table(), &some).unwrap_err().to_string();
        assert!(refused.contains("SOCIAL_ORDER"), "{refused}");
    }

    #[test]
    fn what_is_suspected_is_the_highest_general_level_until_it_is_notified() {
        let basis = ImportantBasis {
            catalogue: "c".to_owned(),
            authority: "a".to_owned(),
            notified_on: Day::parse("2026-11-24").unwrap(),
        };
        let pack = shipped()[0].version().unwrap();
        let of = |proposed| GradeAssessment {
            pack: pack.clone(),
            answers: answers(|_| ImpactDegree::None),
            proposed,
        };
        assert_eq!(of(Grade::G2).least(None), Grade::G2);
        assert_eq!(of(Grade::Important).least(None), Grade::G4);
        assert_eq!(of(Grade::Core).least(None), Grade::G4);
        assert_eq!(of(Grade::Important).least(Some(&basis)), Grade::Important);
    }

    proptest! {
        #[test]
        fn more_harm_never_gives_a_lower_grade(
            degrees in prop::collection::vec(0_usize..4, 6), object in 0_usize..6,
        ) {
            let degree = |at: usize| ImpactDegree::ALL[at];
            let place = |it| ImpactObject::ALL.iter().position(|other| *other == it).unwrap();
            let before = answers(|it| degree(degrees[place(it)]));
            let mut worse = before.clone();
            let it = worse.get_mut(&ImpactObject::ALL[object]).unwrap();
            it.degree = degree((degrees[object] + 1).min(3));
            let grade = assess(&table(), &before).unwrap();
            prop_assert!(grade <= assess(&table(), &worse).unwrap());
            // The highest alone decides.
            let single = before.iter().map(|(object, answer)| {
                table().cell(*object, answer.degree).unwrap().grade
            });
            prop_assert_eq!(Some(grade), propose_derived(single));
        }
    }
}
