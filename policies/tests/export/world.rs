//! One export that is in order in every respect; each case changes what it is about.
//!
//! An enterprise in Shenzhen sends rows of `manifests` to a terminal in Hong Kong.

use std::collections::{BTreeMap, BTreeSet};

use policies::{Pdp, shipped};
use schemas::calendar::Day;
use schemas::code::Action;
use schemas::dataset::{Sensitivity, ShareAttribute};
use schemas::decision::{
    DatasetFacts, Decision, DecisionRequest, Facts, Party, Principal, RowFilter,
};
use schemas::export::{
    BatchCount, Envelope, EnvelopeData, ExportFacts, ExportMethod, Instrument, InstrumentCount,
    InstrumentKind, InstrumentState, PersonCounts, ZoneClassification,
};
use schemas::participant::{ParticipantKind, Role};
use schemas::request::{Grant, GrantState, Purpose};
use schemas::rule_pack::{
    Effective, ExportRules, ListRow, NegativeList, PackBody, RulePack, shipped as shipped_packs,
};
use schemas::{
    ContractId, DatasetId, Grade, GrantId, InstrumentId, Jurisdiction, LocalText, ParticipantId,
    Period, PersonId, RulePackId, Timestamp,
};

/// What is asked and what is known.
#[derive(Clone, Debug)]
pub(crate) struct Export {
    pub(crate) request: DecisionRequest,
    pub(crate) facts: Facts,
}

/// Columns of the dataset: nothing of persons, personal, sensitive personal.
pub(crate) const COLUMNS: [(&str, Sensitivity); 4] = [
    ("container", Sensitivity::None),
    ("packages", Sensitivity::None),
    ("consignee", Sensitivity::Personal),
    ("driver_track", Sensitivity::SensitivePersonal),
];

pub(crate) fn day(text: &str) -> Day {
    Day::parse(text).unwrap()
}

pub(crate) fn member(id: &str) -> ParticipantId {
    ParticipantId::parse(id).unwrap()
}

pub(crate) fn dataset_id() -> DatasetId {
    DatasetId::parse("manifests").unwrap()
}

fn purpose() -> Purpose {
    Purpose {
        code: "passenger-service".to_owned(),
        text: "answer questions about a shipment".to_owned(),
    }
}

fn grant() -> Grant {
    Grant {
        id: GrantId::parse("g-1").unwrap(),
        contract: ContractId::parse("c-1").unwrap(),
        dataset: dataset_id(),
        provider: member("shipper"),
        consumer: member("hk-terminal"),
        subject: None,
        columns: COLUMNS.iter().map(|(name, _)| (*name).to_owned()).collect(),
        rows: RowFilter::default(),
        masks: BTreeMap::new(),
        rows_max: None,
        purpose: purpose(),
        destination: Jurisdiction::HONG_KONG,
        period: Period {
            from: Timestamp::parse("2025-01-01T00:00:00Z").unwrap(),
            until: Timestamp::parse("2029-01-01T00:00:00Z").unwrap(),
        },
        state: GrantState::Active,
        ended_because: None,
        revision: 1,
    }
}

/// An instrument that covers the export in every respect, named by its kind.
pub(crate) fn instrument(kind: InstrumentKind) -> Instrument {
    let id = kind.as_str().to_lowercase().replace('_', "-");
    Instrument {
        id: InstrumentId::parse(id).unwrap(),
        kind,
        processor: member("shipper"),
        reference: "doc 1".to_owned(),
        issued_by: "issuer".to_owned(),
        from: day("2026-03-02"),
        until: day("2028-12-31"),
        filed_on: Some(day("2026-03-06")),
        envelope: Envelope {
            recipients: [member("hk-terminal")].into(),
            destinations: [Jurisdiction::HONG_KONG].into(),
            purposes: [purpose().code].into(),
            data: vec![EnvelopeData {
                dataset: dataset_id(),
                columns: COLUMNS.iter().map(|(name, _)| (*name).to_owned()).collect(),
            }],
            methods: [ExportMethod::Transfer].into(),
            persons_max: kind.is_scaled().then_some(2_000_000),
            retention_days_max: kind.is_scaled().then_some(180),
        },
        classification: None,
        state: InstrumentState::Valid,
        state_because: None,
        revision: 1,
    }
}

