//! Random histories of commands, bit for bit repeatable from a seed (simulation depth A): replay
//! equality, snapshot and tail, equal digests however the log is cut, and the invariants of the
//! records after every batch.
//!
//! It does not test single rules or signatures. `KOUAN_HISTORIES=10000` runs more seeds than the
//! default, `KOUAN_SEED=42` one alone.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be built is a failed test"
)]

mod state_world;

use std::collections::BTreeMap;

use catalog::state::{RecordKey, RecordKind, State, VerifiedProposal};
use catalog::view::View;
use crypto::merkle::{Tree, leaf_digest};
use schemas::command::{Command, Outcome, RefusalCode};
use schemas::dataset::{Dataset, DatasetState, Grade};
use schemas::export::{InstrumentKind, InstrumentState};
use schemas::ledger_entry::CheckpointUpdate;
use schemas::participant::{Person, Role};
use schemas::policy_set::PolicySet;
use schemas::request::{GrantState, RequestDecision, RequestState};
use schemas::transfer::TransferState;
use schemas::{InstrumentId, Period, Timestamp};
use state_world::*;

/// splitmix64: short, seeded, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    fn millis(&mut self, limit: i64) -> i64 {
        i64::try_from(self.below(u64::try_from(limit).unwrap())).unwrap()
    }

    fn one<T: Clone>(&mut self, from: &[T]) -> Option<T> {
        let place = self.below(u64::try_from(from.len()).unwrap());
        from.get(usize::try_from(place).unwrap()).cloned()
    }
}

const MEMBERS: [&str; 3] = [AUTHORITY, PORT, CUSTOMS];

/// Makes up commands that mostly make sense in the state that it sees.
struct Author {
    random: Random,
    count: u64,
    ledgers: BTreeMap<&'static str, Tree>,
}

impl Author {
    fn new(seed: u64) -> Self {
        let ledgers = MEMBERS.map(|member| (member, Tree::new())).into();
        Self {
            random: Random(seed),
            count: 0,
            ledgers,
        }
    }

