//! The export matrix: what the rule pack that ships decides, as a table that a lawyer reads in a
//! diff. `UPDATE_EXPECT=1 cargo test -p policies --test export` rewrites `matrix.out`.
//!
//! It does not say what should be decided; the reviewer of the diff does.

use std::fmt::Write as _;

use expect_test::expect_file;
use policies::Pdp;
use schemas::code::ReasonCode;
use schemas::decision::Decision;
use schemas::export::{
    ExportMethod, ExportTerms, InstrumentKind, InstrumentState, MeasureDuty, NoticeKind,
};
use schemas::participant::ParticipantKind;
use schemas::rule_pack::{EXPORT_ORDER, PackBody, shipped};
use schemas::{Grade, Jurisdiction};

use crate::world::{Export, dataset_id, day, listed, member, ruled, strict};

const HEADER: &str = "\
EXPORT MATRIX of the rule pack that ships (schemas/json/packs/export.cn.json). Written by
policies/tests/export; the diff of this file is the review of a rule change. UPDATE_EXPECT=1
rewrites it.

Unless a row says otherwise: on 2026-11-24 an enterprise in Shenzhen (440305), no operator of
critical infrastructure, sends rows of `manifests` (grade G3) as a sealed transfer to a terminal in
Hong Kong for the purpose passenger-service. `container` and `packages` hold nothing of persons,
`consignee` is personal, `driver_track` sensitive personal. Rows with a consignee hold ten persons,
ten since 1 January. Separate consent and impact assessment are registered and valid, two persons of
the sender agreed, the recipient keeps the rows 180 days and passes nothing on. An instrument that a
row adds covers all of this, from 2026-03-02 to 2028-12-31, filed on 2026-03-06, for 2,000,000
persons and 180 days.

  leaves   the rule that decided, its outcome and the instrument used; then what to watch
  stays    the rule that decided and everything that stands in the way; then the columns that could
           leave instead
  count    persons are counted first, nothing leaves
`+` marks a row in which the rule holds, `-` its nearest miss.
";

fn tell(decision: &Decision) -> String {
    match decision {
        Decision::Permit(obligations) => {
            assert!(obligations.seal, "an export is sealed");
            format!(
                "leaves   {}",
                terms_text(obligations.export.as_deref().unwrap())
            )
        }
        Decision::Measure { duty, .. } => format!("count    {}", duty_text(duty)),
        Decision::Deny(reasons) => {
            let codes: Vec<&str> = reasons.iter().map(|it| it.code.as_str()).collect();
            let proposal = reasons.iter().find_map(|it| it.proposal.as_ref());
            let proposal = proposal.map_or_else(String::new, |columns| {
                format!("; could leave: {}", columns.join(", "))
            });
            let why: String = reasons
                .iter()
                .filter(|it| !EXPORT_ORDER.contains(&it.code))
                .map(|it| format!("\n             {}", it.cites))
                .collect();
            format!("stays    {}{proposal}{why}", codes.join(" "))
        }
    }
}

fn terms_text(it: &ExportTerms) -> String {
    let mut text = format!("{} {}", it.rule, it.outcome);
    if let Some(instrument) = &it.instrument {
        text += &format!(" by {instrument}");
    }
    for reading in &it.readings {
        let how = if reading.strict { "stricter" } else { "looser" };
        text += &format!("; {} read the {how} way", reading.question);
    }
    for notice in &it.notices {
        text += &match notice.kind {
            NoticeKind::FilingDue => format!("; to be filed within {} days", notice.limit),
            NoticeKind::ExtensionOpen => {
                format!("; ends in {} days, apply for the extension", notice.limit)
            }
            kind => format!(
                "; {kind}: {} of {}, above {} %",
                notice.count, notice.limit, notice.percent
            ),
        };
    }
    text
}

fn duty_text(it: &MeasureDuty) -> String {
    let mut text = format!(
        "{} if nobody is in it; personal: {}",
        it.rule,
        it.personal.join(", ")
    );
    if !it.sensitive.is_empty() {
        text += &format!("; sensitive: {}", it.sensitive.join(", "));
    }
    if let Some(instrument) = &it.instrument {
        text += &format!("; on the scale of {instrument}");
    }
    text
}

/// One row.
struct Row {
    mark: char,
    what: &'static str,
    case: Export,
    pdp: Pdp,
}

