//! Searching a ledger and taking evidence away, for whoever holds a permit of `ledger.read`.
//!
//! It does not decide and does not append: the permit was decided and recorded before.

use catalog::View;
use ledger::findings::Look;
use ledger::package::{KeyOf, Language, Order, Package, Witnessed, witnessed};
use ledger::{Filter, Page};
use schemas::ledger_entry::{Checkpoint, LedgerIndex};
use schemas::{ParticipantId, Timestamp};

use crate::{EnforcementPoint, Error, LedgerReader, Permit, Refusal};

impl LedgerReader {
    /// Entries that match, ascending from `from`; with `size` only those below it.
    ///
    /// # Errors
    /// [`Error::Ledger`] when nothing can match, or the index cannot be read.
    pub fn search(
        &self,
        filter: &Filter,
        from: LedgerIndex,
        size: Option<u64>,
        limit: usize,
    ) -> Result<Page, Error> {
        Ok(self.ledger().search(filter, from, size, limit)?)
    }

    /// What an auditor should look at, among the newest entries. Unusual access is raised from
    /// `learn_until` on; what lies before it is what is usual. Reads for seconds: not on a thread
    /// that answers others.
    ///
    /// # Errors
    /// [`Error::Ledger`] when an entry was damaged.
    pub fn look(
        &self,
        now: Timestamp,
        learn_until: Option<Timestamp>,
        known: Option<&Checkpoint>,
    ) -> Result<Look, Error> {
        Ok(self.ledger().look(now, learn_until, known)?)
    }

    /// Why the index for searches was begun anew when the node started; none when it was whole.
    #[must_use]
    pub fn index_rebuilt(&self) -> Option<&'static str> {
        self.ledger().index_rebuilt()
    }
}

impl EnforcementPoint {
    /// An evidence package of the entries that match, under a checkpoint made now. A permit of
    /// `ledger.read` opens it.
    ///
    /// # Errors
    /// A refusal when the permit is not this gate's or not of this action; otherwise
    /// [`Error::Ledger`] or [`Error::Catalog`] in the inner result.
    pub async fn package(
        &self,
        permit: &Permit,
        filter: Filter,
        language: Language,
    ) -> Result<Result<Package, Error>, Refusal> {
        let reader = self.reader(permit)?;
        Ok(self.pack(&reader, filter, language).await)
    }

    async fn pack(
        &self,
        reader: &LedgerReader,
        filter: Filter,
        language: Language,
    ) -> Result<Package, Error> {
        let view = self.catalog().view();
        // Without a majority the checkpoint is signed and stored here, and not known to others
        // yet; the package stands on it all the same.
        if let Err(error) = self.checkpoint_now().await {
            tracing::warn!(%error, "make a checkpoint for an evidence package known");
        }
        let order = Order {
            filter,
            language,
            at: self.now(),
            witnessed: last_witnessed(&view, self.participant()),
            keys: keys(&view),
        };
        Ok(reader.ledger().package(order, self.signer()).await?)
    }
}

/// The newest checkpoint in the catalog, with whoever has cosigned it.
fn last_witnessed(view: &View, participant: &ParticipantId) -> Option<Witnessed> {
    let known = view.checkpoint(participant)?;
    let owner = view.participant(participant)?;
    // A cosignature whose node has changed its key since proves nothing to whoever reads this.
    let cosignatures = known
        .cosignatures
        .iter()
        .filter(|it| {
            view.node(&it.node)
                .is_some_and(|node| node.signing.key_id() == it.key)
        })
        .cloned()
        .collect();
    witnessed(
        known.update.checkpoint.clone(),
        cosignatures,
        &owner.signing,
    )
    .ok()
}

/// Every key in the catalog; those that sign something go into the package.
fn keys(view: &View) -> Vec<KeyOf> {
    let mut keys: Vec<_> = view
        .participants()
        .map(|it| KeyOf {
            participant: it.id.clone(),
            node: None,
            key: it.signing.clone(),
        })
        .collect();
    // A node cosigns for the participant that witnesses: its operator or one that it hosts.
    for node in view.nodes() {
        let mut acts_for = node.hosts.clone();
        acts_for.insert(node.operator.clone());
        keys.extend(acts_for.into_iter().map(|participant| KeyOf {
            participant,
            node: Some(node.id.clone()),
            key: node.signing.clone(),
        }));
    }
    keys
}
