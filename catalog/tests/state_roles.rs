//! Who may propose which command: every command by every role of every side, as one table, and the
//! separation of system, security and audit administration (GB/T 22239-2019, 8.1.5).
//!
//! It does not test what else a command needs: whoever is not refused as NOT_ALLOWED may propose.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be built is a failed test"
)]
#![expect(
    clippy::too_many_lines,
    reason = "a table is long; each entry is one case"
)]

mod state_world;

use std::collections::{BTreeMap, BTreeSet};

use schemas::command::{Command, Outcome, RefusalCode};
use schemas::correction::{Correction, CorrectionState};
use schemas::dataset::DatasetState;
use schemas::delegation::Delegation;
use schemas::dispute::DisputeMove;
use schemas::export::{InstrumentKind, InstrumentState};
use schemas::participant::Role;
use schemas::policy_set::PolicySet;
use schemas::request::RequestDecision;
use schemas::{CorrectionId, InstrumentId, Period, RulePackId};
use state_world::*;

/// Duties by which persons of this world are named.
const DUTIES: [&str; 6] = [
    "admin", "officer", "auditor", "steward", "steward2", "consumer",
];
const SIDES: [&str; 3] = [AUTHORITY, PORT, CUSTOMS];

fn auditor(participant: &str) -> Command {
    let it = person(
        &format!("{participant}-auditor"),
        participant,
        &[Role::Auditor],
    );
    Command::BindPerson {
        person: Box::new(it),
    }
}

fn policy_set() -> Command {
    let text = || "text".to_owned();
    let (model, roles, rules, note) = (text(), text(), text(), text());
    Command::AdoptPolicySet {
        policy_set: Box::new(PolicySet {
            number: 1,
            model,
            roles,
            rules,
            note,
        }),
    }
}

fn instrument_of_port() -> Command {
    let mut it = instrument(InstrumentKind::StandardContract, PORT, "calls", CUSTOMS);
    it.envelope.destinations = [schemas::Jurisdiction::HONG_KONG].into();
    Command::RegisterInstrument {
        instrument: Box::new(it),
    }
}

/// A granted request, an open one, a refused one and one of an emergency; auditors; one of all else
/// that commands name.
fn world() -> World {
    let mut world = World::granted();
    for side in SIDES {
        world.must("authority-admin", auditor(side));
    }
    for id in ["open", "refused", "urgent"] {
        let request = Box::new(request(id, "calls", CUSTOMS, life()));
        world.must("customs-consumer", Command::SubmitRequest { request });
    }
    let refuse = RequestDecision::Refuse {
        reasons: "no basis".into(),
    };
    world.must("port-steward", decide("refused", refuse));
    let (contract, grant) = agreement(&request("urgent", "calls", CUSTOMS, life()), PORT);
    let emergency = RequestDecision::Emergency {
        contract: Box::new(contract),
        grant: Box::new(grant),
        because: "a ship on fire".into(),
    };
    // Somebody who is none of those that are asked below.
    let third = person("port-steward3", PORT, &[Role::DataSteward]);
    let person = Box::new(third);
    world.must("port-admin", Command::BindPerson { person });
    world.must("port-steward3", decide("urgent", emergency));
    world.must("customs-consumer", ticket());
    let running = {
        let view = world.view();
        transfer("t0", view.grant(&grant_id("g-r1")).unwrap(), 1)
    };
    let transfer = Box::new(running);
    world.must("node-customs", Command::OpenTransfer { transfer });
    world.must("authority-officer", adopt_pack(1));
    world.must("port-officer", instrument_of_port());
    world.must("port-steward3", delegation("port-steward3"));
    world.must("port-steward", describe("draft", 0));
    world
}

fn life() -> Period {
    Period {
        from: at(0),
        until: at(900_000),
    }
}

fn decide(id: &str, decision: RequestDecision) -> Command {
    Command::DecideRequest {
        request: request_id(id),
        revision: 1,
        decision,
    }
}

fn adopt_pack(number: u64) -> Command {
    Command::AdoptRulePack {
        rule_pack: Box::new(pack("clocks.cn", number)),
    }
}

