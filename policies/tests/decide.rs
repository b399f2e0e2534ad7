//! Whole decisions, and what must hold for every request: deny overrides, nothing outside the
//! grant, sensitive columns masked.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests; a wrong case fails its test"
)]

mod fixture;

use std::collections::{BTreeMap, BTreeSet};

use fixture::{Case, grant, pdp};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use schemas::code::{Action, ReasonCode};
use schemas::dataset::{Sensitivity, ShareAttribute};
use schemas::decision::{Decision, Mask, Obligations, Party, Predicate, RowFilter};
use schemas::participant::{ParticipantKind, Role};
use schemas::request::{Grant, GrantState};
use schemas::{Grade, Jurisdiction, PersonId};

fn decide(case: &Case) -> Decision {
    static PDP: std::sync::OnceLock<policies::Pdp> = std::sync::OnceLock::new();
    PDP.get_or_init(pdp).decide(&case.request, &case.facts)
}

fn codes(case: &Case) -> Vec<ReasonCode> {
    match decide(case) {
        Decision::Permit(_) | Decision::Measure { .. } => Vec::new(),
        Decision::Deny(reasons) => reasons.into_iter().map(|reason| reason.code).collect(),
    }
}

#[test]
fn a_granted_read_carries_the_grant_as_obligations() {
    let case = Case::read().grade(Grade::G3);
    assert_eq!(
        decide(&case),
        Decision::Permit(Obligations {
            columns: vec!["berth".into(), "agent_phone".into(), "driver_id".into()],
            rows: grant().rows,
            masks: BTreeMap::from([
                ("agent_phone".to_owned(), Mask::Truncate { keep_chars: 3 }),
                ("driver_id".to_owned(), Mask::KeyedHash),
            ]),
            rows_max: Some(1_000_000),
            seal: true,
            export: None,
        })
    );
}

#[test]
fn columns_come_in_the_order_of_the_dataset() {
    let asked: BTreeSet<String> = ["driver_id".to_owned(), "berth".to_owned()].into();
    let case = Case::read()
        .with_grant(|it| it.columns.reverse())
        .with(|it| it.request.columns = Some(asked));
    let Decision::Permit(obligations) = decide(&case) else {
        panic!("refused")
    };
    assert_eq!(obligations.columns, ["berth", "driver_id"]);
    assert_eq!(
        obligations.masks,
        BTreeMap::from([("driver_id".to_owned(), Mask::KeyedHash)])
    );
}

#[test]
fn a_grant_masks_a_sensitive_column_in_its_own_way() {
    let mask = Mask::Truncate { keep_chars: 6 };
    let case = Case::read().with_grant(|it| {
        it.masks.insert("driver_id".to_owned(), mask.clone());
    });
    let Decision::Permit(obligations) = decide(&case) else {
        panic!("refused")
    };
    assert_eq!(obligations.masks.get("driver_id"), Some(&mask));
}

#[test]
fn a_refusal_tells_all_reasons_once_and_in_order() {
    let case = Case::person(Role::Auditor, Party::Other, Action::DatasetRead)
        .grade(Grade::Core)
        .to(Jurisdiction::MACAO)
        .with(|it| {
            it.facts.clock_trusted = false;
            it.facts.view_age_ms = u64::MAX;
            it.facts.linearizable = false;
        });
    assert_eq!(
        codes(&case),
        [
            ReasonCode::NotAParty,
            ReasonCode::GrantMissing,
            ReasonCode::CoreData,
            ReasonCode::StaleView,
            ReasonCode::ClockUntrusted,
            ReasonCode::SeparationOfDuties,
            ReasonCode::X3,
        ]
    );
}

