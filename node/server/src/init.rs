//! Makes a node's directory: keys, transport identity, first persons, configuration, and the
//! records that put them into the catalog.
//!
//! It does not start anything and overwrites nothing. Passphrases are random and stand in files of
//! mode 0600 beside what they open: moving them elsewhere is the operator's first task, and the
//! program says so.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crypto::keys::KeyFile;
use crypto::tls::Suites;
use crypto::{Digest, SecretKey, Zeroizing};
use schemas::command::{Author, Command, PersonSignature, Proposal, SignedProposal};
use schemas::participant::{
    DepartmentApproval, KeyCustody, Node, Participant, ParticipantKind, Person, Role,
};
use schemas::{
    CommandId, Jurisdiction, LocalText, NodeId, ParticipantId, PersonId, Timestamp, Visibility,
};

use crate::config::{
    AdminSection, CatalogSection, Config, DataPlaneSection, LedgerSection, NodeSection,
    OperationsSection, ParticipantSection, Span, TlsSection,
};
use crate::{Error, Listen};

mod authorities;
mod joining;
mod whole;

pub use authorities::{REVOCATIONS, ROOTS, TransportAuthorities};
pub(crate) use authorities::{TLS_DAYS, replace};
pub(crate) use joining::{Joining, begin, finish, resume};
pub use whole::create;

/// PBKDF2 rounds for key files whose passphrase is 256 random bits: nobody guesses those, so
/// rounds would only slow the start.
const ROUNDS: u32 = crypto::keys::KEY_FILE_ITERATIONS_MIN;
/// How long the first persons may act, in milliseconds: a year, then roles are reviewed.
const PERSON_LIFE_MS: i64 = 365 * 24 * 3_600 * 1_000;

/// What a new node is to be.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The node's identifier.
    pub node: String,
    /// Its number in Raft.
    pub raft_number: u64,
    /// The participant that it acts for.
    pub participant: String,
    /// The participant's name.
    pub name: LocalText,
    /// What the participant is in law.
    pub kind: ParticipantKind,
    /// Its place.
    pub jurisdiction: Jurisdiction,
    /// Where it listens.
    pub listen: Listen,
    /// Names and addresses in its transport certificates.
    pub hosts: Vec<String>,
    /// What TLS it speaks with other nodes. People's programs may use standard TLS in any case.
    pub suites: Suites,
    /// Who acts for the participant first.
    pub staff: Staff,
    /// Time now.
    pub now: Timestamp,
}

/// Who acts for a new participant first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Staff {
    /// One person a role: system, security and audit administration are three people, and so are
    /// the two who work with data.
    OneEach,
    /// As well, a second data steward. An authority that provides data itself needs her: what one
    /// of its stewards submits, another one approves.
    TwoStewards,
}

impl Staff {
    /// The last part of each person's identifier, and her role.
    fn members(self) -> Vec<(String, Role)> {
        let mut members: Vec<_> = Role::ALL.iter().map(|it| (it.to_string(), *it)).collect();
        if self == Self::TwoStewards {
            members.push((format!("{}-2", Role::DataSteward), Role::DataSteward));
        }
        members
    }

    /// Where one person is each role, who writes a catalog record also approves it; the authority
    /// sees that when it registers the participant.
    fn department_approval(self) -> Option<DepartmentApproval> {
        (self == Self::OneEach).then_some(DepartmentApproval::SamePerson)
    }
}

/// The identifiers of a plan, parsed before anything is written.
struct Names {
    participant: ParticipantId,
    node: NodeId,
    persons: Vec<(String, Role, PersonId)>,
}

impl Names {
    fn of(plan: &Plan) -> Result<Self, Error> {
        let wrong = |flag: &'static str| {
            move |e: schemas::Error| Error::Argument {
                flag,
                why: e.to_string(),
            }
        };
        let participant = ParticipantId::parse(&*plan.participant).map_err(wrong("participant"))?;
        let persons = plan.staff.members().into_iter().map(|(name, role)| {
            let id = PersonId::parse(format!("{participant}.{name}"));
            Ok((name, role, id.map_err(wrong("participant"))?))
        });
        Ok(Self {
            persons: persons.collect::<Result<_, Error>>()?,
            node: NodeId::parse(&*plan.node).map_err(wrong("node"))?,
            participant,
        })
    }
}

/// A person of a new participant, with the key that she will hold.
pub struct NewPerson {
    /// Her record.
    pub record: Person,
    /// Her key.
    pub key: SecretKey,
    /// Her key file.
    pub key_file: PathBuf,
}

/// A node's directory, ready to start, and the records that register it.
pub struct Prepared {
    /// The directory.
    pub dir: PathBuf,
    /// The configuration file in it.
    pub config: PathBuf,
    /// The participant's record.
    pub participant: Participant,
    /// The node's record.
    pub node: Node,
    /// One person a role.
    pub persons: Vec<NewPerson>,
}

impl Prepared {
    /// The person who has `role`.
    #[must_use]
    pub fn person(&self, role: Role) -> Option<&NewPerson> {
        self.persons
            .iter()
            .find(|it| it.record.roles.contains(&role))
    }
}

