//! Rule packs, export instruments, statutory clocks and the second person's approval: what is
//! applied and what is refused, in tables.
//!
//! It does not decide exports; `policies` does.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be built is a failed test"
)]
#![expect(
    clippy::too_many_lines,
    reason = "a table is long; each entry is one case"
)]

mod state_world;

use catalog::state::State;
use schemas::calendar::Day;
use schemas::command::{Command, Outcome};
use schemas::dataset::{Grade, ShareAttribute};
use schemas::export::{Instrument, InstrumentKind, InstrumentState, ZoneClassification};
use schemas::participant::{Participant, ParticipantKind};
use schemas::request::{
    AccessRequest, Approval, RequestDecision, RequestState, SupervisedClock, Supervision,
};
use schemas::rule_pack::{
    ClockKind, Effective, ListRow, NegativeList, PackBody, RulePack, RulePackKind,
};
use schemas::{InstrumentId, Jurisdiction, LocalText, Period, RulePackId, Timestamp, canonical};
use state_world::*;

/// A day, in milliseconds.
const DAY_MS: i64 = 86_400_000;

fn adopt(rule_pack: RulePack) -> Command {
    Command::AdoptRulePack {
        rule_pack: Box::new(rule_pack),
    }
}

fn withdraw(series: &str, number: u64) -> Command {
    Command::WithdrawRulePack {
        series: RulePackId::parse(series).unwrap(),
        number,
        because: "a wrong day".into(),
    }
}

#[test]
fn rule_packs_follow_without_gaps_and_one_series_holds_in_one_place() {
    let by = "authority-officer";
    let other = |series: &str| RulePack {
        series: RulePackId::parse(series).unwrap(),
        ..pack("holidays.cn", 1)
    };
    let wrong = || {
        let mut it = pack("clocks.cn", 1);
        if let PackBody::Clocks(clocks) = &mut it.body {
            clocks.clocks[0].working_days = 0;
        }
        it
    };
    let cases = vec![
        (
            "the next number",
            by,
            adopt(pack("clocks.cn", 1)),
            "APPLIED 1",
        ),
        (
            "the shipped number",
            by,
            adopt(pack("clocks.cn", 0)),
            "CONFLICT",
        ),
        ("a gap", by, adopt(pack("clocks.cn", 2)), "CONFLICT"),
        (
            "by a member's officer",
            "port-officer",
            adopt(pack("clocks.cn", 1)),
            "NOT_ALLOWED",
        ),
        (
            "by the administrator",
            "authority-admin",
            adopt(pack("clocks.cn", 1)),
            "NOT_ALLOWED",
        ),
        (
            "by a node",
            "node-authority",
            adopt(pack("clocks.cn", 1)),
            "NOT_ALLOWED",
        ),
        ("a clock of no day", by, adopt(wrong()), "INVALID"),
        (
            "a second table of holidays",
            by,
            adopt(other("feasts.cn")),
            "CONFLICT",
        ),
        (
            "holidays in a series of clocks",
            by,
            adopt(other("clocks.cn")),
            "CONFLICT",
        ),
        (
            "a list that nobody has yet",
            by,
            adopt(list(1)),
            "APPLIED 1",
        ),
        (
            "what ships cannot be taken back",
            by,
            withdraw("clocks.cn", 0),
            "NOT_FOUND",
        ),
    ];
    check(&World::founded(), cases);

    let mut world = World::founded();
    world.must(by, adopt(pack("clocks.cn", 1)));
    let cases = vec![
        (
            "the one after",
            by,
            adopt(pack("clocks.cn", 2)),
            "APPLIED 2",
        ),
        ("taken back", by, withdraw("clocks.cn", 1), "APPLIED 2"),
        (
            "taken back by a member",
            "port-officer",
            withdraw("clocks.cn", 1),
            "NOT_ALLOWED",
        ),
    ];
    check(&world, cases);
    world.must(by, withdraw("clocks.cn", 1));
    check(
        &world,
        vec![
            (
                "taken back twice",
                by,
                withdraw("clocks.cn", 1),
                "WRONG_STATE",
            ),
            (
                "the number is used up",
                by,
                adopt(pack("clocks.cn", 1)),
                "CONFLICT",
            ),
        ],
    );
}

