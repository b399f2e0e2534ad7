//! Port traffic of one terminal, generated from a seed: realistic identifiers with right check
//! digits, and a few faults of the kinds that real files have.
//!
//! It does not read a clock: the same seed gives the same bytes.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use rand::{Rng, RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use schemas::Timestamp;
use schemas::format::Format;

use crate::Error;

/// Columns of the data standard `port-traffic`, in its order.
const HEADER: &str = "call_id,port,customs_office,mmsi,imo,vessel_name,flag,previous_port,\
    arrived_at,departed_at,operation,container,size_type,teu,hs_code,gross_mass,agent_name,\
    agent_uscc,contact_name,contact_id";

/// Containers moved in one call of a vessel.
const CONTAINERS_PER_CALL: u64 = 400;

/// 2026-11-01T00:00:00Z: calls follow each other from here.
const FIRST_ARRIVAL_MS: i64 = 1_793_491_200_000;

const VESSELS: &[(&str, &str)] = &[
    ("XIN HAI TONG 7", "CN"),
    ("PEARL RIVER STAR", "HK"),
    ("NANSHA EXPRESS", "PA"),
    ("COSCO GUANGZHOU", "CN"),
    ("MSC LANTAU", "LR"),
    ("EVER DELTA", "SG"),
];
const PORTS: &[&str] = &["CNNSA", "CNGGZ", "CNYTN", "CNSHK"];
const PREVIOUS: &[&str] = &["SGSIN", "VNSGN", "KRPUS", "JPTYO", "MYPKG", "CNSHA"];
const SURNAMES: &[&str] = &["陈", "李", "黄", "张", "梁", "吴", "刘", "林"];
const GIVEN: &[&str] = &["志强", "丽华", "建国", "晓敏", "伟", "静", "嘉豪", "淑芬"];
const AGENTS: &[&str] = &[
    "南沙船务代理有限公司",
    "广州外轮代理有限公司",
    "蛇口船务代理有限公司",
];
const GOODS: &[&str] = &[
    "851712", "847130", "640399", "940360", "870829", "610910", "390120",
];

/// What is wrong with a generated file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Faults {
    /// About one row in two thousand breaks a rule.
    Few,
    /// About one row in ten does, as when a column was shifted.
    Many,
}

/// Writes `rows` rows to `path`; returns how many of them break a rule of the data standard.
///
/// # Errors
/// [`Error::File`] when the file cannot be written.
pub(super) fn port_traffic(
    path: &Path,
    seed: u64,
    rows: u64,
    faults: Faults,
) -> Result<u64, Error> {
    let wrong = |e: std::io::Error| Error::File {
        what: "generated file",
        path: path.to_owned(),
        why: e.to_string(),
    };
    let mut out = BufWriter::new(File::create(path).map_err(wrong)?);
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let people = People::new(&mut random);
    writeln!(out, "{HEADER}").map_err(wrong)?;
    let mut line = String::with_capacity(256);
    let mut faulty = 0;
    for row in 0..rows {
        line.clear();
        let fault = match faults {
            Faults::Few => row % 2_003 == 1_000,
            Faults::Many => row % 10 == 3,
        };
        write_row(&mut line, row, &people, &mut random, fault);
        faulty += u64::from(fault);
        out.write_all(line.as_bytes()).map_err(wrong)?;
    }
    out.flush().map_err(wrong)?;
    Ok(faulty)
}

/// Identifiers that repeat from row to row.
struct People {
    imo: Vec<String>,
    uscc: Vec<String>,
    contacts: Vec<(String, String)>,
}

