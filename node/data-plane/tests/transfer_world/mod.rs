//! Two nodes on the loopback: the authority's, which acts for the provider `port`, and
//! `node-customs`, which acts for the consumer `customs`. Real TLS, real ledgers, a catalog of two
//! voters, real data planes.
//!
//! It does not wait for time to pass: whatever has to happen is asked for until it has.

#![allow(dead_code, reason = "each test binary uses another part of the pair")]
#![allow(
    unreachable_pub,
    reason = "the module is compiled into several test binaries"
)]

#[path = "../../../enforcement/tests/world/mod.rs"]
pub mod world;

/// What the proto file generates; the crate keeps its own copy to itself.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::too_many_lines,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::use_self,
    reason = "generated code"
)]
pub mod wire {
    tonic::include_proto!("kouan.transfer.v1");
}

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use catalog::Catalog;
use crypto::tls::{ClientAuth, TlsIdentity, client_config, connect, server_config};
use crypto::{Digest, Signer, Unwrapper};
use data_plane::{DataPlane, Hosted, Options, Parts};
use enforcement::{Clock, EnforcementPoint, Sessions};
use hyper_util::rt::TokioIo;
use jobs::{Job, JobKind, JobState, Jobs, NewJob};
use ledger::Ledger;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use schemas::dataset::PublishIntent;
use schemas::ledger_entry::{LedgerEntry, LedgerIndex};
use schemas::{JobId, Signed, TransferId, canonical};
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::{Channel, Endpoint, Uri};
use wire::transfers_client::TransfersClient;
use world::{
    Member, World, dataset_id, grant_id, node_id, participant_id, person_id, secret, software,
};

/// One node's data plane with what outlives it.
pub struct Side {
    pub dir: PathBuf,
    pub jobs: Jobs,
    pub ledger: Ledger,
    pub address: String,
    participant: &'static str,
    node: &'static str,
    catalog: Catalog,
    point: Arc<EnforcementPoint>,
    plane: Option<DataPlane>,
}

pub struct Pair {
    pub world: World,
    pub member: Member,
    pub provider: Side,
    pub consumer: Side,
}

impl Pair {
    pub async fn up() -> Self {
        let world = World::found().await;
        world.two_parties().await;
        let listeners = [bound().await, bound().await];
        let [provides, consumes] = &listeners;
        world.rehost(&["authority", "port"], &provides.1).await;
        let member = world
            .join(2, "node-customs", &["customs"], &consumes.1)
            .await;
        let [provides, consumes] = listeners;
        let catalog = world.catalog.clone();
        let mut provider = Side::new(&world, "port", "node-authority", catalog, provides.1);
        Box::pin(provider.start(&world, &world.identity, Some(provides.0))).await;
        let catalog = member.catalog.clone();
        let mut consumer = Side::new(&world, "customs", "node-customs", catalog, consumes.1);
        Box::pin(consumer.start(&world, &member.identity, Some(consumes.0))).await;
        Self {
            world,
            member,
            provider,
            consumer,
        }
    }

    /// The consumer's node goes down and comes up again with what it has on disk.
    pub async fn restart_consumer(&mut self) {
        self.consumer.plane.take().unwrap().shutdown().await;
        self.consumer
            .start(&self.world, &self.member.identity, None)
            .await;
    }

    /// Publishes a CSV text through a real job.
    pub async fn publish(&self, dataset: &str, csv: &str) {
        let number = Digest::of(csv.as_bytes()).to_string();
        let staged = format!("upload-{}", &number[..32]);
        std::fs::write(self.provider.dir.join("staging").join(&staged), csv).unwrap();
        let intent = PublishIntent {
            dataset: dataset_id(dataset),
            file_digest: Digest::of(csv.as_bytes()),
            file_bytes: u64::try_from(csv.len()).unwrap(),
            person: person_id("steward"),
            participant: participant_id("port"),
            at: self.world.clock.now(),
        };
        let key = secret("steward");
        let bytes = canonical::to_bytes(&intent).unwrap();
        let signature = key.sign(PublishIntent::LABEL, &bytes).unwrap();
        let intent = Signed {
            body: intent,
            key: key.public().key_id(),
            signature,
        };
        let kind = JobKind::Publish {
            dataset: dataset_id(dataset),
            staged,
            file_name: "rows.csv".to_owned(),
            mapping: None,
            intent,
        };
        let id = format!("publish-{}", &number[..16]);
        self.provider
            .create(&id, "port", kind, self.world.clock.now());
        let job = self.provider.ended(&id).await;
        assert_eq!(job.state, JobState::Succeeded, "{job:?}");
        // The consumer's replica follows.
        world::eventually("the consumer sees the version", || async {
            let ours = self.world.catalog.view();
            let theirs = self.member.catalog.view();
            theirs.latest_version(&dataset_id(dataset)) == ours.latest_version(&dataset_id(dataset))
        })
        .await;
    }