    fn member(&mut self) -> &'static str {
        self.random.one(&MEMBERS).unwrap()
    }

    fn proposal(&mut self, view: &View) -> VerifiedProposal {
        self.count += 1;
        let (mut by, command) = self.command(view).unwrap_or_else(|| self.tick(view));
        if self.random.percent(2) {
            // A person whose key was never bound, or is no longer.
            by = format!("port-clerk{}", self.random.below(3));
        } else if self.random.percent(5) {
            let duties = ["admin", "officer", "steward", "steward2", "consumer"];
            by = format!("{}-{}", self.member(), self.random.one(&duties).unwrap());
        }
        let jitter = if self.random.percent(3) {
            600_000
        } else {
            60_000
        };
        let at = view.leader_time().plus_millis(self.random.millis(jitter));
        proposal(&format!("h{}", self.count), &by, at, command)
    }

    fn command(&mut self, view: &View) -> Option<(String, Command)> {
        match self.random.below(16) {
            14 => self.instrument(view),
            0 => Some(self.tick(view)),
            1 => Some(self.describe()),
            2..=4 => self.move_dataset(view),
            5 => self.publish(view),
            6 | 7 => self.submit(view),
            8 | 9 => self.decide(view),
            10 => self.end(view),
            11 => self.open(view),
            12 => self.finish(view),
            13 => self.checkpoint(view),
            _ => Some(self.administer(view)),
        }
    }

    fn tick(&mut self, view: &View) -> (String, Command) {
        let step = self.random.millis(120_000) - 5_000;
        let node = format!("node-{}", self.member());
        (
            node,
            Command::Tick {
                now: view.leader_time().plus_millis(step),
            },
        )
    }

    fn dataset(&mut self, view: &View) -> Option<Dataset> {
        let all: Vec<&Dataset> = view.datasets().collect();
        self.random.one(&all).cloned()
    }

    fn describe(&mut self) -> (String, Command) {
        let provider = self.member();
        let mut card = dataset(&format!("d{}", self.random.below(8)), provider);
        card.revision = self.random.below(2);
        card.grade = self.random.one(Grade::ALL).unwrap();
        (
            format!("{provider}-steward"),
            Command::DescribeDataset {
                dataset: Box::new(card),
            },
        )
    }

    fn move_dataset(&mut self, view: &View) -> Option<(String, Command)> {
        let card = self.dataset(view)?;
        let next: &[DatasetState] = match card.state {
            DatasetState::Draft | DatasetState::Returned => &[DatasetState::DepartmentApproved],
            DatasetState::DepartmentApproved => &[DatasetState::Submitted],
            DatasetState::Submitted => &[DatasetState::Approved, DatasetState::Returned],
            DatasetState::Approved => &[DatasetState::Published],
            DatasetState::Published => &[DatasetState::Revising],
            DatasetState::Revising => &[DatasetState::Submitted, DatasetState::Suspended],
            DatasetState::Suspended | DatasetState::Retired => &[DatasetState::Published],
        };
        let mut to = self.random.one(next).unwrap();
        if self.random.percent(10) {
            to = self.random.one(DatasetState::ALL).unwrap();
        }
        let by = match to {
            DatasetState::Approved | DatasetState::Returned => "authority-steward2".to_owned(),
            _ => format!("{}-steward", card.provider),
        };
        let revision = card.revision + u64::from(self.random.percent(5));
        Some((
            by,
            Command::MoveDataset {
                dataset: card.id,
                revision,
                to,
            },
        ))
    }

    fn publish(&mut self, view: &View) -> Option<(String, Command)> {
        let card = self.dataset(view)?;
        let last = view
            .latest_version(&card.id)
            .map_or(0, |version| version.body.number);
        let number = last + 1 + u64::from(self.random.percent(10));
        let intent = view.leader_time().plus_millis(self.random.millis(1_000));
        let provider = card.provider.as_str();
        let command = publish_version(card.id.as_str(), provider, number, intent);
        Some((format!("node-{provider}"), command))
    }

    fn period(&mut self, from: Timestamp) -> Period {
        let from = from.plus_millis(self.random.millis(50_000) - 25_000);
        Period {
            from,
            until: from.plus_millis(self.random.millis(600_000)),
        }
    }

    fn submit(&mut self, view: &View) -> Option<(String, Command)> {
        let card = self.dataset(view)?;
        let consumer = self.member();
        let period = self.period(view.leader_time());
        let id = format!("r{}", self.random.below(30));
        let mut it = request(&id, card.id.as_str(), consumer, period);
        it.revision = view.request(&it.id).map_or(0, |before| before.revision);
        if self.random.percent(30) {
            it.columns = Some(vec!["imo".to_owned(), "berth".to_owned()]);
        }
        Some((
            format!("{consumer}-consumer"),
            Command::SubmitRequest {
                request: Box::new(it),
            },
        ))
    }

    fn decide(&mut self, view: &View) -> Option<(String, Command)> {
        let open: Vec<_> = view
            .requests()
            .filter(|it| it.state == RequestState::Submitted)
            .collect();
        let it = self.random.one(&open)?;
        let provider = view.dataset(&it.dataset)?.provider.clone();
        let decision = match self.random.below(10) {
            0 => RequestDecision::Refuse {
                reasons: "no basis".to_owned(),
            },
            1 => RequestDecision::Return {
                missing: "the basis".to_owned(),
            },
            chosen => {
                let (mut contract, mut grant) = agreement(it, provider.as_str());
                if chosen < 5 {
                    contract.period = self.period(it.period.from);
                    grant.period = self.period(it.period.from);
                }
                agree(contract, grant)
            }
        };
        let request = it.id.clone();
        let revision = it.revision;
        let duties = ["steward", "steward", "steward2", "officer"];
        let by = format!("{provider}-{}", self.random.one(&duties).unwrap());
        Some((
            by,
            Command::DecideRequest {
                request,
                revision,
                decision,
            },
        ))
    }

    /// Revokes a grant or withdraws a request.
    fn end(&mut self, view: &View) -> Option<(String, Command)> {
        if self.random.percent(50) {
            let all: Vec<_> = view.requests().collect();
            let it = self.random.one(&all)?;
            let by = format!("{}-consumer", it.consumer);
            let (request, revision) = (it.id.clone(), it.revision);
            return Some((by, Command::WithdrawRequest { request, revision }));
        }
        let because = "misuse".to_owned();
        if self.random.percent(10) {
            let (by, grant) = ("port-officer".to_owned(), grant_id("of-nobody"));
            return Some((by, Command::RevokeGrant { grant, because }));
        }
        let all: Vec<_> = view.grants().collect();
        let it = self.random.one(&all)?;
        let by = format!("{}-officer", it.provider);
        Some((
            by,
            Command::RevokeGrant {
                grant: it.id.clone(),
                because,
            },
        ))
    }

    fn open(&mut self, view: &View) -> Option<(String, Command)> {
        let all: Vec<_> = view.grants().collect();
        let grant = self.random.one(&all)?;
        let number = view.latest_version(&grant.dataset)?.body.number;
        let it = transfer(&format!("t{}", self.random.below(200)), grant, number);
        Some((
            format!("node-{}", it.consumer),
            Command::OpenTransfer {
                transfer: Box::new(it),
            },
        ))
    }

    fn finish(&mut self, view: &View) -> Option<(String, Command)> {
        let all: Vec<_> = view.transfers().collect();
        let it = self.random.one(&all)?;
        let node = format!("node-{}", it.consumer);
        let transfer = it.id.clone();
        if self.random.percent(30) {
            let because = "the line was cut".to_owned();
            return Some((node, Command::TerminateTransfer { transfer, because }));
        }
        let mut receipts = receipts(it);
        if self.random.percent(10) {
            receipts[0].body.rows += 1;
        }
        Some((node, Command::CompleteTransfer { transfer, receipts }))
    }

    /// Extends a ledger, forks it, or witnesses somebody's.
    fn checkpoint(&mut self, view: &View) -> Option<(String, Command)> {
        let owner = self.member();
        let known = view
            .checkpoint(&participant_id(owner))
            .map(|it| &it.update.checkpoint.body);
        if let Some(head) = known
            && self.random.percent(25)
        {
            let cosignature = cosign(head, self.member());
            let by = cosignature.node.to_string();
            let (participant, size) = (participant_id(owner), head.size);
            return Some((
                by,
                Command::WitnessCheckpoint {
                    participant,
                    size,
                    cosignature,
                },
            ));
        }
        let tree = self.ledgers.get_mut(owner).unwrap();
        for _ in 0..=self.random.below(9) {
            tree.push(leaf_digest(&self.random.next().to_be_bytes()));
        }
        let old = known.map_or(0, |head| head.size);
        let mut body = checkpoint(owner, tree.len(), tree.root());
        if self.random.percent(10) {
            body.root = leaf_digest(b"a fork");
        }
        let proof = tree.consistency(old, tree.len()).ok();
        let update = CheckpointUpdate {
            checkpoint: signed(body, owner),
            consistency: proof.filter(|_| known.is_some()),
        };
        let command = Command::PublishCheckpoint {
            update: Box::new(update),
        };
        Some((format!("node-{owner}"), command))
    }

    fn administer(&mut self, view: &View) -> (String, Command) {
        match self.random.below(6) {
            5 => self.pack(view),
            0 => {
                let standard = Box::new(standard(u32::try_from(self.random.below(5)).unwrap()));
                (
                    "port-steward".to_owned(),
                    Command::AdoptStandard { standard },
                )
            }
            1 => {
                let text = || "text".to_owned();
                let number = self.random.below(4);
                let (model, roles, rules, note) = (text(), text(), text(), text());
                let policy_set = Box::new(PolicySet {
                    number,
                    model,
                    roles,
                    rules,
                    note,
                });
                (
                    "authority-officer".to_owned(),
                    Command::AdoptPolicySet { policy_set },
                )
            }
            2 => {
                let mut it = participant(self.member());
                it.revision = view.participant(&it.id).unwrap().revision;
                it.ciio = self.random.percent(50);
                it.encryption = public(&format!("encryption {}", self.random.below(6)));
                let participant = Box::new(it);
                (
                    "authority-admin".to_owned(),
                    Command::RegisterParticipant { participant },
                )
            }
            3 => {
                let mut it = node(PORT, 2);
                it.revision = view.node(&it.id).unwrap().revision;
                it.raft_address = format!("port:{}", self.random.below(9));
                (
                    "port-admin".to_owned(),
                    Command::RegisterNode { node: Box::new(it) },
                )
            }
            _ => {
                let id = format!("port-clerk{}", self.random.below(3));
                let before = view
                    .person(&person_id(&id))
                    .map_or(0, |before| before.revision);
                let roles = [self.random.one(Role::ALL).unwrap(), Role::DataConsumer];
                let signing = public(&format!("clerk {}", self.random.below(6)));
                let it = Person {
                    revision: before,
                    signing,
                    ..person(&id, PORT, &roles)
                };
                (
                    "port-admin".to_owned(),
                    Command::BindPerson {
                        person: Box::new(it),
                    },
                )
            }
        }
    }
}

