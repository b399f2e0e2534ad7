//! One byte form per record, for every record that can be written.
#![expect(clippy::unwrap_used, reason = "test helpers of an integration test")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use schemas::canonical::{from_bytes, to_bytes};
use schemas::code::{Action, ErrorCode, Noun, ReasonCode};
use schemas::command::RefusalCode;
use schemas::dataset::{DatasetState, Grade, Sensitivity, ShareAttribute, UpdateCycle};
use schemas::decision::{Operator, Party, Predicate, RowFilter};
use schemas::participant::{KeyCustody, ParticipantKind, Role};
use schemas::policy_set::PolicySet;
use schemas::quality::Severity;
use schemas::request::{GrantState, RequestState};
use schemas::standard::{DataStandard, DateOrder, Reading};
use schemas::transfer::{ReceiptSide, TransferState};
use schemas::{LocalText, StandardEdition, StandardId, Timestamp};
use serde_json::{Value, json};

fn document() -> impl Strategy<Value = Value> {
    let integer = -(1_i64 << 53)..=(1_i64 << 53);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        integer.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(|map| json!(map)),
        ]
    })
}

fn standard() -> impl Strategy<Value = DataStandard> {
    let texts = || prop::collection::vec(any::<String>(), 0..4);
    let orders = prop::sample::select(DateOrder::ALL);
    let maps = (
        prop::collection::btree_map(any::<String>(), any::<String>(), 0..4),
        prop::collection::btree_map(any::<String>(), orders, 0..4),
    );
    let words = (any::<String>(), any::<String>(), any::<String>());
    (
        words,
        any::<u32>(),
        any::<Option<char>>(),
        texts(),
        texts(),
        maps,
    )
        .prop_map(
            |((zh, en, row_schema), edition, delimiter, null_tokens, dropped, (renames, dates))| {
                DataStandard {
                    edition: StandardEdition {
                        standard: StandardId::parse("s").unwrap(),
                        edition,
                    },
                    title: LocalText { zh, en },
                    row_schema,
                    reading: Reading {
                        delimiter,
                        null_tokens,
                        renames,
                        dropped,
                        dates,
                    },
                }
            },
        )
}

proptest! {
    #[test]
    fn canonical_bytes_read_back_as_the_same_document(document in document()) {
        let bytes = to_bytes(&document).unwrap();
        prop_assert_eq!(from_bytes::<Value>(&bytes).unwrap(), document);
    }

    #[test]
    fn another_order_or_spacing_is_no_canonical_form(
        members in prop::collection::btree_map("[a-z]{1,3}", 0_u32..9, 2..6),
    ) {
        let written = members.iter().rev().map(|(k, v)| format!("\"{k}\":{v}"));
        let backwards: Vec<String> = written.collect();
        let text = format!("{{{}}}", backwards.join(","));
        prop_assert!(from_bytes::<BTreeMap<String, u32>>(text.as_bytes()).is_err());
        let spaced = serde_json::to_string_pretty(&members).unwrap();
        prop_assert!(from_bytes::<BTreeMap<String, u32>>(spaced.as_bytes()).is_err());
        let bytes = to_bytes(&members).unwrap();
        prop_assert_eq!(from_bytes::<BTreeMap<String, u32>>(&bytes).unwrap(), members);
    }

    #[test]
    fn a_standard_survives_its_bytes(standard in standard()) {
        let bytes = to_bytes(&standard).unwrap();
        prop_assert_eq!(from_bytes::<DataStandard>(&bytes).unwrap(), standard);
    }

    #[test]
    fn a_policy_set_and_a_filter_survive_their_bytes(
        number in 0_u64..(1 << 53), texts in prop::array::uniform4(any::<String>()),
        operator in prop::sample::select(Operator::ALL),
    ) {
        let [model, roles, rules, note] = texts.clone();
        let set = PolicySet { number, model, roles, rules, note };
        prop_assert_eq!(from_bytes::<PolicySet>(&to_bytes(&set).unwrap()).unwrap(), set);
        let [column, _, _, _] = texts.clone();
        let filter = RowFilter { all: vec![Predicate { column, operator, values: texts.into() }] };
        prop_assert_eq!(from_bytes::<RowFilter>(&to_bytes(&filter).unwrap()).unwrap(), filter);
    }

    #[test]
    fn an_instant_survives_its_text(millis in 0_i64..=253_402_300_799_999) {
        let at = Timestamp::from_millis(millis);
        prop_assert_eq!(Timestamp::parse(&at.to_string()).unwrap(), at);
        prop_assert_eq!(from_bytes::<Timestamp>(&to_bytes(&at).unwrap()).unwrap(), at);
    }

    #[test]
    fn no_bytes_make_reading_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = from_bytes::<Value>(&bytes);
        let _ = from_bytes::<DataStandard>(&bytes);
    }
}

/// Every code has one text, which is also its JSON, and no two share one.
macro_rules! every_code_round_trips {
    ($($name:ident),* $(,)?) => {
        #[test]
        fn every_code_round_trips() {
            $(
                let mut texts: Vec<&str> = $name::ALL.iter().map(|code| code.as_str()).collect();
                for code in $name::ALL {
                    assert_eq!($name::parse(code.as_str()), Some(*code));
                    assert_eq!(serde_json::to_value(code).unwrap(), json!(code.as_str()));
                    assert_eq!(from_bytes::<$name>(&to_bytes(code).unwrap()).unwrap(), *code);
                }
                texts.sort_unstable();
                texts.dedup();
                assert_eq!(texts.len(), $name::ALL.len());
                assert_eq!($name::parse("no such code"), None);
                assert!(serde_json::from_value::<$name>(json!("no such code")).is_err());
            )*
        }
    };
}

every_code_round_trips!(
    Action,
    DatasetState,
    DateOrder,
    ErrorCode,
    GrantState,
    Grade,
    KeyCustody,
    Noun,
    Operator,
    ParticipantKind,
    Party,
    ReasonCode,
    ReceiptSide,
    RefusalCode,
    RequestState,
    Role,
    Sensitivity,
    Severity,
    ShareAttribute,
    TransferState,
    UpdateCycle,
);
