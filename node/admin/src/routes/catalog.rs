//! The replicated catalog itself: leader, members, index, digest, and its backup.
//!
//! It does not change membership; that is a node operator's own tool. It does not restore a backup
//! either: a node does that before it starts.

use std::io::{BufWriter, Error as IoError, Result as IoResult, Write};
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use schemas::NodeId;
use schemas::code::Action;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio_stream::wrappers::ReceiverStream;

use super::Shared;
use crate::Error;
use crate::authn::Caller;
use crate::gate::{Target, admit};
use crate::openapi::answers;
use crate::problem::Failure;

/// How the catalog stands on this node.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct CatalogStatus {
    /// Which catalog: SM3 of the record of its founding. Null before it was founded.
    cluster: Option<String>,
    /// This node.
    node: NodeId,
    /// Its Raft number.
    raft_number: u64,
    /// The leader's Raft number, when one is known.
    leader: Option<u64>,
    /// Raft term.
    term: u64,
    /// Last log index applied here.
    applied: u64,
    /// Raft numbers of the voters.
    voters: Vec<u64>,
    /// SM3 root of the state at `applied`: equal on every replica at the same index.
    state_digest: String,
    /// Milliseconds since this replica last knew that it was current.
    age_ms: u64,
    /// The newest log index at which another member had the same records; null before the first
    /// comparison.
    agreed: Option<u64>,
    /// A member that has applied the same entries and does not have the same records.
    divergence: Option<Diverged>,
}

/// Where two members differ. An operator is needed.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Diverged {
    /// The Raft number of the other one.
    member: u64,
    /// The log index at which both were compared.
    index: u64,
    /// Kind and identifier of the first record that differs.
    record: Option<String>,
}

/// How the catalog stands on this node.
#[utoipa::path(get, path = "/api/v1/catalog", operation_id = "catalog_status",
    responses((status = 200, body = CatalogStatus), answers::Read),
    extensions(("x-action" = json!("participant.read"))))]
pub(crate) async fn status(
    State(parts): Shared,
    caller: Caller,
) -> Result<Json<CatalogStatus>, Failure> {
    admit(&parts, &caller, Action::ParticipantRead, Target::default()).await?;
    let status = parts.catalog.status();
    let cluster = parts.catalog.cluster();
    Ok(Json(CatalogStatus {
        cluster: cluster.map(|it| it.to_string()),
        node: status.node,
        raft_number: status.raft_number,
        leader: status.leader,
        term: status.term,
        applied: status.applied,
        voters: status.voters.into_iter().collect(),
        state_digest: status.state_digest.to_string(),
        age_ms: parts.catalog.staleness_ms(),
        agreed: status.agreed,
        divergence: status.divergence.map(|it| Diverged {
            member: it.member,
            index: it.index,
            record: it.difference.map(|it| it.record),
        }),
    }))
}

/// A backup of the whole catalog as this node has applied it, as `application/octet-stream`. It
/// ends with a signed seal: one that does not verify did not arrive whole.
#[utoipa::path(get, path = "/api/v1/catalog/backup", operation_id = "catalog_backup",
    responses((status = 200, description = "The backup, compressed, in the form of \
        `kouanctl catalog verify`"), answers::Backup),
    extensions(("x-action" = json!("node.operate"))))]
pub(crate) async fn backup(State(parts): Shared, caller: Caller) -> Result<Response, Failure> {
    admit(&parts, &caller, Action::NodeOperate, Target::default()).await?;
    let backup = parts
        .catalog
        .backup()
        .map_err(|error| caller.fail(Error::from(error)))?;
    let (pieces, read) = mpsc::channel(PIECES_WAITING_MAX);
    let pipe = Pipe {
        pieces: pieces.clone(),
    };
    let trace = caller.trace.0.clone();
    tokio::spawn(async move {
        let out = BufWriter::with_capacity(PIECE_BYTES, pipe);
        if let Err(error) = backup.write(out).await {
            tracing::warn!(%error, trace, "a backup was not written to its end");
            // Breaks the answer off. A receiver that is gone needs no word.
            let _ = pieces.send(Err(IoError::other("not whole"))).await;
        }
    });
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((kind, Body::from_stream(ReceiverStream::new(read))).into_response())
}

/// Where a thread that may block writes what an answer sends.
struct Pipe {
    pieces: mpsc::Sender<IoResult<Bytes>>,
}

impl Write for Pipe {
    /// Waits by sleeping: this may be called on any thread, also while a runtime shuts down.
    fn write(&mut self, bytes: &[u8]) -> IoResult<usize> {
        let mut piece = Ok(Bytes::copy_from_slice(bytes));
        let mut waited = Duration::ZERO;
        loop {
            match self.pieces.try_send(piece) {
                Ok(()) => return Ok(bytes.len()),
                Err(TrySendError::Closed(_)) => {
                    return Err(IoError::other("the receiver went away"));
                }
                Err(TrySendError::Full(_)) if waited >= STALL_TIME_MAX => {
                    return Err(IoError::other("the receiver takes nothing"));
                }
                Err(TrySendError::Full(back)) => {
                    piece = back;
                    std::thread::sleep(PAUSE);
                    waited += PAUSE;
                }
            }
        }
    }

    fn flush(&mut self) -> IoResult<()> {
        Ok(())
    }
}

/// Pieces that wait for a slow receiver.
const PIECES_WAITING_MAX: usize = 4;

/// One piece in bytes.
const PIECE_BYTES: usize = 256 << 10;

/// A receiver that takes nothing for so long holds up whoever wants a backup next.
const STALL_TIME_MAX: Duration = Duration::from_secs(60);

/// How long a full pipe is left alone: four pieces in this time are half a gigabyte a second.
const PAUSE: Duration = Duration::from_millis(2);
