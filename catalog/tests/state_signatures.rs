//! Which signatures hold: real keys, real batches.
//!
//! It does not test roles; a signature that holds may still be refused by them.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be built is a failed test"
)]
#![expect(
    clippy::too_many_lines,
    reason = "a table is long; each entry is one case"
)]

mod state_world;

use std::sync::Arc;

use catalog::state::{Batch, EncodedProposal, Signer, State, verify, verify_batch};
use crypto::{Label, SoftwareKey};
use futures::executor::block_on;
use schemas::command::{Command, Outcome, PersonSignature, Proposal, SignedProposal};
use schemas::dataset::{DatasetVersion, PublishIntent};
use schemas::transfer::ReceiptSide;
use schemas::{CommandId, Signed, canonical};
use serde::Serialize;
use state_world::*;

/// A proposal with its person's signature, or a node's without.
fn propose(id: &str, by: &str, command: Command) -> SignedProposal {
    let (author, _) = author(by);
    let proposal = Proposal {
        id: CommandId::parse(id).unwrap(),
        author,
        at: at(0),
        command,
    };
    if by.starts_with("node-") {
        return SignedProposal::by_node(proposal);
    }
    let bytes = SignedProposal::signed_bytes(&proposal).unwrap();
    let signature = secret(by).sign(SignedProposal::LABEL, &bytes).unwrap();
    let signature = Some(PersonSignature {
        key: public(by).key_id(),
        signature,
    });
    SignedProposal {
        proposal,
        signature,
    }
}

fn encode(proposal: SignedProposal) -> Arc<EncodedProposal> {
    Arc::new(EncodedProposal::new(proposal).unwrap())
}

fn batch(node: &str, proposals: Vec<SignedProposal>) -> Batch {
    let proposals = proposals.into_iter().map(encode).collect();
    let signer = SoftwareKey::new(secret(node));
    block_on(Batch::sign(node_id(node), proposals, &signer)).unwrap()
}

fn sign<T: Serialize>(body: T, owner: &str, label: Label) -> Signed<T> {
    let bytes = canonical::to_bytes(&body).unwrap();
    let signature = secret(owner).sign(label, &bytes).unwrap();
    Signed {
        body,
        key: public(owner).key_id(),
        signature,
    }
}

fn describe(id: &str) -> Command {
    Command::DescribeDataset {
        dataset: Box::new(dataset(id, PORT)),
    }
}

/// One letter for each proposal: person, node or rejected.
fn verdicts(state: &State, batch: &Batch) -> String {
    let letter = |signer: &Signer| match signer {
        Signer::Person(_) => 'P',
        Signer::Node { .. } => 'N',
        Signer::Rejected { .. } => 'R',
    };
    verify_batch(state, batch)
        .iter()
        .map(|it| letter(it.signer()))
        .collect()
}

#[test]
fn a_founding_batch_is_verified_with_the_keys_inside_it() {
    let founding = batch(
        "node-authority",
        vec![propose("f", "authority-admin", found())],
    );
    let mut state = State::new();
    let report = state.apply_batch(1, &founding);
    assert_eq!(report.outcomes, [Outcome::Applied { revision: 1 }]);
    assert_eq!(state.authority().map(|it| it.as_str()), Some(AUTHORITY));
    assert_eq!(state.leader_time(), at(0));
    // A retry of the founding is the same command.
    assert_eq!(
        state.apply_batch(2, &founding).outcomes,
        [Outcome::Applied { revision: 1 }]
    );
    let by_stranger = batch("node-port", vec![propose("f", "authority-admin", found())]);
    assert_eq!(verdicts(&State::new(), &by_stranger), "R");
}

#[test]
fn each_proposal_of_a_batch_has_its_own_verdict() {
    let state = World::founded().state;
    let good = || propose("a", "port-steward", describe("a"));
    let mut changed = propose("b", "port-steward", describe("b"));
    changed.proposal.at = at(1);
    let mut unsigned = propose("c", "port-steward", describe("c"));
    unsigned.signature = None;
    let mut unknown = propose("d", "port-steward", describe("d"));
    unknown.signature.as_mut().unwrap().key = public("nobody").key_id();
    let tick = |node| propose("e", node, Command::Tick { now: at(1) });
    let mut both = tick("node-port");
    both.signature = good().signature;
    let all = vec![
        good(),
        changed,
        unsigned,
        unknown,
        tick("node-port"),
        tick("node-customs"),
        both,
    ];
    let batch = batch("node-port", all);
    assert_eq!(verdicts(&state, &batch), "PRRRNRR");
    let mut copy = state;
    let outcomes = copy.apply_batch(1_000, &batch).outcomes;
    let codes: Vec<_> = outcomes
        .iter()
        .map(|outcome| match outcome {
            Outcome::Applied { .. } => "APPLIED",
            Outcome::Refused { code, .. } => code.as_str(),
        })
        .collect();
    let rejected = "SIGNATURE_REJECTED";
    assert_eq!(
        codes,
        [
            "APPLIED", rejected, rejected, rejected, "APPLIED", rejected, rejected
        ]
    );
}

