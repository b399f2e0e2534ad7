//! The directory of a node that comes in by invitation: keys first, then the answer.
//!
//! It does not speak to anybody. Keys are made once; whoever is interrupted before the answer goes
//! on with the same ones, so that an invitation is used for one application.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use admin::enrolment::{Application, Welcome};
use crypto::tls::{Family, Suites, TlsApplicant, TlsIdentity, TlsRequest, TlsRoots};
use crypto::{Digest, Zeroizing};

use super::authorities::stem;
use super::whole::{check_empty, first_absent, take_back, write_record};
use super::{CONFIG, Names, Plan, make_dir, make_keys, write_config, write_new};
use crate::Error;
use crate::settings::read_text;

/// The application, until it is answered.
const JOINING: &str = "joining.json";

/// What is to be sent, and from where.
#[derive(Debug)]
pub(crate) struct Joining {
    dir: PathBuf,
    pub(crate) application: Application,
}

/// Goes on where an earlier try ended, if it made its keys.
///
/// # Errors
/// [`Error::File`] when what it left cannot be read, or was made for another plan.
pub(crate) fn resume(dir: &Path, plan: &Plan) -> Result<Option<Joining>, Error> {
    let path = dir.join(JOINING);
    if !path.exists() {
        return Ok(None);
    }
    let wrong = |why: String| Error::File {
        what: "application",
        path: path.clone(),
        why,
    };
    let application: Application = serde_json::from_str(&read_text("application", &path)?)
        .map_err(|error| wrong(error.to_string()))?;
    let node = &application.node;
    let same = node.id.as_str() == plan.node
        && application.participant.id.as_str() == plan.participant
        && application.participant.name == plan.name
        && node.raft_address == super::called(plan, plan.listen.catalog);
    if !same {
        return Err(wrong(
            "it was begun with other names or addresses; begin anew in an empty directory"
                .to_owned(),
        ));
    }
    let dir = dir.to_owned();
    Ok(Some(Joining { dir, application }))
}

/// Makes the directory with every key, and the application.
///
/// # Errors
/// [`Error::Argument`] for identifiers without the right form, [`Error::File`] when the directory
/// holds anything or cannot be written; then nothing is left behind. [`Error::Crypto`].
pub(crate) fn begin(dir: &Path, plan: &Plan) -> Result<Joining, Error> {
    let names = Names::of(plan)?;
    check_empty(dir)?;
    let absent = first_absent(dir);
    let made = make(dir, plan, &names);
    if made.is_err() {
        take_back(dir, absent.as_deref());
    }
    made
}

fn make(dir: &Path, plan: &Plan, names: &Names) -> Result<Joining, Error> {
    for sub in ["", "keys", "persons", "tls"] {
        make_dir(&dir.join(sub))?;
    }
    let hosts: Vec<&str> = plan.hosts.iter().map(String::as_str).collect();
    let mut requests = Vec::new();
    let mut bound = BTreeSet::new();
    for family in families(plan.suites) {
        let request = TlsRequest::create(family, &plan.node, &hosts)?;
        request.write_new_key(key_file(dir, family))?;
        let key = TlsApplicant::from_pem(request.request_pem())?.spki_digest();
        if is_bound(plan.suites, family) {
            bound.insert(key);
        }
        requests.push(request.request_pem().to_owned());
    }
    let prepared = make_keys(dir, plan, names, bound)?;
    let application = Application {
        participant: prepared.participant,
        node: prepared.node,
        persons: prepared.persons.into_iter().map(|it| it.record).collect(),
        requests,
    };
    write_record(&dir.join(JOINING), &application)?;
    Ok(Joining {
        dir: dir.to_owned(),
        application,
    })
}

/// Takes the answer in: certificates that fit the keys and that others will accept, the number,
/// the configuration, the records. Returns the configuration file.
///
/// # Errors
/// [`Error::Enrolment`] when the answer is not for this application, [`Error::File`].
pub(crate) fn finish(
    joining: &Joining,
    plan: &Plan,
    (welcome, roots_pem): (&Welcome, &str),
) -> Result<PathBuf, Error> {
    let dir = &joining.dir;
    let wrong = |why: String| Error::Enrolment {
        at: "the authority".to_owned(),
        why,
    };
    let roots = TlsRoots::from_pem(roots_pem)?;
    let families = families(plan.suites);
    if welcome.certificates.len() != families.len() || welcome.raft_number == 0 {
        return Err(wrong("its answer is not for this application".to_owned()));
    }
    for (family, certificate) in families.into_iter().zip(&welcome.certificates) {
        let key = Zeroizing::new(read_text("key", &key_file(dir, family))?);
        let identity = TlsIdentity::join(certificate, &key)?;
        roots.check(&identity, plan.now.millis())?;
        let path = dir.join("tls").join(format!("{}.pem", stem(family)));
        remove_if_there(&path)?;
        identity.write_new(&path)?;
    }
    let mut plan = plan.clone();
    plan.raft_number = welcome.raft_number;
    let config = dir.join(CONFIG);
    let roots_file = dir.join("tls/roots.pem");
    remove_if_there(&roots_file)?;
    write_new(&roots_file, roots_pem.as_bytes())?;
    remove_if_there(&config)?;
    write_config(&config, &plan)?;
    // From here on it is a node's directory.
    for family in self::families(plan.suites) {
        remove_if_there(&key_file(dir, family))?;
    }
    remove_if_there(&dir.join(JOINING))?;
    Ok(config)
}

impl Joining {
    /// The check of the application with the number that it was given, as this side computes it.
    ///
    /// # Errors
    /// [`Error::Record`] when it has no canonical form.
    pub(crate) fn check(&self, raft_number: u64) -> Result<String, Error> {
        let mut application = self.application.clone();
        application.node.raft_number = raft_number;
        let digest: Digest = schemas::canonical::digest(&application)?;
        Ok(crate::enrolment::check_of(&digest))
    }
}

fn remove_if_there(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::File {
            what: "file",
            path: path.to_owned(),
            why: e.to_string(),
        }),
        _ => Ok(()),
    }
}

/// In the order of the requests: SM2 where nodes speak it, and P-256 for people's programs.
fn families(suites: Suites) -> Vec<Family> {
    match suites {
        Suites::ShangMiOnly | Suites::ShangMiPreferred => vec![Family::ShangMi, Family::Standard],
        Suites::Standard => vec![Family::Standard],
    }
}

/// Whether other nodes may see a key of that family.
const fn is_bound(suites: Suites, family: Family) -> bool {
    matches!(family, Family::ShangMi) || !matches!(suites, Suites::ShangMiOnly)
}

fn key_file(dir: &Path, family: Family) -> PathBuf {
    dir.join("tls").join(format!("{}.key.pem", stem(family)))
}
