//! Each rule broken alone, in one table.

use super::*;
use crate::calendar::Day;
use crate::dataset::Sensitivity;
use crate::grading::{DerivationKind, GradeAssessment, Grading, ImportantBasis};
use crate::resource::{ResourceEntry, ResourceFormat, ShareMethod};
use crate::rule_pack::shipped as shipped_packs;
use crate::{NodeId, ParticipantId, shipped};

/// A shipped description, all of whose members are in order.
fn card() -> Dataset {
    let mut all = shipped::datasets().unwrap();
    let at = all.iter().position(|it| it.id.as_str() == "flights");
    let provider = ParticipantId::parse("gd.port").unwrap();
    let owner = NodeId::parse("gd-1").unwrap();
    all.swap_remove(at.unwrap()).into_dataset(provider, owner)
}

fn entry(it: &mut Dataset) -> &mut ResourceEntry {
    it.resource.as_mut().unwrap()
}

fn told(change: fn(&mut Dataset)) -> Vec<String> {
    let mut it = card();
    it.grading = Some(assessed(Grade::G2));
    change(&mut it);
    let all = findings(&it, &Neighbours::default());
    all.iter()
        .map(|it| format!("{} {} {}", it.field, it.rule, it.severity))
        .collect()
}

/// A grading by an assessment that gives `proposed`.
fn assessed(proposed: Grade) -> Grading {
    let pack = shipped_packs()[0].version().unwrap();
    let assessment = GradeAssessment {
        pack,
        answers: BTreeMap::new(),
        proposed,
    };
    Grading {
        assessment: Some(assessment),
        ..Grading::default()
    }
}

fn notice() -> ImportantBasis {
    ImportantBasis {
        catalogue: "c".into(),
        authority: "a".into(),
        notified_on: Day::parse("2026-11-24").unwrap(),
    }
}

fn derived(because: Option<&str>) -> Grading {
    let derived = Derivation {
        kind: DerivationKind::Statistics,
        sources: [DatasetId::parse("a").unwrap()].into(),
        lower_because: because.map(str::to_owned),
    };
    Grading {
        derived: Some(derived),
        ..assessed(Grade::G2)
    }
}

#[test]
fn a_derived_dataset_is_graded_as_its_highest_source_or_says_why_not() {
    let id = |text: &str| DatasetId::parse(text).unwrap();
    let found = |because, sources: Option<Vec<(&str, Grade)>>| {
        let mut it = card();
        it.grading = Some(derived(because));
        let sources = sources.map(|all| all.into_iter().map(|(it, grade)| (id(it), grade)));
        let neighbours = Neighbours {
            sources: sources.map(Iterator::collect),
            ..Neighbours::default()
        };
        let rules = findings(&it, &neighbours).into_iter().map(|it| it.rule);
        rules.collect::<Vec<_>>()
    };
    // The card is graded G2.
    assert_eq!(found(None, Some(vec![("a", Grade::G2)])), []);
    assert_eq!(
        found(None, Some(vec![("a", Grade::G3)])),
        [CatalogRule::GradeBelowSource]
    );
    assert_eq!(found(Some("sums alone"), Some(vec![("a", Grade::G3)])), []);
    assert_eq!(found(None, Some(vec![])), [CatalogRule::SourceUnknown]);
    assert_eq!(found(None, None), [], "a file has no catalog behind it");
}

#[test]
fn what_ships_has_no_finding_but_that_its_grade_was_not_assessed() {
    let provider = ParticipantId::parse("gd.port").unwrap();
    let owner = NodeId::parse("gd-1").unwrap();
    for described in shipped::datasets().unwrap() {
        let it = described.into_dataset(provider.clone(), owner.clone());
        let found = findings(&it, &Neighbours::default());
        let expected = CatalogFinding::new("grading.assessment", CatalogRule::AssessmentMissing);
        assert_eq!(found, [expected], "{}", it.id);
    }
}

