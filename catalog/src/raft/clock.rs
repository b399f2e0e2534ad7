//! The two clocks of this crate: wall time for leader time, and a steady one for spans.
//!
//! It does not reach the replicated state: what the leader reads here enters the log inside a
//! `Tick` command and is the same for every replica from then on.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use schemas::Timestamp;

/// Where wall time comes from.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that answers with `read`. For tests, simulations and trusted time sources.
    #[must_use]
    pub fn new(read: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// The operating system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::new(read_system)
    }

    /// The instant that the clock shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads wall time; it reaches replicas only inside a Tick"
)]
fn read_system() -> Timestamp {
    let millis = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
        });
    Timestamp::from_millis(millis)
}

/// The steady clock, for deadlines and for how old a view is.
///
/// It is the runtime's, so that a simulation that moves the runtime's time moves this one too.
pub(crate) fn steady() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The time since `earlier`.
pub(crate) fn elapsed(earlier: Instant) -> Duration {
    steady().saturating_duration_since(earlier)
}

/// Whole milliseconds since `earlier`.
pub(crate) fn elapsed_ms(earlier: Instant) -> u64 {
    u64::try_from(elapsed(earlier).as_millis()).unwrap_or(u64::MAX)
}
