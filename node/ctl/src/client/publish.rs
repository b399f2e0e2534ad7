//! Uploads: say under signature what the file is, then send it.
//!
//! It does not look into the file; the node checks every row.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;

use base64::Engine as _;
use crypto::{Digest, Hasher};
use schemas::dataset::PublishIntent;
use schemas::{DatasetId, MappingId, Signed, StandardEdition, canonical};
use serde_json::Value;
use ureq::SendBody;
use ureq::http::Request;

use super::session::now;
use super::{Client, not_answered, query, read};
use crate::Error;
use crate::problem::Problem;
use crate::progress::Progress;

/// What to publish.
pub(crate) struct Upload {
    /// Of which dataset.
    pub(crate) dataset: DatasetId,
    /// The file.
    pub(crate) path: PathBuf,
    /// Its encoding, where it is known.
    pub(crate) encoding: Option<String>,
    /// The mapping of the dataset's card that it is read with.
    pub(crate) mapping: Option<MappingId>,
    /// Idempotency key.
    pub(crate) key: String,
}

/// What to check before anything is published.
pub(crate) struct Check {
    /// The file.
    pub(crate) path: PathBuf,
    /// The standard that its rows should follow.
    pub(crate) standard: StandardEdition,
    /// The mapping that it is read with, as JSON; empty where it is of the standard's form.
    pub(crate) mapping: Vec<u8>,
    /// Its encoding, where it is known.
    pub(crate) encoding: Option<String>,
}

/// Longest line of the answer to a check: a hundred findings of a few hundred bytes.
const LINE_BYTES_MAX: u64 = 4 << 20;