#[test]
fn a_refused_column_is_named_and_the_message_stays_short() {
    let case = Case::read().with(|it| {
        let asked = (0..900).map(|at| format!("{at:04}{}", "x".repeat(500)));
        it.request.columns = Some(asked.collect());
    });
    let Decision::Deny(reasons) = decide(&case) else {
        panic!("permitted")
    };
    let named = reasons
        .iter()
        .find(|it| it.cites.contains("not granted: 0000x"))
        .unwrap();
    assert!(named.cites.ends_with(" and 895 more"), "{}", named.cites);
    assert!(named.cites.chars().count() < 500);
}

#[test]
fn a_row_filter_on_a_column_that_is_gone_refuses() {
    let case = Case::read().with(|it| it.dataset().columns.retain(|(name, _)| name != "berth"));
    let Decision::Deny(reasons) = decide(&case) else {
        panic!("permitted")
    };
    assert_eq!(reasons.len(), 1);
    assert!(
        reasons[0]
            .cites
            .ends_with("row filter of the grant on a missing column: berth")
    );
}

#[test]
fn a_grant_whose_columns_are_all_gone_refuses_instead_of_giving_all() {
    let case = Case::read().with_grant(|it| it.columns = vec!["gone".to_owned()]);
    assert_eq!(codes(&case), [ReasonCode::ColumnNotGranted]);
}

#[test]
fn a_grant_of_another_dataset_or_provider_is_none() {
    let check = |change: fn(&mut Grant)| {
        assert_eq!(
            codes(&Case::read().with_grant(change)),
            [ReasonCode::GrantMissing]
        );
    };
    check(|it| it.dataset = schemas::DatasetId::parse("other").unwrap());
    check(|it| it.provider = fixture::participant("airline"));
    check(|it| it.subject = PersonId::parse("wang").ok());
}

#[test]
fn facts_that_call_a_stranger_provider_open_nothing() {
    for action in [
        Action::DatasetRead,
        Action::DatasetInspect,
        Action::DatasetPublish,
    ] {
        let case = Case::person(Role::DataSteward, Party::Provider, action)
            .with(|it| it.request.principal.participant = fixture::participant("airline"));
        assert!(!codes(&case).is_empty(), "{action}");
    }
}

#[test]
fn neither_person_nor_node_is_nobody() {
    let case = Case::read().with(|it| it.request.principal.person = None);
    assert_eq!(
        codes(&case),
        [ReasonCode::RoleMissing, ReasonCode::PrincipalNotValid]
    );
}

#[test]
fn a_node_has_no_more_than_its_own_line_whatever_roles_it_names() {
    let case = Case::node(Party::Provider, Action::DatasetPublish).with(|it| {
        it.request.principal.roles = [Role::DataSteward].into();
    });
    assert_eq!(codes(&case), [ReasonCode::RoleMissing]);
}

#[test]
fn a_foreign_party_in_the_mainland_receives_an_export() {
    let case = Case::read().with(|it| it.request.principal.kind = ParticipantKind::Foreign);
    assert_eq!(codes(&case), [ReasonCode::X5]);
}

#[test]
fn seal_linearizable_and_staleness_follow_grade_and_border() {
    let pdp = pdp();
    let rows: Vec<(Grade, u64, [bool; 4])> = Grade::ALL
        .iter()
        .map(|grade| {
            let (cn, hk) = (Jurisdiction::MAINLAND, Jurisdiction::HONG_KONG);
            let flags = [
                pdp.seals(*grade, cn),
                pdp.seals(*grade, hk),
                pdp.needs_linearizable(*grade, cn),
                pdp.needs_linearizable(*grade, hk),
            ];
            (*grade, pdp.view_age_max_ms(*grade), flags)
        })
        .collect();
    assert_eq!(
        rows,
        [
            (Grade::G1, 86_400_000, [false, true, false, true]),
            (Grade::G2, 86_400_000, [false, true, false, true]),
            (Grade::G3, 60_000, [true, true, false, true]),
            (Grade::G4, 60_000, [true, true, false, true]),
            (Grade::Important, 60_000, [true, true, true, true]),
            (Grade::Core, 60_000, [true, true, true, true]),
        ]
    );
}

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn names() -> impl Strategy<Value = BTreeSet<String>> {
    prop::collection::btree_set(
        prop::sample::select(&NAMES[..]).prop_map(str::to_owned),
        0..6,
    )
}

