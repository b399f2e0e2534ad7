//! What can go wrong with the list of jobs.
//!
//! It does not carry what a job is about: an error is logged where fewer people may look.

use schemas::JobId;

use crate::job::JobState;

/// Why the list could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The idempotency key was used before, for something else.
    #[error("this idempotency key was used for job {job}, which is another one; use a new key")]
    KeyReused {
        /// The job that has the key.
        job: JobId,
    },
    /// A job with this identifier exists, under another key.
    #[error("there is a job {job} already; choose another identifier")]
    IdReused {
        /// The identifier.
        job: JobId,
    },
    /// The participant has as many queued jobs as it may have.
    #[error("{queued} jobs are queued, the limit is {limit}; wait until some have run")]
    TooManyQueued {
        /// How many are queued.
        queued: u64,
        /// The limit.
        limit: u64,
    },
    /// A field is longer than it may be, or empty where it may not be.
    #[error("{field} has {found} bytes, it must have 1 to {limit}")]
    FieldLength {
        /// The field.
        field: &'static str,
        /// Its length in bytes.
        found: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// There is no such job.
    #[error("there is no job {job}")]
    NotFound {
        /// The identifier.
        job: JobId,
    },
    /// The job is not in a state in which this can happen.
    #[error("job {job} is {state}: {refused}")]
    WrongState {
        /// The job.
        job: JobId,
        /// Where it stands.
        state: JobState,
        /// What was asked of it, in words.
        refused: &'static str,
    },
    /// A stored job cannot be read. It stays in the store for whoever looks into it; other jobs
    /// are not affected.
    #[error("the record of job {job} is damaged: {why}; start the work again under a new key")]
    Damaged {
        /// The job.
        job: JobId,
        /// What is wrong with it.
        why: String,
    },
    /// A stored key that is no identifier of a job.
    #[error("the list of jobs is damaged: {why}")]
    DamagedList {
        /// What is wrong with it.
        why: String,
    },
    /// A job cannot be written as a record.
    #[error("write job {job}")]
    Record {
        /// The job.
        job: JobId,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// The store cannot be read or written.
    #[error("{action} the store of jobs")]
    Store {
        /// What was attempted.
        action: &'static str,
        /// What the store said.
        #[source]
        source: Box<fjall::Error>,
    },
}

impl Error {
    pub(crate) fn store(action: &'static str) -> impl Fn(fjall::Error) -> Self {
        move |source| Self::Store {
            action,
            source: Box::new(source),
        }
    }
}