fn row(mark: char, what: &'static str, case: Export) -> Row {
    Row {
        mark,
        what,
        case,
        pdp: strict().clone(),
    }
}

impl Row {
    fn under(self, pdp: Pdp) -> Self {
        Self { pdp, ..self }
    }
}

fn personal() -> Export {
    Export::personal()
}

fn sensitive() -> Export {
    Export::personal().columns(&["container", "driver_track"])
}

/// The rules that forbid, or ask for an assessment whatever the numbers.
fn strict_rules() -> Vec<(ReasonCode, Vec<Row>)> {
    let trade = Export::trade;
    let foreign = || trade().purpose("foreign-judicial-assistance");
    vec![
        (
            ReasonCode::X0,
            vec![
                row('+', "the dataset is listed as holding a secret", trade()).under(ruled(|it| {
                    it.listed.secret_datasets = [dataset_id()].into()
                })),
                row('-', "it is not", trade()),
            ],
        ),
        (
            ReasonCode::X1,
            vec![
                row('+', "the purpose serves a foreign judicial body", foreign()),
                row('+', "the recipient is a foreign enforcement body", trade()).under(ruled(
                    |it| it.listed.foreign_bodies = [member("hk-terminal")].into(),
                )),
                row('-', "the competent authority approved", {
                    foreign().holding(InstrumentKind::CompetentApproval)
                }),
                row('+', "it approved another column", {
                    foreign().holding_but(InstrumentKind::CompetentApproval, |it| {
                        it.envelope.data[0].columns = ["container".to_owned()].into();
                    })
                }),
            ],
        ),
        (
            ReasonCode::X2,
            vec![
                row('+', "the recipient is on the restricted list", trade()).under(ruled(|it| {
                    it.listed
                        .restricted_recipients
                        .insert(member("hk-terminal"));
                })),
                row('+', "the data is under export control", trade()).under(ruled(|it| {
                    it.listed.controlled_datasets = [dataset_id()].into()
                })),
                row('-', "another recipient is on the list", trade()).under(ruled(|it| {
                    it.listed
                        .restricted_recipients
                        .insert(member("mo-terminal"));
                })),
            ],
        ),
        (
            ReasonCode::X3,
            vec![
                row('+', "CORE", trade().grade(Grade::Core)),
                row('-', "IMPORTANT", trade().grade(Grade::Important)),
            ],
        ),
        (
            ReasonCode::X4,
            vec![
                row(
                    '+',
                    "IMPORTANT, no assessment",
                    trade().grade(Grade::Important),
                ),
                row('+', "IMPORTANT, an assessment", {
                    trade()
                        .grade(Grade::Important)
                        .holding(InstrumentKind::SecurityAssessment)
                }),
                row('+', "IMPORTANT, a standard contract", {
                    trade()
                        .grade(Grade::Important)
                        .holding(InstrumentKind::StandardContract)
                }),
                row('-', "G4", trade().grade(Grade::G4)),
            ],
        ),
        (
            ReasonCode::X5,
            vec![
                row(
                    '+',
                    "a state organ",
                    personal().provider(ParticipantKind::StateOrgan),
                ),
                row('+', "an organisation authorised by law", {
                    personal().provider(ParticipantKind::AuthorisedOrganisation)
                }),
                row('+', "a state organ, an assessment", {
                    let organ = personal().provider(ParticipantKind::StateOrgan);
                    organ.holding(InstrumentKind::SecurityAssessment)
                }),
                row('-', "a state organ, nothing personal", {
                    Export::trade().provider(ParticipantKind::StateOrgan)
                }),
                row('-', "an enterprise", personal()),
            ],
        ),
        (
            ReasonCode::X6,
            vec![
                row(
                    '+',
                    "an operator of critical infrastructure",
                    personal().critical(),
                ),
                row(
                    '-',
                    "the same, necessary for a contract with the individual",
                    {
                        personal()
                            .critical()
                            .holding(InstrumentKind::ContractNecessity)
                    },
                ),
                row(
                    '-',
                    "the same, nothing personal",
                    Export::trade().critical(),
                ),
            ],
        ),
    ]
}

