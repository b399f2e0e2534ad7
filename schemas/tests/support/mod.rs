//! The folder of real data, and the readers that tests of it need.
//!
//! It does not pretend to be a CSV or tar library: it reads the files that are there.

use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

const BESIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");

/// Whether a test on real files is left out, which it says: they are not there, and neither
/// `KOUAN_DATA` nor `CI` says that they should be.
pub(crate) fn left_out() -> bool {
    let expected = ["KOUAN_DATA", "CI"].map(std::env::var_os);
    if expected.iter().any(Option::is_some) || Path::new(BESIDE).exists() {
        return false;
    }
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // Past the capture of a test's output.
    let sentence = format!("{test}: left out: no real data; set KOUAN_DATA\n");
    std::io::stderr().write_all(sentence.as_bytes()).unwrap();
    true
}

/// The folder of real data: `KOUAN_DATA`, or `shared/data` beside the checkout.
pub(crate) fn data(path: &str) -> PathBuf {
    let root = std::env::var("KOUAN_DATA").unwrap_or_else(|_| BESIDE.to_owned());
    let file = PathBuf::from(root).join(path);
    assert!(
        file.exists(),
        "{} is missing; set KOUAN_DATA to the data folder",
        file.display()
    );
    file
}

/// The bytes of a file, unpacked when its name ends in `gz`.
pub(crate) fn unpacked(path: &str) -> Vec<u8> {
    let bytes = std::fs::read(data(path)).unwrap();
    if !path.ends_with("gz") {
        return bytes;
    }
    let mut out = Vec::new();
    flate2::read::MultiGzDecoder::new(bytes.as_slice())
        .read_to_end(&mut out)
        .unwrap();
    out
}
