//! Members that live, lose their power and live again, over disks that outlast them.
//!
//! It does not decide when; `chaos` does. A life that has lost its power cannot reach its disk, the
//! lines or its clients any more; what it still does in memory is nobody's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crypto::SoftwareKey;
use openraft::storage::RaftLogReader as _;
use openraft::{BasicNode, ServerState};
use tokio::sync::watch;

use super::disk::Disk;
use super::invariants::leader_completeness::LogOf;
use super::machine::Watched;
use super::net::Net;
use super::oracle::Oracle;
use super::plan::Plan;
use super::seeded::Random;
use super::world::{address, node_id, secret};
use crate::Error;
use crate::raft::batcher::Batcher;
use crate::raft::catalog::{Parts, join};
use crate::raft::clock::Clock;
use crate::raft::directory::Directory;
use crate::raft::flusher::Flusher;
use crate::raft::log_store::LogStore;
use crate::raft::member::Member;
use crate::raft::opening::{empty, settle};
use crate::raft::options::{Bootstrap, Options};
use crate::raft::peers::Admission;
use crate::raft::published::Published;
use crate::raft::server::service;
use crate::raft::snapshot::Snapshots;
use crate::raft::state_machine::StateMachine;

/// What outlasts a member's lives.
struct Place {
    disk: Arc<Disk>,
    snapshots: PathBuf,
    lives: u64,
    ahead_ms: Arc<AtomicI64>,
    random: Random,
    life: Option<Life>,
}

/// A member that runs.
#[derive(Clone)]
pub(super) struct Life {
    pub(super) member: Arc<Member>,
    pub(super) batcher: Arc<Batcher>,
    power: Arc<AtomicBool>,
    stop: watch::Sender<bool>,
}

impl Life {
    pub(super) fn has_power(&self) -> bool {
        self.power.load(Ordering::Relaxed)
    }

    /// Ends when the power is cut.
    pub(super) async fn dies(&self) {
        let mut stop = self.stop.subscribe();
        let _stopped = stop.wait_for(|stop| *stop).await;
    }
}

/// All members of a simulation.
pub(super) struct Members {
    places: Mutex<BTreeMap<u64, Place>>,
    dir: tempfile::TempDir,
    plan: Plan,
    pub(super) net: Arc<Net>,
    pub(super) oracle: Arc<Oracle>,
}

impl Members {
    pub(super) fn new(seed: u64, plan: &Plan, net: &Arc<Net>, oracle: &Arc<Oracle>) -> Arc<Self> {
        let dir = tempfile::tempdir().unwrap();
        let places = (1..=plan.members()).map(|number| {
            let place = Place {
                disk: Disk::new(plan.bug),
                snapshots: dir.path().join(format!("{number}-0")),
                lives: 0,
                ahead_ms: Arc::default(),
                random: Random::new(seed ^ (number << 16)),
                life: None,
            };
            (number, place)
        });
        Arc::new(Self {
            places: Mutex::new(places.collect()),
            dir,
            plan: plan.clone(),
            net: Arc::clone(net),
            oracle: Arc::clone(oracle),
        })
    }

    pub(super) fn numbers(&self) -> Vec<u64> {
        self.places.lock().unwrap().keys().copied().collect()
    }

    /// The life of a member that runs.
    pub(super) fn life(&self, number: u64) -> Option<Life> {
        self.places.lock().unwrap().get(&number)?.life.clone()
    }

    pub(super) fn lives(&self) -> Vec<Life> {
        let places = self.places.lock().unwrap();
        places.values().filter_map(|it| it.life.clone()).collect()
    }

    /// The voters and all members, as the leader of the newest term has them.
    pub(super) fn membership(&self) -> Option<(BTreeSet<u64>, BTreeSet<u64>)> {
        let lives = self.lives();
        let all = lives.iter().map(|life| life.member.raft.metrics());
        let leaders = all.filter(|it| it.borrow().state == ServerState::Leader);
        let newest = leaders.max_by_key(|it| it.borrow().current_term)?;
        let newest = newest.borrow();
        let membership = newest.membership_config.membership();
        let members = membership.nodes().map(|(number, _)| *number);
        Some((membership.voter_ids().collect(), members.collect()))
    }

