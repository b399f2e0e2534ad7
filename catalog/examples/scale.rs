//! How long a catalog of 100,000 datasets and a million grants takes to start, to search and to
//! back up, and the memory it holds. Prints figures and passes nothing.
//!
//! ```text
//! cargo run --release -p catalog --example scale -- make DIR [DATASETS GRANTS]
//! cargo run --release -p catalog --example scale -- start DIR
//! ```
//!
//! `make` writes a backup and restores it; `start` opens it in a process of its own
//! so that its memory is that of a start. CPU seconds stand beside wall seconds, for machines that
//! have other work.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "an example prints, stops when it cannot go on, and measures time"
)]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufReader, BufWriter};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::search::{Index, Query, Sight};
use catalog::{Catalog, Clock, Options, RestoreOptions, StartOptions, restore};
use crypto::merkle::map::MerkleMap;
use crypto::tls::{ClientAuth, Family, TlsAuthority, TlsIdentity, client_config, server_config};
use crypto::{Digest, SecretKey, SoftwareKey, Validity};
use schemas::backup::{BackupHeader, BackupMember, BackupSeal, BackupWriter, Expected, verify};
use schemas::dataset::{Dataset, DatasetState, Grade};
use schemas::participant::Node;
use schemas::request::Grant;
use schemas::{
    DatasetId, GrantId, LocalText, NodeId, ParticipantId, Signed, Timestamp, Visibility, canonical,
};
use serde_json::json;

const PROVIDERS: usize = 200;

const PORTS: [(&str, &str); 8] = [
    ("广州港", "Guangzhou port"),
    ("深圳港", "Shenzhen port"),
    ("珠海口岸", "Zhuhai control point"),
    ("横琴口岸", "Hengqin control point"),
    ("汕头港", "Shantou port"),
    ("湛江港", "Zhanjiang port"),
    ("南沙港区", "Nansha terminal"),
    ("盐田港区", "Yantian terminal"),
];

const SUBJECTS: [(&str, &str); 10] = [
    ("集装箱吞吐量", "container throughput"),
    ("船舶进出港动态", "vessel calls"),
    ("舱单", "cargo manifests"),
    ("报关单", "customs declarations"),
    ("出入境客流", "travellers"),
    ("航班动态", "flight movements"),
    ("列车到发", "train movements"),
    ("危险货物申报", "dangerous goods declarations"),
    ("引航计划", "pilotage plans"),
    ("代码表", "code tables"),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, usual| arguments.get(at).map_or(usual, |it| it.parse().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    match arguments.first().map(String::as_str) {
        Some("make") => {
            let dir = Path::new(&arguments[1]);
            let (datasets, grants) = (number(2, 100_000), number(3, 1_000_000));
            runtime.block_on(make(dir, datasets, grants));
        }
        Some("start") => runtime.block_on(start(Path::new(&arguments[1]))),
        _ => println!("scale make DIR [DATASETS GRANTS] | scale start DIR"),
    }
}

fn key() -> SecretKey {
    SecretKey::from_bytes(Digest::of(b"node-1").as_bytes()).unwrap()
}

/// User and system seconds of this process (proc(5), fields 14 and 15 of `stat`).
fn cpu() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

/// A line of `/proc/self/status`.
fn memory(name: &str) -> String {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().to_owned()
}

/// Runs something and prints how long it took.
fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (began, before) = (Instant::now(), cpu());
    let done = work();
    let wall = began.elapsed().as_secs_f64();
    println!("{what}: {wall:.2} s, {:.2} s of CPU", cpu() - before);
    done
}

