//! `kouan ca`: transport certificates of a small federation, without another program.
//!
//! It does not say who is a member: a certificate opens a port only for a node whose record in the
//! catalog has its key. It does not run a service: files go in and come out, so that the
//! authority's keys can be on a machine without a network.
#![expect(clippy::print_stdout, reason = "a program speaks to its user")]

use std::path::{Path, PathBuf};

use crypto::tls::{Family, TlsApplicant, TlsRequest};
use schemas::Timestamp;

use crate::Error;
use crate::init::{TLS_DAYS, TransportAuthorities, write_new};
use crate::messages::{Language, Messages};
use crate::settings::read_text;

/// Longest life of a revocation list in days: with an overdue list nobody is let in.
const LIST_DAYS_MAX: u32 = 397;

/// What an authority does, and who asks it.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Make a federation's two authorities, SM2 and P-256, and the file of their certificates.
    #[command(after_help = "Example: kouan ca init --dir authority")]
    Init(Init),
    /// Make a key and a request for its certificate, on the machine that will use it.
    #[command(after_help = "Example: kouan ca request --family shangmi --name gd-2 \
        --host gd-2.example.cn --out tls/shangmi-2")]
    Request(Request),
    /// Certify the key of a request, after a look at who asks and for which names.
    #[command(
        after_help = "Example: kouan ca issue --dir authority --request shangmi-2.csr.pem \
        --out shangmi-2.cert.pem"
    )]
    Issue(Issue),
    /// Put a certificate and the key of its request into one file, as the configuration names it.
    #[command(after_help = "Example: kouan ca join --key tls/shangmi-2.key.pem \
        --certificate shangmi-2.cert.pem --roots tls/roots.pem --out tls/shangmi-2.pem")]
    Join(Join),
    /// Take certificates back, and sign the lists anew that say so.
    #[command(after_help = "Example: kouan ca revoke --dir authority shangmi-1.cert.pem")]
    Revoke(Revoke),
}

/// New authorities.
#[derive(Debug, clap::Args)]
pub struct Init {
    /// A new directory.
    #[arg(long)]
    dir: PathBuf,
    /// Language of what is printed; from LANG when absent.
    #[arg(long, value_enum)]
    lang: Option<Language>,
}

/// A new key.
#[derive(Debug, clap::Args)]
pub struct Request {
    /// shangmi for an SM2 key, standard for P-256.
    #[arg(long, value_parser = parse_family)]
    family: Family,
    /// Identifier of the node.
    #[arg(long)]
    name: String,
    /// Names or addresses under which others call the node.
    #[arg(long = "host", required = true)]
    hosts: Vec<String>,
    /// Path without ending: .key.pem and .csr.pem are written.
    #[arg(long)]
    out: PathBuf,
    /// Language of what is printed; from LANG when absent.
    #[arg(long, value_enum)]
    lang: Option<Language>,
}

/// A new certificate.
#[derive(Debug, clap::Args)]
pub struct Issue {
    /// The authorities' directory.
    #[arg(long)]
    dir: PathBuf,
    /// The request, in PEM.
    #[arg(long, value_name = "FILE")]
    request: PathBuf,
    /// Where the certificate goes.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Its life in days.
    #[arg(long, default_value_t = TLS_DAYS, value_parser = clap::value_parser!(u32).range(1..=825))]
    days: u32,
    /// Language of what is printed; from LANG when absent.
    #[arg(long, value_enum)]
    lang: Option<Language>,
}

/// Key and certificate in one.
#[derive(Debug, clap::Args)]
pub struct Join {
    /// The key that the request was made with.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// What the authority answered; with the certificates between it and the root, if any.
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    /// The authorities' certificates, to see that others will accept it.
    #[arg(long, value_name = "FILE")]
    roots: PathBuf,
    /// Where both go.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Language of what is printed; from LANG when absent.
    #[arg(long, value_enum)]
    lang: Option<Language>,
}

/// Certificates that end before their time.
#[derive(Debug, clap::Args)]
pub struct Revoke {
    /// The authorities' directory.
    #[arg(long)]
    dir: PathBuf,
    /// The certificates, in PEM; none renews the lists alone.
    #[arg(value_name = "FILE")]
    certificates: Vec<PathBuf>,
    /// Days until the next lists: an authority whose list is overdue is not believed any more.
    #[arg(long, default_value_t = 30, value_parser = list_days())]
    days: u32,
    /// Language of what is printed; from LANG when absent.
    #[arg(long, value_enum)]
    lang: Option<Language>,
}

