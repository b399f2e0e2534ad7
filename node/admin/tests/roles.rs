//! Which role may call which route, by the policy text that ships, as one table.
//!
//! It does not call the routes, and a role is necessary and not sufficient: how the participant
//! stands to the record is judged as well (policies/tests/matrix.out).
#![expect(
    clippy::unwrap_used,
    reason = "a document that cannot be read is a failed test"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use expect_test::expect_file;
use schemas::code::Action;
use schemas::participant::Role;
use serde_json::Value;

const ROLES: &str = include_str!("../../../policies/baseline/roles.csv");

/// Lines of the policy text as lists of words.
fn lines() -> Vec<Vec<&'static str>> {
    let kept = ROLES.lines().filter(|it| it.starts_with(['p', 'g']));
    kept.map(|line| line.split(", ").collect()).collect()
}

/// Whether the text lets `role` do `action`: a deny beats every allow.
fn may(role: Role, action: Action) -> bool {
    let lines = lines();
    let mut names = BTreeSet::from([role.as_str()]);
    for line in &lines {
        if let ["g", of, group] = line[..]
            && of == role.as_str()
        {
            names.insert(group);
        }
    }
    let (object, act) = action.as_str().split_once('.').unwrap();
    let said: Vec<&str> = lines
        .iter()
        .filter_map(|line| match line[..] {
            ["p", name, of, what, effect] => {
                (names.contains(name) && of == object && (what == "*" || what == act))
                    .then_some(effect)
            }
            _ => None,
        })
        .collect();
    said.contains(&"allow") && !said.contains(&"deny")
}

/// Method and path with the action that each asks for.
fn routes() -> BTreeMap<String, String> {
    let document: Value = serde_json::from_str(&admin::document().unwrap()).unwrap();
    let mut routes = BTreeMap::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let action = operation["x-action"].as_str().unwrap().to_owned();
            routes.insert(format!("{method} {path}"), action);
        }
    }
    routes
}

#[test]
fn every_route_has_a_row_that_says_who_may_call_it() {
    let mut text = String::new();
    for (route, action) in routes() {
        let Some(known) = Action::parse(&action) else {
            writeln!(text, "{route}: anybody signs in").unwrap();
            continue;
        };
        let roles: Vec<&str> = Role::ALL
            .iter()
            .filter(|role| may(**role, known))
            .map(|role| role.as_str())
            .collect();
        assert!(!roles.is_empty(), "{route}: nobody may {action}");
        writeln!(text, "{route}: {action}: {}", roles.join(" ")).unwrap();
    }
    expect_file!["roles.out"].assert_eq(&text);
}

/// What every person of a member may do is no administration.
#[test]
fn no_action_is_common_to_two_of_the_three_administrators_alone() {
    let all = |action: Action| Role::ALL.iter().all(|role| may(*role, action));
    for action in Action::ALL.iter().copied().filter(|it| !all(*it)) {
        let three = [
            Role::SystemAdministrator,
            Role::SecurityOfficer,
            Role::Auditor,
        ];
        let who: Vec<Role> = three.into_iter().filter(|it| may(*it, action)).collect();
        assert!(who.len() < 2, "{action}: {who:?}");
    }
}
