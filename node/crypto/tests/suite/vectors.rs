//! Where the published vectors are, and how their formats are read.

#![expect(
    clippy::panic,
    reason = "a vector that cannot be read must stop the test"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};

const BESIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data");

/// Whether a test on published vectors is left out, which it says: they are not there, and neither
/// `KOUAN_DATA` nor `CI` says that they should be.
pub(crate) fn left_out() -> bool {
    let expected = ["KOUAN_DATA", "CI"].map(std::env::var_os);
    if expected.iter().any(Option::is_some) || Path::new(BESIDE).is_dir() {
        return false;
    }
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // Past the capture of a test's output; there is nobody else to tell when it cannot be written.
    let sentence = format!("{test}: left out: no real data; set KOUAN_DATA");
    let _ = writeln!(std::io::stderr(), "{sentence}");
    true
}

/// Reads a file of published vectors.
pub(crate) fn file(name: &str) -> Vec<u8> {
    let root = std::env::var_os("KOUAN_DATA").map_or_else(|| PathBuf::from(BESIDE), PathBuf::from);
    let path = root.join("conformance/crypto").join(name);
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!("set KOUAN_DATA to the folder that has conformance/crypto/{name}: {error}")
    })
}

/// Reads a text file of published vectors.
pub(crate) fn text(name: &str) -> String {
    String::from_utf8(file(name)).unwrap_or_else(|_| panic!("{name} is not text"))
}

/// Decodes hexadecimal of either case.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    hex::decode(text).unwrap_or_else(|_| panic!("not hexadecimal: {text}"))
}

/// The stanzas of an OpenSSL "evptest" file: lines of `Key = value`.
pub(crate) fn stanzas(text: &str) -> Vec<Vec<(&str, &str)>> {
    text.split("\n\n")
        .map(|stanza| {
            stanza
                .lines()
                .filter(|line| !line.starts_with('#'))
                .filter_map(|line| line.split_once('='))
                .map(|(key, value)| (key.trim(), value.trim()))
                .collect()
        })
        .collect()
}

/// A value of such a file: quoted text or hexadecimal.
pub(crate) fn value(text: &str) -> Vec<u8> {
    text.strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .map_or_else(|| unhex(text), |quoted| quoted.as_bytes().to_vec())
}

/// The regular files of a gzipped tar archive (POSIX ustar), by name.
pub(crate) fn archive(name: &str) -> Vec<(String, String)> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    let unpacked = flate2::read::GzDecoder::new(&file(name)[..]).read_to_end(&mut bytes);
    assert!(unpacked.is_ok(), "{name} is not a gzip file");
    let mut found = Vec::new();
    let mut rest = &bytes[..];
    while rest.len() >= 512 && rest[0] != 0 {
        let field = |at: usize, len: usize| {
            let raw = &rest[at..at + len];
            let end = raw.iter().position(|byte| *byte == 0).unwrap_or(len);
            String::from_utf8_lossy(&raw[..end]).trim().to_owned()
        };
        let length = usize::from_str_radix(&field(124, 12), 8)
            .unwrap_or_else(|_| panic!("{name} has a broken length"));
        let content = String::from_utf8_lossy(&rest[512..512 + length]).into_owned();
        found.push((field(0, 100), content));
        rest = &rest[512 + length.div_ceil(512) * 512..];
    }
    found
}
