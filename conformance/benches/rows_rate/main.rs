//! How fast rows come in and go out, beside Polars and nginx in the same run: `cargo bench
//! --workspace --bench rows_rate -- lineitem.csv`.
//!
//! It does not pass or fail: a figure belongs in RESULTS.md, with the machine it was taken on.
//!
//! The file is TPC-H lineitem as CSV with a header (PyPI `tpchgen-cli`: `tpchgen-cli csv -s 1
//! --tables lineitem`). Three nodes run as processes of the real program, built beside this
//! one (`cargo build --release`). Guangzhou publishes the file twice, as G2 and as G3, checked
//! against a standard with a rule for every column, a unique key and an order of dates; Shenzhen
//! transfers both, in the clear under mutual TLS (G2) and sealed (G3).
//!
//! Peers, where they are there: Polars (`KOUAN_PEER_PYTHON` names a Python that imports it)
//! rewrites the same CSV as Parquet, without checks; nginx serves the same files over TLS 1.3 to
//! curl, which writes them.
#![expect(clippy::print_stdout, reason = "a program that prints its result")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "what cannot be set up cannot be measured"
)]

mod lineitem;
mod peers;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use conformance::process::{Process, Processes};
use conformance::{Client, Cluster, errand};
use jobs::{Job, JobOutcome};
use schemas::dataset::{Dataset, Grade};
use schemas::participant::Role;

fn main() {
    let file = std::env::args()
        .skip(1)
        .map(PathBuf::from)
        .find(|it| it.is_file())
        .expect("name a CSV file of TPC-H lineitem; the first lines of the source say how");
    let bytes = file.metadata().expect("the file's size").len();
    println!("{}: {:.1} MB", file.display(), mega(bytes));
    let cluster = Cluster::start(3);
    let scratch = tempfile::tempdir().expect("a folder");
    let mut nodes = Processes::of(cluster);
    nodes.start();
    let steward = nodes.members[1].sign_in(Role::DataSteward);
    let approver = nodes.members[0].sign_in(Role::DataSteward);
    let consumer = nodes.members[2].sign_in(Role::DataConsumer);
    let owner = nodes.members[1].prepared.node.id.clone();
    let mut published = Vec::new();
    for (name, grade) in [("bench-clear", Grade::G2), ("bench-sealed", Grade::G3)] {
        let described = lineitem::described(name, grade);
        let dataset = errand::describe(&steward, &approver, &owner, described);
        publish(&nodes.members[1], &steward, &dataset, &file);
        published.push(dataset);
    }
    peers::polars(&file, scratch.path());
    for (dataset, how) in published.iter().zip(["in the clear", "sealed"]) {
        let wish = errand::Wish::all(&format!("r-{}", dataset.id), &dataset.id);
        let grant = errand::grant(&consumer, &steward, dataset, &wish, BTreeMap::new());
        // The first one pins the artefact, the others find it.
        for turn in ["first", "again", "once more"] {
            let begun = Instant::now();
            let key = format!("k-{}-{}", dataset.id, turn.len());
            let job: Job = errand::start_fetch(&consumer, &grant, &key).ok();
            let job = wait(&consumer, &job);
            let took = begun.elapsed();
            let Some(JobOutcome::Transferred { bytes, .. }) = job.outcome else {
                panic!("{:?}", job.failure);
            };
            rate(&format!("transfer {how}, {turn}"), bytes, took);
        }
    }
    memory("provider, after all", &nodes.members[1]);
    memory("consumer, after all", &nodes.members[2]);
    let dir = nodes.members[1].prepared.dir.join("data/artefacts");
    peers::nginx(&artefact(&dir), &nodes.members[1], scratch.path());
}

fn publish(node: &Process, steward: &Client, dataset: &Dataset, file: &Path) {
    let begun = Instant::now();
    let job: Job = errand::publish_file(steward, &dataset.id, file).ok();
    let uploaded = begun.elapsed();
    let job = wait(steward, &job);
    let took = begun.elapsed() - uploaded;
    let Some(JobOutcome::Published {
        rows,
        quarantined_rows,
        bytes,
        ..
    }) = job.outcome
    else {
        panic!("{:?}", job.failure);
    };
    println!(
        "publish {}: {rows} rows ({quarantined_rows} kept out) checked and committed in {:.2} s: \
         {:.0} rows/s, {:.1} MB of Parquet; upload before it {:.2} s",
        dataset.id,
        took.as_secs_f64(),
        rows as f64 / took.as_secs_f64(),
        mega(bytes),
        uploaded.as_secs_f64(),
    );
    memory("owner, after publishing", node);
}

/// Largest resident memory of a node so far.
fn memory(what: &str, node: &Process) {
    let Some(id) = node.id() else { return };
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    println!("peak memory of the {what}: {}", line.unwrap_or("?").trim());
}

fn rate(what: &str, bytes: u64, took: Duration) {
    println!(
        "{what:<36} {:>7.1} MB in {:>6.3} s: {:>6.1} MB/s",
        mega(bytes),
        took.as_secs_f64(),
        mega(bytes) / took.as_secs_f64()
    );
}

fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Waits without the limit of the tests, and looks often: a transfer may be over in a second.
fn wait(client: &Client, job: &Job) -> Job {
    loop {
        let now: Job = client.get(&format!("/jobs/{}", job.id)).ok();
        if now.state.is_ended() {
            return now;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The folder of the artefact that was pinned first.
fn artefact(dir: &Path) -> PathBuf {
    let folders = std::fs::read_dir(dir).expect("artefacts");
    let mut folders: Vec<PathBuf> = folders
        .map(|it| it.expect("an artefact").path())
        .filter(|it| it.is_dir())
        .collect();
    folders.sort();
    folders.into_iter().next().expect("an artefact")
}
