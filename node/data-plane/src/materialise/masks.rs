//! What is done to values before they leave: one mask, one column, one batch.
//!
//! It does not choose masks: the permit's obligations do.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray, new_null_array};
use arrow::compute::kernels::cast::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use crypto::digest::{hkdf_sm3, hmac_sm3};
use crypto::{Digest, Zeroizing};
use datafusion::common::ScalarValue;
use schemas::GrantId;
use schemas::decision::Mask;

use crate::Error;

/// The key of keyed hashes under one grant; wiped on drop.
pub(crate) struct MaskKey(Zeroizing<[u8; Digest::BYTES]>);

impl MaskKey {
    /// Derives the grant's key from the node's secret, so that equal values stay equal within one
    /// grant and tell nothing across two.
    pub(crate) fn derive(secret: &[u8], grant: Option<&GrantId>) -> Result<Self, Error> {
        let grant = grant.map_or("", GrantId::as_str);
        let info = format!("kouan/v1/mask-key\n{grant}");
        let mut key = Zeroizing::new([0; Digest::BYTES]);
        hkdf_sm3(secret, b"", info.as_bytes(), &mut *key).map_err(|source| Error::Record {
            what: "derive a mask key",
            why: source.to_string(),
        })?;
        Ok(Self(key))
    }

    /// SM3 of the key, to tell artefacts under two keys apart. It gives 256 random bits away to
    /// nobody.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&*self.0)
    }
}

/// The masks of one artefact, checked against its columns.
pub(crate) struct Masking {
    key: MaskKey,
    /// One place a column, in order.
    masks: Vec<Option<Mask>>,
    schema: SchemaRef,
}

impl Masking {
    /// Fixes what the columns look like after masking.
    ///
    /// # Errors
    /// [`Error::Record`] when a mask names no column or cannot be applied to the column's type.
    pub(crate) fn new(
        key: MaskKey,
        masks: &BTreeMap<String, Mask>,
        before: &Schema,
    ) -> Result<Self, Error> {
        let mut fields = Vec::with_capacity(before.fields().len());
        let mut by_place = Vec::with_capacity(before.fields().len());
        for field in before.fields() {
            let mask = masks.get(field.name());
            let data_type = match mask {
                None => field.data_type().clone(),
                Some(mask) => masked_type(field, mask)?,
            };
            let nullable = field.is_nullable() || mask == Some(&Mask::Null);
            fields.push(Field::new(field.name(), data_type, nullable));
            by_place.push(mask.cloned());
        }
        if let Some(stray) = masks.keys().find(|name| before.index_of(name).is_err()) {
            return Err(refuse(stray, "the column is not among those that leave"));
        }
        Ok(Self {
            key,
            masks: by_place,
            schema: Arc::new(Schema::new(fields)),
        })
    }

    /// The columns after masking.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Applies every mask to one batch.
    pub(crate) fn apply(&self, batch: &RecordBatch) -> Result<RecordBatch, Error> {
        let failed = Error::columns("mask a batch");
        let mut columns = Vec::with_capacity(batch.num_columns());
        for ((column, mask), field) in batch
            .columns()
            .iter()
            .zip(&self.masks)
            .zip(self.schema.fields())
        {
            let masked = match mask {
                None => Ok(Arc::clone(column)),
                Some(mask) => self.mask(column, mask, field.data_type()),
            };
            match masked {
                Ok(masked) => columns.push(masked),
                Err(source) => return Err(failed(source)),
            }
        }
        let options =
            arrow::record_batch::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(failed)
    }

    fn mask(&self, column: &ArrayRef, mask: &Mask, to: &DataType) -> Result<ArrayRef, ArrowError> {
        match mask {
            Mask::Null => Ok(new_null_array(to, column.len())),
            Mask::KeyedHash => texts(column, |text| {
                hmac_sm3(&*self.key.0, text.as_bytes()).to_string()
            }),
            Mask::Truncate { keep_chars } => {
                let keep = usize::try_from(*keep_chars).unwrap_or(usize::MAX);
                texts(column, |text| {
                    text.chars().take(keep).chain(['*']).collect()
                })
            }
            Mask::Generalise { step } => generalise(column, *step),
        }
    }
}

