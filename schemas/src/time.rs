//! An instant as every record writes it: RFC 3339 in UTC with milliseconds.
//!
//! It does not read a clock: time enters with a command or an argument.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// Milliseconds since 1970-01-01T00:00:00Z, without leap seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, utoipa::ToSchema)]
#[schema(value_type = String, format = DateTime, example = "2026-11-24T08:00:00.000Z")]
pub struct Timestamp(i64);

impl Timestamp {
    /// The latest instant that a record may carry (9999-12-31T23:59:59.999Z): RFC 3339 has four
    /// digits for the year.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// From milliseconds since the epoch; what RFC 3339 cannot write is cut to the nearest end.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(0, Self::MAX.0))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn millis(self) -> i64 {
        self.0
    }

    /// This instant plus `millis` (which may be negative), within the range that can be written.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// Milliseconds from `earlier` to this instant, negative when it is later.
    #[must_use]
    pub fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Parses RFC 3339 with any offset.
    ///
    /// # Errors
    /// [`Error::Timestamp`] when the text is not RFC 3339 or lies before 1970.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = || Error::Timestamp {
            text: text.chars().take(40).collect(),
        };
        let parsed = DateTime::parse_from_rfc3339(text).map_err(|_| refuse())?;
        let millis = parsed.timestamp_millis();
        if (0..=Self::MAX.0).contains(&millis) {
            Ok(Self(millis))
        } else {
            Err(refuse())
        }
    }
}

impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let at: DateTime<Utc> = DateTime::from_timestamp_millis(self.0).unwrap_or_default();
        f.write_str(&at.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// A half-open span of time: `from` is in it, `until` is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Period {
    /// First instant inside.
    pub from: Timestamp,
    /// First instant after it.
    pub until: Timestamp,
}

impl Period {
    /// Whether `at` lies inside.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_in_utc_with_milliseconds() {
        let at = Timestamp::parse("2026-11-24T16:00:00+08:00").unwrap();
        assert_eq!(at.to_string(), "2026-11-24T08:00:00.000Z");
        assert_eq!(
            serde_json::to_string(&at).unwrap(),
            "\"2026-11-24T08:00:00.000Z\""
        );
        for bad in [
            "",
            "2026-11-24",
            "1960-01-01T00:00:00Z",
            "2026-11-24T25:00:00Z",
        ] {
            assert!(Timestamp::parse(bad).is_err(), "{bad}");
        }
    }
}
