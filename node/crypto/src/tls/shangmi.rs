//! RFC 8998, TLS 1.3 with SM2, SM3 and SM4, as a provider for rustls.
//!
//! It does not stand beside other suites: section 3.3 binds its suites to the curve `curveSM2`
//! and to signatures `sm2sig_sm3`, so this provider has nothing else, and a listener that speaks
//! both families has two configurations. It does not do the SM2 key exchange of GB/T 32918.3
//! either; section 3.2.2 asks for plain ECDHE. rustls has no names for these code points and
//! takes them as numbers. Where a configuration lets it (`enable_secret_extraction`), it hands
//! their keys over under the name of AES-128-GCM, which is meant for `tls::records` alone: they
//! are no keys for the kernel (kTLS).
//!
//! | what | code point | module |
//! |---|---|---|
//! | `TLS_SM4_GCM_SM3`, `TLS_SM4_CCM_SM3` | 0x00c6, 0x00c7 | `suite`, `record`, `ccm` |
//! | `curveSM2` | 41 | `group` |
//! | `sm2sig_sm3` | 0x0708 | `signature`, `leaf` |

mod ccm;
mod group;
mod leaf;
mod record;
mod signature;
mod suite;

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, GetRandomFailed, SecureRandom};
use rustls::{CipherSuite, NamedGroup, SignatureScheme};

pub(crate) use ccm::Sm4Ccm;
pub(super) use leaf::SigningLeaf;
pub(crate) use record::Aead;

/// `TLS_SM4_GCM_SM3`, RFC 8998 section 2.
pub const TLS_SM4_GCM_SM3: CipherSuite = CipherSuite::Unknown(0x00c6);

/// `TLS_SM4_CCM_SM3`, RFC 8998 section 2.
pub const TLS_SM4_CCM_SM3: CipherSuite = CipherSuite::Unknown(0x00c7);

/// `curveSM2`, RFC 8998 section 2.
pub const CURVE_SM2: NamedGroup = NamedGroup::Unknown(41);

/// `sm2sig_sm3`, RFC 8998 section 2.
pub const SM2SIG_SM3: SignatureScheme = SignatureScheme::Unknown(0x0708);

/// The provider: GCM first, CCM for peers that have nothing else.
///
/// It is public for clients that bring their own connections, such as an HTTP library. Whoever
/// can should use [`super::ServerTls`] and [`super::ClientTls`] instead: these also look at what
/// a peer's key may be used for.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![suite::SM4_GCM_SM3, suite::SM4_CCM_SM3],
        kx_groups: vec![&group::CurveSm2],
        signature_verification_algorithms: signature::ALGORITHMS,
        secure_random: &SystemRandom,
        key_provider: &signature::Sm2Keys,
    })
}

/// The operating system's random bytes; an error of the system ends the handshake.
#[derive(Debug)]
struct SystemRandom;

impl SecureRandom for SystemRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        getrandom::fill(bytes).map_err(|_| GetRandomFailed)
    }
}
