//! How fast rows come in and go out: `cargo bench -p conformance --bench transfer_rate`. Publishes
//! generated rows through REST at one node and transfers them to another over the loopback, in the
//! clear under mutual TLS (G2) and sealed (G3), whole. Prints rows and bytes per second; the line
//! for nginx serving the same file is in RESULTS.md.
//!
//! It does not pass or fail: a figure belongs in RESULTS.md, with the machine it was taken on.
#![expect(clippy::print_stdout, reason = "a program that prints its result")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "what cannot be set up cannot be measured"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use conformance::{Client, Cluster, bulk, errand};
use jobs::{Job, JobOutcome};
use schemas::dataset::Grade;
use schemas::participant::Role;

fn main() {
    let rows: u64 = std::env::args()
        .find_map(|it| it.parse().ok())
        .unwrap_or(4_000_000);
    let cluster = Cluster::start(3);
    let file = cluster.scratch().join("rows.csv");
    let bytes = bulk::write(&file, rows, 3);
    println!("{rows} rows, {:.1} MB of CSV", mega(bytes));
    let steward = cluster.sign_in(1, Role::DataSteward);
    let approver = cluster.sign_in(0, Role::DataSteward);
    let consumer = cluster.sign_in(2, Role::DataConsumer);
    let owner = &cluster.member(1).prepared.node.id;
    for (name, grade) in [("bench-clear", Grade::G2), ("bench-sealed", Grade::G3)] {
        let dataset = errand::describe(&steward, &approver, owner, bulk::described(name, grade));
        let begun = Instant::now();
        let job: Job = errand::publish_file(&steward, &dataset.id, &file).ok();
        let job = wait(&steward, &job);
        let took = begun.elapsed();
        let Some(JobOutcome::Published {
            rows,
            bytes: stored,
            ..
        }) = job.outcome
        else {
            panic!("{:?}", job.failure);
        };
        println!(
            "{name}: publish {:.0} rows/s, {:.1} MB/s of CSV, {:.1} MB of Parquet, {:.1} s",
            rows as f64 / took.as_secs_f64(),
            mega(bytes) / took.as_secs_f64(),
            mega(stored),
            took.as_secs_f64()
        );
        let wish = errand::Wish::all(&format!("r-{name}"), &dataset.id);
        let grant = errand::grant(&consumer, &steward, &dataset, &wish, BTreeMap::new());
        // The first one makes the artefact, the second finds it.
        for turn in ["first", "again"] {
            let begun = Instant::now();
            let job: Job = errand::start_fetch(&consumer, &grant, &format!("k-{name}-{turn}")).ok();
            let job = wait(&consumer, &job);
            let took = begun.elapsed();
            let Some(JobOutcome::Transferred { bytes, .. }) = job.outcome else {
                panic!("{:?}", job.failure);
            };
            let rate = mega(bytes) / took.as_secs_f64();
            println!("{name}: transfer ({turn}) {rate:.1} MB/s of Parquet, {took:.1?}");
        }
    }
    println!("the same bytes for nginx: {}", artefact(&cluster).display());
}

fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Waits without the limit of the tests.
fn wait(client: &Client, job: &Job) -> Job {
    loop {
        let now: Job = client.get(&format!("/jobs/{}", job.id)).ok();
        if now.state.is_ended() {
            return now;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The largest artefact that was pinned at the provider's: what nginx is compared with.
fn artefact(cluster: &Cluster) -> PathBuf {
    let folder = cluster.member(1).prepared.dir.join("data/artefacts");
    let folders = std::fs::read_dir(folder).expect("artefacts");
    let files = folders.flat_map(|it| std::fs::read_dir(it.expect("an artefact").path()));
    let files = files.flatten().map(|it| it.expect("a file").path());
    files
        .max_by_key(|it| it.metadata().map_or(0, |it| it.len()))
        .expect("an artefact's file")
}
