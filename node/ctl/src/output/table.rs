//! Tables for people, measured as terminals measure: a Chinese character is two columns wide.
//!
//! It does not colour anything; a state is a word.

use comfy_table::{
    Cell, CellAlignment, ContentArrangement, ContentLineStyle, LineStyle, Table, TableStyle,
};
use serde_json::Value;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::Terminal;
use super::cell::{Chosen, Kind, at, in_china, printable, shown};

/// Widest cell of a list in terminal columns; longer text is cut, `get` shows all of it.
const CELL_COLUMNS_MAX: usize = 48;

/// A line below the header and bars between columns: nothing that a search would trip over.
const STYLE: TableStyle = TableStyle::new()
    .header_lines(ContentLineStyle::none().junction('|'))
    .header_separator(LineStyle::none().fill('-').junction('+'))
    .content_lines(ContentLineStyle::none().junction('|'));

/// Deepest level of a record that gets lines of its own; what is deeper stands as JSON.
const DEPTH_MAX: usize = 4;

fn empty() -> Table {
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// A table of records whose long texts are cut.
pub(super) fn list(terminal: &Terminal, columns: &[Chosen], items: &[Value]) -> String {
    lay_out(terminal, columns, items, CELL_COLUMNS_MAX)
}

/// A table of records with all of their texts.
pub(super) fn whole(terminal: &Terminal, columns: &[Chosen], items: &[Value]) -> String {
    lay_out(terminal, columns, items, usize::MAX)
}

fn lay_out(terminal: &Terminal, columns: &[Chosen], items: &[Value], widest: usize) -> String {
    let mut table = empty();
    table.set_header(columns.iter().map(|it| match it.header {
        "" => it.path.clone(),
        key => terminal.say(key, &[]),
    }));
    for item in items {
        table.add_row(columns.iter().map(|column| {
            let text = shown(at(item, &column.path), column.kind, terminal.language());
            let cell = Cell::new(cut(&text.replace('\n', " "), widest));
            match column.kind {
                Kind::Number | Kind::Share | Kind::Count => {
                    cell.set_alignment(CellAlignment::Right)
                }
                Kind::Text | Kind::Time => cell,
            }
        }));
    }
    table.trim_fmt() + "\n"
}

/// A record as one line a field; the fields that were asked for, or all.
pub(super) fn record(terminal: &Terminal, fields: &[String], record: &Value) -> String {
    let mut lines = Vec::new();
    if fields.is_empty() {
        flatten(terminal, "", record, DEPTH_MAX, &mut lines);
    } else {
        for field in fields {
            flatten(terminal, field, at(record, field), DEPTH_MAX, &mut lines);
        }
    }
    let mut table = empty();
    for (name, text) in lines {
        table.add_row([name, text]);
    }
    table.trim_fmt() + "\n"
}

fn flatten(
    terminal: &Terminal,
    name: &str,
    value: &Value,
    depth: usize,
    lines: &mut Vec<(String, String)>,
) {
    let inner = |part: &str| {
        if name.is_empty() {
            part.to_owned()
        } else {
            format!("{name}.{part}")
        }
    };
    match value {
        Value::Object(members) if depth > 0 && !members.is_empty() => {
            for (part, member) in members {
                flatten(terminal, &inner(part), member, depth - 1, lines);
            }
        }
        Value::Array(items) if depth > 0 && items.iter().any(Value::is_object) => {
            for (place, item) in items.iter().enumerate() {
                let one_line = item.to_string();
                let short = one_line.width() <= CELL_COLUMNS_MAX * 2;
                if short {
                    lines.push((inner(&place.to_string()), printable(&one_line)));
                } else {
                    flatten(terminal, &inner(&place.to_string()), item, depth - 1, lines);
                }
            }
        }
        Value::String(text) if text.len() == 24 && text.ends_with('Z') => {
            lines.push((name.to_owned(), in_china(text)));
        }
        other => {
            lines.push((
                name.to_owned(),
                shown(other, Kind::Text, terminal.language()),
            ));
        }
    }
}

/// The first columns of a text, with a sign that it was cut.
fn cut(text: &str, columns_max: usize) -> String {
    if text.width() <= columns_max {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 1;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > columns_max {
            break;
        }
        out.push(c);
    }
    out.push('…');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::messages::Language;
    use crate::output::cell::{Column, chosen};
    use crate::output::{Format, for_tests};

    #[test]
    fn columns_line_up_with_chinese_text_in_them() {
        let terminal = for_tests(Language::Zh, Format::Table);
        let columns = [
            Column::text("col-id", "id"),
            Column::text("col-title", "title"),
            Column::number("col-rows", "rows"),
        ];
        let items = [
            json!({"id": "gz.port", "title": {"zh": "集装箱吞吐量", "en": "x"}, "rows": 1_234_567}),
            json!({"id": "a", "title": {"zh": "AIS", "en": "x"}, "rows": 7}),
        ];
        let text = list(&terminal, &chosen(&columns, &[]), &items);
        let widths: Vec<usize> = text
            .lines()
            .filter(|it| it.contains('|'))
            .map(|line| line.split('|').next().map_or(0, str::width))
            .collect();
        assert_eq!(widths.len(), 3, "{text}");
        assert!(widths.iter().all(|it| *it == widths[0]), "{text}");
        let ends: Vec<usize> = text.lines().skip(2).map(str::width).collect();
        assert!(
            ends.iter().all(|it| *it == ends[0]),
            "numbers end in one column\n{text}"
        );
        assert!(
            text.contains("1,234,567") && text.contains("集装箱吞吐量"),
            "{text}"
        );
    }

    #[test]
    fn long_text_is_cut_by_width_and_not_by_characters() {
        assert_eq!(cut("港口港口", 8), "港口港口");
        assert_eq!(cut("港口港口", 7), "港口港…");
        assert_eq!(cut("港口港口", 6), "港口…");
        assert_eq!(cut("abcdef", 4), "abc…");
    }

    #[test]
    fn a_record_is_one_line_a_field() {
        let terminal = for_tests(Language::En, Format::Table);
        let value = json!({"id": "a", "period": {"from": "2026-11-23T08:20:05.000Z"},
            "reasons": [{"code": "X5"}], "columns": ["p", "q"]});
        let text = record(&terminal, &[], &value);
        let cells: Vec<Vec<&str>> = text
            .lines()
            .filter(|line| line.contains('|'))
            .map(|line| line.split('|').map(str::trim).collect())
            .collect();
        assert_eq!(
            cells,
            [
                vec!["columns", "p, q"],
                vec!["id", "a"],
                vec!["period.from", "2026-11-23 16:20:05 +08:00"],
                vec!["reasons.0", "{\"code\":\"X5\"}"],
            ]
        );
    }
}