#[expect(clippy::too_many_lines, reason = "a table; each entry is one case")]
#[test]
fn each_rule_is_told_of_its_own_field() {
    type Spoil = fn(&mut Dataset);
    let cases: Vec<(Spoil, &[&str])> = vec![
        (|it| it.resource = None, &["resource ENTRY_MISSING BLOCK"]),
        (
            |it| it.resource_code = "306".into(),
            &["resource_code CODE_FORM BLOCK"],
        ),
        (
            |it| it.title.zh = "航班管理系统".into(),
            &["title.zh TITLE_IS_SYSTEM WARN"],
        ),
        (
            |it| it.title.en = "Flight Platform".into(),
            &["title.en TITLE_IS_SYSTEM WARN"],
        ),
        (
            |it| it.summary.zh = format!("{}。", it.title.zh),
            &["summary.zh SUMMARY_REPEATS_TITLE WARN"],
        ),
        (
            |it| it.title.zh.push('。'),
            &["title.zh STRAY_PUNCTUATION WARN"],
        ),
        (
            |it| it.summary.en.push_str(",,"),
            &["summary.en STRAY_PUNCTUATION WARN"],
        ),
        (
            |it| it.share = ShareAttribute::Unconditional,
            &["share_conditions CONDITIONS_UNFOUNDED BLOCK"],
        ),
        (
            |it| {
                it.share = ShareAttribute::Unconditional;
                it.share_conditions = None;
                it.grade = Grade::G3;
                it.columns[0].sensitivity = Sensitivity::Personal;
            },
            &[
                "share GRADE_SHARE WARN",
                "share PERSONAL_UNCONDITIONAL WARN",
            ],
        ),
        (
            |it| it.grading = None,
            &["grading.assessment ASSESSMENT_MISSING WARN"],
        ),
        (
            |it| it.grading = Some(assessed(Grade::G3)),
            &["grade GRADE_BELOW_ASSESSMENT BLOCK"],
        ),
        (
            |it| {
                it.grade = Grade::G4;
                it.grading = Some(assessed(Grade::Core));
            },
            &["grading.important IMPORTANT_SUSPECTED WARN"],
        ),
        (
            |it| it.grade = Grade::Important,
            &["grading.important IMPORTANT_BASIS BLOCK"],
        ),
        (
            |it| {
                it.grade = Grade::Important;
                it.grading.as_mut().unwrap().important = Some(notice());
            },
            &[],
        ),
        (
            |it| it.grading.as_mut().unwrap().important = Some(notice()),
            &["grading.important IMPORTANT_BASIS BLOCK"],
        ),
        (
            |it| entry(it).format = ResourceFormat::Spreadsheet,
            &["resource.method FORMAT_METHOD BLOCK"],
        ),
        (
            |it| entry(it).method = ShareMethod::PlatformFile,
            &["resource.method FORMAT_METHOD BLOCK"],
        ),
        (
            |it| entry(it).opening = Opening::Conditional,
            &["resource.open_conditions OPEN_CONDITIONS BLOCK"],
        ),
        (
            |it| entry(it).open_conditions = Some("on request".into()),
            &["resource.open_conditions OPEN_CONDITIONS BLOCK"],
        ),
        (
            |it| entry(it).opening = Opening::Unconditional,
            &["resource.opening OPEN_BEYOND_SHARE BLOCK"],
        ),
        (
            |it| {
                let own = it.resource_code.clone();
                entry(it).related = [own, "3060100/000001".into(), "none".into()].into();
            },
            &[
                "resource.related RELATED_CODE BLOCK",
                "resource.related RELATED_CODE BLOCK",
            ],
        ),
    ];
    for (change, expected) in cases {
        assert_eq!(told(change), expected);
    }
}

#[test]
fn neighbours_with_the_same_code_or_title_are_told() {
    let other = DatasetId::parse("other").unwrap();
    let neighbours = Neighbours {
        same_code: Some(other.clone()),
        same_title: Some(other),
        sources: None,
    };
    let rules: Vec<CatalogRule> = findings(&card(), &neighbours)
        .iter()
        .filter(|it| it.rule != CatalogRule::AssessmentMissing)
        .map(|it| it.rule)
        .collect();
    assert_eq!(rules, [CatalogRule::CodeTaken, CatalogRule::TitleTaken]);
}

#[test]
fn every_rule_says_what_to_do_in_both_languages() {
    for rule in CatalogRule::ALL {
        let advice = rule.advice();
        assert!(advice.zh.chars().count() > 8, "{rule}: {}", advice.zh);
        assert!(
            advice.en.len() > 20 && advice.en.is_ascii(),
            "{rule}: {}",
            advice.en
        );
    }
}
