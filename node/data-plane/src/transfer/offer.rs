//! What a provider offers under one release, signed, so that the consumer can hold it to that.
//!
//! It does not carry rows.

use crypto::{Digest, Label, PublicKey, Signer};
use schemas::{ParticipantId, ReleaseId, Signed, Timestamp, TransferId, canonical};
use serde::{Deserialize, Serialize};

use super::{CHUNK_BYTES, Failure};
use crate::materialise::Manifest;

/// The provider's offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Offer {
    /// The transfer that it answers.
    pub(crate) transfer: TransferId,
    /// The release.
    pub(crate) release: ReleaseId,
    /// Who provides.
    pub(crate) provider: ParticipantId,
    /// For whom.
    pub(crate) consumer: ParticipantId,
    /// The artefact.
    pub(crate) manifest: Manifest,
    /// Chunks of 1 MiB over the files one after another, at least one.
    pub(crate) chunk_count: u64,
    /// Digest of the sealed stream's header; none when the chunks are sent in clear.
    pub(crate) sealed: Option<Digest>,
    /// When the release ends.
    pub(crate) deadline: Timestamp,
}

impl Offer {
    /// Signs it with the provider's key, as evidence of what was offered.
    pub(crate) async fn sign(self, signer: &dyn Signer) -> Result<Signed<Self>, Failure> {
        let bytes = canonical::to_bytes(&self)?;
        let signature = signer.sign(Label::Evidence, &bytes).await?;
        Ok(Signed {
            body: self,
            key: signer.key_id(),
            signature,
        })
    }

    /// Reads an offer and checks all that it says of itself; that it answers this transfer is
    /// the caller's to check.
    ///
    /// # Errors
    /// [`Failure::Rejected`] when it is not the provider's or contradicts itself.
    pub(crate) fn verified(bytes: &[u8], provider: &PublicKey) -> Result<Signed<Self>, Failure> {
        let signed: Signed<Self> =
            canonical::from_bytes(bytes).map_err(|_| Failure::Rejected("the offer"))?;
        signed
            .verify(Label::Evidence, provider)
            .map_err(|_| Failure::Rejected("the offer"))?;
        let offer = &signed.body;
        offer
            .manifest
            .check()
            .map_err(|_| Failure::Rejected("the offer's manifest"))?;
        if offer.chunk_count == chunk_count(offer.manifest.bytes()) {
            Ok(signed)
        } else {
            Err(Failure::Rejected("the offer's chunk count"))
        }
    }
}

/// How many chunks so many bytes make; as the sealed stream counts, nothing makes one.
pub(crate) fn chunk_count(bytes: u64) -> u64 {
    bytes.div_ceil(length(CHUNK_BYTES)).max(1)
}

/// A length as a count of bytes; no machine that runs this has wider addresses than 64 bits.
pub(crate) fn length(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Which bytes of the concatenated files a chunk holds.
pub(crate) fn chunk_range(bytes: u64, index: u64) -> std::ops::Range<u64> {
    let start = index.saturating_mul(length(CHUNK_BYTES)).min(bytes);
    start..start.saturating_add(length(CHUNK_BYTES)).min(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_every_byte_once() {
        let mib = 1 << 20;
        for (bytes, count) in [(0, 1), (1, 1), (mib, 1), (mib + 1, 2), (3 * mib, 3)] {
            assert_eq!(chunk_count(bytes), count, "{bytes}");
            let covered: u64 = (0..count)
                .map(|at| chunk_range(bytes, at))
                .map(|r| r.end - r.start)
                .sum();
            assert_eq!(covered, bytes);
            assert!(chunk_range(bytes, count + 5).is_empty());
        }
    }
}
