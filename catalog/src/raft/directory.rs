//! Who may call this node and whom it may call: transport keys and the Raft numbers they belong to.
//!
//! It does not check certificates: the TLS handshake has verified that the peer's was issued by
//! the federation's authority. Here its key must belong to a node of the catalog.
//!
//! | this node's catalog | a peer's key | judged |
//! |---|---|---|
//! | names it | under a Raft number | that member |
//! | does not name it | a known member says whose it is | that member |
//! | does not name it | nobody knows it yet | refused; known members are asked |
//! | is still empty | allowed by [`Bootstrap`] | any member |
//!
//! The second line is for a node that was away while a member was registered: that member may
//! lead by now, and what it sends is the only way to learn of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use crypto::Digest;
use schemas::NodeId;
use tokio::sync::Notify;

use crate::raft::options::Bootstrap;
use crate::raft::published::Published;

/// What this node knows of other nodes' keys.
pub(crate) struct Directory {
    published: Arc<Published>,
    bootstrap: Bootstrap,
    vouched: Mutex<BTreeMap<Digest, u64>>,
    /// An unknown key was seen.
    pub(crate) unknown: Notify,
}

/// Who a peer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A node of the catalog. Raft number 0 means that it has no part in Raft.
    Node {
        /// Its number.
        raft_number: u64,
        /// Its identifier, where this node's own catalog names it.
        id: Option<NodeId>,
    },
    /// Somebody whom the rule for an empty catalog lets through.
    Unnamed,
}

impl Caller {
    /// Whether it may speak as that member.
    pub(crate) fn is_member(&self, raft_number: u64) -> bool {
        match self {
            Self::Node {
                raft_number: its, ..
            } => *its == raft_number && raft_number != 0,
            Self::Unnamed => true,
        }
    }
}

impl Directory {
    pub(crate) fn new(published: Arc<Published>, bootstrap: Bootstrap) -> Self {
        Self {
            published,
            bootstrap,
            vouched: Mutex::default(),
            unknown: Notify::new(),
        }
    }

    /// Who holds this transport key; none for a stranger.
    pub(crate) fn judge(&self, key: &Digest) -> Option<Caller> {
        let view = self.published.view();
        if let Some(node) = view.node_by_transport_key(key) {
            return Some(Caller::Node {
                raft_number: node.raft_number,
                id: Some(node.id.clone()),
            });
        }
        if view.authority().is_none() {
            let allowed = match &self.bootstrap {
                Bootstrap::FederationRoot => true,
                Bootstrap::TransportKeys(keys) => keys.contains(key),
            };
            return allowed.then_some(Caller::Unnamed);
        }
        let vouched = self.vouched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(raft_number) = vouched.get(key) {
            return Some(Caller::Node {
                raft_number: *raft_number,
                id: None,
            });
        }
        drop(vouched);
        self.unknown.notify_one();
        None
    }

    /// Takes over what a known member said.
    pub(crate) fn vouch(&self, entries: impl Iterator<Item = (Digest, u64)>) {
        let mut vouched = self.vouched.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, raft_number) in entries {
            if vouched.len() >= VOUCHED_MAX {
                // What is still needed is asked for again.
                vouched.clear();
            }
            vouched.insert(key, raft_number);
        }
    }

    /// The members of this node's own catalog with their keys and addresses.
    pub(crate) fn members(&self) -> Vec<(u64, BTreeSet<Digest>, String)> {
        let view = self.published.view();
        view.nodes()
            .filter(|node| node.raft_number != 0)
            .take(MEMBERS_LISTED_MAX)
            .map(|node| {
                (
                    node.raft_number,
                    node.transport_keys.clone(),
                    node.raft_address.clone(),
                )
            })
            .collect()
    }
}

/// More members than any Raft has.
pub(crate) const MEMBERS_LISTED_MAX: usize = 1_000;

/// Twice as many keys as members: one a family of TLS, or an old and a new one.
pub(crate) const VOUCHED_MAX: usize = 2 * MEMBERS_LISTED_MAX;
