//! Measures how fast a file becomes a version: `ingest_rate FILE STANDARD [WORKERS]`, where
//! STANDARD is a shipped standard's name or a file with a data standard as JSON.

#![expect(clippy::print_stdout, reason = "it prints what it measured")]

use std::error::Error;
use std::path::Path;

use data_plane::measure::measure;
use schemas::shipped;
use schemas::standard::DataStandard;

fn standard(name: &str) -> Result<DataStandard, Box<dyn Error>> {
    let shipped = shipped::standards()?;
    match shipped
        .into_iter()
        .find(|it| it.edition.standard.as_str() == name)
    {
        Some(standard) => Ok(standard),
        None => Ok(serde_json::from_slice(&std::fs::read(name)?)?),
    }
}

/// Largest resident memory so far, in KiB, as Linux counts it.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().strip_suffix(" kB"))
        .and_then(|kib| kib.trim().parse().ok())
        .unwrap_or_default()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(name)) = (arguments.next(), arguments.next()) else {
        return Err("usage: ingest_rate FILE STANDARD [WORKERS]".into());
    };
    let workers = arguments.next().map_or(Ok(2), |text| text.parse())?;
    let dir = tempfile::tempdir_in(".")?;
    let measured = measure(
        Path::new(&file),
        &standard(&name)?,
        &[],
        dir.path(),
        workers,
    )
    .await?;
    let rows = measured.rows + measured.quarantined_rows;
    let seconds = (measured.ingest + measured.commit).as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = rows as f64 / seconds;
    println!(
        "rows            {rows} ({} kept out)",
        measured.quarantined_rows
    );
    println!("parquet bytes   {}", measured.bytes);
    println!("ingest          {:.2} s", measured.ingest.as_secs_f64());
    println!("commit          {:.3} s", measured.commit.as_secs_f64());
    println!("rows a second   {rate:.0}");
    println!("peak memory     {} MiB", peak_kib() / 1_024);
    Ok(())
}
