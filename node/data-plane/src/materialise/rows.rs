//! From raw files to the rows that may leave: scan, filter, project, limit, mask, write.
//!
//! It does not know grants: it is given columns, a filter and masks that were decided elsewhere.

use std::fs::File;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use crypto::merkle::ContentHasher;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::expr_fn::ident;
use datafusion::prelude::{DataFrame, ParquetReadOptions, SessionConfig};
use futures::StreamExt as _;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use schemas::decision::Obligations;
use tokio::sync::mpsc;

use super::filter::filter;
use super::manifest::{ARTEFACT_FILES_MAX, ArtefactFile, file_name};
use super::masks::{MaskKey, Masking};
use crate::Error;

/// Bytes of one file of an artefact, about: small enough to be checked and fetched beside others,
/// large enough for good row groups.
const FILE_BYTES: usize = 128 << 20;

/// Rows of one batch; with 1,024 columns of text a batch stays below some tens of MiB.
const BATCH_ROWS: usize = 8_192;

/// Batches between the scan and the writer. Two would do; four hide a slow disk.
const BATCHES_WAITING_MAX: usize = 4;

/// Bytes that are read at once for hashing: what the hash takes at once.
const READ_BYTES: usize = 256 << 10;

/// Rows of one row group, as other Parquet writers have it.
const ROW_GROUP_ROWS: usize = 1 << 20;

/// The raw files of one version.
pub(crate) struct Source {
    /// Absolute paths, in the table's order.
    pub(crate) files: Vec<PathBuf>,
    /// Their columns.
    pub(crate) schema: SchemaRef,
}

/// What was written.
pub(crate) struct Written {
    pub(crate) files: Vec<ArtefactFile>,
    pub(crate) rows: u64,
    pub(crate) row_limit_reached: bool,
    pub(crate) schema: SchemaRef,
}

/// Writes the entitled rows of `source` into the folder `into`.
///
/// # Errors
/// [`Error::Record`] when the obligations do not fit the table, [`Error::Query`],
/// [`Error::Parquet`], [`Error::Io`], [`Error::Columns`].
pub(crate) async fn write_out(
    source: &Source,
    obligations: &Obligations,
    key: MaskKey,
    into: &Path,
) -> Result<Written, Error> {
    let before = projected(source, obligations)?;
    let masking = Masking::new(key, &obligations.masks, &before)?;
    let schema = Arc::clone(masking.schema());
    let (sender, batches) = mpsc::channel(BATCHES_WAITING_MAX);
    let writer = {
        let (schema, into) = (Arc::clone(&schema), into.to_owned());
        tokio::task::spawn_blocking(move || write(batches, &schema, &into))
    };
    // The sender goes in, so that the writer ends with the last row or with the error.
    let pumped = pump(source, obligations, &masking, sender).await;
    let files = writer
        .await
        .map_err(|_| Error::Worker("the artefact's writer"))??;
    let (rows, row_limit_reached) = pumped?;
    Ok(Written {
        files,
        rows,
        row_limit_reached,
        schema,
    })
}

/// One file's entitled rows: filter, then projection in the obligations' order, at most `most`.
pub(super) async fn scan(
    context: &SessionContext,
    file: &Path,
    source: &Source,
    obligations: &Obligations,
    most: Option<usize>,
) -> Result<DataFrame, Error> {
    let path = file.to_str().ok_or_else(|| Error::Record {
        what: "read the rows of an entitlement",
        why: "the node's folder has a name that is not UTF-8".to_owned(),
    })?;
    let options = ParquetReadOptions::default().schema(&source.schema);
    let mut rows = context.read_parquet(path, options).await.map_err(query)?;
    if let Some(predicate) = filter(&obligations.rows, &source.schema)? {
        rows = rows.filter(predicate).map_err(query)?;
    }
    rows = rows
        .select(obligations.columns.iter().map(ident))
        .map_err(query)?;
    if most.is_some() {
        rows = rows.limit(0, most).map_err(query)?;
    }
    Ok(rows)
}

/// One partition keeps a file's row order.
pub(super) fn context() -> SessionContext {
    let mut config = SessionConfig::new()
        .with_target_partitions(1)
        .with_batch_size(BATCH_ROWS);
    config
        .options_mut()
        .execution
        .parquet
        .schema_force_view_types = false;
    SessionContext::new_with_config(config)
}

pub(super) fn query(source: DataFusionError) -> Error {
    Error::Query {
        what: "read the rows of an entitlement",
        source: Box::new(source),
    }
}

/// The columns that leave, in the obligations' order.
fn projected(source: &Source, obligations: &Obligations) -> Result<Schema, Error> {
    let refuse = |why: String| Error::Record {
        what: "read the rows of an entitlement",
        why,
    };
    if obligations.columns.is_empty() {
        return Err(refuse("the permit lets no column leave".to_owned()));
    }
    let mut fields = Vec::with_capacity(obligations.columns.len());
    for name in &obligations.columns {
        let field = source.schema.field_with_name(name);
        fields.push(
            field
                .map_err(|_| refuse(format!("the table has no column {name}")))?
                .clone(),
        );
    }
    Ok(Schema::new(fields))
}

