//! The record layer of RFC 8446 section 5.2 over SM4 with an AEAD mode.
//!
//! It does not choose nonces: rustls counts records, and a nonce is the count under the mask
//! that was derived with the key. Nothing is copied that need not be: a record is encrypted in
//! the buffer that is sent and decrypted in the buffer that was received.

use std::marker::PhantomData;

use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, MessageDecrypter, MessageEncrypter,
    Nonce, OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload, Tls13AeadAlgorithm,
    UnsupportedOperationError, make_tls13_aad,
};
use rustls::{ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion};
use zeroize::Zeroizing;

use crate::sm4gcm::{KEY_BYTES, NONCE_BYTES, Sm4Gcm, TAG_BYTES};

/// What a mode of SM4 must do for records.
pub(crate) trait Aead: Send + Sync + Sized + 'static {
    fn new(key: &[u8; KEY_BYTES]) -> Self;

    /// Encrypts in place and gives the tag.
    fn seal(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        text: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], crate::Error>;

    /// Checks the tag and decrypts in place. On failure the text holds nothing that was secret.
    fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), crate::Error>;
}

impl Aead for Sm4Gcm {
    fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self::new(key)
    }

    fn seal(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        text: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], crate::Error> {
        self.seal_slice(nonce, aad, text)
    }

    fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), crate::Error> {
        self.open_slice(nonce, aad, text, tag)
    }
}

/// Makes the two directions of a connection.
pub(super) struct Records<A>(PhantomData<fn() -> A>);

impl<A> Records<A> {
    pub(super) const NEW: Self = Self(PhantomData);
}

impl<A: Aead> Tls13AeadAlgorithm for Records<A> {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(Direction::<A>::new(&key, iv))
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(Direction::<A>::new(&key, iv))
    }

    fn key_len(&self) -> usize {
        KEY_BYTES
    }

    /// rustls has names for keys of AES and ChaCha20 only. A key of SM4 is as long as one of
    /// AES-128, and travels under that name to `tls::records`, which knows the suite; nobody
    /// else may ask for it.
    fn extract_keys(
        &self,
        key: AeadKey,
        iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Ok(ConnectionTrafficSecrets::Aes128Gcm { key, iv })
    }
}

struct Direction<A> {
    /// None when rustls handed over a key of another length, which it does not.
    aead: Option<A>,
    iv: Iv,
}

impl<A: Aead> Direction<A> {
    fn new(key: &AeadKey, iv: Iv) -> Self {
        let key = <&[u8; KEY_BYTES]>::try_from(key.as_ref()).ok();
        Self {
            aead: key.map(|key| A::new(&Zeroizing::new(*key))),
            iv,
        }
    }
}

impl<A: Aead> MessageEncrypter for Direction<A> {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        sequence: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let length = self.encrypted_payload_len(message.payload.len());
        let mut payload = PrefixedPayload::with_capacity(length);
        payload.extend_from_chunks(&message.payload);
        payload.extend_from_slice(&[message.typ.into()]);
        let nonce = Nonce::new(&self.iv, sequence).0;
        let tag = self
            .aead
            .as_ref()
            .ok_or(Error::EncryptError)?
            .seal(&nonce, &make_tls13_aad(length), payload.as_mut())
            .map_err(|_| Error::EncryptError)?;
        payload.extend_from_slice(&tag);
        // RFC 8446 section 5.2: the outside always says application data of TLS 1.2.
        Ok(OutboundOpaqueMessage::new(
            ContentType::ApplicationData,
            ProtocolVersion::TLSv1_2,
            payload,
        ))
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        payload_len + 1 + TAG_BYTES
    }
}

impl<A: Aead> MessageDecrypter for Direction<A> {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        sequence: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let aad = make_tls13_aad(message.payload.len());
        let nonce = Nonce::new(&self.iv, sequence).0;
        let (text, tag) = message
            .payload
            .split_last_chunk_mut::<TAG_BYTES>()
            .ok_or(Error::DecryptError)?;
        self.aead
            .as_ref()
            .ok_or(Error::DecryptError)?
            .open(&nonce, &aad, text, tag)
            .map_err(|_| Error::DecryptError)?;
        let length = text.len();
        message.payload.truncate(length);
        message.into_tls13_unpadded_message()
    }
}
