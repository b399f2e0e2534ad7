//! Patterns of days and times as files write them.
//!
//! It does not know time zones with changing offsets: a file's clock is a fixed offset from UTC,
//! or a local time stays one.

/// A day, and the time of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    days: i64,
    micros: i64,
}

const DAY_MICROS: i64 = 86_400_000_000;

/// How far a clock is ahead of UTC, in minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset(i32);

impl Offset {
    /// Reads `+08:00`; at most 14 hours, as no zone is further ahead.
    ///
    /// # Errors
    /// How it is written.
    pub fn parse(text: &str) -> Result<Self, String> {
        let read = || {
            let (sign, rest) = match text.split_at_checked(1)? {
                ("+", rest) => (1, rest),
                ("-", rest) => (-1, rest),
                _ => return None,
            };
            let (hours, minutes) = rest.split_once(':')?;
            let hours = number(hours, 2, 2)?;
            let minutes = number(minutes, 2, 2)?;
            (hours <= 14 && minutes < 60).then_some(sign * (hours * 60 + minutes))
        };
        let minutes = read().and_then(|minutes| i32::try_from(minutes).ok());
        minutes
            .map(Self)
            .ok_or_else(|| "an offset is written as +08:00".to_owned())
    }
}

/// A piece of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Year,
    Month { exact: bool },
    MonthName,
    Day { exact: bool },
    Hour { exact: bool },
    Minute,
    Second,
    Fraction,
    HourMinute,
    Literal(char),
}

/// The words of a pattern, longest first where one begins another.
const WORDS: [(&str, Part); 12] = [
    ("YYYY", Part::Year),
    ("MON", Part::MonthName),
    ("MM", Part::Month { exact: true }),
    ("M", Part::Month { exact: false }),
    ("DD", Part::Day { exact: true }),
    ("D", Part::Day { exact: false }),
    ("hhmm", Part::HourMinute),
    ("HH", Part::Hour { exact: true }),
    ("H", Part::Hour { exact: false }),
    ("mm", Part::Minute),
    ("ss", Part::Second),
    ("f", Part::Fraction),
];

const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];

/// Longest pattern in characters.
const PATTERN_CHARS_MAX: usize = 64;

/// How a day or time is written.
///
/// `YYYY` year, `MM` month of two digits, `M` of one or two, `MON` its English name in three
/// letters of any case, `DD` and `D` day, `HH` and `H` hour, `mm` minute, `ss` second, `f` one to
/// six digits of a second's fraction, `hhmm` a number of one to four digits whose last two are
/// minutes (517 is 05:17, 2400 the end of the day). Other characters stand for themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimePattern {
    parts: Vec<Part>,
}

impl TimePattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// In words, when it is too long, names a part twice, or names no day.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.chars().count() > PATTERN_CHARS_MAX {
            return Err(format!(
                "a pattern has at most {PATTERN_CHARS_MAX} characters"
            ));
        }
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let word = WORDS.iter().find(|(word, _)| rest.starts_with(word));
            let (length, part) = match word {
                Some((word, part)) => (word.len(), *part),
                None => (first.len_utf8(), Part::Literal(first)),
            };
            let is_again =
                |other: &Part| std::mem::discriminant(other) == std::mem::discriminant(&part);
            if !matches!(part, Part::Literal(_)) && parts.iter().any(is_again) {
                return Err(format!("pattern {text:?} names a part twice"));
            }
            parts.push(part);
            rest = rest.get(length..).unwrap_or_default();
        }
        let has = |wanted: fn(&Part) -> bool| parts.iter().any(wanted);
        let names_day = has(|it| matches!(it, Part::Year))
            && has(|it| matches!(it, Part::Month { .. } | Part::MonthName))
            && has(|it| matches!(it, Part::Day { .. }));
        if !names_day {
            return Err(format!(
                "pattern {text:?} names no day; write YYYY, MM and DD"
            ));
        }
        Ok(Self { parts })
    }

    /// Reads a text, all of it; `None` when it is not written so or no such day or time.
    #[must_use]
    pub fn read(&self, text: &str) -> Option<Moment> {
        let mut rest = text;
        let (mut year, mut month, mut day) = (0, 0, 0);
        let (mut hour, mut minute, mut second, mut micros) = (0, 0, 0, 0);
        for part in &self.parts {
            match *part {
                Part::Literal(c) => rest = rest.strip_prefix(c)?,
                Part::Year => year = take(&mut rest, 4, 4)?,
                Part::Month { exact } => month = take(&mut rest, least(exact), 2)?,
                Part::Day { exact } => day = take(&mut rest, least(exact), 2)?,
                Part::Hour { exact } => hour = take(&mut rest, least(exact), 2)?,
                Part::Minute => minute = take(&mut rest, 2, 2)?,
                Part::Second => second = take(&mut rest, 2, 2)?,
                Part::MonthName => {
                    let (name, after) = rest.split_at_checked(3)?;
                    let at = MONTHS.iter().position(|it| it.eq_ignore_ascii_case(name))?;
                    month = i64::try_from(at).ok()? + 1;
                    rest = after;
                }
                Part::Fraction => {
                    let before = rest.len();
                    let value = take(&mut rest, 1, 6)?;
                    let digits = u32::try_from(before - rest.len()).ok()?;
                    micros = value * 10_i64.pow(6 - digits);
                }
                Part::HourMinute => {
                    let value = take(&mut rest, 1, 4)?;
                    (hour, minute) = (value / 100, value % 100);
                }
            }
        }
        let is_end_of_day = (hour, minute, second, micros) == (24, 0, 0, 0);
        let is_time = (hour < 24 && minute < 60 && second < 60) || is_end_of_day;
        if !rest.is_empty() || !is_time {
            return None;
        }
        let date = chrono::NaiveDate::from_ymd_opt(
            i32::try_from(year).ok()?,
            u32::try_from(month).ok()?,
            u32::try_from(day).ok()?,
        )?;
        let days = date
            .signed_duration_since(chrono::NaiveDate::default())
            .num_days();
        let seconds = hour * 3_600 + minute * 60 + second;
        Some(Moment::of(days, seconds * 1_000_000 + micros))
    }
}

