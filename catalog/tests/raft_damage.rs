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
use std::path::Path;

use catalog::{Options, Status};
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
