//! `catalog backup` and `catalog verify`.
//!
//! It does not restore: the node's own program does, on the machine where the catalog will be.

use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use schemas::backup::{BackupError, BackupReport, Expected};
use serde_json::{Value, json};

use super::Desk;
use crate::Error;
use crate::cli::policy::Backups;
use crate::output::{Column, Terminal};
use crate::verify::read_keys;

const CHECKED: &[Column] = &[
    Column::text("col-file", "file"),
    Column::text("col-verdict", "verdict"),
    Column::text("col-catalog-index", "index"),
    Column::number("col-records", "records"),
    Column::text("col-node", "node"),
    Column::time("col-at", "taken_at"),
    Column::text("col-voters", "voters"),
    Column::text("col-digest", "digest"),
    Column::text("col-cluster", "cluster"),
    Column::text("col-why", "why"),
];

/// Fetches a backup into a new file and verifies what arrived. What is not whole does not stay.
pub(super) fn fetch(out: &Path, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    let wrong = |e| Error::file("write", out, e);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(out)
        .map_err(wrong)?;
    let fetched = desk
        .client
        .download("/catalog/backup", &mut file)
        .and_then(|()| file.sync_all().map_err(wrong))
        .and_then(|()| check(out, &Expected::default()));
    let verdict = match fetched {
        Ok(verdict) if verdict["verdict"] != "FAILED" => verdict,
        other => {
            std::fs::remove_file(out).map_err(|e| Error::file("remove", out, e))?;
            other?
        }
    };
    desk.terminal.record(CHECKED, &verdict)?;
    judge(&[verdict])?;
    desk.terminal
        .note("note-saved", &[("path", &out.display())]);
    Ok(())
}

/// Verifies backups and prints a verdict of each.
pub(super) fn verify(it: &Backups, terminal: &Terminal) -> Result<(), Error> {
    let mut keys = Vec::new();
    for text in &it.keys {
        keys.extend(read_keys(text)?);
    }
    let expected = Expected {
        cluster: it.cluster,
        keys: &keys,
    };
    let mut checked = Vec::new();
    for path in &it.paths {
        checked.push(check(path, &expected)?);
    }
    terminal.whole_or_list(CHECKED, &checked)?;
    if keys.is_empty() {
        terminal.note("note-no-key", &[]);
    }
    judge(&checked)
}

/// Whether every verdict is a good one.
fn judge(checked: &[Value]) -> Result<(), Error> {
    let failed = checked.iter().filter(|it| it["verdict"] == "FAILED");
    match failed.count() {
        0 => Ok(()),
        failed => Err(Error::NotVerified {
            failed,
            all: checked.len(),
        }),
    }
}

fn check(path: &Path, expected: &Expected<'_>) -> Result<Value, Error> {
    let file = File::open(path).map_err(|e| Error::file("read", path, e))?;
    verdict(path, BufReader::with_capacity(READ_BYTES, file), expected)
}

/// The verdict of one backup. What cannot be read at all is an error and no verdict.
fn verdict(path: &Path, source: impl Read, expected: &Expected<'_>) -> Result<Value, Error> {
    let file = path.display().to_string();
    match schemas::backup::verify(source, expected) {
        Ok(report) => Ok(told(&file, &report, !expected.keys.is_empty())),
        Err(BackupError::Io { source, .. }) => Err(Error::file("read", path, source)),
        Err(error) => Ok(json!({"file": file, "verdict": "FAILED", "why": error.to_string()})),
    }
}

fn told(file: &str, report: &BackupReport, by_key: bool) -> Value {
    let header = &report.header;
    let voters = header.voters.iter().map(|it| it.raft_number);
    json!({
        "file": file,
        "verdict": if by_key { "VERIFIED" } else { "CONSISTENT" },
        "cluster": header.cluster, "index": header.index, "term": header.term,
        "digest": header.digest, "records": header.records, "node": header.node,
        "taken_at": header.taken_at, "leader_time": header.leader_time,
        "voters": voters.collect::<Vec<u64>>(), "raw_bytes": report.seal.raw_bytes,
        "program": header.program,
    })
}

const READ_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_backup_fails_and_says_why() {
        let path = Path::new("x.backup");
        let checked = verdict(
            path,
            b"PK and so on, but longer".as_slice(),
            &Expected::default(),
        );
        let checked = checked.unwrap();
        let why = "this is no backup of a catalog: its first bytes are others";
        let expected = json!({"file": "x.backup", "verdict": "FAILED", "why": why});
        assert_eq!(checked, expected);
        let judged = judge(&[checked, json!({"verdict": "VERIFIED"})]).unwrap_err();
        assert_eq!(judged.exit_code(), 6);
    }

    #[test]
    fn a_backup_that_is_not_there_is_wrong_input() {
        let missing = check(Path::new("/no/such/backup"), &Expected::default());
        assert_eq!(missing.unwrap_err().exit_code(), 2);
    }
}
