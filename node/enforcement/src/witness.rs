//! Cosigns the ledger checkpoints of other participants, so that nobody can show two histories.
//!
//! It does not read anybody's ledger: size, root and proof are enough. It cosigns only what it saw
//! extend the checkpoint before, or the first of a ledger's life, which has none before it. What
//! it has not followed (it was started in between, or missed one) is the base for the next one and
//! is not cosigned. Two checkpoints that contradict each other are a fork: both, with their
//! signatures, go into the log once, because together they are the evidence.

use std::collections::BTreeMap;
use std::sync::Arc;

use catalog::{Catalog, View};
use crypto::{Label, Signer};
use schemas::command::Command;
use schemas::ledger_entry::{Checkpoint, CheckpointUpdate, Cosignature};
use schemas::{NodeId, ParticipantId, Signed, canonical};
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
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    /// The last one that was looked at and is no contradiction.
    base: Signed<Checkpoint>,
    /// The last one that contradicts it, so that the alarm is raised once.
    alarmed: Option<Signed<Checkpoint>>,
}

/// What is thought of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It extends what was seen, or it is the first of the ledger's life.
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
            let now = || Seen {
                base: update.checkpoint.clone(),
                alarmed: None,
            };
            let cosigned = known
                .cosignatures
                .iter()
                .any(|it| it.witness == self.participant);
            // Equal to what was seen and without our cosignature: it was the base after a gap.
            let is_base = seen.get(id).is_some_and(|it| it.base == update.checkpoint);
            let is_alarmed = seen
                .get(id)
                .is_some_and(|it| it.alarmed.as_ref() == Some(&update.checkpoint));
            if is_base || is_alarmed {
                continue;
            }
            let verdict = match update
                .checkpoint
                .verify(Label::Checkpoint, &participant.signing)
            {
                // Followed before this witness was started, by the same participant.
                Ok(()) if cosigned && !seen.contains_key(id) => Verdict::Missed,
                Ok(()) => judge(seen.get(id).map(|it| &it.base.body), update),
                Err(_) => Verdict::Contradicts,
            };
            match verdict {
                // Another node of this participant was faster.
                Verdict::Extends if cosigned => drop(seen.insert(id.clone(), now())),
                Verdict::Extends => {
                    self.cosign(id, update).await?;
                    seen.insert(id.clone(), now());
                }
                Verdict::Missed => {
                    let size = update.checkpoint.body.size;
                    tracing::info!(participant = %id, size, "a checkpoint is the new base");
                    seen.insert(id.clone(), now());
                }
                Verdict::Contradicts => alarm(id, seen.get_mut(id), update),
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

/// Puts both checkpoints into the log, as they were signed: whoever holds them can show that the
/// participant has signed two histories, without this node.
fn alarm(whose: &ParticipantId, seen: Option<&mut Seen>, update: &CheckpointUpdate) {
    let text = |it: &Signed<Checkpoint>| {
        let bytes = canonical::to_bytes(it).unwrap_or_default();
        String::from_utf8(bytes).unwrap_or_default()
    };
    let before = seen.as_ref().map(|it| text(&it.base)).unwrap_or_default();
    let after = text(&update.checkpoint);
    tracing::error!(participant = %whose, before, after,
        "FORK: a ledger checkpoint does not extend the one seen before; keep this line, it is the \
         evidence, and call the auditor");
    if let Some(seen) = seen {
        seen.alarmed = Some(update.checkpoint.clone());
    }
}

/// Whether a checkpoint extends the one that was seen.
fn judge(seen: Option<&Checkpoint>, update: &CheckpointUpdate) -> Verdict {
    let body = &update.checkpoint.body;
    // The first of a life has no proof, by design; the catalog lets no life begin twice.
    let is_first = update.consistency.is_none();
    let Some(seen) = seen else {
        return if is_first {
            Verdict::Extends
        } else {
            Verdict::Missed
        };
    };
    let (life, known) = (body.ledger.incarnation, seen.ledger.incarnation);
    if life > known {
        // A new life of the ledger begins with a gap record.
        return if is_first {
            Verdict::Extends
        } else {
            Verdict::Missed
        };
    }
    if life < known || body.size < seen.size {
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

#[cfg(test)]
mod tests {
    use crypto::merkle::{ConsistencyProof, Tree};
    use crypto::{Digest, SecretKey};
    use schemas::Timestamp;
    use schemas::ledger_entry::LedgerIdentity;

    use super::*;

    /// Trees of `size` leaves that share their first `common`.
    fn tree(size: u8, common: u8, branch: u8) -> Tree {
        let leaf = |n: u8| Digest::of(&[n, if n < common { 0 } else { branch }]);
        (0..size).map(leaf).collect()
    }

    fn checkpoint(incarnation: u32, tree: &Tree) -> Checkpoint {
        Checkpoint {
            ledger: LedgerIdentity {
                participant: ParticipantId::parse("gz").unwrap(),
                incarnation,
            },
            size: tree.len(),
            root: tree.root(),
            at: Timestamp::from_millis(1),
        }
    }

    fn update(body: Checkpoint, consistency: Option<ConsistencyProof>) -> CheckpointUpdate {
        let key = SecretKey::from_bytes(&[9; 32]).unwrap();
        let bytes = canonical::to_bytes(&body).unwrap();
        CheckpointUpdate {
            checkpoint: Signed {
                signature: key.sign(Label::Checkpoint, &bytes).unwrap(),
                key: key.public().key_id(),
                body,
            },
            consistency,
        }
    }

    fn proof(tree: &Tree, old: u64, new: u64) -> Option<ConsistencyProof> {
        Some(tree.consistency(old, new).unwrap())
    }

    /// What it is, what is said of it, what was seen before, the proof, and what comes.
    type Case<'a> = (
        &'a str,
        Verdict,
        Option<&'a Checkpoint>,
        Option<ConsistencyProof>,
        Checkpoint,
    );

    fn check(cases: &[Case<'_>]) {
        for (name, expected, seen, proof, next) in cases {
            let update = update(next.clone(), proof.clone());
            assert_eq!(judge(*seen, &update), *expected, "{name}");
        }
    }

    #[test]
    fn only_what_was_seen_to_extend_is_cosigned() {
        use Verdict::{Extends, Missed};
        let (five, nine) = (tree(5, 9, 0), tree(9, 9, 0));
        let seen = checkpoint(1, &five);
        let next = checkpoint(1, &nine);
        let (step, late) = (proof(&nine, 5, 9), proof(&nine, 7, 9));
        let again = checkpoint(2, &tree(5, 3, 7));
        check(&[
            ("the first of a life", Extends, None, None, seen.clone()),
            ("not the first", Missed, None, step.clone(), next.clone()),
            ("the next", Extends, Some(&seen), step, next.clone()),
            ("steps missed", Missed, Some(&seen), late, next),
            ("a new life", Extends, Some(&seen), None, again),
        ]);
    }

    #[test]
    fn what_contradicts_is_not_cosigned() {
        use Verdict::Contradicts;
        let (five, nine) = (tree(5, 9, 0), tree(9, 9, 0));
        let (forked, other) = (tree(9, 3, 7), tree(5, 3, 7));
        let (seen, later) = (checkpoint(1, &five), checkpoint(2, &five));
        let seen = Some(&seen);
        let on = |tree: &Tree| checkpoint(1, tree);
        let small = tree(3, 9, 0);
        let step = || proof(&nine, 5, 9);
        check(&[
            (
                "a fork",
                Contradicts,
                seen,
                proof(&forked, 5, 9),
                on(&forked),
            ),
            (
                "a fork's size",
                Contradicts,
                seen,
                proof(&other, 5, 5),
                on(&other),
            ),
            ("no proof", Contradicts, seen, None, on(&nine)),
            ("smaller", Contradicts, seen, proof(&nine, 2, 3), on(&small)),
            (
                "other sizes",
                Contradicts,
                seen,
                proof(&nine, 4, 9),
                on(&nine),
            ),
            ("an old life", Contradicts, Some(&later), step(), on(&nine)),
        ]);
    }

    #[test]
    fn an_alarm_is_raised_once_and_keeps_the_base() {
        let five = update(checkpoint(1, &tree(5, 9, 0)), None);
        let fork = update(checkpoint(1, &tree(5, 3, 7)), None);
        let mut seen = Seen {
            base: five.checkpoint.clone(),
            alarmed: None,
        };
        alarm(&ParticipantId::parse("gz").unwrap(), Some(&mut seen), &fork);
        assert_eq!(seen.base, five.checkpoint);
        assert_eq!(seen.alarmed, Some(fork.checkpoint));
    }
}
