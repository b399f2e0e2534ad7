//! Prints how long one decision takes with a policy text of 10,000 lines: p50, p99 and the
//! longest, in microseconds. `cargo run --release -p policies --example decide_latency`.
//!
//! It does not pass or fail: a figure belongs in a report, with the machine it was taken on.

#![expect(clippy::print_stdout, reason = "a program that prints its result")]
#![expect(
    clippy::disallowed_methods,
    reason = "it measures; the crate itself reads no clock"
)]

#[path = "../tests/fixture/mod.rs"]
mod fixture;

use std::fmt::Write as _;
use std::time::Instant;

use policies::{Pdp, shipped};
use schemas::code::Action;
use schemas::dataset::Sensitivity;
use schemas::decision::Party;
use schemas::participant::Role;
use schemas::{Grade, Jurisdiction};

/// Lines of policy text.
const LINES: usize = 10_000;
/// Decisions timed.
const ROUNDS: usize = 200_000;
/// Columns of the dataset; the widest real table we know has 107.
const COLUMNS: usize = 107;

fn main() -> Result<(), policies::Error> {
    let mut set = shipped();
    for at in 0..LINES / 2 {
        let action = Action::ALL[at % Action::ALL.len()].as_str();
        let line = action.replace('.', ", ");
        // Writing to a string does not fail.
        writeln!(
            set.roles,
            "g, desk-{at}, member\np, desk-{at}, {line}, allow"
        )
        .ok();
    }
    let started = Instant::now();
    let pdp = Pdp::compile(&set)?;
    println!(
        "compile of {LINES} lines: {:.1} ms",
        started.elapsed().as_secs_f64() * 1e3
    );

    let names = || (0..COLUMNS).map(|at| format!("column_{at}"));
    let wide = fixture::Case::read()
        .grade(Grade::G3)
        .with(|it| {
            let columns = names().map(|name| (name, Sensitivity::SensitivePersonal));
            it.dataset().columns.extend(columns);
        })
        .with_grant(|grant| grant.columns.extend(names()));
    let cases = [
        ("read, 3 columns, permitted", fixture::Case::read()),
        ("read, 110 columns, permitted", wide),
        (
            "read to Hong Kong, refused",
            fixture::Case::read().to(Jurisdiction::HONG_KONG),
        ),
        (
            "read, no role, refused",
            fixture::Case::person(Role::SecurityOfficer, Party::Other, Action::DatasetRead),
        ),
        (
            "node reads, permitted",
            fixture::Case::node(Party::Consumer, Action::DatasetRead),
        ),
    ];
    for (what, case) in cases {
        let mut micros: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let started = Instant::now();
                std::hint::black_box(pdp.decide(&case.request, &case.facts));
                started.elapsed().as_secs_f64() * 1e6
            })
            .collect();
        micros.sort_by(f64::total_cmp);
        let at = |share: usize| micros[(ROUNDS - 1) * share / 100];
        println!(
            "{what}: p50 {:.1} us, p99 {:.1} us, longest {:.0} us",
            at(50),
            at(99),
            at(100)
        );
    }
    Ok(())
}
