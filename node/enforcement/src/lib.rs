//! The enforcement point: the one gate through which rows, records and the ledger are reached.
//! Every decision is durable in the participant's ledger before anybody sees it.
//!
//! It does not decide (`policies` does), it does not hold rows (`data-plane` does), and it knows
//! no protocol: who asks arrives here as a certificate's digest or a session token.
//!
//! ```text
//!  request -> facts (pure, from a view) -> decide (pure) -> ledger entry, durable
//!                ^                                            |            |        |
//!                |       count, reserve (`counters`) <- MeasurePermit   Permit   Refusal
//!                +---------------+                                         |
//!                                            all three carry the entry's index
//!                       Release (spent on one artefact) or IngestCapability
//! ```

pub mod accounts;
mod clock;
pub mod counters;
mod decider;
mod entry;
mod error;
pub mod facts;
pub mod measure;
mod package;
mod permit;
mod point;
pub mod principal;
mod reader;
mod release;
pub mod sessions;
pub mod witness;

pub use clock::{CLOCK_OFFSET_MAX_MS, Clock, SystemClock};
pub use error::Error;
pub use ledger::package::{Language, Package};
pub use ledger::{Filter, Page};
pub use permit::{Granted, IngestCapability, MeasurePermit, Permit, PinnedArtefact, Refusal};
pub use point::{Answered, Ask, EnforcementPoint, Parts};
pub use reader::LedgerReader;
pub use release::{RELEASE_LIFE_MAX_MS, Release};
pub use sessions::{Session, Sessions, SignInError};
pub use witness::Witness;
