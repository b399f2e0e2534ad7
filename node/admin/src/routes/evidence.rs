//! Searching the ledger of the caller's participant, and taking evidence of what was found away.
//!
//! It does not filter or prove: the ledger does, behind the gate.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use crypto::Digest;
use enforcement::{Filter, Language};
use schemas::code::Action;
use schemas::ledger_entry::LedgerIndex;
use schemas::{DatasetId, Jurisdiction, ParticipantId, ReleaseId, Timestamp, canonical};
use serde::{Deserialize, Serialize};

use super::Shared;
use super::ledger::{Placed, reader};
use crate::Error;
use crate::authn::Caller;
use crate::gate::{Target, pass, point};
use crate::openapi::answers;
use crate::page::PageQuery;
use crate::problem::Failure;

/// A question to the ledger, and what else its route takes.
macro_rules! question {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $field:ident: $kind:ty,)* }) => {
        $(#[$meta])*
        #[derive(Debug, Deserialize, utoipa::IntoParams)]
        #[into_params(parameter_in = Query)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            /// About this dataset.
            dataset: Option<DatasetId>,
            /// Naming this participant as asking, providing, receiving or speaking.
            participant: Option<ParticipantId>,
            /// Done by this person, or by this node where a node asked.
            actor: Option<String>,
            /// A decision on this action, or an entry of this kind (`receipt`, `signed_in`).
            action: Option<String>,
            /// `permit`, `deny`, a refusal's code, how a release ended (`completed`), ...
            outcome: Option<String>,
            /// Asked for this purpose, by its code.
            purpose: Option<String>,
            /// Where the answer was to go.
            destination: Option<Jurisdiction>,
            /// Of this release: its beginning, its end and its receipts.
            release: Option<ReleaseId>,
            /// First instant.
            from: Option<Timestamp>,
            /// First instant that no longer counts.
            until: Option<Timestamp>,
            $($(#[$doc])* $field: $kind,)*
        }

        impl $name {
            fn filter(&self) -> Filter {
                Filter {
                    dataset: self.dataset.clone(),
                    participant: self.participant.clone(),
                    actor: self.actor.clone(),
                    action: self.action.clone(),
                    outcome: self.outcome.clone(),
                    purpose: self.purpose.clone(),
                    destination: self.destination,
                    release: self.release.clone(),
                    from: self.from,
                    until: self.until,
                }
            }
        }
    };
}

question! {
    /// Which entries, and which page of them.
    SearchQuery {
        /// Most items in the answer: 1 to 1,000, 50 when absent.
        limit: Option<usize>,
        /// `next_cursor` of the page before, with the same question.
        cursor: Option<String>,
    }
}

question! {
    /// Which entries go into the package.
    PackageQuery {
        /// Language of the report: `zh` or `en`; `zh` when absent.
        lang: Option<String>,
    }
}

/// How many entries match in all.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Total {
    /// The number.
    value: u64,
    /// Always true: every page counts all of them.
    exact: bool,
}

/// One page of what matches, oldest first.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(crate) struct Matches {
    /// The entries.
    items: Vec<Placed>,
    /// Cursor of the next page; null at the end.
    next_cursor: Option<String>,
    /// How many match in all.
    total: Total,
    /// How many entries the ledger had when the first page was read; later pages look at these.
    size: u64,
    /// Why the node had to make the index for searches anew when it started; null when it was
    /// whole. Nothing is lost by it: the index is made from the entries.
    index_rebuilt: Option<&'static str>,
}

/// Entries that match, oldest first.
#[utoipa::path(get, path = "/api/v1/ledger/search", operation_id = "ledger_search",
    params(SearchQuery),
    responses((status = 200, body = Matches), answers::Read),
    extensions(("x-action" = json!("ledger.read"))))]
pub(crate) async fn search(
    State(parts): Shared,
    caller: Caller,
    query: Result<Query<SearchQuery>, QueryRejection>,
) -> Result<Json<Matches>, Failure> {
    let Query(query) = query.map_err(|e| caller.fail(Error::from(e)))?;
    let filter = query.filter();
    let page = PageQuery {
        limit: query.limit,
        cursor: None,
    };
    let limit = page.limit().map_err(|e| caller.fail(e))?;
    let place = Place::of(query.cursor.as_deref(), &filter).map_err(|e| caller.fail(e))?;
    let reader = reader(&parts, &caller, Target::record("search")).await?;
    let found = reader
        .search(&filter, place.from, place.size, limit)
        .map_err(|e| caller.fail(asked(e)))?;
    let mut items = Vec::with_capacity(found.indices.len());
    for index in found.indices {
        let entry = reader.read(index).map_err(|e| caller.fail(e))?;
        items.push(Placed { index, entry });
    }
    let next = found.next.map(|next| Place {
        from: next,
        size: Some(found.size),
    });
    Ok(Json(Matches {
        items,
        next_cursor: next
            .map(|it| it.cursor(&filter))
            .transpose()
            .map_err(|e| caller.fail(e))?,
        total: Total {
            value: found.total,
            exact: true,
        },
        size: found.size,
        index_rebuilt: reader.index_rebuilt(),
    }))
}

/// An evidence package: the entries that match and those that belong to them, with proofs, signed
/// checkpoints, witnesses, keys and a report. Verified offline; see `evidence-package.md`.
#[utoipa::path(get, path = "/api/v1/ledger/package", operation_id = "ledger_package",
    params(PackageQuery),
    responses((status = 200, description = "A package, as `kouanctl ledger verify` reads it",
        body = Object), answers::Read),
    extensions(("x-action" = json!("ledger.read"))))]
