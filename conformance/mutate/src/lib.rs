//! Fuzzing in `cargo test`: valid inputs of a parser, changed at random, the same way each time.
//!
//! It does not follow coverage. A target is a function from bytes to whether they were valid; it
//! panics when a promise is broken. What each target promises besides is checked here: it returns,
//! and the memory that it holds is bounded by the input.
//!
//! | environment | meaning |
//! |---|---|
//! | `KOUAN_FUZZ_RUNS` | how many changed inputs each target gets, instead of its own number |
//! | `KOUAN_FUZZ_SEED` | another sequence of changes than the usual one |
//! | `KOUAN_FUZZ_CORPUS` | a folder that gets the valid inputs, for other fuzzers |

mod mutator;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;

use mutator::Mutator;

/// Memory in bytes that a target may hold at once, whatever the input: tables, buffers, limits.
const HELD_BYTES_MAX: u64 = 4 << 20;

/// And for each byte of the input: a JSON value of one digit is 32 bytes, and vectors double.
const HELD_BYTES_MAX_PER_BYTE: u64 = 512;

/// Inputs of one target.
#[derive(Clone, Copy, Debug)]
pub struct Fuzz<'a> {
    /// The target's name.
    pub name: &'a str,
    /// Valid inputs. Each is checked to be one, so that they follow when a format changes.
    pub seeds: &'a [Vec<u8>],
    /// Words that mean something in the format, to be put anywhere.
    pub words: &'a [&'a str],
    /// How many changed inputs to try: about a second of them.
    pub runs: u32,
}

impl Fuzz<'_> {
    /// Runs a target on the seeds and on changes of them.
    ///
    /// # Panics
    /// When a seed is not valid, and when the target breaks a promise; standard error then has the
    /// input, in hexadecimal.
    pub fn run(&self, target: impl Fn(&[u8]) -> bool) {
        self.run_holding(HELD_BYTES_MAX, target);
    }

    /// As [`Fuzz::run`], for a target whose own buffers are larger: `held_bytes_max` is the memory
    /// in bytes that it may hold at once, whatever the input.
    ///
    /// # Panics
    /// As [`Fuzz::run`].
    pub fn run_holding(&self, held_bytes_max: u64, target: impl Fn(&[u8]) -> bool) {
        for (at, seed) in self.seeds.iter().enumerate() {
            assert!(watched(&target, seed), "seed {at} is not valid");
            self.keep(at, seed);
        }
        // What is made once for a process was made by now, so memory is counted from here.
        let mut mutator = Mutator::new(number("KOUAN_FUZZ_SEED").unwrap_or(1));
        for _ in 0..number("KOUAN_FUZZ_RUNS").unwrap_or_else(|| u64::from(self.runs)) {
            let input = mutator.changed(self.seeds, self.words);
            let held = allocation_counter::measure(|| {
                watched(&target, &input);
            });
            let most = held_bytes_max + HELD_BYTES_MAX_PER_BYTE * input.len() as u64;
            assert!(
                held.bytes_max <= most,
                "{} bytes held, at most {most} may be, for {}",
                held.bytes_max,
                hex::encode(&input)
            );
        }
    }

    /// Writes a seed where libFuzzer finds it.
    ///
    /// # Panics
    /// When it cannot be written where somebody asked for it.
    fn keep(&self, at: usize, seed: &[u8]) {
        let Some(corpus) = std::env::var_os("KOUAN_FUZZ_CORPUS") else {
            return;
        };
        let folder = Path::new(&corpus).join(self.name);
        let written = std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(folder.join(format!("seed-{at}")), seed));
        assert!(written.is_ok(), "{}: {written:?}", folder.display());
    }
}

/// Runs the target, and says on which input it panicked.
#[expect(clippy::print_stderr, reason = "there is no other way to say it")]
fn watched(target: &impl Fn(&[u8]) -> bool, input: &[u8]) -> bool {
    catch_unwind(AssertUnwindSafe(|| target(input))).unwrap_or_else(|panic| {
        eprintln!("the input was {}", hex::encode(input));
        resume_unwind(panic)
    })
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGITS: Fuzz<'_> = Fuzz {
        name: "digits",
        seeds: &[],
        words: &["12345"],
        runs: 2_000,
    };

    fn panics(target: impl Fn(&[u8]) -> bool) -> bool {
        let seeds = [b"1234".to_vec()];
        let fuzz = Fuzz {
            seeds: &seeds,
            ..DIGITS
        };
        catch_unwind(AssertUnwindSafe(|| fuzz.run(target))).is_err()
    }

    #[test]
    fn what_breaks_a_promise_is_found() {
        assert!(!panics(|_| true));
        assert!(panics(|_| false), "a seed that is not valid");
        assert!(panics(|input| input[3] != 0), "a cut input");
        assert!(panics(|input| {
            assert_ne!(input.first(), Some(&b'0'));
            true
        }));
        assert!(panics(|input| {
            assert!(!input.starts_with(b"12345"));
            true
        }));
    }

    #[test]
    fn memory_beyond_the_input_is_found() {
        let claimed = |input: &[u8]| {
            let (count, _) = input.split_first_chunk().unwrap_or((&[0; 4], &[]));
            let room: Vec<u8> = Vec::with_capacity(u32::from_be_bytes(*count) as usize >> 6);
            room.capacity() > 0
        };
        assert!(panics(claimed));
    }
}
