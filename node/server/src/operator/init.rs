//! `kouan init`: from what was typed to a directory, and what to do next.
//!
//! It does not make keys itself; [`crate::init`] does.
#![expect(clippy::print_stdout, reason = "a program speaks to its user")]

use std::net::SocketAddr;
use std::path::PathBuf;

use crypto::tls::Suites;
use schemas::participant::ParticipantKind;
use schemas::{Jurisdiction, LocalText, Timestamp};

use crate::init::{self, Plan, Prepared, Staff};
use crate::messages::{Language, Messages};
use crate::{Error, Listen};

/// Highest port of the first listener: the other three take the next ones.
const PORT_MAX: u16 = u16::MAX - 3;

/// What `kouan init` is told.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// An empty or new directory.
    #[arg(long)]
    dir: PathBuf,
    /// Identifier of the node.
    #[arg(long)]
    node: String,
    /// Its number in Raft; no two nodes of a federation have the same.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    raft_number: u64,
    /// Identifier of the participant that it acts for.
    #[arg(long)]
    participant: String,
    /// The participant's Chinese name.
    #[arg(long)]
    name_zh: String,
    /// The participant's English name.
    #[arg(long)]
    name_en: String,
    /// What the participant is in law: STATE_ORGAN, AUTHORISED_ORGANISATION or ENTERPRISE.
    #[arg(long, default_value = "STATE_ORGAN", value_parser = parse_kind)]
    kind: ParticipantKind,
    /// Address of the Raft listener; the other three take the next ports. It stands in the
    /// certificate and in the catalog too, unless it is a wildcard such as 0.0.0.0.
    #[arg(long, default_value = "127.0.0.1:7401")]
    listen: SocketAddr,
    /// Names or addresses under which others call this node, beside the address it listens on.
    #[arg(long = "host")]
    hosts: Vec<String>,
    /// TLS between nodes: shangmi-only, shangmi-preferred or standard. People's programs may use
    /// standard TLS in any case.
    #[arg(long, default_value_t = Suites::ShangMiOnly, value_parser = parse_suites)]
    suites: Suites,
    /// Language of what is printed; from LANG when absent.
    #[arg(long, value_enum)]
    lang: Option<Language>,
}

pub(super) fn parse_kind(text: &str) -> Result<ParticipantKind, String> {
    ParticipantKind::parse(text)
        .ok_or_else(|| "write STATE_ORGAN, AUTHORISED_ORGANISATION or ENTERPRISE".to_owned())
}

fn parse_suites(text: &str) -> Result<Suites, String> {
    text.parse()
        .map_err(|_| "write shangmi-only, shangmi-preferred or standard".to_owned())
}

/// Makes the directory, and says what comes next.
///
/// # Errors
/// As [`init::create`], and [`Error::Argument`] for an address that others cannot call.
pub fn run(arguments: &Arguments, now: Timestamp) -> Result<(), Error> {
    let plan = plan(arguments, now)?;
    let prepared = init::create(&arguments.dir, &plan)?;
    tell(&prepared, arguments.lang);
    Ok(())
}

fn plan(arguments: &Arguments, now: Timestamp) -> Result<Plan, Error> {
    Ok(Plan {
        node: arguments.node.clone(),
        raft_number: arguments.raft_number,
        participant: arguments.participant.clone(),
        name: LocalText::new(&*arguments.name_zh, &*arguments.name_en),
        kind: arguments.kind,
        jurisdiction: Jurisdiction::MAINLAND,
        listen: listeners(arguments.listen)?,
        hosts: hosts(arguments.listen, &arguments.hosts)?,
        suites: arguments.suites,
        staff: Staff::TwoStewards,
        now,
    })
}

/// The four listeners from the first on.
///
/// # Errors
/// [`Error::Argument`] for a port without three behind it.
pub(super) fn listeners(first: SocketAddr) -> Result<Listen, Error> {
    if !(1..=PORT_MAX).contains(&first.port()) {
        return Err(Error::Argument {
            flag: "listen",
            why: format!("{first}: write a port from 1 to {PORT_MAX}; the next three are used too"),
        });
    }
    let port = |offset: u16| SocketAddr::new(first.ip(), first.port() + offset);
    Ok(Listen {
        catalog: port(0),
        data: port(1),
        admin: port(2),
        operations: port(3),
    })
}

/// What the certificate stands for: the given names and the address itself. A wildcard says
/// nothing to others, so with it a name is needed.
pub(super) fn hosts(listen: SocketAddr, given: &[String]) -> Result<Vec<String>, Error> {
    let ip = listen.ip();
    let mut hosts = given.to_vec();
    if ip.is_unspecified() {
        if hosts.is_empty() {
            return Err(Error::Argument {
                flag: "host",
                why: format!(
                    "{ip} is every address of this machine and none that others can call; give \
                     the name or address that they use"
                ),
            });
        }
        return Ok(hosts);
    }
    if ip.is_loopback() && hosts.is_empty() {
        hosts.push("localhost".to_owned());
    }
    let own = ip.to_string();
    if !hosts.contains(&own) {
        hosts.push(own);
    }
    Ok(hosts)
}

fn tell(prepared: &Prepared, language: Option<Language>) {
    let messages = Messages::new(language.unwrap_or_else(Language::of_environment));
    let path = |path: &std::path::Path| path.display().to_string();
    println!(
        "{}",
        messages.say("init-made", &[("dir", path(&prepared.dir))])
    );
    println!("  {}", path(&prepared.config));
    for person in &prepared.persons {
        let id = person.record.id.as_str();
        println!("  {id:<40} {}", path(&person.key_file));
    }
    println!("\n{}", messages.say("init-before", &[]));
    for key in [
        "init-give-keys",
        "init-move-authority",
        "init-hide-passphrase",
    ] {
        println!("  {}", messages.say(key, &[]));
    }
    let config = path(&prepared.config);
    println!("\n{}", messages.say("init-next", &[("config", config)]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_stands_for_the_address_that_others_call() {
        let of = |listen: &str, given: &[&str]| {
            let given: Vec<String> = given.iter().map(|it| (*it).to_owned()).collect();
            hosts(listen.parse().unwrap(), &given).ok()
        };
        let check = |listen: &str, given: &[&str], expected: Option<&[&str]>| {
            let expected = expected.map(|it| it.iter().map(|it| (*it).to_owned()).collect());
            assert_eq!(of(listen, given), expected, "{listen} {given:?}");
        };
        check("127.0.0.1:7401", &[], Some(&["localhost", "127.0.0.1"]));
        check("10.1.2.3:7401", &[], Some(&["10.1.2.3"]));
        check("10.1.2.3:7401", &["gd-1"], Some(&["gd-1", "10.1.2.3"]));
        check("10.1.2.3:7401", &["10.1.2.3"], Some(&["10.1.2.3"]));
        check("0.0.0.0:7401", &["gd-1"], Some(&["gd-1"]));
        check("0.0.0.0:7401", &[], None);
        check("[::]:7401", &[], None);
    }
}
