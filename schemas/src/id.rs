//! Identifiers of everything the catalog names, one type a noun, so that mixing two does not
//! compile.
//!
//! It does not choose identifiers: the proposer of a command does, and the text travels inside it.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// Longest identifier in bytes. Long enough for `cn.gd.gz.port-authority.container-throughput`,
/// short enough for a file name, a table column and a log line.
pub const ID_BYTES_MAX: usize = 96;

/// Checks the one form all identifiers share: lower-case letters, digits, `.`, `-` and `_`,
/// beginning and ending with a letter or digit. Such text is safe as a file name, in a URL path
/// and in a policy line, whatever the peer sent.
fn check(kind: &'static str, text: &str) -> Result<(), Error> {
    let refuse = |why| {
        Err(Error::Identifier {
            kind,
            text: shown(text),
            why,
        })
    };
    if text.is_empty() || text.len() > ID_BYTES_MAX {
        return refuse("it must have 1 to 96 bytes");
    }
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let outer = |b: u8| inner(b) || matches!(b, b'.' | b'-' | b'_');
    let bytes = text.as_bytes();
    if !bytes.iter().copied().all(outer) {
        return refuse("only a-z, 0-9, '.', '-' and '_' may occur");
    }
    if !inner(bytes[0]) || !inner(bytes[bytes.len() - 1]) {
        return refuse("it must begin and end with a letter or digit");
    }
    if text.contains("..") {
        return refuse("'..' may not occur");
    }
    Ok(())
}

/// The offending text, cut so that an error message cannot be made huge by a peer.
fn shown(text: &str) -> String {
    text.chars().take(ID_BYTES_MAX).collect()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $kind:literal;)*) => {$(
        $(#[$doc])*
        ///
        /// At most [`ID_BYTES_MAX`] bytes of `a-z 0-9 . - _`.
        // Clones share the text: identifiers are the keys of maps that are copied at every change.
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, utoipa::ToSchema)]
        #[schema(value_type = String, max_length = 96,
            pattern = "^[a-z0-9](?:(?:[.]?[a-z0-9_-])*[.]?[a-z0-9])?$")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses the text form.
            ///
            /// # Errors
            /// [`Error::Identifier`] when the text lacks the form that all identifiers share.
            pub fn parse(text: impl Into<String>) -> Result<Self, Error> {
                let text = text.into();
                check($kind, &text)?;
                Ok(Self(text.into()))
            }

            /// The text form.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(&self.0)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self, Error> {
                Self::parse(text)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                // Most texts are read where they lie, so that only the identifier is allocated.
                struct Text;
                impl serde::de::Visitor<'_> for Text {
                    type Value = $name;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("a string")
                    }

                    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<$name, E> {
                        check($kind, text).map_err(E::custom)?;
                        Ok($name(text.into()))
                    }
                }
                d.deserialize_str(Text)
            }
        }
    )*};
}

ids! {
    /// A legal party in the exchange, for example `gd.guangzhou.port`.
    ParticipantId = "participant";
    /// A machine that runs `kouan`; one participant may run several.
    NodeId = "node";
    /// A person who acts for a participant.
    PersonId = "person";
    /// A dataset, independent of its versions.
    DatasetId = "dataset";
    /// A data standard (a JSON Schema with its reading rules), independent of its editions.
    StandardId = "standard";
    /// A statutory request for shared data (Decree 809, article 21).
    RequestId = "request";
    /// The agreed terms that bind one dataset and two participants.
    ContractId = "contract";
    /// A right under a contract.
    GrantId = "grant";
    /// One movement of a version to one consumer.
    TransferId = "transfer";
    /// A release: one permit, spent on one pinned artefact.
    ReleaseId = "release";
    /// Local work of one node.
    JobId = "job";
    /// A mapping of files to rows, within a dataset.
    MappingId = "mapping";
    /// A quality rule of a dataset.
    RuleId = "rule";
    /// What makes a retried command the same command.
    CommandId = "command";
    /// A series of rule packs, for example `export.cn`; packs in it are numbered.
    RulePackId = "rule-pack";
    /// A correction ticket.
    CorrectionId = "correction";
    /// An export instrument or evidence.
    InstrumentId = "instrument";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_has_one_safe_form() {
        for good in ["a", "gd.guangzhou.port", "r-2026-00042", "x_1"] {
            assert_eq!(DatasetId::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "A",
            ".a",
            "a.",
            "a..b",
            "a/b",
            "港口",
            "a b",
            &"x".repeat(97),
        ] {
            assert!(DatasetId::parse(bad).is_err(), "{bad}");
        }
    }
}
