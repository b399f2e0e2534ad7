//! SIGKILL in the middle of everything: what was acknowledged is there afterwards, what was not is
//! there whole or not at all, and jobs go on.
//!
//! It does not cut the power: what the kernel already had survives a killed process. The stores'
//! own tests cut files to what was synced.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a promise that is not kept ends the test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use conformance::process::{Process, Processes};
use conformance::rest::{Call, Client};
use conformance::{Cluster, bulk, data, errand, eventually, received};
use jobs::{Job, JobState};
use schemas::DatasetId;
use schemas::command::Command;
use schemas::dataset::Grade;
use schemas::ledger_entry::LedgerEvent;
use schemas::participant::Role;
use serde_json::{Value, json};

const PROVINCE: usize = 0;
const GUANGZHOU: usize = 1;
const SHENZHEN: usize = 2;

/// Rows of every published version, oldest first.
fn versions(steward: &Client, id: &DatasetId) -> Vec<u64> {
    let page: Value = steward.get(&format!("/datasets/{id}/versions")).ok();
    let items = page["items"].as_array().expect("a page");
    let numbers: Vec<u64> = items
        .iter()
        .map(|it| it["body"]["number"].as_u64().expect("a number"))
        .collect();
    let expected: Vec<u64> = (1..).take(numbers.len()).collect();
    assert_eq!(numbers, expected, "each version once and in order");
    items
        .iter()
        .map(|it| it["body"]["rows"].as_u64().expect("rows"))
        .collect()
}

#[test]
fn a_publish_that_is_killed_becomes_one_whole_version() {
    if data::left_out() {
        return;
    }
    let cluster = Cluster::start(1);
    let steward = cluster.sign_in(PROVINCE, Role::DataSteward);
    let approver = cluster.add_person(PROVINCE, "second-steward", Role::DataSteward);
    let owner = &cluster.member(PROVINCE).prepared.node.id;
    let (described, standard) = data::shipped("travellers");
    let source = data::file(&described);
    let dataset = errand::describe(&steward, &approver, owner, (described, standard));
    let scratch = tempfile::tempdir().expect("a directory");
    drop((steward, approver));

    let mut nodes = Processes::of(cluster);
    nodes.start();
    let node = &mut nodes.members[PROVINCE];
    let mut expected = Vec::new();
    let mut entries = 0;
    for (round, pause_ms) in [0, 60, 200, 600].into_iter().enumerate() {
        let rows = 12_000 + 3_000 * round;
        let file = scratch.path().join(format!("travellers-{rows}.csv"));
        data::cut(&source, rows, &file);
        let bytes = std::fs::read(&file).expect("a cut file");
        let steward = node.sign_in(Role::DataSteward);
        let job: Job = errand::publish_bytes(&steward, &dataset.id, "travellers.csv", &bytes).ok();
        std::thread::sleep(Duration::from_millis(pause_ms));
        node.kill();
        let recorded = node.ledger_entries();
        assert!(
            recorded >= entries,
            "entries are gone: {recorded} of {entries}"
        );
        entries = recorded;

        node.start();
        let steward = node.sign_in(Role::DataSteward);
        // At no time is anything else to be seen than whole versions.
        let seen = versions(&steward, &dataset.id);
        let rows = rows as u64;
        assert!(
            seen == expected || seen == [&expected[..], &[rows]].concat(),
            "{seen:?} after {expected:?} and a publish of {rows}"
        );
        expected.push(rows);
        let job = steward.wait(&job.id);
        let (version, published, quarantined) = errand::published(&job);
        assert_eq!(
            (version, published, quarantined),
            (round as u64 + 1, rows, 0)
        );
        assert_eq!(versions(&steward, &dataset.id), expected);
    }
    node.kill();
    // Nothing of four uploads is left lying about.
    let staging = node.prepared.dir.join("data/staging");
    assert_eq!(
        std::fs::read_dir(staging)
            .expect("a staging folder")
            .count(),
        0
    );
}

/// Describes drafts one after another until `stop` drafts are acknowledged or the node is gone;
/// returns those that were acknowledged.
fn write_drafts(steward: &Client, owner: &schemas::NodeId, from: usize) -> Vec<DatasetId> {
    let (described, _) = data::shipped("code-iso3166");
    let mut acknowledged = Vec::new();
    for number in from.. {
        let described = data::renamed(described.clone(), &format!("draft-{number}"));
        let participant = steward.person.participant.clone();
        let dataset = described.into_dataset(participant, owner.clone());
        let id = dataset.id.clone();
        let command = Command::DescribeDataset {
            dataset: Box::new(dataset),
        };
        let body = json!({ "signed": steward.sign(command) });
        let path = format!("/datasets/{id}");
        let call = Call {
            method: "PUT",
            path: &path,
            headers: Vec::new(),
            body: Some(&body),
        };
        match steward.try_call(&call) {
            Some(answer) if answer.status == 200 => acknowledged.push(id),
            // Refused for want of a leader: not acknowledged, so nothing is promised.
            Some(answer) if answer.status == 503 => {}
            Some(answer) => panic!("draft {number}: {answer:?}"),
            None => return acknowledged,
        }
    }
    acknowledged
}

