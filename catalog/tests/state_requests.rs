//! What follows an answer: disputes, correction tickets, delegations and emergencies, in tables.
//!
//! It does not repeat the plain request and its answer; `state_agreements` does.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be built is a failed test"
)]
#![expect(
    clippy::too_many_lines,
    reason = "a table is long; each entry is one case"
)]

mod state_world;

use schemas::command::{Command, Outcome};
use schemas::correction::{Correction, CorrectionState};
use schemas::dataset::{Dataset, Grade};
use schemas::delegation::Delegation;
use schemas::dispute::DisputeMove;
use schemas::request::{GrantState, RequestDecision, RequestState, SupervisedClock};
use schemas::rule_pack::{ClockKind, PackBody};
use schemas::{CorrectionId, Jurisdiction, Period, Timestamp};
use state_world::*;

const DAY_MS: i64 = 86_400_000;

fn period(until: i64) -> Period {
    Period {
        from: at(0),
        until: at(until),
    }
}

fn decide(id: &str, revision: u64, decision: RequestDecision) -> Command {
    Command::DecideRequest {
        request: request_id(id),
        revision,
        decision,
    }
}

fn refuse() -> RequestDecision {
    RequestDecision::Refuse {
        reasons: "no basis".into(),
    }
}

/// Request `r1` of the customs for the port's `calls`, for a hundred days.
fn asked(grade: Grade) -> World {
    let mut world = World::founded();
    world.publish(Dataset {
        grade,
        ..dataset("calls", PORT)
    });
    world.must("node-port", publish_version("calls", PORT, 1, at(1)));
    let it = request("r1", "calls", CUSTOMS, period(100 * DAY_MS));
    world.must(
        "customs-consumer",
        Command::SubmitRequest {
            request: Box::new(it),
        },
    );
    world
}

fn yes(world: &World, until: i64) -> RequestDecision {
    let view = world.view();
    let (contract, mut grant) = agreement(view.request(&request_id("r1")).unwrap(), PORT);
    grant.period.until = at(until);
    agree(contract, grant)
}

fn state_of(world: &World) -> (RequestState, Option<Timestamp>) {
    let view = world.view();
    let it = view.request(&request_id("r1")).unwrap();
    (it.state, it.due_at)
}

// Disputes.

fn step(revision: u64, step: DisputeMove) -> Command {
    Command::DisputeRequest {
        request: request_id("r1"),
        revision,
        step,
        because: "the statute".into(),
    }
}

/// A refused request on some tier: its revision is that of the last step.
fn disputed(steps: &[DisputeMove]) -> World {
    let mut world = asked(Grade::G2);
    world.must("port-steward", decide("r1", 1, refuse()));
    for (revision, it) in (2..).zip(steps) {
        world.must("customs-consumer", step(revision, *it));
    }
    world
}

/// Who may take which step on which tier: names of those who may, of all who could be thought of.
#[test]
fn a_dispute_has_three_tiers_and_each_step_its_side() {
    use DisputeMove as D;
    let tiers: [(&str, &[DisputeMove]); 4] = [
        ("REFUSED", &[]),
        ("NEGOTIATING", &[D::Open]),
        ("COORDINATING", &[D::Open, D::Coordinate]),
        ("ESCALATED", &[D::Open, D::Coordinate, D::Escalate]),
    ];
    let people = [
        "customs-consumer",
        "port-steward",
        "authority-steward",
        "customs-steward",
        "port-consumer",
        "port-officer",
        "authority-officer",
        "authority-admin",
        "node-customs",
    ];
    let mut told = Vec::new();
    for (tier, steps) in tiers {
        let world = disputed(steps);
        let revision = 2 + u64::try_from(steps.len()).unwrap();
        for it in DisputeMove::ALL {
            let may: Vec<&str> = people
                .into_iter()
                .filter(|by| {
                    let outcome = world.clone().propose(by, step(revision, *it));
                    matches!(outcome, Outcome::Applied { .. })
                })
                .collect();
            if !may.is_empty() {
                told.push(format!("{tier} {it}: {}", may.join(" ")));
            }
        }
    }
    assert_eq!(
        told,
        [
            "REFUSED OPEN: customs-consumer",
            "NEGOTIATING COORDINATE: customs-consumer port-steward",
            "NEGOTIATING UPHOLD: customs-consumer",
            "NEGOTIATING SHARE: port-steward",
            "COORDINATING ESCALATE: customs-consumer port-steward authority-steward",
            "COORDINATING UPHOLD: customs-consumer authority-steward",
            "COORDINATING SHARE: port-steward authority-steward",
            "ESCALATED UPHOLD: customs-consumer authority-steward",
            "ESCALATED SHARE: port-steward authority-steward",
        ]
    );
}

