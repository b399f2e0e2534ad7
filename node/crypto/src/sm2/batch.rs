//! Many signatures at once.
//!
//! It does not check several signatures by one equation. That needs the point `k * G` that the
//! signer had, and an SM2 signature holds only its x coordinate mixed with the digest: for each
//! signature, the sign would have to be guessed. What a batch shares is threads, and the tables
//! of keys that sign often.

use std::num::NonZeroUsize;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{Label, PublicKey, Signature};
use crate::Error;

/// Checks many signatures, spread over threads, and stops soon after the first that fails.
///
/// An empty batch is in order: there is nothing in it that is wrong.
///
/// # Errors
///
/// [`Error::SignatureRejected`] when any one was not made by its key over its bytes.
pub fn verify_batch(items: &[(PublicKey, Label, &[u8], &Signature)]) -> Result<(), Error> {
    // The system is asked once: it reads files to say what a group of processes may use.
    static CORES: OnceLock<usize> = OnceLock::new();
    let cores = *CORES.get_or_init(|| thread::available_parallelism().map_or(1, NonZeroUsize::get));
    let threads = cores
        .min(BATCH_THREADS_MAX)
        .min(items.len() / BATCH_ITEMS_PER_THREAD_MIN);
    let failed = AtomicBool::new(false);
    if threads < 2 {
        return verify_each(items, &failed);
    }
    let share = items.len().div_ceil(threads);
    let (own, others) = items.split_at(share);
    thread::scope(|scope| {
        let workers: Vec<_> = others
            .chunks(share)
            .map(|part| scope.spawn(|| verify_each(part, &failed)))
            .collect();
        let mut outcome = verify_each(own, &failed);
        // Every worker is joined, so that the scope does not join a panicked one for us.
        for worker in workers {
            let part = worker.join().unwrap_or(Err(Error::SignatureRejected));
            outcome = outcome.and(part);
        }
        outcome
    })
}

/// Checks until one fails, here or elsewhere: then the whole batch has failed, and what was not
/// looked at does not matter.
fn verify_each(
    items: &[(PublicKey, Label, &[u8], &Signature)],
    failed: &AtomicBool,
) -> Result<(), Error> {
    for (key, label, message, signature) in items {
        if failed.load(Ordering::Relaxed) {
            return Err(Error::SignatureRejected);
        }
        if let Err(error) = key.verify(*label, message, signature) {
            failed.store(true, Ordering::Relaxed);
            return Err(error);
        }
    }
    Ok(())
}

/// More threads than this take cores from the rest of the node during one batch.
const BATCH_THREADS_MAX: usize = 16;

/// A verification takes 0.02 to 0.1 ms and starting a thread about 0.05 ms; below this many per
/// thread, threads cost more than they save.
const BATCH_ITEMS_PER_THREAD_MIN: usize = 16;
