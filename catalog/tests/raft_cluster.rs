//! Three voters: forwarding, linearizable reads, losing the leader, catching up.

#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a fixture that cannot be built is a failed test"
)]
mod raft_world;

use catalog::{Catalog, Error, Options};
use raft_world::{
    World, assert_applied, eventually, found_one, found_three, has, now, options, register,
    same_records,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_follower_forwards_another_follower_reads() {
    let world = World::new();
    let (_places, members) = found_three(&world, &options()).await;
    let members: Vec<Catalog> = members.into_iter().flatten().collect();
    let leader = members[0].status().leader.unwrap();
    let followers: Vec<&Catalog> = members
        .iter()
        .filter(|member| member.status().raft_number != leader)
        .collect();
    let applied = followers[0].propose(register("port")).await.unwrap();
    assert_applied(&applied);
    let view = followers[1].linearizable().await.unwrap();
    assert!(view.index() >= applied.index);
    assert!(has(&view, "port"));
    for member in &members {
        eventually("every member to know that it is current", || async {
            member.staleness_ms() < 10_000
        })
        .await;
        eventually("clocks to be compared", || async {
            member
                .clock_skew_ms()
                .is_some_and(|skew| skew.abs() < 5_000)
        })
        .await;
    }
    for member in &members {
        member.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_others_go_on_without_the_leader_and_it_catches_up() {
    let world = World::new();
    let options = options();
    let (mut places, mut members) = found_three(&world, &options).await;
    let leader = members[0].as_ref().unwrap().status().leader.unwrap();
    let at = usize::try_from(leader).unwrap() - 1;
    let gone = members[at].take().unwrap();
    gone.shutdown().await;
    drop(gone);
    let rest: Vec<&Catalog> = members.iter().flatten().collect();
    // Unknown outcomes are asked for again under the same identifier, as a client would.
    let proposal = register("port");
    eventually("a write without the old leader", || {
        let proposal = proposal.clone();
        let rest = &rest;
        async move { rest[1].propose(proposal).await.is_ok() }
    })
    .await;
    assert!(has(&rest[0].linearizable().await.unwrap(), "port"));
    let back = world.start(&mut places[at], &options).await;
    eventually("the old leader to catch up", || async {
        has(&back.view(), "port")
    })
    .await;
    same_records(&back, rest[0]).await;
    back.shutdown().await;
    for member in rest {
        member.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_lost_its_disk_is_added_again_and_gets_a_snapshot() {
    let world = World::new();
    let options = Options {
        snapshot_entries: 8,
        snapshot_entries_kept: 2,
        ..options()
    };
    let (mut places, mut members) = found_three(&world, &options).await;
    let leader = members[0].as_ref().unwrap().status().leader.unwrap();
    let lost = (1..=3).find(|number| *number != leader).unwrap();
    let at = usize::try_from(lost).unwrap() - 1;
    let gone = members[at].take().unwrap();
    gone.shutdown().await;
    drop(gone);
    std::fs::remove_dir_all(&places[at].dir).unwrap();
    let leading = members[usize::try_from(leader).unwrap() - 1]
        .as_ref()
        .unwrap();
    for number in 0..12 {
        assert_applied(
            &leading
                .propose(register(&format!("p{number}")))
                .await
                .unwrap(),
        );
    }
    let fresh = world.start(&mut places[at], &options).await;
    assert!(!fresh.status().admitted);
    leading.add_voter(lost, &places[at].address).await.unwrap();
    eventually("the fresh member to have everything", || async {
        has(&fresh.view(), "p11")
    })
    .await;
    same_records(&fresh, leading).await;
    eventually("three voters again", || async {
        fresh.status().voters == [1, 2, 3]
    })
    .await;
    let snapshots = std::fs::read_dir(places[at].dir.join("snapshots")).unwrap();
    let received = snapshots
        .filter(|file| file.as_ref().unwrap().path().extension().unwrap() == "snapshot")
        .count();
    assert!(received >= 1);
    assert_applied(&fresh.propose(register("after")).await.unwrap());
    fresh.shutdown().await;
    for member in members.iter().flatten() {
        member.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_nobody_registered_is_not_added() {
    let world = World::new();
    let (_place, catalog) = found_one(&world, &options()).await;
    let mut stranger = world.place(2).await;
    let other = world.start(&mut stranger, &options()).await;
    let refused = catalog.add_voter(2, &stranger.address).await;
    assert!(
        matches!(refused, Err(Error::NotRegistered { raft_number: 2 })),
        "{refused:?}"
    );
    other.shutdown().await;
    catalog.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_clock_is_an_hour_off_does_not_move_the_federation_by_an_hour() {
    let world = World::new();
    let (places, members) = found_three(&world, &options()).await;
    let members: Vec<&Catalog> = members.iter().flatten().collect();
    let leader = || members[0].status().leader;
    eventually("a leader whose clock was compared", || async {
        leader().is_some()
            && members
                .iter()
                .all(|member| member.clock_skew_ms().is_some())
    })
    .await;
    let hour = 3_600_000;
    let bad = leader().unwrap();
    let at = usize::try_from(bad).unwrap() - 1;
    for ahead in [hour, -hour] {
        places[at]
            .ahead_ms
            .store(ahead, std::sync::atomic::Ordering::Relaxed);
        eventually("the clock to be found wrong", || async {
            members[at]
                .clock_skew_ms()
                .is_some_and(|skew| (skew - ahead).abs() < 60_000)
        })
        .await;
        // Leader time goes on, and not by that clock, whoever leads by now.
        let before = members[at].view().leader_time();
        eventually("leader time to go on", || async {
            members[at].view().leader_time() > before
        })
        .await;
        let off = members[at].view().leader_time().millis_since(now());
        assert!(off.abs() < 60_000, "leader time is {off} ms off");
    }
    for member in members {
        member.shutdown().await;
    }
}
