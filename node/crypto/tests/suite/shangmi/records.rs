//! What happens after a handshake: suites, sizes, fragments, key updates, limits.
//!
//! It does not use sockets.

use std::sync::Arc;

use crypto::tls::ClientConfig;
use crypto::tls::shangmi::{self, CURVE_SM2, TLS_SM4_CCM_SM3, TLS_SM4_GCM_SM3};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{
    AlertDescription, CipherSuite, CipherSuiteCommon, Error, HandshakeKind, InvalidMessage,
    RootCertStore, SupportedCipherSuite, Tls13CipherSuite,
};

use super::pair::{Pair, alert, client_of, server_of};
use super::{Members, members};

pub(super) fn root_store(members: &Members) -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let root = members.authority.certificate_pem().unwrap();
    roots
        .add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap())
        .unwrap();
    roots
}

/// A member's client as rustls alone would make it, over a changed provider.
fn client_with(members: &Members, provider: CryptoProvider) -> ClientConfig {
    let key = PrivateKeyDer::from_pem_slice(members.client.to_pem().unwrap().as_bytes()).unwrap();
    ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(root_store(members))
        .with_client_auth_cert(members.client.chain().to_vec(), key)
        .unwrap()
}

fn suite_of(pair: &Pair) -> Option<CipherSuite> {
    pair.client
        .negotiated_cipher_suite()
        .map(|suite| suite.suite())
}

/// Bytes that are not all alike.
fn content(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

#[test]
fn members_agree_on_gcm_and_the_sm2_curve_and_know_each_other() {
    let members = members();
    let pair = Pair::of(&members);
    assert_eq!(suite_of(&pair), Some(TLS_SM4_GCM_SM3));
    let group = pair.client.negotiated_key_exchange_group().unwrap();
    assert_eq!(group.name(), CURVE_SM2);
    assert_eq!(pair.client.handshake_kind(), Some(HandshakeKind::Full));
    assert_eq!(pair.client.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(
        pair.server.peer_certificates(),
        Some(members.client.chain())
    );
    assert_eq!(
        pair.client.peer_certificates(),
        Some(members.server.chain())
    );
}

#[test]
fn a_client_that_has_only_ccm_is_served() {
    let members = members();
    let mut provider = CryptoProvider::clone(&shangmi::provider());
    provider
        .cipher_suites
        .retain(|suite| suite.suite() == TLS_SM4_CCM_SM3);
    let client = Arc::new(client_with(&members, provider));
    let mut pair = Pair::new(client, server_of(&members));
    pair.run();
    assert_eq!(suite_of(&pair), Some(TLS_SM4_CCM_SM3));
    let bytes = content(100_000);
    assert_eq!(pair.client_says(&bytes), bytes);
    assert_eq!(pair.server_says(&bytes), bytes);
}

#[test]
fn every_length_around_a_record_arrives() {
    let mut pair = Pair::of(&members());
    for length in [0, 1, 15, 16, 17, 255, 16_383, 16_384, 16_385, 3_000_001] {
        let bytes = content(length);
        assert_eq!(pair.client_says(&bytes), bytes);
        assert_eq!(pair.server_says(&bytes), bytes);
    }
}

#[test]
fn small_fragments_carry_the_handshake_and_the_content() {
    let members = members();
    let mut server = Arc::unwrap_or_clone(server_of(&members));
    server.max_fragment_size = Some(64);
    let mut client = Arc::unwrap_or_clone(client_of(&members));
    client.max_fragment_size = Some(100);
    let mut pair = Pair::new(Arc::new(client), Arc::new(server));
    pair.run();
    let bytes = content(10_000);
    assert_eq!(pair.client_says(&bytes), bytes);
    assert_eq!(pair.server_says(&bytes), bytes);
}

#[test]
fn bytes_that_trickle_in_are_put_together() {
    let members = members();
    let mut pair = Pair::new(client_of(&members), server_of(&members));
    loop {
        let (to_server, before) = (pair.client_flight(), pair.client.is_handshaking());
        for byte in &to_server {
            pair.feed_server(&[*byte]);
        }
        let to_client = pair.server_flight();
        for byte in &to_client {
            pair.feed_client(&[*byte]);
        }
        if to_server.is_empty() && to_client.is_empty() {
            assert!(!before);
            break;
        }
    }
    assert_eq!(pair.client_says(b"whole"), b"whole");
}

#[test]
fn keys_can_be_updated_by_both_ends_at_any_time() {
    let mut pair = Pair::of(&members());
    for round in 0..5 {
        pair.client.refresh_traffic_keys().unwrap();
        assert_eq!(pair.client_says(b"from the client"), b"from the client");
        pair.server.refresh_traffic_keys().unwrap();
        assert_eq!(pair.server_says(b"from the server"), b"from the server");
        let bytes = content(20_000 + round);
        assert_eq!(pair.client_says(&bytes), bytes);
    }
}

#[test]
fn a_key_that_encrypted_its_limit_is_replaced() {
    let limit = |suite: &SupportedCipherSuite| tls13(suite).common.confidentiality_limit;
    let mut provider = CryptoProvider::clone(&shangmi::provider());
    assert!(provider.cipher_suites.iter().all(|it| limit(it) == 1 << 24));
    let original = tls13(&provider.cipher_suites[0]);
    let short: &'static Tls13CipherSuite = Box::leak(Box::new(Tls13CipherSuite {
        common: CipherSuiteCommon {
            confidentiality_limit: 8,
            ..copy(&original.common)
        },
        hkdf_provider: original.hkdf_provider,
        aead_alg: original.aead_alg,
        quic: None,
    }));
    provider.cipher_suites = vec![SupportedCipherSuite::Tls13(short)];
    let members = members();
    let mut pair = Pair::new(
        Arc::new(client_with(&members, provider)),
        server_of(&members),
    );
    pair.run();
    // A hundred records; a key that is not replaced refuses the ninth.
    for _ in 0..100 {
        assert_eq!(pair.client_says(b"record"), b"record");
    }
    assert_eq!(pair.server_says(b"answer"), b"answer");
}