#[test]
fn a_decided_dispute_is_final() {
    use DisputeMove as D;
    let mut upheld = disputed(&[D::Open, D::Coordinate]);
    upheld.must("authority-steward", step(4, D::Uphold));
    assert_eq!(state_of(&upheld), (RequestState::Decided, None));
    let (open, share) = (step(5, D::Open), step(5, D::Share));
    check(
        &upheld,
        vec![
            ("opened again", "customs-consumer", open, "WRONG_STATE"),
            ("shared after all", "port-steward", share, "WRONG_STATE"),
        ],
    );
    let mut shared = disputed(&[D::Open, D::Coordinate]);
    shared.tick(DAY_MS);
    shared.must("authority-steward", step(4, D::Share));
    let (state, due) = state_of(&shared);
    assert_eq!(state, RequestState::Submitted);
    assert!(due.is_some_and(|due| due > at(DAY_MS)), "{due:?}");
    let agree = decide("r1", 5, yes(&shared, 10 * DAY_MS));
    check(
        &shared,
        vec![
            (
                "refused again",
                "port-steward",
                decide("r1", 5, refuse()),
                "NOT_ALLOWED",
            ),
            ("agreed to", "port-steward", agree, "APPLIED 6"),
        ],
    );
    let view = shared.view();
    let held = view.dispute(&request_id("r1")).unwrap();
    let by: Vec<&str> = held.steps.iter().map(|it| it.by.as_str()).collect();
    assert_eq!(
        by,
        ["customs-consumer", "customs-consumer", "authority-steward"]
    );
}

#[test]
fn each_tier_of_a_dispute_has_its_clock() {
    use DisputeMove as D;
    let cases: [(&[DisputeMove], SupervisedClock, &str); 3] = [
        // Ten, ten and twenty working days from Tuesday 24 November 2026.
        (&[D::Open], SupervisedClock::Negotiation, "2026-12-08"),
        (
            &[D::Open, D::Coordinate],
            SupervisedClock::Coordination,
            "2026-12-08",
        ),
        (
            &[D::Open, D::Coordinate, D::Escalate],
            SupervisedClock::Escalation,
            "2026-12-22",
        ),
    ];
    for (steps, clock, last) in cases {
        let mut world = disputed(steps);
        let due = day(last).end();
        assert_eq!(state_of(&world).1, Some(due), "{clock}");
        let late = due.millis() - START_MS;
        world.tick(late - 1);
        assert_eq!(world.view().supervisions().count(), 0, "{clock}");
        world.tick(late);
        let told: Vec<_> = world
            .view()
            .supervisions()
            .map(|it| (it.clock, it.due_at, it.settled_at))
            .collect();
        assert_eq!(told, [(clock, due, None)]);
        let revision = 2 + u64::try_from(steps.len()).unwrap();
        world.must("port-steward", step(revision, D::Share));
        let view = world.view();
        let settled = view.supervisions().next().unwrap().settled_at;
        assert_eq!(settled, Some(at(late)), "{clock}");
    }
}

#[test]
fn an_authority_that_is_a_party_does_not_decide_its_own_case() {
    use DisputeMove as D;
    let mut world = World::founded();
    world.publish(dataset("own", AUTHORITY));
    let it = request("r1", "own", CUSTOMS, period(100 * DAY_MS));
    let request = Box::new(it);
    world.must("customs-consumer", Command::SubmitRequest { request });
    world.must("authority-steward", decide("r1", 1, refuse()));
    for (revision, it) in (2..).zip([D::Open, D::Coordinate, D::Escalate]) {
        world.must("customs-consumer", step(revision, it));
    }
    check(
        &world,
        vec![
            (
                "its refusal stands",
                "authority-steward2",
                step(5, D::Uphold),
                "NOT_ALLOWED",
            ),
            (
                "it gives in",
                "authority-steward2",
                step(5, D::Share),
                "APPLIED 6",
            ),
        ],
    );
}

