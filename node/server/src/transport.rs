//! What this node shows and offers in TLS: certificates of up to two families, the roots that it
//! trusts, and a policy for each listener.
//!
//! It does not listen or connect; it makes what those who do need.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crypto::Digest;
use crypto::tls::{
    ClientAuth, ClientOptions, ClientTls, Family, Resumption, ServerOptions, ServerTls, Suites,
    TlsIdentity, TlsRoots,
};

use enforcement::Clock;
use schemas::Timestamp;
use tokio::sync::watch;

use crate::Error;
use crate::config::Config;
use crate::settings::read_text;

/// What members speak.
const H2: &[&[u8]] = &[b"h2"];

/// What people's programs speak too.
const WEB: &[&[u8]] = &[b"h2", b"http/1.1"];

/// The node's transport certificates, and what they are used for.
pub struct Transport {
    /// Shown to those who speak RFC 8998.
    shangmi: Option<TlsIdentity>,
    /// Shown to all others.
    standard: Option<TlsIdentity>,
    /// The authorities whose nodes are let in.
    roots: TlsRoots,
    /// What is offered to other nodes.
    peers: Suites,
    catalog: Suites,
    data: Suites,
    admin: Suites,
    operations: Suites,
}

impl Transport {
    /// Reads the certificates of a configuration whose paths start at `base`, and makes sure that
    /// every policy in it can be kept.
    ///
    /// # Errors
    /// [`Error::File`] naming a file that cannot be read or is of the other family, or the setting
    /// that needs one that is not named.
    pub(crate) fn resolve(base: &Path, config: &Config) -> Result<Self, Error> {
        let tls = &config.tls;
        let shangmi = identity(base, tls.shangmi.as_deref(), Family::ShangMi)?;
        let standard = identity(base, tls.standard.as_deref(), Family::Standard)?;
        let path = base.join(&tls.roots);
        let roots = TlsRoots::from_pem(&read_text("TLS roots", &path)?);
        let mut roots = roots.map_err(|error| unusable("TLS roots", path, error))?;
        if let Some(file) = &tls.revocations {
            let path = base.join(file);
            let lists = read_text("TLS revocation lists", &path)?;
            roots = roots
                .with_revocations(&lists)
                .map_err(|error| unusable("TLS revocation lists", path, error))?;
        }
        let transport = Self {
            shangmi,
            standard,
            roots,
            peers: tls.peers,
            catalog: config.catalog.suites,
            data: config.data_plane.suites,
            admin: config.admin.suites,
            operations: config.operations.suites,
        };
        for (setting, suites) in [
            ("tls.peers", transport.peers),
            ("catalog.suites", transport.catalog),
            ("data-plane.suites", transport.data),
            ("admin.suites", transport.admin),
            ("operations.suites", transport.operations),
        ] {
            transport.supports(base, setting, suites)?;
        }
        Ok(transport)
    }

    /// A policy needs a certificate of each family that it names.
    fn supports(&self, base: &Path, setting: &str, suites: Suites) -> Result<(), Error> {
        let (shangmi, standard) = match suites {
            Suites::ShangMiOnly => (true, false),
            Suites::ShangMiPreferred => (true, true),
            Suites::Standard => (false, true),
        };
        let missing = match (
            shangmi && self.shangmi.is_none(),
            standard && self.standard.is_none(),
        ) {
            (true, _) => "tls.shangmi, an SM2",
            (false, true) => "tls.standard, a P-256",
            (false, false) => return Ok(()),
        };
        Err(Error::File {
            what: "TLS settings of",
            path: base.to_owned(),
            why: format!(
                "{setting} = \"{suites}\" needs {missing} certificate; name its file, or write \
                 another policy"
            ),
        })
    }

    /// For Raft and forwarded writes: members only.
    pub(crate) fn catalog(&self) -> Result<ServerTls, Error> {
        self.listener(self.catalog, ClientAuth::Required(&self.roots), H2)
    }

    /// For transfers, where nodes show a certificate, and uploads, where persons do not.
    pub(crate) fn data(&self) -> Result<ServerTls, Error> {
        self.listener(self.data, ClientAuth::Optional(&self.roots), WEB)
    }

    /// For REST.
    pub(crate) fn admin(&self) -> Result<ServerTls, Error> {
        self.listener(self.admin, ClientAuth::None, WEB)
    }

    /// For health and metrics.
    pub(crate) fn operations(&self) -> Result<ServerTls, Error> {
        self.listener(self.operations, ClientAuth::None, WEB)
    }