#[test]
fn the_newest_pack_of_the_day_is_in_force_until_it_is_taken_back() {
    let by = "authority-officer";
    let in_force = |world: &World, day: Day| {
        let view = world.view();
        let found = view.rule_pack_in_force(RulePackKind::Clocks, "CN", day);
        found.map(|it| it.number)
    };
    let mut world = World::founded();
    let later = Effective {
        from: day("2027-01-01"),
        until: Some(day("2027-12-31")),
    };
    world.must(
        by,
        adopt(RulePack {
            effective: later,
            ..pack("clocks.cn", 1)
        }),
    );
    let days = [
        "2025-07-31",
        "2026-12-31",
        "2027-01-01",
        "2027-12-31",
        "2028-01-01",
    ]
    .map(day);
    assert_eq!(
        days.map(|it| in_force(&world, it)),
        [None, Some(0), Some(1), Some(1), Some(0)]
    );
    world.must(by, withdraw("clocks.cn", 1));
    assert_eq!(in_force(&world, day("2027-06-01")), Some(0));
}

fn list(number: u64) -> RulePack {
    RulePack {
        series: RulePackId::parse("negative-list.example").unwrap(),
        number,
        jurisdiction: "440000".into(),
        effective: Effective {
            from: day("2026-01-01"),
            until: None,
        },
        cites: "an example".into(),
        note: "an example".into(),
        body: PackBody::NegativeList(NegativeList {
            zone: LocalText::new("示例", "example"),
            edition: "example".into(),
            rows: vec![ListRow {
                industry: "logistics".into(),
                scenario: "customers".into(),
                data_class: "partners".into(),
                fields: ["imo".to_owned()].into(),
                persons_from: Some(50_000),
                instrument: InstrumentKind::StandardContract,
                cites: "row 1".into(),
            }],
        }),
    }
}

/// With a member in Hong Kong, its consumer, and a published dataset.
fn abroad() -> World {
    let mut world = World::published();
    let participant = Box::new(Participant {
        kind: ParticipantKind::Foreign,
        jurisdiction: Jurisdiction::HONG_KONG,
        seat: None,
        ..participant("hk")
    });
    world.must(
        "authority-admin",
        Command::RegisterParticipant { participant },
    );
    for it in persons("hk") {
        let person = Box::new(it);
        world.must("authority-admin", Command::BindPerson { person });
    }
    world
}

fn contract() -> Instrument {
    instrument(InstrumentKind::StandardContract, PORT, "calls", "hk")
}

fn register(it: Instrument) -> Command {
    Command::RegisterInstrument {
        instrument: Box::new(it),
    }
}

fn shift(revision: u64, to: InstrumentState) -> Command {
    Command::MoveInstrument {
        instrument: InstrumentId::parse("i-1").unwrap(),
        revision,
        to,
        because: "a new document".into(),
    }
}