// Corrections.

fn correction(change: fn(&mut Correction)) -> Command {
    let mut it = Correction {
        id: CorrectionId::parse("c1").unwrap(),
        dataset: dataset_id("calls"),
        version: 1,
        row: "IMO9074729".into(),
        column: Some("arrival".into()),
        evidence: "the manifest differs".into(),
        consumer: participant_id(CUSTOMS),
        opened_by: person_id("customs-consumer"),
        opened_at: at(0),
        state: CorrectionState::Open,
        due_at: None,
        overdue_at: None,
        answer: None,
        corrected_in: None,
        notified: [].into(),
        revision: 0,
    };
    change(&mut it);
    Command::OpenCorrection {
        correction: Box::new(it),
    }
}

fn ticket(revision: u64, to: CorrectionState, corrected_in: Option<u64>) -> Command {
    Command::MoveCorrection {
        correction: CorrectionId::parse("c1").unwrap(),
        revision,
        to,
        text: "as checked".into(),
        corrected_in,
    }
}

#[test]
fn a_row_is_doubted_by_whoever_could_have_received_it() {
    let by = "customs-consumer";
    let cases = vec![
        ("a ticket", by, correction(|_| ()), "APPLIED 1"),
        (
            "of the whole row",
            by,
            correction(|it| it.column = None),
            "APPLIED 1",
        ),
        (
            "by a steward",
            "customs-steward",
            correction(|_| ()),
            "NOT_ALLOWED",
        ),
        (
            "by one without a grant",
            "authority-consumer",
            correction(|it| {
                it.consumer = participant_id(AUTHORITY);
                it.opened_by = person_id("authority-consumer");
            }),
            "NOT_ALLOWED",
        ),
        (
            "for another person",
            by,
            correction(|it| it.opened_by = person_id("customs-steward")),
            "NOT_ALLOWED",
        ),
        (
            "of no version",
            by,
            correction(|it| it.version = 2),
            "NOT_FOUND",
        ),
        (
            "of no column",
            by,
            correction(|it| it.column = Some("cargo".into())),
            "INVALID",
        ),
        (
            "of no row",
            by,
            correction(|it| it.row = " ".into()),
            "INVALID",
        ),
        (
            "accepted at once",
            by,
            correction(|it| it.state = CorrectionState::Accepted),
            "INVALID",
        ),
        (
            "with notices",
            by,
            correction(|it| it.notified = [participant_id(PORT)].into()),
            "INVALID",
        ),
    ];
    check(&World::granted(), cases);
}

