//! The OpenAPI document on file is the one that the code makes, and every route is a decision.
//!
//! It does not call the routes; the conformance tests do.

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
        Action::NodeOperate,
    ];
    for action in Action::ALL.iter().filter(|it| !elsewhere.contains(it)) {
        assert!(actions.contains(action), "{action} has no route");
    }
}
