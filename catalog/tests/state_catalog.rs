//! Catalog records: who writes, approves and decides; what is filled in wrongly; what a suspended
//! or retired dataset still gives.
//!
//! It does not repeat the rules of filling one by one; `schemas::resource` tests those.

mod state_world;

use catalog::view::View;
use schemas::command::Command;
use schemas::dataset::{Dataset, DatasetState};
use schemas::participant::{DepartmentApproval, Participant};
use schemas::resource::{CatalogRule, Opening, ResourceEntry, ResourceFormat};
use schemas::{LocalText, Period};
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

/// `card` described by the port's first steward and moved by `walk`.
fn walked(card: Dataset, walk: &[(&str, DatasetState)]) -> World {
    let mut world = World::founded();
    let id = card.id.clone();
    world.must("port-steward", describe(card));
    for (revision, (by, to)) in (1..).zip(walk) {
        world.must(by, shift(id.as_str(), revision, *to));
    }
    world
}

/// The port may approve its own records with one person.
fn alone() -> World {
    let mut world = World::founded();
    let participant = Box::new(Participant {
        department_approval: Some(DepartmentApproval::SamePerson),
        revision: 1,
        ..participant(PORT)
    });
    world.must(
        "authority-admin",
        Command::RegisterParticipant { participant },
    );
    world.must("port-steward", describe(dataset("calls", PORT)));
    world
}

#[test]
fn who_wrote_a_record_does_not_approve_it_for_the_department() {
    use DatasetState as S;
    let draft = walked(dataset("calls", PORT), &[]);
    let approve = |by| (by, by, shift("calls", 1, S::DepartmentApproved));
    let case = |by, said| {
        let (name, by, command) = approve(by);
        (name, by, command, said)
    };
    check(
        &draft,
        vec![
            case("port-steward", "NOT_ALLOWED"),
            case("port-steward2", "APPLIED 2"),
            case("port-officer", "NOT_ALLOWED"),
            case("port-consumer", "NOT_ALLOWED"),
            case("authority-steward", "NOT_ALLOWED"),
            case("customs-steward", "NOT_ALLOWED"),
            case("node-port", "NOT_ALLOWED"),
        ],
    );
    check(&alone(), vec![case("port-steward", "APPLIED 2")]);
    // Writing it anew makes her the writer.
    let mut rewritten = draft;
    let card = Dataset {
        revision: 1,
        ..dataset("calls", PORT)
    };
    rewritten.must("port-steward2", describe(card));
    let again = shift("calls", 2, S::DepartmentApproved);
    check(
        &rewritten,
        vec![
            (
                "the new writer",
                "port-steward2",
                again.clone(),
                "NOT_ALLOWED",
            ),
            ("the old writer", "port-steward", again, "APPLIED 3"),
        ],
    );
}

#[test]
fn a_revision_is_submitted_by_another_than_its_writer() {
    use DatasetState as S;
    let mut world = World::published();
    world.must("port-steward", shift("calls", 5, S::Revising));
    let before = world.view().dataset(&dataset_id("calls")).unwrap().clone();
    world.must("port-steward", describe(before));
    check(
        &world,
        vec![
            (
                "by its writer",
                "port-steward",
                shift("calls", 7, S::Submitted),
                "NOT_ALLOWED",
            ),
            (
                "by another",
                "port-steward2",
                shift("calls", 7, S::Submitted),
                "APPLIED 8",
            ),
        ],
    );
}

fn entry(change: fn(&mut ResourceEntry)) -> Option<ResourceEntry> {
    let mut it = ResourceEntry::exchanged_tables();
    change(&mut it);
    Some(it)
}

#[test]
fn a_record_that_is_filled_in_wrongly_is_not_taken_in_for_review() {
    use DatasetState as S;
    type Case = (&'static str, fn(&mut Dataset), &'static str);
    let cases: Vec<Case> = vec![
        ("in order", |_| (), "APPLIED 3"),
        ("no entry", |it| it.resource = None, "INVALID"),
        ("no code", |it| it.resource_code = "calls".into(), "INVALID"),
        (
            "a file as tables",
            |it| it.resource = entry(|it| it.format = ResourceFormat::Image),
            "INVALID",
        ),
        (
            "open under no conditions",
            |it| it.resource = entry(|it| it.opening = Opening::Conditional),
            "INVALID",
        ),
        (
            "conditions without cause",
            |it| it.share_conditions = Some("ask first".into()),
            "INVALID",
        ),
        // Words are for people to judge.
        (
            "the name of a system",
            |it| it.title = LocalText::new("靠泊系统", "Berth system"),
            "APPLIED 3",
        ),
    ];
    for (name, change, said) in cases {
        let mut card = dataset("calls", PORT);
        change(&mut card);
        let world = walked(card, &[("port-steward2", S::DepartmentApproved)]);
        let submit = shift("calls", 2, S::Submitted);
        check(&world, vec![(name, "port-steward", submit, said)]);
    }
}

