//! Identifiers of the port domain that carry their own check: one [`Format`] each, named in a
//! JSON Schema by the keyword `format`.
//!
//! It does not look codes up: whether `CNSZX` is a port or `440300` was a district in 1990 is the
//! business of a code table and a quality rule. Here is only what the text itself can tell. No
//! check allocates, so that a column of millions can be checked value by value.
//!
//! | `format` | what | check |
//! |---|---|---|
//! | `x-iso6346` | freight container, `CSQU3054383` | ISO 6346:2022, modulo 11 |
//! | `x-imo` | ship, `9074729` or `IMO9074729` | IMO A.1117(30), weights 7 to 2, modulo 10 |
//! | `x-mmsi` | radio identity, nine digits | ITU-R M.585-9, shape only |
//! | `x-uscc` | unified social credit code | GB 32100-2015, modulo 31 |
//! | `x-citizen-id` | citizen identity number | GB 11643-1999, date and modulo 11-2 |
//! | `x-hs` | commodity code of 2, 4, 6, 8 or 10 digits | chapters of the Harmonized System |
//! | `x-un-locode` | place, `CNSZX` | UN/CEFACT recommendation 16, shape only |
//! | `x-gbt2260` | administrative division, `440300` | GB/T 2260, province in the list |
//! | `x-customs-office` | customs office, four digits | shape only |
//! | `x-local-date-time` | `2016-01-12 13:02:11.218` | a real date and time, no zone |

use crate::Error;

/// A check that a text column can ask for by the keyword `format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// Freight container number, ISO 6346.
    Container,
    /// IMO ship identification number.
    Imo,
    /// Maritime mobile service identity.
    Mmsi,
    /// Unified social credit code, GB 32100-2015.
    Uscc,
    /// Citizen identity number, GB 11643-1999.
    CitizenId,
    /// Harmonized System code and its national extensions.
    Hs,
    /// UN/LOCODE.
    UnLocode,
    /// Administrative division code, GB/T 2260.
    Gbt2260,
    /// Customs office code.
    CustomsOffice,
    /// A date and a time of day without a zone, separated by a blank or `T`.
    LocalDateTime,
}

impl Format {
    /// Every format, in the order of the module's table.
    pub const ALL: &'static [Self] = &[
        Self::Container,
        Self::Imo,
        Self::Mmsi,
        Self::Uscc,
        Self::CitizenId,
        Self::Hs,
        Self::UnLocode,
        Self::Gbt2260,
        Self::CustomsOffice,
        Self::LocalDateTime,
    ];

    /// The value of the keyword `format` that asks for it. These names are stable: they stand in
    /// adopted data standards.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Container => "x-iso6346",
            Self::Imo => "x-imo",
            Self::Mmsi => "x-mmsi",
            Self::Uscc => "x-uscc",
            Self::CitizenId => "x-citizen-id",
            Self::Hs => "x-hs",
            Self::UnLocode => "x-un-locode",
            Self::Gbt2260 => "x-gbt2260",
            Self::CustomsOffice => "x-customs-office",
            Self::LocalDateTime => "x-local-date-time",
        }
    }

    /// The format of that name, if it is one of ours.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|format| format.name() == name)
    }

    /// Checks one value.
    ///
    /// # Errors
    /// [`Error::CheckDigit`] with the format's name and the rule that the text breaks. The text
    /// itself is not repeated: it may be personal information.
    pub fn check(self, text: &str) -> Result<(), Error> {
        let bytes = text.as_bytes();
        let verdict = match self {
            Self::Container => container(bytes),
            Self::Imo => imo(bytes),
            Self::Mmsi => mmsi(bytes),
            Self::Uscc => uscc(bytes),
            Self::CitizenId => citizen_id(bytes),
            Self::Hs => hs(bytes),
            Self::UnLocode => un_locode(bytes),
            Self::Gbt2260 => gbt2260(bytes),
            Self::CustomsOffice => customs_office(bytes),
            Self::LocalDateTime => local_date_time(bytes),
        };
        verdict.map_err(|why| Error::CheckDigit {
            format: self.name(),
            why,
        })
    }
}

impl std::fmt::Display for Format {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

fn require(holds: bool, why: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(why) }
}

fn digits(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit)
}

/// The number that ASCII digits write; other bytes count as they come, so check [`digits`] first.
fn number(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |sum, byte| sum * 10 + u32::from(byte.wrapping_sub(b'0')))
}