#[test]
fn a_ticket_walks_its_steps_and_every_active_consumer_is_told() {
    use CorrectionState as C;
    let mut world = World::granted();
    world.must("customs-consumer", correction(|_| ()));
    let ours = "port-steward";
    check(
        &world,
        vec![
            ("accepted", ours, ticket(1, C::Accepted, None), "APPLIED 2"),
            (
                "corrected unseen",
                ours,
                ticket(1, C::Corrected, Some(1)),
                "WRONG_STATE",
            ),
            (
                "accepted by the consumer",
                "customs-consumer",
                ticket(1, C::Accepted, None),
                "NOT_ALLOWED",
            ),
            (
                "taken back",
                "customs-consumer",
                ticket(1, C::Closed, None),
                "APPLIED 2",
            ),
            (
                "closed by the provider",
                ours,
                ticket(1, C::Closed, None),
                "NOT_ALLOWED",
            ),
            (
                "from an old revision",
                ours,
                ticket(0, C::Accepted, None),
                "CONFLICT",
            ),
        ],
    );
    world.must(ours, ticket(1, C::Accepted, None));
    check(
        &world,
        vec![
            (
                "in the same version",
                ours,
                ticket(2, C::Corrected, Some(1)),
                "INVALID",
            ),
            (
                "in a version to come",
                ours,
                ticket(2, C::Corrected, Some(2)),
                "INVALID",
            ),
            (
                "in no version",
                ours,
                ticket(2, C::Corrected, None),
                "INVALID",
            ),
            (
                "rejected in a version",
                ours,
                ticket(2, C::Rejected, Some(1)),
                "INVALID",
            ),
            ("rejected", ours, ticket(2, C::Rejected, None), "APPLIED 3"),
        ],
    );
    // Another consumer whose grant is in force, and one whose grant was revoked.
    for (id, revoked) in [("r2", false), ("r3", true)] {
        let consumer = if revoked { CUSTOMS } else { AUTHORITY };
        let it = request(id, "calls", consumer, period(900_000));
        let (contract, grant) = agreement(&it, PORT);
        let request = Box::new(it);
        let asks = format!("{consumer}-consumer");
        world.must(&asks, Command::SubmitRequest { request });
        world.must(ours, decide(id, 1, agree(contract, grant.clone())));
        if revoked {
            world.must(
                ours,
                Command::RevokeGrant {
                    grant: grant.id,
                    because: "over".into(),
                },
            );
        }
    }
    world.must("node-port", publish_version("calls", PORT, 2, at(2)));
    world.must(ours, ticket(2, C::Corrected, Some(2)));
    let of = |world: &World| {
        let view = world.view();
        view.correction(&CorrectionId::parse("c1").unwrap())
            .unwrap()
            .clone()
    };
    let it = of(&world);
    assert_eq!((it.corrected_in, it.due_at.is_some()), (Some(2), true));
    let told: Vec<&str> = it.notified.iter().map(|it| it.as_str()).collect();
    assert_eq!(told, [AUTHORITY, CUSTOMS]);
    world.must(ours, ticket(3, C::Feedback, None));
    assert_eq!(of(&world).due_at, None);
    world.must("customs-consumer", ticket(4, C::Closed, None));
    let again = ticket(5, C::Accepted, None);
    check(&world, vec![("after its end", ours, again, "WRONG_STATE")]);
}

#[test]
fn a_late_answer_to_a_ticket_is_noticed_once() {
    let mut world = World::granted();
    world.must("customs-consumer", correction(|_| ()));
    let of = |world: &World| {
        let view = world.view();
        let it = view
            .correction(&CorrectionId::parse("c1").unwrap())
            .unwrap();
        (it.due_at, it.overdue_at, it.revision)
    };
    // Ten working days from Tuesday 24 November 2026.
    let due = day("2026-12-08").end();
    assert_eq!(of(&world), (Some(due), None, 1));
    let late = due.millis() - START_MS;
    world.tick(late);
    world.tick(late + 1);
    assert_eq!(of(&world), (Some(due), Some(due), 2));
}

// Delegations.

fn delegate(from: &str, to: &str, change: fn(&mut Delegation)) -> Command {
    let mut it = Delegation {
        from: person_id(from),
        to: person_id(to),
        participant: participant_id(PORT),
        period: period(10 * DAY_MS),
        because: "leave".into(),
        ended_because: None,
        revision: 0,
    };
    change(&mut it);
    Command::SetDelegation {
        delegation: Box::new(it),
    }
}

fn end(by: &str, revision: u64) -> Command {
    Command::EndDelegation {
        from: person_id(by),
        revision,
        because: "back".into(),
    }
}

