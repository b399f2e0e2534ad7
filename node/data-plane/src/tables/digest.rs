//! What a version's digests are taken over.
//!
//! It does not sign them: they go into the version's record, which the provider signs.

use arrow::datatypes::SchemaRef;
use crypto::{Digest, merkle};
use schemas::canonical;
use serde::Serialize;

use crate::Error;
use crate::ingest::StagedFile;

/// One leaf of a version's Merkle tree.
#[derive(Serialize)]
struct Leaf<'a> {
    name: &'a str,
    bytes: u64,
    content: Digest,
}

/// SM3 Merkle root (RFC 6962 shape) over name, size and content digest of each file, by name.
pub(crate) fn content_digest(files: &[StagedFile]) -> Result<Digest, Error> {
    content_digest_of(
        files
            .iter()
            .map(|file| (file.name.as_str(), file.bytes, file.digest)),
    )
}

/// As [`content_digest`], of files that were hashed again: what a signed record is held against.
pub(crate) fn content_digest_of<'a>(
    files: impl Iterator<Item = (&'a str, u64, Digest)>,
) -> Result<Digest, Error> {
    let mut files: Vec<_> = files.collect();
    files.sort_unstable();
    let mut leaves = Vec::with_capacity(files.len());
    for (name, bytes, content) in files {
        let leaf = Leaf {
            name,
            bytes,
            content,
        };
        let bytes = canonical::to_bytes(&leaf).map_err(|source| Error::Record {
            what: "hash a version's files",
            why: source.to_string(),
        })?;
        leaves.push(merkle::leaf_digest(&bytes));
    }
    Ok(merkle::root_of(&leaves))
}

/// SM3 of names, types and nullability of the columns, in order.
pub(crate) fn schema_digest(schema: &SchemaRef) -> Result<Digest, Error> {
    let columns: Vec<(&str, String, bool)> = schema
        .fields()
        .iter()
        .map(|field| {
            (
                field.name().as_str(),
                field.data_type().to_string(),
                field.is_nullable(),
            )
        })
        .collect();
    canonical::digest(&columns).map_err(|source| Error::Record {
        what: "hash a schema",
        why: source.to_string(),
    })
}
