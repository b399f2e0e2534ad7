//! The past decided again: what another policy would change, and whether an entry tells the truth.
//!
//! It does not decide: the decision point does, on facts that the ledger holds.

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use enforcement::LedgerReader;
use policies::{Past, Pdp, Replay};
use schemas::Timestamp;
use schemas::decision::{Decision, Facts};
use schemas::explanation::{DryRun, Explanation};
use schemas::ledger_entry::{LedgerEntry, LedgerEvent, LedgerIndex};
use schemas::policy_set::PolicySet;
use schemas::rule_pack::RulePack;
use serde::{Deserialize, Serialize};

use super::ledger::reader;
use super::{Body, Shared};
use crate::authn::Caller;
use crate::gate::Target;
use crate::openapi::answers;
use crate::problem::Failure;
use crate::{Error, Parts};

/// Days that are looked back when the caller does not say, and at most.
const DAYS_DEFAULT: u32 = 30;
const DAYS_MAX: u32 = 366;

/// Most entries that one dry run reads: about a second of work for each hundred thousand.
const ENTRIES_MAX: u64 = 1_000_000;

/// Entries that are read at one time.
const ENTRIES_AT_ONCE: usize = 1_000;

/// Most adopted packs that a dry run takes besides those in force.
const PACKS_MAX: usize = 16;

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

/// Under which policy to decide again.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trial {
    /// The policy set; the one in force when absent.
    policy_set: Option<Box<PolicySet>>,
    /// Rule packs in addition to those in force.
    #[serde(default)]
    rule_packs: Vec<RulePack>,
    /// How far back, in days: 1 to 366, 30 when absent.
    days: Option<u32>,
}

/// What deciding an entry again said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum Verdict {
    /// The same.
    Agrees,
    /// Something else: the entry was changed, or another program wrote it.
    Differs,
    /// The policy of its time is not known here any more.
    OtherPolicy,
}

/// An entry, decided again under the policy of its time.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Replayed {
    /// Which entry.
    index: LedgerIndex,
    /// What came of it.
    verdict: Verdict,
    /// What the entry says.
    decision: Decision,
    /// Every rule that spoke, where the policy is known.
    explanation: Option<Explanation>,
}

/// What another policy would change of the accesses of the past.
#[utoipa::path(post, path = "/api/v1/policies/dry-run", operation_id = "policy_dry_run",
    request_body = Trial,
    responses((status = 200, body = DryRun), answers::Read),
    extensions(("x-action" = json!("ledger.read"))))]
pub(crate) async fn dry_run(
    State(parts): Shared,
    caller: Caller,
    body: Body<Trial>,
) -> Result<Json<DryRun>, Failure> {
    let Json(trial) = body.map_err(|e| caller.fail(Error::from(e)))?;
    let ledger = reader(&parts, &caller, Target::default()).await?;
    let days = trial.days.unwrap_or(DAYS_DEFAULT);
    if !(1..=DAYS_MAX).contains(&days) || trial.rule_packs.len() > PACKS_MAX {
        let why = format!("write 1 to {DAYS_MAX} days and at most {PACKS_MAX} rule packs");
        return Err(caller.fail(Error::Invalid { why }));
    }
    let pdp = tried(&parts, &trial).map_err(|e| caller.fail(e))?;
    let from = parts.clock.now().plus_millis(-i64::from(days) * DAY_MS);
    let run = tokio::task::spawn_blocking(move || {
        first_since(&ledger, from)?.map_or_else(
            || Ok(DryRun::default()),
            |first| run_from(&ledger, &pdp, first),
        )
    });
    match run.await {
        Ok(run) => run.map(Json).map_err(|e| caller.fail(e)),
        Err(_) => Err(caller.fail(Error::Invalid {
            why: "the dry run was stopped; ask again".to_owned(),
        })),
    }
}