    /// Sets a member's clock off.
    pub(super) fn set_clock(&self, number: u64, ahead_ms: i64) {
        let places = self.places.lock().unwrap();
        places[&number].ahead_ms.store(ahead_ms, Ordering::Relaxed);
    }

    /// Starts a member from what its disk holds. One whose disk is of no use begins anew, with an
    /// empty one.
    pub(super) async fn start(&self, number: u64) {
        match self.try_start(number).await {
            Ok(()) => {}
            Err(Error::CannotRebuild { why, .. }) => {
                self.oracle.note(format!("{number} begins anew: {why}"));
                self.wipe(number);
                self.try_start(number).await.unwrap();
            }
            Err(error) => {
                let why = format!("member {number} does not start: {error}");
                self.oracle.judge("members_start", Err(why));
            }
        }
    }

    async fn try_start(&self, number: u64) -> Result<(), Error> {
        let (disk, snapshots_dir, ahead_ms, mut random) = {
            let mut places = self.places.lock().unwrap();
            let place = places.get_mut(&number).unwrap();
            place.lives += 1;
            let random = Random::new(place.random.next());
            let own = self.dir.path().join(format!("{number}-{}", place.lives));
            copy_snapshots(&place.snapshots, &own);
            place.snapshots = own.clone();
            let (disk, ahead_ms) = (Arc::clone(&place.disk), Arc::clone(&place.ahead_ms));
            (disk, own, ahead_ms, random)
        };
        let log = LogStore::over(Arc::new(disk.open())).unwrap();
        if log.member()?.is_none() {
            log.set_member(number)?;
        }
        let snapshots = Snapshots::open(&snapshots_dir)?;
        let stored = disk.stored().unwrap_or_else(empty);
        let (position, _) = settle(&snapshots_dir, &log, &snapshots, stored)?;
        self.oracle.note(format!(
            "{number} starts at {:?}",
            position.last.map(|id| id.index)
        ));
        let published = Arc::new(Published::new(position.state.clone()));
        let power = Arc::new(AtomicBool::new(true));
        let flusher = Arc::new(Flusher::new());
        let machine = Watched {
            number,
            inner: StateMachine::new(position, Arc::clone(&published), flusher, snapshots),
            published: Arc::clone(&published),
            oracle: Arc::clone(&self.oracle),
            power: Arc::clone(&power),
            disk: disk.open(),
            random: Random::new(random.next()),
            one_by_one: random.percent(70),
        };
        let bootstrap = Bootstrap::FederationRoot;
        let parts = Parts {
            node: node_id(number),
            me: number,
            signer: Arc::new(SoftwareKey::new(secret(&format!("node-{number}")))),
            clock: self.clock(ahead_ms),
            log: log.clone(),
            directory: Arc::new(Directory::new(Arc::clone(&published), bootstrap)),
            published,
            connect: self.net.connect(number, &power),
        };
        let (stop, stopping) = watch::channel(false);
        let options = self.options(&mut random);
        let (member, batcher, _) = join(parts, machine, &options, &stopping).await?;
        let life = Life {
            member,
            batcher: Arc::new(batcher),
            power,
            stop,
        };
        let served = service(Arc::clone(&life.member));
        self.net.attach(number, served, Arc::clone(&life.power));
        tokio::spawn(watch_lead(life.clone(), Arc::clone(&self.oracle)));
        self.places.lock().unwrap().get_mut(&number).unwrap().life = Some(life);
        Ok(())
    }

    fn clock(&self, ahead_ms: Arc<AtomicI64>) -> Clock {
        let oracle = Arc::clone(&self.oracle);
        Clock::new(move || oracle.now().plus_millis(ahead_ms.load(Ordering::Relaxed)))
    }

