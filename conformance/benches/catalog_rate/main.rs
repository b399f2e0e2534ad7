//! How many commands a second three voters agree on, beside etcd in the same run: `cargo bench
//! --workspace --bench catalog_rate -- [seconds] [clients ...]`.
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

mod etcd;
mod ours;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use conformance::Cluster;
use crypto::tls::{TlsIdentity, client_config, connect};
use hyper_util::rt::TokioIo;
use schemas::participant::Role;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint, Uri};

#[expect(
    unused_qualifications,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated code; the proto file carries the words"
)]
mod kv {
    tonic::include_proto!("etcdserverpb");
}

use kv::PutRequest;
use kv::kv_client::KvClient;

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
    let cluster = Cluster::start(3);
    // The steward signs in, so that her standard is there; her cards are signed below.
    let steward = cluster.sign_in(1, Role::DataSteward);
    conformance::errand::adopt(&steward, conformance::data::shipped("port-traffic").1);
    cluster.settle();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime for the clients");
    let ours = ours::serve(&cluster);
    let etcd = etcd::Members::start(&cluster);
    let place = |name: &str, to: &[SocketAddr]| Place {
        name: name.to_owned(),
        addresses: to.to_vec(),
        roots: cluster.standard_roots(),
        identity: Arc::new(cluster.standard_identity(0)),
    };
    let kouan = place("kouan, signed by a person", &ours);
    let peer = etcd.as_ref().map(|it| place("etcd", it.addresses()));
    let mut made = 0;
    for clients in clients {
        let mut results: [Vec<Taken>; 2] = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            let values = ours::cards(&cluster, clients, time + WARM_UP, &mut made);
            results[0].push(run(&runtime, &kouan, values, time));
            if let Some(peer) = &peer {
                let values = etcd::values(clients);
                results[1].push(run(&runtime, peer, values, time));
            }
        }
        report(clients, &kouan.name, &mut results[0]);
        if let Some(peer) = &peer {
            report(clients, &peer.name, &mut results[1]);
            let middle = |it: &[Taken]| it[it.len() / 2].rate;
            println!(
                "{clients:>4} clients: ratio {:.2}",
                middle(&results[0]) / middle(&results[1])
            );
        }
    }
}

/// One system: where its members take writes.
struct Place {
    name: String,
    addresses: Vec<SocketAddr>,
    roots: std::path::PathBuf,
    identity: Arc<TlsIdentity>,
}

/// What one client writes: keys with their values, made when asked for or before.
type Values = Box<dyn Iterator<Item = PutRequest> + Send>;

/// One round.
struct Taken {
    rate: f64,
    spans: Vec<Duration>,
}

fn run(runtime: &Runtime, place: &Place, values: Vec<Values>, time: Duration) -> Taken {
    runtime.block_on(async {
        let mut clients = Vec::new();
        for (at, values) in values.into_iter().enumerate() {
            let to = place.addresses[at % place.addresses.len()];
            clients.push((client(place, to).await, values));
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

async fn write(
    mut client: KvClient<Channel>,
    values: Values,
    begin: Instant,
    end: Instant,
) -> Vec<Duration> {
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

async fn client(place: &Place, to: SocketAddr) -> KvClient<Channel> {
    let roots = std::fs::read_to_string(&place.roots).expect("read the roots");
    let roots = crypto::tls::TlsRoots::from_pem(&roots).expect("roots");
    let tls = client_config(&roots, Some(&place.identity), &[b"h2"]).expect("a configuration");
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
    KvClient::new(channel)
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
