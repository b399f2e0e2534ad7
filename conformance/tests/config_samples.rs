//! Sample configurations are documentation that the program reads: each must parse, and nothing
//! in it may go unread.
//!
//! It does not start anything.
#![expect(
    clippy::expect_used,
    reason = "a promise that is not kept ends the test"
)]

use std::path::{Path, PathBuf};

use server::config::Config;

fn samples() -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/config");
    let mut found: Vec<_> = std::fs::read_dir(&folder)
        .expect("read deploy/config")
        .map(|entry| entry.expect("read deploy/config").path())
        .filter(|path| path.extension().is_some_and(|it| it == "toml"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("read a sample");
            (path, text)
        })
        .collect();
    found.sort();
    assert!(
        found.len() >= 2,
        "single.toml and cluster.toml at least, {} found",
        found.len()
    );
    found
}

#[test]
fn every_sample_parses() {
    for (path, text) in samples() {
        let parsed = Config::parse(&text);
        assert!(
            parsed.is_ok(),
            "{}: {}",
            path.display(),
            parsed.expect_err("it did not parse")
        );
    }
}

#[test]
fn a_setting_that_the_program_does_not_know_is_refused() {
    let mut sections = 0;
    for (path, text) in samples() {
        for header in text.lines().filter(|line| line.starts_with('[')) {
            let with = text.replacen(header, &format!("{header}\nno_such_setting = 1"), 1);
            assert!(Config::parse(&with).is_err(), "{} {header}", path.display());
            sections += 1;
        }
    }
    assert!(sections >= 10, "{sections} sections");
}

/// The sample for one node says that it names every setting, so it must.
#[test]
fn the_sample_of_one_node_names_every_setting() {
    let (_, text) = samples()
        .into_iter()
        .find(|(path, _)| path.ends_with("single.toml"))
        .expect("deploy/config/single.toml");
    let parsed = Config::parse(&text).expect("it parses");
    let written: toml::Table = toml::from_str(&text).expect("it is TOML");
    let known = toml::Table::try_from(&parsed).expect("a configuration can be written");
    assert_eq!(written, known);
}

/// Where the sample says that a value is the default, it is what the program takes without it.
#[test]
fn the_sample_of_one_node_states_the_defaults() {
    let (_, text) = samples()
        .into_iter()
        .find(|(path, _)| path.ends_with("single.toml"))
        .expect("deploy/config/single.toml");
    let parsed = Config::parse(&text).expect("it parses");
    let mut bare: toml::Table = toml::from_str(&text).expect("it is TOML");
    for section in ["catalog", "data-plane", "admin", "operations", "ledger"] {
        bare.remove(section).expect("a section that may be absent");
    }
    let node = bare["node"].as_table_mut().expect("[node]");
    node.remove("log").expect("a log filter");
    let bare = toml::to_string(&bare).expect("TOML");
    assert_eq!(Config::parse(&bare).expect("it parses"), parsed);
}
