//! The tree of commands: `kouanctl NOUN VERB`, one file a noun.
//!
//! It does not do anything; [`crate::commands`] does. Help texts are English, whatever `--lang`
//! says, so that they can be searched for.

pub(crate) mod correction;
#[cfg(test)]
mod coverage;
pub(crate) mod dataset;
pub(crate) mod grant;
pub(crate) mod job;
pub(crate) mod key;
pub(crate) mod ledger;
pub(crate) mod member;
pub(crate) mod policy;
pub(crate) mod profile;
pub(crate) mod request;
pub(crate) mod transfer;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use schemas::{Jurisdiction, Timestamp};

use crate::messages::Language;
use crate::output::Format;
use crate::profile::Offer;

/// 口岸 kouan: share data between agencies, under law and on the record.
#[derive(Debug, Parser)]
#[command(
    name = "kouanctl",
    version,
    about,
    after_help = "Data goes to stdout, words go to stderr. A setting comes from its flag, else its \
        environment variable, else the profile, else its default.\n\n\
        Exit codes: 0 done, 1 failed, 2 wrong usage or input, 3 not found, 4 refused, 5 conflict, \
        6 check failed, 7 not reachable, 8 timed out, 130 interrupted.\n\n\
        Example: kouanctl login --server gz-1:7403 --roots roots.pem --person gz.analyst \
        --key-file analyst.key"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Everywhere")]
pub(crate) struct Global {
    /// Which profile of the profiles file to use.
    #[arg(long, global = true, env = "KOUAN_PROFILE")]
    pub(crate) profile: Option<String>,
    /// The node's REST listener, host:port or https URL.
    #[arg(long, global = true, env = "KOUAN_SERVER")]
    pub(crate) server: Option<String>,
    /// The node's data listener; looked up in the catalog when absent.
    #[arg(long, global = true, env = "KOUAN_DATA_SERVER")]
    pub(crate) data_server: Option<String>,
    /// PEM file of the certificates that may vouch for the node.
    #[arg(long, global = true, env = "KOUAN_ROOTS", value_name = "FILE")]
    pub(crate) roots: Option<PathBuf>,
    /// What TLS to offer to the node; shangmi-only when neither this nor the profile says.
    #[arg(long, global = true, env = "KOUAN_SUITES", value_enum)]
    pub(crate) suites: Option<Offer>,
    /// Who you are.
    #[arg(long, global = true, env = "KOUAN_PERSON")]
    pub(crate) person: Option<String>,
    /// Your key file.
    #[arg(long, global = true, env = "KOUAN_KEY_FILE", value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
    /// File with the pass phrase of your key; asked for when absent.
    #[arg(
        long,
        global = true,
        env = "KOUAN_PASSPHRASE_FILE",
        value_name = "FILE"
    )]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Form of the output; table on a terminal, jsonl when piped.
    #[arg(short, long, global = true, env = "KOUAN_OUTPUT", value_enum)]
    pub(crate) output: Option<Format>,
    /// Fields to print, comma-separated, dots lead inside: id,title.zh.
    #[arg(long, global = true, value_delimiter = ',', value_name = "FIELDS")]
    pub(crate) fields: Vec<String>,
    /// Language of words; from LANG when absent.
    #[arg(long, global = true, env = "KOUAN_LANG", value_enum)]
    pub(crate) lang: Option<Language>,
    /// Never ask; fail where an answer would be needed.
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
    /// Answer yes to every "are you sure".
    #[arg(short, long, global = true)]
    pub(crate) yes: bool,
    /// Longest wait in seconds: 30 for an answer and 3600 for a job when absent.
    #[arg(long, global = true, env = "KOUAN_TIMEOUT", value_name = "SECONDS",
        value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) timeout: Option<u64>,
    /// Folder of profiles and sessions; ~/.config/kouan when absent.
    #[arg(long, global = true, env = "KOUAN_CONFIG_DIR", value_name = "DIR")]
    pub(crate) config_dir: Option<PathBuf>,
}

/// How much of a list.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Paging {
    /// Most items.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: u64,
    /// All items, however many there are.
    #[arg(long, conflicts_with = "limit")]
    pub(crate) all: bool,
}

impl Paging {
    /// Most items, or none for all.
    pub(crate) fn most(self) -> Option<usize> {
        (!self.all).then(|| usize::try_from(self.limit).unwrap_or(usize::MAX))
    }
}

/// A record in a file.
#[derive(Clone, Debug, Args)]
pub(crate) struct FromFile {
    /// JSON file of the record as the API has it; - reads stdin.
    #[arg(short, long, value_name = "FILE.json")]
    pub(crate) file: PathBuf,
}

