//! Prints how long one decision takes when 1,000, 10,000 and 100,000 grants exist, beside casbin
//! alone on the same grants: p50 and p99 in microseconds, and last over first.
//! `cargo run --release -p policies --example decide_scale`.
//!
//! It does not pass or fail: a figure belongs in a report, with the machine it was taken on. Our
//! policy text has as many lines as it may (20,000 at most); grants are facts that are looked up by
//! dataset and consumer, and the second figure has the look-up and the copy in it. casbin holds one
//! line a grant, which is how it would express the same.

#![expect(clippy::print_stdout, reason = "a program that prints its result")]
#![expect(
    clippy::disallowed_methods,
    reason = "it measures; the crate itself reads no clock"
)]

#[expect(dead_code, reason = "tests use more of it")]
#[path = "../tests/fixture/mod.rs"]
mod fixture;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Instant;

use casbin::{CoreApi as _, DefaultModel, Enforcer, StringAdapter};
use fixture::Case;
use futures::FutureExt as _;
use policies::{Pdp, shipped};
use schemas::code::Action;
use schemas::decision::Party;
use schemas::participant::Role;
use schemas::request::Grant;
use schemas::{DatasetId, Grade, Jurisdiction, ParticipantId};

/// Sizes compared.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
/// Decisions timed of ours.
const ROUNDS: usize = 100_000;
/// Most lines of policy text.
const LINES_MAX: usize = 19_800;

/// casbin's plainest model.
const MODEL: &str = "[request_definition]\nr = sub, obj, act\n\
                     [policy_definition]\np = sub, obj, act\n\
                     [policy_effect]\ne = some(where (p.eft == allow))\n\
                     [matchers]\nm = r.sub == p.sub && r.obj == p.obj && r.act == p.act\n";

type Grants = BTreeMap<(DatasetId, ParticipantId), Grant>;

/// Percentiles of a run.
struct Figures {
    p50: f64,
    p99: f64,
}

fn timed(rounds: usize, mut one: impl FnMut(usize)) -> Figures {
    let mut micros: Vec<f64> = (0..rounds)
        .map(|round| {
            let started = Instant::now();
            one(round);
            started.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    micros.sort_by(f64::total_cmp);
    let at = |share: usize| micros[(rounds - 1) * share / 100];
    Figures {
        p50: at(50),
        p99: at(99),
    }
}

/// A dataset's and a consumer's name that nobody else has.
fn names(at: usize) -> Option<(DatasetId, ParticipantId)> {
    let dataset = DatasetId::parse(format!("dataset-{at}")).ok()?;
    let consumer = ParticipantId::parse(format!("city-{at}")).ok()?;
    Some((dataset, consumer))
}

fn grants(count: usize) -> Grants {
    (0..count)
        .filter_map(names)
        .map(|(dataset, consumer)| {
            let grant = Grant {
                dataset: dataset.clone(),
                consumer: consumer.clone(),
                ..fixture::grant()
            };
            ((dataset, consumer), grant)
        })
        .collect()
}

/// The set that ships with as many more lines.
fn text(lines: usize) -> Result<Pdp, policies::Error> {
    let mut set = shipped();
    for at in 0..lines.min(LINES_MAX) / 2 {
        let action = Action::ALL[at % Action::ALL.len()].as_str();
        let line = action.replace('.', ", ");
        // Writing to a string does not fail.
        writeln!(set.roles, "g, d{at}, member\np, d{at}, {line}, allow").ok();
    }
    Pdp::compile(&set)
}

/// One consumer's request for its own dataset.
fn case(names: &(DatasetId, ParticipantId)) -> Case {
    let mut case = Case::person(Role::DataConsumer, Party::Consumer, Action::DatasetRead)
        .grade(Grade::G3)
        .to(Jurisdiction::MAINLAND);
    case.request.dataset = Some(names.0.clone());
    case.request.principal.participant = names.1.clone();
    case.with_grant(|grant| {
        grant.dataset = names.0.clone();
        grant.consumer = names.1.clone();
    })
}

/// Decisions alone, and with the grant looked up and copied into the facts.
fn ours(count: usize) -> Result<(Figures, Figures), policies::Error> {
    let pdp = text(count)?;
    let grants = grants(count);
    // Far apart, so that no two that follow each other lie in one cache line.
    let all: Vec<_> = grants.keys().cloned().collect();
    let mut cases: Vec<Case> = (0..1_000)
        .map(|at| case(&all[at * 7_919 % count]))
        .collect();
    let alone = timed(ROUNDS, |round| {
        let it = &cases[round % 1_000];
        std::hint::black_box(pdp.decide(&it.request, &it.facts));
    });
    let gathered = timed(ROUNDS, |round| {
        let it = &mut cases[round % 1_000];
        let key = &all[round * 7_919 % count];
        it.request.dataset = Some(key.0.clone());
        it.request.principal.participant = key.1.clone();
        it.facts.grant = grants.get(key).cloned();
        std::hint::black_box(pdp.decide(&it.request, &it.facts));
    });
    Ok((alone, gathered))
}

/// casbin with one line a grant. It looks at every line, so few rounds are enough to see it.
fn casbin_alone(count: usize) -> Option<Figures> {
    let lines: String = (0..count).fold(String::new(), |mut text, at| {
        writeln!(text, "p, city-{at}, dataset-{at}, read").ok();
        text
    });
    let model = DefaultModel::from_str(MODEL).now_or_never()?.ok()?;
    let enforcer = Enforcer::new(model, StringAdapter::new(lines))
        .now_or_never()?
        .ok()?;
    Some(timed(1_000_000 / count, |round| {
        let at = round * 7_919 % count;
        let asked = (format!("city-{at}"), format!("dataset-{at}"), "read");
        std::hint::black_box(enforcer.enforce(asked).ok());
    }))
}

fn main() -> Result<(), policies::Error> {
    let mut first = None;
    for count in SIZES {
        let (alone, gathered) = ours(count)?;
        let casbin = casbin_alone(count);
        let first = first.get_or_insert(alone.p99);
        println!(
            "{count:>7} grants: decide p50 {:.2} p99 {:.2} us ({:.2} of the first); with facts p50 \
             {:.2} p99 {:.2} us",
            alone.p50,
            alone.p99,
            alone.p99 / *first,
            gathered.p50,
            gathered.p99
        );
        match casbin {
            Some(it) => println!(
                "        casbin alone: p50 {:.0} p99 {:.0} us",
                it.p50, it.p99
            ),
            None => println!("        casbin alone: it did not load"),
        }
    }
    Ok(())
}
