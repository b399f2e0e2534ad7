//! Doors for the benchmarks of this crate, which compile outside it.
//!
//! It does not belong to the interface: what is here takes nonces from its caller, which nothing
//! that handles real data may do. It is public only because Cargo builds benchmarks as other
//! crates.

use crate::sm3::Lanes;
use crate::sm4::Kernel;
use crate::sm4gcm::Sm4Gcm;
use crate::{Digest, Error, Sm4Backend};

/// SM4-GCM on a kernel of choice.
pub struct Cipher(Sm4Gcm);

impl Cipher {
    /// Expands a key; nothing when this processor cannot run the kernel.
    #[must_use]
    pub fn new(backend: Sm4Backend, key: &[u8; 16]) -> Option<Self> {
        Some(Self(Sm4Gcm::with_kernel(Kernel::of(backend)?, key)))
    }

    /// Encrypts in place and appends the tag.
    ///
    /// # Errors
    ///
    /// [`Error::LimitExceeded`] beyond 64 GiB.
    pub fn seal(&self, nonce: &[u8; 12], aad: &[u8], buffer: &mut Vec<u8>) -> Result<(), Error> {
        self.0.seal_in_place(nonce, aad, buffer)
    }

    /// Checks, decrypts in place and removes the tag.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] for another tag.
    pub fn open(&self, nonce: &[u8; 12], aad: &[u8], buffer: &mut Vec<u8>) -> Result<(), Error> {
        self.0.open_in_place(nonce, aad, buffer)
    }
}

/// How many messages SM3 can take side by side here, best first.
#[must_use]
pub fn sm3_lanes() -> Vec<usize> {
    Lanes::available().map(Lanes::count).collect()
}

/// The digests of `contents` on that many lanes; none when there are not so many.
#[must_use]
pub fn sm3_on(lanes: usize, contents: &[&[u8]]) -> Vec<Digest> {
    Lanes::available()
        .find(|it| it.count() == lanes)
        .map_or_else(Vec::new, |it| it.digests(&[], contents))
        .into_iter()
        .map(Digest::from_bytes)
        .collect()
}
