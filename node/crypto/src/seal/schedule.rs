//! From the stream's one random key to the key and nonce of each chunk.

use zeroize::Zeroizing;

use super::EPOCH_CHUNKS;
use crate::Error;
use crate::digest::{Digest, hkdf_sm3};
use crate::sm4gcm::{KEY_BYTES, NONCE_BYTES, Sm4Gcm};

/// The data encryption key of one stream, wiped on drop.
pub(super) struct DataKey(Zeroizing<[u8; DATA_KEY_BYTES]>);

/// The length of a data encryption key in bytes.
const DATA_KEY_BYTES: usize = 32;

/// The length of the key check in bytes: a whole digest, so that it commits (2^128 work to find
/// two keys with one check).
pub(super) const KEY_CHECK_BYTES: usize = 32;

impl DataKey {
    pub(super) fn generate() -> Result<Self, Error> {
        Ok(Self(Zeroizing::new(crate::random_bytes()?)))
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        let key = <[u8; DATA_KEY_BYTES]>::try_from(bytes).map_err(|_| Error::Rejected)?;
        Ok(Self(Zeroizing::new(key)))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &*self.0
    }

    /// What the header shows of the key, without giving it away.
    pub(super) fn check(&self, binding: &Digest) -> Result<[u8; KEY_CHECK_BYTES], Error> {
        let mut check = [0; KEY_CHECK_BYTES];
        hkdf_sm3(
            &*self.0,
            binding.as_bytes(),
            b"kouan/v1/seal/key-check\n",
            &mut check,
        )?;
        Ok(check)
    }
}

/// The keys of one stream, and what each chunk is bound to.
pub(super) struct Schedule {
    key: DataKey,
    /// SM3 of the header without its key check: the salt of everything derived.
    binding: Digest,
    /// SM3 of the whole header.
    header_digest: Digest,
    chunk_count: u64,
}

impl Schedule {
    pub(super) const fn new(
        key: DataKey,
        binding: Digest,
        header_digest: Digest,
        chunk_count: u64,
    ) -> Self {
        Self {
            key,
            binding,
            header_digest,
            chunk_count,
        }
    }

    pub(super) const fn header_digest(&self) -> &Digest {
        &self.header_digest
    }

    pub(super) const fn chunk_count(&self) -> u64 {
        self.chunk_count
    }

    /// Encrypts a chunk in place and appends its tag.
    pub(super) fn seal(&self, index: u64, buffer: &mut Vec<u8>) -> Result<(), Error> {
        let aad = self.aad(index, buffer.len())?;
        let (cipher, nonce) = self.cipher(index)?;
        cipher.seal_in_place(&nonce, &aad, buffer)
    }

    /// Decrypts a chunk in place. `plain_bytes` is its length by its place in the stream.
    pub(super) fn open(
        &self,
        index: u64,
        plain_bytes: usize,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let aad = self.aad(index, plain_bytes)?;
        let (cipher, nonce) = self.cipher(index)?;
        cipher.open_in_place(&nonce, &aad, buffer)
    }

    /// Key and nonce of a chunk. The nonce is the epoch's random one, with the chunk's number in
    /// its epoch and the mark of the last chunk laid over its last five bytes: different for
    /// every chunk under one key.
    fn cipher(&self, index: u64) -> Result<(Sm4Gcm, [u8; NONCE_BYTES]), Error> {
        let epoch = index / EPOCH_CHUNKS;
        let mut info = b"kouan/v1/seal/epoch\n".to_vec();
        info.extend_from_slice(&epoch.to_be_bytes());
        let mut derived = Zeroizing::new([0_u8; KEY_BYTES + NONCE_BYTES]);
        hkdf_sm3(
            self.key.as_bytes(),
            self.binding.as_bytes(),
            &info,
            &mut *derived,
        )?;
        let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
        key.copy_from_slice(&derived[..KEY_BYTES]);
        let mut nonce = [0_u8; NONCE_BYTES];
        nonce.copy_from_slice(&derived[KEY_BYTES..]);
        let counter = u32::try_from(index % EPOCH_CHUNKS).map_err(|_| Error::Rejected)?;
        for (place, byte) in nonce[7..11].iter_mut().zip(counter.to_be_bytes()) {
            *place ^= byte;
        }
        nonce[11] ^= self.last_mark(index);
        Ok((Sm4Gcm::new(&key), nonce))
    }

    fn aad(&self, index: u64, plain_bytes: usize) -> Result<[u8; AAD_BYTES], Error> {
        let epoch = u32::try_from(index / EPOCH_CHUNKS).map_err(|_| Error::Rejected)?;
        let length = u32::try_from(plain_bytes).map_err(|_| Error::Rejected)?;
        let mut aad = [0_u8; AAD_BYTES];
        aad[..32].copy_from_slice(self.header_digest.as_bytes());
        aad[32..36].copy_from_slice(&epoch.to_be_bytes());
        aad[36..44].copy_from_slice(&index.to_be_bytes());
        aad[44] = self.last_mark(index);
        aad[45..].copy_from_slice(&length.to_be_bytes());
        Ok(aad)
    }

    fn last_mark(&self, index: u64) -> u8 {
        u8::from(index + 1 == self.chunk_count)
    }
}

/// Header digest, epoch, index, mark of the last chunk, length.
const AAD_BYTES: usize = 32 + 4 + 8 + 1 + 4;
