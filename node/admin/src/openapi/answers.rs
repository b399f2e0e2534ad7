//! What each kind of call answers when it does not do what was asked, for the document.
//!
//! It does not answer: [`crate::problem`] does, and its table gives the statuses that stand here.

use std::collections::BTreeMap;

use schemas::code::ErrorCode as Code;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, Header, Ref, RefOr, Response};
use utoipa::{IntoResponses, ToSchema as _};

use crate::change::Changed;
use crate::problem::{self, Problem};

type Answers = BTreeMap<String, RefOr<Response>>;

/// A list, or a record that is always there.
pub(crate) struct Read;
/// One record of many.
pub(crate) struct ReadOne;
/// A backup, of which one is written at a time and none before the founding.
pub(crate) struct Backup;
/// A change that makes a record or ends one.
pub(crate) struct Change;
/// A change of a record's revision.
pub(crate) struct Revise;
/// The beginning of a job.
pub(crate) struct Begin;
/// The end of a job before its time.
pub(crate) struct Cancel;
/// A change of who takes part in the catalog.
pub(crate) struct Member;
/// An application of a new node.
pub(crate) struct Enrol;
/// A sign-in and what leads to it.
pub(crate) struct SignIn;
/// A question about one's own session.
pub(crate) struct Session;

/// What every call can answer once somebody is signed in.
const ALWAYS: [Code; 4] = [
    Code::Invalid,
    Code::Unauthenticated,
    Code::Refused,
    Code::Unavailable,
];

impl IntoResponses for Read {
    fn responses() -> Answers {
        problems(&ALWAYS)
    }
}

impl IntoResponses for ReadOne {
    fn responses() -> Answers {
        with(&[Code::NotFound])
    }
}

impl IntoResponses for Backup {
    fn responses() -> Answers {
        with(&[Code::Conflict])
    }
}

impl IntoResponses for Change {
    fn responses() -> Answers {
        changed(&[Code::NotFound, Code::Conflict, Code::LimitExceeded])
    }
}

impl IntoResponses for Revise {
    fn responses() -> Answers {
        changed(&[
            Code::NotFound,
            Code::Conflict,
            Code::LimitExceeded,
            Code::PreconditionFailed,
            Code::PreconditionRequired,
        ])
    }
}

impl IntoResponses for Begin {
    fn responses() -> Answers {
        with(&[Code::NotFound, Code::KeyReused])
    }
}

impl IntoResponses for Cancel {
    fn responses() -> Answers {
        with(&[Code::NotFound, Code::Conflict])
    }
}

impl IntoResponses for Member {
    fn responses() -> Answers {
        with(&[Code::NotFound, Code::Conflict])
    }
}

impl IntoResponses for Enrol {
    fn responses() -> Answers {
        problems(&[
            Code::Invalid,
            Code::Unauthenticated,
            Code::Conflict,
            Code::LimitExceeded,
            Code::Unavailable,
        ])
    }
}

impl IntoResponses for SignIn {
    fn responses() -> Answers {
        problems(&[
            Code::Invalid,
            Code::Unauthenticated,
            Code::LockedOut,
            Code::Unavailable,
        ])
    }
}

impl IntoResponses for Session {
    fn responses() -> Answers {
        problems(&[Code::Unauthenticated])
    }
}

fn with(more: &[Code]) -> Answers {
    problems(&[&ALWAYS, more].concat())
}

/// A change that worked, with the headers for the next one, or a problem.
fn changed(more: &[Code]) -> Answers {
    let done = ResponseBuilder::new()
        .description("It was applied")
        .content("application/json", reference(&Changed::name()))
        .header("ETag", text("The record's new revision, in quotes"))
        .header(
            "X-Catalog-Index",
            number("Catalog index at which it was applied"),
        );
    let mut answers = with(more);
    answers.insert("200".to_owned(), done.build().into());
    answers
}

/// A problem document for each code, and for whatever else goes wrong.
fn problems(codes: &[Code]) -> Answers {
    let one = |description: &str, waits: bool| -> RefOr<Response> {
        let response = ResponseBuilder::new()
            .description(description)
            .content("application/problem+json", reference(&Problem::name()));
        let response = if waits {
            let after = number("Seconds after which the same call may work");
            response.header("Retry-After", after)
        } else {
            response
        };
        response.build().into()
    };
    let mut answers: Answers = codes
        .iter()
        .map(|code| {
            let waits = matches!(code, Code::Unavailable | Code::LockedOut);
            let status = problem::status(*code).as_u16().to_string();
            (status, one(problem::title(*code), waits))
        })
        .collect();
    answers.insert("default".to_owned(), one("Any other problem", false));
    answers
}

fn reference(name: &str) -> Content {
    Content::new(Some(Ref::from_schema_name(name)))
}

fn text(description: &str) -> Header {
    header(Type::String, description)
}

fn number(description: &str) -> Header {
    header(Type::Integer, description)
}

fn header(kind: Type, description: &str) -> Header {
    HeaderBuilder::new()
        .schema(Some(ObjectBuilder::new().schema_type(kind)))
        .description(Some(description))
        .build()
}
