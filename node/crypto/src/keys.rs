//! Keys behind traits, so that a hardware module can hold them, and keys in software.
//!
//! It does not hand out private keys: a [`Signer`] signs and an [`Unwrapper`] opens wraps, and
//! where the key lives is theirs to know. Both are async and may fail, because a module of
//! GM/T 0018 is a device on a bus or a network; [`sdf`] is for those.

mod file;
pub mod sdf;

pub(crate) use file::write_private;
pub use file::{
    KEY_FILE_ITERATIONS_DEFAULT, KEY_FILE_ITERATIONS_MAX, KEY_FILE_ITERATIONS_MIN, KeyFile,
};

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::Error;
use crate::digest::KeyId;
use crate::envelope::SignedAttributes;
use crate::sm2::{Label, PublicKey, SecretKey, Signature};

/// Whatever can sign with one SM2 key.
#[async_trait]
pub trait Signer: Send + Sync {
    /// The public half of the key.
    fn public(&self) -> &PublicKey;

    /// The key's name.
    fn key_id(&self) -> KeyId {
        self.public().key_id()
    }

    /// Signs `message` for the purpose `label`.
    ///
    /// # Errors
    ///
    /// When the key cannot be used now: no random bytes, a module that does not answer.
    async fn sign(&self, label: Label, message: &[u8]) -> Result<Signature, Error>;

    /// Signs the attributes of a message for another system, which have no label.
    ///
    /// # Errors
    ///
    /// As [`Self::sign`].
    async fn sign_attributes(&self, attributes: &SignedAttributes) -> Result<Signature, Error>;
}

/// Whatever can open secrets that were wrapped to one SM2 key.
#[async_trait]
pub trait Unwrapper: Send + Sync {
    /// The public half of the key.
    fn public(&self) -> &PublicKey;

    /// Opens a wrap (SM2, C1 C3 C2, DER).
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] for anything that was not wrapped to this key, unchanged; and when
    /// the key cannot be used now.
    async fn unwrap_key(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error>;
}

/// A key held in this process's memory. For tests and for levels that allow it.
pub struct SoftwareKey {
    secret: SecretKey,
}

impl SoftwareKey {
    /// Takes the key over.
    #[must_use]
    pub const fn new(secret: SecretKey) -> Self {
        Self { secret }
    }

    /// Makes a new key.
    ///
    /// # Errors
    ///
    /// [`Error::Randomness`] when the operating system has no random bytes.
    pub fn generate() -> Result<Self, Error> {
        SecretKey::generate().map(Self::new)
    }

    /// The public half. Inherent, so that both traits in scope leave no ambiguity.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        self.secret.public()
    }
}

impl From<SecretKey> for SoftwareKey {
    fn from(secret: SecretKey) -> Self {
        Self::new(secret)
    }
}

#[async_trait]
impl Signer for SoftwareKey {
    fn public(&self) -> &PublicKey {
        self.secret.public()
    }

    async fn sign(&self, label: Label, message: &[u8]) -> Result<Signature, Error> {
        self.secret.sign(label, message)
    }

    async fn sign_attributes(&self, attributes: &SignedAttributes) -> Result<Signature, Error> {
        self.secret.sign_unlabelled(attributes.as_der())
    }
}

#[async_trait]
impl Unwrapper for SoftwareKey {
    fn public(&self) -> &PublicKey {
        self.secret.public()
    }

    async fn unwrap_key(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        self.secret.unwrap(wrapped)
    }
}