#[test]
fn no_acknowledged_write_is_lost_when_the_node_is_killed() {
    let cluster = Cluster::start(1);
    let steward = cluster.sign_in(PROVINCE, Role::DataSteward);
    let (_, standard) = data::shipped("code-iso3166");
    errand::adopt(&steward, standard);
    drop(steward);
    let mut nodes = Processes::of(cluster);
    nodes.start();
    let node = &mut nodes.members[PROVINCE];
    let owner = node.prepared.node.id.clone();
    let mut acknowledged: Vec<DatasetId> = Vec::new();
    for round in 0..3 {
        let steward = node.sign_in(Role::DataSteward);
        let owner = owner.clone();
        let writer = std::thread::spawn(move || write_drafts(&steward, &owner, round * 10_000));
        std::thread::sleep(Duration::from_millis(700 + 400 * round as u64));
        node.kill();
        let written = writer.join().expect("the writer");
        assert!(!written.is_empty(), "nothing was written in round {round}");
        acknowledged.extend(written);
        let _ = node.ledger_entries();
        node.start();
        let steward = node.sign_in(Role::DataSteward);
        for id in &acknowledged {
            let found = steward.get(&format!("/datasets/{id}"));
            assert_eq!(found.status, 200, "{id} was acknowledged and is gone");
        }
    }
}

/// Who leads, by position; none while nobody does.
fn leader(nodes: &Processes, asked: usize) -> Option<usize> {
    let auditor = nodes.members[asked].sign_in(Role::Auditor);
    let status: Value = auditor.get("/catalog").ok();
    let number = status["leader"].as_u64()?;
    usize::try_from(number).ok()?.checked_sub(1)
}

#[test]
fn no_acknowledged_write_is_lost_when_the_leader_is_killed() {
    let cluster = Cluster::start(3);
    let steward = cluster.sign_in(PROVINCE, Role::DataSteward);
    let (_, standard) = data::shipped("code-iso3166");
    errand::adopt(&steward, standard);
    cluster.settle();
    drop(steward);
    let mut nodes = Processes::of(cluster);
    nodes.start();
    let first = eventually("a leader", || leader(&nodes, PROVINCE));
    // Somebody who is not the leader writes on while it is killed.
    let writer_at = (first + 1) % 3;
    let steward = nodes.members[writer_at].sign_in(Role::DataSteward);
    let owner = nodes.members[writer_at].prepared.node.id.clone();
    let writer = std::thread::spawn(move || write_drafts(&steward, &owner, 0));
    std::thread::sleep(Duration::from_millis(1_000));
    nodes.members[first].kill();
    let second = eventually("another leader", || {
        leader(&nodes, writer_at).filter(|it| *it != first)
    });
    assert_ne!(second, first);
    std::thread::sleep(Duration::from_millis(1_000));
    nodes.members[writer_at].kill();
    let acknowledged = writer.join().expect("the writer");
    assert!(acknowledged.len() > 2, "{}", acknowledged.len());
    nodes.members[first].start();
    nodes.members[writer_at].start();

    // All three have all of it, and the same state.
    let stewards: Vec<Client> = [PROVINCE, GUANGZHOU, SHENZHEN]
        .map(|at| nodes.members[at].sign_in(Role::DataSteward))
        .into();
    eventually("the same state on all three", || {
        let standing: BTreeSet<(u64, String)> = stewards
            .iter()
            .map(|it| it.get("/catalog").ok::<Value>())
            .map(|it| {
                (
                    it["applied"].as_u64().unwrap_or(0),
                    it["state_digest"].to_string(),
                )
            })
            .collect();
        (standing.len() == 1).then_some(())
    });
    for id in &acknowledged {
        let found = stewards[writer_at].get(&format!("/datasets/{id}"));
        assert_eq!(found.status, 200, "{id} was acknowledged and is gone");
    }
    for node in &nodes.members {
        let _ = node.ledger_entries();
    }
}

