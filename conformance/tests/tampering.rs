//! Bytes that somebody changed on disk: what is evidence is named and stops, what can be built
//! again is set aside and built again.
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a promise that is not kept ends the test"
)]

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use conformance::process::Processes;
use conformance::relay::Relay;
use conformance::{Client, Cluster, bulk, data, errand, eventually, received};
use ledger::fsck;
use schemas::code::ErrorCode;
use schemas::dataset::{Dataset, Grade};
use schemas::ledger_entry::LedgerEvent;
use schemas::participant::Role;

const PROVINCE: usize = 0;
const GUANGZHOU: usize = 1;
const SHENZHEN: usize = 2;

/// Flips one bit of a file; done twice, the file is as it was.
fn flip(path: &Path, at: u64) {
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .open(path)
        .expect("a file");
    let mut byte = [0_u8];
    file.read_exact_at(&mut byte, at).expect("a byte");
    file.write_all_at(&[byte[0] ^ 0x10], at)
        .expect("write a byte");
    file.sync_all().expect("sync");
}

/// Files below a folder, by path.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn parquet(folder: &Path) -> PathBuf {
    let found = files(folder)
        .into_iter()
        .find(|it| it.extension().is_some_and(|it| it == "parquet"));
    found.unwrap_or_else(|| panic!("no Parquet file below {}", folder.display()))
}

#[test]
fn one_flipped_bit_of_a_ledger_is_named_and_keeps_the_node_from_starting() {
    let cluster = Cluster::start(1);
    // Something to record.
    let auditor = cluster.sign_in(PROVINCE, Role::Auditor);
    for _ in 0..20 {
        assert_eq!(auditor.get("/ledger").status, 200);
    }
    let participant = cluster.member(PROVINCE).prepared.participant.clone();
    let dir = cluster
        .node(PROVINCE)
        .ledger_dir(&participant.id, participant.ledger_incarnation);
    let mut nodes = Processes::of(cluster);
    let node = &mut nodes.members[PROVINCE];

    let whole = fsck::check(&dir, Some(&participant.signing)).expect("a ledger");
    assert_eq!(whole.damage, None);
    assert!(whole.entries > 20, "{whole:?}");
    let segment = whole.segments.last().expect("a segment").clone();
    let path = dir.join(&segment.file);
    let text = std::fs::read(&path).expect("a segment");
    // In the middle of the tenth entry's text.
    let entries: Vec<usize> = text
        .windows(6)
        .enumerate()
        .filter(|(_, window)| *window == b"{\"at\":")
        .map(|(at, _)| at)
        .collect();
    let at = entries[10] as u64 + 8;
    flip(&path, at);

    let report = fsck::check(&dir, Some(&participant.signing)).expect("a ledger");
    let damage = report.damage.expect("it is found");
    assert_eq!(
        (damage.segment.as_str(), damage.index),
        (segment.file.as_str(), 10),
        "{damage:?}"
    );
    assert!(
        damage.offset <= at && at < damage.offset + 4_096,
        "{damage:?}"
    );

    node.spawn();
    let status = node.wait_for_end();
    let log = node.log();
    assert!(status.contains('1'), "{status}");
    assert!(
        log.contains(&segment.file),
        "the node does not name {}: {log}",
        segment.file
    );

    // The right byte again, and everything is as it was.
    flip(&path, at);
    assert_eq!(
        fsck::check(&dir, Some(&participant.signing))
            .expect("a ledger")
            .damage,
        None
    );
    node.start();
    let auditor = node.sign_in(Role::Auditor);
    assert!(auditor.get("/ledger").body["size"].as_u64() >= Some(whole.entries));
}

struct Shared {
    cluster: Cluster,
    steward: Client,
    consumer: Client,
}

impl Shared {
    fn start() -> Self {
        let cluster = Cluster::start(3);
        let steward = cluster.sign_in(GUANGZHOU, Role::DataSteward);
        let consumer = cluster.sign_in(SHENZHEN, Role::DataConsumer);
        Self {
            cluster,
            steward,
            consumer,
        }
    }

    fn publish(&self, id: &str, rows: usize) -> Dataset {
        let approver = self.cluster.sign_in(PROVINCE, Role::DataSteward);
        let owner = &self.cluster.member(GUANGZHOU).prepared.node.id;
        let (described, standard) = data::shipped(id);
        let file = self.cluster.scratch().join(format!("{id}.csv"));
        data::cut(&data::file(&described), rows, &file);
        let dataset = errand::describe(&self.steward, &approver, owner, (described, standard));
        let _ = errand::published(&errand::publish(&self.steward, &dataset.id, &file));
        dataset
    }

    fn provider(&self) -> PathBuf {
        self.cluster.member(GUANGZHOU).prepared.dir.join("data")
    }

    /// A transfer of `dataset` fails and leaves no row at the consumer's.
    fn must_fail(&self, dataset: &Dataset, wish: &errand::Wish) -> String {
        let grant = errand::grant(
            &self.consumer,
            &self.steward,
            dataset,
            wish,
            BTreeMap::new(),
        );
        self.fetch_must_fail(dataset, &grant, &wish.id)
    }

