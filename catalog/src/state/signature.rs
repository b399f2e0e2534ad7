//! Which signatures of a batch hold: the node's over all of it, persons' over their proposals, and
//! participants' and persons' over the records that some proposals carry.
//!
//! It does not check roles or validity: `apply` does, at the log index. It says which key signed;
//! `apply` says whether that key was the author's.
//!
//! A bad signature is an outcome and never an error, so that all replicas say the same. The
//! verdicts are a function of the batch and of the state just before it. Only the cosignature of
//! a witness is checked in `apply`, because the bytes that it covers are in the state.

use std::sync::Arc;

use bytes::Bytes;
use crypto::sm2::verify_batch as verify_all;
use crypto::{Digest, KeyId, Label, PublicKey, Signature};
use schemas::command::{Author, Command, Proposal, SignedProposal};
use schemas::dataset::{DatasetVersion, PublishIntent};
use schemas::participant::{Node, Person};
use schemas::{NodeId, Signed, canonical};
use serde::Serialize;

use super::batch::{Batch, EncodedProposal};
use super::store::State;

/// Whose signature holds over a proposal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Signer {
    /// A person's, made with this key.
    Person(KeyId),
    /// A node's, over the batch.
    Node {
        /// The node that signed the batch.
        node: NodeId,
        /// Its key.
        key: KeyId,
    },
    /// Nobody's: a signature is missing or does not hold. `apply` refuses the proposal with
    /// `SIGNATURE_REJECTED`.
    Rejected {
        /// What is wrong and what to do.
        why: String,
    },
}

/// A proposal whose signature bytes were checked. Made by [`verify_batch`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedProposal {
    encoded: Arc<EncodedProposal>,
    signer: Signer,
}

impl VerifiedProposal {
    /// What is proposed.
    #[must_use]
    pub fn proposal(&self) -> &Proposal {
        self.encoded.proposal()
    }

    /// Whose signature holds over it.
    #[must_use]
    pub const fn signer(&self) -> &Signer {
        &self.signer
    }

    /// SM3 of the proposal's canonical bytes.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.encoded.digest()
    }

    /// Takes a signer at its word, so that tests can apply thousands of commands a second.
    ///
    /// # Errors
    /// [`schemas::Error::Canonical`] when the proposal has no canonical form.
    pub fn insecure_assume_verified_for_tests(
        proposal: Proposal,
        signer: Signer,
    ) -> Result<Self, schemas::Error> {
        let encoded = Arc::new(EncodedProposal::new(SignedProposal::by_node(proposal))?);
        Ok(Self { encoded, signer })
    }
}

/// Checks the signatures that one proposal carries, the person's and those of its records, before
/// it is put into a batch. It says the same as [`verify_batch`] will, as long as the state does
/// not move in between.
///
/// # Errors
/// A sentence with what is wrong and what to do.
pub fn verify(state: &State, signed: &EncodedProposal) -> Result<(), String> {
    let keys = Keys::new(state, Some(signed.proposal()));
    let (_, checks) = checks_of(&keys, None, signed)?;
    checks.iter().try_for_each(Check::run)
}

/// Checks every signature of a batch, in parallel, and returns one verdict for each proposal.
#[must_use]
pub fn verify_batch(state: &State, batch: &Batch) -> Vec<VerifiedProposal> {
    let first = batch.proposals.first().map(|first| first.proposal());
    let keys = Keys::new(state, first);
    let signers = match check_node(&keys, batch) {
        Err(why) => vec![Signer::Rejected { why }; batch.proposals.len()],
        Ok(()) => check_proposals(&keys, batch),
    };
    let verdicts = batch.proposals.iter().zip(signers);
    verdicts
        .map(|(encoded, signer)| VerifiedProposal {
            encoded: Arc::clone(encoded),
            signer,
        })
        .collect()
}

