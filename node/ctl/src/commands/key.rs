//! `key`: a person makes her own key.
//!
//! It does not need a node, and the secret part is nowhere but in the file that it writes.

use crypto::keys::KEY_FILE_ITERATIONS_DEFAULT;
use crypto::{KeyFile, SecretKey, Zeroizing};
use schemas::PersonId;
use serde_json::json;

use crate::cli::Global;
use crate::cli::key::{Key, New};
use crate::output::{Column, Terminal};
use crate::{Error, files};

/// Shortest pass phrase in characters: with 600,000 rounds before each guess, length is what
/// keeps a copied file closed.
const PASSPHRASE_CHARS_MIN: usize = 12;

const MADE: &[Column] = &[
    Column::text("col-person", "person"),
    Column::text("col-key-id", "key_id"),
    Column::text("col-public-key", "public"),
    Column::text("col-file", "file"),
];

pub(super) fn run(it: &Key, global: &Global, terminal: &Terminal) -> Result<(), Error> {
    let Key::New(it) = it;
    new(it, global, terminal)
}

fn new(it: &New, global: &Global, terminal: &Terminal) -> Result<(), Error> {
    let person = global
        .person
        .as_deref()
        .ok_or(Error::Missing { flag: "person" })?;
    let person = PersonId::parse(person)?;
    let passphrase = passphrase(global, terminal)?;
    let key = SecretKey::generate()?;
    let file = KeyFile::seal(&key, passphrase.as_bytes(), KEY_FILE_ITERATIONS_DEFAULT)?;
    files::write_private(&it.out, file.to_json()?.as_bytes())?;
    let public = key.public();
    let made = json!({
        "person": person, "public": public, "key_id": public.key_id(),
        "file": it.out.display().to_string(),
    });
    terminal.record(MADE, &made)?;
    terminal.note("note-key-made", &[("person", &person)]);
    Ok(())
}

/// A new pass phrase: from the file, or typed twice.
fn passphrase(global: &Global, terminal: &Terminal) -> Result<Zeroizing<String>, Error> {
    let text = match &global.passphrase_file {
        Some(path) => files::read_secret(path)?,
        None => {
            let text = terminal.secret("ask-new-passphrase", "passphrase-file")?;
            if *text != *terminal.secret("ask-again", "passphrase-file")? {
                let why = terminal.say("err-typed-differently", &[]);
                return Err(Error::input("--passphrase-file", why));
            }
            text
        }
    };
    if text.chars().count() < PASSPHRASE_CHARS_MIN {
        let least = &[("least", &PASSPHRASE_CHARS_MIN as &dyn std::fmt::Display)];
        let why = terminal.say("err-too-short", least);
        return Err(Error::input("--passphrase-file", why));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::PathBuf;

    use super::*;
    use crate::messages::Language;
    use crate::output::{Format, for_tests};

    #[test]
    fn a_key_file_opens_with_its_pass_phrase_and_is_read_by_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let terminal = for_tests(Language::En, Format::Jsonl);
        let secret = dir.path().join("pass");
        let make = |person: Option<&str>, out: PathBuf| {
            let global = Global {
                person: person.map(str::to_owned),
                passphrase_file: Some(secret.clone()),
                ..Global::default()
            };
            new(&New { out }, &global, &terminal)
        };
        let out = dir.path().join("steward.key");
        files::write_private(&secret, b"too short\n").unwrap();
        let short = make(Some("gd.a"), out.clone()).unwrap_err();
        assert_eq!(short.exit_code(), 2);
        std::fs::remove_file(&secret).unwrap();
        files::write_private(&secret, b"correct horse battery\n").unwrap();
        assert_eq!(make(None, out.clone()).unwrap_err().exit_code(), 2);
        assert_eq!(make(Some("NO"), out.clone()).unwrap_err().exit_code(), 2);
        assert!(!out.exists(), "nothing is written before all is known");

        make(Some("gd.a"), out.clone()).unwrap();
        let mode = std::fs::metadata(&out).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let before = std::fs::read(&out).unwrap();
        assert!(KeyFile::read(&out).unwrap().open(b"wrong").is_err());
        KeyFile::read(&out)
            .unwrap()
            .open(b"correct horse battery")
            .unwrap();
        assert_eq!(make(Some("gd.a"), out.clone()).unwrap_err().exit_code(), 2);
        assert_eq!(std::fs::read(&out).unwrap(), before);
    }
}
