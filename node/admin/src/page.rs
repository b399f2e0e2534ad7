//! Lists come in pages with a cursor that callers do not look into.
//!
//! It does not filter: a route hands in what the caller may see.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::Error;

/// Items in a page when the caller does not say.
pub(crate) const PAGE_ITEMS_DEFAULT: usize = 50;
/// Most items in a page.
pub(crate) const PAGE_ITEMS_MAX: usize = 1_000;

/// `?limit=..&cursor=..`.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    /// Most items in the answer: 1 to 1,000, 50 when absent.
    pub(crate) limit: Option<usize>,
    /// `next_cursor` of the page before.
    pub(crate) cursor: Option<String>,
}

/// One page.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub(crate) struct Page<T> {
    /// The items, in the order of their identifiers.
    pub(crate) items: Vec<T>,
    /// Cursor of the next page; null at the end.
    pub(crate) next_cursor: Option<String>,
    /// Catalog index that the page was read at.
    pub(crate) catalog_index: u64,
    /// Milliseconds since this replica last knew that it was current.
    pub(crate) age_ms: u64,
}

impl PageQuery {
    /// How many items, within the limits.
    pub(crate) fn limit(&self) -> Result<usize, Error> {
        match self.limit {
            None => Ok(PAGE_ITEMS_DEFAULT),
            Some(limit) if (1..=PAGE_ITEMS_MAX).contains(&limit) => Ok(limit),
            Some(limit) => Err(Error::Invalid {
                why: format!("limit={limit}: write 1 to {PAGE_ITEMS_MAX}"),
            }),
        }
    }

    /// The identifier after which the page begins.
    pub(crate) fn after(&self) -> Result<Option<String>, Error> {
        let Some(cursor) = &self.cursor else {
            return Ok(None);
        };
        URL_SAFE_NO_PAD
            .decode(cursor)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .map(Some)
            .ok_or_else(not_a_cursor)
    }

    /// Cuts a page out of `all`, which is in the order of `key`.
    pub(crate) fn cut<T>(
        &self,
        all: impl Iterator<Item = T>,
        key: impl Fn(&T) -> String,
        read_at: (u64, u64),
    ) -> Result<Page<T>, Error> {
        let limit = self.limit()?;
        let after = self.after()?;
        let mut items: Vec<T> = all
            .filter(|item| after.as_ref().is_none_or(|after| key(item) > *after))
            .take(limit + 1)
            .collect();
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| more).map(|last| encode(&key(last)));
        Ok(Page {
            items,
            next_cursor,
            catalog_index: read_at.0,
            age_ms: read_at.1,
        })
    }
}

/// A place as callers get it.
pub(crate) fn encode(place: &str) -> String {
    URL_SAFE_NO_PAD.encode(place)
}

/// What a cursor of somebody's own making gets.
pub(crate) fn not_a_cursor() -> Error {
    Error::Invalid {
        why: "cursor: use next_cursor of the page before, unchanged".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_without_gap_or_repetition() {
        let all: Vec<String> = (0..25).map(|n| format!("{n:03}")).collect();
        let mut seen = Vec::new();
        let mut cursor = None;
        loop {
            let query = PageQuery {
                limit: Some(10),
                cursor: cursor.take(),
            };
            let page = query
                .cut(all.iter().cloned(), Clone::clone, (7, 0))
                .unwrap();
            seen.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
        assert!(
            PageQuery {
                limit: Some(0),
                cursor: None
            }
            .limit()
            .is_err()
        );
        assert!(
            PageQuery {
                limit: None,
                cursor: Some("***".into())
            }
            .after()
            .is_err()
        );
    }
}
