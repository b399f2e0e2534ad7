//! The list of jobs and what may happen to one.
//!
//! It does not wait: whoever works on jobs waits for [`Jobs::changed`] and claims.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use schemas::code::ErrorCode;
use schemas::{JobId, ParticipantId, Timestamp};
use tokio::sync::watch;

use crate::Error;
use crate::job::{
    ATTEMPTS_MAX, Job, JobFailure, JobKind, JobOutcome, JobState, KEY_BYTES_MAX, NewJob,
    PATH_BYTES_MAX, Progress,
};
use crate::store::Store;

/// Queued jobs of one participant: a day of uploads at one a minute would be 1,440, and somebody
/// should look long before.
pub const JOBS_QUEUED_MAX: u64 = 1_000;

/// Most jobs on one page of [`Jobs::list`].
pub const PAGE_JOBS_MAX: usize = 200;

/// What [`Jobs::recover`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Jobs that will be tried again.
    pub requeued: u64,
    /// Jobs that had [`ATTEMPTS_MAX`] attempts and failed.
    pub failed: u64,
    /// Jobs whose records cannot be read; they are no longer listed as running.
    pub damaged: u64,
}

/// The list of jobs. Clones share it. All calls block for at most a sync or two.
#[derive(Clone)]
pub struct Jobs {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    /// Taken for every change, so that read, decide and write are one.
    memory: Mutex<Memory>,
    /// Jobs claimed since the start, and whether they were cancelled since. On its own, so that
    /// asking never waits for a sync.
    claimed: Mutex<BTreeMap<JobId, bool>>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Memory {
    /// Queued jobs by participant.
    queued: BTreeMap<ParticipantId, u64>,
    /// Queued and running jobs as they are, ended ones since the start.
    counts: BTreeMap<JobState, u64>,
}

impl Jobs {
    /// Opens the list in `dir`, or begins it there.
    ///
    /// # Errors
    /// [`Error::Store`] when the store cannot be opened, for example because another process has
    /// it open.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let store = Store::open(dir)?;
        let mut memory = Memory::default();
        for item in store.queued() {
            let (_, id) = item?;
            // A damaged one is reported when it is claimed.
            if let Ok(Some(job)) = store.job(&id) {
                memory.moved(&job.participant, None, JobState::Queued);
            }
        }
        for item in store.running() {
            let (_, id) = item?;
            if let Ok(Some(job)) = store.job(&id) {
                memory.moved(&job.participant, None, JobState::Running);
            }
        }
        let (changes, _) = watch::channel(0);
        Ok(Self {
            shared: Arc::new(Shared {
                store,
                memory: Mutex::new(memory),
                claimed: Mutex::default(),
                changes,
            }),
        })
    }

    /// Adds a job; the same request again returns the job as it is now. Requests are the same when
    /// participant, key and kind are; where a publish was staged does not count, because a repeated
    /// upload is staged under another name.
    ///
    /// # Errors
    /// [`Error::KeyReused`], [`Error::IdReused`], [`Error::TooManyQueued`],
    /// [`Error::FieldLength`]; [`Error::Damaged`] when the job with that key cannot be read;
    /// [`Error::Store`].
    pub fn create(&self, new: NewJob) -> Result<Job, Error> {
        check_lengths(&new)?;
        let mut memory = self.memory();
        let store = &self.shared.store;
        if let Some(id) = store.with_key(&new.participant, &new.key)? {
            let existing = store.job(&id)?.ok_or_else(|| Error::Damaged {
                job: id.clone(),
                why: "its key is there, and it is not".to_owned(),
            })?;
            return if is_same_request(&existing.kind, &new.kind) {
                Ok(existing)
            } else {
                Err(Error::KeyReused { job: id })
            };
        }
        if store.exists(&new.id)? {
            return Err(Error::IdReused { job: new.id });
        }
        let queued = memory
            .queued
            .get(&new.participant)
            .copied()
            .unwrap_or_default();
        if queued >= JOBS_QUEUED_MAX {
            return Err(Error::TooManyQueued {
                queued,
                limit: JOBS_QUEUED_MAX,
            });
        }
        let job = Job::begin(new);
        store.insert(&job)?;
        memory.moved(&job.participant, None, JobState::Queued);
        self.announce();
        Ok(job)
    }

    /// One job.
    ///
    /// # Errors
    /// [`Error::Damaged`] and [`Error::Store`].
    pub fn job(&self, id: &JobId) -> Result<Option<Job>, Error> {
        self.shared.store.job(id)
    }

    /// A participant's jobs, newest first, behind `after`: at most `limit` and
    /// [`PAGE_JOBS_MAX`].
    ///
    /// # Errors
    /// [`Error::NotFound`] when `after` is not a job of the participant; [`Error::Damaged`] and
    /// [`Error::Store`].
    pub fn list(
        &self,
        participant: &ParticipantId,
        after: Option<&JobId>,
        limit: usize,
    ) -> Result<Vec<Job>, Error> {
        let store = &self.shared.store;
        let after = after
            .map(|id| {
                store
                    .job(id)?
                    .filter(|job| job.participant == *participant)
                    .ok_or_else(|| Error::NotFound { job: id.clone() })
            })
            .transpose()?;
        let ids = store.newest(participant, after.as_ref(), limit.min(PAGE_JOBS_MAX))?;
        ids.iter()
            .map(|id| {
                store
                    .job(id)?
                    .ok_or_else(|| Error::NotFound { job: id.clone() })
            })
            .collect()
    }