fn dataset(number: usize) -> Dataset {
    let template = include_str!("../../schemas/json/records/examples/dataset.travellers.json");
    let mut dataset: Dataset = serde_json::from_str(template).unwrap();
    let port = PORTS[number % PORTS.len()];
    let subject = SUBJECTS[number / PORTS.len() % SUBJECTS.len()];
    let series = number / (PORTS.len() * SUBJECTS.len());
    dataset.id = DatasetId::parse(format!("gd.p{}.d{number:06}", number % PROVIDERS)).unwrap();
    dataset.provider = provider(number);
    dataset.title = LocalText::new(
        format!("{}{}第{series}期", port.0, subject.0),
        format!("{} of {}, series {series}", subject.1, port.1),
    );
    dataset.summary = LocalText::new(
        format!(
            "{}每日{}明细,由提供方按月更新并经质量检查",
            port.0, subject.0
        ),
        format!("Daily {} of {}, renewed by its provider", subject.1, port.1),
    );
    dataset.theme = format!("theme-{}", number % 20);
    dataset.grade = Grade::ALL[number % 4];
    dataset.state = DatasetState::Published;
    dataset.visibility = if number.is_multiple_of(10) {
        Visibility::Parties([provider(number + 1)].into())
    } else {
        Visibility::Federation
    };
    dataset
}

fn provider(number: usize) -> ParticipantId {
    ParticipantId::parse(format!("gd.p{}", number % PROVIDERS)).unwrap()
}

fn grant(number: usize, datasets: usize) -> Grant {
    let template = include_str!("../../schemas/json/records/examples/grant.active.json");
    let mut grant: Grant = serde_json::from_str(template).unwrap();
    let of = number % datasets;
    grant.id = GrantId::parse(format!("g-{number:07}")).unwrap();
    grant.dataset = DatasetId::parse(format!("gd.p{}.d{of:06}", of % PROVIDERS)).unwrap();
    grant.provider = provider(of);
    grant.consumer = provider(of + 1 + number / datasets);
    grant
}

fn node() -> Node {
    Node {
        id: NodeId::parse("node-1").unwrap(),
        operator: provider(0),
        hosts: BTreeSet::from([provider(0)]),
        raft_number: 1,
        raft_address: "127.0.0.1:1".to_owned(),
        data_address: "127.0.0.1:2".to_owned(),
        api_address: "127.0.0.1:3".to_owned(),
        transport_keys: BTreeSet::new(),
        signing: key().public().clone(),
        revision: 1,
    }
}

/// Every record with its key.
fn records(datasets: usize, grants: usize) -> impl Iterator<Item = (String, Vec<u8>)> {
    let founding = json!({"authority": "gd.p0", "founded_at": "2026-11-30T00:00:00.000Z"});
    let first = [
        (
            "federation/founding".to_owned(),
            canonical::to_bytes(&founding),
        ),
        ("node/node-1".to_owned(), canonical::to_bytes(&node())),
    ];
    let cards = (0..datasets).map(|number| {
        let card = dataset(number);
        (format!("dataset/{}", card.id), canonical::to_bytes(&card))
    });
    let rights = (0..grants).map(move |number| {
        let right = grant(number, datasets);
        (format!("grant/{}", right.id), canonical::to_bytes(&right))
    });
    let all = first.into_iter().chain(cards).chain(rights);
    all.map(|(key, bytes)| (key, bytes.unwrap()))
}

