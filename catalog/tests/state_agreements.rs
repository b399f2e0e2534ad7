//! Requests, contracts, grants and transfers: what is applied and what is refused, in tables.
//!
//! It does not test members and datasets; `state_rules.rs` does.

#![expect(
    clippy::too_many_lines,
    reason = "a table is long; each entry is one case"
)]

mod state_world;

use schemas::command::Command;
use schemas::dataset::DatasetState;
use schemas::request::{AccessRequest, Contract, Grant, GrantState, RequestDecision, RequestState};
use schemas::transfer::{Transfer, TransferState};
use schemas::{Jurisdiction, Period};
use state_world::*;

fn submit(it: AccessRequest) -> Command {
    Command::SubmitRequest {
        request: Box::new(it),
    }
}

fn decide(revision: u64, decision: RequestDecision) -> Command {
    Command::DecideRequest {
        request: request_id("r1"),
        revision,
        decision,
    }
}

fn open(it: Transfer) -> Command {
    Command::OpenTransfer {
        transfer: Box::new(it),
    }
}

fn year() -> Period {
    Period {
        from: at(0),
        until: at(1_000_000),
    }
}

fn shift(id: &str, revision: u64, to: DatasetState) -> Command {
    Command::MoveDataset {
        dataset: dataset_id(id),
        revision,
        to,
    }
}

#[test]
fn requests_are_for_published_datasets_and_one_asks_for_herself() {
    let ask = |change: fn(&mut AccessRequest)| {
        let mut it = request("r1", "calls", CUSTOMS, year());
        change(&mut it);
        submit(it)
    };
    let by = "customs-consumer";
    let cases = vec![
        ("a request", by, ask(|_| ()), "APPLIED 1"),
        (
            "by a steward",
            "customs-steward",
            ask(|_| ()),
            "NOT_ALLOWED",
        ),
        (
            "for another",
            by,
            ask(|it| it.requester = person_id("customs-admin")),
            "NOT_ALLOWED",
        ),
        (
            "of nothing",
            by,
            ask(|it| it.dataset = dataset_id("nothing")),
            "NOT_FOUND",
        ),
        (
            "decided already",
            by,
            ask(|it| it.state = RequestState::Agreed),
            "INVALID",
        ),
        (
            "with a date of its own",
            by,
            ask(|it| it.due_at = Some(at(9))),
            "INVALID",
        ),
        (
            "for a strange column",
            by,
            ask(|it| it.columns = Some(vec!["x".into()])),
            "INVALID",
        ),
        (
            "for no column",
            by,
            ask(|it| it.columns = Some(vec![])),
            "INVALID",
        ),
        (
            "for no time",
            by,
            ask(|it| it.period.until = it.period.from),
            "INVALID",
        ),
        (
            "for the past",
            by,
            ask(|it| {
                it.period = Period {
                    from: at(-9),
                    until: at(0),
                }
            }),
            "INVALID",
        ),
        (
            "without a purpose",
            by,
            ask(|it| it.purpose.code.clear()),
            "INVALID",
        ),
    ];
    check(&World::published(), cases);
    let mut world = World::published();
    world.must("port-steward", shift("calls", 5, DatasetState::Suspended));
    check(
        &world,
        vec![("of a suspended one", by, ask(|_| ()), "WRONG_STATE")],
    );

    let own = submit(request("r1", "calls", PORT, year()));
    check(
        &World::published(),
        vec![("of its own", "port-consumer", own, "INVALID")],
    );
}

