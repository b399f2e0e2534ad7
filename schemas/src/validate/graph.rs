//! Whether evaluating a schema ends, and soon: its references as a graph.
//!
//! It does not evaluate anything, and it does not resolve references exactly: where a name could
//! mean several subschemas, it follows all of them, so that it may refuse too much and never too
//! little. References that leave the schema are refused when it is compiled, offline.
//!
//! A value is checked against a subschema and, in place, against everything that the subschema
//! applies to the same value (`allOf`, `$ref` ...). A loop of such steps never ends; a chain of
//! doublings ends after the universe does.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{EVALUATIONS_MAX, REFERENCE_DEPTH_MAX, refuse};
use crate::Error;

/// Which steps may not form a loop and are counted.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Follow {
    /// Those that stay at the same value: a document may be recursive, and its depth ends it.
    InPlace,
    /// All: a row is flat, so recursion has no business in it.
    Everywhere,
}

/// Checks that every evaluation ends within the limits.
pub(super) fn check(root: &Value, follow: Follow) -> Result<(), Error> {
    let mut names = Names {
        resources: Vec::new(),
        anchors: Vec::new(),
    };
    names.collect(root, root);
    let mut walk = Walk {
        root,
        names,
        follow,
        weights: BTreeMap::new(),
        seen: BTreeSet::new(),
    };
    walk.visit(
        Place {
            schema: root,
            base: root,
        },
        0,
    )
}

/// A subschema and the root of the schema resource that it stands in.
#[derive(Clone, Copy)]
struct Place<'a> {
    schema: &'a Value,
    base: &'a Value,
}

impl Place<'_> {
    /// Where it stands in memory: one value of the parsed tree, one key.
    fn key(&self) -> usize {
        std::ptr::from_ref(self.schema).addr()
    }
}

/// What references can name.
struct Names<'a> {
    /// `$id` and the subschema that has it.
    resources: Vec<(&'a str, &'a Value)>,
    /// `$anchor` or `$dynamicAnchor`, and where.
    anchors: Vec<(&'a str, Place<'a>)>,
}

impl<'a> Names<'a> {
    fn collect(&mut self, value: &'a Value, base: &'a Value) {
        match value {
            Value::Object(members) => {
                let mut base = base;
                if let Some(Value::String(id)) = members.get("$id") {
                    self.resources.push((id, value));
                    base = value;
                }
                for keyword in ["$anchor", "$dynamicAnchor"] {
                    if let Some(Value::String(name)) = members.get(keyword) {
                        self.anchors.push((
                            name,
                            Place {
                                schema: value,
                                base,
                            },
                        ));
                    }
                }
                members
                    .values()
                    .for_each(|member| self.collect(member, base));
            }
            Value::Array(items) => items.iter().for_each(|item| self.collect(item, base)),
            _ => {}
        }
    }
}

#[derive(Clone, Copy)]
enum Weight {
    Open,
    Known(u64),
}

struct Walk<'a> {
    root: &'a Value,
    names: Names<'a>,
    follow: Follow,
    weights: BTreeMap<usize, Weight>,
    seen: BTreeSet<usize>,
}

impl<'a> Walk<'a> {
    /// Weighs everything that can be reached.
    fn visit(&mut self, place: Place<'a>, depth: usize) -> Result<(), Error> {
        if !self.seen.insert(place.key()) {
            return Ok(());
        }
        deep_enough(depth)?;
        self.weight(place, depth)?;
        for (_, next) in self.steps(place) {
            self.visit(next, depth + 1)?;
        }
        Ok(())
    }

    /// How many subschemas one value meets here, each repetition counted.
    fn weight(&mut self, place: Place<'a>, depth: usize) -> Result<u64, Error> {
        match self.weights.get(&place.key()) {
            Some(Weight::Known(weight)) => return Ok(*weight),
            Some(Weight::Open) => {
                return Err(refuse(
                    "a subschema refers to itself for the same value, or a row schema is \
                     recursive; take the loop out",
                ));
            }
            None => {}
        }
        deep_enough(depth)?;
        self.weights.insert(place.key(), Weight::Open);
        let mut weight: u64 = 1;
        for (step, next) in self.steps(place) {
            if step == Step::InPlace || self.follow == Follow::Everywhere {
                weight = weight.saturating_add(self.weight(next, depth + 1)?);
            }
        }
        if weight > EVALUATIONS_MAX {
            return Err(refuse(format!(
                "one value would be checked against {weight} subschemas, the limit is \
                 {EVALUATIONS_MAX}; repeat fewer references"
            )));
        }
        self.weights.insert(place.key(), Weight::Known(weight));
        Ok(weight)
    }

