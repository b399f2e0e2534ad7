//! Appends a second from 1, 16 and 256 callers at once, each waiting for its answer.
#![expect(
    clippy::print_stdout,
    reason = "printing figures is what this program is for"
)]

use std::error::Error;
use std::time::{Duration, Instant};

use ledger::{Ledger, Options};
use schemas::ledger_entry::{LedgerEntry, LedgerEvent, LedgerIdentity};
use schemas::{NodeId, ParticipantId, Timestamp};

/// Long enough for thousands of syncs.
const RUN: Duration = Duration::from_secs(2);

/// With its frame, about the size of a decision.
const VERSION_BYTES: usize = 850;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let entry = LedgerEntry {
        at: Timestamp::from_millis(1_790_000_000_000),
        node: NodeId::parse("node-1")?,
        clock_trusted: true,
        trace: "append-rate".to_owned(),
        event: LedgerEvent::Started {
            version: "v".repeat(VERSION_BYTES),
        },
    };
    for callers in [1_usize, 16, 256] {
        let dir = std::env::temp_dir().join(format!("kouan-append-rate-{}", std::process::id()));
        let participant = ParticipantId::parse("gd.gz.port")?;
        let identity = LedgerIdentity {
            participant,
            incarnation: 1,
        };
        let ledger = Ledger::open(&dir, identity, Options::default())?;
        let began = Instant::now();
        let running = (0..callers).map(|_| {
            let (ledger, entry) = (ledger.clone(), entry.clone());
            tokio::spawn(async move {
                while began.elapsed() < RUN {
                    ledger.append(entry.clone()).await?;
                }
                Ok::<(), ledger::Error>(())
            })
        });
        for caller in futures::future::join_all(running).await {
            caller??;
        }
        let entries = ledger.size();
        let seconds = began.elapsed().as_secs_f64();
        let millis = u64::try_from(began.elapsed().as_millis())?.max(1);
        println!(
            "{callers:>4} callers: {:>8} entries/s ({entries} in {seconds:.1} s)",
            entries * 1_000 / millis
        );
        ledger.close().await;
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(())
}