#[test]
fn an_instrument_is_registered_by_the_sender_and_covers_its_own_data() {
    let but = |kind, change: fn(&mut Instrument)| {
        let mut it = instrument(kind, PORT, "calls", "hk");
        change(&mut it);
        register(it)
    };
    let contract = |change| but(InstrumentKind::StandardContract, change);
    let by = "port-officer";
    let cases = vec![
        ("a contract", by, contract(|_| ()), "APPLIED 1"),
        (
            "by a steward",
            "port-steward",
            contract(|_| ()),
            "NOT_ALLOWED",
        ),
        (
            "by the authority",
            "authority-officer",
            contract(|_| ()),
            "NOT_ALLOWED",
        ),
        (
            "born suspended",
            by,
            contract(|it| it.state = InstrumentState::Suspended),
            "WRONG_STATE",
        ),
        (
            "at a later revision",
            by,
            contract(|it| it.revision = 1),
            "CONFLICT",
        ),
        (
            "ended before it began",
            by,
            contract(|it| it.until = day("2026-11-01")),
            "INVALID",
        ),
        (
            "filed before it began",
            by,
            contract(|it| it.filed_on = Some(day("2026-11-01"))),
            "INVALID",
        ),
        (
            "for nobody",
            by,
            contract(|it| it.envelope.recipients.clear()),
            "INVALID",
        ),
        (
            "for a stranger",
            by,
            contract(|it| it.envelope.recipients = [participant_id("nobody")].into()),
            "NOT_FOUND",
        ),
        (
            "to the mainland",
            by,
            contract(|it| it.envelope.destinations = [Jurisdiction::MAINLAND].into()),
            "INVALID",
        ),
        (
            "for no purpose",
            by,
            contract(|it| it.envelope.purposes.clear()),
            "INVALID",
        ),
        (
            "for no data",
            by,
            contract(|it| it.envelope.data.clear()),
            "INVALID",
        ),
        (
            "for a column that is not there",
            by,
            contract(|it| it.envelope.data[0].columns = ["salary".to_owned()].into()),
            "INVALID",
        ),
        (
            "for one dataset twice",
            by,
            contract(|it| it.envelope.data.push(it.envelope.data[0].clone())),
            "INVALID",
        ),
        (
            "without a scale",
            by,
            contract(|it| it.envelope.persons_max = None),
            "INVALID",
        ),
        (
            "without a retention",
            by,
            contract(|it| it.envelope.retention_days_max = None),
            "INVALID",
        ),
        (
            "by no method",
            by,
            contract(|it| it.envelope.methods.clear()),
            "INVALID",
        ),
        (
            "without a reference",
            by,
            contract(|it| it.reference.clear()),
            "INVALID",
        ),
        (
            "of customs, for the port's data",
            "customs-officer",
            contract(|it| it.processor = participant_id(CUSTOMS)),
            "INVALID",
        ),
        (
            "an assessment of three years less a day",
            by,
            {
                but(InstrumentKind::SecurityAssessment, |it| {
                    it.until = day("2029-11-01")
                })
            },
            "APPLIED 1",
        ),
        (
            "an assessment of three years and a day",
            by,
            {
                but(InstrumentKind::SecurityAssessment, |it| {
                    it.until = day("2029-11-02")
                })
            },
            "INVALID",
        ),
        (
            "a GBA contract from Guangzhou",
            by,
            but(InstrumentKind::GbaContract, |_| ()),
            "APPLIED 1",
        ),
        (
            "a GBA contract for two places",
            by,
            {
                but(InstrumentKind::GbaContract, |it| {
                    it.envelope.destinations.extend([Jurisdiction::MACAO])
                })
            },
            "INVALID",
        ),
        (
            "a GBA contract with the mainland's customs",
            by,
            {
                but(InstrumentKind::GbaContract, |it| {
                    it.envelope.recipients = [participant_id(CUSTOMS)].into();
                })
            },
            "INVALID",
        ),
        (
            "a contract with a classification",
            by,
            { contract(|it| it.classification = Some(classification("partners"))) },
            "INVALID",
        ),
        (
            "a classification under an unknown list",
            by,
            {
                but(InstrumentKind::ZoneClassification, |it| {
                    it.classification = Some(classification("partners"));
                })
            },
            "NOT_FOUND",
        ),
    ];
    let world = abroad();
    check(&world, cases);

    let mut listed = world;
    listed.must("authority-officer", adopt(list(1)));
    let classified = |class: &'static str| {
        let mut it = instrument(InstrumentKind::ZoneClassification, PORT, "calls", "hk");
        it.classification = Some(classification(class));
        register(it)
    };
    check(
        &listed,
        vec![
            (
                "in the list's words",
                by,
                classified("partners"),
                "APPLIED 1",
            ),
            ("in other words", by, classified("friends"), "INVALID"),
        ],
    );
}

