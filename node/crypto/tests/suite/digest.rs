//! SM3, HMAC-SM3 and HKDF-SM3 against published vectors.

use std::io::Write as _;

use crypto::digest::{Digest, Hasher, KeyId, hkdf_sm3, hmac_sm3, hmac_sm3_each};
use proptest::prelude::*;
use serde_json::Value;

use crate::vectors::{left_out, stanzas, text, unhex, value};

#[test]
fn sm3_gives_the_published_digests() {
    if left_out() {
        return;
    }
    let file = text("tongsuo_evpmd_sm3.txt");
    let mut checked = 0;
    for stanza in stanzas(&file) {
        let [("Digest", "SM3"), ("Input", input), ("Output", output)] = stanza[..] else {
            continue;
        };
        assert_eq!(
            Digest::of(&value(input)).as_bytes()[..],
            unhex(output),
            "{input}"
        );
        checked += 1;
    }
    assert!(checked >= 8, "only {checked} SM3 vectors were found");
}

#[test]
fn hmac_sm3_agrees_with_wycheproof() {
    if left_out() {
        return;
    }
    let file: Value = serde_json::from_str(&text("wycheproof_hmac_sm3.json")).unwrap();
    let mut checked = 0;
    for group in file["testGroups"].as_array().unwrap() {
        for test in group["tests"].as_array().unwrap() {
            let field = |name: &str| unhex(test[name].as_str().unwrap());
            let tag = field("tag");
            let found = hmac_sm3(&field("key"), &field("msg"));
            let accepted = found.as_bytes()[..tag.len()] == tag[..];
            assert_eq!(accepted, test["result"] == "valid", "test {}", test["tcId"]);
            checked += 1;
        }
    }
    assert_eq!(checked, 87);
}

#[test]
fn hkdf_sm3_agrees_with_gmssl() {
    if left_out() {
        return;
    }
    let file = text("gmssl_sm3_hkdftest.h");
    let mut checked = 0;
    for vector in file.split("\n\t{\n").skip(1) {
        // Adjacent string literals are one, as in C.
        let joined = vector.replace("\"\n\t\t\"", "");
        let fields: Vec<&str> = joined
            .lines()
            .map(|line| line.trim().trim_end_matches(','))
            .collect();
        let [_, _, _, _, ikm, salt, info, size, okm, result, ..] = fields[..] else {
            panic!("a vector has too few fields: {joined}");
        };
        let bytes = |field: &str| unhex(field.trim_matches('"'));
        let mut out = vec![0; size.parse().unwrap()];
        let outcome = hkdf_sm3(&bytes(ikm), &bytes(salt), &bytes(info), &mut out);
        if result == "TEST_RESULT_INVALID" {
            assert!(outcome.is_err(), "{joined}");
        } else {
            assert_eq!((outcome, out), (Ok(()), bytes(okm)), "{joined}");
        }
        checked += 1;
    }
    assert!(checked >= 80, "only {checked} HKDF vectors were found");
}

#[test]
fn a_digest_has_one_spelling() {
    let digest = Digest::of(b"abc");
    let written = digest.to_string();
    assert_eq!(written.parse(), Ok(digest));
    assert_eq!(
        serde_json::to_string(&digest).unwrap(),
        format!("\"{written}\"")
    );
    assert_eq!(
        serde_json::from_str::<Digest>(&format!("\"{written}\"")).unwrap(),
        digest
    );
    let key = KeyId::from_digest(digest);
    assert_eq!(written.parse(), Ok(key));
    for wrong in [
        written.to_uppercase(),
        format!("{written}0"),
        written[1..].to_owned(),
    ] {
        assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        assert!(wrong.parse::<KeyId>().is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn pieces_hash_like_the_whole(bytes: Vec<u8>, cuts in prop::collection::vec(0_usize..300, 4)) {
        let mut hasher = Hasher::new();
        let mut rest = &bytes[..];
        for cut in cuts {
            let (piece, left) = rest.split_at(cut.min(rest.len()));
            hasher.write_all(piece).unwrap();
            rest = left;
        }
        hasher.update(rest);
        prop_assert_eq!(hasher.finish(), Digest::of(&bytes));
    }
}

proptest! {
    #[test]
    fn macs_side_by_side_are_those_one_by_one(
        key in prop::collection::vec(any::<u8>(), 0..100),
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..150), 0..40),
    ) {
        let each: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let one_by_one: Vec<Digest> = each.iter().map(|it| hmac_sm3(&key, it)).collect();
        prop_assert_eq!(hmac_sm3_each(&key, &each), one_by_one);
    }
}
