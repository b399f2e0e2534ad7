//! What must hold of every export: one rule decides, more persons never loosen it, nothing
//! protected leaves without its path, and what is proposed passes.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use policies::Pdp;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use schemas::code::ReasonCode;
use schemas::dataset::Sensitivity;
use schemas::decision::{Decision, Obligations};
use schemas::export::{ExportOutcome, ExportTerms, InstrumentKind, InstrumentState};
use schemas::participant::ParticipantKind;
use schemas::rule_pack::{EXPORT_ORDER, ExportSettings};
use schemas::{Grade, Jurisdiction};

use crate::world::{COLUMNS, Export, ruled, strict};

/// Numbers around every threshold.
const PERSONS: [u64; 10] = [
    0, 1, 9_999, 10_000, 99_999, 100_000, 500_000, 999_999, 1_000_000, 5_000_000,
];

/// Instruments and evidence, each whole or with one thing wrong.
fn held() -> impl Strategy<Value = Vec<(InstrumentKind, u8)>> {
    let kinds = subsequence(InstrumentKind::ALL, 0..=InstrumentKind::ALL.len());
    (
        kinds,
        prop::collection::vec(0_u8..12, InstrumentKind::ALL.len()),
    )
        .prop_map(|(kinds, wrong)| kinds.into_iter().zip(wrong).collect())
}

fn holding(case: Export, held: &[(InstrumentKind, u8)]) -> Export {
    let bare = case.known(|it| it.instruments.clear());
    held.iter().fold(bare, |case, (kind, wrong)| {
        case.holding_but(*kind, |it| match wrong {
            0 => it.state = InstrumentState::Suspended,
            1 => it.envelope.purposes.clear(),
            2 => drop(it.envelope.data[0].columns.remove("driver_track")),
            3 => drop(it.envelope.data[0].columns.remove("consignee")),
            4 => it.filed_on = None,
            _ => {}
        })
    })
}

fn exports() -> impl Strategy<Value = Export> {
    let names = COLUMNS.map(|(name, _)| name).to_vec();
    let places = ["HK", "MO", "SG"].map(|it| Jurisdiction::parse(it).unwrap());
    (
        (
            held(),
            subsequence(names, 1..=COLUMNS.len()),
            select(Grade::ALL),
        ),
        (select(&PERSONS[..]), select(&PERSONS[..]), any::<bool>()),
        (
            select(ParticipantKind::ALL),
            prop::bool::weighted(0.2),
            select(places.to_vec()),
        ),
        (
            select(&["port-logistics", "passenger-service"][..]),
            0_u32..4,
            any::<bool>(),
        ),
    )
        .prop_map(
            |((held, columns, grade), (ns, s, measured), (kind, ciio, place), rest)| {
                let (purpose, approvals, onward) = rest;
                let mut case = Export::personal()
                    .columns(&columns)
                    .grade(grade)
                    .provider(kind);
                case = holding(case.purpose(purpose), &held)
                    .to(place)
                    .persons(ns, s);
                case.dataset().provider_ciio = ciio;
                case.known(|it| {
                    it.approvals = approvals;
                    it.onward_transfer = onward;
                    if !measured {
                        it.counts.as_mut().unwrap().batch = None;
                    }
                })
            },
        )
}

/// The four settings, each either way.
fn settings() -> impl Strategy<Value = [bool; 4]> {
    any::<[bool; 4]>()
}

/// Each combination of settings, compiled once.
fn under(settings: &[bool; 4]) -> &'static Pdp {
    static ALL: OnceLock<BTreeMap<[bool; 4], Pdp>> = OnceLock::new();
    let compiled = ALL.get_or_init(|| {
        let bits = |at: u8| [1, 2, 4, 8].map(|bit| at & bit != 0);
        (0..16)
            .map(bits)
            .map(|it| {
                let settings = ExportSettings {
                    gba_volume_waiver: it[0],
                    organ_statutory_duty_suffices: it[1],
                    exempt_volumes_excluded: it[2],
                    contract_stays_after_crossing: it[3],
                };
                (it, ruled(|rules| rules.settings = settings))
            })
            .collect()
    });
    &compiled[settings]
}

/// What an export that is not refused leaves with.
fn passes(decision: &Decision) -> bool {
    !matches!(decision, Decision::Deny(_))
}

fn terms(decision: &Decision) -> Option<(&Obligations, &ExportTerms)> {
    match decision {
        Decision::Permit(it) => Some((it, it.export.as_deref()?)),
        Decision::Measure { .. } | Decision::Deny(_) => None,
    }
}

/// How strict the deciding rule is, whatever became of the export.
fn strictness(decision: &Decision) -> u8 {
    let number = match decision {
        Decision::Permit(it) => it.export.as_ref().unwrap().rule,
        Decision::Measure { duty, .. } => duty.rule,
        Decision::Deny(reasons) => rules(reasons.iter().map(|it| it.code))[0],
    };
    match number {
        ReasonCode::X0 | ReasonCode::X1 | ReasonCode::X2 | ReasonCode::X3 => 3,
        ReasonCode::X4 | ReasonCode::X5 | ReasonCode::X6 | ReasonCode::X14 => 2,
        ReasonCode::X15 | ReasonCode::X16 => 1,
        _ => 0,
    }
}

