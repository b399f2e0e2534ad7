//! The main job on real files: every shipped description whose file is there is published, every
//! row is accounted for, and what must not happen to real rows does not.
//!
//! It does not copy the files, and a file that is not there is named and left out.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use jobs::{Job, JobOutcome};
use schemas::Jurisdiction;
use schemas::dataset::Dataset;
use schemas::decision::RowFilter;
use schemas::request::Purpose;
use schemas::shipped::Expected;
use serde_json::Value;

use super::agency::{Agency, Wish};
use super::story::{broken, ended};
use super::teller::{Teller, grouped, megabytes, rate};
use super::{dirty, entitled};
use crate::Error;
use crate::federation::Federation;

/// Who plays: the authority, the provider and the consumer.
pub(super) struct Agencies<'a> {
    pub(super) province: Agency<'a>,
    pub(super) guangzhou: Agency<'a>,
    pub(super) shenzhen: Agency<'a>,
}

/// Publishes every real file at Guangzhou, transfers each to Shenzhen, and shows the limits.
pub(super) fn tell(
    teller: &Teller,
    federation: &Federation,
    data: &Path,
    dir: &Path,
) -> Result<(), Error> {
    let agencies = Agencies {
        province: Agency::open(federation, 0)?,
        guangzhou: Agency::open(federation, 1)?,
        shenzhen: Agency::open(federation, 2)?,
    };
    teller.step("real", &[("dir", data.display().to_string())]);
    let published = publish_all(teller, &agencies, data)?;
    teller.step("real-transfer", &[]);
    for dataset in &published {
        transfer(teller, &agencies, dataset)?;
    }
    entitled::tell(teller, &agencies, &published)?;
    dirty::tell(teller, &agencies, data, dir)
}

fn publish_all(
    teller: &Teller,
    agencies: &Agencies<'_>,
    data: &Path,
) -> Result<Vec<Dataset>, Error> {
    let (provider, authority) = (&agencies.guangzhou, &agencies.province);
    let standards = schemas::shipped::standards()?;
    let expectations = schemas::shipped::expectations()?;
    let mut published = Vec::new();
    for described in schemas::shipped::datasets()? {
        // What ships without a source is generated.
        let Some(expected) = expectations.iter().find(|it| it.dataset == described.id) else {
            continue;
        };
        let file = data.join(&expected.file);
        if !file.is_file() {
            teller.line("real-missing", &[("file", expected.file.clone())]);
            continue;
        }
        let standard = standards
            .iter()
            .find(|it| it.edition == described.standard)
            .ok_or_else(|| broken("real files", "a standard is missing"))?;
        let dataset = provider.describe(authority, standard, described)?;
        publish(teller, provider, &dataset, &file, expected)?;
        published.push(dataset);
    }
    if published.is_empty() {
        let why = format!("none of the described files is in {}", data.display());
        return Err(broken("real files", why));
    }
    Ok(published)
}

fn publish(
    teller: &Teller,
    provider: &Agency<'_>,
    dataset: &Dataset,
    file: &Path,
    expected: &Expected,
) -> Result<(), Error> {
    let begun = Instant::now();
    let job = provider.publish(&dataset.id, file)?;
    let took = begun.elapsed();
    let Some(JobOutcome::Published {
        rows,
        quarantined_rows,
        bytes,
        ..
    }) = &job.outcome
    else {
        return Err(ended("real files", &job));
    };
    teller.line(
        "real-published",
        &[
            ("title", dataset.title.zh.clone()),
            ("id", dataset.id.to_string()),
            ("rows", grouped(*rows)),
            ("quarantined", grouped(*quarantined_rows)),
            ("expected", grouped(expected.rows)),
            ("stored", megabytes(*bytes)),
            ("seconds", format!("{:.2}", took.as_secs_f64())),
        ],
    );
    let right = (expected.rows - expected.quarantined, expected.quarantined);
    if (*rows, *quarantined_rows) != right {
        let why = format!("{right:?} rows should be published and kept out");
        return Err(broken("real files", why));
    }
    if *quarantined_rows > 0 {
        let arguments = [
            ("rows", grouped(*quarantined_rows)),
            ("id", dataset.id.to_string()),
        ];
        teller.line("kept-out", &arguments);
        reasons(teller, provider, &job)?;
    }
    Ok(())
}

/// The first rows that a job kept out, with the reasons, as the provider's steward reads them.
pub(super) fn reasons(teller: &Teller, provider: &Agency<'_>, job: &Job) -> Result<(), Error> {
    let path = format!("/jobs/{}/quarantine?limit=3", job.id);
    let page: Value = provider.steward.get_rows(&path)?;
    let items = page["items"].as_array().map_or(&[][..], Vec::as_slice);
    if items.is_empty() {
        return Err(broken("quarantine", "no row with reasons is to be seen"));
    }
    for item in items {
        let finding = &item["findings"][0];
        let text = |name: &str| finding[name].as_str().unwrap_or("-").to_owned();
        teller.fact(&format!(
            "row {}  {}  {}  {}  {}",
            item["row"],
            text("field"),
            text("rule"),
            text("value"),
            text("why"),
        ));
    }
    Ok(())
}

/// What the declarations and counts are wanted for.
pub(super) fn purpose() -> Purpose {
    Purpose {
        code: "port-statistics".to_owned(),
        text: "口岸运行监测".to_owned(),
    }
}

fn transfer(teller: &Teller, agencies: &Agencies<'_>, dataset: &Dataset) -> Result<(), Error> {
    let (provider, consumer) = (&agencies.guangzhou, &agencies.shenzhen);
    let id = format!("r-{}", dataset.id);
    let request = consumer.ask(&Wish {
        id: &id,
        dataset: &dataset.id,
        purpose: purpose(),
        columns: None,
        rows: RowFilter::default(),
        destination: Jurisdiction::MAINLAND,
    })?;
    let grant = provider.agree(dataset, &request.id, BTreeMap::new())?;
    let begun = Instant::now();
    let job = consumer.fetch(&grant, &format!("demo-{id}"))?;
    let took = begun.elapsed();
    let Some(JobOutcome::Transferred { rows, bytes, .. }) = &job.outcome else {
        return Err(ended("real transfer", &job));
    };
    let served = served(provider, dataset)?;
    if *rows != served {
        let why = format!("{rows} of {served} rows arrived");
        return Err(broken("real transfer", why));
    }
    teller.line(
        "real-transferred",
        &[
            ("id", dataset.id.to_string()),
            ("grade", dataset.grade.to_string()),
            ("rows", grouped(*rows)),
            ("size", megabytes(*bytes)),
            ("rate", rate(*bytes, took)),
        ],
    );
    Ok(())
}

/// Rows of the version that the provider serves.
pub(super) fn served(provider: &Agency<'_>, dataset: &Dataset) -> Result<u64, Error> {
    let view = provider.member.running()?.catalog().view();
    let latest = view.latest_version(&dataset.id);
    Ok(latest.map_or(0, |it| it.body.rows))
}
