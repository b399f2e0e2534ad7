//! Why the catalog does not open a transfer, in the words of decisions.
//!
//! It does not decide: the catalog has refused already, and the gate of the provider was not asked.

use std::time::Duration;

use catalog::View;
use schemas::GrantId;
use schemas::code::{ErrorCode, ReasonCode};
use schemas::command::RefusalCode;
use schemas::decision::Reason;
use schemas::request::GrantState;

use super::Failure;
use crate::Parts;

/// Longest wait for this node's own replica to have what the leader refused by.
const CATCH_UP_MAX: Duration = Duration::from_secs(2);

/// What a refused `OpenTransfer` means for whoever started the transfer.
pub(super) async fn why(
    parts: &Parts,
    grant: &GrantId,
    (code, detail): (RefusalCode, String),
) -> Failure {
    let reasons = match code {
        RefusalCode::WrongState => seen(parts, grant).await,
        _ => Vec::new(),
    };
    Failure::NotOpened {
        code: meaning(code),
        why: format!("{code}: {detail}"),
        reasons,
    }
}

fn meaning(code: RefusalCode) -> ErrorCode {
    match code {
        RefusalCode::WrongState | RefusalCode::NotAllowed => ErrorCode::Refused,
        RefusalCode::NotFound => ErrorCode::NotFound,
        RefusalCode::Conflict => ErrorCode::Conflict,
        RefusalCode::Invalid => ErrorCode::Invalid,
        // The node signed, by its own clock: neither is the person's to mend.
        RefusalCode::SignatureRejected | RefusalCode::ClockSkew => ErrorCode::Unavailable,
    }
}

/// The reasons as soon as this replica shows them: the leader refused by a newer state.
async fn seen(parts: &Parts, grant: &GrantId) -> Vec<Reason> {
    let mut changed = parts.catalog.changed();
    let shown = async {
        loop {
            let found = reasons(&parts.catalog.view(), grant);
            if !found.is_empty() || changed.changed().await.is_err() {
                return found;
            }
        }
    };
    tokio::time::timeout(CATCH_UP_MAX, shown)
        .await
        .unwrap_or_default()
}

/// What keeps the grant from being used, citing what the decisions of the policy that ships cite.
fn reasons(view: &View, grant: &GrantId) -> Vec<Reason> {
    let Some(grant) = view.grant(grant) else {
        return Vec::new();
    };
    let now = view.leader_time();
    let period = "[policy] period of the grant";
    let held = match grant.state {
        GrantState::Revoked => Some((
            ReasonCode::GrantRevoked,
            "[policy] the provider ended the grant",
        )),
        GrantState::Expired => Some((ReasonCode::GrantExpired, period)),
        GrantState::Active if now >= grant.period.until => Some((ReasonCode::GrantExpired, period)),
        GrantState::Active if now < grant.period.from => {
            Some((ReasonCode::GrantNotYetValid, period))
        }
        GrantState::Active => None,
    };
    let unserved = view
        .dataset(&grant.dataset)
        .is_some_and(|it| !it.is_served())
        .then_some((
            ReasonCode::DatasetNotServed,
            "D809 16: what is published to the catalogue is shared",
        ));
    held.into_iter()
        .chain(unserved)
        .map(|(code, cites)| Reason::new(code, cites))
        .collect()
}