/// Rule packs and instruments.
impl Author {
    fn pack(&mut self, view: &View) -> (String, Command) {
        let by = "authority-officer".to_owned();
        let adopted: Vec<_> = view.rule_packs().collect();
        if self.random.percent(40)
            && let Some(it) = self.random.one(&adopted)
        {
            return (
                by,
                Command::WithdrawRulePack {
                    series: it.pack.series.clone(),
                    number: it.pack.number,
                    because: "a wrong day".to_owned(),
                },
            );
        }
        let series = self.random.one(&["clocks.cn", "holidays.cn"]).unwrap();
        let rule_pack = Box::new(pack(series, self.random.below(4)));
        (by, Command::AdoptRulePack { rule_pack })
    }

    fn instrument(&mut self, view: &View) -> Option<(String, Command)> {
        let all: Vec<_> = view.instruments().collect();
        if self.random.percent(50)
            && let Some(it) = self.random.one(&all)
        {
            let officers = [it.processor.as_str(), AUTHORITY];
            let by = format!("{}-officer", self.random.one(&officers).unwrap());
            let command = Command::MoveInstrument {
                instrument: it.id.clone(),
                revision: it.revision,
                to: self.random.one(InstrumentState::ALL).unwrap(),
                because: "a new document".to_owned(),
            };
            return Some((by, command));
        }
        let card = self.dataset(view)?;
        let kind = self.random.one(InstrumentKind::ALL).unwrap();
        let processor = card.provider.as_str();
        let mut it = instrument(kind, processor, card.id.as_str(), self.member());
        it.id = InstrumentId::parse(format!("i{}", self.random.below(9))).unwrap();
        it.revision = view.instrument(&it.id).map_or(0, |before| before.revision);
        let instrument = Box::new(it);
        let by = format!("{processor}-officer");
        Some((by, Command::RegisterInstrument { instrument }))
    }
}