    fn fetch_must_fail(&self, dataset: &Dataset, grant: &schemas::GrantId, key: &str) -> String {
        let job = errand::fetch(&self.consumer, grant, key);
        let failure = job
            .failure
            .unwrap_or_else(|| panic!("changed rows left: {:?}", job.outcome));
        let prepared = &self.cluster.member(SHENZHEN).prepared;
        let folder = received::of_dataset(prepared, dataset.id.as_str());
        let kept = if folder.is_dir() {
            files(&folder)
        } else {
            Vec::default()
        };
        assert_eq!(
            kept,
            Vec::<PathBuf>::new(),
            "rows of a transfer that failed"
        );
        failure.detail
    }
}

#[test]
fn a_table_that_was_changed_on_disk_does_not_leave_whole() {
    if data::left_out() {
        return;
    }
    let shared = Shared::start();
    let dataset = shared.publish("code-iso3166", 249);
    let table = parquet(&shared.provider().join("tables").join(dataset.id.as_str()));
    let bytes = std::fs::metadata(&table).expect("a table's file").len();
    flip(&table, bytes / 3);
    let why = shared.must_fail(&dataset, &errand::Wish::all("r-whole", &dataset.id));
    assert!(why.contains("has to be looked at"), "{why}");
    let released = shared.cluster.entries(GUANGZHOU);
    let released = released
        .iter()
        .any(|it| matches!(it, LedgerEvent::Released { .. }));
    assert!(!released, "a release was given for changed rows");

    // Put right, it leaves.
    flip(&table, bytes / 3);
    let wish = errand::Wish::all("r-again", &dataset.id);
    let grant = errand::grant(
        &shared.consumer,
        &shared.steward,
        &dataset,
        &wish,
        BTreeMap::new(),
    );
    let job = errand::fetch(&shared.consumer, &grant, "k-again");
    assert_eq!(errand::transferred(&job), (1, 249));
}

#[test]
fn a_table_that_was_changed_on_disk_does_not_leave_in_part() {
    if data::left_out() {
        return;
    }
    let shared = Shared::start();
    let dataset = shared.publish("code-iso3166", 249);
    let table = parquet(&shared.provider().join("tables").join(dataset.id.as_str()));
    let bytes = std::fs::metadata(&table).expect("a table's file").len();
    // Wherever the byte is: in a column that is not even asked for, too.
    flip(&table, bytes / 2);
    let wish = errand::Wish {
        columns: Some(vec!["alpha2".to_owned()]),
        ..errand::Wish::all("r-part", &dataset.id)
    };
    let why = shared.must_fail(&dataset, &wish);
    assert!(why.contains("has to be looked at"), "{why}");
}

#[test]
fn an_artefact_that_was_changed_on_disk_is_not_accepted() {
    if data::left_out() {
        return;
    }
    // G3: sealed on its way, from an artefact of its own.
    let shared = Shared::start();
    let dataset = shared.publish("customs-declarations", 500);
    let wish = errand::Wish {
        columns: Some(["declaration_id", "hs6_code"].map(str::to_owned).into()),
        ..errand::Wish::all("r-artefact", &dataset.id)
    };
    let grant = errand::grant(
        &shared.consumer,
        &shared.steward,
        &dataset,
        &wish,
        BTreeMap::new(),
    );
    let job = errand::fetch(&shared.consumer, &grant, "k-first");
    let (_, rows) = errand::transferred(&job);
    let prepared = &shared.cluster.member(SHENZHEN).prepared;
    std::fs::remove_dir_all(received::of_dataset(prepared, dataset.id.as_str()))
        .expect("clear what came");

    let artefact = parquet(&shared.provider().join("artefacts"));
    let bytes = std::fs::metadata(&artefact)
        .expect("an artefact's file")
        .len();
    flip(&artefact, bytes / 2);
    let why = shared.fetch_must_fail(&dataset, &grant, "k-second");
    assert!(
        why.contains("a file of the artefact does not verify"),
        "{why}"
    );

    flip(&artefact, bytes / 2);
    let job = errand::fetch(&shared.consumer, &grant, "k-third");
    assert_eq!(errand::transferred(&job), (1, rows));
}

