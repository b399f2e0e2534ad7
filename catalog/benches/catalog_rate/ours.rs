//! Three members, an ingress before each, and signed commands to send to it.
//!
//! It does not go through REST: sign-in, gate and ledger are measured by `decision_rate`.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use catalog::{Catalog, Options};
use crypto::SecretKey;
use crypto::tls::{ClientAuth, Family, server_config};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use schemas::command::Command;
use schemas::dataset::{Column, Dataset, DatasetState, Sensitivity, ShareAttribute, UpdateCycle};
use schemas::quality::{Ppm, QualityGate};
use schemas::resource::ResourceEntry;
use schemas::standard::{DataStandard, Reading};
use schemas::{
    DatasetId, Grade, LocalText, ParticipantId, StandardEdition, StandardId, Visibility,
};

use super::kv::{Ingress, PutRequest};
use super::{Values, Wire};
use crate::raft_world::{World, assert_applied, by, found_three, node_id, secret, signed_by};

/// Canonical bytes of a command, about; the card's summary is filled up to it.
const VALUE_BYTES: usize = 1_024;

/// What a command adds around its card.
const COMMAND_BYTES: usize = 240;

/// Commands that are signed beforehand for each second and client: more than can be written.
const RATE_MAX: usize = 10_000;

/// The members; they speak RFC 8998 among themselves, as nodes do unless told otherwise.
pub(crate) struct Members {
    _world: World,
    catalogs: Vec<Catalog>,
    clients: Vec<SocketAddr>,
}

impl Members {
    /// Founds the catalog and opens an ingress for clients at each member.
    pub(crate) async fn start(wire: &Wire) -> Self {
        let world = World::of(Family::ShangMi);
        let (_places, members) = found_three(&world, &Options::default()).await;
        let catalogs: Vec<Catalog> = members.into_iter().flatten().collect();
        let standard = Box::new(DataStandard {
            edition: edition(),
            title: LocalText::new("靠泊", "Berth calls"),
            row_schema: "{}".to_owned(),
            reading: Reading::default(),
        });
        let adopt = by("steward", "adopt", Command::AdoptStandard { standard });
        assert_applied(&catalogs[0].propose(adopt).await.expect("a standard"));
        let mut clients = Vec::new();
        for catalog in &catalogs {
            clients.push(serve(wire, catalog.clone()).await);
        }
        Self {
            _world: world,
            catalogs,
            clients,
        }
    }

    /// Where clients write.
    pub(crate) fn addresses(&self) -> &[SocketAddr] {
        &self.clients
    }

    /// Log entries up to now.
    pub(crate) fn entries(&self) -> u64 {
        self.catalogs[0].view().index()
    }

    pub(crate) async fn stop(self) {
        for catalog in &self.catalogs {
            catalog.shutdown().await;
        }
    }
}

async fn serve(wire: &Wire, catalog: Catalog) -> SocketAddr {
    let identity = wire.identity("localhost");
    let roots = wire.authority.roots().expect("roots");
    let tls = server_config(&identity, ClientAuth::Required(&roots), &[b"h2"]).expect("TLS");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a free port");
    let address = listener.local_addr().expect("its address");
    let mut incoming = crypto::tls::incoming::accept(listener, tls);
    tokio::spawn(async move {
        while let Some(stream) = incoming.next().await {
            let service = TowerToHyperService::new(Ingress(catalog.clone()));
            tokio::spawn(async move {
                let server = Builder::new(TokioExecutor::new()).http2_only();
                // A client that goes away ends its connection.
                let _ended = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    address
}

fn edition() -> StandardEdition {
    StandardEdition {
        standard: StandardId::parse("berth-calls").expect("an identifier"),
        edition: 1,
    }
}

/// Cards that a steward signed, `made` of which were written before.
pub(crate) fn cards(clients: usize, time: Duration, made: &mut usize) -> Vec<Values> {
    let each = RATE_MAX * usize::try_from(time.as_millis()).unwrap_or(0) / 1_000 / clients + 64;
    let first = *made;
    *made += each * clients;
    let key = secret("steward");
    let of = |client: usize| -> Values {
        let begin = first + client * each;
        let cards: Vec<PutRequest> = (begin..begin + each).map(|it| card(&key, it)).collect();
        Box::new(cards.into_iter())
    };
    std::thread::scope(|scope| {
        let halves: Vec<_> = (0..2)
            .map(|half| {
                let of = &of;
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

fn card(key: &SecretKey, number: usize) -> PutRequest {
    let mut dataset = Dataset {
        id: DatasetId::parse(format!("card-{number}")).expect("an identifier"),
        resource_code: format!("3060100/1{number:06}"),
        provider: ParticipantId::parse("authority").expect("an identifier"),
        owner: node_id(1),
        title: LocalText::new("靠泊", "Berth calls"),
        summary: LocalText::new("", ""),
        theme: "transport".to_owned(),
        share: ShareAttribute::Unconditional,
        share_conditions: None,
        share_basis: None,
        update_cycle: UpdateCycle::Daily,
        resource: Some(ResourceEntry::exchanged_tables()),
        grade: Grade::G2,
        grade_basis: "no harm".to_owned(),
        grading: None,
        standard: edition(),
        columns: vec![Column {
            name: "imo".to_owned(),
            title: LocalText::new("船", "Ship"),
            sensitivity: Sensitivity::None,
        }],
        quality_rules: Vec::new(),
        quality_gate: QualityGate {
            quarantined_max: Ppm(10_000),
            score_min: Ppm(900_000),
        },
        mappings: Vec::new(),
        visibility: Visibility::Federation,
        state: DatasetState::Draft,
        written_by: None,
        revision: 0,
    };
    let bare = schemas::canonical::to_bytes(&dataset).expect("canonical bytes");
    let fill = "x".repeat(VALUE_BYTES.saturating_sub(bare.len() + COMMAND_BYTES));
    dataset.summary = LocalText::new("简介", fill);
    let dataset = Box::new(dataset);
    let signed = signed_by(
        key,
        "steward",
        &format!("describe-{number}"),
        Command::DescribeDataset { dataset },
    );
    PutRequest {
        key: Bytes::new(),
        value: serde_json::to_vec(&signed).expect("a JSON text").into(),
    }
}
