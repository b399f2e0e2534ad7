//! Backups of running members, and catalogs that begin again from one.

#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a fixture that cannot be built is a failed test; each test uses a part of it"
)]
mod raft_world;

use std::path::PathBuf;

use catalog::{Catalog, Error, RestoreOptions, restore};
use crypto::Digest;
use raft_world::{
    Place, World, assert_applied, by_admin, eventually, found_one, found_three, has, node, node_id,
    options, register, same_records, secret,
};
use schemas::backup::{BackupError, Expected, verify};
use schemas::command::Command;

#[expect(
    clippy::unwrap_used,
    reason = "what cannot be backed up is a failed test"
)]
async fn backup(catalog: &Catalog) -> Vec<u8> {
    catalog.backup().unwrap().write(Vec::new()).await.unwrap()
}

fn onto(place: &Place, dir: PathBuf) -> RestoreOptions {
    RestoreOptions {
        dir,
        node: node_id(place.number),
        raft_number: place.number,
        signing: secret(&format!("node-{}", place.number)).public().clone(),
        cluster: None,
        keys: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_burnt_down_begins_again_from_its_backup() {
    let world = World::new();
    let options = options();
    let (mut places, members) = found_three(&world, &options).await;
    let first = members[0].clone().unwrap();
    let kept: Vec<String> = (0..20).map(|number| format!("port-{number}")).collect();
    for id in &kept {
        assert_applied(&first.propose(register(id)).await.unwrap());
    }
    // A follower's backup is as good as the leader's.
    let follower = members.iter().flatten().find(|it| {
        let status = it.status();
        status
            .leader
            .is_some_and(|leader| leader != status.raft_number)
    });
    let follower = follower.unwrap();
    eventually("the follower has everything", || async {
        kept.iter().all(|id| has(&follower.view(), id))
    })
    .await;
    let taken = follower.backup().unwrap();
    let header = taken.header().clone();
    // Writing goes on while it is written, and is not part of it.
    let (bytes, later) = tokio::join!(taken.write(Vec::new()), first.propose(register("later")));
    let bytes = bytes.unwrap();
    assert_applied(&later.unwrap());
    let report = verify(bytes.as_slice(), &Expected::default()).unwrap();
    assert_eq!(report.header, header);
    assert_eq!(report.header.voters.len(), 3);
    assert_eq!(Some(header.cluster), first.cluster());
    for member in members.into_iter().flatten() {
        member.shutdown().await;
    }
    drop(first);

    let second = &mut places[1];
    second.dir = world.dir.path().join("restored");
    let restoring = onto(second, second.dir.clone());
    let restored = restore(restoring, std::io::Cursor::new(bytes))
        .await
        .unwrap();
    assert_eq!(restored, header);
    let catalog = world.start(second, &options).await;
    eventually("the restored voter leads", || async {
        catalog.status().leader == Some(2)
    })
    .await;
    let view = catalog.linearizable().await.unwrap();
    assert!(kept.iter().all(|id| has(&view, id)));
    assert!(!has(&view, "later"));
    assert!(view.index() >= header.index);
    assert_eq!(catalog.cluster(), Some(header.cluster));
    assert_eq!(catalog.status().voters, [2]);
    assert_applied(&catalog.propose(register("after")).await.unwrap());

    // Another member comes back with an empty directory.
    let third = &mut places[2];
    third.dir = world.dir.path().join("third-anew");
    let other = world.start(third, &options).await;
    catalog.add_voter(3, &third.address).await.unwrap();
    same_records(&catalog, &other).await;
    assert!(has(&other.view(), "after"));
    // And the restored one survives a restart like any other.
    catalog.shutdown().await;
    drop(catalog);
    let again = world.start(&mut places[1], &options).await;
    assert!(has(&again.linearizable().await.unwrap(), "after"));
    again.shutdown().await;
    other.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_this_nodes_sound_backup_is_refused_and_leaves_nothing_behind() {
    let world = World::new();
    let (place, catalog) = found_one(&world, &options()).await;
    assert_applied(&catalog.propose(register("port")).await.unwrap());
    let bytes = backup(&catalog).await;
    let cluster = catalog.cluster();
    catalog.shutdown().await;
    let dir = world.dir.path().join("restored");
    let good = RestoreOptions {
        cluster,
        ..onto(&place, dir.clone())
    };
    let refused = async |options: RestoreOptions, bytes: Vec<u8>| {
        let error = restore(options, std::io::Cursor::new(bytes))
            .await
            .unwrap_err();
        assert!(!dir.exists(), "{error}");
        error
    };
    let mut flipped = bytes.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let error = refused(good.clone(), flipped).await;
    let damaged = BackupError::ChunkDamaged { chunk: 0 }.to_string();
    assert_eq!(error.to_string(), damaged);
    let cut = bytes[..bytes.len() - 1].to_vec();
    let error = refused(good.clone(), cut).await;
    assert!(matches!(
        error,
        Error::Backup(BackupError::Truncated { .. })
    ));
    let elsewhere = RestoreOptions {
        cluster: Some(Digest::of(b"elsewhere")),
        ..good.clone()
    };
    let error = refused(elsewhere, bytes.clone()).await;
    assert!(matches!(
        error,
        Error::Backup(BackupError::AnotherCluster { .. })
    ));
    let untrusted = RestoreOptions {
        keys: vec![secret("somebody").public().clone()],
        ..good.clone()
    };
    let error = refused(untrusted, bytes.clone()).await;
    assert!(matches!(
        error,
        Error::Backup(BackupError::SignatureRejected { .. })
    ));
    let stranger = RestoreOptions {
        signing: secret("somebody").public().clone(),
        ..good.clone()
    };
    let error = refused(stranger, bytes.clone()).await;
    assert!(matches!(error, Error::NotInBackup { .. }));
    // A directory that holds something is left alone.
    let occupied = onto(&place, place.dir.clone());
    let error = restore(occupied, std::io::Cursor::new(bytes.clone())).await;
    assert!(matches!(error, Err(Error::NotEmpty { .. })));
    restore(good, std::io::Cursor::new(bytes)).await.unwrap();
    assert!(dir.join("snapshots").is_dir());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_backup_is_written_at_a_time_and_none_before_the_founding() {
    let world = World::new();
    let mut place = world.place(1).await;
    let catalog = world.start(&mut place, &options()).await;
    assert!(matches!(catalog.backup(), Err(Error::NotFounded)));
    assert_applied(&catalog.found(raft_world::founding(&place)).await.unwrap());
    let one = catalog.backup().unwrap();
    assert!(matches!(catalog.backup(), Err(Error::Pushback { .. })));
    drop(one);
    let command = Command::RegisterNode {
        node: Box::new(node(&world.place(2).await)),
    };
    assert_applied(&catalog.propose(by_admin("node-2", command)).await.unwrap());
    let report = verify(backup(&catalog).await.as_slice(), &Expected::default()).unwrap();
    assert_eq!(
        report.header.digest,
        catalog.backup().unwrap().header().digest
    );
    catalog.shutdown().await;
}
