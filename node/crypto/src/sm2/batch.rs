//! Many signatures at once.

use std::num::NonZeroUsize;
use std::thread;

use super::{Label, PublicKey, Signature};
use crate::Error;

/// Checks many signatures, spread over threads, and stops at the first that fails.
///
/// An empty batch is in order: there is nothing in it that is wrong.
///
/// # Errors
///
/// [`Error::SignatureRejected`] when any one was not made by its key over its bytes.
pub fn verify_batch(items: &[(PublicKey, Label, &[u8], &Signature)]) -> Result<(), Error> {
    let threads = thread::available_parallelism()
        .map_or(1, NonZeroUsize::get)
        .min(BATCH_THREADS_MAX)
        .min(items.len() / BATCH_ITEMS_PER_THREAD_MIN);
    if threads < 2 {
        return verify_each(items);
    }
    let share = items.len().div_ceil(threads);
    thread::scope(|scope| {
        let workers: Vec<_> = items
            .chunks(share)
            .map(|part| scope.spawn(|| verify_each(part)))
            .collect();
        // Every worker is joined, so that the scope does not join a panicked one for us.
        let mut outcome = Ok(());
        for worker in workers {
            let part = worker.join().unwrap_or(Err(Error::SignatureRejected));
            outcome = outcome.and(part);
        }
        outcome
    })
}

fn verify_each(items: &[(PublicKey, Label, &[u8], &Signature)]) -> Result<(), Error> {
    for (key, label, message, signature) in items {
        key.verify(*label, message, signature)?;
    }
    Ok(())
}

/// More threads than this take cores from the rest of the node during one batch.
const BATCH_THREADS_MAX: usize = 16;

/// A verification takes about 0.3 ms and starting a thread about 0.05 ms; below this many per
/// thread, threads cost more than they save.
const BATCH_ITEMS_PER_THREAD_MIN: usize = 4;
