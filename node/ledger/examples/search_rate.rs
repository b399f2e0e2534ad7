//! Searches millions of entries: `cargo run --release -p ledger --example search_rate -- 10000000`.
//!
//! The entries are made up and only indexed, so that no disk is needed for their bytes: what is
//! measured is finding them, and not reading the page that is shown.
#![expect(
    clippy::print_stdout,
    reason = "printing figures is what this program is for"
)]

use std::error::Error;
use std::time::Instant;

use crypto::Digest;
use ledger::Filter;
use ledger::measure::Searchable;
use schemas::code::{Action, ReasonCode};
use schemas::decision::{
    Decision, DecisionRequest, Facts, Obligations, Party, PolicyVersion, Principal, Reason,
};
use schemas::ledger_entry::{
    LedgerEntry, LedgerEvent, LedgerIdentity, LedgerIndex, ReleaseOutcome,
};
use schemas::participant::ParticipantKind;
use schemas::request::Purpose;
use schemas::{DatasetId, Jurisdiction, NodeId, ParticipantId, PersonId, ReleaseId, Timestamp};

type Failed = Box<dyn Error + Send + Sync>;

/// A year of one entry every three seconds.
const STEP_MS: i64 = 3_000;
const BEGIN_MS: i64 = 1_790_000_000_000;
const BATCH: u64 = 1_024;
const RUNS: usize = 15;

fn main() -> Result<(), Failed> {
    let wanted = std::env::args()
        .nth(1)
        .map_or(Ok(1_000_000), |it| it.parse())?;
    let dir = std::env::temp_dir().join(format!("kouan-search-rate-{}", std::process::id()));
    let identity = LedgerIdentity {
        participant: ParticipantId::parse("gd.gz.port")?,
        incarnation: 1,
    };
    let began = Instant::now();
    let mut filled = Searchable::open(&dir, &identity)?;
    while filled.entries() < wanted {
        let from = filled.entries();
        let until = (from + BATCH).min(wanted);
        let entries: Result<Vec<_>, _> = (from..until).map(entry).collect();
        filled.add(&entries?)?;
    }
    let seconds = began.elapsed().as_secs_f64();
    let bytes = filled.bytes()?;
    println!("{wanted} entries indexed in {seconds:.0} s; {bytes} bytes on disk");
    println!("{:.2} bytes an entry", ratio(bytes, wanted));
    drop(filled);
    let began = Instant::now();
    let index = Searchable::open(&dir, &identity)?;
    let opened = began.elapsed().as_millis();
    println!(
        "opened and checked in {opened} ms; {} complete",
        index.entries()
    );
    println!("memory in use: {}", resident()?);
    for (name, filter) in questions()? {
        let mut times = Vec::new();
        let mut total = 0;
        for _ in 0..RUNS {
            let began = Instant::now();
            total = index.search(&filter, LedgerIndex(0), 50)?.total;
            times.push(began.elapsed());
        }
        times.sort_unstable();
        let (middle, worst) = (times[RUNS / 2], times[RUNS - 1]);
        println!("{name}: {total} found, {middle:?} in the middle, {worst:?} at most");
    }
    println!("memory in use after searching: {}", resident()?);
    drop(index);
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

fn ratio(bytes: u64, entries: u64) -> f64 {
    let hundredths = bytes.saturating_mul(100) / entries.max(1);
    f64::from(u32::try_from(hundredths).unwrap_or(u32::MAX)) / 100.0
}

fn resident() -> Result<String, Failed> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    Ok(line
        .unwrap_or("unknown")
        .trim_start_matches("VmRSS:")
        .trim()
        .to_owned())
}

fn questions() -> Result<Vec<(&'static str, Filter)>, Failed> {
    let all = Filter::default();
    let at = |number: i64| Some(Timestamp::from_millis(BEGIN_MS + number * STEP_MS));
    Ok(vec![
        ("no filter", all.clone()),
        (
            "dataset",
            Filter {
                dataset: Some(DatasetId::parse("dataset-7")?),
                ..all.clone()
            },
        ),
        (
            "four common filters",
            Filter {
                action: Some("dataset.read".to_owned()),
                outcome: Some("permit".to_owned()),
                destination: Some(Jurisdiction::MAINLAND),
                from: at(1_000),
                ..all.clone()
            },
        ),
        (
            "four rare filters",
            Filter {
                dataset: Some(DatasetId::parse("dataset-7")?),
                actor: Some("person-247".to_owned()),
                outcome: Some("deny".to_owned()),
                destination: Some(Jurisdiction::HONG_KONG),
                ..all.clone()
            },
        ),
        (
            "dataset, participant, purpose, a month",
            Filter {
                dataset: Some(DatasetId::parse("dataset-7")?),
                participant: Some(ParticipantId::parse("gd.p7")?),
                purpose: Some("purpose-7".to_owned()),
                from: at(100_000),
                until: at(964_000),
                ..all
            },
        ),
    ])
}

/// Of each five entries four are decisions and one is the end of a release of its own.
fn entry(number: u64) -> Result<LedgerEntry, Failed> {
    let event = if number.is_multiple_of(5) {
        LedgerEvent::ReleaseEnded {
            release: ReleaseId::parse(format!("rl-{}", Digest::of(&number.to_be_bytes())))?,
            bytes: number,
            outcome: ReleaseOutcome::Completed,
        }
    } else {
        decided(number)?
    };
    let passed = i64::try_from(number)?.saturating_mul(STEP_MS);
    Ok(LedgerEntry {
        at: Timestamp::from_millis(BEGIN_MS + passed),
        node: NodeId::parse("node-1")?,
        clock_trusted: true,
        trace: String::new(),
        event,
    })
}

fn decided(number: u64) -> Result<LedgerEvent, Failed> {
    let is_refused = number % 17 == 3;
    let leaves = number % 29 == 7;
    let reasons = vec![Reason::new(ReasonCode::GrantExpired, "")];
    Ok(LedgerEvent::Decided {
        request: Box::new(DecisionRequest {
            principal: Principal {
                participant: ParticipantId::parse(format!("gd.p{}", number % 30))?,
                kind: ParticipantKind::ALL[0],
                jurisdiction: Jurisdiction::MAINLAND,
                person: Some(PersonId::parse(format!("person-{}", number % 500))?),
                node: None,
                roles: [].into(),
            },
            action: if number.is_multiple_of(3) {
                Action::DatasetDiscover
            } else {
                Action::DatasetRead
            },
            dataset: Some(DatasetId::parse(format!("dataset-{}", number % 40))?),
            record: None,
            purpose: Some(Purpose {
                code: format!("purpose-{}", number % 20),
                text: String::new(),
            }),
            destination: if leaves {
                Jurisdiction::HONG_KONG
            } else {
                Jurisdiction::MAINLAND
            },
            columns: None,
            at: Timestamp::default(),
        }),
        facts: Box::new(Facts {
            view_index: 1,
            view_age_ms: 0,
            linearizable: true,
            clock_trusted: true,
            principal_valid: true,
            policy: PolicyVersion {
                number: 0,
                digest: Digest::ZERO,
            },
            party: Party::Consumer,
            dataset: None,
            grant: None,
            export: None,
        }),
        decision: if is_refused {
            Decision::Deny(reasons)
        } else {
            Decision::Permit(Obligations::default())
        },
    })
}
