//! A running node: its parts, joined in the order in which they need each other.
//!
//! It does not read configuration. It starts completely or not at all: self-tests, stores, keys
//! and ports are all there before the first call is served.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use admin::AdminServer;
use admin::enrolment::Enrol;
use catalog::{Bootstrap, Catalog, Options as CatalogOptions, StartOptions};
use crypto::tls::{ClientTls, ServerTls};
use data_plane::{DataPlane, Hosted, SendRate};
use enforcement::accounts::Accounts;
use enforcement::counters::CounterHome;
use enforcement::{EnforcementPoint, Sessions, SystemClock, Witness};
use jobs::Jobs;
use ledger::Ledger;
use schemas::command::{Outcome, SignedProposal};
use schemas::ledger_entry::{LedgerEvent, LedgerIdentity};
use schemas::{NodeId, ParticipantId};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::config::{CatalogSection, Span};
use crate::enrolment::Desk;
use crate::ops::{self, Health};
use crate::settings::{HostedKeys, Settings};
use crate::{Error, Listen, transport};

/// The four listeners, bound before anything starts.
pub struct Listeners {
    /// Raft and forwarded writes.
    pub catalog: TcpListener,
    /// Transfers and uploads.
    pub data: TcpListener,
    /// REST.
    pub admin: TcpListener,
    /// Health and metrics.
    pub operations: TcpListener,
}

impl Listeners {
    /// Opens every port of `listen`, or none.
    ///
    /// # Errors
    /// [`Error::Listen`] naming the listener and the address.
    pub async fn bind(listen: &Listen) -> Result<Self, Error> {
        Ok(Self {
            catalog: bind("catalog", listen.catalog).await?,
            data: bind("data-plane", listen.data).await?,
            admin: bind("admin", listen.admin).await?,
            operations: bind("operations", listen.operations).await?,
        })
    }

    pub(crate) fn addresses(&self) -> Result<Addresses, Error> {
        let of = |what, listener: &TcpListener| {
            listener.local_addr().map_err(|source| Error::Listen {
                what,
                address: "a bound port".to_owned(),
                source,
            })
        };
        Ok(Addresses {
            catalog: of("catalog", &self.catalog)?,
            data: of("data-plane", &self.data)?,
            admin: of("admin", &self.admin)?,
            operations: of("operations", &self.operations)?,
        })
    }
}

async fn bind(what: &'static str, address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address)
        .await
        .map_err(|source| Error::Listen {
            what,
            address: address.to_string(),
            source,
        })
}

/// Where a node listens in fact (a configured port 0 has a number here).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// Raft and forwarded writes.
    pub catalog: SocketAddr,
    /// Transfers and uploads.
    pub data: SocketAddr,
    /// REST.
    pub admin: SocketAddr,
    /// Health and metrics.
    pub operations: SocketAddr,
}

