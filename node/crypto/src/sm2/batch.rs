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
use crate::digest::Digest;

/// Checks many signatures, spread over threads, and stops soon after the first that fails.
///
/// An empty batch is in order: there is nothing in it that is wrong.
///
/// # Errors
///
/// [`Error::SignatureRejected`] when any one was not made by its key over its bytes.
pub fn verify_batch(items: &[Item<'_>]) -> Result<(), Error> {
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
fn verify_each(items: &[Item<'_>], failed: &AtomicBool) -> Result<(), Error> {
    let mut buffer = Vec::new();
    let mut rest = items;
    while !rest.is_empty() {
        let (lot, behind) = rest.split_at(lot_len(rest));
        rest = behind;
        let digests = digests(lot, &mut buffer);
        for ((key, _, _, signature), digest) in lot.iter().zip(digests) {
            if failed.load(Ordering::Relaxed) {
                return Err(Error::SignatureRejected);
            }
            if let Err(error) = key.verify_digest(&digest, signature) {
                failed.store(true, Ordering::Relaxed);
                return Err(error);
            }
        }
    }
    Ok(())
}

/// How many items, at least one, are digested together.
fn lot_len(items: &[Item<'_>]) -> usize {
    let mut bytes = 0_usize;
    let fits = |(_, _, message, _): &&Item<'_>| {
        bytes = bytes.saturating_add(message.len());
        bytes <= LOT_BYTES_MAX
    };
    items
        .iter()
        .take(LOT_ITEMS_MAX)
        .take_while(fits)
        .count()
        .max(1)
}

/// What each key signed, digested side by side where the processor has vectors for it.
fn digests(lot: &[Item<'_>], buffer: &mut Vec<u8>) -> Vec<Digest> {
    if let [(key, label, message, _)] = lot {
        return vec![key.message_digest(&[label.prefix(), message])];
    }
    buffer.clear();
    let ends: Vec<usize> = lot
        .iter()
        .map(|(key, label, message, _)| {
            key.put_signed_bytes(*label, message, buffer);
            buffer.len()
        })
        .collect();
    let mut begin = 0;
    let contents: Vec<&[u8]> = ends
        .into_iter()
        .map(|end| &buffer[std::mem::replace(&mut begin, end)..end])
        .collect();
    Digest::of_each(&contents)
}

/// A key, for what it signed, the message, the signature.
type Item<'a> = (PublicKey, Label, &'a [u8], &'a Signature);

/// As many as the widest vectors take twice.
const LOT_ITEMS_MAX: usize = 32;

/// The copy that a lot needs stays in the processor's cache.
const LOT_BYTES_MAX: usize = 256 << 10;

/// More threads than this take cores from the rest of the node during one batch.
const BATCH_THREADS_MAX: usize = 16;

/// A verification takes 0.02 to 0.1 ms and starting a thread about 0.05 ms; below this many per
/// thread, threads cost more than they save.
const BATCH_ITEMS_PER_THREAD_MIN: usize = 16;
