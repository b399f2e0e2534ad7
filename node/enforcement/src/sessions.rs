//! Signed-in persons: challenge and response, password and one-time code, tokens, lock-out.
//!
//! It does not keep anything on disk: a restart signs everybody out. Of a token only its SM3 is
//! kept, so that a memory dump opens no session.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use catalog::View;
use crypto::{Digest, Label, Signature, Signer, random_bytes};
use schemas::decision::Principal;
use schemas::participant::Person;
use schemas::{PersonId, Timestamp};

use crate::accounts::Accounts;
use crate::{Error, principal};

/// Life of a session in milliseconds, counted from its last use: 15 minutes (GB/T 22239-2019,
/// 8.1.4.1 asks for an end of idle sessions).
pub const SESSION_IDLE_MAX_MS: i64 = 15 * 60 * 1_000;
/// Life of a session however busy it is, in milliseconds: a working day.
pub const SESSION_LIFE_MAX_MS: i64 = 12 * 60 * 60 * 1_000;
/// Life of a challenge in milliseconds: long enough to reach for a token.
pub const CHALLENGE_LIFE_MS: i64 = 2 * 60 * 1_000;
/// Failures in a row after which a person is locked out (GB/T 22239-2019, 8.1.4.1).
pub const FAILED_SIGN_INS_MAX: u32 = 5;
/// How long a lock-out lasts, in milliseconds.
pub const LOCK_OUT_MS: i64 = 15 * 60 * 1_000;
/// Most sessions at one time on one node; a port has hundreds of users, not thousands.
pub const SESSIONS_MAX: usize = 4_096;
/// Most sessions of one person; the oldest gives way.
pub const SESSIONS_PER_PERSON_MAX: usize = 8;
/// Most challenges that wait for an answer. Anybody can ask for one.
pub const CHALLENGES_MAX: usize = 4_096;
/// Most challenges of one person that wait; the oldest gives way.
pub const CHALLENGES_PER_PERSON_MAX: usize = 8;
/// Most persons whose failures are counted. Only persons of the catalog are.
const FAILURES_MAX: usize = 65_536;

/// What a person signs to sign in: 32 random bytes, good for one answer.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Challenge {
    /// The bytes, as 64 hexadecimal digits.
    pub challenge: Digest,
    /// First instant at which it is no longer accepted.
    pub expires_at: Timestamp,
}

impl Challenge {
    /// The 32 bytes that are signed under [`Label::Challenge`].
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.challenge.as_bytes()
    }
}

