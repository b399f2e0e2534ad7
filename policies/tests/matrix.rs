//! The decision matrix: what the policy that ships decides, as a table that a lawyer reads in a
//! diff. `UPDATE_EXPECT=1 cargo test -p policies --test matrix` rewrites `matrix.out`.
//!
//! It does not say what should be decided; the reviewer of the diff does.

mod fixture;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use expect_test::expect_file;
use fixture::{Case, pdp};
use policies::Pdp;
use schemas::code::{Action, ReasonCode};
use schemas::dataset::ShareAttribute;
use schemas::decision::{Decision, Mask, Obligations, Party, Reason};
use schemas::participant::{ParticipantKind, Role};
use schemas::request::GrantState;
use schemas::{Grade, Jurisdiction, PersonId};

const HEADER: &str = "\
DECISION MATRIX of the policy set that ships (policies/baseline). Written by tests/matrix.rs; the
diff of this file is the review of a policy change. UPDATE_EXPECT=1 rewrites it.

Read a row as: principal @ how her participant stands to the record.
  principal   a role of a person, or hosting-node: a node that acts for a participant it hosts
  @           PROVIDER of the dataset, CONSUMER with a grant, supervising AUTHORITY, OTHER member
  where       CN: the answer stays in the mainland. HK: it goes to a party in Hong Kong, and so
              leaves the mainland, as it would for any other place outside
  grade       G1 to G4, IMPORTANT, CORE (GB/T 43697-2024)
Unless a row says otherwise: the person is valid, the clock trusted, the catalog view fresh and from
a linearizable read; the dataset is published, conditionally shared and provided by a state organ,
with the columns berth, agent_phone (personal) and driver_id (sensitive personal); the grant is in
force for all three, with a filter on berth, agent_phone cut after 3 characters and at most a
million rows; purpose and destination are the granted ones.
Deny rows list every reason. What each reason rests on is in the last section.
";

/// One principal of the matrix.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Who {
    Person(Role),
    Node,
}

impl Who {
    fn all() -> Vec<Self> {
        Role::ALL
            .iter()
            .copied()
            .map(Self::Person)
            .chain([Self::Node])
            .collect()
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Person(role) => role.as_str(),
            Self::Node => "hosting-node",
        }
    }

    fn case(self, party: Party, action: Action) -> Case {
        match self {
            Self::Person(role) => Case::person(role, party, action),
            Self::Node => Case::node(party, action),
        }
    }
}

/// A decision as text, and the reasons it gave for the last section.
#[derive(Default)]
struct Told {
    reasons: BTreeSet<Reason>,
}

impl Told {
    fn tell(&mut self, decision: &Decision) -> String {
        match decision {
            Decision::Permit(obligations) => obligations_text(obligations),
            // Needs facts of an export, which this matrix has not; see the one of exports.
            Decision::Measure { .. } => "measure".to_owned(),
            Decision::Deny(reasons) => {
                self.reasons.extend(reasons.iter().cloned());
                let codes: Vec<&str> = reasons.iter().map(|it| it.code.as_str()).collect();
                format!("deny    {}", codes.join(" "))
            }
        }
    }
}

fn obligations_text(it: &Obligations) -> String {
    if *it == Obligations::default() {
        return "permit".to_owned();
    }
    let mut parts = vec![format!("columns {}", it.columns.join(","))];
    parts.extend(it.masks.iter().map(|(column, mask)| {
        let mask = match mask {
            Mask::KeyedHash => "keyed hash".to_owned(),
            Mask::Truncate { keep_chars } => format!("first {keep_chars}"),
            Mask::Generalise { step } => format!("steps of {step}"),
            Mask::Null => "null".to_owned(),
        };
        format!("{column}: {mask}")
    }));
    parts.extend(it.rows.all.iter().map(|predicate| {
        format!(
            "rows {} {} {}",
            predicate.column,
            predicate.operator,
            predicate.values.join("|")
        )
    }));
    parts.extend(it.rows_max.map(|rows| format!("at most {rows} rows")));
    parts.push(if it.seal { "sealed" } else { "not sealed" }.to_owned());
    format!("permit  {}", parts.join("; "))
}

