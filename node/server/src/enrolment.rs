//! The authority's desk for new nodes: invitations, and what came of them.
//!
//! It does not register anybody: it certifies transport keys and gives a number, once for each
//! invitation, and keeps what it answered. The authority's system administrator reads it, compares
//! the check with the other side and signs the records.
//!
//! ```text
//!   kouan invite --> ID.json, and an invitation file that goes to the other side
//!   kouan join   --> application  --> checked, certified, kept in ID.json --> welcome
//!   kouanctl participant admit ID --> her signatures in the catalog
//! ```

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use admin::enrolment::{Application, Apply, Enrol, EnrolError, Enrolment, PERSONS_MAX, Welcome};
use crypto::Digest;
use crypto::tls::{Family, Suites, TlsApplicant};
use schemas::{Jurisdiction, NodeId, ParticipantId, Timestamp, canonical};
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::init::{TLS_DAYS, TransportAuthorities, replace, write_new};

/// Folder of invitations in a node's directory.
pub(crate) const FOLDER: &str = "enrolment";

/// Invitations of one node that are kept; old ones are removed by hand.
const INVITATIONS_MAX: usize = 256;

/// Wrong secrets until an invitation is worth nothing: whoever has the file has the secret.
const TRIES_MAX: u32 = 10;

/// Largest file of an invitation in bytes: an application with 16 persons and its answer.
const KEPT_BYTES_MAX: u64 = 1 << 20;

/// What goes to the other side, in a file, by a way that both trust: its secret lets one node in,
/// and its roots say whom that node will trust.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Invitation {
    /// Form of the file; 1.
    pub(crate) kouan_invitation: u32,
    /// Its name: 16 hexadecimal digits.
    pub(crate) id: String,
    /// 64 hexadecimal digits.
    pub(crate) secret: String,
    /// The node that it is for.
    pub(crate) node: NodeId,
    /// For whom that node acts.
    pub(crate) participant: ParticipantId,
    /// First instant at which it is worth nothing.
    pub(crate) until: Timestamp,
    /// Where to apply: host and port of the authority's REST listener.
    pub(crate) api: String,
    /// TLS between the federation's nodes.
    pub(crate) suites: Suites,
    /// Certificates of the federation's transport authorities, in PEM.
    pub(crate) roots: String,
}

impl Invitation {
    /// The form that this program reads.
    pub(crate) const FORM: u32 = 1;
}

/// An invitation as its maker keeps it: without the secret.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    node: NodeId,
    participant: ParticipantId,
    until: Timestamp,
    /// SM3 of the secret; 256 random bits need no slower hash.
    secret: Digest,
    wrong_secrets: u32,
    answered: Option<Answered>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answered {
    /// SM3 of the application as it came.
    application: Digest,
    enrolment: Enrolment,
    welcome: Welcome,
}

/// Makes an invitation in a node's directory and returns what goes to the other side.
///
/// # Errors
/// [`Error::File`] when too many are kept or it cannot be written, [`Error::Crypto`].
pub(crate) fn invite(dir: &Path, of: Invitation) -> Result<Invitation, Error> {
    let folder = dir.join(FOLDER);
    crate::init::make_dir(&folder)?;
    let kept = std::fs::read_dir(&folder).map_or(0, Iterator::count);
    if kept >= INVITATIONS_MAX {
        return Err(Error::File {
            what: "invitations",
            path: folder,
            why: format!("{kept} are kept, the limit is {INVITATIONS_MAX}; remove old ones"),
        });
    }
    let text = serde_json::to_vec_pretty(&Kept {
        node: of.node.clone(),
        participant: of.participant.clone(),
        until: of.until,
        secret: Digest::of(of.secret.as_bytes()),
        wrong_secrets: 0,
        answered: None,
    });
    let path = folder.join(format!("{}.json", of.id));
    let text = text.map_err(|e| Error::File {
        what: "invitation",
        path: path.clone(),
        why: e.to_string(),
    })?;
    write_new(&path, &text)?;
    Ok(of)
}

