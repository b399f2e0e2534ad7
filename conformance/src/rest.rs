//! A signed-in person's client of one node, over TLS, that keeps every answer as it came.
//!
//! It does not turn a refusal into an error: most tests ask for one.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use crypto::keys::KeyFile;
use crypto::{Digest, Hasher, Label, SecretKey};
use jobs::Job;
use schemas::command::{Command, PersonSignature, SignedProposal};
use schemas::dataset::PublishIntent;
use schemas::participant::{Person, Role};
use schemas::{CommandId, DatasetId, JobId, ParticipantId, Signed, canonical};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use server::federation::now;
use server::init::{self, NewPerson, Prepared};
use ureq::Agent;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::eventually;

/// Where a node is and whose it is, as far as its people need to know.
#[derive(Clone, Debug)]
pub struct Site {
    /// REST.
    pub api: SocketAddr,
    /// Uploads and transfers.
    pub data: SocketAddr,
    /// Raft.
    pub catalog: SocketAddr,
    /// The participant that it acts for.
    pub participant: ParticipantId,
    /// The node's directory.
    pub dir: PathBuf,
    /// PEM file of the federation's transport authority.
    pub roots: PathBuf,
}

/// An answer of a node.
#[derive(Clone, Debug)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The JSON body; null when there was none.
    pub body: Value,
    /// Seconds in `Retry-After`.
    pub retry_after: Option<u64>,
}

impl Answer {
    /// Status and stable code: what a refusal is compared with. The code of a good answer is empty.
    #[must_use]
    pub fn refusal(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }

    /// The reason codes of a refusal.
    #[must_use]
    pub fn reasons(&self) -> Vec<&str> {
        let reasons = self.body["reasons"].as_array();
        reasons
            .into_iter()
            .flatten()
            .filter_map(|it| it["code"].as_str())
            .collect()
    }

    /// The record in a good answer.
    ///
    /// # Panics
    /// When the answer is not good, with what it said.
    #[must_use]
    pub fn ok<T: DeserializeOwned>(self) -> T {
        assert!(
            (200..300).contains(&self.status),
            "{} {}",
            self.status,
            self.body
        );
        serde_json::from_value(self.body).expect("the answer has the record's form")
    }
}

/// A person at a node, signed in.
pub struct Client {
    agent: Agent,
    site: Site,
    /// Her record.
    pub person: Person,
    key: SecretKey,
    /// The session's bearer token; a test may replace it.
    pub token: String,
}

/// An agent that trusts the given authority and nobody else.
///
/// # Panics
/// When the file cannot be read.
#[must_use]
pub fn agent(roots: &Path) -> Agent {
    let pem = std::fs::read(roots).expect("read the roots");
    let roots: Vec<Certificate<'static>> = parse_pem(&pem)
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::from(roots))
        .unversioned_rustls_crypto_provider(provider)
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(10)))
        .timeout_recv_response(Some(Duration::from_secs(50)))
        .timeout_recv_body(Some(Duration::from_secs(50)))
        .build()
        .new_agent()
}

/// The key of a person whose file `init` wrote.
///
/// # Panics
/// When it cannot be opened.
#[must_use]
pub fn open_key(person: &NewPerson) -> SecretKey {
    let folder = person.key_file.parent().expect("a folder of persons");
    let passphrase = std::fs::read(folder.join("passphrase")).expect("read a passphrase");
    let file = KeyFile::read(&person.key_file).expect("read a key file");
    file.open(&passphrase).expect("open a key file")
}

impl Site {
    /// The site of a prepared directory, whose configuration has real port numbers.
    ///
    /// # Panics
    /// When an address is not one.
    #[must_use]
    pub fn of(prepared: &Prepared, roots: &Path) -> Self {
        let address = |text: &str| text.parse().expect("an address");
        Self {
            api: address(&prepared.node.api_address),
            data: address(&prepared.node.data_address),
            catalog: address(&prepared.node.raft_address),
            participant: prepared.participant.id.clone(),
            dir: prepared.dir.clone(),
            roots: roots.to_owned(),
        }
    }

    /// Signs a person in with her key.
    ///
    /// # Panics
    /// When the node does not let her in.
    #[must_use]
    pub fn sign_in(&self, person: &Person, key: SecretKey) -> Client {
        let mut client = self.stranger(person, key);
        let session: Value = client.open_session().ok();
        session["token"]
            .as_str()
            .expect("a token")
            .clone_into(&mut client.token);
        client
    }

    /// A person who is not signed in.
    #[must_use]
    pub fn stranger(&self, person: &Person, key: SecretKey) -> Client {
        Client {
            agent: agent(&self.roots),
            site: self.clone(),
            person: person.clone(),
            key,
            token: String::new(),
        }
    }
}