    fn steps(&self, place: Place<'a>) -> Vec<(Step, Place<'a>)> {
        let Value::Object(members) = place.schema else {
            return Vec::new();
        };
        let base = if members.contains_key("$id") {
            place.schema
        } else {
            place.base
        };
        let mut out = Vec::new();
        for (keyword, step, shape) in KEYWORDS {
            if let Some(value) = members.get(*keyword) {
                shape.subschemas(value, |schema| out.push((*step, Place { schema, base })));
            }
        }
        out.extend(
            self.references(members, base)
                .into_iter()
                .map(|to| (Step::InPlace, to)),
        );
        out
    }

    fn references(&self, members: &'a Map<String, Value>, base: &'a Value) -> Vec<Place<'a>> {
        let mut out = Vec::new();
        for keyword in ["$ref", "$dynamicRef"] {
            let Some(Value::String(reference)) = members.get(keyword) else {
                continue;
            };
            let (resource, fragment) = reference.split_once('#').unwrap_or((reference, ""));
            if fragment.is_empty() || fragment.starts_with('/') {
                for resource in self.resources(resource, base) {
                    out.extend(pointed(resource, fragment));
                }
            } else {
                let named = self
                    .names
                    .anchors
                    .iter()
                    .filter(|(name, _)| *name == fragment);
                out.extend(named.map(|(_, place)| *place));
            }
        }
        out
    }

    /// Every resource that the part before `#` could name: relative references are compared by
    /// their last path segment only.
    fn resources(&self, reference: &str, base: &'a Value) -> Vec<&'a Value> {
        if reference.is_empty() {
            return vec![base, self.root];
        }
        let last = |text: &str| {
            text.trim_end_matches(['/', '#'])
                .rsplit(['/', ':'])
                .next()
                .map(str::to_owned)
        };
        let wanted = last(reference);
        let named = self
            .names
            .resources
            .iter()
            .filter(|(id, _)| last(id) == wanted);
        named.map(|(_, value)| *value).collect()
    }
}

fn deep_enough(depth: usize) -> Result<(), Error> {
    if depth > REFERENCE_DEPTH_MAX {
        return Err(refuse(format!(
            "subschemas and references form a chain of more than {REFERENCE_DEPTH_MAX}"
        )));
    }
    Ok(())
}

/// The value at a JSON Pointer (RFC 6901, in a fragment percent-encoded) below a resource's root.
fn pointed<'a>(resource: &'a Value, fragment: &str) -> Option<Place<'a>> {
    let (mut schema, mut base) = (resource, resource);
    for part in fragment.split('/').skip(1) {
        let part = percent_decoded(part)?.replace("~1", "/").replace("~0", "~");
        schema = match schema {
            Value::Object(members) => members.get(&part)?,
            Value::Array(items) => items.get(part.parse::<usize>().ok()?)?,
            _ => return None,
        };
        if schema.get("$id").is_some() {
            base = schema;
        }
    }
    Some(Place { schema, base })
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

/// How a subschema is applied.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// To the same value.
    InPlace,
    /// To a part of the value, or only by reference.
    Below,
}

/// Where a keyword keeps its subschemas.
#[derive(Clone, Copy)]
enum Shape {
    One,
    List,
    Named,
}

impl Shape {
    fn subschemas<'a>(self, value: &'a Value, mut found: impl FnMut(&'a Value)) {
        match (self, value) {
            (Self::One, schema) => found(schema),
            (Self::List, Value::Array(items)) => items.iter().for_each(found),
            (Self::Named, Value::Object(members)) => members.values().for_each(found),
            _ => {}
        }
    }
}

/// The keywords of draft 2020-12 that hold subschemas, with two older ones that readers know.
const KEYWORDS: &[(&str, Step, Shape)] = &[
    ("allOf", Step::InPlace, Shape::List),
    ("anyOf", Step::InPlace, Shape::List),
    ("oneOf", Step::InPlace, Shape::List),
    ("not", Step::InPlace, Shape::One),
    ("if", Step::InPlace, Shape::One),
    ("then", Step::InPlace, Shape::One),
    ("else", Step::InPlace, Shape::One),
    ("dependentSchemas", Step::InPlace, Shape::Named),
    ("dependencies", Step::InPlace, Shape::Named),
    ("properties", Step::Below, Shape::Named),
    ("patternProperties", Step::Below, Shape::Named),
    ("additionalProperties", Step::Below, Shape::One),
    ("propertyNames", Step::Below, Shape::One),
    ("unevaluatedProperties", Step::Below, Shape::One),
    ("prefixItems", Step::Below, Shape::List),
    ("items", Step::Below, Shape::One),
    ("contains", Step::Below, Shape::One),
    ("unevaluatedItems", Step::Below, Shape::One),
    ("contentSchema", Step::Below, Shape::One),
    ("$defs", Step::Below, Shape::Named),
    ("definitions", Step::Below, Shape::Named),
];
