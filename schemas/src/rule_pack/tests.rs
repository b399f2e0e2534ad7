use super::*;

fn pack(series: &str) -> RulePack {
    let mut all = shipped().iter();
    all.find(|it| it.series.as_str() == series).unwrap().clone()
}

#[test]
fn what_ships_is_sound_and_small_enough_for_a_record() {
    assert_eq!(shipped().len(), 5);
    for pack in shipped() {
        assert_eq!(pack.number, 0, "{}", pack.series);
        assert!(canonical::to_bytes(pack).is_ok(), "{}", pack.series);
        let again = serde_json::to_string_pretty(pack).unwrap();
        assert_eq!(&RulePack::parse(&again).unwrap(), pack);
    }
}

#[test]
fn a_seat_has_the_packs_of_its_district_city_province_and_the_mainland() {
    assert_eq!(
        lineage(Some("440305")),
        ["440305", "440300", "440000", "CN"]
    );
    assert_eq!(lineage(Some("440300")), ["440300", "440000", "CN"]);
    assert_eq!(lineage(Some("810000")), ["810000", "CN"]);
    for nowhere in [
        None,
        Some(""),
        Some("4403"),
        Some("004403"),
        Some("４４０３０５"),
    ] {
        assert_eq!(lineage(nowhere), ["CN"]);
    }
}

/// The refusal of a pack that was changed.
fn refused(series: &str, change: impl FnOnce(&mut RulePack)) -> String {
    let mut pack = pack(series);
    change(&mut pack);
    pack.check().unwrap_err().to_string()
}

fn export(change: impl FnOnce(&mut ExportRules)) -> String {
    refused("export.cn", |pack| match &mut pack.body {
        PackBody::ExportRules(it) => change(it),
        _ => unreachable!(),
    })
}

fn year(change: impl FnOnce(&mut HolidayYear)) -> String {
    refused("holidays.cn", |pack| match &mut pack.body {
        PackBody::Holidays(it) => change(&mut it.years[1]),
        _ => unreachable!(),
    })
}

#[test]
fn a_pack_that_is_looser_than_the_law_is_refused() {
    use crate::export::ExportOutcome;
    let outcome = |at: usize, outcome| export(|it| it.rules[at].outcome = outcome);
    assert_eq!(
        outcome(5, ExportOutcome::ContractOrCertification),
        "rule-pack.rules.outcome: rule X5 comes to SECURITY_ASSESSMENT, or to something stricter, \
         not to CONTRACT_OR_CERTIFICATION"
    );
    assert!(outcome(3, ExportOutcome::SecurityAssessment).contains("rule X3"));
    assert!(outcome(13, ExportOutcome::Exempt).contains("rule X13"));
    let mut stricter = pack("export.cn");
    if let PackBody::ExportRules(it) = &mut stricter.body {
        it.rules[7].outcome = ExportOutcome::SecurityAssessment;
    }
    assert_eq!(stricter.check(), Ok(()));
}

#[test]
fn wrong_export_rules_are_named() {
    let order = "rule-pack.rules: write each of X0 X1 X2 X3 X4 X5 X6 X7 X8 X9 X10 X11 X12 X13 X14 \
                 X17 X15 X16 X18 once, in this order";
    assert_eq!(export(|it| it.rules.swap(14, 16)), order);
    assert_eq!(export(|it| drop(it.rules.pop())), order);
    assert_eq!(
        export(|it| it.thresholds.exempt_below = 1_000_001),
        "rule-pack.thresholds.exempt_below: it must not be above assessment_from: between them \
         stands the contract"
    );
    assert!(export(|it| it.thresholds.assessment_from = 0).contains("thresholds"));
    assert!(export(|it| it.thresholds.warn_percents = vec![95, 80]).contains("ascending"));
    assert!(export(|it| it.thresholds.warn_percents = vec![100]).contains("1 to 99"));
    assert!(export(|it| it.gba.cities = ["440305".to_owned()].into()).contains("440300"));
    assert!(export(|it| it.instruments.push(it.instruments[0].clone())).contains("twice"));
    assert!(export(|it| it.instruments[0].years_max = Some(0)).contains("years"));
    assert!(export(|it| it.rules[0].next.zh.clear()).contains("rules.next.zh"));
    let both = export(|it| {
        it.listed
            .trade_purposes
            .insert("foreign-enforcement".to_owned());
    });
    assert!(both.contains("no trade"));
}

