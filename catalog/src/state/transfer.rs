//! Transfers: opened under a grant, closed with two receipts that agree, or ended without.
//!
//! It does not carry rows and it does not decide that bytes may leave; the gate does.

use std::sync::Arc;

use schemas::request::{GrantState, RequestState};
use schemas::transfer::{Receipt, ReceiptSide, Transfer, TransferState};
use schemas::{ParticipantId, Signed, TransferId};

use super::author::Acting;
use super::limits::{OPEN_TRANSFERS_PER_GRANT_MAX, TEXT_CHARS_MAX};
use super::record::Record;
use super::refusal::Refusal;
use super::store::State;
use super::{Change, dataset, grant, limits, request};

/// How far leader time may lie behind a clock that is right: a few ticks, in milliseconds.
const LEADER_TIME_LAG_MS_MAX: i64 = 5_000;

/// Opens a transfer. By a node of the consumer, under a grant that is in force now.
pub(crate) fn open(state: &State, acting: &Acting<'_>, it: &Transfer) -> Result<Change, Refusal> {
    acting.node_of(&it.consumer)?;
    if state.transfers.contains_key(&it.id) {
        return Err(Refusal::conflict(format!(
            "transfer {} exists; choose a new identifier",
            it.id
        )));
    }
    let is_new = it.state == TransferState::Requested
        && it.receipts.is_empty()
        && it.ended_because.is_none()
        && it.revision == 0;
    if !is_new {
        return Err(Refusal::invalid(
            "a transfer is opened as REQUESTED, at revision 0, without receipts",
        ));
    }
    let grant = grant::find(state, &it.grant)?;
    let fits = grant.dataset == it.dataset
        && grant.provider == it.provider
        && grant.consumer == it.consumer;
    if !fits {
        return Err(Refusal::invalid(format!(
            "grant {} is for {} from {} to {}; the transfer names others",
            grant.id, grant.dataset, grant.provider, grant.consumer
        )));
    }
    let now = state.leader_time();
    // Leader time moves by ticks and lies behind the clock by which the grant begins. The gate of
    // the provider judges the beginning to the millisecond; here it must only not be far away.
    let begun = now.plus_millis(LEADER_TIME_LAG_MS_MAX) >= grant.period.from;
    if grant.state != GrantState::Active || !begun || now >= grant.period.until {
        return Err(Refusal::wrong_state(format!(
            "grant {} is {} and holds from {} until {}, leader time is {now}; ask for another",
            grant.id, grant.state, grant.period.from, grant.period.until
        )));
    }
    let dataset = dataset::find(state, &it.dataset)?;
    if !dataset.is_served() {
        return Err(Refusal::wrong_state(format!(
            "{} is {}; its versions are not served",
            dataset.id, dataset.state
        )));
    }
    if state
        .versions
        .get(&it.dataset)
        .is_none_or(|versions| !versions.contains_key(&it.version))
    {
        return Err(Refusal::not_found(format!(
            "{} has no version {}; read its versions",
            it.dataset, it.version
        )));
    }
    let running = state
        .open_transfers
        .get(&grant.id)
        .map_or(0, imbl::OrdSet::len);
    if running >= OPEN_TRANSFERS_PER_GRANT_MAX {
        return Err(Refusal::invalid(format!(
            "{running} transfers run under grant {}; finish or terminate some first",
            grant.id
        )));
    }
    let record = Transfer {
        revision: 1,
        ..it.clone()
    };
    Ok(Change::new(1, vec![Record::Transfer(Arc::new(record))]))
}

