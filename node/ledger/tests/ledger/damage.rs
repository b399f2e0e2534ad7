//! Every flipped byte, every cut, every missing file of a small ledger.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crypto::SoftwareKey;
use ledger::Error;
use ledger::fsck::{self, DamageKind};

use super::*;

/// Three entries in three segments, checkpoints over one and three of them; closed.
async fn build(dir: &Path) -> SoftwareKey {
    let key = SoftwareKey::generate().unwrap();
    let ledger = open(dir, tiny());
    ledger.append(entry(0)).await.unwrap();
    ledger.checkpoint(&key, entry(0).at).await.unwrap();
    ledger.append(entry(1)).await.unwrap();
    ledger.append(entry(2)).await.unwrap();
    ledger.checkpoint(&key, entry(2).at).await.unwrap();
    ledger.close().await;
    key
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["entries", "checkpoints"] {
        for item in fs::read_dir(dir.join(folder)).unwrap() {
            found.push(item.unwrap().path());
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_whole_ledger_has_no_damage_and_its_signatures_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let key = build(dir.path()).await;
    let report = fsck::check(dir.path(), Some(key.public())).unwrap();
    assert_eq!(report.damage, None);
    assert_eq!(
        (report.entries, report.checkpoints, report.signatures),
        (3, 2, 2)
    );
    assert_eq!(report.ledger, Some(identity()));
    let other = SoftwareKey::generate().unwrap();
    let report = fsck::check(dir.path(), Some(other.public())).unwrap();
    assert_eq!((report.signatures, report.foreign_signatures), (0, 2));
}

#[tokio::test]
async fn no_flipped_byte_passes_unnoticed() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path()).await;
    let files = files(dir.path());
    assert_eq!(files.len(), 5, "{files:?}");
    for path in files {
        let bytes = fs::read(&path).unwrap();
        let name = path.strip_prefix(dir.path()).unwrap().to_str().unwrap();
        let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        for (at, byte) in (0_u64..).zip(&bytes) {
            file.write_all_at(&[byte ^ 0x20], at).unwrap();
            let damage = fsck::check(dir.path(), None).unwrap().damage;
            let damage = damage.unwrap_or_else(|| panic!("byte {at} of {name} was flipped"));
            assert_eq!(damage.segment, name, "byte {at}");
            assert!(damage.offset <= at, "byte {at}: {damage:?}");
            file.write_all_at(&[*byte], at).unwrap();
        }
    }
    assert_eq!(fsck::check(dir.path(), None).unwrap().damage, None);
}

#[tokio::test]
async fn a_file_that_was_cut_anywhere_is_damage_and_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path()).await;
    for path in files(dir.path()) {
        let bytes = fs::read(&path).unwrap();
        // Every length near the records, then some of the zeros behind them.
        let lengths = (0..1_200).chain((1_200..bytes.len()).step_by(97));
        for length in lengths.filter(|length| *length < bytes.len()) {
            fs::write(&path, &bytes[..length]).unwrap();
            let damage = fsck::check(dir.path(), None).unwrap().damage.unwrap();
            assert_ne!(
                damage.kind,
                DamageKind::TornTail,
                "{path:?} cut to {length}"
            );
            if length % 50 == 0 {
                let refused = Ledger::open(dir.path(), identity(), tiny()).err();
                assert!(
                    matches!(refused, Some(Error::Tampered { .. })),
                    "{length}: {refused:?}"
                );
            }
        }
        fs::write(&path, &bytes).unwrap();
    }
    assert_eq!(open(dir.path(), tiny()).size(), 3);
}

#[tokio::test]
async fn a_missing_file_is_damage_and_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path()).await;
    for path in files(dir.path()) {
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        let damage = fsck::check(dir.path(), None).unwrap().damage.unwrap();
        assert_eq!(damage.kind, DamageKind::Missing, "{path:?}");
        for with_index in [true, false] {
            if !with_index {
                fs::remove_dir_all(dir.path().join("index")).unwrap();
            }
            let refused = Ledger::open(dir.path(), identity(), tiny()).err();
            assert!(
                matches!(refused, Some(Error::Tampered { .. })),
                "{path:?}: {refused:?}"
            );
        }
        fs::write(&path, &bytes).unwrap();
    }
}

#[tokio::test]
async fn a_ledger_that_was_rolled_back_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), small());
    ledger.append(entry(0)).await.unwrap();
    ledger.close().await;
    let segment = dir.path().join("entries/00000000000000000000.seg");
    let old = fs::read(&segment).unwrap();
    let ledger = open(dir.path(), small());
    ledger.append(entry(1)).await.unwrap();
    ledger.close().await;
    // An old copy of the file is intact in itself. The index knows better, however often it is
    // asked.
    fs::write(&segment, &old).unwrap();
    for _ in 0..3 {
        let refused = Ledger::open(dir.path(), identity(), small()).err();
        assert!(
            matches!(refused, Some(Error::Tampered { index: 1, .. })),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn a_rolled_back_ledger_is_found_by_its_checkpoint_without_an_index() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), small());
    ledger.append(entry(0)).await.unwrap();
    ledger.close().await;
    let segment = dir.path().join("entries/00000000000000000000.seg");
    let old = fs::read(&segment).unwrap();
    let ledger = open(dir.path(), small());
    ledger.append(entry(1)).await.unwrap();
    let key = SoftwareKey::generate().unwrap();
    ledger.checkpoint(&key, entry(1).at).await.unwrap();
    ledger.close().await;
    fs::write(&segment, &old).unwrap();
    fs::remove_dir_all(dir.path().join("index")).unwrap();
    let damage = fsck::check(dir.path(), Some(key.public()))
        .unwrap()
        .damage
        .unwrap();
    assert_eq!((damage.kind, damage.index), (DamageKind::Missing, 1));
    let refused = Ledger::open(dir.path(), identity(), small()).err();
    assert!(
        matches!(refused, Some(Error::Tampered { index: 1, .. })),
        "{refused:?}"
    );
}
