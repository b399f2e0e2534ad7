//! Requests for TLS certificates: PKCS #10, RFC 2986, of either family.
//!
//! It does not decide who gets a certificate. A request proves that whoever made it has the key,
//! and nothing about who that is.

use x509_cert::attr::Attribute;
use x509_cert::builder::RequestBuilder;
use x509_cert::der::asn1::{Any, ObjectIdentifier};
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::request::CertReq;
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::key::{TlsKey, verify_with};
use super::{Family, TlsIdentity, pem};
use crate::Error;
use crate::digest::Digest;
use crate::x509::{COMMON_NAME_CHARS_MAX, common_name};

/// The longest request in PEM that is read, in bytes.
pub const REQUEST_BYTES_MAX: usize = 16 << 10;

/// The most alternative names in a request that is read.
pub const REQUEST_NAMES_MAX: usize = 64;

/// A new key and the request for its certificate.
pub struct TlsRequest {
    key: TlsKey,
    pem: String,
}

impl TlsRequest {
    /// Makes a key of a family and a request for these names: DNS names or addresses.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for names that X.509 cannot hold, [`Error::Randomness`].
    pub fn create(family: Family, name: &str, alternative_names: &[&str]) -> Result<Self, Error> {
        let key = TlsKey::generate(family)?;
        let names = SubjectAltName(pem::general_names(alternative_names)?);
        let mut request =
            RequestBuilder::new(common_name(name)?).map_err(|_| refused("its subject"))?;
        request
            .add_extension(&names)
            .map_err(|_| refused("its names"))?;
        let der = key.issue(request)?;
        let pem = pem::encode(LABEL, &der)?.to_string();
        Ok(Self { key, pem })
    }

    /// The request in PEM, for the authority.
    #[must_use]
    pub fn request_pem(&self) -> &str {
        &self.pem
    }

    /// Writes the key to a new file that only its owner can read.
    ///
    /// # Errors
    ///
    /// [`Error::File`], also when the file exists.
    pub fn write_new_key(&self, path: impl AsRef<std::path::Path>) -> Result<(), Error> {
        let text = pem::encode("PRIVATE KEY", &self.key.to_pkcs8_der()?)?;
        crate::keys::write_private(path.as_ref(), text.as_bytes())
    }
}

impl TlsIdentity {
    /// Joins a certificate chain in PEM, own certificate first, to the key that its request was
    /// made with.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEncoding`] or [`Error::InvalidSecretKey`] when either cannot be read or the
    /// certificate is of another key.
    pub fn join(chain_pem: &str, key_pem: &str) -> Result<Self, Error> {
        let key = TlsKey::from_pkcs8_der(&pem::private_key(key_pem)?)?;
        let identity = Self::from_parts(pem::certificates(chain_pem)?, key.to_pkcs8_der()?)?;
        if identity.spki_digest() == Digest::of(&key.spki_der()?) {
            Ok(identity)
        } else {
            Err(crate::x509::refused("its key is another one"))
        }
    }
}

/// Who asks for a certificate, as an authority reads it: the signature was verified.
pub struct TlsApplicant {
    family: Family,
    name: String,
    alternative_names: Vec<String>,
    spki_der: Vec<u8>,
}

