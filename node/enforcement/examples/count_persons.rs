//! Prints how fast persons are counted, reserved and settled, and what ten million of them take in
//! memory: `cargo run --release -p enforcement --example count_persons [PERSONS]`.
//!
//! It does not pass or fail: a figure belongs in a report, with the machine it was taken on. It
//! runs on one thread, writes to a folder beside the system's temporary files, and syncs each
//! batch. Rates are per second of processor time where the system tells it (Linux), so that what
//! else runs on the machine and the disk's waits are not in them.

#![expect(clippy::print_stdout, reason = "a program that prints its result")]

use std::sync::LazyLock;
use std::time::Instant;

use crypto::SoftwareKey;
use enforcement::counters::{CounterHome, Flags, Kept, Person};

/// Persons of one batch.
const BATCH_PERSONS: usize = 1_000_000;
/// The year that is counted.
const YEAR: u16 = 2026;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let persons = std::env::args()
        .nth(1)
        .map_or(Ok(10_000_000), |it| it.parse::<usize>())?;
    let dir = std::env::temp_dir().join(format!("kouan-count-{}", std::process::id()));
    let key = SoftwareKey::generate()?;
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build()?;
    let home = runtime.block_on(CounterHome::open(&dir, &key))?;
    for round in ["new persons", "the same again"] {
        let (mut hashing, mut reserving, mut settling) = (0.0, 0.0, 0.0);
        for first in (0..persons).step_by(BATCH_PERSONS) {
            let ids: Vec<[u8; 18]> = (first..persons.min(first + BATCH_PERSONS))
                .map(|at| {
                    let mut id = *b"000000000000000000";
                    let digits = format!("{at:018}");
                    id.copy_from_slice(digits.as_bytes());
                    id
                })
                .collect();
            let batch: Vec<Person<'_>> = ids
                .iter()
                .map(|id| Person {
                    id,
                    kinds: Flags::PERSONAL,
                })
                .collect();
            let mut count = home.begin(YEAR, &[])?;
            let begun = spent();
            count.take(&batch)?;
            hashing += spent() - begun;
            let begun = spent();
            let (reservation, _) = home.reserve(count, YEAR, &[])?;
            reserving += spent() - begun;
            let begun = spent();
            reservation.keep(Kept::default(), None)?;
            reservation.begin_sending();
            drop(reservation);
            settling += spent() - begun;
        }
        let all = hashing + reserving + settling;
        let rate = |seconds: f64| {
            // A count of persons is far below 2^52.
            f64::from(u32::try_from(persons).unwrap_or(u32::MAX)) / seconds / 1e6
        };
        println!(
            "{round}: {:.2} million/s in all; hashing {:.2}, reserving {:.2}, settling {:.2}; {} \
             distinct",
            rate(all),
            rate(hashing),
            rate(reserving),
            rate(settling),
            home.counts(YEAR, &[]).non_sensitive
        );
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    println!("{}", peak.unwrap_or("VmHWM: not known on this system"));
    drop(home);
    let begun = spent();
    drop(runtime.block_on(CounterHome::open(&dir, &key))?);
    println!("opened again in {:.2} s", spent() - begun);
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}

/// Seconds of processor time of this thread, or of the clock where the system does not say.
fn spent() -> f64 {
    static BEGUN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|it| it.split(' ').next()?.parse::<f64>().ok());
    nanoseconds.map_or_else(|| BEGUN.elapsed().as_secs_f64(), |it| it / 1e9)
}
