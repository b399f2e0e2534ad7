//! A federation of real nodes in this process: own directories, keys, TLS, Raft and ledgers, each
//! on free ports of the loopback.
//!
//! It does not take short cuts between nodes: they meet only through their sockets.

use std::path::{Path, PathBuf};

use crypto::SecretKey;
use crypto::keys::KeyFile;
use crypto::tls::TlsIdentity;
use schemas::command::{Command, Outcome, SignedProposal};
use schemas::ledger_entry::{LedgerEvent, LedgerIndex};
use schemas::participant::{KeyCustody, ParticipantKind, Person, Role};
use schemas::{LocalText, PersonId};
use server::Node;
use server::federation::{Federation, Member, MemberPlan, now};
use server::init;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::eventually;
use crate::rest::{self, Client, Site};

/// Members of a federation in the order in which they join; the first is its authority.
pub const MEMBERS: [(&str, &str, &str, &str); 3] = [
    (
        "province",
        "gd.province",
        "广东省政务数据主管部门",
        "Guangdong data authority",
    ),
    (
        "guangzhou",
        "gd.guangzhou.port",
        "广州港口主管部门",
        "Guangzhou port authority",
    ),
    (
        "shenzhen",
        "gd.shenzhen.port",
        "深圳口岸主管部门",
        "Shenzhen port office",
    ),
];

/// A running federation and the directory under it, which goes with it.
pub struct Cluster {
    federation: Option<Federation>,
    runtime: Runtime,
    dir: TempDir,
}

impl Cluster {
    /// Starts the first `members` of [`MEMBERS`].
    ///
    /// # Panics
    /// When one does not start.
    #[must_use]
    pub fn start(members: usize) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("kouan-conformance-")
            .tempdir();
        let dir = dir.expect("a temporary directory");
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let plans: Vec<MemberPlan> = MEMBERS
            .iter()
            .take(members)
            .map(|(node, participant, zh, en)| MemberPlan {
                node,
                participant,
                name: LocalText::new(*zh, *en),
                kind: ParticipantKind::StateOrgan,
            })
            .collect();
        let started = runtime.block_on(Federation::start(dir.path(), &plans));
        let federation = started.unwrap_or_else(|e| panic!("start a federation: {e}"));
        Self {
            federation: Some(federation),
            runtime,
            dir,
        }
    }

    /// The federation.
    ///
    /// # Panics
    /// Never while the cluster lives.
    #[must_use]
    pub fn federation(&self) -> &Federation {
        self.federation.as_ref().expect("a running federation")
    }

    /// A directory of the test's own.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        let path = self.dir.path().join("scratch");
        std::fs::create_dir_all(&path).expect("a scratch folder");
        path
    }

    /// Runs something that the nodes' runtime has to drive.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// The member at `at`.
    #[must_use]
    pub fn member(&self, at: usize) -> &Member {
        &self.federation().members[at]
    }

    /// The running node of the member at `at`.
    ///
    /// # Panics
    /// When it is stopped.
    #[must_use]
    pub fn node(&self, at: usize) -> &Node {
        self.member(at).running().expect("a running node")
    }

    /// Where the member at `at` is.
    #[must_use]
    pub fn site(&self, at: usize) -> Site {
        Site::of(&self.member(at).prepared, &self.federation().roots)
    }

    /// The person with `role` of the member at `at`, signed in.
    #[must_use]
    pub fn sign_in(&self, at: usize, role: Role) -> Client {
        rest::sign_in(&self.member(at).prepared, &self.federation().roots, role)
    }

    /// Binds one more person of the member at `at`, and signs her in.
    ///
    /// # Panics
    /// When the catalog does not take her.
    #[must_use]
    pub fn add_person(&self, at: usize, name: &str, role: Role) -> Client {
        let participant = &self.member(at).prepared.participant.id;
        let key = SecretKey::generate().expect("a key");
        let from = now();
        let person = Person {
            id: PersonId::parse(format!("{participant}.{name}")).expect("an identifier"),
            participant: participant.clone(),
            roles: [role].into(),
            signing: key.public().clone(),
            custody: KeyCustody::Person,
            not_before: from.plus_millis(-60_000),
            not_after: from.plus_millis(24 * 3_600_000),
            visibility: schemas::Visibility::Parties([participant.clone()].into()),
            revision: 0,
        };
        let command = Command::BindPerson {
            person: Box::new(person.clone()),
        };
        // Her participant's administrator binds her; the authority's does so for new members.
        let administrator = self.sign_in(at, Role::SystemAdministrator);
        let _: serde_json::Value = administrator.change("POST", "/persons", 0, command).ok();
        eventually("the new person in the catalog", || {
            self.node(at)
                .catalog()
                .view()
                .person(&person.id)
                .map(|_| ())
        });
        self.site(at).sign_in(&person, key)
    }

    /// Proposes through a node, past REST.
    ///
    /// # Panics
    /// When the catalog cannot be reached.
    #[must_use]
    pub fn propose(&self, at: usize, signed: SignedProposal) -> Outcome {
        let proposed = self.run(self.node(at).catalog().propose(signed));
        proposed.unwrap_or_else(|e| panic!("propose: {e}")).outcome
    }

    /// Everything that the member at `at` has recorded.
    ///
    /// # Panics
    /// When its ledger cannot be read.
    #[must_use]
    pub fn entries(&self, at: usize) -> Vec<LedgerEvent> {
        let auditor = self.sign_in(at, Role::Auditor);
        entries(&auditor)
            .into_iter()
            .map(|(_, event)| event)
            .collect()
    }

    /// A transport identity with an SM2 key, as nodes use it among them, that the federation's
    /// authority issued for `name`, valid as said.
    ///
    /// # Panics
    /// When it cannot be issued.
    #[must_use]
    pub fn issue(&self, name: &str, validity: crypto::Validity) -> TlsIdentity {
        let authority = &self.federation().authorities.shangmi;
        TlsIdentity::issue(authority, name, &["localhost"], validity).expect("a certificate")
    }

    /// As [`Self::issue`], with a P-256 key, as other systems and people's programs use it.
    ///
    /// # Panics
    /// When it cannot be issued.
    #[must_use]
    pub fn issue_standard(&self, name: &str, validity: crypto::Validity) -> TlsIdentity {
        let authority = &self.federation().authorities.standard;
        TlsIdentity::issue(authority, name, &["localhost"], validity).expect("a certificate")
    }

    /// PEM file of the P-256 authority alone, for programs that cannot read an SM2 key.
    #[must_use]
    pub fn standard_roots(&self) -> PathBuf {
        self.federation().roots.with_file_name("standard.pem")
    }

    /// The transport identity that the member at `at` shows to other nodes: with an SM2 key.
    ///
    /// # Panics
    /// When its file cannot be read.
    #[must_use]
    pub fn identity(&self, at: usize) -> TlsIdentity {
        self.identity_in(at, "tls/shangmi.pem")
    }

    /// The one that it shows to people's programs: with a P-256 key.
    ///
    /// # Panics
    /// When its file cannot be read.
    #[must_use]
    pub fn standard_identity(&self, at: usize) -> TlsIdentity {
        self.identity_in(at, "tls/standard.pem")
    }

    fn identity_in(&self, at: usize, file: &str) -> TlsIdentity {
        let path = self.member(at).prepared.dir.join(file);
        let text = std::fs::read_to_string(path).expect("read an identity");
        TlsIdentity::from_pem(&text).expect("an identity")
    }

    /// Stops the member at `at`; its directory stays.
    pub fn stop(&mut self, at: usize) {
        let federation = self.federation.as_mut().expect("a running federation");
        if let Some(node) = federation.members[at].node.take() {
            self.runtime.block_on(node.stop());
        }
    }

    /// Starts the member at `at` again from its directory.
    ///
    /// # Errors
    /// What keeps it from starting.
    ///
    /// # Panics
    /// Never while the cluster lives.
    pub fn restart(&mut self, at: usize) -> Result<(), server::Error> {
        let federation = self.federation.as_mut().expect("a running federation");
        self.runtime.block_on(federation.members[at].restart())
    }

    /// Stops every node and leaves the directories: for child processes to go on from.
    ///
    /// # Panics
    /// Never.
    #[must_use]
    pub fn into_directories(mut self) -> (Vec<Member>, PathBuf, TempDir) {
        let members = self.federation().members.len();
        for at in 0..members {
            self.stop(at);
        }
        let federation = self.federation.take().expect("a running federation");
        let place = std::mem::replace(&mut self.dir, TempDir::new().expect("a directory"));
        (federation.members, federation.roots, place)
    }

    /// Waits until all running members have applied the same.
    ///
    /// # Panics
    /// When they do not.
    pub fn settle(&self) {
        self.run(self.federation().settle())
            .expect("the members agree");
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Some(federation) = self.federation.take() {
            self.runtime.block_on(federation.stop());
        }
    }
}

