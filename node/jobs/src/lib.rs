//! The node's durable list of local work: what was asked for, how far it is, how it ended.
//!
//! It does not run anything and does not decide whether something may run; it needs neither
//! quorum nor network. What other members must know is in the catalog; a job is how this node
//! gets there.
//!
//! ```text
//!              claim                   succeed
//!   Queued -----------> Running -----------------> Succeeded
//!     ^ |  <-----------  | |  \------------------> Failed
//!     | |   recover      | |   fail, or recover after ATTEMPTS_MAX
//!     | \----------------+-+---------------------> Cancelled
//!          cancel
//! ```
//!
//! Every change of state is synced before it is answered; progress is not, because after a power
//! failure the work begins again anyway.

mod error;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzz;
mod job;
mod list;
mod record;
mod store;

pub use error::Error;
pub use job::{
    ATTEMPTS_MAX, DETAIL_CHARS_MAX, FINDING_CHARS_MAX, FINDINGS_MAX, Finding, Job, JobFailure,
    JobKind, JobOutcome, JobState, JobStep, KEY_BYTES_MAX, NewJob, PATH_BYTES_MAX, Progress,
    ProgressUnit, REASONS_MAX,
};
pub use list::{JOBS_QUEUED_MAX, Jobs, PAGE_JOBS_MAX, Recovered};
