//! What must hold for whatever bytes the store gives back as a job.
//!
//! It does not choose the bytes: the tests below do.

use schemas::JobId;

use crate::record;

/// A stored job: what is written of it is the same job, and its keys lead back to it.
pub fn job_record(bytes: &[u8]) -> bool {
    let Ok(id) = JobId::parse("job-1") else {
        return false;
    };
    let Ok(job) = record::decode(&id, bytes) else {
        return false;
    };
    assert_eq!(job.id, id);
    let again = record::encode(&job).and_then(|written| record::decode(&id, &written));
    assert_eq!(again.ok().as_ref(), Some(&job));
    let prefix = record::newest_prefix(&job.participant);
    let newest = record::newest(&job);
    assert!(newest.starts_with(&prefix));
    let behind = [
        record::id_behind(&record::queued(&job), record::QUEUED_SKIP_BYTES),
        record::id_behind(&record::running(&id), record::RUNNING_SKIP_BYTES),
        record::id_behind(&newest, prefix.len() + record::NEWEST_SKIP_BYTES),
    ];
    for found in behind {
        assert_eq!(found.ok().as_ref(), Some(&id));
    }
    true
}

/// An identifier behind a key of the store: what is there, or an error.
pub fn job_key(bytes: &[u8]) -> bool {
    let mut valid = false;
    for skip in [0, record::RUNNING_SKIP_BYTES, record::QUEUED_SKIP_BYTES] {
        if let Ok(id) = record::id_behind(bytes, skip) {
            assert!(bytes.ends_with(id.as_str().as_bytes()));
            valid = true;
        }
    }
    valid
}

#[cfg(test)]
mod tests {
    use mutate::Fuzz;
    use schemas::code::ErrorCode;
    use schemas::{GrantId, ParticipantId, ReleaseId, Timestamp, TransferId};

    use super::*;
    use crate::{Finding, Job, JobFailure, JobKind, JobOutcome, JobState, NewJob};

    fn queued() -> Job {
        Job::begin(NewJob {
            id: JobId::parse("job-1").unwrap(),
            participant: ParticipantId::parse("gd.gz.port").unwrap(),
            person: None,
            key: "key".to_owned(),
            kind: JobKind::Transfer {
                transfer: TransferId::parse("t-1").unwrap(),
                grant: GrantId::parse("g-1").unwrap(),
                version: Some(7),
            },
            at: Timestamp::from_millis(1_790_000_000_000),
        })
    }

    fn jobs() -> [Job; 3] {
        let failure = JobFailure {
            findings: vec![Finding {
                row: Some(1),
                field: Some("港口".to_owned()),
                rule: "format".to_owned(),
                value: None,
                why: "write five letters".to_owned(),
            }],
            ..JobFailure::new(ErrorCode::SchemaViolation, "1 row")
        };
        let failed = Job {
            state: JobState::Failed,
            failure: Some(failure),
            ..queued()
        };
        let ended = Job {
            state: JobState::Succeeded,
            outcome: Some(JobOutcome::Transferred {
                version: 7,
                rows: 2,
                bytes: 3,
                release: ReleaseId::parse("r-1").unwrap(),
                path: "received/x".to_owned(),
                row_limit_reached: false,
            }),
            ..queued()
        };
        [queued(), failed, ended]
    }

    #[test]
    fn changed_records_of_jobs() {
        let fuzz = Fuzz {
            name: "job_record",
            seeds: &jobs().map(|job| record::encode(&job).unwrap()),
            words: &[
                "null",
                "18446744073709551615",
                "{}",
                "[]",
                "\\u0000",
                "\"QUEUED\"",
            ],
            runs: 3_000,
        };
        fuzz.run(job_record);
    }

    #[test]
    fn changed_keys_of_jobs() {
        let seeds = [record::queued(&queued()), record::running(&queued().id)];
        let fuzz = Fuzz {
            name: "job_key",
            seeds: &seeds,
            words: &["q", "r", "..", "\0"],
            runs: 10_000,
        };
        fuzz.run(job_key);
    }
}
