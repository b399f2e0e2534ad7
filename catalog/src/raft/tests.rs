//! Tests that need what the crate does not show: the stores under openraft's own suite, message
//! bytes, and strangers at the door.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use openraft::entry::RaftEntry;
use openraft::testing::{StoreBuilder, Suite};
use openraft::{BasicNode, CommittedLeaderId, EntryPayload, Membership};
use proptest::prelude::*;
use schemas::CommandId;
use schemas::command::{Author, Command, Proposal, SignedProposal};
use tonic::{Code, Request};

use super::codec::{
    BATCH_BYTES_MAX, MESSAGE_BYTES_MAX, decode_batch, decode_entry, encode_batch, encode_entry,
};
use super::directory::Directory;
use super::flusher::Flusher;
use super::log_store::LogStore;
use super::opening::{Opened, open};
use super::options::Bootstrap;
use super::peers::{Peers, over_tls};
use super::published::Published;
use super::state_machine::StateMachine;
use super::types::{Entry, LogId, Payload, StorageError, TypeConfig};
use super::wire::proto;
use crate::state::{Batch, EncodedProposal, State};
use crate::{Clock, Error};

#[expect(dead_code, reason = "each test uses a part of the world")]
#[path = "../../tests/raft_world/mod.rs"]
pub(in crate::raft) mod raft_world;
use raft_world::{World, found_one, found_three, founding, options, register, secret};

struct Stores;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, tempfile::TempDir> for Stores {
    async fn build(&self) -> Result<(tempfile::TempDir, LogStore, StateMachine), StorageError> {
        let dir = tempfile::tempdir().unwrap();
        let Opened {
            log,
            snapshots,
            position,
            ..
        } = open(dir.path(), 1, Clock::system().now()).unwrap();
        let published = Arc::new(Published::new(position.state.clone()));
        let machine = StateMachine::new(position, published, Arc::new(Flusher::new()), snapshots);
        Ok((dir, log, machine))
    }
}

#[test]
fn log_and_state_machine_pass_the_suite_of_openraft() {
    Suite::test_all(Stores).unwrap();
}

fn log_id(term: u64, node: u64, index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(term, node), index)
}

fn entries() -> impl Strategy<Value = Entry> {
    let payload = prop_oneof![
        Just(EntryPayload::Blank),
        prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..5)
            .prop_map(|batches| EntryPayload::Normal(Payload::from(batches))),
        prop::collection::btree_set(1_u64..9, 1..4).prop_map(|voters| {
            let nodes: std::collections::BTreeMap<u64, BasicNode> = voters
                .iter()
                .map(|voter| (*voter, BasicNode::new("127.0.0.1:1")))
                .collect();
            EntryPayload::Membership(Membership::new(vec![voters], nodes))
        }),
    ];
    (any::<u64>(), any::<u64>(), any::<u64>(), payload).prop_map(|(term, node, index, payload)| {
        let mut entry = Entry::new_blank(log_id(term, node, index));
        entry.payload = payload;
        entry
    })
}

proptest! {
    #[test]
    fn an_entry_is_read_as_it_was_written(entry in entries()) {
        let bytes = encode_entry(&entry).unwrap();
        prop_assert_eq!(decode_entry(bytes).unwrap(), entry);
    }

    #[test]
    fn arbitrary_bytes_are_an_error_and_never_a_panic(bytes: Vec<u8>) {
        let bytes = Bytes::from(bytes);
        let _error_or_entry = decode_entry(bytes.clone());
        prop_assert!(decode_batch(&bytes).is_err());
    }

    #[test]
    fn a_cut_entry_is_an_error(entry in entries(), cut in any::<prop::sample::Index>()) {
        let bytes = encode_entry(&entry).unwrap();
        let at = cut.index(bytes.len());
        prop_assert!(decode_entry(bytes.slice(..at)).is_err());
    }
}

