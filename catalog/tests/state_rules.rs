//! What is applied and what is refused, by noun: tables through one `check` function.
//!
//! It does not test signatures or random histories; its neighbours do.

mod state_world;

use schemas::command::{Command, Outcome};
use schemas::dataset::{Dataset, DatasetState, Grade, ShareAttribute};
use schemas::participant::{Node, Participant, Person, Role};
use schemas::policy_set::PolicySet;
use schemas::quality::{Ppm, QualityCheck, QualityRule, Severity};
use schemas::request::{AccessRequest, Contract, Grant, GrantState, RequestDecision, RequestState};
use schemas::transfer::{Transfer, TransferState};
use schemas::{Jurisdiction, LocalText, Period, RuleId};
use state_world::*;

type Case<'a> = (&'a str, &'a str, Command, &'a str);

/// Proposes each command to a copy of `world` and compares what becomes of it: `APPLIED 2` with
/// the revision, or a refusal's code. A refusal must say something and must leave every record
/// but remembered commands as it was.
#[track_caller]
fn check(world: &World, cases: Vec<Case<'_>>) {
    for (name, by, command, expected) in cases {
        let mut copy = world.clone();
        let outcome = copy.propose(by, command);
        if matches!(outcome, Outcome::Refused { .. }) {
            assert!(
                copy.records() == world.records(),
                "{name}: refused, yet a record changed"
            );
        }
        let said = match &outcome {
            Outcome::Applied { revision } => format!("APPLIED {revision}"),
            Outcome::Refused { code, detail } => {
                assert!(
                    detail.len() > 20,
                    "{name}: the detail says too little: {detail}"
                );
                code.to_string()
            }
        };
        assert_eq!(said, expected, "{name}: {outcome:?}");
    }
}

fn register(it: Participant) -> Command {
    Command::RegisterParticipant {
        participant: Box::new(it),
    }
}

fn register_node(it: Node) -> Command {
    Command::RegisterNode { node: Box::new(it) }
}

fn bind(it: Person) -> Command {
    Command::BindPerson {
        person: Box::new(it),
    }
}

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

#[test]
fn a_federation_is_founded_once_by_one_of_its_persons() {
    let with = |change: fn(&mut Participant, &mut Node, &mut Vec<Person>)| {
        let (mut authority, mut node) = (participant(AUTHORITY), node(AUTHORITY, 1));
        let mut persons = persons(AUTHORITY);
        change(&mut authority, &mut node, &mut persons);
        Command::Found {
            authority: Box::new(authority),
            node: Box::new(node),
            persons,
        }
    };
    let drop_officer = |_: &mut Participant, _: &mut Node, persons: &mut Vec<Person>| {
        persons.remove(1);
    };
    let cases = vec![
        (
            "by its administrator",
            "authority-admin",
            found(),
            "APPLIED 1",
        ),
        ("by its officer", "authority-officer", found(), "APPLIED 1"),
        ("by a steward", "authority-steward", found(), "NOT_ALLOWED"),
        ("by a node", "node-authority", found(), "NOT_ALLOWED"),
        (
            "by a stranger",
            "authority-stranger",
            found(),
            "SIGNATURE_REJECTED",
        ),
        (
            "without an officer",
            "authority-admin",
            with(drop_officer),
            "INVALID",
        ),
        (
            "with two duties in one person",
            "authority-admin",
            with(|_, _, persons| {
                persons[0].roles.insert(Role::Auditor);
            }),
            "INVALID",
        ),
        (
            "with a shared key",
            "authority-admin",
            with(|_, node, persons| node.signing = persons[0].signing.clone()),
            "CONFLICT",
        ),
        (
            "with a node that has no vote",
            "authority-admin",
            with(|_, node, _| node.raft_number = 0),
            "INVALID",
        ),
        (
            "a tick before it",
            "node-authority",
            Command::Tick { now: at(5) },
            "SIGNATURE_REJECTED",
        ),
    ];
    check(&World::empty(), cases);
    check(
        &World::founded(),
        vec![("again", "authority-admin", found(), "CONFLICT")],
    );
}

