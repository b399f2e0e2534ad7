//! One file per resource: parse, pass the gate, one core call, answer.
//!
//! It does not hold rules: a rule is in the catalog, in a policy or in a record.

pub(crate) mod catalog;
pub(crate) mod contract;
pub(crate) mod correction;
pub(crate) mod dataset;
pub(crate) mod delegation;
pub(crate) mod dispute;
pub(crate) mod enrolment;
pub(crate) mod evidence;
pub(crate) mod export;
pub(crate) mod grant;
pub(crate) mod job;
pub(crate) mod ledger;
pub(crate) mod member;
pub(crate) mod participant;
pub(crate) mod past;
pub(crate) mod policy;
pub(crate) mod request;
pub(crate) mod rule_pack;
pub(crate) mod session;
pub(crate) mod standard;
pub(crate) mod transfer;

use std::sync::Arc;

use ::catalog::View;
use axum::Json;
use axum::extract::State;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};

use crate::{Error, Parts};

type Shared = State<Arc<Parts>>;

/// A body that may not have parsed.
type Body<T> = Result<Json<T>, JsonRejection>;

impl From<JsonRejection> for Error {
    fn from(rejection: JsonRejection) -> Self {
        if rejection.status() == http::StatusCode::PAYLOAD_TOO_LARGE {
            return Self::TooLarge {
                limit: crate::openapi::BODY_BYTES_MAX,
            };
        }
        Self::Invalid {
            why: rejection.body_text(),
        }
    }
}

impl From<PathRejection> for Error {
    fn from(rejection: PathRejection) -> Self {
        Self::Invalid {
            why: rejection.body_text(),
        }
    }
}

impl From<QueryRejection> for Error {
    fn from(rejection: QueryRejection) -> Self {
        Self::Invalid {
            why: rejection.body_text(),
        }
    }
}

/// The catalog as this replica knows it, with index and age for the answer.
fn read(parts: &Parts) -> (Arc<View>, (u64, u64)) {
    let view = parts.catalog.view();
    let read_at = (view.index(), parts.catalog.staleness_ms());
    (view, read_at)
}
