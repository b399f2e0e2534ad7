//! What an auditor should look at: receipts that are missing or do not agree, gaps, and unusual
//! access. Pure: a fold over entries in their order, and the instant up to which it is judged.
//!
//! It does not say that anything is wrong: a finding names the rule that raised it and the entries
//! that it rests on, and a person judges. It does not look for changed entries, which are
//! [`crate::fsck`]'s, and it keeps no more than a named number of anything.

mod pairs;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use schemas::code::Action;
use schemas::decision::Decision;
use schemas::ledger_entry::{Checkpoint, LedgerEntry, LedgerEvent, LedgerIndex, ReleaseOutcome};
use schemas::transfer::{Receipt, ReceiptSide};
use schemas::{DatasetId, ParticipantId, ReleaseId, Timestamp};
use serde::{Deserialize, Serialize};

pub use pairs::{SideReceipt, unmatched};

/// Most findings of one look; what comes after is counted.
pub const FINDINGS_MAX: usize = 1_000;

/// Most releases, purposes, persons and recipients that one look keeps in mind; of what comes
/// after, nothing unusual is found, and the answer says so.
pub const KEPT_MAX: usize = 100_000;

/// Most entries that one finding names; it says how many there are.
const NAMED_MAX: usize = 20;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// From when on something is worth a look. The defaults are ours and no law's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Thresholds {
    /// Milliseconds after a release, or after the first receipt, until both receipts must be
    /// there: 26 hours, two more than a release lives.
    pub receipt_after_ms: i64,
    /// Milliseconds without any entry that are worth a look: a node that runs signs in, renews its
    /// policy or is read daily. 72 hours, a weekend.
    pub silence_ms: i64,
    /// First hour of the night, UTC+8.
    pub night_from_hour: u8,
    /// First hour that is no longer night, UTC+8.
    pub night_until_hour: u8,
    /// Decisions of one person in one night from which on it is worth a look.
    pub night_decisions: u64,
    /// Times the usual day of a recipient and dataset (the mean of its days before) ...
    pub volume_times: u64,
    /// ... but not below this many rows ...
    pub volume_rows: u64,
    /// ... and not before it had this many days with releases.
    pub volume_days: u64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            receipt_after_ms: 26 * HOUR_MS,
            silence_ms: 3 * DAY_MS,
            night_from_hour: 23,
            night_until_hour: 6,
            night_decisions: 3,
            volume_times: 3,
            volume_rows: 10_000,
            volume_days: 5,
        }
    }
}

/// Something to look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which rule raised it, and what it saw.
    #[serde(flatten)]
    pub what: What,
    /// When it happened, by the entries' clocks.
    pub at: Timestamp,
    /// Entries that it rests on, ascending, at most 20.
    pub entries: Vec<LedgerIndex>,
}

/// The rules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "code", rename_all = "SCREAMING_SNAKE_CASE")]
#[non_exhaustive]
pub enum What {
    /// A release, or one side's receipt, has had its time, and a receipt is not there.
    ReceiptMissing {
        /// Of which release.
        release: ReleaseId,
        /// Whose receipts are missing.
        missing: Vec<ReceiptSide>,
    },
    /// The two receipts, or a receipt and the release, do not say the same.
    ReceiptMismatch {
        /// Of which release.
        release: ReleaseId,
        /// The members that differ.
        differ: Vec<String>,
    },
    /// Entries were lost before this one: a gap record.
    Gap {
        /// What was said of it.
        why: String,
    },
    /// A long time without any entry.
    Silence {
        /// How long, in milliseconds.
        millis: i64,
    },
    /// The clock went back by more than a minute between two entries.
    ClockBack {
        /// How far, in milliseconds.
        millis: i64,
    },
    /// Two checkpoints of one size and different roots, or one that is not of this ledger's
    /// entries: two histories.
    Fork {
        /// One of them.
        one: Box<Checkpoint>,
        /// The other; none when it is the entries here that differ.
        other: Option<Box<Checkpoint>>,
    },
    /// Somebody worked at night.
    NightAccess {
        /// Who.
        actor: String,
        /// How many decisions in that night.
        decisions: u64,
    },
    /// Much more went to a recipient in a day than usual.
    UnusualVolume {
        /// Who received.
        recipient: ParticipantId,
        /// Of which dataset.
        dataset: DatasetId,
        /// Rows of that day.
        rows: u64,
        /// Rows of its usual day.
        usual: u64,
    },
    /// A participant asked for a dataset for a purpose for which it never had before.
    FirstPurpose {
        /// Who.
        participant: ParticipantId,
        /// Of which dataset.
        dataset: DatasetId,
        /// The purpose's code.
        purpose: String,
    },
}