#[test]
fn wrong_holidays_are_named() {
    let day = |text| Day::parse(text).unwrap();
    let monday = year(|it| it.worked.push(day("2026-03-02")));
    assert_eq!(
        monday,
        "rule-pack.years.worked: 2026-03-02 is no Saturday or Sunday of 2026"
    );
    assert!(year(|it| it.off[0].until = day("2025-12-31")).contains("1 to 31 days"));
    assert!(year(|it| it.off[0].from = day("2025-11-01")).contains("1 to 31 days"));
    assert!(year(|it| it.worked.push(day("2026-01-03"))).contains("twice"));
    assert!(year(|it| it.off.push(it.off[0].clone())).contains("twice"));
    assert!(year(|it| it.year = 2025).contains("ascending"));
}

#[test]
fn text_with_a_repeated_key_or_too_much_of_it_is_refused() {
    let text = serde_json::to_string(&pack("clocks.cn")).unwrap();
    assert!(RulePack::parse(&text.replace("\"number\":0", "\"number\":0,\"number\":1")).is_err());
    assert!(RulePack::parse(&" ".repeat(PACK_BYTES_MAX + 1)).is_err());
    assert!(RulePack::parse(&text.replace("\"CN\"", "\"Guangdong\"")).is_err());
}

/// What the notices say, typed in from their text once more: working days from 2025 to 2026.
#[test]
fn the_calendar_is_that_of_the_notices() {
    let PackBody::Holidays(table) = pack("holidays.cn").body else {
        unreachable!()
    };
    let calendar = table.calendar();
    let start = Day::parse("2025-01-01").unwrap();
    let working = (0..730)
        .map(|it| start.plus_days(it))
        .filter(|it| calendar.is_working(*it));
    // 2025 has 261 weekdays and 2026 has 261. Off on weekdays: 2025 1 + 6 + 1 + 3 + 1 + 6 = 18,
    // worked weekends 5; 2026 2 + 6 + 1 + 3 + 1 + 1 + 5 = 19, worked weekends 6.
    assert_eq!(working.count(), 261 - 18 + 5 + 261 - 19 + 6);
    let due = |first, days| {
        calendar
            .last_day(Day::parse(first).unwrap(), days)
            .to_string()
    };
    // Over the Spring Festival of 2026: 13 February is a Friday, the 14th is worked.
    assert_eq!(due("2026-02-12", 1), "2026-02-13");
    assert_eq!(due("2026-02-13", 1), "2026-02-14");
    assert_eq!(due("2026-02-14", 1), "2026-02-24");
    assert_eq!(due("2026-02-24", 4), "2026-02-28");
    // Over the National Day of 2025, which took in Mid-Autumn.
    assert_eq!(due("2025-09-30", 10), "2025-10-21");
    assert!(!calendar.covers(Day::parse("2027-01-01").unwrap()));
}

#[test]
fn a_grading_table_is_whole_in_order_and_no_lower_than_the_standard() {
    let grading = |change: fn(&mut GradingTable)| {
        refused("grading.cn", |pack| match &mut pack.body {
            PackBody::Grading(it) => change(it),
            _ => unreachable!(),
        })
    };
    type Change = fn(&mut GradingTable);
    let cases: [(Change, &str); 5] = [
        (|it| drop(it.cells.pop()), "it has 23 cells of 24"),
        (|it| it.cells[1] = it.cells[0].clone(), "occurs twice"),
        (
            |it| it.cells[1].grade = crate::Grade::G4,
            "NATIONAL_SECURITY GENERAL is IMPORTANT at least",
        ),
        (
            |it| it.cells[20].grade = crate::Grade::G3,
            "INDIVIDUAL_RIGHTS: more harm gives a lower grade",
        ),
        (|it| it.cells[0].cites.clear(), "cells.cites"),
    ];
    for (change, why) in cases {
        let said = grading(change);
        assert!(said.contains(why), "{said}");
    }
    // Stricter is an authority's right.
    let mut stricter = pack("grading.cn");
    if let PackBody::Grading(it) = &mut stricter.body {
        it.cells[23].grade = crate::Grade::Important;
    }
    assert!(stricter.check().is_ok());
}
