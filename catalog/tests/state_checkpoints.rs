//! Checkpoints extend each other, forks raise the alarm, and witnesses are others.
//!
//! It does not test the ledger; trees stand in for ledgers here.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be built is a failed test"
)]
#![expect(
    clippy::too_many_lines,
    reason = "a table is long; each entry is one case"
)]

mod state_world;

use crypto::Digest;
use crypto::merkle::{Tree, leaf_digest};
use schemas::command::{Command, Outcome};
use schemas::ledger_entry::CheckpointUpdate;
use state_world::*;

fn tree(seed: &str, size: u64) -> Tree {
    (0..size)
        .map(|n| leaf_digest(format!("{seed} {n}").as_bytes()))
        .collect()
}

/// The update from `old` to `new` entries of `tree`, under the port's key.
fn update(tree: &Tree, old: u64, new: u64) -> CheckpointUpdate {
    let body = checkpoint(PORT, new, tree.root_at(new).unwrap());
    CheckpointUpdate {
        checkpoint: signed(body, PORT),
        consistency: Some(tree.consistency(old, new).unwrap()),
    }
}

fn publish(update: CheckpointUpdate) -> Command {
    Command::PublishCheckpoint {
        update: Box::new(update),
    }
}

#[track_caller]
fn check(world: &World, name: &str, by: &str, command: Command, expected: &str) -> String {
    match world.clone().propose(by, command) {
        Outcome::Applied { revision } => {
            assert_eq!(format!("APPLIED {revision}"), expected, "{name}");
            String::new()
        }
        Outcome::Refused { code, detail } => {
            assert_eq!(code.as_str(), expected, "{name}: {detail}");
            detail
        }
    }
}

fn world_at(size: u64) -> World {
    let mut world = World::founded();
    let root = tree("ledger", size).root();
    world.must("node-port", first_checkpoint(PORT, size, root));
    world
}

#[test]
fn a_checkpoint_extends_the_one_before() {
    let ledger = tree("ledger", 20);
    let world = world_at(7);
    check(
        &world,
        "longer",
        "node-port",
        publish(update(&ledger, 7, 20)),
        "APPLIED 20",
    );
    check(
        &world,
        "by a stranger",
        "node-customs",
        publish(update(&ledger, 7, 20)),
        "NOT_ALLOWED",
    );
    check(
        &world,
        "from another size",
        "node-port",
        publish(update(&ledger, 5, 20)),
        "INVALID",
    );
    check(
        &world,
        "shorter",
        "node-port",
        publish(update(&ledger, 3, 5)),
        "CONFLICT",
    );
    let mut stolen = update(&ledger, 7, 20);
    stolen.checkpoint.key = public(CUSTOMS).key_id();
    check(
        &world,
        "another key",
        "node-port",
        publish(stolen),
        "SIGNATURE_REJECTED",
    );
    let again = first_checkpoint(PORT, 7, tree("ledger", 7).root());
    check(&world, "the same again", "node-port", again, "APPLIED 7");
    let mut reborn = update(&ledger, 7, 9);
    reborn.consistency = None;
    reborn.checkpoint.body.ledger.incarnation = 2;
    check(
        &world,
        "the next life",
        "node-port",
        publish(reborn.clone()),
        "APPLIED 9",
    );
    reborn.checkpoint.body.ledger.incarnation = 3;
    check(
        &world,
        "the life after it",
        "node-port",
        publish(reborn),
        "INVALID",
    );
}

#[test]
fn a_fork_is_refused_and_names_both_roots() {
    let world = world_at(7);
    let forked = tree("another history", 20);
    let cases = [
        ("a longer fork", update(&forked, 7, 20)),
        ("a fork of equal size", update(&forked, 7, 7)),
        (
            "no proof",
            CheckpointUpdate {
                consistency: None,
                ..update(&forked, 7, 20)
            },
        ),
    ];
    for (name, update) in cases {
        let claimed = update.checkpoint.body.root;
        let detail = check(&world, name, "node-port", publish(update), "INVALID");
        let known = tree("ledger", 7).root();
        assert!(detail.starts_with("FORK"), "{name}: {detail}");
        for root in [known, claimed] {
            assert!(detail.contains(&root.to_string()), "{name}: {detail}");
        }
    }
}

#[test]
fn a_witness_is_another_member_and_cosigns_the_newest_checkpoint_once() {
    let world = world_at(7);
    let head = checkpoint(PORT, 7, tree("ledger", 7).root());
    let witness = |by: &str, size, change: &dyn Fn(&mut schemas::ledger_entry::Cosignature)| {
        let mut cosignature = cosign(&head, by);
        change(&mut cosignature);
        Command::WitnessCheckpoint {
            participant: participant_id(PORT),
            size,
            cosignature,
        }
    };
    let by = "node-customs";
    check(
        &world,
        "a witness",
        by,
        witness(CUSTOMS, 7, &|_| ()),
        "APPLIED 7",
    );
    check(
        &world,
        "of itself",
        "node-port",
        witness(PORT, 7, &|_| ()),
        "NOT_ALLOWED",
    );
    check(
        &world,
        "of another size",
        by,
        witness(CUSTOMS, 8, &|_| ()),
        "CONFLICT",
    );
    check(
        &world,
        "for another",
        by,
        witness(AUTHORITY, 7, &|_| ()),
        "NOT_ALLOWED",
    );
    let forged = witness(CUSTOMS, 7, &|it| it.signature = some_signature());
    check(&world, "forged", by, forged, "SIGNATURE_REJECTED");
    let other_bytes = cosign(&checkpoint(PORT, 7, Digest::of(b"other")), CUSTOMS);
    let lying = witness(CUSTOMS, 7, &|it| {
        it.signature = other_bytes.signature.clone()
    });
    check(&world, "of other bytes", by, lying, "SIGNATURE_REJECTED");

    let mut witnessed = world;
    witnessed.must(by, witness(CUSTOMS, 7, &|_| ()));
    check(
        &witnessed,
        "twice",
        by,
        witness(CUSTOMS, 7, &|_| ()),
        "CONFLICT",
    );
    witnessed.must("node-authority", witness(AUTHORITY, 7, &|_| ()));
    let view = witnessed.view();
    let known = view.checkpoint(&participant_id(PORT)).unwrap();
    let witnesses: Vec<_> = known
        .cosignatures
        .iter()
        .map(|it| it.witness.as_str())
        .collect();
    assert_eq!(witnesses, [CUSTOMS, AUTHORITY]);
    witnessed.must("node-port", publish(update(&tree("ledger", 20), 7, 20)));
    let view = witnessed.view();
    assert_eq!(
        view.checkpoint(&participant_id(PORT)).unwrap().cosignatures,
        []
    );
}
