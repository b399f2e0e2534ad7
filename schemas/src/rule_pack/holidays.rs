//! Days off and worked weekend days, as the State Council's yearly notice lists them.
//!
//! It does not compute lunar dates: the notice gives civil days.

use serde::{Deserialize, Serialize};

use super::{check_count, check_text, check_unique, refuse};
use crate::calendar::{Calendar, Day};
use crate::{Error, LocalText};

/// Most years of one pack.
const YEARS_MAX: usize = 64;
/// Most spans off and most worked days in a year; there are seven holidays.
const ENTRIES_PER_YEAR_MAX: usize = 32;
/// Longest span off, in days; the longest there was had nine.
const SPAN_DAYS_MAX: i64 = 31;

/// Days off in a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DaysOff {
    /// Which holiday.
    pub name: LocalText,
    /// First day off.
    pub from: Day,
    /// Last day off.
    pub until: Day,
}

/// One year of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HolidayYear {
    /// Which.
    pub year: u16,
    /// The notice.
    pub cites: String,
    /// Days off.
    pub off: Vec<DaysOff>,
    /// Saturdays and Sundays that are worked (调休).
    pub worked: Vec<Day>,
}

/// The holiday table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Holidays {
    /// Year by year, ascending.
    pub years: Vec<HolidayYear>,
}

impl Holidays {
    /// The calendar that the table gives.
    #[must_use]
    pub fn calendar(&self) -> Calendar {
        let off = self.years.iter().flat_map(|year| &year.off).flat_map(days);
        let worked = self.years.iter().flat_map(|year| &year.worked).copied();
        Calendar::new(off, worked, self.years.iter().map(|it| it.year))
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        check_count("years", self.years.len(), YEARS_MAX)?;
        if self.years.is_empty() || !self.years.is_sorted_by(|a, b| a.year < b.year) {
            return Err(refuse("years", "list each year once, ascending"));
        }
        self.years.iter().try_for_each(check_year)?;
        let off = self.years.iter().flat_map(|year| &year.off).flat_map(days);
        let worked = self.years.iter().flat_map(|year| &year.worked).copied();
        check_unique("years", off.chain(worked))
    }
}

/// The days of a span; a span that was not checked is cut.
fn days(span: &DaysOff) -> impl Iterator<Item = Day> + use<> {
    let (from, until) = (span.from, span.until);
    (0_u32..)
        .take(SPAN_DAYS_MAX.unsigned_abs().try_into().unwrap_or(0))
        .map(move |it| from.plus_days(it))
        .take_while(move |it| *it <= until)
}

fn check_year(it: &HolidayYear) -> Result<(), Error> {
    check_text("years.cites", &it.cites)?;
    check_count("years.off", it.off.len(), ENTRIES_PER_YEAR_MAX)?;
    check_count("years.worked", it.worked.len(), ENTRIES_PER_YEAR_MAX)?;
    for span in &it.off {
        check_text("years.off.name.zh", &span.name.zh)?;
        check_text("years.off.name.en", &span.name.en)?;
        let length = span.until.days_since(span.from) + 1;
        if !(1..=SPAN_DAYS_MAX).contains(&length) {
            return Err(refuse(
                "years.off",
                format!(
                    "from {} until {} must be 1 to {SPAN_DAYS_MAX} days",
                    span.from, span.until
                ),
            ));
        }
        // New Year's holiday may begin in December.
        if span.from.year() != it.year && span.until.year() != it.year {
            return Err(refuse(
                "years.off",
                format!("{} to {} is not in {}", span.from, span.until, it.year),
            ));
        }
    }
    if let Some(day) = it
        .worked
        .iter()
        .find(|day| !day.is_weekend() || day.year() != it.year)
    {
        return Err(refuse(
            "years.worked",
            format!("{day} is no Saturday or Sunday of {}", it.year),
        ));
    }
    Ok(())
}
