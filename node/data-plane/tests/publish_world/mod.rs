//! One node that acts for the provider `port`: a real catalog, ledger, list of jobs and listener,
//! and a client that speaks HTTP/1.1 over TLS to it.
//!
//! It does not wait for time to pass: whatever has to happen is asked for until it has.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be built is a failed test"
)]

#[path = "../../../enforcement/tests/world/mod.rs"]
pub(crate) mod world;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use bytes::Bytes;
use crypto::tls::{ClientAuth, client_config, connect, server_config};
use crypto::{Digest, Label, Signer, Unwrapper};
use data_plane::{DataPlane, Hosted, Options, Parts};
use enforcement::{Clock, Sessions};
use http_body_util::{BodyExt as _, Full};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use jobs::{Job, Jobs};
use ledger::Ledger;
use schemas::dataset::{Grade, PublishIntent, Sensitivity};
use schemas::ledger_entry::{LedgerEvent, LedgerIndex};
use schemas::{JobId, Signed, canonical};
use serde_json::Value;
use tokio::net::TcpListener;
use world::{World, dataset_id, node_id, participant_id, person_id, secret, software};

/// The columns of the dataset `moves`.
const COLUMNS: world::Columns<'static> = &[
    ("box_number", "string", Sensitivity::None),
    ("day", "date", Sensitivity::None),
    ("driver", "string", Sensitivity::Personal),
    ("teu", "integer", Sensitivity::None),
];

/// The node.
pub(crate) struct Provider {
    pub(crate) world: World,
    pub(crate) dir: PathBuf,
    pub(crate) jobs: Jobs,
    pub(crate) ledger: Ledger,
    sessions: Arc<Sessions>,
    plane: Option<DataPlane>,
    address: String,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

impl Provider {
    pub(crate) async fn start() -> Self {
        Self::start_with(Options::default()).await
    }

    pub(crate) async fn start_with(options: Options) -> Self {
        let world = World::found().await;
        world.two_parties().await;
        world
            .publish_card("moves", "node-authority", Grade::G2, COLUMNS)
            .await;
        let dir = world.dir.path().join("data");
        std::fs::create_dir_all(&dir).unwrap();
        let ledger = world.ledger("port");
        let jobs = Jobs::open(&dir.join("jobs")).unwrap();
        let mut provider = Self {
            world,
            dir,
            jobs,
            ledger,
            sessions: Arc::new(Sessions::new()),
            plane: None,
            address: String::new(),
        };
        provider.open(options).await;
        provider
    }

