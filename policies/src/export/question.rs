//! One export as the rules see it: whose data, which columns, to whom, what for, under what.
//!
//! It does not judge.

use std::collections::BTreeSet;

use schemas::calendar::Day;
use schemas::code::ReasonCode;
use schemas::dataset::Sensitivity;
use schemas::decision::{DatasetFacts, DecisionRequest};
use schemas::export::{
    ExportFacts, Instrument, InstrumentKind, OpenQuestion, PersonCounts, Reading,
};
use schemas::participant::ParticipantKind;
use schemas::{DatasetId, Grade};

use super::pack::InForce;

/// Persons of the year, as the settings count them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Persons {
    pub(crate) non_sensitive: u64,
    pub(crate) sensitive: u64,
}

impl Persons {
    /// As the settings count them; none for the persons of another year.
    pub(crate) fn counted(force: InForce<'_>, it: &PersonCounts) -> Option<Self> {
        let excluded = force.rules().settings.exempt_volumes_excluded;
        let counted = |all: u64, exempt: u64| {
            if excluded {
                all.saturating_sub(exempt)
            } else {
                all
            }
        };
        (it.year == force.day().year()).then(|| Self {
            non_sensitive: counted(it.non_sensitive, it.exempt_non_sensitive),
            sensitive: counted(it.sensitive, it.exempt_sensitive),
        })
    }
}

/// One export.
#[derive(Clone, Debug)]
pub(crate) struct Question<'a> {
    pub(crate) force: InForce<'a>,
    pub(crate) request: &'a DecisionRequest,
    pub(crate) dataset: &'a DatasetFacts,
    pub(crate) dataset_id: Option<&'a DatasetId>,
    pub(crate) export: &'a ExportFacts,
    /// Columns that would leave, in the dataset's order.
    pub(crate) columns: Vec<(&'a str, Sensitivity)>,
    /// None when they are not known for the year of the request.
    pub(crate) persons: Option<Persons>,
}

impl<'a> Question<'a> {
    pub(crate) fn new(
        force: InForce<'a>,
        request: &'a DecisionRequest,
        dataset: &'a DatasetFacts,
        dataset_id: Option<&'a DatasetId>,
        export: &'a ExportFacts,
        leaving: &[String],
    ) -> Self {
        let leaving: BTreeSet<&str> = leaving.iter().map(String::as_str).collect();
        let columns = dataset
            .columns
            .iter()
            .map(|(name, sensitivity)| (name.as_str(), *sensitivity))
            .filter(|(name, _)| leaving.contains(name))
            .collect();
        let counts = export.counts.as_ref();
        let persons = counts.and_then(|it| Persons::counted(force, it));
        Self {
            force,
            request,
            dataset,
            dataset_id,
            export,
            columns,
            persons,
        }
    }

    /// The same export with fewer columns.
    pub(crate) fn projected(&self, keep: impl Fn(&str, Sensitivity) -> bool) -> Self {
        let columns = self
            .columns
            .iter()
            .copied()
            .filter(|(name, it)| keep(name, *it))
            .collect();
        Self {
            columns,
            ..self.clone()
        }
    }

    pub(crate) fn day(&self) -> Day {
        self.force.day()
    }

    /// Whether what would leave holds personal information. Masked values still do: what is
    /// de-identified is personal information (PIPL 73(3)).
    pub(crate) fn is_personal(&self) -> bool {
        self.columns.iter().any(|(_, it)| *it != Sensitivity::None)
    }

    pub(crate) fn is_important(&self) -> bool {
        self.dataset.grade == Grade::Important
    }

    pub(crate) fn is_of_state_organ(&self) -> bool {
        matches!(
            self.dataset.provider_kind,
            ParticipantKind::StateOrgan | ParticipantKind::AuthorisedOrganisation
        )
    }

    pub(crate) fn purpose(&self) -> Option<&'a str> {
        self.request.purpose.as_ref().map(|it| it.code.as_str())
    }

    pub(crate) fn is_trade(&self) -> bool {
        self.purpose()
            .is_some_and(|it| self.force.rules().listed.trade_purposes.contains(it))
    }

    /// Whether the batch is measured and reserved.
    pub(crate) fn is_measured(&self) -> bool {
        self.persons.is_some()
            && self
                .export
                .counts
                .as_ref()
                .is_some_and(|it| it.batch.is_some())
    }

    /// The columns that need cover: all of them where the whole is protected, else the personal
    /// ones.
    pub(crate) fn subject(&self, rule: ReasonCode) -> Vec<&'a str> {
        let all = rule == ReasonCode::X1 || self.is_important() || !self.is_personal();
        self.columns
            .iter()
            .filter(|(_, it)| all || *it != Sensitivity::None)
            .map(|(name, _)| *name)
            .collect()
    }

    /// Instruments of the sender of some kinds.
    pub(crate) fn instruments(
        &self,
        kinds: &'a [InstrumentKind],
    ) -> impl Iterator<Item = &'a Instrument> {
        let provider = &self.dataset.provider;
        self.export
            .instruments
            .iter()
            .take(ExportFacts::INSTRUMENTS_MAX)
            .filter(move |it| it.processor == *provider && kinds.contains(&it.kind))
    }

    /// Persons sent under an instrument over its life, when the counter home told.
    pub(crate) fn under(&self, instrument: &Instrument) -> Option<u64> {
        let counts = self.export.counts.as_ref()?;
        let mut under = counts.under.iter();
        under
            .find(|it| it.instrument == instrument.id)
            .map(|it| it.persons)
    }

    /// How an open question is read here.
    pub(crate) fn reading(&self, question: OpenQuestion) -> Reading {
        let settings = &self.force.rules().settings;
        let loose = match question {
            OpenQuestion::GbaVolumeWaiver => settings.gba_volume_waiver,
            OpenQuestion::OrganStatutoryDuty => settings.organ_statutory_duty_suffices,
            OpenQuestion::ExemptVolumesCount => settings.exempt_volumes_excluded,
            OpenQuestion::ContractAfterCrossing => settings.contract_stays_after_crossing,
        };
        Reading {
            question,
            strict: !loose,
        }
    }
}
