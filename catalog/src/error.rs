//! Everything that can go wrong when the catalog is asked, changed or opened.
//!
//! It does not include refused commands: a refusal is an outcome that all replicas share, and it
//! comes back as a value.

use std::path::PathBuf;

use schemas::command::RefusalCode;

/// Why the catalog could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No leader is known, and none appeared while the caller could wait. Nothing was proposed.
    #[error(
        "the catalog has had no leader for {waited_ms} ms; check that a majority of voters run"
    )]
    NoLeader {
        /// How long this call waited, in milliseconds.
        waited_ms: u64,
    },

    /// The queue of proposals on this node is full. Nothing was proposed; try again later.
    #[error("{waiting} proposals wait on this node, the limit is {limit}; try again later")]
    Pushback {
        /// How many wait.
        waiting: usize,
        /// How many may.
        limit: usize,
    },

    /// No answer came in time: the command may or may not be applied. Proposing it again with the
    /// same [`schemas::CommandId`] is safe.
    #[error(
        "no answer within {waited_ms} ms; the command may have been applied; propose it again \
         with the same id to learn what became of it"
    )]
    TimedOut {
        /// How long this call waited, in milliseconds.
        waited_ms: u64,
    },

    /// Something is larger than the nodes exchange.
    #[error("{what} has {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// What.
        what: &'static str,
        /// Its size in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },

    /// A message or stored record cannot be read.
    #[error("{what} cannot be read: {why}")]
    Malformed {
        /// What.
        what: &'static str,
        /// The first thing that is wrong.
        why: String,
    },

    /// A batch is not signed by the node that it names, so it was not proposed.
    #[error("the batch of node {node} was not proposed: {why}")]
    BatchRejected {
        /// The node that the batch names.
        node: String,
        /// Why.
        why: String,
    },

    /// Founding would be refused, so the cluster was not initialised.
    #[error("the federation was not founded, {code}: {detail}")]
    FoundingRefused {
        /// Why, for programs.
        code: RefusalCode,
        /// Why, for people.
        detail: String,
    },

    /// A member cannot be added before its node record is in the catalog.
    #[error(
        "no node with Raft number {raft_number} is registered; register it, with its transport \
         key, and add it then"
    )]
    NotRegistered {
        /// The number.
        raft_number: u64,
    },

    /// The membership could not be changed now.
    #[error("the membership was not changed: {why}")]
    Membership {
        /// What stands in the way and what to do.
        why: String,
    },

    /// A member could not be reached, or refused the call.
    #[error("member {raft_number} at {address}: {why}")]
    Peer {
        /// Its Raft number.
        raft_number: u64,
        /// Where it was called.
        address: String,
        /// What happened.
        why: String,
    },

    /// The stores in this directory were written by a newer version of the program.
    #[error(
        "{} has catalog format {found}, this program reads up to {supported}; start the version \
         that wrote it or a newer one", path.display()
    )]
    NewerFormat {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that this program reads.
        supported: u32,
    },

    /// The directory belongs to another member.
    #[error(
        "{} holds the catalog of member {found}, not of member {configured}; correct the \
         configuration or point it to another directory", path.display()
    )]
    AnotherMember {
        /// The directory.
        path: PathBuf,
        /// Whose it is.
        found: u64,
        /// Whose it should be by configuration.
        configured: u64,
    },

    /// The state is damaged and neither a snapshot nor the log can bring it back here.
    #[error(
        "{}: {why}; move the directory aside, start with an empty one, and have a voter add this \
         node again", path.display()
    )]
    CannotRebuild {
        /// The directory.
        path: PathBuf,
        /// What is missing.
        why: String,
    },

    /// Nothing was founded here yet.
    #[error("the catalog has not been founded")]
    NotFounded,

    /// A catalog is restored into an empty directory only.
    #[error("{} is not empty; move it aside, and restore again", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },

    /// A catalog is restored on a node that it knows.
    #[error(
        "node {node} with Raft number {raft_number} and its key is not registered in the backup; \
         restore on a node that is, with the key that it had"
    )]
    NotInBackup {
        /// The node.
        node: String,
        /// Its number.
        raft_number: u64,
    },

    /// A backup cannot be written, or is not one that can be used.
    #[error(transparent)]
    Backup(#[from] schemas::backup::BackupError),

    /// A store failed. The node must not go on with it.
    #[error("{action}: {why}")]
    Store {
        /// What was attempted, in the present tense.
        action: &'static str,
        /// What the store said.
        why: String,
    },

    /// A file could not be read or written.
    #[error("{action} {}", path.display())]
    File {
        /// What was attempted, in the present tense.
        action: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },

    /// An option has no meaning.
    #[error("option {option}: {why}")]
    Option {
        /// Which one.
        option: &'static str,
        /// Why it cannot be used, and what can.
        why: &'static str,
    },

    /// A record has no canonical form, or breaks a rule of its own.
    #[error(transparent)]
    Record(#[from] schemas::Error),

    /// A key could not be used.
    #[error(transparent)]
    Crypto(#[from] crypto::Error),

    /// The catalog is shutting down or has stopped after a failure of a store.
    #[error("the catalog has stopped: {why}")]
    Stopped {
        /// Why.
        why: String,
    },
}

impl Error {
    pub(crate) fn store(action: &'static str, why: impl ToString) -> Self {
        Self::Store {
            action,
            why: why.to_string(),
        }
    }

    pub(crate) fn file(
        action: &'static str,
        path: impl Into<PathBuf>,
        source: std::io::Error,
    ) -> Self {
        Self::File {
            action,
            path: path.into(),
            source,
        }
    }

    pub(crate) fn malformed(what: &'static str, why: impl ToString) -> Self {
        Self::Malformed {
            what,
            why: why.to_string(),
        }
    }
}
