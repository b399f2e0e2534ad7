//! Work that takes a thread for a while: signatures, digests, disks.
//!
//! It does not limit how much runs at once; whoever calls does.

use crate::Error;

/// Runs `work` on a thread that may block and waits for it.
///
/// # Errors
/// [`Error::Store`] with `action` when it panicked or the runtime is shutting down.
pub(crate) async fn blocking<T: Send + 'static>(
    action: &'static str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    // A simulation has one thread, so that a seed always gives the same order of events.
    #[cfg(test)]
    if crate::raft::sim::is_running() {
        return Ok(work());
    }
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|source| Error::store(action, source))
}
