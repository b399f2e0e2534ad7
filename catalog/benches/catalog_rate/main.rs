//! How many commands a second three voters agree on, beside etcd in the same run: `cargo bench -p
//! catalog --bench catalog_rate -- [seconds] [clients ...]`.
//!
//! It does not pass or fail: a figure belongs in RESULTS.md, with the machine it was taken on.
//!
//! Both systems have three members on this machine, TLS between members and towards clients, and
//! a sync before every answer. The same client writes values of 1 KiB to both, one call after the
//! other on a connection of its own, each third of the clients at another member. For the catalog
//! a value is a dataset card that a steward signed beforehand; each is verified by every replica
//! and applied. etcd's values are as long and mean nothing to it. Without an `etcd` on the PATH
//! (Debian: etcd-server) only our figures are printed.
#![expect(clippy::print_stdout, reason = "a program that prints its result")]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "what cannot be set up cannot be measured"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures how long things take"
)]

mod etcd;
mod kv;
mod ours;

#[expect(
    clippy::unwrap_used,
    dead_code,
    reason = "the world of the tests, of which a benchmark uses a part"
)]
#[path = "../../tests/raft_world/mod.rs"]
mod raft_world;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crypto::Validity;
use crypto::tls::{TlsAuthority, TlsIdentity, client_config, connect};
use hyper_util::rt::TokioIo;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tonic::transport::{Endpoint, Uri};

use kv::{Client, PutRequest};
use raft_world::now;

/// As in the program that runs the members.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Rounds of each system, in turn: the middle one counts.
const ROUNDS: usize = 3;

/// The first part of each round, which does not count.
const WARM_UP: Duration = Duration::from_millis(500);

fn main() {
    let numbers: Vec<usize> = std::env::args().filter_map(|it| it.parse().ok()).collect();
    let (seconds, clients) = match numbers.split_first() {
        Some((seconds, clients)) if !clients.is_empty() => (*seconds, clients.to_vec()),
        Some((seconds, _)) => (*seconds, vec![64]),
        None => (3, vec![64]),
    };
    let time = Duration::from_secs(u64::try_from(seconds).unwrap_or(3));
    let wire = Wire::new();
    let (members, runtime) = (threads("members"), threads("clients"));
    let ours = members.block_on(ours::Members::start(&wire));
    let etcd = etcd::Members::start(&wire);
    let mut made = 0;
    for clients in clients {
        let mut results: [Vec<Taken>; 2] = [Vec::new(), Vec::new()];
        let before = ours.entries();
        for _ in 0..ROUNDS {
            let values = ours::cards(clients, time + WARM_UP, &mut made);
            results[0].push(run(&runtime, &wire, ours.addresses(), values, time));
            if let Some(etcd) = &etcd {
                let values = etcd::values(clients);
                results[1].push(run(&runtime, &wire, etcd.addresses(), values, time));
            }
        }
        let entries = ours.entries() - before;
        report(clients, "kouan, signed by a person", &mut results[0]);
        println!("{clients:>4} clients  {entries} log entries over all rounds");
        if etcd.is_some() {
            report(clients, "etcd", &mut results[1]);
            let middle = |it: &[Taken]| it[it.len() / 2].rate;
            println!(
                "{clients:>4} clients: ratio {:.2}",
                middle(&results[0]) / middle(&results[1])
            );
        }
    }
    members.block_on(ours.stop());
}

fn threads(name: &str) -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .thread_name(name)
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// What clients of both systems trust and show: standard suites, which etcd speaks.
struct Wire {
    authority: TlsAuthority,
    dir: tempfile::TempDir,
}

impl Wire {
    fn new() -> Self {
        let authority = TlsAuthority::create("benchmark", validity()).expect("an authority");
        let dir = tempfile::tempdir().expect("a folder");
        Self { authority, dir }
    }

    fn identity(&self, name: &str) -> TlsIdentity {
        TlsIdentity::issue(&self.authority, name, &["localhost"], validity())
            .expect("a certificate")
    }
}

fn validity() -> Validity {
    Validity::days(now().millis() - 60_000, 1)
}

/// What one client writes: keys with their values, made when asked for or before.
type Values = Box<dyn Iterator<Item = PutRequest> + Send>;

/// One round.
struct Taken {
    rate: f64,
    spans: Vec<Duration>,
}

fn run(
    runtime: &Runtime,
    wire: &Wire,
    addresses: &[SocketAddr],
    values: Vec<Values>,
    time: Duration,
) -> Taken {
    runtime.block_on(async {
        let mut clients = Vec::new();
        for (at, values) in values.into_iter().enumerate() {
            let to = addresses[at % addresses.len()];
            clients.push((client(wire, to).await, values));
        }
        let begin = Instant::now() + WARM_UP;
        let mut tasks = JoinSet::new();
        for (client, values) in clients {
            tasks.spawn(write(client, values, begin, begin + time));
        }
        let mut spans: Vec<Duration> = tasks.join_all().await.into_iter().flatten().collect();
        spans.sort_unstable();
        Taken {
            rate: spans.len() as f64 / time.as_secs_f64(),
            spans,
        }
    })
}

async fn write(mut client: Client, values: Values, begin: Instant, end: Instant) -> Vec<Duration> {
    let mut spans = Vec::new();
    for value in values {
        let asked = Instant::now();
        if asked >= end {
            return spans;
        }
        client.put(value).await.expect("a write");
        if asked >= begin {
            spans.push(asked.elapsed());
        }
    }
    panic!("too few values were made beforehand");
}

async fn client(wire: &Wire, to: SocketAddr) -> Client {
    let roots = wire.authority.roots().expect("roots");
    let identity = wire.identity("client");
    let tls = client_config(&roots, Some(&identity), &[b"h2"]).expect("a configuration");
    let connector = tower::service_fn(move |_: Uri| {
        let tls = Arc::clone(&tls);
        async move {
            let stream = connect(to, "localhost", tls).await;
            stream
                .map(TokioIo::new)
                .map_err(|error| std::io::Error::other(error.to_string()))
        }
    });
    let channel = Endpoint::from_static("http://localhost")
        .connect_with_connector(connector)
        .await
        .expect("a connection");
    Client::new(channel)
}

fn report(clients: usize, name: &str, taken: &mut [Taken]) {
    taken.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    let middle = &taken[taken.len() / 2];
    let at =
        |share: usize| middle.spans[(middle.spans.len() - 1) * share / 100].as_secs_f64() * 1e3;
    println!(
        "{clients:>4} clients  {name:<28} {:>7.0} writes/s   p50 {:>6.2} ms   p99 {:>6.2} ms",
        middle.rate,
        at(50),
        at(99)
    );
}
