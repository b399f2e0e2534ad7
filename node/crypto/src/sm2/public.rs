//! The public half of an SM2 key.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sm2::pkcs8::DecodePublicKey as _;
use sm2::pke::EncryptingKey;

use super::curve::Claim;
use super::prepared::Prepared;
use super::{Label, Signature, WRAP_SECRET_BYTES_MAX};
use crate::Error;
use crate::digest::{Digest, KeyId};

/// An SM2 public key: a point that was checked to be on the curve and not its identity.
///
/// Compared, ordered and hashed by its 65 bytes. Clones share what was precomputed for the key,
/// so that a key that verifies often is worth keeping and cloning, rather than reading again.
#[derive(Clone)]
pub struct PublicKey {
    inner: sm2::PublicKey,
    sec1: [u8; Self::SEC1_BYTES],
    prepared: Arc<Prepared>,
}

impl PublicKey {
    /// The length of the uncompressed SEC1 form in bytes: `04`, x, y.
    pub const SEC1_BYTES: usize = 65;

    /// Reads the uncompressed SEC1 form and checks the curve equation.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidPublicKey`] for another length or form, or a point off the curve.
    pub fn from_sec1(bytes: &[u8]) -> Result<Self, Error> {
        let Ok(sec1) = <[u8; Self::SEC1_BYTES]>::try_from(bytes) else {
            return Err(Error::InvalidPublicKey {
                reason: "the form must be 65 bytes: 04, x, y",
            });
        };
        if sec1[0] != 0x04 {
            return Err(Error::InvalidPublicKey {
                reason: "the first byte must be 04",
            });
        }
        let inner =
            sm2::PublicKey::from_sec1_bytes(&sec1).map_err(|_| Error::InvalidPublicKey {
                reason: "the point is not on the curve",
            })?;
        Self::new(inner, sec1)
    }

    /// The uncompressed SEC1 form.
    #[must_use]
    pub const fn to_sec1(&self) -> [u8; Self::SEC1_BYTES] {
        self.sec1
    }

    /// The DER `SubjectPublicKeyInfo`: id-ecPublicKey with the curve 1.2.156.10197.1.301.
    #[must_use]
    pub fn to_spki_der(&self) -> Vec<u8> {
        // The frame is fixed, since the point always has 65 bytes; a test compares it with what
        // the library writes.
        let mut der = Vec::with_capacity(SPKI_FRAME.len() + Self::SEC1_BYTES);
        der.extend_from_slice(&SPKI_FRAME);
        der.extend_from_slice(&self.sec1);
        der
    }

