//! The two cipher suites, and SM3 in the forms that rustls asks for.
//!
//! It does not derive keys: the schedule of RFC 8446 section 7.1 is rustls', over HMAC-SM3.

use hmac::{KeyInit as _, Mac as _};
use rustls::crypto::tls13::HkdfUsingHmac;
use rustls::crypto::{hash, hmac as rustls_hmac};
use rustls::{CipherSuiteCommon, SupportedCipherSuite, Tls13CipherSuite};
use sm3::{Digest as _, Sm3};
use zeroize::Zeroizing;

use super::ccm::Sm4Ccm;
use super::record::Records;
use super::{TLS_SM4_CCM_SM3, TLS_SM4_GCM_SM3};
use crate::digest::Digest;
use crate::sm4gcm::Sm4Gcm;

pub(super) const SM4_GCM_SM3: SupportedCipherSuite =
    SupportedCipherSuite::Tls13(&Tls13CipherSuite {
        common: CipherSuiteCommon {
            suite: TLS_SM4_GCM_SM3,
            hash_provider: &Sm3Hash,
            confidentiality_limit: RECORDS_PER_KEY_MAX,
        },
        hkdf_provider: &HkdfUsingHmac(&HmacSm3),
        aead_alg: &Records::<Sm4Gcm>::NEW,
        quic: None,
    });

pub(super) const SM4_CCM_SM3: SupportedCipherSuite =
    SupportedCipherSuite::Tls13(&Tls13CipherSuite {
        common: CipherSuiteCommon {
            suite: TLS_SM4_CCM_SM3,
            hash_provider: &Sm3Hash,
            confidentiality_limit: RECORDS_PER_KEY_MAX,
        },
        hkdf_provider: &HkdfUsingHmac(&HmacSm3),
        aead_alg: &Records::<Sm4Ccm>::NEW,
        quic: None,
    });

/// How many records one key encrypts; then `tls::records`, or rustls where it makes the records,
/// updates it (RFC 8446, 4.6.3).
///
/// SM4 has AES' block of 128 bits, so the bound is that of AES-GCM: with 2^24 records of 2^14
/// bytes a distinguisher's advantage stays below 2^-60 (RFC 8446 section 5.5). For CCM the same
/// number leaves less, about 2^-50, because each block passes the cipher twice. There is no
/// number for the other direction (integrity): the connection ends at the first record
/// that does not authenticate, so each key sees one forgery at most, which succeeds with 2^-128
/// times the blocks of a record.
const RECORDS_PER_KEY_MAX: u64 = 1 << 24;

/// SM3 as a transcript hash.
struct Sm3Hash;

impl hash::Hash for Sm3Hash {
    fn start(&self) -> Box<dyn hash::Context> {
        Box::new(Transcript(Sm3::new()))
    }

    fn hash(&self, data: &[u8]) -> hash::Output {
        hash::Output::new(&Sm3::digest(data))
    }

    fn output_len(&self) -> usize {
        Digest::BYTES
    }

    /// SM3 has no number in the registry of RFC 5246; 7 is the first byte of `sm2sig_sm3`. It is
    /// never sent.
    fn algorithm(&self) -> hash::HashAlgorithm {
        hash::HashAlgorithm::Unknown(7)
    }
}

struct Transcript(Sm3);

impl hash::Context for Transcript {
    fn fork_finish(&self) -> hash::Output {
        hash::Output::new(&self.0.clone().finalize())
    }

    fn fork(&self) -> Box<dyn hash::Context> {
        Box::new(Self(self.0.clone()))
    }

    fn finish(self: Box<Self>) -> hash::Output {
        hash::Output::new(&self.0.finalize())
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
}

/// HMAC-SM3, RFC 2104.
struct HmacSm3;

impl rustls_hmac::Hmac for HmacSm3 {
    fn with_key(&self, key: &[u8]) -> Box<dyn rustls_hmac::Key> {
        // As in `crate::digest::hmac_sm3`: longer keys are hashed, so every length is a valid one.
        let mut block = Zeroizing::new([0_u8; SM3_BLOCK_BYTES]);
        if key.len() > SM3_BLOCK_BYTES {
            block[..Digest::BYTES].copy_from_slice(&Sm3::digest(key));
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        Box::new(Key(hmac::Hmac::new(&(*block).into())))
    }

    fn hash_output_len(&self) -> usize {
        Digest::BYTES
    }
}

struct Key(hmac::Hmac<Sm3>);

impl rustls_hmac::Key for Key {
    fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> rustls_hmac::Tag {
        let mut mac = self.0.clone();
        mac.update(first);
        for piece in middle {
            mac.update(piece);
        }
        mac.update(last);
        rustls_hmac::Tag::new(&mac.finalize().into_bytes())
    }

    fn tag_len(&self) -> usize {
        Digest::BYTES
    }
}

/// The block of SM3 in bytes (GB/T 32905-2016, 5.3).
const SM3_BLOCK_BYTES: usize = 64;
