//! Appends a second from 1, 16, 64 and 256 callers at once, each waiting for its answer; how long
//! one waits; how soon there is a proof; and how fast the whole is verified afterwards.
#![expect(
    clippy::print_stdout,
    reason = "printing figures is what this program is for"
)]

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use crypto::SoftwareKey;
use ledger::{Ledger, Options, evidence, fsck};
use schemas::ledger_entry::{LedgerEntry, LedgerEvent, LedgerIdentity, LedgerIndex};
use schemas::{NodeId, ParticipantId, Timestamp};

type Failed = Box<dyn Error + Send + Sync>;

/// Long enough for thousands of syncs.
const RUN: Duration = Duration::from_secs(4);

/// How often a checkpoint is signed: proofs are wanted within a second.
const CHECKPOINT_EVERY: Duration = Duration::from_millis(500);

/// With its frame, about the size of a decision.
const VERSION_BYTES: usize = 850;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    for callers in [1_usize, 16, 64, 256] {
        let dir = std::env::temp_dir().join(format!("kouan-append-rate-{}", std::process::id()));
        let key = SoftwareKey::generate()?;
        append(&dir, callers, &key).await?;
        verify(&dir, &key)?;
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(())
}

async fn append(dir: &Path, callers: usize, key: &SoftwareKey) -> Result<(), Failed> {
    let identity = LedgerIdentity {
        participant: ParticipantId::parse("gd.gz.port")?,
        incarnation: 1,
    };
    let ledger = Ledger::open(dir, identity, Options::default())?;
    let entry = LedgerEntry {
        at: Timestamp::from_millis(1_790_000_000_000),
        node: NodeId::parse("node-1")?,
        clock_trusted: true,
        trace: "append-rate".to_owned(),
        event: LedgerEvent::Started {
            version: "v".repeat(VERSION_BYTES),
        },
    };
    let began = Instant::now();
    let running = (0..callers).map(|_| {
        let (ledger, entry) = (ledger.clone(), entry.clone());
        tokio::spawn(async move {
            let mut waited = Vec::new();
            while began.elapsed() < RUN {
                let asked = Instant::now();
                ledger.append(entry.clone()).await?;
                waited.push(asked.elapsed());
            }
            Ok::<_, ledger::Error>(waited)
        })
    });
    let running: Vec<_> = running.collect();
    let slowest = prove(&ledger, key, began).await?;
    let mut waited = Vec::new();
    for caller in futures::future::join_all(running).await {
        waited.extend(caller??);
    }
    waited.sort_unstable();
    let millis = u64::try_from(began.elapsed().as_millis())?.max(1);
    println!(
        "{callers:>4} callers: {:>8} entries/s; p50 {:?}, p99 {:?}; proof {slowest:?} later",
        ledger.size() * 1_000 / millis,
        waited[waited.len() / 2],
        waited[waited.len() * 99 / 100],
    );
    ledger.close().await;
    Ok(())
}

/// Signs checkpoints while others append, and proves the newest entry under each: how long after
/// its append an entry can be proven at the latest.
async fn prove(ledger: &Ledger, key: &SoftwareKey, began: Instant) -> Result<Duration, Failed> {
    let mut slowest = Duration::ZERO;
    let mut before = Instant::now();
    while began.elapsed() < RUN {
        tokio::time::sleep(CHECKPOINT_EVERY).await;
        let at = Timestamp::from_millis(1_790_000_000_000);
        let checkpoint = ledger.checkpoint(key, at).await?;
        if let Some(last) = checkpoint.body.size.checked_sub(1) {
            let proof = ledger.evidence(LedgerIndex(last), key.public())?;
            evidence::verify(&proof, key.public())?;
        }
        // What was appended right after the checkpoint before waited for this one.
        slowest = slowest.max(before.elapsed());
        before = Instant::now();
    }
    Ok(slowest)
}

fn verify(dir: &Path, key: &SoftwareKey) -> Result<(), Failed> {
    let began = Instant::now();
    let report = fsck::check(dir, Some(key.public()))?;
    let millis = u64::try_from(began.elapsed().as_millis())?.max(1);
    println!(
        "      verified {} entries and {} signatures: {} entries/s",
        report.entries,
        report.signatures,
        report.entries * 1_000 / millis
    );
    Ok(())
}
