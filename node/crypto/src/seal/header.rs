//! The header of a sealed stream: what it is, who sent it, and to whom.

use zeroize::Zeroizing;

use super::schedule::{DataKey, KEY_CHECK_BYTES};
use super::{
    CHUNK_BYTES, HEADER_CONTEXT_BYTES_MAX, RECIPIENTS_MAX, SEALED_HEADER_BYTES_MAX,
    STREAM_BYTES_MAX,
};
use crate::Error;
use crate::digest::{Digest, KeyId};
use crate::encoding::{Reader, length, push_counted};
use crate::keys::{Signer, Unwrapper};
use crate::sm2::{Label, PublicKey, Signature};

/// What a stream is and what it is bound to. All of it is signed and authenticated, none of it
/// is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamParameters {
    /// A fresh random identity.
    pub stream_id: [u8; 16],
    /// The digest of the schema that the bytes follow.
    pub schema: Digest,
    /// The digest of the policy under which they leave.
    pub policy: Digest,
    /// The length of the plaintext in bytes, at most [`STREAM_BYTES_MAX`].
    pub plain_bytes: u64,
    /// When the stream was made, milliseconds since 1970-01-01 UTC by the sender's clock.
    pub created_at_ms: i64,
    /// Bytes of the caller's that are bound in, such as a release's identity; at most
    /// [`HEADER_CONTEXT_BYTES_MAX`].
    pub context: Vec<u8>,
}

/// The stream's key, encrypted to one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrap {
    /// Whose key can open it.
    pub recipient: KeyId,
    /// SM2 ciphertext, C1 C3 C2 in DER.
    pub wrapped: Vec<u8>,
}

/// The start of a sealed stream. It can be read without any key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedHeader {
    /// The encoded parameters with the sender's key id and the key check.
    pub header: Vec<u8>,
    /// The sender's signature over [`Self::header`].
    pub header_signature: Signature,
    /// The stream's key for each recipient, 1 to [`RECIPIENTS_MAX`].
    pub wraps: Vec<Wrap>,
    /// The sender's signature over the digest of the header and all wraps. Made anew when a
    /// recipient's key rotates, without touching the header or the chunks.
    pub wraps_signature: Signature,
}

/// A header's content after strict parsing.
pub(super) struct ParsedHeader {
    pub(super) parameters: StreamParameters,
    pub(super) sender: KeyId,
    pub(super) key_check: [u8; KEY_CHECK_BYTES],
    /// SM3 of the header without the key check.
    pub(super) binding: Digest,
}