    /// The oldest queued job, which now runs; none when nothing is queued.
    ///
    /// # Errors
    /// [`Error::Damaged`] when that job's record cannot be read: it is taken out of the queue, so
    /// the next call goes on with the next job. [`Error::Store`].
    pub fn claim(&self, now: Timestamp) -> Result<Option<Job>, Error> {
        let mut memory = self.memory();
        let store = &self.shared.store;
        let Some(oldest) = store.queued().next() else {
            return Ok(None);
        };
        let (key, id) = oldest?;
        let mut job = match store.job(&id) {
            Ok(Some(job)) => job,
            Ok(None) => {
                store.set_aside(key)?;
                let why = "it is queued, and it is not there".to_owned();
                return Err(Error::Damaged { job: id, why });
            }
            Err(damaged @ Error::Damaged { .. }) => {
                store.set_aside(key)?;
                return Err(damaged);
            }
            Err(other) => return Err(other),
        };
        let before = job.state;
        job.state = JobState::Running;
        job.started_at = Some(now);
        store.change(&job)?;
        memory.moved(&job.participant, Some(before), job.state);
        self.claimed().insert(id, false);
        self.announce();
        Ok(Some(job))
    }

    /// Notes how far a running job is. Not synced: after a power failure it begins again anyway.
    ///
    /// # Errors
    /// [`Error::WrongState`] when it does not run (any more), [`Error::NotFound`],
    /// [`Error::Damaged`], [`Error::Store`].
    pub fn progress(&self, id: &JobId, progress: Progress) -> Result<(), Error> {
        let _memory = self.memory();
        let mut job = self.existing(id)?;
        if job.state != JobState::Running {
            return Err(wrong(&job, "only a running job has progress"));
        }
        job.progress = Some(progress);
        self.shared.store.note(&job)?;
        self.announce();
        Ok(())
    }

    /// Ends a job with its outcome. A success wins over a cancellation that came too late:
    /// what happened, happened.
    ///
    /// # Errors
    /// [`Error::WrongState`] when it is queued or failed; as for [`Jobs::progress`] otherwise.
    pub fn succeed(&self, id: &JobId, outcome: JobOutcome, now: Timestamp) -> Result<Job, Error> {
        self.end(id, now, |job| match job.state {
            JobState::Running | JobState::Cancelled => {
                job.state = JobState::Succeeded;
                job.outcome = Some(outcome);
                Ok(())
            }
            JobState::Queued => Err("it was not claimed"),
            JobState::Succeeded | JobState::Failed => Err("it has ended"),
        })
    }

    /// Ends a job with the reason of its failure, cut to the limits. A cancelled job stays
    /// cancelled.
    ///
    /// # Errors
    /// [`Error::WrongState`] when it is queued or has ended otherwise; as for
    /// [`Jobs::progress`] otherwise.
    pub fn fail(&self, id: &JobId, failure: JobFailure, now: Timestamp) -> Result<Job, Error> {
        self.end(id, now, |job| match job.state {
            JobState::Running => {
                job.state = JobState::Failed;
                job.failure = Some(failure.cut());
                Ok(())
            }
            JobState::Cancelled => Ok(()),
            JobState::Queued => Err("it was not claimed"),
            JobState::Succeeded | JobState::Failed => Err("it has ended"),
        })
    }

    /// Calls a job off. Whoever works on it sees that in [`Jobs::is_cancelled`] and stops.
    /// Cancelling a cancelled job changes nothing.
    ///
    /// # Errors
    /// [`Error::WrongState`] when it succeeded or failed; as for [`Jobs::progress`] otherwise.
    pub fn cancel(&self, id: &JobId, now: Timestamp) -> Result<Job, Error> {
        self.end(id, now, |job| match job.state {
            JobState::Queued | JobState::Running => {
                job.state = JobState::Cancelled;
                Ok(())
            }
            JobState::Cancelled => Ok(()),
            JobState::Succeeded | JobState::Failed => Err("it has ended"),
        })
    }

    /// Whether a job was cancelled. Cheap for one that was claimed since the start: it may be
    /// asked for every batch of rows. A record that cannot be read counts as not cancelled.
    #[must_use]
    pub fn is_cancelled(&self, id: &JobId) -> bool {
        if let Some(cancelled) = self.claimed().get(id) {
            return *cancelled;
        }
        matches!(
            self.job(id),
            Ok(Some(Job {
                state: JobState::Cancelled,
                ..
            }))
        )
    }

