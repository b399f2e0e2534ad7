//! A check before anything is published: a file is staged, read with the publisher's own reader
//! and judged by its own validator, and then it is gone.
//!
//! It does not publish and it asks no gate: no dataset is touched, and what is shown is what the
//! caller sent. It is for data stewards of a participant for whom this node acts.
//!
//! The body is the mapping as JSON (its length in the URL) and then the file; the answer is one
//! JSON object a line: `{"rows":N}` while the work goes on, at the end `{"report":{...}}` or
//! `{"problem":{...}}`.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use schemas::code::ErrorCode;
use schemas::mapping::{MAPPING_BYTES_MAX, Mapping};
use schemas::participant::Role;
use schemas::standard::DataStandard;
use schemas::validate::strict_json;
use schemas::{StandardEdition, StandardId};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::upload::{Staged, file_of};
use super::{Problem, Rows, Trace};
use crate::Error;
use crate::ingest::source::as_u64;
use crate::ingest::{Charset, FaultCount, Format, Ingest, Plan, RowFault, Source, Watch};

/// Lines of an answer that wait for a slow reader.
const LINES_MAX: usize = 16;

/// What is checked against what.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    /// Name of the file as its owner knows it; its ending says what it is.
    file: String,
    /// Its encoding, where the owner knows it.
    encoding: Option<String>,
    /// The standard.
    standard: String,
    /// Its edition.
    edition: u32,
    /// How many bytes of the body are a mapping; none when the file is of the standard's form.
    mapping_bytes: Option<usize>,
}

/// What was found.
#[derive(Serialize)]
struct Report {
    /// Rows in the file.
    rows: u64,
    /// Rows that follow the standard.
    passed: u64,
    /// Rows that would be kept out.
    kept_out: u64,
    /// As what the file was read; none for files without an encoding.
    encoding: Option<&'static str>,
    /// How often each rule was broken.
    counts: Vec<FaultCount>,
    /// The first faults.
    findings: Vec<RowFault>,
}

/// `POST /api/v1/checks?file=...&standard=...&edition=...`
pub(super) async fn check(
    State(rows): State<Arc<Rows>>,
    parameters: Result<Query<Parameters>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let trace = Trace::of(&headers);
    let invalid = |why: String| Problem::new(ErrorCode::Invalid, why, &trace);
    let principal = rows.principal(&headers, &trace)?;
    let is_steward = principal.roles.contains(&Role::DataSteward)
        && rows.parts.hosted.contains_key(&principal.participant);
    if !is_steward {
        let why = "only a data steward of a participant for whom this node acts checks files here";
        return Err(Problem::new(ErrorCode::Refused, why, &trace));
    }
    let Query(parameters) = parameters.map_err(|source| invalid(source.body_text()))?;
    let (file, charset) =
        file_of(parameters.file, parameters.encoding).map_err(|why| invalid(why.to_owned()))?;
    let edition = StandardEdition {
        standard: StandardId::parse(parameters.standard)
            .map_err(|source| invalid(source.to_string()))?,
        edition: parameters.edition,
    };
    let missing = || Problem::new(ErrorCode::NotFound, "there is no such standard", &trace);
    let view = rows.parts.catalog.view();
    let standard = view.standard(&edition).ok_or_else(missing)?.clone();
    let mapping_bytes = parameters.mapping_bytes.unwrap_or(0);
    if mapping_bytes > MAPPING_BYTES_MAX {
        return Err(invalid(format!(
            "a mapping has at most {MAPPING_BYTES_MAX} bytes"
        )));
    }
    let busy = || {
        let why = "too many checks and inspections run at this moment; try again";
        Problem::new(ErrorCode::Unavailable, why, &trace)
    };
    let turn = Arc::clone(&rows.inspections).try_acquire_owned();
    let turn = turn.map_err(|_| busy())?;
    let staged =
        Staged::new(&rows.parts.dir, charset).map_err(|error| Problem::of(&error, &trace))?;
    let limit = rows.parts.options.upload_bytes_max;
    staged
        .receive(body, limit.saturating_add(as_u64(mapping_bytes)), &trace)
        .await?;
    let work = Work {
        staged,
        mapping_bytes,
        file,
        charset,
        standard,
        workers: rows.parts.options.publish_workers,
    };
    let (lines, answer) = mpsc::channel(LINES_MAX);
    tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let line = match work.run(&lines) {
            Ok(report) => serde_json::json!({ "report": report }),
            Err(error) => serde_json::json!({ "problem": Problem::of(&error, &trace) }),
        };
        // Nobody may be there any more.
        let _sent = lines.blocking_send(line.to_string());
    });
    let pieces = tokio_stream::wrappers::ReceiverStream::new(answer);
    let pieces = futures::StreamExt::map(pieces, |mut line: String| {
        line.push('\n');
        Ok::<_, Infallible>(Bytes::from(line))
    });
    let kind = HeaderValue::from_static("application/x-ndjson");
    Ok(([(header::CONTENT_TYPE, kind)], Body::from_stream(pieces)).into_response())
}

