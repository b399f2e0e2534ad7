//! Grades in the catalog: assessments by the table in force, important data by its notice, derived
//! data by its sources.
//!
//! It does not test the table; `schemas::grading` does.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be built is a failed test"
)]

mod state_world;

use std::collections::BTreeMap;

use schemas::command::Command;
use schemas::dataset::{Dataset, DatasetState, Grade};
use schemas::grading::{Derivation, DerivationKind, GradeAssessment, Grading, ImpactAnswer};
use schemas::resource::CatalogRule;
use schemas::rule_pack::{ImpactDegree, ImpactObject, PackBody};
use state_world::*;

fn describe(it: Dataset) -> Command {
    Command::DescribeDataset {
        dataset: Box::new(it),
    }
}

fn shift(id: &str, revision: u64, to: DatasetState) -> Command {
    Command::MoveDataset {
        dataset: dataset_id(id),
        revision,
        to,
    }
}

/// Answers of no harm but to the rights of organisations.
fn answers(degree: ImpactDegree) -> BTreeMap<ImpactObject, ImpactAnswer> {
    let degree = |object| match object {
        ImpactObject::OrganisationRights => degree,
        _ => ImpactDegree::None,
    };
    let answer = |object: &ImpactObject| {
        let because = "trade figures".to_owned();
        let degree = degree(*object);
        (*object, ImpactAnswer { degree, because })
    };
    ImpactObject::ALL.iter().map(answer).collect()
}

fn assessed(world: &World, degree: ImpactDegree) -> GradeAssessment {
    let view = world.view();
    view.assess(&participant_id(PORT), answers(degree)).unwrap()
}

fn card(grade: Grade, grading: Grading, revision: u64) -> Dataset {
    Dataset {
        grade,
        grading: Some(grading),
        revision,
        ..dataset("calls", PORT)
    }
}

fn by(assessment: GradeAssessment) -> Grading {
    Grading {
        assessment: Some(assessment),
        ..Grading::default()
    }
}

#[test]
fn an_assessment_is_what_the_table_in_force_gives() {
    let world = World::founded();
    let made = assessed(&world, ImpactDegree::Serious);
    assert_eq!(made.proposed, Grade::G3);
    let with = |change: fn(&mut GradeAssessment)| {
        let mut it = made.clone();
        change(&mut it);
        describe(card(Grade::G3, by(it), 0))
    };
    let steward = "port-steward";
    check(
        &world,
        vec![
            ("as it was made", steward, with(|_| ()), "APPLIED 1"),
            (
                "with a grade of one's own",
                steward,
                with(|it| it.proposed = Grade::G1),
                "INVALID",
            ),
            (
                "with other answers",
                steward,
                with(|it| it.answers = answers(ImpactDegree::None)),
                "INVALID",
            ),
            (
                "with an answer left out",
                steward,
                with(|it| drop(it.answers.remove(&ImpactObject::SocialOrder))),
                "INVALID",
            ),
            (
                "by a pack that is not in force",
                steward,
                with(|it| it.pack.number = 1),
                "INVALID",
            ),
            (
                "without a reason",
                steward,
                with(|it| it.answers.values_mut().for_each(|it| it.because.clear())),
                "INVALID",
            ),
        ],
    );
}

#[test]
fn an_assessment_on_record_outlives_its_table_and_a_new_one_follows_the_new_table() {
    let mut world = World::founded();
    let old = assessed(&world, ImpactDegree::Serious);
    world.must(
        "port-steward",
        describe(card(Grade::G3, by(old.clone()), 0)),
    );
    let mut stricter = pack("grading.cn", 1);
    if let PackBody::Grading(table) = &mut stricter.body {
        for cell in &mut table.cells {
            if cell.grade == Grade::G3 {
                cell.grade = Grade::G4;
            }
        }
    }
    let rule_pack = Box::new(stricter);
    world.must("authority-officer", Command::AdoptRulePack { rule_pack });
    let new = assessed(&world, ImpactDegree::Serious);
    assert_eq!((new.proposed, new.pack.number), (Grade::G4, 1));
    let mut other = old.clone();
    other.answers = answers(ImpactDegree::General);
    other.proposed = Grade::G2;
    check(
        &world,
        vec![
            (
                "kept",
                "port-steward",
                describe(card(Grade::G3, by(old), 1)),
                "APPLIED 2",
            ),
            (
                "changed under the old table",
                "port-steward",
                describe(card(Grade::G3, by(other), 1)),
                "INVALID",
            ),
            (
                "made anew",
                "port-steward",
                describe(card(Grade::G4, by(new), 1)),
                "APPLIED 2",
            ),
        ],
    );
}

