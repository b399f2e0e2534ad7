//! Prints the story: numbered steps with times, rows, bytes and rates.
//!
//! It does not measure anything that it prints as a fact of the nodes; it only keeps the clock of
//! the story itself.
#![expect(clippy::print_stdout, reason = "the story is the program's output")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::messages::Messages;

/// Who tells.
#[derive(Clone)]
pub(super) struct Teller {
    inner: Arc<Inner>,
}

/// How long the whole story takes at most, a release build on two cores taken for granted.
const PROMISED: Duration = Duration::from_secs(60);

struct Inner {
    messages: Messages,
    begun: Instant,
    step: AtomicU32,
}

impl Teller {
    pub(super) fn new(messages: Messages) -> Self {
        let inner = Inner {
            messages,
            begun: Instant::now(),
            step: AtomicU32::new(0),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    pub(super) fn say(&self, key: &str, arguments: &[(&str, String)]) -> String {
        self.inner.messages.say(key, arguments)
    }

    pub(super) fn title(&self, key: &str, arguments: &[(&str, String)]) {
        println!("{}\n", self.say(key, arguments));
    }

    /// Begins the next step.
    pub(super) fn step(&self, key: &str, arguments: &[(&str, String)]) {
        let number = self.inner.step.fetch_add(1, Ordering::Relaxed) + 1;
        let at = self.inner.begun.elapsed().as_secs_f64();
        println!("\n{number:>2}  {}  [{at:.1} s]", self.say(key, arguments));
    }

    /// A line within a step.
    pub(super) fn line(&self, key: &str, arguments: &[(&str, String)]) {
        println!("      {}", self.say(key, arguments));
    }

    /// A line that is data, not words.
    pub(super) fn fact(&self, text: &str) {
        println!("        {text}");
    }

    /// The end, with the time that it took.
    pub(super) fn total(&self) -> Duration {
        let took = self.inner.begun.elapsed();
        let seconds = format!("{:.1}", took.as_secs_f64());
        println!("\n{}", self.say("total", &[("seconds", seconds)]));
        if took > PROMISED {
            println!("{}", self.say("over-a-minute", &[]));
        }
        took
    }
}

/// `1234567` as `1,234,567`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes in MB (10^6) with one digit, small ones in kB.
pub(super) fn megabytes(bytes: u64) -> String {
    if bytes < 1_000_000 {
        return format!("{} kB", bytes.div_ceil(1_000));
    }
    let tenths = bytes / 100_000;
    format!("{}.{} MB", grouped(tenths / 10), tenths % 10)
}

/// Bytes over a time, in MB/s.
pub(super) fn rate(bytes: u64, time: Duration) -> String {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
    // Bytes per microsecond are MB per second; tenths keep one digit.
    let tenths = bytes.saturating_mul(10) / micros;
    format!("{}.{} MB/s", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_for_people() {
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(megabytes(156_000_000), "156.0 MB");
        assert_eq!(megabytes(41_200), "42 kB");
        assert_eq!(rate(50_000_000, Duration::from_millis(500)), "100.0 MB/s");
    }
}
