//! An ingress before each node's catalog, and signed commands to send to it.
//!
//! It does not go through REST: sign-in, gate and ledger are measured by `decision_rate`.

use std::net::SocketAddr;
use std::time::Duration;

use catalog::Catalog;
use conformance::Cluster;
use crypto::tls::{ClientAuth, TlsRoots, server_config};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use schemas::command::{Command, Outcome, SignedProposal};
use schemas::dataset::DatasetState;
use schemas::participant::Role;
use schemas::{DatasetId, LocalText};
use server::federation::now;
use server::init;
use tonic::{Request, Response, Status};

use super::Values;
use super::kv::kv_server::{Kv, KvServer};
use super::kv::{PutRequest, PutResponse};

/// Canonical bytes of a command, about; the card's summary is filled up to it.
const VALUE_BYTES: usize = 1_024;

/// Commands that are signed beforehand for each second and client: more than can be written.
const RATE_MAX: usize = 16_000;

/// Serves each node's catalog on a port of its own, in the nodes' runtime.
pub(crate) fn serve(cluster: &Cluster) -> Vec<SocketAddr> {
    let roots = std::fs::read_to_string(&cluster.federation().roots);
    let roots = TlsRoots::from_pem(&roots.expect("read the roots")).expect("roots");
    let serve = |at: usize| {
        let identity = cluster.standard_identity(at);
        let tls = server_config(&identity, ClientAuth::Required(&roots), &[b"h2"]).expect("TLS");
        let catalog = cluster.node(at).catalog().clone();
        cluster.run(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
            let listener = listener.expect("a free port");
            let address = listener.local_addr().expect("its address");
            let mut incoming = crypto::tls::incoming::accept(listener, tls);
            let routes = tonic::service::Routes::new(KvServer::new(Ingress(catalog))).prepare();
            tokio::spawn(async move {
                while let Some(stream) = incoming.next().await {
                    let service = TowerToHyperService::new(routes.clone());
                    tokio::spawn(async move {
                        let server = Builder::new(TokioExecutor::new()).http2_only();
                        // A client that goes away ends its connection.
                        let _ended = server.serve_connection(TokioIo::new(stream), service).await;
                    });
                }
            });
            address
        })
    };
    (0..3).map(serve).collect()
}

struct Ingress(Catalog);

#[tonic::async_trait]
impl Kv for Ingress {
    async fn put(&self, request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        let proposal: SignedProposal = serde_json::from_slice(&request.into_inner().value)
            .map_err(|error| Status::invalid_argument(error.to_string()))?;
        match self.0.propose(proposal).await {
            Ok(applied) => match applied.outcome {
                Outcome::Applied { .. } => Ok(Response::new(PutResponse {})),
                Outcome::Refused { code, detail } => {
                    Err(Status::failed_precondition(format!("{code}: {detail}")))
                }
            },
            Err(error) => Err(Status::unavailable(error.to_string())),
        }
    }
}

/// Cards that Guangzhou's steward signed, `made` of which were written before.
pub(crate) fn cards(
    cluster: &Cluster,
    clients: usize,
    time: Duration,
    made: &mut usize,
) -> Vec<Values> {
    let each = RATE_MAX * usize::try_from(time.as_millis()).unwrap_or(0) / 1_000 / clients + 64;
    let first = *made;
    *made += each * clients;
    let of = |client: usize| -> Values {
        let begin = first + client * each;
        let cards: Vec<PutRequest> = (begin..begin + each)
            .map(|number| card(cluster, number))
            .collect();
        Box::new(cards.into_iter())
    };
    std::thread::scope(|scope| {
        let halves: Vec<_> = (0..2)
            .map(|half| {
                scope.spawn(move || {
                    let mine = (0..clients).filter(|client| client % 2 == half);
                    mine.map(|client| (client, of(client))).collect::<Vec<_>>()
                })
            })
            .collect();
        let mut all: Vec<(usize, Values)> = halves
            .into_iter()
            .flat_map(|it| it.join().expect("signed cards"))
            .collect();
        all.sort_by_key(|(client, _)| *client);
        all.into_iter().map(|(_, values)| values).collect()
    })
}

fn card(cluster: &Cluster, number: usize) -> PutRequest {
    let member = cluster.member(1);
    let (described, _) = conformance::data::shipped("port-traffic");
    let provider = member.prepared.participant.id.clone();
    let mut dataset = described.into_dataset(provider, member.prepared.node.id.clone());
    dataset.id = DatasetId::parse(format!("card-{number}")).expect("an identifier");
    dataset.state = DatasetState::Draft;
    dataset.columns.truncate(1);
    dataset.quality_rules.clear();
    dataset.summary = LocalText::new("", "");
    let bare = schemas::canonical::to_bytes(&dataset)
        .expect("canonical bytes")
        .len();
    let fill = "x".repeat(VALUE_BYTES.saturating_sub(bare + COMMAND_BYTES));
    dataset.summary = LocalText::new("简介", fill);
    let command = Command::DescribeDataset {
        dataset: Box::new(dataset),
    };
    let steward = member.person(Role::DataSteward).expect("a steward");
    let signed = init::sign(&steward.record, &steward.key, command, now()).expect("sign a card");
    PutRequest {
        key: Vec::new(),
        value: serde_json::to_vec(&signed).expect("a JSON text"),
    }
}

/// What a command adds around its card.
const COMMAND_BYTES: usize = 240;
