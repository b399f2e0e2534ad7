//! The PEM texts of TLS files, and the names in TLS certificates.
//!
//! It does not read what is inside a certificate.

use std::net::{IpAddr, Ipv4Addr};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, DnsName, PrivateKeyDer};
use x509_cert::der::asn1::{Ia5String, OctetString};
use x509_cert::der::pem::{LineEnding, encode_string};
use x509_cert::ext::pkix::name::{GeneralName, GeneralNames};
use zeroize::Zeroizing;

use crate::Error;
use crate::x509::refused;

/// The most certificates read from one PEM text: a federation's roots, or a chain.
const CERTIFICATES_MAX: usize = 256;

/// Reads all certificates of a PEM text, at least one and at most 256.
///
/// # Errors
///
/// [`Error::InvalidEncoding`] for a text without one, with more, or with a damaged one.
pub fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    let mut found = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(text.as_bytes()) {
        if found.len() == CERTIFICATES_MAX {
            return Err(refused("more than 256 certificates in one PEM text"));
        }
        found.push(certificate.map_err(|_| refused("not a PEM certificate"))?);
    }
    if found.is_empty() {
        Err(refused("no certificate in the PEM text"))
    } else {
        Ok(found)
    }
}

/// The first PKCS#8 key in the text.
pub(super) fn private_key(text: &str) -> Result<Zeroizing<Vec<u8>>, Error> {
    match PrivateKeyDer::from_pem_slice(text.as_bytes()) {
        Ok(PrivateKeyDer::Pkcs8(key)) => Ok(Zeroizing::new(key.secret_pkcs8_der().to_vec())),
        _ => Err(Error::InvalidSecretKey {
            reason: "the PEM text has no PKCS#8 key (BEGIN PRIVATE KEY)",
        }),
    }
}

pub(super) fn encode(label: &str, der: &[u8]) -> Result<Zeroizing<String>, Error> {
    encode_string(label, LineEnding::LF, der)
        .map(Zeroizing::new)
        .map_err(|_| refused("it cannot be written as PEM"))
}

/// DNS names and addresses as alternative names, `127.0.0.1` first.
pub(super) fn general_names(names: &[&str]) -> Result<GeneralNames, Error> {
    let mut found = vec![address(IpAddr::V4(Ipv4Addr::LOCALHOST))?];
    for name in names {
        let general = match name.parse::<IpAddr>() {
            Ok(ip) => address(ip)?,
            Err(_) => dns(name)?,
        };
        if !found.contains(&general) {
            found.push(general);
        }
    }
    Ok(found)
}

fn address(ip: IpAddr) -> Result<GeneralName, Error> {
    let octets = match ip {
        IpAddr::V4(v4) => OctetString::new(v4.octets()),
        IpAddr::V6(v6) => OctetString::new(v6.octets()),
    };
    octets.map(GeneralName::IpAddress).map_err(|_| NOT_A_NAME)
}

fn dns(name: &str) -> Result<GeneralName, Error> {
    let checked = DnsName::try_from(name).map_err(|_| NOT_A_NAME)?;
    Ia5String::new(checked.as_ref())
        .map(GeneralName::DnsName)
        .map_err(|_| NOT_A_NAME)
}

const NOT_A_NAME: Error = Error::InvalidArgument {
    what: "alternative name",
    reason: "no DNS name and no address",
};
