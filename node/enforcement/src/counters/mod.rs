//! The counter home of one participant: which natural persons were sent abroad, in which year and
//! under which instrument. Exact, durable, and reserved before anything leaves.
//!
//! It does not decide and it knows no names: a person is 16 bytes of a keyed hash, under a key that
//! is made for each year and each instrument and kept wrapped to the participant's encryption key.
//! It holds no threshold: those are the rule pack's.
//!
//! ```text
//!   Count (hashes, in lanes) -> reserve -> keep -> settle   it left, or may have
//!                                   |        |
//!                                   +--------+---> return   nothing left
//! ```
//!
//! | file | what it holds |
//! |---|---|
//! | `set` | an exact set of persons in memory |
//! | `count` | persons of one batch, hashed as they come |
//! | `home` | sets, reservations and their figures |
//! | `record` | what the file says |
//! | `journal` | the file |
//!
//! The unit is the natural person, each once, for each data processor and calendar year in
//! Asia/Shanghai (provisions on facilitating cross-border data flows, 2024, articles 5 to 8). After
//! a crash what was reserved counts as sent.

mod count;
mod home;
mod journal;
mod record;
mod set;

use std::path::PathBuf;

use schemas::InstrumentId;

pub use count::{Count, Person};
pub use home::{CounterHome, Reservation};
pub use record::Kept;
pub use set::Flags;

/// Most persons, over all the sets that a batch touches: half a gibibyte of hashes.
pub const BATCH_ENTRIES_MAX: usize = 32 << 20;

/// Most instruments on whose scale one batch is reserved.
pub const INSTRUMENTS_MAX: usize = 16;

/// Most reservations that are open at one time: each is asked for every person of a new one.
pub const RESERVATIONS_MAX: usize = 256;

/// What a set of persons is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Scope {
    /// Everything that was sent in a calendar year.
    Year(u16),
    /// Everything that was sent under an instrument, over its life.
    Instrument(InstrumentId),
}

/// Why the counter home could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// A file could not be used.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },

    /// What was durable is not there any more as it was written.
    #[error(
        "{} is damaged at byte {at}; restore it from a backup, or count the year again from the \
         ledger and the datasets", file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// Where.
        at: u64,
    },

    /// Another process has the folder.
    #[error("{} is used by another process; stop it first", dir.display())]
    Taken {
        /// The folder.
        dir: PathBuf,
    },

    /// A record of the file says what cannot be.
    #[error("a record of the counter file cannot be used: {why}")]
    Record {
        /// Why.
        why: String,
    },

    /// The file's end is not known after a failed write.
    #[error("an earlier write failed, so nothing more is reserved; restart the node")]
    Broken,

    /// More than one batch may have.
    #[error("the batch has more than {limit} {what}; send it in parts")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },

    /// There is no such reservation any more.
    #[error("there is no open reservation {0}")]
    NotReserved(u64),

    /// A key could not be made or opened.
    #[error("use a key of the counter home")]
    Key(#[from] crypto::Error),
}

impl Fault {
    fn io(what: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { what, source }
    }
}