/// Twelve cells, grade by destination, as rows of equal outcome. Grades that follow each other
/// under one destination are joined.
fn cells(pdp: &Pdp, told: &mut Told, who: Who, party: Party, action: Action) -> Vec<String> {
    let mut rows: Vec<(String, BTreeMap<&str, Vec<Grade>>)> = Vec::new();
    for (place, to) in [
        ("CN", Jurisdiction::MAINLAND),
        ("HK", Jurisdiction::HONG_KONG),
    ] {
        for grade in Grade::ALL.iter().copied() {
            let case = who.case(party, action).grade(grade).to(to);
            let text = told.tell(&pdp.decide(&case.request, &case.facts));
            match rows.iter_mut().find(|(known, _)| *known == text) {
                Some((_, grades)) => grades.entry(place).or_default().push(grade),
                None => rows.push((text, BTreeMap::from([(place, vec![grade])]))),
            }
        }
    }
    if rows.iter().all(|(text, _)| text.starts_with("deny")) {
        return vec![never(&rows)];
    }
    rows.into_iter()
        .map(|(text, places)| format!("{:<32} {text}", where_text(&places)))
        .collect()
}

/// One row for a principal who is refused everywhere: the reasons that always hold, and those that
/// grade and place add.
fn never(rows: &[(String, BTreeMap<&str, Vec<Grade>>)]) -> String {
    let codes = |text: &str| -> Vec<String> {
        text.split_whitespace().skip(1).map(str::to_owned).collect()
    };
    let all: Vec<Vec<String>> = rows.iter().map(|(text, _)| codes(text)).collect();
    let union: BTreeSet<&String> = all.iter().flatten().collect();
    let (always, added): (Vec<&str>, Vec<&str>) = ReasonCode::ALL
        .iter()
        .map(|code| code.as_str())
        .filter(|code| union.iter().any(|it| it == code))
        .partition(|code| all.iter().all(|codes| codes.iter().any(|it| it == code)));
    let added = if added.is_empty() {
        String::new()
    } else {
        format!(" (where they apply, also {})", added.join(" "))
    };
    format!(
        "{:<32} deny    {}{added}",
        "everywhere, all grades",
        always.join(" ")
    )
}

/// Places and grades in a few words.
fn where_text(places: &BTreeMap<&str, Vec<Grade>>) -> String {
    let texts: Vec<(&str, String)> = places
        .iter()
        .map(|(place, grades)| (*place, grades_text(grades)))
        .collect();
    match texts.as_slice() {
        [(_, cn), (_, hk)] if cn == hk => format!("everywhere, {cn}"),
        texts => texts
            .iter()
            .map(|(place, grades)| format!("{place} {grades}"))
            .collect::<Vec<_>>()
            .join("; "),
    }
}

/// Grades that follow each other as a range.
fn grades_text(grades: &[Grade]) -> String {
    match grades {
        all if all.len() == Grade::ALL.len() => "all grades".to_owned(),
        [first, .., last] if *last as usize - *first as usize + 1 == grades.len() => {
            format!("{first} to {last}")
        }
        some => some
            .iter()
            .map(|grade| grade.as_str())
            .collect::<Vec<_>>()
            .join(", "),
    }
}

/// One action: principals with the same rows stand together.
fn action_section(pdp: &Pdp, told: &mut Told, action: Action) -> String {
    let mut groups = Vec::<(Vec<String>, BTreeSet<(Who, Party)>)>::new();
    for who in Who::all() {
        for party in Party::ALL.iter().copied() {
            let rows = cells(pdp, told, who, party, action);
            match groups.iter_mut().find(|(known, _)| *known == rows) {
                Some((_, members)) => {
                    members.insert((who, party));
                }
                None => groups.push((rows, BTreeSet::from([(who, party)]))),
            }
        }
    }
    // Permits first: the exceptions to "no" are what a reader looks for.
    groups.sort_by_key(|(rows, _)| !rows.iter().any(|row| row.contains(" permit")));
    let mut out = format!("\n{action}\n");
    for (rows, members) in groups {
        let mut by_parties: BTreeMap<Vec<Party>, Vec<Who>> = BTreeMap::new();
        for who in Who::all() {
            let parties: Vec<Party> = members
                .iter()
                .filter(|(it, _)| *it == who)
                .map(|(_, party)| *party)
                .collect();
            if !parties.is_empty() {
                by_parties.entry(parties).or_default().push(who);
            }
        }
        for (parties, whos) in by_parties {
            let whos: Vec<&str> = whos.iter().map(|who| who.as_str()).collect();
            let whos = if whos.len() == Who::all().len() {
                "anyone".to_owned()
            } else {
                whos.join(", ")
            };
            let parties: Vec<&str> = parties.iter().map(|party| party.as_str()).collect();
            let parties = if parties.len() == Party::ALL.len() {
                "any".to_owned()
            } else {
                parties.join(", ")
            };
            writeln!(out, "  {whos} @ {parties}").ok();
        }
        for row in rows {
            writeln!(out, "      {}", row.trim_end()).ok();
        }
    }
    out
}

