//! Rule packs as the decision point uses them: which is in force on a day, and in which order its
//! rules are asked.
//!
//! It does not read packs: `schemas::rule_pack` parses and checks them.

use std::sync::Arc;

use schemas::RulePackId;
use schemas::calendar::{Calendar, Day};
use schemas::code::ReasonCode;
use schemas::export::InstrumentKind;
use schemas::rule_pack::{
    EXPORT_ORDER, Effective, ExportRules, InstrumentRule, MAINLAND, NegativeList, PackBody,
    PackVersion, RulePack,
};

use crate::error::Error;

/// Most packs that one decision point takes.
const PACKS_MAX: usize = 1_024;

/// One pack's body with where it comes from.
#[derive(Clone, Debug)]
struct Held<T> {
    version: PackVersion,
    effective: Effective,
    body: Arc<T>,
}

/// All packs, by kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Packs {
    export: Vec<Held<ExportRules>>,
    lists: Vec<Held<NegativeList>>,
    calendars: Vec<Held<Calendar>>,
}

/// The export rules in force on one day, with the calendar by which their clocks run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InForce<'a> {
    packs: &'a Packs,
    export: &'a Held<ExportRules>,
    calendar: Option<&'a Held<Calendar>>,
    day: Day,
}

impl Packs {
    /// Compiles packs. Those that ship are always there; an adopted one of the same series has a
    /// higher number and so goes before.
    pub(crate) fn compile(adopted: &[RulePack]) -> Result<Self, Error> {
        if adopted.len() > PACKS_MAX {
            let why = format!("{} packs, the limit is {PACKS_MAX}", adopted.len());
            return Err(Error::Pack { why });
        }
        let pack_error = |error: schemas::Error| Error::Pack {
            why: error.to_string(),
        };
        let mut packs = Self::default();
        for pack in schemas::rule_pack::shipped().iter().chain(adopted) {
            pack.check().map_err(pack_error)?;
            packs.add(pack, pack.version().map_err(pack_error)?);
        }
        packs.export.sort_by_key(|it| it.version.number);
        packs.lists.sort_by_key(|it| it.version.number);
        packs.calendars.sort_by_key(|it| it.version.number);
        Ok(packs)
    }

    fn add(&mut self, pack: &RulePack, version: PackVersion) {
        let effective = pack.effective;
        match &pack.body {
            PackBody::ExportRules(it) if pack.jurisdiction == MAINLAND => {
                let body = Arc::new((**it).clone());
                self.export.push(Held {
                    version,
                    effective,
                    body,
                });
            }
            PackBody::Holidays(it) if pack.jurisdiction == MAINLAND => {
                let body = Arc::new(it.calendar());
                self.calendars.push(Held {
                    version,
                    effective,
                    body,
                });
            }
            PackBody::NegativeList(it) => {
                let body = Arc::new(it.clone());
                self.lists.push(Held {
                    version,
                    effective,
                    body,
                });
            }
            // Clocks, weights and code tables are other crates'; rules of a province do not bind
            // the border.
            PackBody::ExportRules(_)
            | PackBody::Holidays(_)
            | PackBody::Clocks(_)
            | PackBody::QualityWeights(_)
            | PackBody::CodeTable(_)
            | PackBody::Grading(_) => {}
        }
    }

    /// Whether a pack of that very version is among these.
    pub(crate) fn holds(&self, version: &PackVersion) -> bool {
        let export = self.export.iter().map(|it| &it.version);
        let lists = self.lists.iter().map(|it| &it.version);
        let calendars = self.calendars.iter().map(|it| &it.version);
        export.chain(lists).chain(calendars).any(|it| it == version)
    }

    /// What is in force on a day; none when no export rules are, and then nothing leaves.
    pub(crate) fn in_force(&self, day: Day) -> Option<InForce<'_>> {
        Some(InForce {
            packs: self,
            export: latest(&self.export, day)?,
            calendar: latest(&self.calendars, day),
            day,
        })
    }
}

/// The highest number of those that hold on the day.
fn latest<T>(held: &[Held<T>], day: Day) -> Option<&Held<T>> {
    held.iter().rev().find(|it| it.effective.holds_on(day))
}

impl<'a> InForce<'a> {
    pub(crate) fn rules(&self) -> &'a ExportRules {
        &self.export.body
    }

    pub(crate) fn day(&self) -> Day {
        self.day
    }

    /// The rules in the order in which they are asked. The waiver of the volume thresholds puts the
    /// Greater Bay Area contract before the assessment; X17 goes along, so that a small sender
    /// keeps its exemption.
    pub(crate) fn order(&self) -> [ReasonCode; 19] {
        let mut order = EXPORT_ORDER;
        if self.rules().settings.gba_volume_waiver {
            order[14..17].copy_from_slice(&[ReasonCode::X17, ReasonCode::X15, ReasonCode::X14]);
        }
        order
    }

    pub(crate) fn instrument(&self, kind: InstrumentKind) -> Option<&'a InstrumentRule> {
        self.rules().instrument(kind)
    }

    /// The negative list of a series, if that very number is in force.
    pub(crate) fn list(&self, series: &RulePackId, number: u64) -> Option<&'a NegativeList> {
        let mut of_series = self.packs.lists.iter().rev();
        let newest =
            of_series.find(|it| it.version.series == *series && it.effective.holds_on(self.day))?;
        (newest.version.number == number).then_some(&*newest.body)
    }

    /// The last day of a term. Without a holiday table weekends alone are off.
    pub(crate) fn last_day(&self, first: Day, working_days: u16) -> Day {
        match self.calendar {
            Some(held) => held.body.last_day(first, working_days),
            None => Calendar::default().last_day(first, working_days),
        }
    }

    /// The first day of the working days before one.
    pub(crate) fn first_day_before(&self, last: Day, working_days: u16) -> Day {
        match self.calendar {
            Some(held) => held.body.first_day_before(last, working_days),
            None => Calendar::default().first_day_before(last, working_days),
        }
    }

    /// The packs that a decision of this day rests on.
    pub(crate) fn versions(&self) -> Vec<PackVersion> {
        let calendar = self.calendar.map(|it| it.version.clone());
        [self.export.version.clone()]
            .into_iter()
            .chain(calendar)
            .collect()
    }
}