/// Indexes and approvals.
fn check_governance(view: &View, seed: u64) {
    for it in view.instruments() {
        for recipient in &it.envelope.recipients {
            let mut found = view.instruments_for(&it.processor, recipient);
            assert!(
                found.any(|other| other == it),
                "seed {seed}: {} is not in the index",
                it.id
            );
        }
    }
    for it in view.approvals() {
        let request = view.request(&it.request).unwrap();
        assert!(
            it.second.as_ref() != Some(&it.first),
            "seed {seed}: one person agreed twice to {}",
            it.request
        );
        let waits = it.second.is_none() && it.request_revision == request.revision;
        assert!(
            !waits || request.state == RequestState::Submitted,
            "seed {seed}: {} was agreed to by one person",
            it.request
        );
    }
    for it in view.supervisions() {
        let late = it.due_at <= it.raised_at;
        let told = it.settled_at.is_none_or(|at| it.raised_at <= at);
        assert!(late && told, "seed {seed}: {it:?}");
    }
}

/// What must hold of every state.
fn check_invariants(view: &View, seed: u64) {
    check_governance(view, seed);
    let now = view.leader_time();
    for grant in view.grants() {
        let contract = view.contract(&grant.contract).unwrap();
        let request = view.request(&contract.request).unwrap();
        let (inner, middle, outer) = (grant.period, contract.period, request.period);
        assert!(
            outer.from <= middle.from
                && middle.from <= inner.from
                && inner.until <= middle.until
                && middle.until <= outer.until,
            "seed {seed}: grant {} outlives its contract",
            grant.id
        );
        let active = grant.state == GrantState::Active;
        assert!(
            !active || now < grant.period.until,
            "seed {seed}: {} is over",
            grant.id
        );
        let agreed = matches!(request.state, RequestState::Agreed | RequestState::Active);
        assert_eq!(
            active, agreed,
            "seed {seed}: {} is {}",
            request.id, request.state
        );
        let found = view
            .grants_for(&grant.dataset, &grant.consumer)
            .any(|it| it == grant);
        assert!(found, "seed {seed}: {} is not in the index", grant.id);
    }
    for it in view.transfers() {
        let grant = view.grant(&it.grant).unwrap();
        let open = it.state == TransferState::Requested;
        let revoked = grant.state == GrantState::Revoked;
        assert!(
            !(open && revoked),
            "seed {seed}: {} runs under a revoked grant",
            it.id
        );
        let both = it.receipts.len() == 2;
        assert_eq!(
            it.state == TransferState::Completed,
            both,
            "seed {seed}: {}",
            it.id
        );
    }
    for card in view.datasets() {
        let core = card.grade == Grade::Core;
        assert!(
            !(core && card.is_served()),
            "seed {seed}: core data {} is served",
            card.id
        );
        for (expected, version) in (1..).zip(view.versions(&card.id)) {
            assert_eq!(
                version.body.number, expected,
                "seed {seed}: versions of {}",
                card.id
            );
        }
    }
}