#[test]
fn a_consumer_that_is_killed_takes_its_transfer_up_again() {
    let mut cluster = Cluster::start(3);
    let steward = cluster.sign_in(GUANGZHOU, Role::DataSteward);
    let approver = cluster.sign_in(PROVINCE, Role::DataSteward);
    let consumer = cluster.sign_in(SHENZHEN, Role::DataConsumer);
    let owner = &cluster.member(GUANGZHOU).prepared.node.id;
    let described = bulk::described("bulk", Grade::G3);
    let dataset = errand::describe(&steward, &approver, owner, described);
    let file = cluster.scratch().join("bulk.csv");
    bulk::write(&file, 40_000, 12);
    let _ = errand::published(&errand::publish(&steward, &dataset.id, &file));
    let wish = errand::Wish::all("r-killed", &dataset.id);
    let grant = errand::grant(&consumer, &steward, &dataset, &wish, BTreeMap::new());
    drop(consumer);

    cluster.stop(SHENZHEN);
    let mut node = Process::of_stopped(&cluster, SHENZHEN);
    node.start();
    // So slow that it cannot end before it is killed.
    cluster.node(GUANGZHOU).limit_transfers(128 << 10);
    let consumer = node.sign_in(Role::DataConsumer);
    let job: Job = eventually("the grant at the consumer's node", || {
        let answer = errand::start_fetch(&consumer, &grant, "k-killed");
        (answer.status == 202).then(|| answer.ok())
    });
    let releases = || {
        let events = cluster.entries(GUANGZHOU);
        events
            .iter()
            .filter(|it| matches!(it, LedgerEvent::Released { .. }))
            .count()
    };
    eventually("a release", || (releases() == 1).then_some(()));
    node.kill();
    let received = received::of_dataset(&node.prepared, dataset.id.as_str());
    assert!(!received.exists(), "half a table is to be seen");
    cluster.node(GUANGZHOU).limit_transfers(u64::MAX);
    node.start();
    let consumer = node.sign_in(Role::DataConsumer);
    let job = consumer.wait(&job.id);
    assert_eq!(errand::transferred(&job), (1, 40_000));
    assert_eq!((job.state, job.attempt), (JobState::Succeeded, 2));
    let _ = node.ledger_entries();
    // Once in the catalog, with one pair of receipts.
    let transfers: Value = consumer.get("/transfers").ok();
    let items = transfers["items"].as_array().expect("a page");
    let states: Vec<&str> = items.iter().filter_map(|it| it["state"].as_str()).collect();
    assert_eq!(states, ["COMPLETED"]);
    assert!((1..=2).contains(&releases()), "{}", releases());
}

#[test]
fn a_provider_that_is_killed_serves_its_transfer_afterwards() {
    if data::left_out() {
        return;
    }
    let mut cluster = Cluster::start(3);
    let steward = cluster.sign_in(GUANGZHOU, Role::DataSteward);
    let approver = cluster.sign_in(PROVINCE, Role::DataSteward);
    let consumer = cluster.sign_in(SHENZHEN, Role::DataConsumer);
    let owner = &cluster.member(GUANGZHOU).prepared.node.id;
    let (described, standard) = data::shipped("travellers");
    let file = data::file(&described);
    let dataset = errand::describe(&steward, &approver, owner, (described, standard));
    let _ = errand::published(&errand::publish(&steward, &dataset.id, &file));
    let wish = errand::Wish::all("r-provider", &dataset.id);
    let grant = errand::grant(&consumer, &steward, &dataset, &wish, BTreeMap::new());
    drop((steward, approver));
    cluster.stop(GUANGZHOU);
    let mut node = Process::of_stopped(&cluster, GUANGZHOU);
    node.start();

    let mut done = false;
    for (round, pause_ms) in [0, 150, 400].into_iter().enumerate() {
        let job: Job = errand::start_fetch(&consumer, &grant, &format!("k-{round}")).ok();
        std::thread::sleep(Duration::from_millis(pause_ms));
        node.kill();
        let _ = node.ledger_entries();
        node.start();
        let job = consumer.wait(&job.id);
        match &job.failure {
            None => {
                assert_eq!(errand::transferred(&job), (1, 44_328));
                done = true;
            }
            // The node was away for longer than the consumer tries: it says so, and asks again.
            Some(failure) => {
                assert_eq!(
                    failure.code,
                    schemas::code::ErrorCode::Unavailable,
                    "{failure:?}"
                );
            }
        }
    }
    let job = errand::fetch(&consumer, &grant, "k-last");
    assert_eq!(errand::transferred(&job), (1, 44_328));
    assert!(done || job.state == JobState::Succeeded);
}
