//! Transfers between two nodes: what arrives, what is recorded, and what stops them.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

mod transfer_world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crypto::Digest;
use jobs::{JobOutcome, JobState};
use schemas::TransferId;
use schemas::code::{ErrorCode, ReasonCode};
use schemas::command::Command;
use schemas::dataset::{Grade, Sensitivity};
use schemas::decision::{Decision, Mask, Operator, Predicate, RowFilter};
use schemas::ledger_entry::{LedgerEvent, ReleaseOutcome};
use schemas::transfer::{ReceiptSide, Transfer, TransferState};
use tonic::{Code, Status};
use transfer_world::wire::{ChunksRequest, FinishRequest, OpenRequest};
use transfer_world::world::{Columns, Granted, eventually, grant_id, participant_id};
use transfer_world::{Limit, Line, Pair};

const COLUMNS: Columns<'_> = &[
    ("container", "string", Sensitivity::None),
    ("weight", "integer", Sensitivity::None),
    ("day", "date", Sensitivity::None),
    ("driver", "string", Sensitivity::None),
];

const ROWS: &str = "container,weight,day,driver\n\
    CSQU3054383,21400,2026-10-03,陈小明\n\
    MSKU9070323,2200,2026-10-17,李四\n\
    TGHU7599330,18050,2026-11-02,陈小明\n\
    APZU4812090,,2026-11-24,\n";