fn classification(class: &str) -> ZoneClassification {
    ZoneClassification {
        list: RulePackId::parse("negative-list.example").unwrap(),
        number: 1,
        classes: [class.to_owned()].into(),
    }
}

#[test]
fn an_instrument_is_corrected_suspended_ended_and_revived_by_the_authority_alone() {
    let by = "port-officer";
    let mut world = abroad();
    world.must(by, register(contract()));
    let corrected = |change: fn(&mut Instrument)| {
        let mut it = contract();
        it.revision = 1;
        change(&mut it);
        register(it)
    };
    let cases = vec![
        (
            "filed",
            by,
            corrected(|it| it.filed_on = Some(day("2026-11-12"))),
            "APPLIED 2",
        ),
        (
            "of another kind",
            by,
            corrected(|it| it.kind = InstrumentKind::Certification),
            "CONFLICT",
        ),
        (
            "suspended by correcting",
            by,
            { corrected(|it| it.state = InstrumentState::Suspended) },
            "CONFLICT",
        ),
        (
            "suspended",
            by,
            shift(1, InstrumentState::Suspended),
            "APPLIED 2",
        ),
        (
            "by the authority",
            "authority-officer",
            shift(1, InstrumentState::Ended),
            "APPLIED 2",
        ),
        (
            "by another member",
            "customs-officer",
            shift(1, InstrumentState::Ended),
            "NOT_ALLOWED",
        ),
        (
            "by a steward",
            "port-steward",
            shift(1, InstrumentState::Ended),
            "NOT_ALLOWED",
        ),
        (
            "at an old revision",
            by,
            shift(0, InstrumentState::Ended),
            "CONFLICT",
        ),
        (
            "valid already",
            "authority-officer",
            shift(1, InstrumentState::Valid),
            "WRONG_STATE",
        ),
    ];
    check(&world, cases);
    world.must("authority-officer", shift(1, InstrumentState::Suspended));
    check(
        &world,
        vec![
            (
                "revived by the sender",
                by,
                shift(2, InstrumentState::Valid),
                "NOT_ALLOWED",
            ),
            (
                "revived",
                "authority-officer",
                shift(2, InstrumentState::Valid),
                "APPLIED 3",
            ),
        ],
    );
    world.must(by, shift(2, InstrumentState::Ended));
    check(
        &world,
        vec![
            (
                "revived from its end",
                "authority-officer",
                shift(3, InstrumentState::Valid),
                "WRONG_STATE",
            ),
            (
                "corrected after its end",
                by,
                corrected(|it| it.revision = 3),
                "WRONG_STATE",
            ),
        ],
    );
    let view = world.view();
    let found: Vec<_> = view
        .instruments_for(&participant_id(PORT), &participant_id("hk"))
        .map(|it| (it.state, it.state_because.clone()))
        .collect();
    assert_eq!(
        found,
        [(InstrumentState::Ended, Some("a new document".into()))]
    );
    assert_eq!(
        view.instruments_for(&participant_id("hk"), &participant_id(PORT))
            .count(),
        0
    );
}

fn year() -> Period {
    Period {
        from: at(0),
        until: at(400 * DAY_MS),
    }
}

fn submit(it: AccessRequest) -> Command {
    Command::SubmitRequest {
        request: Box::new(it),
    }
}

fn decide(id: &str, revision: u64, decision: RequestDecision) -> Command {
    Command::DecideRequest {
        request: request_id(id),
        revision,
        decision,
    }
}

/// 24:00 in Shanghai.
fn end(text: &str) -> Option<Timestamp> {
    Some(day(text).end())
}

/// State and due time of a request.
fn standing(world: &World, id: &str) -> (RequestState, Option<Timestamp>) {
    let view = world.view();
    let it = view.request(&request_id(id)).unwrap();
    (it.state, it.due_at)
}