#[tokio::test]
async fn a_batch_is_read_as_it_was_signed_and_not_beyond_its_limit() {
    let key = crypto::SoftwareKey::new(secret("node-1"));
    let node = SignedProposal::by_node(Proposal {
        id: CommandId::parse("tick-1").unwrap(),
        author: Author::Node(raft_world::node_id(1)),
        at: raft_world::now(),
        command: Command::Tick {
            now: raft_world::now(),
        },
    });
    let proposals = [register("port"), node, register("customs")];
    let proposals = proposals.map(|it| Arc::new(EncodedProposal::new(it).unwrap()));
    let batch = Batch::sign(raft_world::node_id(1), proposals.into(), &key)
        .await
        .unwrap();
    let bytes = encode_batch(&batch).unwrap();
    assert_eq!(decode_batch(&bytes).unwrap(), batch);
    let long = Bytes::from(vec![1; BATCH_BYTES_MAX + 1]);
    assert!(matches!(decode_batch(&long), Err(Error::TooLarge { .. })));
}

/// A caller with the certificate of `place`, whose own catalog is empty.
fn caller(world: &World, place: &raft_world::Place, number: u64) -> Peers {
    let roots = world.tls.roots().unwrap();
    let tls = crypto::tls::client_config(&roots, Some(&place.identity), &[b"h2"]).unwrap();
    let published = Arc::new(Published::new(State::new()));
    let directory = Directory::new(Arc::clone(&published), Bootstrap::FederationRoot);
    let directory = Arc::new(directory);
    let connect = over_tls(tls.into(), Arc::clone(&directory));
    Peers::new(number, Clock::system(), published, directory, connect)
}