fn rules(codes: impl Iterator<Item = ReasonCode>) -> Vec<ReasonCode> {
    codes.filter(|it| EXPORT_ORDER.contains(it)).collect()
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
    fn exactly_one_rule_decides(case in exports(), settings in settings()) {
        match case.decide(under(&settings)) {
            Decision::Deny(reasons) => {
                let codes = reasons.iter().map(|it| it.code);
                prop_assert_eq!(rules(codes).len(), 1, "{:?}", reasons);
                prop_assert!(reasons.is_sorted());
            }
            Decision::Permit(it) => prop_assert!(it.seal && it.export.is_some()),
            Decision::Measure { obligations, .. } => prop_assert!(obligations.export.is_none()),
        }
    }

    #[test]
    fn more_persons_never_give_a_looser_rule_or_a_pass(
        case in exports(), settings in settings(), more in 0_u64..2_000_000, which in 0..3,
    ) {
        let pdp = under(&settings);
        let grown = case.clone().known(|it| {
            let counts = it.counts.as_mut().unwrap();
            match which {
                0 => counts.non_sensitive += more,
                1 => counts.sensitive += more,
                _ => counts.under.iter_mut().for_each(|it| it.persons += more),
            }
        });
        let (before, after) = (case.decide(pdp), grown.decide(pdp));
        prop_assert!(strictness(&before) <= strictness(&after), "{before:?} {after:?}");
        prop_assert!(passes(&before) || !passes(&after), "{before:?} {after:?}");
    }

    #[test]
    fn what_is_protected_leaves_by_its_path_alone(case in exports(), settings in settings()) {
        let decision = case.decide(under(&settings));
        let Some((obligations, terms)) = terms(&decision) else {
            return Ok(());
        };
        let facts = case.facts.dataset.as_ref().unwrap();
        let export = case.facts.export.as_ref().unwrap();
        prop_assert!(facts.grade != Grade::Core);
        prop_assert!(obligations.seal && export.approvals >= 2);
        let used = terms.instrument.as_ref().map(|id| {
            export.instruments.iter().find(|it| it.id == *id).unwrap()
        });
        if facts.grade == Grade::Important {
            prop_assert_eq!(used.map(|it| it.kind), Some(InstrumentKind::SecurityAssessment));
        }
        prop_assert!(used.is_none_or(|it| it.state == InstrumentState::Valid));
        let exempt = matches!(terms.outcome, ExportOutcome::Exempt | ExportOutcome::NotRequired);
        prop_assert!(!exempt || used.is_none());
        let personal = facts.columns.iter().any(|(name, it)| {
            *it != Sensitivity::None && obligations.columns.contains(name)
        });
        if personal {
            prop_assert!(export.counts.as_ref().unwrap().batch.is_some());
            let assessed = export.instruments.iter().any(|it| {
                it.kind == InstrumentKind::ImpactAssessment && it.state == InstrumentState::Valid
            });
            prop_assert!(assessed);
        }
    }

    #[test]
    fn a_proposal_passes_when_it_is_asked_for(case in exports(), settings in settings()) {
        let pdp = under(&settings);
        let Decision::Deny(reasons) = case.decide(pdp) else {
            return Ok(());
        };
        let proposals: Vec<_> = reasons.iter().filter_map(|it| it.proposal.as_ref()).collect();
        prop_assert!(proposals.len() <= 1);
        for columns in proposals {
            let asked = case.request.columns.as_ref().unwrap();
            prop_assert!(columns.len() < asked.len());
            prop_assert!(columns.iter().all(|it| asked.contains(it)));
            let mut again = case.clone();
            again.request.columns = Some(columns.iter().cloned().collect());
            let decision = again.decide(pdp);
            prop_assert!(passes(&decision), "{decision:?}");
        }
    }

    #[test]
    fn taking_evidence_away_never_lets_more_leave(
        case in exports(), at in any::<prop::sample::Index>(),
    ) {
        let held = case.facts.export.as_ref().unwrap().instruments.len();
        prop_assume!(held > 0);
        let less = case.clone().known(|it| drop(it.instruments.remove(at.index(held))));
        let (before, after) = (case.decide(strict()), less.decide(strict()));
        prop_assert!(passes(&before) || !passes(&after), "{before:?} {after:?}");
    }

    #[test]
    fn the_first_decision_refuses_nothing_that_the_second_would_permit(case in exports()) {
        let first = case.clone().unmeasured().decide(strict());
        let second = case.decide(strict());
        prop_assert!(passes(&first) || !passes(&second), "{first:?} {second:?}");
    }

    #[test]
    fn an_explanation_ends_with_what_decided(case in exports(), settings in settings()) {
        let pdp = under(&settings);
        let it = pdp.explain(&case.request, &case.facts);
        prop_assert_eq!(&it.decision, &case.decide(pdp));
        let spoken: Vec<&str> = it.spoke.iter().map(|it| it.rule.as_str()).collect();
        if let Decision::Deny(reasons) = &it.decision {
            for reason in reasons {
                prop_assert!(spoken.contains(&reason.code.as_str()), "{reason:?} {spoken:?}");
            }
        }
        prop_assert!(it.spoke.iter().all(|it| !it.cites.is_empty()));
    }
}

#[test]
fn a_good_part_of_generated_exports_passes() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let passed = (0..4_096)
        .filter(|_| {
            let case = exports().new_tree(&mut runner).unwrap().current();
            terms(&case.decide(strict())).is_some()
        })
        .count();
    assert!(
        passed > 40,
        "{passed} of 4096 passed: the properties would say little"
    );
}
