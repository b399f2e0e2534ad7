//! What must hold for whatever bytes a member sends, and whatever a log or a snapshot's head holds.
//!
//! It does not choose the bytes: `tests` does. Each function says whether
//! the bytes were valid.

use bytes::Bytes;
use openraft::EntryPayload;
use openraft::raft::InstallSnapshotRequest;
use prost::Message as _;
use schemas::Timestamp;

use crate::Error;

use super::codec::{decode_batch, decode_entry, encode_batch, encode_entry};
use super::snapshot::read_position;
use super::types::{SnapshotMeta, TypeConfig};
use super::wire::{self, proto};

/// A batch: one form.
pub fn raft_batch(bytes: &[u8]) -> bool {
    let bytes = Bytes::copy_from_slice(bytes);
    let Ok(read) = decode_batch(&bytes) else {
        return false;
    };
    assert_eq!(encode_batch(&read).ok().as_ref(), Some(&bytes));
    true
}

/// An entry of the log: one form, but for the members' JSON, which is read back as the same.
pub fn raft_entry(bytes: &[u8]) -> bool {
    let bytes = Bytes::copy_from_slice(bytes);
    let Ok(read) = decode_entry(bytes.clone()) else {
        return false;
    };
    let written = encode_entry(&read).unwrap_or_default();
    if !matches!(read.payload, EntryPayload::Membership(_)) {
        assert_eq!(written, bytes);
    }
    assert_eq!(decode_entry(written).ok(), Some(read));
    true
}

/// Entries from a leader: they follow each other, and are sent on as they came.
pub fn raft_append(bytes: &[u8]) -> bool {
    let Ok(message) = proto::AppendRequest::decode(bytes) else {
        return false;
    };
    let sent_at = Timestamp::from_millis(message.sent_at_ms);
    let Ok(read) = wire::append_from(message) else {
        return false;
    };
    let first = read.prev_log_id.map_or(0, |id| id.index.saturating_add(1));
    for (entry, at) in read.entries.iter().zip(0..) {
        assert_eq!(entry.log_id.index, first.saturating_add(at));
    }
    let written = wire::append_to(&read, sent_at).map(|it| it.encode_to_vec());
    let again = proto::AppendRequest::decode(written.unwrap_or_default().as_slice());
    let again = again.ok().and_then(|it| wire::append_from(it).ok());
    let same = again.is_some_and(|it| {
        (it.vote, it.prev_log_id, it.leader_commit, it.entries)
            == (
                read.vote,
                read.prev_log_id,
                read.leader_commit,
                read.entries,
            )
    });
    assert!(same, "what was read is not what is written");
    true
}

/// The other messages of members and their answers: each is sent on as it came. The first byte
/// says which.
pub fn raft_message(bytes: &[u8]) -> bool {
    let Some((kind, rest)) = bytes.split_first() else {
        return false;
    };
    match kind % 4 {
        0 => proto::AppendReply::decode(rest).is_ok_and(|it| {
            let at = Timestamp::from_millis(it.answered_at_ms);
            let to = |read: &_| wire::appended_to(read, at);
            is_kept(it, wire::appended_from, to)
        }),
        1 => proto::BallotRequest::decode(rest)
            .is_ok_and(|it| is_kept(it, wire::ballot_from, wire::ballot_to)),
        2 => proto::BallotReply::decode(rest)
            .is_ok_and(|it| is_kept(it, wire::voted_from, wire::voted_to)),
        _ => proto::SnapshotRequest::decode(rest).is_ok_and(|it| {
            let to = |read: &InstallSnapshotRequest<TypeConfig>| {
                wire::piece_to(read.clone()).unwrap_or_default()
            };
            is_kept(it, wire::piece_from, to)
        }),
    }
}

fn is_kept<M, T: PartialEq>(
    message: M,
    from: impl Fn(M) -> Result<T, Error>,
    to: impl Fn(&T) -> M,
) -> bool {
    let Ok(read) = from(message) else {
        return false;
    };
    let again = from(to(&read)).ok();
    assert!(again == Some(read), "what was read is not what is written");
    true
}

