//! Why policy text cannot be put in force.

/// Which part of a policy set is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The casbin model.
    Model,
    /// The casbin policy lines.
    Roles,
    /// The TOML rules.
    Rules,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Model => "model.conf",
            Self::Roles => "roles.csv",
            Self::Rules => "rules.toml",
        })
    }
}

/// Why a policy set was not compiled. Nothing of such a set is used: the one in force stays.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A part is longer than it may be.
    #[error("{part} has {bytes} bytes, the limit is {limit}; shorten it")]
    TooLarge {
        /// Which part.
        part: Part,
        /// Its bytes.
        bytes: usize,
        /// The most it may have.
        limit: usize,
    },
    /// A part has more lines than it may.
    #[error("{part} has {lines} lines, the limit is {limit}; use groups (g lines) or `*`")]
    TooManyLines {
        /// Which part.
        part: Part,
        /// Its lines.
        lines: usize,
        /// The most it may have.
        limit: usize,
    },
    /// A line cannot be read or breaks a rule.
    #[error("{part} line {line}: {why}")]
    Line {
        /// Which part.
        part: Part,
        /// Counted from 1.
        line: usize,
        /// What is wrong and what to do.
        why: String,
    },
    /// Something that must be there is not.
    #[error("{part}: {why}")]
    Incomplete {
        /// Which part.
        part: Part,
        /// What is missing and what to do.
        why: String,
    },
    /// casbin reads the text otherwise than the index does. The text is of record, so neither
    /// reading may be used.
    #[error("casbin does not read {part} as the index does: {why}")]
    CasbinDiffers {
        /// Which part.
        part: Part,
        /// Where they differ.
        why: String,
    },
    /// A rule pack cannot be used.
    #[error("rule pack: {why}")]
    Pack {
        /// What is wrong and what to do.
        why: String,
    },
    /// The set has no canonical bytes and so no digest.
    #[error("the policy set has no digest: {why}")]
    Digest {
        /// What stands in the way.
        why: String,
    },
}

impl Error {
    /// A wrong line of `part`; `why` says what to do.
    pub(crate) fn line(part: Part, line: usize, why: impl Into<String>) -> Self {
        Self::Line {
            part,
            line,
            why: why.into(),
        }
    }

    /// A gap in `part`; `why` says what to do.
    pub(crate) fn incomplete(part: Part, why: impl Into<String>) -> Self {
        Self::Incomplete {
            part,
            why: why.into(),
        }
    }
}

/// Text of a foreign line as a message shows it: cut, so that a message cannot be made huge.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN_CHARS_MAX: usize = 60;
    text.chars().take(SHOWN_CHARS_MAX).collect()
}
