//! `kouan account`: who signs in at this node with a password and a one-time code.
//!
//! It does not bind roles: a person without a record in the catalog gets an account here and is let
//! in nowhere. A running node sees each change at the next sign-in.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program speaks to its user"
)]

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use crypto::password::PASSWORD_ITERATIONS_DEFAULT;
use crypto::{KeyFile, SecretKey, Zeroizing};
use enforcement::accounts::{Accounts, PASSWORD_CHARS_MIN};
use schemas::PersonId;

use crate::Error;
use crate::config::Config;
use crate::messages::{Language, Messages};
use crate::settings::read_passphrase;

/// What can be done to accounts.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Give a person a password and an authenticator; once more gives new ones.
    #[command(after_help = "Example: kouan account add --config kouan.toml \
        --person gd.province.data-steward")]
    Add(Add),
    /// List the persons who have an account.
    #[command(after_help = "Example: kouan account list --config kouan.toml")]
    List(Node),
    /// Take an account away. Sessions that are open end by themselves, in 15 idle minutes.
    #[command(after_help = "Example: kouan account remove --config kouan.toml \
        --person gd.province.data-steward")]
    Remove(Remove),
}

/// An account that ends.
#[derive(Debug, clap::Args)]
pub struct Remove {
    #[command(flatten)]
    node: Node,
    /// Whose.
    #[arg(long)]
    person: PersonId,
}

/// At which node.
#[derive(Debug, clap::Args)]
pub struct Node {
    /// The node's configuration file.
    #[arg(long, env = "KOUAN_CONFIG")]
    config: PathBuf,
    /// Language of words; from LANG when absent.
    #[arg(long, value_enum)]
    lang: Option<Language>,
}

/// A new account.
#[derive(Debug, clap::Args)]
pub struct Add {
    #[command(flatten)]
    node: Node,
    /// For whom; the identifier in the catalog.
    #[arg(long)]
    person: PersonId,
    /// File with the password, mode 0600; asked for when absent.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Her key file: the node keeps this key, encrypted under the password, and signs with it
    /// what she does while she is signed in. Without it she can read, and change nothing.
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// File with the pass phrase of the key file, mode 0600; asked for when absent.
    #[arg(long, value_name = "FILE", requires = "key_file")]
    passphrase_file: Option<PathBuf>,
}

impl Node {
    fn accounts(&self) -> Result<Accounts, Error> {
        let config = Config::read(&self.config)?;
        Ok(Accounts::load(
            &config.directory(&self.config).join(crate::ACCOUNTS_FILE),
        )?)
    }

    fn messages(&self) -> Messages {
        Messages::new(self.lang.unwrap_or_else(Language::of_environment))
    }
}

/// Does what was typed.
///
/// # Errors
/// [`Error::Config`], [`Error::File`], [`Error::Argument`] for a password that is too short or
/// cannot be asked for, [`Error::Enforcement`] when the accounts cannot be read or written.
pub fn run(command: &Command) -> Result<(), Error> {
    match command {
        Command::Add(it) => add(it),
        Command::List(node) => {
            for person in node.accounts()?.persons()? {
                println!("{person}");
            }
            Ok(())
        }
        Command::Remove(Remove { node, person }) => {
            if !node.accounts()?.remove(person)? {
                return Err(Error::Argument {
                    flag: "person",
                    why: format!("{person} has no account at this node"),
                });
            }
            eprintln!(
                "{}",
                node.messages()
                    .say("account-removed", &[("person", person.to_string())])
            );
            Ok(())
        }
    }
}

fn add(it: &Add) -> Result<(), Error> {
    let (accounts, messages) = (it.node.accounts()?, it.node.messages());
    let key = kept_key(it, &messages)?;
    let password = password(it.password_file.as_deref(), &messages)?;
    let rounds = PASSWORD_ITERATIONS_DEFAULT;
    let address = accounts.enrol(&it.person, &password, key.as_ref(), rounds)?;
    // The secret stands in the address; apps without a camera want it alone.
    let secret = address
        .split(['?', '&'])
        .find_map(|part| part.strip_prefix("secret="));
    println!("{}", *address);
    println!("{}", secret.unwrap_or_default());
    let person = it.person.to_string();
    eprintln!(
        "{}",
        messages.say("account-added", &[("person", person.clone())])
    );
    let next = if key.is_some() {
        "account-signs"
    } else {
        "account-reads"
    };
    eprintln!("{}", messages.say(next, &[("person", person)]));
    Ok(())
}

/// The key that the node is to keep.
fn kept_key(it: &Add, messages: &Messages) -> Result<Option<SecretKey>, Error> {
    let Some(path) = &it.key_file else {
        return Ok(None);
    };
    let passphrase = match &it.passphrase_file {
        Some(path) => read_passphrase(path)?,
        None => typed(messages, "ask-passphrase", "passphrase-file")?,
    };
    let opened = KeyFile::read(path).and_then(|file| file.open(&passphrase));
    opened.map(Some).map_err(|e| Error::File {
        what: "key file",
        path: path.clone(),
        why: e.to_string(),
    })
}

/// The password, from its file or typed twice.
fn password(file: Option<&Path>, messages: &Messages) -> Result<Zeroizing<String>, Error> {
    let flag = "password-file";
    let refuse = |why: String| Error::Argument { flag, why };
    let bytes = match file {
        Some(path) => read_passphrase(path)?,
        None => {
            let first = typed(messages, "ask-password", flag)?;
            if *first != *typed(messages, "ask-again", flag)? {
                return Err(refuse(messages.say("typed-differently", &[])));
            }
            first
        }
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| refuse("it is not UTF-8".to_owned()))?;
    if text.chars().count() < PASSWORD_CHARS_MIN {
        let least = PASSWORD_CHARS_MIN.to_string();
        return Err(refuse(messages.say("too-short", &[("least", least)])));
    }
    Ok(Zeroizing::new(text.to_owned()))
}

/// Asks without showing what is typed.
fn typed(messages: &Messages, key: &str, flag: &'static str) -> Result<Zeroizing<Vec<u8>>, Error> {
    let refuse = |why: String| Error::Argument { flag, why };
    if !std::io::stdin().is_terminal() {
        return Err(refuse(messages.say("nobody-to-ask", &[])));
    }
    let text = rpassword::prompt_password(messages.say(key, &[]));
    let text = Zeroizing::new(text.map_err(|e| refuse(e.to_string()))?);
    Ok(Zeroizing::new(text.as_bytes().to_vec()))
}
