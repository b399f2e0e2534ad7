//! The directory of a first node, whole or not at all.
//!
//! It does not write into a directory that holds anything, and takes back what it wrote when a
//! step fails: whoever corrects the cause begins where she began.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{CONFIG, FOUNDING, Names, Plan, Prepared, TransportAuthorities};
use crate::Error;

/// Everything that is made below the directory.
const MADE: [&str; 8] = [
    "joining.json",
    "authority",
    "records",
    "keys",
    "persons",
    "tls",
    CONFIG,
    FOUNDING,
];

/// Makes the directory of a federation's first node: transport authority, keys, persons,
/// configuration, the founding command, and the records in files for whoever registers the
/// participant elsewhere.
///
/// # Errors
/// [`Error::Argument`] for identifiers without the right form, [`Error::File`] when the directory
/// holds anything or cannot be written; then nothing is left behind. [`Error::Crypto`].
pub fn create(dir: &Path, plan: &Plan) -> Result<Prepared, Error> {
    // Before anything is written: an identifier is for good.
    Names::of(plan)?;
    check_empty(dir)?;
    let absent = first_absent(dir);
    let made = write(dir, plan);
    if made.is_err() {
        take_back(dir, absent.as_deref());
    }
    made
}

fn write(dir: &Path, plan: &Plan) -> Result<Prepared, Error> {
    let authorities = TransportAuthorities::create(&dir.join("authority"), plan.now)?;
    let prepared = super::prepare(dir, plan, &authorities)?;
    super::write_founding(&prepared, plan.now)?;
    write_records(&prepared)?;
    Ok(prepared)
}

/// The records as `kouanctl participant register`, `register-node` and `bind` read them.
pub(super) fn write_records(prepared: &Prepared) -> Result<(), Error> {
    let dir = prepared.dir.join("records");
    super::make_dir(&dir)?;
    write_record(&dir.join("participant.json"), &prepared.participant)?;
    write_record(&dir.join("node.json"), &prepared.node)?;
    for person in &prepared.persons {
        let name = person.key_file.with_extension("json");
        let name = name.file_name().unwrap_or_default();
        write_record(&dir.join(name), &person.record)?;
    }
    Ok(())
}

pub(super) fn write_record(path: &Path, record: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(record).map_err(|e| Error::File {
        what: "record",
        path: path.to_owned(),
        why: e.to_string(),
    })?;
    super::write_new(path, format!("{text}\n").as_bytes())
}

/// Refuses a directory that holds something, and says what to do with one that holds a node.
pub(super) fn check_empty(dir: &Path) -> Result<(), Error> {
    let refuse = |why: String| Error::File {
        what: "directory",
        path: dir.to_owned(),
        why,
    };
    let config = dir.join(CONFIG);
    if config.exists() {
        return Err(refuse(format!(
            "a node exists there; start it with kouan serve --config {}, or name another --dir. \
             Nothing was changed",
            config.display()
        )));
    }
    match std::fs::read_dir(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(refuse(e.to_string())),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(refuse(
                "it exists and is not empty; name an empty or a new --dir. Nothing was changed"
                    .to_owned(),
            )),
        },
    }
}

/// The topmost directory on the way that has to be made.
pub(super) fn first_absent(dir: &Path) -> Option<PathBuf> {
    dir.ancestors()
        .take_while(|it| !it.as_os_str().is_empty() && !it.exists())
        .last()
        .map(Path::to_owned)
}

/// Removes what was made; what is in the way stays, and the failure that led here is the one that
/// is told.
pub(super) fn take_back(dir: &Path, absent: Option<&Path>) {
    for name in MADE {
        let path = dir.join(name);
        let removed = if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        if let Err(error) = removed
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, path = %path.display(), "take back what was made");
        }
    }
    // Only directories that were not there before, and only while they are empty.
    let Some(top) = absent else { return };
    for made in dir.ancestors().take_while(|it| it.starts_with(top)) {
        if std::fs::remove_dir(made).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use schemas::participant::{Node, Participant, ParticipantKind, Person, Role};
    use schemas::{Jurisdiction, LocalText, Timestamp};

    use super::*;
    use crate::Listen;
    use crate::init::Staff;

    fn plan() -> Plan {
        let any: SocketAddr = "127.0.0.1:7401".parse().unwrap();
        Plan {
            node: "gd-1".to_owned(),
            raft_number: 1,
            participant: "gd.province".to_owned(),
            name: LocalText::new("广东", "Guangdong"),
            kind: ParticipantKind::StateOrgan,
            jurisdiction: Jurisdiction::MAINLAND,
            listen: Listen {
                catalog: any,
                data: any,
                admin: any,
                operations: any,
            },
            hosts: vec!["localhost".to_owned()],
            suites: crypto::tls::Suites::ShangMiOnly,
            staff: Staff::TwoStewards,
            now: Timestamp::from_millis(1_790_000_000_000),
        }
    }

    #[test]
    fn what_cannot_be_made_leaves_nothing_behind() {
        let scratch = tempfile::tempdir().unwrap();
        let deep = scratch.path().join("a/b/node");
        type Spoil = fn(&mut Plan);
        let spoils: [(&str, Spoil); 4] = [
            ("participant", |it| it.participant = "Not An Id".to_owned()),
            ("node", |it| it.node = String::new()),
            ("participant", |it| it.participant = "x".repeat(600)),
            // A certificate cannot name this: the failure comes after the first files.
            ("", |it| it.hosts = vec!["no host\n".to_owned()]),
        ];
        for (flag, spoil) in spoils {
            let mut plan = plan();
            spoil(&mut plan);
            let Err(failed) = create(&deep, &plan) else {
                panic!("made with a wrong {flag}");
            };
            assert!(failed.to_string().contains(flag), "{failed}");
            assert!(!scratch.path().join("a").exists(), "{failed}");
        }
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(deep.join("mine"), "x").unwrap();
        assert!(create(&deep, &plan()).is_err());
        let left: Vec<_> = std::fs::read_dir(&deep).unwrap().collect();
        assert_eq!(left.len(), 1, "what was there stays, and nothing beside it");
    }

    #[test]
    fn the_records_are_in_files_and_stewards_are_two() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = scratch.path().join("node");
        let prepared = create(&dir, &plan()).unwrap();
        let read = |name: &str| std::fs::read_to_string(dir.join("records").join(name)).unwrap();
        let participant: Participant = serde_json::from_str(&read("participant.json")).unwrap();
        assert_eq!(participant, prepared.participant);
        let node: Node = serde_json::from_str(&read("node.json")).unwrap();
        assert_eq!(node, prepared.node);
        let second: Person = serde_json::from_str(&read("data-steward-2.json")).unwrap();
        assert_eq!(second.id.as_str(), "gd.province.data-steward-2");
        let stewards = prepared
            .persons
            .iter()
            .filter(|it| it.record.roles.contains(&Role::DataSteward));
        assert_eq!(stewards.count(), 2);
        let refused = create(&dir, &plan()).err().map(|it| it.to_string());
        assert!(refused.is_some_and(|it| it.contains("kouan serve --config")));
    }
}
