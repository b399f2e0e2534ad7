//! The headers of a change, for the document.
//!
//! It does not read them; [`crate::change`] does.

use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};

/// Of a change that makes a record or ends one.
pub(crate) struct Change;
/// Of a change of a record's revision.
pub(crate) struct Revise;

impl IntoParams for Change {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![header(
            "Idempotency-Key",
            "The proposal's `id`, when it is sent: a retry with the same proposal gets the first \
             answer, the same id with another proposal is a conflict",
        )]
    }
}

impl IntoParams for Revise {
    fn into_params(place: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let mut all = Change::into_params(place);
        all.push(header(
            "If-Match",
            "The revision that the change was made for, in quotes, as `ETag` gave it; needed \
             unless the record is new",
        ));
        all
    }
}

fn header(name: &str, description: &str) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build()
}
