//! JSON text to a value, with limits and without duplicate keys.
//!
//! It does not know JSON Schema. RFC 8259 leaves open what a repeated key means; two readers that
//! choose differently would see two schemas, so here it is an error.

use std::collections::BTreeSet;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Number, Value};

use super::{SCHEMA_BYTES_MAX, SCHEMA_DEPTH_MAX, refuse};
use crate::Error;

/// Parses the text of a schema.
pub(super) fn parse(text: &str) -> Result<Value, Error> {
    if text.len() > SCHEMA_BYTES_MAX {
        return Err(refuse(format!(
            "the schema has {} bytes, the limit is {SCHEMA_BYTES_MAX}",
            text.len()
        )));
    }
    strict_json(text.as_bytes()).map_err(unreadable)
}

/// Reads one JSON text in which no object repeats a key and nothing is nested deeper than
/// [`SCHEMA_DEPTH_MAX`].
///
/// # Errors
/// The parser's sentence with line and column; for a repeated key, the key.
pub fn strict_json(text: &[u8]) -> Result<Value, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = StrictJson::default().deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

fn unreadable(source: serde_json::Error) -> Error {
    refuse(format!("the schema cannot be read: {source}"))
}

/// Reads one JSON value as [`strict_json`] does, from any parser: for documents that are too
/// large to be held.
#[derive(Clone, Copy, Debug, Default)]
pub struct StrictJson {
    depth: usize,
}

impl StrictJson {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == SCHEMA_DEPTH_MAX {
            return Err(E::custom(format!("nested deeper than {SCHEMA_DEPTH_MAX}")));
        }
        Ok(Self {
            depth: self.depth + 1,
        })
    }
}

impl<'de> DeserializeSeed<'de> for StrictJson {
    type Value = Value;
    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for StrictJson {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value)
            .map(Value::Number)
            .ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let mut out = Vec::new();
        while let Some(item) = items.next_element_seed(seed)? {
            out.push(item);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let seed = self.deeper()?;
        let mut out = Map::new();
        while let Some(key) = members.next_key::<String>()? {
            let value = members.next_value_seed(seed)?;
            if out.contains_key(&key) {
                return Err(A::Error::custom(format!("the key {key:?} occurs twice")));
            }
            out.insert(key, value);
        }
        Ok(Value::Object(out))
    }
}

/// Names of the root's `properties` in the order in which they are written; a JSON map forgets it.
pub(super) fn property_order(text: &str) -> Result<Vec<String>, Error> {
    #[derive(serde::Deserialize)]
    struct Root {
        #[serde(default, deserialize_with = "names")]
        properties: Vec<String>,
    }
    let root: Root = serde_json::from_str(text).map_err(unreadable)?;
    Ok(root.properties)
}

fn names<'de, D: Deserializer<'de>>(reader: D) -> Result<Vec<String>, D::Error> {
    struct Names;
    impl<'de> Visitor<'de> for Names {
        type Value = Vec<String>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Vec<String>, A::Error> {
            let (mut out, mut seen) = (Vec::new(), BTreeSet::new());
            while let Some((name, IgnoredAny)) = members.next_entry::<String, IgnoredAny>()? {
                if seen.insert(name.clone()) {
                    out.push(name);
                }
            }
            Ok(out)
        }
    }
    reader.deserialize_map(Names)
}
