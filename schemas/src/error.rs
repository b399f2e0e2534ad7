//! What can be wrong with the words that cross the border of a program.

/// Why bytes did not become a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An identifier does not have the form that all identifiers share.
    #[error("{text:?} is not a {kind} identifier: {why}")]
    Identifier {
        /// What it should have named.
        kind: &'static str,
        /// What was given, cut.
        text: String,
        /// The rule that it breaks.
        why: &'static str,
    },
    /// Not RFC 3339.
    #[error("{text:?} is not an RFC 3339 instant from 1970 on, such as 2026-11-24T08:00:00Z")]
    Timestamp {
        /// What was given, cut.
        text: String,
    },
    /// A record without canonical bytes.
    #[error("no canonical form: {why}")]
    Canonical {
        /// What stands in the way.
        why: String,
    },
    /// A field of a record breaks its rule.
    #[error("{record}.{field}: {why}")]
    Field {
        /// The record type.
        record: &'static str,
        /// The field.
        field: &'static str,
        /// The rule and what to do.
        why: String,
    },
    /// A JSON Schema cannot be used as a data standard.
    #[error("data standard: {why}")]
    Standard {
        /// The reason and what to do.
        why: String,
    },
    /// An identifier with a check digit (IMO, USCC, container number ...) is wrong.
    #[error("{format}: {why}")]
    CheckDigit {
        /// The format's name.
        format: &'static str,
        /// What is wrong.
        why: &'static str,
    },
}
