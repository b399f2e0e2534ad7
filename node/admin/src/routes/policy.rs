//! Policies: what is in force, what would be decided, and putting a set in force.
//!
//! It does not decide: an explanation comes from the same decision point as a decision.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use schemas::code::Action;
use schemas::command::Command;
use schemas::decision::{Decision, Facts};
use schemas::explanation::Spoke;
use schemas::export::Reading;
use schemas::policy_set::PolicySet;
use schemas::request::Purpose;
use schemas::{DatasetId, GrantId, Jurisdiction, PersonId};
use serde::{Deserialize, Serialize};

use super::{Body, Shared};
use crate::Error;
use crate::authn::Caller;
use crate::change::{Change, propose, wrong_route};
use crate::gate::{Target, admit, pass, point, question};
use crate::openapi::{answers, headers};
use crate::problem::Failure;

/// A question: may she do this?
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Question {
    /// Who; the caller herself when absent, otherwise a person of the caller's participant.
    person: Option<PersonId>,
    /// What.
    action: Action,
    /// On which dataset.
    dataset: Option<DatasetId>,
    /// Under which grant.
    grant: Option<GrantId>,
    /// What for.
    purpose: Option<Purpose>,
    /// Where the answer goes; the caller's place when absent.
    destination: Option<Jurisdiction>,
    /// Which columns.
    columns: Option<BTreeSet<String>>,
}

/// What would be decided, and what it rests on.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Explained {
    /// The decision.
    decision: Decision,
    /// What was known.
    facts: Facts,
    /// Every rule that spoke, in the order of evaluation, with the facts that it saw.
    spoke: Vec<Spoke>,
    /// Open questions of law that mattered, and how they were read.
    readings: Vec<Reading>,
}

/// The policy set in force.
#[utoipa::path(get, path = "/api/v1/policies", operation_id = "policy_in_force",
    responses((status = 200, body = PolicySet), answers::Read),
    extensions(("x-action" = json!("policy.explain"))))]
pub(crate) async fn in_force(
    State(parts): Shared,
    caller: Caller,
) -> Result<Json<PolicySet>, Failure> {
    admit(&parts, &caller, Action::PolicyExplain, Target::default()).await?;
    let adopted = parts.catalog.view().policy_set().cloned();
    Ok(Json(adopted.unwrap_or_else(policies::shipped)))
}

/// Ask what would be decided, without doing it.
#[utoipa::path(post, path = "/api/v1/policies/explanation", operation_id = "policy_explain",
    request_body = Question,
    responses((status = 200, body = Explained), answers::Read),
    extensions(("x-action" = json!("policy.explain"))))]
pub(crate) async fn explain(
    State(parts): Shared,
    mut caller: Caller,
    body: Body<Question>,
) -> Result<Json<Explained>, Failure> {
    let Json(asked) = body.map_err(|e| caller.fail(Error::from(e)))?;
    admit(&parts, &caller, Action::PolicyExplain, Target::default()).await?;
    if let Some(person) = &asked.person {
        let view = parts.catalog.view();
        let principal = enforcement::principal::of_person(&view, person)
            .ok()
            .filter(|it| it.participant == caller.principal.participant)
            .ok_or_else(|| {
                caller.fail(Error::NotFound {
                    kind: "person",
                    id: person.to_string(),
                })
            })?;
        caller.principal = principal;
    }
    let target = Target {
        dataset: asked.dataset.as_ref(),
        ..Target::default()
    };
    let mut request = question(&caller, asked.action, &target);
    request.purpose = asked.purpose;
    request.columns = asked.columns;
    if let Some(destination) = asked.destination {
        request.destination = destination;
    }
    let (facts, why) = point(&parts, &caller)?
        .explanation(request, asked.grant.as_ref())
        .await;
    Ok(Json(Explained {
        decision: why.decision,
        facts,
        spoke: why.spoke,
        readings: why.readings,
    }))
}

/// Put a policy set in force.
#[utoipa::path(post, path = "/api/v1/policies", operation_id = "policy_adopt",
    params(headers::Change), request_body = Change, responses(answers::Change),
    extensions(("x-action" = json!("policy.adopt"))))]
pub(crate) async fn adopt(
    State(parts): Shared,
    caller: Caller,
    headers: HeaderMap,
    body: Body<Change>,
) -> Result<Response, Failure> {
    let Json(change) = body.map_err(|e| caller.fail(Error::from(e)))?;
    let Command::AdoptPolicySet { policy_set } = change.command() else {
        return Err(caller.fail(wrong_route("adopt_policy_set")));
    };
    // A set that does not compile would stop every decision; it is refused before it is proposed.
    policies::Pdp::compile(policy_set)
        .map_err(|e| caller.fail(Error::Invalid { why: e.to_string() }))?;
    let target = Target::record(policy_set.number);
    let permit = pass(&parts, &caller, Action::PolicyAdopt, target).await?;
    propose(&parts, &caller, &permit, &headers, change).await
}
