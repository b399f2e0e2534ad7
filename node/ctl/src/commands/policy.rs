//! `policy`, `export` and `catalog`.
//!
//! It does not compile policy text; the node does before it proposes a set.

use std::collections::BTreeSet;

use schemas::code::Action;
use schemas::command::Command;
use schemas::export::Instrument;
use schemas::policy_set::PolicySet;
use schemas::rule_pack::RulePack;
use schemas::{Jurisdiction, RulePackId};
use serde_json::{Value, json};

use super::backup;
use super::decision::{Question, explain};
use super::{Desk, parse};
use crate::Error;
use crate::cli::policy::{Catalog, Circumstances, DryRun, Export, Pack, Policy};
use crate::client::{Call, Verb};
use crate::files::read_record;
use crate::output::Column;

const SETS: &[Column] = &[
    Column::number("col-number", "number"),
    Column::text("col-note", "note"),
];

const PACKS: &[Column] = &[
    Column::text("col-series", "version.series"),
    Column::number("col-number", "version.number"),
    Column::text("col-kind", "kind"),
    Column::text("col-place", "jurisdiction"),
    Column::text("col-from", "effective.from"),
    Column::text("col-withdrawn", "withdrawn_because"),
    Column::text("col-note", "note"),
];

const DIFFERENCES: &[Column] = &[
    Column::text("col-field", "field"),
    Column::text("col-before", "before"),
    Column::text("col-after", "after"),
];

const CHANGES: &[Column] = &[
    Column::text("col-index", "entry"),
    Column::text("col-turn", "turn"),
    Column::text("col-refused", "after.deny.0.code"),
];

const SPOKE: &[Column] = &[
    Column::text("col-rule", "rule"),
    Column::text("col-voice", "voice"),
    Column::text("col-cites", "cites"),
];

const INSTRUMENTS: &[Column] = &[
    Column::text("col-id", "id"),
    Column::text("col-kind", "kind"),
    Column::text("col-provider", "processor"),
    Column::text("col-from", "from"),
    Column::text("col-until", "until"),
    Column::text("col-state", "state"),
    Column::number("col-persons-max", "envelope.persons_max"),
];

const REPORT: &[Column] = &[
    Column::text("col-participant", "totals.body.processor"),
    Column::number("col-year", "totals.body.year"),
    Column::number("col-persons", "totals.body.non_sensitive"),
    Column::number("col-sensitive", "totals.body.sensitive"),
    Column::text("col-crossed", "totals.body.crossed_on"),
];

const STATUS: &[Column] = &[
    Column::text("col-node", "node"),
    Column::text("col-leader", "leader"),
    Column::text("col-term", "term"),
    Column::text("col-catalog-index", "applied"),
    Column::text("col-voters", "voters"),
    Column::number("col-age", "age_ms"),
    Column::text("col-digest", "state_digest"),
    Column::text("col-agreed", "agreed"),
    Column::text("col-divergence", "divergence.record"),
    Column::text("col-cluster", "cluster"),
];

const MEMBERS: &[Column] = &[
    Column::text("col-node", "node"),
    Column::text("col-operator", "operator"),
    Column::number("col-raft-number", "raft_number"),
    Column::text("col-address", "address"),
    Column::text("col-votes", "votes"),
    Column::text("col-leads", "leads"),
];

pub(super) fn run(it: Policy, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    match it {
        Policy::Get => desk.show("/policies", SETS),
        Policy::Explain(it) => explain(&Question::new(it.action, it.circumstances), desk),
        Policy::Adopt(it) => {
            let set: PolicySet = read_record(&it.file)?;
            let number = set.number;
            desk.terminal.confirm("ask-adopt", &number)?;
            let command = Command::AdoptPolicySet {
                policy_set: Box::new(set),
            };
            let answer = desk
                .client
                .change(Verb::Post, "/policies", number, command)?;
            desk.changed(&number, &answer)
        }
        Policy::Packs(paging) => desk.list("/rule-packs", PACKS, paging),
        Policy::Pack(it) => desk.show(&place(&it), &[]),
        Policy::DiffPacks { series, old, new } => diff(&series, (old, new), desk),
        Policy::AdoptPack(it) => {
            let pack: RulePack = read_record(&it.file)?;
            let name = format!("{}/{}", pack.series, pack.number);
            desk.terminal.confirm("ask-adopt-pack", &name)?;
            let command = Command::AdoptRulePack {
                rule_pack: Box::new(pack),
            };
            let answer = desk.client.change(Verb::Post, "/rule-packs", 0, command)?;
            desk.changed(&name, &answer)
        }
        Policy::WithdrawPack { pack, because } => {
            let name = format!("{}/{}", pack.series, pack.number);
            desk.terminal.confirm("ask-withdraw-pack", &name)?;
            let path = format!("{}/withdrawal", place(&pack));
            let command = Command::WithdrawRulePack {
                series: pack.series,
                number: pack.number,
                because,
            };
            let answer = desk.client.change(Verb::Post, &path, 0, command)?;
            desk.changed(&name, &answer)
        }
        Policy::DryRun(it) => dry_run(&it, desk),
        Policy::Replay { index } => replay(index, desk),
    }
}

fn place(it: &Pack) -> String {
    format!("/rule-packs/{}/{}", it.series, it.number)
}

