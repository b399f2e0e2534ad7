//! Signatures over content: SignerInfos, and the attributes that are signed in its place.
//!
//! It does not judge certificates: it checks that the key of a certificate signed.

use x509_cert::der::Tag;
use x509_cert::der::asn1::ObjectIdentifier;

use super::der::{Fields, VERSION, algorithm, context, frame, object_identifier, sequence, set_of};
use super::identifier::Identifier;
use super::{CERTIFICATES_MAX, DATA, SIGNERS_MAX, SM3};
use crate::keys::Signer;
use crate::{Certificate, Digest, Error, Signature, Usage};

/// What a signature of GM/T 0010-2012 is over: a SET OF attributes that name the type of a content
/// and its SM3 digest.
///
/// A [`Signer`] signs it without a [`crate::Label`], as the standard wants. That is safe because
/// only this module makes one, and because a SET starts with 31, with which neither a label nor
/// a certificate starts.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedAttributes {
    der: Vec<u8>,
}

impl SignedAttributes {
    /// The attributes of a content of type data.
    pub(super) fn of(content: &[u8]) -> Result<Self, Error> {
        let digest = Digest::of(content);
        let attributes = [
            (CONTENT_TYPE, object_identifier(DATA)?),
            (
                MESSAGE_DIGEST,
                frame(Tag::OctetString, &[digest.as_bytes()])?,
            ),
        ];
        let encoded = attributes.iter().map(|(name, value)| {
            let values = frame(Tag::Set, &[value])?;
            sequence(&[&object_identifier(*name)?, &values])
        });
        set_of(Tag::Set, encoded.collect::<Result<_, Error>>()?).map(|der| Self { der })
    }

    /// The bytes to sign: after Z of GB/T 32918.2-2016, 5.5, with the identifier
    /// [`crate::sm2::CertificateIdentifier`].
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// Checks that they speak of this content.
    fn speak_of(&self, content: &[u8]) -> Result<(), Error> {
        let (mut types, mut digests) = (Vec::new(), Vec::new());
        let mut outer = Fields::new(&self.der, "signed attributes")?;
        let attributes = outer.inside(Tag::Set)?;
        outer.end()?;
        for encoded in attributes.rest(ATTRIBUTES_MAX, "signed attributes")? {
            let mut outer = Fields::new(encoded, "signed attribute")?;
            let mut attribute = outer.sequence()?;
            let name = attribute.object_identifier()?;
            let mut values = attribute.inside(Tag::Set)?;
            attribute.end()?;
            if name == CONTENT_TYPE {
                types.push(values.object_identifier()?);
                values.end()?;
            } else if name == MESSAGE_DIGEST {
                digests.push(values.value(Tag::OctetString)?);
                values.end()?;
            }
        }
        if types == [DATA] && digests == [Digest::of(content).as_bytes()] {
            Ok(())
        } else {
            Err(Error::Rejected)
        }
    }
}

/// One signature.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct SignerInfo {
    identifier: Identifier,
    attributes: Option<SignedAttributes>,
    signature: Signature,
}

impl SignerInfo {
    /// Signs.
    pub(super) async fn sign(
        content: &[u8],
        certificate: &Certificate,
        signer: &dyn Signer,
    ) -> Result<Self, Error> {
        certificate.check_usage(Usage::Sign)?;
        if certificate.public_key() != signer.public() {
            return Err(Error::InvalidArgument {
                what: "signer's certificate",
                reason: "it is for another key",
            });
        }
        let attributes = SignedAttributes::of(content)?;
        let signature = signer.sign_attributes(&attributes).await?;
        Ok(Self {
            identifier: Identifier::of(certificate)?,
            attributes: Some(attributes),
            signature,
        })
    }

    /// Checks that one of `signatures` is by the key of `certificate` over `content`.
    pub(super) fn verify_one(
        signatures: &[Self],
        content: &[u8],
        certificate: &Certificate,
    ) -> Result<(), Error> {
        certificate.check_usage(Usage::Sign)?;
        for signature in signatures {
            if signature.identifier.names(certificate)? {
                return signature
                    .verify(content, certificate)
                    .map_err(|_| Error::Rejected);
            }
        }
        Err(Error::Rejected)
    }

    fn verify(&self, content: &[u8], certificate: &Certificate) -> Result<(), Error> {
        let key = certificate.public_key();
        match &self.attributes {
            Some(attributes) => {
                let spoken = attributes.speak_of(content);
                key.verify_unlabelled(attributes.as_der(), &self.signature)?;
                spoken
            }
            // Attributes that somebody signed, or a message with a label, are not a content,
            // though the same bytes were signed (RFC 5652 section 11 says how that comes about).
            None if is_something_else(content) => Err(Error::Rejected),
            None => key.verify_unlabelled(content, &self.signature),
        }
    }

