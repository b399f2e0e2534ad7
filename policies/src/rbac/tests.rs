//! casbin is the oracle: whatever the text, the index says what casbin's enforcer says.

use proptest::prelude::*;

use super::*;
use crate::pdp::{SHIPPED_MODEL, SHIPPED_ROLES};

/// Compares index and enforcer for every subject and action.
fn agree(roles: &str) -> Result<(), String> {
    let index = Index::compile(SHIPPED_MODEL, roles).map_err(|error| error.to_string())?;
    let casbin = load(SHIPPED_MODEL, roles).map_err(|error| error.to_string())?;
    for subject in Subject::all() {
        for action in Action::ALL.iter().copied() {
            let (object, act) = object_and_act(action);
            let theirs = casbin
                .enforce((subject.as_str(), object, act))
                .map_err(|error| error.to_string())?;
            let ours = index.rulings.get(&(subject, action)) == Some(&Ruling::Allowed);
            if ours != theirs {
                return Err(format!(
                    "{subject:?} {action}: index {ours}, casbin {theirs}\n{roles}"
                ));
            }
        }
    }
    Ok(())
}

#[test]
fn index_and_casbin_agree_on_the_text_that_ships() {
    assert_eq!(agree(SHIPPED_ROLES), Ok(()));
}

/// Names in an order in which every g line points forward, so that there is no circle.
const NAMES: [&str; 10] = [
    "data-consumer",
    "hosting-node",
    "desk",
    "auditor",
    "team",
    "data-steward",
    "system-administrator",
    "security-officer",
    "member",
    "everyone",
];

fn rule() -> impl Strategy<Value = String> {
    let acts = prop_oneof![4 => Just(false), 1 => Just(true)];
    (
        0..NAMES.len(),
        0..Action::ALL.len(),
        acts,
        prop_oneof![3 => Just("allow"), 1 => Just("deny")],
    )
        .prop_map(|(name, action, all, effect)| {
            let (object, act) = object_and_act(Action::ALL[action]);
            format!(
                "p, {}, {object}, {}, {effect}",
                NAMES[name],
                if all { "*" } else { act }
            )
        })
}

fn group() -> impl Strategy<Value = String> {
    (0..NAMES.len() - 1, 1..NAMES.len()).prop_map(|(child, step)| {
        let parent = (child + step).min(NAMES.len() - 1);
        format!("g, {}, {}", NAMES[child], NAMES[parent])
    })
}

fn configuration() -> ProptestConfig {
    ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(configuration())]

    #[test]
    fn index_and_casbin_agree_for_every_role_and_action(
        rules in prop::collection::btree_set(rule(), 1..40),
        groups in prop::collection::btree_set(group(), 0..10),
    ) {
        // Groups are declared by being someone's parent or child.
        let declare = ["g, desk, everyone", "g, team, everyone", "g, member, everyone"];
        let lines: BTreeSet<String> =
            rules.into_iter().chain(groups).chain(declare.map(str::to_owned)).collect();
        let roles: Vec<String> = lines.into_iter().collect();
        let result = agree(&roles.join("\n"));
        // A chain that is too long is refused before either reading counts.
        let refused = result.as_ref().is_err_and(|why| why.contains("circle"));
        prop_assert!(result.is_ok() || refused, "{result:?}");
    }
}

#[test]
fn wrong_policy_lines_are_named_with_what_to_do() {
    let check = |roles: &str, expected: &str| {
        let error = Index::compile(SHIPPED_MODEL, roles).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check("", "roles.csv: no p line: nobody could do anything");
    check(
        "# ok\np, auditor, ledger, read",
        "roles.csv line 2: write `p, subject, object, act, effect` or `g, child, group`",
    );
    check(
        "p, auditor, ledger, read, maybe",
        "roles.csv line 1: the effect must be allow or deny",
    );
    check(
        "p, auditor, ledger, write, allow",
        "roles.csv line 1: ledger.write is not an action; there is ledger.read",
    );
    check(
        "p, auditor, legder, read, allow",
        "roles.csv line 1: legder.read is not an action; there is no action of that object",
    );
    check(
        "p, auditr, ledger, read, allow",
        "roles.csv line 1: \"auditr\" is neither one of system-administrator, security-officer, \
         auditor, data-steward, data-consumer, hosting-node nor a group of a g line",
    );
    check(
        "p, auditor, ledger, read, allow\n\np, auditor, ledger,read,allow",
        "roles.csv line 3: it repeats line 1; remove one",
    );
    check(
        "p, \"auditor\", ledger, read, allow",
        "roles.csv line 1: \"\\\"auditor\\\"\" is not a name: write 1 to 96 of a-z 0-9 . - _ or *",
    );
    check(
        "p, auditor, ledger, read, allow\ng, a, b\ng, b, a",
        "roles.csv line 2: a in b is part of a circle or of a chain of more than 8 groups; \
         remove a link",
    );
}

#[test]
fn a_chain_of_eight_groups_is_followed_and_nine_are_refused() {
    let chain = |links: usize| {
        let mut lines = vec!["p, n0, ledger, read, allow".to_owned()];
        lines.extend((1..links).map(|at| format!("g, n{at}, n{}", at - 1)));
        lines.push(format!("g, auditor, n{}", links - 1));
        lines.join("\n")
    };
    assert_eq!(agree(&chain(8)), Ok(()));
    assert!(Index::compile(SHIPPED_MODEL, &chain(9)).is_err());
}

#[test]
fn another_model_is_refused_by_its_line() {
    let check = |model: &str, expected: &str| {
        let error = Index::compile(model, SHIPPED_ROLES).unwrap_err();
        assert_eq!(error.to_string(), expected);
    };
    check(
        "[request_definition]\nr = sub, act\n",
        "model.conf line 2: write `r = sub, obj, act`; only the model that ships is compiled",
    );
    check(
        &format!("{SHIPPED_MODEL}\nm2 = eval(p.sub)\n"),
        "model.conf line 20: remove it; only the model that ships is compiled",
    );
    check(
        "",
        "model.conf: the line `[request_definition]` is missing; add it",
    );
    assert!(Index::compile(&SHIPPED_MODEL.replace(" = ", "  =  "), SHIPPED_ROLES).is_ok());
}

#[test]
fn text_beyond_its_limit_is_refused_before_it_is_read() {
    let long = "#".repeat(ROLES_BYTES_MAX + 1);
    assert!(matches!(
        Index::compile(SHIPPED_MODEL, &long),
        Err(Error::TooLarge {
            part: Part::Roles,
            ..
        })
    ));
    let many = "\n".repeat(ROLES_LINES_MAX + 1);
    assert!(matches!(
        Index::compile(SHIPPED_MODEL, &many),
        Err(Error::TooManyLines {
            part: Part::Roles,
            ..
        })
    ));
}