/// A new name and a new secret.
///
/// # Errors
/// [`Error::Crypto`] without random bytes.
pub(crate) fn fresh() -> Result<(String, String), Error> {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    Ok((
        hex(&crypto::random_bytes::<8>()?),
        hex(&crypto::random_bytes::<32>()?),
    ))
}

/// Answers applications, one at a time.
pub(crate) struct Desk {
    folder: PathBuf,
    authorities: TransportAuthorities,
    turn: Mutex<()>,
}

impl Desk {
    /// Opens the desk of a node whose authorities' keys are in `authority`.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Crypto`]: the authorities cannot be read.
    pub(crate) fn open(dir: &Path, authority: &Path) -> Result<Self, Error> {
        Ok(Self {
            folder: dir.join(FOLDER),
            authorities: TransportAuthorities::open(authority)?,
            turn: Mutex::default(),
        })
    }

    fn path(&self, id: &str) -> Option<PathBuf> {
        // A name is a file's name: nothing else may get into a path.
        let plain = id.len() == 16 && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        plain.then(|| self.folder.join(format!("{id}.json")))
    }

    fn read(path: &Path) -> Result<Option<Kept>, EnrolError> {
        let length = match std::fs::metadata(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(failed(path, &e)),
            Ok(found) => found.len(),
        };
        if length > KEPT_BYTES_MAX {
            return Err(failed(path, &"it is too large"));
        }
        let bytes = std::fs::read(path).map_err(|e| failed(path, &e))?;
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| failed(path, &e))
    }

    fn write(path: &Path, kept: &Kept) -> Result<(), EnrolError> {
        let text = serde_json::to_vec_pretty(kept).map_err(|e| failed(path, &e))?;
        replace(path, &text).map_err(|e| failed(path, &e))
    }

    /// Every kept invitation, by name.
    fn all(&self) -> Result<Vec<(String, Kept)>, EnrolError> {
        let mut all = Vec::new();
        let entries = match std::fs::read_dir(&self.folder) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(all),
            Err(e) => return Err(failed(&self.folder, &e)),
            Ok(entries) => entries,
        };
        for entry in entries.take(INVITATIONS_MAX * 2) {
            let entry = entry.map_err(|e| failed(&self.folder, &e))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(path) = name.strip_suffix(".json").and_then(|id| self.path(id)) else {
                continue;
            };
            if let Some(kept) = Self::read(&path)? {
                let id = name.trim_end_matches(".json").to_owned();
                all.push((id, kept));
            }
        }
        all.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(all)
    }

    fn welcome(
        &self,
        application: &Application,
        raft_number: u64,
        now: Timestamp,
    ) -> Result<Welcome, EnrolError> {
        let mut certificates = Vec::new();
        for request in &application.requests {
            let applicant = TlsApplicant::from_pem(request).map_err(unfit)?;
            let certificate = self.authorities.certify(&applicant, TLS_DAYS, now);
            certificates.push(certificate.map_err(unfit)?);
        }
        let digest = canonical::digest(application).map_err(unfit)?;
        Ok(Welcome {
            certificates,
            raft_number,
            check: check_of(&digest),
            now,
        })
    }
}

impl Enrol for Desk {
    fn apply(
        &self,
        apply: &Apply,
        numbers: &BTreeSet<u64>,
        now: Timestamp,
    ) -> Result<Welcome, EnrolError> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.path(&apply.invitation).ok_or(EnrolError::NotInvited)?;
        let mut kept = Self::read(&path)?.ok_or(EnrolError::NotInvited)?;
        if kept.wrong_secrets >= TRIES_MAX {
            return Err(EnrolError::NotInvited);
        }
        if Digest::of(apply.secret.as_bytes()) != kept.secret {
            kept.wrong_secrets += 1;
            Self::write(&path, &kept)?;
            return Err(EnrolError::NotInvited);
        }
        let came = canonical::digest(&apply.application).map_err(unfit)?;
        if let Some(answered) = kept.answered {
            return if answered.application == came {
                Ok(answered.welcome)
            } else {
                Err(EnrolError::Used)
            };
        }
        if now >= kept.until {
            return Err(EnrolError::Expired { until: kept.until });
        }
        check(&apply.application, &kept.node, &kept.participant)
            .map_err(|why| EnrolError::Unfit { why })?;
        let given = self.all()?.into_iter().filter_map(|(_, it)| it.answered);
        let given = given.map(|it| it.welcome.raft_number);
        let highest = numbers.iter().copied().chain(given).max().unwrap_or(0);
        let mut application = apply.application.clone();
        application.node.raft_number = highest.saturating_add(1);
        let welcome = self.welcome(&application, application.node.raft_number, now)?;
        kept.answered = Some(Answered {
            application: came,
            enrolment: Enrolment {
                id: apply.invitation.clone(),
                node: kept.node.clone(),
                participant: kept.participant.clone(),
                applied_at: now,
                check: welcome.check.clone(),
                application,
            },
            welcome: welcome.clone(),
        });
        Self::write(&path, &kept)?;
        Ok(welcome)
    }

    fn answered(&self) -> Result<Vec<Enrolment>, EnrolError> {
        let all = self.all()?.into_iter();
        Ok(all
            .filter_map(|(_, kept)| kept.answered)
            .map(|it| it.enrolment)
            .collect())
    }
}

