//! A small federation with a real catalog, real ledgers and real TLS: the authority, a provider
//! and a consumer, a published dataset and a grant. Shared with the data plane's tests.
//!
//! It does not wait for time to pass: whatever has to happen is asked for until it has, or a
//! deadline ends the test.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be built is a failed test"
)]
#![expect(clippy::panic, reason = "a deadline that passes is a failed test")]
#![allow(dead_code, reason = "each test binary uses another part of the world")]
#![allow(
    unreachable_pub,
    reason = "the module is compiled into several test binaries"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use catalog::{Catalog, StartOptions};
use crypto::tls::{ClientAuth, TlsAuthority, TlsIdentity, client_config, server_config};
use crypto::{Digest, Label, SecretKey, SoftwareKey, Validity};
use enforcement::{Clock, EnforcementPoint, Parts, SystemClock};
use ledger::Ledger;
use schemas::command::{Author, Command, Outcome, PersonSignature, Proposal, SignedProposal};
use schemas::dataset::{
    Column, Dataset, DatasetState, Grade, Sensitivity, ShareAttribute, UpdateCycle,
};
use schemas::decision::{Mask, RowFilter};
use schemas::ledger_entry::LedgerIdentity;
use schemas::participant::{
    DepartmentApproval, KeyCustody, Node, Participant, ParticipantKind, Person, Role,
};
use schemas::quality::{Ppm, QualityGate};
use schemas::request::{
    AccessRequest, Contract, ContractTerms, Grant, GrantState, Purpose, RequestDecision,
    RequestState, RequestTexts,
};
use schemas::resource::ResourceEntry;
use schemas::standard::{DataStandard, Reading};
use schemas::{
    CommandId, ContractId, DatasetId, GrantId, Jurisdiction, LocalText, NodeId, ParticipantId,
    PartyOnly, Period, PersonId, RequestId, StandardEdition, StandardId, Timestamp, Visibility,
};
use tokio::net::TcpListener;

/// The longest that anything awaited may take; a slow machine needs it, a fast one never does.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The operating system's clock, moved and mistrusted at will.
#[derive(Default)]
pub struct TestClock {
    system: SystemClock,
    ahead_ms: AtomicI64,
    mistrusted: AtomicBool,
}

impl TestClock {
    /// Moves the clock forward.
    pub fn advance(&self, millis: i64) {
        self.ahead_ms.fetch_add(millis, Ordering::SeqCst);
    }

