//! Real files to publish, whole or cut to their first rows.
//!
//! It does not make rows up.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use schemas::DatasetId;
use schemas::shipped::Described;
use schemas::standard::DataStandard;

/// Where the real files are when nothing else is said.
const BESIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");

/// Whether a test on real files is left out: nobody who has only cloned the repository has them.
/// Where `KOUAN_DATA` or `CI` is set, somebody expects them, and a test without them fails.
#[must_use]
pub fn left_out() -> bool {
    let expected = ["KOUAN_DATA", "CI"].map(std::env::var_os);
    if expected.iter().any(Option::is_some) || Path::new(BESIDE).join("INDEX.md").is_file() {
        return false;
    }
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // Written past the capture of a test's output: a test that was left out must not look passed.
    let _ = writeln!(
        std::io::stderr(),
        "{test}: left out: no real data; set KOUAN_DATA"
    );
    true
}

/// Folder of the real files: `KOUAN_DATA`, or `shared/data` beside the checkout.
///
/// # Panics
/// When it is not there, with what to do.
#[must_use]
pub fn folder() -> PathBuf {
    let named = std::env::var_os("KOUAN_DATA").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| PathBuf::from(BESIDE));
    assert!(
        folder.join("INDEX.md").is_file(),
        "no real data in {}; set KOUAN_DATA to the folder that has INDEX.md",
        folder.display()
    );
    folder
}

/// What ships about a dataset: its description and its data standard.
///
/// # Panics
/// When nothing of that name ships.
#[must_use]
pub fn shipped(id: &str) -> (Described, DataStandard) {
    let described = schemas::shipped::datasets()
        .expect("shipped descriptions can be read")
        .into_iter()
        .find(|it| it.id.as_str() == id)
        .unwrap_or_else(|| panic!("no description of {id} ships"));
    let standard = schemas::shipped::standards()
        .expect("shipped standards can be read")
        .into_iter()
        .find(|it| it.edition == described.standard)
        .unwrap_or_else(|| panic!("no standard of {id} ships"));
    (described, standard)
}

/// The same description under another identifier.
///
/// # Panics
/// When `id` has not the form of one.
#[must_use]
pub fn renamed(mut described: Described, id: &str) -> Described {
    described.id = DatasetId::parse(id).expect("an identifier");
    // A code of its own: the digest of the identifier as a number.
    let digest = crypto::Digest::of(id.as_bytes());
    let number = digest.as_bytes().iter().take(6);
    let number = number.fold(1_u64, |sum, byte| sum << 8 | u64::from(*byte));
    described.resource_code = format!("3069900/{number}");
    described
}

/// The real file of a shipped description.
///
/// # Panics
/// When the description names none, or it is not there.
#[must_use]
pub fn file(described: &Described) -> PathBuf {
    let source = described
        .source
        .as_ref()
        .expect("the description names a real file");
    let path = folder().join(&source.path);
    assert!(path.is_file(), "{} is not there", path.display());
    path
}

/// The text of a real file, unpacked when it is packed.
///
/// # Panics
/// When it cannot be read.
#[must_use]
pub fn text(path: &Path) -> String {
    let bytes = std::fs::read(path).expect("read a real file");
    if path.extension().is_none_or(|it| it != "gz") {
        return String::from_utf8(bytes).expect("the file is UTF-8");
    }
    let mut text = String::new();
    MultiGzDecoder::new(&bytes[..])
        .read_to_string(&mut text)
        .expect("unpack a real file");
    text
}

/// Writes the header and the first `rows` rows of a real CSV file to `to`. The file must not have
/// line ends within quotes before that.
///
/// # Panics
/// When it cannot be read or written.
pub fn cut(from: &Path, rows: usize, to: &Path) {
    let text = text(from);
    let kept: Vec<&str> = text.lines().take(rows + 1).collect();
    std::fs::write(to, kept.join("\n") + "\n").expect("write a cut file");
}
