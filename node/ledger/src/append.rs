//! Appending batches to one stream, and going on in the next segment when one is full.
//!
//! It does not decide what a batch is, and it acknowledges nothing: its caller does, once this
//! returns.

use std::path::{Path, PathBuf};

use crypto::Digest;
use schemas::ledger_entry::LedgerIdentity;

use crate::active::{Active, RECORD_HEADER_BYTES_U64, Resume, align};
use crate::entry::ENTRY_BYTES_MAX;
use crate::options::{BATCH_BYTES_MAX, SEGMENT_BYTES_MAX};
use crate::segment::{Kind, RecordHeader, SegmentHeader, Stream};
use crate::store::Place;
use crate::{Error, Options};

/// One stream's newest segment and how to go on after it.
pub(crate) struct Appender {
    dir: PathBuf,
    stream: Stream,
    ledger: LedgerIdentity,
    segment_bytes: u64,
    preallocation_bytes: u64,
    active: Active,
    /// Records written, all of them durable.
    next: u64,
    /// Set when the content of the file is no longer known.
    stopped: bool,
    buffer: Vec<u8>,
}

impl Appender {
    /// Begins a stream with its first segment.
    pub(crate) fn create(
        dir: &Path,
        stream: Stream,
        ledger: &LedgerIdentity,
        options: &Options,
    ) -> Result<Self, Error> {
        let prior_root = match stream {
            Stream::Entries => crate::tree::Tree::new().root(),
            Stream::Checkpoints => Digest::ZERO,
        };
        let step = align(options.preallocation_bytes.max(1));
        let header = SegmentHeader {
            ledger: ledger.clone(),
            first: 0,
            prior_root,
        };
        let active = Active::create(dir, stream, &header, step)?;
        Ok(Self::with(dir, stream, ledger, options, active, 0))
    }

    /// Continues a stream: clears what was never synced, syncs what was read (it may be in the
    /// page cache only), and marks it.
    pub(crate) fn resume(
        dir: &Path,
        stream: Stream,
        ledger: &LedgerIdentity,
        options: &Options,
        at: &Resume,
    ) -> Result<Self, Error> {
        let active = Active::open(dir, stream, at)?;
        active.clear_tail()?;
        active.write(
            at.tail,
            &RecordHeader::bare(Kind::Mark, at.next).encode(&at.digest),
        )?;
        active.sync()?;
        Ok(Self::with(dir, stream, ledger, options, active, at.next))
    }

    fn with(
        dir: &Path,
        stream: Stream,
        ledger: &LedgerIdentity,
        options: &Options,
        active: Active,
        next: u64,
    ) -> Self {
        Self {
            dir: dir.to_owned(),
            stream,
            ledger: ledger.clone(),
            segment_bytes: options.segment_bytes.min(SEGMENT_BYTES_MAX),
            preallocation_bytes: align(options.preallocation_bytes.clamp(1, SEGMENT_BYTES_MAX / 4)),
            active,
            next,
            stopped: false,
            buffer: Vec::with_capacity(BATCH_BYTES_MAX / 4),
        }
    }

    /// Appends payloads with their leaf digests and returns where they are, once they are
    /// durable. Either all of them are, or an error is returned and none is acknowledged.
    pub(crate) fn append(
        &mut self,
        payloads: &[(&[u8], Digest)],
        root_before: Digest,
    ) -> Result<Vec<Place>, Error> {
        if self.stopped {
            return Err(Error::WriterStopped);
        }
        if self.active.tail >= self.segment_bytes && self.next > self.active.first {
            self.rotate(root_before)?;
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let mut places = Vec::with_capacity(payloads.len());
        let mut index = self.next;
        for (payload, leaf) in payloads {
            let tail = self.active.tail + u64::try_from(buffer.len()).unwrap_or(u64::MAX);
            places.push(Place {
                segment: self.active.first,
                offset: tail,
            });
            let length = u32::try_from(payload.len()).map_err(|_| Error::EntryTooLarge {
                bytes: payload.len(),
                limit: ENTRY_BYTES_MAX,
            })?;
            let header = RecordHeader {
                kind: Kind::Payload,
                length,
                index,
                durable: self.next,
                leaf: *leaf,
            };
            buffer.extend_from_slice(&header.encode(&self.active.digest));
            buffer.extend_from_slice(payload);
            index += 1;
        }
        let written = self.write_batch(&buffer, index);
        self.buffer = buffer;
        written.map(|()| places)
    }

    fn write_batch(&mut self, batch: &[u8], next: u64) -> Result<(), Error> {
        let tail = self.active.tail;
        let after = tail + u64::try_from(batch.len()).unwrap_or(u64::MAX);
        // Room for the mark or seal is part of it, so that sealing never needs new space.
        self.active
            .reserve(after + RECORD_HEADER_BYTES_U64, self.preallocation_bytes)?;
        if let Err(refused) = self.active.write(tail, batch) {
            // The space was there, so this is rare; what was written must not be found later.
            self.stopped = self.active.clear_tail().and_then(|()| self.mark()).is_err();
            return Err(refused);
        }
        // After a failed sync the kernel may have dropped the pages: nobody knows what is there.
        self.active.sync().inspect_err(|_| self.stopped = true)?;
        self.active.tail = after;
        self.next = next;
        // Not synced: if it is lost, so is at most the proof that this last batch was synced.
        self.mark().inspect_err(|_| self.stopped = true)
    }

    fn mark(&self) -> Result<(), Error> {
        let mark = RecordHeader::bare(Kind::Mark, self.next).encode(&self.active.digest);
        self.active.write(self.active.tail, &mark)
    }

    /// Begins the next segment, then seals this one: a crash in between leaves an empty newest
    /// segment behind an unsealed one, which opening completes.
    fn rotate(&mut self, prior_root: Digest) -> Result<(), Error> {
        let prior_root = match self.stream {
            Stream::Entries => prior_root,
            Stream::Checkpoints => Digest::ZERO,
        };
        let header = SegmentHeader {
            ledger: self.ledger.clone(),
            first: self.next,
            prior_root,
        };
        let new = Active::create(&self.dir, self.stream, &header, self.preallocation_bytes)?;
        self.active
            .seal(self.next)
            .inspect_err(|_| self.stopped = true)?;
        self.active = new;
        Ok(())
    }

    /// Number of records, all durable.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// First index of the newest segment.
    pub(crate) fn newest(&self) -> u64 {
        self.active.first
    }

    /// Makes the mark behind the last batch durable too.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.active.sync()
    }
}