    /// Takes the trust away.
    pub fn mistrust(&self) {
        self.mistrusted.store(true, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        self.system
            .now()
            .plus_millis(self.ahead_ms.load(Ordering::SeqCst))
    }

    fn is_trusted(&self) -> bool {
        !self.mistrusted.load(Ordering::SeqCst)
    }
}

/// The federation: a catalog of one voter, run by the authority's node.
pub struct World {
    pub dir: tempfile::TempDir,
    pub tls: TlsAuthority,
    pub catalog: Catalog,
    pub clock: Arc<TestClock>,
    /// The identity of `node-authority`.
    pub identity: TlsIdentity,
    commands: AtomicU64,
    validity: Validity,
}

/// A further node with a replica of its own.
pub struct Member {
    pub catalog: Catalog,
    pub identity: TlsIdentity,
}

/// What a grant lets through.
pub struct Granted {
    pub columns: Vec<String>,
    pub rows: RowFilter,
    pub masks: BTreeMap<String, Mask>,
    pub rows_max: Option<u64>,
    /// Milliseconds from now until it ends.
    pub lasts_ms: i64,
}

impl Granted {
    /// These columns, all rows, no masks, for an hour.
    pub fn columns(columns: &[&str]) -> Self {
        Self {
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            rows: RowFilter::default(),
            masks: BTreeMap::new(),
            rows_max: None,
            lasts_ms: 3_600_000,
        }
    }
}

/// The key of an owner, always the same: its scalar is a digest of the name.
pub fn secret(owner: &str) -> SecretKey {
    SecretKey::from_bytes(Digest::of(owner.as_bytes()).as_bytes()).unwrap()
}

pub fn software(owner: &str) -> Arc<SoftwareKey> {
    Arc::new(SoftwareKey::new(secret(owner)))
}

pub fn participant_id(text: &str) -> ParticipantId {
    ParticipantId::parse(text).unwrap()
}

pub fn node_id(text: &str) -> NodeId {
    NodeId::parse(text).unwrap()
}

pub fn dataset_id(text: &str) -> DatasetId {
    DatasetId::parse(text).unwrap()
}

pub fn grant_id(text: &str) -> GrantId {
    GrantId::parse(text).unwrap()
}

pub fn person_id(text: &str) -> PersonId {
    PersonId::parse(text).unwrap()
}

pub fn purpose() -> Purpose {
    Purpose {
        code: "transit-forecast".to_owned(),
        text: "预测转运量".to_owned(),
    }
}

/// A table of names: a column and its JSON Schema type.
pub type Columns<'a> = &'a [(&'a str, &'a str, Sensitivity)];

impl World {
    /// Founds the federation: `authority` with the node `node-authority`, and the persons
    /// `administrator`, `officer`, `approver` (steward of the authority).
    pub async fn found() -> Self {
        let clock = Arc::new(TestClock::default());
        let validity = Validity::days(clock.now().millis() - 60_000, 2);
        let tls = TlsAuthority::create("test federation TLS", validity).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let identity = TlsIdentity::issue(&tls, "node-authority", &[], validity).unwrap();
        let roots = tls.roots().unwrap();
        let catalog = Catalog::start(StartOptions {
            dir: dir.path().join("catalog"),
            node: node_id("node-authority"),
            raft_number: 1,
            signer: software("node-authority"),
            listener,
            server_tls: server_config(&identity, ClientAuth::Required(&roots), &[b"h2"])
                .unwrap()
                .into(),
            client_tls: client_config(&roots, Some(&identity), &[b"h2"])
                .unwrap()
                .into(),
            options: catalog::Options::default(),
            clock: catalog::Clock::system(),
        })
        .await
        .unwrap();
        let commands = AtomicU64::new(0);
        let world = Self {
            dir,
            tls,
            catalog,
            clock,
            identity,
            commands,
            validity,
        };
        let (id, itself) = ("node-authority", &world.identity);
        let node = Node {
            raft_number: 1,
            raft_address: address,
            ..world.node(id, "authority", &["authority"], itself, "127.0.0.1:1")
        };
        let persons = vec![
            person("administrator", "authority", Role::SystemAdministrator),
            person("officer", "authority", Role::SecurityOfficer),
            person("approver", "authority", Role::DataSteward),
        ];
        let command = Command::Found {
            authority: Box::new(participant("authority")),
            node: Box::new(node),
            persons,
        };
        let proposal = world.signed("administrator", "authority", command);
        let applied = world.catalog.found(proposal).await.unwrap();
        assert!(
            matches!(applied.outcome, Outcome::Applied { .. }),
            "{:?}",
            applied.outcome
        );
        world
    }

    /// A second voter that acts for `hosts`, with its own replica.
    pub async fn join(&self, number: u64, id: &str, hosts: &[&str], data_address: &str) -> Member {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let identity = self.certify(id);
        let roots = self.tls.roots().unwrap();
        let catalog = Catalog::start(StartOptions {
            dir: self.dir.path().join(format!("catalog-{id}")),
            node: node_id(id),
            raft_number: number,
            signer: software(id),
            listener,
            server_tls: server_config(&identity, ClientAuth::Required(&roots), &[b"h2"])
                .unwrap()
                .into(),
            client_tls: client_config(&roots, Some(&identity), &[b"h2"])
                .unwrap()
                .into(),
            options: catalog::Options::default(),
            clock: catalog::Clock::system(),
        })
        .await
        .unwrap();
        let node = Node {
            raft_number: number,
            raft_address: address.clone(),
            ..self.node(id, "authority", hosts, &identity, data_address)
        };
        self.register_node(node).await;
        self.catalog.add_voter(number, &address).await.unwrap();
        eventually("the new member sees itself", || async {
            catalog.view().node(&node_id(id)).is_some()
        })
        .await;
        Member { catalog, identity }
    }

    /// Changes for whom the first node acts and where its data plane listens.
    pub async fn rehost(&self, hosts: &[&str], data_address: &str) {
        let mut node = self
            .catalog
            .view()
            .node(&node_id("node-authority"))
            .unwrap()
            .clone();
        node.hosts = hosts.iter().map(|host| participant_id(host)).collect();
        node.data_address = data_address.to_owned();
        self.register_node(node).await;
    }

