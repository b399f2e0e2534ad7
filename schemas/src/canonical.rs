//! One byte form per record: JSON as RFC 8785 (JCS) writes it. What is signed, hashed or compared
//! is always these bytes.
//!
//! It does not accept floating-point numbers: records carry integers and text, and a rounding rule
//! is one more thing on which two implementations can differ.

use crypto::Digest;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::Error;

/// Largest canonical record in bytes. A data standard with a code table in it is the largest.
pub const CANONICAL_BYTES_MAX: usize = 1 << 20;

/// The canonical bytes of a record.
///
/// # Errors
/// [`Error::Canonical`] when the record holds a floating-point number, an integer beyond ±2^53 or
/// more than [`CANONICAL_BYTES_MAX`] bytes.
pub fn to_bytes<T: Serialize>(record: &T) -> Result<Vec<u8>, Error> {
    let value = serde_json::to_value(record).map_err(|source| Error::Canonical {
        why: source.to_string(),
    })?;
    let mut out = Vec::with_capacity(512);
    write(&value, &mut out)?;
    if out.len() > CANONICAL_BYTES_MAX {
        return Err(Error::Canonical {
            why: format!("{} bytes, the limit is {CANONICAL_BYTES_MAX}", out.len()),
        });
    }
    Ok(out)
}

/// SM3 of the canonical bytes.
///
/// # Errors
/// As [`to_bytes`].
pub fn digest<T: Serialize>(record: &T) -> Result<Digest, Error> {
    Ok(Digest::of(&to_bytes(record)?))
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
    if to_bytes(&record)? != bytes {
        return Err(Error::Canonical {
            why: "the bytes are not in RFC 8785 form".to_owned(),
        });
    }
    Ok(record)
}

fn write(value: &Value, out: &mut Vec<u8>) -> Result<(), Error> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => write_number(number, out)?,
        Value::String(text) => write_string(text, out)?,
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write(item, out)?;
            }
            out.push(b']');
        }
        Value::Object(members) => {
            // RFC 8785 section 3.2.3: sorted by UTF-16 code units, which differs from UTF-8 order
            // for characters beyond the basic plane.
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by(|a, b| a.0.encode_utf16().cmp(b.0.encode_utf16()));
            out.push(b'{');
            for (at, (name, member)) in sorted.into_iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                write_string(name, out)?;
                out.push(b':');
                write(member, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

/// Integers up to 2^53 have one spelling everywhere; RFC 8785 appendix D warns about the rest.
const INTEGER_MAX: u64 = 1 << 53;

fn write_number(number: &serde_json::Number, out: &mut Vec<u8>) -> Result<(), Error> {
    let fits = number.as_u64().is_some_and(|n| n <= INTEGER_MAX)
        || number
            .as_i64()
            .is_some_and(|n| n.unsigned_abs() <= INTEGER_MAX);
    if !fits {
        return Err(Error::Canonical {
            why: format!("{number} is not an integer between -2^53 and 2^53"),
        });
    }
    out.extend_from_slice(number.to_string().as_bytes());
    Ok(())
}

/// `serde_json` escapes exactly what RFC 8785 section 3.2.2.2 asks for.
fn write_string(text: &str, out: &mut Vec<u8>) -> Result<(), Error> {
    serde_json::to_writer(out, text).map_err(|source| Error::Canonical {
        why: source.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
