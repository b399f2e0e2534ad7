//! Profiles and sessions on disk, and the settings that flags, environment and profile add up to.
//!
//! It does not hold secrets other than session tokens, which end by themselves; both files have
//! mode 0600 and are not read when others could.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crypto::Digest;
use schemas::decision::Principal;
use schemas::{PersonId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::cli::Global;
use crate::files;

/// Longest wait for one answer when nothing else is said.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest wait for a job when nothing else is said: the largest file that we measured is
/// published in minutes.
const JOB_TIMEOUT: Duration = Duration::from_secs(3_600);

/// What TLS is offered to a node. There is no "either": whoever sits on the line could choose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Offer {
    /// RFC 8998: SM2, SM3 and SM4.
    #[default]
    #[value(name = "shangmi-only")]
    #[serde(rename = "shangmi-only")]
    ShangMiOnly,
    /// P-256, and AES or ChaCha20; for nodes that do not speak RFC 8998.
    Standard,
}

/// What a profile remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// The node's REST listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server: Option<String>,
    /// The node's data listener.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) data_server: Option<String>,
    /// Certificates that may vouch for the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) roots: Option<PathBuf>,
    /// What TLS is offered to the node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) suites: Option<Offer>,
    /// Who.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) person: Option<String>,
    /// Her key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_file: Option<PathBuf>,
    /// Her pass phrase.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) passphrase_file: Option<PathBuf>,
}

impl Profile {
    /// What the flags and the environment say, with whole paths: a profile is used from any
    /// folder.
    pub(crate) fn of(global: &Global) -> Self {
        let whole = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        Self {
            server: global.server.clone(),
            data_server: global.data_server.clone(),
            roots: global.roots.as_ref().map(whole),
            suites: global.suites,
            person: global.person.clone(),
            key_file: global.key_file.as_ref().map(whole),
            passphrase_file: global.passphrase_file.as_ref().map(whole),
        }
    }

    /// This profile, and from `other` what it does not say.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            server: self.server.or(other.server),
            data_server: self.data_server.or(other.data_server),
            roots: self.roots.or(other.roots),
            suites: self.suites.or(other.suites),
            person: self.person.or(other.person),
            key_file: self.key_file.or(other.key_file),
            passphrase_file: self.passphrase_file.or(other.passphrase_file),
        }
    }
}

/// The profiles file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profiles {
    /// The one in use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) current: Option<String>,
    /// All of them.
    #[serde(default)]
    pub(crate) profiles: BTreeMap<String, Profile>,
}

/// A session as it is kept between two commands.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Session {
    /// Bearer token.
    pub(crate) token: String,
    /// For whom and with which roles it acts.
    pub(crate) principal: Principal,
    /// When it ends unless it is used.
    pub(crate) expires_at: Timestamp,
    /// Whether the node signs for the person, because she signed in with her password.
    pub(crate) node_signs: bool,
}

/// The folder of profiles and sessions.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    dir: PathBuf,
}

impl Store {
    /// The folder that the settings name, else `$XDG_CONFIG_HOME/kouan`, else `~/.config/kouan`.
    pub(crate) fn new(global: &Global) -> Result<Self, Error> {
        let set = |name| {
            std::env::var_os(name)
                .filter(|it| !it.is_empty())
                .map(PathBuf::from)
        };
        let dir = global
            .config_dir
            .clone()
            .or_else(|| set("XDG_CONFIG_HOME").map(|it| it.join("kouan")))
            .or_else(|| set("HOME").map(|it| it.join(".config").join("kouan")))
            .ok_or(Error::Missing { flag: "config-dir" })?;
        Ok(Self { dir })
    }

    fn profiles_path(&self) -> PathBuf {
        self.dir.join("profiles.toml")
    }

    /// The profiles; none when there is no file.
    pub(crate) fn profiles(&self) -> Result<Profiles, Error> {
        let path = self.profiles_path();
        if !path.exists() {
            return Ok(Profiles::default());
        }
        files::check_private(&path)?;
        toml::from_str(&files::read_text(&path)?).map_err(|e| Error::input(path.display(), e))
    }

    /// Writes the profiles.
    pub(crate) fn write_profiles(&self, profiles: &Profiles) -> Result<(), Error> {
        let path = self.profiles_path();
        let text = toml::to_string_pretty(profiles).map_err(|e| Error::input("profiles", e))?;
        files::replace_private(&path, text.as_bytes())
    }

    /// One session per node and person, whatever the profile is called.
    fn session_path(&self, server: &str, person: &str) -> PathBuf {
        let name = Digest::of(format!("{server}\n{person}").as_bytes()).to_string();
        self.dir.join(format!("session-{}.json", &name[..16]))
    }

    /// The session of `person` at `server`, when one is kept; a damaged file is none.
    pub(crate) fn session(&self, server: &str, person: &str) -> Result<Option<Session>, Error> {
        let path = self.session_path(server, person);
        if !path.exists() {
            return Ok(None);
        }
        files::check_private(&path)?;
        Ok(files::read_record(&path).ok())
    }

    /// Keeps a session.
    pub(crate) fn keep(&self, server: &str, person: &str, it: &Session) -> Result<(), Error> {
        let path = self.session_path(server, person);
        let bytes = serde_json::to_vec(it).map_err(|e| Error::input("session", e))?;
        files::replace_private(&path, &bytes)
    }

    /// Forgets a session.
    pub(crate) fn forget(&self, server: &str, person: &str) -> Result<(), Error> {
        let path = self.session_path(server, person);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::file("remove", path, e))
            }
            _ => Ok(()),
        }
    }
}

