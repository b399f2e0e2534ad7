//! Passwords, one-time code secrets and node-kept keys of persons who sign in at the console.
//!
//! It does not judge passwords or count failures: [`crate::sessions`] counts. The file is readable
//! by the node's user only; passwords are hashed, keys are encrypted under the password, and the
//! one-time code secrets are in clear, since the node has to compute the codes.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crypto::password::PasswordHash;
use crypto::totp::{SECRET_BYTES, enrolment_address, verify_one_time_code};
use crypto::{KeyFile, SecretKey, Signer, SoftwareKey, Zeroizing, random_bytes};
use schemas::{PersonId, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize as _;

use crate::Error;

/// Most accounts of one node.
pub const ACCOUNTS_MAX: usize = 4_096;

/// Largest account file in bytes: the most accounts with a kilobyte and a half each.
const FILE_BYTES_MAX: u64 = 6 << 20;

/// Shortest password in characters (GB/T 22239-2019, 8.1.4.1 asks for complexity; length carries
/// it better than rules on characters).
pub const PASSWORD_CHARS_MIN: usize = 12;

/// The accounts of one node.
#[derive(Default)]
pub struct Accounts {
    /// None keeps the accounts in memory only.
    path: Option<PathBuf>,
    known: Mutex<BTreeMap<PersonId, Account>>,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Account {
    password: String,
    /// Hexadecimal.
    code_secret: String,
    /// The last time step whose code was used: a code opens one session.
    code_step: u64,
    /// The person's signing key, encrypted under her password, when the node keeps it.
    key: Option<KeyFile>,
}

impl Drop for Account {
    fn drop(&mut self) {
        self.code_secret.zeroize();
    }
}

impl Accounts {
    /// Reads the accounts at `path`; a missing file holds none.
    ///
    /// # Errors
    /// [`Error::Accounts`] when the file cannot be read or is not one.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let refuse = |why: String| Error::Accounts {
            action: "read",
            why,
        };
        let known = match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(refuse(error.to_string())),
            Ok(found) if found.len() > FILE_BYTES_MAX => {
                return Err(refuse(format!("it has more than {FILE_BYTES_MAX} bytes")));
            }
            Ok(_) => {
                let text = std::fs::read(path).map_err(|error| refuse(error.to_string()))?;
                let text = Zeroizing::new(text);
                serde_json::from_slice(&text).map_err(|error| refuse(error.to_string()))?
            }
        };
        Ok(Self {
            path: Some(path.to_owned()),
            known: Mutex::new(known),
        })
    }

    /// Gives a person an account, or a new password and secret. Returns the `otpauth` address that
    /// her authenticator reads; it is shown once. `key` is kept encrypted under the password.
    ///
    /// # Errors
    /// [`Error::Accounts`] for a password below [`PASSWORD_CHARS_MIN`], when there are
    /// [`ACCOUNTS_MAX`] accounts, or when the file cannot be written; [`Error::Crypto`].
    pub fn enrol(
        &self,
        person: &PersonId,
        password: &str,
        key: Option<&SecretKey>,
        iterations: u32,
    ) -> Result<Zeroizing<String>, Error> {
        let refuse = |why: &str| Error::Accounts {
            action: "change",
            why: why.to_owned(),
        };
        if password.chars().count() < PASSWORD_CHARS_MIN {
            return Err(refuse("a password has at least 12 characters"));
        }
        let secret: [u8; SECRET_BYTES] = random_bytes()?;
        let account = Account {
            password: PasswordHash::hash_with(password.as_bytes(), iterations)?.to_string(),
            code_secret: hex::encode(secret),
            code_step: 0,
            key: key
                .map(|key| KeyFile::seal(key, password.as_bytes(), iterations))
                .transpose()?,
        };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= ACCOUNTS_MAX && !known.contains_key(person) {
            return Err(refuse("there is no room for another account on this node"));
        }
        let mut next = known.clone();
        next.insert(person.clone(), account);
        self.write(&next)?;
        *known = next;
        Ok(enrolment_address("kouan", person.as_str(), &secret))
    }

    /// Whether the person has an account here.
    #[must_use]
    pub fn contains(&self, person: &PersonId) -> bool {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(person)
    }

    /// Checks password and code. `Some` when both are right, with the kept key if there is one.
    /// Whoever has no account takes as long as whoever has: the hash is computed all the same.
    #[expect(
        clippy::option_option,
        reason = "the outer says yes or no, the inner what came along"
    )]
    pub(crate) fn open(
        &self,
        person: &PersonId,
        password: &[u8],
        code: &str,
        now: Timestamp,
    ) -> Option<Option<Arc<dyn Signer>>> {
        let account = {
            let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(person).cloned()
        };
        let Some(account) = account else {
            let _ = PasswordHash::hash(password);
            return None;
        };
        let right = account
            .password
            .parse::<PasswordHash>()
            .ok()?
            .verify(password)
            .is_ok();
        let secret = Zeroizing::new(hex::decode(&account.code_secret).ok()?);
        let seconds = u64::try_from(now.millis() / 1_000).ok()?;
        let step = verify_one_time_code(&secret, code, seconds).ok();
        let (true, Some(step)) = (right, step) else {
            return None;
        };
        self.spend(person, step)?;
        match &account.key {
            None => Some(None),
            Some(file) => {
                let key = SoftwareKey::new(file.open(password).ok()?);
                Some(Some(Arc::new(key)))
            }
        }
    }

    /// Marks a code as used, under the lock: of two sign-ins with one code, one works.
    fn spend(&self, person: &PersonId, step: u64) -> Option<()> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let account = known.get_mut(person)?;
        if step <= account.code_step {
            return None;
        }
        account.code_step = step;
        // A code that could be used again after a crash is worse than a sign-in that fails.
        self.write(&known).ok()
    }

    fn write(&self, accounts: &BTreeMap<PersonId, Account>) -> Result<(), Error> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let refuse = |why: String| Error::Accounts {
            action: "write",
            why,
        };
        let text = serde_json::to_vec(accounts).map_err(|error| refuse(error.to_string()))?;
        let text = Zeroizing::new(text);
        let beside = path.with_extension("new");
        let written = || -> std::io::Result<()> {
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&beside)?;
            file.write_all(&text)?;
            file.sync_all()?;
            std::fs::rename(&beside, path)?;
            match path.parent() {
                Some(parent) => std::fs::File::open(parent)?.sync_all(),
                None => Ok(()),
            }
        };
        written().map_err(|error| refuse(error.to_string()))
    }
}
