//! A job as stored bytes, and the keys under which it is found.
//!
//! It does not store them.
//!
//! ```text
//! 'j' id                                      -> job, as JSON
//! 'k' participant 0 idempotency key           -> id
//! 'n' participant 0 inverted milliseconds id  ->       newest first
//! 'q' milliseconds id                         ->       queued, oldest first
//! 'r' id                                      ->       running
//! ```

use schemas::{JobId, ParticipantId, Timestamp};

use crate::Error;
use crate::job::Job;

/// Largest stored job in bytes: a hundred findings with four texts of 200 characters of four
/// bytes, escaped, and the rest of a job.
const JOB_BYTES_MAX: usize = 4 << 20;

pub(crate) fn encode(job: &Job) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(job).map_err(|source| Error::Record {
        job: job.id.clone(),
        source,
    })
}

pub(crate) fn decode(id: &JobId, bytes: &[u8]) -> Result<Job, Error> {
    let damaged = |why: String| Error::Damaged {
        job: id.clone(),
        why,
    };
    if bytes.len() > JOB_BYTES_MAX {
        return Err(damaged(format!(
            "{} bytes, the limit is {JOB_BYTES_MAX}",
            bytes.len()
        )));
    }
    let job: Job = serde_json::from_slice(bytes).map_err(|source| damaged(source.to_string()))?;
    if job.id != *id {
        return Err(damaged(format!("it says that it is job {}", job.id)));
    }
    Ok(job)
}

pub(crate) fn by_id(id: &JobId) -> Vec<u8> {
    join(b'j', &[id.as_str().as_bytes()])
}

pub(crate) fn by_key(participant: &ParticipantId, key: &str) -> Vec<u8> {
    join(
        b'k',
        &[participant.as_str().as_bytes(), &[0], key.as_bytes()],
    )
}

pub(crate) fn newest(job: &Job) -> Vec<u8> {
    let inverted = (!millis(job.created_at)).to_be_bytes();
    let participant = job.participant.as_str().as_bytes();
    join(
        b'n',
        &[participant, &[0], &inverted, job.id.as_str().as_bytes()],
    )
}

pub(crate) fn newest_prefix(participant: &ParticipantId) -> Vec<u8> {
    join(b'n', &[participant.as_str().as_bytes(), &[0]])
}

pub(crate) fn queued(job: &Job) -> Vec<u8> {
    join(
        b'q',
        &[
            &millis(job.created_at).to_be_bytes(),
            job.id.as_str().as_bytes(),
        ],
    )
}

pub(crate) fn running(id: &JobId) -> Vec<u8> {
    join(b'r', &[id.as_str().as_bytes()])
}

/// The identifier at the end of a key, behind `skip` bytes.
pub(crate) fn id_behind(key: &[u8], skip: usize) -> Result<JobId, Error> {
    let text = key
        .get(skip..)
        .and_then(|id| std::str::from_utf8(id).ok())
        .unwrap_or_default();
    JobId::parse(text).map_err(|source| Error::DamagedList {
        why: source.to_string(),
    })
}

/// Bytes before the identifier in a key of the queue.
pub(crate) const QUEUED_SKIP_BYTES: usize = 9;
/// Bytes before the identifier in a key of what runs.
pub(crate) const RUNNING_SKIP_BYTES: usize = 1;
/// Bytes between the prefix and the identifier in a key of what is newest.
pub(crate) const NEWEST_SKIP_BYTES: usize = 8;

/// Milliseconds since 1970, which no instant of a record precedes.
fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.millis()).unwrap_or(0)
}

fn join(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = vec![kind];
    for part in parts {
        key.extend_from_slice(part);
    }
    key
}