    /// Starts the data plane over what is there.
    pub(crate) async fn open(&mut self, options: Options) {
        let world = &self.world;
        let point = world.point("port", "node-authority", self.ledger.clone());
        let hosted = Hosted {
            participant: participant_id("port"),
            point: Arc::new(point),
            signer: software("port") as Arc<dyn Signer>,
            unwrapper: software("port-encryption") as Arc<dyn Unwrapper>,
        };
        let roots = world.tls.roots().unwrap();
        let parts = Parts {
            node: node_id("node-authority"),
            dir: self.dir.clone(),
            catalog: world.catalog.clone(),
            jobs: self.jobs.clone(),
            hosted: BTreeMap::from([(participant_id("port"), Arc::new(hosted))]),
            sessions: Arc::clone(&self.sessions),
            clock: Arc::clone(&world.clock) as Arc<dyn Clock>,
            client_tls: client_config(&roots, Some(&world.identity), &[b"h2"])
                .unwrap()
                .into(),
            options,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        self.address = listener.local_addr().unwrap().to_string();
        let alpn: &[&[u8]] = &[b"h2", b"http/1.1"];
        let tls = server_config(&world.identity, ClientAuth::Optional(&roots), alpn).unwrap();
        self.plane = Some(
            DataPlane::start(Arc::new(parts), listener, tls)
                .await
                .unwrap(),
        );
    }

    pub(crate) async fn stop(&mut self) {
        if let Some(plane) = self.plane.take() {
            plane.shutdown().await;
        }
    }

    /// A session's token.
    pub(crate) fn sign_in(&self, person: &str) -> String {
        let now = self.world.clock.now();
        let person_id = person_id(person);
        let challenge = self.sessions.challenge(&person_id, now).unwrap();
        let signature = secret(person)
            .sign(Label::Challenge, challenge.bytes())
            .unwrap();
        let view = self.world.catalog.view();
        let session =
            self.sessions
                .sign_in(&view, &person_id, &challenge.challenge, &signature, now);
        session.unwrap().token
    }

    /// What `person` signs for a file.
    pub(crate) fn intent(&self, person: &str, dataset: &str, file: &[u8]) -> Signed<PublishIntent> {
        let body = PublishIntent {
            dataset: dataset_id(dataset),
            file_digest: Digest::of(file),
            file_bytes: u64::try_from(file.len()).unwrap(),
            person: person_id(person),
            participant: participant_id("port"),
            at: self.world.clock.now(),
        };
        let key = secret(person);
        let bytes = canonical::to_bytes(&body).unwrap();
        let signature = key.sign(PublishIntent::LABEL, &bytes).unwrap();
        Signed {
            body,
            key: key.public().key_id(),
            signature,
        }
    }

    /// Uploads `body` under an intent.
    pub(crate) async fn upload(
        &self,
        token: &str,
        (key, query): (&str, &str),
        intent: &Signed<PublishIntent>,
        body: &[u8],
    ) -> Answer {
        let intent_text =
            base64::engine::general_purpose::STANDARD.encode(canonical::to_bytes(intent).unwrap());
        let path = format!("/api/v1/datasets/{}/uploads?{query}", intent.body.dataset);
        let request = Request::post(path)
            .header("host", "node-authority")
            .header("authorization", format!("Bearer {token}"))
            .header("idempotency-key", key)
            .header("kouan-publish-intent", intent_text)
            .body(Full::new(Bytes::copy_from_slice(body)))
            .unwrap();
        self.send(request).await
    }

    /// Has `mapping` (nothing for none) and `file` checked; the last line of the answer.
    pub(crate) async fn check(
        &self,
        token: &str,
        query: &str,
        mapping: &str,
        file: &str,
    ) -> Answer {
        let path = format!("/api/v1/checks?{query}&mapping_bytes={}", mapping.len());
        let request = Request::post(path)
            .header("host", "node-authority")
            .header("authorization", format!("Bearer {token}"))
            .body(Full::new(Bytes::from(format!("{mapping}{file}"))))
            .unwrap();
        let (status, body) = self.exchange(request).await;
        let last = body
            .split(|byte| *byte == b'\n')
            .rfind(|line| !line.is_empty());
        Answer {
            status,
            body: serde_json::from_slice(last.unwrap_or_default()).unwrap_or(Value::Null),
        }
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> Answer {
        let request = Request::get(path)
            .header("host", "node-authority")
            .header("authorization", format!("Bearer {token}"))
            .body(Full::new(Bytes::new()))
            .unwrap();
        self.send(request).await
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Answer {
        let (status, body) = self.exchange(request).await;
        Answer {
            status,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> (StatusCode, Bytes) {
        let roots = self.world.tls.roots().unwrap();
        let tls = client_config(&roots, None, &[b"http/1.1"]).unwrap();
        let stream = connect(&self.address, "127.0.0.1", tls).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        let response = sender.send_request(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        drop(sender);
        connection.abort();
        (status, body)
    }

    /// A job, once it has ended.
    pub(crate) async fn ended(&self, id: &str) -> Job {
        let id = JobId::parse(id).unwrap();
        let read = || self.jobs.job(&id).unwrap().unwrap();
        world::eventually("the job ends", || async { read().state.is_ended() }).await;
        read()
    }

    /// Kinds and verdicts of the ledger's entries.
    pub(crate) fn events(&self) -> Vec<LedgerEvent> {
        let mut events = Vec::new();
        loop {
            let from = LedgerIndex(u64::try_from(events.len()).unwrap());
            let page = self.ledger.scan(from, 256).unwrap();
            if page.is_empty() {
                return events;
            }
            events.extend(page.into_iter().map(|(_, entry)| entry.event));
        }
    }

    /// Whether nothing is left of uploads and jobs.
    pub(crate) fn staging_is_empty(&self) -> bool {
        std::fs::read_dir(self.dir.join("staging"))
            .unwrap()
            .next()
            .is_none()
    }
}
