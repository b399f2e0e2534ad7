//! Signing in with the person's key or password, and keeping the session between commands.
//!
//! It does not keep keys, pass phrases or passwords.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crypto::{Digest, KeyFile, Label, SecretKey};
use schemas::decision::Principal;
use schemas::{PersonId, Timestamp};
use serde::Deserialize;
use serde_json::json;

use super::{Call, Client, Verb};
use crate::profile::Session;
use crate::{Error, files};

/// The node's answer to a sign-in.
#[derive(Deserialize)]
struct SignedIn {
    token: String,
    principal: Principal,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct Challenge {
    challenge: Digest,
}

/// How a person signs in without her key.
pub(crate) struct Password {
    /// File with the password; asked for when absent.
    pub(crate) file: Option<PathBuf>,
    /// One-time code; asked for when absent.
    pub(crate) code: Option<String>,
}

/// Time now, by this machine's clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl Client<'_> {
    /// For whom and with which roles the caller acts.
    pub(crate) fn principal(&mut self) -> Result<Principal, Error> {
        self.ensure_session()?;
        let session = self.session.as_ref();
        session
            .map(|it| it.principal.clone())
            .ok_or(Error::Missing { flag: "person" })
    }

    /// Whether the node signs what this person proposes.
    pub(crate) fn node_signs(&self) -> bool {
        self.session.as_ref().is_some_and(|it| it.node_signs)
    }

    pub(super) fn token(&self) -> String {
        self.session
            .as_ref()
            .map(|it| it.token.clone())
            .unwrap_or_default()
    }

    /// Takes the kept session or opens one; says whether it was a kept one.
    pub(super) fn ensure_session(&mut self) -> Result<bool, Error> {
        if self.session.is_some() {
            return Ok(true);
        }
        let person = self.settings.person()?;
        let kept = self.settings.store.session(&self.server, person.as_str())?;
        // Use renews a session beyond the end that is kept here; the node knows whether it holds,
        // and its no is answered by signing in again.
        if kept.is_some() {
            self.session = kept;
            return Ok(true);
        }
        self.sign_in()?;
        Ok(false)
    }

    /// Opens the session that ended again; a password is not asked for in the middle of a command.
    pub(super) fn sign_in_again(&mut self) -> Result<(), Error> {
        let node_signs = self.node_signs();
        self.session = None;
        if node_signs {
            let person = self.settings.person()?;
            self.settings.store.forget(&self.server, person.as_str())?;
        }
        self.sign_in()
    }

    /// Signs in with the person's own key.
    pub(crate) fn sign_in(&mut self) -> Result<(), Error> {
        let person = self.settings.person()?;
        self.open_key()?;
        let body = json!({ "person": person });
        let given: Challenge = self.ask("/sessions/challenge", &body)?;
        let key = self.key.as_ref().ok_or(Error::KeyNeeded)?;
        let signature = key.sign(Label::Challenge, given.challenge.as_bytes())?;
        let challenge = given.challenge;
        let body =
            json!({"key": {"person": person, "challenge": challenge, "signature": signature}});
        let signed_in: SignedIn = self.ask("/sessions", &body)?;
        self.keep(&person, signed_in, false)
    }

    /// Signs in with a password and a one-time code.
    pub(crate) fn sign_in_with_password(&mut self, by: &Password) -> Result<(), Error> {
        let person = self.settings.person()?;
        let password = match &by.file {
            Some(path) => files::read_secret(path)?,
            None => self.terminal.secret("ask-password", "password-file")?,
        };
        let code = match &by.code {
            Some(code) => crypto::Zeroizing::new(code.clone()),
            None => self.terminal.secret("ask-code", "code")?,
        };
        let body = json!({"password": {"person": person, "password": *password, "code": *code}});
        let signed_in: SignedIn = self.ask("/sessions", &body)?;
        self.keep(&person, signed_in, true)
    }

    fn ask<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        body: &serde_json::Value,
    ) -> Result<T, Error> {
        let call = Call {
            verb: Verb::Post,
            path: path.to_owned(),
            headers: Vec::new(),
            body: Some(body),
        };
        let answer = self.send(&self.server, &call, None)?;
        serde_json::from_value(answer).map_err(|e| Error::Answer {
            server: self.server.clone(),
            why: e.to_string(),
        })
    }

    fn keep(&mut self, person: &PersonId, it: SignedIn, node_signs: bool) -> Result<(), Error> {
        let session = Session {
            token: it.token,
            principal: it.principal,
            expires_at: it.expires_at,
            node_signs,
        };
        self.settings
            .store
            .keep(&self.server, person.as_str(), &session)?;
        self.session = Some(session);
        Ok(())
    }

    /// Ends the session here and at the node; without one there is nothing to do.
    pub(crate) fn sign_out(&self) -> Result<(), Error> {
        let person = self.settings.person()?;
        let Some(kept) = self.settings.store.session(&self.server, person.as_str())? else {
            return Ok(());
        };
        // The file goes first: a node that does not answer must not keep the token here.
        self.settings.store.forget(&self.server, person.as_str())?;
        let call = Call {
            verb: Verb::Delete,
            path: "/sessions".to_owned(),
            headers: Vec::new(),
            body: None,
        };
        match self.send(&self.server, &call, Some(&kept.token)) {
            Err(Error::Problem(problem)) if super::is_signed_out(&problem) => Ok(()),
            other => other.map(drop),
        }
    }

    /// The person's key, opened once a command.
    pub(super) fn open_key(&mut self) -> Result<&SecretKey, Error> {
        if self.key.is_none() {
            let path = self.settings.profile.key_file.as_deref();
            let path = path.ok_or(Error::Missing { flag: "key-file" })?;
            files::check_private(path)?;
            let file = KeyFile::read(path)?;
            let passphrase = match &self.settings.profile.passphrase_file {
                Some(path) => files::read_secret(path)?,
                None => self.terminal.secret("ask-passphrase", "passphrase-file")?,
            };
            self.key = Some(file.open(passphrase.as_bytes())?);
        }
        self.key.as_ref().ok_or(Error::KeyNeeded)
    }
}
