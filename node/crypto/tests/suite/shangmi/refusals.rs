//! Handshakes that must fail, each with the alert that tells the other side why.
//!
//! It does not use sockets.

use std::sync::Arc;

use crypto::tls::shangmi::{self, CURVE_SM2, SM2SIG_SM3};
use crypto::tls::{
    CertificateDer, ClientAuth, ServerConfig, TlsAuthority, TlsIdentity, TlsRoots, client_config,
    server_config,
};
use crypto::{Authority, SecretKey, Usage, Validity};
use rustls::AlertDescription as Alert;
use rustls::client::ResolvesClientCert;
use rustls::crypto::{ActiveKeyExchange, CryptoProvider, SharedSecret, SupportedKxGroup, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::ResolvesServerCert;
use rustls::sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, Error, NamedGroup, PeerIncompatible, PeerMisbehaved,
    SignatureAlgorithm, SignatureScheme,
};
use sm2::dsa::signature::Signer as _;
use sm2::pkcs8::DecodePrivateKey as _;

use super::pair::{Pair, alert, client_of, server_of};
use super::{DAY_MS, Members, identity, members, validity};
use crate::now_ms;

/// A key that signs CertificateVerify under the certificate identifier.
#[derive(Clone, Debug)]
struct WrongIdentifier(sm2::dsa::SigningKey);

impl WrongIdentifier {
    fn of(identity: &TlsIdentity) -> Arc<Self> {
        let pem = identity.to_pem().unwrap();
        let key = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).unwrap();
        let key = sm2::SecretKey::from_pkcs8_der(key.secret_pkcs8_der()).unwrap();
        Arc::new(Self(
            sm2::dsa::SigningKey::new("1234567812345678", &key).unwrap(),
        ))
    }
}