/// Makes a node's directory.
///
/// # Errors
/// [`Error::File`] when the directory holds a configuration already or cannot be written;
/// [`Error::Record`] for identifiers without the right form; [`Error::Crypto`].
pub fn prepare(
    dir: &Path,
    plan: &Plan,
    authorities: &TransportAuthorities,
) -> Result<Prepared, Error> {
    let names = Names::of(plan)?;
    let config = dir.join(CONFIG);
    if config.exists() {
        return Err(Error::File {
            what: "configuration",
            path: config,
            why: "it exists; choose an empty directory, nothing is overwritten".to_owned(),
        });
    }
    for sub in ["", "keys", "persons", "tls"] {
        make_dir(&dir.join(sub))?;
    }
    let identities = authorities.issue(plan.suites, &plan.node, &plan.hosts, plan.now)?;
    identities.write_new(&dir.join("tls"))?;
    write_new(
        &dir.join("tls/roots.pem"),
        authorities.roots_pem()?.as_bytes(),
    )?;
    let prepared = make_keys(dir, plan, &names, identities.bound())?;
    write_config(&config, plan)?;
    Ok(prepared)
}

/// Makes every key but those of TLS, and the records that name them.
fn make_keys(
    dir: &Path,
    plan: &Plan,
    names: &Names,
    transport_keys: BTreeSet<Digest>,
) -> Result<Prepared, Error> {
    let node_pass = new_passphrase(&dir.join("keys/passphrase"))?;
    let node_key = new_key(&dir.join("keys/node.key"), &node_pass)?;
    let signing = new_key(&dir.join("keys/signing.key"), &node_pass)?;
    let encryption = new_key(&dir.join("keys/encryption.key"), &node_pass)?;
    let participant = Participant {
        id: names.participant.clone(),
        name: plan.name.clone(),
        uscc: None,
        kind: plan.kind,
        jurisdiction: plan.jurisdiction,
        seat: None,
        ciio: false,
        department_approval: plan.staff.department_approval(),
        signing: signing.public().clone(),
        encryption: encryption.public().clone(),
        ledger_incarnation: 1,
        revision: 0,
    };
    let node = Node {
        id: names.node.clone(),
        operator: participant.id.clone(),
        hosts: BTreeSet::from([participant.id.clone()]),
        raft_number: plan.raft_number,
        raft_address: called(plan, plan.listen.catalog),
        data_address: called(plan, plan.listen.data),
        api_address: called(plan, plan.listen.admin),
        transport_keys,
        signing: node_key.public().clone(),
        revision: 0,
    };
    Ok(Prepared {
        dir: dir.to_owned(),
        config: dir.join(CONFIG),
        participant,
        node,
        persons: new_persons(dir, names, plan.now)?,
    })
}

/// Under which address others call a listener: its own, unless it listens on every address of the
/// machine, which says nothing to others; then the first name of the certificate stands for it.
fn called(plan: &Plan, listener: SocketAddr) -> String {
    match plan.hosts.first() {
        Some(host) if listener.ip().is_unspecified() => format!("{host}:{}", listener.port()),
        _ => listener.to_string(),
    }
}

/// The first persons, each with a key of her own.
fn new_persons(dir: &Path, names: &Names, now: Timestamp) -> Result<Vec<NewPerson>, Error> {
    let passphrase = new_passphrase(&dir.join("persons/passphrase"))?;
    let participant = &names.participant;
    names
        .persons
        .iter()
        .map(|(name, role, id)| {
            let key_file = dir.join("persons").join(format!("{name}.key"));
            let key = new_key(&key_file, &passphrase)?;
            let record = Person {
                id: id.clone(),
                participant: participant.clone(),
                roles: BTreeSet::from([*role]),
                signing: key.public().clone(),
                custody: KeyCustody::Person,
                not_before: now.plus_millis(-60_000),
                not_after: now.plus_millis(PERSON_LIFE_MS),
                visibility: Visibility::Parties(BTreeSet::from([participant.clone()])),
                revision: 0,
            };
            Ok(NewPerson {
                record,
                key,
                key_file,
            })
        })
        .collect()
}

/// The command that founds a federation of one, signed by its first system administrator.
///
/// # Errors
/// [`Error::Record`], [`Error::Crypto`]; [`Error::Demo`] never.
pub fn founding(prepared: &Prepared, now: Timestamp) -> Result<SignedProposal, Error> {
    let command = Command::Found {
        authority: Box::new(prepared.participant.clone()),
        node: Box::new(prepared.node.clone()),
        persons: prepared
            .persons
            .iter()
            .map(|it| it.record.clone())
            .collect(),
    };
    let administrator = prepared
        .person(Role::SystemAdministrator)
        .ok_or(Error::File {
            what: "persons",
            path: prepared.dir.join("persons"),
            why: "no system administrator".to_owned(),
        })?;
    sign(&administrator.record, &administrator.key, command, now)
}

