//! Commits: once per job, a full snapshot each, and nothing that was not committed.

use std::collections::BTreeSet;

use schemas::standard::{DataStandard, Reading};
use schemas::{LocalText, StandardEdition, StandardId};
use serde_json::json;

use super::*;
use crate::ingest::{Format, Ingest, Plan, Source, StagedFile, Unwatched};

fn plan(properties: &serde_json::Value) -> Plan {
    let standard = DataStandard {
        edition: StandardEdition {
            standard: StandardId::parse("test").unwrap(),
            edition: 1,
        },
        title: LocalText::new("测试", "test"),
        row_schema: json!({"type": "object", "properties": properties}).to_string(),
        reading: Reading::default(),
    };
    Plan::compile(&standard, &BTreeSet::new()).unwrap()
}

fn two_columns() -> Plan {
    plan(&json!({"id": {"type": "integer"}, "name": {"type": "string"}}))
}

fn stage(dir: &Path, plan: &Plan, job: &str, text: &str) -> Vec<StagedFile> {
    let path = dir.join(format!("{job}.csv"));
    std::fs::write(&path, text).unwrap();
    let ingest = Ingest {
        source: &Source::file(&path, job),
        format: Format::Csv,
        charset: None,
        plan,
        staging: dir,
        prefix: job,
        quarantine: dir.join("quarantine"),
        workers: 1,
    };
    ingest.run(&Unwatched).unwrap().files
}

fn names(raw: &RawVersion) -> Vec<String> {
    raw.files
        .iter()
        .map(|file| {
            assert!(file.is_file(), "{}", file.display());
            file.file_name().unwrap().to_string_lossy().into_owned()
        })
        .collect()
}

#[tokio::test]
async fn each_version_is_a_full_snapshot_and_earlier_ones_stay_readable() {
    let dir = tempfile::tempdir().unwrap();
    let table = dir.path().join("tables").join("d");
    let plan = two_columns();
    let first = stage(dir.path(), &plan, "a", "id,name\n1,x\n");
    let first = commit(&table, plan.schema(), &first, "a").await.unwrap();
    let second = stage(dir.path(), &plan, "a-1", "id,name\n2,y\n3,z\n");
    let second = commit(&table, plan.schema(), &second, "a-1").await.unwrap();
    assert!(second.delta_version > first.delta_version);
    let raw = delta::open(&table, first.delta_version).await.unwrap();
    assert_eq!(names(&raw), ["a-P0-00000.parquet"]);
    assert_eq!(&raw.schema, plan.schema());
    let raw = delta::open(&table, second.delta_version).await.unwrap();
    assert_eq!(names(&raw), ["a-1-P0-00000.parquet"]);
    // A new edition of the standard has another column.
    let wider = plan_with_day();
    let third = stage(dir.path(), &wider, "b", "id,name,day\n1,x,2026-11-24\n");
    let third = commit(&table, wider.schema(), &third, "b").await.unwrap();
    let raw = delta::open(&table, third.delta_version).await.unwrap();
    assert_eq!(&raw.schema, wider.schema());
    assert!(delta::open(&table, third.delta_version + 1).await.is_err());
}

fn plan_with_day() -> Plan {
    plan(
        &json!({"id": {"type": "integer"}, "name": {"type": "string"},
        "day": {"type": "string", "format": "date"}}),
    )
}

#[tokio::test]
async fn a_job_that_runs_again_finds_its_own_commit() {
    let dir = tempfile::tempdir().unwrap();
    let table = dir.path().join("d");
    let plan = two_columns();
    assert_eq!(committed(&table, "job-1").unwrap(), None);
    let files = stage(dir.path(), &plan, "job-1", "id,name\n1,x\n");
    let note = json!({"rows": 1});
    let first = commit_noted(&table, plan.schema(), &files, "job-1", note.clone())
        .await
        .unwrap();
    assert_eq!(first.note, note);
    assert_eq!(committed(&table, "job-1").unwrap(), Some(first.clone()));
    assert_eq!(committed(&table, "job").unwrap(), None);
    let files = stage(dir.path(), &plan, "job-1", "id,name\n1,x\n");
    let again = commit(&table, plan.schema(), &files, "job-1")
        .await
        .unwrap();
    assert_eq!(again, first, "nothing is committed twice");
}

#[tokio::test]
async fn what_a_dead_job_left_in_the_table_is_replaced_and_never_read() {
    let dir = tempfile::tempdir().unwrap();
    let table = dir.path().join("d");
    let plan = two_columns();
    // It died after its files were moved and before the commit.
    std::fs::create_dir_all(&table).unwrap();
    std::fs::write(table.join("job-1-P0-00000.parquet"), b"half").unwrap();
    std::fs::write(table.join("job-1-P7-00000.parquet"), b"other").unwrap();
    let other = stage(dir.path(), &plan, "other", "id,name\n9,q\n");
    let other = commit(&table, plan.schema(), &other, "other")
        .await
        .unwrap();
    let raw = delta::open(&table, other.delta_version).await.unwrap();
    assert_eq!(names(&raw), ["other-P0-00000.parquet"]);
    let files = stage(dir.path(), &plan, "job-1", "id,name\n1,x\n");
    let done = commit(&table, plan.schema(), &files, "job-1")
        .await
        .unwrap();
    let raw = delta::open(&table, done.delta_version).await.unwrap();
    assert_eq!(names(&raw), ["job-1-P0-00000.parquet"]);
    assert!(!table.join("job-1-P7-00000.parquet").exists());
    let bytes = std::fs::read(&raw.files[0]).unwrap();
    assert_eq!(
        crypto::merkle::ContentHasher::digest(&bytes),
        files[0].digest
    );
}

#[test]
fn a_versions_digest_depends_on_every_file_and_not_on_their_order() {
    let file = |name: &str, bytes: u64| StagedFile {
        name: name.to_owned(),
        path: PathBuf::new(),
        rows: 1,
        bytes,
        digest: crypto::Digest::of(name.as_bytes()),
    };
    let both = content_digest(&[file("a", 1), file("b", 2)]).unwrap();
    assert_eq!(content_digest(&[file("b", 2), file("a", 1)]).unwrap(), both);
    for other in [
        vec![file("a", 1)],
        vec![file("a", 1), file("b", 3)],
        vec![file("a", 1), file("c", 2)],
    ] {
        assert_ne!(content_digest(&other).unwrap(), both);
    }
}
