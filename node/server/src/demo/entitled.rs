//! What a grant gives of real customs declarations, and what it does not: some columns and rows
//! leave masked, nothing crosses the border, and a revoked grant gives nothing.
//!
//! It does not look into the consumer's table; the conformance tests do.

use std::collections::BTreeMap;
use std::time::Instant;

use jobs::JobOutcome;
use schemas::code::ReasonCode;
use schemas::dataset::Dataset;
use schemas::decision::{Mask, Operator, Predicate, RowFilter};
use schemas::{GrantId, Jurisdiction};

use super::agency::Wish;
use super::real::{Agencies, purpose, served};
use super::story::{broken, ended, leaves};
use super::teller::{Teller, grouped};
use crate::Error;

/// The dataset that has something to mask.
const DATASET: &str = "customs-declarations";

/// Columns that statistics need, and the importer to tell declarations apart by.
const WANTED: [&str; 5] = [
    "declaration_id",
    "office_id",
    "importer_id",
    "hs6_code",
    "country_of_origin",
];

/// A narrow grant, the border, a revocation; a sentence where the dataset is not there.
pub(super) fn tell(
    teller: &Teller,
    agencies: &Agencies<'_>,
    published: &[Dataset],
) -> Result<(), Error> {
    let Some(dataset) = published.iter().find(|it| it.id.as_str() == DATASET) else {
        teller.line("real-no-customs", &[]);
        return Ok(());
    };
    let grant = narrow(teller, agencies, dataset)?;
    teller.step("real-border", &[]);
    let wish = wish("r-customs-abroad", dataset, Jurisdiction::HONG_KONG);
    let parties = (&agencies.guangzhou, &agencies.shenzhen);
    // Nothing personal in it and no purpose of trade: the rule for all the rest lets it pass.
    leaves(teller, parties, dataset, &wish, ReasonCode::X18)?;
    revoked(teller, agencies, &grant)
}

fn wish<'a>(id: &'a str, dataset: &'a Dataset, destination: Jurisdiction) -> Wish<'a> {
    let rows = RowFilter {
        all: vec![Predicate {
            column: "country_of_origin".to_owned(),
            operator: Operator::In,
            values: vec!["CN".to_owned(), "US".to_owned()],
        }],
    };
    Wish {
        id,
        dataset: &dataset.id,
        purpose: purpose(),
        columns: Some(WANTED.map(str::to_owned).into()),
        rows,
        destination,
    }
}

fn narrow(teller: &Teller, agencies: &Agencies<'_>, dataset: &Dataset) -> Result<GrantId, Error> {
    let (provider, consumer) = (&agencies.guangzhou, &agencies.shenzhen);
    teller.step("narrow", &[]);
    let wish = wish("r-customs-narrow", dataset, Jurisdiction::MAINLAND);
    let request = consumer.ask(&wish)?;
    let masks = BTreeMap::from([
        ("importer_id".to_owned(), Mask::KeyedHash),
        ("hs6_code".to_owned(), Mask::Truncate { keep_chars: 2 }),
    ]);
    let grant = provider.agree(dataset, &request.id, masks)?;
    let begun = Instant::now();
    let job = consumer.fetch(&grant, "demo-customs-narrow")?;
    let took = begun.elapsed();
    let Some(JobOutcome::Transferred { rows, .. }) = &job.outcome else {
        return Err(ended("narrow grant", &job));
    };
    let served = served(provider, dataset)?;
    teller.line(
        "narrowed",
        &[
            ("grant", grant.to_string()),
            ("columns", WANTED.len().to_string()),
            ("all", dataset.columns.len().to_string()),
            ("rows", grouped(*rows)),
            ("served", grouped(served)),
            ("seconds", format!("{:.2}", took.as_secs_f64())),
        ],
    );
    if *rows == 0 || *rows >= served {
        let why = format!("{rows} of {served} rows left");
        return Err(broken("narrow grant", why));
    }
    Ok(grant)
}

/// The grant that gave rows a moment ago gives none once it is revoked.
fn revoked(teller: &Teller, agencies: &Agencies<'_>, grant: &GrantId) -> Result<(), Error> {
    let (provider, consumer) = (&agencies.guangzhou, &agencies.shenzhen);
    teller.step("real-revoked", &[]);
    provider.revoke(grant, "线索核查：停止提供")?;
    let job = consumer.fetch(grant, "demo-customs-revoked")?;
    let Some(failure) = &job.failure else {
        return Err(broken("revoked grant", "it gave rows"));
    };
    teller.line("refused", &[("detail", failure.detail.clone())]);
    if !failure.detail.contains("REVOKED") {
        let why = "the refusal does not say that the grant was revoked";
        return Err(broken("revoked grant", why));
    }
    Ok(())
}