/// A key names its owner.
fn check_keys(view: &View, seed: u64) {
    for it in view.persons() {
        let found = view.person_by_key(&it.key_id());
        assert_eq!(
            found,
            Some(it),
            "seed {seed}: the key of {} is another's",
            it.id
        );
    }
    for it in view.nodes() {
        for key in &it.transport_keys {
            let found = view.node_by_transport_key(key);
            assert_eq!(
                found,
                Some(it),
                "seed {seed}: a transport key of {} is another's",
                it.id
            );
        }
    }
}

/// Nothing goes back between two states.
fn check_progress(before: &View, after: &View, seed: u64) {
    assert!(
        before.leader_time() <= after.leader_time(),
        "seed {seed}: time went back"
    );
    for it in before.checkpoints() {
        let old = &it.update.checkpoint.body;
        let new = &after
            .checkpoint(&old.ledger.participant)
            .unwrap()
            .update
            .checkpoint
            .body;
        let grew = (old.ledger.incarnation, old.size) <= (new.ledger.incarnation, new.size);
        assert!(grew, "seed {seed}: a checkpoint shrank");
    }
    for it in before.datasets() {
        let revision = after.dataset(&it.id).unwrap().revision;
        assert!(it.revision <= revision, "seed {seed}: a revision went back");
    }
}

fn is_remembered(it: &VerifiedProposal, outcome: &Outcome) -> bool {
    let tick = matches!(it.proposal().command, Command::Tick { .. });
    let unkept = matches!(
        outcome,
        Outcome::Refused {
            code: RefusalCode::SignatureRejected | RefusalCode::ClockSkew,
            ..
        }
    );
    !tick && !unkept
}