fn heartbeat(leader: u64) -> proto::AppendRequest {
    proto::AppendRequest {
        vote: Some(proto::Vote {
            term: 1_000,
            node: leader,
            committed: true,
        }),
        ..proto::AppendRequest::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_and_a_member_that_speaks_as_another_are_refused() {
    let world = World::new();
    let (place, catalog) = found_one(&world, &options()).await;
    let stranger = world.place(9).await;
    let call = |peers: Peers, leader: u64| {
        let address = place.address.clone();
        async move {
            let mut client = peers.client(1, &address);
            client
                .append(Request::new(heartbeat(leader)))
                .await
                .map(drop)
                .unwrap_err()
                .code()
        }
    };
    // Certified by the federation, but registered by nobody.
    assert_eq!(
        call(caller(&world, &stranger, 9), 9).await,
        Code::PermissionDenied
    );
    // Registered, but as member 1.
    assert_eq!(
        call(caller(&world, &place, 1), 3).await,
        Code::PermissionDenied
    );
    // Certified by somebody else: the handshake does not succeed.
    let elsewhere = World::new();
    let foreign = elsewhere.place(1).await;
    let roots = world.tls.roots().unwrap();
    let tls = crypto::tls::client_config(&roots, Some(&foreign.identity), &[b"h2"]).unwrap();
    let published = Arc::new(Published::new(State::new()));
    let directory = Directory::new(Arc::clone(&published), Bootstrap::FederationRoot);
    let directory = Arc::new(directory);
    let connect = over_tls(tls.into(), Arc::clone(&directory));
    let peers = Peers::new(1, Clock::system(), published, directory, connect);
    let code = call(peers, 1).await;
    assert!(
        matches!(code, Code::Unavailable | Code::Unknown | Code::Cancelled),
        "{code:?}"
    );
    assert_eq!(catalog.status().term, 1);
    catalog.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fresh_member_gives_no_vote_before_it_is_admitted() {
    let world = World::new();
    let mut place = world.place(2).await;
    let catalog = world.start(&mut place, &options()).await;
    let other = world.place(1).await;
    let mut client = caller(&world, &other, 1).client(2, &place.address);
    let ballot = || proto::BallotRequest {
        vote: Some(proto::Vote {
            term: 5,
            node: 1,
            committed: false,
        }),
        last: None,
    };
    let silent = client
        .request_vote(Request::new(ballot()))
        .await
        .unwrap_err();
    assert_eq!(silent.code(), Code::Unavailable);
    let admit = proto::AdmitRequest {
        raft_number: 2,
        ask_only: false,
    };
    assert!(
        client
            .admit(Request::new(admit))
            .await
            .unwrap()
            .into_inner()
            .fresh
    );
    let voted = client
        .request_vote(Request::new(ballot()))
        .await
        .unwrap()
        .into_inner();
    assert!(voted.granted);
    catalog.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_oversized_message_is_refused() {
    let world = World::new();
    let mut place = world.place(1).await;
    let catalog = world.start(&mut place, &options()).await;
    catalog.found(founding(&place)).await.unwrap();
    let mut client = caller(&world, &place, 1)
        .client(1, &place.address)
        .max_encoding_message_size(usize::MAX);
    let batch = Bytes::from(vec![1; MESSAGE_BYTES_MAX + 1]);
    let refused = client
        .propose(Request::new(proto::ProposeRequest { batch }))
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::OutOfRange);
    let batch = Bytes::from(vec![1; BATCH_BYTES_MAX + 1]);
    let refused = client
        .propose(Request::new(proto::ProposeRequest { batch }))
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
    catalog.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_followers_have_counts_only_when_the_leader_s_own_disk_has_it_too() {
    let world = World::new();
    let (_places, members) = found_three(&world, &options()).await;
    let members: Vec<_> = members.into_iter().flatten().collect();
    let leads = |member: &&crate::Catalog| {
        let status = member.status();
        status.leader == Some(status.raft_number)
    };
    let leader = members.iter().find(leads).unwrap();
    let slow = Arc::clone(&leader.log().slow_disk);
    // The lock is held on a thread of its own: a guard does not cross an await.
    let (free, freed) = std::sync::mpsc::channel::<()>();
    let (holds, held) = tokio::sync::oneshot::channel();
    let holder = std::thread::spawn(move || {
        let _slow = slow.lock().unwrap();
        holds.send(()).unwrap();
        let _end = freed.recv();
    });
    held.await.unwrap();
    let proposer = leader.clone();
    let mut proposed = tokio::spawn(async move { proposer.propose(register("early")).await });
    // The followers get it and answer, and nobody takes that for an agreement.
    let early = tokio::time::timeout(Duration::from_millis(800), &mut proposed).await;
    assert!(early.is_err(), "{early:?}");
    assert!(
        members
            .iter()
            .all(|it| !raft_world::has(&it.view(), "early"))
    );
    free.send(()).unwrap();
    holder.join().unwrap();
    raft_world::assert_applied(&proposed.await.unwrap().unwrap());
    for member in &members {
        member.shutdown().await;
    }
}

#[tokio::test]
async fn a_leader_that_comes_back_must_be_elected_again() {
    use openraft::Vote;
    use openraft::storage::{RaftLogStorage as _, RaftLogStorageExt as _};
    let dir = tempfile::tempdir().unwrap();
    let open = || open(dir.path(), 1, Clock::system().now()).unwrap().log;
    for (saved, read) in [
        (Vote::new_committed(3, 1), Vote::new(3, 1)),
        (Vote::new_committed(4, 2), Vote::new_committed(4, 2)),
        (Vote::new(5, 2), Vote::new(5, 2)),
    ] {
        open().save_vote(&saved).await.unwrap();
        assert_eq!(open().read_vote().await.unwrap(), Some(read));
    }
    // With the only vote, it leads at once; not when an entry gave votes to others since.
    let own = Vote::new_committed(6, 1);
    let alone = Membership::new(vec![[1].into()], None);
    let stored = super::types::StoredMembership::new(Some(log_id(6, 1, 0)), alone);
    let mut log = open();
    log.save_vote(&own).await.unwrap();
    log.stood(1, &stored, Some(log_id(6, 1, 0))).unwrap();
    assert_eq!(log.read_vote().await.unwrap(), Some(own));
    let mut change = Entry::new_blank(log_id(6, 1, 1));
    change.payload = EntryPayload::Membership(Membership::new(vec![[1, 2].into()], None));
    log.blocking_append([change]).await.unwrap();
    log.stood(1, &stored, Some(log_id(6, 1, 0))).unwrap();
    assert_eq!(log.read_vote().await.unwrap(), Some(Vote::new(6, 1)));
    let others = super::types::StoredMembership::default();
    log.stood(1, &others, None).unwrap();
    assert_eq!(log.read_vote().await.unwrap(), Some(Vote::new(6, 1)));
}