/// The rules that exempt, with their evidence.
fn exempting_rules() -> Vec<(ReasonCode, Vec<Row>)> {
    // Numbers that would need an assessment: the exemption frees from it.
    let many = || personal().persons(2_000_000, 20_000);
    let evidence = |rule, kind: InstrumentKind| {
        (
            rule,
            vec![
                row('+', "the evidence covers the columns", many().holding(kind)),
                row('-', "it is for another purpose", {
                    many().holding_but(kind, |it| {
                        it.envelope.purposes = ["other".to_owned()].into()
                    })
                }),
                row('-', "it ended yesterday", {
                    many().holding_but(kind, |it| it.until = day("2026-11-23"))
                }),
            ],
        )
    };
    vec![
        (
            ReasonCode::X7,
            vec![
                row('+', "trade, nothing personal", Export::trade()),
                row('-', "trade, and a consignee is a natural person", {
                    Export::trade()
                        .columns(&["container", "packages", "consignee"])
                        .persons(500_000, 0)
                }),
                row(
                    '-',
                    "another purpose",
                    Export::trade().purpose("statistics"),
                ),
            ],
        ),
        evidence(ReasonCode::X8, InstrumentKind::CollectedAbroad),
        evidence(ReasonCode::X9, InstrumentKind::ContractNecessity),
        evidence(ReasonCode::X10, InstrumentKind::EmployeeManagement),
        evidence(ReasonCode::X11, InstrumentKind::Emergency),
        (
            ReasonCode::X12,
            vec![
                row('+', "classified, outside the list", many().classified(&[])).under(listed()),
                row('+', "within it, below the row's number", {
                    personal().persons(49_999, 0).classified(&["partners"])
                })
                .under(listed()),
                row('+', "within it, the row's number reached", {
                    personal().persons(50_000, 0).classified(&["partners"])
                })
                .under(listed()),
                row('+', "within it, with the contract that the row asks for", {
                    let it = personal().persons(50_000, 0).classified(&["partners"]);
                    it.holding(InstrumentKind::StandardContract)
                })
                .under(listed()),
                row('-', "classified under another number of the list", {
                    many().classified_under(2, &[])
                })
                .under(listed()),
                row('-', "no list is known", many().classified(&[])),
            ],
        ),
        (
            ReasonCode::X13,
            vec![
                row(
                    '+',
                    "a treaty covers it",
                    many().holding(InstrumentKind::Treaty),
                ),
                row('-', "it covers another recipient", {
                    many().holding_but(InstrumentKind::Treaty, |it| {
                        it.envelope.recipients = [member("mo-terminal")].into();
                    })
                }),
            ],
        ),
    ]
}

