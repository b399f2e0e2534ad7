//! What persons send and see of rows: uploads, quarantined rows and previews, over HTTP on the data
//! plane's own listener.
//!
//! It does not sign anybody in: it takes the bearer token of a session. Rows that it shows passed
//! the gate as `dataset.inspect`, which is recorded like every other decision.

mod check;
mod inspect;
mod problem;
mod upload;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::http::{HeaderMap, header};
use axum::routing::{get, post};
use enforcement::{Ask, Permit};
use schemas::code::{Action, ErrorCode};
use schemas::dataset::Dataset;
use schemas::decision::{DecisionRequest, Principal};
use tokio::sync::Semaphore;

pub(crate) use problem::{Problem, Trace};
pub(crate) use upload::sweep;

use crate::ingest::Charset;
use crate::{Hosted, Parts};

/// Uploads at one time. Each holds a file and a little memory; the disk is what they share.
const UPLOADS_MAX: usize = 16;

/// Inspections at one time. Each unpacks a file in a thread of its own.
const INSPECTIONS_MAX: usize = 8;

/// What the routes share.
pub(crate) struct Rows {
    parts: Arc<Parts>,
    uploads: Semaphore,
    inspections: Arc<Semaphore>,
}

/// The routes.
pub(crate) fn router(parts: Arc<Parts>) -> Router {
    let rows = Rows {
        parts,
        uploads: Semaphore::new(UPLOADS_MAX),
        inspections: Arc::new(Semaphore::new(INSPECTIONS_MAX)),
    };
    Router::new()
        .route("/api/v1/checks", post(check::check))
        .route("/api/v1/datasets/{id}/uploads", post(upload::upload))
        .route("/api/v1/datasets/{id}/preview", get(inspect::preview))
        .route("/api/v1/jobs/{id}/quarantine", get(inspect::quarantine))
        .layer(axum::extract::DefaultBodyLimit::disable())
        .with_state(Arc::new(rows))
}

impl Rows {
    /// Who sends this request.
    fn principal(&self, headers: &HeaderMap, trace: &Trace) -> Result<Principal, Problem> {
        let refuse = |detail: &str| Problem::new(ErrorCode::Unauthenticated, detail, trace);
        let token = headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or_else(|| refuse("send the session's token as `Authorization: Bearer ...`"))?;
        self.parts
            .sessions
            .principal(token.trim(), self.parts.clock.now())
            .map_err(|_| refuse("the session has ended; sign in again"))
    }

    /// The hosted provider whose dataset it is. Whoever does not act for it learns nothing.
    fn hosted(
        &self,
        principal: &Principal,
        dataset: &Dataset,
        trace: &Trace,
    ) -> Result<Arc<Hosted>, Problem> {
        self.parts
            .hosted
            .get(&dataset.provider)
            .filter(|_| principal.participant == dataset.provider)
            .map(Arc::clone)
            .ok_or_else(|| Problem::new(ErrorCode::NotFound, "there is no such dataset", trace))
    }

    /// Asks the provider's gate.
    async fn authorize(
        &self,
        hosted: &Hosted,
        asked: Asked<'_>,
        trace: &Trace,
    ) -> Result<Permit, Problem> {
        let request = DecisionRequest {
            destination: asked.principal.jurisdiction,
            principal: asked.principal.clone(),
            action: asked.action,
            dataset: Some(asked.dataset.id.clone()),
            record: asked.record,
            purpose: None,
            columns: None,
            at: self.parts.clock.now(),
        };
        let ask = Ask {
            trace: trace.as_str().to_owned(),
            grant: None,
        };
        let permit = Box::pin(hosted.point.authorize(request, ask)).await;
        permit.map_err(|refusal| Problem::refused(&refusal))
    }
}

/// What a request needs the gate for.
struct Asked<'a> {
    principal: &'a Principal,
    action: Action,
    dataset: &'a Dataset,
    record: Option<String>,
}

/// Beginning of a staged upload's name; 32 hexadecimal digits follow, and the declared encoding
/// after a dot.
const STAGED: &str = "upload-";

/// Where a staged upload lies, if `name` is the name of one.
pub(crate) fn staged_path(dir: &Path, name: &str) -> Option<PathBuf> {
    let rest = name.strip_prefix(STAGED)?;
    let (id, charset) = rest.split_once('.').unwrap_or((rest, "UTF-8"));
    let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    (is_id && Charset::parse(charset).is_some()).then(|| dir.join("staging").join(name))
}

/// The encoding that was declared with a staged upload.
pub(crate) fn declared(name: &str) -> Option<Charset> {
    name.split_once('.')
        .and_then(|(_, charset)| Charset::parse(charset))
}
