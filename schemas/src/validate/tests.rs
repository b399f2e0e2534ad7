//! What is compiled, what is refused, and that columns say what rows say.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::standard::{DateOrder, Reading};
use crate::{LocalText, StandardEdition, StandardId};

fn standard(row_schema: &str) -> DataStandard {
    DataStandard {
        edition: StandardEdition {
            standard: StandardId::parse("test").unwrap(),
            edition: 1,
        },
        title: LocalText::new("测试", "Test"),
        row_schema: row_schema.to_owned(),
        reading: Reading::default(),
    }
}

fn row_schema(properties: &Value) -> String {
    json!({"type": "object", "properties": properties}).to_string()
}

fn compiled(properties: &Value) -> RowSchema {
    RowSchema::compile(&standard(&row_schema(properties))).unwrap()
}

/// The reason contains these words.
#[track_caller]
fn refused(verdict: Result<RowSchema, Error>, words: &str) {
    let why = verdict.unwrap_err().to_string();
    assert!(why.contains(words), "{words:?} is not in {why:?}");
}

/// Of every kind of column one.
const COLUMNS: &str = r##"{
  "$defs": {"mass": {"type": ["number", "null"], "exclusiveMinimum": 0}},
  "type": "object", "required": ["zone", "at"], "additionalProperties": false,
  "properties": {
    "zone": {"type": "string", "minLength": 1, "maxLength": 9, "pattern": "^Z\\d$"},
    "at": {"type": "string", "format": "date-time"},
    "mass": {"$ref": "#/$defs/mass", "description": "kg"},
    "box": {"type": "string", "format": "x-iso6346"},
    "count": {"type": ["integer", "null"], "minimum": 1, "maximum": 9, "multipleOf": 2},
    "flag": {"enum": ["Y", "N", null], "type": ["string", "null"]},
    "mail": {"type": "string", "format": "email"}
  }}"##;

#[test]
fn fields_say_what_the_schema_says_in_its_order() {
    let schema = RowSchema::compile(&standard(COLUMNS)).unwrap();
    let found: Vec<_> = schema
        .fields()
        .iter()
        .map(|f| (f.name.as_str(), f.kind, f.required, f.nullable, f.columnar))
        .collect();
    let expected = [
        ("zone", FieldKind::Text, true, false, true),
        ("at", FieldKind::DateTime, true, false, true),
        ("mass", FieldKind::Number, false, true, true),
        ("box", FieldKind::Text, false, false, true),
        ("count", FieldKind::Integer, false, true, true),
        ("flag", FieldKind::Text, false, true, true),
        ("mail", FieldKind::Text, false, false, false),
    ];
    assert_eq!(found, expected);
    assert!(schema.is_closed());
    assert!(!schema.needs_row_check());
}

#[test]
fn constraints_carry_the_keywords() {
    let schema = RowSchema::compile(&standard(COLUMNS)).unwrap();
    let check = |name: &str, expected: Constraints| {
        assert_eq!(schema.field(name).unwrap().constraints, expected, "{name}");
    };
    let none = Constraints::default;
    check(
        "zone",
        Constraints {
            length_min: Some(1),
            length_max: Some(9),
            pattern: Some("^Z[0-9]$".to_owned()),
            ..none()
        },
    );
    check("at", none());
    check(
        "mass",
        Constraints {
            exclusive_min: Some(Bound::Decimal(0.0)),
            ..none()
        },
    );
    check(
        "box",
        Constraints {
            format: Some(Format::Container),
            ..none()
        },
    );
    check(
        "count",
        Constraints {
            min: Some(Bound::Integer(1)),
            max: Some(Bound::Integer(9)),
            multiple_of: Some(2),
            ..none()
        },
    );
    check(
        "flag",
        Constraints {
            enumeration: Some(vec![json!("Y"), json!("N")]),
            ..none()
        },
    );
    check("mail", none());
}

#[test]
fn a_null_that_an_enumeration_leaves_out_is_no_value() {
    let schema = compiled(&json!({"flag": {"type": ["string", "null"], "enum": ["Y", "N"]}}));
    assert!(!schema.fields()[0].nullable);
    assert_eq!(schema.check(&json!({"flag": null})).len(), 1);
}