    /// Puts back what ran when the node stopped. Call it once, before the first claim.
    ///
    /// # Errors
    /// [`Error::Store`] and [`Error::DamagedList`].
    pub fn recover(&self, now: Timestamp) -> Result<Recovered, Error> {
        let mut memory = self.memory();
        let store = &self.shared.store;
        let mut done = Recovered::default();
        for item in store.running().collect::<Vec<_>>() {
            let (key, id) = item?;
            let mut job = match store.job(&id) {
                Ok(Some(job)) if job.state == JobState::Running => job,
                Ok(_) | Err(Error::Damaged { .. }) => {
                    store.set_aside(key)?;
                    done.damaged += 1;
                    continue;
                }
                Err(other) => return Err(other),
            };
            job.progress = None;
            if job.attempt >= ATTEMPTS_MAX {
                job.state = JobState::Failed;
                job.ended_at = Some(now);
                job.failure = Some(stopped_too_often());
                done.failed += 1;
            } else {
                job.state = JobState::Queued;
                job.attempt += 1;
                done.requeued += 1;
            }
            store.change(&job)?;
            memory.moved(&job.participant, Some(JobState::Running), job.state);
            self.claimed().remove(&id);
        }
        self.announce();
        Ok(done)
    }

    /// How many jobs are queued and running now, and how many have ended in each way since the
    /// list was opened: what an operator's monitoring asks for. A state without jobs is left out.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<JobState, u64> {
        self.memory().counts.clone()
    }

    /// A number that grows with each change of any job.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }

    fn end(
        &self,
        id: &JobId,
        now: Timestamp,
        decide: impl FnOnce(&mut Job) -> Result<(), &'static str>,
    ) -> Result<Job, Error> {
        let mut memory = self.memory();
        let mut job = self.existing(id)?;
        let before = job.state;
        decide(&mut job).map_err(|refused| wrong(&job, refused))?;
        if job.state != before {
            job.ended_at = Some(now);
            self.shared.store.change(&job)?;
            memory.moved(&job.participant, Some(before), job.state);
            self.announce();
        }
        if job.state == JobState::Cancelled && before == JobState::Running {
            // Whoever works on it is to find this.
            self.claimed().insert(id.clone(), true);
        } else {
            self.claimed().remove(id);
        }
        Ok(job)
    }

    fn existing(&self, id: &JobId) -> Result<Job, Error> {
        self.job(id)?
            .ok_or_else(|| Error::NotFound { job: id.clone() })
    }

    /// Nothing panics while this is held, so a poisoned lock still guards whole counts.
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.shared
            .memory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn claimed(&self) -> MutexGuard<'_, BTreeMap<JobId, bool>> {
        self.shared
            .claimed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self) {
        self.shared
            .changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }
}

impl Memory {
    /// Keeps the counts. How jobs ended is counted and never taken back: a success may win over
    /// a cancellation, and both happened.
    fn moved(&mut self, participant: &ParticipantId, from: Option<JobState>, to: JobState) {
        if let Some(from) = from.filter(|it| !it.is_ended()) {
            let count = self.counts.entry(from).or_default();
            *count = count.saturating_sub(1);
        }
        *self.counts.entry(to).or_default() += 1;
        let was = from == Some(JobState::Queued);
        let is = to == JobState::Queued;
        if was == is {
            return;
        }
        let count = self.queued.entry(participant.clone()).or_default();
        *count = if is {
            *count + 1
        } else {
            count.saturating_sub(1)
        };
        if *count == 0 {
            self.queued.remove(participant);
        }
    }
}

impl std::fmt::Debug for Jobs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Jobs").finish_non_exhaustive()
    }
}

fn wrong(job: &Job, refused: &'static str) -> Error {
    Error::WrongState {
        job: job.id.clone(),
        state: job.state,
        refused,
    }
}

fn stopped_too_often() -> JobFailure {
    JobFailure::new(
        ErrorCode::Internal,
        format!(
            "the node stopped {ATTEMPTS_MAX} times while it worked on this job; look into the \
             node's log before you start it again"
        ),
    )
}

fn check_lengths(new: &NewJob) -> Result<(), Error> {
    let check = |field, text: &str, limit| {
        if (1..=limit).contains(&text.len()) {
            Ok(())
        } else {
            Err(Error::FieldLength {
                field,
                found: text.len(),
                limit,
            })
        }
    };
    check("key", &new.key, KEY_BYTES_MAX)?;
    match &new.kind {
        JobKind::Publish {
            staged, file_name, ..
        } => {
            check("staged", staged, PATH_BYTES_MAX)?;
            check("file_name", file_name, PATH_BYTES_MAX)
        }
        JobKind::Transfer { .. } => Ok(()),
    }
}

/// Whether two kinds are the same request; see [`Jobs::create`].
fn is_same_request(a: &JobKind, b: &JobKind) -> bool {
    match (a, b) {
        (
            JobKind::Publish {
                dataset,
                file_name,
                mapping,
                intent,
                staged: _,
            },
            JobKind::Publish {
                dataset: d,
                file_name: f,
                mapping: m,
                intent: i,
                staged: _,
            },
        ) => dataset == d && file_name == f && mapping == m && intent.body == i.body,
        (JobKind::Transfer { .. }, JobKind::Transfer { .. }) => a == b,
        (JobKind::Publish { .. }, JobKind::Transfer { .. })
        | (JobKind::Transfer { .. }, JobKind::Publish { .. }) => false,
    }
}
