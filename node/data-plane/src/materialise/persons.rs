//! Who is in the rows that would leave: each row's persons, handed to the gate's count.
//!
//! It writes nothing and shows nothing: what it reads goes into keyed hashes and nowhere else. Rows
//! are filtered and limited as they would leave, and not masked: a masked person is one still.
//!
//! A person is told apart by the citizen identity number (GB 11643-1999) in the row, wherever the
//! data standard has a column of that format, whether or not the column leaves. Where there is
//! none, or it is empty, the row counts as a person of its own: who cannot be shown to be the same
//! is counted as another, which is the stricter way.

use arrow::array::{Array as _, ArrayRef, RecordBatch, StringArray};
use arrow::compute::kernels::cast::cast;
use arrow::datatypes::DataType;
use enforcement::MeasurePermit;
use enforcement::counters::{Count, Flags, Person};
use futures::StreamExt as _;
use schemas::dataset::DatasetVersion;
use schemas::decision::Obligations;
use schemas::format::Format;
use schemas::standard::DataStandard;
use schemas::validate::RowSchema;

use super::rows::{Source, context, query, scan};
use crate::Error;

/// The columns of a standard that tell persons apart.
///
/// # Errors
/// [`Error::Standard`] when the standard does not compile.
pub(crate) fn identities(standard: &DataStandard) -> Result<Vec<String>, Error> {
    let schema = RowSchema::compile(standard).map_err(|source| Error::Standard {
        why: source.to_string(),
    })?;
    let is_identity =
        |it: &&schemas::validate::Field| it.constraints.format == Some(Format::CitizenId);
    let found = schema.fields().iter().filter(is_identity);
    Ok(found.map(|it| it.name.clone()).collect())
}

/// Counts the persons of the rows that `permit` would let leave.
///
/// # Errors
/// [`Error::Query`], [`Error::Columns`]; [`Error::Record`] when the obligations do not fit the
/// table or there are more persons than one batch may have.
pub(super) async fn count(
    source: &Source,
    permit: &MeasurePermit,
    version: &DatasetVersion,
    identities: &[String],
    count: &mut Count,
) -> Result<(), Error> {
    let columns = Columns::of(source, permit, identities);
    let obligations = Obligations {
        columns: columns.names(),
        ..permit.obligations().clone()
    };
    let context = context();
    let mut left = obligations.rows_max;
    let mut row: u64 = 0;
    for file in &source.files {
        let most = left.map(|left| usize::try_from(left).unwrap_or(usize::MAX));
        let rows = scan(&context, file, source, &obligations, most).await?;
        let mut stream = rows.execute_stream().await.map_err(query)?;
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(query)?;
            columns.take(&batch, (version, row), count)?;
            let taken = u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
            row = row.saturating_add(taken);
            left = left.map(|left| left.saturating_sub(taken));
        }
    }
    Ok(())
}

/// Which columns are looked at, each for what.
struct Columns {
    identities: Vec<String>,
    personal: Vec<String>,
    sensitive: Vec<String>,
}

impl Columns {
    fn of(source: &Source, permit: &MeasurePermit, identities: &[String]) -> Self {
        let is_there = |name: &&String| source.schema.field_with_name(name).is_ok();
        Self {
            identities: identities.iter().filter(is_there).cloned().collect(),
            personal: permit.duty().personal.clone(),
            sensitive: permit.duty().sensitive.clone(),
        }
    }

    /// All of them, each once, in the order in which [`Self::take`] finds them.
    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self
            .identities
            .iter()
            .chain(&self.personal)
            .chain(&self.sensitive)
        {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    fn take(
        &self,
        batch: &RecordBatch,
        (version, first): (&DatasetVersion, u64),
        count: &mut Count,
    ) -> Result<(), Error> {
        let named = |names: &[String]| -> Vec<ArrayRef> {
            let found = names.iter().filter_map(|name| batch.column_by_name(name));
            found.cloned().collect()
        };
        let (personal, sensitive) = (named(&self.personal), named(&self.sensitive));
        let identities = named(&self.identities)
            .iter()
            .map(texts)
            .collect::<Result<Vec<StringArray>, Error>>()?;
        let mut ids: Vec<(String, Flags)> = Vec::with_capacity(batch.num_rows());
        for at in 0..batch.num_rows() {
            let holds = |columns: &[ArrayRef], flags| {
                if columns.iter().any(|it| it.is_valid(at)) {
                    flags
                } else {
                    Flags::NONE
                }
            };
            let kinds = holds(&personal, Flags::PERSONAL).and(holds(&sensitive, Flags::SENSITIVE));
            let before = ids.len();
            let named = identities.iter().filter(|it| it.is_valid(at));
            ids.extend(named.map(|it| {
                let number = it.value(at).trim().to_ascii_uppercase();
                (format!("citizen-id\n{number}"), kinds)
            }));
            if ids.len() == before {
                let row = first.saturating_add(u64::try_from(at).unwrap_or(u64::MAX));
                let (dataset, number) = (&version.dataset, version.number);
                ids.push((format!("row\n{dataset}\n{number}\n{row}"), kinds));
            }
        }
        let persons: Vec<Person<'_>> = ids
            .iter()
            .map(|(id, kinds)| Person {
                id: id.as_bytes(),
                kinds: *kinds,
            })
            .collect();
        count.take(&persons).map_err(|fault| Error::Record {
            what: "count persons",
            why: fault.to_string(),
        })
    }
}

fn texts(column: &ArrayRef) -> Result<StringArray, Error> {
    let failed = Error::columns("count persons");
    let text = match cast(column, &DataType::Utf8) {
        Ok(text) => text,
        Err(source) => return Err(failed(source)),
    };
    let text = text.as_any().downcast_ref::<StringArray>().cloned();
    text.ok_or_else(|| Error::Record {
        what: "count persons",
        why: "an identity column holds no text".to_owned(),
    })
}
