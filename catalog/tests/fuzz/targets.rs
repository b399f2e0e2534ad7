//! What must hold for whatever a member proposes, and whatever a leader or a disk gives as state.
//!
//! It does not choose the bytes: the tests beside it do. Each function
//! says whether the bytes were valid.

use bytes::Bytes;
use catalog::state::{
    EncodedProposal, RecordKey, SNAPSHOT_FORMAT, Signer, SnapshotError, SnapshotHeader, State,
    VerifiedProposal, verify,
};
use crypto::Digest;
use schemas::CommandId;
use schemas::canonical;
use schemas::command::{Author, Outcome, Proposal};

use super::state_world::{World, at, public};

/// A proposal's canonical bytes: one form, and whatever it says, verifying it ends.
pub(crate) fn catalog_proposal(bytes: &[u8]) -> bool {
    let one = vec![(Bytes::copy_from_slice(bytes), None)];
    let Ok(Some(read)) = EncodedProposal::from_each(one).map(|mut read| read.pop()) else {
        return false;
    };
    assert_eq!(canonical::to_bytes(read.proposal()).as_deref(), Ok(bytes));
    assert_eq!(read.digest(), Digest::of(bytes));
    for world in worlds() {
        let verdict = verify(&world.state, &read);
        assert_eq!(verify(&world.state, &read), verdict);
    }
    true
}

/// A proposal applied in the name of its author: replicas do the same, what is written is what
/// changed, and a refusal changes nothing but the memory of it.
pub(crate) fn catalog_apply(bytes: &[u8]) -> bool {
    let Ok(mut proposal) = serde_json::from_slice::<Proposal>(bytes) else {
        return false;
    };
    // An identifier and a time that are not refused before the command is looked at.
    proposal.id = CommandId::parse("changed").expect("an identifier");
    for world in worlds() {
        let founded = world.state.authority().is_some();
        proposal.at = if founded {
            world.state.leader_time()
        } else {
            at(0)
        };
        let signer = signer_of(&proposal.author);
        let it = VerifiedProposal::insecure_assume_verified_for_tests(proposal.clone(), signer);
        let Ok(it) = it else {
            return true;
        };
        apply(world, &it);
    }
    true
}

fn apply(world: &World, it: &VerifiedProposal) {
    let (mut one, mut other) = (world.state.clone(), world.state.clone());
    let index = world.index + 1;
    let report = one.apply_recorded(index, std::slice::from_ref(it));
    assert_eq!(
        other.apply_recorded(index, std::slice::from_ref(it)),
        report
    );
    assert_eq!(one.digest(), other.digest(), "replicas differ");
    let mut records = world.records_with_commands();
    for (key, bytes) in report.written {
        match bytes {
            Some(bytes) => records.insert(key, bytes.to_vec()),
            None => records.remove(&key),
        };
    }
    let stored = State::from_records(&one.snapshot_header(), records);
    assert!(stored.is_ok(), "a store differs from the state: {stored:?}");
    if matches!(report.outcomes[..], [Outcome::Refused { .. }]) {
        let after = World {
            state: one,
            ..world.clone()
        };
        assert_eq!(
            after.records(),
            world.records(),
            "a refusal changed records"
        );
    }
}

fn signer_of(author: &Author) -> Signer {
    match author {
        Author::Person { person, .. } => Signer::Person(public(person.as_str()).key_id()),
        Author::Node(node) => Signer::Node {
            node: node.clone(),
            key: public(node.as_str()).key_id(),
        },
    }
}

fn worlds() -> [&'static World; 4] {
    static WORLDS: std::sync::LazyLock<[World; 4]> = std::sync::LazyLock::new(|| {
        [
            World::empty(),
            World::founded(),
            World::published(),
            World::granted(),
        ]
    });
    WORLDS.each_ref()
}

/// A stored record, `key` and JSON with a line feed between: read under its own key only, and
/// found again in a snapshot.
pub(crate) fn catalog_record(bytes: &[u8]) -> bool {
    let Some((key, record)) = std::str::from_utf8(bytes)
        .ok()
        .and_then(|text| text.split_once('\n'))
    else {
        return false;
    };
    let Some(key) = RecordKey::parse(key) else {
        return false;
    };
    let mut header = SnapshotHeader {
        format: SNAPSHOT_FORMAT,
        applied: 1,
        digest: Digest::ZERO,
        records: 1,
    };
    let read =
        |header: &SnapshotHeader| State::from_records(header, [(key.clone(), record.as_bytes())]);
    let Err(SnapshotError::DigestMismatch { found, .. }) = read(&header) else {
        return false;
    };
    header.digest = found;
    let state = read(&header).expect("the digest is right now");
    let [(again, written)] = &state.records().map(Result::unwrap).collect::<Vec<_>>()[..] else {
        panic!("one record was read");
    };
    assert_eq!((again, written.as_slice()), (&key, record.as_bytes()));
    is_kept_by_a_snapshot(&state);
    true
}

/// A snapshot, after its checksums and its digest were put right: a state or an error, and a state
/// is what its own snapshot says.
pub(crate) fn catalog_snapshot(bytes: &[u8]) -> bool {
    let as_it_is = State::from_snapshot(bytes).is_ok();
    let mut frames = frames(bytes);
    put_checksums_right(&mut frames);
    let state = match State::from_snapshot(joined(bytes, &frames).as_slice()) {
        Err(SnapshotError::DigestMismatch { found, records, .. }) => {
            let header = frames.first().and_then(|it| canonical::from_bytes(it).ok());
            let header: SnapshotHeader = header.expect("a header was read");
            let header = SnapshotHeader {
                digest: found,
                records,
                ..header
            };
            frames[0] = canonical::to_bytes(&header).expect("a header");
            State::from_snapshot(joined(bytes, &frames).as_slice())
        }
        read => read,
    };
    if let Ok(state) = &state {
        is_kept_by_a_snapshot(state);
    }
    as_it_is
}

fn is_kept_by_a_snapshot(state: &State) {
    let written = state.to_snapshot().expect("what was read can be written");
    let again = State::from_snapshot(written.as_slice()).expect("what was written can be read");
    assert_eq!(again.snapshot_header(), state.snapshot_header());
    assert_eq!(again.to_snapshot().ok(), Some(written));
}

/// The frames behind the magic, as far as there are whole ones.
fn frames(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = bytes.get(MAGIC_BYTES..).unwrap_or_default();
    let mut frames = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk() {
        let length = usize::try_from(u32::from_be_bytes(*length)).expect("64 bits");
        let Some((frame, behind)) = behind.split_at_checked(length) else {
            break;
        };
        frames.push(frame.to_vec());
        rest = behind;
    }
    frames
}

/// Each third frame is the SM3 of the one before it.
fn put_checksums_right(frames: &mut [Vec<u8>]) {
    for record in frames.get_mut(1..).unwrap_or_default().chunks_exact_mut(3) {
        record[2] = Digest::of(&record[1]).as_bytes().to_vec();
    }
}

fn joined(bytes: &[u8], frames: &[Vec<u8>]) -> Vec<u8> {
    let mut out = bytes[..bytes.len().min(MAGIC_BYTES)].to_vec();
    for frame in frames {
        let length = u32::try_from(frame.len()).expect("a frame that was read");
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(frame);
    }
    out
}

/// `kouan-state-1` and a line feed.
const MAGIC_BYTES: usize = 14;