fn export_facts() -> ExportFacts {
    ExportFacts {
        packs: Vec::new(),
        sender_seat: Some("440305".to_owned()),
        instruments: vec![
            instrument(InstrumentKind::ImpactAssessment),
            instrument(InstrumentKind::SeparateConsent),
        ],
        counts: Some(PersonCounts {
            year: 2026,
            non_sensitive: 10,
            sensitive: 0,
            exempt_non_sensitive: 0,
            exempt_sensitive: 0,
            under: Vec::new(),
            batch: Some(BatchCount {
                non_sensitive: 10,
                sensitive: 0,
            }),
        }),
        crossed_on: None,
        method: ExportMethod::Transfer,
        retention_days: Some(180),
        onward_transfer: false,
        approvals: 2,
    }
}

impl Export {
    /// Ten persons, not sensitive: exempt by number, with consent and impact assessment.
    pub(crate) fn personal() -> Self {
        Self {
            request: DecisionRequest {
                principal: Principal {
                    participant: member("hk-terminal"),
                    kind: ParticipantKind::Foreign,
                    jurisdiction: Jurisdiction::HONG_KONG,
                    person: PersonId::parse("chan").ok(),
                    node: None,
                    roles: [Role::DataConsumer].into(),
                },
                action: Action::DatasetRead,
                dataset: Some(dataset_id()),
                record: None,
                purpose: Some(purpose()),
                destination: Jurisdiction::HONG_KONG,
                columns: None,
                at: Timestamp::parse("2026-11-24T08:00:00Z").unwrap(),
            },
            facts: Facts {
                view_index: 1_000,
                view_age_ms: 0,
                linearizable: true,
                clock_trusted: true,
                principal_valid: true,
                policy: strict().version().clone(),
                party: Party::Consumer,
                dataset: Some(DatasetFacts {
                    provider: member("shipper"),
                    provider_kind: ParticipantKind::Enterprise,
                    provider_ciio: false,
                    grade: Grade::G3,
                    share: ShareAttribute::Conditional,
                    served: true,
                    visible: true,
                    columns: COLUMNS
                        .iter()
                        .map(|(name, it)| ((*name).to_owned(), *it))
                        .collect(),
                }),
                grant: Some(grant()),
                export: Some(Box::new(export_facts())),
            },
        }
        .columns(&["container", "consignee"])
    }

    /// Rows of trade, nothing personal in them: the main path.
    pub(crate) fn trade() -> Self {
        Self::personal()
            .purpose("port-logistics")
            .columns(&["container", "packages"])
    }

    pub(crate) fn columns(mut self, names: &[&str]) -> Self {
        self.request.columns = Some(names.iter().map(|it| (*it).to_owned()).collect());
        self
    }

    /// For another purpose, which the grant and every instrument name too.
    pub(crate) fn purpose(mut self, code: &str) -> Self {
        let purpose = Purpose {
            code: code.to_owned(),
            ..purpose()
        };
        self.request.purpose = Some(purpose.clone());
        self.facts.grant.as_mut().unwrap().purpose = purpose;
        for it in &mut self.export().instruments {
            it.envelope.purposes.insert(code.to_owned());
        }
        self
    }

    pub(crate) fn grade(mut self, grade: Grade) -> Self {
        self.dataset().grade = grade;
        self
    }

    pub(crate) fn provider(mut self, kind: ParticipantKind) -> Self {
        self.dataset().provider_kind = kind;
        self
    }

    pub(crate) fn critical(mut self) -> Self {
        self.dataset().provider_ciio = true;
        self
    }

    pub(crate) fn seat(mut self, code: &str) -> Self {
        self.export().sender_seat = Some(code.to_owned());
        self
    }

    /// Persons since 1 January, this batch included.
    pub(crate) fn persons(mut self, non_sensitive: u64, sensitive: u64) -> Self {
        let counts = self.export().counts.as_mut().unwrap();
        counts.non_sensitive = non_sensitive;
        counts.sensitive = sensitive;
        for it in &mut counts.under {
            it.persons = non_sensitive.min(1_000);
        }
        self
    }

    /// With an instrument that covers everything.
    pub(crate) fn holding(self, kind: InstrumentKind) -> Self {
        self.holding_but(kind, |_| ())
    }

    /// With an instrument that is changed.
    pub(crate) fn holding_but(
        mut self,
        kind: InstrumentKind,
        change: impl FnOnce(&mut Instrument),
    ) -> Self {
        let mut it = instrument(kind);
        it.envelope
            .purposes
            .extend(self.request.purpose.iter().map(|it| it.code.clone()));
        change(&mut it);
        let count = InstrumentCount {
            instrument: it.id.clone(),
            persons: 1_000,
        };
        if let Some(counts) = &mut self.export().counts {
            counts.under.push(count);
        }
        self.export().instruments.push(it);
        self.export().instruments.sort_by(|a, b| a.id.cmp(&b.id));
        self
    }