#[test]
fn what_a_field_cannot_carry_is_left_to_the_row_check() {
    let alone = json!({
        "a": {"type": "string", "pattern": "\\w"},
        "b": {"type": "number", "multipleOf": 0.1},
        "c": {"type": "integer", "minimum": 0.5},
        "d": {"type": "string", "format": "date", "minLength": 3},
        "e": {"type": "string", "not": {"const": "x"}},
        "f": {"type": "number", "maximum": 9_007_199_254_740_993_u64},
        "g": {"type": "integer", "enum": [1, 2.5]},
    });
    let schema = compiled(&alone);
    assert!(
        schema.fields().iter().all(|field| !field.columnar),
        "{:?}",
        schema.fields()
    );
    for rule in [
        json!({"if": {"required": ["a"]}, "then": {"required": ["b"]}}),
        json!({"dependentRequired": {"a": ["b"]}}),
        json!({"minProperties": 1}),
        json!({"additionalProperties": {"type": "string"}}),
    ] {
        let mut schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
        let members = schema.as_object_mut().unwrap();
        members.extend(rule.as_object().unwrap().clone());
        let row = RowSchema::compile(&standard(&schema.to_string())).unwrap();
        assert!(row.needs_row_check(), "{rule}");
    }
}

#[test]
fn a_violation_names_place_keyword_and_value() {
    let schema = compiled(&json!({"box": {"type": "string", "format": "x-iso6346"}}));
    assert_eq!(
        schema.check(&json!({"box": "CSQU3054384"})),
        [Violation {
            pointer: "/box".to_owned(),
            keyword: "format".to_owned(),
            value: "\"CSQU3054384\"".to_owned(),
            why: "\"CSQU3054384\" is not a \"x-iso6346\"".to_owned(),
        }]
    );
    assert!(schema.accepts(&json!({"box": "CSQU3054383"})));
}

