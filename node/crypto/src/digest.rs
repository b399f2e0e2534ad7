//! SM3 (GB/T 32905-2016) and what is built on it: HMAC, HKDF and PBKDF2.
//!
//! It does not hash one large content in parallel, since one SM3 stream cannot be spread over
//! lanes. [`Digest::of_each`] hashes many contents side by side, and [`crate::merkle`] makes one
//! digest of them.

use std::fmt;
use std::io;
use std::str::FromStr;

use hmac::{KeyInit, Mac};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;
use crate::sm3::{Stream, digests};

/// An SM3 digest: 32 bytes, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest([u8; Self::BYTES]);

impl Digest {
    /// The length of a digest in bytes.
    pub const BYTES: usize = 32;

    /// Thirty-two zero bytes: stands for "nothing yet", for example before a first entry.
    pub const ZERO: Self = Self([0; Self::BYTES]);

    /// The SM3 digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut stream = Stream::new();
        stream.update(bytes);
        Self(stream.finish())
    }

    /// The SM3 digest of each of `contents`, in their order: the same as [`Self::of`] one by one,
    /// and several times as fast where the processor has vectors.
    #[must_use]
    pub fn of_each(contents: &[&[u8]]) -> Vec<Self> {
        Self::of_each_with(&[], contents)
    }

    /// The digest of `prefix` with each of `contents`. The prefix is shorter than a block.
    pub(crate) fn of_each_with(prefix: &[u8], contents: &[&[u8]]) -> Vec<Self> {
        digests(prefix, contents).into_iter().map(Self).collect()
    }

    /// Lends the text form, 64 lower-case digits.
    fn text<T>(&self, to: impl FnOnce(&str) -> T) -> T {
        let mut digits = [0; 2 * Self::BYTES];
        for (pair, byte) in digits.as_chunks_mut().0.iter_mut().zip(self.0) {
            *pair = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
        }
        // Digits are always text.
        to(std::str::from_utf8(&digits).unwrap_or_default())
    }

    /// The digest whose bytes these are.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    /// The bytes of the digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text(|text| f.write_str(text))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = Error;

    /// Reads exactly 64 lower-case digits, so that a digest has one spelling.
    fn from_str(text: &str) -> Result<Self, Error> {
        crate::encoding::hex_array(text, "digest").map(Self)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text(|text| serializer.serialize_str(text))
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::encoding::deserialize_from_str(deserializer)
    }
}

/// The name of a key: the SM3 digest of its DER `SubjectPublicKeyInfo` (RFC 5280, 4.1.2.7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(Digest);

impl KeyId {
    /// The identifier of the key with this DER `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn of_spki(spki_der: &[u8]) -> Self {
        Self(Digest::of(spki_der))
    }

    /// The identifier whose digest this is.
    #[must_use]
    pub const fn from_digest(digest: Digest) -> Self {
        Self(digest)
    }

    /// The identifier as a digest.
    #[must_use]
    pub const fn as_digest(&self) -> &Digest {
        &self.0
    }

    /// The bytes of the identifier.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Digest::BYTES] {
        self.0.as_bytes()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({})", self.0)
    }
}

impl FromStr for KeyId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        crate::encoding::hex_array(text, "key id").map(|bytes| Self(Digest(bytes)))
    }
}

/// SM3 over bytes that arrive in pieces.
#[derive(Clone)]
pub struct Hasher(Stream);

impl Default for Hasher {
    fn default() -> Self {
        Self(Stream::new())
    }
}

impl Hasher {
    /// A hasher that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all pieces.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finish())
    }
}

impl fmt::Debug for Hasher {
    /// The inner state can give away the end of what was hashed, so it is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// HMAC-SM3 (RFC 2104) of `message` under `key`. A key may have any length.
#[must_use]
pub fn hmac_sm3(key: &[u8], message: &[u8]) -> Digest {
    let block = key_block(key);
    let mut mac = hmac::Hmac::<sm3::Sm3>::new(&(*block).into());
    mac.update(message);
    Digest(mac.finalize().into_bytes().into())
}

/// HMAC-SM3 of each of `messages` under one key, in their order: the same as [`hmac_sm3`] one by
/// one, and several times as fast where the processor has vectors.
#[must_use]
pub fn hmac_sm3_each(key: &[u8], messages: &[&[u8]]) -> Vec<Digest> {
    let block = key_block(key);
    let padded = |pad: u8| zeroize::Zeroizing::new(block.map(|byte| byte ^ pad));
    let (inner, outer) = (padded(0x36), padded(0x5c));
    let digests = keyed(&inner, messages);
    let digests: Vec<&[u8]> = digests.iter().map(AsRef::as_ref).collect();
    keyed(&outer, &digests)
}

/// SM3 of a key's block with each of `messages`.
fn keyed(block: &[u8; SM3_BLOCK_BYTES], messages: &[&[u8]]) -> Vec<Digest> {
    let bytes = messages.iter().map(|it| SM3_BLOCK_BYTES + it.len()).sum();
    // The block stands before each message, so the copies are wiped like the key.
    let mut together = zeroize::Zeroizing::new(Vec::with_capacity(bytes));
    for message in messages {
        together.extend_from_slice(block);
        together.extend_from_slice(message);
    }
    let mut rest = together.as_slice();
    let mut each = Vec::with_capacity(messages.len());
    for message in messages {
        let (one, after) = rest.split_at(SM3_BLOCK_BYTES + message.len());
        each.push(one);
        rest = after;
    }
    Digest::of_each(&each)
}

/// A key as RFC 2104 section 2 has it. Keys longer than a block are hashed first, so that every
/// length is a valid one and there is no error to return.
fn key_block(key: &[u8]) -> zeroize::Zeroizing<[u8; SM3_BLOCK_BYTES]> {
    let mut block = zeroize::Zeroizing::new([0_u8; SM3_BLOCK_BYTES]);
    if key.len() > SM3_BLOCK_BYTES {
        block[..Digest::BYTES].copy_from_slice(Digest::of(key).as_bytes());
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    block
}

/// Fills `out` with HKDF-SM3 (RFC 5869) of `ikm`.
///
/// # Errors
///
/// [`Error::LimitExceeded`] for more than 255 digests of output, the limit of RFC 5869, 2.3.
pub fn hkdf_sm3(ikm: &[u8], salt: &[u8], info: &[u8], out: &mut [u8]) -> Result<(), Error> {
    let found = out.len();
    hkdf::Hkdf::<sm3::Sm3>::new(Some(salt), ikm)
        .expand(info, out)
        .map_err(|_| Error::LimitExceeded {
            what: "HKDF output bytes",
            limit: HKDF_OUTPUT_BYTES_MAX,
            found: crate::encoding::length(found),
        })
}

/// Fills `out` with PBKDF2-HMAC-SM3 (RFC 8018, 5.2) of `password`.
///
/// Takes time in proportion to `iterations`; callers bound it before they accept it from
/// outside.
pub fn pbkdf2_hmac_sm3(password: &[u8], salt: &[u8], iterations: u32, out: &mut [u8]) {
    pbkdf2::pbkdf2_hmac::<sm3::Sm3>(password, salt, iterations, out);
}

/// The block of SM3 in bytes (GB/T 32905-2016, 5.3).
const SM3_BLOCK_BYTES: usize = 64;

/// 255 digests, RFC 5869 section 2.3.
const HKDF_OUTPUT_BYTES_MAX: u64 = 255 * 32;

const HEX: &[u8; 16] = b"0123456789abcdef";
