//! The end of a sealed stream: evidence of everything that was sent.

use super::SEALED_TRAILER_BYTES_MAX;
use crate::Error;
use crate::digest::Digest;
use crate::encoding::{Reader, length, push_counted};
use crate::keys::Signer;
use crate::sm2::{Label, PublicKey, Signature};

/// The sender's signed statement of which sealed chunks make up the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedTrailer {
    /// The digest of the header it belongs to.
    pub header_digest: Digest,
    /// How many chunks there are.
    pub chunk_count: u64,
    /// The Merkle root over the sealed chunks ([`crate::merkle::leaf_digest`] of each).
    pub root: Digest,
    /// The sender's signature over the three.
    pub signature: Signature,
}

impl SealedTrailer {
    /// Checks the signature. Whoever holds the sealed chunks can then check the root.
    ///
    /// # Errors
    ///
    /// [`Error::Rejected`] when it is not the sender's.
    pub fn verify(&self, sender: &PublicKey) -> Result<(), Error> {
        let signed = signed_bytes(&self.header_digest, self.chunk_count, &self.root);
        sender
            .verify(Label::SealTrailer, &signed, &self.signature)
            .map_err(|_| Error::Rejected)
    }

    /// The one byte form.
    ///
    /// # Errors
    ///
    /// [`Error::LimitExceeded`], which no real signature reaches.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let mut bytes = TRAILER_MAGIC.to_vec();
        bytes.extend_from_slice(&signed_bytes(
            &self.header_digest,
            self.chunk_count,
            &self.root,
        ));
        push_counted(&mut bytes, self.signature.as_der(), "signature bytes")?;
        Ok(bytes)
    }

    /// Reads the byte form strictly; believes nothing yet.
    ///
    /// # Errors
    ///
    /// [`Error::LimitExceeded`], [`Error::InvalidEncoding`] or [`Error::InvalidSignature`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > SEALED_TRAILER_BYTES_MAX {
            return Err(Error::LimitExceeded {
                what: "sealed trailer bytes",
                limit: length(SEALED_TRAILER_BYTES_MAX),
                found: length(bytes.len()),
            });
        }
        let mut reader = Reader::new(bytes, "sealed trailer");
        if &reader.array::<8>()? != TRAILER_MAGIC {
            return Err(reader.invalid("it does not start as one"));
        }
        let header_digest = Digest::from_bytes(reader.array()?);
        let chunk_count = u64::from_be_bytes(reader.array()?);
        let root = Digest::from_bytes(reader.array()?);
        let signature = Signature::from_der(reader.counted(SEALED_TRAILER_BYTES_MAX)?)?;
        reader.end()?;
        Ok(Self {
            header_digest,
            chunk_count,
            root,
            signature,
        })
    }
}

pub(super) async fn make(
    header_digest: Digest,
    chunk_count: u64,
    root: Digest,
    signer: &dyn Signer,
) -> Result<SealedTrailer, Error> {
    let signed = signed_bytes(&header_digest, chunk_count, &root);
    let signature = signer.sign(Label::SealTrailer, &signed).await?;
    Ok(SealedTrailer {
        header_digest,
        chunk_count,
        root,
        signature,
    })
}

fn signed_bytes(header_digest: &Digest, chunk_count: u64, root: &Digest) -> Vec<u8> {
    let mut signed = header_digest.as_bytes().to_vec();
    signed.extend_from_slice(&chunk_count.to_be_bytes());
    signed.extend_from_slice(root.as_bytes());
    signed
}

/// Format and version 1 of the trailer.
const TRAILER_MAGIC: &[u8; 8] = b"KOUANST1";