impl TlsApplicant {
    /// Reads a request in PEM and verifies that it was signed with the key that it names.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEncoding`] for anything that is not such a request, is larger than
    /// [`REQUEST_BYTES_MAX`], has more than [`REQUEST_NAMES_MAX`] names, or has no common name;
    /// [`Error::Rejected`] when the signature is not of its key.
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        if text.len() > REQUEST_BYTES_MAX {
            return Err(refused("more than 16 KiB"));
        }
        let (label, der) = x509_cert::der::pem::decode_vec(text.trim().as_bytes())
            .map_err(|_| refused("no PEM text"))?;
        if label != LABEL {
            return Err(refused("its label is not CERTIFICATE REQUEST"));
        }
        let request = CertReq::from_der(&der).map_err(|_| refused("its form"))?;
        let unreadable = |_| refused("its contents");
        // What was parsed is what was read, so that nothing is certified that nobody signed.
        if request.to_der().map_err(unreadable)? != der {
            return Err(refused("its form"));
        }
        let spki_der = request.info.public_key.to_der().map_err(unreadable)?;
        let signed = request.info.to_der().map_err(unreadable)?;
        let signature = request
            .signature
            .as_bytes()
            .ok_or_else(|| refused("its signature"))?;
        let family = verify_with(&spki_der, &signed, signature)?;
        check_algorithm(family, &request.algorithm)?;
        let name = request.info.subject.common_name();
        let name = name.ok().flatten().ok_or_else(|| refused("its name"))?;
        let name = name.value().into_owned();
        if name.chars().count() > COMMON_NAME_CHARS_MAX {
            return Err(refused("its name has more than 64 characters"));
        }
        let alternative_names = requested_names(request.info.attributes.iter())?;
        Ok(Self {
            family,
            name,
            alternative_names,
            spki_der,
        })
    }

    /// The family of the key, and so of the authority that can certify it.
    #[must_use]
    pub const fn family(&self) -> Family {
        self.family
    }

    /// The common name that is asked for.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The DNS names and addresses that are asked for.
    #[must_use]
    pub fn alternative_names(&self) -> &[String] {
        &self.alternative_names
    }

    /// SM3 of the key's `SubjectPublicKeyInfo`: what both sides read to each other over another
    /// line before the authority certifies it.
    #[must_use]
    pub fn spki_digest(&self) -> Digest {
        Digest::of(&self.spki_der)
    }

    pub(super) fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }
}

/// The signature says with which algorithm it was made, and that is the one of its key; some write
/// no parameters, and some the parameter NULL.
fn check_algorithm(family: Family, algorithm: &AlgorithmIdentifierOwned) -> Result<(), Error> {
    let expected = match family {
        Family::ShangMi => SM2_WITH_SM3,
        Family::Standard => ECDSA_WITH_SHA256,
    };
    let parameters = algorithm.parameters.as_ref();
    if algorithm.oid == expected && parameters.is_none_or(Any::is_null) {
        Ok(())
    } else {
        Err(refused("its signature algorithm"))
    }
}

/// The alternative names among the extensions that a request asks for.
fn requested_names<'a>(
    attributes: impl Iterator<Item = &'a Attribute>,
) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for attribute in attributes.filter(|it| it.oid == EXTENSION_REQUEST) {
        for value in attribute.values.iter() {
            let extensions: Vec<Extension> =
                value.decode_as().map_err(|_| refused("its extensions"))?;
            for extension in extensions
                .iter()
                .filter(|it| it.extn_id == ALTERNATIVE_NAME)
            {
                let asked = SubjectAltName::from_der(extension.extn_value.as_bytes())
                    .map_err(|_| refused("its names"))?;
                for name in asked.0 {
                    if names.len() == REQUEST_NAMES_MAX {
                        return Err(refused("more than 64 names"));
                    }
                    names.push(readable(&name)?);
                }
            }
        }
    }
    Ok(names)
}

fn readable(name: &GeneralName) -> Result<String, Error> {
    match name {
        GeneralName::DnsName(name) => Ok(name.to_string()),
        GeneralName::IpAddress(octets) => match octets.as_bytes() {
            [a, b, c, d] => Ok(std::net::Ipv4Addr::new(*a, *b, *c, *d).to_string()),
            bytes => <[u8; 16]>::try_from(bytes)
                .map(|it| std::net::Ipv6Addr::from(it).to_string())
                .map_err(|_| refused("an address in it")),
        },
        _ => Err(refused("a name that is neither DNS nor address")),
    }
}

const LABEL: &str = "CERTIFICATE REQUEST";

/// sm2sign-with-sm3, GM/T 0006.
const SM2_WITH_SM3: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10197.1.501");

/// ecdsa-with-SHA256, RFC 5758 section 3.2.
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");

/// extensionRequest, RFC 2985 section 5.4.2.
const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");

/// id-ce-subjectAltName, RFC 5280 section 4.2.1.6.
const ALTERNATIVE_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");

const fn refused(reason: &'static str) -> Error {
    Error::InvalidEncoding {
        what: "certificate request",
        reason,
    }
}
