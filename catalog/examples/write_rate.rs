//! How many commands a second three voters agree on: all in one process, over mutual TLS on the
//! loopback, 64 clients on three ingress nodes, commands of 1 KiB.
//!
//! It does not use several machines, so clients, signatures, syncs and three replicas share one
//! processor and one disk; compare its numbers only with others from the same machine.
//!
//! ```text
//! cargo run --release -p catalog --example write_rate -- \
//!     [clients] [seconds] [node|person] [in flight]
//! ```
//!
//! `node` proposes commands that nodes author and that cost no signature of their own; `person`
//! has each one signed by a person, and every replica verifies it, which is about 0.3 ms of a core
//! for each.

#[expect(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    reason = "the world of the tests, of which an example uses a part"
)]
#[path = "../tests/raft_world/mod.rs"]
mod raft_world;

use std::time::{Duration, Instant};

use catalog::{Catalog, Error, Options};
use raft_world::{World, by_admin, found_three, node_id, now, participant};
use schemas::command::{Author, Command, Proposal, SignedProposal};
use schemas::{CommandId, TransferId};
use tokio::task::JoinSet;

/// What a client proposes.
#[derive(Clone, Copy)]
enum Kind {
    Node,
    Person,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "an example prints what it measured")]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let clients: usize = arguments
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(64);
    let seconds: u64 = arguments
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(5);
    let kind = match arguments.next().as_deref() {
        Some("person") => Kind::Person,
        _ => Kind::Node,
    };
    let mut options = Options::default();
    if let Some(in_flight) = arguments.next().and_then(|text| text.parse().ok()) {
        options.batches_in_flight = in_flight;
    }
    let world = World::new();
    let (_places, members) = found_three(&world, &options).await;
    let members: Vec<Catalog> = members.into_iter().flatten().collect();
    run(&members, clients, Duration::from_secs(1), kind, "warm").await;
    let before = members[0].view().index();
    let mut spans = run(&members, clients, Duration::from_secs(seconds), kind, "run").await;
    let entries = members[0].view().index() - before;
    spans.sort_unstable();
    let at = |share: usize| {
        spans
            .get(spans.len() * share / 100)
            .copied()
            .unwrap_or_default()
    };
    println!(
        "{clients} clients: {} writes/s, p50 {:.2} ms, p99 {:.2} ms, {} writes an entry",
        spans.len() / usize::try_from(seconds).unwrap_or(1).max(1),
        at(50).as_secs_f64() * 1_000.0,
        at(99).as_secs_f64() * 1_000.0,
        spans.len() / usize::try_from(entries).unwrap_or(1).max(1),
    );
    for member in &members {
        member.shutdown().await;
    }
}

/// Each client proposes one command after the other; returns how long each took.
async fn run(
    members: &[Catalog],
    clients: usize,
    time: Duration,
    kind: Kind,
    name: &str,
) -> Vec<Duration> {
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        let at = client % members.len();
        let (member, number) = (members[at].clone(), members[at].status().raft_number);
        let name = format!("{name}-{client}");
        tasks.spawn(async move {
            let mut spans = Vec::new();
            let until = tokio::time::Instant::now() + time;
            for round in 0_u64.. {
                if tokio::time::Instant::now() >= until {
                    break;
                }
                let proposal = command(kind, number, &format!("{name}-{round}"));
                let began = stopwatch();
                match member.propose(proposal).await {
                    Ok(_) => spans.push(began.elapsed()),
                    Err(Error::Pushback { .. }) => tokio::task::yield_now().await,
                    Err(error) => panic_with(&error),
                }
            }
            spans
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

fn command(kind: Kind, number: u64, id: &str) -> SignedProposal {
    match kind {
        Kind::Node => {
            let transfer = TransferId::parse(format!("none-{id}"));
            let (Ok(id), Ok(transfer)) = (CommandId::parse(id), transfer) else {
                panic_with(&"an identifier is wrong")
            };
            SignedProposal::by_node(Proposal {
                id,
                author: Author::Node(node_id(number)),
                at: now(),
                command: Command::TerminateTransfer {
                    transfer,
                    because: "x".repeat(800),
                },
            })
        }
        Kind::Person => {
            let mut record = participant("authority");
            record.name.en = "x".repeat(400);
            let participant = Box::new(record);
            by_admin(id, Command::RegisterParticipant { participant })
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "an example measures how long things take"
)]
fn stopwatch() -> Instant {
    Instant::now()
}

#[expect(clippy::panic, reason = "an example that cannot go on ends")]
fn panic_with(why: &dyn std::fmt::Display) -> ! {
    panic!("{why}")
}
