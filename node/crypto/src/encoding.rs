//! Small encodings that several modules share: strict hex, lengths, a bounded reader.
//!
//! It does not decide what the bytes mean.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::Deserializer;
use serde::de::{Error as _, Visitor};

use crate::Error;

/// A length as it is written to files and wires.
pub(crate) fn length(bytes: usize) -> u64 {
    // usize has at most 64 bits on every platform that Rust supports.
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// Reads lower-case hexadecimal of a known length.
pub(crate) fn hex_array<const N: usize>(text: &str, what: &'static str) -> Result<[u8; N], Error> {
    let refused = Error::InvalidHex {
        what,
        expected_digits: N * 2,
    };
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(refused);
    }
    let mut bytes = [0_u8; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| refused)?;
    Ok(bytes)
}

/// Reads lower-case hexadecimal of at most `bytes_max` bytes.
pub(crate) fn hex_vec(text: &str, what: &'static str, bytes_max: usize) -> Result<Vec<u8>, Error> {
    if text.len() > bytes_max * 2 {
        return Err(Error::LimitExceeded {
            what,
            limit: length(bytes_max),
            found: length(text.len() / 2),
        });
    }
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(Error::InvalidEncoding {
            what,
            reason: "hexadecimal must be lower case",
        });
    }
    hex::decode(text).map_err(|_| Error::InvalidEncoding {
        what,
        reason: "it is not hexadecimal",
    })
}

/// Deserializes through `FromStr`, borrowing when the format can lend.
pub(crate) fn deserialize_from_str<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = Error>,
{
    struct Text<T>(PhantomData<T>);

    impl<T: FromStr<Err = Error>> Visitor<'_> for Text<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string of lower-case hexadecimal digits")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }

    deserializer
        .deserialize_str(Text(PhantomData))
        .map_err(D::Error::custom)
}

/// Reads fixed and counted fields from bytes, and refuses what is left over.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    what: &'static str,
}

impl<'a> Reader<'a> {
    /// A reader over all of `bytes`; `what` is named in errors.
    pub(crate) fn new(bytes: &'a [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    /// The next `count` bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Error> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else {
            return Err(self.invalid("it ends too early"));
        };
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let Some((taken, rest)) = self.rest.split_first_chunk::<N>() else {
            return Err(self.invalid("it ends too early"));
        };
        self.rest = rest;
        Ok(*taken)
    }

    /// A byte string behind a two-byte big-endian length.
    pub(crate) fn counted(&mut self, bytes_max: usize) -> Result<&'a [u8], Error> {
        let count = usize::from(u16::from_be_bytes(self.array()?));
        if count > bytes_max {
            return Err(self.invalid("a field is longer than its limit"));
        }
        self.bytes(count)
    }

    /// Checks that nothing is left.
    pub(crate) fn end(self) -> Result<(), Error> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.invalid("bytes follow its end"))
        }
    }

    /// An error about what is read.
    pub(crate) fn invalid(&self, reason: &'static str) -> Error {
        Error::InvalidEncoding {
            what: self.what,
            reason,
        }
    }
}

/// Appends a byte string behind a two-byte big-endian length.
pub(crate) fn push_counted(
    out: &mut Vec<u8>,
    bytes: &[u8],
    what: &'static str,
) -> Result<(), Error> {
    let count = u16::try_from(bytes.len()).map_err(|_| Error::LimitExceeded {
        what,
        limit: u64::from(u16::MAX),
        found: length(bytes.len()),
    })?;
    out.extend_from_slice(&count.to_be_bytes());
    out.extend_from_slice(bytes);
    Ok(())
}
