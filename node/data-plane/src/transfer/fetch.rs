//! Fetches chunks: several streams, each with a range, until nothing is missing.
//!
//! It does not judge the whole: it checks each chunk and leaves the rest to whoever called.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crypto::Digest;
use crypto::seal::Opener;
use schemas::ReleaseId;
use tonic::Streaming;

use super::channel::Client;
use super::journal::Journal;
use super::offer::length;
use super::wire::{Chunk, ChunksRequest};
use super::{BATCH_CHUNKS, Failure, STREAMS, status};

/// Chunks that are asked for at one time on one stream.
const RANGE_CHUNKS: u64 = 32;

/// Attempts in a row that bring nothing before the transfer is given up.
const ATTEMPTS_MAX: u32 = 8;

/// The first pause after a failed attempt; each further one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(100);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// How long a stream may bring nothing before it is asked for again.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How often a stream that brings nothing is left for a look at what has changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);

fn silent() -> Failure {
    Failure::Unreachable {
        why: "nothing came for a minute".to_owned(),
    }
}

/// Neighbouring chunks that wait to be opened.
struct Batch {
    first: u64,
    contents: Vec<Vec<u8>>,
}

impl Batch {
    /// Index of the chunk that comes next.
    fn end(&self) -> u64 {
        self.first + length(self.contents.len())
    }
}

/// One fetch.
pub(crate) struct Fetch {
    pub(crate) client: Client,
    pub(crate) release: ReleaseId,
    pub(crate) journal: Arc<Journal>,
    /// None when the chunks come in clear.
    pub(crate) opener: Option<Arc<Opener>>,
    /// Plain bytes that are here.
    pub(crate) fetched: AtomicU64,
}

impl Fetch {
    /// Fetches what is missing. `go_on` is asked before every chunk and told how many bytes are
    /// here.
    ///
    /// # Errors
    /// [`Failure::Refused`] and [`Failure::ReleaseGone`] as the provider says,
    /// [`Failure::Rejected`] for a chunk that is not what was offered, [`Failure::Unreachable`]
    /// after [`ATTEMPTS_MAX`] attempts that brought nothing, and what `go_on` returns.
    pub(crate) async fn run(
        &self,
        go_on: &(dyn Fn(u64) -> Result<(), Failure> + Send + Sync),
    ) -> Result<(), Failure> {
        let mut attempts = 0;
        loop {
            let missing: VecDeque<Range<u64>> = self.journal.missing(RANGE_CHUNKS).into();
            if missing.is_empty() {
                return Ok(());
            }
            let before = self.fetched.load(Ordering::Relaxed);
            let queue = Mutex::new(missing);
            let streams = (0..STREAMS).map(|_| self.stream(&queue, go_on));
            let outcome = futures::future::try_join_all(streams).await;
            match outcome {
                Ok(_) => {}
                Err(Failure::Unreachable { why }) => {
                    attempts = if self.fetched.load(Ordering::Relaxed) > before {
                        1
                    } else {
                        attempts + 1
                    };
                    if attempts >= ATTEMPTS_MAX {
                        return Err(Failure::Unreachable { why });
                    }
                    tracing::info!(release = %self.release, why, "a stream broke; go on");
                    let pause = PAUSE_FIRST.saturating_mul(1 << attempts).min(PAUSE_MAX);
                    tokio::time::sleep(pause).await;
                    go_on(self.fetched.load(Ordering::Relaxed))?;
                }
                Err(other) => return Err(other),
            }
        }
    }

    async fn stream(
        &self,
        queue: &Mutex<VecDeque<Range<u64>>>,
        go_on: &(dyn Fn(u64) -> Result<(), Failure> + Send + Sync),
    ) -> Result<(), Failure> {
        let next = || {
            queue
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .pop_front()
        };
        while let Some(range) = next() {
            self.range(range, go_on).await?;
        }
        Ok(())
    }

    async fn range(
        &self,
        range: Range<u64>,
        go_on: &(dyn Fn(u64) -> Result<(), Failure> + Send + Sync),
    ) -> Result<(), Failure> {
        let request = ChunksRequest {
            release: self.release.to_string(),
            from: range.start,
            to: range.end,
        };
        let mut client = self.client.clone();
        let mut stream = tokio::time::timeout(SILENCE_MAX, client.chunks(request))
            .await
            .map_err(|_| silent())?
            .map_err(|it| status::understood(&it))?
            .into_inner();
        let mut batch = Batch {
            first: range.start,
            contents: Vec::with_capacity(BATCH_CHUNKS),
        };
        let outcome = self.fill(&mut batch, range.end, &mut stream, go_on).await;
        // What came before a stream broke is kept.
        if !matches!(outcome, Err(Failure::Rejected(_))) {
            self.take(&mut batch).await?;
        }
        outcome
    }

    /// Takes chunks from a stream until `end`, some at a time. On a slow line they are not held
    /// back until they are many, and somebody who calls the transfer off is not kept waiting.
    async fn fill(
        &self,
        batch: &mut Batch,
        end: u64,
        stream: &mut Streaming<Chunk>,
        go_on: &(dyn Fn(u64) -> Result<(), Failure> + Send + Sync),
    ) -> Result<(), Failure> {
        let mut heard = Instant::now();
        while batch.end() < end {
            go_on(self.fetched.load(Ordering::Relaxed))?;
            let Ok(next) = tokio::time::timeout(LOOK_EVERY, stream.message()).await else {
                if heard.elapsed() > SILENCE_MAX {
                    return Err(silent());
                }
                self.take(batch).await?;
                continue;
            };
            heard = Instant::now();
            match next.map_err(|it| status::understood(&it))? {
                Some(Chunk { index, content }) if index == batch.end() => {
                    batch.contents.push(content);
                }
                Some(_) => return Err(Failure::Rejected("the order of the chunks")),
                None => {
                    return Err(Failure::Unreachable {
                        why: "the stream ended early".to_owned(),
                    });
                }
            }
            if batch.contents.len() == BATCH_CHUNKS {
                self.take(batch).await?;
            }
        }
        Ok(())
    }

    /// Opens and keeps neighbouring chunks; both take a while, so beside the async threads.
    async fn take(&self, batch: &mut Batch) -> Result<(), Failure> {
        if batch.contents.is_empty() {
            return Ok(());
        }
        let first = batch.first;
        batch.first = batch.end();
        let contents = std::mem::take(&mut batch.contents);
        let (journal, opener) = (Arc::clone(&self.journal), self.opener.clone());
        let kept = tokio::task::spawn_blocking(move || {
            let opened = match opener {
                Some(opener) => opener
                    .open_chunks(first, contents)
                    .map_err(|_| Failure::Rejected("a sealed chunk"))?,
                // In clear there is no seal to take up again; the files' digests judge at the end.
                None => contents.into_iter().map(|it| (it, Digest::ZERO)).collect(),
            };
            let mut kept = 0;
            for (index, (plain, leaf)) in (first..).zip(opened) {
                if plain.len() != journal.chunk_bytes(index) {
                    return Err(Failure::Rejected("the length of a chunk"));
                }
                journal.keep(index, leaf, &plain)?;
                kept += length(plain.len());
            }
            Ok(kept)
        });
        let kept = kept
            .await
            .map_err(|_| crate::Error::Worker("the chunk writer"))??;
        self.fetched.fetch_add(kept, Ordering::Relaxed);
        Ok(())
    }
}
