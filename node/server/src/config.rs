//! The one configuration file of a node, as it is written.
//!
//! It does not open anything: [`crate::Settings`] turns what was written into what is true. There
//! are no environment overrides, and secrets are paths, never values.

use std::path::{Path, PathBuf};

use crypto::keys::sdf::SdfOptions;
use crypto::tls::Suites;
use serde::{Deserialize, Deserializer, Serialize};

use crate::Error;

/// Largest configuration file in bytes; a real one has two thousand.
pub const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// The whole file. Sections are named after the crates that they configure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which node this is.
    pub node: NodeSection,
    /// For whom it acts: one entry for each hosted participant.
    pub participants: Vec<ParticipantSection>,
    /// Transport identity and the roots that it trusts.
    pub tls: TlsSection,
    /// The replicated catalog.
    #[serde(default)]
    pub catalog: CatalogSection,
    /// Everything that touches rows.
    #[serde(rename = "data-plane", default)]
    pub data_plane: DataPlaneSection,
    /// REST for people and programs.
    #[serde(default)]
    pub admin: AdminSection,
    /// Liveness, readiness and metrics.
    #[serde(default)]
    pub operations: OperationsSection,
    /// The access ledgers.
    #[serde(default)]
    pub ledger: LedgerSection,
    /// New nodes; absent on nodes without the federation's authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolment: Option<EnrolmentSection>,
}

/// Which node this is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSection {
    /// Identifier in the federation.
    pub id: String,
    /// Directory of all its state; relative paths below start here.
    pub dir: PathBuf,
    /// Key file of the node's signing key.
    pub signing_key: PathBuf,
    /// File with the passphrase of the key files (mode 0600).
    pub passphrase_file: PathBuf,
    /// Log filter, for example `info` or `info,openraft=warn`.
    #[serde(default = "default_log")]
    pub log: String,
}

pub(crate) fn default_log() -> String {
    "info,openraft=warn,sled=warn,h2=warn,hyper=warn,buoyant_kernel=off".to_owned()
}

/// One hosted participant. Its keys are in two files, or both in a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParticipantSection {
    /// Identifier in the federation.
    pub id: String,
    /// Key file that signs receipts, versions and checkpoints.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signing_key: Option<PathBuf>,
    /// Key file that others seal to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_key: Option<PathBuf>,
    /// Which life of its ledger is current.
    #[serde(default = "one")]
    pub ledger_incarnation: u32,
    /// The device of GM/T 0018 that has both keys, instead of the files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<SdfOptions>,
}

fn one() -> u32 {
    1
}

/// Transport identity.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSection {
    /// PEM file: chain and key (mode 0600) of an SM2 certificate, shown to those who speak
    /// RFC 8998.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shangmi: Option<PathBuf>,
    /// PEM file: chain and key (mode 0600) of a P-256 certificate, shown to all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standard: Option<PathBuf>,
    /// PEM file: certificates of the authorities whose nodes are let in, of both families.
    pub roots: PathBuf,
    /// PEM file: revocation lists of those authorities. With one list there must be one of each
    /// authority that certifies, and none may be overdue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocations: Option<PathBuf>,
    /// What this node offers when it calls another node.
    #[serde(default = "shangmi_only")]
    pub peers: Suites,
}

fn shangmi_only() -> Suites {
    Suites::ShangMiOnly
}

/// The replicated catalog.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CatalogSection {
    /// Listener of Raft and forwarded writes: mutual TLS, members only.
    pub listen: String,
    /// What TLS it speaks.
    pub suites: Suites,
    /// This node's number in Raft, from 1.
    pub raft_number: u64,
    /// Time between heartbeats of the leader.
    pub heartbeat: Span,
    /// Shortest time without heartbeats before an election.
    pub election: Span,
    /// How often the leader moves the federation's time.
    pub tick: Span,
}

impl Default for CatalogSection {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7401".to_owned(),
            suites: Suites::ShangMiOnly,
            raft_number: 1,
            heartbeat: Span(200),
            election: Span(1_000),
            tick: Span(1_000),
        }
    }
}

