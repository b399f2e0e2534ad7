//! From a grant's row filter to an expression of the query library.
//!
//! It does not write SQL: values become literals of the column's type, so that no text of a
//! grant is ever parsed as a query.

use arrow::datatypes::Schema;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr_fn::ident;
use datafusion::logical_expr::{Expr, lit};
use schemas::decision::{Operator, Predicate, RowFilter};

use crate::Error;

/// The filter over `schema`; none when every row passes.
///
/// # Errors
/// [`Error::Record`] for a column that the table does not have, a value that its type does not
/// hold, or the wrong number of values.
pub(crate) fn filter(rows: &RowFilter, schema: &Schema) -> Result<Option<Expr>, Error> {
    if rows.all.len() > RowFilter::PREDICATES_MAX {
        return Err(refuse(
            "*",
            format!("more than {} predicates", RowFilter::PREDICATES_MAX),
        ));
    }
    let mut all: Option<Expr> = None;
    for predicate in &rows.all {
        let one = comparison(predicate, schema)?;
        all = Some(match all {
            None => one,
            Some(before) => before.and(one),
        });
    }
    Ok(all)
}

fn comparison(predicate: &Predicate, schema: &Schema) -> Result<Expr, Error> {
    let column = &predicate.column;
    let field = schema
        .field_with_name(column)
        .map_err(|_| refuse(column, "the table has no such column".to_owned()))?;
    if predicate.values.len() > RowFilter::VALUES_MAX {
        return Err(refuse(
            column,
            format!("more than {} values", RowFilter::VALUES_MAX),
        ));
    }
    let mut values = Vec::with_capacity(predicate.values.len());
    for value in &predicate.values {
        let literal = ScalarValue::try_from_string(value.clone(), field.data_type())
            .ok()
            .filter(|literal| !literal.is_null())
            .ok_or_else(|| refuse(column, format!("{value:?} is no {}", field.data_type())))?;
        values.push(lit(literal));
    }
    let left = ident(column);
    if predicate.operator == Operator::In {
        // With no values nothing passes, as with any other value that does not occur.
        return Ok(if values.is_empty() {
            lit(false)
        } else {
            left.in_list(values, false)
        });
    }
    let (Some(right), None) = (values.pop(), values.pop()) else {
        return Err(refuse(column, "this comparison takes one value".to_owned()));
    };
    Ok(match predicate.operator {
        Operator::Eq | Operator::In => left.eq(right),
        Operator::Ne => left.not_eq(right),
        Operator::Lt => left.lt(right),
        Operator::Le => left.lt_eq(right),
        Operator::Gt => left.gt(right),
        Operator::Ge => left.gt_eq(right),
    })
}

fn refuse(column: &str, why: String) -> Error {
    Error::Record {
        what: "apply a row filter",
        why: format!("{column}: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{DataType, Field};

    fn check(operator: Operator, column: &str, values: &[&str]) -> Result<String, Error> {
        let schema = Schema::new(vec![
            Field::new("Count", DataType::Int64, true),
            Field::new("day", DataType::Date32, true),
            Field::new("name", DataType::Utf8, true),
        ]);
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        let all = vec![Predicate {
            column: column.to_owned(),
            operator,
            values,
        }];
        Ok(filter(&RowFilter { all }, &schema)?.unwrap().to_string())
    }

    #[test]
    fn a_value_becomes_a_literal_of_the_columns_type() {
        assert_eq!(
            check(Operator::Ge, "Count", &["5"]).unwrap(),
            "Count >= Int64(5)"
        );
        assert_eq!(
            check(Operator::Eq, "name", &["x' OR 1=1 --"]).unwrap(),
            "name = Utf8(\"x' OR 1=1 --\")"
        );
        assert!(
            check(Operator::Lt, "day", &["2026-11-24"])
                .unwrap()
                .contains("Date32")
        );
        assert_eq!(check(Operator::In, "Count", &[]).unwrap(), "Boolean(false)");
    }

    #[test]
    fn a_filter_that_does_not_fit_the_table_is_refused() {
        for (operator, column, values) in [
            (Operator::Eq, "Count", &["five"][..]),
            (Operator::Eq, "Count", &[""][..]),
            (Operator::Eq, "count", &["5"][..]),
            (Operator::Eq, "Count", &["5", "6"][..]),
            (Operator::Lt, "Count", &[][..]),
        ] {
            assert!(
                check(operator, column, values).is_err(),
                "{column} {values:?}"
            );
        }
    }
}
