//! The list of jobs on a real store: states, limits, idempotency, restarts and kills.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helper functions fail the test by panicking"
)]

mod crash;
mod list;
mod states;

use jobs::{JobFailure, JobKind, JobOutcome, Jobs, NewJob};
use schemas::code::ErrorCode;
use schemas::{GrantId, JobId, ParticipantId, ReleaseId, Timestamp, TransferId};

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + second * 1_000)
}

fn id(number: u64) -> JobId {
    JobId::parse(format!("job-{number}")).unwrap()
}

fn participant(name: &str) -> ParticipantId {
    ParticipantId::parse(name).unwrap()
}

/// A transfer job of `gd.gz.port`, asked for at second `number`.
fn new(number: u64) -> NewJob {
    NewJob {
        id: id(number),
        participant: participant("gd.gz.port"),
        person: None,
        key: format!("key-{number}"),
        kind: JobKind::Transfer {
            transfer: TransferId::parse(format!("t-{number}")).unwrap(),
            grant: GrantId::parse("g-1").unwrap(),
            version: Some(number),
        },
        at: at(i64::try_from(number).unwrap()),
    }
}

fn outcome() -> JobOutcome {
    JobOutcome::Transferred {
        version: 1,
        rows: 2,
        bytes: 3,
        release: ReleaseId::parse("r-1").unwrap(),
        path: "received/x".to_owned(),
        row_limit_reached: false,
    }
}

fn failure(detail: &str) -> JobFailure {
    JobFailure::new(ErrorCode::Invalid, detail)
}

fn open(dir: &tempfile::TempDir) -> Jobs {
    Jobs::open(dir.path()).unwrap()
}
