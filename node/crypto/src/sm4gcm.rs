//! SM4-GCM (GB/T 32907, RFC 8998 section 3.2): key 16 bytes, nonce 12, tag 16.
//!
//! It is not public: callers elsewhere would have to choose nonces, and one repeated nonce gives
//! away both plaintexts and the authentication key. [`crate::seal`] and [`crate::keys`] derive
//! theirs. Which instructions do the work is found out once ([`crate::Sm4Backend`]); every kernel
//! runs in constant time and none keeps a table.
//!
//! One message holds at most 2^32 - 2 blocks (64 GiB less 32 bytes), which is checked here. How
//! much one key may seal is the caller's to bound: after 2^32 blocks under it, in messages of any
//! length, whoever tries to tell the ciphertext from noise has an advantage of 2^-65;
//! [`crate::seal`] takes a new key there.

use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

use crate::Error;
use crate::sm4::{BLOCK_BYTES, Expanded, Kernel, Message};

/// The length of a tag in bytes; never truncated.
pub(crate) const TAG_BYTES: usize = BLOCK_BYTES;

/// The length of a key in bytes.
pub(crate) const KEY_BYTES: usize = 16;

/// The length of a nonce in bytes.
pub(crate) const NONCE_BYTES: usize = 12;

/// One SM4-GCM key, wiped on drop.
pub(crate) struct Sm4Gcm {
    kernel: Kernel,
    /// In a box, so that a key that is moved leaves no copy behind.
    expanded: Box<Expanded>,
}

impl Sm4Gcm {
    /// Expands the key.
    pub(crate) fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self::with_kernel(Kernel::selected(), key)
    }

    /// The same on a kernel of choice, so that tests and measurements reach all of them.
    pub(crate) fn with_kernel(kernel: Kernel, key: &[u8; KEY_BYTES]) -> Self {
        let mut expanded = Box::new(Expanded::ZERO);
        kernel.expand(key, &mut expanded);
        Self { kernel, expanded }
    }

    /// Encrypts `buffer` and appends the tag.
    pub(crate) fn seal_in_place(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        buffer: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let found = crate::encoding::length(buffer.len());
        if found > PLAIN_BYTES_MAX {
            buffer.zeroize();
            return Err(Error::LimitExceeded {
                what: "SM4-GCM plaintext bytes",
                limit: PLAIN_BYTES_MAX,
                found,
            });
        }
        let data = buffer.as_mut_slice();
        let message = Message { nonce, aad, data };
        let tag = self.kernel.seal(&self.expanded, message);
        buffer.extend_from_slice(&tag);
        Ok(())
    }

    /// Checks the tag, decrypts, and removes the tag. On failure the buffer is wiped.
    pub(crate) fn open_in_place(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        buffer: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let fits = match buffer.split_last_chunk_mut::<TAG_BYTES>() {
            Some((data, tag)) if crate::encoding::length(data.len()) <= PLAIN_BYTES_MAX => {
                let message = Message { nonce, aad, data };
                let expected = self.kernel.open(&self.expanded, message);
                bool::from(expected.ct_eq(tag))
            }
            _ => false,
        };
        if !fits {
            buffer.zeroize();
            return Err(Error::Rejected);
        }
        buffer.truncate(buffer.len() - TAG_BYTES);
        Ok(())
    }
}

/// The same over buffers that belong to somebody else, with the tag apart: TLS records.
impl Sm4Gcm {
    /// Encrypts `text` and gives the tag.
    pub(crate) fn seal_slice(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        text: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], Error> {
        let found = crate::encoding::length(text.len());
        if found > PLAIN_BYTES_MAX {
            return Err(Error::LimitExceeded {
                what: "SM4-GCM plaintext bytes",
                limit: PLAIN_BYTES_MAX,
                found,
            });
        }
        let data = text;
        Ok(self
            .kernel
            .seal(&self.expanded, Message { nonce, aad, data }))
    }

    /// Checks the tag and decrypts `text`. On failure it is wiped.
    pub(crate) fn open_slice(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), Error> {
        let fits = crate::encoding::length(text.len()) <= PLAIN_BYTES_MAX && {
            let data = &mut *text;
            let message = Message { nonce, aad, data };
            bool::from(self.kernel.open(&self.expanded, message).ct_eq(tag))
        };
        if fits {
            Ok(())
        } else {
            text.zeroize();
            Err(Error::Rejected)
        }
    }
}

/// 2^32 - 2 blocks, NIST SP 800-38D section 5.2.1.1 and RFC 8998.
const PLAIN_BYTES_MAX: u64 = (1 << 36) - 32;

#[cfg(test)]
mod tests;
