//! Why a node does not start, or stops.

use std::path::PathBuf;

/// What can keep a node from running. It starts completely or not at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration file cannot be used.
    #[error("configuration {}: {why}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        why: String,
    },
    /// What was typed cannot be used.
    #[error("--{flag}: {why}")]
    Argument {
        /// The flag.
        flag: &'static str,
        /// What is wrong and what to do.
        why: String,
    },
    /// A file that the configuration names cannot be used.
    #[error("{what} {}: {why}", path.display())]
    File {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        why: String,
    },
    /// A port cannot be opened.
    #[error("listen on {address} for {what}: {source}")]
    Listen {
        /// Which listener.
        what: &'static str,
        /// The address in the configuration.
        address: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// A self-test, a key or a certificate failed.
    #[error("crypto: {0}")]
    Crypto(#[from] crypto::Error),
    /// The catalog did not start or answer.
    #[error("catalog: {0}")]
    Catalog(#[from] catalog::Error),
    /// The catalog refused a command that the node needs.
    #[error("the catalog refused to {what}: {detail}")]
    CatalogRefused {
        /// What was proposed.
        what: &'static str,
        /// The catalog's sentence.
        detail: String,
    },
    /// A ledger did not open.
    #[error("ledger: {0}")]
    Ledger(#[from] ledger::Error),
    /// The list of jobs did not open.
    #[error("jobs: {0}")]
    Jobs(#[from] jobs::Error),
    /// The gate could not be set up.
    #[error("enforcement: {0}")]
    Enforcement(#[from] enforcement::Error),
    /// The data plane did not start.
    #[error("data plane: {0}")]
    DataPlane(#[from] data_plane::Error),
    /// The REST interface did not start.
    #[error("admin: {0}")]
    Admin(#[from] admin::Error),
    /// The authority's node did not take a new node in.
    #[error("apply at {at}: {why}")]
    Enrolment {
        /// Where.
        at: String,
        /// What it said, or why it did not answer.
        why: String,
    },
    /// A record that the node writes breaks a rule.
    #[error("record: {0}")]
    Record(#[from] schemas::Error),
    /// A step of the demonstration did not end as promised.
    #[error("demo, {step}: {why}")]
    Demo {
        /// The step.
        step: &'static str,
        /// What happened instead.
        why: String,
    },
}