type Log = Vec<(u64, Vec<VerifiedProposal>, Vec<Outcome>)>;

/// Runs one history and checks it as it goes; returns the log and the last state.
fn run(seed: u64) -> (Log, State, BTreeMap<RecordKey, Vec<u8>>) {
    let mut state = World::granted().state;
    let mut stored: BTreeMap<_, _> = state.records().map(Result::unwrap).collect();
    let mut author = Author::new(seed);
    let mut log = Log::new();
    let mut answered: Vec<(VerifiedProposal, Outcome)> = Vec::new();
    for index in 1_000..1_000 + BATCHES {
        let before = View::new(state.clone());
        let retry = if author.random.percent(10) {
            author.random.one(&answered)
        } else {
            None
        };
        let (batch, expected) = match retry {
            Some((it, outcome)) => (vec![it], Some(outcome)),
            None => {
                let size = 1 + author.random.below(3);
                ((0..size).map(|_| author.proposal(&before)).collect(), None)
            }
        };
        let report = state.apply_recorded(index, &batch);
        if let Some(expected) = expected {
            assert_eq!(
                report.outcomes,
                [expected],
                "seed {seed}: a retry got another answer"
            );
            assert_eq!(report.written, [], "seed {seed}: a retry was applied again");
        }
        if report
            .outcomes
            .iter()
            .all(|it| matches!(it, Outcome::Refused { .. }))
        {
            let only = report
                .written
                .iter()
                .all(|(key, _)| key.kind() == RecordKind::Command);
            assert!(
                only,
                "seed {seed}: refused commands changed {:?}",
                report.written
            );
        }
        for (key, bytes) in &report.written {
            match bytes {
                Some(bytes) => stored.insert(key.clone(), bytes.to_vec()),
                None => stored.remove(key),
            };
        }
        let after = View::new(state.clone());
        check_invariants(&after, seed);
        check_progress(&before, &after, seed);
        for (it, outcome) in batch.iter().zip(&report.outcomes) {
            if is_remembered(it, outcome) {
                answered.push((it.clone(), outcome.clone()));
            }
        }
        log.push((index, batch, report.outcomes));
    }
    check_keys(&View::new(state.clone()), seed);
    (log, state, stored)
}

/// Another replica applies the same log one proposal at a time.
fn check_replay(
    seed: u64,
    from: State,
    log: &[(u64, Vec<VerifiedProposal>, Vec<Outcome>)],
    expected: &State,
) {
    let mut replica = from;
    for (index, batch, outcomes) in log {
        let mut again = Vec::new();
        for it in batch {
            again.extend(replica.apply(*index, std::slice::from_ref(it)));
        }
        assert_eq!(
            again, *outcomes,
            "seed {seed}: replicas answer differently at {index}"
        );
    }
    assert_eq!(
        replica.digest(),
        expected.digest(),
        "seed {seed}: digests differ"
    );
    assert_eq!(
        replica.applied(),
        expected.applied(),
        "seed {seed}: indexes differ"
    );
}

/// What is written, read back and continued is what was never written.
fn check_snapshots(seed: u64, log: &Log, state: &State, stored: BTreeMap<RecordKey, Vec<u8>>) {
    let held: BTreeMap<_, _> = state.records().map(Result::unwrap).collect();
    assert!(
        held == stored,
        "seed {seed}: the written records are not the state"
    );
    let loaded = State::from_records(&state.snapshot_header(), stored).unwrap();
    assert_eq!(loaded.digest(), state.digest(), "seed {seed}");
    let place = usize::try_from(Random(seed).below(BATCHES)).unwrap();
    let mut middle = World::granted().state;
    for (index, batch, _) in &log[..place] {
        middle.apply(*index, batch);
    }
    let bytes = middle.to_snapshot().unwrap();
    let restored = State::from_snapshot(bytes.as_slice()).unwrap();
    check_replay(seed, restored, &log[place..], state);
}

