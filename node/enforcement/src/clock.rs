//! The node's clock, and whether it can be believed.
//!
//! It does not set the system's clock and asks no time server: whoever compares this node with its
//! peers tells it what the comparison said.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use schemas::Timestamp;

/// How far a node's clock may be off its peers, in milliseconds, before it issues no permits.
pub const CLOCK_OFFSET_MAX_MS: i64 = 30_000;

/// What time it is.
pub trait Clock: Send + Sync {
    /// The present instant.
    fn now(&self) -> Timestamp;

    /// Whether the clock is within [`CLOCK_OFFSET_MAX_MS`] of the node's peers.
    fn is_trusted(&self) -> bool;
}

/// The operating system's clock.
#[derive(Debug, Default)]
pub struct SystemClock {
    /// Largest offset from a peer at the last comparison, in milliseconds.
    offset_ms: AtomicI64,
}

impl SystemClock {
    /// A clock that was not compared yet and is believed until it is.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells the clock how far it is off its peers, in milliseconds.
    pub fn observe_offset_ms(&self, offset_ms: i64) {
        self.offset_ms.store(offset_ms, Ordering::Relaxed);
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    fn is_trusted(&self) -> bool {
        // `unsigned_abs`, because the smallest i64 has no positive counterpart.
        self.offset_ms.load(Ordering::Relaxed).unsigned_abs() <= CLOCK_OFFSET_MAX_MS.unsigned_abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_more_than_thirty_seconds_off_is_not_trusted() {
        let clock = SystemClock::new();
        for (offset, trusted) in [
            (0, true),
            (30_000, true),
            (-30_000, true),
            (30_001, false),
            (i64::MIN, false),
        ] {
            clock.observe_offset_ms(offset);
            assert_eq!(clock.is_trusted(), trusted, "{offset}");
        }
    }
}
