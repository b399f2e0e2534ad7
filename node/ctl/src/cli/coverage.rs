//! Every call of the API has a command: the list that says which, held against the API's document.
//!
//! It does not send anything; the conformance tests do.

use std::collections::BTreeSet;

use clap::Parser as _;
use serde_json::Value;

use super::Cli;

/// Operation of the API, the path as the program writes it, and a command that calls it.
const CALLS: &[(&str, &str, &str)] = &[
    ("session_challenge", "/sessions/challenge", "login"),
    ("session_sign_in", "/sessions", "login --password --code 1"),
    ("session_sign_out", "/sessions", "logout"),
    ("session_current", "/sessions", "whoami"),
    ("participant_list", "/participants", "participant list"),
    (
        "participant_show",
        "/participants/{id}",
        "participant get gd",
    ),
    (
        "participant_register",
        "/participants",
        "participant register -f p.json",
    ),
    ("node_list", "/nodes", "participant nodes"),
    (
        "node_register",
        "/nodes",
        "participant register-node -f n.json",
    ),
    ("person_bind", "/persons", "participant bind -f s.json"),
    ("standard_list", "/standards", "dataset standards"),
    (
        "standard_show",
        "/standards/{id}/{edition}",
        "dataset standard port-calls 1",
    ),
    (
        "standard_adopt",
        "/standards",
        "dataset adopt-standard -f s.json",
    ),
    ("dataset_list", "/datasets", "dataset search port"),
    ("dataset_show", "/datasets/{id}", "dataset get calls"),
    (
        "dataset_describe",
        "/datasets/{id}",
        "dataset describe -f d.json",
    ),
    (
        "dataset_move_to",
        "/datasets/{id}/state",
        "dataset move calls SUBMITTED",
    ),
    (
        "dataset_versions",
        "/datasets/{id}/versions",
        "dataset versions calls",
    ),
    (
        "dataset_findings",
        "/datasets/{id}/findings",
        "dataset check-card calls",
    ),
    (
        "resource_code_next",
        "/resource-codes/{classification}",
        "dataset code 3060100",
    ),
    (
        "grade_assess",
        "/assessments",
        "dataset grade --impact SOCIAL_ORDER=NONE:public",
    ),
    ("request_list", "/requests", "request list"),
    ("request_show", "/requests/{id}", "request get r-1"),
    (
        "request_submit",
        "/requests",
        "request create calls --purpose p --basis b --scenario s --until 2027-01-01",
    ),
    (
        "request_decide",
        "/requests/{id}/decision",
        "request approve r-1",
    ),
    (
        "request_withdraw",
        "/requests/{id}/withdrawal",
        "request withdraw r-1",
    ),
    (
        "dispute_show",
        "/requests/{id}/dispute",
        "request disputed r-1",
    ),
    (
        "request_dispute",
        "/requests/{id}/dispute",
        "request dispute r-1 OPEN --because x",
    ),
    (
        "review_show",
        "/requests/{id}/review",
        "request reviewed r-1",
    ),
    (
        "request_review",
        "/requests/{id}/review",
        "request review r-1 upheld --because x",
    ),
    ("correction_list", "/corrections", "correction list"),
    ("correction_show", "/corrections/{id}", "correction get c-1"),
    (
        "correction_open",
        "/corrections",
        "correction open calls --version 1 --row r --evidence e",
    ),
    (
        "correction_move",
        "/corrections/{id}/state",
        "correction accept c-1 --text x",
    ),
    ("notice_list", "/notices", "correction notices"),
    ("delegation_list", "/delegations", "participant delegations"),
    (
        "delegation_set",
        "/delegations",
        "participant delegate b --until 2027-01-10 --because x",
    ),
    (
        "delegation_end",
        "/delegations/{from}/end",
        "participant end-delegation a --because x",
    ),
    ("contract_list", "/contracts", "grant contracts"),
    ("contract_show", "/contracts/{id}", "grant contract c-1"),
    ("grant_list", "/grants", "grant list"),
    ("grant_show", "/grants/{id}", "grant get g-1"),
    (
        "grant_revoke",
        "/grants/{id}/revocation",
        "grant revoke g-1 --because x",
    ),
    ("transfer_list", "/transfers", "transfer list"),
    ("transfer_show", "/transfers/{id}", "transfer get t-1"),
    ("transfer_start", "/transfers", "transfer start g-1"),
    ("job_list", "/jobs", "job list"),
    ("job_show", "/jobs/{id}", "job get j-1"),
    ("job_cancel", "/jobs/{id}/cancellation", "job cancel j-1"),
    ("ledger_checkpoint", "/ledger", "ledger status"),
    ("ledger_entries", "/ledger/entries", "ledger entries"),
    (
        "ledger_evidence",
        "/ledger/entries/{index}/evidence",
        "ledger prove 1 --out 1.json",
    ),
    (
        "ledger_consistency",
        "/ledger/consistency",
        "ledger consistency 1 2",
    ),
    ("ledger_search", "/ledger/search", "ledger search --actor a"),
    ("ledger_findings", "/ledger/findings", "ledger findings"),
    (
        "ledger_package",
        "/ledger/package",
        "ledger export-evidence --out p.json",
    ),
    ("policy_in_force", "/policies", "policy get"),
    ("policy_adopt", "/policies", "policy adopt -f p.json"),
    (
        "policy_explain",
        "/policies/explanation",
        "policy explain --action dataset.read",
    ),
    (
        "policy_dry_run",
        "/policies/dry-run",
        "policy dry-run --days 7",
    ),
    (
        "policy_replay",
        "/ledger/entries/{index}/replay",
        "policy replay 1",
    ),
    ("rule_pack_list", "/rule-packs", "policy packs"),
    (
        "rule_pack_show",
        "/rule-packs/{series}/{number}",
        "policy pack export.cn 0",
    ),
    (
        "rule_pack_adopt",
        "/rule-packs",
        "policy adopt-pack -f p.json",
    ),
    (
        "rule_pack_withdraw",
        "/rule-packs/{series}/{number}/withdrawal",
        "policy withdraw-pack export.cn 1 --because x",
    ),
    ("instrument_list", "/instruments", "export instruments"),
    (
        "instrument_show",
        "/instruments/{id}",
        "export instrument i-1",
    ),
    (
        "instrument_register",
        "/instruments",
        "export register -f i.json",
    ),
    (
        "instrument_move_to",
        "/instruments/{id}/state",
        "export move i-1 ENDED --because x",
    ),
    (
        "export_report",
        "/exports/{year}",
        "export report --year 2026",
    ),
    ("supervision_list", "/supervisions", "request supervisions"),
    ("catalog_status", "/catalog", "catalog status"),
    ("member_list", "/catalog/members", "catalog members"),
    ("member_add", "/catalog/members", "catalog add-member sz-1"),
    (
        "member_remove",
        "/catalog/members/{id}",
        "catalog remove-member sz-1",
    ),
    ("enrolment_list", "/enrolments", "participant applications"),
    (
        "enrolment_show",
        "/enrolments/{id}",
        "participant admit 4f0c2d9a11b07e35",
    ),
    (
        "catalog_backup",
        "/catalog/backup",
        "catalog backup --out c.backup",
    ),
];

