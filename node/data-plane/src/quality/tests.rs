//! Each rule against rows whose counts are known.

use std::collections::BTreeSet;

use schemas::quality::Severity;
use schemas::standard::{DataStandard, Reading};
use schemas::{LocalText, RuleId, StandardEdition, StandardId};
use serde_json::json;

use super::*;
use crate::ingest::{Format, Ingest, Plan, Source, Unwatched};

fn standard() -> DataStandard {
    let schema = json!({"type": "object", "properties": {
        "code": {"type": ["string", "null"]}, "a": {"type": ["integer", "null"]},
        "b": {"type": ["integer", "null"]}, "total": {"type": ["integer", "null"]},
        "share": {"type": ["number", "null"]}, "rest": {"type": ["number", "null"]}}});
    DataStandard {
        edition: StandardEdition {
            standard: StandardId::parse("test").unwrap(),
            edition: 1,
        },
        title: LocalText::new("测试", "test"),
        row_schema: schema.to_string(),
        reading: Reading::default(),
    }
}

fn rule(check: QualityCheck) -> QualityRule {
    QualityRule {
        id: RuleId::parse("rule").unwrap(),
        title: LocalText::new("规则", "rule"),
        check,
        pass_line: Ppm::ONE,
        severity: Severity::Block,
    }
}

fn stage(dir: &Path, name: &str, text: &str) -> (Vec<PathBuf>, SchemaRef) {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    let plan = Plan::compile(&standard(), &BTreeSet::new()).unwrap();
    let ingest = Ingest {
        source: &Source::file(&path, name),
        format: Format::Csv,
        charset: None,
        plan: &plan,
        staging: dir,
        prefix: name,
        quarantine: dir.join("quarantine"),
        workers: 1,
    };
    let staged = ingest.run(&Unwatched).unwrap();
    assert_eq!(staged.quarantined_rows, 0, "{:?}", staged.faults);
    (
        staged.files.into_iter().map(|file| file.path).collect(),
        plan.schema().clone(),
    )
}

/// Rules with what they apply to and what fails.
fn cases() -> Vec<(QualityCheck, (u64, u64))> {
    let name = |text: &str| text.to_owned();
    let names = |all: &[&str]| {
        all.iter()
            .map(|text| (*text).to_owned())
            .collect::<Vec<_>>()
    };
    vec![
        (
            QualityCheck::Complete {
                column: name("code"),
            },
            (5, 1),
        ),
        (
            QualityCheck::Unique {
                columns: names(&["code"]),
            },
            (4, 1),
        ),
        (
            QualityCheck::Unique {
                columns: names(&["code", "b"]),
            },
            (4, 0),
        ),
        (
            QualityCheck::Range {
                column: name("a"),
                min: Some(2),
                max: Some(4),
            },
            (4, 3),
        ),
        (
            QualityCheck::Range {
                column: name("share"),
                min: None,
                max: None,
            },
            (5, 0),
        ),
        (
            QualityCheck::Order {
                lesser: name("a"),
                greater: name("b"),
            },
            (4, 1),
        ),
        (
            QualityCheck::Sum {
                parts: names(&["a", "b"]),
                total: name("total"),
            },
            (4, 1),
        ),
        (
            QualityCheck::Sum {
                parts: names(&["share", "rest"]),
                total: name("a"),
            },
            (3, 2),
        ),
        (QualityCheck::RowCount { min: 8 }, (8, 3)),
        (QualityCheck::RowCount { min: 5 }, (5, 0)),
    ]
}

#[tokio::test]
async fn every_rule_counts_what_it_applies_to_and_what_fails() {
    let dir = tempfile::tempdir().unwrap();
    let rows = "code,a,b,total,share,rest\n\
                x,1,2,3,0.1,0.9\n\
                x,5,4,9,0.3,0.7\n\
                y,,4,4,0.5,0.5\n\
                ,2,2,5,1.0,\n\
                z,1,2,3,0.4,0.5\n";
    let (files, schema) = stage(dir.path(), "rows", rows);
    let table = DatasetId::parse("codes").unwrap();
    let codes = stage(
        dir.path(),
        "codes",
        "code,a,b,total,share,rest\nx,,,,,\nx,,,,,\ny,,,,,\n",
    );
    let referenced = BTreeMap::from([(table.clone(), codes)]);
    let subject = Subject {
        files: &files,
        schema: &schema,
        referenced: &referenced,
        spill: dir.path(),
    };
    let mut cases = cases();
    let check = QualityCheck::References {
        column: "code".to_owned(),
        dataset: table.clone(),
        referenced: "code".to_owned(),
    };
    cases.push((check, (4, 1)));
    let rules: Vec<QualityRule> = cases.iter().map(|(check, _)| rule(check.clone())).collect();
    let verdicts = run(&subject, &rules).await.unwrap();
    for ((check, expected), verdict) in cases.iter().zip(&verdicts) {
        assert_eq!(&(verdict.evaluated, verdict.failed), expected, "{check:?}");
        assert_eq!(verdict.indicator, check.indicator());
        assert_eq!(verdict.passed, expected.1 == 0);
    }
}

#[tokio::test]
async fn a_rule_that_names_no_column_of_the_table_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let (files, schema) = stage(dir.path(), "rows", "code,a,b,total,share,rest\nx,1,2,3,,\n");
    let referenced = BTreeMap::new();
    let subject = Subject {
        files: &files,
        schema: &schema,
        referenced: &referenced,
        spill: dir.path(),
    };
    let cases = [
        QualityCheck::Complete {
            column: "\"; DROP TABLE x; --".to_owned(),
        },
        QualityCheck::Range {
            column: "code".to_owned(),
            min: Some(1),
            max: None,
        },
        QualityCheck::Unique {
            columns: Vec::new(),
        },
        QualityCheck::References {
            column: "code".to_owned(),
            dataset: DatasetId::parse("unknown").unwrap(),
            referenced: "code".to_owned(),
        },
    ];
    for check in cases {
        let rules = [rule(check)];
        assert!(run(&subject, &rules).await.is_err(), "{rules:?}");
    }
}
