//! What an operator may set, with the reason of each default beside its number.
//!
//! It does not read a configuration file; the server does.

use serde::{Deserialize, Serialize};

use crate::findings::Thresholds;

/// Size at which a segment is sealed and the next begun. Small enough to be read at once when the
/// ledger opens, large enough that a year of a busy node is a few hundred files.
pub const SEGMENT_BYTES: u64 = 64 << 20;

/// Largest segment that may be configured or will be read: a segment is read into memory.
pub const SEGMENT_BYTES_MAX: u64 = 256 << 20;

/// Step in which space is allocated, zeroed and synced ahead of the writer: a sync that need not
/// record a new file length is two to six times as fast, and a full disk shows before anything is
/// half written. One step is written in about 10 ms on a slow disk.
pub const PREALLOCATION_BYTES: u64 = 1 << 20;

/// Entries that may wait for the writer. At 7,000 syncs a second and a few entries a sync this is
/// under a second of work; what waits longer should be told so.
pub const QUEUE_ENTRIES_MAX: usize = 4_096;

/// Bytes that may wait for the writer, so that a queue of the largest entries stays small too.
pub const QUEUE_BYTES_MAX: usize = 64 << 20;

/// Entries written with one sync. More does not help: at this number the sync is already a small
/// part of the time.
pub const BATCH_ENTRIES_MAX: usize = 1_024;

/// Bytes written with one sync, not counting the entry that exceeds it.
pub const BATCH_BYTES_MAX: usize = 4 << 20;

/// What an operator may set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Options {
    /// Bytes after which the next segment is begun; at most [`SEGMENT_BYTES_MAX`], of which a
    /// larger number is cut.
    pub segment_bytes: u64,
    /// Step of preallocation in bytes, rounded up to 4,096.
    pub preallocation_bytes: u64,
    /// Entries that may wait for the writer; at least 1.
    pub queue_entries_max: usize,
    /// Bytes that may wait for the writer.
    pub queue_bytes_max: usize,
    /// Entries written with one sync; at least 1.
    pub batch_entries_max: usize,
    /// From when on something in the entries is worth a look.
    pub findings: Thresholds,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES,
            preallocation_bytes: PREALLOCATION_BYTES,
            queue_entries_max: QUEUE_ENTRIES_MAX,
            queue_bytes_max: QUEUE_BYTES_MAX,
            batch_entries_max: BATCH_ENTRIES_MAX,
            findings: Thresholds::default(),
        }
    }
}
