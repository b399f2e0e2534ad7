//! A small federation for the tests of the state: an authority, a provider and a consumer, each
//! with a node and persons, and one driver that proposes in their names.
//!
//! It does not sign proposals; tests of signatures do that themselves.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be built is a failed test"
)]
#![expect(dead_code, reason = "each test binary uses another part of the world")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use catalog::state::{RecordKey, RecordKind, Signer, State, VerifiedProposal};
use catalog::view::View;
use crypto::{Digest, Label, PublicKey, SecretKey, Signature};
use schemas::calendar::Day;
use schemas::command::{Author, Command, Outcome, Proposal};
use schemas::dataset::{
    Column, Dataset, DatasetState, DatasetVersion, Grade, PublishIntent, Sensitivity,
    ShareAttribute, StandardEdition, UpdateCycle,
};
use schemas::decision::RowFilter;
use schemas::export::{
    Envelope, EnvelopeData, ExportMethod, Instrument, InstrumentKind, InstrumentState,
};
use schemas::grading::ImportantBasis;
use schemas::ledger_entry::{Checkpoint, CheckpointUpdate, Cosignature, LedgerIdentity};
use schemas::participant::{KeyCustody, Node, Participant, ParticipantKind, Person, Role};
use schemas::quality::{Ppm, QualityGate, QualityVerdict};
use schemas::request::{
    AccessRequest, Contract, ContractTerms, Grant, GrantState, Purpose, RequestDecision,
    RequestState, RequestTexts,
};
use schemas::resource::ResourceEntry;
use schemas::rule_pack::{RulePack, shipped};
use schemas::standard::{DataStandard, Reading};
use schemas::transfer::{Receipt, ReceiptSide, Transfer, TransferState};
use schemas::{
    CommandId, ContractId, DatasetId, GrantId, InstrumentId, Jurisdiction, LocalText, NodeId,
    ParticipantId, PartyOnly, Period, PersonId, ReleaseId, RequestId, Signed, StandardId,
    Timestamp, TransferId, Visibility, canonical,
};

pub(crate) const AUTHORITY: &str = "authority";
pub(crate) const PORT: &str = "port";
pub(crate) const CUSTOMS: &str = "customs";

/// When the world is founded: 2026-11-24T08:00:00Z.
pub(crate) const START_MS: i64 = 1_795_507_200_000;

pub(crate) fn at(millis_after_start: i64) -> Timestamp {
    Timestamp::from_millis(START_MS + millis_after_start)
}

macro_rules! id {
    ($name:ident, $type:ty) => {
        pub(crate) fn $name(text: &str) -> $type {
            <$type>::parse(text).unwrap()
        }
    };
}
id!(participant_id, ParticipantId);
id!(node_id, NodeId);
id!(person_id, PersonId);
id!(dataset_id, DatasetId);
id!(request_id, RequestId);
id!(contract_id, ContractId);
id!(grant_id, GrantId);
id!(transfer_id, TransferId);

/// The key of an owner, always the same: its scalar is a digest of the name.
pub(crate) fn secret(owner: &str) -> SecretKey {
    SecretKey::from_bytes(Digest::of(owner.as_bytes()).as_bytes()).unwrap()
}

/// Public keys are asked for often and cost a multiplication each.
pub(crate) fn public(owner: &str) -> PublicKey {
    static KEYS: OnceLock<std::sync::Mutex<BTreeMap<String, PublicKey>>> = OnceLock::new();
    let mut keys = KEYS.get_or_init(Default::default).lock().unwrap();
    keys.entry(owner.to_owned())
        .or_insert_with(|| secret(owner).public().clone())
        .clone()
}

/// A well-formed signature over nothing that matters.
pub(crate) fn some_signature() -> Signature {
    static SOME: OnceLock<Signature> = OnceLock::new();
    SOME.get_or_init(|| {
        secret("anybody")
            .sign(Label::Evidence, b"anything")
            .unwrap()
    })
    .clone()
}