/// ISO 6346:2022, annex A: letters count 10 to 38 without the multiples of 11, position `i` weighs
/// 2^i, the remainder modulo 11 is the check digit, and 10 is written 0.
///
/// So two numbers whose remainders are 0 and 10 are not told apart; the standard advises owners
/// against serial numbers with the remainder 10, and real ones exist.
fn container(bytes: &[u8]) -> Result<(), &'static str> {
    require(bytes.len() == 11, "write four letters and seven digits")?;
    require(
        bytes[..3].iter().all(u8::is_ascii_uppercase),
        "the owner code is three capitals",
    )?;
    require(
        matches!(bytes[3], b'U' | b'J' | b'Z'),
        "the category is U, J or Z",
    )?;
    require(digits(&bytes[4..]), "after the category stand seven digits")?;
    let sum: u32 = bytes[..10]
        .iter()
        .zip(0..10)
        .map(|(byte, at)| container_value(*byte) << at)
        .sum();
    require(
        sum % 11 % 10 == number(&bytes[10..]),
        "the check digit does not fit",
    )
}

fn container_value(byte: u8) -> u32 {
    if byte.is_ascii_digit() {
        return u32::from(byte - b'0');
    }
    // A is 10; 11, 22 and 33 are skipped, before B, L and V.
    let plain = u32::from(byte - b'A') + 10;
    plain + u32::from(byte > b'A') + u32::from(byte > b'K') + u32::from(byte > b'U')
}

/// IMO resolution A.1117(30): the last digit is the last digit of the sum of the others, weighed
/// 7, 6, 5, 4, 3, 2.
fn imo(bytes: &[u8]) -> Result<(), &'static str> {
    let bytes = bytes.strip_prefix(b"IMO").unwrap_or(bytes);
    require(
        bytes.len() == 7 && digits(bytes),
        "write seven digits, with or without IMO before",
    )?;
    require(bytes[0] != b'0', "it does not begin with 0")?;
    let sum: u32 = bytes[..6]
        .iter()
        .zip((2..=7).rev())
        .map(|(b, w)| u32::from(b - b'0') * w)
        .sum();
    require(
        sum % 10 == u32::from(bytes[6] - b'0'),
        "the check digit does not fit",
    )
}

/// ITU-R M.585-9, annexes 1 and 2: where the maritime identification digits (first digit 2 to 7)
/// stand tells what kind of station it is.
fn mmsi(bytes: &[u8]) -> Result<(), &'static str> {
    require(bytes.len() == 9 && digits(bytes), "write nine digits")?;
    let country_at = match bytes {
        [b'1', b'1', b'1', ..] => 3, // aircraft in search and rescue
        [b'0', b'0', ..] | [b'9', b'8' | b'9', ..] => 2, // coast station; craft, aid
        [b'0' | b'8', ..] => 1,      // group; hand-held radio
        [b'9', b'7', b'0' | b'2' | b'4', ..] => return Ok(()), // beacons have no country
        _ => 0,                      // ship
    };
    require(
        matches!(bytes[country_at], b'2'..=b'7'),
        "no country's digits stand in their place",
    )
}

/// The alphabet of GB 32100-2015: no I, O, S, V, Z.
const USCC_ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";
/// Powers of 3 modulo 31 (GB 32100-2015, 4.3).
const USCC_WEIGHTS: [u32; 17] = [
    1, 3, 9, 27, 19, 26, 16, 17, 20, 29, 25, 13, 8, 24, 10, 30, 28,
];

/// GB 32100-2015. The organisation code inside (places 9 to 17) has a check digit of its own
/// (GB 11714), which is left unchecked as others do: the outer one covers it.
fn uscc(bytes: &[u8]) -> Result<(), &'static str> {
    require(bytes.len() == 18, "write 18 characters")?;
    require(
        digits(&bytes[2..8]),
        "places 3 to 8 are the digits of an administrative division",
    )?;
    let mut sum = 0;
    for (byte, weight) in bytes[..17].iter().zip(USCC_WEIGHTS) {
        sum += uscc_value(*byte)? * weight;
    }
    let check = (31 - sum % 31) % 31;
    require(
        uscc_value(bytes[17])? == check,
        "the check character does not fit",
    )
}

