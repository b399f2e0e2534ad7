//! What must hold for whatever a provider offers, and whatever a journal holds.
//!
//! It does not choose the bytes: the tests below do. Each function says
//! whether the bytes were valid. An offer is signed here before it is read: a stranger's is refused
//! before anything in it is looked at, and a provider's need not be well-meant.

#![expect(clippy::expect_used, reason = "what must hold for any bytes")]

use std::sync::LazyLock;

use crypto::seal::STREAM_BYTES_MAX;
use crypto::{Label, SecretKey};
use schemas::{Signed, canonical};

use super::CHUNK_BYTES;
use super::chunks::Layout;
use super::offer::{Offer, chunk_range, length};
use crate::materialise::{Manifest, root};

static PROVIDER: LazyLock<SecretKey> =
    LazyLock::new(|| SecretKey::from_bytes(&[0x2a; 32]).expect("a scalar in range"));

/// An offer's canonical bytes, signed by a provider who means harm: what is taken from it can be
/// kept, chunk by chunk, within the limits.
pub fn transfer_offer(bytes: &[u8]) -> bool {
    let Ok(mut body) = serde_json::from_slice::<Offer>(bytes) else {
        return false;
    };
    // A random change never has the root over the files.
    if let Ok(root) = root(&body.manifest.files) {
        body.manifest.artefact = root;
    }
    let Ok(signed_bytes) = canonical::to_bytes(&body) else {
        return false;
    };
    let signature = PROVIDER.sign(Label::Evidence, &signed_bytes);
    let signed = Signed {
        body,
        key: PROVIDER.public().key_id(),
        signature: signature.expect("random bytes"),
    };
    let Ok(bytes) = canonical::to_bytes(&signed) else {
        return false;
    };
    let Ok(read) = Offer::verified(&bytes, PROVIDER.public()) else {
        return false;
    };
    assert_eq!(read, signed);
    check_layout(&read.body.manifest, read.body.chunk_count);
    true
}

fn check_layout(manifest: &Manifest, chunk_count: u64) {
    let layout = Layout::of(manifest);
    let bytes = manifest.bytes();
    assert!(bytes <= STREAM_BYTES_MAX, "more than any stream has");
    assert_eq!(layout.chunk_count(), chunk_count);
    assert!(chunk_count <= STREAM_BYTES_MAX / length(CHUNK_BYTES));
    for index in [
        0,
        1,
        chunk_count / 2,
        chunk_count - 1,
        chunk_count,
        u64::MAX,
    ] {
        let range = chunk_range(bytes, index);
        let mut covered = 0;
        for part in layout.parts(index) {
            assert_eq!(part.within.start, covered, "chunks have no gaps");
            covered = part.within.end;
            let size = manifest.files[part.file].bytes;
            assert!(part.offset + length(part.within.len()) <= size);
        }
        assert_eq!(length(covered), range.end - range.start);
        assert_eq!(layout.chunk_bytes(index), covered);
    }
}

#[cfg(test)]
mod tests {
    use crypto::Digest;
    use mutate::Fuzz;
    use schemas::{DatasetId, GrantId, ParticipantId, ReleaseId, Timestamp, TransferId};

    use super::*;
    use crate::materialise::ArtefactFile;
    use crate::transfer::offer::chunk_count;

    fn offer(sizes: &[u64]) -> Offer {
        let files: Vec<ArtefactFile> = sizes
            .iter()
            .enumerate()
            .map(|(at, bytes)| ArtefactFile {
                name: format!("part-{at:05}.parquet"),
                bytes: *bytes,
                digest: Digest::of(b"content"),
            })
            .collect();
        let manifest = Manifest {
            dataset: DatasetId::parse("d").unwrap(),
            version: 1,
            grant: Some(GrantId::parse("g-1").unwrap()),
            recipient: ParticipantId::parse("city").unwrap(),
            rows: 1,
            row_limit_reached: false,
            schema: Digest::ZERO,
            artefact: root(&files).unwrap(),
            files,
        };
        Offer {
            transfer: TransferId::parse("t-1").unwrap(),
            release: ReleaseId::parse("rl-1").unwrap(),
            provider: ParticipantId::parse("port").unwrap(),
            consumer: ParticipantId::parse("city").unwrap(),
            chunk_count: chunk_count(manifest.bytes()),
            manifest,
            sealed: None,
            deadline: Timestamp::from_millis(1_790_000_000_000),
        }
    }

    fn bytes(offer: &Offer) -> Vec<u8> {
        canonical::to_bytes(offer).unwrap()
    }

    #[test]
    fn changed_offers() {
        let mebibyte = length(CHUNK_BYTES);
        let seeds = [&[3][..], &[mebibyte + 7, 0, 5 * mebibyte]].map(|it| bytes(&offer(it)));
        let fuzz = Fuzz {
            name: "transfer_offer",
            seeds: &seeds,
            words: &[
                "9007199254740991",
                "1099511627776",
                "1048576",
                "0",
                "null",
                "part-00001",
            ],
            runs: 2_000,
        };
        fuzz.run(transfer_offer);
    }

    #[test]
    fn an_offer_of_more_than_a_stream_can_have_is_refused() {
        assert!(transfer_offer(&bytes(&offer(&[STREAM_BYTES_MAX]))));
        for sizes in [&[STREAM_BYTES_MAX + 1][..], &[1 << 53, 1 << 53]] {
            assert!(!transfer_offer(&bytes(&offer(sizes))), "{sizes:?}");
        }
    }
}
