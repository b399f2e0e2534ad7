//! Backups while the catalog runs, and the directory of a first member made from one.
//!
//! It does not know the form of a backup, `schemas::backup` does, and it opens no file of it: the
//! program hands in where to write and what to read.
//!
//! A backup is a view at one log index with what is needed to begin again from it. What is
//! restored is a catalog of its own with one voter: the records, the log index and the federation
//! are the same, the members of old are not. Their logs may go further than the backup, so none of
//! them may take part with what it has on its disk; see [`restore`].

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crypto::{Digest, PublicKey, Signer};
use openraft::storage::RaftLogStorage as _;
use openraft::{BasicNode, CommittedLeaderId, Membership, RaftMetrics};
use schemas::backup::{
    self, BackupError, BackupHeader, BackupMember, BackupSeal, BackupWriter, Expected,
};
use schemas::{NodeId, Signed, canonical};
use tokio::sync::OwnedSemaphorePermit;

use crate::raft::blocking::blocking;
use crate::raft::catalog::Catalog;
use crate::raft::log_store::LogStore;
use crate::raft::opening::check_format;
use crate::raft::snapshot::Snapshots;
use crate::raft::types::{LogId, StoredMembership, Vote};
use crate::state::{RecordKey, SNAPSHOT_FORMAT, SnapshotHeader, State};
use crate::{Error, View};

/// A backup that is about to be written.
pub struct Backup {
    header: BackupHeader,
    view: Arc<View>,
    signer: Arc<dyn Signer>,
    _one_at_a_time: OwnedSemaphorePermit,
}

impl Catalog {
    /// Which catalog this is: SM3 of the record of its founding. None before that.
    #[must_use]
    pub fn cluster(&self) -> Option<Digest> {
        self.view().cluster()
    }

    /// Takes a backup of what this node has applied. The catalog goes on meanwhile; the backup
    /// holds the state of one index.
    ///
    /// # Errors
    /// [`Error::NotFounded`]; [`Error::Pushback`] while another one is written.
    pub fn backup(&self) -> Result<Backup, Error> {
        let member = self.member();
        let one = Arc::clone(&member.backups).try_acquire_owned();
        let one_at_a_time = one.map_err(|_| Error::Pushback {
            waiting: BACKUPS_AT_ONCE_MAX,
            limit: BACKUPS_AT_ONCE_MAX,
        })?;
        let view = self.view();
        let cluster = view.cluster().ok_or(Error::NotFounded)?;
        let signer = Arc::clone(&member.sender.signer);
        let metrics = member.raft.metrics();
        let metrics = metrics.borrow();
        let header = BackupHeader {
            cluster,
            index: view.index(),
            term: metrics.current_term,
            digest: view.digest(),
            records: view.state().digests().len(),
            leader_time: view.leader_time(),
            taken_at: member.peers.clock.now(),
            node: member.node.clone(),
            signing: signer.public().clone(),
            voters: members(&metrics, true),
            learners: members(&metrics, false),
            program: env!("CARGO_PKG_VERSION").to_owned(),
        };
        Ok(Backup {
            header,
            view,
            signer,
            _one_at_a_time: one_at_a_time,
        })
    }
}

impl View {
    /// Which catalog this is: SM3 of the record of its founding. None before that.
    #[must_use]
    pub fn cluster(&self) -> Option<Digest> {
        cluster(self.state())
    }
}

fn cluster(state: &State) -> Option<Digest> {
    // The digest of a record's bytes is what the state digest is made of.
    state.digests().get(FOUNDING_KEY)
}

fn members(metrics: &RaftMetrics<u64, BasicNode>, voting: bool) -> Vec<BackupMember> {
    let membership = metrics.membership_config.membership();
    let voters: BTreeSet<u64> = membership.voter_ids().collect();
    let nodes = membership.nodes();
    nodes
        .filter(|(number, _)| voters.contains(number) == voting)
        .map(|(number, node)| BackupMember {
            raft_number: *number,
            address: node.addr.clone(),
        })
        .collect()
}