/// What one look found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Look {
    /// Ascending by time, at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// How many there are in all.
    pub total: u64,
    /// Entries that were looked at.
    pub entries: u64,
    /// The first entry that was looked at; none when there are none.
    pub from: Option<LedgerIndex>,
    /// Whether [`KEPT_MAX`] was reached, so that something unusual may have been missed.
    pub incomplete: bool,
}

impl Look {
    /// Adds what was found otherwise, before the rest: a fork says more than a night's work.
    pub fn add(&mut self, found: Vec<Finding>) {
        self.total += u64::try_from(found.len()).unwrap_or(u64::MAX);
        self.findings.splice(0..0, found);
        self.findings.truncate(FINDINGS_MAX);
    }
}

/// Looks at entries one after the other.
pub struct Watch {
    thresholds: Thresholds,
    /// Unusual access before it is learnt from and not raised.
    learn_until: Option<Timestamp>,
    look: Look,
    before: Option<(LedgerIndex, Timestamp)>,
    releases: BTreeMap<ReleaseId, Flow>,
    recipients: BTreeMap<LedgerIndex, ParticipantId>,
    recent: VecDeque<LedgerIndex>,
    purposes: BTreeSet<(ParticipantId, DatasetId, String)>,
    known: BTreeSet<(ParticipantId, DatasetId)>,
    nights: BTreeMap<(String, i64), Counted>,
    days: BTreeMap<(ParticipantId, DatasetId), Days>,
}

/// What is known of one release.
#[derive(Default)]
struct Flow {
    began: Option<(LedgerIndex, Timestamp)>,
    said: Option<(u64, u64, crypto::Digest)>,
    sent: Option<(LedgerIndex, Box<Receipt>)>,
    received: Option<(LedgerIndex, Box<Receipt>)>,
    given_up: bool,
}

/// How often, when last, and where.
struct Counted {
    count: u64,
    at: Timestamp,
    entries: Vec<LedgerIndex>,
}

/// Rows a day of one recipient and dataset.
struct Days {
    today: i64,
    rows: u64,
    entries: Vec<LedgerIndex>,
    days_before: u64,
    rows_before: u64,
    raised: bool,
}

impl Watch {
    /// With unusual access raised from `learn_until` on: what lies before it is what is usual.
    /// Without, everything that is new is raised.
    #[must_use]
    pub fn new(thresholds: Thresholds, learn_until: Option<Timestamp>) -> Self {
        Self {
            thresholds,
            learn_until,
            look: Look::default(),
            before: None,
            releases: BTreeMap::new(),
            recipients: BTreeMap::new(),
            recent: VecDeque::new(),
            purposes: BTreeSet::new(),
            known: BTreeSet::new(),
            nights: BTreeMap::new(),
            days: BTreeMap::new(),
        }
    }