/// The rules by number of persons.
fn counted_rules() -> Vec<(ReasonCode, Vec<Row>)> {
    let bay = InstrumentKind::GbaContract;
    let contract = InstrumentKind::StandardContract;
    vec![
        (
            ReasonCode::X14,
            vec![
                row(
                    '+',
                    "1,000,000 persons, a contract",
                    personal().persons(1_000_000, 0).holding(contract),
                ),
                row(
                    '-',
                    "999,999 persons, a contract",
                    personal().persons(999_999, 0).holding(contract),
                ),
                row(
                    '+',
                    "10,000 with sensitive information",
                    sensitive().persons(0, 10_000),
                ),
                row('+', "an assessment", {
                    personal()
                        .persons(1_000_000, 0)
                        .holding(InstrumentKind::SecurityAssessment)
                }),
            ],
        ),
        (
            ReasonCode::X17,
            vec![
                row('+', "99,999 persons", personal().persons(99_999, 0)),
                row('-', "100,000 persons", personal().persons(100_000, 0)),
                row(
                    '-',
                    "one person with sensitive information",
                    sensitive().persons(0, 1),
                ),
            ],
        ),
        (
            ReasonCode::X15,
            vec![
                row(
                    '+',
                    "Shenzhen to Hong Kong",
                    personal().persons(100_000, 0).holding(bay),
                ),
                row('-', "Shantou to Hong Kong", {
                    personal().seat("440500").persons(100_000, 0).holding(bay)
                }),
                row('-', "to Macao, the contract is the Hong Kong version", {
                    let held = personal()
                        .persons(100_000, 0)
                        .holding(bay)
                        .to(Jurisdiction::MACAO);
                    held.known(|it| {
                        it.instruments
                            .iter_mut()
                            .filter(|it| it.kind == bay)
                            .for_each(|it| {
                                it.envelope.destinations = [Jurisdiction::HONG_KONG].into();
                            })
                    })
                }),
                row('-', "to Singapore", {
                    let place = Jurisdiction::parse("SG").unwrap();
                    personal().persons(100_000, 0).holding(bay).to(place)
                }),
                row(
                    '-',
                    "99,999 persons keep their exemption",
                    personal().persons(99_999, 0).holding(bay),
                ),
                row(
                    '-',
                    "1,000,000 persons",
                    personal().persons(1_000_000, 0).holding(bay),
                ),
                row('+', "the contract lets rows be passed on", {
                    personal()
                        .persons(100_000, 0)
                        .holding(bay)
                        .known(|it| it.onward_transfer = true)
                }),
            ],
        ),
        (
            ReasonCode::X16,
            vec![
                row(
                    '+',
                    "100,000 persons, nothing held",
                    personal().persons(100_000, 0),
                ),
                row(
                    '+',
                    "100,000 persons, a contract",
                    personal().persons(100_000, 0).holding(contract),
                ),
                row('+', "100,000 persons, a certification", {
                    personal()
                        .persons(100_000, 0)
                        .holding(InstrumentKind::Certification)
                }),
                row('+', "one with sensitive information, a contract", {
                    sensitive().persons(0, 1).holding(contract)
                }),
                row('+', "9,999 with sensitive information, a contract", {
                    sensitive().persons(0, 9_999).holding(contract)
                }),
                row('-', "10,000 with sensitive information, a contract", {
                    sensitive().persons(0, 10_000).holding(contract)
                }),
            ],
        ),
        (
            ReasonCode::X18,
            vec![
                row(
                    '+',
                    "statistics, nothing personal",
                    Export::trade().purpose("statistics"),
                ),
                row('-', "trade", Export::trade()),
            ],
        ),
    ]
}

/// Every threshold at -1, 0 and +1, and every mark.
fn thresholds() -> Vec<Row> {
    let all = |case: Export| {
        case.holding(InstrumentKind::StandardContract)
            .holding(InstrumentKind::SecurityAssessment)
    };
    let held = |ns| all(personal().persons(ns, 0));
    let secret = |s| all(sensitive().persons(0, s));
    vec![
        row(
            ' ',
            "79,999 persons: 80 % of the exemption less one",
            held(79_999),
        ),
        row(' ', "80,000", held(80_000)),
        row(' ', "80,001", held(80_001)),
        row(' ', "94,999: 95 % of the exemption less one", held(94_999)),
        row(' ', "95,000", held(95_000)),
        row(' ', "95,001", held(95_001)),
        row(' ', "99,999: the exemption less one", held(99_999)),
        row(' ', "100,000", held(100_000)),
        row(' ', "100,001", held(100_001)),
        row(
            ' ',
            "799,999: 80 % of the assessment less one",
            held(799_999),
        ),
        row(' ', "800,000", held(800_000)),
        row(' ', "800,001", held(800_001)),
        row(
            ' ',
            "949,999: 95 % of the assessment less one",
            held(949_999),
        ),
        row(' ', "950,000", held(950_000)),
        row(' ', "950,001", held(950_001)),
        row(' ', "999,999: the assessment less one", held(999_999)),
        row(' ', "1,000,000", held(1_000_000)),
        row(' ', "1,000,001", held(1_000_001)),
        row(' ', "0 with sensitive information", secret(0)),
        row(' ', "1 with sensitive information", secret(1)),
        row(' ', "2 with sensitive information", secret(2)),
        row(
            ' ',
            "7,999 with sensitive information: 80 % less one",
            secret(7_999),
        ),
        row(' ', "8,000 with sensitive information", secret(8_000)),
        row(' ', "8,001 with sensitive information", secret(8_001)),
        row(
            ' ',
            "9,499 with sensitive information: 95 % less one",
            secret(9_499),
        ),
        row(' ', "9,500 with sensitive information", secret(9_500)),
        row(' ', "9,501 with sensitive information", secret(9_501)),
        row(' ', "9,999 with sensitive information", secret(9_999)),
        row(' ', "10,000 with sensitive information", secret(10_000)),
        row(' ', "10,001 with sensitive information", secret(10_001)),
        row(' ', "the counters are last year's", {
            all(personal().persons(10, 0)).known(|it| it.counts.as_mut().unwrap().year = 2025)
        }),
        row(
            ' ',
            "the counter home did not answer",
            all(personal()).known(|it| it.counts = None),
        ),
    ]
}

