//! Encrypted content and the wraps of its key: RecipientInfos and EncryptedContentInfo.
//!
//! It does not authenticate; see the module above for what that means.

use x509_cert::der::Tag;
use x509_cert::der::asn1::ObjectIdentifier;
use zeroize::Zeroizing;

use super::der::{Fields, VERSION, algorithm, context, frame, object_identifier, sequence, set_of};
use super::identifier::Identifier;
use super::{CONTENT_BYTES_MAX, DATA, RECIPIENTS_MAX};
use crate::keys::Unwrapper;
use crate::sm2::WRAPPED_BYTES_MAX;
use crate::sm4cbc::{Decrypted, IV_BYTES, KEY_BYTES, decrypt, encrypt};
use crate::{Certificate, Error, Usage};

/// A content for some recipients.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct EncryptedContent {
    recipients: Vec<Recipient>,
    iv: [u8; IV_BYTES],
    encrypted: Vec<u8>,
}

/// The content's key, wrapped to one recipient.
#[derive(Clone, PartialEq, Eq)]
struct Recipient {
    identifier: Identifier,
    wrapped: Vec<u8>,
}

impl EncryptedContent {
    /// Encrypts `content` under a fresh key for each of `recipients`.
    pub(super) fn seal(content: &[u8], recipients: &[Certificate]) -> Result<Self, Error> {
        super::signed::check_content(content)?;
        if recipients.is_empty() {
            return Err(Error::InvalidArgument {
                what: "recipients",
                reason: "nobody could read it",
            });
        }
        if recipients.len() > RECIPIENTS_MAX {
            return Err(Error::LimitExceeded {
                what: "recipients",
                limit: crate::encoding::length(RECIPIENTS_MAX),
                found: crate::encoding::length(recipients.len()),
            });
        }
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(&mut *key).map_err(|_| Error::Randomness)?;
        let iv = crate::random_bytes()?;
        let wrap = |certificate: &Certificate| {
            certificate.check_usage(Usage::Encrypt)?;
            Ok(Recipient {
                identifier: Identifier::of(certificate)?,
                wrapped: certificate.public_key().wrap(&*key)?,
            })
        };
        Ok(Self {
            recipients: recipients.iter().map(wrap).collect::<Result<_, Error>>()?,
            iv,
            encrypted: encrypt(&key, &iv, content),
        })
    }

    /// Unwraps the key and decrypts. The caller must not tell anybody about the padding before
    /// it has checked all that there is to check.
    pub(super) async fn open(
        &self,
        certificate: &Certificate,
        key: &dyn Unwrapper,
    ) -> Result<Decrypted, Error> {
        if certificate.public_key() != key.public() {
            return Err(Error::InvalidArgument {
                what: "recipient's certificate",
                reason: "it is for another key",
            });
        }
        for recipient in &self.recipients {
            if recipient.identifier.names(certificate)? {
                let unwrapped = key.unwrap_key(&recipient.wrapped).await?;
                let content_key = <&[u8; KEY_BYTES]>::try_from(unwrapped.as_slice());
                let content_key = content_key.map_err(|_| Error::Rejected)?;
                return decrypt(content_key, &self.iv, &self.encrypted).ok_or(Error::Rejected);
            }
        }
        Err(Error::NotARecipient {
            key: certificate.key_id(),
        })
    }

    /// The encoded RecipientInfos.
    pub(super) fn recipients_to_der(&self) -> Result<Vec<u8>, Error> {
        let encode = |recipient: &Recipient| {
            let wrapped = frame(Tag::OctetString, &[&recipient.wrapped])?;
            let identifier = recipient.identifier.to_der()?;
            sequence(&[&VERSION, &identifier, &algorithm(SM2_ENCRYPTION)?, &wrapped])
        };
        let encoded = self.recipients.iter().map(encode);
        set_of(Tag::Set, encoded.collect::<Result<_, Error>>()?)
    }

