//! `kouan invite` and `kouan join`: how a node comes into a federation.
//!
//! It does not give a vote: the authority's system administrator does, after she compared the
//! check with the other side.
#![expect(clippy::print_stdout, reason = "a program speaks to its user")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use admin::enrolment::Welcome;
use schemas::participant::ParticipantKind;
use schemas::{Jurisdiction, LocalText, NodeId, ParticipantId, Timestamp};
use serde_json::{Value, json};

use super::init::{hosts, listeners, parse_kind};
use crate::Error;
use crate::config::Config;
use crate::enrolment::{Invitation, fresh, invite as keep};
use crate::https::agent;
use crate::init::{self, Plan, Staff, write_new};
use crate::messages::{Language, Messages};
use crate::settings::read_text;

/// How far both clocks may be apart, in milliseconds; a node beyond it issues no permits.
const CLOCKS_APART_MS_MAX: i64 = 30_000;

/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// Whom to invite.
#[derive(Debug, clap::Args)]
pub struct Invite {
    /// The configuration file of the node that has the authorities' keys (`[enrolment]`).
    #[arg(long, env = "KOUAN_CONFIG")]
    config: PathBuf,
    /// Identifier of the new node.
    #[arg(long)]
    node: NodeId,
    /// Identifier of the participant that it acts for.
    #[arg(long)]
    participant: ParticipantId,
    /// How long the invitation is good, in hours.
    #[arg(long, default_value_t = 72, value_parser = clap::value_parser!(u32).range(1..=720))]
    hours: u32,
    /// Host and port under which the new node reaches this one's REST listener; as configured
    /// when absent.
    #[arg(long)]
    api: Option<String>,
    /// Where the invitation goes. It has a secret in it.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Language of what is printed; from LANG when absent.
    #[arg(long, value_enum)]
    lang: Option<Language>,
}

/// Who comes.
#[derive(Debug, clap::Args)]
pub struct Join {
    /// The invitation file.
    #[arg(long, value_name = "FILE")]
    invitation: PathBuf,
    /// An empty or new directory, or one of an earlier try.
    #[arg(long)]
    dir: PathBuf,
    /// The participant's Chinese name.
    #[arg(long)]
    name_zh: String,
    /// The participant's English name.
    #[arg(long)]
    name_en: String,
    /// What the participant is in law: STATE_ORGAN, AUTHORISED_ORGANISATION or ENTERPRISE.
    #[arg(long, default_value = "STATE_ORGAN", value_parser = parse_kind)]
    kind: ParticipantKind,
    /// Address of the Raft listener; the other three take the next ports.
    #[arg(long, default_value = "127.0.0.1:7401")]
    listen: SocketAddr,
    /// Names or addresses under which others call this node, beside the address it listens on.
    #[arg(long = "host")]
    hosts: Vec<String>,
    /// Language of what is printed; from LANG when absent.
    #[arg(long, value_enum)]
    lang: Option<Language>,
}

/// Makes an invitation.
///
/// # Errors
/// [`Error::Config`] without `[enrolment]`, [`Error::Argument`], [`Error::File`].
pub fn invite(it: &Invite, now: Timestamp) -> Result<(), Error> {
    let config = Config::read(&it.config)?;
    let wrong = |why: &str| Error::Config {
        path: it.config.clone(),
        why: why.to_owned(),
    };
    let Some(section) = &config.enrolment else {
        return Err(wrong(
            "this node has no authorities' keys: write [enrolment] with authority = \
             \"authority\", the directory that kouan init made, and restart the node",
        ));
    };
    let dir = config.directory(&it.config);
    let roots = dir.join(&section.authority).join(init::ROOTS);
    let api = match &it.api {
        Some(api) => api.clone(),
        None if is_wildcard(&config.admin.listen) => {
            return Err(Error::Argument {
                flag: "api",
                why: format!(
                    "{} is no address that others can call; give host and port",
                    config.admin.listen
                ),
            });
        }
        None => config.admin.listen.clone(),
    };
    let (id, secret) = fresh()?;
    let until = now.plus_millis(i64::from(it.hours) * 3_600_000);
    let invitation = keep(
        &dir,
        Invitation {
            kouan_invitation: Invitation::FORM,
            id,
            secret,
            node: it.node.clone(),
            participant: it.participant.clone(),
            until,
            api,
            suites: config.tls.peers,
            roots: read_text("TLS roots", &roots)?,
        },
    )?;
    let text = serde_json::to_string_pretty(&invitation).map_err(|e| Error::File {
        what: "invitation",
        path: it.out.clone(),
        why: e.to_string(),
    })?;
    write_new(&it.out, format!("{text}\n").as_bytes())?;
    let messages = Messages::new(it.lang.unwrap_or_else(Language::of_environment));
    let words = [
        ("path", it.out.display().to_string()),
        ("node", it.node.to_string()),
        ("until", until.to_string()),
        ("id", invitation.id),
    ];
    println!("{}", messages.say("invite-made", &words));
    Ok(())
}