/// Sends the entitled rows, masked; answers how many, and whether the limit cut any off.
///
/// The files are read one after the other, in the table's order: a scan over many lists them in
/// whatever order their footers arrived and, under a limit, takes the first that suffice, so that
/// the same entitlement would give other rows each time.
async fn pump(
    source: &Source,
    obligations: &Obligations,
    masking: &Masking,
    sender: mpsc::Sender<RecordBatch>,
) -> Result<(u64, bool), Error> {
    let context = context();
    let mut left = obligations.rows_max;
    let mut sent: u64 = 0;
    for file in &source.files {
        // One more than may leave, to know whether the limit cut anything off.
        let most = left.map(|left| {
            usize::try_from(left)
                .unwrap_or(usize::MAX)
                .saturating_add(1)
        });
        let rows = scan(&context, file, source, obligations, most).await?;
        let mut stream = rows.execute_stream().await.map_err(query)?;
        while let Some(batch) = stream.next().await {
            let mut batch = batch.map_err(query)?;
            let found = u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
            let taken = found.min(left.unwrap_or(u64::MAX));
            if taken < found {
                batch = batch.slice(0, usize::try_from(taken).unwrap_or(0));
            }
            left = left.map(|left| left - taken);
            sent = sent.saturating_add(taken);
            if taken > 0 && sender.send(masking.apply(&batch)?).await.is_err() {
                // The writer ended early; its own error says why.
                return Ok((sent, false));
            }
            if taken < found {
                return Ok((sent, true));
            }
        }
    }
    Ok((sent, false))
}

fn write(
    mut batches: mpsc::Receiver<RecordBatch>,
    schema: &SchemaRef,
    into: &Path,
) -> Result<Vec<ArtefactFile>, Error> {
    let failed = Error::parquet("write an artefact");
    let mut files = Vec::new();
    let mut open = open_file(into, files.len(), schema)?;
    while let Some(batch) = batches.blocking_recv() {
        if open.bytes_written().saturating_add(open.in_progress_size()) > FILE_BYTES {
            let full = std::mem::replace(&mut open, open_file(into, files.len() + 1, schema)?);
            files.push(close_file(full, files.len())?);
        }
        if files.len() >= ARTEFACT_FILES_MAX {
            return Err(Error::Record {
                what: "write an artefact",
                why: format!("it has more than {ARTEFACT_FILES_MAX} files; narrow the grant"),
            });
        }
        if let Err(source) = open.write(&batch) {
            return Err(failed(source));
        }
    }
    files.push(close_file(open, files.len())?);
    Ok(files)
}

fn open_file(into: &Path, at: usize, schema: &SchemaRef) -> Result<ArrowWriter<HashedFile>, Error> {
    let level = ZstdLevel::try_new(1).map_err(Error::parquet("choose a compression"))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        // Equal rows give equal bytes whatever version of a library wrote them.
        .set_created_by("kouan".to_owned())
        .build();
    let file = HashedFile::create(&into.join(file_name(at)))?;
    ArrowWriter::try_new(file, Arc::clone(schema), Some(properties))
        .map_err(Error::parquet("open an artefact's file"))
}

fn close_file(writer: ArrowWriter<HashedFile>, at: usize) -> Result<ArtefactFile, Error> {
    let file = writer
        .into_inner()
        .map_err(Error::parquet("close an artefact's file"))?;
    file.file
        .sync_all()
        .map_err(Error::io("sync an artefact's file"))?;
    Ok(ArtefactFile {
        name: file_name(at),
        bytes: file.bytes,
        digest: file.hasher.finish(),
    })
}

/// A file that hashes what is written to it.
struct HashedFile {
    file: File,
    hasher: ContentHasher,
    bytes: u64,
}

impl HashedFile {
    fn create(path: &Path) -> Result<Self, Error> {
        let file = File::create_new(path).map_err(Error::io("create an artefact's file"))?;
        Ok(Self {
            file,
            hasher: ContentHasher::new(),
            bytes: 0,
        })
    }
}

impl Write for HashedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes = self
            .bytes
            .saturating_add(u64::try_from(written).unwrap_or(0));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Digest and size of a file that exists.
