//! The dependency picture, as a test: who may use whom, and where each heavy dependency lives.
//!
//! It does not look at source text; `tidy` and `ways_out` do.
#![expect(
    clippy::expect_used,
    reason = "a promise that is not kept ends the test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;

use expect_test::expect_file;
use serde::Deserialize;

/// Crates of ours by rank. A crate uses lower ranks only.
const RANKS: &[(&str, u8)] = &[
    ("crypto", 0),
    ("schemas", 1),
    ("catalog", 2),
    ("policies", 2),
    ("ledger", 2),
    ("jobs", 2),
    ("enforcement", 3),
    ("admin", 4),
    ("data-plane", 4),
    ("ctl", 5),
    ("server", 5),
];

/// Outside dependencies that have a home: nobody else names them.
const HOMES: &[(&str, &[&str])] = &[
    ("sm2", &["crypto"]),
    ("sm3", &["crypto"]),
    ("sm4", &["crypto"]),
    ("aes-gcm", &["crypto"]),
    ("p256", &["crypto"]),
    ("x509-cert", &["crypto"]),
    ("sm-crypto", &["crypto"]),
    ("jsonschema", &["schemas"]),
    ("casbin", &["policies"]),
    ("openraft", &["catalog"]),
    ("sled", &["catalog"]),
    ("fjall", &["catalog", "jobs", "ledger"]),
    ("datafusion", &["data-plane"]),
    ("deltalake", &["data-plane"]),
    ("arrow", &["data-plane"]),
    ("parquet", &["data-plane"]),
    ("tonic", &["catalog", "data-plane", "server"]),
    ("axum", &["admin", "data-plane", "server"]),
    ("utoipa", &["admin", "jobs", "schemas"]),
];

/// What `cargo metadata` says, as far as it is asked here. The crate of that name would switch on
/// a feature of serde_json and so have the whole tree built a second time.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    manifest_path: String,
    dependencies: Vec<Dependency>,
}

#[derive(Deserialize)]
struct Dependency {
    name: String,
    /// `dev` or `build`; nothing for what is linked.
    kind: Option<String>,
}

fn members() -> Vec<Package> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("run cargo metadata");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Metadata = serde_json::from_slice(&output.stdout).expect("cargo metadata");
    let mut members = metadata.packages;
    members.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(members.len() >= 12, "{} members", members.len());
    members
}

/// Dependencies that are linked into a program; what tests and build scripts use does not count.
fn linked(package: &Package) -> BTreeSet<&str> {
    package
        .dependencies
        .iter()
        .filter(|it| it.kind.is_none())
        .map(|it| it.name.as_str())
        .collect()
}

#[test]
fn a_crate_uses_only_lower_ranks() {
    let rank: BTreeMap<_, _> = RANKS.iter().copied().collect();
    let mut wrong = Vec::new();
    for package in members() {
        let Some(own) = rank.get(package.name.as_str()) else {
            continue;
        };
        for used in linked(&package) {
            let above = rank.get(used).is_some_and(|other| other >= own);
            if above || used == "conformance" {
                wrong.push(format!("{} (rank {own}) uses {used}", package.name));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_command_line_links_only_what_it_verifies_with() {
    let ctl = members()
        .into_iter()
        .find(|it| it.name.as_str() == "ctl")
        .expect("crate ctl");
    let ours: BTreeSet<_> = linked(&ctl)
        .into_iter()
        .filter(|it| RANKS.iter().any(|(name, _)| name == it))
        .collect();
    assert_eq!(ours, BTreeSet::from(["crypto", "ledger", "schemas"]));
}

#[test]
fn a_heavy_dependency_stays_in_its_home() {
    let mut wrong = Vec::new();
    for package in members() {
        let name = package.name.as_str();
        if name == "conformance" {
            continue;
        }
        for (outside, homes) in HOMES {
            if linked(&package).contains(outside) && !homes.contains(&name) {
                wrong.push(format!("{name} uses {outside}, which lives in {homes:?}"));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn the_picture_is_the_one_on_file() {
    let ours: BTreeSet<&str> = RANKS.iter().map(|(name, _)| *name).collect();
    let mut picture = String::from("# crate: the crates of ours that it links\n");
    for package in members() {
        let uses: Vec<_> = linked(&package)
            .into_iter()
            .filter(|it| ours.contains(it))
            .collect();
        writeln!(picture, "{}: {}", package.name, uses.join(" ")).expect("write to a string");
    }
    expect_file!["layering.out"].assert_eq(&picture);
}

/// Who may use a crate, as `.deny.toml` has it, where it has it.
fn wrappers() -> BTreeMap<String, BTreeSet<String>> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../.deny.toml");
    let text = std::fs::read_to_string(path).expect("read .deny.toml");
    let deny: toml::Table = toml::from_str(&text).expect(".deny.toml is TOML");
    let entries = deny["bans"]["deny"].as_array().expect("bans.deny");
    let text = |it: &toml::Value| it.as_str().expect("a name").to_owned();
    entries
        .iter()
        .filter_map(|it| {
            let homes = it.get("wrappers")?.as_array().expect("a list of wrappers");
            Some((text(&it["crate"]), homes.iter().map(text).collect()))
        })
        .collect()
}

/// cargo-deny sees the whole graph, tests and build scripts too, and says what the manifests say.
#[test]
fn the_second_enforcement_of_the_picture_says_the_same() {
    let ours: BTreeSet<&str> = RANKS.iter().map(|(name, _)| *name).collect();
    let mut users: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in members() {
        for used in &package.dependencies {
            if ours.contains(used.name.as_str()) {
                let users = users.entry(used.name.clone()).or_default();
                users.insert(package.name.clone());
            }
        }
    }
    let wrappers = wrappers();
    let known: BTreeMap<String, BTreeSet<String>> = wrappers
        .iter()
        .filter(|(name, _)| ours.contains(name.as_str()))
        .map(|(name, users)| (name.clone(), users.clone()))
        .collect();
    assert_eq!(known, users);
    let unused: Vec<_> = ours.iter().filter(|it| !users.contains_key(**it)).collect();
    assert_eq!(unused, [&"ctl"]);
    for (outside, homes) in HOMES {
        let Some(wrappers) = wrappers.get(*outside) else {
            continue;
        };
        let homes: BTreeSet<String> = homes.iter().map(|it| (*it).to_owned()).collect();
        assert_eq!(*wrappers, homes, "{outside}");
    }
}

#[test]
fn every_member_inherits_the_lints_and_the_edition() {
    for package in members() {
        let manifest = std::fs::read_to_string(&package.manifest_path).expect("read a manifest");
        assert!(
            manifest.contains("[lints]\nworkspace = true"),
            "{} has no lints",
            package.name
        );
        assert!(
            manifest.contains("edition.workspace = true"),
            "{} has no edition",
            package.name
        );
        assert!(
            manifest.contains("rust-version.workspace = true"),
            "{} has no rust-version",
            package.name
        );
    }
}
