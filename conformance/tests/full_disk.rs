//! Full disks, one folder at a time: writes stop with an answer that says so, nothing that was
//! acknowledged is lost, and with room again the node goes on.
//!
//! It does not fill the disk of the machine: each test has a small one of its own, and says that it
//! was left out where the system lets it have none.

use std::collections::BTreeMap;

use conformance::process::{Process, Processes};
use conformance::rest::{Call, Upload};
use conformance::small_disk::SmallDisk;
use conformance::{Answer, Client, Cluster, bulk, data, errand, eventually, received};
use jobs::Job;
use ledger::fsck;
use schemas::DatasetId;
use schemas::code::ErrorCode;
use schemas::command::Command;
use schemas::dataset::Grade;
use schemas::participant::Role;
use serde_json::{Value, json};

const PROVINCE: usize = 0;
const GUANGZHOU: usize = 1;
const SHENZHEN: usize = 2;

#[test]
fn rows_that_do_not_fit_are_refused_and_smaller_ones_are_taken() {
    let cluster = Cluster::start(1);
    let steward = cluster.sign_in(PROVINCE, Role::DataSteward);
    let approver = cluster.add_person(PROVINCE, "second-steward", Role::DataSteward);
    let owner = &cluster.member(PROVINCE).prepared.node.id;
    let shipped = data::shipped("code-iso3166");
    let id = errand::describe(&steward, &approver, owner, shipped).id;
    drop((steward, approver));
    let mut nodes = Processes::of(cluster);
    let folder = nodes.members[PROVINCE].prepared.dir.join("data");
    let Some(disk) = SmallDisk::mount(&folder, 24) else {
        return;
    };
    let node = &mut nodes.members[PROVINCE];
    node.run_in(&disk.inside());
    node.start();
    let steward = node.sign_in(Role::DataSteward);
    let header = "alpha2,alpha3,numeric,name_en,official_name_en,name_zh\n";
    let aruba = "AW,ABW,533,Aruba,,阿鲁巴\n";
    let big = format!("{header}{}", aruba.repeat(1_000_000)).into_bytes();
    let upload = Upload {
        dataset: &id,
        intent: steward.intent(&id, &big),
        name: "big.csv",
        key: "k-big",
        query: Vec::new(),
        declared: Some(big.len() as u64),
    };
    // The node answers before it has read everything, so the line may break first.
    if let Some(answer) = steward.upload(upload, std::io::Cursor::new(big)) {
        assert_eq!(answer.refusal(), (507, "STORAGE_FULL"), "{answer:?}");
    }
    let log = node.log();
    assert!(log.contains("the disk is full"), "{log}");
    assert_eq!(steward.get("/jobs").body["items"], json!([]));
    // What did not fit is gone again, and there is room for what does.
    let good = format!("{header}{aruba}");
    let job: Job = errand::publish_bytes(&steward, &id, "good.csv", good.as_bytes()).ok();
    assert_eq!(errand::published(&steward.wait(&job.id)), (1, 1, 0));
    node.kill();
}

#[test]
fn a_transfer_that_does_not_fit_fails_and_fits_when_there_is_room() {
    let mut cluster = Cluster::start(3);
    let steward = cluster.sign_in(GUANGZHOU, Role::DataSteward);
    let approver = cluster.sign_in(PROVINCE, Role::DataSteward);
    let consumer = cluster.sign_in(SHENZHEN, Role::DataConsumer);
    let owner = &cluster.member(GUANGZHOU).prepared.node.id;
    let described = bulk::described("bulk", Grade::G3);
    let dataset = errand::describe(&steward, &approver, owner, described);
    let file = cluster.scratch().join("bulk.csv");
    bulk::write(&file, 20_000, 12);
    let _ = errand::published(&errand::publish(&steward, &dataset.id, &file));
    let wish = errand::Wish::all("r-full", &dataset.id);
    let grant = errand::grant(&consumer, &steward, &dataset, &wish, BTreeMap::new());
    drop(consumer);
    cluster.stop(SHENZHEN);
    let mut node = Process::of_stopped(&cluster, SHENZHEN);
    let folder = node.prepared.dir.join("data/received");
    let Some(disk) = SmallDisk::mount(&folder, 64) else {
        return;
    };
    node.run_in(&disk.inside());
    node.start();
    let consumer = node.sign_in(Role::DataConsumer);
    eventually("the grant at the consumer's node", || {
        (consumer.get(&format!("/grants/{grant}")).status == 200).then_some(())
    });
    disk.fill();
    let job = errand::fetch(&consumer, &grant, "k-full");
    let failure = job.failure.expect("there is no room");
    assert_eq!(failure.code, ErrorCode::StorageFull, "{failure:?}");
    let table = disk.seen(&received::of_dataset(&node.prepared, dataset.id.as_str()));
    assert!(!table.exists(), "half a table is to be seen");

    disk.free();
    let job = errand::fetch(&consumer, &grant, "k-room");
    assert_eq!(errand::transferred(&job), (1, 20_000));
    assert!(table.exists());
    let incoming = disk.seen(&folder.join(".incoming"));
    let left = std::fs::read_dir(incoming).map_or(0, Iterator::count);
    assert_eq!(left, 0, "chunks of a transfer that failed");
    node.kill();
}