/// A running node.
pub struct Node {
    id: NodeId,
    dir: PathBuf,
    addresses: Addresses,
    catalog: Catalog,
    jobs: Jobs,
    points: BTreeMap<ParticipantId, Arc<EnforcementPoint>>,
    ledgers: Vec<Ledger>,
    data_plane: DataPlane,
    admin: AdminServer,
    operations: AdminServer,
    send_rate: SendRate,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Node {
    /// Starts every part.
    ///
    /// # Errors
    /// The first part that does not start; the parts before it are stopped again by dropping.
    pub async fn start(settings: Settings, listeners: Listeners) -> Result<Self, Error> {
        crypto::self_test()?;
        let addresses = listeners.addresses()?;
        let clock: Arc<SystemClock> = Arc::new(SystemClock::new());
        let client_tls = settings.tls.peers()?;

        let jobs = Jobs::open(&settings.dir.join("jobs"))?;
        let raft = (listeners.catalog, settings.tls.catalog()?);
        let catalog = start_catalog(&settings, raft, client_tls.clone()).await?;
        catch_up(&catalog).await;
        let (hosted, ledgers) = Box::pin(open_all_hosted(&settings, &catalog, &clock)).await?;
        let points = gates(&hosted);
        let accounts = Accounts::load(&settings.dir.join(crate::ACCOUNTS_FILE))?;
        let sessions = Arc::new(Sessions::with_accounts(accounts));
        let options = data_plane::Options::default();
        let send_rate = options.send_rate.clone();
        let moved = options.moved.clone();
        let parts = Arc::new(data_plane::Parts {
            node: settings.node.clone(),
            dir: settings.dir.join("data"),
            catalog: catalog.clone(),
            jobs: jobs.clone(),
            hosted,
            sessions: sessions.clone(),
            clock: clock.clone(),
            client_tls,
            options,
        });
        let data_plane = DataPlane::start(parts, listeners.data, settings.tls.data()?).await?;
        let parts = admin::Parts {
            node: settings.node.clone(),
            catalog: catalog.clone(),
            points: points.clone(),
            jobs: jobs.clone(),
            sessions,
            enrol: desk(&settings)?,
            clock: clock.clone(),
        };
        let health = Health {
            node: settings.node.clone(),
            catalog: catalog.clone(),
            points: points.clone(),
            jobs: jobs.clone(),
            moved,
            clock: clock.clone(),
            certificates: settings.tls.certificates(),
        };
        let health = ops::router(Arc::new(health));
        let admin = admin::serve(parts, listeners.admin, settings.tls.admin()?)?;
        let operations =
            AdminServer::start(health, listeners.operations, settings.tls.operations()?)?;

        let (stop, stopped) = watch::channel(false);
        let mut node = Self {
            id: settings.node.clone(),
            dir: settings.dir.clone(),
            addresses,
            catalog,
            jobs,
            points,
            ledgers,
            data_plane,
            admin,
            operations,
            send_rate,
            stop,
            tasks: JoinSet::new(),
        };
        node.run_in_background(&settings, &clock, &stopped);
        node.record_start().await?;
        Ok(node)
    }

    /// Starts what goes on beside calls: checkpoints, witnessing, watching the clock.
    fn run_in_background(
        &mut self,
        settings: &Settings,
        clock: &Arc<SystemClock>,
        stopped: &watch::Receiver<bool>,
    ) {
        for (participant, point) in &self.points {
            let every = settings.ledger.checkpoint_every;
            self.tasks
                .spawn(keep_checkpoints(point.clone(), every, stopped.clone()));
            let witness = Witness {
                participant: participant.clone(),
                node: settings.node.clone(),
                catalog: self.catalog.clone(),
                signer: settings.signing.clone(),
                clock: clock.clone(),
            };
            self.tasks.spawn(witness.run(stopped.clone()));
        }
        self.tasks.spawn(transport::watch(
            settings.tls.certificates(),
            clock.clone(),
            stopped.clone(),
        ));
        self.tasks.spawn(watch_clock(
            self.catalog.clone(),
            clock.clone(),
            stopped.clone(),
        ));
    }

    async fn record_start(&self) -> Result<(), Error> {
        for point in self.points.values() {
            let event = LedgerEvent::Started {
                version: env!("CARGO_PKG_VERSION").to_owned(),
            };
            point.record(event, "start").await?;
        }
        Ok(())
    }

    /// Founds the federation with this node as its first voter, unless that has been done.
    ///
    /// # Errors
    /// [`Error::Catalog`], [`Error::CatalogRefused`].
    pub async fn found_once(&self, founding: SignedProposal) -> Result<(), Error> {
        if self.catalog.view().authority().is_some() {
            return Ok(());
        }
        match self.catalog.found(founding).await?.outcome {
            Outcome::Applied { .. } => Ok(()),
            Outcome::Refused { detail, .. } => Err(Error::CatalogRefused {
                what: "found the federation",
                detail,
            }),
        }
    }

    /// Which node this is.
    #[must_use]
    pub fn id(&self) -> &NodeId {
        &self.id
    }

    /// Directory of all its state.
    #[must_use]
    pub fn dir(&self) -> &PathBuf {
        &self.dir
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Its catalog replica.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// Its local work.
    #[must_use]
    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// The gate of a hosted participant.
    #[must_use]
    pub fn point(&self, participant: &ParticipantId) -> Option<&Arc<EnforcementPoint>> {
        self.points.get(participant)
    }

    /// Directory of a hosted participant's ledger.
    #[must_use]
    pub fn ledger_dir(&self, participant: &ParticipantId, incarnation: u32) -> PathBuf {
        ledger_dir(&self.dir, participant, incarnation)
    }

    /// Slows transfers to others down to so many bytes per second and stream; `u64::MAX` lifts
    /// the limit.
    pub fn limit_transfers(&self, bytes_per_second: u64) {
        self.send_rate.set(bytes_per_second);
    }

    /// Stops in the reverse order: no new calls, jobs at a safe point, last checkpoints, ledgers
    /// closed, the catalog last.
    pub async fn stop(mut self) {
        self.admin.stop().await;
        self.data_plane.shutdown().await;
        // A receiver that is gone needs no word.
        let _ = self.stop.send(true);
        let limit = std::time::Duration::from_secs(5);
        let ended = tokio::time::timeout(limit, async {
            while self.tasks.join_next().await.is_some() {}
        });
        if ended.await.is_err() {
            self.tasks.abort_all();
        }
        for ledger in self.ledgers {
            ledger.close().await;
        }
        self.catalog.shutdown().await;
        self.operations.stop().await;
    }
}

async fn start_catalog(
    settings: &Settings,
    (listener, server_tls): (TcpListener, ServerTls),
    client_tls: ClientTls,
) -> Result<Catalog, Error> {
    let options = StartOptions {
        dir: settings.dir.join("catalog"),
        node: settings.node.clone(),
        raft_number: settings.catalog.raft_number,
        signer: settings.signing.clone(),
        listener,
        server_tls,
        client_tls,
        options: catalog_options(&settings.catalog),
        clock: catalog::Clock::system(),
    };
    Ok(Catalog::start(options).await?)
}

/// The hosted participants by identifier, and their ledgers.
type Opened = (BTreeMap<ParticipantId, Arc<Hosted>>, Vec<Ledger>);

/// Where new nodes apply, on the node that has the authorities' keys.
fn desk(settings: &Settings) -> Result<Option<Arc<dyn Enrol>>, Error> {
    let Some(authority) = &settings.authority else {
        return Ok(None);
    };
    let desk = Desk::open(&settings.dir, authority)?;
    Ok(Some(Arc::new(desk)))
}

fn gates(
    hosted: &BTreeMap<ParticipantId, Arc<Hosted>>,
) -> BTreeMap<ParticipantId, Arc<EnforcementPoint>> {
    hosted
        .iter()
        .map(|(id, host)| (id.clone(), host.point.clone()))
        .collect()
}

async fn open_all_hosted(
    settings: &Settings,
    catalog: &Catalog,
    clock: &Arc<SystemClock>,
) -> Result<Opened, Error> {
    let mut hosted = BTreeMap::new();
    let mut ledgers = Vec::new();
    for keys in settings.hosted.values() {
        let (ledger, host) = open_hosted(settings, keys, catalog, clock.clone()).await?;
        hosted.insert(keys.participant.clone(), Arc::new(host));
        ledgers.push(ledger);
    }
    Ok((hosted, ledgers))
}

fn catalog_options(section: &CatalogSection) -> CatalogOptions {
    CatalogOptions {
        heartbeat: section.heartbeat.duration(),
        election_min: section.election.duration(),
        election_max: section.election.duration() * 2,
        tick: section.tick.duration(),
        bootstrap: Bootstrap::FederationRoot,
        ..CatalogOptions::default()
    }
}

async fn open_hosted(
    settings: &Settings,
    keys: &HostedKeys,
    catalog: &Catalog,
    clock: Arc<SystemClock>,
) -> Result<(Ledger, Hosted), Error> {
    let identity = LedgerIdentity {
        participant: keys.participant.clone(),
        incarnation: keys.ledger_incarnation,
    };
    let dir = ledger_dir(&settings.dir, &keys.participant, keys.ledger_incarnation);
    let ledger = Ledger::open(&dir, identity, ledger::Options::default())?;
    let point = EnforcementPoint::new(enforcement::Parts {
        participant: keys.participant.clone(),
        node: settings.node.clone(),
        catalog: catalog.clone(),
        ledger: ledger.clone(),
        signer: keys.signing.clone(),
        clock,
    })?;
    let counters = settings
        .dir
        .join("counters")
        .join(keys.participant.as_str());
    let home = CounterHome::open(&counters, &*keys.encryption)
        .await
        .map_err(enforcement::Error::from)?;
    let point = point.with_counters(home);
    let hosted = Hosted {
        participant: keys.participant.clone(),
        point: Arc::new(point),
        signer: keys.signing.clone(),
        unwrapper: keys.encryption.clone(),
    };
    Ok((ledger, hosted))
}

fn ledger_dir(dir: &Path, participant: &ParticipantId, incarnation: u32) -> PathBuf {
    dir.join("ledger")
        .join(participant.as_str())
        .join(incarnation.to_string())
}

/// Signs and publishes a checkpoint whenever entries were added.
async fn keep_checkpoints(
    point: Arc<EnforcementPoint>,
    every: Span,
    mut stop: watch::Receiver<bool>,
) {
    let mut beat = tokio::time::interval(every.duration());
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            _ = stop.changed() => return,
        }
        // Before the federation is founded or while no leader is known there is nowhere to
        // publish it; the next beat tries again.
        let registered = point
            .catalog()
            .view()
            .participant(point.participant())
            .is_some();
        if registered && let Err(error) = point.checkpoint_now().await {
            tracing::warn!(%error, participant = %point.participant(), "publish a checkpoint");
        }
    }
}