/// The node's signature covers the batch; without it nothing in the batch counts.
fn check_node(keys: &Keys<'_>, batch: &Batch) -> Result<(), String> {
    if batch.proposals.len() > Batch::PROPOSALS_MAX {
        return Err(format!(
            "the batch has {} proposals, the limit is {}; send several batches",
            batch.proposals.len(),
            Batch::PROPOSALS_MAX
        ));
    }
    let key = keys
        .node(&batch.node)
        .filter(|key| key.key_id() == batch.key)
        .ok_or_else(|| {
            format!(
                "the batch names a key that is not node {}'s; register the key first",
                batch.node
            )
        })?;
    let bytes = Batch::signed_bytes(&batch.node, &batch.proposals);
    key.verify(Batch::LABEL, &bytes, &batch.signature)
        .map_err(|_| format!("node {}'s signature does not fit the batch", batch.node))
}

fn check_proposals(keys: &Keys<'_>, batch: &Batch) -> Vec<Signer> {
    let drafts: Vec<Result<(Signer, Vec<Check<'_>>), String>> = batch
        .proposals
        .iter()
        .map(|signed| checks_of(keys, Some(batch), signed))
        .collect();
    let all: Vec<(PublicKey, Label, &[u8], &Signature)> = drafts
        .iter()
        .flatten()
        .flat_map(|(_, checks)| checks)
        .map(Check::item)
        .collect();
    let all_hold = verify_all(&all).is_ok();
    drafts
        .iter()
        .map(|draft| {
            let judged = draft
                .as_ref()
                .map_err(String::clone)
                .and_then(|(signer, checks)| {
                    if !all_hold {
                        checks.iter().try_for_each(Check::run)?;
                    }
                    Ok(signer.clone())
                });
            judged.unwrap_or_else(|why| Signer::Rejected { why })
        })
        .collect()
}

/// Everything that has to be checked for one proposal. Without a batch, a node's proposal has no
/// signature of its own to check.
fn checks_of<'a>(
    keys: &Keys<'a>,
    batch: Option<&Batch>,
    signed: &'a EncodedProposal,
) -> Result<(Signer, Vec<Check<'a>>), String> {
    let proposal = signed.proposal();
    let mut checks = carried(keys, &proposal.command)?;
    let signer = match (&proposal.author, signed.signature()) {
        (Author::Person { person, .. }, Some(by)) => {
            let key = keys
                .any(&by.key)
                .ok_or_else(|| format!("key {} is nobody's; bind it to {person} first", by.key))?;
            checks.push(Check {
                what: "the person's signature does not fit the proposal; sign it again",
                key,
                label: SignedProposal::LABEL,
                bytes: signed.bytes().clone(),
                signature: &by.signature,
            });
            Signer::Person(by.key)
        }
        (Author::Person { person, .. }, None) => {
            return Err(format!(
                "{person} must sign the proposal; it has no signature"
            ));
        }
        (Author::Node(_), Some(_)) => {
            return Err("a node's proposal carries no signature of a person".to_owned());
        }
        (Author::Node(node), None) => match batch {
            Some(batch) if batch.node != *node => {
                return Err(format!(
                    "node {} cannot propose for node {node}; each signs its own batch",
                    batch.node
                ));
            }
            Some(batch) => Signer::Node {
                node: node.clone(),
                key: batch.key,
            },
            None => Signer::Rejected {
                why: "it is in no batch".to_owned(),
            },
        },
    };
    Ok((signer, checks))
}

