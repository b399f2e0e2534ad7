//! The node's workers: they claim jobs and run them, a few at a time.
//!
//! It does not know what a job does, and it does not run two publishes of one dataset at a time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jobs::{Job, JobFailure, JobKind, JobOutcome};
use schemas::DatasetId;
use schemas::code::ErrorCode;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

use crate::{Parts, publish, transfer};

/// How long the runner rests when the list of jobs cannot be read.
const LIST_PAUSE: Duration = Duration::from_secs(1);

/// One lock a dataset that is being published.
#[derive(Default)]
struct Turns(Mutex<BTreeMap<DatasetId, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    fn of(&self, dataset: &DatasetId) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody holds or waits for are forgotten, so the map stays as small as the
        // number of jobs that run.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry(dataset.clone()).or_default())
    }
}

/// Claims and runs jobs until `stop` says so; then waits for those that run.
pub(crate) async fn run(parts: Arc<Parts>, mut stop: watch::Receiver<bool>) {
    let seats = Arc::new(Semaphore::new(parts.options.jobs_running.max(1)));
    let turns = Arc::new(Turns::default());
    let mut changed = parts.jobs.changed();
    let mut running = JoinSet::new();
    loop {
        while running.try_join_next().is_some() {}
        let seat = tokio::select! {
            seat = Arc::clone(&seats).acquire_owned() => seat,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Ok(seat) = seat else { break };
        changed.mark_unchanged();
        match parts.jobs.claim(parts.clock.now()) {
            Ok(Some(job)) => {
                let (parts, turns) = (Arc::clone(&parts), Arc::clone(&turns));
                running.spawn(async move {
                    let _seat = seat;
                    work(&parts, &turns, job).await;
                });
            }
            Ok(None) => {
                drop(seat);
                tokio::select! {
                    changed = changed.changed() => if changed.is_err() { break },
                    _ = stop.wait_for(|stop| *stop) => break,
                }
            }
            Err(error) => {
                tracing::error!(%error, "claim a job");
                drop(seat);
                tokio::time::sleep(LIST_PAUSE).await;
            }
        }
    }
    while running.join_next().await.is_some() {}
}

async fn work(parts: &Arc<Parts>, turns: &Turns, job: Job) {
    let id = job.id.clone();
    tracing::info!(job = %id, attempt = job.attempt, "run a job");
    // In a task of its own, so that a panic fails this job only; it ends with this one, so that a
    // node that stopped does not go on working.
    let task = AbortOnDropHandle::new({
        let parts = Arc::clone(parts);
        let turn = match &job.kind {
            JobKind::Publish { dataset, .. } => Some(turns.of(dataset)),
            JobKind::Transfer { .. } => None,
        };
        tokio::spawn(async move {
            let _turn = match &turn {
                Some(turn) => Some(turn.lock().await),
                None => None,
            };
            execute(&parts, &job).await
        })
    });
    let outcome = task.await.unwrap_or_else(|_| {
        Err(JobFailure::new(
            ErrorCode::Internal,
            "the work ended without an answer; the node's log says why",
        ))
    });
    let now = parts.clock.now();
    let ended = match outcome {
        Ok(outcome) => parts.jobs.succeed(&id, outcome, now),
        Err(failure) => {
            let (code, detail) = (failure.code, &failure.detail);
            tracing::info!(job = %id, %code, detail, "a job failed");
            parts.jobs.fail(&id, failure, now)
        }
    };
    if let Err(error) = ended {
        // A cancelled job has ended already.
        tracing::info!(job = %id, %error, "end a job");
    }
}

async fn execute(parts: &Arc<Parts>, job: &Job) -> Result<JobOutcome, JobFailure> {
    match &job.kind {
        JobKind::Publish { .. } => Box::pin(publish::run(parts, job)).await,
        JobKind::Transfer { .. } => Box::pin(transfer::run(parts, job)).await,
    }
}