impl Backup {
    /// What stands in front of it.
    #[must_use]
    pub const fn header(&self) -> &BackupHeader {
        &self.header
    }

    /// Writes it, chunk by chunk, and hands back what was written to. Blocks a thread of its own
    /// for as long as `out` takes.
    ///
    /// # Errors
    /// [`Error::Backup`] when `out` fails, [`Error::Crypto`] when the node cannot sign.
    pub async fn write<W: Write + Send + 'static>(self, out: W) -> Result<W, Error> {
        let (header, view) = (self.header, self.view);
        let written = blocking("write a backup", move || {
            let mut writer = BackupWriter::new(out, &header)?;
            for record in view.state().records() {
                let (key, bytes) = record.map_err(|error| Error::malformed("record", error))?;
                writer.record(key.as_str(), &bytes)?;
            }
            let seal = writer.end_records()?.clone();
            Ok::<_, Error>((writer, seal))
        });
        let (writer, seal) = written.await??;
        let bytes = canonical::to_bytes(&seal)?;
        let signature = self.signer.sign(BackupSeal::LABEL, &bytes).await?;
        let signed = Signed {
            body: seal,
            key: self.signer.key_id(),
            signature,
        };
        blocking("write a backup", move || Ok(writer.finish(&signed)?)).await?
    }
}

/// On whom and how a catalog is restored.
#[derive(Clone, Debug)]
pub struct RestoreOptions {
    /// The catalog's own directory on this node. It must be empty or not there.
    pub dir: PathBuf,
    /// This node. It must be registered in the backup.
    pub node: NodeId,
    /// Its number in Raft.
    pub raft_number: u64,
    /// Its signing key, which must be the one that the backup has for it.
    pub signing: PublicKey,
    /// Refuse a backup of any other catalog than this.
    pub cluster: Option<Digest>,
    /// Refuse a backup that none of these keys signed. With none, a backup is taken that agrees
    /// with itself.
    pub keys: Vec<PublicKey>,
}

/// Verifies a backup and makes from it the directory of a catalog whose only voter is this node.
/// [`Catalog::start`] goes on from there, and other members are added with
/// [`Catalog::add_voter`]. Nothing is in the directory's place before everything was verified.
///
/// The members of the old catalog must be stopped, and may come back only with empty directories:
/// what their logs hold beyond the backup is not part of the restored catalog.
///
/// # Errors
/// [`Error::Backup`] for one that does not verify, [`Error::NotEmpty`],
/// [`Error::NotInBackup`], and what the disk says.
pub async fn restore(
    options: RestoreOptions,
    source: impl Read + Send + 'static,
) -> Result<BackupHeader, Error> {
    let unfinished = options.dir.with_extension("restoring");
    let (dir, of) = (unfinished.clone(), options.clone());
    let read = blocking("restore a backup", move || {
        must_be_empty(&of.dir)?;
        let (header, state) = read(source, &of)?;
        if dir.exists() {
            // What an interrupted attempt left.
            fs::remove_dir_all(&dir).map_err(|source| Error::file("remove", &dir, source))?;
        }
        fs::create_dir_all(&dir).map_err(|source| Error::file("make", &dir, source))?;
        check_format(&dir)?;
        let membership = write_snapshot(&dir, &header, &state, of.raft_number)?;
        let log = LogStore::open(&dir.join("log"))?;
        log.set_member(of.raft_number)?;
        log.set_admitted()?;
        Ok::<_, Error>((header, membership, log))
    });
    let (header, last, mut log) = read.await??;
    let stored = |error: openraft::StorageError<u64>| Error::store("restore the log", error);
    log.purge(last).await.map_err(stored)?;
    // A term that no member of the old catalog can have reached meanwhile.
    let term = header.term.saturating_add(TERMS_SKIPPED);
    let vote = Vote::new(term, options.raft_number);
    log.save_vote(&vote).await.map_err(stored)?;
    drop(log);
    blocking("restore a backup", move || {
        put_in_place(&unfinished, &options.dir)
    })
    .await??;
    Ok(header)
}