/// What a masked column holds, or why it cannot be masked so.
fn masked_type(field: &Field, mask: &Mask) -> Result<DataType, Error> {
    match mask {
        Mask::Null => Ok(field.data_type().clone()),
        Mask::KeyedHash | Mask::Truncate { .. } => Ok(DataType::Utf8),
        Mask::Generalise { step: 0 } => Err(refuse(field.name(), "a step of 0 rounds to nothing")),
        Mask::Generalise { .. } if can_generalise(field.data_type()) => {
            Ok(field.data_type().clone())
        }
        Mask::Generalise { .. } => Err(refuse(
            field.name(),
            "only numbers and dates can be generalised; use another mask",
        )),
    }
}

fn can_generalise(data_type: &DataType) -> bool {
    data_type.is_integer()
        || data_type.is_floating()
        || matches!(
            data_type,
            DataType::Date32 | DataType::Timestamp(..) | DataType::Decimal128(..)
        )
}

fn refuse(column: &str, why: &str) -> Error {
    Error::Record {
        what: "mask a column",
        why: format!("{column}: {why}"),
    }
}

/// Rewrites the text of every value; a null stays one.
fn texts(column: &ArrayRef, rewrite: impl Fn(&str) -> String) -> Result<ArrayRef, ArrowError> {
    let text = cast(column, &DataType::Utf8)?;
    let text = text
        .as_any()
        .downcast_ref::<StringArray>()
        .ok_or_else(|| ArrowError::CastError("text was expected".to_owned()))?;
    let rewritten: StringArray = text.iter().map(|value| value.map(&rewrite)).collect();
    Ok(Arc::new(rewritten))
}

/// Rounds numbers down to a multiple of `step`; of dates and instants the month is kept.
fn generalise(column: &ArrayRef, step: u64) -> Result<ArrayRef, ArrowError> {
    let step = i64::try_from(step).unwrap_or(i64::MAX);
    match column.data_type() {
        DataType::Date32 => {
            let days = cast(&cast(column, &DataType::Int32)?, &DataType::Int64)?;
            let months = whole(&days, first_of_month)?;
            cast(&cast(&months, &DataType::Int32)?, &DataType::Date32)
        }
        DataType::Timestamp(unit, _) => {
            let per_day = match unit {
                arrow::datatypes::TimeUnit::Second => 86_400,
                arrow::datatypes::TimeUnit::Millisecond => 86_400_000,
                arrow::datatypes::TimeUnit::Microsecond => 86_400_000_000,
                arrow::datatypes::TimeUnit::Nanosecond => 86_400_000_000_000,
            };
            let ticks = cast(column, &DataType::Int64)?;
            let months = whole(&ticks, |tick| {
                first_of_month(tick.div_euclid(per_day)).saturating_mul(per_day)
            })?;
            cast(&months, column.data_type())
        }
        DataType::Decimal128(_, scale) => {
            let scale = u32::try_from(*scale).unwrap_or(0);
            let step = i128::from(step).saturating_mul(10_i128.saturating_pow(scale));
            one_by_one(column, |value| match value {
                ScalarValue::Decimal128(Some(it), precision, scale) => ScalarValue::Decimal128(
                    Some(it.div_euclid(step).saturating_mul(step)),
                    precision,
                    scale,
                ),
                other => other,
            })
        }
        data_type if data_type.is_floating() => {
            let values = cast(column, &DataType::Float64)?;
            // The step came as an integer far below 2^53 in every sensible grant.
            let step = ScalarValue::from(step).cast_to(&DataType::Float64);
            let Ok(ScalarValue::Float64(Some(step))) = step else {
                return Err(ArrowError::CastError("the step is no number".to_owned()));
            };
            let rounded = one_by_one(&values, |value| match value {
                ScalarValue::Float64(Some(it)) => {
                    ScalarValue::Float64(Some((it / step).floor() * step))
                }
                other => other,
            })?;
            cast(&rounded, column.data_type())
        }
        data_type => {
            let rounded = whole(&cast(column, &DataType::Int64)?, |value| {
                value.div_euclid(step).saturating_mul(step)
            })?;
            cast(&rounded, data_type)
        }
    }
}

fn whole(column: &ArrayRef, round: impl Fn(i64) -> i64) -> Result<ArrayRef, ArrowError> {
    let values = column
        .as_any()
        .downcast_ref::<Int64Array>()
        .ok_or_else(|| ArrowError::CastError("whole numbers were expected".to_owned()))?;
    let rounded: Int64Array = values.iter().map(|value| value.map(&round)).collect();
    Ok(Arc::new(rounded))
}