async fn make(dir: &Path, datasets: usize, grants: usize) {
    fs::create_dir_all(dir).unwrap();
    let mut digests = MerkleMap::new();
    let mut raw = 0;
    for (key, bytes) in records(datasets, grants) {
        raw += bytes.len();
        digests.insert(key.as_bytes(), Digest::of(&bytes));
    }
    let now = Timestamp::parse("2026-11-30T00:00:00Z").unwrap();
    let header = BackupHeader {
        cluster: digests.get(b"federation/founding").unwrap(),
        index: 1_000,
        term: 1,
        digest: digests.root(),
        records: digests.len(),
        leader_time: now,
        taken_at: now,
        node: node().id,
        signing: key().public().clone(),
        voters: vec![BackupMember {
            raft_number: 1,
            address: node().raft_address,
        }],
        learners: Vec::new(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let path = dir.join("catalog.backup");
    timed("write the backup (records made anew)", || {
        let out = BufWriter::new(File::create(&path).unwrap());
        let mut writer = BackupWriter::new(out, &header).unwrap();
        for (key, bytes) in records(datasets, grants) {
            writer.record(&key, &bytes).unwrap();
        }
        let seal = writer.end_records().unwrap().clone();
        let bytes = canonical::to_bytes(&seal).unwrap();
        let signature = key().sign(BackupSeal::LABEL, &bytes).unwrap();
        let signed = Signed {
            body: seal,
            key: key().public().key_id(),
            signature,
        };
        writer.finish(&signed).unwrap();
    });
    let stored = fs::metadata(&path).unwrap().len();
    println!(
        "{} records, {raw} bytes, {stored} in the backup",
        header.records
    );
    timed("verify the backup", || {
        let file = BufReader::new(File::open(&path).unwrap());
        verify(file, &Expected::default()).unwrap();
    });
    let options = RestoreOptions {
        dir: dir.join("catalog"),
        node: node().id,
        raft_number: 1,
        signing: key().public().clone(),
        cluster: None,
        keys: vec![key().public().clone()],
    };
    let (began, before) = (Instant::now(), cpu());
    let file = BufReader::new(File::open(&path).unwrap());
    restore(options, file).await.unwrap();
    let wall = began.elapsed().as_secs_f64();
    println!("restore: {wall:.2} s, {:.2} s of CPU", cpu() - before);
    println!("peak memory: {} kB", memory("VmHWM"));
}

async fn start(dir: &Path) {
    let validity = Validity::days(Clock::system().now().millis() - 60_000, 2);
    let tls = TlsAuthority::create_of(Family::Standard, "scale", validity).unwrap();
    let identity = TlsIdentity::issue(&tls, "node-1", &[], validity).unwrap();
    let roots = tls.roots().unwrap();
    let options = StartOptions {
        dir: dir.join("catalog"),
        node: node().id,
        raft_number: 1,
        signer: Arc::new(SoftwareKey::new(key())),
        listener: tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(),
        server_tls: server_config(&identity, ClientAuth::Required(&roots), &[b"h2"])
            .unwrap()
            .into(),
        client_tls: client_config(&roots, Some(&identity), &[b"h2"])
            .unwrap()
            .into(),
        options: Options::default(),
        clock: Clock::system(),
    };
    println!("memory before: {} kB", memory("VmRSS"));
    let (began, before) = (Instant::now(), cpu());
    let catalog = Catalog::start(options).await.unwrap();
    let wall = began.elapsed().as_secs_f64();
    println!("start: {wall:.2} s, {:.2} s of CPU", cpu() - before);
    let records = catalog.view().state().digests().len();
    println!(
        "{records} records; memory {} kB, peak {} kB",
        memory("VmRSS"),
        memory("VmHWM")
    );
    let found = tokio::task::spawn_blocking({
        let catalog = catalog.clone();
        move || search(&catalog)
    });
    found.await.unwrap();
    println!(
        "memory with the index: {} kB, peak {} kB",
        memory("VmRSS"),
        memory("VmHWM")
    );
    catalog.shutdown().await;
}

fn search(catalog: &Catalog) {
    let view = catalog.view();
    let index = timed("index all datasets", || Index::of(&view));
    let authority = view.authority();
    let reader = provider(7);
    let seen = Sight::Participant(&reader);
    let words = [
        "集装箱",
        "港",
        "集装箱 南沙",
        "vessel",
        "container yantian",
        "series 77",
        "d012345",
        "危险货物申报",
        "daily",
        "第1期",
        "travellers hengqin",
        "不存在的词",
    ];
    let mut times = Vec::new();
    for round in 0..50 {
        for words in words {
            let query = Query {
                words,
                facets: round % 2 == 0,
                ..Query::all(seen, 50)
            };
            let began = Instant::now();
            let found = index.search(authority, &query);
            times.push((began.elapsed(), words, found.total));
        }
    }
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    println!(
        "search, {} queries: p50 {:?}, p99 {:?}, worst {:?}",
        times.len(),
        at(50).0,
        at(99),
        at(100)
    );
    for (what, sight) in [
        ("everything", Sight::Unfiltered),
        ("what one may see", seen),
    ] {
        let mut best = Duration::MAX;
        for _ in 0..20 {
            let began = Instant::now();
            let found = index.search(authority, &Query::all(sight, 10_000));
            best = best.min(began.elapsed());
            assert!(found.items.len() <= 10_000);
        }
        println!("list of 10,000, {what}: best of 20 {best:?}");
    }
}