#[test]
fn participants_nodes_and_persons_are_registered_by_administrators() {
    let new = |id: &str| participant(id);
    let port = |change: fn(&mut Participant)| {
        let mut it = Participant {
            revision: 1,
            ..participant(PORT)
        };
        change(&mut it);
        register(it)
    };
    let node_of = |change: fn(&mut Node)| {
        let mut it = Node {
            revision: 1,
            ..node(PORT, 2)
        };
        change(&mut it);
        register_node(it)
    };
    let clerk = || person("port-clerk", PORT, &[Role::DataConsumer]);
    let cases = vec![
        (
            "a new one",
            "authority-admin",
            register(new("rail")),
            "APPLIED 1",
        ),
        (
            "by its own administrator",
            "port-admin",
            register(new("rail")),
            "NOT_ALLOWED",
        ),
        (
            "by an officer",
            "authority-officer",
            register(new("rail")),
            "NOT_ALLOWED",
        ),
        (
            "by a node",
            "node-authority",
            register(new("rail")),
            "NOT_ALLOWED",
        ),
        (
            "changed",
            "authority-admin",
            port(|it| it.ciio = true),
            "APPLIED 2",
        ),
        (
            "from an old revision",
            "authority-admin",
            port(|it| it.revision = 0),
            "CONFLICT",
        ),
        (
            "with another's key",
            "authority-admin",
            port(|it| it.signing = public(CUSTOMS)),
            "CONFLICT",
        ),
        (
            "with one key for two uses",
            "authority-admin",
            port(|it| it.encryption = it.signing.clone()),
            "INVALID",
        ),
        (
            "with a name that is too long",
            "authority-admin",
            port(|it| it.name.en = "x".repeat(LocalText::CHARS_MAX + 1)),
            "INVALID",
        ),
        (
            "a node moved",
            "port-admin",
            node_of(|it| it.raft_address = "x:1".into()),
            "APPLIED 2",
        ),
        (
            "a node by a stranger",
            "customs-admin",
            node_of(|_| ()),
            "NOT_ALLOWED",
        ),
        (
            "a node that takes up a stranger",
            "port-admin",
            node_of(|it| {
                it.hosts.insert(participant_id(CUSTOMS));
            }),
            "NOT_ALLOWED",
        ),
        (
            "a node with another's transport key",
            "port-admin",
            node_of(|it| it.transport_key = node(CUSTOMS, 3).transport_key),
            "CONFLICT",
        ),
        (
            "a taken raft number",
            "port-admin",
            node_of(|it| it.raft_number = 3),
            "CONFLICT",
        ),
        ("a person", "port-admin", bind(clerk()), "APPLIED 1"),
        (
            "a person, by the authority",
            "authority-admin",
            bind(clerk()),
            "APPLIED 1",
        ),
        (
            "a person, by a stranger",
            "customs-admin",
            bind(clerk()),
            "NOT_ALLOWED",
        ),
        (
            "roles for herself",
            "port-admin",
            bind(Person {
                revision: 1,
                ..person(
                    "port-admin",
                    PORT,
                    &[Role::SystemAdministrator, Role::DataSteward],
                )
            }),
            "NOT_ALLOWED",
        ),
        (
            "two separate duties",
            "port-admin",
            bind(person(
                "port-clerk",
                PORT,
                &[Role::SecurityOfficer, Role::Auditor],
            )),
            "INVALID",
        ),
        (
            "for nobody",
            "authority-admin",
            bind(person("rail-clerk", "rail", &[])),
            "NOT_FOUND",
        ),
    ];
    check(&World::founded(), cases);
}

#[test]
fn an_author_acts_within_her_validity_and_near_leader_time() {
    let mut world = World::founded();
    let short = Person {
        not_after: at(1_000),
        ..person("port-temp", PORT, &[Role::SystemAdministrator])
    };
    world.must("port-admin", bind(short));
    let clerk = || bind(person("port-clerk", PORT, &[]));
    check(&world, vec![("in time", "port-temp", clerk(), "APPLIED 1")]);
    world.tick(1_000);
    check(
        &world,
        vec![("too late", "port-temp", clerk(), "NOT_ALLOWED")],
    );

    let code = |millis: i64| {
        let it = proposal("off", "port-admin", at(1_000 + millis), clerk());
        match world.clone().apply(it) {
            Outcome::Applied { .. } => "APPLIED".to_owned(),
            Outcome::Refused { code, .. } => code.to_string(),
        }
    };
    let five_minutes = 300_000;
    for (millis, expected) in [
        (five_minutes, "APPLIED"),
        (-five_minutes, "APPLIED"),
        (five_minutes + 1, "CLOCK_SKEW"),
        (-five_minutes - 1, "CLOCK_SKEW"),
    ] {
        assert_eq!(code(millis), expected, "{millis} ms off");
    }
}