fn is_wildcard(listen: &str) -> bool {
    listen
        .parse::<SocketAddr>()
        .is_ok_and(|it| it.ip().is_unspecified())
}

/// Makes keys, applies, and takes the answer in.
///
/// # Errors
/// [`Error::Argument`], [`Error::File`], [`Error::Enrolment`]: what the authority's node said, or
/// that it did not answer; then the same command goes on with the same keys.
pub fn join(it: &Join, now: Timestamp) -> Result<(), Error> {
    let invitation = read(&it.invitation)?;
    let plan = Plan {
        node: invitation.node.to_string(),
        raft_number: 0,
        participant: invitation.participant.to_string(),
        name: LocalText::new(&*it.name_zh, &*it.name_en),
        kind: it.kind,
        jurisdiction: Jurisdiction::MAINLAND,
        listen: listeners(it.listen)?,
        hosts: hosts(it.listen, &it.hosts)?,
        suites: invitation.suites,
        staff: Staff::OneEach,
        now,
    };
    let joining = match init::resume(&it.dir, &plan)? {
        Some(joining) => joining,
        None => init::begin(&it.dir, &plan)?,
    };
    let welcome = apply(&invitation, &joining)?;
    if joining.check(welcome.raft_number)? != welcome.check {
        return Err(Error::Enrolment {
            at: invitation.api,
            why: "it answered for something else than was sent".to_owned(),
        });
    }
    let config = init::finish(&joining, &plan, (&welcome, &invitation.roots))?;
    tell(it, &welcome, &config, now);
    Ok(())
}

fn read(path: &Path) -> Result<Invitation, Error> {
    let wrong = |why: String| Error::File {
        what: "invitation",
        path: path.to_owned(),
        why,
    };
    let invitation: Invitation =
        serde_json::from_str(&read_text("invitation", path)?).map_err(|e| wrong(e.to_string()))?;
    if invitation.kouan_invitation != Invitation::FORM {
        return Err(wrong(format!(
            "form {} is not known; this program reads {}",
            invitation.kouan_invitation,
            Invitation::FORM
        )));
    }
    Ok(invitation)
}

fn apply(invitation: &Invitation, joining: &init::Joining) -> Result<Welcome, Error> {
    let at = &invitation.api;
    let failed = |why: String| Error::Enrolment {
        at: at.clone(),
        why,
    };
    let body = json!({
        "invitation": invitation.id,
        "secret": invitation.secret,
        "application": joining.application,
    });
    let answer = agent(invitation.roots.as_bytes())
        .post(format!("https://{at}/api/v1/enrolments"))
        .send_json(&body);
    let mut answer = answer.map_err(|error| failed(error.to_string()))?;
    let status = answer.status();
    let bytes = answer
        .body_mut()
        .with_config()
        .limit(ANSWER_BYTES_MAX)
        .read_to_vec()
        .map_err(|error| failed(error.to_string()))?;
    if status.is_success() {
        return serde_json::from_slice(&bytes).map_err(|error| failed(error.to_string()));
    }
    let problem: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let detail = problem["detail"].as_str().map(ToOwned::to_owned);
    Err(failed(detail.unwrap_or_else(|| status.to_string())))
}

fn tell(it: &Join, welcome: &Welcome, config: &Path, now: Timestamp) {
    let messages = Messages::new(it.lang.unwrap_or_else(Language::of_environment));
    let say = |key: &str, words: &[(&str, String)]| println!("{}", messages.say(key, words));
    let apart = welcome.now.millis_since(now);
    if apart.abs() > CLOCKS_APART_MS_MAX {
        say("join-clock", &[("seconds", (apart / 1_000).to_string())]);
    }
    say("join-made", &[("dir", it.dir.display().to_string())]);
    say("join-check", &[("check", welcome.check.clone())]);
    for key in ["init-give-keys", "join-hide-passphrase"] {
        say(key, &[]);
    }
    let config = config.display().to_string();
    say("init-next", &[("config", config)]);
}