    /// Asks the consumer's node for a transfer; its job's identifier is the transfer's.
    pub fn ask(&self, transfer: &str, grant: &str) {
        let kind = JobKind::Transfer {
            transfer: TransferId::parse(transfer).unwrap(),
            grant: grant_id(grant),
            version: None,
        };
        self.consumer
            .create(transfer, "customs", kind, self.world.clock.now());
    }

    /// Waits until the consumer's replica has a grant.
    pub async fn granted(&self, grant: &str) {
        world::eventually("the consumer sees the grant", || async {
            self.member.catalog.view().grant(&grant_id(grant)).is_some()
        })
        .await;
    }

    /// A client with an identity of its own choice and a narrow window, so that the provider
    /// cannot send far ahead of what was read.
    pub async fn client(&self, identity: &TlsIdentity) -> TransfersClient<Channel> {
        let roots = self.world.tls.roots().unwrap();
        let tls = client_config(&roots, Some(identity), &[b"h2"]).unwrap();
        let address = self.provider.address.clone();
        let connector = tower::service_fn(move |_: Uri| {
            let (address, tls) = (address.clone(), Arc::clone(&tls));
            async move {
                let stream = connect(address.as_str(), "127.0.0.1", tls).await;
                stream
                    .map(TokioIo::new)
                    .map_err(|error| std::io::Error::other(error.to_string()))
            }
        });
        let endpoint = Endpoint::from_static("http://127.0.0.1").initial_stream_window_size(65_535);
        let channel = endpoint.connect_with_connector(connector).await.unwrap();
        TransfersClient::new(channel).max_decoding_message_size(4 << 20)
    }
}

impl Side {
    fn new(
        world: &World,
        participant: &'static str,
        node: &'static str,
        catalog: Catalog,
        address: String,
    ) -> Self {
        let dir = world.dir.path().join(format!("data-{node}"));
        let ledger = world.ledger(participant);
        let point = EnforcementPoint::new(enforcement::Parts {
            participant: participant_id(participant),
            node: node_id(node),
            catalog: catalog.clone(),
            ledger: ledger.clone(),
            signer: software(participant),
            clock: Arc::clone(&world.clock) as Arc<dyn Clock>,
        })
        .unwrap();
        let jobs = Jobs::open(&dir.join("jobs")).unwrap();
        let point = Arc::new(point);
        Self {
            dir,
            jobs,
            ledger,
            address,
            participant,
            node,
            catalog,
            point,
            plane: None,
        }
    }

    async fn start(
        &mut self,
        world: &World,
        identity: &TlsIdentity,
        listener: Option<TcpListener>,
    ) {
        let listener = match listener {
            Some(listener) => listener,
            None => TcpListener::bind(&self.address).await.unwrap(),
        };
        let roots = world.tls.roots().unwrap();
        let hosted = Hosted {
            participant: participant_id(self.participant),
            point: Arc::clone(&self.point),
            signer: software(self.participant) as Arc<dyn Signer>,
            unwrapper: software(&format!("{}-encryption", self.participant)) as Arc<dyn Unwrapper>,
        };
        let parts = Parts {
            node: node_id(self.node),
            dir: self.dir.clone(),
            catalog: self.catalog.clone(),
            jobs: self.jobs.clone(),
            hosted: BTreeMap::from([(participant_id(self.participant), Arc::new(hosted))]),
            sessions: Arc::new(Sessions::new()),
            clock: Arc::clone(&world.clock) as Arc<dyn Clock>,
            client_tls: client_config(&roots, Some(identity), &[b"h2"])
                .unwrap()
                .into(),
            options: Options::default(),
        };
        let alpn: &[&[u8]] = &[b"h2", b"http/1.1"];
        let tls = server_config(identity, ClientAuth::Optional(&roots), alpn).unwrap();
        self.plane = Some(
            DataPlane::start(Arc::new(parts), listener, tls)
                .await
                .unwrap(),
        );
    }

