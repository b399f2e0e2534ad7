//! The public REST API over TLS, and nothing else.
//!
//! It does not trust any certificate that the roots file does not vouch for, follows no
//! redirects, and repeats nothing but what has no effect or carries an idempotency key.

mod change;
mod download;
mod page;
mod publish;
mod session;
mod wait;

use std::time::Duration;

use crypto::{SecretKey, random_bytes};
use serde_json::Value;
use ureq::Agent;
use ureq::http::Request;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::Error;
use crate::output::Terminal;
use crate::problem::Problem;
use crate::profile::{Offer, Session, Settings, base_url};

pub(crate) use publish::{Check, Upload};
pub(crate) use session::{Password, now};

/// Largest answer that is read, in bytes: a page of the widest records.
const ANSWER_BYTES_MAX: u64 = 256 << 20;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A node, and who calls it.
pub(crate) struct Client<'a> {
    settings: &'a Settings,
    terminal: &'a Terminal,
    agent: Agent,
    /// For uploads: the same without an end to the whole call.
    patient: Agent,
    server: String,
    data: Option<String>,
    session: Option<Session>,
    key: Option<SecretKey>,
}

/// How a call is made.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Reads.
    Get,
    /// Changes or asks.
    Post,
    /// Writes a record under its identifier.
    Put,
    /// Ends.
    Delete,
}

impl Verb {
    fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// One call.
pub(crate) struct Call<'a> {
    /// How.
    pub(crate) verb: Verb,
    /// What, below `/api/v1`, with its query.
    pub(crate) path: String,
    /// Headers besides the usual ones.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// JSON body.
    pub(crate) body: Option<&'a Value>,
}

impl Call<'_> {
    /// A read.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self {
            verb: Verb::Get,
            path: path.into(),
            headers: Vec::new(),
            body: None,
        }
    }
}

impl<'a> Client<'a> {
    /// Prepares calls; nothing is sent yet.
    pub(crate) fn new(settings: &'a Settings, terminal: &'a Terminal) -> Result<Self, Error> {
        let server = settings.server()?;
        let path = settings.roots()?;
        let pem = std::fs::read(path).map_err(|e| Error::file("read", path, e))?;
        let roots: Vec<Certificate<'static>> = parse_pem(&pem)
            .filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            })
            .collect();
        if roots.is_empty() {
            return Err(Error::input(
                path.display(),
                "it holds no certificate in PEM",
            ));
        }
        let offer = settings.profile.suites.unwrap_or_default();
        Ok(Self {
            settings,
            terminal,
            agent: agent(&roots, offer, Some(settings.answer_timeout)),
            patient: agent(&roots, offer, None),
            server,
            data: settings
                .profile
                .data_server
                .as_deref()
                .map(base_url)
                .transpose()?,
            session: None,
            key: None,
        })
    }

    /// Reads a record.
    pub(crate) fn get(&mut self, path: &str) -> Result<Value, Error> {
        self.call(&Call::get(path))
    }

    /// Asks or changes what needs no signature.
    pub(crate) fn post(&mut self, path: &str, body: &Value) -> Result<Value, Error> {
        let path = path.to_owned();
        self.call(&Call {
            verb: Verb::Post,
            path,
            headers: Vec::new(),
            body: Some(body),
        })
    }

    /// A call as who is signed in. A session that ended meanwhile is opened again, once.
    pub(crate) fn call(&mut self, call: &Call<'_>) -> Result<Value, Error> {
        let server = self.server.clone();
        self.call_at(&server, call)
    }

    /// As [`Client::call`], to the data listener.
    pub(crate) fn call_data(&mut self, call: &Call<'_>) -> Result<Value, Error> {
        let server = self.data_server()?;
        self.call_at(&server, call)
    }

    fn call_at(&mut self, server: &str, call: &Call<'_>) -> Result<Value, Error> {
        let was_kept = self.ensure_session()?;
        let token = self.token();
        match self.send(server, call, Some(&token)) {
            Err(Error::Problem(problem)) if was_kept && is_signed_out(&problem) => {
                self.sign_in_again()?;
                let token = self.token();
                self.send(server, call, Some(&token))
            }
            other => other,
        }
    }

    /// One call, once.
    fn send(&self, server: &str, call: &Call<'_>, token: Option<&str>) -> Result<Value, Error> {
        let url = format!("{server}/api/v1{}", call.path);
        let mut request = Request::builder()
            .method(call.verb.as_str())
            .uri(url)
            .header("accept-language", self.terminal.language().tag());
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in &call.headers {
            request = request.header(*name, value);
        }
        let wrong = |e: ureq::http::Error| Error::input(&call.path, e);
        let answered = match call.body {
            None => self.agent.run(request.body(()).map_err(wrong)?),
            Some(body) => {
                let request = request.header("content-type", "application/json");
                self.agent
                    .run(request.body(body.to_string()).map_err(wrong)?)
            }
        };
        let answer = answered.map_err(|e| not_answered(server, e))?;
        read(server, answer)
    }

    /// The data listener: as set, else as the catalog has it for the node that we talk to.
    fn data_server(&mut self) -> Result<String, Error> {
        if let Some(known) = &self.data {
            return Ok(known.clone());
        }
        let ours = self.server.trim_start_matches("https://").to_owned();
        let nodes = self.list("/nodes", None)?.items;
        let found = nodes
            .iter()
            .find(|it| it["api_address"] == ours.as_str())
            .cloned();
        let found = match found {
            Some(node) => Some(node),
            // A node that is reached by another name than its record has: it says who it is.
            None => {
                let id = self.get("/catalog")?["node"].clone();
                nodes.into_iter().find(|it| it["id"] == id)
            }
        };
        let address = found.as_ref().and_then(|it| it["data_address"].as_str());
        let address = address.ok_or(Error::Missing {
            flag: "data-server",
        })?;
        let server = base_url(address)?;
        self.data = Some(server.clone());
        Ok(server)
    }

    /// A new identifier, for records that the caller names.
    pub(crate) fn fresh(prefix: &str) -> Result<String, Error> {
        let bytes: [u8; 12] = random_bytes()?;
        let name: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        Ok(format!("{prefix}-{name}"))
    }
}