/// The places at which two packs differ.
fn diff(series: &RulePackId, (old, new): (u64, u64), desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    let pack = |number, desk: &mut Desk<'_, '_>| {
        let series = series.clone();
        desk.client.get(&place(&Pack { series, number }))
    };
    let (before, after) = (pack(old, desk)?, pack(new, desk)?);
    let mut found = Vec::new();
    differ("", &before, &after, &mut found);
    desk.terminal.whole(DIFFERENCES, &found)
}

/// Compares two JSON values; lists are compared place by place.
fn differ(at: &str, before: &Value, after: &Value, found: &mut Vec<Value>) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for name in names {
                let side = |it: &serde_json::Map<String, Value>| it.get(name).cloned();
                let (old, new) = (side(old), side(new));
                let at = format!("{at}/{name}");
                differ(
                    &at,
                    &old.unwrap_or_default(),
                    &new.unwrap_or_default(),
                    found,
                );
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for index in 0..old.len().max(new.len()) {
                let side = |it: &[Value]| it.get(index).cloned().unwrap_or_default();
                differ(&format!("{at}/{index}"), &side(old), &side(new), found);
            }
        }
        _ if before == after => {}
        _ => found.push(json!({ "field": at, "before": before, "after": after })),
    }
}

fn dry_run(it: &DryRun, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    let set: Option<PolicySet> = it.set.as_deref().map(read_record).transpose()?;
    let packs = it.packs.iter().map(|file| read_record::<RulePack>(file));
    let packs = packs.collect::<Result<Vec<RulePack>, Error>>()?;
    let body = json!({ "policy_set": set, "rule_packs": packs, "days": it.days });
    let answer = desk.client.post("/policies/dry-run", &body)?;
    let terminal = desk.terminal;
    let arguments: [(&str, &dyn std::fmt::Display); 3] = [
        ("changes", &answer["changes"]),
        ("accesses", &answer["accesses"]),
        ("days", &it.days),
    ];
    terminal.note("note-dry-run", &arguments);
    if !terminal.is_table() {
        return terminal.record(&[], &answer);
    }
    let changed = answer["changed"].as_array().cloned().unwrap_or_default();
    terminal.whole(CHANGES, &changed)
}

fn replay(index: u64, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    let path = format!("/ledger/entries/{index}/replay");
    let answer = desk.client.get(&path)?;
    let terminal = desk.terminal;
    let verdict = answer["verdict"].as_str().unwrap_or_default().to_owned();
    terminal.note("note-replay", &[("index", &index), ("verdict", &verdict)]);
    if terminal.is_table() {
        let spoke = answer["explanation"]["spoke"].as_array();
        terminal.whole(SPOKE, &spoke.cloned().unwrap_or_default())?;
    } else {
        terminal.record(&[], &answer)?;
    }
    if verdict == "AGREES" {
        return Ok(());
    }
    Err(Error::NotVerified { failed: 1, all: 1 })
}

/// Reading rows with a destination outside is what leaving the mainland means.
pub(super) fn export(it: Export, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    match it {
        Export::Check(it) => check(it, desk),
        Export::Instruments(paging) => desk.list("/instruments", INSTRUMENTS, paging),
        Export::Instrument { id } => desk.show(&format!("/instruments/{id}"), INSTRUMENTS),
        Export::Register(it) => {
            let instrument: Instrument = read_record(&it.file)?;
            let id = instrument.id.clone();
            let command = Command::RegisterInstrument {
                instrument: Box::new(instrument),
            };
            let answer = desk.client.change(Verb::Post, "/instruments", 0, command)?;
            desk.changed(&id, &answer)
        }
        Export::Move { id, to, because } => {
            desk.terminal.confirm("ask-move-instrument", &id)?;
            let held: Instrument = parse(desk.client.get(&format!("/instruments/{id}"))?)?;
            let command = Command::MoveInstrument {
                instrument: id.clone(),
                revision: held.revision,
                to,
                because,
            };
            let path = format!("/instruments/{id}/state");
            let answer = desk.client.change(Verb::Post, &path, 0, command)?;
            desk.changed(&id, &answer)
        }
        Export::Report { year } => desk.show(&format!("/exports/{year}"), REPORT),
    }
}

fn check(circumstances: Circumstances, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    if circumstances.dataset.is_none() && circumstances.grant.is_none() {
        return Err(Error::Missing { flag: "dataset" });
    }
    let to = circumstances.to.ok_or(Error::Missing { flag: "to" })?;
    if to == Jurisdiction::MAINLAND {
        desk.terminal.note("note-not-an-export", &[]);
    }
    explain(&Question::new(Action::DatasetRead, circumstances), desk)
}

pub(super) fn catalog(it: Catalog, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    match it {
        Catalog::Status => desk.show("/catalog", STATUS),
        Catalog::Members(paging) => desk.list("/catalog/members", MEMBERS, paging),
        Catalog::AddMember { node } => {
            super::member::give_vote(&node, desk)?;
            desk.terminal.note("note-member-added", &[("node", &node)]);
            Ok(())
        }
        Catalog::RemoveMember { node } => {
            desk.terminal.confirm("ask-remove-member", &node)?;
            let call = Call {
                verb: Verb::Delete,
                path: format!("/catalog/members/{node}"),
                headers: Vec::new(),
                body: None,
            };
            desk.client.insist(&call)?;
            desk.terminal
                .note("note-member-removed", &[("node", &node)]);
            Ok(())
        }
        Catalog::Backup { out } => backup::fetch(&out, desk),
        Catalog::Verify(it) => backup::verify(&it, desk.terminal),
    }
}
