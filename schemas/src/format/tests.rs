//! Published samples, and what each algorithm promises to catch.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(format: Format, good: &[&str], bad: &[&str]) {
    for text in good {
        assert_eq!(format.check(text), Ok(()), "{format} {text}");
    }
    for text in bad {
        assert!(format.check(text).is_err(), "{format} took {text:?}");
    }
}

#[test]
fn a_container_number_follows_iso_6346() {
    let bad = [
        "",
        "CSQU3054384",
        "CSQA3054383",
        "csqu3054383",
        "CSQU305438",
        "CSQU30543830",
        "港口",
    ];
    check(
        Format::Container,
        &["CSQU3054383", "MSKU6011672", "TEXU3070079"],
        &bad,
    );
}

#[test]
fn an_imo_number_follows_its_weights() {
    let good = ["9074729", "9319466", "8814275", "IMO9074729"];
    check(
        Format::Imo,
        &good,
        &[
            "9074728",
            "907472",
            "IMO 9074729",
            "0000000",
            "90747290",
            "IMO",
        ],
    );
}

#[test]
fn an_mmsi_tells_its_kind_by_where_the_country_stands() {
    let good = [
        "412345678",
        "477123456",
        "004123456",
        "041234567",
        "111412345",
        "994123456",
    ];
    check(
        Format::Mmsi,
        &good,
        &[
            "112345678",
            "000123456",
            "41234567",
            "9912345678",
            "41234567a",
        ],
    );
    check(
        Format::Mmsi,
        &["970123456", "982351234", "841234567"],
        &["999123456", "012345678"],
    );
}

#[test]
fn a_credit_code_follows_gb_32100() {
    let good = ["91110000600037341L", "91350100M000100Y43"];
    let bad = [
        "91110000600037341M",
        "91110000600037341",
        "9111000060003734IL",
        "91350100m000100Y43",
    ];
    check(Format::Uscc, &good, &bad);
}

#[test]
fn a_citizen_number_follows_gb_11643() {
    let good = ["11010519491231002X", "360426199101010071"];
    let bad = [
        "11010519491231002x", // a small x is another spelling
        "110105194912310021", // check character
        "110105194902300028", // 30 February
        "990105194912310026", // no such province
        "1101051949123100",   // too short
    ];
    check(Format::CitizenId, &good, &bad);
}

#[test]
fn codes_without_check_digits_have_a_shape() {
    check(
        Format::Hs,
        &["01", "0101", "010129", "01012910", "9999999999"],
        &["1", "010", "77", "00"],
    );
    check(
        Format::UnLocode,
        &["CNSZX", "HKHKG", "US2AB"],
        &["CN ZUH", "cnszx", "CNSZ1", "CNSZ"],
    );
    check(
        Format::Gbt2260,
        &["440300", "820000", "460001"],
        &["990000", "44030", "4403000", "44O300"],
    );
    check(
        Format::CustomsOffice,
        &["5301", "5700"],
        &["0000", "530", "53011", "53A1"],
    );
}

#[test]
fn a_local_date_time_is_a_real_one() {
    let good = [
        "2016-01-12 13:02:11.218",
        "2016-02-29T00:00:00",
        "2000-02-29 23:59:59.123456789",
    ];
    let bad = [
        "2015-02-29 00:00:00",
        "1900-02-29 00:00:00",
        "2016-01-12 24:00:00",
        "2016-01-12 13:02:11.",
        "2016-01-12 13:02:11.1234567890",
        "2016-01-12 13:02",
        "2016-01-12T13:02:11Z",
        "2016-13-12 13:02:11",
    ];
    check(Format::LocalDateTime, &good, &bad);
}

#[test]
fn every_format_is_found_by_its_name() {
    for format in Format::ALL {
        assert_eq!(Format::parse(format.name()), Some(*format));
    }
    assert_eq!(Format::parse("x-unknown"), None);
}

#[test]
fn a_refusal_does_not_repeat_the_value() {
    let error = Format::CitizenId.check("110105194912310021").unwrap_err();
    assert_eq!(
        error.to_string(),
        "x-citizen-id: the check character does not fit"
    );
}

/// The same text with another character at one place.
fn replaced(text: &str, at: usize, byte: u8) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = byte;
    String::from_utf8(bytes).unwrap()
}

/// The valid text that begins like this: the last character is searched for.
fn completed(format: Format, head: &str, alphabet: &[u8]) -> String {
    let last = |byte: &u8| format!("{head}{}", char::from(*byte));
    alphabet
        .iter()
        .map(last)
        .find(|text| format.check(text).is_ok())
        .unwrap()
}

fn container_remainder(text: &str) -> u32 {
    text.as_bytes()[..10]
        .iter()
        .zip(0..10)
        .map(|(b, at)| container_value(*b) << at)
        .sum::<u32>()
        % 11
}

proptest! {
    #[test]
    fn a_credit_code_catches_every_single_change(
        head in "[1-9][1-9][0-9]{6}[0-9A-HJ-NPQRTUWXY]{9}", at in 0_usize..18, other in 0_usize..31,
    ) {
        let code = completed(Format::Uscc, &head, USCC_ALPHABET);
        let changed = replaced(&code, at, USCC_ALPHABET[other]);
        prop_assert_eq!(Format::Uscc.check(&changed).is_ok(), changed == code);
    }

    #[test]
    fn a_citizen_number_catches_every_single_change(
        year in 1900_u32..2027, month in 1_u32..13, day in 1_u32..29, serial in 0_u32..1000,
        at in 0_usize..18, other in 0_usize..11,
    ) {
        let head = format!("440305{year:04}{month:02}{day:02}{serial:03}");
        let number = completed(Format::CitizenId, &head, CITIZEN_CHECKS);
        let changed = replaced(&number, at, CITIZEN_CHECKS[other]);
        prop_assert_eq!(Format::CitizenId.check(&changed).is_ok(), changed == number);
    }

    /// Remainders 0 and 10 share the check digit 0: that one confusion the standard allows.
    #[test]
    fn a_container_number_catches_every_single_digit_but_for_remainder_ten(
        head in "[A-Z]{3}[UJZ][0-9]{6}", at in 4_usize..11, other in b'0'..=b'9',
    ) {
        let number = completed(Format::Container, &head, b"0123456789");
        let changed = replaced(&number, at, other);
        let (before, after) = (container_remainder(&number), container_remainder(&changed));
        let confused = before % 10 == after % 10 && before != after;
        prop_assert_eq!(Format::Container.check(&changed).is_ok(), changed == number || confused);
    }

    /// Only the weights 7 and 3 are coprime to 10, so only there every change is caught.
    #[test]
    fn an_imo_number_catches_changes_at_its_first_fifth_and_last_digit(
        head in "[1-9][0-9]{5}", at in prop::sample::select(vec![0_usize, 4, 6]),
        other in b'0'..=b'9',
    ) {
        let number = completed(Format::Imo, &head, b"0123456789");
        let changed = replaced(&number, at, other);
        prop_assert_eq!(Format::Imo.check(&changed).is_ok(), changed == number);
    }

    #[test]
    fn no_text_makes_a_check_panic(text in "\\PC{0,24}", digits in "[0-9A-Z :.T-]{0,24}") {
        for format in Format::ALL {
            let _ = format.check(&text);
            let _ = format.check(&digits);
        }
    }
}