fn mask() -> impl Strategy<Value = Mask> {
    prop_oneof![
        Just(Mask::Null),
        Just(Mask::KeyedHash),
        (0..9_u32).prop_map(|keep_chars| Mask::Truncate { keep_chars }),
        (1..99_u64).prop_map(|step| Mask::Generalise { step }),
    ]
}

fn grants() -> impl Strategy<Value = Grant> {
    let columns = names()
        .prop_map(|names| names.into_iter().collect::<Vec<_>>())
        .prop_shuffle();
    let masks = prop::collection::btree_map(
        prop::sample::select(&NAMES[..]).prop_map(str::to_owned),
        mask(),
        0..4,
    );
    (
        (columns, masks, prop::option::of(names())),
        prop::sample::select(GrantState::ALL),
        (-2..2_i64, -1..3_i64),
        prop::sample::select(&[Jurisdiction::MAINLAND, Jurisdiction::HONG_KONG][..]),
        prop::sample::select(&["city", "port", "airline"][..]),
    )
        .prop_map(
            |((columns, masks, filter), state, (from, until), destination, consumer)| {
                let mut grant = grant();
                grant.columns = columns;
                grant.masks = masks;
                grant.rows = RowFilter {
                    all: filter
                        .into_iter()
                        .flatten()
                        .map(|column| Predicate {
                            column,
                            ..grant.rows.all[0].clone()
                        })
                        .collect(),
                };
                // Active most of the time, else nothing is ever permitted.
                grant.state = if from < 0 { GrantState::Active } else { state };
                grant.period.from = fixture::now().plus_millis(from);
                grant.period.until = fixture::now().plus_millis(until);
                grant.destination = destination;
                grant.consumer = fixture::participant(consumer);
                grant
            },
        )
}

fn cases() -> impl Strategy<Value = Case> {
    let sensitivity = prop::sample::select(Sensitivity::ALL);
    let columns: Vec<_> = NAMES
        .iter()
        .map(|name| (Just((*name).to_owned()), sensitivity.clone()))
        .collect();
    (
        (
            prop::sample::select(Role::ALL),
            prop::sample::select(Party::ALL),
        ),
        prop_oneof![3 => Just(Action::DatasetRead), 1 => prop::sample::select(Action::ALL)],
        (
            prop::sample::select(Grade::ALL),
            prop::sample::select(ShareAttribute::ALL),
        ),
        (
            columns,
            prop::option::weighted(0.3, names()),
            prop::option::weighted(0.9, grants()),
        ),
        (
            any::<bool>(),
            any::<bool>(),
            prop::bool::weighted(0.9),
            prop::bool::weighted(0.1),
        ),
    )
        .prop_map(
            |((role, party), action, (grade, share), (columns, asked, grant), flags)| {
                let (linearizable, node, served, hong_kong) = flags;
                let mut case = if node {
                    Case::node(party, action)
                } else {
                    Case::person(role, party, action)
                };
                case = case.grade(grade);
                if hong_kong {
                    case = case.to(Jurisdiction::HONG_KONG);
                }
                case.dataset().share = share;
                case.dataset().served = served;
                case.dataset().columns = columns;
                case.request.columns = asked;
                case.facts.grant = grant;
                case.facts.linearizable = linearizable;
                case
            },
        )
}

/// Cases in which the grant is the fixture's own, so that a good part of them is permitted.
fn reads() -> impl Strategy<Value = Case> {
    (cases(), grants()).prop_map(|(mut case, mut grant)| {
        let read = Case::read();
        grant.state = GrantState::Active;
        grant.period = fixture::grant().period;
        grant.destination = Jurisdiction::MAINLAND;
        grant.consumer = fixture::participant("city");
        let facts = case.facts.dataset.take();
        case.request = schemas::decision::DecisionRequest {
            columns: case.request.columns,
            ..read.request
        };
        case.facts = schemas::decision::Facts {
            dataset: facts,
            grant: Some(grant),
            ..read.facts
        };
        case
    })
}

