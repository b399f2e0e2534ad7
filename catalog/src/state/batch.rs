//! What one node proposes at once, under one signature.
//!
//! It does not say whether the signature holds: [`super::verify_batch`] does.

use std::sync::Arc;

use bytes::Bytes;
use crypto::{Digest, Error, KeyId, Label, Signature, Signer};
use schemas::command::{PersonSignature, Proposal, SignedProposal};
use schemas::{NodeId, canonical};

/// A proposal with its canonical bytes: made once where it enters, and from then on carried,
/// hashed and verified as these bytes and no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedProposal {
    proposal: Proposal,
    signature: Option<PersonSignature>,
    bytes: Bytes,
    digest: Digest,
}

impl EncodedProposal {
    /// Encodes a proposal.
    ///
    /// # Errors
    /// [`schemas::Error::Canonical`] when it has no canonical form.
    pub fn new(signed: SignedProposal) -> Result<Self, schemas::Error> {
        let bytes = Bytes::from(canonical::to_bytes(&signed.proposal)?);
        Ok(Self {
            proposal: signed.proposal,
            signature: signed.signature,
            digest: Digest::of(&bytes),
            bytes,
        })
    }

    /// Reads proposals from their canonical bytes; any other spelling of them is refused, so that
    /// the signature covers exactly what was read.
    ///
    /// # Errors
    /// [`schemas::Error::Canonical`].
    pub fn from_each(
        read: Vec<(Bytes, Option<PersonSignature>)>,
    ) -> Result<Vec<Self>, schemas::Error> {
        let all: Vec<&[u8]> = read.iter().map(|(bytes, _)| bytes.as_ref()).collect();
        let digests = Digest::of_each(&all);
        let with_digest = read.into_iter().zip(digests);
        with_digest
            .map(|((bytes, signature), digest)| {
                Ok(Self {
                    proposal: canonical::from_bytes(&bytes)?,
                    signature,
                    bytes,
                    digest,
                })
            })
            .collect()
    }

    /// What is proposed.
    #[must_use]
    pub const fn proposal(&self) -> &Proposal {
        &self.proposal
    }

    /// The person's signature over [`Self::bytes`].
    #[must_use]
    pub const fn signature(&self) -> Option<&PersonSignature> {
        self.signature.as_ref()
    }

    /// The canonical bytes.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// SM3 of the canonical bytes.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

/// Proposals of one node with the node's signature over all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The proposing node.
    pub node: NodeId,
    /// At most [`Batch::PROPOSALS_MAX`]; a longer batch is refused whole.
    pub proposals: Vec<Arc<EncodedProposal>>,
    /// The node's key.
    pub key: KeyId,
    /// Under [`Label::Batch`] over [`Batch::signed_bytes`].
    pub signature: Signature,
}

impl Batch {
    /// Most proposals in one batch: verifying as many signatures takes a third of a second on
    /// one core, which is the longest that one member may hold up the others.
    pub const PROPOSALS_MAX: usize = 1_024;

    /// The label of the node's signature.
    pub const LABEL: Label = Label::Batch;

    /// Signs proposals as a batch of `node`.
    ///
    /// # Errors
    /// What the signer says when it cannot sign now.
    pub async fn sign(
        node: NodeId,
        proposals: Vec<Arc<EncodedProposal>>,
        signer: &dyn Signer,
    ) -> Result<Self, Error> {
        let bytes = Self::signed_bytes(&node, &proposals);
        let signature = signer.sign(Self::LABEL, &bytes).await?;
        Ok(Self {
            node,
            proposals,
            key: signer.key_id(),
            signature,
        })
    }

    /// What the node signs: its identifier, the number of proposals, and of each one the SM3 of
    /// its canonical bytes and the person's key and signature; every part behind its length in
    /// eight bytes, big-endian, so that no two batches give the same bytes. A digest stands for
    /// the bytes, so that each proposal is hashed once on a replica.
    #[must_use]
    pub fn signed_bytes(node: &NodeId, proposals: &[Arc<EncodedProposal>]) -> Vec<u8> {
        let mut out = Vec::with_capacity(proposals.len() * PROPOSAL_BYTES_ABOUT + 128);
        put(&mut out, node.as_str().as_bytes());
        put_length(&mut out, proposals.len());
        for proposal in proposals {
            put(&mut out, proposal.digest.as_bytes());
            match &proposal.signature {
                None => put_length(&mut out, 0),
                Some(person) => {
                    put(&mut out, person.key.as_bytes());
                    put(&mut out, person.signature.as_der());
                }
            }
        }
        out
    }
}

fn put(out: &mut Vec<u8>, part: &[u8]) {
    put_length(out, part.len());
    out.extend_from_slice(part);
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    // A usize has at most 64 bits on every platform that Rust supports.
    out.extend_from_slice(&u64::try_from(length).unwrap_or(u64::MAX).to_be_bytes());
}

/// Digest, key, signature and lengths of one proposal.
const PROPOSAL_BYTES_ABOUT: usize = 32 + 32 + 72 + 3 * 8;