#[test]
fn a_batch_counts_only_under_its_nodes_signature() {
    let state = World::founded().state;
    let two = || {
        vec![
            propose("a", "port-steward", describe("a")),
            propose("b", "node-port", Command::Tick { now: at(1) }),
        ]
    };
    let good = batch("node-port", two());
    assert_eq!(verdicts(&state, &good), "PN");
    let mut other_node = good.clone();
    other_node.node = node_id("node-customs");
    let mut other_key = good.clone();
    other_key.key = public("node-customs").key_id();
    let mut reordered = good.clone();
    reordered.proposals.reverse();
    let mut shortened = good.clone();
    shortened.proposals.pop();
    let mut resigned = good.clone();
    resigned.signature = some_signature();
    let mut swapped = good;
    let mut inside = propose("a", "port-steward", describe("a"));
    inside.signature = propose("z", "port-steward", describe("z")).signature;
    swapped.proposals[0] = encode(inside);
    for (name, bad, expected) in [
        ("another node", other_node, "RR"),
        ("another key", other_key, "RR"),
        ("another order", reordered, "RR"),
        ("one fewer", shortened, "R"),
        ("another signature", resigned, "RR"),
        ("another signature inside", swapped, "RR"),
    ] {
        assert_eq!(verdicts(&state, &bad), expected, "{name}");
    }
}

#[test]
fn a_rejected_signature_uses_up_no_identifier() {
    let mut state = World::founded().state;
    let good = propose("a", "port-steward", describe("a"));
    let mut forged = good.clone();
    forged.signature.as_mut().unwrap().signature = some_signature();
    let before = state.digest();
    state.apply_batch(1_000, &batch("node-customs", vec![forged]));
    assert_eq!(state.digest(), before);
    let outcomes = state
        .apply_batch(1_001, &batch("node-customs", vec![good]))
        .outcomes;
    assert_eq!(outcomes, [Outcome::Applied { revision: 1 }]);
}

#[test]
fn an_oversized_batch_is_refused_whole() {
    let state = World::founded().state;
    let tick = propose("a", "node-port", Command::Tick { now: at(1) });
    let many = batch("node-port", vec![tick.clone(); Batch::PROPOSALS_MAX + 1]);
    assert!(verdicts(&state, &many).chars().all(|letter| letter == 'R'));
    let most = batch("node-port", vec![tick; Batch::PROPOSALS_MAX]);
    assert!(verdicts(&state, &most).chars().all(|letter| letter == 'N'));
}

#[test]
fn many_signatures_are_verified_alike_with_one_bad_among_them() {
    let state = World::founded().state;
    let mut all: Vec<_> = (0..40)
        .map(|n| propose(&format!("n{n}"), "port-steward", describe(&format!("d{n}"))))
        .collect();
    assert_eq!(
        verdicts(&state, &batch("node-port", all.clone())),
        "P".repeat(40)
    );
    all[17].signature.as_mut().unwrap().signature = some_signature();
    let expected = format!("{}R{}", "P".repeat(17), "P".repeat(22));
    assert_eq!(verdicts(&state, &batch("node-port", all)), expected);
}

#[test]
fn signed_records_inside_commands_are_verified_too() {
    let world = World::granted();
    let state = &world.state;
    let grant = world.view().grant(&grant_id("g-r1")).unwrap().clone();
    let moved = transfer("t1", &grant, 1);
    let version = |intent_label, version_label| {
        let mut body: DatasetVersion = version("calls", PORT, 2, at(2));
        body.intent = sign(body.intent.body, "port-steward", intent_label);
        let version = Box::new(sign(body, PORT, version_label));
        Command::PublishVersion { version }
    };
    let receipts = |sent_label, received_by: &str| Command::CompleteTransfer {
        transfer: moved.id.clone(),
        receipts: vec![
            sign(receipt(&moved, ReceiptSide::Sent), PORT, sent_label),
            sign(
                receipt(&moved, ReceiptSide::Received),
                received_by,
                Label::Receipt,
            ),
        ],
    };
    let head = checkpoint(PORT, 0, crypto::Digest::of(b""));
    let published = |label| Command::PublishCheckpoint {
        update: Box::new(schemas::ledger_entry::CheckpointUpdate {
            checkpoint: sign(head.clone(), PORT, label),
            consistency: None,
        }),
    };
    let cases = [
        (
            "a version",
            "node-port",
            version(PublishIntent::LABEL, DatasetVersion::LABEL),
            "N",
        ),
        (
            "a version, wrong label",
            "node-port",
            version(PublishIntent::LABEL, Label::Batch),
            "R",
        ),
        (
            "an intent, wrong label",
            "node-port",
            version(Label::Batch, DatasetVersion::LABEL),
            "R",
        ),
        (
            "receipts",
            "node-customs",
            receipts(Label::Receipt, CUSTOMS),
            "N",
        ),
        (
            "a receipt, wrong label",
            "node-customs",
            receipts(Label::Batch, CUSTOMS),
            "R",
        ),
        (
            "a receipt, unknown key",
            "node-customs",
            receipts(Label::Receipt, "nobody"),
            "R",
        ),
        (
            "a receipt, sealing key",
            "node-customs",
            receipts(Label::Receipt, "port-encryption"),
            "R",
        ),
        (
            "a checkpoint",
            "node-port",
            published(Label::Checkpoint),
            "N",
        ),
        (
            "a checkpoint, wrong label",
            "node-port",
            published(Label::Cosignature),
            "R",
        ),
    ];
    for (name, by, command, expected) in cases {
        let one = propose("x", by, command);
        let encoded = encode(one.clone());
        assert_eq!(verify(state, &encoded).is_ok(), expected == "N", "{name}");
        assert_eq!(verdicts(state, &batch(by, vec![one])), expected, "{name}");
    }
}
