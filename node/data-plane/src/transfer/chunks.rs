//! The files of an artefact as one run of bytes.
//!
//! It does not know what the bytes mean; it cuts and joins.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::offer::chunk_range;
use crate::Error;
use crate::materialise::Manifest;

/// Reads one chunk of the files in `dir`, which lie one after another in the manifest's order.
///
/// # Errors
/// [`Error::Io`] when a file is gone or shorter than the manifest says.
pub(crate) fn read_chunk(dir: &Path, manifest: &Manifest, index: u64) -> Result<Vec<u8>, Error> {
    let range = chunk_range(manifest.bytes(), index);
    let bytes = usize::try_from(range.end - range.start).unwrap_or(0);
    let mut chunk = vec![0; bytes];
    let mut filled = 0;
    let mut begin: u64 = 0;
    for file in &manifest.files {
        let end = begin.saturating_add(file.bytes);
        let from = range.start.max(begin);
        let to = range.end.min(end);
        if from < to {
            let part = usize::try_from(to - from).unwrap_or(0);
            let open = File::open(dir.join(&file.name)).map_err(Error::io("open a pinned file"))?;
            open.read_exact_at(&mut chunk[filled..filled + part], from - begin)
                .map_err(Error::io("read a pinned file"))?;
            filled += part;
        }
        begin = end;
    }
    Ok(chunk)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::materialise::{ArtefactFile, root};
    use crypto::Digest;
    use schemas::{DatasetId, ParticipantId};

    #[test]
    fn chunks_joined_are_the_files_joined() {
        let dir = tempfile::tempdir().unwrap();
        let sizes = [700_000_usize, 0, 900_000, 1 << 20, 5];
        let mut whole = Vec::new();
        let mut files = Vec::new();
        for (at, size) in sizes.iter().enumerate() {
            let content: Vec<u8> = (0..*size)
                .map(|n| u8::try_from((n * 7 + at) % 251).unwrap())
                .collect();
            let name = format!("part-{at:05}.parquet");
            std::fs::write(dir.path().join(&name), &content).unwrap();
            files.push(ArtefactFile {
                name,
                bytes: content.len() as u64,
                digest: Digest::of(&content),
            });
            whole.extend(content);
        }
        let manifest = Manifest {
            dataset: DatasetId::parse("d").unwrap(),
            version: 1,
            grant: None,
            recipient: ParticipantId::parse("p").unwrap(),
            artefact: root(&files).unwrap(),
            files,
            rows: 0,
            row_limit_reached: false,
            schema: Digest::ZERO,
        };
        let count = super::super::offer::chunk_count(manifest.bytes());
        let joined: Vec<u8> = (0..count)
            .flat_map(|at| read_chunk(dir.path(), &manifest, at).unwrap())
            .collect();
        assert!(joined == whole);
        assert!(read_chunk(dir.path(), &manifest, count).unwrap().is_empty());
    }
}