fn least(exact: bool) -> usize {
    if exact { 2 } else { 1 }
}

/// Takes a number of so many digits from the front.
fn take(rest: &mut &str, least: usize, most: usize) -> Option<i64> {
    let digits = rest
        .bytes()
        .take(most)
        .take_while(u8::is_ascii_digit)
        .count();
    let (head, after) = rest.split_at_checked(digits)?;
    *rest = after;
    number(head, least, most)
}

fn number(text: &str, least: usize, most: usize) -> Option<i64> {
    let is_number =
        (least..=most).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

impl Moment {
    fn of(days: i64, micros: i64) -> Self {
        Self {
            days: days + micros.div_euclid(DAY_MICROS),
            micros: micros.rem_euclid(DAY_MICROS),
        }
    }

    fn date(self) -> Option<chrono::NaiveDate> {
        chrono::NaiveDate::default().checked_add_signed(chrono::TimeDelta::try_days(self.days)?)
    }

    /// `2026-11-24`.
    #[must_use]
    pub fn to_date(self) -> Option<String> {
        self.date().map(|date| date.to_string())
    }

    /// `2026-11-24 08:00:00`, with a fraction where there is one.
    #[must_use]
    pub fn to_local(self) -> Option<String> {
        Some(format!("{} {}", self.date()?, self.clock()))
    }

    /// `2026-11-24T00:00:00Z` of a clock that is `offset` ahead.
    #[must_use]
    pub fn to_instant(self, offset: Offset) -> Option<String> {
        let shifted = Self::of(self.days, self.micros - i64::from(offset.0) * 60_000_000);
        Some(format!("{}T{}Z", shifted.date()?, shifted.clock()))
    }

    fn clock(self) -> String {
        let seconds = self.micros / 1_000_000;
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        let clock = format!("{hour:02}:{minute:02}:{second:02}");
        match self.micros % 1_000_000 {
            0 => clock,
            fraction => format!("{clock}.{fraction:06}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn days_and_times_are_read_as_their_pattern_says() {
        let cases = [
            ("DD-MM-YYYY", "31-12-2021", Some("2021-12-31 00:00:00")),
            ("DD-MM-YYYY", "2021-12-31", None),
            ("DD-MM-YYYY", "30-02-2021", None),
            (
                "DD-MON-YYYY HH:mm",
                "18-AUG-2025 18:32",
                Some("2025-08-18 18:32:00"),
            ),
            (
                "DD-MON-YYYY HH:mm",
                "18-aug-2025 18:32",
                Some("2025-08-18 18:32:00"),
            ),
            (
                "YYYY/MM/DD HH:mm",
                "2025/08/17 03:37",
                Some("2025-08-17 03:37:00"),
            ),
            (
                "YYYY M D hhmm",
                "2013 1 31 517",
                Some("2013-01-31 05:17:00"),
            ),
            (
                "YYYY M D hhmm",
                "2013 1 31 2400",
                Some("2013-02-01 00:00:00"),
            ),
            ("YYYY M D hhmm", "2013 1 31 2401", None),
            ("YYYY M D hhmm", "2013 1 31 1260", None),
            ("YYYY年M月D日", "2026年3月5日", Some("2026-03-05 00:00:00")),
            (
                "YYYYMMDDHHmmss.f",
                "20261124080000.25",
                Some("2026-11-24 08:00:00.250000"),
            ),
            ("YYYY-MM-DD", "2021-12-31 ", None),
            ("YYYY-MM-DD", "２021-12-31", None),
        ];
        for (pattern, text, expected) in cases {
            let read = TimePattern::parse(pattern).unwrap().read(text);
            let found = read.and_then(Moment::to_local);
            assert_eq!(found.as_deref(), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn an_instant_is_the_file_s_clock_less_its_offset() {
        let pattern = TimePattern::parse("YYYY-MM-DD HH:mm").unwrap();
        let read = pattern.read("2025-08-18 03:30").unwrap();
        for (offset, expected) in [
            ("+08:00", "2025-08-17T19:30:00Z"),
            ("-05:30", "2025-08-18T09:00:00Z"),
            ("+00:00", "2025-08-18T03:30:00Z"),
        ] {
            let offset = Offset::parse(offset).unwrap();
            assert_eq!(read.to_instant(offset).as_deref(), Some(expected));
        }
        for text in ["08:00", "+8:00", "+15:00", "+08:60", "", "+口:00"] {
            assert!(Offset::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_pattern_and_no_text_can_stop_us(pattern in ".{0,20}", text in ".{0,20}") {
            if let Ok(pattern) = TimePattern::parse(&format!("YYYY-MM-DD{pattern}")) {
                let _read = pattern.read(&format!("2026-11-24{text}"));
                let _other = pattern.read(&text);
            }
        }
    }
}
