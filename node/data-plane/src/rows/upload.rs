//! An upload: a file that its steward signed for, on its way to the staging folder.
//!
//! It does not look into the file. The bytes are hashed as they arrive and compared with the
//! signed intent, so that no other content can be published under her name; then a job does the
//! rest.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path as UrlPath, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use crypto::{Digest, Hasher};
use futures::StreamExt as _;
use jobs::{Jobs, KEY_BYTES_MAX, NewJob};
use schemas::code::{Action, ErrorCode};
use schemas::dataset::{Dataset, PublishIntent};
use schemas::decision::Principal;
use schemas::{DatasetId, JobId, MappingId, ParticipantId, Signed, canonical};
use serde::Deserialize;
use tokio::io::AsyncWriteExt as _;

use super::{Asked, Problem, Rows, STAGED, Trace, staged_path};
use crate::Error;
use crate::error::is_full;
use crate::ingest::Charset;
use crate::ingest::source::as_u64;

/// Header with the steward's signed intent: base64 of its canonical JSON.
const INTENT: &str = "kouan-publish-intent";

/// Longest intent in base64. A signed intent has about 600 bytes.
const INTENT_BYTES_MAX: usize = 8 << 10;

/// Longest pause between two pieces of an upload.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Longest name of an uploaded file, in bytes.
const FILE_NAME_BYTES_MAX: usize = 255;

/// How an upload is described in its URL.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    /// Name of the file as its owner knows it; its ending says what it is.
    file: String,
    /// Its encoding, where the owner knows it.
    encoding: Option<String>,
    /// The mapping of the dataset's card that it is read with, where it is not of the standard's
    /// own form.
    mapping: Option<String>,
}

/// `POST /api/v1/datasets/{id}/uploads?file=...`
pub(super) async fn upload(
    State(rows): State<Arc<Rows>>,
    UrlPath(id): UrlPath<String>,
    parameters: Result<Query<Parameters>, axum::extract::rejection::QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let trace = Trace::of(&headers);
    let invalid = |why: String| Problem::new(ErrorCode::Invalid, why, &trace);
    let principal = rows.principal(&headers, &trace)?;
    let Query(parameters) = parameters.map_err(|source| invalid(source.body_text()))?;
    let id = DatasetId::parse(id).map_err(|source| invalid(source.to_string()))?;
    let view = rows.parts.catalog.view();
    let missing = || Problem::new(ErrorCode::NotFound, "there is no such dataset", &trace);
    let dataset = view.dataset(&id).cloned().ok_or_else(missing)?;
    let hosted = rows.hosted(&principal, &dataset, &trace)?;
    let wanted = Wanted::read(&rows, &headers, parameters, &dataset, &trace)?;
    let steward = view.person(&wanted.intent.body.person);
    let is_hers = principal.person.as_ref() == Some(&wanted.intent.body.person)
        && steward.is_some_and(|person| {
            wanted
                .intent
                .verify(PublishIntent::LABEL, &person.signing)
                .is_ok()
        });
    if !is_hers {
        return Err(invalid(
            "the intent is not signed with the key of who is signed in".to_owned(),
        ));
    }
    let asked = Asked {
        principal: &principal,
        action: Action::DatasetPublish,
        dataset: &dataset,
        record: None,
    };
    // Whoever may not publish cannot fill the disk; the job asks again when it publishes.
    drop(rows.authorize(&hosted, asked, &trace).await?);
    let Ok(_turn) = rows.uploads.try_acquire() else {
        let why = "too many uploads run at this moment; try again";
        return Err(Problem::new(ErrorCode::Unavailable, why, &trace));
    };
    let staged = Staged::new(&rows.parts.dir, wanted.charset)
        .map_err(|error| Problem::of(&error, &trace))?;
    let intent = &wanted.intent.body;
    let (bytes, digest) = staged.receive(body, intent.file_bytes, &trace).await?;
    if bytes != intent.file_bytes || digest != intent.file_digest {
        return Err(invalid(
            "the body is not the signed file: another length or SM3; send that file or sign for \
             this one"
                .to_owned(),
        ));
    }
    staged.make_durable(&trace).await?;
    queue(&rows, staged, wanted, (&principal, &dataset), &trace)
}

