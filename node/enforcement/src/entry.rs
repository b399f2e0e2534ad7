//! Ledger entries as the gate writes them.
//!
//! It does not append; it fills in what every entry carries besides its event.

use schemas::NodeId;
use schemas::ledger_entry::{LedgerEntry, LedgerEvent};

use crate::Clock;

/// Longest trace in bytes that is kept; it comes from outside (a header of a request).
pub(crate) const TRACE_BYTES_MAX: usize = 64;

/// `event`, happening now on `node`.
pub(crate) fn entry(
    clock: &dyn Clock,
    node: &NodeId,
    trace: &str,
    event: LedgerEvent,
) -> LedgerEntry {
    LedgerEntry {
        at: clock.now(),
        node: node.clone(),
        clock_trusted: clock.is_trusted(),
        trace: bounded(trace),
        event,
    }
}

/// The trace without what could break a log line, and not longer than [`TRACE_BYTES_MAX`].
pub(crate) fn bounded(trace: &str) -> String {
    trace
        .chars()
        .filter(char::is_ascii_graphic)
        .take(TRACE_BYTES_MAX)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_cut_to_one_short_word() {
        assert_eq!(bounded("a b\nc\u{202e}d"), "abcd");
        assert_eq!(bounded(&"x".repeat(100)).len(), TRACE_BYTES_MAX);
    }
}
