//! Whether a peer's own certificate may be used for RFC 8998 at all.
//!
//! It does not replace the verification of chains, names and times; that is webpki's. It looks
//! at two things that webpki leaves alone: the key must be an SM2 key, and its use must include
//! signatures. Participants have a second SM2 certificate for encryption (GM/T 0034), which must
//! not open a connection. Both are refused with `unsupported_certificate`.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerIncompatible,
    SignatureScheme,
};
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::{KeyUsage, KeyUsages};

use super::signature::SM2_KEY;

/// A verifier that looks at the peer's own certificate before `inner` verifies it.
#[derive(Debug)]
pub(in crate::tls) struct SigningLeaf<V: ?Sized>(pub(in crate::tls) Arc<V>);

fn check(leaf: &CertificateDer<'_>) -> Result<(), Error> {
    let parsed =
        x509_cert::Certificate::from_der(leaf).map_err(|_| CertificateError::BadEncoding)?;
    let tbs = parsed.tbs_certificate();
    let algorithm = tbs
        .subject_public_key_info()
        .algorithm
        .to_der()
        .map_err(|_| CertificateError::BadEncoding)?;
    // Behind the two bytes of the sequence's frame.
    if algorithm.get(2..) != Some(SM2_KEY.as_ref()) {
        return Err(CertificateError::InvalidPurpose.into());
    }
    let usage = tbs
        .get_extension::<KeyUsage>()
        .map_err(|_| CertificateError::BadEncoding)?;
    // RFC 8446 section 4.4.2.2: if there is a key usage, it must have digitalSignature.
    let signs = usage.is_none_or(|(_, usage)| usage.0.contains(KeyUsages::DigitalSignature));
    if signs {
        Ok(())
    } else {
        Err(CertificateError::InvalidPurpose.into())
    }
}

impl ServerCertVerifier for SigningLeaf<dyn ServerCertVerifier> {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        check(end_entity)?;
        self.0
            .verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

impl ClientCertVerifier for SigningLeaf<dyn ClientCertVerifier> {
    fn offer_client_auth(&self) -> bool {
        self.0.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.0.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        check(end_entity)?;
        self.0.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(PeerIncompatible::Tls12NotOfferedOrEnabled.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