    fn listener(
        &self,
        suites: Suites,
        client_auth: ClientAuth<'_>,
        alpn: &[&[u8]],
    ) -> Result<ServerTls, Error> {
        Ok(ServerTls::new(ServerOptions {
            suites,
            shangmi: self.shangmi.as_ref(),
            standard: self.standard.as_ref(),
            client_auth,
            resumption: Resumption::Never,
            alpn,
        })?)
    }

    /// For calling other nodes.
    ///
    /// # Errors
    /// [`Error::Crypto`] when certificate and key do not belong together.
    pub fn peers(&self) -> Result<ClientTls, Error> {
        Ok(ClientTls::new(ClientOptions {
            suites: self.peers,
            roots: &self.roots,
            shangmi: self.shangmi.as_ref(),
            standard: self.standard.as_ref(),
            resumption: Resumption::Never,
            alpn: H2,
        })?)
    }

    /// The certificates, by family.
    #[must_use]
    pub fn certificates(&self) -> Vec<Shown> {
        let identities = [&self.shangmi, &self.standard].into_iter().flatten();
        let shown = identities.map(|it| Shown {
            family: it.family(),
            key: it.spki_digest(),
            not_after: Timestamp::from_millis(it.not_after_ms()),
        });
        shown.collect()
    }
}

/// A certificate as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its family of TLS.
    pub family: Family,
    /// What it is called in the catalog: SM3 of the SubjectPublicKeyInfo.
    pub key: Digest,
    /// The last instant at which it is valid.
    pub not_after: Timestamp,
}

impl Shown {
    /// The smallest of 30, 7, 1 and 0 days before its end that has come; none before that.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Option<u32> {
        let left_ms = self.not_after.millis_since(now);
        [0, 1, 7, 30]
            .into_iter()
            .find(|days| left_ms <= i64::from(*days) * DAY_MS)
    }
}

/// A day in milliseconds.
const DAY_MS: i64 = 24 * 3_600 * 1_000;

/// How often certificates are looked at, in seconds.
const LOOK_SECONDS: u64 = 3_600;

/// Says in the log that a certificate ends soon: once at 30, at 7 and at 1 day, and every hour
/// once it has ended.
pub(crate) async fn watch(
    certificates: Vec<Shown>,
    clock: Arc<dyn Clock>,
    mut stop: watch::Receiver<bool>,
) {
    let mut beat = tokio::time::interval(std::time::Duration::from_secs(LOOK_SECONDS));
    let mut said: BTreeMap<Digest, u32> = BTreeMap::new();
    loop {
        tokio::select! {
            _ = beat.tick() => {}
            _ = stop.changed() => return,
        }
        for shown in &certificates {
            let Some(due) = shown.due(clock.now()) else {
                continue;
            };
            if due == 0 || said.insert(shown.key, due) != Some(due) {
                let (family, key, not_after) = (shown.family, shown.key, shown.not_after);
                tracing::warn!(
                    %family, %key, %not_after,
                    "a transport certificate ends in {due} days or less; kouan ca request begins \
                     a new one"
                );
            }
        }
    }
}

fn identity(
    base: &Path,
    file: Option<&Path>,
    family: Family,
) -> Result<Option<TlsIdentity>, Error> {
    let Some(file) = file else { return Ok(None) };
    let what = "TLS identity";
    let path = base.join(file);
    let identity = TlsIdentity::from_pem(&read_text(what, &path)?);
    let identity = identity.map_err(|error| unusable(what, path.clone(), error))?;
    if identity.family() == family {
        return Ok(Some(identity));
    }
    let why = match family {
        Family::ShangMi => "tls.shangmi needs a certificate with an SM2 key; this is another",
        Family::Standard => "tls.standard needs a certificate with a P-256 key; this is SM2",
    };
    Err(Error::File {
        what,
        path,
        why: why.to_owned(),
    })
}

fn unusable(what: &'static str, path: PathBuf, error: crypto::Error) -> Error {
    Error::File {
        what,
        path,
        why: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_certificate_is_told_at_thirty_seven_and_one_day() {
        let shown = Shown {
            family: Family::ShangMi,
            key: Digest::ZERO,
            not_after: Timestamp::from_millis(100 * DAY_MS),
        };
        for (days_left, due) in [
            (31, None),
            (30, Some(30)),
            (8, Some(30)),
            (7, Some(7)),
            (2, Some(7)),
            (1, Some(1)),
            (0, Some(0)),
            (-5, Some(0)),
        ] {
            let now = Timestamp::from_millis((100 - days_left) * DAY_MS);
            assert_eq!(shown.due(now), due, "{days_left} days left");
        }
    }
}
