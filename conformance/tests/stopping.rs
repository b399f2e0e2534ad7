//! SIGTERM in the middle of work: the node ends in time and well, and what it was at goes on after
//! the next start.
//!
//! It does not pull the plug; `crashes` does.

use std::collections::BTreeMap;

use conformance::process::{Process, Processes};
use conformance::{Client, Cluster, bulk, errand, eventually, received};
use jobs::{Job, JobState};
use schemas::JobId;
use schemas::dataset::Grade;
use schemas::ledger_entry::LedgerEvent;
use schemas::participant::Role;
use serde_json::Value;

const PROVINCE: usize = 0;
const GUANGZHOU: usize = 1;
const SHENZHEN: usize = 2;

/// SIGTERM, and the end of it.
fn stop(node: &mut Process) {
    node.terminate();
    let status = node.wait_for_end();
    assert_eq!(status, "exit status: 0", "{}", node.log());
    let log = node.log();
    assert!(log.contains("kouan: stopping"), "{log}");
}

/// Waits until the job is being worked on, or has been.
fn begun(client: &Client, id: &JobId) {
    eventually("the job to begin", || {
        let job: Job = client.get(&format!("/jobs/{id}")).ok();
        (job.state != JobState::Queued).then_some(())
    });
}

#[test]
fn a_publish_that_is_stopped_ends_after_the_next_start() {
    let cluster = Cluster::start(1);
    let steward = cluster.sign_in(PROVINCE, Role::DataSteward);
    let approver = cluster.add_person(PROVINCE, "second-steward", Role::DataSteward);
    let owner = &cluster.member(PROVINCE).prepared.node.id;
    let described = bulk::described("bulk", Grade::G2);
    let dataset = errand::describe(&steward, &approver, owner, described);
    let file = tempfile::NamedTempFile::with_suffix(".csv").expect("a file");
    let rows = 120_000;
    bulk::write(file.path(), rows, 12);
    drop((steward, approver));

    let mut nodes = Processes::of(cluster);
    nodes.start();
    let node = &mut nodes.members[PROVINCE];
    let steward = node.sign_in(Role::DataSteward);
    let job: Job = errand::publish_file(&steward, &dataset.id, file.path()).ok();
    begun(&steward, &job.id);
    stop(node);
    let entries = node.ledger_entries();

    node.start();
    let steward = node.sign_in(Role::DataSteward);
    let job = steward.wait(&job.id);
    assert_eq!(errand::published(&job), (1, rows, 0));
    assert!(job.attempt <= 2, "{job:?}");
    let versions: Value = steward
        .get(&format!("/datasets/{}/versions", dataset.id))
        .ok();
    assert_eq!(versions["items"].as_array().map(Vec::len), Some(1));
    stop(node);
    assert!(node.ledger_entries() > entries, "the ledger went on");
    let staging = node.prepared.dir.join("data/staging");
    let left = std::fs::read_dir(staging).expect("a staging folder");
    assert_eq!(left.count(), 0, "nothing of the upload is left");
}

#[test]
fn a_transfer_whose_consumer_is_stopped_ends_after_the_next_start() {
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
    let wish = errand::Wish::all("r-stopped", &dataset.id);
    let grant = errand::grant(&consumer, &steward, &dataset, &wish, BTreeMap::new());
    drop(consumer);

    cluster.stop(SHENZHEN);
    let mut node = Process::of_stopped(&cluster, SHENZHEN);
    node.start();
    // So slow that it cannot end before it is stopped.
    cluster.node(GUANGZHOU).limit_transfers(128 << 10);
    let consumer = node.sign_in(Role::DataConsumer);
    let job: Job = eventually("the grant at the consumer's node", || {
        let answer = errand::start_fetch(&consumer, &grant, "k-stopped");
        (answer.status == 202).then(|| answer.ok())
    });
    eventually("a release", || {
        let events = cluster.entries(GUANGZHOU);
        let given = |it: &LedgerEvent| matches!(it, LedgerEvent::Released { .. });
        events.iter().any(given).then_some(())
    });
    stop(&mut node);
    let entries = node.ledger_entries();
    let received = received::of_dataset(&node.prepared, dataset.id.as_str());
    assert!(!received.exists(), "half a table is to be seen");

    cluster.node(GUANGZHOU).limit_transfers(u64::MAX);
    node.start();
    let consumer = node.sign_in(Role::DataConsumer);
    let job = consumer.wait(&job.id);
    assert_eq!(errand::transferred(&job), (1, 40_000));
    assert_eq!(job.attempt, 2);
    let transfers: Value = consumer.get("/transfers").ok();
    let items = transfers["items"].as_array().expect("a page");
    let states: Vec<&str> = items.iter().filter_map(|it| it["state"].as_str()).collect();
    assert_eq!(states, ["COMPLETED"]);
    stop(&mut node);
    assert!(node.ledger_entries() > entries, "the ledger went on");
}

#[test]
fn a_provider_that_is_stopped_ends_its_releases_and_serves_afterwards() {
    let mut cluster = Cluster::start(3);
    let steward = cluster.sign_in(GUANGZHOU, Role::DataSteward);
    let approver = cluster.sign_in(PROVINCE, Role::DataSteward);
    let consumer = cluster.sign_in(SHENZHEN, Role::DataConsumer);
    let owner = &cluster.member(GUANGZHOU).prepared.node.id;
    let described = bulk::described("bulk", Grade::G3);
    let dataset = errand::describe(&steward, &approver, owner, described);
    let file = cluster.scratch().join("bulk.csv");
    bulk::write(&file, 60_000, 12);
    let _ = errand::published(&errand::publish(&steward, &dataset.id, &file));
    let wish = errand::Wish::all("r-provider", &dataset.id);
    let grant = errand::grant(&consumer, &steward, &dataset, &wish, BTreeMap::new());
    drop((steward, approver));
    cluster.stop(GUANGZHOU);
    let mut node = Process::of_stopped(&cluster, GUANGZHOU);
    node.start();

    let job: Job = errand::start_fetch(&consumer, &grant, "k-provider").ok();
    begun(&consumer, &job.id);
    stop(&mut node);
    let entries = node.ledger_entries();
    node.start();
    let job = consumer.wait(&job.id);
    match &job.failure {
        None => assert_eq!(errand::transferred(&job), (1, 60_000)),
        // Away for longer than the consumer tries: it says so, and asks again.
        Some(failure) => assert_eq!(
            failure.code,
            schemas::code::ErrorCode::Unavailable,
            "{failure:?}"
        ),
    }
    let job = errand::fetch(&consumer, &grant, "k-again");
    assert_eq!(errand::transferred(&job), (1, 60_000));
    // Every release that was given has ended in the ledger.
    let (mut given, mut over) = (0, 0);
    eventually("the end of every release", || {
        let auditor = node.sign_in(Role::Auditor);
        (given, over) = (0, 0);
        for (_, event) in conformance::cluster::entries(&auditor) {
            given += usize::from(matches!(event, LedgerEvent::Released { .. }));
            over += usize::from(matches!(event, LedgerEvent::ReleaseEnded { .. }));
        }
        (given >= 1 && given == over).then_some(())
    });
    stop(&mut node);
    assert!(node.ledger_entries() > entries, "the ledger went on");
}
