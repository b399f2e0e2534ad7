//! What must hold for whatever a caller sends over REST, before anybody is asked.
//!
//! It does not choose the bytes: the tests below do. Each function says
//! whether the bytes were valid. Records in bodies are fuzzed where their types are.

#![expect(clippy::panic, reason = "what must hold for any bytes")]

use http::{HeaderMap, HeaderValue, header};

use crate::change::{Change, etag, if_match};
use crate::page::PageQuery;

/// A cursor: it is looked up and never believed, and a page that follows it is behind it.
pub fn admin_cursor(bytes: &[u8]) -> bool {
    let Ok(cursor) = std::str::from_utf8(bytes) else {
        return false;
    };
    let query = PageQuery {
        limit: Some(2),
        cursor: Some(cursor.to_owned()),
    };
    let Ok(after) = query.after() else {
        return false;
    };
    let all = ["", "a", "dataset-1", "z"];
    let page = query.cut(all.into_iter(), |it| (*it).to_owned(), (1, 0));
    let page = page.unwrap_or_else(|_| panic!("the cursor was read before"));
    let behind = |it: &&str| after.as_deref().is_none_or(|after| **it > *after);
    let expected: Vec<&str> = all.into_iter().filter(behind).take(2).collect();
    assert_eq!(page.items, expected);
    true
}

/// `If-Match`: the revision that the change was made for, or a refusal that repeats little of it.
pub fn admin_if_match(bytes: &[u8]) -> bool {
    let Ok(value) = HeaderValue::from_bytes(bytes) else {
        return false;
    };
    let mut headers = HeaderMap::new();
    headers.insert(header::IF_MATCH, value);
    let mut matching = 0;
    for revision in [0, 1, 12, u64::MAX] {
        match if_match(&headers, revision) {
            Ok(()) => matching += 1,
            Err(error) => assert!(error.to_string().chars().count() < 400),
        }
        headers.insert(header::IF_MATCH, etag(revision));
        assert!(if_match(&headers, revision).is_ok());
        headers.insert(
            header::IF_MATCH,
            HeaderValue::from_bytes(bytes).unwrap_or_else(|_| etag(revision)),
        );
    }
    assert!(matching <= 1, "one tag is two revisions");
    matching == 1
}

/// The body of a change: whose it is and what it is for can be asked of each that is read.
pub fn admin_change(bytes: &[u8]) -> bool {
    let Ok(read) = serde_json::from_slice::<Change>(bytes) else {
        return false;
    };
    let written = serde_json::to_vec(&read).unwrap_or_default();
    let again = serde_json::from_slice::<Change>(&written);
    let same = again.is_ok_and(|again| again.proposal() == read.proposal());
    assert!(same, "what was read is not what is written");
    read.command() == &read.proposal().command
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use mutate::Fuzz;
    use schemas::command::{Author, Command, Proposal, SignedProposal};
    use schemas::{CommandId, NodeId, Timestamp};

    use super::*;

    fn check(name: &str, seeds: &[Vec<u8>], words: &[&str], target: fn(&[u8]) -> bool) {
        let fuzz = Fuzz {
            name,
            seeds,
            words,
            runs: 5_000,
        };
        fuzz.run(target);
    }

    #[test]
    fn changed_cursors() {
        let seeds = ["", "a", "dataset-1"].map(|it| URL_SAFE_NO_PAD.encode(it).into_bytes());
        check(
            "admin_cursor",
            &seeds,
            &["=", "_", "-", "%", "../"],
            admin_cursor,
        );
    }

    #[test]
    fn changed_entity_tags() {
        let seeds = ["\"12\"", "1", "\"0\"", "\"18446744073709551615\""];
        let seeds = seeds.map(|it| it.as_bytes().to_vec());
        check(
            "admin_if_match",
            &seeds,
            &["\"", "W/", "*", ",", "+", "00"],
            admin_if_match,
        );
    }

    #[test]
    fn changed_bodies_of_changes() {
        let proposal = Proposal {
            id: CommandId::parse("c-1").unwrap(),
            author: Author::Node(NodeId::parse("node-1").unwrap()),
            at: Timestamp::from_millis(1_790_000_000_000),
            command: Command::Tick {
                now: Timestamp::from_millis(1_790_000_000_000),
            },
        };
        let signed = SignedProposal::by_node(proposal.clone());
        let seeds = [Change::Signed(signed), Change::Unsigned(proposal)];
        let seeds = seeds.map(|it| serde_json::to_vec(&it).unwrap());
        check(
            "admin_change",
            &seeds,
            &["null", "{}", "\"signed\"", "\\u0000"],
            admin_change,
        );
    }
}
