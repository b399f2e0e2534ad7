//! The main job on real files: every shipped description that names a file is published, and every
//! row is accounted for.
//!
//! It does not copy the files.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use jobs::JobOutcome;
use schemas::Jurisdiction;
use schemas::dataset::Dataset;
use schemas::decision::RowFilter;
use schemas::request::Purpose;

use super::agency::{Agency, Wish};
use super::story::{broken, ended};
use super::teller::{Teller, grouped, megabytes, rate};
use crate::Error;
use crate::federation::Federation;

/// Publishes every real file at Guangzhou, and transfers each to Shenzhen.
pub(super) fn tell(
    teller: &Teller,
    federation: &Federation,
    data: &Path,
    _dir: &Path,
) -> Result<(), Error> {
    let province = Agency::open(federation, 0)?;
    let guangzhou = Agency::open(federation, 1)?;
    let shenzhen = Agency::open(federation, 2)?;
    let standards = schemas::shipped::standards()?;
    teller.step("real", &[("dir", data.display().to_string())]);
    let mut published = Vec::new();
    for described in schemas::shipped::datasets()? {
        let Some(source) = described.source.clone() else {
            continue;
        };
        let file = data.join(&source.path);
        if !file.is_file() {
            return Err(broken(
                "real files",
                format!("{} is not there", file.display()),
            ));
        }
        let standard = standards
            .iter()
            .find(|it| it.edition == described.standard)
            .ok_or_else(|| broken("real files", "a standard is missing"))?;
        let dataset = guangzhou.describe(&province, standard, described)?;
        publish(teller, &guangzhou, &dataset, &file, source.rows_total)?;
        published.push(dataset);
    }
    teller.step("real-transfer", &[]);
    for dataset in &published {
        transfer(teller, &guangzhou, &shenzhen, dataset)?;
    }
    Ok(())
}

fn publish(
    teller: &Teller,
    guangzhou: &Agency<'_>,
    dataset: &Dataset,
    file: &Path,
    expected: u64,
) -> Result<(), Error> {
    let begun = Instant::now();
    let job = guangzhou.publish(&dataset.id, file)?;
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
            ("expected", grouped(expected)),
            ("stored", megabytes(*bytes)),
            ("seconds", format!("{:.2}", took.as_secs_f64())),
        ],
    );
    if rows + quarantined_rows != expected {
        let found = rows + quarantined_rows;
        return Err(broken(
            "real files",
            format!("{found} rows came in, the index says {expected}"),
        ));
    }
    Ok(())
}

fn transfer(
    teller: &Teller,
    guangzhou: &Agency<'_>,
    shenzhen: &Agency<'_>,
    dataset: &Dataset,
) -> Result<(), Error> {
    let id = format!("r-{}", dataset.id);
    let request = shenzhen.ask(&Wish {
        id: &id,
        dataset: &dataset.id,
        purpose: Purpose {
            code: "port-statistics".to_owned(),
            text: "口岸运行监测".to_owned(),
        },
        columns: None,
        rows: RowFilter::default(),
        destination: Jurisdiction::MAINLAND,
    })?;
    let grant = guangzhou.agree(dataset, &request.id, BTreeMap::new())?;
    let begun = Instant::now();
    let job = shenzhen.fetch(&grant, &format!("demo-{id}"))?;
    let took = begun.elapsed();
    let Some(JobOutcome::Transferred { rows, bytes, .. }) = &job.outcome else {
        return Err(ended("real transfer", &job));
    };
    let view = guangzhou.member.running()?.catalog().view();
    let served = view
        .latest_version(&dataset.id)
        .map_or(0, |it| it.body.rows);
    if *rows != served {
        return Err(broken(
            "real transfer",
            format!("{rows} of {served} rows arrived"),
        ));
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
