//! Ends what may no longer run, without waiting for the next chunk: a revocation is in the ledger
//! within a second or two even when nobody reads.
//!
//! It does not decide; it asks every release again when the catalog moved.

use std::sync::Weak;
use std::time::Duration;

use super::provide::TransferService;

/// How often releases are asked when the catalog stands still: deadlines pass all the same.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Sweeps as long as the service exists.
pub(crate) async fn run(service: Weak<TransferService>) {
    let mut artefacts_seen = None;
    loop {
        let Some(strong) = service.upgrade() else {
            return;
        };
        let now = strong.parts.clock.now();
        let view = strong.parts.catalog.view();
        strong.releases.sweep(&view, now).await;
        if artefacts_seen != Some(view.index()) {
            artefacts_seen = Some(view.index());
            strong.artefacts.purge(&view, now);
        }
        let mut changed = strong.parts.catalog.changed();
        drop(strong);
        // Whether it moved, the second passed or the catalog closed: look again.
        let _ = tokio::time::timeout(SWEEP_EVERY, changed.changed()).await;
    }
}
