//! The threads of a publish: one reads and cuts, the workers judge and write, the caller collects.
//!
//! It does not let any of them run ahead: all queues hold [`QUEUE_BLOCKS`] blocks.

use std::fs::File;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use arrow::record_batch::RecordBatch;
use parquet::arrow::arrow_reader::{
    ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};

use super::blocks::{Block, Blocks, Layout};
use super::csv::CsvFile;
use super::encoding::{Charset, Text};
use super::mapped;
use super::ndjson::NdjsonFile;
use super::plan::Place;
use super::quarantine::{Quarantine, Rejected};
use super::raw::RawBlock;
use super::rows::Judged;
use super::typed::{self, TypedFile};
use super::write::{PartWriter, StagedFile};
use super::{Format, Ingest, Staged, WORKERS_MAX, WORKERS_MIN, Watch};
use crate::Error;

/// Blocks that wait for one worker, and reports that wait for the collector.
const QUEUE_BLOCKS: usize = 2;

/// Rows of a Parquet file that are read at once.
const BATCH_ROWS: usize = 32 << 10;

/// What may stand between fields of a CSV file that does not say.
const DELIMITERS: [u8; 4] = *b",;\t|";

/// Reads the file as `charset` says.
pub(super) fn run(
    ingest: &Ingest<'_>,
    charset: Option<Charset>,
    watch: &dyn Watch,
) -> Result<Staged, Error> {
    match ingest.format {
        Format::Csv => csv(ingest, charset, watch),
        Format::Json => json(ingest, charset, watch),
        Format::Xml => {
            let charset = match charset {
                None => super::xml::declared(ingest.source)?,
                some => some,
            };
            let text = Text::open(ingest.source, charset)?;
            let charset = text.charset();
            let source =
                |emit: &mut dyn FnMut(RawBlock) -> bool| super::xml::read(ingest.plan, text, emit);
            let staged = flow(ingest, watch, source, |raw| mapped::judge(ingest.plan, raw))?;
            Ok(read_as(charset, staged))
        }
        Format::Xlsx => {
            let source = |emit: &mut dyn FnMut(RawBlock) -> bool| {
                super::xlsx::read(ingest.plan, ingest.source, emit)
            };
            flow(ingest, watch, source, |raw| mapped::judge(ingest.plan, raw))
        }
        Format::Parquet => {
            let (batches, places) = open_parquet(ingest)?;
            let file = TypedFile {
                plan: ingest.plan,
                places: &places,
            };
            let source = |emit: &mut dyn FnMut(RecordBatch) -> bool| {
                for batch in batches {
                    let batch = batch.map_err(|source| Error::Format {
                        file: ingest.source.name().to_owned(),
                        why: format!("no readable Parquet: {source}"),
                    })?;
                    if !emit(batch) {
                        break;
                    }
                }
                Ok(())
            };
            flow(ingest, watch, source, |batch| file.judge(batch))
        }
    }
}

fn read_as(charset: Charset, staged: Staged) -> Staged {
    Staged {
        charset: Some(charset),
        ..staged
    }
}

fn csv(ingest: &Ingest<'_>, charset: Option<Charset>, watch: &dyn Watch) -> Result<Staged, Error> {
    let (plan, name) = (ingest.plan, ingest.source.name());
    let text = Text::open(ingest.source, charset)?;
    let charset = text.charset();
    let declared = plan.delimiter;
    let layout = Layout::Csv {
        delimiter: declared.unwrap_or(b','),
    };
    let mut blocks = Blocks::new(text, layout);
    let delimiter = match declared {
        Some(delimiter) => delimiter,
        None => blocks.find_delimiter(&DELIMITERS, &|name| {
            matches!(plan.field_place(name), Place::Column(_))
        })?,
    };
    let Some(header) = blocks.header()? else {
        return Err(Error::EmptyFile {
            file: name.to_owned(),
        });
    };
    let places = plan.places(name, &header)?;
    let file = CsvFile {
        plan,
        name,
        header: &header,
        places: &places,
        charset,
        delimiter,
    };
    let source = |emit: &mut dyn FnMut(Block) -> bool| blocks.each(emit);
    let staged = flow(ingest, watch, source, |block| file.judge(block))?;
    Ok(read_as(charset, staged))
}

fn json(ingest: &Ingest<'_>, charset: Option<Charset>, watch: &dyn Watch) -> Result<Staged, Error> {
    let path = ingest.plan.layout().and_then(|it| it.records.as_deref());
    let is_document = path.is_some() || super::json::is_array(ingest.source, charset)?;
    let text = Text::open(ingest.source, charset)?;
    let charset = text.charset();
    let file = NdjsonFile {
        plan: ingest.plan,
        name: ingest.source.name(),
    };
    let source = |emit: &mut dyn FnMut(Block) -> bool| {
        if is_document {
            super::json::read(text, path, emit)
        } else {
            Blocks::new(text, Layout::Lines).each(emit)
        }
    };
    let staged = flow(ingest, watch, source, |block| file.judge(block))?;
    Ok(read_as(charset, staged))
}

