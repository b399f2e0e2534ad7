//! What the counter home's file says.
//!
//! It does not write files: `journal` does.

use std::collections::BTreeSet;

use schemas::calendar::Day;
use schemas::{InstrumentId, canonical};
use serde::{Deserialize, Serialize};

use super::journal::{Journal, Kind};
use super::set::Entry;
use super::{Fault, Scope};

/// Persons of one frame.
const FRAME_PERSONS: usize = 65_536;

/// The number under which settled persons are written; reservations begin with 1.
pub(crate) const SETTLED: u64 = 0;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Record {
    /// A set and its key, wrapped to the participant's encryption key, in hexadecimal. Frames of
    /// persons name sets by their place among these.
    Set { scope: Scope, key: String },
    /// All persons of a reservation were written before this.
    Reserved { reservation: u64 },
    /// It was decided what a reservation is for.
    Kept {
        reservation: u64,
        kept: Kept,
        crossed: Option<Day>,
    },
    /// It left, or may have.
    Settled { reservation: u64 },
    /// Nothing left.
    Returned { reservation: u64 },
    /// The last day on which the assessment's threshold was crossed.
    Crossed { day: Day },
}

/// What a reservation is for, by the second decision.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// Whether the volume is one of those that O16 3 to 6 exempt.
    pub exempt: bool,
    /// The instruments on whose scale it counts.
    pub instruments: BTreeSet<InstrumentId>,
}

impl Record {
    pub(crate) fn write(&self, to: &mut Journal) -> Result<(), Fault> {
        let bytes = canonical::to_bytes(self).map_err(|error| Fault::Record {
            why: error.to_string(),
        })?;
        to.append(Kind::Text, &bytes)
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Fault> {
        canonical::from_bytes(bytes).map_err(|error| Fault::Record {
            why: error.to_string(),
        })
    }
}

/// Persons of one set under one number.
pub(crate) struct Persons {
    pub(crate) reservation: u64,
    pub(crate) set: usize,
    pub(crate) entries: Vec<Entry>,
}

impl Persons {
    /// Writes persons, some thousands a frame.
    pub(crate) fn write(
        to: &mut Journal,
        reservation: u64,
        set: usize,
        entries: impl IntoIterator<Item = Entry>,
    ) -> Result<(), Fault> {
        let set = u64::try_from(set).unwrap_or(u64::MAX).to_be_bytes();
        let head = [reservation.to_be_bytes(), set].concat();
        let mut payload = head.clone();
        for it in entries {
            payload.extend_from_slice(&it.to_bytes());
            if payload.len() >= head.len() + FRAME_PERSONS * Entry::BYTES {
                to.append(Kind::Persons, &payload)?;
                payload.truncate(head.len());
            }
        }
        if payload.len() > head.len() {
            to.append(Kind::Persons, &payload)?;
        }
        Ok(())
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Fault> {
        let short = || Fault::Record {
            why: "a frame of persons is cut".to_owned(),
        };
        let (head, rest) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
        let (set, rest) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        let (entries, left) = rest.as_chunks::<{ Entry::BYTES }>();
        if !left.is_empty() {
            return Err(short());
        }
        Ok(Self {
            reservation: u64::from_be_bytes(*head),
            set: usize::try_from(u64::from_be_bytes(*set)).map_err(|_| short())?,
            entries: entries.iter().map(|it| Entry::from_bytes(*it)).collect(),
        })
    }
}