impl SealedHeader {
    /// The digest that every chunk and the trailer are bound to.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.header)
    }

    /// The parameters, unverified: nothing here is to be believed before
    /// [`Self::verify`] or [`super::Opener::start`] succeeded.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEncoding`] when the header cannot be read.
    pub fn unverified_parameters(&self) -> Result<StreamParameters, Error> {
        parse(&self.header).map(|parsed| parsed.parameters)
    }

    /// Checks both signatures. A relay or a mirror can do it without being a recipient.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] when the header or the wraps are not the sender's.
    pub fn verify(&self, sender: &PublicKey) -> Result<StreamParameters, Error> {
        self.verify_parsed(sender).map(|parsed| parsed.parameters)
    }

    pub(super) fn verify_parsed(&self, sender: &PublicKey) -> Result<ParsedHeader, Error> {
        sender
            .verify(Label::SealHeader, &self.header, &self.header_signature)
            .map_err(|_| Error::Rejected)?;
        let wraps = signed_wraps(&self.digest(), &self.wraps)?;
        sender
            .verify(Label::SealWraps, &wraps, &self.wraps_signature)
            .map_err(|_| Error::Rejected)?;
        let parsed = parse(&self.header).map_err(|_| Error::Rejected)?;
        if parsed.sender == sender.key_id() {
            Ok(parsed)
        } else {
            Err(Error::Rejected)
        }
    }

    /// Seals the stream's key to other recipients, for example after a key was rotated. The
    /// sender must be able to open the stream himself, that is, be among its recipients.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] when the header is not this signer's, [`Error::NotARecipient`] when
    /// `key` cannot open it, and as [`super::Sealer::start`] for the recipients.
    pub async fn rewrap(
        &self,
        key: &dyn Unwrapper,
        recipients: &[PublicKey],
        signer: &dyn Signer,
    ) -> Result<Self, Error> {
        let parsed = self.verify_parsed(signer.public())?;
        let data_key = self.unwrap_key(&parsed, key).await?;
        let (wraps, wraps_signature) =
            wrap_all(&self.digest(), &data_key, recipients, signer).await?;
        Ok(Self {
            wraps,
            wraps_signature,
            ..self.clone()
        })
    }

    /// Opens the wrap for `key` and holds the result against the key check. Only to be called
    /// on a verified header.
    pub(super) async fn unwrap_key(
        &self,
        parsed: &ParsedHeader,
        key: &dyn Unwrapper,
    ) -> Result<DataKey, Error> {
        let recipient = key.public().key_id();
        let wrap = self
            .wraps
            .iter()
            .find(|wrap| wrap.recipient == recipient)
            .ok_or(Error::NotARecipient { key: recipient })?;
        let bytes: Zeroizing<Vec<u8>> = key.unwrap_key(&wrap.wrapped).await?;
        let data_key = DataKey::from_bytes(&bytes)?;
        let check = data_key.check(&parsed.binding)?;
        if bool::from(subtle::ConstantTimeEq::ct_eq(
            &check[..],
            &parsed.key_check[..],
        )) {
            Ok(data_key)
        } else {
            Err(Error::Rejected)
        }
    }

    /// The one byte form.
    ///
    /// # Errors
    ///
    /// [`Error::LimitExceeded`] when a public field was filled beyond its limit.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = ENVELOPE_MAGIC.to_vec();
        push_counted(&mut bytes, &self.header, "header bytes")?;
        push_counted(
            &mut bytes,
            self.header_signature.as_der(),
            "signature bytes",
        )?;
        push_wraps(&mut bytes, &self.wraps)?;
        push_counted(&mut bytes, self.wraps_signature.as_der(), "signature bytes")?;
        check_limit("sealed header bytes", bytes.len(), SEALED_HEADER_BYTES_MAX)?;
        Ok(bytes)
    }

    /// Reads the byte form strictly; believes nothing yet.
    ///
    /// # Errors
    ///
    /// [`Error::LimitExceeded`], [`Error::InvalidEncoding`] or [`Error::InvalidSignature`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        check_limit("sealed header bytes", bytes.len(), SEALED_HEADER_BYTES_MAX)?;
        let mut reader = Reader::new(bytes, "sealed header");
        if &reader.array::<8>()? != ENVELOPE_MAGIC {
            return Err(reader.invalid("it does not start as one"));
        }
        let header = reader.counted(SEALED_HEADER_BYTES_MAX)?.to_vec();
        parse(&header)?;
        let header_signature = Signature::from_der(reader.counted(SIGNATURE_BYTES_MAX)?)?;
        let [count] = reader.array()?;
        let count = usize::from(count);
        if count == 0 || count > RECIPIENTS_MAX {
            return Err(reader.invalid("it has no or too many recipients"));
        }
        let mut wraps = Vec::with_capacity(count);
        for _ in 0..count {
            let recipient = KeyId::from_digest(Digest::from_bytes(reader.array()?));
            wraps.push(Wrap {
                recipient,
                wrapped: reader.counted(WRAPPED_BYTES_MAX)?.to_vec(),
            });
        }
        let wraps_signature = Signature::from_der(reader.counted(SIGNATURE_BYTES_MAX)?)?;
        reader.end()?;
        Ok(Self {
            header,
            header_signature,
            wraps,
            wraps_signature,
        })
    }
}

/// Makes and signs a header for a new key.
pub(super) async fn make(
    parameters: &StreamParameters,
    data_key: &DataKey,
    recipients: &[PublicKey],
    signer: &dyn Signer,
) -> Result<(SealedHeader, Digest), Error> {
    let mut header = encode(parameters, &signer.key_id())?;
    let binding = Digest::of(&header);
    header.extend_from_slice(&data_key.check(&binding)?);
    let header_signature = signer.sign(Label::SealHeader, &header).await?;
    let (wraps, wraps_signature) =
        wrap_all(&Digest::of(&header), data_key, recipients, signer).await?;
    Ok((
        SealedHeader {
            header,
            header_signature,
            wraps,
            wraps_signature,
        },
        binding,
    ))
}

async fn wrap_all(
    header_digest: &Digest,
    data_key: &DataKey,
    recipients: &[PublicKey],
    signer: &dyn Signer,
) -> Result<(Vec<Wrap>, Signature), Error> {
    if recipients.is_empty() {
        return Err(Error::InvalidArgument {
            what: "recipients",
            reason: "there must be one",
        });
    }
    check_limit("recipients", recipients.len(), RECIPIENTS_MAX)?;
    let mut wraps: Vec<Wrap> = Vec::with_capacity(recipients.len());
    for key in recipients {
        let recipient = key.key_id();
        if wraps.iter().any(|wrap| wrap.recipient == recipient) {
            return Err(Error::InvalidArgument {
                what: "recipients",
                reason: "the same key is given twice",
            });
        }
        wraps.push(Wrap {
            recipient,
            wrapped: key.wrap(data_key.as_bytes())?,
        });
    }
    let signature = signer
        .sign(Label::SealWraps, &signed_wraps(header_digest, &wraps)?)
        .await?;
    Ok((wraps, signature))
}

