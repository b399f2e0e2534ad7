//! The decision point: from a request and what is known to a decision, with the policy text that
//! ships.
//!
//! It does not gather facts, record decisions or move data, and it does not read a clock, the
//! environment, a disk or a network: everything a decision depends on is in its two arguments and
//! in the policy set, so that an auditor replays it with the same result.
//!
//! | file | what it holds |
//! |---|---|
//! | `baseline/model.conf`, `roles.csv` | casbin text: which role may do which action |
//! | `baseline/rules.toml` | sealing, staleness and masks by grade; citations |
//! | `rbac` | compiles the casbin text to an index; the only file that imports casbin |
//! | `rules` | parses `rules.toml` and refuses what is looser than the architecture allows |
//! | `usage` | parties, freshness, dataset and grant |
//! | `obligation` | columns, rows, masks and seal of a permit |
//! | `export` | destinations outside the mainland: the rule pack's X0 to X18 |
//! | `explain` | every rule that spoke, for people |
//! | `dry_run` | the past decided again, under this policy or another |
//! | `combine` | deny overrides: one reason is enough for a no, and all are told |

#![warn(clippy::wildcard_enum_match_arm)]

mod combine;
mod dry_run;
mod error;
mod explain;
mod export;
mod obligation;
mod pdp;
mod rbac;
mod rules;
mod usage;

pub use dry_run::{Past, Replay};
pub use error::{Error, Part};
pub use export::leaves_mainland;
pub use pdp::{Pdp, shipped};
