//! The generated messages, and their conversion from and to openraft's types.
//!
//! It does not accept a message with a missing part: protobuf has no required fields, so each is
//! asked for by name here.

use bytes::Bytes;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, VoteRequest, VoteResponse,
};
use openraft::{CommittedLeaderId, LeaderId};
use schemas::Timestamp;

use crate::Error;
use crate::raft::codec::{decode_entry, encode_entry};
use crate::raft::types::{Entry, LogId, TypeConfig, Vote};

/// What `build.rs` generated from `proto/raft.proto`.
pub(crate) mod proto {
    #![expect(
        unreachable_pub,
        unnameable_types,
        unused_qualifications,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        clippy::too_many_lines,
        reason = "generated code says pub and full paths everywhere, and brings its own lints"
    )]
    tonic::include_proto!("kouan.raft.v1");
}

pub(crate) fn vote_to(vote: &Vote) -> proto::Vote {
    proto::Vote {
        term: vote.leader_id.term,
        node: vote.leader_id.node_id,
        committed: vote.committed,
    }
}

pub(crate) fn vote_from(vote: Option<proto::Vote>) -> Result<Vote, Error> {
    let vote = vote.ok_or_else(|| Error::malformed("message", "it has no vote"))?;
    Ok(Vote {
        leader_id: LeaderId::new(vote.term, vote.node),
        committed: vote.committed,
    })
}

fn id_to(id: &LogId) -> proto::LogId {
    proto::LogId {
        term: id.leader_id.term,
        node: id.leader_id.node_id,
        index: id.index,
    }
}

fn id_from(id: proto::LogId) -> LogId {
    LogId::new(CommittedLeaderId::new(id.term, id.node), id.index)
}

pub(crate) fn append_to(
    rpc: &AppendEntriesRequest<TypeConfig>,
    now: Timestamp,
) -> Result<proto::AppendRequest, Error> {
    let entries: Result<Vec<Bytes>, Error> = rpc.entries.iter().map(encode_entry).collect();
    Ok(proto::AppendRequest {
        vote: Some(vote_to(&rpc.vote)),
        previous: rpc.prev_log_id.as_ref().map(id_to),
        committed: rpc.leader_commit.as_ref().map(id_to),
        entries: entries?,
        sent_at_ms: now.millis(),
        ..proto::AppendRequest::default()
    })
}

pub(crate) fn append_from(
    message: proto::AppendRequest,
) -> Result<AppendEntriesRequest<TypeConfig>, Error> {
    let entries: Result<Vec<Entry>, Error> =
        message.entries.into_iter().map(decode_entry).collect();
    let entries = entries?;
    let prev_log_id = message.previous.map(id_from);
    // openraft trusts that entries follow each other; a peer's word is not enough for that.
    let mut next = prev_log_id.map_or(0, |id| id.index.saturating_add(1));
    for entry in &entries {
        if entry.log_id.index != next {
            return Err(Error::malformed(
                "append",
                "its entries do not follow each other",
            ));
        }
        next = next.saturating_add(1);
    }
    Ok(AppendEntriesRequest {
        vote: vote_from(message.vote)?,
        prev_log_id,
        entries,
        leader_commit: message.committed.map(id_from),
    })
}

pub(crate) fn appended_to(
    answer: &AppendEntriesResponse<u64>,
    now: Timestamp,
) -> proto::AppendReply {
    use proto::append_reply::Result as Kind;
    let (result, matching, higher) = match answer {
        AppendEntriesResponse::Success => (Kind::Success, None, None),
        AppendEntriesResponse::PartialSuccess(id) => (Kind::Partial, id.as_ref().map(id_to), None),
        AppendEntriesResponse::Conflict => (Kind::Conflict, None, None),
        AppendEntriesResponse::HigherVote(vote) => (Kind::HigherVote, None, Some(vote_to(vote))),
    };
    proto::AppendReply {
        result: result.into(),
        matching,
        higher,
        answered_at_ms: now.millis(),
        ..proto::AppendReply::default()
    }
}

pub(crate) fn appended_from(
    message: proto::AppendReply,
) -> Result<AppendEntriesResponse<u64>, Error> {
    use proto::append_reply::Result as Kind;
    Ok(match message.result() {
        Kind::Success => AppendEntriesResponse::Success,
        Kind::Partial => AppendEntriesResponse::PartialSuccess(message.matching.map(id_from)),
        Kind::Conflict => AppendEntriesResponse::Conflict,
        Kind::HigherVote => AppendEntriesResponse::HigherVote(vote_from(message.higher)?),
        Kind::Unspecified => return Err(Error::malformed("append reply", "it has no result")),
    })
}

pub(crate) fn ballot_to(rpc: &VoteRequest<u64>) -> proto::BallotRequest {
    proto::BallotRequest {
        vote: Some(vote_to(&rpc.vote)),
        last: rpc.last_log_id.as_ref().map(id_to),
    }
}

pub(crate) fn ballot_from(message: proto::BallotRequest) -> Result<VoteRequest<u64>, Error> {
    Ok(VoteRequest::new(
        vote_from(message.vote)?,
        message.last.map(id_from),
    ))
}

pub(crate) fn voted_to(answer: &VoteResponse<u64>) -> proto::BallotReply {
    proto::BallotReply {
        vote: Some(vote_to(&answer.vote)),
        granted: answer.vote_granted,
        last: answer.last_log_id.as_ref().map(id_to),
    }
}

pub(crate) fn voted_from(message: proto::BallotReply) -> Result<VoteResponse<u64>, Error> {
    let vote = vote_from(message.vote)?;
    Ok(VoteResponse::new(
        vote,
        message.last.map(id_from),
        message.granted,
    ))
}

pub(crate) fn piece_to(
    rpc: InstallSnapshotRequest<TypeConfig>,
) -> Result<proto::SnapshotRequest, Error> {
    let meta = serde_json::to_vec(&rpc.meta)
        .map_err(|source| Error::malformed("snapshot position", source))?;
    Ok(proto::SnapshotRequest {
        vote: Some(vote_to(&rpc.vote)),
        meta: Bytes::from(meta),
        offset: rpc.offset,
        data: Bytes::from(rpc.data),
        done: rpc.done,
    })
}

pub(crate) fn piece_from(
    message: proto::SnapshotRequest,
) -> Result<InstallSnapshotRequest<TypeConfig>, Error> {
    let meta = serde_json::from_slice(&message.meta)
        .map_err(|source| Error::malformed("snapshot position", source))?;
    let len = u64::try_from(message.data.len()).unwrap_or(u64::MAX);
    if message.offset.saturating_add(len) > SNAPSHOT_BYTES_MAX {
        return Err(Error::TooLarge {
            what: "snapshot",
            bytes: usize::try_from(message.offset).unwrap_or(usize::MAX),
            limit: usize::try_from(SNAPSHOT_BYTES_MAX).unwrap_or(usize::MAX),
        });
    }
    Ok(InstallSnapshotRequest {
        vote: vote_from(message.vote)?,
        meta,
        offset: message.offset,
        data: message.data.to_vec(),
        done: message.done,
    })
}

/// A leader could otherwise fill the disk. Ten million records of a kilobyte have a third of it.
const SNAPSHOT_BYTES_MAX: u64 = 32 << 30;