fn open_parquet(
    ingest: &Ingest<'_>,
) -> Result<(ParquetRecordBatchReader, Vec<Option<usize>>), Error> {
    let name = ingest.source.name();
    let refuse = |why: String| Error::Format {
        file: name.to_owned(),
        why,
    };
    let path = ingest
        .source
        .path()
        .ok_or_else(|| refuse("Parquet needs a file".to_owned()))?;
    let file = File::open(path).map_err(Error::io("open the uploaded file"))?;
    let unreadable =
        |source: parquet::errors::ParquetError| refuse(format!("no readable Parquet: {source}"));
    // The Arrow schema that some writers add is not read: Arrow panics on one that is not valid,
    // and the standard says what the columns are.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder =
        ParquetRecordBatchReaderBuilder::try_new_with_options(file, options).map_err(unreadable)?;
    let places = typed::places(ingest.plan, name, builder.schema())?;
    let batches = builder
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(unreadable)?;
    Ok((batches, places))
}

/// What a worker says of a block.
struct Report {
    seen: u64,
    rejected: Vec<Rejected>,
}

/// Runs the threads: `source` hands out blocks for as long as they are taken, `judge` judges one.
fn flow<B: Send>(
    ingest: &Ingest<'_>,
    watch: &dyn Watch,
    source: impl FnOnce(&mut dyn FnMut(B) -> bool) -> Result<(), Error> + Send,
    judge: impl Fn(&B) -> Result<Judged, Error> + Sync,
) -> Result<Staged, Error> {
    let workers = ingest.workers.clamp(WORKERS_MIN, WORKERS_MAX);
    let mut quarantine = Quarantine::new(ingest.quarantine.clone());
    thread::scope(|scope| {
        let mut inlets = Vec::with_capacity(workers);
        let mut outlets = Vec::with_capacity(workers);
        let mut hands = Vec::with_capacity(workers);
        for worker in 0..workers {
            let (inlet, work) = sync_channel::<B>(QUEUE_BLOCKS);
            let (done, outlet) = sync_channel(QUEUE_BLOCKS);
            let prefix = format!("{}-P{worker}", ingest.prefix);
            let schema = ingest.plan.schema.clone();
            let writer = PartWriter::new(ingest.staging, prefix, schema)?;
            let judge = &judge;
            hands.push(scope.spawn(move || serve(&work, &done, writer, judge)));
            inlets.push(inlet);
            outlets.push(outlet);
        }
        let reader = scope.spawn(move || feed(source, inlets));
        let collected = collect(outlets, &mut quarantine, watch);
        // From here on nobody listens, so every thread ends with its next send.
        let read = reader.join().unwrap_or(Err(Error::Worker("the reader")));
        let mut parts = Vec::new();
        for hand in hands {
            parts.push(hand.join().unwrap_or(Err(Error::Worker("a worker"))));
        }
        let seen = collected?;
        read.map_err(|error| counted_from(error, seen + 1))?;
        let parts: Vec<Vec<StagedFile>> = parts.into_iter().collect::<Result<_, Error>>()?;
        let mut files: Vec<StagedFile> = parts.into_iter().flatten().collect();
        files.sort_by(|a, b| a.name.cmp(&b.name));
        let rows = files.iter().map(|file| file.rows).sum();
        let found = quarantine.finish()?;
        Ok(Staged {
            files,
            rows,
            quarantined_rows: found.rows,
            faults: found.first,
            counts: found.counts,
            quarantine: found.path,
            charset: None,
        })
    })
}

/// Deals blocks to the workers in turn.
fn feed<B>(
    source: impl FnOnce(&mut dyn FnMut(B) -> bool) -> Result<(), Error>,
    inlets: Vec<SyncSender<B>>,
) -> Result<(), Error> {
    let mut turns = inlets.iter().cycle();
    // A worker that no longer takes work has said why, or the collector has.
    source(&mut |block| turns.next().is_some_and(|inlet| inlet.send(block).is_ok()))
}

fn serve<B>(
    work: &Receiver<B>,
    done: &SyncSender<Result<Report, Error>>,
    mut writer: PartWriter,
    judge: &impl Fn(&B) -> Result<Judged, Error>,
) -> Result<Vec<StagedFile>, Error> {
    for block in work {
        let judged = judge(&block).and_then(|judged| {
            writer.write(&judged.batch)?;
            Ok(Report {
                seen: judged.seen,
                rejected: judged.rejected,
            })
        });
        let failed = judged.is_err();
        if done.send(judged).is_err() || failed {
            return Ok(Vec::new());
        }
    }
    writer.finish()
}

/// Takes the reports in block order; returns how many rows there were.
fn collect(
    outlets: Vec<Receiver<Result<Report, Error>>>,
    quarantine: &mut Quarantine,
    watch: &dyn Watch,
) -> Result<u64, Error> {
    let mut seen = 0_u64;
    for outlet in outlets.iter().cycle() {
        let Ok(report) = outlet.recv() else { break };
        let report = report.map_err(|error| counted_from(error, seen))?;
        for rejected in &report.rejected {
            quarantine.keep(rejected, seen)?;
        }
        seen += report.seen;
        watch.rows(seen);
        if watch.is_cancelled() {
            return Err(Error::Cancelled);
        }
    }
    Ok(seen)
}

/// Moves an error's row by the rows that came before its block.
fn counted_from(error: Error, before: u64) -> Error {
    match error {
        Error::RecordTooLong { file, row, limit } => Error::RecordTooLong {
            file,
            row: row + before,
            limit,
        },
        Error::WrongByte {
            file,
            row,
            offset,
            encoding,
            suspected,
        } if encoding == "UTF-8" => Error::WrongByte {
            file,
            row: row + before,
            offset,
            encoding,
            suspected,
        },
        other => other,
    }
}
