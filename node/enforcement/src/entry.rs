//! Ledger entries as the gate writes them.
//!
//! It does not append; it fills in what every entry carries besides its event.

use schemas::NodeId;
use schemas::ledger_entry::{Checkpoint, LedgerEntry, LedgerEvent, LedgerIdentity};

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

/// The gap record that a later life of a ledger begins with; none for the first life. `known` is
/// the last checkpoint that the catalog has; one of this life or of a later one says nothing of
/// what was lost.
pub(crate) fn gap(life: &LedgerIdentity, known: Option<&Checkpoint>) -> Option<LedgerEvent> {
    let before = life.incarnation.checked_sub(1).filter(|it| *it > 0)?;
    let last = known.filter(|it| {
        it.ledger.participant == life.participant && it.ledger.incarnation < life.incarnation
    });
    let why = match last {
        Some(last) => format!(
            "incarnation {before} ended; others have its checkpoint over {} entries",
            last.size
        ),
        None => format!("incarnation {before} ended; nobody here has a checkpoint of it"),
    };
    Some(LedgerEvent::Gap {
        last: last.map(|it| Box::new(it.clone())),
        why,
    })
}

#[cfg(test)]
mod tests {
    use schemas::{ParticipantId, Timestamp};

    use super::*;

    #[test]
    fn a_later_life_begins_with_what_is_known_of_the_earlier() {
        let life = |incarnation| LedgerIdentity {
            participant: ParticipantId::parse("gz").unwrap(),
            incarnation,
        };
        let checkpoint = |incarnation| Checkpoint {
            ledger: life(incarnation),
            size: 9,
            root: crypto::Digest::ZERO,
            at: Timestamp::from_millis(1),
        };
        let last = |found: Option<LedgerEvent>| match found {
            Some(LedgerEvent::Gap { last, .. }) => last.map(|it| *it),
            other => panic!("{other:?}"),
        };
        assert_eq!(gap(&life(1), None), None);
        assert_eq!(gap(&life(1), Some(&checkpoint(1))), None);
        let earlier = checkpoint(2);
        assert_eq!(last(gap(&life(3), Some(&earlier))), Some(earlier));
        assert_eq!(last(gap(&life(3), Some(&checkpoint(3)))), None);
        assert_eq!(last(gap(&life(2), None)), None);
    }

    #[test]
    fn a_trace_is_cut_to_one_short_word() {
        assert_eq!(bounded("a b\nc\u{202e}d"), "abcd");
        assert_eq!(bounded(&"x".repeat(100)).len(), TRACE_BYTES_MAX);
    }
}