#[test]
fn who_decides_delegates_her_own_decisions_to_another_who_decides() {
    let (steward, officer) = ("port-steward", "port-officer");
    let to_officer = |change| delegate(steward, officer, change);
    let cases = vec![
        ("to an officer", steward, to_officer(|_| ()), "APPLIED 1"),
        (
            "to a steward",
            officer,
            delegate(officer, "port-steward2", |_| ()),
            "APPLIED 1",
        ),
        (
            "another's",
            "port-steward2",
            to_officer(|_| ()),
            "NOT_ALLOWED",
        ),
        (
            "by an administrator",
            "port-admin",
            delegate("port-admin", officer, |_| ()),
            "NOT_ALLOWED",
        ),
        (
            "to herself",
            steward,
            delegate(steward, steward, |_| ()),
            "INVALID",
        ),
        (
            "to a consumer",
            steward,
            delegate(steward, "port-consumer", |_| ()),
            "INVALID",
        ),
        (
            "to an administrator",
            steward,
            delegate(steward, "port-admin", |_| ()),
            "INVALID",
        ),
        (
            "to another member's",
            steward,
            delegate(steward, "customs-officer", |_| ()),
            "INVALID",
        ),
        (
            "for too long",
            steward,
            to_officer(|it| it.period.until = at(93 * DAY_MS)),
            "INVALID",
        ),
        (
            "for nothing",
            steward,
            to_officer(|it| it.because.clear()),
            "INVALID",
        ),
    ];
    let world = World::founded();
    check(&world, cases);
    let mut held = world;
    held.must(steward, to_officer(|_| ()));
    check(
        &held,
        vec![
            ("ended by her", steward, end(steward, 1), "APPLIED 2"),
            ("ended by an officer", officer, end(steward, 1), "APPLIED 2"),
            (
                "ended by a colleague",
                "port-steward2",
                end(steward, 1),
                "NOT_ALLOWED",
            ),
            (
                "set anew from an old revision",
                steward,
                to_officer(|_| ()),
                "CONFLICT",
            ),
        ],
    );
}

#[test]
fn the_one_who_stands_in_decides_and_the_approval_says_for_whom() {
    let officer = "port-officer";
    let mut world = asked(Grade::G2);
    let agree = decide("r1", 1, yes(&world, 10 * DAY_MS));
    check(
        &world,
        vec![("alone", officer, agree.clone(), "NOT_ALLOWED")],
    );
    world.must("port-steward", delegate("port-steward", officer, |_| ()));
    let mut ended = world.clone();
    ended.must("port-steward", end("port-steward", 1));
    check(
        &ended,
        vec![("ended", officer, agree.clone(), "NOT_ALLOWED")],
    );
    let mut over = world.clone();
    over.tick(10 * DAY_MS);
    let late = decide("r1", 1, yes(&over, 20 * DAY_MS));
    check(&over, vec![("over", officer, late, "NOT_ALLOWED")]);
    world.must(officer, agree);
    let view = world.view();
    let held = view.approval(&request_id("r1")).unwrap();
    let names = (&held.first, held.first_for.as_ref(), held.second.as_ref());
    let steward = person_id("port-steward");
    assert_eq!(names, (&person_id(officer), Some(&steward), None));
    assert_eq!(state_of(&world).0, RequestState::Agreed);
}

#[test]
fn two_approvals_are_two_persons_whoever_stands_in() {
    let mut world = asked(Grade::G4);
    let officer = "port-officer";
    world.must("port-steward", delegate("port-steward", officer, |_| ()));
    let agree = decide("r1", 1, yes(&world, 10 * DAY_MS));
    // The officer decides first, in the steward's place.
    world.must(officer, agree.clone());
    check(
        &world,
        vec![
            ("she again", officer, agree.clone(), "NOT_ALLOWED"),
            (
                "whom she stands for",
                "port-steward",
                agree.clone(),
                "NOT_ALLOWED",
            ),
            ("a second person", "port-steward2", agree, "APPLIED 2"),
        ],
    );
}

// Emergencies.

fn emergency(world: &World, until: i64) -> Command {
    let RequestDecision::Agree { contract, grant } = yes(world, until) else {
        unreachable!("an agreement");
    };
    let decision = RequestDecision::Emergency {
        contract,
        grant,
        because: "a ship on fire".into(),
    };
    decide("r1", 1, decision)
}

fn review(upheld: bool) -> Command {
    Command::ReviewEmergency {
        request: request_id("r1"),
        upheld,
        because: "as the log shows".into(),
    }
}

fn grant_state(world: &World) -> GrantState {
    world.view().grant(&grant_id("g-r1")).unwrap().state
}