/// `body` under the owner's key, with a signature that was never checked.
pub(crate) fn signed<T>(body: T, owner: &str) -> Signed<T> {
    Signed {
        body,
        key: public(owner).key_id(),
        signature: some_signature(),
    }
}

pub(crate) fn participant(id: &str) -> Participant {
    Participant {
        id: participant_id(id),
        name: LocalText::new("单位", id),
        uscc: None,
        kind: ParticipantKind::StateOrgan,
        jurisdiction: Jurisdiction::MAINLAND,
        seat: Some("440100".to_owned()),
        ciio: false,
        department_approval: None,
        signing: public(id),
        encryption: public(&format!("{id}-encryption")),
        ledger_incarnation: 1,
        revision: 0,
    }
}

pub(crate) fn node(operator: &str, raft_number: u64) -> Node {
    let id = format!("node-{operator}");
    Node {
        operator: participant_id(operator),
        hosts: BTreeSet::from([participant_id(operator)]),
        raft_number,
        raft_address: format!("{operator}:7001"),
        data_address: format!("{operator}:7002"),
        api_address: format!("{operator}:7003"),
        transport_keys: [Digest::of(format!("tls {id}").as_bytes())].into(),
        signing: public(&id),
        id: node_id(&id),
        revision: 0,
    }
}

pub(crate) fn person(id: &str, participant: &str, roles: &[Role]) -> Person {
    Person {
        id: person_id(id),
        participant: participant_id(participant),
        roles: roles.iter().copied().collect(),
        signing: public(id),
        custody: KeyCustody::Person,
        not_before: at(-1_000_000),
        not_after: at(1_000_000_000_000),
        visibility: Visibility::Federation,
        revision: 0,
    }
}

/// Persons are named by participant and role: `port-steward`, `customs-consumer` and so on.
pub(crate) fn persons(participant: &str) -> Vec<Person> {
    let duties = [
        ("admin", Role::SystemAdministrator),
        ("officer", Role::SecurityOfficer),
        ("steward", Role::DataSteward),
        ("steward2", Role::DataSteward),
        ("consumer", Role::DataConsumer),
    ];
    duties
        .into_iter()
        .map(|(duty, role)| person(&format!("{participant}-{duty}"), participant, &[role]))
        .collect()
}

pub(crate) fn found() -> Command {
    Command::Found {
        authority: Box::new(participant(AUTHORITY)),
        node: Box::new(node(AUTHORITY, 1)),
        persons: persons(AUTHORITY),
    }
}

pub(crate) fn edition(number: u32) -> StandardEdition {
    StandardEdition {
        standard: StandardId::parse("berth-calls").unwrap(),
        edition: number,
    }
}

pub(crate) fn standard(number: u32) -> DataStandard {
    DataStandard {
        edition: edition(number),
        title: LocalText::new("靠泊", "Berth calls"),
        row_schema: "{}".to_owned(),
        reading: Reading::default(),
    }
}

pub(crate) fn column(name: &str) -> Column {
    Column {
        name: name.to_owned(),
        title: LocalText::new("列", name),
        sensitivity: Sensitivity::None,
    }
}

/// A notice that makes data important.
pub(crate) fn notice() -> ImportantBasis {
    ImportantBasis {
        catalogue: "catalogue 7".to_owned(),
        authority: "the authority".to_owned(),
        notified_on: day("2026-03-01"),
    }
}

/// A code of its own for each identifier.
pub(crate) fn resource_code(id: &str) -> String {
    let digest = Digest::of(id.as_bytes());
    let number = digest.as_bytes().iter().take(6);
    let number = number.fold(1_u64, |sum, byte| sum << 8 | u64::from(*byte));
    format!("3060100/{number}")
}