/// The world begins on Tuesday, 2026-11-24, 16:00 in Shanghai.
#[test]
fn the_clocks_of_a_request_run_in_working_days_of_the_providers_seat() {
    let mut world = World::founded();
    world.publish(dataset("open", PORT));
    let mut conditional = dataset("calls", PORT);
    conditional.share = ShareAttribute::Conditional;
    conditional.share_conditions = Some("for supervision".into());
    world.publish(conditional);
    world.must("node-port", publish_version("calls", PORT, 1, at(1)));
    let by = "customs-consumer";
    world.must(by, submit(request("r0", "open", CUSTOMS, year())));
    assert_eq!(
        standing(&world, "r0"),
        (RequestState::Submitted, end("2026-11-25"))
    );
    world.must(by, submit(request("r1", "calls", CUSTOMS, year())));
    assert_eq!(
        standing(&world, "r1"),
        (RequestState::Submitted, end("2026-12-08"))
    );

    // Sent back, the clock stops; sent again, it begins anew.
    let missing = RequestDecision::Return {
        missing: "the article".into(),
    };
    world.must("port-steward", decide("r1", 1, missing));
    assert_eq!(standing(&world, "r1"), (RequestState::Returned, None));
    world.tick(3 * DAY_MS);
    let again = AccessRequest {
        revision: 2,
        ..request("r1", "calls", CUSTOMS, year())
    };
    world.must(by, submit(again.clone()));
    assert_eq!(
        standing(&world, "r1"),
        (RequestState::Submitted, end("2026-12-11"))
    );

    // Agreed, the clock of the delivery begins; the first rows that arrive end it.
    let (contract, grant) = agreement(&again, PORT);
    world.must(
        "port-steward",
        decide("r1", 3, agree(contract, grant.clone())),
    );
    assert_eq!(
        standing(&world, "r1"),
        (RequestState::Agreed, end("2026-12-25"))
    );
    let open = transfer("t1", &grant, 1);
    let transfer = Box::new(open.clone());
    world.must("node-customs", Command::OpenTransfer { transfer });
    let complete = Command::CompleteTransfer {
        transfer: open.id.clone(),
        receipts: receipts(&open),
    };
    world.must("node-customs", complete);
    assert_eq!(standing(&world, "r1"), (RequestState::Active, None));

    // In use, it ends with its grant.
    let because = "misuse".to_owned();
    let grant = grant.id;
    world.must("port-officer", Command::RevokeGrant { grant, because });
    assert_eq!(standing(&world, "r1"), (RequestState::Revoked, None));
}

#[test]
fn a_city_with_a_clock_of_its_own_is_held_to_it() {
    let mut world = World::published();
    let five = RulePack {
        series: RulePackId::parse("clocks.440100").unwrap(),
        number: 1,
        jurisdiction: "440100".into(),
        ..pack("clocks.140581", 0)
    };
    world.must("authority-officer", adopt(five));
    let mut conditional = dataset("berths", PORT);
    conditional.share = ShareAttribute::Conditional;
    conditional.share_conditions = Some("for supervision".into());
    world.publish(conditional);
    let by = "customs-consumer";
    world.must(by, submit(request("r1", "berths", CUSTOMS, year())));
    assert_eq!(standing(&world, "r1").1, end("2026-12-01"));
    // What the city does not set is the mainland's.
    world.must(by, submit(request("r2", "calls", CUSTOMS, year())));
    assert_eq!(standing(&world, "r2").1, end("2026-11-25"));
}

#[test]
fn a_holiday_and_a_make_up_day_move_the_end_of_a_term() {
    let mut world = World::published();
    // From Tuesday 2026-11-24: the 25th off, the Saturday after worked.
    let mut table = pack("holidays.cn", 1);
    if let PackBody::Holidays(holidays) = &mut table.body {
        let year = &mut holidays.years[1];
        let mut off = year.off[0].clone();
        (off.from, off.until) = (day("2026-11-25"), day("2026-11-27"));
        year.off.push(off);
        year.worked.push(day("2026-11-28"));
    }
    world.must("authority-officer", adopt(table));
    world.must(
        "customs-consumer",
        submit(request("r1", "calls", CUSTOMS, year())),
    );
    assert_eq!(standing(&world, "r1").1, end("2026-11-28"));
}