#[test]
fn an_agreement_gives_no_more_than_was_asked_for() {
    let mut world = World::published();
    let mut asked = request("r1", "calls", CUSTOMS, year());
    asked.columns = Some(vec!["imo".into(), "berth".into(), "arrival".into()]);
    world.must("customs-consumer", submit(asked.clone()));
    let answer = |change: &dyn Fn(&mut Contract, &mut Grant)| {
        let (mut contract, mut grant) = agreement(&asked, PORT);
        change(&mut contract, &mut grant);
        decide(1, agree(contract, grant))
    };
    let long = Period {
        from: at(0),
        until: at(2_000_000),
    };
    let short = Period {
        from: at(0),
        until: at(500_000),
    };
    let by = "port-steward";
    let cases: Vec<Case<'_>> = vec![
        ("agreed", by, answer(&|_, _| ()), "APPLIED 2"),
        (
            "by the consumer",
            "customs-steward",
            answer(&|_, _| ()),
            "NOT_ALLOWED",
        ),
        (
            "a contract beyond the request",
            by,
            answer(&|c, _| c.period = long),
            "INVALID",
        ),
        (
            "a grant beyond its contract",
            by,
            answer(&|c, _| c.period = short),
            "INVALID",
        ),
        (
            "a shorter agreement",
            by,
            answer(&|c, g| (c.period, g.period) = (short, short)),
            "APPLIED 2",
        ),
        (
            "a column not asked for",
            by,
            answer(&|_, g| g.columns.push("departure".into())),
            "INVALID",
        ),
        (
            "columns out of order",
            by,
            answer(&|_, g| g.columns.reverse()),
            "INVALID",
        ),
        (
            "fewer columns",
            by,
            answer(&|_, g| g.columns.truncate(1)),
            "APPLIED 2",
        ),
        (
            "no columns",
            by,
            answer(&|_, g| g.columns.clear()),
            "INVALID",
        ),
        (
            "another purpose",
            by,
            answer(&|_, g| g.purpose.code = "sale".into()),
            "INVALID",
        ),
        (
            "another destination",
            by,
            answer(&|_, g| g.destination = Jurisdiction::HONG_KONG),
            "INVALID",
        ),
        (
            "another consumer",
            by,
            answer(&|_, g| g.consumer = participant_id(AUTHORITY)),
            "INVALID",
        ),
        (
            "another dataset",
            by,
            answer(&|c, _| c.dataset = dataset_id("other")),
            "INVALID",
        ),
        (
            "another contract",
            by,
            answer(&|_, g| g.contract = contract_id("other")),
            "INVALID",
        ),
        (
            "born revoked",
            by,
            answer(&|_, g| g.state = GrantState::Revoked),
            "INVALID",
        ),
        (
            "a stranger as subject",
            by,
            answer(&|_, g| g.subject = Some(person_id("port-admin"))),
            "INVALID",
        ),
        (
            "one person as subject",
            by,
            answer(&|_, g| g.subject = Some(person_id("customs-admin"))),
            "APPLIED 2",
        ),
        (
            "an old revision",
            by,
            decide(
                0,
                RequestDecision::Refuse {
                    reasons: "no".into(),
                },
            ),
            "CONFLICT",
        ),
        (
            "refused",
            by,
            decide(
                1,
                RequestDecision::Refuse {
                    reasons: "no".into(),
                },
            ),
            "APPLIED 2",
        ),
        (
            "refused without reasons",
            by,
            decide(
                1,
                RequestDecision::Refuse {
                    reasons: " ".into(),
                },
            ),
            "INVALID",
        ),
        (
            "returned",
            by,
            decide(
                1,
                RequestDecision::Return {
                    missing: "basis".into(),
                },
            ),
            "APPLIED 2",
        ),
    ];
    check(&world, cases);

    let mut returned = world.clone();
    returned.must(
        by,
        decide(
            1,
            RequestDecision::Return {
                missing: "basis".into(),
            },
        ),
    );
    let withdraw = |revision| Command::WithdrawRequest {
        request: request_id("r1"),
        revision,
    };
    check(
        &returned,
        vec![
            (
                "sent again",
                "customs-consumer",
                submit(AccessRequest {
                    revision: 2,
                    ..asked.clone()
                }),
                "APPLIED 3",
            ),
            (
                "answered before that",
                by,
                decide(
                    2,
                    RequestDecision::Refuse {
                        reasons: "no".into(),
                    },
                ),
                "WRONG_STATE",
            ),
            ("withdrawn", "customs-consumer", withdraw(2), "APPLIED 3"),
            (
                "withdrawn by the provider",
                "port-consumer",
                withdraw(2),
                "NOT_ALLOWED",
            ),
        ],
    );
    check(
        &World::granted(),
        vec![
            (
                "withdrawn after the agreement",
                "customs-consumer",
                withdraw(2),
                "WRONG_STATE",
            ),
            (
                "asked again under its name",
                "customs-consumer",
                submit(asked.clone()),
                "CONFLICT",
            ),
        ],
    );
}

#[test]
fn a_revoked_grant_takes_its_request_and_running_transfers_with_it() {
    let mut world = World::granted();
    let grant = world.view().grant(&grant_id("g-r1")).unwrap().clone();
    world.must("node-customs", open(transfer("t1", &grant, 1)));
    let revoke = || Command::RevokeGrant {
        grant: grant_id("g-r1"),
        because: "misuse".into(),
    };
    check(
        &world,
        vec![
            ("by a steward", "port-steward", revoke(), "APPLIED 2"),
            ("by an officer", "port-officer", revoke(), "APPLIED 2"),
            (
                "by the consumer",
                "customs-steward",
                revoke(),
                "NOT_ALLOWED",
            ),
            ("by a node", "node-port", revoke(), "NOT_ALLOWED"),
        ],
    );
    world.must("port-officer", revoke());
    let view = world.view();
    let expected = Grant {
        state: GrantState::Revoked,
        ended_because: Some("misuse".into()),
        revision: 2,
        ..grant.clone()
    };
    assert_eq!(view.grant(&grant.id), Some(&expected));
    assert_eq!(
        view.request(&request_id("r1")).unwrap().state,
        RequestState::Revoked
    );
    assert_eq!(
        view.transfer(&transfer_id("t1")).unwrap().state,
        TransferState::Terminated
    );
    let cases = vec![
        ("twice", "port-steward", revoke(), "WRONG_STATE"),
        (
            "used",
            "node-customs",
            open(transfer("t2", &grant, 1)),
            "WRONG_STATE",
        ),
    ];
    check(&world, cases);
}

