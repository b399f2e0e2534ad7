//! The store under the list: one keyspace of fjall.
//!
//! It does not know what a job may do; it writes changes at once and syncs them.

use std::path::Path;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};
use schemas::{JobId, ParticipantId};

use crate::Error;
use crate::job::{Job, JobState};
use crate::record;

pub(crate) struct Store {
    database: Database,
    keyspace: Keyspace,
}

impl Store {
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        let open = || {
            let database = Database::builder(dir)
                .worker_threads(1)
                .cache_size(CACHE_BYTES)
                .open()?;
            let keyspace = database.keyspace("jobs", KeyspaceCreateOptions::default)?;
            Ok(Self { database, keyspace })
        };
        open().map_err(Error::store("open"))
    }

    pub(crate) fn job(&self, id: &JobId) -> Result<Option<Job>, Error> {
        let found = self
            .keyspace
            .get(record::by_id(id))
            .map_err(Error::store("read"))?;
        found.map(|bytes| record::decode(id, &bytes)).transpose()
    }

    pub(crate) fn exists(&self, id: &JobId) -> Result<bool, Error> {
        self.keyspace
            .contains_key(record::by_id(id))
            .map_err(Error::store("read"))
    }

    /// The job that has an idempotency key.
    pub(crate) fn with_key(
        &self,
        participant: &ParticipantId,
        key: &str,
    ) -> Result<Option<JobId>, Error> {
        let found = self
            .keyspace
            .get(record::by_key(participant, key))
            .map_err(Error::store("read"))?;
        found.map(|id| record::id_behind(&id, 0)).transpose()
    }

    /// Identifiers of a participant's jobs, newest first, behind `after`.
    pub(crate) fn newest(
        &self,
        participant: &ParticipantId,
        after: Option<&Job>,
        limit: usize,
    ) -> Result<Vec<JobId>, Error> {
        let prefix = record::newest_prefix(participant);
        let skip = prefix.len() + record::NEWEST_SKIP_BYTES;
        let mut ids = Vec::new();
        let from = after.map_or_else(|| prefix.clone(), record::newest);
        for item in self.keyspace.range(from.clone()..) {
            let key = item.key().map_err(Error::store("list"))?;
            if !key.starts_with(&prefix) || ids.len() >= limit {
                break;
            }
            if after.is_none() || *key != *from {
                ids.push(record::id_behind(&key, skip)?);
            }
        }
        Ok(ids)
    }

    /// Keys and identifiers of queued jobs, oldest first.
    pub(crate) fn queued(&self) -> impl Iterator<Item = Result<(Vec<u8>, JobId), Error>> {
        self.ids(b"q", record::QUEUED_SKIP_BYTES)
    }

    /// Keys and identifiers of running jobs.
    pub(crate) fn running(&self) -> impl Iterator<Item = Result<(Vec<u8>, JobId), Error>> {
        self.ids(b"r", record::RUNNING_SKIP_BYTES)
    }

    fn ids(
        &self,
        prefix: &[u8],
        skip: usize,
    ) -> impl Iterator<Item = Result<(Vec<u8>, JobId), Error>> + use<> {
        self.keyspace.prefix(prefix).map(move |item| {
            let key = item.key().map_err(Error::store("list"))?;
            Ok((key.to_vec(), record::id_behind(&key, skip)?))
        })
    }

    /// Writes a new job with its keys, durably.
    pub(crate) fn insert(&self, job: &Job) -> Result<(), Error> {
        let mut batch = self.batch(PersistMode::SyncData);
        batch.insert(&self.keyspace, record::by_id(&job.id), record::encode(job)?);
        let by_key = record::by_key(&job.participant, &job.key);
        batch.insert(&self.keyspace, by_key, job.id.as_str().as_bytes());
        batch.insert(&self.keyspace, record::newest(job), []);
        batch.insert(&self.keyspace, record::queued(job), []);
        batch.commit().map_err(Error::store("write"))
    }

    /// Writes a job that moved to another state, durably.
    pub(crate) fn change(&self, job: &Job) -> Result<(), Error> {
        let mut batch = self.batch(PersistMode::SyncData);
        batch.insert(&self.keyspace, record::by_id(&job.id), record::encode(job)?);
        if job.state == JobState::Queued {
            batch.insert(&self.keyspace, record::queued(job), []);
        } else {
            batch.remove(&self.keyspace, record::queued(job));
        }
        if job.state == JobState::Running {
            batch.insert(&self.keyspace, record::running(&job.id), []);
        } else {
            batch.remove(&self.keyspace, record::running(&job.id));
        }
        batch.commit().map_err(Error::store("write"))
    }

    /// Writes a job whose state did not change. Survives the process, not a power failure.
    pub(crate) fn note(&self, job: &Job) -> Result<(), Error> {
        let mut batch = self.batch(PersistMode::Buffer);
        batch.insert(&self.keyspace, record::by_id(&job.id), record::encode(job)?);
        batch.commit().map_err(Error::store("write"))
    }

    /// Takes a key out of the queue or of what runs, durably; the job itself stays.
    pub(crate) fn set_aside(&self, key: Vec<u8>) -> Result<(), Error> {
        let mut batch = self.batch(PersistMode::SyncData);
        batch.remove(&self.keyspace, key);
        batch.commit().map_err(Error::store("write"))
    }

    fn batch(&self, mode: PersistMode) -> OwnedWriteBatch {
        self.database.batch().durability(Some(mode))
    }
}

/// Jobs are few and small.
const CACHE_BYTES: u64 = 4 << 20;
