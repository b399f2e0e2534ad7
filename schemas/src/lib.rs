//! The vocabulary of the federation: records, identifiers, codes, data standards and their one
//! byte form.
//!
//! It does not decide, store or send anything. A type is here only if it crosses both between two
//! crates and between two machines.

pub mod backup;
pub mod calendar;
pub mod canonical;
pub mod code;
pub mod command;
pub mod correction;
pub mod dataset;
pub mod decision;
pub mod delegation;
pub mod dispute;
pub mod emergency;
mod error;
pub mod explanation;
pub mod export;
pub mod format;
pub mod grading;
mod id;
pub mod ledger_entry;
pub mod mapping;
pub mod participant;
pub mod policy_set;
pub mod quality;
pub mod request;
pub mod resource;
pub mod rule_pack;
pub mod shipped;
mod signed;
pub mod standard;
mod time;
pub mod transfer;
pub mod validate;
mod visibility;

pub use dataset::{Grade, StandardEdition};
pub use error::Error;
pub use id::*;
pub use participant::{Jurisdiction, LocalText};
pub use signed::Signed;
pub use time::{Period, Timestamp};
pub use visibility::{PartyOnly, Visibility};
