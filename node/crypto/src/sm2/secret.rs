//! The private half of an SM2 key.

use std::hint::black_box;
use std::sync::OnceLock;

use sm2::dsa::SigningKey;
use sm2::dsa::signature::rand_core::{TryCryptoRng, TryRng};
use sm2::elliptic_curve::Generate as _;
use sm2::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use sm2::pke::DecryptingKey;
use zeroize::{Zeroize as _, Zeroizing};

use super::sign::SigningScalar;
use super::{CertificateIdentifier, Label, PublicKey, Signature, WRAPPED_BYTES_MAX};
use crate::Error;
use crate::digest::Digest;

/// An SM2 private key, wiped on drop.
///
/// It has no `Debug`, `Clone` or `Serialize`. It leaves this crate only as PKCS#8 that the
/// caller asks for by name, in memory that wipes itself.
pub struct SecretKey {
    /// Boxed, so that moving the key leaves no copy behind.
    inner: Box<Inner>,
    public: PublicKey,
}

struct Inner {
    scalar: SigningScalar,
    signing: SigningKey,
    decrypting: DecryptingKey,
}

impl SecretKey {
    /// Makes a new key and proves it once: signs and verifies, as GM/T 0028 asks of a new pair.
    ///
    /// # Errors
    ///
    /// [`Error::Randomness`] when the operating system has no random bytes.
    pub fn generate() -> Result<Self, Error> {
        let secret = sm2::SecretKey::try_generate_from_rng(&mut SystemRandom)
            .map_err(|_| Error::Randomness)?;
        let key = Self::from_inner(&secret)?;
        let proof = key.sign(Label::Challenge, PAIRWISE_MESSAGE)?;
        key.public
            .verify(Label::Challenge, PAIRWISE_MESSAGE, &proof)
            .map_err(|_| Error::SelfTest {
                test: "pairwise consistency of a new SM2 key",
            })?;
        Ok(key)
    }

    /// Reads the private scalar, big-endian.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSecretKey`] when it is not in 1..n-1.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, Error> {
        let secret = sm2::SecretKey::from_slice(bytes).map_err(|_| Error::InvalidSecretKey {
            reason: "the scalar is out of range",
        })?;
        Self::from_inner(&secret)
    }

    /// Reads a PKCS#8 key (RFC 5208) of the curve 1.2.156.10197.1.301.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSecretKey`] for another algorithm, curve or form.
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, Error> {
        let secret = sm2::SecretKey::from_pkcs8_der(der).map_err(|_| Error::InvalidSecretKey {
            reason: "not a PKCS#8 SM2 key",
        })?;
        Self::from_inner(&secret)
    }

    /// Writes the key as PKCS#8 (RFC 5208), unencrypted, into memory that wipes itself.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSecretKey`] when it cannot be encoded, which does not happen for a key
    /// that was accepted.
    pub fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut scalar = self.inner.signing.to_bytes();
        let refused = |_| Error::InvalidSecretKey {
            reason: "it cannot be encoded",
        };
        let secret = sm2::SecretKey::from_bytes(&scalar);
        scalar.zeroize();
        let document = secret
            .map_err(|_| Error::InvalidSecretKey {
                reason: "it cannot be encoded",
            })?
            .to_pkcs8_der()
            .map_err(refused)?;
        Ok(Zeroizing::new(document.as_bytes().to_vec()))
    }

    /// The public half.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs `message` for the purpose `label`.
    ///
    /// The nonce is hedged: derived from the key, the message and fresh random bytes. See the
    /// decision record of 2026-11-24 on nonces.
    ///
    /// # Errors
    ///
    /// [`Error::Randomness`] when the operating system has no random bytes.
    pub fn sign(&self, label: Label, message: &[u8]) -> Result<Signature, Error> {
        self.sign_digest(&self.public.message_digest(&[label.prefix(), message]))
    }

    /// Signs bytes whose form an outside standard defines and that have no label: X.509.
    pub(crate) fn sign_unlabelled(&self, message: &[u8]) -> Result<Signature, Error> {
        self.sign_digest(&self.public.message_digest(&[message]))
    }

    pub(super) fn sign_digest(&self, digest: &Digest) -> Result<Signature, Error> {
        let mut fresh = Zeroizing::new([0; 32]);
        getrandom::fill(&mut *fresh).map_err(|_| Error::Randomness)?;
        self.inner
            .scalar
            .sign(digest, &fresh)
            .map(|signature| Signature::from_inner(&signature))
            .ok_or(Error::Randomness)
    }

    /// Opens what [`PublicKey::wrap`] made for this key.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] for anything that was not wrapped to this key, unchanged.
    pub fn unwrap(&self, wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        if wrapped.len() > WRAPPED_BYTES_MAX {
            return Err(Error::Rejected);
        }
        self.inner
            .decrypting
            .decrypt_der(wrapped)
            .map(Zeroizing::new)
            .map_err(|_| Error::Rejected)
    }

    /// The library's signing key, for the certificate builder.
    pub(crate) fn signing_key(&self) -> &SigningKey {
        &self.inner.signing
    }

    fn from_inner(secret: &sm2::SecretKey) -> Result<Self, Error> {
        let public = PublicKey::from_inner(secret.public_key())?;
        let mut scalar = secret.to_nonzero_scalar();
        // (1 + d) is inverted for signing, so d = n - 1 is not a key (GB/T 32918.2, 6.1).
        let prepared = SigningScalar::new(&scalar).ok_or(Error::InvalidSecretKey {
            reason: "the scalar is out of range",
        })?;
        let signing = SigningKey::from_nonzero_scalar(CertificateIdentifier::TEXT, scalar)
            .map_err(|_| Error::InvalidSecretKey {
                reason: "the scalar is out of range",
            })?;
        let decrypting = DecryptingKey::new_with_mode(scalar, sm2::pke::Mode::C1C3C2);
        scalar.zeroize();
        Ok(Self {
            inner: Box::new(Inner {
                scalar: prepared,
                signing,
                decrypting,
            }),
            public,
        })
    }
}

impl Drop for Inner {
    /// The library's key types do not wipe themselves and give no mutable access, so they are
    /// overwritten with a key that is public. `black_box` keeps the compiler from seeing that
    /// the stores are dead.
    fn drop(&mut self) {
        if let Some((signing, decrypting)) = decoy() {
            self.signing = signing.clone();
            self.decrypting = decrypting.clone();
            black_box(&self.signing);
            black_box(&self.decrypting);
        }
    }
}

/// The key with the scalar 1.
fn decoy() -> Option<&'static (SigningKey, DecryptingKey)> {
    static DECOY: OnceLock<Option<(SigningKey, DecryptingKey)>> = OnceLock::new();
    DECOY
        .get_or_init(|| {
            let mut one = [0_u8; 32];
            one[31] = 1;
            let signing = SigningKey::from_slice(CertificateIdentifier::TEXT, &one).ok()?;
            let decrypting = DecryptingKey::from_slice(&one).ok()?;
            Some((signing, decrypting))
        })
        .as_ref()
}

/// What a new key signs to prove itself.
const PAIRWISE_MESSAGE: &[u8] = b"pairwise consistency";

/// The operating system's random bytes in the form that the library asks for.
///
/// It fails closed: an error of the system is an error of the operation.
pub(crate) struct SystemRandom;

impl TryRng for SystemRandom {
    type Error = getrandom::Error;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        getrandom::u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        getrandom::u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        getrandom::fill(bytes)
    }
}

impl TryCryptoRng for SystemRandom {}
