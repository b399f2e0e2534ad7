//! The queries of the quality rules.
//!
//! It does not take text from outside: every column that a query names was found in the schema of
//! its table first, and is quoted.

use arrow::datatypes::{DataType, SchemaRef};
use schemas::quality::{QualityCheck, QualityRule};

use super::Subject;
use crate::Error;

/// Name of the version's rows in queries.
pub(super) const ROWS: &str = "version_rows";
/// Name of a referenced table in queries.
pub(super) const REFERENCED: &str = "referenced_rows";

/// Sums of binary floating-point numbers are equal up to this.
const SUM_TOLERANCE: &str = "0.000001";

/// Checks that a rule's columns exist and have types that the rule can be asked of.
pub(super) fn check_columns(rule: &QualityRule, subject: &Subject<'_>) -> Result<(), Error> {
    let refuse = |why: String| {
        Err(Error::Standard {
            why: format!("quality rule {}: {why}", rule.id),
        })
    };
    let names: Vec<&String> = match &rule.check {
        QualityCheck::Complete { column } | QualityCheck::Range { column, .. } => vec![column],
        QualityCheck::Unique { columns } => columns.iter().collect(),
        QualityCheck::References {
            column,
            dataset,
            referenced,
        } => {
            if let Some((_, schema)) = subject.referenced.get(dataset)
                && schema.field_with_name(referenced).is_err()
            {
                return refuse(format!("{dataset} has no column {referenced:?}"));
            }
            vec![column]
        }
        QualityCheck::Order { lesser, greater } => vec![lesser, greater],
        QualityCheck::Sum { parts, total } => parts.iter().chain([total]).collect(),
        QualityCheck::RowCount { .. } => Vec::new(),
    };
    let needs_numbers = matches!(
        rule.check,
        QualityCheck::Range { .. } | QualityCheck::Sum { .. }
    );
    for name in &names {
        match subject.schema.field_with_name(name) {
            Err(_) => return refuse(format!("there is no column {name:?}")),
            Ok(field) if needs_numbers && !field.data_type().is_numeric() => {
                return refuse(format!("column {name:?} holds no numbers"));
            }
            Ok(_) => {}
        }
    }
    if names.is_empty() && !matches!(rule.check, QualityCheck::RowCount { .. }) {
        return refuse("it names no column".to_owned());
    }
    Ok(())
}

/// What a rule of single rows counts: rows that it applies to, and those that fail.
pub(super) fn row_rule(check: &QualityCheck, schema: &SchemaRef) -> Option<(String, String)> {
    match check {
        QualityCheck::Complete { column } => Some((
            "count(*)".to_owned(),
            count_if(&format!("{} IS NULL", quoted(column))),
        )),
        QualityCheck::Range { column, min, max } => {
            let name = quoted(column);
            let mut beyond = Vec::new();
            beyond.extend(min.map(|min| format!("{name} < {min}")));
            beyond.extend(max.map(|max| format!("{name} > {max}")));
            let failed = if beyond.is_empty() {
                "false".to_owned()
            } else {
                beyond.join(" OR ")
            };
            Some((format!("count({name})"), count_if(&failed)))
        }
        QualityCheck::Order { lesser, greater } => {
            let (lesser, greater) = (quoted(lesser), quoted(greater));
            let both = format!("{lesser} IS NOT NULL AND {greater} IS NOT NULL");
            Some((count_if(&both), count_if(&format!("{lesser} > {greater}"))))
        }
        QualityCheck::Sum { parts, total } => {
            let all: Vec<String> = parts
                .iter()
                .chain([total])
                .map(|name| quoted(name))
                .collect();
            let known: Vec<String> = all
                .iter()
                .map(|name| format!("{name} IS NOT NULL"))
                .collect();
            let added: Vec<String> = parts.iter().map(|name| quoted(name)).collect();
            let rest = format!("({}) - {}", added.join(" + "), quoted(total));
            let is_exact = parts.iter().chain([total]).all(|name| {
                schema
                    .field_with_name(name)
                    .is_ok_and(|field| field.data_type() == &DataType::Int64)
            });
            let failed = if is_exact {
                format!("{rest} <> 0")
            } else {
                format!("{rest} > {SUM_TOLERANCE} OR {rest} < -{SUM_TOLERANCE}")
            };
            Some((count_if(&known.join(" AND ")), count_if(&failed)))
        }
        QualityCheck::RowCount { min } => {
            let missing = format!("greatest(CAST({min} AS BIGINT) - count(*), CAST(0 AS BIGINT))");
            Some((
                format!("greatest(CAST({min} AS BIGINT), CAST(0 AS BIGINT))"),
                missing,
            ))
        }
        QualityCheck::Unique { .. } | QualityCheck::References { .. } => None,
    }
}

/// One pass over the rows.
pub(super) fn select(expressions: &[String]) -> String {
    let named: Vec<String> = expressions
        .iter()
        .enumerate()
        .map(|(at, expression)| format!("{expression} AS c{at}"))
        .collect();
    format!("SELECT {} FROM {ROWS}", named.join(", "))
}

/// Rows whose key is complete, and those that are one too many of their key.
pub(super) fn unique(columns: &[String]) -> String {
    let names: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
    let known: Vec<String> = names
        .iter()
        .map(|name| format!("{name} IS NOT NULL"))
        .collect();
    let (names, known) = (names.join(", "), known.join(" AND "));
    format!(
        "SELECT CAST(coalesce(sum(n), 0) AS BIGINT) AS c0, \
         CAST(coalesce(sum(n - 1), 0) AS BIGINT) AS c1 \
         FROM (SELECT count(*) AS n FROM {ROWS} WHERE {known} GROUP BY {names})"
    )
}

/// Rows with a reference, and those whose reference points at nothing.
pub(super) fn references(column: &str, referenced: &str) -> String {
    let (column, referenced) = (quoted(column), quoted(referenced));
    format!(
        "SELECT count(*) AS c0, CAST(coalesce(sum(CASE WHEN r.k IS NULL THEN 1 ELSE 0 END), 0) \
         AS BIGINT) AS c1 FROM (SELECT {column} AS k FROM {ROWS} WHERE {column} IS NOT NULL) t \
         LEFT JOIN (SELECT DISTINCT {referenced} AS k FROM {REFERENCED}) r ON t.k = r.k"
    )
}

fn count_if(condition: &str) -> String {
    format!("CAST(coalesce(sum(CASE WHEN {condition} THEN 1 ELSE 0 END), 0) AS BIGINT)")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