/// The signed records that a command carries.
fn carried<'a>(keys: &Keys<'a>, command: &'a Command) -> Result<Vec<Check<'a>>, String> {
    Ok(match command {
        Command::PublishVersion { version } => vec![
            Check::of_record(
                keys,
                version,
                DatasetVersion::LABEL,
                "the version's signature",
            )?,
            Check::of_record(
                keys,
                &version.body.intent,
                PublishIntent::LABEL,
                "the intent's signature",
            )?,
        ],
        Command::CompleteTransfer { receipts, .. } => {
            if receipts.len() > RECEIPTS_MAX {
                return Err("a transfer has two receipts, sent and received".to_owned());
            }
            receipts
                .iter()
                .map(|it| Check::of_record(keys, it, Label::Receipt, "a receipt's signature"))
                .collect::<Result<_, _>>()?
        }
        Command::PublishCheckpoint { update } => vec![Check::of_record(
            keys,
            &update.checkpoint,
            Label::Checkpoint,
            "the checkpoint's signature",
        )?],
        Command::Found { .. }
        | Command::RegisterParticipant { .. }
        | Command::RegisterNode { .. }
        | Command::BindPerson { .. }
        | Command::AdoptStandard { .. }
        | Command::DescribeDataset { .. }
        | Command::MoveDataset { .. }
        | Command::SubmitRequest { .. }
        | Command::DecideRequest { .. }
        | Command::WithdrawRequest { .. }
        | Command::DisputeRequest { .. }
        | Command::ReviewEmergency { .. }
        | Command::OpenCorrection { .. }
        | Command::MoveCorrection { .. }
        | Command::SetDelegation { .. }
        | Command::EndDelegation { .. }
        | Command::RevokeGrant { .. }
        | Command::OpenTransfer { .. }
        | Command::TerminateTransfer { .. }
        | Command::AdoptPolicySet { .. }
        | Command::AdoptRulePack { .. }
        | Command::WithdrawRulePack { .. }
        | Command::RegisterInstrument { .. }
        | Command::MoveInstrument { .. }
        | Command::WitnessCheckpoint { .. }
        | Command::Tick { .. } => Vec::new(),
    })
}

/// One signature to check.
struct Check<'a> {
    what: &'static str,
    key: &'a PublicKey,
    label: Label,
    bytes: Bytes,
    signature: &'a Signature,
}

impl<'a> Check<'a> {
    fn of_record<T: Serialize>(
        keys: &Keys<'a>,
        signed: &'a Signed<T>,
        label: Label,
        what: &'static str,
    ) -> Result<Self, String> {
        let key = keys.any(&signed.key).ok_or_else(|| {
            format!(
                "{what} names key {}, which is nobody's now; sign with a current key",
                signed.key
            )
        })?;
        let bytes = canonical::to_bytes(&signed.body).map_err(|error| error.to_string())?;
        let bytes = Bytes::from(bytes);
        Ok(Self {
            what,
            key,
            label,
            bytes,
            signature: &signed.signature,
        })
    }

    fn item(&self) -> (PublicKey, Label, &[u8], &Signature) {
        (self.key.clone(), self.label, &self.bytes, self.signature)
    }

    fn run(&self) -> Result<(), String> {
        self.key
            .verify(self.label, &self.bytes, self.signature)
            .map_err(|_| {
                format!(
                    "{}: it does not hold under the key that it names",
                    self.what
                )
            })
    }
}

/// Where keys are found: in the state, or, before there is a federation, in the command that
/// founds it.
struct Keys<'a> {
    state: &'a State,
    founding: Option<(&'a Node, &'a [Person])>,
}

impl<'a> Keys<'a> {
    fn new(state: &'a State, first: Option<&'a Proposal>) -> Self {
        let founding = match first.map(|first| &first.command) {
            Some(Command::Found { node, persons, .. }) if state.federation.is_none() => {
                Some((&**node, persons.as_slice()))
            }
            _ => None,
        };
        Self { state, founding }
    }

    fn node(&self, id: &NodeId) -> Option<&'a PublicKey> {
        match self.founding {
            Some((node, _)) => (node.id == *id).then_some(&node.signing),
            None => self.state.nodes.get(id).map(|node| &node.signing),
        }
    }

    fn any(&self, id: &KeyId) -> Option<&'a PublicKey> {
        match self.founding {
            Some((_, persons)) => persons
                .iter()
                .take(FOUNDING_PERSONS_MAX)
                .map(|person| &person.signing)
                .find(|key| key.key_id() == *id),
            None => self.state.signing_key(id),
        }
    }
}

/// A founding brings at most this many persons; the rest are bound afterwards.
pub(crate) const FOUNDING_PERSONS_MAX: usize = 32;

/// Sent and received.
pub(crate) const RECEIPTS_MAX: usize = 2;