/// What a new node calls by `kouan join`, before anybody of its people can sign in.
const OF_NODES: &[(&str, &str)] = &[("enrolment_apply", "/enrolments")];

fn document() -> Value {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../schemas/openapi/admin-v1.json"
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Every source file below `dir`.
fn sources(dir: &std::path::Path, found: &mut String) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_operation_of_the_api_has_a_command_that_calls_it() {
    let document = document();
    let mut operations = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for operation in methods.as_object().unwrap().values() {
            let id = operation["operationId"].as_str().unwrap();
            let below = path.strip_prefix("/api/v1").unwrap();
            operations.insert((id.to_owned(), below.to_owned()));
        }
    }
    let listed: BTreeSet<(String, String)> = CALLS
        .iter()
        .map(|(id, path, _)| (*id, *path))
        .chain(OF_NODES.iter().copied())
        .map(|(id, path)| (id.to_owned(), path.to_owned()))
        .collect();
    assert_eq!(listed, operations);
    assert_eq!(
        CALLS.len() + OF_NODES.len(),
        listed.len(),
        "an operation stands twice"
    );
}

#[test]
fn every_command_of_the_list_exists_and_its_path_is_in_the_program() {
    let mut text = String::new();
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for part in ["client", "commands"] {
        sources(&dir.join(part), &mut text);
    }
    for (id, path, command) in CALLS {
        let words = std::iter::once("kouanctl").chain(command.split(' '));
        let parsed = Cli::try_parse_from(words);
        assert!(parsed.is_ok(), "{id}: {command}: {parsed:?}");
        // What identifies a record is filled in by name; before it and behind it the path is
        // written out.
        for part in path.split(['{', '}']).filter(|it| it.starts_with('/')) {
            assert!(text.contains(part), "{id}: no {part} in the program");
        }
    }
}