    /// Looks at the next entry.
    pub fn see(&mut self, index: LedgerIndex, entry: &LedgerEntry) {
        self.look.from.get_or_insert(index);
        self.look.entries += 1;
        self.see_time(index, entry.at);
        match &entry.event {
            LedgerEvent::Decided {
                request, decision, ..
            } => {
                if let Some(person) = &request.principal.person {
                    self.see_night(index, entry.at, person.as_str());
                }
                let permitted = matches!(decision, Decision::Permit(_));
                if request.action == Action::DatasetRead && permitted {
                    self.see_read(index, entry.at, request);
                }
            }
            LedgerEvent::Released {
                release,
                decided_at,
                dataset,
                artefact,
                rows,
                bytes,
                ..
            } => {
                if let Some(flow) = self.flow(release) {
                    flow.began = Some((index, entry.at));
                    flow.said = Some((*rows, *bytes, *artefact));
                }
                self.see_volume(index, entry.at, *decided_at, dataset, *rows);
            }
            LedgerEvent::ReleaseEnded {
                release, outcome, ..
            } => {
                // What did not complete needs no receipt: nobody says that it arrived.
                let given_up = *outcome != ReleaseOutcome::Completed;
                if let Some(flow) = self.flow(release) {
                    flow.given_up = given_up;
                }
            }
            LedgerEvent::Receipt { receipt } => {
                let body = Box::new(receipt.body.clone());
                if let Some(flow) = self.flow(&receipt.body.release) {
                    let side = match body.side {
                        ReceiptSide::Sent => &mut flow.sent,
                        ReceiptSide::Received => &mut flow.received,
                    };
                    *side = Some((index, body));
                    flow.began.get_or_insert((index, entry.at));
                }
                self.settle(&receipt.body.release, entry.at);
            }
            LedgerEvent::Gap { why, .. } => {
                let why = why.clone();
                self.raise(What::Gap { why }, entry.at, vec![index]);
            }
            LedgerEvent::SignedIn { person, .. } => {
                self.see_night(index, entry.at, person.as_str());
            }
            LedgerEvent::Published { .. }
            | LedgerEvent::Enrolled { .. }
            | LedgerEvent::PolicyInForce { .. }
            | LedgerEvent::Started { .. } => {}
        }
    }

    /// Judges what is still open at `now`, and says what was found.
    #[must_use]
    pub fn finish(mut self, now: Timestamp) -> Look {
        if let Some((index, at)) = self.before {
            self.silence(vec![index], at, now);
        }
        let after = self.thresholds.receipt_after_ms;
        let open: Vec<_> = std::mem::take(&mut self.releases).into_iter().collect();
        for (release, flow) in open {
            let Some((_, began)) = flow.began else {
                continue;
            };
            if now.millis_since(began) < after {
                continue;
            }
            let mut missing = Vec::new();
            if flow.sent.is_none() {
                missing.push(ReceiptSide::Sent);
            }
            if flow.received.is_none() {
                missing.push(ReceiptSide::Received);
            }
            let nobody_says_it_arrived = flow.given_up && missing.len() == 2;
            if !missing.is_empty() && !nobody_says_it_arrived {
                let entries = flow.entries();
                self.raise(What::ReceiptMissing { release, missing }, began, entries);
            }
        }
        let enough = self.thresholds.night_decisions.max(1);
        for ((actor, _), night) in std::mem::take(&mut self.nights) {
            if night.count >= enough && self.is_judged(night.at) {
                let decisions = night.count;
                let what = What::NightAccess { actor, decisions };
                self.raise(what, night.at, night.entries);
            }
        }
        let findings = &mut self.look.findings;
        findings.sort_by(|a, b| (a.at, &a.entries).cmp(&(b.at, &b.entries)));
        self.look
    }

    /// The flow of a release, unless too many are kept in mind already.
    fn flow(&mut self, release: &ReleaseId) -> Option<&mut Flow> {
        if self.releases.len() >= KEPT_MAX && !self.releases.contains_key(release) {
            self.look.incomplete = true;
            return None;
        }
        Some(self.releases.entry(release.clone()).or_default())
    }

    /// Compares what a release and its receipts say, and lets go of what is complete.
    fn settle(&mut self, release: &ReleaseId, at: Timestamp) {
        let Some(flow) = self.releases.get(release) else {
            return;
        };
        let (Some((_, sent)), Some((_, received))) = (&flow.sent, &flow.received) else {
            return;
        };
        let mut differ = differences(sent, received);
        if let Some((rows, bytes, artefact)) = &flow.said {
            let same = (sent.rows, sent.bytes, sent.artefact) == (*rows, *bytes, *artefact);
            if !same {
                differ.push("released".to_owned());
            }
        }
        let entries = flow.entries();
        self.releases.remove(release);
        if !differ.is_empty() {
            let release = release.clone();
            self.raise(What::ReceiptMismatch { release, differ }, at, entries);
        }
    }