/// One instrument, and each condition of its use: kept, and just not.
fn envelope() -> Vec<Row> {
    use schemas::export::Instrument;
    let contract = InstrumentKind::StandardContract;
    let held = || personal().persons(100_000, 0).holding(contract);
    let but =
        |change: fn(&mut Instrument)| personal().persons(100_000, 0).holding_but(contract, change);
    let sent = |persons| held().known(|it| it.counts.as_mut().unwrap().under[0].persons = persons);
    vec![
        row(' ', "the first day", but(|it| it.from = day("2026-11-24"))),
        row(
            ' ',
            "the day before the first",
            but(|it| it.from = day("2026-11-25")),
        ),
        row(' ', "the last day", but(|it| it.until = day("2026-11-24"))),
        row(
            ' ',
            "the day after the last",
            but(|it| it.until = day("2026-11-23")),
        ),
        row(
            ' ',
            "suspended",
            but(|it| it.state = InstrumentState::Suspended),
        ),
        row(' ', "ended", but(|it| it.state = InstrumentState::Ended)),
        row(
            ' ',
            "another processor's",
            but(|it| it.processor = member("carrier")),
        ),
        row(' ', "the recipient is outside", {
            but(|it| it.envelope.recipients = [member("mo-terminal")].into())
        }),
        row(' ', "Hong Kong is outside", {
            but(|it| it.envelope.destinations = [Jurisdiction::MACAO].into())
        }),
        row(' ', "the purpose is outside", {
            but(|it| it.envelope.purposes = ["other".to_owned()].into())
        }),
        row(' ', "the personal column is outside", {
            but(|it| it.envelope.data[0].columns = ["container".to_owned()].into())
        }),
        row(' ', "a column with nothing of persons is outside", {
            but(|it| it.envelope.data[0].columns = ["consignee".to_owned()].into())
        }),
        row(' ', "sealed transfers are outside", {
            but(|it| it.envelope.methods = [ExportMethod::Read].into())
        }),
        row(' ', "persons: the scale reached", sent(2_000_000)),
        row(' ', "persons: the scale exceeded by one", sent(2_000_001)),
        row(' ', "persons: not told by the counter home", {
            held().known(|it| it.counts.as_mut().unwrap().under.clear())
        }),
        row(
            ' ',
            "no scale is named",
            but(|it| it.envelope.persons_max = None),
        ),
        row(
            ' ',
            "retention: a day longer",
            held().known(|it| it.retention_days = Some(181)),
        ),
        row(
            ' ',
            "retention: not known",
            held().known(|it| it.retention_days = None),
        ),
        row(' ', "a second contract covers it", {
            let first = but(|it| it.state = InstrumentState::Suspended);
            first.holding_but(contract, |it| {
                it.id = schemas::InstrumentId::parse("standard-contract-2").unwrap();
            })
        }),
    ]
}

/// Clocks of instruments: filing within ten working days, three years, sixty working days before.
fn clocks() -> Vec<Row> {
    let contract = InstrumentKind::StandardContract;
    let unfiled = |on| {
        let it = personal().persons(100_000, 0).at(on);
        it.holding_but(contract, |it| {
            // A Monday; over the National Day the tenth working day is 12 October.
            it.from = day("2026-09-21");
            it.filed_on = None;
        })
    };
    let assessed = |on| {
        let it = personal().persons(1_000_000, 0).at(on);
        it.known(|it| {
            it.instruments
                .iter_mut()
                .for_each(|it| it.from = day("2022-01-01"))
        })
        .known(|it| {
            it.instruments
                .iter_mut()
                .for_each(|it| it.until = day("2030-01-01"))
        })
        .holding_but(InstrumentKind::SecurityAssessment, |it| {
            it.from = day("2023-12-01");
            it.until = day("2030-01-01");
        })
    };
    vec![
        row(
            ' ',
            "a contract of 21 September, not filed, on 9 October",
            unfiled("2026-10-09"),
        ),
        row(' ', "on the tenth working day", unfiled("2026-10-12")),
        row(' ', "the day after", unfiled("2026-10-13")),
        row(
            ' ',
            "an assessment of 2023-12-01 that says 2030, on its last day",
            assessed("2026-11-30"),
        ),
        row(' ', "three years later", assessed("2026-12-01")),
        row(
            ' ',
            "the first day of the sixty working days before",
            assessed("2026-09-01"),
        ),
        row(' ', "the day before it", assessed("2026-08-31")),
    ]
}