pub(crate) fn dataset(id: &str, provider: &str) -> Dataset {
    Dataset {
        id: dataset_id(id),
        resource_code: resource_code(id),
        provider: participant_id(provider),
        owner: node_id(&format!("node-{provider}")),
        title: LocalText::new("靠泊", "Berth calls"),
        summary: LocalText::new("船舶靠泊和离泊的时间", "When ships berth"),
        theme: "transport".to_owned(),
        share: ShareAttribute::Unconditional,
        share_conditions: None,
        share_basis: None,
        update_cycle: UpdateCycle::Daily,
        resource: Some(ResourceEntry::exchanged_tables()),
        grade: Grade::G2,
        grade_basis: "no harm".to_owned(),
        grading: None,
        standard: edition(1),
        columns: ["imo", "berth", "arrival", "departure"]
            .map(column)
            .to_vec(),
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
    }
}

pub(crate) fn version(
    dataset: &str,
    provider: &str,
    number: u64,
    intent_at: Timestamp,
) -> DatasetVersion {
    let steward = format!("{provider}-steward");
    let intent = PublishIntent {
        dataset: dataset_id(dataset),
        file_digest: Digest::of(b"file"),
        file_bytes: 4,
        person: person_id(&steward),
        participant: participant_id(provider),
        at: intent_at,
    };
    DatasetVersion {
        dataset: dataset_id(dataset),
        number,
        delta_version: number,
        rows: 10,
        quarantined_rows: 0,
        bytes: 100,
        standard: edition(1),
        schema_digest: Digest::of(b"schema"),
        content_digest: Digest::of(&number.to_be_bytes()),
        mapping: None,
        verdict: QualityVerdict {
            rules: Vec::new(),
            score: None,
            quarantined: Ppm(0),
            passed: true,
        },
        intent: signed(intent, &steward),
        published_at: intent_at,
    }
}

