//! What arrived at a consumer: its table's files, read past the node.
//!
//! It does not know Delta: a table that was received once consists of all its Parquet files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use arrow::array::{Array as _, AsArray as _};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use server::init::Prepared;

/// The folder of what a node's own participant received of a dataset, under its only grant.
///
/// # Panics
/// When nothing was received, or under several grants.
#[must_use]
pub fn folder(prepared: &Prepared, dataset: &str) -> PathBuf {
    let grants = std::fs::read_dir(of_dataset(prepared, dataset)).expect("a received dataset");
    let mut grants: Vec<PathBuf> = grants.map(|it| it.expect("a folder").path()).collect();
    assert_eq!(grants.len(), 1, "{grants:?}");
    grants.swap_remove(0)
}

/// Where everything lies that a node's own participant received of a dataset.
#[must_use]
pub fn of_dataset(prepared: &Prepared, dataset: &str) -> PathBuf {
    let folder = prepared.dir.join("data/received");
    folder.join(prepared.participant.id.as_str()).join(dataset)
}

/// Every value of some columns of a received table, as text; nothing for no value.
///
/// # Panics
/// When a file is not Parquet or lacks a column.
#[must_use]
pub fn rows(folder: &Path, columns: &[&str]) -> Vec<Vec<Option<String>>> {
    let mut rows = Vec::new();
    let files = std::fs::read_dir(folder).expect("a received table");
    let files = files.map(|it| it.expect("a received file").path());
    for file in files.filter(|it| it.extension().is_some_and(|it| it == "parquet")) {
        let file = std::fs::File::open(file).expect("open a received file");
        let reader = ParquetRecordBatchReaderBuilder::try_new(file)
            .expect("Parquet")
            .build();
        for batch in reader.expect("Parquet") {
            let batch = batch.expect("rows");
            let texts: Vec<_> = columns
                .iter()
                .map(|name| {
                    let column = batch.column_by_name(name).expect("the column arrived");
                    arrow::compute::cast(column, &arrow::datatypes::DataType::Utf8).expect("text")
                })
                .collect();
            for row in 0..batch.num_rows() {
                let value = |it: &arrow::array::ArrayRef| {
                    let it = it.as_string::<i32>();
                    it.is_valid(row).then(|| it.value(row).to_owned())
                };
                rows.push(texts.iter().map(value).collect());
            }
        }
    }
    rows
}

/// The columns of a received table.
///
/// # Panics
/// When there is no table.
#[must_use]
pub fn columns(folder: &Path) -> BTreeSet<String> {
    let file = std::fs::read_dir(folder)
        .expect("a received table")
        .map(|it| it.expect("a received file").path())
        .find(|it| it.extension().is_some_and(|it| it == "parquet"))
        .expect("a received file");
    let file = std::fs::File::open(file).expect("open a received file");
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("Parquet");
    reader
        .schema()
        .fields()
        .iter()
        .map(|it| it.name().clone())
        .collect()
}
