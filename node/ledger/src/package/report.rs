//! The report of a package, for people: what was asked, what was found, who signed it.
//!
//! It does not verify anything and is no evidence by itself: it is made from the entries, and the
//! manifest's signature covers it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemas::decision::Decision;
use schemas::ledger_entry::{LedgerEntry, LedgerEvent, LedgerIndex};
use schemas::transfer::ReceiptSide;
use schemas::{ReleaseId, Timestamp};

use super::{Language, Manifest, Why, Witnessed};
use crate::search::{Field, ended, keys};

/// Longest text of one cell in characters; entries are whole in the package itself.
const CELL_CHARS_MAX: usize = 60;

type Shown = [(LedgerIndex, Why, LedgerEntry)];

/// The report in the manifest's language.
pub(super) fn write(manifest: &Manifest, checkpoints: &[Witnessed], shown: &Shown) -> String {
    let words = Words::of(manifest.language);
    let mut report = format!("# {}\n\n", words.say("title"));
    head(&mut report, &words, manifest, checkpoints);
    releases(&mut report, &words, shown);
    entries(&mut report, &words, shown);
    let _ = writeln!(
        report,
        "\n## {}\n\n{}",
        words.say("how"),
        words.say("how-text")
    );
    report
}

fn head(report: &mut String, words: &Words, manifest: &Manifest, checkpoints: &[Witnessed]) {
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        let _ = writeln!(
            report,
            "- {}: {}",
            words.say(name),
            cell(&value.to_string())
        );
    };
    line("participant", &manifest.ledger.participant);
    line("incarnation", &manifest.ledger.incarnation);
    line("made", &local(manifest.at));
    for (name, value) in asked(manifest) {
        line(&format!("asked-{name}"), &value);
    }
    line("matched", &manifest.matched);
    line("related", &manifest.related);
    for stored in checkpoints {
        let body = &stored.checkpoint.body;
        let witnesses: Vec<_> = stored
            .cosignatures
            .iter()
            .map(|it| it.witness.as_str())
            .collect();
        let _ = writeln!(
            report,
            "- {}: {} · SM3 {} · {} · {}: {}",
            words.say("checkpoint"),
            body.size,
            body.root,
            local(body.at),
            words.say("witnesses"),
            if witnesses.is_empty() {
                words.say("none").to_owned()
            } else {
                witnesses.join(", ")
            }
        );
    }
}

