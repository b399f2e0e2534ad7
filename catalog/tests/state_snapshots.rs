//! A snapshot is the whole state or it is refused, with the first damaged record by name.
//!
//! It does not test where snapshots are kept; the shell does.

mod state_world;

use catalog::state::{RecordKey, SnapshotError, State};
use state_world::*;

#[test]
fn a_snapshot_gives_the_same_state_back() {
    for world in [World::empty(), World::founded(), World::granted()] {
        let bytes = world.state.to_snapshot().unwrap();
        let restored = State::from_snapshot(bytes.as_slice()).unwrap();
        assert_eq!(restored.snapshot_header(), world.state.snapshot_header());
        assert_eq!(restored.to_snapshot().unwrap(), bytes);
        let header = world.state.snapshot_header();
        let stored: Vec<_> = world.state.records().map(Result::unwrap).collect();
        let loaded = State::from_records(&header, stored).unwrap();
        assert_eq!(loaded.to_snapshot().unwrap(), bytes);
    }
}

#[test]
fn every_cut_and_every_changed_byte_of_a_snapshot_is_noticed() {
    let bytes = World::granted().state.to_snapshot().unwrap();
    for length in (0..bytes.len()).step_by(97) {
        assert!(
            State::from_snapshot(&bytes[..length]).is_err(),
            "cut at {length}"
        );
    }
    for place in (0..bytes.len()).step_by(53) {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        // The applied index in the header alone is not covered by the state digest.
        if let Ok(state) = State::from_snapshot(changed.as_slice()) {
            assert_eq!(
                state.digest(),
                World::granted().state.digest(),
                "changed at {place}"
            );
            assert_ne!(
                state.applied(),
                World::granted().state.applied(),
                "changed at {place}"
            );
        }
    }
}

#[test]
fn the_first_damaged_record_is_named() {
    let bytes = World::granted().state.to_snapshot().unwrap();
    let place = bytes
        .windows(12)
        .position(|it| it == b"customs:7001")
        .unwrap();
    let mut changed = bytes;
    changed[place] = b'C';
    let error = State::from_snapshot(changed.as_slice()).unwrap_err();
    let SnapshotError::RecordDamaged {
        key,
        expected,
        found,
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(key, "node/node-customs");
    assert_ne!(expected, found);
}

#[test]
fn a_vanished_a_foreign_and_a_misplaced_record_are_noticed() {
    let world = World::granted();
    let header = world.state.snapshot_header();
    let all: Vec<_> = world.state.records().map(Result::unwrap).collect();
    for gone in 0..all.len() {
        let mut fewer = all.clone();
        fewer.remove(gone);
        let error = State::from_records(&header, fewer).unwrap_err();
        assert!(
            matches!(error, SnapshotError::DigestMismatch { .. }),
            "{error}"
        );
    }
    let grant = RecordKey::parse("grant/g-r1").unwrap();
    let mut misplaced = all.clone();
    for (key, _) in &mut misplaced {
        if *key == grant {
            *key = RecordKey::parse("grant/g-r2").unwrap();
        }
    }
    let error = State::from_records(&header, misplaced).unwrap_err();
    assert!(
        matches!(error, SnapshotError::RecordUnreadable { .. }),
        "{error}"
    );
    let mut older = all;
    for (key, bytes) in &mut older {
        if *key == grant {
            *bytes = String::from_utf8(bytes.clone())
                .unwrap()
                .replace("ACTIVE", "REVOKED")
                .into();
        }
    }
    let error = State::from_records(&header, older).unwrap_err();
    assert!(
        matches!(error, SnapshotError::DigestMismatch { .. }),
        "{error}"
    );
}

#[test]
fn a_key_reads_back_from_its_text() {
    for (key, _) in World::granted().state.records().map(Result::unwrap) {
        assert_eq!(RecordKey::parse(&key.to_string()), Some(key));
    }
    for bad in ["", "grant", "rights/g-r1", "/x"] {
        assert_eq!(RecordKey::parse(bad), None, "{bad}");
    }
}
