//! Civil days in the time of Asia/Shanghai, and the arithmetic of working days.
//!
//! It does not know which days are holidays: a rule pack says so. It does not read a clock either.
//!
//! The rules: the first day is not counted (Civil Code 201); a term ends at 24:00 of its last day,
//! and one that would end on a day off ends on the next working day (203); statutory holidays are
//! not working days; weekends that the State Council's yearly notice makes working days are.

use std::collections::BTreeSet;

use chrono::{Datelike, Days, NaiveDate, Weekday};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Error, Timestamp};

/// Asia/Shanghai has been eight hours ahead of UTC without a change since 1991; Hong Kong and
/// Macao have the same hour.
const SHANGHAI_OFFSET_MS: i64 = 8 * 3_600_000;
const DAY_MS: i64 = 86_400_000;

/// A civil day in Asia/Shanghai, written `2026-11-24`, from 1970 to 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, utoipa::ToSchema)]
#[schema(value_type = String, example = "2026-11-24",
    pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
pub struct Day(NaiveDate);

impl Day {
    /// Parses `2026-11-24`.
    ///
    /// # Errors
    /// [`Error::Field`] when it is no such day, or one before 1970.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = || Error::Field {
            record: "day",
            field: "date",
            why: "write a day from 1970 on as 2026-11-24".to_owned(),
        };
        let exact = text.len() == 10;
        let parsed = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| refuse())?;
        if exact && parsed.year() >= 1970 {
            Ok(Self(parsed))
        } else {
            Err(refuse())
        }
    }

    /// The day on which an instant falls in Asia/Shanghai.
    #[must_use]
    pub fn of(at: Timestamp) -> Self {
        let days = (at.millis() + SHANGHAI_OFFSET_MS).div_euclid(DAY_MS);
        let days = u64::try_from(days).unwrap_or_default();
        Self::within(NaiveDate::default().checked_add_days(Days::new(days)))
    }

    /// 24:00 of this day in Asia/Shanghai: what is done before is done on it.
    #[must_use]
    pub fn end(self) -> Timestamp {
        Timestamp::from_millis((self.number() + 1) * DAY_MS - SHANGHAI_OFFSET_MS)
    }

    /// 0:00 of this day in Asia/Shanghai.
    #[must_use]
    pub fn start(self) -> Timestamp {
        Timestamp::from_millis(self.number() * DAY_MS - SHANGHAI_OFFSET_MS)
    }

    /// Its calendar year.
    #[must_use]
    pub fn year(self) -> u16 {
        u16::try_from(self.0.year()).unwrap_or(u16::MAX)
    }

    /// Saturday or Sunday.
    #[must_use]
    pub fn is_weekend(self) -> bool {
        matches!(self.0.weekday(), Weekday::Sat | Weekday::Sun)
    }

    /// That many days later.
    #[must_use]
    pub fn plus_days(self, days: u32) -> Self {
        Self::within(self.0.checked_add_days(Days::new(u64::from(days))))
    }

    /// The same date that many years later; 29 February becomes the 28th where there is none.
    #[must_use]
    pub fn plus_years(self, years: u8) -> Self {
        let months = chrono::Months::new(u32::from(years) * 12);
        Self::within(self.0.checked_add_months(months))
    }

    /// Days from `earlier` to this day, negative when it is later.
    #[must_use]
    pub fn days_since(self, earlier: Self) -> i64 {
        self.number() - earlier.number()
    }

    /// Days since 1970-01-01, a Thursday.
    fn number(self) -> i64 {
        self.0
            .signed_duration_since(NaiveDate::default())
            .num_days()
    }

    fn from_number(days: i64) -> Self {
        let days = u64::try_from(days).unwrap_or_default();
        Self::within(NaiveDate::default().checked_add_days(Days::new(days)))
    }

    /// A day that can be written: the last one is 9999-12-31.
    fn within(day: Option<NaiveDate>) -> Self {
        let last = NaiveDate::from_ymd_opt(9999, 12, 31).unwrap_or(NaiveDate::MAX);
        Self(day.unwrap_or(last).min(last))
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m-%d"))
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

/// Which days are working days: Monday to Friday, less the holidays, plus the make-up days.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calendar {
    /// Weekdays that are off, by day number, ascending.
    off: Vec<i64>,
    /// Weekend days that are worked, by day number, ascending.
    worked: Vec<i64>,
    years: BTreeSet<u16>,
}