/// For the rare types: value by value, through the library's own scalar.
fn one_by_one(
    column: &ArrayRef,
    round: impl Fn(ScalarValue) -> ScalarValue,
) -> Result<ArrayRef, ArrowError> {
    if column.is_empty() {
        return Ok(Arc::clone(column));
    }
    let failed =
        |source: datafusion::error::DataFusionError| ArrowError::ExternalError(Box::new(source));
    let mut values = Vec::with_capacity(column.len());
    for at in 0..column.len() {
        values.push(round(
            ScalarValue::try_from_array(column, at).map_err(failed)?,
        ));
    }
    ScalarValue::iter_to_array(values).map_err(failed)
}

/// The first day of a day's month, both in days since 1970-01-01: civil calendar arithmetic after
/// H. Hinnant, "chrono-compatible low-level date algorithms".
fn first_of_month(day: i64) -> i64 {
    let shifted = day.saturating_add(719_468);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5;
    day.saturating_sub(day_of_month)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Date32Array, Float64Array, Int32Array, TimestampMillisecondArray};

    fn masked(column: ArrayRef, mask: Mask) -> Result<ArrayRef, Error> {
        let field = Field::new("c", column.data_type().clone(), true);
        let schema = Arc::new(Schema::new(vec![field]));
        let key = MaskKey::derive(b"secret", Some(&GrantId::parse("g-1").unwrap()))?;
        let masking = Masking::new(key, &BTreeMap::from([("c".to_owned(), mask)]), &schema)?;
        let batch = RecordBatch::try_new(schema, vec![column]).unwrap();
        Ok(Arc::clone(masking.apply(&batch)?.column(0)))
    }

    fn text(values: &[Option<&str>]) -> ArrayRef {
        Arc::new(StringArray::from(values.to_vec()))
    }

    fn check(column: ArrayRef, mask: Mask, expected: &ArrayRef) {
        assert_eq!(&masked(column, mask).unwrap(), expected);
    }

    #[test]
    fn a_truncated_value_keeps_its_first_characters_and_hides_its_length() {
        let before = text(&[Some("粤B12345"), Some("粤"), None]);
        let after = text(&[Some("粤B*"), Some("粤*"), None]);
        check(before, Mask::Truncate { keep_chars: 2 }, &after);
    }

    #[test]
    fn a_number_is_rounded_down_and_a_date_becomes_the_first_of_its_month() {
        let step = |step| Mask::Generalise { step };
        let ints: ArrayRef = Arc::new(Int32Array::from(vec![Some(-1), Some(0), Some(27), None]));
        let tens: ArrayRef = Arc::new(Int32Array::from(vec![Some(-10), Some(0), Some(20), None]));
        check(ints, step(10), &tens);
        let floats: ArrayRef = Arc::new(Float64Array::from(vec![Some(7.5), None]));
        let fives: ArrayRef = Arc::new(Float64Array::from(vec![Some(5.0), None]));
        check(floats, step(5), &fives);
        // 2024-02-29 is day 19,782 and 1969-12-31 is day -1.
        let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(19_782), Some(-1), None]));
        let firsts: ArrayRef = Arc::new(Date32Array::from(vec![Some(19_754), Some(-31), None]));
        check(days, step(1), &firsts);
        let at: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![
            19_782 * 86_400_000 + 5,
        ]));
        let first: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![19_754 * 86_400_000]));
        check(at, step(1), &first);
    }

    #[test]
    fn a_keyed_hash_is_equal_for_equal_values_of_one_grant_only() {
        let before = text(&[Some("a"), Some("a"), Some("b"), None]);
        let one = masked(before, Mask::KeyedHash).unwrap();
        let one = one.as_any().downcast_ref::<StringArray>().unwrap();
        assert_eq!(one.value(0), one.value(1));
        assert_ne!(one.value(0), one.value(2));
        assert!(one.is_null(3));
        let other = MaskKey::derive(b"secret", Some(&GrantId::parse("g-2").unwrap())).unwrap();
        assert_ne!(one.value(0), hmac_sm3(&*other.0, b"a").to_string());
    }

    #[test]
    fn a_mask_that_cannot_hold_is_refused_before_a_row_is_read() {
        for mask in [Mask::Generalise { step: 5 }, Mask::Generalise { step: 0 }] {
            assert!(masked(text(&[Some("x")]), mask).is_err());
        }
        check(text(&[Some("x")]), Mask::Null, &text(&[None]));
    }
}