#[test]
fn a_row_schema_describes_a_flat_object_with_columns() {
    let compile = |text: &str| RowSchema::compile(&standard(text));
    refused(compile("true"), "boolean");
    refused(compile(r#"{"type": "array"}"#), "a row is an object");
    refused(
        compile(r#"{"type": "object", "properties": {}}"#),
        "1 to 1024 columns",
    );
    refused(compile(&row_schema(&json!({"a": {}}))), "needs one type");
    refused(
        compile(&row_schema(&json!({"a": {"type": "array"}}))),
        "needs one type",
    );
    refused(
        compile(&row_schema(&json!({"a": {"type": ["string", "integer"]}}))),
        "one type",
    );
    refused(
        compile(&row_schema(&json!({"港": {"type": "string"}}))),
        "cannot be a column",
    );
    refused(
        compile(&row_schema(
            &json!({"a": {"type": "string", "format": "x-imoo"}}),
        )),
        "x-imoo",
    );
    let missing = r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["b"]}"#;
    refused(compile(missing), "no property");
}

#[test]
fn reading_rules_fit_the_columns() {
    let text =
        row_schema(&json!({"a": {"type": "string"}, "d": {"type": "string", "format": "date"}}));
    let with = |reading: Reading| {
        RowSchema::compile(&DataStandard {
            reading,
            ..standard(&text)
        })
    };
    let rename = |from: &str, to: &str| (from.to_owned(), to.to_owned());
    let dates = |column: &str| [(column.to_owned(), DateOrder::DayMonthYear)].into();
    assert!(
        with(Reading {
            dates: dates("d"),
            ..Reading::default()
        })
        .is_ok()
    );
    refused(
        with(Reading {
            dates: dates("a"),
            ..Reading::default()
        }),
        "no date column",
    );
    let renames = [rename("A", "x")].into();
    refused(
        with(Reading {
            renames,
            ..Reading::default()
        }),
        "no column",
    );
    let renames = [rename("A", "a"), rename("B", "a")].into();
    refused(
        with(Reading {
            renames,
            ..Reading::default()
        }),
        "two headers",
    );
    refused(
        with(Reading {
            delimiter: Some('"'),
            ..Reading::default()
        }),
        "delimiter",
    );
}

#[test]
fn a_schema_from_a_stranger_is_bounded() {
    let bad = |text: &str, words: &str| {
        let why = compile_schema(text).unwrap_err().to_string();
        assert!(why.contains(words), "{words:?} is not in {why:?}");
    };
    bad(
        &format!("{{\"title\": \"{}\"}}", "x".repeat(SCHEMA_BYTES_MAX)),
        "bytes, the limit",
    );
    bad(&format!("{}1{}", "[".repeat(60), "]".repeat(60)), "deeper");
    bad(r#"{"type": "object", "type": "array"}"#, "occurs twice");
    bad(r#"{"type": "object"} {}"#, "cannot be read");
    bad(r#"{"type": "objekt"}"#, "objekt");
    bad(
        r##"{"$ref": "https://example.org/schema.json"}"##,
        "example.org",
    );
    bad(r##"{"$ref": "file:///etc/passwd"}"##, "passwd");
    bad(r##"{"$ref": "other.json"}"##, "other.json");
    bad(
        r#"{"$schema": "http://json-schema.org/draft-04/schema#"}"#,
        "draft",
    );
    bad(r#"{"pattern": "(?=a)"}"#, "pattern");
    bad(r#"{"pattern": "(a{1000}){1000}"}"#, "pattern");
}

#[test]
fn a_loop_or_an_explosion_of_references_is_refused() {
    let endless = [
        r##"{"$ref": "#"}"##,
        r##"{"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"not": {"$ref": "#"}}}}"##,
        r##"{"$defs": [{"$anchor": "a", "$ref": "#b"}], "not": {"$anchor": "b", "$ref": "#a"}}"##,
        r##"{"$id": "http://x/s", "if": {"$ref": "s"}}"##,
        r##"{"$dynamicAnchor": "n", "anyOf": [{"$dynamicRef": "#n"}]}"##,
        r##"{"properties": {"a%b": {"$ref": "#/properties/a%25b"}}}"##,
    ];
    for text in endless {
        let why = compile_schema(text).unwrap_err().to_string();
        assert!(why.contains("refers to itself"), "{text} gave {why}");
    }
    let doubling: Map<String, Value> = (0..40)
        .map(|n| {
            let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
            (format!("d{n}"), json!({"allOf": [next, next]}))
        })
        .chain([("d40".to_owned(), json!(true))])
        .collect();
    let text = json!({"$ref": "#/$defs/d0", "$defs": doubling}).to_string();
    assert!(
        compile_schema(&text)
            .unwrap_err()
            .to_string()
            .contains("subschemas")
    );
    let chain: Map<String, Value> = (0..1_000)
        .map(|n| {
            let next = json!({"$ref": format!("#/$defs/d{}", n + 1)});
            (format!("d{n}"), json!({"properties": {"a": next}}))
        })
        .chain([("d1000".to_owned(), json!(true))])
        .collect();
    let text = json!({"$ref": "#/$defs/d0", "$defs": chain}).to_string();
    assert!(
        compile_schema(&text)
            .unwrap_err()
            .to_string()
            .contains("chain")
    );
}

#[test]
fn a_recursive_document_schema_is_no_row_schema() {
    let tree = r##"{"type": "object", "properties": {"a": {"$ref": "#"}}}"##;
    assert!(
        compile_schema(tree)
            .unwrap()
            .accepts(&json!({"a": {"a": {}}}))
    );
    refused(RowSchema::compile(&standard(tree)), "recursive");
}

/// What a column check would say of one value, straight from the constraints.
fn passes(field: &Field, value: &Value) -> bool {
    let rules = &field.constraints;
    if value.is_null() {
        return field.nullable;
    }
    let decimal = |bound: &Option<Bound>| match bound {
        Some(Bound::Decimal(limit)) => Some(*limit),
        _ => None,
    };
    let integer = |bound: &Option<Bound>| match bound {
        Some(Bound::Integer(limit)) => Some(*limit),
        _ => None,
    };
    let listed = rules
        .enumeration
        .as_ref()
        .is_none_or(|all| all.contains(value));
    listed
        && match field.kind {
            FieldKind::Integer => value.as_i64().is_some_and(|n| {
                integer(&rules.min).is_none_or(|limit| n >= limit)
                    && integer(&rules.max).is_none_or(|limit| n <= limit)
                    && integer(&rules.exclusive_min).is_none_or(|limit| n > limit)
                    && integer(&rules.exclusive_max).is_none_or(|limit| n < limit)
                    && rules.multiple_of.is_none_or(|step| n % step == 0)
            }),
            FieldKind::Number => value.as_f64().is_some_and(|n| {
                decimal(&rules.min).is_none_or(|limit| n >= limit)
                    && decimal(&rules.max).is_none_or(|limit| n <= limit)
                    && decimal(&rules.exclusive_min).is_none_or(|limit| n > limit)
                    && decimal(&rules.exclusive_max).is_none_or(|limit| n < limit)
            }),
            FieldKind::Text => value.as_str().is_some_and(|text| {
                let chars = u64::try_from(text.chars().count()).unwrap();
                rules.length_min.is_none_or(|least| chars >= least)
                    && rules.length_max.is_none_or(|most| chars <= most)
                    && rules
                        .pattern
                        .as_ref()
                        .is_none_or(|pattern| regex::Regex::new(pattern).unwrap().is_match(text))
                    && rules.format.is_none_or(|format| format.check(text).is_ok())
            }),
            _ => unreachable!("only these kinds are generated"),
        }
}

/// A property schema with rules for numbers and text, some of them without effect.
fn property() -> impl Strategy<Value = Value> {
    let kind = prop::sample::select(vec!["string", "integer", "number"]);
    let patterns = prop::sample::select(vec![
        "^[a-c]*$",
        "\\d",
        "b.?c",
        "^(?:a|b){1,2}",
        "[^a-b]",
        "a|港",
    ]);
    let number = -20_i64..20;
    (
        kind,
        any::<bool>(),
        prop::collection::vec(0_usize..9, 0..4),
        patterns,
        number,
        0_u64..4,
    )
        .prop_map(|(kind, nullable, rules, pattern, number, length)| {
            let mut out =
                json!({"type": if nullable { json!([kind, "null"]) } else { json!(kind) }});
            for rule in rules {
                let (keyword, value) = match rule {
                    0 => ("minimum", json!(number)),
                    1 => ("maximum", json!(number + 9)),
                    2 => ("exclusiveMinimum", json!(number)),
                    3 => ("exclusiveMaximum", json!(number + 9)),
                    4 => ("minLength", json!(length)),
                    5 => ("maxLength", json!(length + 1)),
                    6 => ("pattern", json!(pattern)),
                    7 => ("format", json!("x-hs")),
                    _ if kind == "string" => ("enum", json!(["a", "abc", "港"])),
                    _ => ("minimum", json!(number)),
                };
                out[keyword] = value;
            }
            out
        })
}

fn cell() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        (-30_i64..40).prop_map(|n| json!(n)),
        (-30_i32..40).prop_map(|n| json!(f64::from(n) + 0.5)),
        "[a-c0-9港\\n]{0,5}".prop_map(|text| json!(text)),
        "[0-9]{1,6}".prop_map(|text| json!(text)),
    ]
}

proptest! {
    #[test]
    fn a_columnar_field_says_what_the_row_check_says(property in property(), cell in cell()) {
        let schema = compiled(&json!({"a": property}));
        let field = &schema.fields()[0];
        prop_assert!(field.columnar, "{property}");
        let by_row = schema.accepts(&json!({"a": cell}));
        prop_assert_eq!(by_row, passes(field, &cell), "{} {}", property, cell);
    }

    #[test]
    fn no_text_makes_compiling_panic(text in "[\\[\\]{}\":,$a-d0-9. ]{0,60}") {
        let _ = compile_schema(&text);
    }
}