/// Which export rule refuses, by whose data it is and what is in it.
fn export_section(pdp: &Pdp, told: &mut Told) -> String {
    let mut out = String::from(
        "\n\nEXPORT: dataset.read by a data-consumer in Hong Kong with a grant in force\n\
         Every row refuses: this node gathered no facts of the export. What it decides with\n\
         them is in export/matrix.out.\n\n",
    );
    let senders = [
        ("state organ", ParticipantKind::StateOrgan, false),
        (
            "organisation authorised by law",
            ParticipantKind::AuthorisedOrganisation,
            false,
        ),
        (
            "enterprise, critical infrastructure",
            ParticipantKind::Enterprise,
            true,
        ),
        ("enterprise", ParticipantKind::Enterprise, false),
        (
            "party outside the mainland",
            ParticipantKind::Foreign,
            false,
        ),
    ];
    let contents: [(&str, &[&str]); 3] = [
        ("no personal column", &["berth"]),
        ("personal columns", &["berth", "agent_phone"]),
        (
            "sensitive personal columns, masked",
            &["berth", "driver_id"],
        ),
    ];
    let purposes = [
        ("trade purpose", "port-logistics"),
        ("other purpose", "statistics"),
    ];
    // By grades and answer: whose data, what is in it, what for.
    let mut answers: Vec<(Grade, String, Vec<String>)> = Vec::new();
    for grade in Grade::ALL.iter().copied() {
        for (sender, kind, ciio) in senders {
            for (content, columns) in contents {
                for (purpose, code) in purposes {
                    let case = Case::read().grade(grade).to(Jurisdiction::HONG_KONG);
                    let case = exported(case, kind, ciio, columns, code);
                    let decision = pdp.decide(&case.request, &case.facts);
                    let text = format!("{}{}", told.tell(&decision), rule_cites(&decision));
                    let line = format!("{sender}; {content}; {purpose}");
                    match answers
                        .iter_mut()
                        .find(|(g, known, _)| *g == grade && *known == text)
                    {
                        Some((_, _, lines)) => lines.push(line),
                        None => answers.push((grade, text, vec![line])),
                    }
                }
            }
        }
    }
    out.push_str(&grouped(
        answers,
        senders.len() * contents.len() * purposes.len(),
    ));
    out
}

/// Grades with the same answer to the same senders stand together.
fn grouped(answers: Vec<(Grade, String, Vec<String>)>, every: usize) -> String {
    let mut out = String::new();
    let mut groups: Vec<(String, Vec<String>, Vec<Grade>)> = Vec::new();
    for (grade, text, lines) in answers {
        match groups
            .iter_mut()
            .find(|(known, held, _)| *known == text && *held == lines)
        {
            Some((_, _, grades)) => grades.push(grade),
            None => groups.push((text, lines, vec![grade])),
        }
    }
    for (text, lines, grades) in groups {
        writeln!(out, "  {}\n      {text}", grades_text(&grades)).ok();
        if lines.len() == every {
            writeln!(
                out,
                "          whosever data, whatever columns, any purpose"
            )
            .ok();
        } else {
            lines.iter().for_each(|line| {
                writeln!(out, "          {line}").ok();
            });
        }
    }
    out
}