/// What was asked, as names and values; times as people write them.
fn asked(manifest: &Manifest) -> Vec<(&'static str, String)> {
    let filter = &manifest.filter;
    let mut asked: Vec<(&'static str, String)> = Vec::new();
    for (field, text) in filter.terms() {
        let name = match field {
            Field::Dataset => "dataset",
            Field::Participant => "participant",
            Field::Actor => "actor",
            Field::Action => "action",
            Field::Outcome => "outcome",
            Field::Purpose => "purpose",
            Field::Destination => "destination",
            Field::Release => "release",
            Field::Decision => continue,
        };
        asked.push((name, text));
    }
    asked.extend(filter.from.map(|at| ("from", local(at))));
    asked.extend(filter.until.map(|at| ("until", local(at))));
    asked
}

/// What is known of one release.
#[derive(Default)]
struct Flow {
    decided: Option<LedgerIndex>,
    released: Option<LedgerIndex>,
    rows: Option<u64>,
    sent: Option<LedgerIndex>,
    received: Option<LedgerIndex>,
    outcome: Option<&'static str>,
}

fn releases(report: &mut String, words: &Words, shown: &Shown) {
    let mut flows: BTreeMap<&ReleaseId, Flow> = BTreeMap::new();
    for (index, _, entry) in shown {
        match &entry.event {
            LedgerEvent::Released {
                release,
                decided_at,
                rows,
                ..
            } => {
                let flow = flows.entry(release).or_default();
                flow.released = Some(*index);
                flow.decided = Some(*decided_at);
                flow.rows = Some(*rows);
            }
            LedgerEvent::ReleaseEnded {
                release, outcome, ..
            } => flows.entry(release).or_default().outcome = Some(ended(*outcome)),
            LedgerEvent::Receipt { receipt } => {
                let flow = flows.entry(&receipt.body.release).or_default();
                match receipt.body.side {
                    ReceiptSide::Sent => flow.sent = Some(*index),
                    ReceiptSide::Received => flow.received = Some(*index),
                }
            }
            _ => {}
        }
    }
    if flows.is_empty() {
        return;
    }
    let titles = [
        "release", "decided", "released", "rows", "sent", "received", "outcome", "receipts",
    ];
    table(report, words, "releases", &titles);
    for (release, flow) in flows {
        let number = |it: Option<LedgerIndex>| or_dash(it.map(|it| it.to_string()));
        let matched = flow.sent.is_some() && flow.received.is_some();
        row(
            report,
            &[
                release.to_string(),
                number(flow.decided),
                number(flow.released),
                or_dash(flow.rows.map(|rows| rows.to_string())),
                number(flow.sent),
                number(flow.received),
                flow.outcome.unwrap_or("-").to_owned(),
                words
                    .say(if matched { "paired" } else { "unpaired" })
                    .to_owned(),
            ],
        );
    }
}

fn entries(report: &mut String, words: &Words, shown: &Shown) {
    let titles = [
        "index",
        "at",
        "action",
        "actor",
        "participant",
        "dataset",
        "purpose",
        "destination",
        "outcome",
        "why",
    ];
    table(report, words, "entries", &titles);
    for (index, why, entry) in shown {
        let terms = keys(entry).terms;
        let of = |field: Field| {
            let texts: Vec<_> = terms
                .iter()
                .filter(|(it, _)| *it == field)
                .map(|(_, text)| text.as_str())
                .collect();
            if texts.is_empty() {
                "-".to_owned()
            } else {
                texts.join(" ")
            }
        };
        let outcome = match &entry.event {
            LedgerEvent::Decided {
                decision: Decision::Deny(reasons),
                ..
            } => {
                let codes: Vec<_> = reasons.iter().map(|it| it.code.as_str()).collect();
                format!("deny {}", codes.join(" "))
            }
            _ => of(Field::Outcome),
        };
        row(
            report,
            &[
                index.to_string(),
                local(entry.at),
                of(Field::Action),
                of(Field::Actor),
                of(Field::Participant),
                of(Field::Dataset),
                of(Field::Purpose),
                of(Field::Destination),
                outcome,
                words
                    .say(match why {
                        Why::Matched => "why-matched",
                        Why::Related => "why-related",
                    })
                    .to_owned(),
            ],
        );
    }
}

fn table(report: &mut String, words: &Words, title: &str, columns: &[&str]) {
    let _ = writeln!(report, "\n## {}\n", words.say(title));
    let titles: Vec<_> = columns
        .iter()
        .map(|it| words.say(&format!("col-{it}")).to_owned())
        .collect();
    row(report, &titles);
    let _ = writeln!(report, "|{}", "---|".repeat(columns.len()));
}

fn row(report: &mut String, cells: &[String]) {
    for text in cells {
        let _ = write!(report, "| {} ", cell(text));
    }
    report.push_str("|\n");
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}

/// A text that stays in its cell: entries hold what callers sent.
fn cell(text: &str) -> String {
    let shown = text.chars().take(CELL_CHARS_MAX);
    let mut cell: String = shown
        .map(|it| {
            if it.is_control() || it == '|' {
                ' '
            } else {
                it
            }
        })
        .collect();
    if text.chars().count() > CELL_CHARS_MAX {
        cell.push('…');
    }
    cell
}

/// As the people of the mainland, Hong Kong and Macao read the clock: GB/T 7408.1, UTC+8.
fn local(at: Timestamp) -> String {
    let text = at.plus_millis(8 * 3_600_000).to_string();
    let (seconds, _) = text.split_once('.').unwrap_or((&text, ""));
    format!("{} +08:00", seconds.replace('T', " "))
}

/// The words of one language: one `key = text` a line.
struct Words(BTreeMap<&'static str, &'static str>);

impl Words {
    fn of(language: Language) -> Self {
        let text = match language {
            Language::Zh => include_str!("zh.txt"),
            Language::En => include_str!("en.txt"),
        };
        Self(
            text.lines()
                .filter_map(|line| line.split_once(" = "))
                .collect(),
        )
    }

    /// The text of `key`; the key where there is none, which a test does not let happen.
    fn say<'a>(&self, key: &'a str) -> &'a str
    where
        'static: 'a,
    {
        self.0.get(key).copied().unwrap_or(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_languages_have_the_same_words_and_each_is_said() {
        let (zh, en) = (Words::of(Language::Zh).0, Words::of(Language::En).0);
        let keys =
            |it: &BTreeMap<&'static str, &'static str>| it.keys().copied().collect::<Vec<_>>();
        assert_eq!(keys(&zh), keys(&en));
        let source = include_str!("report.rs");
        for key in keys(&en) {
            let bare = key.trim_start_matches("col-").trim_start_matches("asked-");
            assert!(
                source.contains(&format!("\"{bare}\"")) || source.contains(&format!("\"{key}\"")),
                "{key}"
            );
        }
    }

    #[test]
    fn a_cell_keeps_to_its_line() {
        assert_eq!(cell("a|b\nc"), "a b c");
        assert_eq!(cell(&"数".repeat(100)).chars().count(), CELL_CHARS_MAX + 1);
        let at = Timestamp::from_millis(1_790_000_000_000);
        assert_eq!(local(at), "2026-09-21 22:13:20 +08:00");
    }
}