/// What becomes of submitting such a card.
fn submitted(grade: Grade, grading: Grading) -> String {
    let mut world = World::published();
    let id = "extract";
    let it = Dataset {
        id: dataset_id(id),
        resource_code: resource_code(id),
        ..card(grade, grading, 0)
    };
    world.must("port-steward", describe(it));
    world.must(
        "port-steward2",
        shift(id, 1, DatasetState::DepartmentApproved),
    );
    let view = world.view();
    let rules = view.findings(view.dataset(&dataset_id(id)).unwrap());
    let rules: Vec<&str> = rules
        .iter()
        .map(|it| it.rule)
        .filter(|it| ![CatalogRule::TitleTaken, CatalogRule::GradeShare].contains(it))
        .map(CatalogRule::as_str)
        .collect();
    let outcome = world.propose("port-steward", shift(id, 2, DatasetState::Submitted));
    let said = match outcome {
        schemas::command::Outcome::Applied { .. } => "taken in",
        schemas::command::Outcome::Refused { .. } => "refused",
    };
    format!("{said} {}", rules.join(" ")).trim_end().to_owned()
}

#[test]
fn a_grade_is_not_below_what_stands_behind_it() {
    let world = World::founded();
    let made = |degree| by(assessed(&world, degree));
    // `calls` is graded G2.
    let derived = |sources: &[&str], because: Option<&str>| Grading {
        derived: Some(Derivation {
            kind: DerivationKind::Desensitised,
            sources: sources.iter().map(|it| dataset_id(it)).collect(),
            lower_because: because.map(str::to_owned),
        }),
        ..made(ImpactDegree::None)
    };
    let important = |grading| Grading {
        important: Some(notice()),
        ..grading
    };
    let cases = [
        (Grade::G3, made(ImpactDegree::Serious), "taken in"),
        (Grade::G4, made(ImpactDegree::Serious), "taken in"),
        (
            Grade::G2,
            made(ImpactDegree::Serious),
            "refused GRADE_BELOW_ASSESSMENT",
        ),
        (
            Grade::Important,
            made(ImpactDegree::Serious),
            "refused IMPORTANT_BASIS",
        ),
        (
            Grade::Important,
            important(made(ImpactDegree::Serious)),
            "taken in",
        ),
        (
            Grade::G4,
            important(made(ImpactDegree::Serious)),
            "refused IMPORTANT_BASIS",
        ),
        (Grade::G1, Grading::default(), "taken in ASSESSMENT_MISSING"),
        (Grade::G2, derived(&["calls"], None), "taken in"),
        (
            Grade::G1,
            derived(&["calls"], None),
            "refused GRADE_BELOW_SOURCE",
        ),
        (
            Grade::G1,
            derived(&["calls"], Some("no ship is named")),
            "taken in",
        ),
        (
            Grade::G2,
            derived(&["calls", "nowhere"], None),
            "refused SOURCE_UNKNOWN",
        ),
        (
            Grade::G2,
            derived(&["extract"], None),
            "refused SOURCE_UNKNOWN",
        ),
        (Grade::G2, derived(&[], None), "refused SOURCE_UNKNOWN"),
    ];
    for (grade, grading, expected) in cases {
        let said = submitted(grade, grading.clone());
        assert_eq!(said, expected, "{grade} {grading:?}");
    }
}

#[test]
fn a_source_that_is_graded_higher_shows_in_what_was_made_from_it() {
    let mut world = World::published();
    let derived = Grading {
        derived: Some(Derivation {
            kind: DerivationKind::Statistics,
            sources: [dataset_id("calls")].into(),
            lower_because: None,
        }),
        ..by(assessed(&world, ImpactDegree::None))
    };
    let it = Dataset {
        id: dataset_id("sums"),
        title: schemas::LocalText::new("靠泊统计", "Berth sums"),
        resource_code: resource_code("sums"),
        ..card(Grade::G2, derived, 0)
    };
    world.publish(it);
    let found = |world: &World| {
        let view = world.view();
        let found = view.findings(view.dataset(&dataset_id("sums")).unwrap());
        found.into_iter().map(|it| it.rule).collect::<Vec<_>>()
    };
    assert_eq!(found(&world), []);
    world.must("port-steward", shift("calls", 5, DatasetState::Revising));
    let mut calls = world.view().dataset(&dataset_id("calls")).unwrap().clone();
    calls.grade = Grade::G3;
    world.must("port-steward", describe(calls));
    assert_eq!(found(&world), [CatalogRule::GradeBelowSource]);
}