    /// Another TLS identity of the federation.
    pub fn certify(&self, name: &str) -> TlsIdentity {
        TlsIdentity::issue(&self.tls, name, &[], self.validity).unwrap()
    }

    /// A node's record.
    pub fn node(
        &self,
        id: &str,
        operator: &str,
        hosts: &[&str],
        identity: &TlsIdentity,
        data_address: &str,
    ) -> Node {
        Node {
            id: node_id(id),
            operator: participant_id(operator),
            hosts: hosts.iter().map(|host| participant_id(host)).collect(),
            raft_number: 0,
            raft_address: "127.0.0.1:1".to_owned(),
            data_address: data_address.to_owned(),
            api_address: "127.0.0.1:2".to_owned(),
            transport_keys: [identity.spki_digest()].into(),
            signing: secret(id).public().clone(),
            revision: 0,
        }
    }

    fn command_id(&self) -> CommandId {
        let number = self.commands.fetch_add(1, Ordering::SeqCst);
        CommandId::parse(format!("test-{number}")).unwrap()
    }

    fn signed(&self, person: &str, participant: &str, command: Command) -> SignedProposal {
        let proposal = Proposal {
            id: self.command_id(),
            author: Author::Person {
                participant: participant_id(participant),
                person: person_id(person),
            },
            at: SystemClock::new().now(),
            command,
        };
        let key = secret(person);
        let bytes = SignedProposal::signed_bytes(&proposal).unwrap();
        let signature = key.sign(Label::Command, &bytes).unwrap();
        let signature = PersonSignature {
            key: key.public().key_id(),
            signature,
        };
        SignedProposal {
            proposal,
            signature: Some(signature),
        }
    }

    /// A person's command; it must be applied.
    pub async fn person_does(&self, person: &str, participant: &str, command: Command) {
        let proposal = self.signed(person, participant, command);
        let applied = self.catalog.propose(proposal).await.unwrap();
        assert!(
            matches!(applied.outcome, Outcome::Applied { .. }),
            "{:?}",
            applied.outcome
        );
    }

    /// A node's command, through its own replica; it must be applied.
    pub async fn node_does_on(&self, replica: &Catalog, node: &str, command: Command) {
        let proposal = SignedProposal::by_node(Proposal {
            id: self.command_id(),
            author: Author::Node(node_id(node)),
            at: SystemClock::new().now(),
            command,
        });
        let applied = replica.propose(proposal).await.unwrap();
        assert!(
            matches!(applied.outcome, Outcome::Applied { .. }),
            "{:?}",
            applied.outcome
        );
    }

    pub async fn register(&self, participant: Participant) {
        let command = Command::RegisterParticipant {
            participant: Box::new(participant),
        };
        self.person_does("administrator", "authority", command)
            .await;
    }

    /// Registers a node, or changes it.
    pub async fn register_node(&self, mut node: Node) {
        node.revision = self
            .catalog
            .view()
            .node(&node.id)
            .map_or(0, |it| it.revision);
        let command = Command::RegisterNode {
            node: Box::new(node),
        };
        self.person_does("administrator", "authority", command)
            .await;
    }

    /// Binds a person; her key is that of her name.
    pub async fn bind(&self, person: Person) {
        let command = Command::BindPerson {
            person: Box::new(person),
        };
        self.person_does("administrator", "authority", command)
            .await;
    }

    /// The provider `port` with `steward`, the consumer `customs` with `analyst`, and the
    /// authority's node acting for both.
    pub async fn two_parties(&self) {
        self.parties(participant("port"), participant("customs"))
            .await;
    }

    /// The same with other records of the two.
    pub async fn parties(&self, port: Participant, customs: Participant) {
        self.register(port).await;
        self.register(customs).await;
        self.bind(person("steward", "port", Role::DataSteward))
            .await;
        self.bind(person("auditor", "port", Role::Auditor)).await;
        self.bind(person("analyst", "customs", Role::DataConsumer))
            .await;
        self.rehost(&["authority", "port", "customs"], "127.0.0.1:1")
            .await;
    }