/// A signed-in person. The token is shown once.
pub struct Session {
    /// 64 hexadecimal digits; whoever has it is the person until it expires.
    pub token: String,
    /// Who it stands for.
    pub principal: Principal,
    /// When it ends unless it is used.
    pub expires_at: Timestamp,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("principal", &self.principal)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SignInError {
    /// Unknown person, wrong key, wrong password, wrong code, spent challenge: one answer for all,
    /// so that a stranger learns nothing.
    #[error("the sign-in was not accepted")]
    NotAccepted,
    /// Too many failures.
    #[error("too many failed sign-ins; try again after {until}")]
    LockedOut {
        /// When it ends.
        until: Timestamp,
        /// How long that is from now, in milliseconds.
        wait_ms: i64,
    },
    /// The token is unknown or its session ended.
    #[error("the session has ended; sign in again")]
    SessionEnded,
    /// Too many sessions or challenges at one time.
    #[error("too many sign-ins at one time; try again in a minute")]
    Busy,
    /// The node could not do its part.
    #[error("sign in")]
    Failed(#[from] Error),
}

/// The sign-ins of one node.
#[derive(Default)]
pub struct Sessions {
    kept: Mutex<Kept>,
    accounts: Accounts,
}

#[derive(Default)]
struct Kept {
    /// By SM3 of the token.
    sessions: BTreeMap<Digest, Open>,
    /// By the challenge's bytes, with the person it was made for.
    challenges: BTreeMap<Digest, (PersonId, Timestamp)>,
    /// In the order in which they were made, to let the oldest go.
    order: VecDeque<Digest>,
    failures: BTreeMap<PersonId, Failures>,
}

struct Open {
    principal: Principal,
    begun: Timestamp,
    expires_at: Timestamp,
    /// The key that the node keeps for this person, while she is signed in with her password.
    signer: Option<Arc<dyn Signer>>,
}

struct Failures {
    count: u32,
    last: Timestamp,
}

impl Sessions {
    /// Nobody is signed in, and nobody has a password.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// As [`Self::new`], with the passwords and one-time code secrets of `accounts`.
    #[must_use]
    pub fn with_accounts(accounts: Accounts) -> Self {
        Self {
            kept: Mutex::default(),
            accounts,
        }
    }

    /// A challenge for `person`, whether or not she exists: a stranger cannot tell.
    ///
    /// # Errors
    /// [`SignInError::LockedOut`], [`SignInError::Busy`], [`SignInError::Failed`] without random
    /// bytes.
    pub fn challenge(&self, person: &PersonId, now: Timestamp) -> Result<Challenge, SignInError> {
        let challenge = Digest::from_bytes(random_bytes().map_err(Error::from)?);
        let expires_at = now.plus_millis(CHALLENGE_LIFE_MS);
        let mut kept = self.kept();
        kept.check_locked(person, now)?;
        kept.drop_old_challenges(now);
        let same: Vec<Digest> = kept
            .order
            .iter()
            .filter(|it| {
                kept.challenges
                    .get(it)
                    .is_some_and(|(whose, _)| whose == person)
            })
            .copied()
            .collect();
        if let (true, Some(oldest)) = (same.len() >= CHALLENGES_PER_PERSON_MAX, same.first()) {
            kept.challenges.remove(oldest);
            kept.order.retain(|it| it != oldest);
        }
        if kept.challenges.len() >= CHALLENGES_MAX {
            return Err(SignInError::Busy);
        }
        kept.challenges
            .insert(challenge, (person.clone(), expires_at));
        kept.order.push_back(challenge);
        Ok(Challenge {
            challenge,
            expires_at,
        })
    }

    /// Signs a person in who answered a challenge with the key that the catalog has for her:
    /// `signature` is under [`Label::Challenge`] over the challenge's 32 bytes.
    ///
    /// # Errors
    /// [`SignInError::NotAccepted`], [`SignInError::LockedOut`], [`SignInError::Busy`].
    pub fn sign_in(
        &self,
        view: &View,
        person: &PersonId,
        challenge: &Digest,
        signature: &Signature,
        now: Timestamp,
    ) -> Result<Session, SignInError> {
        self.kept().check_locked(person, now)?;
        // The challenge is spent whatever the answer is worth.
        let spent = self.kept().spend(challenge, person, now);
        let record = valid_person(view, person, now);
        let accepted = spent
            && record.is_some_and(|it| {
                it.signing
                    .verify(Label::Challenge, challenge.as_bytes(), signature)
                    .is_ok()
            });
        if !accepted {
            return Err(self.failed(view, person, now));
        }
        self.open(view, person, None, now)
    }

    /// Signs a person in with her password and the code of her authenticator. Takes about a third
    /// of a second of computing: call it where blocking is allowed.
    ///
    /// # Errors
    /// As [`Self::sign_in`].
    pub fn sign_in_with_password(
        &self,
        view: &View,
        person: &PersonId,
        password: &[u8],
        code: &str,
        now: Timestamp,
    ) -> Result<Session, SignInError> {
        self.kept().check_locked(person, now)?;
        let opened = self.accounts.open(person, password, code, now);
        match (opened, valid_person(view, person, now)) {
            (Some(signer), Some(record)) => {
                // A key that the catalog does not have for her (any more) signs nothing.
                let signer = signer.filter(|it| *it.public() == record.signing);
                self.open(view, person, signer, now)
            }
            _ => Err(self.failed(view, person, now)),
        }
    }

    /// Who a token stands for. Using it renews the session.
    ///
    /// # Errors
    /// [`SignInError::SessionEnded`].
    pub fn principal(&self, token: &str, now: Timestamp) -> Result<Principal, SignInError> {
        let mut kept = self.kept();
        let open = kept.live(token, now)?;
        let latest = open.begun.plus_millis(SESSION_LIFE_MAX_MS);
        open.expires_at = now.plus_millis(SESSION_IDLE_MAX_MS).min(latest);
        Ok(open.principal.clone())
    }

    /// When a token's session ends unless it is used.
    ///
    /// # Errors
    /// [`SignInError::SessionEnded`].
    pub fn expires_at(&self, token: &str, now: Timestamp) -> Result<Timestamp, SignInError> {
        Ok(self.kept().live(token, now)?.expires_at)
    }

    /// The key that the node keeps for the signed-in person, for commands that she gives at the
    /// console; none for a person who holds her key herself.
    ///
    /// # Errors
    /// [`SignInError::SessionEnded`].
    pub fn signer(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<Option<Arc<dyn Signer>>, SignInError> {
        Ok(self.kept().live(token, now)?.signer.clone())
    }

    /// Signs out. An unknown token is no mistake.
    pub fn sign_out(&self, token: &str) {
        self.kept().sessions.remove(&token_digest(token));
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(
        &self,
        view: &View,
        person: &PersonId,
        signer: Option<Arc<dyn Signer>>,
        now: Timestamp,
    ) -> Result<Session, SignInError> {
        let principal = principal::of_person(view, person)?;
        let bytes: [u8; 32] = random_bytes().map_err(Error::from)?;
        let token = hex::encode(bytes);
        let expires_at = now.plus_millis(SESSION_IDLE_MAX_MS);
        let mut kept = self.kept();
        kept.failures.remove(person);
        kept.make_room(person, now)?;
        let open = Open {
            principal: principal.clone(),
            begun: now,
            expires_at,
            signer,
        };
        kept.sessions.insert(token_digest(&token), open);
        Ok(Session {
            token,
            principal,
            expires_at,
        })
    }

    /// Counts a failure of a person of the catalog; others are not worth memory.
    fn failed(&self, view: &View, person: &PersonId, now: Timestamp) -> SignInError {
        if view.person(person).is_none() {
            return SignInError::NotAccepted;
        }
        let mut kept = self.kept();
        if kept.failures.len() >= FAILURES_MAX && !kept.failures.contains_key(person) {
            kept.failures
                .retain(|_, it| now.millis_since(it.last) < LOCK_OUT_MS);
        }
        let failures = kept.failures.entry(person.clone()).or_insert(Failures {
            count: 0,
            last: now,
        });
        if now.millis_since(failures.last) >= LOCK_OUT_MS {
            failures.count = 0;
        }
        failures.count = failures.count.saturating_add(1);
        failures.last = now;
        match kept.check_locked(person, now) {
            Err(locked) => locked,
            Ok(()) => SignInError::NotAccepted,
        }
    }
}

impl Kept {
    fn check_locked(&self, person: &PersonId, now: Timestamp) -> Result<(), SignInError> {
        let Some(failures) = self.failures.get(person) else {
            return Ok(());
        };
        let until = failures.last.plus_millis(LOCK_OUT_MS);
        if failures.count >= FAILED_SIGN_INS_MAX && now < until {
            let wait_ms = until.millis_since(now);
            return Err(SignInError::LockedOut { until, wait_ms });
        }
        Ok(())
    }

    fn drop_old_challenges(&mut self, now: Timestamp) {
        while let Some(first) = self.order.front() {
            if self
                .challenges
                .get(first)
                .is_some_and(|(_, expires_at)| now < *expires_at)
            {
                return;
            }
            self.challenges.remove(first);
            self.order.pop_front();
        }
    }

    /// Takes the challenge out; whether it was this person's and still good.
    fn spend(&mut self, challenge: &Digest, person: &PersonId, now: Timestamp) -> bool {
        self.challenges
            .remove(challenge)
            .is_some_and(|(whose, expires_at)| whose == *person && now < expires_at)
    }

    fn make_room(&mut self, person: &PersonId, now: Timestamp) -> Result<(), SignInError> {
        self.sessions.retain(|_, open| now < open.expires_at);
        let own = |open: &Open| open.principal.person.as_ref() == Some(person);
        if self.sessions.values().filter(|open| own(open)).count() >= SESSIONS_PER_PERSON_MAX {
            let oldest = self
                .sessions
                .iter()
                .filter(|(_, open)| own(open))
                .min_by_key(|(_, open)| open.begun)
                .map(|(digest, _)| *digest);
            if let Some(oldest) = oldest {
                self.sessions.remove(&oldest);
            }
        }
        if self.sessions.len() >= SESSIONS_MAX {
            Err(SignInError::Busy)
        } else {
            Ok(())
        }
    }

    fn live(&mut self, token: &str, now: Timestamp) -> Result<&mut Open, SignInError> {
        let digest = token_digest(token);
        if self
            .sessions
            .get(&digest)
            .is_some_and(|open| now >= open.expires_at)
        {
            self.sessions.remove(&digest);
        }
        self.sessions
            .get_mut(&digest)
            .ok_or(SignInError::SessionEnded)
    }
}

/// The person's record while she may act.
fn valid_person<'a>(view: &'a View, person: &PersonId, now: Timestamp) -> Option<&'a Person> {
    let record: &Person = view.person(person)?;
    (record.not_before <= now && now < record.not_after).then_some(record)
}

/// Looking tokens up by their digest also makes the comparison's timing worthless.
fn token_digest(token: &str) -> Digest {
    Digest::of(token.as_bytes())
}