impl SigningKey for WrongIdentifier {
    fn choose_scheme(&self, _offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        Some(Box::new(self.clone()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::Unknown(8)
    }
}

impl Signer for WrongIdentifier {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let signature: sm2::dsa::Signature = self.0.sign(message);
        Ok(signature.to_der().as_ref().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SM2SIG_SM3
    }
}

/// A member's client that signs under the certificate identifier.
pub(super) fn client_with_wrong_identifier(members: &Members) -> Arc<ClientConfig> {
    let key = WrongIdentifier::of(&members.client);
    client_showing(members, members.client.chain(), key)
}

/// The key of an identity, loaded by the provider.
fn key_of(identity: &TlsIdentity) -> Arc<dyn SigningKey> {
    let pem = identity.to_pem().unwrap();
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).unwrap();
    let provider = shangmi::provider();
    provider.key_provider.load_private_key(key).unwrap()
}

/// A server that shows any chain with any key.
fn server_showing(
    chain: &[CertificateDer<'static>],
    key: Arc<dyn SigningKey>,
) -> Arc<ServerConfig> {
    let shown = SingleCertAndKey::from(CertifiedKey::new(chain.to_vec(), key));
    let resolver: Arc<dyn ResolvesServerCert> = Arc::new(shown);
    Arc::new(
        ServerConfig::builder_with_provider(shangmi::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(resolver),
    )
}

/// A member's client that shows any chain with any key.
fn client_showing(
    members: &Members,
    chain: &[CertificateDer<'static>],
    key: Arc<dyn SigningKey>,
) -> Arc<ClientConfig> {
    let shown = SingleCertAndKey::from(CertifiedKey::new(chain.to_vec(), key));
    let resolver: Arc<dyn ResolvesClientCert> = Arc::new(shown);
    let mut config = Arc::unwrap_or_clone(client_of(members));
    config.client_auth_cert_resolver = resolver;
    Arc::new(config)
}

/// Runs a handshake in which the client refuses the server.
#[track_caller]
fn client_refuses(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> (Error, Error) {
    let mut pair = Pair::new(client, server);
    pair.run();
    (
        pair.client_outcome.unwrap_err(),
        pair.server_outcome.unwrap_err(),
    )
}

#[test]
fn a_handshake_signed_under_the_certificate_identifier_is_refused() {
    let members = members();
    let server = server_showing(members.server.chain(), WrongIdentifier::of(&members.server));
    assert_eq!(
        client_refuses(client_of(&members), server),
        (
            Error::InvalidCertificate(CertificateError::BadSignature),
            Error::AlertReceived(Alert::DecryptError)
        )
    );
    let client = client_with_wrong_identifier(&members);
    let mut pair = Pair::new(client, server_of(&members));
    pair.run();
    let bad = Error::InvalidCertificate(CertificateError::BadSignature);
    assert_eq!(pair.server_outcome, Err(bad));
    assert_eq!(pair.client_outcome, alert(Alert::DecryptError));
}

#[test]
fn a_p256_certificate_is_unsupported() {
    let members = members();
    let other = TlsAuthority::create("P-256 CA", validity()).unwrap();
    let p256 = identity(&other, "server");
    let both = [
        members.authority.certificate_pem().unwrap(),
        other.certificate_pem().unwrap(),
    ]
    .concat();
    let roots = TlsRoots::from_pem(&both).unwrap();
    let client = client_config(&roots, Some(&members.client), &[b"h2"]).unwrap();
    let server = server_showing(p256.chain(), key_of(&members.server));
    assert_eq!(
        client_refuses(client, server),
        (
            Error::InvalidCertificate(CertificateError::InvalidPurpose),
            Error::AlertReceived(Alert::UnsupportedCertificate)
        )
    );
    let client = client_showing(&members, p256.chain(), key_of(&members.client));
    let mut pair = Pair::new(client, server_of(&members));
    pair.run();
    assert_eq!(pair.client_outcome, alert(Alert::UnsupportedCertificate));
}

#[test]
fn an_encryption_certificate_opens_no_connection() {
    let authority =
        Authority::create("members", validity(), SecretKey::generate().unwrap()).unwrap();
    let roots = TlsRoots::from_pem(&authority.certificate().to_pem().unwrap()).unwrap();
    let members = members();
    let key = SecretKey::generate().unwrap();
    let issued = authority.issue("node", key.public(), Usage::Encrypt, validity());
    let chain = [CertificateDer::from(issued.unwrap().as_der().to_vec())];
    let pkcs8 = PrivatePkcs8KeyDer::from(key.to_pkcs8_der().unwrap().to_vec());
    let key = shangmi::provider()
        .key_provider
        .load_private_key(pkcs8.into())
        .unwrap();
    let client = client_showing(&members, &chain, key);
    let server = server_config(&members.server, ClientAuth::Required(&roots), &[b"h2"]).unwrap();
    let mut pair = Pair::new(client, server);
    pair.run();
    assert_eq!(pair.client_outcome, alert(Alert::UnsupportedCertificate));
}

#[test]
fn certificates_out_of_their_time_are_expired_for_both_sides() {
    let members = members();
    let now = now_ms();
    for span in [
        Validity::days(now - 10 * DAY_MS, 1),
        Validity::days(now + DAY_MS, 1),
    ] {
        let late = TlsIdentity::issue(&members.authority, "late", &["localhost"], span).unwrap();
        let server = server_config(&late, ClientAuth::None, &[b"h2"]).unwrap();
        let (refusal, told) = client_refuses(client_of(&members), server);
        assert!(matches!(refusal, Error::InvalidCertificate(_)));
        assert_eq!(told, Error::AlertReceived(Alert::CertificateExpired));
        let client = client_config(&members.roots, Some(&late), &[b"h2"]).unwrap();
        let mut pair = Pair::new(client, server_of(&members));
        pair.run();
        assert_eq!(pair.client_outcome, alert(Alert::CertificateExpired));
    }
}

/// The members' roots with a list of what was taken back.
fn roots_without(members: &Members, revoked: &[CertificateDer<'_>], span: Validity) -> TlsRoots {
    let list = members.authority.revocation_list(1, revoked, span).unwrap();
    members.roots.clone().with_revocations(&list).unwrap()
}

#[test]
fn a_revoked_certificate_is_refused_by_both_sides_and_the_others_are_not() {
    let mut members = members();
    let roots = roots_without(&members, members.server.chain(), validity());
    let client = client_config(&roots, Some(&members.client), &[b"h2"]).unwrap();
    assert_eq!(
        client_refuses(client, server_of(&members)),
        (
            Error::InvalidCertificate(CertificateError::Revoked),
            Error::AlertReceived(Alert::CertificateRevoked)
        )
    );
    let roots = roots_without(&members, members.client.chain(), validity());
    let server = server_config(&members.server, ClientAuth::Required(&roots), &[b"h2"]).unwrap();
    let mut pair = Pair::new(client_of(&members), Arc::clone(&server));
    pair.run();
    assert_eq!(pair.client_outcome, alert(Alert::CertificateRevoked));
    members.client = identity(&members.authority, "another client");
    let mut pair = Pair::new(client_of(&members), server);
    pair.run();
    assert_eq!(pair.client_outcome, Ok(()));
}

#[test]
fn an_overdue_or_foreign_list_lets_nobody_in() {
    let members = members();
    let overdue = Validity::days(now_ms() - 10 * DAY_MS, 1);
    let stranger = TlsAuthority::create_shangmi("another CA", validity()).unwrap();
    let foreign = stranger.revocation_list(1, &[], validity()).unwrap();
    for roots in [
        roots_without(&members, &[], overdue),
        members.roots.clone().with_revocations(&foreign).unwrap(),
    ] {
        let server = server_config(&members.server, ClientAuth::Required(&roots), &[b"h2"]);
        let mut pair = Pair::new(client_of(&members), server.unwrap());
        pair.run();
        assert_eq!(pair.client_outcome, alert(Alert::UnknownCA));
    }
    assert!(members.roots.with_revocations("nothing").is_err());
}

#[test]
fn a_certificate_that_is_cut_off_is_bad() {
    let members = members();
    let whole = &members.client.chain()[0];
    for length in [0, 1, 100, whole.len() - 1] {
        let chain = [CertificateDer::from(whole[..length].to_vec())];
        let client = client_showing(&members, &chain, key_of(&members.client));
        let mut pair = Pair::new(client, server_of(&members));
        pair.run();
        assert!(matches!(
            pair.client_outcome,
            Err(Error::AlertReceived(
                Alert::BadCertificate | Alert::DecodeError
            ))
        ));
    }
}

#[test]
fn a_flight_that_is_cut_off_or_changed_completes_nothing() {
    let members = members();
    let fresh = || {
        let mut pair = Pair::new(client_of(&members), server_of(&members));
        let hello = pair.client_flight();
        pair.feed_server(&hello);
        let flight = pair.server_flight();
        (pair, flight)
    };
    let (_, flight) = fresh();
    // One byte short, and steps that fall into each message of the flight.
    for cut in (0..flight.len()).step_by(211).chain([flight.len() - 1]) {
        let (mut pair, flight) = fresh();
        pair.feed_client(&flight[..cut.min(flight.len() - 1)]);
        assert!(pair.client.is_handshaking(), "cut at {cut}");
    }
    for position in (0..flight.len()).step_by(97) {
        let (mut pair, mut flight) = fresh();
        let position = position.min(flight.len() - 1);
        flight[position] ^= 0x10;
        pair.feed_client(&flight);
        let done = pair.client_outcome.is_ok() && !pair.client.is_handshaking();
        assert!(!done, "changed at {position}");
    }
}

#[test]
fn nobody_enters_without_a_certificate_where_one_is_required() {
    let members = members();
    let mut config = Arc::unwrap_or_clone(client_of(&members));
    config.client_auth_cert_resolver = Arc::new(NoCertificate);
    let mut pair = Pair::new(Arc::new(config), server_of(&members));
    pair.run();
    assert_eq!(pair.client_outcome, alert(Alert::CertificateRequired));
    assert_eq!(pair.server_outcome, Err(Error::NoCertificatesPresented));
}

#[derive(Debug)]
struct NoCertificate;

impl ResolvesClientCert for NoCertificate {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

#[test]
fn an_authority_that_is_not_known_is_unknown() {
    let members = members();
    let elsewhere = TlsAuthority::create_shangmi("another CA", validity()).unwrap();
    let stranger = identity(&elsewhere, "stranger");
    let client = client_config(&members.roots, Some(&stranger), &[b"h2"]).unwrap();
    let mut pair = Pair::new(client, server_of(&members));
    pair.run();
    assert_eq!(pair.client_outcome, alert(Alert::UnknownCA));
    let server = server_config(&stranger, ClientAuth::None, &[b"h2"]).unwrap();
    let mut pair = Pair::new(client_of(&members), server);
    pair.run();
    assert_eq!(pair.server_outcome, alert(Alert::UnknownCA));
}

#[test]
fn no_protocol_in_common_is_said() {
    let members = members();
    let client = client_config(&members.roots, Some(&members.client), &[b"other"]).unwrap();
    let mut pair = Pair::new(client, server_of(&members));
    pair.run();
    assert_eq!(pair.client_outcome, alert(Alert::NoApplicationProtocol));
}

#[test]
fn the_families_have_nothing_in_common() {
    let members = members();
    let other = TlsAuthority::create("P-256 CA", validity()).unwrap();
    let (client, server) = (identity(&other, "client"), identity(&other, "server"));
    let roots = other.roots().unwrap();
    let standard_client = client_config(&roots, Some(&client), &[b"h2"]).unwrap();
    let standard_server = server_config(&server, ClientAuth::None, &[b"h2"]).unwrap();
    for (client, server) in [
        (standard_client, server_of(&members)),
        (client_of(&members), standard_server),
    ] {
        let mut pair = Pair::new(client, server);
        pair.run();
        assert_eq!(pair.client_outcome, alert(Alert::HandshakeFailure));
        assert_eq!(
            pair.server_outcome,
            Err(PeerIncompatible::NoKxGroupsInCommon.into())
        );
    }
}

/// A client with SM suites over another group, which RFC 8998 section 3.3 forbids.
fn client_over(members: &Members, group: &'static dyn SupportedKxGroup) -> Arc<ClientConfig> {
    let mut provider = CryptoProvider::clone(&shangmi::provider());
    provider.kx_groups = vec![group];
    Arc::new(
        ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(super::records::root_store(members))
            .with_no_client_auth(),
    )
}

#[test]
fn an_sm_suite_over_another_group_is_refused() {
    let members = members();
    for group in [ring::kx_group::X25519, ring::kx_group::SECP256R1] {
        let mut pair = Pair::new(client_over(&members, group), server_of(&members));
        pair.run();
        assert_eq!(pair.client_outcome, alert(Alert::HandshakeFailure));
    }
}

/// `curveSM2` with a key share that the test chooses.
#[derive(Debug)]
struct Share(&'static [u8]);

impl SupportedKxGroup for Share {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Ok(Box::new(Self(self.0)))
    }

    fn name(&self) -> NamedGroup {
        CURVE_SM2
    }
}

impl ActiveKeyExchange for Share {
    fn complete(self: Box<Self>, _peer: &[u8]) -> Result<SharedSecret, Error> {
        Err(Error::General("never reached".to_owned()))
    }

    fn pub_key(&self) -> &[u8] {
        self.0
    }

    fn group(&self) -> NamedGroup {
        CURVE_SM2
    }
}

#[test]
fn a_share_that_is_no_point_of_the_curve_is_an_illegal_parameter() {
    let members = members();
    // Off the curve, compressed, the identity, too short, too long.
    static SHARES: [Share; 5] = [
        Share(&[4; 65]),
        Share(&[2; 33]),
        Share(&[0; 1]),
        Share(&[4; 64]),
        Share(&[4; 66]),
    ];
    for share in &SHARES {
        let mut pair = Pair::new(client_over(&members, share), server_of(&members));
        pair.run();
        assert_eq!(
            pair.server_outcome,
            Err(PeerMisbehaved::InvalidKeyShare.into())
        );
        assert_eq!(pair.client_outcome, alert(Alert::IllegalParameter));
    }
}