#[test]
fn a_replaced_key_no_longer_signs() {
    let mut world = World::founded();
    let changed = Person {
        signing: public("a new key"),
        revision: 1,
        ..person("port-steward", PORT, &[Role::DataSteward])
    };
    world.must("port-admin", bind(changed));
    let command = describe(dataset("calls", PORT));
    check(
        &world,
        vec![("the old key", "port-steward", command, "SIGNATURE_REJECTED")],
    );
}

#[test]
fn a_dataset_card_keeps_its_duties() {
    let card = |change: fn(&mut Dataset)| {
        let mut it = dataset("calls", PORT);
        change(&mut it);
        describe(it)
    };
    let rule = |column: &str| QualityRule {
        id: RuleId::parse("complete").unwrap(),
        title: LocalText::new("完整", "Complete"),
        check: QualityCheck::Complete {
            column: column.to_owned(),
        },
        pass_line: Ppm(1_000_000),
        severity: Severity::Block,
    };
    let mut with_rule = dataset("calls", PORT);
    with_rule.quality_rules = vec![rule("imo")];
    let mut with_strange_rule = dataset("calls", PORT);
    with_strange_rule.quality_rules = vec![rule("draught")];
    let mut with_two = dataset("calls", PORT);
    with_two.quality_rules = vec![rule("imo"), rule("berth")];
    let steward = "port-steward";
    let cases = vec![
        ("a card", steward, card(|_| ()), "APPLIED 1"),
        (
            "of another provider",
            "customs-steward",
            card(|_| ()),
            "NOT_ALLOWED",
        ),
        (
            "by a consumer",
            "port-consumer",
            card(|_| ()),
            "NOT_ALLOWED",
        ),
        (
            "not as a draft",
            steward,
            card(|it| it.state = DatasetState::Published),
            "WRONG_STATE",
        ),
        (
            "without columns",
            steward,
            card(|it| it.columns.clear()),
            "INVALID",
        ),
        (
            "a column twice",
            steward,
            card(|it| it.columns.push(column("imo"))),
            "INVALID",
        ),
        (
            "too many columns",
            steward,
            card(|it| {
                it.columns = (0..=Dataset::COLUMNS_MAX)
                    .map(|n| column(&format!("c{n}")))
                    .collect();
            }),
            "INVALID",
        ),
        ("a rule", steward, describe(with_rule), "APPLIED 1"),
        (
            "a rule over no column",
            steward,
            describe(with_strange_rule),
            "INVALID",
        ),
        ("a rule twice", steward, describe(with_two), "INVALID"),
        (
            "conditional",
            steward,
            card(|it| it.share = ShareAttribute::Conditional),
            "INVALID",
        ),
        (
            "not shared",
            steward,
            card(|it| it.share = ShareAttribute::NotShared),
            "INVALID",
        ),
        (
            "not shared, with its basis",
            steward,
            card(|it| {
                it.share = ShareAttribute::NotShared;
                it.share_basis = Some("保守国家秘密法".to_owned());
            }),
            "APPLIED 1",
        ),
        (
            "an unknown standard",
            steward,
            card(|it| it.standard.edition = 9),
            "NOT_FOUND",
        ),
        (
            "an owner elsewhere",
            steward,
            card(|it| it.owner = node_id("node-customs")),
            "INVALID",
        ),
        (
            "no owner",
            steward,
            card(|it| it.owner = node_id("nowhere")),
            "NOT_FOUND",
        ),
        (
            "a revision out of nothing",
            steward,
            card(|it| it.revision = 3),
            "CONFLICT",
        ),
        (
            "a float-like number",
            steward,
            card(|it| it.revision = 1 << 52),
            "CONFLICT",
        ),
    ];
    check(&World::founded(), cases);
}

