//! The demonstration speaks to the nodes as people's programs do: REST over TLS.
//!
//! It does not use any other way in. (`kouanctl` is the client for people; a program of the same
//! rank cannot link it.)

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use crypto::{Digest, Hasher, Label};
use jobs::Job;
use schemas::command::Command;
use schemas::dataset::PublishIntent;
use schemas::{DatasetId, GrantId, JobId, Signed, canonical};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use ureq::http::Response;
use ureq::{Agent, Body};

use crate::Error;
use crate::federation::now;
use crate::init::{self, NewPerson};

/// Longest wait for one job, in seconds.
const JOB_SECONDS_MAX: u64 = 600;

/// A signed-in person at one node.
pub(super) struct Client<'a> {
    agent: Agent,
    api: String,
    data: String,
    person: &'a NewPerson,
    token: String,
}

fn failed(step: &'static str, why: impl ToString) -> Error {
    Error::Demo {
        step,
        why: why.to_string(),
    }
}

impl<'a> Client<'a> {
    /// Signs a person in with her key.
    pub(super) fn sign_in(
        agent: &Agent,
        api: SocketAddr,
        data: SocketAddr,
        person: &'a NewPerson,
    ) -> Result<Self, Error> {
        let mut client = Self {
            agent: agent.clone(),
            api: format!("https://{api}/api/v1"),
            data: format!("https://{data}/api/v1"),
            person,
            token: String::new(),
        };
        let id = &person.record.id;
        let given: Value = client.post("/sessions/challenge", &json!({ "person": id }))?;
        let challenge = given["challenge"].as_str().unwrap_or_default();
        let challenge: Digest = challenge
            .parse()
            .map_err(|_| failed("sign in", "no challenge"))?;
        let signature = person.key.sign(Label::Challenge, challenge.as_bytes())?;
        let body = json!({"key": {"person": id, "challenge": challenge, "signature": signature}});
        let session: Value = client.post("/sessions", &body)?;
        client.token = session["token"].as_str().unwrap_or_default().to_owned();
        Ok(client)
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    /// Reads a record.
    pub(super) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.get_at(&self.api, path)
    }

    /// Reads rows that the provider may look at: the data listener has them.
    pub(super) fn get_rows<T: DeserializeOwned>(&self, path: &str) -> Result<T, Error> {
        self.get_at(&self.data, path)
    }

    fn get_at<T: DeserializeOwned>(&self, listener: &str, path: &str) -> Result<T, Error> {
        let answer = self
            .agent
            .get(format!("{listener}{path}"))
            .header("authorization", self.bearer())
            .call()
            .map_err(|e| failed("call a node", e))?;
        read(answer)
    }

    /// Sends a body that changes nothing in the catalog.
    pub(super) fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, Error> {
        let answer = self
            .agent
            .post(format!("{}{path}", self.api))
            .header("authorization", self.bearer())
            .send_json(body)
            .map_err(|e| failed("call a node", e))?;
        read(answer)
    }

    /// Signs a command and sends it; `revision` is the one that it was made for.
    pub(super) fn change(
        &self,
        put: bool,
        path: &str,
        revision: u64,
        command: Command,
    ) -> Result<Value, Error> {
        let signed = init::sign(&self.person.record, &self.person.key, command, now())?;
        let url = format!("{}{path}", self.api);
        let request = if put {
            self.agent.put(url)
        } else {
            self.agent.post(url)
        };
        let answer = request
            .header("authorization", self.bearer())
            .header("if-match", format!("\"{revision}\""))
            .send_json(json!({ "signed": signed }))
            .map_err(|e| failed("call a node", e))?;
        read(answer)
    }

    /// Uploads a file under the person's signed intent, and waits for the job.
    pub(super) fn publish(&self, dataset: &DatasetId, path: &Path) -> Result<Job, Error> {
        let (digest, bytes) = digest_of(path)?;
        let record = &self.person.record;
        let intent = PublishIntent {
            dataset: dataset.clone(),
            file_digest: digest,
            file_bytes: bytes,
            person: record.id.clone(),
            participant: record.participant.clone(),
            at: now(),
        };
        let signature = self
            .person
            .key
            .sign(PublishIntent::LABEL, &canonical::to_bytes(&intent)?)?;
        let signed = Signed {
            body: intent,
            key: record.key_id(),
            signature,
        };
        let header = base64(&canonical::to_bytes(&signed)?);
        let name = path.file_name().map(|it| it.to_string_lossy().into_owned());
        let name = name.unwrap_or_else(|| "file".to_owned());
        let file = File::open(path).map_err(|e| failed("open a file", e))?;
        let answer = self
            .agent
            .post(format!("{}/datasets/{dataset}/uploads", self.data))
            .query("file", &name)
            .header("authorization", self.bearer())
            .header("kouan-publish-intent", header)
            .header(
                "idempotency-key",
                format!("{dataset}-{}", &digest.to_string()[..24]),
            )
            .header("content-length", bytes.to_string())
            .send(file)
            .map_err(|e| failed("upload", e))?;
        let job: Job = read(answer)?;
        self.wait(&job.id)
    }

    /// Starts a transfer; the answer is its job.
    pub(super) fn fetch(&self, grant: &GrantId, key: &str) -> Result<Job, Error> {
        let answer = self
            .agent
            .post(format!("{}/transfers", self.api))
            .header("authorization", self.bearer())
            .header("idempotency-key", key)
            .send_json(json!({ "grant": grant }))
            .map_err(|e| failed("start a transfer", e))?;
        read(answer)
    }

    /// The job as it stands.
    pub(super) fn job(&self, id: &JobId) -> Result<Job, Error> {
        self.get(&format!("/jobs/{id}"))
    }

    /// Waits until the job has ended, well or not.
    pub(super) fn wait(&self, id: &JobId) -> Result<Job, Error> {
        let begun = Instant::now();
        loop {
            let job = self.job(id)?;
            if job.state.is_ended() {
                return Ok(job);
            }
            if begun.elapsed() > Duration::from_secs(JOB_SECONDS_MAX) {
                return Err(failed(
                    "wait for a job",
                    format!("{id} is still {}", job.state),
                ));
            }
            std::thread::sleep(Duration::from_millis(25));
        }
    }
}

/// The body, or the problem as an error whose text a person can read.
fn read<T: DeserializeOwned>(mut answer: Response<Body>) -> Result<T, Error> {
    let status = answer.status();
    let value: Value = answer
        .body_mut()
        .read_json()
        .map_err(|e| failed("read an answer", e))?;
    if !status.is_success() {
        let detail = value["detail"].as_str().unwrap_or("no detail").to_owned();
        let code = value["code"].as_str().unwrap_or("no code").to_owned();
        return Err(failed("call", format!("{status} {code}: {detail}")));
    }
    serde_json::from_value(value).map_err(|e| failed("read an answer", e))
}

fn digest_of(path: &Path) -> Result<(Digest, u64), Error> {
    let mut file = File::open(path).map_err(|e| failed("open a file", e))?;
    let mut hasher = Hasher::new();
    let bytes = std::io::copy(&mut file, &mut hasher).map_err(|e| failed("read a file", e))?;
    Ok((hasher.finish(), bytes))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