/// One more draft, described through REST; the answer is as it came.
fn draft(steward: &Client, owner: &schemas::NodeId, number: usize) -> (DatasetId, Answer) {
    let (described, _) = data::shipped("code-iso3166");
    let described = data::renamed(described, &format!("draft-{number}"));
    let dataset = described.into_dataset(steward.person.participant.clone(), owner.clone());
    let id = dataset.id.clone();
    let command = Command::DescribeDataset {
        dataset: Box::new(dataset),
    };
    let answer = steward.change("PUT", &format!("/datasets/{id}"), 0, command);
    (id, answer)
}

#[test]
fn a_catalog_without_room_takes_no_change_and_loses_none() {
    let cluster = Cluster::start(1);
    let steward = cluster.sign_in(PROVINCE, Role::DataSteward);
    errand::adopt(&steward, data::shipped("code-iso3166").1);
    drop(steward);
    let mut nodes = Processes::of(cluster);
    let node = &mut nodes.members[PROVINCE];
    let Some(disk) = SmallDisk::mount(&node.prepared.dir.join("catalog"), 96) else {
        return;
    };
    node.run_in(&disk.inside());
    node.start();
    let owner = node.prepared.node.id.clone();
    let steward = node.sign_in(Role::DataSteward);
    let mut acknowledged = Vec::new();
    for number in 0..5 {
        let (id, answer) = draft(&steward, &owner, number);
        assert_eq!(answer.status, 200, "{answer:?}");
        acknowledged.push(id);
    }
    disk.fill();
    // The log takes entries while its file has room; then every change is answered alike.
    let refused = (5..).find_map(|number| {
        assert!(number < 5_000, "changes are taken without end");
        let (id, answer) = draft(&steward, &owner, number);
        if answer.status == 200 {
            acknowledged.push(id);
            return None;
        }
        Some(answer)
    });
    let refused = refused.expect("an answer");
    assert_eq!(refused.refusal(), (503, "UNAVAILABLE"), "{refused:?}");
    let (_, again) = draft(&steward, &owner, 9_999);
    assert_eq!(again.refusal(), (503, "UNAVAILABLE"), "{again:?}");
    // What was agreed is still to be read.
    for id in &acknowledged {
        let answer = steward.get(&format!("/datasets/{id}"));
        assert_eq!(answer.status, 200, "{id}: {answer:?}");
    }

    // A store that failed once is not written to again before it was opened anew.
    disk.free();
    node.kill();
    node.start();
    let steward = node.sign_in(Role::DataSteward);
    for id in &acknowledged {
        assert_eq!(steward.get(&format!("/datasets/{id}")).status, 200, "{id}");
    }
    let (_, answer) = draft(&steward, &owner, 10_000);
    assert_eq!(answer.status, 200, "{answer:?}");
    node.kill();
}

#[test]
fn a_ledger_without_room_means_no_until_there_is_room() {
    let cluster = Cluster::start(1);
    let mut nodes = Processes::of(cluster);
    let node = &mut nodes.members[PROVINCE];
    let folder = node.prepared.dir.join("ledger");
    let Some(disk) = SmallDisk::mount(&folder, 96) else {
        return;
    };
    node.run_in(&disk.inside());
    node.start();
    let steward = node.sign_in(Role::DataSteward);
    let auditor = node.sign_in(Role::Auditor);
    let ask = || {
        steward.call(&Call {
            method: "GET",
            path: "/ledger",
            headers: Vec::new(),
            body: None,
        })
    };
    disk.fill();
    // Each is recorded while the space that was taken ahead lasts; then the answer is no.
    let mut recorded = 0;
    let refused = loop {
        let answer = ask();
        if answer.reasons() != ["ROLE_MISSING"] {
            break answer;
        }
        recorded = answer.body["ledger_index"].as_u64().expect("an index");
        assert!(recorded < 20_000, "entries are taken without end");
    };
    assert_eq!(refused.refusal(), (403, "REFUSED"), "{refused:?}");
    assert_eq!(refused.reasons(), ["NOT_RECORDED"], "{refused:?}");
    assert_eq!(refused.body["ledger_index"], Value::Null);
    // Who may is refused too: without an entry there is no yes.
    let answer = auditor.get("/ledger");
    assert_eq!(answer.reasons(), ["NOT_RECORDED"], "{answer:?}");

    disk.free();
    let answer = eventually("a decision to be recorded again", || {
        let answer = ask();
        (answer.reasons() == ["ROLE_MISSING"]).then_some(answer)
    });
    let index = answer.body["ledger_index"].as_u64().expect("an index");
    assert!(index > recorded, "{index} after {recorded}");
    assert_eq!(auditor.get("/ledger").status, 200);
    // Nothing that was acknowledged is gone, and nothing is torn.
    let participant = &node.prepared.participant;
    let dir = folder
        .join(participant.id.as_str())
        .join(participant.ledger_incarnation.to_string());
    let report = fsck::check(&disk.seen(&dir), Some(&participant.signing)).expect("a ledger");
    assert_eq!(report.damage, None);
    assert!(report.entries > index, "{report:?}");
    node.kill();
}
