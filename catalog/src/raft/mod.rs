//! The shell around the pure state: Raft over openraft, its log in fjall, the applied records in
//! sled, snapshots in files, and members that call each other over mutual TLS.
//!
//! It does not decide anything about records. Raft tolerates crashes and not lies, so every batch
//! is verified before it is proposed and again before it is applied; see `verify.rs`.
//!
//! ```text
//!   propose --> batcher --sign--> leading (here or over gRPC) --verify--> Raft log (fjall, synced)
//!                                                                             | committed
//!   readers <-- published <---------------------- state machine <--verify-----'
//!                                                   |        \
//!                                  flusher --> sled (lazy)    snapshots (files)
//! ```

pub(crate) mod accord;
mod ahead;
pub(crate) mod backup;
pub(crate) mod batcher;
mod blocking;
pub(crate) mod catalog;
pub(crate) mod clock;
mod codec;
mod currency;
mod directory;
mod flusher;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod leading;
mod log_medium;
mod log_store;
mod member;
mod membership;
mod network;
mod opening;
pub(crate) mod options;
mod peers;
mod published;
mod server;
mod snapshot;
mod state_machine;
mod state_store;
mod types;
mod verify;
mod wire;

#[cfg(test)]
#[path = "../../tests/sim_members/mod.rs"]
pub(crate) mod sim;

#[cfg(test)]
mod tests;