    /// A standard and a published dataset of `port`, owned by `owner`.
    pub async fn publish_card(&self, id: &str, owner: &str, grade: Grade, columns: Columns<'_>) {
        // As text, because the order of the properties is that of the table's columns.
        let properties: Vec<String> = columns
            .iter()
            .map(|(name, kind, _)| match *kind {
                "date" => format!(r#""{name}":{{"type":["string","null"],"format":"date"}}"#),
                other => format!(r#""{name}":{{"type":["{other}","null"]}}"#),
            })
            .collect();
        let row_schema = format!(
            r#"{{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object",
            "properties":{{{}}},"additionalProperties":false}}"#,
            properties.join(",")
        );
        let edition = StandardEdition {
            standard: StandardId::parse(id).unwrap(),
            edition: 1,
        };
        let standard = DataStandard {
            edition: edition.clone(),
            title: LocalText::new("标准", "standard"),
            row_schema,
            reading: Reading::default(),
        };
        let command = Command::AdoptStandard {
            standard: Box::new(standard),
        };
        self.person_does("steward", "port", command).await;
        let dataset = card(id, owner, grade, columns, edition);
        let command = Command::DescribeDataset {
            dataset: Box::new(dataset),
        };
        self.person_does("steward", "port", command).await;
        for (to, person, participant) in [
            (DatasetState::DepartmentApproved, "steward", "port"),
            (DatasetState::Submitted, "steward", "port"),
            (DatasetState::Approved, "approver", "authority"),
            (DatasetState::Published, "steward", "port"),
        ] {
            let revision = self
                .catalog
                .view()
                .dataset(&dataset_id(id))
                .unwrap()
                .revision;
            let command = Command::MoveDataset {
                dataset: dataset_id(id),
                revision,
                to,
            };
            self.person_does(person, participant, command).await;
        }
    }

    /// `customs` asks for `dataset`, `port` agrees: the grant is `id`.
    pub async fn grant(&self, id: &str, dataset: &str, granted: Granted) {
        self.agree(id, dataset, granted, Jurisdiction::MAINLAND, &["steward"])
            .await;
    }

    /// The same for another place, with everyone's agreement that it takes. What leaves the
    /// mainland is kept for 30 days.
    pub async fn agree(
        &self,
        id: &str,
        dataset: &str,
        granted: Granted,
        destination: Jurisdiction,
        by: &[&str],
    ) {
        let now = SystemClock::new().now();
        let from = now.plus_millis(-60_000);
        let period = Period {
            from,
            until: now.plus_millis(granted.lasts_ms),
        };
        let request = AccessRequest {
            destination,
            ..request(id, dataset, period)
        };
        let command = Command::SubmitRequest {
            request: Box::new(request.clone()),
        };
        self.person_does("analyst", "customs", command).await;
        let contract = Contract {
            id: ContractId::parse(format!("contract-{id}")).unwrap(),
            request: request.id.clone(),
            dataset: dataset_id(dataset),
            provider: participant_id("port"),
            consumer: participant_id("customs"),
            terms: PartyOnly::Clear(ContractTerms {
                onward_transfer: false,
                retention_days: (!destination.is_mainland()).then_some(30),
                text: String::new(),
            }),
            period,
        };
        let grant = Grant {
            id: grant_id(id),
            contract: contract.id.clone(),
            dataset: dataset_id(dataset),
            provider: participant_id("port"),
            consumer: participant_id("customs"),
            subject: None,
            columns: granted.columns,
            rows: granted.rows,
            masks: granted.masks,
            rows_max: granted.rows_max,
            purpose: purpose(),
            destination,
            period,
            state: GrantState::Active,
            ended_because: None,
            revision: 0,
        };
        let decision = RequestDecision::Agree {
            contract: Box::new(contract),
            grant: Box::new(grant),
        };
        for person in by {
            let command = Command::DecideRequest {
                request: request.id.clone(),
                revision: 1,
                decision: decision.clone(),
            };
            self.person_does(person, "port", command).await;
        }
    }

    pub async fn revoke(&self, grant: &str) {
        let command = Command::RevokeGrant {
            grant: grant_id(grant),
            because: "used elsewhere".to_owned(),
        };
        self.person_does("steward", "port", command).await;
    }

