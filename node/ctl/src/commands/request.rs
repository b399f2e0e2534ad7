//! `request`: ask, and answer.
//!
//! It does not send terms that differ from the request where the law does not let them: purpose
//! and destination are always the request's.

use std::collections::{BTreeMap, BTreeSet};

use schemas::command::Command;
use schemas::dataset::Dataset as Card;
use schemas::decision::{Mask, RowFilter};
use schemas::dispute::{Dispute, DisputeMove};
use schemas::request::{
    AccessRequest, Contract, ContractTerms, Grant, GrantState, Purpose, RequestDecision,
    RequestState, RequestTexts,
};
use schemas::{ContractId, GrantId, PartyOnly, Period, RequestId};
use serde_json::{Value, json};

use super::{Desk, parse};
use crate::Error;
use crate::cli::request::{Approve, Create, Request, Verdict};
use crate::client::{Client, Verb, now};
use crate::output::Column;

const REQUESTS: &[Column] = &[
    Column::text("col-id", "id"),
    Column::text("col-dataset", "dataset"),
    Column::text("col-consumer", "consumer"),
    Column::text("col-purpose", "purpose.code"),
    Column::text("col-state", "state"),
    Column::time("col-submitted-at", "submitted_at"),
    Column::time("col-until", "period.until"),
    Column::number("col-revision", "revision"),
];

const STEPS: &[Column] = &[
    Column::time("col-at", "at"),
    Column::text("col-step", "step"),
    Column::text("col-participant", "participant"),
    Column::text("col-person", "by"),
    Column::text("col-note", "because"),
];

const REVIEWS: &[Column] = &[
    Column::text("col-request", "request"),
    Column::text("col-person", "by"),
    Column::time("col-at", "granted_at"),
    Column::time("col-until", "due_at"),
    Column::text("col-passed", "review.upheld"),
];

const SUPERVISIONS: &[Column] = &[
    Column::text("col-request", "request"),
    Column::text("col-clock", "clock"),
    Column::time("col-due-at", "due_at"),
    Column::time("col-raised-at", "raised_at"),
    Column::time("col-settled-at", "settled_at"),
];

pub(super) fn run(it: Request, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    match it {
        Request::Create(it) => create(it, desk),
        Request::List {
            state: None,
            paging,
        } => desk.list("/requests", REQUESTS, paging),
        Request::List {
            state: Some(state),
            paging,
        } => {
            let state = crate::cli::code(&state, RequestState::ALL, RequestState::parse)
                .map_err(|why| Error::input(&state, why))?;
            // The node does not filter requests; all are read and most are left out.
            let mut items = desk.client.list("/requests", None)?.items;
            items.retain(|it| it["state"] == state.as_str());
            let all = items.len();
            items.truncate(paging.most().unwrap_or(all));
            desk.print(REQUESTS, &items, items.len() < all)
        }
        Request::Supervisions(paging) => desk.list("/supervisions", SUPERVISIONS, paging),
        Request::Get { id } => desk.show(&format!("/requests/{id}"), REQUESTS),
        Request::Approve(it) => approve(it, desk),
        Request::Refuse { id, because } => {
            let decision = RequestDecision::Refuse { reasons: because };
            let request = read(&id, desk)?;
            let answer = decide(&request, decision, desk)?;
            desk.changed(&id, &answer)
        }
        Request::Return { id, missing } => {
            let request = read(&id, desk)?;
            let answer = decide(&request, RequestDecision::Return { missing }, desk)?;
            desk.changed(&id, &answer)
        }
        Request::Dispute { id, step, because } => dispute(id, step, because, desk),
        Request::Disputed { id } => {
            let dispute: Dispute = parse(desk.client.get(&format!("/requests/{id}/dispute"))?)?;
            let steps: Vec<Value> = dispute.steps.iter().map(|it| json!(it)).collect();
            desk.print(STEPS, &steps, false)
        }
        Request::Review {
            id,
            verdict,
            because,
        } => review(id, verdict, because, desk),
        Request::Reviewed { id } => desk.show(&format!("/requests/{id}/review"), REVIEWS),
        Request::Withdraw { id } => {
            let revision = read(&id, desk)?.revision;
            let command = Command::WithdrawRequest {
                request: id.clone(),
                revision,
            };
            let path = format!("/requests/{id}/withdrawal");
            let answer = desk.client.change(Verb::Post, &path, revision, command)?;
            desk.changed(&id, &answer)
        }
    }
}

fn dispute(
    id: RequestId,
    step: DisputeMove,
    because: String,
    desk: &mut Desk<'_, '_>,
) -> Result<(), Error> {
    let revision = read(&id, desk)?.revision;
    let path = format!("/requests/{id}/dispute");
    let command = Command::DisputeRequest {
        request: id.clone(),
        revision,
        step,
        because,
    };
    let answer = desk.client.change(Verb::Post, &path, revision, command)?;
    desk.changed(&id, &answer)
}

