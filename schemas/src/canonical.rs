//! One byte form per record: JSON as RFC 8785 (JCS) writes it. What is signed, hashed or compared
//! is always these bytes.
//!
//! It does not accept floating-point numbers: records carry integers and text, and a rounding rule
//! is one more thing on which two implementations can differ.

mod writer;

use std::cell::Cell;

use crypto::Digest;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;
use writer::{Page, Writer};

/// Largest canonical record in bytes. A data standard with a code table in it is the largest.
pub const CANONICAL_BYTES_MAX: usize = 1 << 20;

/// The canonical bytes of a record.
///
/// # Errors
/// [`Error::Canonical`] when the record holds a floating-point number, an integer beyond ±2^53 or
/// more than [`CANONICAL_BYTES_MAX`] bytes.
pub fn to_bytes<T: Serialize>(record: &T) -> Result<Vec<u8>, Error> {
    written(record, <[u8]>::to_vec)
}

/// Writes a record and hands its canonical bytes to `then`.
fn written<T: Serialize, R>(record: &T, then: impl FnOnce(&[u8]) -> R) -> Result<R, Error> {
    // A record that writes another one while it is written finds an empty page here.
    let mut page = PAGE.take();
    let done = record.serialize(Writer::new(&mut page));
    let given = done
        .map_err(|source| Error::Canonical { why: source.0 })
        .and_then(|()| {
            let bytes = page.out.len();
            if bytes > CANONICAL_BYTES_MAX {
                return Err(Error::Canonical {
                    why: format!("{bytes} bytes, the limit is {CANONICAL_BYTES_MAX}"),
                });
            }
            Ok(then(&page.out))
        });
    if page.out.capacity() <= PAGE_BYTES_KEPT_MAX {
        PAGE.set(page);
    }
    given
}

thread_local! {
    /// What the last record of this thread was written on: most are written again and again by the
    /// same few threads.
    static PAGE: Cell<Page> = Cell::default();
}

/// A larger page is given back: one large record must not cost each thread a megabyte.
const PAGE_BYTES_KEPT_MAX: usize = 64 << 10;

/// SM3 of the canonical bytes.
///
/// # Errors
/// As [`to_bytes`].
pub fn digest<T: Serialize>(record: &T) -> Result<Digest, Error> {
    written(record, Digest::of)
}

