//! Files that commands read and write, and the checks that secrets need.
//!
//! It does not overwrite anything that it did not write itself.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use crypto::Zeroizing;
use serde::de::DeserializeOwned;

use crate::Error;

/// Largest record or evidence file in bytes: the largest record twice over, with white space.
const RECORD_BYTES_MAX: u64 = 8 << 20;

/// Largest file of one secret in bytes; longer is a wrong file.
const SECRET_BYTES_MAX: u64 = 4 << 10;

/// A text file, or stdin for `-`.
pub(crate) fn read_text(path: &Path) -> Result<String, Error> {
    let mut text = String::new();
    let wrong = |e| Error::file("read", path, e);
    let taken = if path == Path::new("-") {
        std::io::stdin()
            .take(RECORD_BYTES_MAX + 1)
            .read_to_string(&mut text)
    } else {
        let file = File::open(path).map_err(wrong)?;
        file.take(RECORD_BYTES_MAX + 1).read_to_string(&mut text)
    };
    let bytes = taken.map_err(wrong)?;
    if u64::try_from(bytes).is_ok_and(|it| it > RECORD_BYTES_MAX) {
        let why = format!("it has more than {RECORD_BYTES_MAX} bytes");
        return Err(Error::input(path.display(), why));
    }
    Ok(text)
}

/// The bytes of a file that a stranger handed over; nothing when it is larger than `most`.
pub(crate) fn read_bounded(path: &Path, most: u64) -> Result<Option<Vec<u8>>, Error> {
    let wrong = |e| Error::file("read", path, e);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(wrong)?;
    let taken = file.take(most + 1).read_to_end(&mut bytes);
    let taken = taken.map_err(wrong)?;
    let fits = u64::try_from(taken).is_ok_and(|it| it <= most);
    Ok(fits.then_some(bytes))
}

/// A JSON record in a file, or on stdin for `-`.
pub(crate) fn read_record<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = read_text(path)?;
    serde_json::from_str(&text).map_err(|e| Error::input(path.display(), e))
}

/// A secret in a file that only its owner may read; line ends at its end are not part of it.
pub(crate) fn read_secret(path: &Path) -> Result<Zeroizing<String>, Error> {
    check_private(path)?;
    let wrong = |e| Error::file("read", path, e);
    let mut text = Zeroizing::new(String::new());
    File::open(path)
        .map_err(wrong)?
        .take(SECRET_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(wrong)?;
    Ok(Zeroizing::new(
        text.trim_end_matches(['\r', '\n']).to_owned(),
    ))
}

/// Refuses a file that anybody but its owner may read or write.
pub(crate) fn check_private(path: &Path) -> Result<(), Error> {
    let found = std::fs::metadata(path).map_err(|e| Error::file("read", path, e))?;
    if found.permissions().mode() & 0o077 != 0 {
        return Err(Error::OpenToOthers {
            path: path.to_owned(),
        });
    }
    Ok(())
}

/// Writes a file of mode 0600 whole or not at all, in a folder of mode 0700.
pub(crate) fn replace_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let wrong = |e| Error::file("write", path, e);
    if let Some(dir) = path.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .map_err(wrong)?;
    }
    let new = path.with_extension(format!("new-{}", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| std::fs::rename(&new, path));
    if written.is_err() {
        // What is left of a failed write is of no use to anybody.
        let _ = std::fs::remove_file(&new);
    }
    written.map_err(wrong)
}

/// Writes a new file; an existing one stays as it is.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_with(path, bytes, 0o666)
}

/// Writes a new file that only its owner reads; an existing one stays as it is.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    write_with(path, bytes, 0o600)
}

fn write_with(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(|e| Error::file("write", path, e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pass");
        replace_private(&path, b"secret\r\n").unwrap();
        assert_eq!(&*read_secret(&path).unwrap(), "secret");
        for mode in [0o640, 0o604, 0o620] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let refused = read_secret(&path).unwrap_err();
            assert!(matches!(refused, Error::OpenToOthers { .. }), "{mode:o}");
            assert_eq!(refused.exit_code(), 2);
        }
    }

    #[test]
    fn a_file_that_is_larger_than_any_record_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("evidence.json");
        let file = File::create(&path).unwrap();
        for (length, is_read) in [(0, true), (RECORD_BYTES_MAX, true), (1 << 40, false)] {
            file.set_len(length).unwrap();
            let read = read_bounded(&path, RECORD_BYTES_MAX).unwrap();
            assert_eq!(read.is_some(), is_read, "{length}");
        }
    }

    #[test]
    fn an_existing_file_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("evidence.json");
        write_new(&path, b"first").unwrap();
        assert_eq!(write_new(&path, b"second").unwrap_err().exit_code(), 2);
        assert_eq!(std::fs::read(&path).unwrap(), b"first");
    }
}
