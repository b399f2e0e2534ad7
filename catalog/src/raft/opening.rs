//! Opens what a member has on disk and brings its state back, whatever happened to it.
//!
//! It does not repair a damaged store: the directory is set aside for whoever wants to look, and
//! the state comes anew from the newest snapshot and the log behind it.

use std::fs;
use std::path::Path;

use schemas::Timestamp;

use crate::Error;
use crate::raft::flusher::{Position, write_whole};
use crate::raft::log_store::LogStore;
use crate::raft::snapshot::Snapshots;
use crate::raft::state_machine::at_index;
use crate::raft::state_store::{Applied, Loaded, StateStore, set_aside};
use crate::raft::types::StoredMembership;
use crate::state::{RecordKey, SNAPSHOT_FORMAT, State};

/// Everything on disk, open.
pub(crate) struct Opened {
    pub(crate) log: LogStore,
    pub(crate) store: StateStore,
    pub(crate) snapshots: Snapshots,
    pub(crate) position: Position,
    /// What was damaged and where it is now.
    pub(crate) damage: Option<String>,
}

/// Opens a member's directory. Blocks for as long as reading everything takes.
///
/// # Errors
/// [`Error::NewerFormat`], [`Error::AnotherMember`], [`Error::CannotRebuild`], and what the disk
/// says.
pub(crate) fn open(dir: &Path, raft_number: u64, now: Timestamp) -> Result<Opened, Error> {
    fs::create_dir_all(dir).map_err(|source| Error::file("make", dir, source))?;
    check_format(dir)?;
    let log = LogStore::open(&dir.join("log"))?;
    match log.member()? {
        Some(found) if found != raft_number => {
            let path = dir.to_path_buf();
            return Err(Error::AnotherMember {
                path,
                found,
                configured: raft_number,
            });
        }
        Some(_) => {}
        None => log.set_member(raft_number)?,
    }
    let snapshots = Snapshots::open(&dir.join("snapshots"))?;
    let (store, stored, damage) = open_state(&dir.join("state"), &log, now)?;
    let (position, is_newer) = settle(dir, &log, &snapshots, stored)?;
    if is_newer {
        write_whole(&store, &position)?;
    }
    Ok(Opened {
        log,
        store,
        snapshots,
        position,
        damage,
    })
}

/// Goes on from the newest of what the state store and the snapshots hold, and says whether that
/// is newer than what was stored.
///
/// # Errors
/// [`Error::CannotRebuild`] when the log begins behind it.
pub(crate) fn settle(
    dir: &Path,
    log: &LogStore,
    snapshots: &Snapshots,
    stored: Position,
) -> Result<(Position, bool), Error> {
    let (mut position, mut is_newer) = (stored, false);
    if let Some((meta, state)) = snapshots.load_newest()?
        && meta.last_log_id > position.last
    {
        position = Position {
            state: at_index(state, meta.last_log_id),
            last: meta.last_log_id,
            membership: meta.last_membership,
        };
        is_newer = true;
    }
    if position.last < log.purged()? {
        return Err(Error::CannotRebuild {
            path: dir.to_path_buf(),
            why: "the log begins behind the newest state that can be read".to_owned(),
        });
    }
    // A newer one was damaged and set aside: what is left must not end before the log begins, for
    // whoever gets it would miss the entries between.
    let newest = snapshots.newest()?.and_then(|(meta, _)| meta.last_log_id);
    if newest < log.purged()? {
        let (last, membership) = (position.last, position.membership.clone());
        snapshots.write(&position.state, last, membership)?;
    }
    Ok((position, is_newer))
}