/// Parses canonical bytes, and refuses any other spelling of the same record: a signature then
/// covers exactly what was read (duplicate keys, white space and unknown members fail).
///
/// # Errors
/// [`Error::Canonical`] when the bytes are too many, are not the record, or are not canonical.
pub fn from_bytes<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    if bytes.len() > CANONICAL_BYTES_MAX {
        return Err(Error::Canonical {
            why: format!("{} bytes, the limit is {CANONICAL_BYTES_MAX}", bytes.len()),
        });
    }
    let record: T = serde_json::from_slice(bytes).map_err(|source| Error::Canonical {
        why: source.to_string(),
    })?;
    if !written(&record, |own| own == bytes)? {
        return Err(Error::Canonical {
            why: "the bytes are not in RFC 8785 form".to_owned(),
        });
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;

    /// The form by the book: a tree of values, sorted, then written. The oracle of the writer.
    fn by_the_book(value: &Value, out: &mut Vec<u8>) {
        match value {
            Value::Array(items) => {
                out.push(b'[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    by_the_book(item, out);
                }
                out.push(b']');
            }
            Value::Object(members) => {
                let mut sorted: Vec<_> = members.iter().collect();
                sorted.sort_by(|a, b| a.0.encode_utf16().cmp(b.0.encode_utf16()));
                out.push(b'{');
                for (at, (name, member)) in sorted.into_iter().enumerate() {
                    if at > 0 {
                        out.push(b',');
                    }
                    // `serde_json` escapes exactly what RFC 8785 section 3.2.2.2 asks for.
                    serde_json::to_writer(&mut *out, name).unwrap();
                    out.push(b':');
                    by_the_book(member, out);
                }
                out.push(b'}');
            }
            plain => serde_json::to_writer(out, plain).unwrap(),
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        const LARGEST: i64 = 1 << 53;
        let text = "[a-c\\u{0}-\\u{22}\\\\\u{e9}\u{20ac}\u{fb33}\u{1f600}]{0,6}";
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-LARGEST..=LARGEST).prop_map(Value::from),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 48, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(text, inner, 0..6)
                    .prop_map(|it| Value::Object(it.into_iter().rev().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_writer_writes_what_the_book_says(value in value()) {
            let mut expected = Vec::new();
            by_the_book(&value, &mut expected);
            let written = to_bytes(&value).unwrap();
            prop_assert_eq!(&written, &expected);
            prop_assert_eq!(from_bytes::<Value>(&written).unwrap(), value);
        }
    }

    #[derive(Serialize)]
    enum Shape {
        Plain,
        One(u8),
        Two(u8, i8),
        Named { z: bool, a: Option<char> },
    }

    #[derive(Serialize)]
    #[serde(tag = "kind", rename_all = "snake_case")]
    enum Tagged {
        Inner { b: u64, a: () },
    }

    #[derive(Serialize)]
    struct Flat {
        z: u8,
        #[serde(flatten)]
        rest: BTreeMap<&'static str, i64>,
    }

    #[test]
    fn every_shape_that_serde_knows_is_written_as_serde_json_means_it() {
        fn check(record: &impl Serialize) {
            let mut expected = Vec::new();
            by_the_book(&serde_json::to_value(record).unwrap(), &mut expected);
            let (written, expected) = (
                String::from_utf8(to_bytes(record).unwrap()).unwrap(),
                String::from_utf8(expected).unwrap(),
            );
            assert_eq!(written, expected);
        }
        check(&[Shape::Plain, Shape::One(1), Shape::Two(2, -2)]);
        check(&Shape::Named { z: true, a: None });
        check(&Shape::Named {
            z: false,
            a: Some('"'),
        });
        check(&Tagged::Inner { b: 1 << 53, a: () });
        check(&Flat {
            z: 1,
            rest: [("a", -1), ("zz", 2)].into(),
        });
        check(&BTreeMap::from([(10_u64, "ten"), (9, "nine")]));
        check(&(1_u8, "two", [0_u8; 0], i64::from(i32::MIN)));
    }

    #[test]
    fn what_has_no_one_spelling_has_no_canonical_form() {
        let twice = Flat {
            z: 1,
            rest: [("z", 2)].into(),
        };
        assert!(to_bytes(&twice).is_err());
        assert!(to_bytes(&1.0_f64).is_err());
        assert!(to_bytes(&((1_u64 << 53) + 1)).is_err());
        assert!(to_bytes(&i64::MIN).is_err());
        assert!(to_bytes(&BTreeMap::from([(None::<u8>, 1)])).is_err());
        let deep = (0..200).fold(Value::Null, |inner, _| json!([inner]));
        assert!(to_bytes(&deep).is_err());
    }

    #[test]
    fn members_are_sorted_by_utf16_units_as_rfc_8785_section_3_2_3_shows() {
        let value = json!({"\u{20ac}": "Euro Sign", "\r": "Carriage Return", "\u{fb33}": "Hebrew",
            "1": "One", "\u{1f600}": "Emoji", "\u{80}": "Control", "\u{f6}": "Latin"});
        let text = String::from_utf8(to_bytes(&value).unwrap()).unwrap();
        assert_eq!(
            text,
            "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u{80}\":\"Control\",\
             \"\u{f6}\":\"Latin\",\"\u{20ac}\":\"Euro Sign\",\"\u{1f600}\":\"Emoji\",\
             \"\u{fb33}\":\"Hebrew\"}"
        );
    }

    #[test]
    fn every_byte_at_every_place_of_a_text_is_escaped_where_it_must_be() {
        for byte in 0..0x80_u8 {
            for len in [1, 31, 32, 33, 64, 70] {
                for at in [0, 1, len / 2, len - 1] {
                    let mut text = vec![b'a'; len];
                    text[at.min(len - 1)] = byte;
                    let text = String::from_utf8(text).unwrap();
                    let mut expected = Vec::new();
                    by_the_book(&Value::from(text.as_str()), &mut expected);
                    assert_eq!(
                        to_bytes(&text).unwrap(),
                        expected,
                        "{byte} at {at} of {len}"
                    );
                }
            }
        }
    }

    /// Writes a record while it is written.
    struct Nested(u8);

    impl Serialize for Nested {
        fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
            let inner = to_bytes(&json!({"b": self.0, "a": ""})).unwrap();
            s.serialize_str(std::str::from_utf8(&inner).unwrap())
        }
    }

    #[test]
    fn a_record_that_fails_or_writes_another_leaves_nothing_behind() {
        let good = json!({"z": [{"b": 1, "a": 2}], "a": {"y": 0, "x": ""}});
        let expected = br#"{"a":{"x":"","y":0},"z":[{"a":2,"b":1}]}"#;
        assert!(to_bytes(&json!({"b": {"d": 1, "c": [1.5]}, "a": 1})).is_err());
        assert_eq!(to_bytes(&good).unwrap(), expected);
        let nested = BTreeMap::from([("q", Nested(1)), ("p", Nested(2))]);
        assert_eq!(
            to_bytes(&nested).unwrap(),
            br#"{"p":"{\"a\":\"\",\"b\":2}","q":"{\"a\":\"\",\"b\":1}"}"#
        );
        assert!(to_bytes(&"x".repeat(CANONICAL_BYTES_MAX)).is_err());
        assert_eq!(to_bytes(&good).unwrap(), expected);
        assert_eq!(digest(&good).unwrap(), Digest::of(expected));
    }

    #[test]
    fn another_spelling_of_the_same_record_is_refused() {
        assert!(from_bytes::<Value>(b"{\"a\":1,\"b\":[]}").is_ok());
        let bad: [&[u8]; 5] = [
            b"{\"b\":1,\"a\":1}",
            b"{ \"a\":1}",
            b"{\"a\":1,\"a\":1}",
            b"{\"a\":1.5}",
            b"1e3",
        ];
        for bytes in bad {
            assert!(from_bytes::<Value>(bytes).is_err());
        }
    }
}