    /// With the classification of the data under the list that [`list`] adopts.
    pub(crate) fn classified(self, classes: &[&str]) -> Self {
        self.classified_under(1, classes)
    }

    pub(crate) fn classified_under(self, number: u64, classes: &[&str]) -> Self {
        self.holding_but(InstrumentKind::ZoneClassification, |it| {
            it.classification = Some(ZoneClassification {
                list: list().series,
                number,
                classes: classes.iter().map(|it| (*it).to_owned()).collect(),
            });
        })
    }

    pub(crate) fn without(mut self, kind: InstrumentKind) -> Self {
        self.export().instruments.retain(|it| it.kind != kind);
        self
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(crate) fn known(self, change: impl FnOnce(&mut ExportFacts)) -> Self {
        self.with(|it| change(it.export()))
    }

    /// Before the batch is measured: the first of two decisions.
    pub(crate) fn unmeasured(self) -> Self {
        self.known(|it| it.counts.as_mut().unwrap().batch = None)
    }

    pub(crate) fn at(mut self, day: &str) -> Self {
        self.request.at = Timestamp::parse(&format!("{day}T04:00:00Z")).unwrap();
        self.known(|it| {
            if let Some(counts) = &mut it.counts {
                counts.year = Day::parse(day).unwrap().year();
            }
        })
    }

    /// To a party in another place, which grant and instruments name.
    pub(crate) fn to(mut self, place: Jurisdiction) -> Self {
        self.request.destination = place;
        self.request.principal.jurisdiction = place;
        self.facts.grant.as_mut().unwrap().destination = place;
        for it in &mut self.export().instruments {
            it.envelope.destinations.insert(place);
        }
        self
    }

    pub(crate) fn dataset(&mut self) -> &mut DatasetFacts {
        self.facts.dataset.as_mut().unwrap()
    }

    pub(crate) fn export(&mut self) -> &mut ExportFacts {
        self.facts.export.as_mut().unwrap()
    }

    pub(crate) fn decide(&self, pdp: &Pdp) -> Decision {
        pdp.decide(&self.request, &self.facts)
    }
}

/// The set and packs that ship.
pub(crate) fn strict() -> &'static Pdp {
    static PDP: std::sync::OnceLock<Pdp> = std::sync::OnceLock::new();
    PDP.get_or_init(|| Pdp::compile(&shipped()).unwrap())
}

/// The export pack that ships, changed and adopted as number 1.
pub(crate) fn pack(change: impl FnOnce(&mut ExportRules)) -> RulePack {
    let mut packs = shipped_packs().to_vec();
    packs.retain(|it| it.series.as_str() == "export.cn");
    let mut pack = packs.pop().unwrap();
    pack.number = 1;
    let PackBody::ExportRules(rules) = &mut pack.body else {
        panic!("another pack")
    };
    change(rules);
    pack
}

/// With changed export rules.
pub(crate) fn ruled(change: impl FnOnce(&mut ExportRules)) -> Pdp {
    strict().clone().with_packs(&[pack(change)]).unwrap()
}

/// A negative list of two rows: business partners need a contract from 50,000 persons on, genomes
/// an assessment from the first.
pub(crate) fn list() -> RulePack {
    let row = |class: &str, persons_from, instrument| ListRow {
        industry: "logistics".to_owned(),
        scenario: "customer management".to_owned(),
        data_class: class.to_owned(),
        fields: BTreeSet::new(),
        persons_from,
        instrument,
        cites: "an example, no list in force".to_owned(),
    };
    RulePack {
        series: RulePackId::parse("negative-list.example").unwrap(),
        number: 1,
        jurisdiction: "440000".to_owned(),
        effective: Effective {
            from: day("2026-01-01"),
            until: None,
        },
        cites: "an example".to_owned(),
        note: "an example".to_owned(),
        body: PackBody::NegativeList(NegativeList {
            zone: LocalText::new("示例", "example"),
            edition: "example".to_owned(),
            rows: vec![
                row("partners", Some(50_000), InstrumentKind::StandardContract),
                row("genomes", None, InstrumentKind::SecurityAssessment),
            ],
        }),
    }
}

/// With a negative list in force.
pub(crate) fn listed() -> Pdp {
    strict().clone().with_packs(&[list()]).unwrap()
}
