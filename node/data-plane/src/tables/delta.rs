//! Delta commits and snapshots.
//!
//! It does not write Parquet, and it does not choose what is in a version: it makes staged files
//! the content of a table, durably and once per job.
//!
//! Order of durability: the files (synced when they were written), the folder that names them, the
//! log entry, the log's folder. After a crash anywhere, the job runs again and either finds its
//! own commit by the job's identifier, or does it again over the same names.

use std::fs::{self, File};
use std::path::Path;

use arrow::datatypes::SchemaRef;
use deltalake::kernel::engine::arrow_conversion::{TryIntoArrow, TryIntoKernel};
use deltalake::kernel::models::new_metadata;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Add, StructType};
use deltalake::logstore::LogStoreRef;
use deltalake::operations::create::CreateBuilder;
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::table::state::DeltaTableState;
use deltalake::{DeltaTable, DeltaTableBuilder, DeltaTableError};
use serde_json::{Value, json};
use url::Url;

use super::RawVersion;
use crate::Error;
use crate::ingest::StagedFile;

/// Member of the commit information that names the job.
const JOB: &str = "kouanJob";

/// Member of the commit information with what a resumed job must know of its commit.
const NOTE: &str = "kouanNote";

/// Commits that are searched for a job's. A dataset has one publish at a time, so a job's commit
/// is among the last few.
const COMMITS_SEARCHED: u64 = 64;

/// A commit that is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    /// The Delta version.
    pub(crate) delta_version: u64,
    /// What was noted with it.
    pub(crate) note: Value,
}

/// Makes `files` the content of the table in `folder`. Done twice for one job, it is done once.
pub(crate) async fn commit(
    folder: &Path,
    schema: &SchemaRef,
    files: &[StagedFile],
    job: &str,
) -> Result<Committed, Error> {
    commit_noted(folder, schema, files, job, Value::Null).await
}

/// As [`commit`], with a note that [`committed`] gives back.
pub(crate) async fn commit_noted(
    folder: &Path,
    schema: &SchemaRef,
    files: &[StagedFile],
    job: &str,
    note: Value,
) -> Result<Committed, Error> {
    fs::create_dir_all(folder).map_err(Error::io("create a table's folder"))?;
    if let Some(committed) = committed(folder, job)? {
        return Ok(committed);
    }
    crate::ingest::remove_with_prefix(folder, job)?;
    for file in files {
        fs::rename(&file.path, folder.join(&file.name))
            .map_err(Error::io("move a file into its table"))?;
    }
    sync_folder(folder)?;
    let wanted: StructType =
        schema
            .as_ref()
            .try_into_kernel()
            .map_err(|source| Error::Columns {
                what: "turn a schema into a Delta schema",
                source,
            })?;
    let table = open_or_create(folder, &wanted).await?;
    let state = table
        .snapshot()
        .map_err(Error::table("read a table's state"))?;
    let mut actions: Vec<Action> = Vec::new();
    if state.schema().as_ref() != &wanted {
        actions.push(Action::Metadata(metadata(state, &wanted)?));
    }
    actions.extend(files.iter().map(|file| Action::Add(add(file))));
    actions.extend(
        state
            .log_data()
            .iter()
            .map(|file| Action::Remove(file.remove_action(true))),
    );
    let operation = DeltaOperation::Write {
        mode: SaveMode::Overwrite,
        partition_by: None,
        predicate: None,
    };
    let properties = CommitProperties::default().with_metadata([
        (JOB.to_owned(), Value::from(job)),
        (NOTE.to_owned(), note.clone()),
    ]);
    let done = CommitBuilder::from(properties)
        .with_actions(actions)
        .build(Some(state), table.log_store(), operation)
        .await
        .map_err(Error::table("commit a version"))?;
    sync_log(folder, done.version())?;
    Ok(Committed {
        delta_version: done.version(),
        note,
    })
}

