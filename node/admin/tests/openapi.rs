//! The OpenAPI document on file is the one that the code makes, and every route is a decision.
//!
//! It does not call the routes; the conformance tests do.
#![expect(
    clippy::unwrap_used,
    reason = "a document that cannot be read is a failed test"
)]

use expect_test::expect_file;
use schemas::code::Action;
use serde_json::Value;

#[test]
fn the_document_on_file_is_the_one_that_the_code_makes() {
    let document = admin::document().unwrap();
    expect_file!["../../../schemas/openapi/admin-v1.json"].assert_eq(&document);
}

#[test]
fn the_document_is_openapi_3_1() {
    let document: Value = serde_json::from_str(&admin::document().unwrap()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
}

#[test]
fn every_route_names_its_action() {
    let document: Value = serde_json::from_str(&admin::document().unwrap()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let mut actions = Vec::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().unwrap() {
            let action = operation["x-action"].as_str().unwrap_or_default();
            let sign_in = path.starts_with("/api/v1/sessions");
            assert!(
                Action::parse(action).is_some() || (sign_in && action == "none"),
                "{method} {path} names no action"
            );
            actions.extend(Action::parse(action));
        }
    }
    // What only the data plane does stands in its own tests.
    let elsewhere = [
        Action::DatasetPublish,
        Action::DatasetInspect,
        Action::DatasetRead,
        // Instruments are registered by signed proposals; they have no resource of their own yet.
        Action::ExportRegister,
    ];
    for action in Action::ALL.iter().filter(|it| !elsewhere.contains(it)) {
        assert!(actions.contains(action), "{action} has no route");
    }
}

fn document() -> Value {
    serde_json::from_str(&admin::document().unwrap()).unwrap()
}

/// Every operation with its method and path.
fn operations(document: &Value) -> Vec<(String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    paths
        .iter()
        .flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap();
            methods
                .iter()
                .map(move |(method, it)| (format!("{method} {path}"), it))
        })
        .collect()
}

#[test]
fn every_operation_has_a_name_of_its_own() {
    let document = document();
    let mut names: Vec<&str> = operations(&document)
        .into_iter()
        .map(|(_, it)| it["operationId"].as_str().unwrap())
        .collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    assert!(all >= 35, "{all} operations");
}

#[test]
fn every_problem_is_a_problem_document_and_every_code_has_its_status() {
    let document = document();
    for (name, operation) in operations(&document) {
        let responses = operation["responses"].as_object().unwrap();
        let statuses: Vec<&str> = responses.keys().map(String::as_str).collect();
        for (status, response) in responses {
            let content = response["content"].as_object();
            if status.starts_with('2') {
                assert!(content.is_none_or(|it| it.contains_key("application/json")));
                continue;
            }
            let problem = &response["content"]["application/problem+json"]["schema"]["$ref"];
            assert_eq!(problem, "#/components/schemas/Problem", "{name} {status}");
            assert_eq!(content.unwrap().len(), 1, "{name} {status}");
            if ["429", "503"].contains(&status.as_str()) {
                assert!(response["headers"]["Retry-After"].is_object(), "{name}");
            }
        }
        let has = |status: &str| statuses.contains(&status);
        assert!(has("default") && has("401"), "{name}: {statuses:?}");
        if name.contains("{id}") {
            assert!(has("404"), "{name}: {statuses:?}");
        }
    }
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let text = document.to_string();
    for named in text.split("#/components/schemas/").skip(1) {
        let named = named.split('"').next().unwrap();
        assert!(schemas.contains_key(named), "{named} is not described");
    }
}

#[test]
fn a_change_documents_the_headers_that_it_reads_and_answers_with() {
    let document = document();
    let mut revisions = Vec::new();
    for (name, operation) in operations(&document) {
        let body = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        if body != "#/components/schemas/Change" {
            continue;
        }
        let headers: Vec<&str> = operation["parameters"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|it| it["in"] == "header")
            .map(|it| it["name"].as_str().unwrap())
            .collect();
        assert!(headers.contains(&"Idempotency-Key"), "{name}: {headers:?}");
        assert!(operation["responses"]["200"]["headers"]["ETag"].is_object());
        assert!(operation["responses"]["409"].is_object(), "{name}");
        if headers.contains(&"If-Match") {
            let responses = &operation["responses"];
            assert!(responses["412"].is_object() && responses["428"].is_object());
            revisions.push(operation["operationId"].as_str().unwrap());
        }
    }
    let expected = [
        "dataset_describe",
        "dataset_move_to",
        "node_register",
        "participant_register",
        "person_bind",
        "request_decide",
        "request_withdraw",
    ];
    revisions.sort_unstable();
    assert_eq!(revisions, expected);
    let card = &document["paths"]["/api/v1/datasets/{id}"]["get"];
    assert!(card["responses"]["200"]["headers"]["ETag"].is_object());
}
