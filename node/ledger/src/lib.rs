//! The access ledger of one participant: append-only, provable, and readable without a database.
//!
//! It does not decide what is recorded, it does not replicate itself, and it does not keep its
//! entries secret: whoever reads the files reads the entries. It detects change; it cannot
//! prevent it. What an intruder with all files could still rewrite is what no checkpoint has left
//! this machine for, which is why checkpoints are witnessed by other members.
//!
//! ```text
//!  append(entry) --> bounded queue --> writer thread: one write, one fdatasync per batch
//!                                        |                |               |
//!                              entries/<first>.seg    SM3 tree      index/ (rebuildable)
//!                                        |                |
//!  checkpoint(signer) ------> checkpoints/<first>.seg <---+  signed size and root
//! ```
//!
//! | part | modules |
//! |---|---|
//! | pure: no disk, no clock | [`entry`], [`tree`], [`proof`], [`checkpoint`], [`search`], |
//! | | [`findings`], `postings`, `segment`, `scan` |
//! | shell | `store`, `active`, `append` (files), `walk`, `log` (writer), `index`, [`Ledger`] |
//! | verification | [`fsck`] (a whole ledger), [`evidence`] (one entry), [`package`] (many) |
//!
//! # When a broken end is a crash and when it is damage
//!
//! Batches are written one after another, and each is synced before the next is written; space is
//! allocated, zeroed and synced before anything is written into it. Every record says how many
//! entries were durable when it was written, and after each sync a mark that says the same is put
//! behind the batch (and overwritten by the next one). Say reading stops before entry `k`, at
//! bytes that are neither an intact record nor zeros. Then:
//!
//! 1. If any intact record further on says that more than `k` entries were durable, or a later
//!    segment holds entries, or a stored checkpoint or the index covers entry `k`, then entry `k`
//!    was acknowledged: this is damage, [`Error::Tampered`], and the ledger does not open.
//! 2. If the file is shorter than space was allocated for, or an intact header leads past its
//!    end, it was cut after it was written: damage too.
//! 3. Otherwise these bytes belong to a batch that was never synced, so nobody was told that it is
//!    recorded: they are zeroed, and the ledger goes on at entry `k`.
//!
//! What this cannot tell apart, and says so in [`fsck`] as a torn tail: damage to the very last
//! batch when mark, index and checkpoint of it are lost as well.

mod active;
mod append;
pub mod checkpoint;
pub mod entry;
mod error;
pub mod evidence;
pub mod findings;
pub mod fsck;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod index;
mod ledger;
mod log;
#[doc(hidden)]
pub mod measure;
mod open;
mod options;
pub mod package;
mod postings;
pub mod proof;
mod scan;
pub mod search;
mod segment;
mod state;
mod store;
#[cfg(test)]
mod tests;
pub mod tree;
mod walk;

pub use entry::ENTRY_BYTES_MAX;
pub use error::Error;
pub use evidence::Evidence;
pub use ledger::{LOOK_ENTRIES_MAX, Ledger, SCAN_BYTES_MAX, SCAN_ENTRIES_MAX};
pub use options::{
    BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, Options, PREALLOCATION_BYTES, QUEUE_BYTES_MAX,
    QUEUE_ENTRIES_MAX, SEGMENT_BYTES, SEGMENT_BYTES_MAX,
};
pub use search::{Filter, Page};