#[test]
fn a_damaged_state_store_is_set_aside_and_written_anew() {
    let mut cluster = Cluster::start(3);
    cluster.settle();
    for (at, damage) in [(SHENZHEN, "cut"), (GUANGZHOU, "zeroed")] {
        let dir = cluster.member(at).prepared.dir.join("catalog");
        cluster.stop(at);
        let db = dir.join("state/db");
        let bytes = std::fs::metadata(&db).expect("the state store").len();
        let file = std::fs::File::options()
            .write(true)
            .open(&db)
            .expect("the state store");
        match damage {
            "cut" => file.set_len(bytes / 2).expect("cut it"),
            _ => file
                .write_all_at(&vec![0; usize::try_from(bytes).expect("a size")], 0)
                .expect("zero it"),
        }
        drop(file);
        cluster.restart(at).expect("the node starts");
        assert!(
            cluster.node(at).catalog().status().damage.is_some(),
            "{damage}: not noticed"
        );
        eventually("the same state on all members", || {
            let views: Vec<_> = (0..3).map(|at| cluster.node(at).catalog().view()).collect();
            let same = views
                .iter()
                .all(|it| (it.index(), it.digest()) == (views[0].index(), views[0].digest()));
            same.then_some(())
        });
        let aside = std::fs::read_dir(&dir)
            .expect("the catalog's folder")
            .filter(|entry| {
                let name = entry.as_ref().expect("an entry").file_name();
                name.to_string_lossy().starts_with("state.damaged-")
            });
        assert_eq!(
            aside.count(),
            1,
            "{damage}: the damaged store is kept for whoever asks why"
        );
        // It serves again, once it knows that its view is current.
        cluster.settle();
        let client = cluster.sign_in(at, Role::DataSteward);
        assert_eq!(client.get("/datasets").status, 200);
    }
}

/// Moves the data listener of a stopped member to a free port; where the catalog says that it is,
/// there is room for somebody else. Returns both.
fn move_data_listener(cluster: &Cluster, at: usize) -> (SocketAddr, SocketAddr) {
    let known = cluster.site(at).data;
    let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
    let free = free.expect("a free port");
    let config = &cluster.member(at).prepared.config;
    let text = std::fs::read_to_string(config).expect("a configuration");
    let moved = text.replace(&known.to_string(), &free.to_string());
    assert_ne!(moved, text, "{known} is not in the configuration");
    std::fs::write(config, moved).expect("write a configuration");
    (known, free)
}

#[test]
fn a_chunk_that_was_changed_on_its_way_ends_the_transfer_and_leaves_nothing() {
    let mut shared = Shared::start();
    let approver = shared.cluster.sign_in(PROVINCE, Role::DataSteward);
    let owner = shared.cluster.member(GUANGZHOU).prepared.node.id.clone();
    let file = shared.cluster.scratch().join("bulk.csv");
    bulk::write(&file, 8_000, 12);
    // G3 is sealed to the consumer; G2 is not, and its files are held against the signed offer.
    let datasets = [("sealed", Grade::G3), ("clear", Grade::G2)].map(|(name, grade)| {
        let described = bulk::described(name, grade);
        let dataset = errand::describe(&shared.steward, &approver, &owner, described);
        let _ = errand::published(&errand::publish(&shared.steward, &dataset.id, &file));
        dataset
    });
    shared.cluster.stop(GUANGZHOU);
    let (known, real) = move_data_listener(&shared.cluster, GUANGZHOU);
    shared.cluster.restart(GUANGZHOU).expect("the node starts");
    shared.cluster.settle();
    shared.steward = shared.cluster.sign_in(GUANGZHOU, Role::DataSteward);
    let roots = shared.cluster.federation().authorities.roots();
    let roots = roots.expect("roots");
    let (provider, consumer) = [GUANGZHOU, SHENZHEN]
        .map(|at| shared.cluster.identity(at))
        .into();
    let started = Relay::start((known, &provider), (real, &consumer), &roots);
    let relay = shared.cluster.run(started);

    for (number, dataset) in (1..).zip(&datasets) {
        let wish = errand::Wish::all(&format!("r-{}", dataset.id), &dataset.id);
        let grant = errand::grant(
            &shared.consumer,
            &shared.steward,
            dataset,
            &wish,
            BTreeMap::new(),
        );
        relay.arm();
        let job = errand::fetch(&shared.consumer, &grant, &format!("k-{number}"));
        assert_eq!(relay.flipped(), number, "a byte was changed");
        let failure = job.failure.expect("what came is not what was offered");
        let expected = match dataset.grade {
            Grade::G3 => "a sealed chunk does not verify",
            _ => "a file of the artefact does not verify",
        };
        assert_eq!(failure.code, ErrorCode::Tampered, "{failure:?}");
        assert!(failure.detail.contains(expected), "{failure:?}");
        assert_eq!((job.attempt, failure.findings.len()), (1, 0), "one error");
        let received = shared.cluster.member(SHENZHEN).prepared.dir.clone();
        let kept: Vec<PathBuf> = files(&received.join("data/received"))
            .into_iter()
            .filter(|it| it.to_string_lossy().contains(dataset.id.as_str()))
            .collect();
        assert_eq!(kept, Vec::<PathBuf>::new(), "rows that do not verify");
        let incoming = received.join("data/received/.incoming");
        assert!(!incoming.is_dir() || files(&incoming).is_empty());

        // The stored artefact is whole: the same grant gives it now that nobody interferes.
        let job = errand::fetch(&shared.consumer, &grant, &format!("k-whole-{number}"));
        assert_eq!(errand::transferred(&job), (1, 8_000));
        let prepared = &shared.cluster.member(SHENZHEN).prepared;
        std::fs::remove_dir_all(received::of_dataset(prepared, dataset.id.as_str()))
            .expect("clear what came");
    }
}
