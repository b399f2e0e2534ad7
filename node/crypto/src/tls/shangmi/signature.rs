//! `sm2sig_sm3`: signatures on certificates and in handshakes, each with its own identifier.
//!
//! It does not let one stand for the other. An SM2 signature covers a digest of the signer's
//! identifier and key; certificates use one identifier and the CertificateVerify message another
//! (RFC 8998 section 3.2.1). Each of the two is a type, the lists that rustls takes are built by
//! functions that accept only the right one, and [`HandshakeKey`] knows only the second.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use rustls::crypto::{KeyProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{
    AlgorithmIdentifier, InvalidSignature, PrivateKeyDer, SignatureVerificationAlgorithm,
    SubjectPublicKeyInfoDer,
};
use rustls::sign::{Signer, SigningKey};
use rustls::{Error, SignatureAlgorithm, SignatureScheme};

use super::SM2SIG_SM3;
use crate::sm2::{
    CertificateIdentifier, HandshakeIdentifier, HandshakeSignature, PublicKey, SecretKey, Signature,
};

/// What the provider verifies. Certificates whose algorithm has the parameters NULL are read
/// too: GM/T 0015 leaves them out, several authorities write them.
pub(super) const ALGORITHMS: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &CERTIFICATES,
    mapping: &[(SM2SIG_SM3, &HANDSHAKES)],
};

static CERTIFICATES: [&dyn SignatureVerificationAlgorithm; 2] = for_certificates([
    &Verification::with_algorithm(SM2_WITH_SM3),
    &Verification::with_algorithm(SM2_WITH_SM3_NULL),
]);

static HANDSHAKES: [&dyn SignatureVerificationAlgorithm; 1] =
    for_handshakes([&Verification::with_algorithm(SM2_WITH_SM3)]);

const fn for_certificates(
    [plain, null]: [&'static Verification<CertificateIdentifier>; 2],
) -> [&'static dyn SignatureVerificationAlgorithm; 2] {
    [plain, null]
}

const fn for_handshakes(
    [plain]: [&'static Verification<HandshakeIdentifier>; 1],
) -> [&'static dyn SignatureVerificationAlgorithm; 1] {
    [plain]
}

/// An identifier in the sense of GB/T 32918.2 section 5.5, and what is signed under it.
trait Identifier: Send + Sync + 'static {
    const TEXT: &'static str;

    /// Checks a signature in DER.
    fn verify(key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<(), crate::Error>;
}

impl Identifier for CertificateIdentifier {
    const TEXT: &'static str = Self::TEXT;

    fn verify(key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<(), crate::Error> {
        key.verify_unlabelled(message, &Signature::from_der(signature)?)
    }
}

impl Identifier for HandshakeIdentifier {
    const TEXT: &'static str = Self::TEXT;

    fn verify(key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<(), crate::Error> {
        key.verify_handshake(message, &HandshakeSignature::from_der(signature)?)
    }
}

/// Verifies signatures made under one identifier.
struct Verification<I> {
    signature: AlgorithmIdentifier,
    identifier: PhantomData<fn() -> I>,
}

impl<I> Verification<I> {
    const fn with_algorithm(signature: AlgorithmIdentifier) -> Self {
        Self {
            signature,
            identifier: PhantomData,
        }
    }
}

impl<I: Identifier> SignatureVerificationAlgorithm for Verification<I> {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        PublicKey::from_sec1(public_key)
            .and_then(|key| I::verify(&key, message, signature))
            .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        SM2_KEY
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

impl<I: Identifier> fmt::Debug for Verification<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SM2 with SM3 for {}", I::TEXT)
    }
}

/// Reads SM2 keys for rustls.
#[derive(Debug)]
pub(super) struct Sm2Keys;

impl KeyProvider for Sm2Keys {
    fn load_private_key(&self, key: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        let refused = || Error::General("not a PKCS#8 SM2 key".to_owned());
        let PrivateKeyDer::Pkcs8(der) = key else {
            return Err(refused());
        };
        let secret = SecretKey::from_pkcs8_der(der.secret_pkcs8_der()).map_err(|_| refused())?;
        Ok(Arc::new(HandshakeKey::new(secret)))
    }
}

/// A key that signs CertificateVerify messages and nothing else.
#[derive(Clone)]
struct HandshakeKey {
    secret: Arc<SecretKey>,
}

impl HandshakeKey {
    fn new(secret: SecretKey) -> Self {
        Self {
            secret: Arc::new(secret),
        }
    }
}

impl SigningKey for HandshakeKey {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered
            .contains(&SM2SIG_SM3)
            .then(|| Box::new(self.clone()) as Box<dyn Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        let der = self.secret.public().to_spki_der();
        Some(SubjectPublicKeyInfoDer::from(der))
    }

    /// TLS 1.2 asks for this; RFC 8998 has no TLS 1.2.
    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::Unknown(8)
    }
}

impl Signer for HandshakeKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.secret
            .sign_handshake(message)
            .map(|signature| signature.as_der().to_vec())
            .map_err(|_| Error::FailedToGetRandomBytes)
    }

    fn scheme(&self) -> SignatureScheme {
        SM2SIG_SM3
    }
}

impl fmt::Debug for HandshakeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HandshakeKey({})", self.secret.public().key_id())
    }
}

/// id-ecPublicKey with the SM2 curve 1.2.156.10197.1.301 (GM/T 0006).
pub(super) const SM2_KEY: AlgorithmIdentifier = AlgorithmIdentifier::from_slice(&[
    0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x81, 0x1c, 0xcf, 0x55,
    0x01, 0x82, 0x2d,
]);

/// SM2 signature with SM3, 1.2.156.10197.1.501 (GM/T 0006), without parameters.
const SM2_WITH_SM3: AlgorithmIdentifier =
    AlgorithmIdentifier::from_slice(&[0x06, 0x08, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x83, 0x75]);

/// The same with the parameters NULL.
const SM2_WITH_SM3_NULL: AlgorithmIdentifier = AlgorithmIdentifier::from_slice(&[
    0x06, 0x08, 0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x83, 0x75, 0x05, 0x00,
]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handshake_signature_is_none_on_a_certificate_and_the_other_way_round() {
        let secret = SecretKey::generate().unwrap();
        let sec1 = secret.public().to_sec1();
        let on_certificate = secret.sign_unlabelled(b"message").unwrap();
        let in_handshake = HandshakeKey::new(secret).sign(b"message").unwrap();
        let verify = |algorithm: &dyn SignatureVerificationAlgorithm, signature: &[u8]| {
            algorithm
                .verify_signature(&sec1, b"message", signature)
                .is_ok()
        };
        for algorithm in CERTIFICATES {
            assert!(verify(algorithm, on_certificate.as_der()));
            assert!(!verify(algorithm, &in_handshake));
        }
        for algorithm in HANDSHAKES {
            assert!(verify(algorithm, &in_handshake));
            assert!(!verify(algorithm, on_certificate.as_der()));
        }
    }
}