fn duties() -> Vec<Row> {
    let consent = InstrumentKind::SeparateConsent;
    let assessment = InstrumentKind::ImpactAssessment;
    let exempt = || personal().holding(InstrumentKind::ContractNecessity);
    vec![
        row(
            ' ',
            "no consent and no other ground",
            personal().without(consent),
        ),
        row(
            ' ',
            "no consent, necessary for a contract with the individual",
            exempt().without(consent),
        ),
        row(
            ' ',
            "exempt, no impact assessment",
            exempt().without(assessment),
        ),
        row(' ', "the consent was for another column", {
            let it = personal().without(consent);
            it.holding_but(consent, |it| {
                it.envelope.data[0].columns = ["driver_track".to_owned()].into()
            })
        }),
        row(
            ' ',
            "one person agreed",
            Export::trade().known(|it| it.approvals = 1),
        ),
        row(' ', "trade: neither consent nor impact assessment", {
            Export::trade().without(consent).without(assessment)
        }),
    ]
}

fn open_questions() -> Vec<Row> {
    let bay = || {
        personal()
            .persons(1_000_000, 0)
            .holding(InstrumentKind::GbaContract)
    };
    let organ = || {
        let it = personal().provider(ParticipantKind::StateOrgan);
        it.holding(InstrumentKind::StatutoryDuty)
    };
    let exempt = || {
        personal().persons(100_000, 0).known(|it| {
            it.counts.as_mut().unwrap().exempt_non_sensitive = 1;
        })
    };
    let crossed = || {
        let it = personal()
            .persons(100_000, 0)
            .holding(InstrumentKind::StandardContract);
        it.known(|it| it.crossed_on = Some(day("2026-06-30")))
    };
    vec![
        row(
            ' ',
            "GBA contract, 1,000,000 persons: the stricter way",
            bay(),
        ),
        row(' ', "the looser way", bay()).under(ruled(|it| it.settings.gba_volume_waiver = true)),
        row(
            ' ',
            "a state organ with a statutory duty: the stricter way",
            organ(),
        ),
        row(' ', "the looser way", organ())
            .under(ruled(|it| it.settings.organ_statutory_duty_suffices = true)),
        row(
            ' ',
            "100,000 persons, one of them in exempt volumes only: the stricter way",
            exempt(),
        ),
        row(' ', "the looser way", exempt())
            .under(ruled(|it| it.settings.exempt_volumes_excluded = true)),
        row(
            ' ',
            "a contract from before a crossing: the stricter way",
            crossed(),
        ),
        row(' ', "the looser way", crossed())
            .under(ruled(|it| it.settings.contract_stays_after_crossing = true)),
        row(' ', "a contract signed after the crossing", {
            let it = personal().persons(100_000, 0);
            it.holding_but(InstrumentKind::StandardContract, |it| {
                it.from = day("2026-07-01")
            })
            .known(|it| it.crossed_on = Some(day("2026-06-30")))
        }),
    ]
}

fn measuring() -> Vec<Row> {
    vec![
        row(
            ' ',
            "personal, exempt by what is known",
            personal().unmeasured(),
        ),
        row(' ', "with sensitive columns and a contract", {
            let it = personal()
                .columns(&["consignee", "driver_track"])
                .persons(10, 1);
            it.holding(InstrumentKind::StandardContract).unmeasured()
        }),
        row(
            ' ',
            "refused whatever the count",
            personal().persons(100_000, 0).unmeasured(),
        ),
        row(' ', "nothing personal", Export::trade().unmeasured()),
        row(
            ' ',
            "the facts of the export were not gathered",
            personal().with(|it| it.facts.export = None),
        ),
        row(' ', "nothing personal, the facts were not gathered", {
            Export::trade().with(|it| it.facts.export = None)
        }),
    ]
}

