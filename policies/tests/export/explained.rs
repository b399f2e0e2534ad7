//! Explanations as people read them: every rule that spoke, with what it saw and its article.

use std::fmt::Write as _;

use expect_test::expect_file;
use policies::Pdp;
use schemas::export::InstrumentKind;
use schemas::participant::ParticipantKind;

use crate::world::{Export, ruled, strict};

fn told(title: &str, case: &Export, pdp: &Pdp) -> String {
    let it = pdp.explain(&case.request, &case.facts);
    let mut out = format!("{title}\n");
    for spoke in &it.spoke {
        writeln!(
            out,
            "  {:<10} {}  [{}]",
            spoke.voice.as_str(),
            spoke.rule,
            spoke.cites
        )
        .ok();
        for saw in &spoke.saw {
            writeln!(out, "             {} = {}", saw.fact, saw.value).ok();
        }
    }
    for reading in &it.readings {
        let how = if reading.strict { "stricter" } else { "looser" };
        writeln!(out, "  read       {} the {how} way", reading.question).ok();
    }
    out.push('\n');
    out
}

#[test]
fn explanations_are_those_that_were_reviewed() {
    let manifest = Export::trade()
        .columns(&["container", "consignee"])
        .persons(500_000, 0);
    let organ = Export::personal()
        .provider(ParticipantKind::StateOrgan)
        .holding(InstrumentKind::StatutoryDuty);
    let looser = ruled(|it| it.settings.organ_statutory_duty_suffices = true);
    let mut out = String::new();
    out += &told("TRADE, NOTHING PERSONAL", &Export::trade(), strict());
    out += &told(
        "A MANIFEST WITH CONSIGNEES, 500,000 PERSONS",
        &manifest,
        strict(),
    );
    out += &told(
        "PERSONAL, NOT COUNTED YET",
        &Export::personal().unmeasured(),
        strict(),
    );
    out += &told("A STATE ORGAN WITH A STATUTORY DUTY", &organ, strict());
    out += &told("THE SAME, READ THE LOOSER WAY", &organ, &looser);
    let stranger = Export::trade().with(|it| {
        it.facts.principal_valid = false;
        it.facts.grant = None;
    });
    out += &told("A STRANGER WITHOUT A GRANT", &stranger, strict());
    expect_file!["explained.out"].assert_eq(&out);
}
