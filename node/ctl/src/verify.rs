//! `ledger verify`: evidence, packages and whole ledgers, without any node.
//!
//! It does not verify with code of its own: the ledger's pure modules do, the same that wrote it.
//! It does not know whose key is whose either; whoever verifies brings the keys that he trusts.

mod package;

use std::collections::BTreeMap;
use std::path::Path;

use crypto::{Digest, PublicKey};
use ledger::evidence::{self, Evidence};
use ledger::fsck;
use ledger::package::FILE_BYTES_MAX;
use schemas::ledger_entry::{Checkpoint, LedgerIdentity};
use serde_json::{Value, json};

use crate::cli::ledger::Verify;
use crate::output::{Column, Terminal};
use crate::{Error, files};

/// Most lines of a file with participants' records that are looked at for keys.
const KEYS_MAX: usize = 10_000;

const CHECKED: &[Column] = &[
    Column::text("col-file", "file"),
    Column::text("col-verdict", "verdict"),
    Column::text("col-participant", "participant"),
    Column::text("col-index", "index"),
    Column::number("col-size", "size"),
    Column::time("col-at", "at"),
    Column::text("col-event", "event"),
    Column::text("col-why", "why"),
];

/// Checkpoint roots by ledger and size: two roots for one size are two histories.
type Roots = BTreeMap<(LedgerIdentity, u64), Digest>;

/// What is held against each other when several files are verified together.
#[derive(Default)]
struct Together {
    roots: Roots,
    packages: package::Packages,
}

/// Verifies each path and prints a verdict of each.
///
/// # Errors
/// [`Error::NotVerified`] when one does not verify, [`Error::Input`] when a key or a file is not
/// what it should be.
pub(crate) fn run(it: &Verify, terminal: &Terminal) -> Result<(), Error> {
    let checked = verdicts(it)?;
    terminal.whole_or_list(CHECKED, &checked)?;
    if it.keys.is_empty() {
        terminal.note("note-no-key", &[]);
    }
    judge(&checked)
}

/// The verdict of each path, in their order.
fn verdicts(it: &Verify) -> Result<Vec<Value>, Error> {
    let mut keys = Vec::new();
    for text in &it.keys {
        keys.extend(read_keys(text)?);
    }
    let mut together = Together::default();
    let mut checked = Vec::new();
    for path in &it.paths {
        checked.push(if path.is_dir() {
            check_folder(path, &keys)?
        } else {
            check_file(path, &keys, &mut together)?
        });
    }
    checked.extend(together.packages.unmatched());
    Ok(checked)
}

/// Whether every verdict is a good one.
fn judge(checked: &[Value]) -> Result<(), Error> {
    let failed = checked
        .iter()
        .filter(|it| it["verdict"] == "FAILED")
        .count();
    if failed > 0 {
        return Err(Error::NotVerified {
            failed,
            all: checked.len(),
        });
    }
    Ok(())
}

/// One evidence file. A file that is no evidence does not verify either: its bytes were changed,
/// or it is another file.
fn check_file(path: &Path, keys: &[PublicKey], together: &mut Together) -> Result<Value, Error> {
    let file = path.display().to_string();
    let failed = |why: String| json!({"file": file, "verdict": "FAILED", "why": why});
    let Some(bytes) = files::read_bounded(path, FILE_BYTES_MAX)? else {
        return Ok(failed("it is larger than any evidence".to_owned()));
    };
    if package::is_one(&bytes) {
        return Ok(package::check(&file, &bytes, keys, together));
    }
    let evidence: Evidence = match serde_json::from_slice(&bytes) {
        Ok(evidence) => evidence,
        Err(source) => return Ok(failed(source.to_string())),
    };
    let trusted = if keys.is_empty() {
        &evidence.key
    } else {
        match keys.iter().find(|it| it.key_id() == evidence.key.key_id()) {
            Some(key) => key,
            None => {
                return Ok(failed(
                    "its key is none of those given with --key".to_owned(),
                ));
            }
        }
    };
    let proven = match evidence::verify(&evidence, trusted) {
        Ok(proven) => proven,
        Err(source) => return Ok(failed(source.to_string())),
    };
    let point = &proven.checkpoint;
    if let Some(why) = forked(point, &mut together.roots) {
        return Ok(failed(why));
    }
    let event = serde_json::to_value(&proven.entry.event).unwrap_or_default();
    Ok(json!({
        "file": file,
        "verdict": if keys.is_empty() { "CONSISTENT" } else { "VERIFIED" },
        "participant": point.ledger.participant, "incarnation": point.ledger.incarnation,
        "index": proven.index, "size": point.size, "root": point.root,
        "at": proven.entry.at, "event": event["kind"], "entry": proven.entry,
        "key": proven.key,
    }))
}

/// Whether another file has another root for the same ledger and size.
fn forked(point: &Checkpoint, roots: &mut Roots) -> Option<String> {
    let known = roots
        .entry((point.ledger.clone(), point.size))
        .or_insert(point.root);
    (*known != point.root).then(|| {
        format!(
            "two checkpoints of size {} have different roots: a fork",
            point.size
        )
    })
}

/// A folder with a whole ledger.
fn check_folder(path: &Path, keys: &[PublicKey]) -> Result<Value, Error> {
    // A participant that changed its key has checkpoints under each: every key is tried.
    let mut best = fsck::check(path, keys.first())?;
    for key in keys.iter().skip(1) {
        let report = fsck::check(path, Some(key))?;
        if report.damage.is_none() && report.signatures > best.signatures {
            best = report;
        }
    }
    let unsigned = !keys.is_empty() && best.checkpoints > 0 && best.signatures == 0;
    let why = match (&best.damage, unsigned) {
        (Some(damage), _) => Some(format!(
            "{} at byte {}, entry {}: {}",
            damage.segment, damage.offset, damage.index, damage.why
        )),
        (None, true) => Some("no checkpoint is signed with a key given with --key".to_owned()),
        (None, false) => None,
    };
    let verdict = match (&why, keys.is_empty()) {
        (Some(_), _) => "FAILED",
        (None, true) => "CONSISTENT",
        (None, false) => "VERIFIED",
    };
    let last = best.last_checkpoint.as_ref().map(|it| it.body.at);
    Ok(json!({
        "file": path.display().to_string(), "verdict": verdict, "why": why,
        "size": best.entries, "at": last,
        "participant": best.ledger.as_ref().map(|it| it.participant.clone()),
        "report": best,
    }))
}

/// Keys as hexadecimal digits, or from a file: digits, a key file, or participants' records as
/// one JSON value or one a line.
pub(crate) fn read_keys(text: &str) -> Result<Vec<PublicKey>, Error> {
    if let Ok(key) = text.parse() {
        return Ok(vec![key]);
    }
    let content = files::read_text(Path::new(text))?;
    if let Ok(key) = content.trim().parse() {
        return Ok(vec![key]);
    }
    let values: Vec<Value> = match serde_json::from_str(&content) {
        Ok(value) => vec![value],
        Err(_) => content
            .lines()
            .take(KEYS_MAX)
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect(),
    };
    let mut found = Vec::new();
    for value in &values {
        let one = std::slice::from_ref(value);
        let records = value.as_array().map_or(one, Vec::as_slice);
        for record in records {
            let key = record.get("signing").or_else(|| record.get("public"));
            found.extend(key.and_then(Value::as_str).and_then(|it| it.parse().ok()));
        }
    }
    if found.is_empty() {
        let why = "it holds no key: 130 hexadecimal digits, or records with `signing`";
        return Err(Error::input(text, why));
    }
    Ok(found)
}

#[cfg(test)]
mod tests;