    fn create(&self, id: &str, participant: &str, kind: JobKind, at: schemas::Timestamp) {
        self.jobs
            .create(NewJob {
                id: JobId::parse(id).unwrap(),
                participant: participant_id(participant),
                person: None,
                key: id.to_owned(),
                kind,
                at,
            })
            .unwrap();
    }

    pub fn job(&self, id: &str) -> Job {
        self.jobs.job(&JobId::parse(id).unwrap()).unwrap().unwrap()
    }

    /// The job, once it has ended.
    pub async fn ended(&self, id: &str) -> Job {
        world::eventually("the job ends", || async { self.job(id).state.is_ended() }).await;
        self.job(id)
    }

    /// Every entry of the participant's ledger.
    pub fn entries(&self) -> Vec<LedgerEntry> {
        let mut entries = Vec::new();
        loop {
            let from = LedgerIndex(u64::try_from(entries.len()).unwrap());
            let page = self.ledger.scan(from, 256).unwrap();
            if page.is_empty() {
                return entries;
            }
            entries.extend(page.into_iter().map(|(_, entry)| entry));
        }
    }

    /// The rows of a received table as CSV with a header, from the files that its log names.
    pub async fn received(&self, dataset: &str) -> String {
        let folder = self.dir.join("received/customs").join(dataset);
        let grants: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
        assert_eq!(grants.len(), 1, "one grant was used");
        let folder = grants[0].as_ref().unwrap().path();
        let url = url::Url::from_directory_path(&folder).unwrap();
        let table = deltalake::open_table(url).await.unwrap();
        let mut files: Vec<PathBuf> = table
            .snapshot()
            .unwrap()
            .log_data()
            .iter()
            .map(|file| folder.join(file.path().as_ref()))
            .collect();
        files.sort();
        csv(&files.iter().flat_map(|file| rows(file)).collect::<Vec<_>>())
    }
}

async fn bound() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, address)
}

fn rows(file: &Path) -> Vec<RecordBatch> {
    let file = std::fs::File::open(file).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap();
    reader.map(Result::unwrap).collect()
}

fn csv(batches: &[RecordBatch]) -> String {
    let mut text = Vec::new();
    let mut writer = arrow::csv::Writer::new(&mut text);
    for batch in batches {
        writer.write(batch).unwrap();
    }
    drop(writer);
    String::from_utf8(text).unwrap()
}

/// A line between two nodes that can be cut: connections pass through it, each up to so many
/// bytes towards whoever connected.
pub struct Line {
    pub address: String,
    /// Bytes that the next connections may bring, first come first served; then without limit.
    limits: Arc<std::sync::Mutex<Vec<Limit>>>,
    connections: Arc<std::sync::atomic::AtomicU64>,
}

/// What becomes of a connection.
#[derive(Clone, Copy)]
pub enum Limit {
    /// It is cut after so many bytes.
    CutAfter(u64),
    /// It falls silent after so many bytes.
    SilentAfter(u64),
}

impl Line {
    pub async fn to(target: &str, limits: Vec<Limit>) -> Self {
        let (listener, address) = bound().await;
        let line = Self {
            address,
            limits: Arc::new(std::sync::Mutex::new(limits)),
            connections: Arc::default(),
        };
        let (limits, count) = (Arc::clone(&line.limits), Arc::clone(&line.connections));
        let target = target.to_owned();
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                let limit = {
                    let mut limits = limits.lock().unwrap();
                    (!limits.is_empty()).then(|| limits.remove(0))
                };
                let Ok(far) = TcpStream::connect(&target).await else {
                    continue;
                };
                tokio::spawn(pass(near, far, limit));
            }
        });
        line
    }

    pub fn connections(&self) -> u64 {
        self.connections.load(std::sync::atomic::Ordering::SeqCst)
    }
}

async fn pass(near: TcpStream, far: TcpStream, limit: Option<Limit>) {
    use tokio::io::AsyncReadExt as _;
    let (mut near_read, mut near_write) = near.into_split();
    let (far_read, mut far_write) = far.into_split();
    let there = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut near_read, &mut far_write).await;
    });
    let most = match limit {
        Some(Limit::CutAfter(most) | Limit::SilentAfter(most)) => most,
        None => u64::MAX,
    };
    let mut bounded = far_read.take(most);
    let _ = tokio::io::copy(&mut bounded, &mut near_write).await;
    if matches!(limit, Some(Limit::SilentAfter(_))) && bounded.limit() == 0 {
        std::future::pending::<()>().await;
    }
    there.abort();
}