fn review(
    id: RequestId,
    verdict: Verdict,
    because: String,
    desk: &mut Desk<'_, '_>,
) -> Result<(), Error> {
    let path = format!("/requests/{id}/review");
    let command = Command::ReviewEmergency {
        request: id.clone(),
        upheld: verdict == Verdict::Upheld,
        because,
    };
    let answer = desk.client.change(Verb::Post, &path, 0, command)?;
    desk.changed(&id, &answer)
}

fn read(id: &RequestId, desk: &mut Desk<'_, '_>) -> Result<AccessRequest, Error> {
    parse(desk.client.get(&format!("/requests/{id}"))?)
}

fn decide(
    request: &AccessRequest,
    decision: RequestDecision,
    desk: &mut Desk<'_, '_>,
) -> Result<Value, Error> {
    let (id, revision) = (request.id.clone(), request.revision);
    let path = format!("/requests/{id}/decision");
    let command = Command::DecideRequest {
        request: id,
        revision,
        decision,
    };
    desk.client.change(Verb::Post, &path, revision, command)
}

fn create(it: Create, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    let principal = desk.client.principal()?;
    // The identifier of a returned request sends its supplement: at that request's revision.
    let (id, revision) = match it.id {
        None => (RequestId::parse(Client::fresh("r")?)?, 0),
        Some(id) => {
            let before = match read(&id, desk) {
                Ok(before) => before.revision,
                Err(Error::Problem(problem)) if is_absent(problem.code) => 0,
                Err(other) => return Err(other),
            };
            (id, before)
        }
    };
    let at = now();
    let request = AccessRequest {
        id: id.clone(),
        dataset: it.dataset,
        consumer: principal.participant,
        requester: principal.person.ok_or(Error::Missing { flag: "person" })?,
        purpose: Purpose {
            text: it.purpose_text.unwrap_or_else(|| it.purpose.clone()),
            code: it.purpose,
        },
        texts: PartyOnly::Clear(RequestTexts {
            legal_basis: it.basis,
            scenario: it.scenario,
        }),
        columns: (!it.columns.is_empty()).then_some(it.columns),
        rows: RowFilter { all: it.rows },
        period: Period {
            from: it.from.unwrap_or(at),
            until: it.until,
        },
        destination: it.destination.unwrap_or(principal.jurisdiction),
        state: RequestState::Submitted,
        submitted_at: at,
        due_at: None,
        answer: None,
        revision,
    };
    let command = Command::SubmitRequest {
        request: Box::new(request),
    };
    let answer = desk
        .client
        .change(Verb::Post, "/requests", revision, command)?;
    desk.changed(&id, &answer)
}

fn is_absent(code: schemas::code::ErrorCode) -> bool {
    code == schemas::code::ErrorCode::NotFound
}

fn approve(it: Approve, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    let request = read(&it.id, desk)?;
    let card: Card = parse(desk.client.get(&format!("/datasets/{}", request.dataset))?)?;
    let contract = ContractId::parse(Client::fresh("ct")?)?;
    let grant = GrantId::parse(Client::fresh("g")?)?;
    let decision = agree(it, &request, &card, (contract, grant.clone()))?;
    let answer = decide(&request, decision, desk)?;
    desk.terminal.note("note-granted", &[("grant", &grant)]);
    desk.changed(&grant, &answer)
}

/// The contract and grant that answer `request`, as far as the steward narrows them.
fn agree(
    it: Approve,
    request: &AccessRequest,
    card: &Card,
    (contract, grant): (ContractId, GrantId),
) -> Result<RequestDecision, Error> {
    let columns = columns(&it.columns, request, card)?;
    let masks: BTreeMap<String, Mask> = it.masks.into_iter().collect();
    if let Some(stranger) = masks.keys().find(|it| !columns.contains(it)) {
        let why = format!("--mask: it is not among the columns {}", columns.join(","));
        return Err(Error::input(stranger, why));
    }
    let until = it.until.unwrap_or(request.period.until);
    let period = Period {
        from: request.period.from,
        until,
    };
    let contract = Contract {
        id: contract,
        request: request.id.clone(),
        dataset: request.dataset.clone(),
        provider: card.provider.clone(),
        consumer: request.consumer.clone(),
        terms: PartyOnly::Clear(ContractTerms {
            onward_transfer: false,
            retention_days: it.retention_days,
            text: it.terms,
        }),
        period,
    };
    let grant = Grant {
        id: grant,
        contract: contract.id.clone(),
        dataset: request.dataset.clone(),
        provider: card.provider.clone(),
        consumer: request.consumer.clone(),
        subject: it.subject,
        columns,
        rows: request.rows.clone(),
        masks,
        rows_max: it.rows_max,
        purpose: request.purpose.clone(),
        destination: request.destination,
        period,
        state: GrantState::Active,
        ended_because: None,
        revision: 0,
    };
    let (contract, grant) = (Box::new(contract), Box::new(grant));
    Ok(match it.emergency {
        Some(because) => RequestDecision::Emergency {
            contract,
            grant,
            because,
        },
        None => RequestDecision::Agree { contract, grant },
    })
}