/// The whole ledger of an auditor's participant, through REST.
///
/// # Panics
/// When an entry has not the form of one.
#[must_use]
pub fn entries(auditor: &Client) -> Vec<(LedgerIndex, LedgerEvent)> {
    let mut all = Vec::new();
    loop {
        let path = format!("/ledger/entries?from={}&limit=1000", all.len());
        let page: Vec<serde_json::Value> = auditor.get(&path).ok();
        let count = page.len();
        for item in page {
            let index = serde_json::from_value(item["index"].clone()).expect("an index");
            let event = serde_json::from_value(item["entry"]["event"].clone()).expect("an event");
            all.push((index, event));
        }
        if count < 1_000 {
            return all;
        }
    }
}

/// Opens a key file with the passphrase file beside it.
///
/// # Panics
/// When either cannot be read.
#[must_use]
pub fn participant_key(dir: &Path, name: &str) -> SecretKey {
    let passphrase = std::fs::read(dir.join("keys/passphrase")).expect("read a passphrase");
    let file = KeyFile::read(dir.join("keys").join(name)).expect("read a key file");
    file.open(&passphrase).expect("open a key file")
}

/// Signs a command with the key of a prepared person, at a time of the test's choice.
///
/// # Panics
/// When nobody has the role.
#[must_use]
pub fn signed_at(
    member: &Member,
    role: Role,
    command: Command,
    at: schemas::Timestamp,
) -> SignedProposal {
    let person = member.person(role).expect("a person");
    init::sign(&person.record, &person.key, command, at).expect("sign a command")
}