pub(crate) fn request(id: &str, dataset: &str, consumer: &str, period: Period) -> AccessRequest {
    AccessRequest {
        id: request_id(id),
        dataset: dataset_id(dataset),
        consumer: participant_id(consumer),
        requester: person_id(&format!("{consumer}-consumer")),
        purpose: Purpose {
            code: "supervision".to_owned(),
            text: "Supervision".to_owned(),
        },
        texts: PartyOnly::Clear(RequestTexts {
            legal_basis: "海关法 6".to_owned(),
            scenario: "Risk analysis".to_owned(),
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

/// An agreement that gives exactly what was asked for.
pub(crate) fn agreement(request: &AccessRequest, provider: &str) -> (Contract, Grant) {
    let contract = Contract {
        id: contract_id(&format!("c-{}", request.id)),
        request: request.id.clone(),
        dataset: request.dataset.clone(),
        provider: participant_id(provider),
        consumer: request.consumer.clone(),
        terms: PartyOnly::Clear(ContractTerms {
            onward_transfer: false,
            retention_days: None,
            text: String::new(),
        }),
        period: request.period,
    };
    let all = || {
        ["imo", "berth", "arrival", "departure"]
            .map(str::to_owned)
            .to_vec()
    };
    let grant = Grant {
        id: grant_id(&format!("g-{}", request.id)),
        contract: contract.id.clone(),
        dataset: request.dataset.clone(),
        provider: participant_id(provider),
        consumer: request.consumer.clone(),
        subject: None,
        columns: request.columns.clone().unwrap_or_else(all),
        rows: RowFilter::default(),
        masks: BTreeMap::new(),
        rows_max: None,
        purpose: request.purpose.clone(),
        destination: request.destination,
        period: request.period,
        state: GrantState::Active,
        ended_because: None,
        revision: 0,
    };
    (contract, grant)
}

pub(crate) fn agree(contract: Contract, grant: Grant) -> RequestDecision {
    RequestDecision::Agree {
        contract: Box::new(contract),
        grant: Box::new(grant),
    }
}

pub(crate) fn transfer(id: &str, grant: &Grant, version: u64) -> Transfer {
    Transfer {
        id: transfer_id(id),
        grant: grant.id.clone(),
        dataset: grant.dataset.clone(),
        version,
        provider: grant.provider.clone(),
        consumer: grant.consumer.clone(),
        state: TransferState::Requested,
        receipts: Vec::new(),
        ended_because: None,
        revision: 0,
    }
}

pub(crate) fn receipt(it: &Transfer, side: ReceiptSide) -> Receipt {
    let speaker = match side {
        ReceiptSide::Sent => &it.provider,
        ReceiptSide::Received => &it.consumer,
    };
    Receipt {
        transfer: it.id.clone(),
        release: ReleaseId::parse("release-1").unwrap(),
        side,
        participant: speaker.clone(),
        dataset: it.dataset.clone(),
        version: it.version,
        grant: it.grant.clone(),
        rows: 10,
        bytes: 100,
        artefact: Digest::of(b"artefact"),
        sealed_root: None,
        at: at(0),
    }
}

pub(crate) fn receipts(it: &Transfer) -> Vec<Signed<Receipt>> {
    vec![
        signed(receipt(it, ReceiptSide::Sent), it.provider.as_str()),
        signed(receipt(it, ReceiptSide::Received), it.consumer.as_str()),
    ]
}

pub(crate) fn checkpoint(owner: &str, size: u64, root: Digest) -> Checkpoint {
    let ledger = LedgerIdentity {
        participant: participant_id(owner),
        incarnation: 1,
    };
    Checkpoint {
        ledger,
        size,
        root,
        at: at(0),
    }
}

pub(crate) fn first_checkpoint(owner: &str, size: u64, root: Digest) -> Command {
    let checkpoint = signed(checkpoint(owner, size, root), owner);
    let update = CheckpointUpdate {
        checkpoint,
        consistency: None,
    };
    Command::PublishCheckpoint {
        update: Box::new(update),
    }
}

/// A cosignature that holds. The same one each time: two signatures over the same bytes differ, and
/// histories are repeated bit for bit.
pub(crate) fn cosign(checkpoint: &Checkpoint, witness: &str) -> Cosignature {
    static MADE: OnceLock<std::sync::Mutex<BTreeMap<String, Signature>>> = OnceLock::new();
    let node = format!("node-{witness}");
    let bytes = canonical::to_bytes(checkpoint).unwrap();
    let mut made = MADE.get_or_init(Default::default).lock().unwrap();
    let signature = made
        .entry(format!("{node} {}", Digest::of(&bytes)))
        .or_insert_with(|| secret(&node).sign(Label::Cosignature, &bytes).unwrap())
        .clone();
    Cosignature {
        witness: participant_id(witness),
        node: node_id(&node),
        key: public(&node).key_id(),
        signature,
    }
}

/// A pack that ships, as another number of its series.
pub(crate) fn pack(series: &str, number: u64) -> RulePack {
    let mut packs = shipped().iter();
    let it = packs.find(|it| it.series.as_str() == series).unwrap();
    RulePack {
        number,
        ..it.clone()
    }
}

pub(crate) fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

/// An instrument of `processor` for its dataset, to `hk` in Hong Kong.
pub(crate) fn instrument(
    kind: InstrumentKind,
    processor: &str,
    dataset: &str,
    recipient: &str,
) -> Instrument {
    Instrument {
        id: InstrumentId::parse("i-1").unwrap(),
        kind,
        processor: participant_id(processor),
        reference: "doc 1".into(),
        issued_by: "issuer".into(),
        from: day("2026-11-02"),
        until: day("2028-11-01"),
        filed_on: Some(day("2026-11-06")),
        envelope: Envelope {
            recipients: [participant_id(recipient)].into(),
            destinations: [Jurisdiction::HONG_KONG].into(),
            purposes: ["supervision".to_owned()].into(),
            data: vec![EnvelopeData {
                dataset: dataset_id(dataset),
                columns: ["imo".to_owned(), "berth".to_owned()].into(),
            }],
            methods: [ExportMethod::Transfer].into(),
            persons_max: Some(1_000),
            retention_days_max: Some(180),
        },
        classification: None,
        state: InstrumentState::Valid,
        state_because: None,
        revision: 0,
    }
}

/// Who proposes, by the names of this world: `node-port`, or a person such as `port-steward`.
pub(crate) fn author(name: &str) -> (Author, Signer) {
    let key = public(name).key_id();
    if name.starts_with("node-") {
        (
            Author::Node(node_id(name)),
            Signer::Node {
                node: node_id(name),
                key,
            },
        )
    } else {
        let participant = name.split('-').next().unwrap();
        let author = Author::Person {
            participant: participant_id(participant),
            person: person_id(name),
        };
        (author, Signer::Person(key))
    }
}

pub(crate) fn proposal(id: &str, by: &str, at: Timestamp, command: Command) -> VerifiedProposal {
    let (author, signer) = author(by);
    let proposal = Proposal {
        id: CommandId::parse(id).unwrap(),
        author,
        at,
        command,
    };
    VerifiedProposal::insecure_assume_verified_for_tests(proposal, signer).unwrap()
}

/// A state with everything that was proposed to it so far.
#[derive(Clone)]
pub(crate) struct World {
    pub(crate) state: State,
    pub(crate) index: u64,
    pub(crate) log: Vec<VerifiedProposal>,
}

impl World {
    pub(crate) fn empty() -> Self {
        Self {
            state: State::new(),
            index: 0,
            log: Vec::new(),
        }
    }

    /// Founded; three participants with nodes and persons; one standard.
    pub(crate) fn founded() -> Self {
        static FOUNDED: OnceLock<World> = OnceLock::new();
        FOUNDED.get_or_init(Self::build).clone()
    }

    fn build() -> Self {
        let mut world = Self::empty();
        world.must("authority-admin", found());
        for (number, id) in [(2, PORT), (3, CUSTOMS)] {
            let participant = Box::new(participant(id));
            world.must(
                "authority-admin",
                Command::RegisterParticipant { participant },
            );
            let node = Box::new(node(id, number));
            world.must("authority-admin", Command::RegisterNode { node });
            for person in persons(id) {
                let person = Box::new(person);
                world.must("authority-admin", Command::BindPerson { person });
            }
        }
        let standard = Box::new(standard(1));
        world.must("port-steward", Command::AdoptStandard { standard });
        world
    }

    /// With the published dataset `calls` of the port and one version of it.
    pub(crate) fn published() -> Self {
        static PUBLISHED: OnceLock<World> = OnceLock::new();
        let build = || {
            let mut world = Self::founded();
            world.publish(dataset("calls", PORT));
            world.must("node-port", publish_version("calls", PORT, 1, at(1)));
            world
        };
        PUBLISHED.get_or_init(build).clone()
    }

    /// With request `r1` of the customs, agreed to, for the first million milliseconds.
    pub(crate) fn granted() -> Self {
        static GRANTED: OnceLock<World> = OnceLock::new();
        let build = || {
            let mut world = Self::published();
            let period = Period {
                from: at(0),
                until: at(1_000_000),
            };
            let request = Box::new(request("r1", "calls", CUSTOMS, period));
            let (contract, grant) = agreement(&request, PORT);
            world.must("customs-consumer", Command::SubmitRequest { request });
            let decision = agree(contract, grant);
            let request = request_id("r1");
            world.must(
                "port-steward",
                Command::DecideRequest {
                    request,
                    revision: 1,
                    decision,
                },
            );
            world
        };
        GRANTED.get_or_init(build).clone()
    }

    /// Describes a dataset and walks it to PUBLISHED. Important data gets its notice.
    pub(crate) fn publish(&mut self, mut card: Dataset) {
        if card.grade == Grade::Important {
            card.grading.get_or_insert_default().important = Some(notice());
        }
        let (id, provider) = (card.id.clone(), card.provider.clone());
        let steward = format!("{provider}-steward");
        let second = format!("{provider}-steward2");
        self.must(
            &steward,
            Command::DescribeDataset {
                dataset: Box::new(card),
            },
        );
        let steps = [
            (second.as_str(), DatasetState::DepartmentApproved),
            (steward.as_str(), DatasetState::Submitted),
            ("authority-steward2", DatasetState::Approved),
            (steward.as_str(), DatasetState::Published),
        ];
        for (revision, (by, to)) in (1..).zip(steps) {
            self.must(
                by,
                Command::MoveDataset {
                    dataset: id.clone(),
                    revision,
                    to,
                },
            );
        }
    }

    /// Proposes at leader time under a fresh identifier.
    pub(crate) fn propose(&mut self, by: &str, command: Command) -> Outcome {
        let now = if self.state.authority().is_some() {
            self.state.leader_time()
        } else {
            at(0)
        };
        let it = proposal(&format!("cmd-{}", self.index), by, now, command);
        self.apply(it)
    }

    pub(crate) fn apply(&mut self, it: VerifiedProposal) -> Outcome {
        self.index += 1;
        self.log.push(it.clone());
        self.state.apply(self.index, &[it]).remove(0)
    }

    /// Proposes what must be applied.
    #[track_caller]
    pub(crate) fn must(&mut self, by: &str, command: Command) {
        let outcome = self.propose(by, command);
        assert!(
            matches!(outcome, Outcome::Applied { .. }),
            "{by}: {outcome:?}"
        );
    }

    pub(crate) fn tick(&mut self, millis_after_start: i64) -> Outcome {
        self.propose(
            "node-authority",
            Command::Tick {
                now: at(millis_after_start),
            },
        )
    }

    /// Every record.
    pub(crate) fn records_with_commands(&self) -> BTreeMap<RecordKey, Vec<u8>> {
        self.state.records().map(Result::unwrap).collect()
    }

    /// Every record but the remembered commands.
    pub(crate) fn records(&self) -> BTreeMap<RecordKey, Vec<u8>> {
        let mut records = self.records_with_commands();
        records.retain(|key, _| key.kind() != RecordKind::Command);
        records
    }

    pub(crate) fn view(&self) -> View {
        View::new(self.state.clone())
    }
}

pub(crate) fn publish_version(
    dataset: &str,
    provider: &str,
    number: u64,
    intent: Timestamp,
) -> Command {
    let version = signed(version(dataset, provider, number, intent), provider);
    Command::PublishVersion {
        version: Box::new(version),
    }
}

/// A name, who proposes, what, and what becomes of it.
pub(crate) type Case<'a> = (&'a str, &'a str, Command, &'a str);

/// Proposes each command to a copy of `world` and compares what becomes of it: `APPLIED 2` with
/// the revision, or a refusal's code. A refusal must say something and must leave every record
/// but remembered commands as it was.
#[track_caller]
pub(crate) fn check(world: &World, cases: Vec<Case<'_>>) {
    for (name, by, command, expected) in cases {
        let mut copy = world.clone();
        let outcome = copy.propose(by, command);
        if matches!(outcome, Outcome::Refused { .. }) {
            assert!(
                copy.records() == world.records(),
                "{name}: refused, yet a record changed"
            );
        }
        let said = match &outcome {
            Outcome::Applied { revision } => format!("APPLIED {revision}"),
            Outcome::Refused { code, detail } => {
                assert!(
                    detail.len() > 20,
                    "{name}: the detail says too little: {detail}"
                );
                code.to_string()
            }
        };
        assert_eq!(said, expected, "{name}: {outcome:?}");
    }
}