    fn options(&self, random: &mut Random) -> Options {
        // openraft draws an election's timeout from its own generator; from a range of one
        // number there is nothing to draw.
        let election = Duration::from_millis(500 + random.below(700));
        Options {
            heartbeat: Duration::from_millis(100),
            election_min: election,
            election_max: election + Duration::from_millis(1),
            tick: Duration::from_millis(1_000),
            snapshot_entries: self.plan.snapshot_entries,
            snapshot_entries_kept: self.plan.snapshot_entries_kept,
            answer: Duration::from_millis(1_000 + random.below(3_000)),
            ..Options::default()
        }
    }

    /// Cuts a member's power. What it had not synced is gone, or some of it.
    pub(super) fn cut_power(&self, number: u64) {
        let mut places = self.places.lock().unwrap();
        let place = places.get_mut(&number).unwrap();
        let Some(life) = place.life.take() else {
            return;
        };
        life.power.store(false, Ordering::Relaxed);
        life.stop.send_replace(true);
        let lost = place.disk.cut_power(&mut place.random);
        drop(places);
        self.oracle
            .note(format!("{number} loses its power, and {lost} steps"));
        tokio::spawn(async move {
            let _stopped = life.member.raft.shutdown().await;
        });
    }

    /// Damages what a member without power can build again: its state store, its newest snapshot.
    pub(super) fn damage(&self, number: u64) {
        let mut places = self.places.lock().unwrap();
        let place = places.get_mut(&number).unwrap();
        if place.random.percent(50) {
            place.disk.lose_stored();
            self.oracle.note(format!("{number} loses its state store"));
        }
        if place.random.percent(50)
            && let Some(newest) = snapshot_files(&place.snapshots).pop()
        {
            let mut bytes = std::fs::read(&newest).unwrap();
            let at = place.random.below(u64::try_from(bytes.len()).unwrap());
            bytes[usize::try_from(at).unwrap()] ^= 1 << place.random.below(8);
            std::fs::write(&newest, bytes).unwrap();
            self.oracle
                .note(format!("a bit flips in the newest snapshot of {number}"));
        }
    }

    /// Gives a member without power an empty disk.
    pub(super) fn wipe(&self, number: u64) {
        let mut places = self.places.lock().unwrap();
        let place = places.get_mut(&number).unwrap();
        place.disk.wipe();
        for file in snapshot_files(&place.snapshots) {
            std::fs::remove_file(file).unwrap();
        }
        self.oracle.forgot(number);
        self.oracle.note(format!("{number} loses its disk"));
    }

    /// Founds the federation with member 1.
    pub(super) async fn found(&self) {
        let life = self.life(1).unwrap();
        life.member.admit(Admission::Grant).unwrap();
        let me = BTreeMap::from([(1, BasicNode::new(address(1)))]);
        life.member.raft.initialize(me).await.unwrap();
        life.batcher
            .propose(super::world::founding())
            .await
            .unwrap();
    }
}

/// Tells the oracle when a member begins to lead, and when it stops by itself.
async fn watch_lead(life: Life, oracle: Arc<Oracle>) {
    let mut metrics = life.member.raft.metrics();
    let mut led = None;
    loop {
        let (state, vote, running) = {
            let now = metrics.borrow_and_update();
            (now.state, now.vote, now.running_state.clone())
        };
        if !life.has_power() {
            return;
        }
        if let Err(error) = running {
            let why = format!("member {} stopped by itself: {error}", life.member.me);
            oracle.judge("members_keep_running", Err(why));
            return;
        }
        if state == ServerState::Leader && led != Some(vote) {
            led = Some(vote);
            let purged = life.member.log.purged().unwrap_or_default();
            let mut log = life.member.log.clone();
            if let Ok(entries) = log.try_get_log_entries(..).await {
                let entries = entries.iter().map(|it| (it.log_id.index, it.log_id));
                let log = LogOf {
                    purged,
                    entries: entries.collect(),
                };
                oracle.leads(life.member.me, vote, &log);
            }
        }
        tokio::select! {
            biased;
            () = life.dies() => return,
            changed = metrics.changed() => if changed.is_err() { return },
        }
    }
}

fn snapshot_files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|its| its == "snapshot"));
    files.sort();
    files
}

/// A life has a directory of its own, so that the one before cannot write into it any more.
fn copy_snapshots(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in snapshot_files(from) {
        std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
}