#[test]
fn a_dataset_walks_its_life_step_by_step() {
    use DatasetState as S;
    let steps = |dataset: &Dataset, walk: &[(&str, S)]| {
        let mut world = World::founded();
        world.must(
            &format!("{}-steward", dataset.provider),
            describe(dataset.clone()),
        );
        for (revision, (by, to)) in (1..).zip(walk) {
            world.must(by, shift("calls", revision, *to));
        }
        world
    };
    let card = dataset("calls", PORT);
    let (ours, theirs) = ("port-steward", "authority-steward");
    let submitted = [(ours, S::DepartmentApproved), (ours, S::Submitted)];
    check(
        &steps(&card, &submitted),
        vec![
            (
                "the authority approves",
                theirs,
                shift("calls", 3, S::Approved),
                "APPLIED 4",
            ),
            (
                "the authority returns",
                theirs,
                shift("calls", 3, S::Returned),
                "APPLIED 4",
            ),
            (
                "the provider approves itself",
                ours,
                shift("calls", 3, S::Approved),
                "NOT_ALLOWED",
            ),
            (
                "straight to published",
                ours,
                shift("calls", 3, S::Published),
                "WRONG_STATE",
            ),
            (
                "from an old revision",
                theirs,
                shift("calls", 2, S::Approved),
                "CONFLICT",
            ),
            (
                "edited meanwhile",
                ours,
                describe(Dataset {
                    revision: 3,
                    ..card.clone()
                }),
                "WRONG_STATE",
            ),
        ],
    );
    let core = Dataset {
        grade: Grade::Core,
        ..card.clone()
    };
    let approved = [submitted[0], submitted[1], (theirs, S::Approved)];
    check(
        &steps(&core, &approved),
        vec![(
            "core data",
            ours,
            shift("calls", 4, S::Published),
            "NOT_ALLOWED",
        )],
    );
    let published = [approved[0], approved[1], approved[2], (ours, S::Published)];
    let served = steps(&card, &published);
    check(
        &served,
        vec![
            ("revised", ours, shift("calls", 5, S::Revising), "APPLIED 6"),
            (
                "suspended",
                ours,
                shift("calls", 5, S::Suspended),
                "APPLIED 6",
            ),
            ("retired", ours, shift("calls", 5, S::Retired), "APPLIED 6"),
            (
                "back to draft",
                ours,
                shift("calls", 5, S::Draft),
                "WRONG_STATE",
            ),
        ],
    );
    let mut revising = served;
    revising.must(ours, shift("calls", 5, S::Revising));
    let revised = |grade| Dataset {
        grade,
        state: S::Revising,
        revision: 6,
        ..card.clone()
    };
    check(
        &revising,
        vec![
            (
                "a new text",
                ours,
                describe(revised(Grade::G3)),
                "APPLIED 7",
            ),
            (
                "graded core while served",
                ours,
                describe(revised(Grade::Core)),
                "WRONG_STATE",
            ),
        ],
    );
    let own = dataset("calls", AUTHORITY);
    let walk = [(theirs, S::DepartmentApproved), (theirs, S::Submitted)];
    check(
        &steps(&own, &walk),
        vec![
            (
                "by who submitted it",
                theirs,
                shift("calls", 3, S::Approved),
                "NOT_ALLOWED",
            ),
            (
                "by another",
                "authority-steward2",
                shift("calls", 3, S::Approved),
                "APPLIED 4",
            ),
        ],
    );
}