/// What must hold of every decision.
fn holds(case: &Case) -> Result<bool, TestCaseError> {
    let Decision::Permit(obligations) = decide(case) else {
        return Ok(false);
    };
    let dataset = case.facts.dataset.as_ref().unwrap();
    let own = case.facts.party == Party::Provider;
    let order: Vec<&str> = dataset
        .columns
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let positions: Vec<Option<usize>> = obligations
        .columns
        .iter()
        .map(|column| order.iter().position(|name| name == column))
        .collect();
    prop_assert!(positions.iter().all(Option::is_some));
    prop_assert!(positions.is_sorted(), "dataset order");
    for column in &obligations.columns {
        let granted = case
            .facts
            .grant
            .as_ref()
            .is_some_and(|it| it.columns.contains(column));
        prop_assert!(own || granted, "{column} is outside the grant");
        let asked = case
            .request
            .columns
            .as_ref()
            .is_none_or(|it| it.contains(column));
        prop_assert!(asked, "{column} was not asked for");
        let sensitive = (column.clone(), Sensitivity::SensitivePersonal);
        if dataset.columns.contains(&sensitive) {
            prop_assert!(
                obligations.masks.contains_key(column),
                "{column} is not masked"
            );
        }
    }
    let masks: BTreeSet<&String> = obligations.masks.keys().collect();
    prop_assert!(masks.iter().all(|name| obligations.columns.contains(name)));
    if case.request.action == Action::DatasetRead {
        prop_assert!(!obligations.columns.is_empty());
        prop_assert!(obligations.seal || !dataset.grade.is_sealed());
        prop_assert!(dataset.grade != Grade::Core);
        prop_assert!(case.request.destination.is_mainland());
    }
    Ok(true)
}

fn configuration() -> ProptestConfig {
    ProptestConfig {
        cases: 512,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(configuration())]

    #[test]
    fn taking_a_grant_away_never_turns_no_into_yes(case in cases()) {
        let without = case.clone().with(|it| it.facts.grant = None);
        let refused = |case: &Case| matches!(decide(case), Decision::Deny(_));
        prop_assert!(!refused(&case) || refused(&without));
    }

    #[test]
    fn what_is_worse_about_the_world_never_turns_no_into_yes(case in cases(), which in 0..6) {
        let worse = case.clone().with(|it| match which {
            0 => it.facts.principal_valid = false,
            1 => it.facts.clock_trusted = false,
            2 => it.facts.view_age_ms = u64::MAX,
            3 => it.facts.linearizable = false,
            4 => it.facts.party = Party::Other,
            _ => it.dataset().served = false,
        });
        // Reasons only grow: all that stood against the case stand against the worse one.
        let (before, after) = (codes(&case), codes(&worse));
        if which != 4 {
            prop_assert!(before.iter().all(|code| after.contains(code)), "{before:?} {after:?}");
        } else if case.request.action == Action::DatasetRead {
            prop_assert!(!after.is_empty());
        }
    }

    #[test]
    fn obligations_stay_inside_the_grant_and_mask_what_is_sensitive(case in cases()) {
        holds(&case)?;
    }

    #[test]
    fn reasons_are_sorted_and_each_stands_once(case in cases()) {
        if let Decision::Deny(reasons) = decide(&case) {
            prop_assert!(!reasons.is_empty());
            prop_assert!(reasons.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}

#[test]
fn a_good_part_of_generated_reads_is_permitted_and_holds() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut permits = 0;
    for _ in 0..512 {
        let case = reads().new_tree(&mut runner).unwrap().current();
        permits += usize::from(holds(&case).unwrap());
    }
    assert!(
        permits > 20,
        "{permits} of 512 were permitted: the properties would say little"
    );
}