fn check_seed(seed: u64) -> Log {
    let (log, state, stored) = run(seed);
    check_replay(seed, World::granted().state, &log, &state);
    // Reading and writing every record costs more than the history itself.
    if seed.is_multiple_of(SNAPSHOT_EVERY) {
        check_snapshots(seed, &log, &state, stored);
    }
    log
}

#[expect(
    clippy::disallowed_methods,
    reason = "the tests choose seeds; the state reads nothing"
)]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

#[test]
fn every_history_is_the_same_on_every_replica() {
    if let Some(seed) = setting("KOUAN_SEED") {
        check_seed(seed);
        return;
    }
    let seeds = setting("KOUAN_HISTORIES").unwrap_or(HISTORIES);
    let mut applied: BTreeMap<String, u64> = BTreeMap::new();
    let mut refused: BTreeMap<RefusalCode, u64> = BTreeMap::new();
    for seed in 0..seeds {
        for (_, batch, outcomes) in check_seed(seed) {
            for (it, outcome) in batch.iter().zip(outcomes) {
                match outcome {
                    Outcome::Applied { .. } => {
                        let name = serde_json::to_value(&it.proposal().command).unwrap();
                        let name = name["command"].as_str().unwrap().to_owned();
                        *applied.entry(name).or_default() += 1;
                    }
                    Outcome::Refused { code, .. } => *refused.entry(code).or_default() += 1,
                }
            }
        }
    }
    println!("applied {applied:?}\nrefused {refused:?}");
    // A generator that no longer reaches a command or a refusal tests nothing.
    if seeds >= HISTORIES {
        assert_eq!(applied.len(), 22, "{applied:?}");
        assert_eq!(refused.len(), RefusalCode::ALL.len(), "{refused:?}");
    }
}

#[test]
fn the_whole_log_from_the_founding_gives_the_same_state() {
    let world = World::granted();
    let mut replica = State::new();
    for (index, it) in (1..).zip(&world.log) {
        replica.apply(index, std::slice::from_ref(it));
    }
    assert_eq!(
        replica.to_snapshot().unwrap(),
        world.state.to_snapshot().unwrap()
    );
}

#[test]
fn replicas_of_equal_records_find_no_difference_and_others_find_it() {
    let (_, left, _) = run(1);
    let (_, same, _) = run(1);
    let (_, other, _) = run(2);
    let difference = crypto::merkle::map::first_difference;
    assert_eq!(difference(left.digests(), same.digests()), None);
    assert!(difference(left.digests(), other.digests()).is_some());
}

#[test]
fn the_idempotency_window_forgets_the_oldest_and_stays_bounded() {
    let mut state = World::founded().state;
    let before = state.snapshot_header().records;
    let tick = |n: u64| {
        let command = Command::AdoptStandard {
            standard: Box::new(standard(1)),
        };
        proposal(&format!("w{n}"), "port-consumer", at(0), command)
    };
    let mut removed = 0;
    for n in 0..WINDOW + 10 {
        let report = state.apply_recorded(n + 1_000, &[tick(n)]);
        removed += report
            .written
            .iter()
            .filter(|(_, bytes)| bytes.is_none())
            .count();
    }
    let held = state.records().map(Result::unwrap);
    let remembered = held
        .filter(|(key, _)| key.kind() == RecordKind::Command)
        .count();
    assert_eq!(u64::try_from(remembered).unwrap(), WINDOW);
    assert!(removed > 10, "the founding's commands and ten more leave");
    assert!(state.snapshot_header().records > before);
}

/// Batches in one history; about twice as many commands.
const BATCHES: u64 = 50;

/// Histories of an ordinary run.
const HISTORIES: u64 = 200;

/// Of so many seeds one checks snapshots too.
const SNAPSHOT_EVERY: u64 = 10;

/// The window's documented size.
const WINDOW: u64 = 32_768;
