//! The replicated record of who shares what with whom: participants, nodes, persons, data
//! standards, datasets and their versions, requests, contracts, grants, transfers, policy sets and
//! witnessed ledger checkpoints, the same on every member.
//!
//! It does not move a row, decide on an access or keep the access ledger. It does not protect
//! against a majority of voters that lie together, but it shows where two members differ.
//!
//! [`state`] is pure: what a command does, at one log index, without a clock or a disk. The rest
//! is the shell that agrees on the order of commands, keeps them and shows views.

// Unit tests share fixtures with integration tests, which name the crate.
#[cfg(test)]
extern crate self as catalog;

mod error;
mod raft;
pub mod search;
pub mod state;
pub mod view;

pub use error::Error;
pub use raft::accord::Divergence;
pub use raft::backup::{Backup, RestoreOptions, restore};
pub use raft::batcher::Applied;
pub use raft::catalog::{Catalog, Status};
pub use raft::clock::Clock;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub use raft::fuzz;
pub use raft::options::{
    BATCH_COMMANDS_MAX, Bootstrap, Options, PROPOSALS_QUEUED_BYTES_MAX, PROPOSALS_QUEUED_MAX,
    StartOptions,
};
pub use view::View;
