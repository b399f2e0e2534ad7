//! Who signs, as a digest: Z of GB/T 32918.2-2016, section 5.5.
//!
//! It does not take an identifier as a string: an [`Identity`] carries in its type which of the
//! two it was made with, and a signature is checked against one such type.

use std::marker::PhantomData;

use super::{CertificateIdentifier, HandshakeIdentifier};
use crate::digest::{Digest, Hasher};

/// One of the two identifiers that are in use.
pub(super) trait Identifier {
    /// The identifier's text.
    const TEXT: &'static str;
}

impl Identifier for CertificateIdentifier {
    const TEXT: &'static str = Self::TEXT;
}

impl Identifier for HandshakeIdentifier {
    const TEXT: &'static str = Self::TEXT;
}

/// The digest of an identifier, the curve and a public key.
pub(super) struct Identity<I> {
    digest: Digest,
    identifier: PhantomData<I>,
}

impl<I: Identifier> Identity<I> {
    /// The identity of the key with these coordinates.
    pub(super) fn of(coordinates: &[u8; 64]) -> Self {
        // Both texts are far below 8 KiB, so that the standard's count of bits fits two bytes.
        let bits = u16::try_from(I::TEXT.len() * 8).unwrap_or(u16::MAX);
        let mut hasher = Hasher::new();
        hasher.update(&bits.to_be_bytes());
        hasher.update(I::TEXT.as_bytes());
        hasher.update(&CURVE);
        hasher.update(coordinates);
        Self {
            digest: hasher.finish(),
            identifier: PhantomData,
        }
    }

    /// What is digested before a message.
    pub(super) const fn as_bytes(&self) -> &[u8; Digest::BYTES] {
        self.digest.as_bytes()
    }

    /// The digest that is signed for a message given in parts: step A2 of section 6.1.
    pub(super) fn message(&self, parts: &[&[u8]]) -> Digest {
        let mut hasher = Hasher::new();
        hasher.update(self.digest.as_bytes());
        for part in parts {
            hasher.update(part);
        }
        hasher.finish()
    }
}

/// a, b and the coordinates of the base point, from GB/T 32918.5-2017.
const CURVE: [u8; 128] = [
    0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfc,
    0x28, 0xe9, 0xfa, 0x9e, 0x9d, 0x9f, 0x5e, 0x34, 0x4d, 0x5a, 0x9e, 0x4b, 0xcf, 0x65, 0x09, 0xa7,
    0xf3, 0x97, 0x89, 0xf5, 0x15, 0xab, 0x8f, 0x92, 0xdd, 0xbc, 0xbd, 0x41, 0x4d, 0x94, 0x0e, 0x93,
    0x32, 0xc4, 0xae, 0x2c, 0x1f, 0x19, 0x81, 0x19, 0x5f, 0x99, 0x04, 0x46, 0x6a, 0x39, 0xc9, 0x94,
    0x8f, 0xe3, 0x0b, 0xbf, 0xf2, 0x66, 0x0b, 0xe1, 0x71, 0x5a, 0x45, 0x89, 0x33, 0x4c, 0x74, 0xc7,
    0xbc, 0x37, 0x36, 0xa2, 0xf4, 0xf6, 0x77, 0x9c, 0x59, 0xbd, 0xce, 0xe3, 0x6b, 0x69, 0x21, 0x53,
    0xd0, 0xa9, 0x87, 0x7c, 0xc6, 0x2a, 0x47, 0x40, 0x02, 0xdf, 0x32, 0xe5, 0x21, 0x39, 0xf0, 0xa0,
];