/// Whether there is another kind depends on what else is built with this crate.
#[allow(
    unreachable_patterns,
    clippy::allow_attributes,
    clippy::panic,
    reason = "TLS 1.2 is there when another crate of a build asks rustls for it"
)]
fn tls13(suite: &SupportedCipherSuite) -> &'static Tls13CipherSuite {
    match suite {
        SupportedCipherSuite::Tls13(suite) => suite,
        _ => panic!("RFC 8998 has suites of TLS 1.3 only"),
    }
}

const fn copy(common: &CipherSuiteCommon) -> CipherSuiteCommon {
    CipherSuiteCommon {
        suite: common.suite,
        hash_provider: common.hash_provider,
        confidentiality_limit: common.confidentiality_limit,
    }
}

#[test]
fn the_first_record_that_does_not_authenticate_ends_the_connection() {
    use std::io::Write as _;
    for position in [5, 20, 40] {
        let mut pair = Pair::of(&members());
        pair.client.writer().write_all(&content(30)).unwrap();
        let mut record = pair.client_flight();
        record[position] ^= 1;
        pair.feed_server(&record);
        assert_eq!(pair.server_outcome, Err(Error::DecryptError));
        pair.run();
        assert_eq!(pair.client_outcome, alert(AlertDescription::BadRecordMac));
    }
}

#[test]
fn records_beyond_the_limits_are_refused() {
    let mut pair = Pair::of(&members());
    // 2^14 + 256 bytes are the most that a record may have (RFC 8446 section 5.2); rustls reads
    // the header of a longer one and no more.
    pair.feed_server(&[23, 3, 3, 0x48, 0x01]);
    assert_eq!(
        pair.server_outcome,
        Err(Error::InvalidMessage(InvalidMessage::MessageTooLarge))
    );
    let mut pair = Pair::of(&members());
    // Too short for a tag.
    pair.feed_server(&[23, 3, 3, 0, 4, 1, 2, 3, 4]);
    assert_eq!(pair.server_outcome, Err(Error::DecryptError));
    pair.run();
    assert_eq!(pair.client_outcome, alert(AlertDescription::BadRecordMac));
}