/// What both sides compare: long enough that nobody finds another application with the same in
/// the days that an invitation lives, and short enough to be read over a telephone.
pub(crate) fn check_of(digest: &Digest) -> String {
    let text = digest.to_string();
    let groups: Vec<&str> = (0..4).map(|at| &text[at * 4..at * 4 + 4]).collect();
    groups.join("-")
}

/// Whether an application is what the invitation is for, and does not contradict itself.
fn check(it: &Application, node: &NodeId, participant: &ParticipantId) -> Result<(), String> {
    let same = |what: &str, found: &dyn std::fmt::Display, wanted: &dyn std::fmt::Display| {
        let (found, wanted) = (found.to_string(), wanted.to_string());
        if found == wanted {
            Ok(())
        } else {
            Err(format!("{what} is {found}, the invitation is for {wanted}"))
        }
    };
    same("the node", &it.node.id, node)?;
    same("the participant", &it.participant.id, participant)?;
    same("the node's operator", &it.node.operator, participant)?;
    if it.node.hosts != BTreeSet::from([participant.clone()]) {
        return Err("a new node acts for the invited participant and no other".to_owned());
    }
    if it.node.raft_number != 0 || it.node.revision != 0 || it.participant.revision != 0 {
        return Err("Raft number and revisions of a new node are 0".to_owned());
    }
    if it.participant.jurisdiction != Jurisdiction::MAINLAND {
        return Err(
            "participants outside the mainland run no voter; a provider's node serves \
                    them"
                .to_owned(),
        );
    }
    check_persons(it)?;
    check_keys(it)?;
    check_requests(it)
}

fn check_persons(it: &Application) -> Result<(), String> {
    if it.persons.is_empty() || it.persons.len() > PERSONS_MAX {
        return Err(format!("1 to {PERSONS_MAX} persons come with a node"));
    }
    let mut ids = BTreeSet::new();
    for person in &it.persons {
        if person.participant != it.participant.id || person.revision != 0 {
            return Err(format!(
                "{} is not a new person of this participant",
                person.id
            ));
        }
        person.check_roles().map_err(|error| error.to_string())?;
        if !ids.insert(&person.id) {
            return Err(format!("{} stands twice", person.id));
        }
    }
    Ok(())
}

fn check_keys(it: &Application) -> Result<(), String> {
    let mut keys = BTreeSet::new();
    let of_persons = it.persons.iter().map(|it| &it.signing);
    let all = [
        &it.participant.signing,
        &it.participant.encryption,
        &it.node.signing,
    ];
    for key in all.into_iter().chain(of_persons) {
        if !keys.insert(key.key_id()) {
            return Err("each key is used for one thing; one stands twice".to_owned());
        }
    }
    Ok(())
}

