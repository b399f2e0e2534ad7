//! What a pinned artefact consists of.
//!
//! It does not hold rows: names, sizes and digests of files are enough to check them.

use crypto::Digest;
use crypto::merkle::{leaf_digest, root_of};
use crypto::seal::STREAM_BYTES_MAX;
use schemas::{DatasetId, GrantId, ParticipantId, canonical};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Most files of one artefact. Each holds about 128 MiB, so this is half a terabyte.
pub(crate) const ARTEFACT_FILES_MAX: usize = 4_096;

/// One file of an artefact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArtefactFile {
    /// Its name in the artefact's folder; chosen here, never by a peer.
    pub(crate) name: String,
    /// Its size in bytes.
    pub(crate) bytes: u64,
    /// Of its content: [`crypto::merkle::ContentHasher`].
    pub(crate) digest: Digest,
}

/// The artefact as both sides name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// The dataset.
    pub(crate) dataset: DatasetId,
    /// The version's number.
    pub(crate) version: u64,
    /// The grant; none for a provider's own data.
    pub(crate) grant: Option<GrantId>,
    /// For whom it was made.
    pub(crate) recipient: ParticipantId,
    /// Files in the order in which they are sent.
    pub(crate) files: Vec<ArtefactFile>,
    /// Rows.
    pub(crate) rows: u64,
    /// Whether the grant's row limit cut rows off.
    pub(crate) row_limit_reached: bool,
    /// SM3 of the canonical description of the columns.
    pub(crate) schema: Digest,
    /// SM3 Merkle root over the files.
    pub(crate) artefact: Digest,
}

impl Manifest {
    /// Bytes of all files.
    pub(crate) fn bytes(&self) -> u64 {
        self.files
            .iter()
            .map(|file| file.bytes)
            .fold(0, u64::saturating_add)
    }

    /// Checks what a manifest says of itself: names that were not chosen by a peer, a limited
    /// number of files and of bytes, and the root.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |why: &str| Error::Record {
            what: "read a manifest",
            why: why.to_owned(),
        };
        if self.files.is_empty() || self.files.len() > ARTEFACT_FILES_MAX {
            return Err(refuse("it has no files or more than 4,096"));
        }
        if self
            .files
            .iter()
            .enumerate()
            .any(|(at, file)| file.name != file_name(at))
        {
            return Err(refuse("its files are not named by their position"));
        }
        // Whoever receives keeps 33 bytes of memory for each chunk.
        if self.bytes() > STREAM_BYTES_MAX {
            return Err(refuse("its files have more than 1 TiB"));
        }
        if self.artefact != root(&self.files)? {
            return Err(refuse("its root is not the one over its files"));
        }
        Ok(())
    }
}

/// The name of the file at a position.
pub(crate) fn file_name(at: usize) -> String {
    format!("part-{at:05}.parquet")
}

/// SM3 Merkle root over the canonical records of the files.
pub(crate) fn root(files: &[ArtefactFile]) -> Result<Digest, Error> {
    let mut leaves = Vec::with_capacity(files.len());
    for file in files {
        let bytes = canonical::to_bytes(file).map_err(|source| Error::Record {
            what: "hash a file record",
            why: source.to_string(),
        })?;
        leaves.push(leaf_digest(&bytes));
    }
    Ok(root_of(&leaves))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let files = vec![ArtefactFile {
            name: file_name(0),
            bytes: 3,
            digest: Digest::of(b"abc"),
        }];
        Manifest {
            dataset: DatasetId::parse("d").unwrap(),
            version: 1,
            grant: None,
            recipient: ParticipantId::parse("p").unwrap(),
            artefact: root(&files).unwrap(),
            files,
            rows: 1,
            row_limit_reached: false,
            schema: Digest::ZERO,
        }
    }

    #[test]
    fn a_manifest_with_a_foreign_name_or_another_root_is_refused() {
        assert!(manifest().check().is_ok());
        let mut named = manifest();
        named.files[0].name = "../../etc/passwd".to_owned();
        named.artefact = root(&named.files).unwrap();
        assert!(named.check().is_err());
        let mut grown = manifest();
        grown.files[0].bytes = 4;
        assert!(grown.check().is_err());
        let mut endless = manifest();
        endless.files[0].bytes = STREAM_BYTES_MAX + 1;
        endless.artefact = root(&endless.files).unwrap();
        assert!(endless.check().is_err());
        let mut empty = manifest();
        empty.files.clear();
        assert!(empty.check().is_err());
    }
}
