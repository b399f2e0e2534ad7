//! Comma-separated values (RFC 4180), for spreadsheets too.
//!
//! It does not translate headers: programs read them.

use serde_json::Value;

use super::cell::{Chosen, at, raw};

/// A header of paths, then one line an item.
pub(super) fn list(columns: &[Chosen], items: &[Value]) -> String {
    let mut out = line(columns.iter().map(|it| it.path.clone()));
    for item in items {
        out.push_str(&line(columns.iter().map(|column| {
            let value = at(item, &column.path);
            match value {
                Value::String(text) => harmless(text),
                other => raw(other),
            }
        })));
    }
    out
}

/// Text that no spreadsheet takes for a formula.
fn harmless(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

fn line(cells: impl Iterator<Item = String>) -> String {
    let quoted: Vec<String> = cells
        .map(|cell| {
            if cell.contains([',', '"', '\n', '\r']) {
                format!("\"{}\"", cell.replace('"', "\"\""))
            } else {
                cell
            }
        })
        .collect();
    quoted.join(",") + "\n"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::output::cell::{Column, chosen};

    #[test]
    fn cells_are_quoted_where_needed_and_never_formulas() {
        let columns = [
            Column::text("col-id", "id"),
            Column::number("col-rows", "n"),
        ];
        let items = [
            json!({"id": "a,\"b\"", "n": -1}),
            json!({"id": "=HYPERLINK()", "n": null}),
        ];
        assert_eq!(
            list(&chosen(&columns, &[]), &items),
            "id,n\n\"a,\"\"b\"\"\",-1\n'=HYPERLINK(),\n"
        );
    }
}