/// What a command works with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Flag, else environment, else profile.
    pub(crate) profile: Profile,
    /// Where profiles and sessions are.
    pub(crate) store: Store,
    /// Longest wait for one answer.
    pub(crate) answer_timeout: Duration,
    /// Longest wait for a job.
    pub(crate) job_timeout: Duration,
}

impl Settings {
    /// Adds up flags, environment and profile.
    pub(crate) fn resolve(global: &Global) -> Result<Self, Error> {
        let store = Store::new(global)?;
        let mut profiles = store.profiles()?;
        let named = global.profile.clone().or_else(|| profiles.current.clone());
        let kept = named
            .as_ref()
            .and_then(|name| profiles.profiles.remove(name));
        if let (Some(name), None) = (&global.profile, &kept) {
            let why = format!("there is no such profile; kouanctl login --profile {name} makes it");
            return Err(Error::input(name, why));
        }
        Ok(Self::new(
            Profile::of(global).or(kept.unwrap_or_default()),
            store,
            global,
        ))
    }

    /// As [`Settings::resolve`], for a profile that is being made.
    pub(crate) fn new(profile: Profile, store: Store, global: &Global) -> Self {
        let given = global.timeout.map(Duration::from_secs);
        Self {
            profile,
            store,
            answer_timeout: given.unwrap_or(ANSWER_TIMEOUT),
            job_timeout: given.unwrap_or(JOB_TIMEOUT),
        }
    }

    /// The REST listener as `https://host:port`.
    pub(crate) fn server(&self) -> Result<String, Error> {
        let text = self
            .profile
            .server
            .as_deref()
            .ok_or(Error::Missing { flag: "server" })?;
        base_url(text)
    }

    /// Certificates that may vouch for the node.
    pub(crate) fn roots(&self) -> Result<&Path, Error> {
        self.profile
            .roots
            .as_deref()
            .ok_or(Error::Missing { flag: "roots" })
    }

    /// Who.
    pub(crate) fn person(&self) -> Result<PersonId, Error> {
        let text = self
            .profile
            .person
            .clone()
            .ok_or(Error::Missing { flag: "person" })?;
        Ok(PersonId::parse(text)?)
    }
}

/// `host:port` or an https URL without a path, as `https://host:port`.
pub(crate) fn base_url(text: &str) -> Result<String, Error> {
    let rest = text
        .strip_prefix("https://")
        .unwrap_or(text)
        .trim_end_matches('/');
    let refused =
        rest.is_empty() || rest.contains("://") || rest.contains(['/', '?', '#', '@', ' ']);
    if refused {
        return Err(Error::input(text, "write host:port or https://host:port"));
    }
    Ok(format!("https://{rest}"))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn store(dir: &Path) -> Store {
        Store {
            dir: dir.join("kouan"),
        }
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn profiles_are_written_for_their_owner_only_and_not_read_otherwise() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        assert_eq!(store.profiles().unwrap(), Profiles::default());
        let profile = Profile {
            server: Some("gz-1:7403".to_owned()),
            ..Profile::default()
        };
        let profiles = Profiles {
            current: Some("gz".to_owned()),
            profiles: BTreeMap::from([("gz".to_owned(), profile)]),
        };
        store.write_profiles(&profiles).unwrap();
        assert_eq!(store.profiles().unwrap(), profiles);
        let path = store.profiles_path();
        assert_eq!((mode(&path), mode(&store.dir)), (0o600, 0o700));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(store.profiles(), Err(Error::OpenToOthers { .. })));
    }

    #[test]
    fn a_session_is_kept_for_its_owner_only_by_node_and_person() {
        let dir = tempfile::tempdir().unwrap();
        let store = store(dir.path());
        let session: Session = serde_json::from_value(serde_json::json!({
            "token": "t", "expires_at": "2026-11-24T08:00:00.000Z", "node_signs": false,
            "principal": {"participant": "gd", "kind": "STATE_ORGAN", "jurisdiction": "CN",
                "person": "gd.a", "node": null, "roles": ["auditor"]}
        }))
        .unwrap();
        store.keep("https://a:1", "gd.a", &session).unwrap();
        assert!(store.session("https://a:1", "gd.a").unwrap() == Some(session));
        assert!(store.session("https://a:2", "gd.a").unwrap().is_none());
        assert_eq!(mode(&store.session_path("https://a:1", "gd.a")), 0o600);
        store.forget("https://a:1", "gd.a").unwrap();
        store.forget("https://a:1", "gd.a").unwrap();
        assert!(store.session("https://a:1", "gd.a").unwrap().is_none());
    }

    #[test]
    fn a_flag_goes_before_the_profile() {
        let flags = Profile {
            person: Some("b".to_owned()),
            ..Profile::default()
        };
        let kept = Profile {
            person: Some("a".to_owned()),
            server: Some("s:1".to_owned()),
            ..Profile::default()
        };
        let both = flags.or(kept);
        assert_eq!(
            (both.person.as_deref(), both.server.as_deref()),
            (Some("b"), Some("s:1"))
        );
    }

    #[test]
    fn a_server_is_reached_by_https_only() {
        for good in ["gz-1:7403", "https://gz-1:7403", "https://gz-1:7403/"] {
            assert_eq!(base_url(good).unwrap(), "https://gz-1:7403");
        }
        for bad in ["", "http://gz-1:7403", "gz-1/api", "a@b", "https://"] {
            assert_eq!(base_url(bad).unwrap_err().exit_code(), 2, "{bad}");
        }
    }
}
