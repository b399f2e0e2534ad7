//! The routes and their OpenAPI 3.1 document, from one source: a route that is not documented
//! does not exist.
//!
//! It does not answer calls; one file per resource does.

pub(crate) mod answers;
pub(crate) mod headers;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ComponentsBuilder, Info, OpenApiBuilder};
use utoipa::{PartialSchema as _, ToSchema as _};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::change::Changed;
use crate::problem::Problem;
use crate::{Parts, routes as r};

/// Largest body of a call in bytes: the largest record in canonical form, and room for its
/// signature.
pub(crate) const BODY_BYTES_MAX: usize = 2 << 20;

/// Name of the one way to say who calls: the token of a session.
const SESSION: &str = "session";

fn documented() -> OpenApiRouter<Arc<Parts>> {
    let info = Info::new("kouan", env!("CARGO_PKG_VERSION"));
    let mut named = Vec::new();
    for (name, schema) in [
        (Changed::name(), Changed::schema()),
        (Problem::name(), Problem::schema()),
    ] {
        named.push((name.into_owned(), schema));
    }
    Changed::schemas(&mut named);
    Problem::schemas(&mut named);
    let session = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    let components = ComponentsBuilder::new()
        .schemas_from_iter(named)
        .security_scheme(SESSION, session);
    let document = OpenApiBuilder::new()
        .info(info)
        .components(Some(components.build()))
        .security(Some([SecurityRequirement::new(SESSION, [""; 0])]))
        .build();
    let router = after_an_answer(OpenApiRouter::with_openapi(document));
    rules_and_members(router)
        .routes(routes!(r::session::challenge))
        .routes(routes!(
            r::session::sign_in,
            r::session::sign_out,
            r::session::current
        ))
        .routes(routes!(r::participant::list, r::participant::register))
        .routes(routes!(r::participant::show))
        .routes(routes!(
            r::participant::nodes,
            r::participant::register_node
        ))
        .routes(routes!(r::participant::bind_person))
        .routes(routes!(r::standard::list, r::standard::adopt))
        .routes(routes!(r::standard::show))
        .routes(routes!(r::dataset::list))
        .routes(routes!(r::dataset::show, r::dataset::describe))
        .routes(routes!(r::dataset::move_to))
        .routes(routes!(r::dataset::versions))
        .routes(routes!(r::dataset::findings))
        .routes(routes!(r::dataset::next_code))
        .routes(routes!(r::dataset::assess))
        .routes(routes!(r::request::list, r::request::submit))
        .routes(routes!(r::request::supervisions))
        .routes(routes!(r::request::show))
        .routes(routes!(r::request::decide))
        .routes(routes!(r::request::withdraw))
        .routes(routes!(r::contract::list))
        .routes(routes!(r::contract::show))
        .routes(routes!(r::grant::list))
        .routes(routes!(r::grant::show))
        .routes(routes!(r::grant::revoke))
        .routes(routes!(r::transfer::list, r::transfer::start))
        .routes(routes!(r::transfer::show))
        .routes(routes!(r::job::list))
        .routes(routes!(r::job::show))
        .routes(routes!(r::job::cancel))
        .routes(routes!(r::ledger::checkpoint))
        .routes(routes!(r::ledger::entries))
        .routes(routes!(r::ledger::evidence))
        .routes(routes!(r::ledger::consistency))
}

/// What an auditor searches, what is in force, and who takes part.
fn rules_and_members(router: OpenApiRouter<Arc<Parts>>) -> OpenApiRouter<Arc<Parts>> {
    router
        .routes(routes!(r::evidence::search))
        .routes(routes!(r::evidence::package))
        .routes(routes!(r::evidence::findings))
        .routes(routes!(r::policy::in_force, r::policy::adopt))
        .routes(routes!(r::policy::explain))
        .routes(routes!(r::past::dry_run))
        .routes(routes!(r::past::replay))
        .routes(routes!(r::rule_pack::list, r::rule_pack::adopt))
        .routes(routes!(r::rule_pack::show))
        .routes(routes!(r::rule_pack::withdraw))
        .routes(routes!(r::export::list, r::export::register))
        .routes(routes!(r::export::show))
        .routes(routes!(r::export::move_to))
        .routes(routes!(r::export::report))
        .routes(routes!(r::catalog::status))
        .routes(routes!(r::catalog::backup))
        .routes(routes!(r::member::list, r::member::add))
        .routes(routes!(r::member::remove))
        .routes(routes!(r::enrolment::list, r::enrolment::apply))
        .routes(routes!(r::enrolment::show))
}

/// Disputes, reviews, corrections and delegations.
fn after_an_answer(router: OpenApiRouter<Arc<Parts>>) -> OpenApiRouter<Arc<Parts>> {
    router
        .routes(routes!(r::dispute::show, r::dispute::step))
        .routes(routes!(r::dispute::review_of, r::dispute::review))
        .routes(routes!(r::correction::list, r::correction::open))
        .routes(routes!(r::correction::show))
        .routes(routes!(r::correction::move_to))
        .routes(routes!(r::correction::notices))
        .routes(routes!(r::delegation::list, r::delegation::set))
        .routes(routes!(r::delegation::end))
}

/// The OpenAPI document as JSON, indented, with a final line end: what is checked in.
///
/// # Errors
/// [`serde_json::Error`] never in practice; the document is plain data.
pub fn document() -> Result<String, serde_json::Error> {
    let mut text = documented().into_openapi().to_pretty_json()?;
    text.push('\n');
    Ok(text)
}

/// All routes, with the document itself at `/openapi.json`.
pub(crate) fn router(parts: Arc<Parts>) -> Router {
    let (router, document) = documented().split_for_parts();
    let text: Arc<str> = document.to_json().unwrap_or_default().into();
    router
        .route(
            "/openapi.json",
            axum::routing::get(move || {
                let text = text.clone();
                async move {
                    (
                        [(http::header::CONTENT_TYPE, "application/json")],
                        text.to_string(),
                    )
                }
            }),
        )
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(parts)
}
