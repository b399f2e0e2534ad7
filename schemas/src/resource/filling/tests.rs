//! Each rule broken alone, in one table.

use super::*;
use crate::dataset::Sensitivity;
use crate::resource::{ResourceEntry, ResourceFormat, ShareMethod};
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
    change(&mut it);
    let all = findings(&it, &Neighbours::default());
    all.iter()
        .map(|it| format!("{} {} {}", it.field, it.rule, it.severity))
        .collect()
}

#[test]
fn what_ships_has_no_finding() {
    let provider = ParticipantId::parse("gd.port").unwrap();
    let owner = NodeId::parse("gd-1").unwrap();
    for described in shipped::datasets().unwrap() {
        let it = described.into_dataset(provider.clone(), owner.clone());
        assert_eq!(findings(&it, &Neighbours::default()), [], "{}", it.id);
    }
}

#[test]
fn each_rule_is_told_of_its_own_field() {
    let cases: Vec<(fn(&mut Dataset), &[&str])> = vec![
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
    };
    let rules: Vec<CatalogRule> = findings(&card(), &neighbours)
        .iter()
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
