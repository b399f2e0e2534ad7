//! Transfers between nodes: the provider's service and the consumer's job.
//!
//! It does not open raw tables and it does not decide. What it sends are files that
//! [`crate::materialise`] pinned under a permit; before every chunk it asks the release.
//!
//! ```text
//!  consumer                                   provider
//!   OpenTransfer (catalog) ------------------> sees it in its own view
//!   Open ------------------------------------> gate: decide, record, permit
//!                                              materialise, release, seal header
//!   <------------------------ signed offer --
//!   Chunks x 4 ------------------------------> release.check() before every chunk
//!   Finish (sealed) -------------------------> signed root over all chunks
//!   verify, Delta commit, sign receipt
//!   Complete(receipt) -----------------------> verify, record, end the release
//!   <---------------------- signed receipt --
//!   CompleteTransfer with both (catalog)
//! ```

mod channel;
mod chunks;
mod failure;
mod fetch;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod journal;
mod not_opened;
mod offer;
mod open;
mod provide;
mod receipts;
mod receive;
mod status;
mod store;
mod sweep;

pub(crate) use failure::Failure;
pub(crate) use provide::{TransferService, service};
pub(crate) use receive::run;

use crypto::Digest;

/// What `proto/transfer.proto` generates.
#[expect(
    unreachable_pub,
    unused_qualifications,
    clippy::too_many_lines,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code; the proto file carries the words"
)]
pub(crate) mod wire {
    tonic::include_proto!("kouan.transfer.v1");
}

/// Who is at the other end of a connection: SM3 of the public key of its verified certificate.
/// The listener puts it into every request's extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) Option<Digest>);

/// Plain bytes of a chunk, all but the last; the sealed stream's own chunk, so that both forms
/// cut alike.
pub(crate) const CHUNK_BYTES: usize = crypto::seal::CHUNK_BYTES;

/// Most bytes of a message that either side reads: a chunk with its tag and frame, or an offer of
/// the largest canonical record.
pub(crate) const MESSAGE_BYTES_MAX: usize = CHUNK_BYTES + (64 << 10);

/// Most chunks in one range: a quarter of a gigabyte, after which the consumer asks again.
pub(crate) const RANGE_CHUNKS_MAX: u64 = 256;

/// Streams of one release at one time.
pub(crate) const STREAMS_PER_RELEASE_MAX: usize = 8;

/// Streams that a consumer uses at one time.
pub(crate) const STREAMS: usize = 4;

/// Chunks of one stream that are sealed or opened at one time: as many as SM3 hashes side by side.
pub(crate) const BATCH_CHUNKS: usize = 16;

/// Whole batches that wait for lines at one time, on all streams of the node together: 256 MiB.
pub(crate) const BATCHES_MAX: usize = 16;

/// Releases that one node may have open here.
pub(crate) const RELEASES_PER_PEER_MAX: usize = 16;

/// Releases that are open here at one time; a sealed one keeps 32 bytes a chunk.
pub(crate) const RELEASES_MAX: usize = 256;

/// Opens that are being worked on at one time.
pub(crate) const OPENINGS_MAX: usize = 16;

/// How long a release may rest between two calls, in milliseconds. A consumer that was away longer
/// asks the gate again.
pub(crate) const RELEASE_IDLE_MAX_MS: i64 = 10 * 60 * 1_000;