impl Client<'_> {
    /// Signs for the file and sends it; the answer is the job that publishes it.
    pub(crate) fn upload(&mut self, it: &Upload) -> Result<Value, Error> {
        let wrong = |e| Error::file("read", &it.path, e);
        let name = it
            .path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let name = name.ok_or_else(|| Error::input(it.path.display(), "name a file"))?;
        let bytes = std::fs::metadata(&it.path).map_err(wrong)?.len();
        // Also finds out whether the session still holds, before gigabytes are sent.
        let server = self.data_server()?;
        let principal: schemas::decision::Principal =
            serde_json::from_value(self.get("/sessions")?).map_err(|e| Error::Answer {
                server: server.clone(),
                why: e.to_string(),
            })?;
        if self.node_signs() {
            return Err(Error::KeyNeeded);
        }
        let intent = PublishIntent {
            dataset: it.dataset.clone(),
            file_digest: self.digest(&it.path, bytes)?,
            file_bytes: bytes,
            person: principal.person.ok_or(Error::Missing { flag: "person" })?,
            participant: principal.participant,
            at: now(),
        };
        let intent = self.signed(intent)?;
        let progress = Progress::bytes(self.terminal, "step-uploading", bytes);
        let mut body = progress.counted(File::open(&it.path).map_err(wrong)?);
        let mut pairs = vec![("file", name)];
        pairs.extend(it.encoding.clone().map(|encoding| ("encoding", encoding)));
        pairs.extend(it.mapping.as_ref().map(|id| ("mapping", id.to_string())));
        let url = format!(
            "{server}/api/v1/datasets/{}/uploads{}",
            it.dataset,
            query(&pairs)
        );
        let request = Request::builder()
            .method("POST")
            .uri(url)
            .header("authorization", format!("Bearer {}", self.token()))
            .header("kouan-publish-intent", intent)
            .header("idempotency-key", &it.key)
            .header("content-length", bytes)
            .header("content-type", "application/octet-stream")
            .body(SendBody::from_reader(&mut body))
            .map_err(|e| Error::input(&it.key, e))?;
        let answer = self
            .patient
            .run(request)
            .map_err(|e| not_answered(&server, e))?;
        read(&server, answer)
    }

    /// Has the node read and judge a file, and shows how far it is; the answer is its report.
    pub(crate) fn check(&mut self, it: &Check) -> Result<Value, Error> {
        let wrong = |e| Error::file("read", &it.path, e);
        let name = it
            .path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        let name = name.ok_or_else(|| Error::input(it.path.display(), "name a file"))?;
        let bytes = std::fs::metadata(&it.path).map_err(wrong)?.len();
        let server = self.data_server()?;
        // Finds out whether the session still holds, before gigabytes are sent.
        self.get("/sessions")?;
        let mut pairs = vec![
            ("file", name),
            ("standard", it.standard.standard.to_string()),
            ("edition", it.standard.edition.to_string()),
            ("mapping_bytes", it.mapping.len().to_string()),
        ];
        pairs.extend(it.encoding.clone().map(|encoding| ("encoding", encoding)));
        let progress = Progress::bytes(self.terminal, "step-uploading", bytes);
        let file = progress.counted(File::open(&it.path).map_err(wrong)?);
        let mut body = it.mapping.as_slice().chain(file);
        let length = bytes.saturating_add(u64::try_from(it.mapping.len()).unwrap_or(0));
        let request = Request::builder()
            .method("POST")
            .uri(format!("{server}/api/v1/checks{}", query(&pairs)))
            .header("authorization", format!("Bearer {}", self.token()))
            .header("content-length", length)
            .header("content-type", "application/octet-stream")
            .body(SendBody::from_reader(&mut body))
            .map_err(|e| Error::input(it.path.display(), e))?;
        let mut answer = self
            .patient
            .run(request)
            .map_err(|e| not_answered(&server, e))?;
        if !answer.status().is_success() {
            return read(&server, answer);
        }
        drop(progress);
        self.follow(&server, answer.body_mut().as_reader())
    }

    /// Shows the progress in an answer until its report comes.
    fn follow(&self, server: &str, answer: impl Read) -> Result<Value, Error> {
        let unreadable = |why: String| Error::Answer {
            server: server.to_owned(),
            why,
        };
        let progress = Progress::job(self.terminal);
        let mut lines = BufReader::new(answer);
        loop {
            let mut line = String::new();
            let taken = lines.by_ref().take(LINE_BYTES_MAX).read_line(&mut line);
            if taken.map_err(|e| unreadable(e.to_string()))? == 0 {
                return Err(unreadable("it ended without a report".to_owned()));
            }
            let mut told: Value =
                serde_json::from_str(&line).map_err(|e| unreadable(e.to_string()))?;
            if let Some(rows) = told["rows"].as_u64() {
                progress.at(self.terminal.say("step-checking", &[]), rows, None);
            } else if told["problem"].is_object() {
                let problem = Problem::read(422, told["problem"].to_string().as_bytes());
                return Err(Error::Problem(Box::new(problem)));
            } else if told["report"].is_object() {
                return Ok(told["report"].take());
            }
        }
    }

    /// SM3 of the file.
    fn digest(&self, path: &std::path::Path, bytes: u64) -> Result<Digest, Error> {
        let wrong = |e| Error::file("read", path, e);
        let progress = Progress::bytes(self.terminal, "step-hashing", bytes);
        let mut file = progress.counted(File::open(path).map_err(wrong)?);
        let mut hasher = Hasher::new();
        std::io::copy(&mut file, &mut hasher).map_err(wrong)?;
        Ok(hasher.finish())
    }

    /// The signed intent as its header carries it.
    fn signed(&mut self, intent: PublishIntent) -> Result<String, Error> {
        let bytes = canonical::to_bytes(&intent)?;
        let key = self.open_key()?;
        let signature = key.sign(PublishIntent::LABEL, &bytes)?;
        let signed = Signed {
            body: intent,
            key: key.public().key_id(),
            signature,
        };
        let bytes = canonical::to_bytes(&signed)?;
        Ok(base64::engine::general_purpose::STANDARD.encode(bytes))
    }
}
