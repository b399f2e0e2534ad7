//! Text as terms of sixteen bytes: what is indexed, and what a query asks for.
//!
//! It does not know a dictionary. Chinese is cut into every two neighbouring characters, which
//! finds any word of two or more whatever a dictionary thinks of it; see
//! `node/docs/decisions/2026-11-30-search-by-bigrams.md`. Traditional and simplified characters
//! stay different.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// A word or two characters: the first sixteen bytes of its UTF-8, filled with zeros, as a number,
/// so that terms compare in one step and those with one beginning are neighbours.
pub(super) type Term = u128;

/// What one word of a query asks for: any term in this range.
pub(super) type Wanted = RangeInclusive<Term>;

/// The terms of a text.
pub(super) fn of_text(text: &str, into: &mut BTreeSet<Term>) {
    runs(text, |run| match run {
        Run::Word(word) => {
            into.insert(term(word.as_bytes()));
        }
        Run::Han(run) => {
            for pair in run.windows(2) {
                into.insert(of_chars(pair));
            }
            // The last one begins no pair; with it, every character begins a term.
            if let Some(last) = run.last() {
                into.insert(of_chars(std::slice::from_ref(last)));
            }
        }
    });
}

/// What must occur for all words of a query to occur. Words beyond [`WANTED_MAX`] are left out.
pub(super) fn of_query(text: &str) -> Vec<Wanted> {
    let mut wanted = BTreeSet::new();
    runs(text, |run| match run {
        Run::Word(word) => {
            wanted.insert(beginning(word.as_bytes()));
        }
        Run::Han([one]) => {
            let mut bytes = [0_u8; 4];
            wanted.insert(beginning(one.encode_utf8(&mut bytes).as_bytes()));
        }
        Run::Han(run) => {
            for pair in run.windows(2) {
                let term = of_chars(pair);
                wanted.insert((term, term));
            }
        }
    });
    let all = wanted.into_iter().take(WANTED_MAX);
    all.map(|(first, last)| first..=last).collect()
}

enum Run<'a> {
    /// Letters and digits other than Chinese ones, in lower case.
    Word(&'a str),
    /// Chinese characters, and kana, which are written without spaces too.
    Han(&'a [char]),
}

/// Cuts a text into runs.
fn runs(text: &str, mut each: impl FnMut(Run<'_>)) {
    let (mut word, mut han) = (String::new(), Vec::new());
    for character in text.chars().map(narrow).chain([' ']) {
        let is_han = is_han(character);
        if (is_han || !character.is_alphanumeric()) && !word.is_empty() {
            each(Run::Word(&word));
            word.clear();
        }
        if !is_han && !han.is_empty() {
            each(Run::Han(&han));
            han.clear();
        }
        if is_han {
            han.push(character);
        } else if character.is_alphanumeric() {
            word.extend(character.to_lowercase());
        }
    }
}

/// Full-width Latin letters, digits and spaces as the ordinary ones (Unicode, block "Halfwidth and
/// Fullwidth Forms").
fn narrow(character: char) -> char {
    match character {
        '\u{ff01}'..='\u{ff5e}' => {
            let code = u32::from(character) - 0xfee0;
            char::from_u32(code).unwrap_or(character)
        }
        '\u{3000}' => ' ',
        other => other,
    }
}

/// Unified ideographs with their extensions, compatibility ideographs, kana.
const fn is_han(character: char) -> bool {
    matches!(character, '\u{3041}'..='\u{30ff}' | '\u{3400}'..='\u{4dbf}' | '\u{4e00}'..='\u{9fff}'
        | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}' | '\u{3005}' | '\u{3007}')
}

fn of_chars(characters: &[char]) -> Term {
    let mut bytes = [0_u8; 16];
    let mut length = 0;
    for character in characters.iter().take(2) {
        length += character.encode_utf8(&mut bytes[length..]).len();
    }
    Term::from_be_bytes(bytes)
}

fn term(word: &[u8]) -> Term {
    let mut bytes = [0_u8; 16];
    let length = word.len().min(bytes.len());
    bytes[..length].copy_from_slice(&word[..length]);
    Term::from_be_bytes(bytes)
}

/// Every term that begins with these bytes.
fn beginning(bytes: &[u8]) -> (Term, Term) {
    let first = term(bytes);
    let taken = u32::try_from(8 * bytes.len()).unwrap_or(u32::MAX);
    // Nothing is left of a word of sixteen bytes or more.
    let rest = Term::MAX.checked_shr(taken).unwrap_or_default();
    (first, first | rest)
}

/// A query has at most 200 characters; this many conditions are more than anybody types.
const WANTED_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(term: Term) -> String {
        let bytes = term.to_be_bytes();
        let end = bytes.iter().position(|it| *it == 0).unwrap_or(16);
        String::from_utf8_lossy(&bytes[..end]).into_owned()
    }

    fn check(text: &str, expected: &[&str]) {
        let mut terms = BTreeSet::new();
        of_text(text, &mut terms);
        let mut terms: Vec<String> = terms.into_iter().map(shown).collect();
        terms.sort();
        let mut expected: Vec<String> = expected.iter().map(|it| (*it).to_owned()).collect();
        expected.sort();
        assert_eq!(terms, expected, "{text}");
    }

    #[test]
    fn a_text_becomes_words_and_neighbouring_characters() {
        check("", &[]);
        check(
            "集装箱吞吐量",
            &["集装", "装箱", "箱吞", "吞吐", "吐量", "量"],
        );
        check("港", &["港"]);
        check("gd.port-calls_2026", &["gd", "port", "calls", "2026"]);
        check("Container Throughput", &["container", "throughput"]);
        check("5G网络,ＡＢＣ　ｄ", &["5g", "网络", "络", "abc", "d"]);
        check("𠮷野", &["𠮷野", "野"]);
        check("internationalisation", &["internationalisa"]);
        check("ÉCOLE ß", &["école", "ß"]);
    }

    fn finds(query: &str, text: &str) -> bool {
        let mut terms = BTreeSet::new();
        of_text(text, &mut terms);
        let wanted = of_query(query);
        wanted
            .into_iter()
            .all(|wanted| terms.range(wanted).next().is_some())
    }

    #[test]
    fn a_query_finds_what_its_words_begin() {
        for (query, text, found) in [
            ("", "anything", true),
            ("port", "Ports of Guangdong", true),
            ("ports", "port", false),
            ("ort", "port", false),
            ("PORT gd", "gd.port", true),
            ("port hk", "gd.port", false),
            ("箱", "集装箱", true),
            ("集", "集装箱", true),
            ("装箱", "集装箱", true),
            ("集箱", "集装箱", false),
            ("集装箱吞吐", "港口集装箱吞吐量", true),
            ("吞吐 港口", "港口集装箱吞吐量", true),
            ("internationalisation", "Internationalisation", true),
            ("２０２６", "2026", true),
        ] {
            assert_eq!(finds(query, text), found, "{query} in {text}");
        }
    }
}
