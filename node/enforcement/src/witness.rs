//! Cosigns the ledger checkpoints of other participants, so that nobody can show two histories.
//!
//! It does not read anybody's ledger: size, root and proof are enough.

use std::collections::BTreeMap;
use std::sync::Arc;

use catalog::{Catalog, View};
use crypto::{Digest, Label, Signer};
use schemas::command::Command;
use schemas::ledger_entry::{CheckpointUpdate, Cosignature};
use schemas::{NodeId, ParticipantId, canonical};
use tokio::sync::watch;

use crate::point::propose;
use crate::{Clock, Error};

/// The witness that runs on one node for one participant.
pub struct Witness {
    /// The witnessing participant.
    pub participant: ParticipantId,
    /// Its node.
    pub node: NodeId,
    /// The node's catalog replica.
    pub catalog: Catalog,
    /// The node's key.
    pub signer: Arc<dyn Signer>,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
}

/// What was last seen of one ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    incarnation: u32,
    size: u64,
    root: Digest,
}

/// What is thought of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It extends what was seen, or it is the first that was seen.
    Extends,
    /// Steps between were missed, so nothing can be said; it is the base for the next one.
    Missed,
    /// It does not follow from what was seen: two histories, or a forged signature.
    Contradicts,
}

impl Witness {
    /// Follows the catalog until `stop` says so. A checkpoint that does not extend the one seen
    /// before is not cosigned, and the log says whose it is.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut seen = BTreeMap::new();
        let mut changed = self.catalog.changed();
        loop {
            if *stop.borrow() {
                return;
            }
            changed.mark_unchanged();
            let view = self.catalog.view();
            if let Err(error) = self.look(&view, &mut seen).await {
                tracing::warn!(%error, "cosign a checkpoint; it is tried again");
            }
            tokio::select! {
                _ = stop.changed() => return,
                moved = changed.changed() => if moved.is_err() { return },
            }
        }
    }

    async fn look(
        &self,
        view: &View,
        seen: &mut BTreeMap<ParticipantId, Seen>,
    ) -> Result<(), Error> {
        // A node is no witness for those it acts for.
        let hosts = view.node(&self.node).map(|node| &node.hosts);
        let is_own =
            |id: &ParticipantId| *id == self.participant || hosts.is_some_and(|it| it.contains(id));
        for participant in view.participants().filter(|it| !is_own(&it.id)) {
            let Some(known) = view.checkpoint(&participant.id) else {
                continue;
            };
            let (update, id) = (&known.update, &participant.id);
            let body = &update.checkpoint.body;
            let now = Seen {
                incarnation: body.ledger.incarnation,
                size: body.size,
                root: body.root,
            };
            let cosigned = known
                .cosignatures
                .iter()
                .any(|it| it.witness == self.participant);
            // Equal to what was seen and without our cosignature: it was the base after a gap.
            if cosigned || seen.get(id) == Some(&now) {
                seen.insert(id.clone(), now);
                continue;
            }
            let verdict = match update
                .checkpoint
                .verify(Label::Checkpoint, &participant.signing)
            {
                Ok(()) => judge(seen.get(id), update),
                Err(_) => Verdict::Contradicts,
            };
            match verdict {
                Verdict::Extends => {
                    self.cosign(id, update).await?;
                    seen.insert(id.clone(), now);
                }
                Verdict::Missed => {
                    tracing::info!(participant = %id, size = now.size, "checkpoints were missed");
                    seen.insert(id.clone(), now);
                }
                Verdict::Contradicts => {
                    tracing::error!(participant = %id, size = now.size, root = %now.root,
                        "a ledger checkpoint does not extend the one seen before");
                }
            }
        }
        Ok(())
    }

    async fn cosign(&self, whose: &ParticipantId, update: &CheckpointUpdate) -> Result<(), Error> {
        let bytes = canonical::to_bytes(&update.checkpoint.body)?;
        let cosignature = Cosignature {
            witness: self.participant.clone(),
            node: self.node.clone(),
            key: self.signer.key_id(),
            signature: self.signer.sign(Label::Cosignature, &bytes).await?,
        };
        let command = Command::WitnessCheckpoint {
            participant: whose.clone(),
            size: update.checkpoint.body.size,
            cosignature,
        };
        propose(&self.catalog, &self.node, &*self.clock, command).await
    }
}

fn judge(seen: Option<&Seen>, update: &CheckpointUpdate) -> Verdict {
    let body = &update.checkpoint.body;
    let Some(seen) = seen else {
        return Verdict::Extends;
    };
    if body.ledger.incarnation > seen.incarnation {
        // A new life of the ledger begins with a gap record, by design without a proof.
        return Verdict::Extends;
    }
    if body.ledger.incarnation < seen.incarnation || body.size < seen.size {
        return Verdict::Contradicts;
    }
    let Some(proof) = &update.consistency else {
        return Verdict::Contradicts;
    };
    if proof.old_size > seen.size {
        return Verdict::Missed;
    }
    if proof.old_size != seen.size || proof.new_size != body.size {
        return Verdict::Contradicts;
    }
    match proof.verify(&seen.root, &body.root) {
        Ok(()) => Verdict::Extends,
        Err(_) => Verdict::Contradicts,
    }
}
