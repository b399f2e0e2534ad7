//! `transfer`: fetch under a grant.
//!
//! It does not receive rows: they arrive at the consumer's node.

use schemas::TransferId;
use serde_json::json;

use super::{Desk, job};
use crate::Error;
use crate::cli::transfer::{Start, Transfer};
use crate::client::{Call, Client, Verb};
use crate::output::Column;

const TRANSFERS: &[Column] = &[
    Column::text("col-id", "id"),
    Column::text("col-dataset", "dataset"),
    Column::number("col-version", "version"),
    Column::text("col-provider", "provider"),
    Column::text("col-consumer", "consumer"),
    Column::text("col-state", "state"),
    Column::number("col-rows", "receipts.0.body.rows"),
];

pub(super) fn run(it: Transfer, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    match it {
        Transfer::Start(it) => start(it, desk),
        Transfer::List(paging) => desk.list("/transfers", TRANSFERS, paging),
        Transfer::Get { id } => desk.show(&format!("/transfers/{id}"), TRANSFERS),
        Transfer::Cancel { id } => {
            let job = job_of(&id)?;
            let answer = desk
                .client
                .post(&format!("/jobs/{job}/cancellation"), &json!({}))?;
            desk.terminal.record(job::JOBS, &answer)
        }
    }
}

fn start(it: Start, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    let key = it.idempotency_key.map_or_else(|| Client::fresh("t"), Ok)?;
    let body = json!({ "grant": it.grant, "version": it.version });
    let call = Call {
        verb: Verb::Post,
        path: "/transfers".to_owned(),
        headers: vec![("idempotency-key", key)],
        body: Some(&body),
    };
    let queued = desk.client.insist(&call)?;
    if !it.wait {
        return desk.terminal.record(job::JOBS, &queued);
    }
    let id = queued["id"].as_str().unwrap_or_default().to_owned();
    job::wait(&id, desk)
}

/// The job that runs a transfer: the node names both after the same idempotency key.
fn job_of(id: &TransferId) -> Result<String, Error> {
    let rest = id.as_str().strip_prefix("t-").ok_or_else(|| {
        Error::input(
            id,
            "no job of this node runs it; kouanctl job list shows those that do",
        )
    })?;
    Ok(format!("j-{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_and_its_job_share_their_name() {
        assert_eq!(
            job_of(&TransferId::parse("t-7f3a").unwrap()).unwrap(),
            "j-7f3a"
        );
        let strange = TransferId::parse("x7f3a").unwrap();
        assert_eq!(job_of(&strange).unwrap_err().exit_code(), 2);
    }
}
