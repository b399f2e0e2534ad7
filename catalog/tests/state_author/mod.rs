//! Makes up commands from a seed, most of which make sense in the state that it is shown.
//!
//! It does not apply anything, and it does not know what becomes of its commands.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be built is a failed test"
)]

mod after;

use std::collections::BTreeMap;

use catalog::state::VerifiedProposal;
use catalog::view::View;
use crypto::merkle::{Tree, leaf_digest};
use schemas::command::Command;
use schemas::dataset::{Dataset, DatasetState, Grade};
use schemas::export::{InstrumentKind, InstrumentState};
use schemas::ledger_entry::CheckpointUpdate;
use schemas::participant::{Person, Role};
use schemas::policy_set::PolicySet;
use schemas::request::{RequestDecision, RequestState};
use schemas::{InstrumentId, Period, Timestamp};

use crate::seeded::Random;
use crate::state_world::*;
/// Who takes part.
const MEMBERS: [&str; 3] = [AUTHORITY, PORT, CUSTOMS];

/// Makes up commands that mostly make sense in the state that it sees.
pub(crate) struct Author {
    pub(crate) random: Random,
    count: u64,
    ledgers: BTreeMap<&'static str, Tree>,
}

impl Author {
    pub(crate) fn new(seed: u64) -> Self {
        let ledgers = MEMBERS.map(|member| (member, Tree::new())).into();
        Self {
            random: Random::new(seed),
            count: 0,
            ledgers,
        }
    }

    fn millis(&mut self, limit: i64) -> i64 {
        i64::try_from(self.random.below(u64::try_from(limit).unwrap())).unwrap()
    }

    fn member(&mut self) -> &'static str {
        self.random.one(&MEMBERS).unwrap()
    }

    pub(crate) fn proposal(&mut self, view: &View) -> VerifiedProposal {
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
        let at = view.leader_time().plus_millis(self.millis(jitter));
        proposal(&format!("h{}", self.count), &by, at, command)
    }

    fn command(&mut self, view: &View) -> Option<(String, Command)> {
        match self.random.below(18) {
            16 | 17 => self.after(view),
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
        let step = self.millis(120_000) - 5_000;
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
            DatasetState::DepartmentApproved => format!("{}-steward2", card.provider),
            DatasetState::Submitted if card.state == DatasetState::Revising => {
                format!("{}-steward2", card.provider)
            }
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
        let intent = view.leader_time().plus_millis(self.millis(1_000));
        let provider = card.provider.as_str();
        let command = publish_version(card.id.as_str(), provider, number, intent);
        Some((format!("node-{provider}"), command))
    }

    fn period(&mut self, from: Timestamp) -> Period {
        let from = from.plus_millis(self.millis(50_000) - 25_000);
        Period {
            from,
            until: from.plus_millis(self.millis(600_000)),
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