#[test]
fn a_code_that_is_taken_keeps_a_record_from_review_until_it_has_another() {
    use DatasetState as S;
    let mut world = World::published();
    let taken = |revision| Dataset {
        resource_code: resource_code("calls"),
        revision,
        ..dataset("other", PORT)
    };
    world.must("port-steward", describe(taken(0)));
    let found = |view: &View| {
        let card = view.dataset(&dataset_id("other")).unwrap();
        let rules = view.findings(card).into_iter().map(|it| it.rule);
        let rules = rules.filter(|it| *it != CatalogRule::AssessmentMissing);
        rules.collect::<Vec<_>>()
    };
    let expected = [CatalogRule::CodeTaken, CatalogRule::TitleTaken];
    assert_eq!(found(&world.view()), expected);
    world.must("port-steward2", shift("other", 1, S::DepartmentApproved));
    let submit = shift("other", 2, S::Submitted);
    check(&world, vec![("taken", "port-steward", submit, "INVALID")]);
    let next = world.view().next_resource_code("3060100").unwrap();
    world.must("port-steward2", shift("other", 2, S::Draft));
    let card = Dataset {
        resource_code: next.to_string(),
        ..taken(3)
    };
    world.must("port-steward", describe(card));
    assert_eq!(found(&world.view()), [CatalogRule::TitleTaken]);
    let after = world.view().next_resource_code("3060100").unwrap();
    assert!(after > next, "{after} {next}");
    assert_eq!(
        world
            .view()
            .next_resource_code("306010")
            .unwrap()
            .to_string(),
        "306010/000001"
    );
    assert!(world.view().next_resource_code("9060100").is_err());
}

#[test]
fn the_day_of_publication_is_the_catalogs_and_set_once() {
    use DatasetState as S;
    let mut world = World::published();
    let day_of = |world: &World| {
        let view = world.view();
        let card = view.dataset(&dataset_id("calls")).unwrap();
        card.resource.as_ref().unwrap().published_on
    };
    assert_eq!(day_of(&world), Some(day("2026-11-24")));
    world.must("port-steward", shift("calls", 5, S::Suspended));
    world.tick(3 * 86_400_000);
    world.must("port-steward", shift("calls", 6, S::Published));
    assert_eq!(day_of(&world), Some(day("2026-11-24")));
    world.must("port-steward", shift("calls", 7, S::Revising));
    let held = world.view().dataset(&dataset_id("calls")).unwrap().clone();
    let with = |change: fn(&mut Dataset)| {
        let mut it = held.clone();
        change(&mut it);
        describe(it)
    };
    check(
        &world,
        vec![
            ("as it is", "port-steward", with(|_| ()), "APPLIED 9"),
            (
                "no entry",
                "port-steward",
                with(|it| it.resource = None),
                "INVALID",
            ),
            (
                "too many related",
                "port-steward",
                with(|it| {
                    let entry = it.resource.as_mut().unwrap();
                    entry.related = (0..=ResourceEntry::RELATED_MAX)
                        .map(|at| format!("3060100/{}", at + 1))
                        .collect();
                }),
                "INVALID",
            ),
        ],
    );
    // The writer is the signer and the day is the catalog's, whatever the record says.
    let mut lied = held.clone();
    lied.written_by = Some(person_id("customs-steward"));
    lied.resource = entry(|it| it.published_on = Some(day("2020-01-01")));
    world.must("port-steward2", describe(lied));
    let view = world.view();
    let written = view.dataset(&dataset_id("calls")).unwrap();
    assert_eq!(written.written_by, Some(person_id("port-steward2")));
    assert_eq!(day_of(&world), Some(day("2026-11-24")));
}

#[test]
fn a_suspended_or_retired_dataset_gives_nothing_new() {
    for to in [DatasetState::Suspended, DatasetState::Retired] {
        let mut world = World::granted();
        let period = Period {
            from: at(0),
            until: at(900_000),
        };
        let second = request("r2", "calls", CUSTOMS, period);
        let (contract, grant) = agreement(&second, PORT);
        let submit = |it| Command::SubmitRequest {
            request: Box::new(it),
        };
        world.must("customs-consumer", submit(second));
        let held = world.view().grant(&grant_id("g-r1")).unwrap().clone();
        world.must("port-steward", shift("calls", 5, to));
        let third = request("r3", "calls", CUSTOMS, period);
        let cases = vec![
            (
                "a request",
                "customs-consumer",
                submit(third),
                "WRONG_STATE",
            ),
            (
                "an agreement",
                "port-steward",
                Command::DecideRequest {
                    request: request_id("r2"),
                    revision: 1,
                    decision: agree(contract, grant),
                },
                "WRONG_STATE",
            ),
            (
                "a transfer",
                "node-customs",
                Command::OpenTransfer {
                    transfer: Box::new(transfer("t1", &held, 1)),
                },
                "WRONG_STATE",
            ),
            (
                "a version",
                "node-port",
                publish_version("calls", PORT, 2, at(2)),
                "WRONG_STATE",
            ),
        ];
        check(&world, cases);
    }
}
