//! An SM2 signature in its one form.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::curve::Integer;
use crate::Error;

/// An SM2 signature: the DER form of two scalars in range (GM/T 0009-2012, 7.3).
///
/// There is one encoding for each pair of scalars, so equal bytes mean equal signatures. A
/// signer can still make many signatures over one message; never use one as an identifier.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Signature {
    der: Vec<u8>,
}

/// The longest DER form in bytes: two 33-byte integers with their frames.
pub(crate) const SIGNATURE_DER_BYTES_MAX: usize = 72;

impl Signature {
    /// Reads a signature strictly: minimal DER, both scalars in 1..n, nothing behind.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSignature`] for anything else.
    pub fn from_der(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > SIGNATURE_DER_BYTES_MAX {
            return Err(Error::InvalidSignature);
        }
        let parsed = sm2::dsa::Signature::from_der(bytes).map_err(|_| Error::InvalidSignature)?;
        let signature = Self::from_inner(&parsed);
        // One pair of scalars, one encoding: otherwise a relay could change a signed record's
        // bytes without invalidating it.
        if signature.der == bytes {
            Ok(signature)
        } else {
            Err(Error::InvalidSignature)
        }
    }

    /// The DER form.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// A signature of two scalars, big-endian.
    pub(crate) fn from_scalars(r: &[u8; 32], s: &[u8; 32]) -> Result<Self, Error> {
        sm2::dsa::Signature::from_scalars(*r, *s)
            .map(|inner| Self::from_inner(&inner))
            .map_err(|_| Error::InvalidSignature)
    }

    pub(crate) fn from_inner(inner: &sm2::dsa::Signature) -> Self {
        Self {
            der: inner.to_der().as_ref().to_vec(),
        }
    }

    /// r and s. The form was checked when the signature was read, so there always are two.
    pub(super) fn scalars(&self) -> Option<(Integer, Integer)> {
        let (_frame, integers) = self.der.split_at_checked(2)?;
        let (r, rest) = split_integer(integers)?;
        let (s, _) = split_integer(rest)?;
        Some((Integer::from_bytes(&r)?, Integer::from_bytes(&s)?))
    }
}

/// The first of some DER integers, and the rest.
fn split_integer(bytes: &[u8]) -> Option<([u8; 32], &[u8])> {
    let [INTEGER_TAG, length, rest @ ..] = bytes else {
        return None;
    };
    let (value, rest) = rest.split_at_checked(usize::from(*length))?;
    let value = value.strip_prefix(&[0]).unwrap_or(value);
    let mut integer = [0; 32];
    let start = integer.len().checked_sub(value.len())?;
    integer[start..].copy_from_slice(value);
    Some((integer, rest))
}

/// The tag of INTEGER (ITU-T X.690, 8.3).
const INTEGER_TAG: u8 = 0x02;

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.der))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signature({self})")
    }
}

impl FromStr for Signature {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let der = crate::encoding::hex_vec(text, "signature", SIGNATURE_DER_BYTES_MAX)?;
        Self::from_der(&der)
    }
}

impl Serialize for Signature {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::encoding::deserialize_from_str(deserializer)
    }
}