/// One check.
struct Work {
    staged: Staged,
    mapping_bytes: usize,
    file: String,
    charset: Option<Charset>,
    standard: DataStandard,
    workers: usize,
}

impl Work {
    fn run(&self, lines: &mpsc::Sender<String>) -> Result<Report, Error> {
        let mapping = self.mapping()?;
        let plan = Plan::compile_mapped(&self.standard, &BTreeSet::new(), mapping.as_ref())?;
        let folder = Folder::beside(&self.staged)?;
        let skipped = as_u64(self.mapping_bytes);
        if skipped > 0 {
            self.cut_front(skipped)?;
        }
        let ingest = Ingest {
            source: &Source::file(self.staged.path(), &self.file),
            format: Format::of_name(&self.file),
            charset: self.charset,
            plan: &plan,
            staging: &folder.0,
            prefix: "check",
            quarantine: folder.0.join("quarantine.ndjson.gz"),
            workers: self.workers,
        };
        let staged = ingest.run(&Listener(lines))?;
        Ok(Report {
            rows: staged.rows + staged.quarantined_rows,
            passed: staged.rows,
            kept_out: staged.quarantined_rows,
            encoding: staged.charset.map(Charset::as_str),
            counts: staged.counts,
            findings: staged.faults,
        })
    }

    fn mapping(&self) -> Result<Option<Mapping>, Error> {
        if self.mapping_bytes == 0 {
            return Ok(None);
        }
        let mut text = vec![0_u8; self.mapping_bytes];
        std::fs::File::open(self.staged.path())
            .and_then(|mut file| file.read_exact(&mut text))
            .map_err(Error::io("read a mapping"))?;
        let refuse = |why: String| Error::Mapping {
            mapping: "file".to_owned(),
            why,
        };
        // Strictly, as everything that a person writes and two programs read.
        let value = strict_json(&text).map_err(|source| refuse(source.to_string()))?;
        let mapping = serde_json::from_value(value).map_err(|source| refuse(source.to_string()))?;
        Ok(Some(mapping))
    }

    /// Moves the file to the front of the staged bytes: archives are read from their end.
    fn cut_front(&self, skipped: u64) -> Result<(), Error> {
        let moved = self.staged.path().with_extension("file");
        let copied = || {
            let mut from = std::fs::File::open(self.staged.path())?;
            from.seek(SeekFrom::Start(skipped))?;
            let mut to = std::fs::File::create_new(&moved)?;
            std::io::copy(&mut from, &mut to)?;
            std::fs::rename(&moved, self.staged.path())
        };
        let done = copied();
        if done.is_err() {
            // What was copied goes; what stays is swept at the next start.
            let _removed = std::fs::remove_file(&moved);
        }
        done.map_err(Error::io("stage a file"))
    }
}

/// A folder that goes when the check has ended.
struct Folder(PathBuf);

impl Folder {
    fn beside(staged: &Staged) -> Result<Self, Error> {
        let name = staged
            .path()
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let path = staged.path().with_file_name(format!("job-check-{name}"));
        std::fs::create_dir(&path).map_err(Error::io("create a folder for a check"))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays is swept at the next start.
        let _removed = std::fs::remove_dir_all(&self.0);
    }
}

/// Whoever waits for the answer.
struct Listener<'a>(&'a mpsc::Sender<String>);

impl Watch for Listener<'_> {
    fn rows(&self, rows: u64) {
        // A slow reader misses some of the progress and none of the result.
        let _sent = self.0.try_send(format!("{{\"rows\":{rows}}}"));
    }

    fn is_cancelled(&self) -> bool {
        self.0.is_closed()
    }
}
