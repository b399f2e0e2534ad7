//! The key of one direction, and the number of its next record.
//!
//! It does not know what is in a record. No nonce comes from elsewhere: it is the number of the
//! record under the mask that was derived with the key (RFC 8446 section 5.3), and each number
//! is used once, because sealing and opening count it.

use rustls::{CipherSuite, ConnectionTrafficSecrets};
use zeroize::Zeroizing;

use super::{HEADER_BYTES, RecordFault};
use crate::sm4gcm::{KEY_BYTES, NONCE_BYTES, Sm4Gcm, TAG_BYTES};
use crate::tls::shangmi::{Aead as _, Sm4Ccm, TLS_SM4_CCM_SM3, TLS_SM4_GCM_SM3};

/// A traffic key of SM4.
pub(super) struct Protection {
    cipher: Cipher,
    mask: Zeroizing<[u8; NONCE_BYTES]>,
    /// The number of the next record.
    number: u64,
}

enum Cipher {
    Gcm(Sm4Gcm),
    Ccm(Sm4Ccm),
}

impl Protection {
    /// A key as rustls hands it over, for records from `number` on; none when it is of another
    /// suite.
    pub(super) fn new(
        suite: CipherSuite,
        number: u64,
        secrets: &ConnectionTrafficSecrets,
    ) -> Option<Self> {
        // The name is rustls', which has none for SM4: see `Records::extract_keys`.
        let ConnectionTrafficSecrets::Aes128Gcm { key, iv } = secrets else {
            return None;
        };
        let key = Zeroizing::new(<[u8; KEY_BYTES]>::try_from(key.as_ref()).ok()?);
        let cipher = match suite {
            TLS_SM4_GCM_SM3 => Cipher::Gcm(Sm4Gcm::new(&key)),
            TLS_SM4_CCM_SM3 => Cipher::Ccm(Sm4Ccm::new(&key)),
            _ => return None,
        };
        let mask = Zeroizing::new(<[u8; NONCE_BYTES]>::try_from(iv.as_ref()).ok()?);
        Some(Self {
            cipher,
            mask,
            number,
        })
    }

    /// How many records the key protected so far.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    #[cfg(test)]
    pub(super) const fn set_number(&mut self, number: u64) {
        self.number = number;
    }

    /// Encrypts the text of the next record in place and gives its tag.
    pub(super) fn seal(
        &mut self,
        header: [u8; HEADER_BYTES],
        text: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], RecordFault> {
        let nonce = self.next_nonce()?;
        let sealed = match &self.cipher {
            Cipher::Gcm(cipher) => cipher.seal(&nonce, &header, text),
            Cipher::Ccm(cipher) => cipher.seal(&nonce, &header, text),
        };
        // A record is far below what a message of either mode may have.
        sealed.map_err(|_| RecordFault::NoNumberLeft)
    }

    /// Checks the tag of the next record and decrypts its text in place; on failure the text is
    /// wiped.
    pub(super) fn open(
        &mut self,
        header: [u8; HEADER_BYTES],
        text: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), RecordFault> {
        let nonce = self.next_nonce()?;
        let opened = match &self.cipher {
            Cipher::Gcm(cipher) => cipher.open(&nonce, &header, text, tag),
            Cipher::Ccm(cipher) => cipher.open(&nonce, &header, text, tag),
        };
        opened.map_err(|_| RecordFault::NotOpened)
    }

    fn next_nonce(&mut self) -> Result<[u8; NONCE_BYTES], RecordFault> {
        let number = self.number;
        self.number = number.checked_add(1).ok_or(RecordFault::NoNumberLeft)?;
        let mut nonce = *self.mask;
        for (byte, part) in nonce.iter_mut().rev().zip(number.to_le_bytes()) {
            *byte ^= part;
        }
        Ok(nonce)
    }
}
