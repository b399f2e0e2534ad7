//! `kouan restore`: a catalog begins again from a backup, on this node alone.
//!
//! It does not touch anything but the catalog's own directory, which must be empty, and it does not
//! stop the members of old: the runbook says what has to be so before.
#![expect(clippy::print_stderr, reason = "a program speaks to its user")]

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use catalog::RestoreOptions;
use crypto::{Digest, PublicKey};

use crate::config::Config;
use crate::messages::{Language, Messages};
use crate::{Error, Settings};

/// From which backup, and what is demanded of it.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The node's configuration file. The node must be registered in the backup.
    #[arg(long, env = "KOUAN_CONFIG")]
    config: PathBuf,
    /// The backup, as `kouanctl catalog backup` wrote it.
    #[arg(long, value_name = "FILE")]
    backup: PathBuf,
    /// Signing key of a node whose backup is accepted, 130 hexadecimal digits; repeat for several.
    #[arg(long = "key", value_name = "KEY", required = true)]
    keys: Vec<PublicKey>,
    /// Which catalog it must be, as `kouanctl catalog status` showed it.
    #[arg(long, value_name = "DIGEST")]
    cluster: Option<Digest>,
    /// Language of words; from LANG when absent.
    #[arg(long, value_enum)]
    lang: Option<Language>,
}

/// Verifies the backup and makes the catalog's directory from it.
///
/// # Errors
/// [`Error::Config`], [`Error::File`]; [`Error::Catalog`] for a backup that does not verify, a
/// directory that is not empty, and a node that the backup does not know.
pub fn run(arguments: Arguments) -> Result<(), Error> {
    let config = Config::read(&arguments.config)?;
    let wrong = |e: std::io::Error| Error::File {
        what: "backup",
        path: arguments.backup.clone(),
        why: e.to_string(),
    };
    let file = File::open(&arguments.backup).map_err(wrong)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(wrong)?;
    let settings = runtime.block_on(Settings::resolve(&arguments.config, config))?;
    let options = RestoreOptions {
        dir: settings.dir.join("catalog"),
        node: settings.node.clone(),
        raft_number: settings.catalog.raft_number,
        signing: settings.signing.public().clone(),
        cluster: arguments.cluster,
        keys: arguments.keys.clone(),
    };
    let restored = runtime.block_on(catalog::restore(options, BufReader::new(file)))?;
    let messages = Messages::new(arguments.lang.unwrap_or_else(Language::of_environment));
    let told = messages.say(
        "restored",
        &[
            ("index", restored.index.to_string()),
            ("records", restored.records.to_string()),
            ("taken", restored.taken_at.to_string()),
        ],
    );
    eprintln!("{told}");
    Ok(())
}