/// Puts the job into the list.
fn queue(
    rows: &Rows,
    staged: Staged,
    wanted: Wanted,
    (principal, dataset): (&Principal, &Dataset),
    trace: &Trace,
) -> Result<Response, Problem> {
    let failed = |why: String| {
        Problem::of(
            &Error::Record {
                what: "name a job",
                why,
            },
            trace,
        )
    };
    let bytes: [u8; 16] = crypto::random_bytes().map_err(|source| failed(source.to_string()))?;
    let new = NewJob {
        id: JobId::parse(format!("j-{}", hex::encode(bytes)))
            .map_err(|source| failed(source.to_string()))?,
        participant: dataset.provider.clone(),
        person: principal.person.clone(),
        key: wanted.key,
        kind: jobs::JobKind::Publish {
            dataset: dataset.id.clone(),
            staged: staged.name.clone(),
            file_name: wanted.file,
            mapping: wanted.mapping,
            intent: wanted.intent,
        },
        at: rows.parts.clock.now(),
    };
    let wanted_id = new.id.clone();
    let job = rows.parts.jobs.create(new).map_err(|error| match error {
        jobs::Error::KeyReused { .. } => {
            Problem::new(ErrorCode::KeyReused, error.to_string(), trace)
        }
        jobs::Error::TooManyQueued { .. } => {
            Problem::new(ErrorCode::Unavailable, error.to_string(), trace)
        }
        jobs::Error::FieldLength { .. } => {
            Problem::new(ErrorCode::Invalid, error.to_string(), trace)
        }
        other => failed(other.to_string()),
    })?;
    // The same request again has its file already; the second copy goes when `staged` is dropped.
    if job.id == wanted_id {
        staged.keep();
    }
    let mut response = (StatusCode::ACCEPTED, Json(&job)).into_response();
    if let Ok(place) = HeaderValue::from_str(&format!("/api/v1/jobs/{}", job.id)) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// What an upload says of itself.
struct Wanted {
    intent: Signed<PublishIntent>,
    key: String,
    file: String,
    charset: Option<Charset>,
    mapping: Option<MappingId>,
}

impl Wanted {
    fn read(
        rows: &Rows,
        headers: &HeaderMap,
        parameters: Parameters,
        dataset: &Dataset,
        trace: &Trace,
    ) -> Result<Self, Problem> {
        let invalid = |why: &str| Problem::new(ErrorCode::Invalid, why, trace);
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let key = text("idempotency-key")
            .filter(|key| !key.is_empty() && key.len() <= KEY_BYTES_MAX)
            .ok_or_else(|| invalid("send an `Idempotency-Key` of 1 to 128 bytes"))?;
        let intent = text(INTENT)
            .filter(|intent| intent.len() <= INTENT_BYTES_MAX)
            .and_then(|intent| {
                base64::engine::general_purpose::STANDARD
                    .decode(intent)
                    .ok()
            })
            .ok_or_else(|| invalid("send the signed intent as `Kouan-Publish-Intent` in base64"))?;
        let intent: Signed<PublishIntent> = canonical::from_bytes(&intent)
            .map_err(|source| invalid(&format!("the intent cannot be read: {source}")))?;
        if intent.body.dataset != dataset.id || intent.body.participant != dataset.provider {
            return Err(invalid(
                "the signed intent is for another dataset or provider",
            ));
        }
        let limit = rows.parts.options.upload_bytes_max;
        let declared = text("content-length").and_then(|length| length.parse::<u64>().ok());
        if intent.body.file_bytes > limit || declared.is_some_and(|length| length > limit) {
            let why = format!("an upload has at most {limit} bytes; split the file");
            return Err(Problem::new(ErrorCode::LimitExceeded, why, trace));
        }
        if declared.is_some_and(|length| length != intent.body.file_bytes) {
            return Err(invalid("the body is not as long as the signed file"));
        }
        if dataset.owner != rows.parts.node {
            let why = format!("node {} owns the tables; upload there", dataset.owner);
            return Err(invalid(&why));
        }
        let (file, charset) = file_of(parameters.file, parameters.encoding).map_err(invalid)?;
        let mapping = match parameters.mapping {
            None => None,
            Some(name) => {
                let id = MappingId::parse(name).map_err(|source| invalid(&source.to_string()))?;
                if dataset.mapping(&id).is_none() {
                    let why = format!("the dataset's card has no mapping {id}");
                    return Err(invalid(&why));
                }
                Some(id)
            }
        };
        Ok(Self {
            intent,
            key: key.to_owned(),
            file,
            charset,
            mapping,
        })
    }
}

/// The name and the encoding of a file as a request gives them.
pub(super) fn file_of(
    file: String,
    encoding: Option<String>,
) -> Result<(String, Option<Charset>), &'static str> {
    if file.is_empty() || file.len() > FILE_NAME_BYTES_MAX || file.contains(['/', '\\', '\0']) {
        return Err("`file` is a name of 1 to 255 bytes without a path");
    }
    let charset = match encoding {
        None => None,
        Some(name) => Some(
            Charset::parse(&name)
                .ok_or("`encoding` is UTF-8, GB18030, Big5, UTF-16LE or UTF-16BE")?,
        ),
    };
    Ok((file, charset))
}