#[test]
fn one_person_grants_in_an_emergency_for_a_short_time() {
    let world = asked(Grade::G4);
    // Three working days from Tuesday 24 November 2026 end with Friday.
    let longest = day("2026-11-27").end().millis() - START_MS;
    let cases = vec![
        (
            "by a steward",
            "port-steward",
            emergency(&world, longest),
            "APPLIED 2",
        ),
        (
            "by an officer",
            "port-officer",
            emergency(&world, DAY_MS),
            "APPLIED 2",
        ),
        (
            "by an administrator",
            "port-admin",
            emergency(&world, DAY_MS),
            "NOT_ALLOWED",
        ),
        (
            "by the authority",
            "authority-officer",
            emergency(&world, DAY_MS),
            "NOT_ALLOWED",
        ),
        (
            "for longer",
            "port-steward",
            emergency(&world, longest + 1),
            "INVALID",
        ),
    ];
    check(&world, cases);
    // Where no pack sets the terms there is no emergency.
    let mut without = world;
    let mut clocks = pack("clocks.cn", 1);
    if let PackBody::Clocks(it) = &mut clocks.body {
        it.clocks.retain(|it| it.kind != ClockKind::EmergencyReview);
    }
    let rule_pack = Box::new(clocks);
    without.must("authority-officer", Command::AdoptRulePack { rule_pack });
    let it = emergency(&without, DAY_MS);
    check(
        &without,
        vec![("no term", "port-steward", it, "NOT_ALLOWED")],
    );
}

#[test]
fn nothing_leaves_the_mainland_in_an_emergency() {
    let mut world = World::published();
    let mut it = request("r1", "calls", CUSTOMS, period(100 * DAY_MS));
    it.destination = Jurisdiction::HONG_KONG;
    let request = Box::new(it);
    world.must("customs-consumer", Command::SubmitRequest { request });
    let it = emergency(&world, DAY_MS);
    check(&world, vec![("abroad", "port-steward", it, "NOT_ALLOWED")]);
}

#[test]
fn a_second_person_reviews_and_a_wrong_grant_ends() {
    let mut world = asked(Grade::G4);
    let it = emergency(&world, DAY_MS);
    world.must("port-officer", it);
    let second = "port-steward";
    check(
        &world,
        vec![
            ("by her", "port-officer", review(true), "NOT_ALLOWED"),
            (
                "by the consumer",
                "customs-steward",
                review(true),
                "NOT_ALLOWED",
            ),
            (
                "by an administrator",
                "port-admin",
                review(true),
                "NOT_ALLOWED",
            ),
            ("by a second person", second, review(true), "APPLIED 0"),
        ],
    );
    let mut upheld = world.clone();
    upheld.must(second, review(true));
    assert_eq!(grant_state(&upheld), GrantState::Active);
    check(
        &upheld,
        vec![("twice", "port-steward2", review(false), "WRONG_STATE")],
    );
    world.must(second, review(false));
    assert_eq!(grant_state(&world), GrantState::Revoked);
    assert_eq!(state_of(&world).0, RequestState::Revoked);
}

#[test]
fn an_emergency_that_nobody_reviews_ends_and_is_supervised() {
    // Two working days from Tuesday 24 November 2026 end with Thursday.
    let due = day("2026-11-26").end();
    let late = due.millis() - START_MS;
    let mut world = asked(Grade::G4);
    let it = emergency(&world, late + 1_000);
    world.must("port-officer", it);
    world.tick(late - 1);
    assert_eq!(grant_state(&world), GrantState::Active);
    world.tick(late);
    assert_eq!(grant_state(&world), GrantState::Revoked);
    let told = |world: &World| {
        let view = world.view();
        let of = view
            .supervisions()
            .find(|it| it.clock == SupervisedClock::EmergencyReview);
        of.map(|it| (it.due_at, it.raised_at, it.settled_at))
    };
    assert_eq!(told(&world), Some((due, due, None)));
    // A late review is kept and brings nothing back.
    world.must("port-steward", review(true));
    assert_eq!(told(&world), Some((due, due, Some(due))));
    assert_eq!(grant_state(&world), GrantState::Revoked);
    let mut reviewed = asked(Grade::G4);
    let it = emergency(&reviewed, late + 1_000);
    reviewed.must("port-officer", it);
    reviewed.must("port-steward", review(true));
    reviewed.tick(late);
    assert_eq!(grant_state(&reviewed), GrantState::Active);
    assert_eq!(told(&reviewed), None);
}