#[test]
fn a_late_answer_is_supervised_once_and_settled_when_it_comes() {
    let mut world = World::published();
    world.must(
        "customs-consumer",
        submit(request("r1", "calls", CUSTOMS, year())),
    );
    let due = day("2026-11-25").end();
    let told =
        |world: &World| -> Vec<Supervision> { world.view().supervisions().cloned().collect() };
    world.tick(due.millis_since(at(0)) - 1);
    assert_eq!(told(&world), []);
    world.tick(due.millis_since(at(0)));
    let late = Supervision {
        request: request_id("r1"),
        clock: SupervisedClock::Reply,
        due_at: due,
        raised_at: due,
        settled_at: None,
    };
    assert_eq!(told(&world), std::slice::from_ref(&late));
    world.tick(DAY_MS * 10);
    assert_eq!(told(&world), std::slice::from_ref(&late), "it is told once");
    assert_eq!(standing(&world, "r1").0, RequestState::Submitted);
    // A restart does not tell it again.
    let snapshot = world.state.to_snapshot().unwrap();
    world.state = State::from_snapshot(snapshot.as_slice()).unwrap();
    world.tick(DAY_MS * 11);
    assert_eq!(told(&world), std::slice::from_ref(&late));

    let reasons = "no basis".to_owned();
    world.must(
        "port-steward",
        decide("r1", 1, RequestDecision::Refuse { reasons }),
    );
    let settled = Supervision {
        settled_at: Some(at(DAY_MS * 11)),
        ..late
    };
    assert_eq!(told(&world), [settled]);
    assert_eq!(standing(&world, "r1"), (RequestState::Refused, None));
}

#[test]
fn a_late_delivery_is_supervised_too() {
    let mut world = World::published();
    let asked = request("r1", "calls", CUSTOMS, year());
    world.must("customs-consumer", submit(asked.clone()));
    let (contract, grant) = agreement(&asked, PORT);
    world.must("port-steward", decide("r1", 1, agree(contract, grant)));
    assert_eq!(
        standing(&world, "r1"),
        (RequestState::Agreed, end("2026-12-22"))
    );
    world.tick(day("2026-12-22").end().millis_since(at(0)));
    let view = world.view();
    let told: Vec<_> = view.supervisions().map(|it| it.clock).collect();
    assert_eq!(told, [SupervisedClock::Delivery]);
}

/// A world with request `r1` for a dataset of that grade, going there.
fn asked(grade: Grade, destination: Jurisdiction, consumer: &str) -> (World, AccessRequest) {
    let mut world = abroad();
    let mut card = dataset("watched", PORT);
    card.grade = grade;
    world.publish(card);
    let mut it = request("r1", "watched", consumer, year());
    it.destination = destination;
    world.must(&format!("{consumer}-consumer"), submit(it.clone()));
    (world, it)
}

#[test]
fn two_persons_agree_to_very_harmful_and_important_data_and_to_every_export() {
    let one = |grade, destination, consumer: &str| {
        let (mut world, it) = asked(grade, destination, consumer);
        let (contract, grant) = agreement(&it, PORT);
        world.must("port-steward", decide("r1", 1, agree(contract, grant)));
        standing(&world, "r1").0 == RequestState::Agreed
    };
    let here = Jurisdiction::MAINLAND;
    assert!(one(Grade::G3, here, CUSTOMS));
    assert!(!one(Grade::G4, here, CUSTOMS));
    assert!(!one(Grade::Important, here, CUSTOMS));
    assert!(!one(Grade::G1, Jurisdiction::HONG_KONG, CUSTOMS));
    assert!(!one(Grade::G1, here, "hk"), "the consumer sits abroad");
}