fn exported(
    mut case: Case,
    kind: ParticipantKind,
    ciio: bool,
    columns: &[&str],
    purpose: &str,
) -> Case {
    case.dataset().provider_kind = kind;
    case.dataset().provider_ciio = ciio;
    case.request.columns = Some(columns.iter().map(|name| (*name).to_owned()).collect());
    case.request
        .purpose
        .iter_mut()
        .for_each(|it| purpose.clone_into(&mut it.code));
    case.with_grant(|it| purpose.clone_into(&mut it.purpose.code))
}

/// The articles of the export rule that refused.
fn rule_cites(decision: &Decision) -> String {
    let Decision::Deny(reasons) = decision else {
        return String::new();
    };
    reasons
        .iter()
        .filter(|reason| reason.code.as_str().starts_with('X'))
        .map(|reason| format!("  [{}]", reason.cites.split(':').next().unwrap_or_default()))
        .collect()
}

/// What differs from a request in order, and that request.
fn deviations() -> Vec<(&'static str, Case)> {
    let mut all = grant_deviations();
    all.extend(request_deviations());
    all.extend(world_deviations());
    all
}

fn grant_deviations() -> Vec<(&'static str, Case)> {
    let read = Case::read;
    let important = || read().grade(Grade::Important);
    vec![
        ("nothing: the request is in order", read()),
        (
            "the grant is missing",
            read().with(|it| it.facts.grant = None),
        ),
        (
            "the grant is missing, IMPORTANT",
            important().with(|it| it.facts.grant = None),
        ),
        ("the grant is another participant's", {
            read().with_grant(|it| it.consumer = fixture::participant("airline"))
        }),
        (
            "the grant was revoked",
            read().with_grant(|it| it.state = GrantState::Revoked),
        ),
        ("the grant begins at this instant", {
            read().with_grant(|it| it.period.from = fixture::now())
        }),
        ("the grant begins a millisecond later", {
            read().with_grant(|it| it.period.from = fixture::now().plus_millis(1))
        }),
        ("the grant ends at this instant", {
            read().with_grant(|it| it.period.until = fixture::now())
        }),
        ("the grant is for one person, and a node asks for her", {
            Case::node(Party::Consumer, Action::DatasetRead)
                .with_grant(|it| it.subject = PersonId::parse("li").ok())
        }),
    ]
}

fn request_deviations() -> Vec<(&'static str, Case)> {
    let read = Case::read;
    vec![
        (
            "no purpose is given",
            read().with(|it| it.request.purpose = None),
        ),
        ("the purpose is another one", {
            read().with_grant(|it| "audit".clone_into(&mut it.purpose.code))
        }),
        (
            "the grant is for Macao, the answer stays in the mainland",
            { read().with_grant(|it| it.destination = Jurisdiction::MACAO) },
        ),
        ("a column outside the grant is asked for", {
            let columns = ["berth".to_owned(), "salary".to_owned()];
            read().with(|it| it.request.columns = Some(columns.into()))
        }),
        (
            "no column is asked for",
            read().with(|it| it.request.columns = Some([].into())),
        ),
        (
            "the dataset is suspended",
            read().with(|it| it.dataset().served = false),
        ),
        ("the dataset is not shared by law", {
            read().with(|it| it.dataset().share = ShareAttribute::NotShared)
        }),
        (
            "the card is hidden from the asker",
            read().with(|it| it.dataset().visible = false),
        ),
    ]
}