    fn see_time(&mut self, index: LedgerIndex, at: Timestamp) {
        let Some((before, was)) = self.before.replace((index, at)) else {
            return;
        };
        self.silence(vec![before, index], was, at);
        let back = was.millis_since(at);
        if back > CLOCK_BACK_MS {
            let what = What::ClockBack { millis: back };
            self.raise(what, at, vec![before, index]);
        }
    }

    fn silence(&mut self, entries: Vec<LedgerIndex>, from: Timestamp, until: Timestamp) {
        let millis = until.millis_since(from);
        if millis > self.thresholds.silence_ms {
            self.raise(What::Silence { millis }, from, entries);
        }
    }

    fn see_night(&mut self, index: LedgerIndex, at: Timestamp, actor: &str) {
        let Some(night) = self.thresholds.night_of(at) else {
            return;
        };
        let key = (actor.to_owned(), night);
        if self.nights.len() >= KEPT_MAX && !self.nights.contains_key(&key) {
            self.look.incomplete = true;
            return;
        }
        let counted = self.nights.entry(key).or_insert(Counted {
            count: 0,
            at,
            entries: Vec::new(),
        });
        counted.count += 1;
        name(&mut counted.entries, index);
    }

    fn see_read(
        &mut self,
        index: LedgerIndex,
        at: Timestamp,
        request: &schemas::decision::DecisionRequest,
    ) {
        let recipient = &request.principal.participant;
        // Releases follow their decision soon; the newest ones are enough to find it again.
        self.recipients.insert(index, recipient.clone());
        self.recent.push_back(index);
        if self.recent.len() > RECENT_DECISIONS
            && let Some(oldest) = self.recent.pop_front()
        {
            self.recipients.remove(&oldest);
        }
        let (Some(dataset), Some(purpose)) = (&request.dataset, &request.purpose) else {
            return;
        };
        let key = (recipient.clone(), dataset.clone(), purpose.code.clone());
        if self.purposes.contains(&key) {
            return;
        }
        if self.purposes.len() >= KEPT_MAX {
            self.look.incomplete = true;
            return;
        }
        self.purposes.insert(key);
        // The first purpose of all is how every use begins.
        let is_first_use = self.known.insert((recipient.clone(), dataset.clone()));
        if !is_first_use && self.is_judged(at) {
            let what = What::FirstPurpose {
                participant: recipient.clone(),
                dataset: dataset.clone(),
                purpose: purpose.code.clone(),
            };
            self.raise(what, at, vec![index]);
        }
    }

    fn see_volume(
        &mut self,
        index: LedgerIndex,
        at: Timestamp,
        decided_at: LedgerIndex,
        dataset: &DatasetId,
        rows: u64,
    ) {
        let Some(recipient) = self.recipients.get(&decided_at).cloned() else {
            return;
        };
        let key = (recipient.clone(), dataset.clone());
        if self.days.len() >= KEPT_MAX && !self.days.contains_key(&key) {
            self.look.incomplete = true;
            return;
        }
        let today = local_day(at);
        let days = self.days.entry(key).or_insert_with(|| Days::begun(today));
        days.turn(today);
        days.rows = days.rows.saturating_add(rows);
        name(&mut days.entries, index);
        let limits = &self.thresholds;
        let usual = days.rows_before / days.days_before.max(1);
        let is_much = days.days_before >= limits.volume_days
            && days.rows >= limits.volume_rows
            && days.rows > usual.saturating_mul(limits.volume_times);
        if !is_much || days.raised {
            return;
        }
        days.raised = true;
        let (rows, entries) = (days.rows, days.entries.clone());
        let dataset = dataset.clone();
        let what = What::UnusualVolume {
            recipient,
            dataset,
            rows,
            usual,
        };
        if self.is_judged(at) {
            self.raise(what, at, entries);
        }
    }

    fn is_judged(&self, at: Timestamp) -> bool {
        self.learn_until.is_none_or(|until| at >= until)
    }