pub(crate) fn digest_of_file(path: &Path, name: String) -> Result<ArtefactFile, Error> {
    let mut file = File::open(path).map_err(Error::io("open a pinned file"))?;
    let mut hasher = ContentHasher::new();
    let mut buffer = vec![0; READ_BYTES];
    let mut bytes: u64 = 0;
    loop {
        let read = file
            .read(&mut buffer)
            .map_err(Error::io("hash a pinned file"))?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        bytes = bytes.saturating_add(u64::try_from(read).unwrap_or(0));
    }
    Ok(ArtefactFile {
        name,
        bytes,
        digest: hasher.finish(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array as _, Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    use proptest::prelude::*;
    use schemas::decision::{Operator, Predicate, RowFilter};

    type Row = (Option<i64>, Option<String>);

    fn source(dir: &Path, files: &[Vec<Row>]) -> Source {
        let schema: SchemaRef = Arc::new(Schema::new(vec![
            Field::new("n", DataType::Int64, true),
            Field::new("t", DataType::Utf8, true),
        ]));
        let paths = files.iter().enumerate().map(|(at, rows)| {
            // Names are random in a table: here they sort the other way round.
            let path = dir.join(format!("raw-{}.parquet", 9 - at));
            let numbers: Int64Array = rows.iter().map(|row| row.0).collect();
            let texts: StringArray = rows.iter().map(|row| row.1.clone()).collect();
            let columns: Vec<arrow::array::ArrayRef> = vec![Arc::new(numbers), Arc::new(texts)];
            let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
            let file = File::create(&path).unwrap();
            let mut writer = ArrowWriter::try_new(file, Arc::clone(&schema), None).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
            path
        });
        Source {
            files: paths.collect(),
            schema: Arc::clone(&schema),
        }
    }

    fn read(dir: &Path, written: &Written) -> Vec<Row> {
        let mut rows = Vec::new();
        for file in &written.files {
            assert_eq!(
                &digest_of_file(&dir.join(&file.name), file.name.clone()).unwrap(),
                file
            );
            let open = File::open(dir.join(&file.name)).unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(open)
                .unwrap()
                .build()
                .unwrap();
            for batch in reader.map(Result::unwrap) {
                // Columns come in the obligations' order: the text first.
                let texts = batch
                    .column(0)
                    .as_any()
                    .downcast_ref::<StringArray>()
                    .unwrap();
                let numbers = batch
                    .column(1)
                    .as_any()
                    .downcast_ref::<Int64Array>()
                    .unwrap();
                rows.extend((0..batch.num_rows()).map(|at| {
                    let number = numbers.is_valid(at).then(|| numbers.value(at));
                    (
                        number,
                        texts.is_valid(at).then(|| texts.value(at).to_owned()),
                    )
                }));
            }
        }
        rows
    }

    fn passes(row: &Row, predicate: &Predicate) -> bool {
        let Some(number) = row.0 else { return false };
        let values: Vec<i64> = predicate
            .values
            .iter()
            .map(|it| it.parse().unwrap())
            .collect();
        match predicate.operator {
            Operator::Eq => number == values[0],
            Operator::Ne => number != values[0],
            Operator::Lt => number < values[0],
            Operator::Le => number <= values[0],
            Operator::Gt => number > values[0],
            Operator::Ge => number >= values[0],
            Operator::In => values.contains(&number),
        }
    }

    fn predicate() -> impl Strategy<Value = Predicate> {
        let operator = prop::sample::select(Operator::ALL);
        (operator, prop::collection::vec(-4_i64..4, 1..4)).prop_map(|(operator, values)| {
            let most = if operator == Operator::In {
                values.len()
            } else {
                1
            };
            Predicate {
                column: "n".to_owned(),
                operator,
                values: values.iter().take(most).map(ToString::to_string).collect(),
            }
        })
    }

    fn row() -> impl Strategy<Value = Row> {
        (prop::option::of(-4_i64..4), prop::option::of("[a-c]{0,2}"))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn exactly_the_entitled_rows_leave_in_order_and_up_to_the_limit(
            files in prop::collection::vec(prop::collection::vec(row(), 0..20), 0..5),
            all in prop::collection::vec(predicate(), 0..3),
            rows_max in prop::option::of(0_u64..12),
        ) {
            let dir = tempfile::tempdir().unwrap();
            let source = source(dir.path(), &files);
            let entitled: Vec<Row> = files
                .concat()
                .into_iter()
                .filter(|row| all.iter().all(|predicate| passes(row, predicate)))
                .collect();
            let obligations = Obligations {
                columns: vec!["t".to_owned(), "n".to_owned()],
                rows: RowFilter { all },
                rows_max,
                ..Obligations::default()
            };
            let into = dir.path().join("out");
            std::fs::create_dir(&into).unwrap();
            let key = MaskKey::derive(b"secret", None).unwrap();
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let written =
                runtime.block_on(write_out(&source, &obligations, key, &into)).unwrap();
            let most = rows_max.map_or(usize::MAX, |most| usize::try_from(most).unwrap());
            let expected: Vec<Row> = entitled.iter().take(most).cloned().collect();
            prop_assert_eq!(written.row_limit_reached, entitled.len() > most);
            prop_assert_eq!(written.rows, u64::try_from(expected.len()).unwrap());
            prop_assert_eq!(read(&into, &written), expected);
        }
    }
}