/// The nouns.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign in and remember how, as a profile.
    #[command(
        after_help = "Example: kouanctl login --profile gz --server gz-1:7403 \
        --roots roots.pem --person gz.analyst --key-file analyst.key"
    )]
    Login(profile::Login),
    /// End the session.
    #[command(after_help = "Example: kouanctl logout")]
    Logout,
    /// Show who is signed in, for whom and with which roles.
    #[command(after_help = "Example: kouanctl whoami -o json")]
    Whoami,
    /// Profiles: which node, who, which key.
    #[command(subcommand, after_help = "Example: kouanctl context use gz")]
    Context(profile::Context),
    /// Members of the federation, their nodes and persons.
    #[command(subcommand, after_help = "Example: kouanctl participant list")]
    Participant(member::Participant),
    /// Datasets: find, describe, publish.
    #[command(subcommand, after_help = "Example: kouanctl dataset search 集装箱")]
    Dataset(dataset::Dataset),
    /// Requests for shared data and their answers.
    #[command(subcommand, after_help = "Example: kouanctl request list")]
    Request(request::Request),
    /// Correction tickets: a row is doubted, its provider checks.
    #[command(subcommand, after_help = "Example: kouanctl correction list")]
    Correction(correction::Correction),
    /// Rights under contracts.
    #[command(subcommand, after_help = "Example: kouanctl grant check g-7f3a")]
    Grant(grant::Grant),
    /// Fetching data under a grant.
    #[command(
        subcommand,
        after_help = "Example: kouanctl transfer start g-7f3a --wait"
    )]
    Transfer(transfer::Transfer),
    /// The access ledger of your participant, and its proofs.
    #[command(
        subcommand,
        after_help = "Example: kouanctl ledger prove 42 --out 42.evidence.json"
    )]
    Ledger(ledger::Ledger),
    /// Policy sets, and what they would decide.
    #[command(
        subcommand,
        after_help = "Example: kouanctl policy explain --action dataset.read \
        --dataset gd.port.calls"
    )]
    Policy(policy::Policy),
    /// Checks before data leaves the mainland.
    #[command(
        subcommand,
        after_help = "Example: kouanctl export check --dataset gd.port.calls \
        --to HK"
    )]
    Export(policy::Export),
    /// The replicated catalog itself.
    #[command(subcommand, after_help = "Example: kouanctl catalog status")]
    Catalog(policy::Catalog),
    /// Your own key.
    #[command(
        subcommand,
        after_help = "Example: kouanctl key new --person gd.a --out a.key"
    )]
    Key(key::Key),
    /// Work of the node: publishing and fetching.
    #[command(subcommand, after_help = "Example: kouanctl job wait j-7f3a")]
    Job(job::Job),
    /// Print a completion script for a shell.
    #[command(after_help = "Example: kouanctl completion bash > \
        /etc/bash_completion.d/kouanctl")]
    Completion {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

/// Parses a code of one of the shared lists, in any case and with - for _.
pub(crate) fn code<T: Copy + std::fmt::Display>(
    text: &str,
    all: &[T],
    parse: fn(&str) -> Option<T>,
) -> Result<T, String> {
    let upper = text.to_ascii_uppercase().replace('-', "_");
    parse(text).or_else(|| parse(&upper)).ok_or_else(|| {
        let known: Vec<String> = all.iter().map(ToString::to_string).collect();
        format!("write one of {}", known.join(", "))
    })
}

/// Parses two capital letters.
pub(crate) fn place(text: &str) -> Result<Jurisdiction, String> {
    Jurisdiction::parse(text).map_err(|e| e.to_string())
}

/// Parses RFC 3339, or a date, which begins at midnight in China.
pub(crate) fn instant(text: &str) -> Result<Timestamp, String> {
    let whole = if text.len() == 10 {
        format!("{text}T00:00:00+08:00")
    } else {
        text.to_owned()
    };
    Timestamp::parse(&whole)
        .map_err(|_| "write a date such as 2027-06-30 or an RFC 3339 instant".to_owned())
}

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// As [`instant`]; of a date, the first instant after that day, because "until" includes it.
pub(crate) fn end(text: &str) -> Result<Timestamp, String> {
    let at = instant(text)?;
    Ok(if text.len() == 10 {
        at.plus_millis(DAY_MS)
    } else {
        at
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_tree_of_commands_is_well_formed() {
        Cli::command().debug_assert();
    }

    fn without_example(command: &clap::Command, path: &str, found: &mut Vec<String>) {
        let path = format!("{path} {}", command.get_name());
        let help = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let name = path.trim().to_owned();
        let example = help.split("Example: ").nth(1).unwrap_or_default();
        if !example.starts_with(&name) {
            found.push(name);
        }
        for sub in command.get_subcommands() {
            without_example(sub, &path, found);
        }
    }

    #[test]
    fn every_command_has_an_example_of_itself_and_every_example_parses() {
        let mut found = Vec::new();
        without_example(&Cli::command(), "", &mut found);
        assert_eq!(found, Vec::<String>::new());
    }

    fn examples(command: &clap::Command, found: &mut Vec<String>) {
        let help = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        if let Some((_, example)) = help.split_once("Example: ") {
            found.push(example.to_owned());
        }
        for sub in command.get_subcommands() {
            examples(sub, found);
        }
    }

    #[test]
    fn every_example_parses() {
        let mut found = Vec::new();
        examples(&Cli::command(), &mut found);
        assert!(found.len() > 40, "{}", found.len());
        for example in found {
            let typed = example.split(" > ").next().unwrap_or_default();
            let parsed = Cli::try_parse_from(typed.split_whitespace());
            assert!(parsed.is_ok(), "{typed}: {parsed:?}");
        }
    }

    #[test]
    fn a_date_begins_at_midnight_in_china_and_until_includes_it() {
        assert_eq!(
            instant("2026-11-24").unwrap().to_string(),
            "2026-11-23T16:00:00.000Z"
        );
        assert_eq!(
            end("2026-11-24").unwrap().to_string(),
            "2026-11-24T16:00:00.000Z"
        );
        assert_eq!(
            end("2026-11-24T00:00:00Z").unwrap().to_string(),
            "2026-11-24T00:00:00.000Z"
        );
        for bad in ["tomorrow", "2026-13-01", "20261124"] {
            assert!(instant(bad).is_err(), "{bad}");
        }
    }
}