/// The first entry since `from`; none when all are older. Entries ascend in time but for a clock
/// that was set back, which moves where a month begins by as much.
fn first_since(
    ledger: &LedgerReader,
    from: Timestamp,
) -> Result<Option<LedgerIndex>, enforcement::Error> {
    let size = ledger.size();
    let (mut low, mut high) = (0, size);
    while low < high {
        let middle = low + (high - low) / 2;
        if ledger.read(LedgerIndex(middle))?.at < from {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok((low < size).then_some(LedgerIndex(low)))
}

/// The decision point of a trial.
fn tried(parts: &Parts, trial: &Trial) -> Result<Pdp, Error> {
    let view = parts.catalog.view();
    let set = trial.policy_set.as_deref().cloned();
    let set = set.or_else(|| view.policy_set().cloned());
    let held = view
        .rule_packs()
        .filter(|it| it.withdrawn_because.is_none());
    let mut packs: Vec<RulePack> = held.map(|it| it.pack.clone()).collect();
    packs.extend(trial.rule_packs.iter().cloned());
    compiled(&set.unwrap_or_else(policies::shipped), &packs)
}

fn compiled(set: &PolicySet, packs: &[RulePack]) -> Result<Pdp, Error> {
    Pdp::compile(set)
        .and_then(|pdp| pdp.with_packs(packs))
        .map_err(|e| Error::Invalid { why: e.to_string() })
}

fn run_from(
    ledger: &LedgerReader,
    pdp: &Pdp,
    first: LedgerIndex,
) -> Result<DryRun, enforcement::Error> {
    let mut run = DryRun::default();
    let mut next = first.0;
    let end = first.0.saturating_add(ENTRIES_MAX);
    while next < end {
        let some = ledger.scan(LedgerIndex(next), ENTRIES_AT_ONCE)?;
        let Some((last, _)) = some.last() else {
            break;
        };
        next = last.0 + 1;
        let part = pdp.dry_run(some.iter().filter_map(|(index, it)| past(*index, it)));
        run.accesses += part.accesses;
        run.changes += part.changes;
        run.changed.extend(part.changed);
        run.changed.truncate(DryRun::CHANGED_MAX);
    }
    Ok(run)
}

/// The decision that an entry holds.
fn past(index: LedgerIndex, entry: &LedgerEntry) -> Option<Past<'_>> {
    match &entry.event {
        LedgerEvent::Decided {
            request,
            facts,
            decision,
        } => Some(Past {
            entry: index.0,
            request,
            facts,
            decision,
        }),
        _ => None,
    }
}

/// Decide an entry again under the policy of its time.
#[utoipa::path(get, path = "/api/v1/ledger/entries/{index}/replay",
    operation_id = "policy_replay",
    params(("index" = u64, Path)),
    responses((status = 200, body = Replayed), answers::ReadOne),
    extensions(("x-action" = json!("ledger.read"))))]
pub(crate) async fn replay(
    State(parts): Shared,
    caller: Caller,
    index: Result<Path<u64>, PathRejection>,
) -> Result<Json<Replayed>, Failure> {
    let Path(index) = index.map_err(|e| caller.fail(Error::from(e)))?;
    let index = LedgerIndex(index);
    let ledger = reader(&parts, &caller, Target::record(index)).await?;
    let absent = || {
        caller.fail(Error::NotFound {
            kind: "decision at ledger index",
            id: index.to_string(),
        })
    };
    if index.0 >= ledger.size() {
        return Err(absent());
    }
    let entry = ledger.read(index).map_err(|e| caller.fail(e))?;
    let past = past(index, &entry).ok_or_else(absent)?;
    let pdp = of_the_time(&parts, past.facts).map_err(|e| caller.fail(e))?;
    let verdict = match pdp.replay(past) {
        Replay::Agrees => Verdict::Agrees,
        Replay::Differs(_) => Verdict::Differs,
        Replay::OtherPolicy => Verdict::OtherPolicy,
    };
    let known = verdict != Verdict::OtherPolicy;
    Ok(Json(Replayed {
        index,
        verdict,
        decision: past.decision.clone(),
        explanation: known.then(|| pdp.explain(past.request, past.facts)),
    }))
}

/// The policy that the facts name, as far as it is known: the set in force or the one that ships,
/// and of each series the pack that was used.
fn of_the_time(parts: &Parts, facts: &Facts) -> Result<Pdp, Error> {
    let view = parts.catalog.view();
    let adopted = view
        .policy_set()
        .filter(|it| it.number == facts.policy.number);
    let set = adopted.cloned().unwrap_or_else(policies::shipped);
    let used = facts.export.as_ref().map_or(&[][..], |it| &it.packs);
    let fits = |pack: &RulePack| {
        let named = used.iter().find(|it| it.series == pack.series);
        named.is_none_or(|it| it.number == pack.number)
    };
    let held = view.rule_packs().map(|it| &it.pack).filter(|it| fits(it));
    compiled(&set, &held.cloned().collect::<Vec<RulePack>>())
}
