//! Sign-in by a signed challenge, or by password and one-time code; sign-out.
//!
//! It does not keep sessions; the gate's crate does. Each attempt is on the ledger.

use axum::Json;
use axum::extract::State;
use crypto::{Digest, Signature};
use enforcement::Session;
use http::StatusCode;
use schemas::decision::Principal;
use schemas::ledger_entry::LedgerEvent;
use schemas::{PersonId, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Body, Shared};
use crate::authn::{Caller, Trace};
use crate::openapi::answers;
use crate::problem::Failure;
use crate::{Error, Parts};

/// Who wants to sign in.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChallengeFor {
    person: PersonId,
}

/// What to sign.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct ChallengeGiven {
    /// 32 bytes in hex, to be signed under the label of challenges.
    #[schema(value_type = String)]
    challenge: Digest,
    /// First instant at which it is no longer accepted.
    expires_at: Timestamp,
}

/// How to sign in.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum SignIn {
    /// With the person's own key.
    Key {
        /// Who.
        person: PersonId,
        /// The challenge that was given.
        #[schema(value_type = String)]
        challenge: Digest,
        /// Over its 32 bytes.
        #[schema(value_type = String)]
        signature: Signature,
    },
    /// With a password and a one-time code.
    Password {
        /// Who.
        person: PersonId,
        /// The password.
        password: String,
        /// Six digits.
        code: String,
    },
}

/// A session.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct SignedIn {
    /// Bearer token; shown once.
    token: String,
    /// Who it stands for.
    principal: Principal,
    /// When it ends unless it is used.
    expires_at: Timestamp,
}

/// Ask for a challenge.
#[utoipa::path(post, path = "/api/v1/sessions/challenge", operation_id = "session_challenge",
    security(()),
    request_body = ChallengeFor,
    responses((status = 200, body = ChallengeGiven), answers::SignIn),
    extensions(("x-action" = json!("none"))))]
pub(crate) async fn challenge(
    State(parts): Shared,
    trace: Trace,
    body: Body<ChallengeFor>,
) -> Result<Json<ChallengeGiven>, Failure> {
    let Json(body) = body.map_err(|e| trace.fail(Error::from(e)))?;
    let given = parts
        .sessions
        .challenge(&body.person, parts.clock.now())
        .map_err(|e| trace.fail(e))?;
    Ok(Json(ChallengeGiven {
        challenge: given.challenge,
        expires_at: given.expires_at,
    }))
}

/// Sign in.
#[utoipa::path(post, path = "/api/v1/sessions", operation_id = "session_sign_in",
    security(()),
    request_body = SignIn,
    responses((status = 201, body = SignedIn), answers::SignIn),
    extensions(("x-action" = json!("none"))))]
pub(crate) async fn sign_in(
    State(parts): Shared,
    trace: Trace,
    body: Body<SignIn>,
) -> Result<(StatusCode, Json<SignedIn>), Failure> {
    let Json(body) = body.map_err(|e| trace.fail(Error::from(e)))?;
    let (person, method) = match &body {
        SignIn::Key { person, .. } => (person.clone(), "key"),
        SignIn::Password { person, .. } => (person.clone(), "password and one-time code"),
    };
    let opened = open(&parts, body).await;
    record(&parts, &person, opened.is_ok(), method, &trace).await;
    let session = opened.map_err(|e| trace.fail(e))?;
    let body = SignedIn {
        token: session.token,
        principal: session.principal,
        expires_at: session.expires_at,
    };
    Ok((StatusCode::CREATED, Json(body)))
}

async fn open(parts: &std::sync::Arc<Parts>, body: SignIn) -> Result<Session, Error> {
    let now = parts.clock.now();
    let view = parts.catalog.view();
    match body {
        SignIn::Key {
            person,
            challenge,
            signature,
        } => Ok(parts
            .sessions
            .sign_in(&view, &person, &challenge, &signature, now)?),
        SignIn::Password {
            person,
            password,
            code,
        } => {
            let password = Zeroizing::new(password);
            let sessions = parts.sessions.clone();
            // A third of a second of hashing must not hold up the other calls of this thread.
            tokio::task::spawn_blocking(move || {
                sessions.sign_in_with_password(&view, &person, password.as_bytes(), &code, now)
            })
            .await
            .map_err(|e| Error::Serve {
                why: format!("check a password: {e}"),
            })?
            .map_err(Error::from)
        }
    }
}

/// Writes the attempt to the ledger of the person's participant. A stranger has no participant,
/// and his attempts are counted by the lock-out only.
async fn record(parts: &Parts, person: &PersonId, accepted: bool, method: &str, trace: &Trace) {
    let view = parts.catalog.view();
    let Some(point) = view
        .person(person)
        .and_then(|it| parts.point(&it.participant))
    else {
        return;
    };
    let event = LedgerEvent::SignedIn {
        person: person.clone(),
        accepted,
        method: method.to_owned(),
    };
    if let Err(error) = point.record(event, &trace.0).await {
        tracing::error!(%error, trace = %trace.0, "record a sign-in");
    }
}

/// Sign out.
#[utoipa::path(delete, path = "/api/v1/sessions", operation_id = "session_sign_out",
    responses((status = 204), answers::Session),
    extensions(("x-action" = json!("none"))))]
pub(crate) async fn sign_out(State(parts): Shared, caller: Caller) -> StatusCode {
    parts.sessions.sign_out(&caller.token);
    StatusCode::NO_CONTENT
}

/// Who am I?
#[utoipa::path(get, path = "/api/v1/sessions", operation_id = "session_current",
    responses((status = 200, body = Principal), answers::Session),
    extensions(("x-action" = json!("none"))))]
pub(crate) async fn current(caller: Caller) -> Json<Principal> {
    Json(caller.principal)
}