fn projections() -> Vec<Row> {
    let all = || Export::trade().columns(&["container", "packages", "consignee", "driver_track"]);
    vec![
        row(
            ' ',
            "a manifest with consignees, 500,000 persons: trade is lost for that column",
            {
                Export::trade()
                    .columns(&["container", "packages", "consignee"])
                    .persons(500_000, 0)
            },
        ),
        row(' ', "a contract without the sensitive column", {
            all()
                .persons(500_000, 100)
                .holding_but(InstrumentKind::StandardContract, |it| {
                    it.envelope.data[0].columns.remove("driver_track");
                })
        }),
        row(' ', "consent without the sensitive column", {
            let it = all()
                .persons(10, 1)
                .holding(InstrumentKind::StandardContract);
            it.without(InstrumentKind::SeparateConsent).holding_but(
                InstrumentKind::SeparateConsent,
                |it| {
                    it.envelope.data[0].columns.remove("driver_track");
                },
            )
        }),
        row(
            ' ',
            "important data: leaving columns out does not help",
            all().grade(Grade::Important),
        ),
        row(' ', "nothing else is asked for", {
            Export::trade().columns(&["consignee"]).persons(500_000, 0)
        }),
        row(' ', "who may not have the rows is told nothing", {
            let it = Export::trade()
                .columns(&["container", "consignee"])
                .persons(500_000, 0);
            it.with(|it| it.facts.principal_valid = false)
        }),
    ]
}

fn section(out: &mut String, title: &str, rows: &[Row]) {
    writeln!(out, "\n{title}\n").ok();
    for Row {
        mark,
        what,
        case,
        pdp,
    } in rows
    {
        writeln!(out, "  {mark} {what}\n      {}", tell(&case.decide(pdp))).ok();
    }
}

/// The words of a rule as a lawyer reads them.
fn title(number: ReasonCode) -> String {
    let rule = shipped().iter().find_map(|it| match &it.body {
        PackBody::ExportRules(it) => it.rule(number),
        _ => None,
    });
    let it = rule.unwrap();
    format!(
        "{number}  {}\n     {}\n     {}  [{}]\n     -> {}\n     -> {}",
        it.when.zh, it.when.en, it.outcome, it.cites, it.next.zh, it.next.en
    )
}

fn every_rule() -> Vec<(ReasonCode, Vec<Row>)> {
    strict_rules()
        .into_iter()
        .chain(exempting_rules())
        .chain(counted_rules())
        .collect()
}

#[test]
fn the_matrix_is_the_one_that_was_reviewed() {
    let mut out = HEADER.to_owned();
    for (number, rows) in every_rule() {
        section(&mut out, &title(number), &rows);
    }
    section(
        &mut out,
        "THRESHOLDS, a contract and an assessment held",
        &thresholds(),
    );
    section(
        &mut out,
        "ENVELOPE: 100,000 persons under a standard contract, but",
        &envelope(),
    );
    section(&mut out, "CLOCKS of instruments", &clocks());
    section(&mut out, "DUTIES that stay under an exemption", &duties());
    section(
        &mut out,
        "OPEN QUESTIONS, each setting both ways",
        &open_questions(),
    );
    section(&mut out, "MEASURE FIRST", &measuring());
    section(&mut out, "PROJECTIONS", &projections());
    expect_file!["matrix.out"].assert_eq(&out);
}

/// The number of the rule that decided.
fn decided_by(decision: &Decision) -> ReasonCode {
    match decision {
        Decision::Permit(it) => it.export.as_ref().unwrap().rule,
        Decision::Measure { duty, .. } => duty.rule,
        Decision::Deny(reasons) => reasons
            .iter()
            .map(|it| it.code)
            .find(|it| EXPORT_ORDER.contains(it))
            .unwrap(),
    }
}

#[test]
fn every_rule_decides_its_own_cases_and_not_its_nearest_misses() {
    let all = every_rule();
    let numbers: Vec<ReasonCode> = all.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, EXPORT_ORDER);
    for (number, rows) in &all {
        for marks in ['+', '-'] {
            assert!(
                rows.iter().any(|it| it.mark == marks),
                "{number} has no {marks}"
            );
        }
        for Row {
            mark,
            what,
            case,
            pdp,
        } in rows
        {
            let decided = decided_by(&case.decide(pdp)) == *number;
            assert_eq!(decided, *mark == '+', "{number} {what}");
        }
    }
}
