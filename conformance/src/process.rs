//! Nodes as child processes of the real program: what a power cut is to a node, SIGKILL is to
//! them.
//!
//! It does not stop a node politely; [`crate::cluster`] does.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use ledger::fsck;
use schemas::participant::Role;
use server::federation::Member;
use server::init::{NewPerson, Prepared};
use tempfile::TempDir;

use crate::rest::{self, Client, Site};
use crate::{Cluster, eventually};

/// A program of this workspace, beside the test that asks for it.
///
/// # Panics
/// When it was not built, with what to do.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("the path of this test");
    let beside = own
        .parent()
        .and_then(Path::parent)
        .expect("a folder of programs")
        .join(name);
    assert!(
        beside.is_file(),
        "{} is not there; build it first at the workspace's root: cargo build --bin {name}",
        beside.display()
    );
    beside
}

/// A node in a process of its own.
pub struct Process {
    /// Keys, persons and directory.
    pub prepared: Prepared,
    roots: PathBuf,
    child: Option<Child>,
    /// Shell words before the program; none for the program alone.
    before: Option<String>,
}

impl Process {
    fn new(prepared: Prepared, roots: &Path) -> Self {
        Self {
            prepared,
            roots: roots.to_owned(),
            child: None,
            before: None,
        }
    }

    /// The member at `at` of a cluster, which runs on without it.
    ///
    /// # Panics
    /// When its node still runs in this process.
    #[must_use]
    pub fn of_stopped(cluster: &Cluster, at: usize) -> Self {
        let member = cluster.member(at);
        assert!(member.node.is_none(), "stop the node first");
        let it = &member.prepared;
        let persons = it.persons.iter().map(|person| NewPerson {
            record: person.record.clone(),
            key: rest::open_key(person),
            key_file: person.key_file.clone(),
        });
        let prepared = Prepared {
            dir: it.dir.clone(),
            config: it.config.clone(),
            participant: it.participant.clone(),
            node: it.node.clone(),
            persons: persons.collect(),
        };
        Self::new(prepared, &cluster.federation().roots)
    }

    /// Starts `kouan serve` and waits until it answers.
    ///
    /// # Panics
    /// When it does not, with what it logged.
    pub fn start(&mut self) {
        self.spawn();
        self.wait_until_served();
    }

    fn wait_until_served(&mut self) {
        let url = format!("https://{}/openapi.json", self.site().api);
        let agent = rest::agent(&self.roots);
        eventually("a node to serve", || {
            if let Some(ended) = self.ended() {
                panic!("the node ended: {ended}\n{}", self.log());
            }
            agent.get(&url).call().ok().map(|_| ())
        });
    }

    /// Starts `kouan serve` and does not wait.
    ///
    /// # Panics
    /// When the program cannot be run.
    pub fn spawn(&mut self) {
        let log = File::options()
            .append(true)
            .create(true)
            .open(self.log_path());
        let log = log.expect("a log file");
        let kouan = program("kouan");
        let mut command = match &self.before {
            None => Command::new(kouan),
            Some(before) => {
                let mut shell = Command::new("sh");
                shell
                    .arg("-c")
                    .arg(format!("exec {before} \"$0\" \"$@\""))
                    .arg(kouan);
                shell
            }
        };
        let child = command
            .args(["serve", "--config"])
            .arg(&self.prepared.config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("run kouan"));
    }

    /// Puts shell words before the program from the next start on.
    pub fn run_in(&mut self, before: &str) {
        self.before = Some(before.to_owned());
    }

    /// Its process, while it was started and not killed.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// How the process ended, if it did.
    ///
    /// # Panics
    /// When the system does not say.
    pub fn ended(&mut self) -> Option<String> {
        let child = self.child.as_mut()?;
        child
            .try_wait()
            .expect("ask for a process")
            .map(|status| status.to_string())
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Panics
    /// When it does not.
    pub fn wait_for_end(&mut self) -> String {
        eventually("the process to end", || self.ended())
    }

    /// SIGKILL, without a word before it.
    ///
    /// # Panics
    /// When the system does not let it.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("kill a process of ours");
            child.wait().expect("wait for a process of ours");
        }
    }

    /// SIGTERM, as a service manager sends it; returns at once.
    ///
    /// # Panics
    /// When the process does not run or the system does not let it.
    pub fn terminate(&self) {
        let child = self.child.as_ref().expect("a running process");
        let sent = Command::new("sh")
            .args(["-c", "kill -TERM \"$0\""])
            .arg(child.id().to_string())
            .status();
        assert!(sent.expect("run sh").success(), "send SIGTERM");
    }

    /// Nothing in the participant's ledger is damaged (a torn tail is what opening clears); how
    /// many entries it has.
    ///
    /// # Panics
    /// When something is damaged.
    #[must_use]
    pub fn ledger_entries(&self) -> u64 {
        let participant = &self.prepared.participant;
        let dir = self.prepared.dir.join("ledger");
        let dir = dir.join(participant.id.as_str());
        let dir = dir.join(participant.ledger_incarnation.to_string());
        let report = fsck::check(&dir, Some(&participant.signing)).expect("a ledger");
        let torn = |it: &fsck::Damage| it.kind == fsck::DamageKind::TornTail;
        let damage = report.damage.filter(|it| !torn(it));
        assert_eq!(damage, None);
        report.entries
    }

    /// What the node has logged.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn log_path(&self) -> PathBuf {
        self.prepared.dir.join("conformance.log")
    }

    /// Where it is.
    #[must_use]
    pub fn site(&self) -> Site {
        Site::of(&self.prepared, &self.roots)
    }

    /// Its person with `role`, signed in. After a kill she signs in again: sessions are in memory.
    #[must_use]
    pub fn sign_in(&self, role: Role) -> Client {
        rest::sign_in(&self.prepared, &self.roots, role)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended; then there is nothing to kill.
            let _killed = child.kill();
            let _waited = child.wait();
        }
    }
}

/// The members of a federation, each in a process of its own, and the directory under them.
pub struct Processes {
    /// In the order in which they joined.
    pub members: Vec<Process>,
    _dir: TempDir,
}

impl Processes {
    /// Takes over the directories of a cluster that was set up in this process; starts nothing.
    #[must_use]
    pub fn of(cluster: Cluster) -> Self {
        let (members, roots, dir) = cluster.into_directories();
        let members = members
            .into_iter()
            .map(|Member { prepared, .. }| Process::new(prepared, &roots))
            .collect();
        Self { members, _dir: dir }
    }

    /// Starts every member and waits until all serve.
    ///
    /// # Panics
    /// When one does not.
    pub fn start(&mut self) {
        // First all, then wait: alone none has a quorum.
        for member in &mut self.members {
            member.spawn();
        }
        for member in &mut self.members {
            member.wait_until_served();
        }
    }
}
