//! Passwords, one-time code secrets and node-kept keys of persons who sign in at the console.
//!
//! It does not judge passwords or count failures: [`crate::sessions`] counts. The file is readable
//! by the node's user only; passwords are hashed, keys are encrypted under the password, and the
//! one-time code secrets are in clear, since the node has to compute the codes.
//!
//! Two programs write the file, the node and `kouan account`. Each reads it again when it changed,
//! and writes under a lock beside it, so that neither undoes what the other did.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    known: Mutex<Known>,
}

/// What was read last, and of which file.
#[derive(Default)]
struct Known {
    accounts: BTreeMap<PersonId, Account>,
    /// None when there was no file.
    seen: Option<Seen>,
}

/// What tells one writing of the file from another: each is a new file under the old name.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    inode: u64,
    bytes: u64,
    seconds: i64,
    nanoseconds: i64,
}

impl Seen {
    fn of(found: &std::fs::Metadata) -> Self {
        Self {
            inode: found.ino(),
            bytes: found.len(),
            seconds: found.mtime(),
            nanoseconds: found.mtime_nsec(),
        }
    }
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
        Ok(Self {
            path: Some(path.to_owned()),
            known: Mutex::new(read(path)?),
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
        self.change(|accounts| {
            if accounts.len() >= ACCOUNTS_MAX && !accounts.contains_key(person) {
                return Err(refuse("there is no room for another account on this node"));
            }
            accounts.insert(person.clone(), account);
            Ok(true)
        })?;
        Ok(enrolment_address("kouan", person.as_str(), &secret))
    }

    /// Takes a person's account away; whether she had one.
    ///
    /// # Errors
    /// [`Error::Accounts`] when the file cannot be read or written.
    pub fn remove(&self, person: &PersonId) -> Result<bool, Error> {
        self.change(|accounts| Ok(accounts.remove(person).is_some()))
    }

    /// Who has an account here.
    ///
    /// # Errors
    /// [`Error::Accounts`] when the file cannot be read.
    pub fn persons(&self) -> Result<Vec<PersonId>, Error> {
        let mut known = self.known();
        self.refresh(&mut known)?;
        Ok(known.accounts.keys().cloned().collect())
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
        let Some(account) = self.current(person) else {
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

    /// The person's account as the file has it now. A file that cannot be read lets nobody in: what
    /// was read before it may be what somebody took away.
    fn current(&self, person: &PersonId) -> Option<Account> {
        let mut known = self.known();
        if let Err(error) = self.refresh(&mut known) {
            tracing::error!(%error, "nobody can sign in with a password");
            return None;
        }
        known.accounts.get(person).cloned()
    }

    /// Marks a code as used, under the lock: of two sign-ins with one code, one works. A code that
    /// could be used again after a crash is worse than a sign-in that fails.
    fn spend(&self, person: &PersonId, step: u64) -> Option<()> {
        let spent = self.change(|accounts| {
            let Some(account) = accounts.get_mut(person) else {
                return Ok(false);
            };
            let fresh = step > account.code_step;
            if fresh {
                account.code_step = step;
            }
            Ok(fresh)
        });
        match spent {
            Ok(fresh) => fresh.then_some(()),
            Err(error) => {
                tracing::error!(%error, "a one-time code could not be marked as used");
                None
            }
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the file again when it is not the one that was read last.
    fn refresh(&self, known: &mut Known) -> Result<(), Error> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let now = std::fs::metadata(path).ok().map(|found| Seen::of(&found));
        if now.is_none() || now != known.seen {
            *known = read(path)?;
        }
        Ok(())
    }

    /// Changes what the file has now, alone among the programs that write it, and says what
    /// `change` said: whether anything is to be written.
    fn change(
        &self,
        change: impl FnOnce(&mut BTreeMap<PersonId, Account>) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        let mut known = self.known();
        // Unlocked when it is closed, at the end of this function.
        let _alone = self.path.as_deref().map(lock).transpose()?;
        self.refresh(&mut known)?;
        let mut next = known.accounts.clone();
        if !change(&mut next)? {
            return Ok(false);
        }
        known.seen = self.write(&next)?;
        known.accounts = next;
        Ok(true)
    }

    fn write(&self, accounts: &BTreeMap<PersonId, Account>) -> Result<Option<Seen>, Error> {
        let Some(path) = &self.path else {
            return Ok(None);
        };
        let refuse = |why: String| Error::Accounts {
            action: "write",
            why,
        };
        let text = serde_json::to_vec(accounts).map_err(|error| refuse(error.to_string()))?;
        let text = Zeroizing::new(text);
        let beside = path.with_extension("new");
        let written = || -> std::io::Result<Seen> {
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&beside)?;
            file.write_all(&text)?;
            file.sync_all()?;
            let seen = Seen::of(&file.metadata()?);
            std::fs::rename(&beside, path)?;
            if let Some(parent) = path.parent().filter(|it| !it.as_os_str().is_empty()) {
                std::fs::File::open(parent)?.sync_all()?;
            }
            Ok(seen)
        };
        written()
            .map(Some)
            .map_err(|error| refuse(error.to_string()))
    }
}

/// Waits until no other program changes the accounts at `path`.
fn lock(path: &Path) -> Result<std::fs::File, Error> {
    let locked = || -> std::io::Result<std::fs::File> {
        let file = std::fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.with_extension("lock"))?;
        file.lock()?;
        Ok(file)
    };
    locked().map_err(|error| Error::Accounts {
        action: "lock",
        why: error.to_string(),
    })
}

/// What the file at `path` holds; a missing one holds nothing.
fn read(path: &Path) -> Result<Known, Error> {
    let refuse = |why: String| Error::Accounts {
        action: "read",
        why,
    };
    let mut file = match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Known::default()),
        Err(error) => return Err(refuse(error.to_string())),
        Ok(file) => file,
    };
    let found = file.metadata().map_err(|error| refuse(error.to_string()))?;
    if found.len() > FILE_BYTES_MAX {
        return Err(refuse(format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    let mut text = Zeroizing::new(Vec::new());
    file.read_to_end(&mut text)
        .map_err(|error| refuse(error.to_string()))?;
    Ok(Known {
        accounts: serde_json::from_slice(&text).map_err(|error| refuse(error.to_string()))?,
        seen: Some(Seen::of(&found)),
    })
}