/// The person of `prepared` with a role, signed in at her participant's node.
///
/// # Panics
/// When nobody has the role or the node does not let her in.
#[must_use]
pub fn sign_in(prepared: &Prepared, roots: &Path, role: Role) -> Client {
    let person = prepared
        .person(role)
        .unwrap_or_else(|| panic!("nobody is {role}"));
    Site::of(prepared, roots).sign_in(&person.record, open_key(person))
}

/// One call, before it is sent.
pub struct Call<'a> {
    /// GET, POST, PUT or DELETE.
    pub method: &'a str,
    /// Path and query below `/api/v1`.
    pub path: &'a str,
    /// Headers beside the token.
    pub headers: Vec<(&'a str, String)>,
    /// JSON body.
    pub body: Option<&'a Value>,
}

/// An upload, before it is sent.
#[derive(Clone)]
pub struct Upload<'a> {
    /// To which dataset.
    pub dataset: &'a DatasetId,
    /// What the steward signs for.
    pub intent: PublishIntent,
    /// Name of the file.
    pub name: &'a str,
    /// Idempotency key.
    pub key: &'a str,
    /// Further query parameters.
    pub query: Vec<(&'a str, &'a str)>,
    /// The length that the head of the request declares.
    pub declared: Option<u64>,
}

impl Client {
    /// Where she is.
    #[must_use]
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Asks for a challenge and answers it; the answer is as it came.
    ///
    /// # Panics
    /// When the node cannot be reached or gives no challenge.
    #[must_use]
    pub fn open_session(&self) -> Answer {
        let given = self.challenge();
        let challenge = given["challenge"].as_str().expect("a challenge");
        let challenge: Digest = challenge.parse().expect("a challenge of 32 bytes");
        self.answer_challenge(&challenge, &self.key)
    }

    fn challenge(&self) -> Value {
        self.post("/sessions/challenge", &json!({ "person": self.person.id }))
            .ok()
    }

    /// Answers a challenge with some key, which may be the wrong one.
    ///
    /// # Panics
    /// When the node cannot be reached.
    #[must_use]
    pub fn answer_challenge(&self, challenge: &Digest, key: &SecretKey) -> Answer {
        let signature = key
            .sign(Label::Challenge, challenge.as_bytes())
            .expect("sign");
        let person = &self.person.id;
        let body =
            json!({"key": {"person": person, "challenge": challenge, "signature": signature}});
        self.post("/sessions", &body)
    }

    /// Asks for a challenge and answers it with somebody else's key.
    ///
    /// # Panics
    /// When the node cannot be reached.
    #[must_use]
    pub fn sign_in_as_impostor(&self) -> Answer {
        let given = self.post("/sessions/challenge", &json!({ "person": self.person.id }));
        let Some(challenge) = given.body["challenge"].as_str() else {
            return given;
        };
        let challenge: Digest = challenge.parse().expect("a challenge of 32 bytes");
        self.answer_challenge(&challenge, &SecretKey::generate().expect("a key"))
    }

    /// Sends a call to the REST listener.
    ///
    /// # Panics
    /// When the node cannot be reached.
    #[must_use]
    pub fn call(&self, call: &Call<'_>) -> Answer {
        self.call_at(self.site.api, call)
    }

    /// Sends a call to another listener.
    ///
    /// # Panics
    /// When it cannot be reached.
    #[must_use]
    pub fn call_at(&self, at: SocketAddr, call: &Call<'_>) -> Answer {
        let url = format!("https://{at}/api/v1{}", call.path);
        self.try_send(&url, call)
            .unwrap_or_else(|e| panic!("{} {url}: {e}", call.method))
    }

    /// As [`Client::call`]; none when there was no answer.
    #[must_use]
    pub fn try_call(&self, call: &Call<'_>) -> Option<Answer> {
        let url = format!("https://{}/api/v1{}", self.site.api, call.path);
        self.try_send(&url, call).ok()
    }