/// Everything that touches rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DataPlaneSection {
    /// Listener of transfers between nodes (client certificate) and of uploads (bearer token).
    pub listen: String,
    /// What TLS it speaks. People's programs upload here, so it usually takes both families; what
    /// nodes speak among them is up to the one that calls.
    pub suites: Suites,
}

impl Default for DataPlaneSection {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7402".to_owned(),
            suites: Suites::ShangMiPreferred,
        }
    }
}

/// REST for people and programs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdminSection {
    /// Listener of the REST interface.
    pub listen: String,
    /// What TLS it speaks.
    pub suites: Suites,
}

impl Default for AdminSection {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7403".to_owned(),
            suites: Suites::ShangMiPreferred,
        }
    }
}

/// Liveness, readiness and metrics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OperationsSection {
    /// Listener of `/livez`, `/readyz` and `/metrics`.
    pub listen: String,
    /// What TLS it speaks.
    pub suites: Suites,
}

impl Default for OperationsSection {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7404".to_owned(),
            suites: Suites::ShangMiPreferred,
        }
    }
}

/// The access ledgers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LedgerSection {
    /// How often a checkpoint is signed and published when entries were added.
    pub checkpoint_every: Span,
}

impl Default for LedgerSection {
    fn default() -> Self {
        Self {
            checkpoint_every: Span(10_000),
        }
    }
}

/// New nodes of the federation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolmentSection {
    /// Directory of the transport authorities with their keys, as `kouan init` or `kouan ca init`
    /// made it.
    pub authority: PathBuf,
}

/// A span of time, written with its unit: `200ms`, `10s`, `5min`, `1h`. Held in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub u64);

impl Span {
    /// Parses a number and its unit.
    ///
    /// # Errors
    /// A sentence that names the units.
    pub fn parse(text: &str) -> Result<Self, String> {
        let split = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let refuse =
            || format!("{text:?} is not a span of time above 0; write 200ms, 10s, 5min or 1h");
        let number: u64 = text[..split].parse().map_err(|_| refuse())?;
        let unit = match &text[split..] {
            "ms" => 1,
            "s" => 1_000,
            "min" => 60_000,
            "h" => 3_600_000,
            _ => return Err(refuse()),
        };
        number
            .checked_mul(unit)
            .filter(|millis| *millis > 0)
            .map(Self)
            .ok_or_else(refuse)
    }

    /// As the standard library's type.
    #[must_use]
    pub fn duration(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0)
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            ms if ms % 1_000 == 0 => write!(f, "{}s", ms / 1_000),
            ms => write!(f, "{ms}ms"),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// [`Error::Config`] naming the file and what in it is wrong.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let wrong = |why: String| Error::Config {
            path: path.to_owned(),
            why,
        };
        let length = std::fs::metadata(path)
            .map_err(|e| wrong(format!("open: {e}")))?
            .len();
        if length > CONFIG_BYTES_MAX {
            return Err(wrong(format!(
                "{length} bytes, the limit is {CONFIG_BYTES_MAX}"
            )));
        }
        let text = std::fs::read_to_string(path).map_err(|e| wrong(format!("read: {e}")))?;
        Self::parse(&text).map_err(|why| wrong(why.to_string()))
    }

    /// The node's directory, for the configuration file at `path`.
    #[must_use]
    pub fn directory(&self, path: &Path) -> PathBuf {
        let base = path.parent().unwrap_or_else(|| Path::new("."));
        base.join(&self.node.dir)
    }

    /// Parses the text of a configuration file.
    ///
    /// # Errors
    /// The parser's sentence with line and column.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        toml::from_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_with_their_unit() {
        for (text, millis) in [
            ("200ms", 200),
            ("10s", 10_000),
            ("5min", 300_000),
            ("1h", 3_600_000),
        ] {
            assert_eq!(Span::parse(text), Ok(Span(millis)));
        }
        for bad in ["", "10", "s", "0s", "-1s", "10 s", "99999999999999999999h"] {
            assert!(Span::parse(bad).is_err(), "{bad}");
        }
    }
}