    fn raise(&mut self, what: What, at: Timestamp, mut entries: Vec<LedgerIndex>) {
        self.look.total += 1;
        if self.look.findings.len() < FINDINGS_MAX {
            entries.sort_unstable();
            entries.truncate(NAMED_MAX);
            self.look.findings.push(Finding { what, at, entries });
        }
    }
}

impl Flow {
    fn entries(&self) -> Vec<LedgerIndex> {
        let mut entries: Vec<_> = [
            self.began.as_ref().map(|it| it.0),
            self.sent.as_ref().map(|it| it.0),
            self.received.as_ref().map(|it| it.0),
        ]
        .into_iter()
        .flatten()
        .collect();
        entries.sort_unstable();
        entries.dedup();
        entries
    }
}

impl Days {
    fn begun(today: i64) -> Self {
        Self {
            today,
            rows: 0,
            entries: Vec::new(),
            days_before: 0,
            rows_before: 0,
            raised: false,
        }
    }

    /// Begins a day, unless it has begun; a clock that went back does not end one.
    fn turn(&mut self, today: i64) {
        if today <= self.today {
            return;
        }
        self.days_before += 1;
        self.rows_before = self.rows_before.saturating_add(self.rows);
        self.today = today;
        self.rows = 0;
        self.entries.clear();
        self.raised = false;
    }
}

impl Thresholds {
    /// The night in which an instant lies, by the day on which it began; none by day.
    fn night_of(&self, at: Timestamp) -> Option<i64> {
        let local = at.millis() + CHINA_MS;
        let (day, hour) = (local.div_euclid(DAY_MS), local.rem_euclid(DAY_MS) / HOUR_MS);
        let (from, until) = (
            i64::from(self.night_from_hour),
            i64::from(self.night_until_hour),
        );
        if from <= until {
            return (from <= hour && hour < until).then_some(day);
        }
        if hour >= from {
            Some(day)
        } else {
            (hour < until).then(|| day - 1)
        }
    }
}

/// Checkpoints that cannot both be true: one ledger and size, two roots.
#[must_use]
pub fn forks(checkpoints: &[Checkpoint]) -> Vec<Finding> {
    let mut seen: BTreeMap<_, &Checkpoint> = BTreeMap::new();
    let mut found = Vec::new();
    for checkpoint in checkpoints {
        let first = *seen
            .entry((&checkpoint.ledger, checkpoint.size))
            .or_insert(checkpoint);
        if first.root != checkpoint.root && found.len() < FINDINGS_MAX {
            found.push(Finding {
                what: What::Fork {
                    one: Box::new(first.clone()),
                    other: Some(Box::new(checkpoint.clone())),
                },
                at: checkpoint.at,
                entries: Vec::new(),
            });
        }
    }
    found
}

/// The members in which two receipts of one release differ.
pub(crate) fn differences(sent: &Receipt, received: &Receipt) -> Vec<String> {
    let pairs = [
        ("transfer", sent.transfer == received.transfer),
        ("dataset", sent.dataset == received.dataset),
        ("version", sent.version == received.version),
        ("grant", sent.grant == received.grant),
        ("rows", sent.rows == received.rows),
        ("bytes", sent.bytes == received.bytes),
        ("artefact", sent.artefact == received.artefact),
        ("sealed_root", sent.sealed_root == received.sealed_root),
    ];
    pairs
        .into_iter()
        .filter(|(_, same)| !same)
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn name(entries: &mut Vec<LedgerIndex>, index: LedgerIndex) {
    if entries.len() < NAMED_MAX {
        entries.push(index);
    }
}

fn local_day(at: Timestamp) -> i64 {
    (at.millis() + CHINA_MS).div_euclid(DAY_MS)
}

/// UTC+8: the mainland, Hong Kong and Macao.
const CHINA_MS: i64 = 8 * HOUR_MS;
/// A clock is set by less than this now and then.
const CLOCK_BACK_MS: i64 = 60_000;
/// Decisions between a decision and its release, at most, for the release to count as its.
const RECENT_DECISIONS: usize = 10_000;

#[cfg(test)]
mod tests;
