use std::collections::VecDeque;

use futures::FutureExt as _;
use proptest::prelude::*;
use schemas::canonical;

use super::*;
use crate::raft::flusher::{Position, write_whole};
use crate::raft::opening::{Opened, open};
use crate::state::{RecordKey, SNAPSHOT_FORMAT, SnapshotHeader};
use crate::{Clock, Options};

use crate::raft::tests::raft_world;
use raft_world::{World, assert_applied, eventually, found_three, options, participant, register};

/// A state at an index with these participants and names.
fn state(index: u64, participants: &[(&str, &str)]) -> State {
    let mut digests = crypto::merkle::map::MerkleMap::new();
    let mut records = Vec::new();
    for (id, name) in participants {
        let mut record = participant(id);
        record.name.en = (*name).to_owned();
        let bytes = canonical::to_bytes(&record).unwrap();
        let key = RecordKey::parse(&format!("participant/{id}")).unwrap();
        digests.insert(key.as_str().as_bytes(), Digest::of(&bytes));
        records.push((key, bytes));
    }
    let header = SnapshotHeader {
        format: SNAPSHOT_FORMAT,
        applied: index,
        digest: digests.root(),
        records: digests.len(),
    };
    State::from_records(&header, records).unwrap()
}

fn member(states: Vec<State>) -> Published {
    let mut states = VecDeque::from(states);
    let published = Published::new(states.pop_front().unwrap());
    for state in states {
        published.show(state, 0);
    }
    published
}

/// What comparing with `other` gives, through messages.
fn compared(own: &Published, other: &Published) -> Option<Result<u64, Divergence>> {
    let ask = |ask: Ask| -> BoxFuture<'_, Result<Answer, CallFailure>> {
        let read = ask_from(ask_to(&ask)).unwrap();
        let answered = answer_from(&ask, answer_to(answer(other, &read)));
        futures::future::ready(Ok(answered)).boxed()
    };
    compare(own, 2, ask).now_or_never().unwrap().unwrap()
}

#[test]
fn members_are_compared_at_the_newest_index_that_both_keep() {
    let some = [("a", "A"), ("b", "B")];
    let own = member(vec![state(1, &some), state(3, &some), state(7, &some)]);
    let other = member(vec![state(2, &[]), state(3, &some), state(8, &[])]);
    assert_eq!(compared(&own, &other), Some(Ok(3)));
    assert_eq!(compared(&own, &member(vec![state(9, &some)])), None);
}

#[test]
fn the_record_that_was_changed_is_missing_or_is_too_many_is_named() {
    let ours = [("a", "A"), ("b", "B"), ("c", "C")];
    type Theirs<'a> = (&'a [(&'a str, &'a str)], &'a str, bool, bool);
    let theirs: [Theirs<'_>; 3] = [
        (
            &[("a", "A"), ("b", "another"), ("c", "C")],
            "participant/b",
            true,
            true,
        ),
        (&[("a", "A"), ("b", "B")], "participant/c", true, false),
        (
            &[ours[0], ours[1], ours[2], ("d", "D")],
            "participant/d",
            false,
            true,
        ),
    ];
    for (theirs, record, here, there) in theirs {
        let own = member(vec![state(5, &ours)]);
        let other = member(vec![state(5, theirs)]);
        let Some(Err(found)) = compared(&own, &other) else {
            panic!("{record} was not noticed");
        };
        assert_eq!((found.member, found.index), (2, 5));
        let difference = found.difference.unwrap();
        assert_eq!(difference.record, record);
        assert_eq!(
            (difference.ours.is_some(), difference.theirs.is_some()),
            (here, there)
        );
    }
}

#[test]
fn a_member_keeps_so_many_states_and_no_more() {
    let own = member((1..200).map(|index| state(index, &[])).collect());
    let kept = own.kept_indexes();
    assert_eq!((kept.len(), kept.iter().max()), (STATES_KEPT, Some(&199)));
    assert!(own.kept(1).is_none() && own.kept(199).is_some());
}

fn reply() -> impl Strategy<Value = proto::CompareReply> {
    let digest = prop_oneof![Just(32_usize), 0_usize..40].prop_map(|length| vec![7_u8; length]);
    let digests = prop::collection::vec(digest.prop_map(Bytes::from), 0..300);
    let keys = prop::collection::vec("[a-z/]{0,9}", 0..5);
    (any::<u64>(), digests, keys).prop_map(|(index, digests, keys)| proto::CompareReply {
        index,
        digests,
        keys,
    })
}

proptest! {
    #[test]
    fn whatever_a_member_answers_is_read_or_is_nothing(reply in reply()) {
        for ask in [Ask::Digest(vec![1]), Ask::Parts(1), Ask::Part(1, 0)] {
            let _read_or_gone = answer_from(&ask, reply.clone());
        }
    }

    #[test]
    fn whatever_a_member_asks_is_answered_or_refused(
        indexes in prop::collection::vec(any::<u64>(), 0..100),
        parts: bool,
        part: Option<u32>,
    ) {
        let own = member(vec![state(5, &[("a", "A")])]);
        if let Ok(ask) = ask_from(proto::CompareRequest { indexes, parts, part }) {
            let _answer = answer(&own, &ask);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_was_edited_on_one_members_disk_raises_the_alarm() {
    let world = World::new();
    let options = Options {
        compare: Duration::from_millis(100),
        ..options()
    };
    let (mut places, mut members) = found_three(&world, &options).await;
    let first = members[0].clone().unwrap();
    assert_applied(&first.propose(register("port")).await.unwrap());
    for member in members.iter().flatten() {
        eventually("members agree", || async {
            member.status().agreed.is_some()
        })
        .await;
        assert_eq!(member.status().divergence, None);
    }
    let third = members[2].take().unwrap();
    third.shutdown().await;
    drop(third);
    edit(&places[2].dir).await;
    let third = world.start(&mut places[2], &options).await;
    eventually("the alarm", || async {
        third.status().divergence.is_some()
    })
    .await;
    let divergence = third.status().divergence.unwrap();
    assert_eq!(divergence.difference.unwrap().record, "participant/port");
    third.shutdown().await;
    for member in members.into_iter().flatten() {
        member.shutdown().await;
    }
}

/// Writes another name into a record, and a digest that fits.
async fn edit(dir: &std::path::Path) {
    let opened = loop {
        // The log of the member's last life is not closed yet.
        match open(dir, 3, Clock::system().now()) {
            Ok(opened) => break opened,
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    };
    let Opened {
        log,
        store,
        position,
        ..
    } = opened;
    let mut edited = participant("port");
    edited.name.en = "somebody else".to_owned();
    let bytes = canonical::to_bytes(&edited).unwrap();
    let mut state = position.state.clone();
    state.edit_for_tests("participant/port", &bytes);
    write_whole(&store, &Position { state, ..position }).unwrap();
    drop((log, store));
}