fn kinds(side: &transfer_world::Side) -> Vec<&'static str> {
    let kind = |event: &LedgerEvent| match event {
        LedgerEvent::Decided {
            decision: Decision::Permit(_),
            ..
        } => "permit",
        LedgerEvent::Decided {
            decision: Decision::Deny(_),
            ..
        } => "deny",
        LedgerEvent::Released { .. } => "released",
        LedgerEvent::ReleaseEnded {
            outcome: ReleaseOutcome::Completed,
            ..
        } => "completed",
        LedgerEvent::ReleaseEnded {
            outcome: ReleaseOutcome::Aborted,
            ..
        } => "aborted",
        LedgerEvent::ReleaseEnded {
            outcome: ReleaseOutcome::Revoked,
            ..
        } => "revoked",
        LedgerEvent::ReleaseEnded { .. } => "expired",
        LedgerEvent::Receipt { receipt } => match receipt.body.side {
            ReceiptSide::Sent => "sent",
            ReceiptSide::Received => "received",
        },
        LedgerEvent::Published { .. } => "published",
        _ => "other",
    };
    side.entries()
        .iter()
        .map(|entry| kind(&entry.event))
        .filter(|kind| *kind != "other")
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_version_in_clear_arrives_as_it_was_published() {
    let pair = Pair::up().await;
    pair.world
        .publish_card("boxes", "node-authority", Grade::G1, COLUMNS)
        .await;
    pair.publish("boxes", ROWS).await;
    let all = ["container", "weight", "day", "driver"];
    pair.world
        .grant("g-1", "boxes", Granted::columns(&all))
        .await;
    pair.granted("g-1").await;
    pair.ask("t-1", "g-1");
    let job = pair.consumer.ended("t-1").await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.failure);
    let Some(JobOutcome::Transferred {
        version,
        rows,
        path,
        ..
    }) = job.outcome
    else {
        panic!("{job:?}");
    };
    assert_eq!(
        (version, rows, path.as_str()),
        (1, 4, "received/customs/boxes/g-1")
    );
    assert_eq!(pair.consumer.received("boxes").await, ROWS);
    // Both sides have both receipts, and so has the catalog.
    assert_eq!(
        kinds(&pair.provider),
        [
            "permit",
            "published",
            "permit",
            "released",
            "received",
            "sent",
            "completed"
        ]
    );
    assert_eq!(kinds(&pair.consumer), ["received", "sent"]);
    let view = pair.world.catalog.linearizable().await.unwrap();
    let transfer = view.transfer(&TransferId::parse("t-1").unwrap()).unwrap();
    assert_eq!(
        (transfer.state, transfer.receipts.len()),
        (TransferState::Completed, 2)
    );
    // The table's own files are pinned, not copied.
    let pinned = artefact_files(&pair);
    let links = std::os::unix::fs::MetadataExt::nlink(&std::fs::metadata(&pinned[0]).unwrap());
    assert_eq!((pinned.len(), links), (1, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_entitlement_arrives_filtered_cut_and_masked() {
    let pair = Pair::up().await;
    pair.world
        .publish_card("boxes", "node-authority", Grade::G3, COLUMNS)
        .await;
    pair.publish("boxes", ROWS).await;
    let heavy = Predicate {
        column: "weight".to_owned(),
        operator: Operator::Gt,
        values: vec!["10000".to_owned()],
    };
    let granted = Granted {
        rows: RowFilter { all: vec![heavy] },
        masks: BTreeMap::from([
            ("container".to_owned(), Mask::Truncate { keep_chars: 4 }),
            ("day".to_owned(), Mask::Generalise { step: 1 }),
            ("driver".to_owned(), Mask::KeyedHash),
        ]),
        ..Granted::columns(&["container", "day", "driver"])
    };
    pair.world.grant("g-3", "boxes", granted).await;
    pair.granted("g-3").await;
    pair.ask("t-3", "g-3");
    let job = pair.consumer.ended("t-3").await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.failure);
    let received = pair.consumer.received("boxes").await;
    let lines: Vec<Vec<&str>> = received
        .lines()
        .map(|line| line.split(',').collect())
        .collect();
    assert_eq!(lines[0], ["container", "day", "driver"]);
    assert_eq!(lines[1][..2], ["CSQU*", "2026-10-01"]);
    assert_eq!(lines[2][..2], ["TGHU*", "2026-11-01"]);
    assert_eq!(lines.len(), 3);
    // One driver, twice: the hash says so, and says nothing else.
    assert_eq!(lines[1][2], lines[2][2]);
    assert!(lines[1][2].parse::<Digest>().is_ok(), "{}", lines[1][2]);
    let sealed = pair
        .provider
        .entries()
        .into_iter()
        .any(|entry| match entry.event {
            LedgerEvent::Receipt { receipt } => receipt.body.sealed_root.is_some(),
            _ => false,
        });
    assert!(sealed, "the receipt names the sealed stream's root");
}

/// Rows that do not compress: about `mib` MiB of hexadecimal digits.
fn noise(mib: usize) -> String {
    let mut csv = String::from("container,weight,day,driver\n");
    let mut digest = Digest::of(b"noise");
    while csv.len() < mib << 20 {
        for _ in 0..30 {
            digest = Digest::of(digest.as_bytes());
            csv.push_str(&digest.to_string());
        }
        csv.push_str(",1,2026-01-01,x\n");
    }
    csv
}

/// Opens a transfer in the catalog as the consumer's node does.
async fn open_transfer(pair: &Pair, id: &str, grant: &str) {
    let granted = pair
        .world
        .catalog
        .view()
        .grant(&grant_id(grant))
        .unwrap()
        .clone();
    let transfer = Transfer {
        id: TransferId::parse(id).unwrap(),
        grant: granted.id,
        dataset: granted.dataset,
        version: 1,
        provider: granted.provider,
        consumer: granted.consumer,
        state: TransferState::Requested,
        receipts: Vec::new(),
        ended_because: None,
        revision: 0,
    };
    let command = Command::OpenTransfer {
        transfer: Box::new(transfer),
    };
    pair.world
        .node_does_on(&pair.member.catalog, "node-customs", command)
        .await;
}

fn open(transfer: &str) -> OpenRequest {
    OpenRequest {
        transfer: transfer.to_owned(),
        consumer: "customs".to_owned(),
    }
}

#[derive(serde::Deserialize)]
struct Details {
    reasons: Vec<schemas::decision::Reason>,
    ledger_index: Option<u64>,
}

fn reasons(status: &Status) -> (Vec<ReasonCode>, Option<u64>) {
    assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
    let details: Details = serde_json::from_slice(status.details()).unwrap();
    (
        details.reasons.iter().map(|reason| reason.code).collect(),
        details.ledger_index,
    )
}

/// The release and the number of chunks in a signed offer.
fn offered(offer: &[u8]) -> (String, u64) {
    let offer: serde_json::Value = serde_json::from_slice(offer).unwrap();
    let body = &offer["body"];
    (
        body["release"].as_str().unwrap().to_owned(),
        body["chunk_count"].as_u64().unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_stops_a_running_transfer() {
    let pair = Pair::up().await;
    pair.world
        .publish_card("boxes", "node-authority", Grade::G3, COLUMNS)
        .await;
    pair.publish("boxes", &noise(16)).await;
    pair.world
        .grant("g-1", "boxes", Granted::columns(&["container"]))
        .await;
    open_transfer(&pair, "t-1", "g-1").await;
    let mut client = pair.client(&pair.member.identity).await;
    let reply = client.open(open("t-1")).await.unwrap().into_inner();
    let (release, count) = offered(&reply.offer);
    assert!(
        count > 6,
        "{count} chunks are too few to be stopped between"
    );
    let request = ChunksRequest {
        release: release.clone(),
        from: 0,
        to: count,
    };
    let mut stream = client.chunks(request).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().index, 0);
    pair.world.revoke("g-1").await;
    // The ledger says so without anybody reading on.
    eventually("the revocation ends the release", || async {
        kinds(&pair.provider).contains(&"revoked")
    })
    .await;
    let mut read = 1;
    let stopped = loop {
        match stream.message().await {
            Ok(Some(_)) => read += 1,
            Ok(None) => panic!("all {read} chunks came after the revocation"),
            Err(status) => break status,
        }
    };
    assert_eq!(reasons(&stopped).0, [ReasonCode::GrantRevoked]);
    assert!(read < count, "{read} of {count}");
    let again = client
        .chunks(ChunksRequest {
            release,
            from: 0,
            to: 1,
        })
        .await
        .unwrap_err();
    assert_eq!(reasons(&again).0, [ReasonCode::GrantRevoked]);
    let (codes, index) = reasons(&client.open(open("t-1")).await.unwrap_err());
    assert!(
        codes.contains(&ReasonCode::GrantRevoked) && index.is_some(),
        "{codes:?}"
    );
    // What may no longer leave is not kept either.
    eventually("the artefact is purged", || async {
        artefact_files(&pair).is_empty()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_serves_only_the_node_that_opened_it_and_a_node_only_whom_it_hosts() {
    let pair = Pair::up().await;
    pair.world
        .publish_card("boxes", "node-authority", Grade::G1, COLUMNS)
        .await;
    pair.publish("boxes", ROWS).await;
    pair.world
        .grant("g-1", "boxes", Granted::columns(&["container"]))
        .await;
    let stranger = pair.world.certify("node-stranger");
    let node = pair.world.node(
        "node-stranger",
        "authority",
        &["authority"],
        &stranger,
        "127.0.0.1:1",
    );
    pair.world.register_node(node).await;
    open_transfer(&pair, "t-1", "g-1").await;
    let mut theirs = pair.client(&stranger).await;
    let (codes, index) = reasons(&theirs.open(open("t-1")).await.unwrap_err());
    assert!(codes.contains(&ReasonCode::PrincipalNotValid), "{codes:?}");
    let index = usize::try_from(index.unwrap()).unwrap();
    let LedgerEvent::Decided {
        request, decision, ..
    } = &pair.provider.entries()[index].event
    else {
        panic!("the refusal is not in the ledger");
    };
    assert_eq!(request.principal.participant, participant_id("customs"));
    assert!(matches!(decision, Decision::Deny(_)));
    let mut ours = pair.client(&pair.member.identity).await;
    let reply = ours.open(open("t-1")).await.unwrap().into_inner();
    let (release, _) = offered(&reply.offer);
    let range = |release: &str| ChunksRequest {
        release: release.to_owned(),
        from: 0,
        to: 1,
    };
    for (client, release) in [(&mut theirs, release.as_str()), (&mut ours, "rl-0")] {
        let refused = client.chunks(range(release)).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "{refused:?}");
        let request = FinishRequest {
            release: release.to_owned(),
        };
        assert_eq!(
            client.finish(request).await.unwrap_err().code(),
            Code::NotFound
        );
    }
    // A certificate of the federation that is no node's opens nothing.
    let nobody = pair.world.certify("nobody");
    let refused = pair
        .client(&nobody)
        .await
        .open(open("t-1"))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_one_transfer_only_the_newest_release_serves_and_only_ranges_within_it() {
    let pair = Pair::up().await;
    pair.world
        .publish_card("boxes", "node-authority", Grade::G1, COLUMNS)
        .await;
    pair.publish("boxes", ROWS).await;
    pair.world
        .grant("g-1", "boxes", Granted::columns(&["container"]))
        .await;
    open_transfer(&pair, "t-1", "g-1").await;
    let mut ours = pair.client(&pair.member.identity).await;
    let reply = ours.open(open("t-1")).await.unwrap().into_inner();
    let (release, _) = offered(&reply.offer);
    let range = |release: &str| ChunksRequest {
        release: release.to_owned(),
        from: 0,
        to: 1,
    };
    // Another open for the same transfer replaces the release.
    let reply = ours.open(open("t-1")).await.unwrap().into_inner();
    let (newer, _) = offered(&reply.offer);
    assert_eq!(
        ours.chunks(range(&release)).await.unwrap_err().code(),
        Code::NotFound
    );
    assert!(ours.chunks(range(&newer)).await.is_ok());
    for (from, to) in [(0, 0), (1, 2), (5, 1), (0, u64::MAX)] {
        let request = ChunksRequest {
            release: newer.clone(),
            from,
            to,
        };
        assert_eq!(
            ours.chunks(request).await.unwrap_err().code(),
            Code::InvalidArgument
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_line_and_a_restart_go_on_under_the_same_release() {
    let mut pair = Pair::up().await;
    pair.world
        .publish_card("boxes", "node-authority", Grade::G3, COLUMNS)
        .await;
    pair.publish("boxes", &noise(16)).await;
    pair.world
        .grant("g-1", "boxes", Granted::columns(&["container"]))
        .await;
    pair.granted("g-1").await;
    let limits = vec![Limit::CutAfter(2_500_000), Limit::SilentAfter(2_500_000)];
    let line = Line::to(&pair.provider.address, limits).await;
    pair.world
        .rehost(&["authority", "port"], &line.address)
        .await;
    eventually("the consumer sees the new address", || async {
        let view = pair.member.catalog.view();
        let node = view.node(&transfer_world::world::node_id("node-authority"));
        node.is_some_and(|node| node.data_address == line.address)
    })
    .await;
    pair.ask("t-1", "g-1");
    // The first connection breaks, the second one falls silent; then the node itself goes down.
    let journal = pair.consumer.dir.join("received/.incoming/t-1/done");
    eventually("chunks came over the second connection", || async {
        line.connections() == 2 && std::fs::metadata(&journal).is_ok_and(|it| it.len() >= 120)
    })
    .await;
    assert_eq!(pair.consumer.job("t-1").state, JobState::Running);
    pair.restart_consumer().await;
    let job = pair.consumer.ended("t-1").await;
    assert_eq!(job.state, JobState::Succeeded, "{:?}", job.failure);
    assert!(job.attempt == 2 && line.connections() >= 3, "{job:?}");
    // A publish has several workers, so the rows of a table have no order.
    let received = pair.consumer.received("boxes").await;
    let received: BTreeSet<&str> = received.lines().collect();
    let sent = noise(16);
    let sent: BTreeSet<&str> = sent
        .lines()
        .filter_map(|line| line.split(',').next())
        .collect();
    assert!(
        received == sent,
        "{} rows of {}",
        received.len(),
        sent.len()
    );
    let released = kinds(&pair.provider)
        .iter()
        .filter(|kind| **kind == "released")
        .count();
    assert_eq!(released, 1, "{:?}", kinds(&pair.provider));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_bytes_are_rejected_and_the_transfer_is_terminated() {
    let pair = Pair::up().await;
    pair.world
        .publish_card("boxes", "node-authority", Grade::G3, COLUMNS)
        .await;
    pair.publish("boxes", ROWS).await;
    pair.world
        .grant("g-1", "boxes", Granted::columns(&["container"]))
        .await;
    pair.granted("g-1").await;
    pair.ask("t-1", "g-1");
    assert_eq!(pair.consumer.ended("t-1").await.state, JobState::Succeeded);
    let before = pair.consumer.received("boxes").await;
    // Somebody changes the pinned file behind the node's back.
    let pinned = artefact_files(&pair).remove(0);
    let mut content = std::fs::read(&pinned).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 1;
    std::fs::write(&pinned, content).unwrap();
    pair.ask("t-2", "g-1");
    let job = pair.consumer.ended("t-2").await;
    let failure = job.failure.unwrap();
    assert_eq!(
        (job.state, failure.code),
        (JobState::Failed, ErrorCode::Tampered),
        "{failure:?}"
    );
    eventually("the transfer is terminated", || async {
        let view = pair.world.catalog.view();
        let transfer = view.transfer(&TransferId::parse("t-2").unwrap());
        transfer.is_some_and(|it| it.state == TransferState::Terminated)
    })
    .await;
    assert_eq!(pair.consumer.received("boxes").await, before);
    assert!(!pair.consumer.dir.join("received/.incoming/t-2").exists());
}

/// The Parquet files of all artefacts at the provider.
fn artefact_files(pair: &Pair) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in std::fs::read_dir(pair.provider.dir.join("artefacts")).unwrap() {
        let Ok(entries) = std::fs::read_dir(folder.unwrap().path()) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path
                .extension()
                .is_some_and(|extension| extension == "parquet")
            {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}
