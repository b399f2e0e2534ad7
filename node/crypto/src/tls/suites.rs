//! Which cipher suites a listener or a client speaks.
//!
//! It does not mix: RFC 8998 section 3.3 binds an SM suite to the SM2 curve and to SM2
//! signatures, so one connection is entirely of one [`Family`], and a policy names families.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// The algorithms of one connection, all of them from one side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// RFC 8998: SM4-GCM or SM4-CCM with SM3, the SM2 curve, SM2 certificates.
    ShangMi,
    /// RFC 8446 as everybody speaks it: AES or ChaCha20, X25519 or P-256, P-256 certificates.
    Standard,
}

/// The setting of a listener, or of a client towards a peer.
///
/// | policy | a listener | a client |
/// |---|---|---|
/// | `shangmi-only` | serves nobody without RFC 8998 | takes no other answer |
/// | `shangmi-preferred` | takes RFC 8998 whenever it is offered | offers it alone, then standard |
/// | `standard` | does not know RFC 8998 | does not offer it |
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub enum Suites {
    /// Only [`Family::ShangMi`].
    #[serde(rename = "shangmi-only")]
    ShangMiOnly,
    /// [`Family::ShangMi`] where both sides can, [`Family::Standard`] otherwise. Between two
    /// nodes that prefer it, nobody on the line can force the second: see [`super::ClientTls`].
    #[serde(rename = "shangmi-preferred")]
    ShangMiPreferred,
    /// Only [`Family::Standard`].
    #[default]
    #[serde(rename = "standard")]
    Standard,
}

impl Suites {
    /// All policies, for tests and documentation.
    pub const ALL: [Self; 3] = [Self::ShangMiOnly, Self::ShangMiPreferred, Self::Standard];

    /// The policy as it stands in a configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ShangMiOnly => "shangmi-only",
            Self::ShangMiPreferred => "shangmi-preferred",
            Self::Standard => "standard",
        }
    }
}

impl fmt::Display for Suites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Suites {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.as_str() == text)
            .ok_or(Error::InvalidArgument {
                what: "TLS suites",
                reason: "one of shangmi-only, shangmi-preferred, standard",
            })
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ShangMi => "shangmi",
            Self::Standard => "standard",
        })
    }
}