fn uscc_value(byte: u8) -> Result<u32, &'static str> {
    let place = USCC_ALPHABET.iter().position(|letter| *letter == byte);
    place
        .and_then(|place| u32::try_from(place).ok())
        .ok_or("only digits and capitals without I, O, S, V and Z may occur")
}

/// Weights of GB 11643-1999 (ISO 7064, MOD 11-2): powers of 2 modulo 11.
const CITIZEN_WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
/// Check character by remainder.
const CITIZEN_CHECKS: &[u8; 11] = b"10X98765432";

/// GB 11643-1999: division, date of birth, serial number, check character. Whether the date lies
/// in the past is not asked: there is no clock here.
fn citizen_id(bytes: &[u8]) -> Result<(), &'static str> {
    require(
        bytes.len() == 18 && digits(&bytes[..17]),
        "write 17 digits and the check character",
    )?;
    require(
        is_province(&bytes[..2]),
        "it begins with the code of no province",
    )?;
    let (year, month, day) = (
        number(&bytes[6..10]),
        number(&bytes[10..12]),
        number(&bytes[12..14]),
    );
    require(
        year >= 1800 && is_date(year, month, day),
        "the date of birth is no date",
    )?;
    let sum: u32 = bytes[..17]
        .iter()
        .zip(CITIZEN_WEIGHTS)
        .map(|(b, w)| u32::from(b - b'0') * w)
        .sum();
    let at = usize::try_from(sum % 11).unwrap_or(0);
    require(
        CITIZEN_CHECKS[at] == bytes[17],
        "the check character does not fit",
    )
}

/// Chapters 01 to 97 without the reserved 77; 98 and 99 are left to national use.
fn hs(bytes: &[u8]) -> Result<(), &'static str> {
    require(
        matches!(bytes.len(), 2 | 4 | 6 | 8 | 10) && digits(bytes),
        "write 2, 4, 6, 8 or 10 digits",
    )?;
    require(
        !matches!(&bytes[..2], b"00" | b"77"),
        "there is no such chapter",
    )
}

fn un_locode(bytes: &[u8]) -> Result<(), &'static str> {
    require(
        bytes.len() == 5
            && bytes[..2].iter().all(u8::is_ascii_uppercase)
            && bytes[2..]
                .iter()
                .all(|b| b.is_ascii_uppercase() || matches!(b, b'2'..=b'9')),
        "write a country's two capitals and three capitals or digits 2 to 9",
    )
}

fn gbt2260(bytes: &[u8]) -> Result<(), &'static str> {
    require(bytes.len() == 6 && digits(bytes), "write six digits")?;
    require(
        is_province(&bytes[..2]),
        "it begins with the code of no province",
    )
}

/// Codes of provinces and their like, in every revision of GB/T 2260 since 1980.
fn is_province(bytes: &[u8]) -> bool {
    matches!(
        number(bytes),
        11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81 | 82
    )
}

fn customs_office(bytes: &[u8]) -> Result<(), &'static str> {
    require(
        bytes.len() == 4 && digits(bytes) && bytes != b"0000",
        "write four digits, not 0000",
    )
}

/// Up to nanoseconds; no leap second, because a local time cannot tell when one was.
fn local_date_time(bytes: &[u8]) -> Result<(), &'static str> {
    let shape = "write YYYY-MM-DD hh:mm:ss with at most nine digits of a second after a point";
    require(bytes.len() >= 19, shape)?;
    let (head, fraction) = bytes.split_at(19);
    let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    require(
        separators.iter().all(|(at, byte)| head[*at] == *byte),
        shape,
    )?;
    require(matches!(head[10], b' ' | b'T'), shape)?;
    let parts = [0..4, 5..7, 8..10, 11..13, 14..16, 17..19];
    require(parts.iter().all(|part| digits(&head[part.clone()])), shape)?;
    let [year, month, day, hour, minute, second] = parts.map(|part| number(&head[part]));
    require(is_date(year, month, day), "there is no such date")?;
    require(
        hour < 24 && minute < 60 && second < 60,
        "there is no such time",
    )?;
    match fraction {
        [] => Ok(()),
        [b'.', rest @ ..] => require(rest.len() <= 9 && digits(rest), shape),
        _ => Err(shape),
    }
}

fn is_date(year: u32, month: u32, day: u32) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => return false,
    };
    (1..=days).contains(&day)
}

#[cfg(test)]
mod tests;