pub(crate) async fn package(
    State(parts): Shared,
    caller: Caller,
    query: Result<Query<PackageQuery>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(query) = query.map_err(|e| caller.fail(Error::from(e)))?;
    let language = match query.lang.as_deref() {
        None | Some("zh") => Language::Zh,
        Some("en") => Language::En,
        Some(_) => {
            let why = "lang: write zh or en".to_owned();
            return Err(caller.fail(Error::Invalid { why }));
        }
    };
    let permit = pass(
        &parts,
        &caller,
        Action::LedgerRead,
        Target::record("package"),
    )
    .await?;
    let made = point(&parts, &caller)?
        .package(&permit, query.filter(), language)
        .await
        .map_err(|refusal| caller.fail(refusal))?;
    let package = made.map_err(|e| caller.fail(asked(e)))?;
    Ok(Json(package).into_response())
}

/// From when on unusual access is raised.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct Since {
    /// Unusual access (night, volume, first-time purpose) is raised from this instant on; what lies
    /// before it is what is usual. Seven days ago when absent.
    unusual_since: Option<Timestamp>,
}

/// What an auditor should look at: missing and differing receipts, gaps, silence, forks, unusual
/// access. Each finding has a code and the entries that it rests on; the thresholds are the node's
/// settings. The newest 200,000 entries are looked at.
#[utoipa::path(get, path = "/api/v1/ledger/findings", operation_id = "ledger_findings",
    params(Since),
    responses((status = 200, description = "Findings, ascending by time", body = Object),
        answers::Read),
    extensions(("x-action" = json!("ledger.read"))))]
pub(crate) async fn findings(
    State(parts): Shared,
    caller: Caller,
    query: Result<Query<Since>, QueryRejection>,
) -> Result<Response, Failure> {
    let Query(query) = query.map_err(|e| caller.fail(Error::from(e)))?;
    let reader = reader(&parts, &caller, Target::record("findings")).await?;
    let view = parts.catalog.view();
    let known = view
        .checkpoint(&caller.principal.participant)
        .map(|it| it.update.checkpoint.body.clone());
    let now = parts.clock.now();
    let since = query
        .unusual_since
        .unwrap_or_else(|| now.plus_millis(-UNUSUAL_MS));
    let looked = tokio::task::spawn_blocking(move || reader.look(now, Some(since), known.as_ref()));
    let look = looked.await.map_err(|e| {
        let why = format!("look at the ledger: {e}");
        caller.fail(Error::Serve { why })
    })?;
    Ok(Json(look.map_err(|e| caller.fail(e))?).into_response())
}

/// A week.
const UNUSUAL_MS: i64 = 7 * 24 * 3_600_000;

/// A question that cannot be answered is the caller's to change; anything else is ours.
fn asked(error: enforcement::Error) -> Error {
    match error.question() {
        Some(why) => Error::Invalid { why },
        None => error.into(),
    }
}

/// Where a page begins, and how long the ledger was at the first.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    from: LedgerIndex,
    size: Option<u64>,
}

impl Place {
    /// From a cursor; it goes with the question that it came with and with no other.
    fn of(cursor: Option<&str>, filter: &Filter) -> Result<Self, Error> {
        let Some(cursor) = cursor else {
            return Ok(Self {
                from: LedgerIndex(0),
                size: None,
            });
        };
        let wrong = || Error::Invalid {
            why: "cursor: use next_cursor of the page before, unchanged, with the same question"
                .to_owned(),
        };
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong())?;
        let (from, rest) = bytes.split_first_chunk().ok_or_else(wrong)?;
        let (size, question) = rest.split_first_chunk().ok_or_else(wrong)?;
        if question != asked_for(filter)? {
            return Err(wrong());
        }
        Ok(Self {
            from: LedgerIndex(u64::from_be_bytes(*from)),
            size: Some(u64::from_be_bytes(*size)),
        })
    }

    fn cursor(&self, filter: &Filter) -> Result<String, Error> {
        let mut bytes = self.from.0.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.size.unwrap_or_default().to_be_bytes());
        bytes.extend_from_slice(&asked_for(filter)?);
        Ok(URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// The question in eight bytes: enough to notice another one.
fn asked_for(filter: &Filter) -> Result<[u8; 8], Error> {
    let bytes = canonical::to_bytes(filter).map_err(enforcement::Error::from)?;
    let mut short = [0; 8];
    short.copy_from_slice(&Digest::of(&bytes).as_bytes()[..8]);
    Ok(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_goes_with_its_question_only() {
        let filter = Filter {
            actor: Some("gd.a".to_owned()),
            ..Filter::default()
        };
        let place = Place {
            from: LedgerIndex(7),
            size: Some(40),
        };
        let cursor = place.cursor(&filter).unwrap();
        assert_eq!(Place::of(Some(&cursor), &filter).unwrap(), place);
        for (cursor, filter) in [
            (cursor.as_str(), &Filter::default()),
            (&cursor[1..], &filter),
            ("", &filter),
            ("***", &filter),
        ] {
            let refused = Place::of(Some(cursor), filter);
            assert!(matches!(refused, Err(Error::Invalid { .. })), "{cursor}");
        }
    }
}