    /// The encoded SignerInfos.
    pub(super) fn all_to_der(signatures: &[Self]) -> Result<Vec<u8>, Error> {
        let encoded = signatures.iter().map(Self::to_der);
        set_of(Tag::Set, encoded.collect::<Result<_, Error>>()?)
    }

    fn to_der(&self) -> Result<Vec<u8>, Error> {
        let attributes = match &self.attributes {
            Some(attributes) => {
                let mut fields = Fields::new(attributes.as_der(), "signed attributes")?;
                frame(context(0, true), &[fields.value(Tag::Set)?])?
            }
            None => Vec::new(),
        };
        sequence(&[
            &VERSION,
            &self.identifier.to_der()?,
            &algorithm(SM3)?,
            &attributes,
            &algorithm(SM2_SIGNATURE)?,
            &frame(Tag::OctetString, &[self.signature.as_der()])?,
        ])
    }

    /// Reads SignerInfos.
    pub(super) fn read_all(fields: &mut Fields<'_>) -> Result<Vec<Self>, Error> {
        let encoded = fields.inside(Tag::Set)?.rest(SIGNERS_MAX, "signers")?;
        if encoded.is_empty() {
            return Err(fields.invalid("nobody signed it"));
        }
        encoded.into_iter().map(Self::read).collect()
    }

    fn read(encoded: &[u8]) -> Result<Self, Error> {
        let mut outer = Fields::new(encoded, "signer")?;
        let mut info = outer.sequence()?;
        info.version()?;
        let identifier = Identifier::read(&mut info)?;
        info.plain_algorithm(&[SM3])?;
        let attributes = info.optional(context(0, true))?;
        let attributes = attributes
            .map(|set| frame(Tag::Set, &[set.value()]).map(|der| SignedAttributes { der }))
            .transpose()?;
        info.plain_algorithm(&[SM2_SIGNATURE, SM2_WITH_SM3])?;
        let signature = Signature::from_der(info.value(Tag::OctetString)?)
            .map_err(|_| info.invalid("a signature is not the DER form of two scalars"))?;
        // Unauthenticated attributes.
        info.optional(context(1, true))?;
        info.end()?;
        Ok(Self {
            identifier,
            attributes,
            signature,
        })
    }
}

/// Whether a content without attributes is what is signed for another purpose.
fn is_something_else(content: &[u8]) -> bool {
    let labelled = crate::Label::ALL.iter();
    let is_labelled = labelled
        .map(|label| label.prefix())
        .any(|prefix| content.starts_with(prefix));
    let attributes = Fields::new(content, "content").and_then(|mut fields| {
        let mut set = fields.inside(Tag::Set)?;
        set.sequence()?.object_identifier()
    });
    is_labelled || attributes.is_ok()
}

/// The carried certificates: `[0]`, and `[1]` with revocation lists, which are skipped.
pub(super) fn read_certificates(fields: &mut Fields<'_>) -> Result<Vec<Certificate>, Error> {
    let mut certificates = Vec::new();
    if let Some(set) = fields.optional(context(0, true))? {
        let set = Fields::new(set.value(), "certificates")?;
        for encoded in set.rest(CERTIFICATES_MAX, "certificates")? {
            // One that is not an SM2 certificate of a known form is of no use to anyone here.
            certificates.extend(Certificate::from_der(encoded));
        }
    }
    fields.optional(context(1, true))?;
    Ok(certificates)
}

/// The field of carried certificates.
pub(super) fn certificates_to_der(certificates: &[Certificate]) -> Result<Vec<u8>, Error> {
    let encoded = certificates.iter().map(|it| it.as_der().to_vec());
    set_of(context(0, true), encoded.collect())
}

/// The set of digest algorithms, which is always SM3 alone.
pub(super) fn digests_to_der() -> Result<Vec<u8>, Error> {
    set_of(Tag::Set, vec![algorithm(SM3)?])
}

/// Reads the set of digest algorithms.
pub(super) fn read_digests(fields: &mut Fields<'_>) -> Result<(), Error> {
    let mut set = fields.inside(Tag::Set)?;
    for _ in 0..SIGNERS_MAX {
        if set.is_empty() {
            break;
        }
        set.plain_algorithm(&[SM3])?;
    }
    set.end()
}

/// The most signed attributes of one signature; two are usual, three with a time.
const ATTRIBUTES_MAX: usize = 16;

/// PKCS#9 contentType, RFC 2985 section 5.3.1.
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");

/// PKCS#9 messageDigest, RFC 2985 section 5.3.2.
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");

/// SM2 signature, GM/T 0006-2012.
const SM2_SIGNATURE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10197.1.301.1");

/// SM2 signature with SM3, GM/T 0006-2012, which some write in its place.
const SM2_WITH_SM3: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10197.1.501");