    /// A ledger below the world's folder.
    pub fn ledger(&self, participant: &str) -> Ledger {
        open_ledger(
            &self.dir.path().join(format!("ledger-{participant}")),
            participant,
        )
    }

    /// The gate of a participant on a node.
    pub fn point(&self, participant: &str, node: &str, ledger: Ledger) -> EnforcementPoint {
        EnforcementPoint::new(Parts {
            participant: participant_id(participant),
            node: node_id(node),
            catalog: self.catalog.clone(),
            ledger,
            signer: software(participant),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
        })
        .unwrap()
    }
}

pub fn open_ledger(dir: &Path, participant: &str) -> Ledger {
    let identity = LedgerIdentity {
        participant: participant_id(participant),
        incarnation: 1,
    };
    let options = ledger::Options {
        preallocation_bytes: 64 << 10,
        ..ledger::Options::default()
    };
    Ledger::open(dir, identity, options).unwrap()
}

/// Asks until the answer is yes.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    let until = tokio::time::Instant::now() + DEADLINE;
    while !ask().await {
        if tokio::time::Instant::now() >= until {
            panic!("{what} did not happen within {DEADLINE:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub fn participant(id: &str) -> Participant {
    Participant {
        id: participant_id(id),
        name: LocalText::new("单位", id),
        uscc: None,
        kind: ParticipantKind::StateOrgan,
        jurisdiction: Jurisdiction::MAINLAND,
        seat: Some("440100".to_owned()),
        ciio: false,
        department_approval: Some(DepartmentApproval::SamePerson),
        signing: secret(id).public().clone(),
        encryption: secret(&format!("{id}-encryption")).public().clone(),
        ledger_incarnation: 1,
        revision: 0,
    }
}

pub fn person(id: &str, participant: &str, role: Role) -> Person {
    Person {
        id: person_id(id),
        participant: participant_id(participant),
        roles: BTreeSet::from([role]),
        signing: secret(id).public().clone(),
        custody: KeyCustody::Person,
        not_before: Timestamp::from_millis(0),
        not_after: Timestamp::MAX,
        visibility: Visibility::Federation,
        revision: 0,
    }
}

fn card(
    id: &str,
    owner: &str,
    grade: Grade,
    columns: Columns<'_>,
    standard: StandardEdition,
) -> Dataset {
    Dataset {
        id: dataset_id(id),
        resource_code: "307010000/000001".to_owned(),
        provider: participant_id("port"),
        owner: node_id(owner),
        title: LocalText::new("集装箱", "containers"),
        summary: LocalText::new("集装箱动态", "container moves"),
        theme: "port".to_owned(),
        share: ShareAttribute::Conditional,
        share_conditions: Some("for statutory duties".to_owned()),
        share_basis: None,
        update_cycle: UpdateCycle::Daily,
        resource: Some(ResourceEntry::exchanged_tables()),
        grade,
        grade_basis: "GB/T 43697-2024".to_owned(),
        grading: None,
        standard,
        columns: columns
            .iter()
            .map(|(name, _, sensitivity)| Column {
                name: (*name).to_owned(),
                title: LocalText::new(*name, *name),
                sensitivity: *sensitivity,
            })
            .collect(),
        quality_rules: Vec::new(),
        quality_gate: QualityGate {
            quarantined_max: Ppm(1_000_000),
            score_min: Ppm(0),
        },
        mappings: Vec::new(),
        visibility: Visibility::Federation,
        state: DatasetState::Draft,
        written_by: None,
        revision: 0,
    }
}

/// What `analyst` of `customs` asks for.
fn request(id: &str, dataset: &str, period: Period) -> AccessRequest {
    AccessRequest {
        id: RequestId::parse(format!("request-{id}")).unwrap(),
        dataset: dataset_id(dataset),
        consumer: participant_id("customs"),
        requester: person_id("analyst"),
        purpose: purpose(),
        texts: PartyOnly::Clear(RequestTexts {
            legal_basis: "Decree 809, article 21".to_owned(),
            scenario: "forecast".to_owned(),
        }),
        columns: None,
        rows: RowFilter::default(),
        period,
        destination: Jurisdiction::MAINLAND,
        state: RequestState::Submitted,
        submitted_at: period.from,
        due_at: None,
        answer: None,
        revision: 0,
    }
}
