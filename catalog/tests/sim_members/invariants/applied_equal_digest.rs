//! At one index, all members have the same records.
//!
//! Source: `architecture.md`, "Who says what"; the state digest is what checkpoints carry. It
//! catches entries that are the same and yet do not do the same: a state that depends on a clock,
//! on how the log was cut, or on what a snapshot left out. It does not see a wrong record that all
//! members have.

use std::collections::BTreeMap;

use crypto::Digest;

use crate::View;

#[derive(Default)]
pub(in super::super) struct AppliedEqualDigest {
    digests: BTreeMap<u64, (u64, Digest)>,
}

impl AppliedEqualDigest {
    pub(in super::super) fn reached(&mut self, member: u64, view: &View) -> Result<(), String> {
        let (index, digest) = (view.index(), view.digest());
        let (first, known) = *self.digests.entry(index).or_insert((member, digest));
        if known == digest {
            return Ok(());
        }
        Err(format!(
            "at {index}, member {member} has digest {digest} and member {first} had {known}"
        ))
    }
}