    /// Reads a DER `SubjectPublicKeyInfo` in the one form that [`Self::to_spki_der`] writes.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidPublicKey`] for another algorithm, curve, form or a point off the curve.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, Error> {
        let inner =
            sm2::PublicKey::from_public_key_der(der).map_err(|_| Error::InvalidPublicKey {
                reason: "not an SM2 SubjectPublicKeyInfo",
            })?;
        let key = Self::from_inner(inner)?;
        if key.to_spki_der() == der {
            Ok(key)
        } else {
            Err(Error::InvalidPublicKey {
                reason: "the SubjectPublicKeyInfo is not canonical",
            })
        }
    }

    /// The key's name everywhere: the SM3 digest of [`Self::to_spki_der`].
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.prepared.key_id(|| KeyId::of_spki(&self.to_spki_der()))
    }

    /// Checks that this key signed `message` for the purpose `label`.
    ///
    /// # Errors
    ///
    /// [`Error::SignatureRejected`] if it did not.
    pub fn verify(&self, label: Label, message: &[u8], signature: &Signature) -> Result<(), Error> {
        self.verify_digest(&self.message_digest(&[label.prefix(), message]), signature)
    }

    /// Checks a signature that an outside standard defines and that has no label: X.509.
    pub(crate) fn verify_unlabelled(
        &self,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), Error> {
        self.verify_digest(&self.message_digest(&[message]), signature)
    }

    /// Checks a signature over a digest of [`Self::message_digest`].
    pub(crate) fn verify_digest(
        &self,
        digest: &Digest,
        signature: &Signature,
    ) -> Result<(), Error> {
        let (r, s) = signature.scalars().ok_or(Error::InvalidSignature)?;
        if self.prepared.holds(digest, &r, &s) {
            Ok(())
        } else {
            Err(Error::SignatureRejected)
        }
    }

    /// What [`Self::verify_digest`] would decide, for deciding it beside others: nothing when
    /// that is not worth while, or when it does not hold anyway.
    pub(super) fn claim(&self, digest: &Digest, signature: &Signature) -> Option<Claim<'_>> {
        let (r, s) = signature.scalars()?;
        self.prepared.claim(digest, &r, &s)
    }

    /// What this key signs for a message given in parts.
    pub(crate) fn message_digest(&self, parts: &[&[u8]]) -> Digest {
        self.prepared.identity(self.coordinates()).message(parts)
    }

    /// Puts what this key signs for a message, before it is digested, behind `out`.
    pub(super) fn put_signed_bytes(&self, label: Label, message: &[u8], out: &mut Vec<u8>) {
        let identity = self.prepared.identity(self.coordinates());
        out.extend_from_slice(identity.as_bytes());
        out.extend_from_slice(label.prefix());
        out.extend_from_slice(message);
    }

    /// Encrypts a short secret to this key: SM2 with C1, C3, C2 in DER (GM/T 0009-2012, 7.2).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for an empty secret, [`Error::LimitExceeded`] for one above
    /// [`WRAP_SECRET_BYTES_MAX`], [`Error::Randomness`].
    pub fn wrap(&self, secret: &[u8]) -> Result<Vec<u8>, Error> {
        if secret.is_empty() {
            return Err(Error::InvalidArgument {
                what: "secret",
                reason: "it is empty",
            });
        }
        if secret.len() > WRAP_SECRET_BYTES_MAX {
            return Err(Error::LimitExceeded {
                what: "secret bytes",
                limit: crate::encoding::length(WRAP_SECRET_BYTES_MAX),
                found: crate::encoding::length(secret.len()),
            });
        }
        EncryptingKey::new(self.inner)
            .encrypt_der(&mut super::SystemRandom, secret)
            .map_err(|_| Error::Randomness)
    }

    pub(crate) fn from_inner(inner: sm2::PublicKey) -> Result<Self, Error> {
        let bytes = inner.to_sec1_bytes();
        let sec1 = <[u8; Self::SEC1_BYTES]>::try_from(&bytes[..]).map_err(|_| {
            Error::InvalidPublicKey {
                reason: "the form must be 65 bytes",
            }
        })?;
        Self::new(inner, sec1)
    }

    fn new(inner: sm2::PublicKey, sec1: [u8; Self::SEC1_BYTES]) -> Result<Self, Error> {
        let [_, coordinates @ ..] = &sec1;
        let prepared = Prepared::new(coordinates).ok_or(Error::InvalidPublicKey {
            reason: "a coordinate is out of range",
        })?;
        Ok(Self {
            inner,
            sec1,
            prepared: Arc::new(prepared),
        })
    }

    pub(super) fn coordinates(&self) -> &[u8; 64] {
        let [_, coordinates @ ..] = &self.sec1;
        coordinates
    }
}

impl PublicKey {
    /// The library's key, for what an outside standard defines: TLS.
    pub(crate) const fn as_inner(&self) -> &sm2::PublicKey {
        &self.inner
    }
}

/// The DER frame before the point in a `SubjectPublicKeyInfo` of this curve.
const SPKI_FRAME: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x81, 0x1c, 0xcf, 0x55, 0x01, 0x82, 0x2d, 0x03, 0x42, 0x00,
];

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.sec1 == other.sec1
    }
}

impl Eq for PublicKey {}

impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PublicKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sec1.cmp(&other.sec1)
    }
}

impl Hash for PublicKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.sec1.hash(state);
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.sec1))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl FromStr for PublicKey {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let sec1: [u8; Self::SEC1_BYTES] = crate::encoding::hex_array(text, "public key")?;
        Self::from_sec1(&sec1)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::encoding::deserialize_from_str(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use sm2::pkcs8::EncodePublicKey as _;

    #[test]
    fn the_fixed_spki_frame_is_what_the_library_writes() {
        let key = crate::sm2::SecretKey::generate().unwrap();
        let written = key.public().inner.to_public_key_der().unwrap();
        assert_eq!(key.public().to_spki_der(), written.as_bytes());
    }
}
