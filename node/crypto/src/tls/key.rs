//! The private keys of TLS certificates, of either family, and what they sign as issuers.
//!
//! It does not sign handshakes: rustls does that for P-256, and [`super::shangmi`] for SM2.

use p256::ecdsa::signature::Verifier as _;
use p256::ecdsa::{DerSignature, SigningKey, VerifyingKey};
use p256::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
};
use x509_cert::builder::Builder;
use x509_cert::der::Encode;
use x509_cert::der::asn1::BitString;
use zeroize::Zeroizing;

use super::Family;
use crate::Error;
use crate::sm2::{PublicKey, SecretKey, Signature, SystemRandom};
use crate::x509::refused;

/// A private key of a TLS certificate, wiped on drop.
pub(super) enum TlsKey {
    P256(SigningKey),
    Sm2(SecretKey),
}

impl TlsKey {
    pub(super) fn generate(family: Family) -> Result<Self, Error> {
        use p256::elliptic_curve::Generate as _;
        match family {
            Family::ShangMi => SecretKey::generate().map(Self::Sm2),
            Family::Standard => SigningKey::try_generate_from_rng(&mut SystemRandom)
                .map(Self::P256)
                .map_err(|_| Error::Randomness),
        }
    }

    /// Reads PKCS#8; the curve in it says which family it is.
    pub(super) fn from_pkcs8_der(der: &[u8]) -> Result<Self, Error> {
        if let Ok(key) = SigningKey::from_pkcs8_der(der) {
            return Ok(Self::P256(key));
        }
        SecretKey::from_pkcs8_der(der)
            .map(Self::Sm2)
            .map_err(|_| NOT_A_TLS_KEY)
    }

    pub(super) fn to_pkcs8_der(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        match self {
            Self::P256(key) => {
                let document = key.to_pkcs8_der().map_err(|_| NOT_A_TLS_KEY)?;
                Ok(Zeroizing::new(document.as_bytes().to_vec()))
            }
            Self::Sm2(key) => key.to_pkcs8_der(),
        }
    }

    pub(super) const fn family(&self) -> Family {
        match self {
            Self::P256(_) => Family::Standard,
            Self::Sm2(_) => Family::ShangMi,
        }
    }

    pub(super) fn spki_der(&self) -> Result<Vec<u8>, Error> {
        match self {
            Self::P256(key) => {
                let document = key.verifying_key().to_public_key_der();
                Ok(document.map_err(|_| NOT_A_TLS_KEY)?.as_bytes().to_vec())
            }
            Self::Sm2(key) => Ok(key.public().to_spki_der()),
        }
    }

    /// Signs a certificate or a revocation list as its issuer, and encodes it.
    pub(super) fn issue<B>(&self, mut builder: B) -> Result<Vec<u8>, Error>
    where
        B: Builder,
        B::Output: Encode,
    {
        let contents = |_| refused("its contents");
        let output = match self {
            Self::P256(key) => builder.build::<_, DerSignature>(key).map_err(contents)?,
            Self::Sm2(key) => {
                let signed = builder.finalize(key.signing_key()).map_err(contents)?;
                // The library would write r || s; X.509 wants DER (GM/T 0009-2012, 7.3).
                let signature = key.sign_unlabelled(&signed)?;
                let bits = BitString::from_bytes(signature.as_der())
                    .map_err(|_| refused("its signature"))?;
                builder
                    .assemble(bits, key.signing_key())
                    .map_err(contents)?
            }
        };
        output.to_der().map_err(|_| refused("its contents"))
    }
}

/// Verifies a signature that the holder of a key made over a structure that names the key, and says
/// of which family the key is.
pub(super) fn verify_with(
    spki_der: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<Family, Error> {
    if let Ok(key) = PublicKey::from_spki_der(spki_der) {
        key.verify_unlabelled(message, &Signature::from_der(signature)?)?;
        return Ok(Family::ShangMi);
    }
    let key = VerifyingKey::from_public_key_der(spki_der).map_err(|_| NOT_A_TLS_KEY)?;
    let signature = DerSignature::from_bytes(signature).map_err(|_| Error::Rejected)?;
    key.verify(message, &signature)
        .map_err(|_| Error::Rejected)?;
    Ok(Family::Standard)
}

const NOT_A_TLS_KEY: Error = Error::InvalidSecretKey {
    reason: "not a PKCS#8 key on P-256 or the SM2 curve",
};