/// A person's signed proposal.
///
/// # Errors
/// [`Error::Record`] when the command has no canonical form, [`Error::Crypto`].
pub fn sign(
    person: &Person,
    key: &SecretKey,
    command: Command,
    now: Timestamp,
) -> Result<SignedProposal, Error> {
    let id: [u8; 16] = crypto::random_bytes()?;
    let name: String = id.iter().map(|b| format!("{b:02x}")).collect();
    let proposal = Proposal {
        id: CommandId::parse(format!("c-{name}"))?,
        author: Author::Person {
            participant: person.participant.clone(),
            person: person.id.clone(),
        },
        at: now,
        command,
    };
    let bytes = SignedProposal::signed_bytes(&proposal)?;
    let signature = key.sign(SignedProposal::LABEL, &bytes)?;
    let key = key.public().key_id();
    Ok(SignedProposal {
        proposal,
        signature: Some(PersonSignature { key, signature }),
    })
}

fn write_config(path: &Path, plan: &Plan) -> Result<(), Error> {
    let section = |name: &str| PathBuf::from("keys").join(name);
    // Where people's programs call too.
    let both = match plan.suites {
        Suites::ShangMiOnly | Suites::ShangMiPreferred => Suites::ShangMiPreferred,
        Suites::Standard => Suites::Standard,
    };
    let config = Config {
        node: NodeSection {
            id: plan.node.clone(),
            dir: PathBuf::from("."),
            signing_key: section("node.key"),
            passphrase_file: section("passphrase"),
            log: crate::config::default_log(),
        },
        participants: vec![ParticipantSection {
            id: plan.participant.clone(),
            signing_key: Some(section("signing.key")),
            encryption_key: Some(section("encryption.key")),
            ledger_incarnation: 1,
            device: None,
        }],
        tls: TlsSection {
            shangmi: (plan.suites != Suites::Standard).then(|| PathBuf::from("tls/shangmi.pem")),
            standard: Some(PathBuf::from("tls/standard.pem")),
            roots: PathBuf::from("tls/roots.pem"),
            revocations: None,
            peers: plan.suites,
        },
        catalog: CatalogSection {
            listen: plan.listen.catalog.to_string(),
            suites: plan.suites,
            raft_number: plan.raft_number,
            ..CatalogSection::default()
        },
        data_plane: DataPlaneSection {
            listen: plan.listen.data.to_string(),
            suites: both,
        },
        admin: AdminSection {
            listen: plan.listen.admin.to_string(),
            suites: both,
        },
        operations: OperationsSection {
            listen: plan.listen.operations.to_string(),
            suites: both,
        },
        ledger: LedgerSection {
            checkpoint_every: Span(10_000),
        },
        enrolment: None,
    };
    let text = toml::to_string_pretty(&config).map_err(|e| Error::Config {
        path: path.to_owned(),
        why: e.to_string(),
    })?;
    let text =
        format!("# Written by kouan init; every setting is explained in deploy/config.\n{text}");
    write_new(path, text.as_bytes())
}

/// Makes a random passphrase of 256 bits in a file that only its owner reads.
fn new_passphrase(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let bytes = Zeroizing::new(crypto::random_bytes::<32>()?);
    let text: Zeroizing<String> =
        Zeroizing::new(bytes.iter().map(|b| format!("{b:02x}")).collect());
    write_new(path, text.as_bytes())?;
    Ok(Zeroizing::new(text.as_bytes().to_vec()))
}

fn new_key(path: &Path, passphrase: &[u8]) -> Result<SecretKey, Error> {
    let key = SecretKey::generate()?;
    KeyFile::seal(&key, passphrase, ROUNDS)?.write_new(path)?;
    Ok(key)
}

pub(crate) fn make_dir(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|e| Error::File {
            what: "directory",
            path: path.to_owned(),
            why: e.to_string(),
        })
}

/// Writes a new file of mode 0600 and has it on disk before it returns.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let wrong = |e: std::io::Error| Error::File {
        what: "new file",
        path: path.to_owned(),
        why: e.to_string(),
    };
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(wrong)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(wrong)
}

/// Name of the configuration file.
const CONFIG: &str = "kouan.toml";

/// Name of the file that holds the signed founding command until it is applied.
const FOUNDING: &str = "founding.json";

/// Writes the founding command beside the configuration; `serve` applies it once.
///
/// # Errors
/// As [`founding`], and [`Error::File`].
pub fn write_founding(prepared: &Prepared, now: Timestamp) -> Result<(), Error> {
    let signed = founding(prepared, now)?;
    let bytes = schemas::canonical::to_bytes(&signed)?;
    write_new(&prepared.dir.join(FOUNDING), &bytes)
}

/// Reads the founding command of a directory that [`write_founding`] wrote to.
///
/// # Errors
/// [`Error::File`] when it cannot be read, [`Error::Record`] when it is not one.
pub fn read_founding(dir: &Path) -> Result<Option<SignedProposal>, Error> {
    let path = dir.join(FOUNDING);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(Some(schemas::canonical::from_bytes(&bytes)?)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::File {
            what: "founding command",
            path,
            why: e.to_string(),
        }),
    }
}
