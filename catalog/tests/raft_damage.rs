//! Damaged stores: set aside, and the state brought back from snapshot and log.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be built is a failed test"
)]

#[expect(
    clippy::panic,
    dead_code,
    reason = "a deadline that passes is a failed test; each test uses a part of the world"
)]
mod raft_world;

use std::fs::{self, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use catalog::{Error, Options, Status};
use crypto::Digest;
use raft_world::{World, assert_applied, eventually, found_one, options, register};

const WRITES: usize = 60;

/// Writes records, stops, lets `damage` at sled's file, starts again and returns how the member
/// stands when it has everything again.
async fn after_damage(options: Options, damage: impl Fn(&Path)) -> (Digest, Status, usize) {
    let world = World::new();
    let (mut place, catalog) = found_one(&world, &options).await;
    for number in 0..WRITES {
        assert_applied(
            &catalog
                .propose(register(&format!("p{number}")))
                .await
                .unwrap(),
        );
    }
    catalog.shutdown().await;
    let before = catalog.view();
    drop(catalog);
    damage(&place.dir.join("state").join("db"));
    let catalog = world
        .start(
            &mut place,
            &Options {
                tick: std::time::Duration::from_secs(3_600),
                ..options
            },
        )
        .await;
    eventually("the member to apply everything again", || async {
        catalog.view().index() >= before.index() && catalog.view().digest() == before.digest()
    })
    .await;
    let status = catalog.status();
    catalog.shutdown().await;
    let aside = fs::read_dir(&place.dir).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("state.damaged-")
    });
    (before.digest(), status, aside.count())
}

/// Zeroes 64 KiB around each place where the file has a record's text: sled's file holds older
/// copies of a page too, and damage to those alone is none.
fn zero_a_record(db: &Path) {
    let bytes = fs::read(db).unwrap();
    let text = b"\"id\":\"p30\"";
    let mut file = OpenOptions::new().write(true).open(db).unwrap();
    let mut found = 0;
    for (at, _) in bytes
        .windows(text.len())
        .enumerate()
        .filter(|(_, window)| *window == text)
    {
        let from = at.saturating_sub(32 << 10);
        let len = (64 << 10).min(bytes.len() - from);
        file.seek(SeekFrom::Start(u64::try_from(from).unwrap()))
            .unwrap();
        file.write_all(&vec![0; len]).unwrap();
        found += 1;
    }
    assert!(found > 0, "the file does not have the record");
}

fn cut_in_half(db: &Path) {
    let len = fs::metadata(db).unwrap().len();
    OpenOptions::new()
        .write(true)
        .open(db)
        .unwrap()
        .set_len(len / 2)
        .unwrap();
}

/// Snapshots so rare that there is none, and the whole state comes from the log.
fn log_only() -> Options {
    options()
}

fn with_snapshots() -> Options {
    Options {
        snapshot_entries: 16,
        snapshot_entries_kept: 2,
        ..options()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zeroed_page_is_found_and_the_state_comes_back_from_the_log() {
    let (digest, status, aside) = after_damage(log_only(), zero_a_record).await;
    assert_eq!(status.state_digest, digest);
    assert!(status.damage.is_some());
    assert_eq!(aside, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zeroed_page_is_found_and_the_state_comes_back_from_a_snapshot() {
    let (digest, status, aside) = after_damage(with_snapshots(), zero_a_record).await;
    assert_eq!(status.state_digest, digest);
    assert!(status.damage.is_some());
    assert_eq!(aside, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_store_is_found_and_the_state_comes_back() {
    for options in [log_only(), with_snapshots()] {
        let (digest, status, aside) = after_damage(options, cut_in_half).await;
        assert_eq!(status.state_digest, digest);
        assert!(status.damage.is_some());
        assert_eq!(aside, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_not_one_is_set_aside() {
    let overwrite = |db: &Path| fs::write(db, b"not a store").unwrap();
    let (digest, status, aside) = after_damage(with_snapshots(), overwrite).await;
    assert_eq!(status.state_digest, digest);
    assert!(status.damage.is_some());
    assert_eq!(aside, 1);
}

/// Finished snapshots of a member, oldest first.
fn snapshots(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(dir.join("snapshots"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|its| its == extension))
        .collect();
    found.sort();
    found
}

/// Flips one bit in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

/// A member that wrote enough for several snapshots, stopped.
async fn stopped_with_snapshots(world: &World) -> (raft_world::Place, u64, Digest) {
    let (place, catalog) = found_one(world, &with_snapshots()).await;
    for number in 0..WRITES {
        let proposed = catalog.propose(register(&format!("p{number}"))).await;
        assert_applied(&proposed.unwrap());
    }
    eventually("a snapshot", || async {
        snapshots(&place.dir, "snapshot").len() == 2
    })
    .await;
    catalog.shutdown().await;
    let before = catalog.view();
    (place, before.index(), before.digest())
}

fn quiet() -> Options {
    Options {
        tick: std::time::Duration::from_secs(3_600),
        ..with_snapshots()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_of_a_snapshot_is_found_and_the_state_does_not_need_it() {
    let world = World::new();
    let (mut place, index, digest) = stopped_with_snapshots(&world).await;
    let newest = snapshots(&place.dir, "snapshot").pop().unwrap();
    flip(&newest);
    let catalog = world.start(&mut place, &quiet()).await;
    eventually("the member to apply everything again", || async {
        let view = catalog.view();
        view.index() >= index && view.digest() == digest
    })
    .await;
    assert_eq!(
        snapshots(&place.dir, "damaged"),
        [newest.with_extension("damaged")],
        "it is kept for whoever asks why"
    );
    assert!(!newest.exists());
    // It goes on, and writes snapshots that are whole again.
    for number in 0..WRITES {
        let proposed = catalog.propose(register(&format!("q{number}"))).await;
        assert_applied(&proposed.unwrap());
    }
    eventually("another snapshot", || async {
        snapshots(&place.dir, "snapshot").pop() > Some(newest.clone())
    })
    .await;
    catalog.shutdown().await;
    drop(catalog);
    let catalog = world.start(&mut place, &quiet()).await;
    assert_eq!(catalog.status().damage, None);
    assert_eq!(snapshots(&place.dir, "damaged").len(), 1);
    catalog.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_state_store_and_snapshot_a_member_does_not_start() {
    let world = World::new();
    let (mut place, ..) = stopped_with_snapshots(&world).await;
    for snapshot in snapshots(&place.dir, "snapshot") {
        flip(&snapshot);
    }
    let db = place.dir.join("state").join("db");
    fs::write(db, b"not a store").unwrap();
    // The log begins behind everything that can be read: there is no honest way to a state.
    let refused = world.try_start(&mut place, &quiet()).await.err();
    assert!(
        matches!(refused, Some(Error::CannotRebuild { .. })),
        "{refused:?}"
    );
    assert_eq!(snapshots(&place.dir, "damaged").len(), 2);
}
