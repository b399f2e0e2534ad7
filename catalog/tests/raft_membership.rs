//! Members that come and go while writes go on: three voters become five and three again, a dead
//! one is replaced, a leader that stops hands over.
//!
//! It does not lose messages or power; the simulation does both.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be built is a failed test"
)]

#[expect(clippy::panic, reason = "a deadline that passes is a failed test")]
mod raft_world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use catalog::{Catalog, Error, Options};
use raft_world::{
    Place, World, assert_applied, by_admin, eventually, found_one, found_three, has, node, options,
    register, same_records,
};
use schemas::command::Command;
use tokio::task::JoinHandle;

/// Registers a further node and starts it; it has no part yet.
async fn further(world: &World, any: &Catalog, number: u64, options: &Options) -> (Place, Catalog) {
    let mut place = world.place(number).await;
    let started = world.start(&mut place, options).await;
    let node = Box::new(node(&place));
    let id = format!("register-node-{number}");
    let registered = any
        .propose(by_admin(&id, Command::RegisterNode { node }))
        .await;
    assert_applied(&registered.unwrap());
    (place, started)
}

/// Writes through one member until it is told to stop; each write must be applied.
struct Load {
    done: Arc<AtomicBool>,
    written: Arc<AtomicUsize>,
    task: JoinHandle<usize>,
}

impl Load {
    fn start(through: &Catalog) -> Self {
        let (done, written) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let task = tokio::spawn(write_on(
            through.clone(),
            Arc::clone(&done),
            Arc::clone(&written),
        ));
        Self {
            done,
            written,
            task,
        }
    }

    /// Waits for some more writes, so that a change falls among them.
    async fn more(&self) {
        let before = self.written.load(Ordering::Relaxed);
        eventually("more writes", || async {
            self.written.load(Ordering::Relaxed) > before + 5
        })
        .await;
    }

    async fn stop(self) -> usize {
        self.done.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

async fn write_on(through: Catalog, done: Arc<AtomicBool>, written: Arc<AtomicUsize>) -> usize {
    let mut count = 0;
    while !done.load(Ordering::Relaxed) {
        let proposal = register(&format!("load-{count}"));
        // Unknown outcomes are asked for again under the same identifier.
        eventually("a write under load", || {
            let (through, proposal) = (through.clone(), proposal.clone());
            async move { through.propose(proposal).await.is_ok() }
        })
        .await;
        count += 1;
        written.store(count, Ordering::Relaxed);
    }
    count
}

fn leader_of(members: &[&Catalog]) -> u64 {
    members
        .iter()
        .find_map(|member| member.status().leader)
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_voters_become_five_and_three_again_under_load() {
    let world = World::new();
    let options = Options {
        snapshot_entries: 30,
        snapshot_entries_kept: 4,
        ..options()
    };
    let (_places, first) = found_three(&world, &options).await;
    let mut members: Vec<Catalog> = first.into_iter().flatten().collect();
    let load = Load::start(&members[2]);
    for number in [4, 5] {
        load.more().await;
        let (place, started) = further(&world, &members[1], number, &options).await;
        members[1].add_voter(number, &place.address).await.unwrap();
        members.push(started);
    }
    eventually("five voters", || async {
        members[2].status().voters == [1, 2, 3, 4, 5]
    })
    .await;
    load.more().await;
    // The leader is among those that go.
    let leads = leader_of(&members.iter().collect::<Vec<_>>());
    let gone = if leads == 1 || leads == 2 {
        [1, 2]
    } else {
        [2, 1]
    };
    for number in gone {
        members[2].remove_member(number).await.unwrap();
        // Asking again does nothing.
        members[2].remove_member(number).await.unwrap();
        load.more().await;
    }
    let written = load.stop().await;
    let rest = [&members[2], &members[3], &members[4]];
    for member in rest {
        eventually("three voters", || async {
            member.status().voters == [3, 4, 5]
        })
        .await;
        let view = member.linearizable().await.unwrap();
        for number in 0..written {
            assert!(
                has(&view, &format!("load-{number}")),
                "write {number} is lost"
            );
        }
    }
    same_records(rest[0], rest[2]).await;
    for member in &members {
        member.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_member_is_replaced_and_its_records_stay() {
    let world = World::new();
    let options = options();
    let (_places, mut members) = found_three(&world, &options).await;
    assert_applied(
        &members[2]
            .as_ref()
            .unwrap()
            .propose(register("port"))
            .await
            .unwrap(),
    );
    members[2].take().unwrap().shutdown().await;
    let rest: Vec<&Catalog> = members.iter().flatten().collect();
    let (place, fourth) = further(&world, rest[0], 4, &options).await;
    rest[0].add_voter(4, &place.address).await.unwrap();
    rest[1].remove_member(3).await.unwrap();
    // Two of the three that are left are a majority again.
    rest[0].shutdown().await;
    let proposal = register("customs");
    eventually("a write without the first", || {
        let (rest, proposal) = (&rest, proposal.clone());
        async move { rest[1].propose(proposal).await.is_ok() }
    })
    .await;
    let view = fourth.linearizable().await.unwrap();
    assert!(has(&view, "port") && has(&view, "customs"));
    assert_eq!(fourth.status().voters, [1, 2, 4]);
    assert!(view.nodes().any(|it| it.raft_number == 3));
    fourth.shutdown().await;
    rest[1].shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_voter_stays_and_a_stranger_is_nobody() {
    let world = World::new();
    let (_place, catalog) = found_one(&world, &options()).await;
    let refused = catalog.remove_member(1).await.unwrap_err();
    assert!(
        matches!(&refused, Error::Membership { why } if why.contains("only voter")),
        "{refused}"
    );
    catalog.remove_member(9).await.unwrap();
    let unknown = catalog.add_voter(9, "127.0.0.1:1").await.unwrap_err();
    assert!(
        matches!(unknown, Error::NotRegistered { raft_number: 9 }),
        "{unknown}"
    );
    assert_applied(&catalog.propose(register("port")).await.unwrap());
    catalog.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_stops_has_handed_over() {
    let world = World::new();
    let (_places, members) = found_three(&world, &options()).await;
    let members: Vec<Catalog> = members.into_iter().flatten().collect();
    let leads = members[0].status().leader.unwrap();
    let at = usize::try_from(leads).unwrap() - 1;
    let other = &members[(at + 1) % 3];
    let began = tokio::time::Instant::now();
    let stopping = tokio::spawn({
        let leader = members[at].clone();
        async move { leader.shutdown().await }
    });
    eventually("another leader", || async {
        let status = other.status();
        status.leader.is_some_and(|leader| leader != leads)
    })
    .await;
    println!("another one leads after {:?}", began.elapsed());
    assert_applied(&other.propose(register("port")).await.unwrap());
    println!("and has written after {:?}", began.elapsed());
    stopping.await.unwrap();
    assert_ne!(other.status().leader, Some(leads));
    for member in &members {
        member.shutdown().await;
    }
}
