//! Simulation depth B: members with the real state machine, log, batching, forwarding and gRPC
//! service over openraft, in one thread, under a clock that the simulation moves, on lines and
//! disks that fail as a seed says.
//!
//! First faults happen while clients write and read (`chaos`, `clients`); then everything is
//! healed, and the members must go on. `oracle` hears of all that is applied, promised, answered
//! and read, and asks the invariants. A failing seed prints the line that replays it.
//!
//! It does not test TLS, sockets, fjall or sled: real members do, see `raft_cluster.rs`. Nor are
//! two runs of a seed equal to the bit: signatures are hedged with fresh bytes, openraft and tokio
//! have leaks of their own. A seed is a scenario that replays, and the trace of one run is compared
//! with that of another.

mod chaos;
mod clients;
mod disk;
mod invariants;
#[path = "../linear/mod.rs"]
mod linear;
mod machine;
mod members;
mod net;
mod oracle;
mod plan;
mod scenario;
#[path = "../seeded/mod.rs"]
mod seeded;
mod world;

use std::cell::Cell;
use std::ops::ControlFlow;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use oracle::Violation;
use plan::Bug;
use scenario::simulate;

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
    static WINDOW_IGNORED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread runs a simulation: then nothing leaves it.
pub(crate) fn is_running() -> bool {
    RUNNING.get()
}

/// Whether the simulation on this thread has [`Bug::WindowIgnored`].
pub(crate) fn ignores_the_window() -> bool {
    WINDOW_IGNORED.get()
}

/// What a run of a seed gave.
struct Ran {
    violation: Option<Violation>,
    trace: Vec<String>,
    /// Commands acknowledged, entries applied, leaders.
    counts: (u64, u64, u64),
}

fn run(seed: u64, bug: Option<Bug>) -> Ran {
    RUNNING.set(true);
    WINDOW_IGNORED.set(bug == Some(Bug::WindowIgnored));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .max_blocking_threads(1)
        .build()
        .unwrap();
    let ran = runtime.block_on(simulate(seed, bug));
    drop(runtime);
    RUNNING.set(false);
    WINDOW_IGNORED.set(false);
    ran
}

#[expect(
    clippy::disallowed_methods,
    reason = "the tests choose seeds; members read nothing"
)]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Runs seeds on all cores until `each` breaks off; each seed stays on one thread.
fn run_all(
    first: u64,
    count: u64,
    bug: Option<Bug>,
    mut each: impl FnMut(u64, Ran) -> ControlFlow<()> + Send,
) {
    let next = AtomicU64::new(first);
    let each = Mutex::new(&mut each);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let ran = run(seed, bug);
                    let mut each = each.lock().unwrap();
                    if each(seed, ran).is_break() {
                        next.store(first + count, Ordering::Relaxed);
                    }
                }
            });
        }
    });
}

fn told(seed: u64, ran: &Ran) -> String {
    let Some(violation) = &ran.violation else {
        return format!("seed {seed}: {:?}", ran.counts);
    };
    let from = ran.trace.len().saturating_sub(TRACE_LINES_SHOWN);
    format!(
        "seed {seed}: {}: {}\n{}\nreplay with: KOUAN_SIM_SEED={seed} cargo test -p catalog \
         --lib sim::members_survive",
        violation.invariant,
        violation.why,
        ran.trace[from..].join("\n")
    )
}

#[test]
fn members_survive_whatever_the_seeds_do_to_them() {
    if let Some(seed) = setting("KOUAN_SIM_SEED") {
        let ran = run(seed, None);
        println!("{}\n{:?}", ran.trace.join("\n"), ran.counts);
        assert!(ran.violation.is_none(), "{}", told(seed, &ran));
        return;
    }
    let first = setting("KOUAN_SIM_FIRST").unwrap_or(0);
    let seeds = setting("KOUAN_SIM_SEEDS").unwrap_or(SEEDS);
    let (mut failed, mut sums, mut done) = (Vec::new(), (0, 0, 0), 0_u64);
    run_all(first, seeds, None, |seed, ran| {
        done += 1;
        if done.is_multiple_of(PROGRESS_SEEDS) {
            println!("{done} of {seeds} seeds, {} failed", failed.len());
        }
        let (acknowledged, entries, leaders) = ran.counts;
        sums = (sums.0 + acknowledged, sums.1 + entries, sums.2 + leaders);
        if ran.violation.is_some() {
            println!("{}", told(seed, &ran));
            failed.push(seed);
        }
        ControlFlow::Continue(())
    });
    println!(
        "{seeds} seeds from {first}: {} commands acknowledged, {} entries applied, {} leaders",
        sums.0, sums.1, sums.2
    );
    failed.sort_unstable();
    assert_eq!(failed, [0_u64; 0]);
    // A simulation in which nothing happens finds nothing.
    assert!(sums.0 > seeds * 10 && sums.2 > seeds * 2, "{sums:?}");
}

/// Whether an invariant rings within [`BUG_SEEDS`] seeds with `bug`; with a number of seeds asked
/// for, all of them are run and shown.
fn rings(bug: Bug) -> bool {
    let asked = setting("KOUAN_SIM_SEEDS");
    let mut rang = Vec::new();
    run_all(0, asked.unwrap_or(BUG_SEEDS), Some(bug), |seed, ran| {
        if let Some(violation) = ran.violation {
            rang.push((seed, violation.invariant));
            if asked.is_none() {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    });
    rang.sort_unstable();
    println!("{bug:?}: {} rang: {rang:?}", rang.len());
    !rang.is_empty()
}

#[test]
fn an_append_that_is_acknowledged_before_its_sync_is_caught() {
    assert!(rings(Bug::AcknowledgedBeforeSync));
}

#[test]
fn a_vote_that_a_restart_forgets_is_caught() {
    assert!(rings(Bug::VoteNotPersisted));
}

#[test]
fn a_learner_that_counts_as_a_voter_is_caught() {
    assert!(rings(Bug::LearnerCounted));
}

#[test]
fn a_command_that_is_decided_twice_is_caught() {
    assert!(rings(Bug::WindowIgnored));
}

#[test]
fn a_seed_gives_the_same_trace_again() {
    for seed in [3, 4] {
        let (one, other) = (run(seed, None), run(seed, None));
        assert_eq!(one.trace, other.trace);
    }
}

/// Seeds of an ordinary run.
const SEEDS: u64 = 50;

/// A long run says how far it is after so many seeds.
const PROGRESS_SEEDS: u64 = 100;

/// Seeds within which each bug must be caught.
const BUG_SEEDS: u64 = 12;

/// Lines of the trace that a failure shows.
const TRACE_LINES_SHOWN: usize = 60;
