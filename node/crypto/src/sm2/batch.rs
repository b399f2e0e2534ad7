//! Many signatures at once.
//!
//! It does not check several signatures by one equation. That needs the point `k * G` that the
//! signer had, and an SM2 signature holds only its x coordinate mixed with the digest: for each
//! signature, the sign would have to be guessed. What a batch shares is threads, the tables of
//! keys that sign often, and the lanes of vectors, in which such keys' signatures are verified
//! side by side.

use std::array;
use std::num::NonZeroUsize;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::curve::{Claim, Lanes};
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
    let share = items.len().div_ceil(threads).next_multiple_of(Lanes::COUNT);
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
        let checks: Vec<Check<'_>> = lot
            .iter()
            .zip(digests(lot, &mut buffer))
            .map(|((key, _, _, signature), digest)| (key, digest, *signature))
            .collect();
        verify_lot(&checks, failed)?;
    }
    Ok(())
}

/// Checks side by side, and alone what that left open. So it is always one key at a time that
/// refuses a signature.
pub(super) fn verify_lot(checks: &[Check<'_>], failed: &AtomicBool) -> Result<(), Error> {
    for ((key, digest, signature), confirmed) in checks.iter().zip(confirm(checks, failed)) {
        if failed.load(Ordering::Relaxed) {
            return Err(Error::SignatureRejected);
        }
        if confirmed {
            continue;
        }
        if let Err(error) = key.verify_digest(digest, signature) {
            failed.store(true, Ordering::Relaxed);
            return Err(error);
        }
    }
    Ok(())
}

/// Which signatures were seen to hold, side by side. Of the others nothing is known.
pub(super) fn confirm(checks: &[Check<'_>], failed: &AtomicBool) -> Vec<bool> {
    let mut confirmed = vec![false; checks.len()];
    let lanes = Lanes::detect();
    if !lanes.are_many() || checks.len() < LANES_USED_MIN {
        return confirmed;
    }
    let claims: Vec<(usize, Claim<'_>)> = checks
        .iter()
        .enumerate()
        .filter_map(|(at, (key, digest, signature))| Some((at, key.claim(digest, signature)?)))
        .collect();
    for group in claims.chunks(Lanes::COUNT) {
        if group.len() < LANES_USED_MIN || failed.load(Ordering::Relaxed) {
            break;
        }
        // Lanes without a claim of their own repeat others', and nobody looks at them.
        let eight = array::from_fn(|lane| &group[lane % group.len()].1);
        for ((at, _), holds) in group.iter().zip(lanes.confirm(&eight)) {
            confirmed[*at] = holds;
        }
    }
    confirmed
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

/// A key, what it signed, the signature.
pub(super) type Check<'a> = (&'a PublicKey, Digest, &'a Signature);

/// As many as the widest vectors take twice.
const LOT_ITEMS_MAX: usize = 32;

/// The copy that a lot needs stays in the processor's cache.
const LOT_BYTES_MAX: usize = 256 << 10;

/// All lanes take as long as one, which is less than three verifications one at a time.
const LANES_USED_MIN: usize = 4;

/// More threads than this take cores from the rest of the node during one batch.
const BATCH_THREADS_MAX: usize = 16;

/// A verification takes 0.003 ms side by side and up to 0.1 ms alone, and starting a thread about
/// 0.05 ms; below this many per thread, threads cost more than they save.
const BATCH_ITEMS_PER_THREAD_MIN: usize = 16;