#[test]
fn transfers_run_under_a_grant_in_force_and_end_with_two_receipts() {
    let world = World::granted();
    let grant = world.view().grant(&grant_id("g-r1")).unwrap().clone();
    let with = |change: fn(&mut Transfer)| {
        let mut it = transfer("t1", &grant, 1);
        change(&mut it);
        open(it)
    };
    let by = "node-customs";
    check(
        &world,
        vec![
            ("opened", by, with(|_| ()), "APPLIED 1"),
            ("by the provider", "node-port", with(|_| ()), "NOT_ALLOWED"),
            (
                "by a person",
                "customs-consumer",
                with(|_| ()),
                "NOT_ALLOWED",
            ),
            ("of no version", by, with(|it| it.version = 2), "NOT_FOUND"),
            (
                "under no grant",
                by,
                with(|it| it.grant = grant_id("none")),
                "NOT_FOUND",
            ),
            (
                "of another dataset",
                by,
                with(|it| it.dataset = dataset_id("x")),
                "INVALID",
            ),
            (
                "done at once",
                by,
                with(|it| it.state = TransferState::Completed),
                "INVALID",
            ),
        ],
    );
    let mut late = world.clone();
    late.tick(1_000_000);
    check(
        &late,
        vec![("after its period", by, with(|_| ()), "WRONG_STATE")],
    );

    let mut running = world;
    running.must(by, with(|_| ()));
    let it = transfer("t1", &grant, 1);
    let complete = |change: &dyn Fn(&mut Vec<schemas::Signed<schemas::transfer::Receipt>>)| {
        let mut receipts = receipts(&it);
        change(&mut receipts);
        Command::CompleteTransfer {
            transfer: it.id.clone(),
            receipts,
        }
    };
    let end = || Command::TerminateTransfer {
        transfer: it.id.clone(),
        because: "cut".into(),
    };
    check(
        &running,
        vec![
            ("completed", by, complete(&|_| ()), "APPLIED 2"),
            (
                "in the other order",
                by,
                complete(&|all| all.reverse()),
                "APPLIED 2",
            ),
            (
                "by the provider",
                "node-port",
                complete(&|_| ()),
                "NOT_ALLOWED",
            ),
            (
                "with one receipt",
                by,
                complete(&|all| all.truncate(1)),
                "INVALID",
            ),
            (
                "with one side twice",
                by,
                complete(&|all| all[1] = all[0].clone()),
                "INVALID",
            ),
            (
                "with other rows",
                by,
                complete(&|all| all[1].body.rows = 9),
                "INVALID",
            ),
            (
                "under another key",
                by,
                complete(&|all| all[0].key = all[1].key),
                "SIGNATURE_REJECTED",
            ),
            (
                "for another version",
                by,
                complete(&|all| all[0].body.version = 2),
                "INVALID",
            ),
            ("ended by the consumer", by, end(), "APPLIED 2"),
            ("ended by the provider", "node-port", end(), "APPLIED 2"),
            (
                "ended by a stranger",
                "node-authority",
                end(),
                "NOT_ALLOWED",
            ),
        ],
    );
    running.must(by, complete(&|_| ()));
    check(
        &running,
        vec![("ended when done", by, end(), "WRONG_STATE")],
    );
}

#[test]
fn a_tick_moves_time_forward_and_ends_what_is_over() {
    let tick = |millis| Command::Tick { now: at(millis) };
    check(
        &World::granted(),
        vec![
            ("forward", "node-port", tick(1), "APPLIED 0"),
            ("by a person", "port-admin", tick(1), "NOT_ALLOWED"),
            ("far forward", "node-port", tick(500_000_000), "APPLIED 0"),
        ],
    );
    let mut world = World::granted();
    world.must(
        "customs-consumer",
        submit(request("r2", "calls", CUSTOMS, year())),
    );
    world.tick(999_999);
    assert_eq!(
        world.view().grant(&grant_id("g-r1")).unwrap().state,
        GrantState::Active
    );
    check(&world, vec![("back", "node-port", tick(5), "CONFLICT")]);
    world.tick(1_000_000);
    let view = world.view();
    let states: Vec<_> = view.requests().map(|it| it.state).collect();
    assert_eq!(states, [RequestState::Expired, RequestState::Expired]);
    let grant = view.grant(&grant_id("g-r1")).unwrap();
    assert_eq!((grant.state, grant.revision), (GrantState::Expired, 2));
    assert_eq!(view.leader_time(), at(1_000_000));
}
