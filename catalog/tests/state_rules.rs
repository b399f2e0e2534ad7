//! Members, datasets, versions, standards and policy sets: what is applied and what is refused,
//! in tables through one `check` function.
//!
//! It does not test signatures or random histories; its neighbours do.

#![expect(
    clippy::too_many_lines,
    reason = "a table is long; each entry is one case"
)]

mod state_world;

use crypto::Digest;
use schemas::command::{Command, Outcome};
use schemas::dataset::{Dataset, DatasetState, Grade, ShareAttribute};
use schemas::participant::{Node, Participant, Person, Role};
use schemas::policy_set::PolicySet;
use schemas::quality::{Ppm, QualityCheck, QualityRule, Severity};
use schemas::{LocalText, RuleId};
use state_world::*;

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
            node_of(|it| it.transport_keys.extend(node(CUSTOMS, 3).transport_keys)),
            "CONFLICT",
        ),
        (
            "a node with a second transport key",
            "port-admin",
            node_of(|it| {
                it.transport_keys
                    .insert(Digest::of(b"its next certificate"));
            }),
            "APPLIED 2",
        ),
        (
            "a node without a transport key",
            "port-admin",
            node_of(|it| it.transport_keys.clear()),
            "INVALID",
        ),
        (
            "a node with more transport keys than it can show",
            "port-admin",
            node_of(|it| {
                let more = (0_u8..4).map(|number| Digest::of(&[number]));
                it.transport_keys.extend(more);
            }),
            "INVALID",
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
    let submitted = [
        ("port-steward2", S::DepartmentApproved),
        (ours, S::Submitted),
    ];
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
    let walk = [
        ("authority-steward2", S::DepartmentApproved),
        (theirs, S::Submitted),
    ];
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