/// A staged file. Unless it is kept, it goes when this is dropped, also when the caller hangs up.
pub(super) struct Staged {
    name: String,
    path: PathBuf,
    is_kept: bool,
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.is_kept {
            // It may never have been created; what stays is swept at the next start.
            let _removed = std::fs::remove_file(&self.path);
        }
    }
}

impl Staged {
    pub(super) fn new(dir: &Path, charset: Option<Charset>) -> Result<Self, Error> {
        let bytes: [u8; 16] = crypto::random_bytes().map_err(|source| Error::Record {
            what: "name an upload",
            why: source.to_string(),
        })?;
        let charset = charset.map_or_else(String::new, |charset| format!(".{}", charset.as_str()));
        let name = format!("{STAGED}{}{charset}", hex::encode(bytes));
        let path = staged_path(dir, &name).ok_or(Error::Worker("an upload's name"))?;
        Ok(Self {
            name,
            path,
            is_kept: false,
        })
    }

    fn keep(mut self) {
        self.is_kept = true;
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn io(trace: &Trace) -> impl Fn(std::io::Error) -> Problem {
        move |source| {
            let error = Error::Io {
                what: "stage an upload",
                source,
            };
            Problem::of(&error, trace)
        }
    }

    /// Takes the body, at most so many bytes; returns how many there were, and their SM3.
    pub(super) async fn receive(
        &self,
        body: Body,
        limit: u64,
        trace: &Trace,
    ) -> Result<(u64, Digest), Problem> {
        let io = Self::io(trace);
        let invalid = |why: &str| Problem::new(ErrorCode::Invalid, why, trace);
        let mut file = tokio::fs::File::create_new(&self.path).await.map_err(&io)?;
        let mut pieces = body.into_data_stream();
        let mut hasher = Hasher::new();
        let mut bytes = 0_u64;
        loop {
            let piece = tokio::time::timeout(PAUSE_MAX, pieces.next()).await;
            let Ok(piece) = piece else {
                return Err(invalid(
                    "the upload paused for more than 60 s; send it again",
                ));
            };
            let Some(piece) = piece else { break };
            let piece = piece.map_err(|_| invalid("the upload broke off; send it again"))?;
            bytes += as_u64(piece.len());
            if bytes > limit {
                let why = format!("the body is longer than the {limit} bytes that it may have");
                return Err(invalid(&why));
            }
            hasher.update(&piece);
            file.write_all(&piece).await.map_err(&io)?;
        }
        file.flush().await.map_err(&io)?;
        Ok((bytes, hasher.finish()))
    }

    /// The job outlives a power failure, so its file and the file's name must too.
    async fn make_durable(&self, trace: &Trace) -> Result<(), Problem> {
        let io = Self::io(trace);
        let places = [Some(self.path.as_path()), self.path.parent()];
        for place in places.into_iter().flatten() {
            let file = tokio::fs::File::open(place).await.map_err(&io)?;
            file.sync_all().await.map_err(|source| {
                if is_full(&source) {
                    tracing::warn!("the disk is full");
                }
                io(source)
            })?;
        }
        Ok(())
    }
}

/// Removes staged uploads and folders that no unfinished job refers to: what was left when the
/// node stopped. Called before the listener opens.
///
/// # Errors
/// [`Error::Io`] when the staging folder cannot be used.
pub(crate) fn sweep(
    dir: &Path,
    jobs: &Jobs,
    participants: &BTreeSet<ParticipantId>,
) -> Result<(), Error> {
    let staging = dir.join("staging");
    std::fs::create_dir_all(&staging).map_err(Error::io("create the staging folder"))?;
    let mut wanted = BTreeSet::new();
    for participant in participants {
        let mut after: Option<JobId> = None;
        loop {
            let page = jobs.list(participant, after.as_ref(), jobs::PAGE_JOBS_MAX);
            let page = page.map_err(|source| Error::Record {
                what: "list the jobs",
                why: source.to_string(),
            })?;
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            for job in page.iter().filter(|job| !job.state.is_ended()) {
                wanted.insert(format!("job-{}", job.id));
                if let jobs::JobKind::Publish { staged, .. } = &job.kind {
                    wanted.insert(staged.clone());
                }
            }
        }
    }
    for entry in std::fs::read_dir(&staging).map_err(Error::io("list the staging folder"))? {
        let entry = entry.map_err(Error::io("list the staging folder"))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_ours = name.starts_with(STAGED) || name.starts_with("job-");
        if !is_ours || wanted.contains(&name) {
            continue;
        }
        let path = entry.path();
        let removed = if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        removed.map_err(Error::io("remove what an earlier run left behind"))?;
    }
    Ok(())
}