    fn try_send(&self, url: &str, call: &Call<'_>) -> Result<Answer, ureq::Error> {
        let mut request = ureq::http::Request::builder().method(call.method).uri(url);
        if !self.token.is_empty() {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let answer = match call.body {
            Some(body) => {
                let text = body.to_string();
                let request = request
                    .header("content-type", "application/json")
                    .body(text);
                self.agent.run(request.expect("a request"))
            }
            None => self.agent.run(request.body(()).expect("a request")),
        }?;
        Ok(read(answer))
    }

    /// Reads.
    ///
    /// # Panics
    /// When the node cannot be reached.
    #[must_use]
    pub fn get(&self, path: &str) -> Answer {
        self.call(&Call {
            method: "GET",
            path,
            headers: Vec::new(),
            body: None,
        })
    }

    /// Sends a body.
    ///
    /// # Panics
    /// When the node cannot be reached.
    #[must_use]
    pub fn post(&self, path: &str, body: &Value) -> Answer {
        self.call(&Call {
            method: "POST",
            path,
            headers: Vec::new(),
            body: Some(body),
        })
    }

    /// Signs a command as this person, now.
    ///
    /// # Panics
    /// When it has no canonical form.
    #[must_use]
    pub fn sign(&self, command: Command) -> SignedProposal {
        init::sign(&self.person, &self.key, command, now()).expect("sign a command")
    }

    /// As [`Client::sign`], under an identifier of the test's choice.
    ///
    /// # Panics
    /// When it has no canonical form.
    #[must_use]
    pub fn sign_as(&self, id: CommandId, command: Command) -> SignedProposal {
        let mut signed = self.sign(command);
        signed.proposal.id = id;
        let bytes = SignedProposal::signed_bytes(&signed.proposal).expect("a canonical form");
        let signature = self.key.sign(SignedProposal::LABEL, &bytes);
        let signature = signature.expect("sign a command");
        let key = self.key.public().key_id();
        signed.signature = Some(PersonSignature { key, signature });
        signed
    }

    /// Signs a command and sends it, made for `revision`.
    ///
    /// # Panics
    /// When the node cannot be reached.
    #[must_use]
    pub fn change(&self, method: &str, path: &str, revision: u64, command: Command) -> Answer {
        let body = json!({ "signed": self.sign(command) });
        let headers = vec![("if-match", format!("\"{revision}\""))];
        self.call(&Call {
            method,
            path,
            headers,
            body: Some(&body),
        })
    }

    /// What she signs for a file of these bytes.
    #[must_use]
    pub fn intent(&self, dataset: &DatasetId, bytes: &[u8]) -> PublishIntent {
        PublishIntent {
            dataset: dataset.clone(),
            file_digest: Digest::of(bytes),
            file_bytes: bytes.len() as u64,
            person: self.person.id.clone(),
            participant: self.person.participant.clone(),
            at: now(),
        }
    }

    /// Uploads what `body` gives.
    ///
    /// # Panics
    /// When the intent cannot be signed.
    #[must_use]
    pub fn upload(&self, upload: Upload<'_>, body: impl std::io::Read + 'static) -> Option<Answer> {
        let bytes = canonical::to_bytes(&upload.intent).expect("an intent's bytes");
        let signature = self
            .key
            .sign(PublishIntent::LABEL, &bytes)
            .expect("sign an intent");
        let signed = Signed {
            body: upload.intent,
            key: self.person.key_id(),
            signature,
        };
        let signed = canonical::to_bytes(&signed).expect("an intent's bytes");
        let header = base64::engine::general_purpose::STANDARD.encode(signed);
        let mut request = self
            .agent
            .post(format!(
                "https://{}/api/v1/datasets/{}/uploads",
                self.site.data, upload.dataset
            ))
            .query("file", upload.name)
            .header("authorization", format!("Bearer {}", self.token))
            .header("kouan-publish-intent", header)
            .header("idempotency-key", upload.key);
        for (name, value) in upload.query {
            request = request.query(name, value);
        }
        if let Some(length) = upload.declared {
            request = request.header("content-length", length.to_string());
        }
        // A node may refuse and hang up before it has read everything.
        let body = ureq::SendBody::from_owned_reader(body);
        request.send(body).ok().map(read)
    }

    /// What she signs for a file.
    ///
    /// # Panics
    /// When it cannot be read.
    #[must_use]
    pub fn intent_of(&self, dataset: &DatasetId, file: &Path) -> PublishIntent {
        let mut hasher = Hasher::new();
        let mut file = std::fs::File::open(file).expect("open a file");
        let file_bytes = std::io::copy(&mut file, &mut hasher).expect("read a file");
        PublishIntent {
            file_digest: hasher.finish(),
            file_bytes,
            ..self.intent(dataset, &[])
        }
    }

    /// Waits until a job has ended, well or not.
    ///
    /// # Panics
    /// When it does not in time.
    #[must_use]
    pub fn wait(&self, id: &JobId) -> Job {
        let path = format!("/jobs/{id}");
        eventually(&format!("the end of job {id}"), || {
            let call = Call {
                method: "GET",
                path: &path,
                headers: Vec::new(),
                body: None,
            };
            let job: Job = self.try_call(&call)?.ok();
            job.state.is_ended().then_some(job)
        })
    }
}

fn read(mut answer: ureq::http::Response<ureq::Body>) -> Answer {
    let status = answer.status().as_u16();
    let retry_after = answer.headers().get("retry-after");
    let retry_after = retry_after.and_then(|it| it.to_str().ok()?.parse().ok());
    let body = answer.body_mut().read_json().unwrap_or(Value::Null);
    Answer {
        status,
        body,
        retry_after,
    }
}