/// The commit of `job`, if the table has one.
pub(crate) fn committed(folder: &Path, job: &str) -> Result<Option<Committed>, Error> {
    let log = folder.join("_delta_log");
    let entries = match fs::read_dir(&log) {
        Ok(entries) => entries,
        Err(source) if source.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(Error::Io {
                what: "list a table's log",
                source,
            });
        }
    };
    let mut latest = None;
    for entry in entries {
        let name = entry.map_err(Error::io("list a table's log"))?.file_name();
        let name = name.to_string_lossy();
        let version = name
            .strip_suffix(".json")
            .and_then(|text| text.parse::<u64>().ok());
        latest = latest.max(version);
    }
    let Some(latest) = latest else {
        return Ok(None);
    };
    for version in (latest.saturating_sub(COMMITS_SEARCHED)..=latest).rev() {
        let Ok(text) = fs::read_to_string(log.join(format!("{version:020}.json"))) else {
            continue;
        };
        let ours = text
            .lines()
            .filter(|line| line.contains(JOB))
            .find_map(|line| {
                let mut action = serde_json::from_str::<Value>(line).ok()?;
                let information = action.get_mut("commitInfo")?;
                (information[JOB] == job).then(|| information[NOTE].take())
            });
        if let Some(note) = ours {
            sync_log(folder, version)?;
            return Ok(Some(Committed {
                delta_version: version,
                note,
            }));
        }
    }
    Ok(None)
}

/// The files and the schema of a version.
pub(super) async fn open(folder: &Path, delta_version: u64) -> Result<RawVersion, Error> {
    let missing = || Error::Missing {
        what: "table",
        name: folder
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default(),
    };
    if !folder.is_dir() {
        return Err(missing());
    }
    let table = DeltaTableBuilder::from_url(url(folder)?)
        .map_err(Error::table("open a table"))?
        .with_version(delta_version)
        .load()
        .await
        .map_err(Error::table("open a table"))?;
    let state = table
        .snapshot()
        .map_err(Error::table("read a table's state"))?;
    let schema: arrow::datatypes::Schema = state
        .schema()
        .as_ref()
        .try_into_arrow()
        .map_err(Error::columns("read a table's schema"))?;
    let mut files: Vec<_> = state
        .log_data()
        .iter()
        .map(|file| folder.join(file.path().as_ref()))
        .collect();
    files.sort();
    Ok(RawVersion {
        files,
        schema: std::sync::Arc::new(schema),
    })
}

async fn open_or_create(folder: &Path, schema: &StructType) -> Result<DeltaTable, Error> {
    let mut table = DeltaTableBuilder::from_url(url(folder)?)
        .and_then(DeltaTableBuilder::build)
        .map_err(Error::table("open a table"))?;
    match table.load().await {
        Ok(()) => Ok(table),
        Err(DeltaTableError::NotATable(_)) => {
            let store: LogStoreRef = table.log_store();
            CreateBuilder::new()
                .with_log_store(store)
                .with_columns(schema.fields().cloned())
                .await
                .map_err(Error::table("create a table"))
        }
        Err(source) => Err(Error::table("open a table")(source)),
    }
}

/// The table's own metadata with another schema: a new edition of its standard.
fn metadata(
    state: &DeltaTableState,
    schema: &StructType,
) -> Result<deltalake::kernel::Metadata, Error> {
    use deltalake::kernel::MetadataExt;
    let id = state.metadata().id().to_owned();
    new_metadata(schema, Vec::<String>::new(), Vec::<(String, String)>::new())
        .and_then(|metadata| metadata.with_table_id(id))
        .map_err(|source| Error::table("change a table's schema")(DeltaTableError::from(source)))
}

fn add(file: &StagedFile) -> Add {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or_default();
    Add {
        path: file.name.clone(),
        size: i64::try_from(file.bytes).unwrap_or(i64::MAX),
        modification_time: now,
        data_change: true,
        stats: Some(json!({ "numRecords": file.rows, "tightBounds": true }).to_string()),
        ..Add::default()
    }
}

fn url(folder: &Path) -> Result<Url, Error> {
    let folder = folder
        .canonicalize()
        .map_err(Error::io("find a table's folder"))?;
    Url::from_directory_path(&folder).map_err(|()| Error::Record {
        what: "name a table's folder",
        why: "its path cannot be written as a URL".to_owned(),
    })
}

/// Makes a log entry durable: the store that wrote it does not.
fn sync_log(folder: &Path, version: u64) -> Result<(), Error> {
    let log = folder.join("_delta_log");
    File::open(log.join(format!("{version:020}.json")))
        .and_then(|file| file.sync_all())
        .map_err(Error::io("sync a table's log"))?;
    sync_folder(&log)?;
    sync_folder(folder)
}

fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(Error::io("sync a table's folder"))
}