impl People {
    fn new(random: &mut ChaCha8Rng) -> Self {
        let imo = VESSELS
            .iter()
            .map(|_| {
                checked(
                    Format::Imo,
                    &format!("9{:05}", random.random_range(0..100_000_u32)),
                )
            })
            .collect();
        let uscc = AGENTS
            .iter()
            .map(|_| {
                let body = format!(
                    "9144010{}MA5{:06}",
                    1,
                    random.random_range(0..1_000_000_u32)
                );
                checked(Format::Uscc, &body)
            })
            .collect();
        let contacts = (0..64)
            .map(|_| {
                let name = format!("{}{}", pick(random, SURNAMES), pick(random, GIVEN));
                let body = format!(
                    "4401{:02}19{:02}{:02}{:02}{:03}",
                    random.random_range(3..=18_u32),
                    random.random_range(60..=99_u32),
                    random.random_range(1..=12_u32),
                    random.random_range(1..=28_u32),
                    random.random_range(0..1_000_u32)
                );
                (name, checked(Format::CitizenId, &body))
            })
            .collect();
        Self {
            imo,
            uscc,
            contacts,
        }
    }
}

fn pick<'a>(random: &mut impl Rng, from: &[&'a str]) -> &'a str {
    from[random.random_range(0..from.len())]
}

/// `body` with the check character that makes it right.
fn checked(format: Format, body: &str) -> String {
    let mut text = String::with_capacity(body.len() + 1);
    for last in "0123456789ABCDEFGHJKLMNPQRTUWXY".chars() {
        text.clear();
        text.push_str(body);
        text.push(last);
        if format.check(&text).is_ok() {
            return text;
        }
    }
    // Some bodies have no check character (ISO 6346 advises against remainder 10); the row is
    // then one of the faulty ones, as in life.
    text
}

fn write_row(line: &mut String, row: u64, people: &People, random: &mut ChaCha8Rng, fault: bool) {
    let call = row / CONTAINERS_PER_CALL;
    let at = |list: usize| usize::try_from(call).unwrap_or(0) % list;
    let (vessel, flag) = VESSELS[at(VESSELS.len())];
    let hour = i64::try_from(call).unwrap_or(0).saturating_mul(3_600_000);
    let arrived = Timestamp::from_millis(FIRST_ARRIVAL_MS + hour);
    let departed = arrived.plus_millis(9 * 3_600_000);
    let mut container = container(row);
    if fault {
        // A wrong check digit: what a typing error makes of a container number.
        let wrong = if container.ends_with('0') { '1' } else { '0' };
        container.pop();
        container.push(wrong);
    }
    let (contact, identity) = &people.contacts[random.random_range(0..people.contacts.len())];
    let agent = random.random_range(0..AGENTS.len());
    // Writing to a string does not fail.
    let _ = writeln!(
        line,
        "C20261101-{call:06},{},5165,4130{:05},{},{vessel},{flag},{},{arrived},{departed},{},\
         {container},{},{},{},{},{},{},{contact},{identity}",
        PORTS[at(PORTS.len())],
        10_000 + at(90_000),
        people.imo[at(people.imo.len())],
        pick(random, PREVIOUS),
        if row.is_multiple_of(3) {
            "LOAD"
        } else {
            "DISCHARGE"
        },
        if row.is_multiple_of(2) {
            "45G1"
        } else {
            "22G1"
        },
        if row.is_multiple_of(2) { 2 } else { 1 },
        pick(random, GOODS),
        random.random_range(2_000..30_000_u32),
        AGENTS[agent],
        people.uscc[agent],
    );
}

/// A container number of its own for each row: owner code by million, serial number, check digit.
/// Serial numbers whose remainder would be 10 are left out, as ISO 6346 advises.
fn container(row: u64) -> String {
    const OWNERS: &[&str] = &["CSQU", "COSU", "MSCU", "OOLU"];
    let owner = OWNERS[usize::try_from(row / 900_000).unwrap_or(0) % OWNERS.len()];
    checked(Format::Container, &format!("{owner}{:06}", row % 900_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, seed| {
            let path = dir.path().join(name);
            let faulty = port_traffic(&path, seed, 5_000, Faults::Few).unwrap();
            (faulty, std::fs::read(path).unwrap())
        };
        assert_eq!(write("a", 7), write("b", 7));
        assert_ne!(write("c", 7).1, write("d", 8).1);
        assert_eq!(write("e", 7).0, 2);
    }
}