/// Waits until the catalog is known to be current, but not for long: whoever calls before that is
/// refused, because the view may be too old, and would have to come again. Without a quorum the
/// node serves what it may all the same.
async fn catch_up(catalog: &Catalog) {
    let until = tokio::time::Instant::now() + CATCH_UP_TIME_MAX;
    while catalog.view().authority().is_some()
        && catalog.staleness_ms() == u64::MAX
        && tokio::time::Instant::now() < until
    {
        tokio::time::sleep(CATCH_UP_LOOK).await;
    }
}

/// An election takes at most a second, and one that is not decided another.
const CATCH_UP_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(3);

const CATCH_UP_LOOK: std::time::Duration = std::time::Duration::from_millis(20);

/// How often the own clock is compared with the federation's, in seconds.
const CLOCK_WATCH_SECONDS: u64 = 5;

/// Tells the node's clock how far it is off the other members': beyond 30 s it issues no permits.
async fn watch_clock(catalog: Catalog, clock: Arc<SystemClock>, mut stop: watch::Receiver<bool>) {
    let mut beat = tokio::time::interval(std::time::Duration::from_secs(CLOCK_WATCH_SECONDS));
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            _ = stop.changed() => return,
        }
        // Leader time would not do: it stands still while nothing can be agreed on.
        if let Some(ahead_ms) = catalog.clock_skew_ms() {
            clock.observe_offset_ms(ahead_ms);
        }
    }
}
