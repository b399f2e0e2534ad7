//! Appending, reading, searching and reopening.

use std::fs;

use crypto::SoftwareKey;
use futures::future::join_all;
use ledger::{Error, Filter};

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_appends_are_all_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(
        dir.path(),
        Options {
            batch_entries_max: 8,
            ..small()
        },
    );
    let appends = (0..300).map(|number| {
        let ledger = ledger.clone();
        tokio::spawn(async move { (ledger.append(entry(number)).await.unwrap(), entry(number)) })
    });
    let mut expected: Vec<_> = join_all(appends)
        .await
        .into_iter()
        .map(|joined| joined.unwrap())
        .collect();
    expected.sort_by_key(|(index, _)| *index);
    assert_eq!(all(&ledger), expected);
    let (size, root) = (ledger.size(), ledger.root());
    assert_eq!((size, ledger.unindexed()), (300, 0));
    ledger.close().await;

    let ledger = open(dir.path(), small());
    assert_eq!((ledger.size(), ledger.root()), (size, root));
    assert_eq!(all(&ledger), expected);
    let segments = fs::read_dir(dir.path().join("entries")).unwrap().count();
    assert!(segments > 3, "{segments} segments");
}

#[tokio::test]
async fn the_index_is_rebuilt_when_it_is_missing_and_completed_when_it_is_behind() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), small());
    for number in 0..10 {
        ledger.append(entry(number)).await.unwrap();
    }
    ledger.close().await;
    let copy = tempfile::tempdir().unwrap();
    copy_files(&dir.path().join("index"), &copy.path().join("index"));
    let ledger = open(dir.path(), small());
    for number in 10..20 {
        ledger.append(entry(number)).await.unwrap();
    }
    ledger.close().await;

    for state in ["current", "missing", "behind", "damaged"] {
        let index = dir.path().join("index");
        match state {
            "missing" => fs::remove_dir_all(&index).unwrap(),
            "behind" => {
                fs::remove_dir_all(&index).unwrap();
                copy_files(&copy.path().join("index"), &index);
            }
            "damaged" => {
                fs::remove_dir_all(&index).unwrap();
                fs::write(&index, "no directory").unwrap();
            }
            _ => {}
        }
        let ledger = match Ledger::open(dir.path(), identity(), small()) {
            Err(Error::File { .. }) if state == "damaged" => {
                // A file where the directory belongs is nobody's doing but an operator's.
                fs::remove_file(&index).unwrap();
                open(dir.path(), small())
            }
            opened => opened.unwrap(),
        };
        let said = ledger.index_rebuilt().is_some();
        // A folder that is not there, or no folder at all, is no index that could be damaged.
        assert!(!said, "{state}: {:?}", ledger.index_rebuilt());
        let about = Filter {
            dataset: Some(DatasetId::parse("dataset-1").unwrap()),
            ..Filter::default()
        };
        let page = ledger.search(&about, LedgerIndex(4), None, 100).unwrap();
        let expected: Vec<_> = [4, 7, 10, 13, 16, 19].map(LedgerIndex).into();
        assert_eq!((page.indices, page.total), (expected, 7), "{state}");
        let since = Filter {
            from: Some(entry(15).at),
            ..Filter::default()
        };
        let page = ledger.search(&since, LedgerIndex(0), None, 2).unwrap();
        assert_eq!(page.indices, [LedgerIndex(15), LedgerIndex(16)], "{state}");
        assert_eq!(
            (page.total, page.next),
            (5, Some(LedgerIndex(17))),
            "{state}"
        );
        assert_eq!(all(&ledger).len(), 20);
        ledger.close().await;
    }
}

#[tokio::test]
async fn another_identity_is_refused_and_so_is_a_second_process() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), small());
    ledger.append(entry(0)).await.unwrap();
    let second = Ledger::open(dir.path(), identity(), small());
    assert!(matches!(second, Err(Error::InUse { .. })));
    ledger.close().await;
    let next = LedgerIdentity {
        incarnation: 2,
        ..identity()
    };
    let refused = Ledger::open(dir.path(), next.clone(), small());
    let Err(Error::ForeignLedger { found, expected }) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((*found, *expected), (identity(), next));
    assert_eq!(open(dir.path(), small()).size(), 1);
}

#[tokio::test]
async fn a_checkpoint_is_kept_and_only_renewed_when_something_was_appended() {
    let dir = tempfile::tempdir().unwrap();
    let key = SoftwareKey::generate().unwrap();
    let ledger = open(dir.path(), tiny());
    let at = Timestamp::from_millis;
    let empty = ledger.checkpoint(&key, at(1)).await.unwrap();
    assert_eq!(ledger.checkpoint(&key, at(2)).await.unwrap(), empty);
    ledger.append(entry(0)).await.unwrap();
    let one = ledger.checkpoint(&key, at(3)).await.unwrap();
    assert_eq!(
        (one.body.size, one.body.root, one.body.at),
        (1, ledger.root(), at(3))
    );
    ledger::checkpoint::verify(&one, &identity(), key.public()).unwrap();
    let other = SoftwareKey::generate().unwrap();
    let renewed = ledger.checkpoint(&other, at(4)).await.unwrap();
    assert_eq!(
        (renewed.body.size, renewed.key),
        (1, other.public().key_id())
    );
    ledger.close().await;
    let ledger = open(dir.path(), tiny());
    assert_eq!(ledger.latest_checkpoint(), Some(renewed));
}

#[tokio::test]
async fn what_cannot_be_recorded_is_refused_with_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let ledger = open(dir.path(), small());
    let mut large = entry(0);
    large.trace = "t".repeat(ledger::ENTRY_BYTES_MAX);
    assert!(matches!(ledger.append(large).await, Err(Error::Record(_))));
    let missing = ledger.read(LedgerIndex(0));
    assert!(matches!(missing, Err(Error::NoSuchEntry { size: 0, .. })));
    let clone = ledger.clone();
    ledger.append(entry(0)).await.unwrap();
    ledger.close().await;
    assert!(matches!(clone.append(entry(1)).await, Err(Error::Closed)));
    assert_eq!(clone.read(LedgerIndex(0)).unwrap(), entry(0));
}

fn copy_files(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let path = item.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_files(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}