#[test]
fn versions_follow_each_other_with_a_fresh_intent() {
    let publish = |change: fn(&mut schemas::dataset::DatasetVersion)| {
        let mut body = version("calls", PORT, 2, at(2));
        change(&mut body);
        Command::PublishVersion {
            version: Box::new(signed(body, PORT)),
        }
    };
    let by_customs_key = Command::PublishVersion {
        version: Box::new(signed(version("calls", PORT, 2, at(2)), CUSTOMS)),
    };
    let owner = "node-port";
    let cases = vec![
        ("the next", owner, publish(|_| ()), "APPLIED 2"),
        (
            "by another node",
            "node-customs",
            publish(|_| ()),
            "NOT_ALLOWED",
        ),
        (
            "by a person",
            "port-steward",
            publish(|_| ()),
            "NOT_ALLOWED",
        ),
        ("with a gap", owner, publish(|it| it.number = 3), "CONFLICT"),
        ("again", owner, publish(|it| it.number = 1), "CONFLICT"),
        (
            "under another key",
            owner,
            by_customs_key,
            "SIGNATURE_REJECTED",
        ),
        (
            "that failed its gate",
            owner,
            publish(|it| it.verdict.passed = false),
            "INVALID",
        ),
        (
            "of another edition",
            owner,
            publish(|it| it.standard.edition = 2),
            "INVALID",
        ),
        (
            "on a used intent",
            owner,
            publish(|it| it.intent.body.at = at(1)),
            "CONFLICT",
        ),
        (
            "on a future intent",
            owner,
            publish(|it| it.intent.body.at = at(900_000)),
            "CLOCK_SKEW",
        ),
        (
            "on a consumer's intent",
            owner,
            publish(|it| {
                it.intent.body.person = person_id("port-consumer");
                it.intent.key = public("port-consumer").key_id();
            }),
            "NOT_ALLOWED",
        ),
        (
            "on an intent under another key",
            owner,
            publish(|it| it.intent.key = public("port-consumer").key_id()),
            "SIGNATURE_REJECTED",
        ),
        (
            "on an intent for another dataset",
            owner,
            publish(|it| it.intent.body.dataset = dataset_id("other")),
            "INVALID",
        ),
    ];
    check(&World::published(), cases);
    let mut draft = World::founded();
    draft.must("port-steward", describe(dataset("calls", PORT)));
    let command = publish_version("calls", PORT, 1, at(1));
    check(&draft, vec![("of a draft", owner, command, "WRONG_STATE")]);
}

fn year() -> Period {
    Period {
        from: at(0),
        until: at(1_000_000),
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

#[test]
fn editions_and_policy_sets_follow_without_gaps() {
    let adopt = |number| Command::AdoptStandard {
        standard: Box::new(standard(number)),
    };
    let policy = |number, rules: &str| Command::AdoptPolicySet {
        policy_set: Box::new(PolicySet {
            number,
            model: "[request_definition]".into(),
            roles: "p, auditor, ledger.read".into(),
            rules: rules.into(),
            note: "first".into(),
        }),
    };
    check(
        &World::founded(),
        vec![
            ("the next edition", "customs-steward", adopt(2), "APPLIED 2"),
            ("an edition again", "port-steward", adopt(1), "CONFLICT"),
            ("a gap", "port-steward", adopt(3), "CONFLICT"),
            ("by a consumer", "port-consumer", adopt(2), "NOT_ALLOWED"),
            (
                "a policy set",
                "authority-officer",
                policy(1, "x = 1"),
                "APPLIED 1",
            ),
            (
                "by a member's officer",
                "port-officer",
                policy(1, "x = 1"),
                "NOT_ALLOWED",
            ),
            (
                "by the administrator",
                "authority-admin",
                policy(1, "x = 1"),
                "NOT_ALLOWED",
            ),
            (
                "the shipped number",
                "authority-officer",
                policy(0, "x = 1"),
                "CONFLICT",
            ),
            ("empty rules", "authority-officer", policy(1, ""), "INVALID"),
            (
                "too long",
                "authority-officer",
                policy(1, &"x".repeat(800_000)),
                "INVALID",
            ),
        ],
    );
}

#[test]
fn a_used_identifier_answers_again_or_conflicts_but_is_applied_once() {
    let mut world = World::founded();
    let it = proposal(
        "once",
        "port-steward",
        at(0),
        describe(dataset("calls", PORT)),
    );
    assert_eq!(world.apply(it.clone()), Outcome::Applied { revision: 1 });
    let digest = world.state.digest();
    assert_eq!(world.apply(it), Outcome::Applied { revision: 1 });
    assert_eq!(world.state.digest(), digest);
    let other = proposal(
        "once",
        "port-steward",
        at(0),
        describe(dataset("other", PORT)),
    );
    let Outcome::Refused { code, .. } = world.apply(other) else {
        panic!("applied")
    };
    assert_eq!(code.to_string(), "CONFLICT");
    // Another author's identifiers are her own.
    let theirs = proposal(
        "once",
        "customs-steward",
        at(0),
        describe(dataset("x", CUSTOMS)),
    );
    assert_eq!(world.apply(theirs), Outcome::Applied { revision: 1 });
}