#[test]
fn the_second_person_is_another_and_agrees_to_the_same() {
    let (mut world, it) = asked(Grade::G4, Jurisdiction::MAINLAND, CUSTOMS);
    let answer = |days: i64| {
        let (mut contract, mut grant) = agreement(&it, PORT);
        contract.period.until = at(days * DAY_MS);
        grant.period.until = at(days * DAY_MS);
        agree(contract, grant)
    };
    let refuse = || RequestDecision::Refuse {
        reasons: "no basis".into(),
    };
    let yes = |days| decide("r1", 1, answer(days));
    check(
        &world,
        vec![
            ("first a steward", "port-steward", yes(300), "APPLIED 1"),
            ("first an officer", "port-officer", yes(300), "NOT_ALLOWED"),
            (
                "a refusal needs one",
                "port-steward",
                decide("r1", 1, refuse()),
                "APPLIED 2",
            ),
        ],
    );
    world.must("port-steward", yes(300));
    assert!(
        world.view().grants().next().is_none(),
        "nothing is granted yet"
    );
    let expected = Approval {
        request: request_id("r1"),
        request_revision: 1,
        answer: canonical::digest(&answer(300)).unwrap(),
        first: person_id("port-steward"),
        first_at: at(0),
        first_for: None,
        second: None,
        second_for: None,
    };
    assert_eq!(world.view().approval(&request_id("r1")), Some(&expected));
    check(
        &world,
        vec![
            ("the same person", "port-steward", yes(300), "NOT_ALLOWED"),
            (
                "the same person, another answer",
                "port-steward",
                yes(200),
                "APPLIED 1",
            ),
            ("another steward", "port-steward2", yes(300), "APPLIED 2"),
            ("an officer", "port-officer", yes(300), "APPLIED 2"),
            ("another answer", "port-officer", yes(200), "CONFLICT"),
            (
                "another member's",
                "customs-officer",
                yes(300),
                "NOT_ALLOWED",
            ),
            (
                "an officer does not refuse",
                "port-officer",
                decide("r1", 1, refuse()),
                "NOT_ALLOWED",
            ),
            (
                "a steward does",
                "port-steward2",
                decide("r1", 1, refuse()),
                "APPLIED 2",
            ),
        ],
    );
    world.must("port-officer", yes(300));
    assert_eq!(standing(&world, "r1").0, RequestState::Agreed);
    let approval = world.view().approval(&request_id("r1")).cloned();
    let second = Some(person_id("port-officer"));
    assert_eq!(approval, Some(Approval { second, ..expected }));
}

#[test]
fn an_agreement_is_void_once_the_request_moved() {
    let (mut world, it) = asked(Grade::G4, Jurisdiction::MAINLAND, CUSTOMS);
    let (contract, grant) = agreement(&it, PORT);
    let yes = |revision| decide("r1", revision, agree(contract.clone(), grant.clone()));
    world.must("port-steward", yes(1));
    let missing = RequestDecision::Return {
        missing: "the article".into(),
    };
    world.must("port-steward2", decide("r1", 1, missing));
    world.must(
        "customs-consumer",
        submit(AccessRequest { revision: 2, ..it }),
    );
    // The first agreement was to the request as it was; the second person is a first one now.
    let outcome = world.propose("port-steward2", yes(3));
    assert_eq!(outcome, Outcome::Applied { revision: 3 });
    assert_eq!(standing(&world, "r1").0, RequestState::Submitted);
    world.must("port-steward", yes(3));
    assert_eq!(standing(&world, "r1").0, RequestState::Agreed);
}

#[test]
fn what_ships_sets_the_clocks_that_the_decree_names() {
    let view = World::founded().view();
    let pack = view.rule_pack_in_force(RulePackKind::Clocks, "CN", day("2026-11-24"));
    let PackBody::Clocks(clocks) = &pack.unwrap().body else {
        panic!("another pack")
    };
    let days = |kind| clocks.clock(kind).map(|it| it.working_days);
    let kinds = [
        ClockKind::ReplyUnconditional,
        ClockKind::ReplyConditional,
        ClockKind::Delivery,
    ];
    assert_eq!(kinds.map(days), [Some(1), Some(10), Some(20)]);
}