/// An agent that trusts these roots and nobody else.
fn agent(roots: &[Certificate<'static>], offer: Offer, whole: Option<Duration>) -> Agent {
    let provider = match offer {
        Offer::ShangMiOnly => crypto::tls::shangmi::provider(),
        Offer::Standard => std::sync::Arc::new(rustls::crypto::ring::default_provider()),
    };
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(roots))
        .unversioned_rustls_crypto_provider(provider)
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .user_agent(concat!("kouanctl/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_global(whole)
        .build()
        .new_agent()
}

/// Why there was no answer.
fn not_answered(server: &str, error: ureq::Error) -> Error {
    match error {
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            Error::Unreachable {
                server: server.to_owned(),
                why: "no connection".to_owned(),
            }
        }
        ureq::Error::Timeout(_) => Error::TimedOut {
            what: server.to_owned(),
        },
        ureq::Error::Io(source) if source.kind() == std::io::ErrorKind::TimedOut => {
            Error::TimedOut {
                what: server.to_owned(),
            }
        }
        other => Error::Unreachable {
            server: server.to_owned(),
            why: other.to_string(),
        },
    }
}

/// The body, or the problem.
fn read(server: &str, mut answer: ureq::http::Response<ureq::Body>) -> Result<Value, Error> {
    let status = answer.status();
    let bytes = answer
        .body_mut()
        .with_config()
        .limit(ANSWER_BYTES_MAX)
        .read_to_vec()
        .map_err(|e| not_answered(server, e))?;
    if !status.is_success() {
        return Err(Error::Problem(Box::new(Problem::read(
            status.as_u16(),
            &bytes,
        ))));
    }
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes).map_err(|e| Error::Answer {
        server: server.to_owned(),
        why: e.to_string(),
    })
}

fn is_signed_out(problem: &Problem) -> bool {
    problem.code == schemas::code::ErrorCode::Unauthenticated
}

/// `?name=value&...`, escaped as RFC 3986 has it; nothing when there is nothing to say.
pub(crate) fn query(pairs: &[(&str, String)]) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        out.push(if out.is_empty() { '?' } else { '&' });
        out.push_str(name);
        out.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_escaped() {
        assert_eq!(query(&[]), "");
        let pairs = [("q", "港 a&b=c".to_owned()), ("limit", "5".to_owned())];
        assert_eq!(query(&pairs), "?q=%E6%B8%AF%20a%26b%3Dc&limit=5");
    }

    #[test]
    fn no_connection_is_not_a_time_out() {
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        assert_eq!(not_answered("s", ureq::Error::Io(refused)).exit_code(), 7);
        let late = ureq::Error::Timeout(ureq::Timeout::RecvResponse);
        assert_eq!(not_answered("s", late).exit_code(), 8);
        assert_eq!(not_answered("s", ureq::Error::HostNotFound).exit_code(), 7);
    }

    #[test]
    fn a_server_that_is_not_there_is_not_reachable() {
        // A port that was free a moment ago, on this machine only.
        let free = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let agent = agent(&[], Offer::default(), Some(Duration::from_secs(20)));
        let failed = agent.get(format!("https://{free}/")).call().unwrap_err();
        assert_eq!(not_answered("s", failed).exit_code(), 7);
    }
}