fn signed_wraps(header_digest: &Digest, wraps: &[Wrap]) -> Result<Vec<u8>, Error> {
    let mut signed = header_digest.as_bytes().to_vec();
    push_wraps(&mut signed, wraps)?;
    Ok(signed)
}

fn push_wraps(out: &mut Vec<u8>, wraps: &[Wrap]) -> Result<(), Error> {
    check_limit("recipients", wraps.len(), RECIPIENTS_MAX)?;
    out.push(u8::try_from(wraps.len()).map_err(|_| Error::Rejected)?);
    for wrap in wraps {
        out.extend_from_slice(wrap.recipient.as_bytes());
        push_counted(out, &wrap.wrapped, "wrap bytes")?;
    }
    Ok(())
}

fn encode(parameters: &StreamParameters, sender: &KeyId) -> Result<Vec<u8>, Error> {
    check_limit(
        "context bytes",
        parameters.context.len(),
        HEADER_CONTEXT_BYTES_MAX,
    )?;
    if parameters.plain_bytes > STREAM_BYTES_MAX {
        return Err(Error::LimitExceeded {
            what: "stream bytes",
            limit: STREAM_BYTES_MAX,
            found: parameters.plain_bytes,
        });
    }
    let mut header = HEADER_MAGIC.to_vec();
    header.push(SUITE_SM4_GCM_SM3_SM2);
    header.extend_from_slice(&parameters.stream_id);
    header.extend_from_slice(parameters.schema.as_bytes());
    header.extend_from_slice(parameters.policy.as_bytes());
    header.extend_from_slice(&parameters.plain_bytes.to_be_bytes());
    header.extend_from_slice(&CHUNK_BYTES_U32.to_be_bytes());
    header.extend_from_slice(&parameters.created_at_ms.to_be_bytes());
    header.extend_from_slice(sender.as_bytes());
    push_counted(&mut header, &parameters.context, "context bytes")?;
    Ok(header)
}

fn parse(header: &[u8]) -> Result<ParsedHeader, Error> {
    let mut reader = Reader::new(header, "stream header");
    if &reader.array::<8>()? != HEADER_MAGIC {
        return Err(reader.invalid("it is of another format or version"));
    }
    if reader.array()? != [SUITE_SM4_GCM_SM3_SM2] {
        return Err(reader.invalid("it is of an unknown suite"));
    }
    let stream_id = reader.array()?;
    let schema = Digest::from_bytes(reader.array()?);
    let policy = Digest::from_bytes(reader.array()?);
    let plain_bytes = u64::from_be_bytes(reader.array()?);
    if plain_bytes > STREAM_BYTES_MAX {
        return Err(reader.invalid("the stream is longer than 1 TiB"));
    }
    if u32::from_be_bytes(reader.array()?) != CHUNK_BYTES_U32 {
        return Err(reader.invalid("its chunks are not of 1 MiB"));
    }
    let created_at_ms = i64::from_be_bytes(reader.array()?);
    let sender = KeyId::from_digest(Digest::from_bytes(reader.array()?));
    let context = reader.counted(HEADER_CONTEXT_BYTES_MAX)?.to_vec();
    let key_check = reader.array()?;
    reader.end()?;
    let binding = Digest::of(&header[..header.len() - KEY_CHECK_BYTES]);
    let parameters = StreamParameters {
        stream_id,
        schema,
        policy,
        plain_bytes,
        created_at_ms,
        context,
    };
    Ok(ParsedHeader {
        parameters,
        sender,
        key_check,
        binding,
    })
}

fn check_limit(what: &'static str, found: usize, limit: usize) -> Result<(), Error> {
    if found <= limit {
        return Ok(());
    }
    Err(Error::LimitExceeded {
        what,
        limit: length(limit),
        found: length(found),
    })
}

/// Format and version 1 of the envelope around header, signatures and wraps.
const ENVELOPE_MAGIC: &[u8; 8] = b"KOUANSE1";

/// Format and version 1 of the header.
const HEADER_MAGIC: &[u8; 8] = b"KOUANSH1";

const SUITE_SM4_GCM_SM3_SM2: u8 = 1;
const CHUNK_BYTES_U32: u32 = 1 << 20;
const _: () = assert!(CHUNK_BYTES == 1 << 20, "the header writes the chunk length");

const SIGNATURE_BYTES_MAX: usize = 72;

/// A wrap of 32 bytes has 139 to 141; this leaves room for other integer lengths only.
const WRAPPED_BYTES_MAX: usize = 160;