/// Reads the records and everything that vouches for them.
fn read(source: impl Read, options: &RestoreOptions) -> Result<(BackupHeader, State), Error> {
    let expected = Expected {
        cluster: options.cluster,
        keys: &options.keys,
    };
    let mut backup = backup::Backup::open(source)?;
    backup.expect(&expected)?;
    let header = SnapshotHeader {
        format: SNAPSHOT_FORMAT,
        applied: backup.header().index,
        digest: backup.header().digest,
        records: backup.header().records,
    };
    let mut failure = None;
    let records = std::iter::from_fn(|| match next(&mut backup) {
        Ok(record) => record,
        Err(error) => {
            failure = Some(error);
            None
        }
    });
    let state = State::from_records(&header, records);
    if let Some(error) = failure {
        return Err(error);
    }
    let state = state.map_err(|error| Error::malformed("backup", error))?;
    let signed_by = state.nodes.get(&backup.header().node).map(AsRef::as_ref);
    let sealed = backup.finish(&expected, signed_by)?;
    let header = sealed.header().clone();
    sealed.check_digest(state.digests().len(), state.digest())?;
    if cluster(&state) != Some(header.cluster) {
        return Err(Error::malformed("backup", "its founding is another's"));
    }
    let this = state.nodes.get(&options.node);
    let fits = this
        .is_some_and(|it| it.raft_number == options.raft_number && it.signing == options.signing);
    if !fits || options.raft_number == 0 {
        return Err(Error::NotInBackup {
            node: options.node.to_string(),
            raft_number: options.raft_number,
        });
    }
    Ok((header, state))
}

fn next<R: Read>(backup: &mut backup::Backup<R>) -> Result<Option<(RecordKey, Vec<u8>)>, Error> {
    let Some((key, bytes)) = backup.next_record()? else {
        return Ok(None);
    };
    let known = RecordKey::parse(&key).ok_or_else(|| BackupError::Unreadable {
        part: format!("record {key}"),
        why: "this program knows no such kind; use the version that wrote it".to_owned(),
    })?;
    Ok(Some((known, bytes)))
}

fn write_snapshot(
    dir: &Path,
    header: &BackupHeader,
    state: &State,
    me: u64,
) -> Result<LogId, Error> {
    let last = LogId::new(CommittedLeaderId::new(header.term, me), header.index);
    let address = state.nodes.values().find(|it| it.raft_number == me);
    let address = address.map_or_else(String::new, |it| it.raft_address.clone());
    let nodes = BTreeMap::from([(me, BasicNode::new(address))]);
    let membership = Membership::new(vec![BTreeSet::from([me])], nodes);
    let membership = StoredMembership::new(Some(last), membership);
    let snapshots = Snapshots::open(&dir.join("snapshots"))?;
    snapshots.write(state, Some(last), membership)?;
    Ok(last)
}

fn must_be_empty(dir: &Path) -> Result<(), Error> {
    let there = match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(source) => return Err(Error::file("list", dir, source)),
    };
    if there {
        let path = dir.to_path_buf();
        return Err(Error::NotEmpty { path });
    }
    Ok(())
}

/// The rename makes it count.
fn put_in_place(unfinished: &Path, dir: &Path) -> Result<(), Error> {
    must_be_empty(dir)?;
    fs::rename(unfinished, dir).map_err(|source| Error::file("finish", dir, source))?;
    let parent = dir.parent().filter(|it| !it.as_os_str().is_empty());
    let parent = parent.unwrap_or_else(|| Path::new("."));
    File::open(parent)
        .and_then(|parent| parent.sync_all())
        .map_err(|source| Error::file("sync", parent, source))
}

/// A backup reads the whole state: the next one waits until it has ended.
pub(crate) const BACKUPS_AT_ONCE_MAX: usize = 1;

/// The key of the founding's record.
const FOUNDING_KEY: &[u8] = b"federation/founding";

/// An election takes about a second: more than these a cluster has none in eleven days.
const TERMS_SKIPPED: u64 = 1_000_000;
