//! Everything that touches rows: files become checked, versioned Delta tables, and versions leave
//! for those whom the gate lets.
//!
//! It does not decide who may: every way to a table begins with a capability or a permit of
//! `enforcement`. It does not know `admin`: work reaches it through `jobs` and the catalog.
//!
//! | module | what it does |
//! |---|---|
//! | [`ingest`] | a file becomes checked rows in staged Parquet files, the rest is quarantined |
//! | `quality` | quality rules over staged files |
//! | `tables` | Delta commits and snapshots: the only module that opens raw tables |
//! | `publish` | the publish job, from the signed intent to the recorded version |
//! | `materialise` | an entitlement becomes a pinned artefact |
//! | `transfer` | artefacts travel between nodes |
//! | `rows` | uploads, previews and quarantined rows over HTTP |

mod error;
pub mod ingest;
pub(crate) mod materialise;
pub mod measure;
mod parts;
mod plane;
mod publish;
pub(crate) mod quality;
pub(crate) mod rows;
mod runner;
pub(crate) mod tables;
pub(crate) mod transfer;

pub use error::Error;
pub use parts::{Hosted, Moved, Options, Parts, SendRate};
pub use plane::DataPlane;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub use transfer::fuzz;
