//! Lists that come in pages.
//!
//! It does not look into cursors.

use serde_json::Value;

use super::{Client, query};
use crate::Error;

/// Items that one call asks for at most: wide records make large answers.
const PAGE_ITEMS: usize = 200;

/// Items, and whether there are more.
#[derive(Debug)]
pub(crate) struct Listed {
    /// The items, in the node's order.
    pub(crate) items: Vec<Value>,
    /// Whether the list goes on.
    pub(crate) more: bool,
}

impl Client<'_> {
    /// The first `most` items of a list, or all; `path` may have a query already.
    pub(crate) fn list(&mut self, path: &str, most: Option<usize>) -> Result<Listed, Error> {
        let mut items = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let wanted = most.map_or(PAGE_ITEMS, |most| (most - items.len()).min(PAGE_ITEMS));
            let mut pairs = vec![("limit", wanted.to_string())];
            pairs.extend(cursor.take().map(|it| ("cursor", it)));
            let joined = query(&pairs);
            let joined = if path.contains('?') {
                joined.replacen('?', "&", 1)
            } else {
                joined
            };
            let mut page = self.get(&format!("{path}{joined}"))?;
            let Some(Value::Array(found)) = page.get_mut("items").map(Value::take) else {
                let why = "a page without items".to_owned();
                return Err(Error::Answer {
                    server: self.server.clone(),
                    why,
                });
            };
            let empty = found.is_empty();
            items.extend(found);
            cursor = page["next_cursor"].as_str().map(str::to_owned);
            let full = most.is_some_and(|most| items.len() >= most);
            if full || empty || cursor.is_none() {
                return Ok(Listed {
                    items,
                    more: cursor.is_some(),
                });
            }
        }
    }
}