/// Finishes a transfer. By a node of the consumer, with what both sides signed.
pub(crate) fn complete(
    state: &State,
    acting: &Acting<'_>,
    id: &TransferId,
    receipts: &[Signed<Receipt>],
) -> Result<Change, Refusal> {
    let it = find_open(state, id)?;
    acting.node_of(&it.consumer)?;
    let [first, second] = receipts else {
        return Err(Refusal::invalid(format!(
            "{} receipts; a transfer has two, SENT and RECEIVED",
            receipts.len()
        )));
    };
    let (sent, received) = match (first.body.side, second.body.side) {
        (ReceiptSide::Sent, ReceiptSide::Received) => (first, second),
        (ReceiptSide::Received, ReceiptSide::Sent) => (second, first),
        (ReceiptSide::Sent, ReceiptSide::Sent) | (ReceiptSide::Received, ReceiptSide::Received) => {
            return Err(Refusal::invalid(
                "both receipts are of one side; bring SENT and RECEIVED",
            ));
        }
    };
    check_receipt(state, it, &it.provider, sent)?;
    check_receipt(state, it, &it.consumer, received)?;
    // Side, speaker and time differ; everything else that they say must not.
    let same = Receipt {
        side: received.body.side,
        participant: received.body.participant.clone(),
        at: received.body.at,
        ..sent.body.clone()
    };
    if same != received.body {
        return Err(Refusal::invalid(format!(
            "the receipts of {id} disagree: sent {} rows with digest {}, received {} rows with \
             digest {}; settle it before it is recorded",
            sent.body.rows, sent.body.artefact, received.body.rows, received.body.artefact
        )));
    }
    let revision = it.revision + 1;
    let record = Transfer {
        state: TransferState::Completed,
        receipts: vec![sent.clone(), received.clone()],
        revision,
        ..it.clone()
    };
    let mut records = vec![Record::Transfer(Arc::new(record))];
    // The first rows that arrived are the delivery: its clock stops, late or not.
    let request = state
        .grants
        .get(&it.grant)
        .and_then(|held| grant::request_of(state, held))
        .filter(|it| matches!(it.state, RequestState::Agreed | RequestState::Provisioning));
    if let Some(request) = request {
        records.extend(request::settled(state, request));
        records.push(request::moved(
            request,
            RequestState::Active,
            request.answer.clone(),
        ));
    }
    Ok(Change::new(revision, records))
}

fn check_receipt(
    state: &State,
    it: &Transfer,
    speaker: &ParticipantId,
    receipt: &Signed<Receipt>,
) -> Result<(), Refusal> {
    let body = &receipt.body;
    let fits = body.transfer == it.id
        && body.grant == it.grant
        && body.dataset == it.dataset
        && body.version == it.version
        && body.participant == *speaker;
    if !fits {
        return Err(Refusal::invalid(format!(
            "a receipt of {} names another transfer, grant, dataset, version or side",
            it.id
        )));
    }
    let known = state.participants.get(speaker);
    if known.is_none_or(|known| known.signing.key_id() != receipt.key) {
        return Err(Refusal::signature(format!(
            "the {} receipt is not signed with the key of {speaker}; have it signed again",
            body.side
        )));
    }
    Ok(())
}

/// Ends a transfer without success. By a node of either side.
pub(crate) fn terminate(
    state: &State,
    acting: &Acting<'_>,
    id: &TransferId,
    because: &str,
) -> Result<Change, Refusal> {
    let it = find_open(state, id)?;
    let node = acting.node()?;
    if !node.hosts.contains(&it.consumer) && !node.hosts.contains(&it.provider) {
        return Err(Refusal::not_allowed(format!(
            "node {} acts for neither {} nor {}",
            node.id, it.provider, it.consumer
        )));
    }
    limits::check_text("because", because, TEXT_CHARS_MAX)?;
    Ok(Change::new(it.revision + 1, vec![terminated(it, because)]))
}

/// `it`, ended without success.
pub(crate) fn terminated(it: &Transfer, because: &str) -> Record {
    Record::Transfer(Arc::new(Transfer {
        state: TransferState::Terminated,
        ended_because: Some(because.to_owned()),
        revision: it.revision + 1,
        ..it.clone()
    }))
}

fn find_open<'a>(state: &'a State, id: &TransferId) -> Result<&'a Transfer, Refusal> {
    let it = state
        .transfers
        .get(id)
        .ok_or_else(|| Refusal::not_found(format!("there is no transfer {id}; check the name")))?;
    match it.state {
        TransferState::Requested | TransferState::Started | TransferState::Suspended => Ok(it),
        TransferState::Completed | TransferState::Terminated => Err(Refusal::wrong_state(format!(
            "transfer {id} is {} already",
            it.state
        ))),
    }
}