/// The requests are for this node, and the addresses of its record are among their names:
/// otherwise nobody who calls would accept the certificate.
fn check_requests(it: &Application) -> Result<(), String> {
    let mut families: Vec<Family> = Vec::new();
    let mut digests = BTreeSet::new();
    for request in it.requests.iter().take(REQUESTS_MAX + 1) {
        let applicant = TlsApplicant::from_pem(request).map_err(|error| error.to_string())?;
        if applicant.name() != it.node.id.as_str() {
            return Err(format!("a request is for {}", applicant.name()));
        }
        if families.contains(&applicant.family()) || families.len() >= REQUESTS_MAX {
            return Err("one request a family of TLS".to_owned());
        }
        for address in [
            &it.node.raft_address,
            &it.node.data_address,
            &it.node.api_address,
        ] {
            let host = address
                .rsplit_once(':')
                .map_or(&**address, |(host, _)| host);
            let host = host.trim_start_matches('[').trim_end_matches(']');
            if !applicant.alternative_names().iter().any(|it| it == host) {
                return Err(format!("{address}: {host} is not a name in the request"));
            }
        }
        families.push(applicant.family());
        digests.insert(applicant.spki_digest());
    }
    if it.node.transport_keys.is_empty() || !it.node.transport_keys.is_subset(&digests) {
        return Err("transport_keys of the node's record are not those of the requests".to_owned());
    }
    Ok(())
}

/// One a family.
const REQUESTS_MAX: usize = 2;

fn unfit(error: impl std::fmt::Display) -> EnrolError {
    EnrolError::Unfit {
        why: error.to_string(),
    }
}