/// Opens the state store; one that is not exactly what was written is set aside.
fn open_state(
    dir: &Path,
    log: &LogStore,
    now: Timestamp,
) -> Result<(StateStore, Position, Option<String>), Error> {
    let opened = StateStore::open(dir).and_then(|(store, applied, records)| {
        let position = restore(dir, applied, records)?;
        // A cut file opens without a word, as the store was some time ago.
        if position.last < log.stored()? {
            return Err(Error::malformed(
                "state store",
                "its newest records are gone",
            ));
        }
        Ok((store, position))
    });
    match opened {
        Ok((store, position)) => Ok((store, position, None)),
        Err(error @ Error::NewerFormat { .. }) => Err(error),
        Err(error) => {
            let aside = set_aside(dir, now.millis())?;
            log.set_stored(None)?;
            tracing::error!(
                %error, ?aside, "the state store is damaged; it was set aside and is written anew"
            );
            let (store, ..) = StateStore::open(dir)?;
            let damage = format!("{error}; the store is now {}", aside.display());
            Ok((store, empty(), Some(damage)))
        }
    }
}

/// Builds the state and compares its digest with the stored one: vanished records have no
/// checksum that could fail.
fn restore(dir: &Path, applied: Option<Applied>, records: Loaded) -> Result<Position, Error> {
    let Some(applied) = applied else {
        return Ok(empty());
    };
    if applied.header.format > SNAPSHOT_FORMAT {
        return Err(Error::NewerFormat {
            path: dir.to_path_buf(),
            found: applied.header.format,
            supported: SNAPSHOT_FORMAT,
        });
    }
    let mut keyed = Vec::with_capacity(records.len());
    for (text, bytes) in records {
        let key = RecordKey::parse(&text)
            .ok_or_else(|| Error::malformed("state store", format!("no kind of record: {text}")))?;
        keyed.push((key, bytes));
    }
    let state = State::from_records(&applied.header, keyed)
        .map_err(|source| Error::malformed("state store", source))?;
    Ok(Position {
        state,
        last: applied.last,
        membership: applied.membership,
    })
}

pub(crate) fn empty() -> Position {
    Position {
        state: State::new(),
        last: None,
        membership: StoredMembership::default(),
    }
}

/// One file says in which form everything in the directory is, so that an old program does not
/// read half of what a new one wrote.
fn check_format(dir: &Path) -> Result<(), Error> {
    let path = dir.join("format");
    match fs::read_to_string(&path) {
        Ok(text) => {
            let found: u32 = text
                .trim()
                .parse()
                .map_err(|_| Error::malformed("format file", "it holds no number"))?;
            if found > FORMAT {
                return Err(Error::NewerFormat {
                    path: dir.to_path_buf(),
                    found,
                    supported: FORMAT,
                });
            }
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let written = fs::write(&path, format!("{FORMAT}\n"))
                .and_then(|()| fs::File::open(&path)?.sync_all());
            written.map_err(|source| Error::file("write", &path, source))
        }
        Err(source) => Err(Error::file("read", &path, source)),
    }
}

/// The form of the catalog's directory.
const FORMAT: u32 = 1;

#[cfg(test)]
mod tests {
    use openraft::storage::RaftLogStorage as _;
    use openraft::{CommittedLeaderId, LogId};

    use super::*;

    #[tokio::test]
    async fn a_snapshot_that_ends_before_the_log_begins_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        let now = Timestamp::from_millis(1_790_000_000_000);
        let at = |index| Some(LogId::new(CommittedLeaderId::new(1, 1), index));
        let membership = StoredMembership::default;
        let mut opened = open(dir.path(), 1, now).unwrap();
        for index in [5, 9] {
            let state = at_index(State::new(), at(index));
            let snapshots = &opened.snapshots;
            snapshots.write(&state, at(index), membership()).unwrap();
        }
        let position = Position {
            state: at_index(State::new(), at(12)),
            last: at(12),
            membership: membership(),
        };
        write_whole(&opened.store, &position).unwrap();
        opened.log.purge(at(8).unwrap()).await.unwrap();
        drop(opened);
        let newest = fs::read_dir(dir.path().join("snapshots"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .max()
            .unwrap();
        fs::write(&newest, b"cut").unwrap();
        let again = open(dir.path(), 1, now).unwrap();
        let (meta, _) = again.snapshots.newest().unwrap().unwrap();
        assert_eq!((meta.last_log_id, again.position.last), (at(12), at(12)));
    }
}
