//! The folder of real data, and the three readers that tests of it need.
//!
//! It does not pretend to be a CSV or tar library: it reads the files that are there.

use std::io::Read as _;
use std::path::PathBuf;

/// The folder of real data: `KOUAN_DATA`, or `shared/data` beside the checkout.
pub(crate) fn data(path: &str) -> PathBuf {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data");
    let root = std::env::var("KOUAN_DATA").unwrap_or_else(|_| beside.to_owned());
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
