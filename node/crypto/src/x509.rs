//! What SM2 and P-256 certificates have in common: names, times, extensions, serial numbers.
//!
//! It does not sign and it does not judge.

use std::str::FromStr as _;

use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{CertificateBuilder, Result as BuilderResult};
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::DateTime;
use x509_cert::ext::pkix::name::GeneralNames;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, SubjectAltName,
    SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, ToExtension as _};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef};
use x509_cert::time::Time;

use crate::Error;
use crate::certificate::Validity;

/// The longest common name in characters: ub-common-name of RFC 5280, appendix A.
pub(crate) const COMMON_NAME_CHARS_MAX: usize = 64;

/// What a certificate is to say, apart from its key and its signature.
pub(crate) struct Contents {
    pub(crate) issuer: Name,
    pub(crate) subject: Name,
    pub(crate) key_usage: KeyUsage,
    pub(crate) authority: bool,
    pub(crate) alternative_names: GeneralNames,
    pub(crate) extended_usage: Option<ExtendedKeyUsage>,
}

impl BuilderProfile for Contents {
    fn get_issuer(&self, _subject: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        spk: SubjectPublicKeyInfoRef<'_>,
        issuer_spk: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> BuilderResult<Vec<Extension>> {
        let mut extensions: Vec<Extension> = Vec::new();
        let constraints = BasicConstraints {
            ca: self.authority,
            path_len_constraint: None,
        };
        extensions.push((true, &constraints).to_extension(tbs.subject(), &extensions)?);
        extensions.push((true, &self.key_usage).to_extension(tbs.subject(), &extensions)?);
        let own = SubjectKeyIdentifier::try_from(spk)?;
        extensions.push((&own).to_extension(tbs.subject(), &extensions)?);
        let issuer = AuthorityKeyIdentifier::try_from(issuer_spk)?;
        extensions.push((&issuer).to_extension(tbs.subject(), &extensions)?);
        if let Some(extended) = &self.extended_usage {
            extensions.push(extended.to_extension(tbs.subject(), &extensions)?);
        }
        if !self.alternative_names.is_empty() {
            let names = SubjectAltName(self.alternative_names.clone());
            extensions.push((&names).to_extension(tbs.subject(), &extensions)?);
        }
        Ok(extensions)
    }
}

/// Starts a certificate with a fresh random serial number.
pub(crate) fn builder(
    contents: Contents,
    validity: &Validity,
    spki_der: &[u8],
) -> Result<CertificateBuilder<Contents>, Error> {
    let mut serial: [u8; 16] = crate::random_bytes()?;
    // Positive and never shorter: the first bits are 01.
    serial[0] = serial[0] & 0x3f | 0x40;
    let serial = SerialNumber::new(&serial).map_err(|_| refused("its serial number"))?;
    let spki = SubjectPublicKeyInfoOwned::try_from(spki_der).map_err(|_| refused("its key"))?;
    let validity =
        x509_cert::time::Validity::new(time(validity.not_before_ms)?, time(validity.not_after_ms)?);
    CertificateBuilder::new(contents, serial, validity, spki).map_err(|_| refused("its form"))
}

/// A name of one common name, whatever characters it has.
pub(crate) fn common_name(text: &str) -> Result<Name, Error> {
    let invalid = |reason| Error::InvalidArgument {
        what: "certificate name",
        reason,
    };
    if text.is_empty() {
        return Err(invalid("it is empty"));
    }
    if text.chars().count() > COMMON_NAME_CHARS_MAX {
        return Err(invalid("it has more than 64 characters"));
    }
    if text.chars().any(char::is_control) {
        return Err(invalid("it has control characters"));
    }
    // RFC 4514 section 2.4: in hexadecimal form nothing needs to be escaped, so a name cannot
    // smuggle in a second attribute.
    let mut der = vec![0x0c];
    let bytes = text.as_bytes();
    match u8::try_from(bytes.len()).map_err(|_| invalid("it is too long"))? {
        short @ 0..0x80 => der.push(short),
        long => der.extend_from_slice(&[0x81, long]),
    }
    der.extend_from_slice(bytes);
    Name::from_str(&format!("CN=#{}", hex::encode(der)))
        .map_err(|_| invalid("it cannot be written as a common name"))
}

/// Milliseconds since 1970 as an X.509 time, which counts seconds.
pub(crate) fn time(ms: i64) -> Result<Time, Error> {
    let out_of_range = Error::InvalidArgument {
        what: "validity",
        reason: "it must lie between 1970 and 9999",
    };
    let seconds = u64::try_from(ms.div_euclid(1_000)).map_err(|_| out_of_range.clone())?;
    DateTime::from_unix_duration(std::time::Duration::from_secs(seconds))
        .map(Time::from)
        .map_err(|_| out_of_range)
}

/// An X.509 time as milliseconds since 1970.
pub(crate) fn time_ms(time: Time) -> Result<i64, Error> {
    i64::try_from(time.to_unix_duration().as_millis()).map_err(|_| Error::InvalidEncoding {
        what: "certificate",
        reason: "its times",
    })
}

pub(crate) const fn refused(reason: &'static str) -> Error {
    Error::InvalidEncoding {
        what: "certificate",
        reason,
    }
}
