//! Who may read the body of a record: all members, or its parties only.
//!
//! It does not seal anything; it keeps the place where a sealed body stands, so that no record has
//! to change when party-only bodies are sealed.

use std::collections::BTreeSet;

use crypto::Digest;
use serde::{Deserialize, Serialize};

use crate::ParticipantId;

/// Who may read a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Visibility {
    /// Every member of the federation.
    Federation,
    /// These participants (and the supervising authority).
    Parties(BTreeSet<ParticipantId>),
}

impl Visibility {
    /// Whether `reader` may see the record.
    #[must_use]
    pub fn admits(&self, reader: &ParticipantId) -> bool {
        match self {
            Self::Federation => true,
            Self::Parties(parties) => parties.contains(reader),
        }
    }
}

/// A body that only its parties may read.
///
/// Replicas that are not party to it hold the sealed form: digest and state are replicated, the
/// text is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PartyOnly<T> {
    /// In clear, on a replica that may read it.
    Clear(T),
    /// Sealed to the parties.
    Sealed {
        /// SM3 of the canonical bytes of the clear body.
        #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
        digest: Digest,
        /// The sealed stream, in hex.
        envelope: String,
    },
}

impl<T> PartyOnly<T> {
    /// The body, where it may be read.
    pub fn clear(&self) -> Option<&T> {
        match self {
            Self::Clear(body) => Some(body),
            Self::Sealed { .. } => None,
        }
    }
}