/// The head of a snapshot: its position, within its limit.
pub fn raft_position(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let Ok(read) = read_position(&mut rest) else {
        return false;
    };
    assert!(rest.len() < bytes.len());
    let again = serde_json::to_vec(&read)
        .ok()
        .and_then(|text| serde_json::from_slice::<SnapshotMeta>(&text).ok());
    assert_eq!(again.as_ref(), Some(&read));
    true
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use crypto::{Digest, KeyId, SoftwareKey};
    use mutate::Fuzz;
    use openraft::raft::{AppendEntriesRequest, AppendEntriesResponse, VoteRequest, VoteResponse};
    use openraft::{BasicNode, CommittedLeaderId, LeaderId, Membership};
    use schemas::command::{Author, Command, PersonSignature, Proposal, SignedProposal};
    use schemas::{CommandId, NodeId, ParticipantId, PersonId};

    use super::super::types::{Entry, LogId, Payload, StoredMembership, Vote};
    use super::*;
    use crate::state::{Batch, EncodedProposal};

    fn now() -> Timestamp {
        Timestamp::from_millis(1_790_000_000_000)
    }

    fn log_id(index: u64) -> LogId {
        LogId::new(CommittedLeaderId::new(3, 1), index)
    }

    fn vote() -> Vote {
        Vote {
            leader_id: LeaderId::new(3, 1),
            committed: true,
        }
    }

    fn members() -> Membership<u64, BasicNode> {
        let nodes: BTreeMap<u64, BasicNode> = (1..4)
            .map(|number| (number, BasicNode::new("127.0.0.1:1")))
            .collect();
        Membership::new(vec![BTreeSet::from([1, 2])], nodes)
    }

    fn proposal(author: Author, signature: Option<PersonSignature>) -> Arc<EncodedProposal> {
        let proposal = Proposal {
            id: CommandId::parse("tick-1").unwrap(),
            author,
            at: now(),
            command: Command::Tick { now: now() },
        };
        let signed = SignedProposal {
            proposal,
            signature,
        };
        Arc::new(EncodedProposal::new(signed).unwrap())
    }

    async fn batch() -> Bytes {
        let key = SoftwareKey::generate().unwrap();
        let node = NodeId::parse("node-1").unwrap();
        let empty = Batch::sign(node.clone(), Vec::new(), &key).await.unwrap();
        let person = Author::Person {
            participant: ParticipantId::parse("port").unwrap(),
            person: PersonId::parse("port-steward").unwrap(),
        };
        let signature = PersonSignature {
            key: KeyId::from_digest(Digest::of(b"key")),
            signature: empty.signature,
        };
        let proposals = vec![
            proposal(Author::Node(node.clone()), None),
            proposal(person, Some(signature)),
        ];
        encode_batch(&Batch::sign(node, proposals, &key).await.unwrap()).unwrap()
    }

    fn entries(batch: &Bytes) -> [Entry; 3] {
        let payloads = [
            EntryPayload::Blank,
            EntryPayload::Normal(Payload::from(vec![batch.to_vec(), b"other".to_vec()])),
            EntryPayload::Membership(members()),
        ];
        let mut index = 7;
        payloads.map(|payload| {
            index += 1;
            Entry {
                log_id: log_id(index),
                payload,
            }
        })
    }

    fn meta() -> SnapshotMeta {
        SnapshotMeta {
            last_log_id: Some(log_id(7)),
            last_membership: StoredMembership::new(Some(log_id(2)), members()),
            snapshot_id: "3-7-1".to_owned(),
        }
    }

    fn check(name: &str, seeds: &[Vec<u8>], runs: u32, target: fn(&[u8]) -> bool) {
        let words = [
            "\0\0\0\u{1}",
            "\u{1}",
            "\u{2}",
            "null",
            "[]",
            "{}",
            "18446744073709551615",
        ];
        let fuzz = Fuzz {
            name,
            seeds,
            words: &words,
            runs,
        };
        fuzz.run(target);
    }

    #[tokio::test]
    async fn changed_batches() {
        check("raft_batch", &[batch().await.to_vec()], 3_000, raft_batch);
    }

    #[tokio::test]
    async fn changed_entries_of_the_log() {
        let seeds = entries(&batch().await).map(|it| encode_entry(&it).unwrap().to_vec());
        check("raft_entry", &seeds, 5_000, raft_entry);
    }

    #[tokio::test]
    async fn changed_entries_of_a_leader() {
        let rpc = AppendEntriesRequest {
            vote: vote(),
            prev_log_id: Some(log_id(7)),
            entries: entries(&batch().await).to_vec(),
            leader_commit: Some(log_id(6)),
        };
        let seeds = [wire::append_to(&rpc, now()).unwrap().encode_to_vec()];
        check("raft_append", &seeds, 3_000, raft_append);
    }

    #[test]
    fn changed_messages_of_members() {
        let last = Some(log_id(7));
        let piece = InstallSnapshotRequest {
            vote: vote(),
            meta: meta(),
            offset: 1 << 20,
            data: b"data".to_vec(),
            done: true,
        };
        let reply = |answer| wire::appended_to(&answer, now()).encode_to_vec();
        let messages = [
            (0, reply(AppendEntriesResponse::PartialSuccess(last))),
            (0, reply(AppendEntriesResponse::HigherVote(vote()))),
            (
                1,
                wire::ballot_to(&VoteRequest::new(vote(), last)).encode_to_vec(),
            ),
            (
                2,
                wire::voted_to(&VoteResponse::new(vote(), last, true)).encode_to_vec(),
            ),
            (3, wire::piece_to(piece).unwrap().encode_to_vec()),
        ];
        let seeds = messages.map(|(kind, message)| [vec![kind], message].concat());
        check("raft_message", &seeds, 5_000, raft_message);
    }

    #[test]
    fn changed_positions_of_snapshots() {
        let position = serde_json::to_vec(&meta()).unwrap();
        let length = u32::try_from(position.len()).unwrap().to_be_bytes();
        let seeds = [[&b"kouan-snapshot-1\n"[..], &length, &position, b"state"].concat()];
        check("raft_position", &seeds, 3_000, raft_position);
    }
}