impl Calendar {
    /// A calendar of days off and worked weekend days that is known for `years`. A weekend day off
    /// and a weekday worked change nothing.
    #[must_use]
    pub fn new(
        off: impl IntoIterator<Item = Day>,
        worked: impl IntoIterator<Item = Day>,
        years: impl IntoIterator<Item = u16>,
    ) -> Self {
        let worked: BTreeSet<Day> = worked.into_iter().filter(|it| it.is_weekend()).collect();
        let off: BTreeSet<Day> = off.into_iter().filter(|it| !it.is_weekend()).collect();
        Self {
            off: off.into_iter().map(Day::number).collect(),
            worked: worked.into_iter().map(Day::number).collect(),
            years: years.into_iter().collect(),
        }
    }

    /// Whether the holidays of the day's year are known. Beyond that, weekends alone are off,
    /// which lets a term end early rather than late.
    #[must_use]
    pub fn covers(&self, day: Day) -> bool {
        self.years.contains(&day.year())
    }

    /// Whether `day` is a working day.
    #[must_use]
    pub fn is_working(&self, day: Day) -> bool {
        let number = day.number();
        if day.is_weekend() {
            self.worked.binary_search(&number).is_ok()
        } else {
            self.off.binary_search(&number).is_err()
        }
    }

    /// The last day of a term of `working_days` that begins on `first`, which is not counted. A
    /// term of none ends on `first` or the next working day.
    #[must_use]
    pub fn last_day(&self, first: Day, working_days: u16) -> Day {
        let first = first.number();
        // The day before counts along when the term is empty.
        let (after, wanted) = match working_days {
            0 => (first - 1, 1),
            days => (first, i64::from(days)),
        };
        let target = self.rank(after) + wanted;
        // Five days in a row hold at least three weekdays.
        let off = i64::try_from(self.off.len()).unwrap_or(i64::MAX / 64);
        let (mut low, mut high) = (after + 1, after + (wanted + off + 2) * 5);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.rank(middle) < target {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Day::from_number(low)
    }

    /// The last day of a term of `working_days` that ends with `last`, counted backwards: the
    /// earliest day from which at most so many working days lie before `last`, itself not counted.
    #[must_use]
    pub fn first_day_before(&self, last: Day, working_days: u16) -> Day {
        let target = self.rank(last.number() - 1) - i64::from(working_days);
        let off = i64::try_from(self.off.len()).unwrap_or(i64::MAX / 64);
        let mut high = last.number();
        let mut low = high - (i64::from(working_days) + off + 2) * 5;
        while low < high {
            let middle = low + (high - low) / 2;
            if self.rank(middle) < target + 1 {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Day::from_number(low)
    }

    /// `day`, or the next working day when it is off: where a term in calendar days or years ends.
    #[must_use]
    pub fn rolled(&self, day: Day) -> Day {
        self.last_day(day, 0)
    }

    /// The instant at which a term of `working_days` ends: 24:00 of its last day. What is done at
    /// that instant is late.
    #[must_use]
    pub fn due(&self, from: Timestamp, working_days: u16) -> Timestamp {
        self.last_day(Day::of(from), working_days).end()
    }

    /// Working days up to and including a day, counted from a fixed Monday long ago.
    fn rank(&self, number: i64) -> i64 {
        // 1969-12-29 was a Monday: day number -3.
        let since = number + 3;
        let (weeks, weekday) = (since.div_euclid(7), since.rem_euclid(7));
        let weekdays = weeks * 5 + (weekday + 1).min(5);
        weekdays - upto(&self.off, number) + upto(&self.worked, number)
    }
}

/// How many of the ascending numbers are at most `number`.
fn upto(numbers: &[i64], number: i64) -> i64 {
    i64::try_from(numbers.partition_point(|it| *it <= number)).unwrap_or(i64::MAX / 2)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> Day {
        Day::parse(text).unwrap()
    }

    #[test]
    fn a_day_is_one_of_shanghai() {
        let at = |text| Day::of(Timestamp::parse(text).unwrap()).to_string();
        assert_eq!(at("2026-11-24T15:59:59.999Z"), "2026-11-24");
        assert_eq!(at("2026-11-24T16:00:00Z"), "2026-11-25");
        assert_eq!(
            day("2026-11-24").end().to_string(),
            "2026-11-24T16:00:00.000Z"
        );
        assert_eq!(
            day("2026-11-24").start().to_string(),
            "2026-11-23T16:00:00.000Z"
        );
        for bad in [
            "",
            "2026-1-2",
            "2026-02-30",
            "1969-12-31",
            "20261124",
            "2026-11-24T",
        ] {
            assert!(Day::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn years_later_is_the_same_date() {
        assert_eq!(day("2024-02-29").plus_years(3), day("2027-02-28"));
        assert_eq!(day("2024-03-22").plus_years(3), day("2027-03-22"));
    }

    fn naive_last(off: &BTreeSet<Day>, worked: &BTreeSet<Day>, first: Day, days: u16) -> Day {
        let working = |it: Day| {
            worked.contains(&it) && it.is_weekend() || !it.is_weekend() && !off.contains(&it)
        };
        let mut at = first;
        if days == 0 {
            while !working(at) {
                at = at.plus_days(1);
            }
            return at;
        }
        let mut left = days;
        while left > 0 {
            at = at.plus_days(1);
            left -= u16::from(working(at));
        }
        at
    }

    fn days(most: usize) -> impl Strategy<Value = BTreeSet<Day>> {
        prop::collection::btree_set(
            (0_u32..400).prop_map(|it| day("2025-06-01").plus_days(it)),
            0..most,
        )
    }

    proptest! {
        #[test]
        fn a_term_ends_where_counting_day_by_day_ends(
            off in days(120), worked in days(60), first in 0_u32..400, term in 0_u16..90,
        ) {
            let calendar = Calendar::new(off.clone(), worked.clone(), [2025]);
            let first = day("2025-06-01").plus_days(first);
            let last = calendar.last_day(first, term);
            prop_assert_eq!(last, naive_last(&off, &worked, first, term));
            prop_assert!(calendar.is_working(last));
        }

        #[test]
        fn a_longer_term_ends_later_and_a_holiday_more_never_earlier(
            off in days(60), first in 0_u32..400, term in 1_u16..60, more in 0_u32..400,
        ) {
            let first = day("2025-06-01").plus_days(first);
            let calendar = Calendar::new(off.clone(), [], []);
            prop_assert!(calendar.last_day(first, term) < calendar.last_day(first, term + 1));
            let mut longer = off;
            longer.insert(day("2025-06-01").plus_days(more));
            let later = Calendar::new(longer, [], []);
            prop_assert!(calendar.last_day(first, term) <= later.last_day(first, term));
        }

        #[test]
        fn counting_back_meets_counting_forward(
            off in days(60), last in 0_u32..400, term in 1_u16..90,
        ) {
            let calendar = Calendar::new(off, [], []);
            let last = day("2025-06-01").plus_days(last);
            let first = calendar.first_day_before(last, term);
            // Exactly `term` working days lie from there up to the day before `last`.
            let between = (0..).map(|it| first.plus_days(it)).take_while(|it| *it < last);
            let working = between.filter(|it| calendar.is_working(*it)).count();
            prop_assert_eq!(working, usize::from(term));
            prop_assert!(calendar.is_working(first));
        }
    }
}