fn failed(path: &Path, error: &dyn std::fmt::Display) -> EnrolError {
    EnrolError::Failed {
        why: format!("{}: {error}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use schemas::LocalText;
    use schemas::participant::ParticipantKind;

    use super::*;
    use crate::Listen;
    use crate::init::{self, Joining, Plan, Staff};

    fn at() -> Timestamp {
        Timestamp::from_millis(1_790_000_000_000)
    }

    fn plan() -> Plan {
        let any = std::net::SocketAddr::from(([127, 0, 0, 1], 7401));
        Plan {
            node: "sz-1".to_owned(),
            raft_number: 0,
            participant: "gd.shenzhen".to_owned(),
            name: LocalText::new("深圳", "Shenzhen"),
            kind: ParticipantKind::StateOrgan,
            jurisdiction: Jurisdiction::MAINLAND,
            listen: Listen {
                catalog: any,
                data: any,
                admin: any,
                operations: any,
            },
            hosts: vec!["127.0.0.1".to_owned()],
            suites: Suites::ShangMiOnly,
            staff: Staff::OneEach,
            now: at(),
        }
    }

    /// A desk with one invitation, its secret, and an application for it.
    fn desk(dir: &Path) -> (Desk, Invitation, Joining) {
        let authority = dir.join("authority");
        TransportAuthorities::create(&authority, at()).unwrap();
        let (id, secret) = fresh().unwrap();
        let invitation = Invitation {
            kouan_invitation: Invitation::FORM,
            id,
            secret,
            node: NodeId::parse("sz-1").unwrap(),
            participant: ParticipantId::parse("gd.shenzhen").unwrap(),
            until: at().plus_millis(1_000),
            api: "127.0.0.1:1".to_owned(),
            suites: Suites::ShangMiOnly,
            roots: String::new(),
        };
        let invitation = invite(dir, invitation).unwrap();
        let joining = init::begin(&dir.join("new"), &plan()).unwrap();
        (Desk::open(dir, &authority).unwrap(), invitation, joining)
    }

    fn apply(invitation: &Invitation, application: &Application) -> Apply {
        Apply {
            invitation: invitation.id.clone(),
            secret: invitation.secret.clone(),
            application: application.clone(),
        }
    }

    #[tokio::test]
    async fn one_application_is_answered_and_the_same_one_again_alike() {
        let scratch = tempfile::tempdir().unwrap();
        let (desk, invitation, joining) = desk(scratch.path());
        let numbers = BTreeSet::from([0, 1, 4]);
        let first = apply(&invitation, &joining.application);
        let welcome = desk.apply(&first, &numbers, at()).unwrap();
        assert_eq!(welcome.raft_number, 5);
        assert_eq!(welcome.check, joining.check(5).unwrap());
        let later = at().plus_millis(5_000);
        assert_eq!(desk.apply(&first, &numbers, later).unwrap(), welcome);
        let mut other = joining.application.clone();
        other.participant.name = LocalText::new("他", "Other");
        let other = apply(&invitation, &other);
        let again = desk.apply(&other, &numbers, at());
        assert!(matches!(again, Err(EnrolError::Used)), "{again:?}");
        let answered = desk.answered().unwrap();
        assert_eq!(answered.len(), 1);
        assert_eq!(answered[0].application.node.raft_number, 5);
        // What was answered makes a directory that a node starts from.
        let authority = scratch.path().join("authority");
        let roots = std::fs::read_to_string(authority.join(init::ROOTS)).unwrap();
        let config = init::finish(&joining, &plan(), (&welcome, &roots)).unwrap();
        let written = crate::config::Config::read(&config).unwrap();
        let settings = crate::Settings::resolve(&config, written).await.unwrap();
        assert_eq!(settings.catalog.raft_number, 5);
        let shown = settings.tls.certificates();
        let bound = &joining.application.node.transport_keys;
        assert!(
            bound
                .iter()
                .all(|key| shown.iter().any(|it| it.key == *key))
        );
        assert!(
            init::resume(&scratch.path().join("new"), &plan())
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn a_stranger_learns_nothing_and_tries_are_counted() {
        let scratch = tempfile::tempdir().unwrap();
        let (desk, invitation, joining) = desk(scratch.path());
        let none = BTreeSet::new();
        let right = apply(&invitation, &joining.application);
        for name in ["0000000000000000", "../authority/x", "", &"0".repeat(400)] {
            let mut wrong = apply(&invitation, &joining.application);
            name.clone_into(&mut wrong.invitation);
            let answer = desk.apply(&wrong, &none, at());
            assert!(matches!(answer, Err(EnrolError::NotInvited)), "{name}");
        }
        let late = desk.apply(&right, &none, at().plus_millis(1_000));
        assert!(matches!(late, Err(EnrolError::Expired { .. })), "{late:?}");
        let mut wrong = apply(&invitation, &joining.application);
        wrong.secret = "0".repeat(64);
        for _ in 0..TRIES_MAX {
            let answer = desk.apply(&wrong, &none, at());
            assert!(matches!(answer, Err(EnrolError::NotInvited)));
        }
        let answer = desk.apply(&right, &none, at());
        assert!(matches!(answer, Err(EnrolError::NotInvited)), "it is dead");
    }

    #[test]
    fn what_does_not_fit_the_invitation_or_itself_is_named() {
        let scratch = tempfile::tempdir().unwrap();
        let (desk, invitation, joining) = desk(scratch.path());
        type Spoil = fn(&mut Application);
        let spoils: [(&str, Spoil); 9] = [
            ("the node is", |it| {
                it.node.id = NodeId::parse("sz-2").unwrap()
            }),
            ("the participant is", |it| {
                it.participant.id = ParticipantId::parse("gd.other").unwrap();
            }),
            ("Raft number", |it| it.node.raft_number = 1),
            ("outside the mainland", |it| {
                it.participant.jurisdiction = Jurisdiction::parse("HK").unwrap();
            }),
            ("persons come", |it| it.persons.clear()),
            ("stands twice", |it| {
                let again = it.persons[0].clone();
                it.persons.push(again);
            }),
            ("one stands twice", |it| {
                it.node.signing = it.participant.signing.clone();
            }),
            ("is not a name in the request", |it| {
                it.node.raft_address = "10.9.9.9:1".to_owned();
            }),
            ("transport_keys", |it| it.requests.clear()),
        ];
        for (why, spoil) in spoils {
            let mut application = joining.application.clone();
            spoil(&mut application);
            let answer = desk.apply(&apply(&invitation, &application), &BTreeSet::new(), at());
            let Err(EnrolError::Unfit { why: told }) = answer else {
                panic!("{why}: {answer:?}");
            };
            assert!(told.contains(why), "{why}: {told}");
        }
        // None of them used the invitation up.
        let fits = apply(&invitation, &joining.application);
        assert!(desk.apply(&fits, &BTreeSet::new(), at()).is_ok());
    }
}