fn list_days() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=i64::from(LIST_DAYS_MAX))
}

fn parse_family(text: &str) -> Result<Family, String> {
    [Family::ShangMi, Family::Standard]
        .into_iter()
        .find(|family| family.to_string() == text)
        .ok_or_else(|| "write shangmi or standard".to_owned())
}

/// Does what was typed.
///
/// # Errors
/// [`Error::File`] naming the file that cannot be read or exists already, [`Error::Crypto`].
pub fn run(command: &Command, now: Timestamp) -> Result<(), Error> {
    match command {
        Command::Init(it) => init(it, now),
        Command::Request(it) => request(it),
        Command::Issue(it) => issue(it, now),
        Command::Join(it) => join(it, now),
        Command::Revoke(it) => revoke(it, now),
    }
}

fn init(it: &Init, now: Timestamp) -> Result<(), Error> {
    TransportAuthorities::create(&it.dir, now)?;
    say(it.lang, "ca-made", &[("dir", shown(&it.dir))]);
    Ok(())
}

fn request(it: &Request) -> Result<(), Error> {
    let hosts: Vec<&str> = it.hosts.iter().map(String::as_str).collect();
    let made = TlsRequest::create(it.family, &it.name, &hosts)?;
    let (key, request) = (beside(&it.out, ".key.pem"), beside(&it.out, ".csr.pem"));
    made.write_new_key(&key)?;
    write_new(&request, made.request_pem().as_bytes())?;
    let applicant = TlsApplicant::from_pem(made.request_pem())?;
    let words = [
        ("key", shown(&key)),
        ("request", shown(&request)),
        ("digest", applicant.spki_digest().to_string()),
    ];
    say(it.lang, "ca-requested", &words);
    Ok(())
}

fn issue(it: &Issue, now: Timestamp) -> Result<(), Error> {
    let applicant = TlsApplicant::from_pem(&read_text("certificate request", &it.request)?)
        .map_err(|error| named("certificate request", &it.request, &error))?;
    let authorities = TransportAuthorities::open(&it.dir)?;
    let certificate = authorities.certify(&applicant, it.days, now)?;
    write_new(&it.out, certificate.as_bytes())?;
    let words = [
        ("name", applicant.name().to_owned()),
        ("hosts", applicant.alternative_names().join(", ")),
        ("digest", applicant.spki_digest().to_string()),
        ("family", applicant.family().to_string()),
        ("days", it.days.to_string()),
        ("path", shown(&it.out)),
    ];
    say(it.lang, "ca-issued", &words);
    Ok(())
}

fn join(it: &Join, now: Timestamp) -> Result<(), Error> {
    let certificate = read_text("certificate", &it.certificate)?;
    let key = crypto::Zeroizing::new(read_text("key", &it.key)?);
    let identity = crypto::tls::TlsIdentity::join(&certificate, &key)
        .map_err(|error| named("certificate", &it.certificate, &error))?;
    let roots = crypto::tls::TlsRoots::from_pem(&read_text("TLS roots", &it.roots)?)
        .map_err(|error| named("TLS roots", &it.roots, &error))?;
    roots
        .check(&identity, now.millis())
        .map_err(|error| named("certificate", &it.certificate, &error))?;
    identity.write_new(&it.out)?;
    let words = [
        ("path", shown(&it.out)),
        ("digest", identity.spki_digest().to_string()),
    ];
    say(it.lang, "ca-joined", &words);
    Ok(())
}

fn revoke(it: &Revoke, now: Timestamp) -> Result<(), Error> {
    let authorities = TransportAuthorities::open(&it.dir)?;
    let mut texts = Vec::new();
    for path in &it.certificates {
        texts.push((path.as_path(), read_text("certificate", path)?));
    }
    let (list, count) = authorities.revoke(&it.dir, &texts, it.days, now)?;
    let words = [
        ("path", shown(&list)),
        ("count", count.to_string()),
        ("days", it.days.to_string()),
    ];
    say(it.lang, "ca-revoked", &words);
    Ok(())
}

fn say(language: Option<Language>, key: &str, words: &[(&str, String)]) {
    let messages = Messages::new(language.unwrap_or_else(Language::of_environment));
    println!("{}", messages.say(key, words));
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// `path` with an ending after its whole name.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn named(what: &'static str, path: &Path, error: &crypto::Error) -> Error {
    Error::File {
        what,
        path: path.to_owned(),
        why: error.to_string(),
    }
}
