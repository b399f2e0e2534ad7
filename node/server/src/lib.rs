//! The node as a program: configuration, start and stop, health and metrics, the demonstration.
//!
//! It does not decide, store or move anything itself: it builds the parts, joins them by
//! constructor arguments, and takes them apart again in order.

pub mod config;
mod enrolment;
mod error;
pub mod federation;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod https;
pub mod init;
pub mod messages;
mod node;
pub mod operator;
mod ops;
mod settings;
pub mod signals;
mod transport;

pub mod demo;

/// Name of the file of accounts in a node's directory.
pub(crate) const ACCOUNTS_FILE: &str = "accounts.json";

pub use error::Error;
pub use node::{Addresses, Listeners, Node};
pub use settings::{HostedKeys, Listen, Settings};
pub use transport::{Shown, Transport};