    /// The encoded EncryptedContentInfo.
    pub(super) fn content_to_der(&self) -> Result<Vec<u8>, Error> {
        let iv = frame(Tag::OctetString, &[&self.iv])?;
        let cipher = sequence(&[&object_identifier(SM4_CBC)?, &iv])?;
        let encrypted = frame(context(0, false), &[&self.encrypted])?;
        sequence(&[&object_identifier(DATA)?, &cipher, &encrypted])
    }

    /// Reads RecipientInfos.
    pub(super) fn read_recipients(fields: &mut Fields<'_>) -> Result<Vec<RecipientInfo>, Error> {
        let set = fields.inside(Tag::Set)?;
        let mut recipients = Vec::new();
        for encoded in set.rest(RECIPIENTS_MAX, "recipients")? {
            let mut outer = Fields::new(encoded, "recipient")?;
            let mut info = outer.sequence()?;
            info.version()?;
            let identifier = Identifier::read(&mut info)?;
            info.plain_algorithm(&[SM2_ENCRYPTION, SM2_ENCRYPTION_GMSSL])?;
            let wrapped = info.value(Tag::OctetString)?;
            info.end()?;
            if wrapped.len() > WRAPPED_BYTES_MAX {
                return Err(info.invalid("a wrapped key is too long"));
            }
            let wrapped = wrapped.to_vec();
            recipients.push(RecipientInfo(Recipient {
                identifier,
                wrapped,
            }));
        }
        if recipients.is_empty() {
            return Err(fields.invalid("it has no recipient"));
        }
        Ok(recipients)
    }

    /// Reads EncryptedContentInfo.
    pub(super) fn read(
        recipients: Vec<RecipientInfo>,
        fields: &mut Fields<'_>,
    ) -> Result<Self, Error> {
        let mut info = fields.sequence()?;
        if info.object_identifier()? != DATA {
            return Err(info.invalid("what it encrypts is not of the type data"));
        }
        let (cipher, parameters) = info.algorithm()?;
        let iv = parameters
            .filter(|it| it.header().tag() == Tag::OctetString)
            .and_then(|it| <[u8; IV_BYTES]>::try_from(it.value()).ok())
            .filter(|_| [SM4_CBC, SM4].contains(&cipher))
            .ok_or_else(|| info.invalid("its cipher is not SM4-CBC"))?;
        let encrypted = if let Some(implicit) = info.optional(context(0, false))? {
            implicit.value()
        } else {
            let mut explicit = info.inside(context(0, true))?;
            let octets = explicit.value(Tag::OctetString)?;
            explicit.end()?;
            octets
        };
        // What two parties agreed on outside, which does not change how it is opened.
        info.optional(context(1, false))?;
        info.optional(context(2, false))?;
        info.end()?;
        if encrypted.is_empty() || encrypted.len() % IV_BYTES != 0 {
            return Err(info.invalid("the encrypted content is no whole number of blocks"));
        }
        // One block of padding more than the longest content.
        if encrypted.len() > CONTENT_BYTES_MAX + IV_BYTES {
            return Err(Error::LimitExceeded {
                what: "encrypted content bytes",
                limit: crate::encoding::length(CONTENT_BYTES_MAX + IV_BYTES),
                found: crate::encoding::length(encrypted.len()),
            });
        }
        Ok(Self {
            recipients: recipients.into_iter().map(|it| it.0).collect(),
            iv,
            encrypted: encrypted.to_vec(),
        })
    }
}

/// One recipient that was read before the content was.
pub(super) struct RecipientInfo(Recipient);

/// SM2 public key encryption, GM/T 0006-2012.
const SM2_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10197.1.301.3");

/// What GmSSL writes for it, which is the key exchange by GM/T 0006.
const SM2_ENCRYPTION_GMSSL: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.156.10197.1.301.2");

/// SM4-CBC; its parameter is the initialization vector.
const SM4_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10197.1.104.2");

/// SM4 with no mode, which CFCA writes with an initialization vector for SM4-CBC.
const SM4: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10197.1.104");