fn describe(id: &str, revision: u64) -> Command {
    let mut it = dataset(id, PORT);
    it.revision = revision;
    Command::DescribeDataset {
        dataset: Box::new(it),
    }
}

fn ticket() -> Command {
    let it = Correction {
        id: CorrectionId::parse("c1").unwrap(),
        dataset: dataset_id("calls"),
        version: 1,
        row: "IMO9074729".into(),
        column: None,
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
    Command::OpenCorrection {
        correction: Box::new(it),
    }
}

fn delegation(from: &str) -> Command {
    let it = Delegation {
        from: person_id(from),
        to: person_id("port-steward2"),
        participant: participant_id(PORT),
        period: life(),
        because: "leave".into(),
        ended_because: None,
        revision: 0,
    };
    Command::SetDelegation {
        delegation: Box::new(it),
    }
}

/// One of each command, as it makes sense in [`world`].
fn samples(world: &World) -> Vec<Command> {
    let view = world.view();
    let grant = view.grant(&grant_id("g-r1")).unwrap();
    let open = transfer("t1", grant, 1);
    let running = transfer("t0", grant, 1);
    let asked = request("asked", "calls", CUSTOMS, life());
    let (contract, given) = agreement(&request("open", "calls", CUSTOMS, life()), PORT);
    let head = checkpoint(PORT, 1, crypto::Digest::of(b"root"));
    vec![
        found(),
        Command::RegisterParticipant {
            participant: Box::new(participant("rail")),
        },
        Command::RegisterNode {
            node: Box::new(schemas::participant::Node {
                revision: 1,
                ..node(PORT, 2)
            }),
        },
        Command::BindPerson {
            person: Box::new(person("port-clerk", PORT, &[Role::DataConsumer])),
        },
        Command::AdoptStandard {
            standard: Box::new(standard(2)),
        },
        describe("another", 0),
        Command::MoveDataset {
            dataset: dataset_id("draft"),
            revision: 1,
            to: DatasetState::DepartmentApproved,
        },
        publish_version("calls", PORT, 2, at(2)),
        Command::SubmitRequest {
            request: Box::new(asked),
        },
        decide("open", agree(contract, given)),
        Command::WithdrawRequest {
            request: request_id("open"),
            revision: 1,
        },
        Command::DisputeRequest {
            request: request_id("refused"),
            revision: 2,
            step: DisputeMove::Open,
            because: "the statute".into(),
        },
        Command::ReviewEmergency {
            request: request_id("urgent"),
            upheld: true,
            because: "as the log shows".into(),
        },
        ticket(),
        Command::MoveCorrection {
            correction: CorrectionId::parse("c1").unwrap(),
            revision: 1,
            to: CorrectionState::Accepted,
            text: "checking".into(),
            corrected_in: None,
        },
        delegation("port-steward"),
        Command::EndDelegation {
            from: person_id("port-steward3"),
            revision: 1,
            because: "back".into(),
        },
        Command::RevokeGrant {
            grant: grant_id("g-r1"),
            because: "misuse".into(),
        },
        Command::OpenTransfer {
            transfer: Box::new(open),
        },
        Command::CompleteTransfer {
            transfer: running.id.clone(),
            receipts: receipts(&running),
        },
        Command::TerminateTransfer {
            transfer: running.id.clone(),
            because: "the line was cut".into(),
        },
        policy_set(),
        adopt_pack(2),
        Command::WithdrawRulePack {
            series: RulePackId::parse("clocks.cn").unwrap(),
            number: 1,
            because: "a wrong day".into(),
        },
        instrument_of_port(),
        Command::MoveInstrument {
            instrument: InstrumentId::parse("i-1").unwrap(),
            revision: 1,
            to: InstrumentState::Suspended,
            because: "a new document".into(),
        },
        first_checkpoint(PORT, 1, crypto::Digest::of(b"root")),
        Command::WitnessCheckpoint {
            participant: participant_id(PORT),
            size: 1,
            cosignature: cosign(&head, CUSTOMS),
        },
        Command::Tick { now: at(5) },
    ]
}

fn name(command: &Command) -> String {
    let value = serde_json::to_value(command).unwrap();
    value["command"].as_str().unwrap().to_owned()
}

/// The names of all commands, as the type itself tells them to whoever sends an unknown one.
fn all_names() -> BTreeSet<String> {
    let unknown = serde_json::json!({ "command": "no such command" });
    let told = serde_json::from_value::<Command>(unknown)
        .unwrap_err()
        .to_string();
    let quoted = told.split('`').skip(3).step_by(2);
    quoted.map(str::to_owned).collect()
}

/// Whether `by` may propose it, whatever else is wrong with it.
fn may(world: &World, by: &str, command: &Command) -> bool {
    let outcome = world.clone().propose(by, command.clone());
    !matches!(
        outcome,
        Outcome::Refused {
            code: RefusalCode::NotAllowed | RefusalCode::SignatureRejected,
            ..
        }
    )
}

/// Command by command, who may propose it.
fn table() -> BTreeMap<String, Vec<String>> {
    let founded = world();
    let empty = World::empty();
    let mut rows = BTreeMap::new();
    for command in samples(&founded) {
        // A founding finds nothing.
        let world = match command {
            Command::Found { .. } => &empty,
            _ => &founded,
        };
        let mut allowed = Vec::new();
        for side in SIDES {
            let people = DUTIES.iter().map(|duty| format!("{side}-{duty}"));
            let all = people.chain([format!("node-{side}")]);
            allowed.extend(all.filter(|by| may(world, by, &command)));
        }
        rows.insert(name(&command), allowed);
    }
    rows
}

#[test]
fn every_command_has_a_row_and_each_row_is_as_agreed() {
    let table = table();
    let named: BTreeSet<String> = table.keys().cloned().collect();
    assert_eq!(named, all_names(), "a command has no row");
    let text: String = table
        .iter()
        .map(|(command, allowed)| format!("{command}: {}\n", allowed.join(" ")))
        .collect();
    expect_test::expect_file!["state_roles.out"].assert_eq(&text);
}

/// Founding is either's, because there is nobody yet to do it.
#[test]
fn no_command_is_common_to_two_of_the_three_administrators() {
    let table = table();
    let of = |duty: &str| -> BTreeSet<&str> {
        let suffix = format!("-{duty}");
        let rows = table.iter().filter(|(command, allowed)| {
            *command != "found" && allowed.iter().any(|by| by.ends_with(&suffix))
        });
        rows.map(|(command, _)| command.as_str()).collect()
    };
    let (system, security, audit) = (of("admin"), of("officer"), of("auditor"));
    assert_eq!(system.intersection(&security).next(), None);
    assert_eq!(audit, BTreeSet::new(), "an auditor changes nothing");
    assert!(system.contains("bind_person") && security.contains("adopt_policy_set"));
}

/// Every set of roles: bound, unless two of the three administrators meet in it.
#[test]
fn no_binding_gives_one_person_two_of_the_three_administrations() {
    let three = [
        Role::SystemAdministrator,
        Role::SecurityOfficer,
        Role::Auditor,
    ];
    let world = World::founded();
    for bits in 0_u32..1 << Role::ALL.len() {
        let roles: Vec<Role> = (0..)
            .zip(Role::ALL)
            .filter(|(at, _)| bits >> at & 1 == 1)
            .map(|(_, role)| *role)
            .collect();
        let administers = roles.iter().filter(|it| three.contains(it)).count();
        let expected = if administers > 1 {
            "INVALID"
        } else {
            "APPLIED 1"
        };
        let person = Box::new(person("port-clerk", PORT, &roles));
        let name = format!("{roles:?}");
        let bind = Command::BindPerson { person };
        check(&world, vec![(&name, "port-admin", bind, expected)]);
    }
    // Nor does a second binding add what the first one has not.
    let mut bound = world;
    let clerk = |roles: &[Role], revision| {
        let mut it = person("port-clerk", PORT, roles);
        it.revision = revision;
        Command::BindPerson {
            person: Box::new(it),
        }
    };
    bound.must("port-admin", clerk(&[Role::Auditor], 0));
    bound.must("port-admin", clerk(&[Role::SecurityOfficer], 1));
    let view = bound.view();
    let roles = &view.person(&person_id("port-clerk")).unwrap().roles;
    assert_eq!(
        *roles,
        [Role::SecurityOfficer].into(),
        "roles do not add up"
    );
}
