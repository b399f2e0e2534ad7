//! TPC-H lineitem as a dataset: a data standard with a rule for every column (value ranges of the
//! TPC-H specification, clause 4.2.3) and two quality rules.
//!
//! It does not generate rows.

use schemas::dataset::{Column, Grade, Sensitivity};
use schemas::quality::{Ppm, QualityCheck, QualityGate, QualityRule, Severity};
use schemas::shipped::Described;
use schemas::standard::{DataStandard, Reading};
use schemas::{LocalText, RuleId, StandardEdition, StandardId};
use serde_json::{Map, Value, json};

pub(crate) fn described(name: &str, grade: Grade) -> (Described, DataStandard) {
    let edition = StandardEdition {
        standard: StandardId::parse("tpch-lineitem").expect("an identifier"),
        edition: 1,
    };
    let properties = properties();
    let names: Vec<String> = properties.keys().cloned().collect();
    let standard = DataStandard {
        edition: edition.clone(),
        title: LocalText::new("订单行", "Line items of TPC-H"),
        row_schema: json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "required": names,
            "properties": properties,
            "additionalProperties": false,
        })
        .to_string(),
        reading: Reading::default(),
    };
    let column = |name: String| Column {
        title: LocalText::new(&name, &name),
        name,
        sensitivity: Sensitivity::None,
    };
    let rule = |id: &str, check: QualityCheck| QualityRule {
        id: RuleId::parse(id).expect("an identifier"),
        title: LocalText::new(id, id),
        check,
        pass_line: Ppm::ONE,
        severity: Severity::Block,
    };
    let key = ["l_orderkey", "l_linenumber"].map(str::to_owned).into();
    let (template, _) = conformance::data::shipped("code-iso3166");
    let described = Described {
        standard: edition,
        source: None,
        columns: names.into_iter().map(column).collect(),
        grade,
        quality_rules: vec![
            rule("key", QualityCheck::Unique { columns: key }),
            rule(
                "order",
                QualityCheck::Order {
                    lesser: "l_shipdate".to_owned(),
                    greater: "l_receiptdate".to_owned(),
                },
            ),
        ],
        quality_gate: QualityGate {
            quarantined_max: Ppm(0),
            score_min: Ppm::ONE,
        },
        mappings: Vec::new(),
        ..conformance::data::renamed(template, name)
    };
    (described, standard)
}

fn properties() -> Map<String, Value> {
    let key = || json!({"type": "integer", "minimum": 1});
    let range = |min: f64, max: f64| json!({"type": "number", "minimum": min, "maximum": max});
    let one_of = |values: &[&str]| json!({"type": "string", "enum": values});
    let date = || json!({"type": "string", "format": "date"});
    let all = [
        ("l_orderkey", key()),
        ("l_partkey", key()),
        ("l_suppkey", key()),
        (
            "l_linenumber",
            json!({"type": "integer", "minimum": 1, "maximum": 7}),
        ),
        ("l_quantity", range(1.0, 50.0)),
        ("l_extendedprice", range(0.0, 105_000.0)),
        ("l_discount", range(0.0, 0.1)),
        ("l_tax", range(0.0, 0.08)),
        ("l_returnflag", one_of(&["R", "A", "N"])),
        ("l_linestatus", one_of(&["O", "F"])),
        ("l_shipdate", date()),
        ("l_commitdate", date()),
        ("l_receiptdate", date()),
        (
            "l_shipinstruct",
            one_of(&[
                "DELIVER IN PERSON",
                "COLLECT COD",
                "NONE",
                "TAKE BACK RETURN",
            ]),
        ),
        (
            "l_shipmode",
            one_of(&["REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB"]),
        ),
        (
            "l_comment",
            json!({"type": "string", "minLength": 1, "maxLength": 44}),
        ),
    ];
    all.into_iter()
        .map(|(name, rule)| (name.to_owned(), rule))
        .collect()
}