/// Columns of the grant, in the dataset's order: those chosen, else those asked for, else all.
fn columns(chosen: &[String], request: &AccessRequest, card: &Card) -> Result<Vec<String>, Error> {
    let all: Vec<String> = card.columns.iter().map(|it| it.name.clone()).collect();
    let asked = request.columns.as_deref().unwrap_or(&all);
    let wanted = if chosen.is_empty() { asked } else { chosen };
    if let Some(stranger) = wanted
        .iter()
        .find(|it| !asked.contains(it) || !all.contains(it))
    {
        let why = format!("--columns: the request asks for {}", asked.join(","));
        return Err(Error::input(stranger, why));
    }
    let wanted: BTreeSet<&String> = wanted.iter().collect();
    Ok(all
        .iter()
        .filter(|it| wanted.contains(it))
        .cloned()
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> AccessRequest {
        serde_json::from_value(json!({
            "id": "r-1", "dataset": "calls", "consumer": "b", "requester": "b.a",
            "purpose": {"code": "p", "text": "p"},
            "texts": {"clear": {"legal_basis": "l", "scenario": "s"}},
            "columns": ["date", "port"],
            "rows": {"all": [{"column": "port", "operator": "EQ", "values": ["CNNSA"]}]},
            "period": {"from": "2026-01-01T00:00:00.000Z", "until": "2027-01-01T00:00:00.000Z"},
            "destination": "CN", "state": "SUBMITTED",
            "submitted_at": "2026-01-01T00:00:00.000Z", "due_at": null, "answer": null,
            "revision": 1
        }))
        .unwrap()
    }

    fn card() -> Card {
        let column = |name: &str| {
            let title = json!({"zh": name, "en": name});
            json!({"name": name, "title": title, "sensitivity": "NONE"})
        };
        serde_json::from_value(json!({
            "id": "calls", "resource_code": "1", "provider": "a", "owner": "n",
            "title": {"zh": "t", "en": "t"}, "summary": {"zh": "s", "en": "s"}, "theme": "t",
            "share": "CONDITIONAL", "share_conditions": "c", "share_basis": null,
            "update_cycle": "DAILY", "grade": "G2", "grade_basis": "b",
            "standard": {"standard": "s", "edition": 1},
            "columns": [column("port"), column("ship"), column("date")],
            "quality_rules": [], "quality_gate": {"quarantined_max": 0, "score_min": 0},
            "visibility": "federation", "state": "PUBLISHED", "revision": 3
        }))
        .unwrap()
    }

    fn asked(columns: &[&str], masks: &[(&str, Mask)]) -> Approve {
        Approve {
            id: RequestId::parse("r-1").unwrap(),
            columns: columns.iter().map(|it| (*it).to_owned()).collect(),
            masks: masks
                .iter()
                .map(|(name, mask)| ((*name).to_owned(), mask.clone()))
                .collect(),
            rows_max: Some(10),
            until: None,
            subject: None,
            terms: String::new(),
            retention_days: Some(30),
            emergency: None,
        }
    }

    fn check(it: Approve) -> Result<Grant, Error> {
        let names = (
            ContractId::parse("ct-1").unwrap(),
            GrantId::parse("g-1").unwrap(),
        );
        match agree(it, &request(), &card(), names)? {
            RequestDecision::Agree { contract, grant } => {
                assert_eq!(
                    (&contract.id, contract.period),
                    (&grant.contract, grant.period)
                );
                Ok(*grant)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_grant_is_the_request_narrowed_in_the_order_of_the_dataset() {
        let grant = check(asked(&[], &[("port", Mask::KeyedHash)])).unwrap();
        assert_eq!(grant.columns, ["port", "date"]);
        assert_eq!(
            (grant.rows, grant.purpose),
            (request().rows, request().purpose)
        );
        assert_eq!(grant.masks.keys().collect::<Vec<_>>(), ["port"]);
        assert_eq!(check(asked(&["date"], &[])).unwrap().columns, ["date"]);
    }

    #[test]
    fn a_column_or_mask_beyond_the_request_is_wrong_usage() {
        for it in [
            asked(&["ship"], &[]),
            asked(&["date"], &[("port", Mask::Null)]),
        ] {
            assert_eq!(check(it).unwrap_err().exit_code(), 2);
        }
    }
}