fn world_deviations() -> Vec<(&'static str, Case)> {
    let read = Case::read;
    let important = || read().grade(Grade::Important);
    vec![
        ("G2, the view is 24 h old", {
            read()
                .grade(Grade::G2)
                .with(|it| it.facts.view_age_ms = 86_400_000)
        }),
        ("G2, the view is a millisecond older than 24 h", {
            read()
                .grade(Grade::G2)
                .with(|it| it.facts.view_age_ms = 86_400_001)
        }),
        ("G3, the view is 60 s old and not linearizable", {
            read().grade(Grade::G3).with(|it| {
                it.facts.view_age_ms = 60_000;
                it.facts.linearizable = false;
            })
        }),
        ("G3, the view is a millisecond older than 60 s", {
            read()
                .grade(Grade::G3)
                .with(|it| it.facts.view_age_ms = 60_001)
        }),
        ("IMPORTANT, the view is not linearizable", {
            important().with(|it| it.facts.linearizable = false)
        }),
        (
            "the clock is not trusted",
            read().with(|it| it.facts.clock_trusted = false),
        ),
        (
            "the person is no longer valid",
            read().with(|it| it.facts.principal_valid = false),
        ),
        ("the consumer also administers the system", {
            read().with(|it| {
                it.request.principal.roles.insert(Role::SystemAdministrator);
            })
        }),
        ("one person is auditor and security officer", {
            read().with(|it| {
                it.request
                    .principal
                    .roles
                    .extend([Role::Auditor, Role::SecurityOfficer]);
            })
        }),
        ("the answer stays, but the asker sits in Hong Kong", {
            read().with(|it| it.request.principal.jurisdiction = Jurisdiction::HONG_KONG)
        }),
        ("a steward ends a grant on a node that is cut off", {
            Case::person(Role::DataSteward, Party::Provider, Action::GrantRevoke).with(|it| {
                it.facts.view_age_ms = u64::MAX;
                it.facts.linearizable = false;
                it.facts.clock_trusted = false;
            })
        }),
    ]
}

fn deviation_section(pdp: &Pdp, told: &mut Told) -> String {
    let mut out = String::from(
        "\n\nWHAT ELSE MATTERS: dataset.read of G1 by a data-consumer, her grant in force, but\n\n",
    );
    for (what, case) in deviations() {
        let text = told.tell(&pdp.decide(&case.request, &case.facts));
        writeln!(out, "  {what}\n      {text}").ok();
    }
    out
}

/// Reasons with their citations; numbers of policy lines are left out, because a comment moves
/// them.
fn cites_section(told: &Told) -> String {
    let mut out = String::from("\n\nWHAT REFUSALS REST ON\n\n");
    let mut lines: Vec<(&str, String)> = Vec::new();
    for Reason { code, cites, .. } in &told.reasons {
        let cites = match cites.strip_prefix("roles.csv line ") {
            Some(rest) => format!(
                "roles.csv line N{}",
                rest.trim_start_matches(char::is_numeric)
            ),
            None => cites.clone(),
        };
        let line = (code.as_str(), cites);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    for (code, cites) in lines {
        writeln!(out, "  {code}\n      {cites}").ok();
    }
    out
}

fn matrix() -> String {
    let pdp = pdp();
    let mut told = Told::default();
    let mut out = HEADER.to_owned();
    for action in Action::ALL.iter().copied() {
        out.push_str(&action_section(&pdp, &mut told, action));
    }
    out.push_str(&export_section(&pdp, &mut told));
    out.push_str(&deviation_section(&pdp, &mut told));
    out.push_str(&cites_section(&told));
    out
}

#[test]
fn the_matrix_is_the_one_that_was_reviewed() {
    expect_file!["matrix.out"].assert_eq(&matrix());
}

#[test]
fn every_action_has_rows_in_the_checked_in_matrix() {
    let reviewed = include_str!("matrix.out");
    let missing: Vec<&str> = Action::ALL
        .iter()
        .map(|action| action.as_str())
        .filter(|action| !reviewed.lines().any(|line| line == *action))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn every_reason_that_a_decision_gives_is_shown_once_with_what_it_rests_on() {
    // These are the enforcement point's, or in the matrix of exports.
    let elsewhere = [
        ReasonCode::RowLimit,
        ReasonCode::NotRecorded,
        ReasonCode::ReleaseEnded,
    ];
    let export = include_str!("export/matrix.out");
    let (_, cites) = include_str!("matrix.out")
        .split_once("WHAT REFUSALS REST ON")
        .unwrap();
    let missing: Vec<&str> = ReasonCode::ALL
        .iter()
        .filter(|code| !elsewhere.contains(code))
        .map(|code| code.as_str())
        .filter(|code| !cites.lines().any(|line| line.trim() == *code))
        .filter(|code| {
            !export
                .split_whitespace()
                .any(|word| word.trim_end_matches(';') == *code)
        })
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}

#[test]
fn the_columns_of_the_header_are_those_of_the_fixture() {
    for (name, _) in fixture::COLUMNS {
        assert!(HEADER.contains(name), "{name}");
    }
}
