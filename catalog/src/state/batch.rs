//! What one node proposes at once, under one signature.
//!
//! It does not say whether the signature holds: [`super::verify_batch`] does.

use crypto::{Error, KeyId, Label, Signature, Signer};
use schemas::command::SignedProposal;
use schemas::{NodeId, canonical};
use serde::{Deserialize, Serialize};

/// Proposals of one node with the node's signature over all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// The proposing node.
    pub node: NodeId,
    /// At most [`Batch::PROPOSALS_MAX`]; a longer batch is refused whole.
    pub proposals: Vec<SignedProposal>,
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
    /// [`Error::InvalidArgument`] for a proposal without canonical form; what the signer says
    /// when it cannot sign now.
    pub async fn sign(
        node: NodeId,
        proposals: Vec<SignedProposal>,
        signer: &dyn Signer,
    ) -> Result<Self, Error> {
        let bytes = Self::signed_bytes(&node, &proposals).map_err(|_| Error::InvalidArgument {
            what: "proposal",
            reason: "it has no canonical form: numbers beyond 2^53, or more than 1 MiB",
        })?;
        let signature = signer.sign(Self::LABEL, &bytes).await?;
        Ok(Self {
            node,
            proposals,
            key: signer.key_id(),
            signature,
        })
    }

    /// What the node signs: its identifier, the number of proposals, and each one's canonical
    /// bytes and person's signature, every part behind its length in eight bytes, big-endian, so
    /// that no two batches give the same bytes.
    ///
    /// # Errors
    /// [`schemas::Error::Canonical`] when a proposal has no canonical form.
    pub fn signed_bytes(
        node: &NodeId,
        proposals: &[SignedProposal],
    ) -> Result<Vec<u8>, schemas::Error> {
        let mut encoded = Vec::with_capacity(proposals.len());
        for signed in proposals {
            encoded.push(canonical::to_bytes(&signed.proposal)?);
        }
        Ok(frame(node, proposals, &encoded))
    }
}

/// [`Batch::signed_bytes`] from canonical bytes that were made before.
pub(crate) fn frame(node: &NodeId, proposals: &[SignedProposal], encoded: &[Vec<u8>]) -> Vec<u8> {
    let body: usize = encoded.iter().map(Vec::len).sum();
    let mut out = Vec::with_capacity(body + proposals.len() * PROPOSAL_OVERHEAD_BYTES + 128);
    put(&mut out, node.as_str().as_bytes());
    put_length(&mut out, proposals.len());
    for (signed, bytes) in proposals.iter().zip(encoded) {
        put(&mut out, bytes);
        match &signed.signature {
            None => put_length(&mut out, 0),
            Some(person) => {
                put(&mut out, person.key.as_bytes());
                put(&mut out, person.signature.as_der());
            }
        }
    }
    out
}

fn put(out: &mut Vec<u8>, part: &[u8]) {
    put_length(out, part.len());
    out.extend_from_slice(part);
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    // A usize has at most 64 bits on every platform that Rust supports.
    out.extend_from_slice(&u64::try_from(length).unwrap_or(u64::MAX).to_be_bytes());
}

/// Key, signature and four lengths of one proposal.
const PROPOSAL_OVERHEAD_BYTES: usize = 32 + 72 + 4 * 8;
