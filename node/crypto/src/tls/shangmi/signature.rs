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
use sm2::dsa::VerifyingKey;
use sm2::dsa::signature::Verifier as _;
use sm2::dsa::signature::hazmat::RandomizedPrehashSigner as _;

use super::SM2SIG_SM3;
use crate::digest::{Digest, Hasher};
use crate::sm2::{
    CertificateIdentifier, HandshakeIdentifier, PublicKey, SecretKey, Signature, SystemRandom,
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

/// An identifier in the sense of GB/T 32918.2 section 5.5.
trait Identifier: Send + Sync + 'static {
    const TEXT: &'static str;
}

impl Identifier for CertificateIdentifier {
    const TEXT: &'static str = Self::TEXT;
}

impl Identifier for HandshakeIdentifier {
    const TEXT: &'static str = Self::TEXT;
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
        let key = PublicKey::from_sec1(public_key).map_err(|_| InvalidSignature)?;
        let signature = Signature::from_der(signature)
            .and_then(|signature| signature.to_inner())
            .map_err(|_| InvalidSignature)?;
        VerifyingKey::new(I::TEXT, *key.as_inner())
            .and_then(|key| key.verify(message, &signature))
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
    /// The digest of identifier, curve and key that is hashed before each message.
    identity: Digest,
}

impl HandshakeKey {
    fn new(secret: SecretKey) -> Self {
        Self {
            identity: identity_digest::<HandshakeIdentifier>(secret.public()),
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
        let mut hasher = Hasher::new();
        hasher.update(self.identity.as_bytes());
        hasher.update(message);
        let digest = hasher.finish();
        self.secret
            .signing_key()
            .sign_prehash_with_rng(&mut SystemRandom, digest.as_bytes())
            .map(|signature| Signature::from_inner(&signature).as_der().to_vec())
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

/// Z of GB/T 32918.2 section 5.5: the digest of the identifier's length in bits, the identifier,
/// the curve and the key. The library computes it too, but only where it also takes the key
/// over; this way the private key stays in its one place.
fn identity_digest<I: Identifier>(public: &PublicKey) -> Digest {
    let mut hasher = Hasher::new();
    let bits = u16::try_from(I::TEXT.len() * 8).unwrap_or(u16::MAX);
    hasher.update(&bits.to_be_bytes());
    hasher.update(I::TEXT.as_bytes());
    hasher.update(&CURVE);
    // The form is 04, x, y.
    hasher.update(&public.to_sec1()[1..]);
    hasher.finish()
}

/// a, b, and the generator's x and y: GB/T 32918.5-2017, section 2.
const CURVE: [u8; 128] = [
    0xff, 0xff, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfc,
    0x28, 0xe9, 0xfa, 0x9e, 0x9d, 0x9f, 0x5e, 0x34, 0x4d, 0x5a, 0x9e, 0x4b, 0xcf, 0x65, 0x09, 0xa7,
    0xf3, 0x97, 0x89, 0xf5, 0x15, 0xab, 0x8f, 0x92, 0xdd, 0xbc, 0xbd, 0x41, 0x4d, 0x94, 0x0e, 0x93,
    0x32, 0xc4, 0xae, 0x2c, 0x1f, 0x19, 0x81, 0x19, 0x5f, 0x99, 0x04, 0x46, 0x6a, 0x39, 0xc9, 0x94,
    0x8f, 0xe3, 0x0b, 0xbf, 0xf2, 0x66, 0x0b, 0xe1, 0x71, 0x5a, 0x45, 0x89, 0x33, 0x4c, 0x74, 0xc7,
    0xbc, 0x37, 0x36, 0xa2, 0xf4, 0xf6, 0x77, 0x9c, 0x59, 0xbd, 0xce, 0xe3, 0x6b, 0x69, 0x21, 0x53,
    0xd0, 0xa9, 0x87, 0x7c, 0xc6, 0x2a, 0x47, 0x40, 0x02, 0xdf, 0x32, 0xe5, 0x21, 0x39, 0xf0, 0xa0,
];

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

    /// GM/T 0003.5-2012, A.1: the key of the examples; the digests were computed with OpenSSL.
    #[test]
    fn the_two_identifiers_give_the_published_digests() {
        let public: PublicKey = concat!(
            "0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020",
            "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
        )
        .parse()
        .unwrap();
        assert_eq!(
            identity_digest::<CertificateIdentifier>(&public).to_string(),
            "b2e14c5c79c6df5b85f4fe7ed8db7a262b9da7e07ccb0ea9f4747b8ccda8a4f3"
        );
        assert_eq!(
            identity_digest::<HandshakeIdentifier>(&public).to_string(),
            "97501e91c600a4caa7b1f2416183ecae91f75c616e21fc506efcb5a168d190e0"
        );
    }

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
