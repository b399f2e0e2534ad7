//! Whether an instrument may be used for an export, at the moment of sending: its validity, its
//! filing, and its envelope (NDSR 38).
//!
//! It does not say which instrument is needed: `rules` does.

use schemas::calendar::Day;
use schemas::code::ReasonCode;
use schemas::export::{
    Instrument, InstrumentKind, InstrumentState, Notice, NoticeKind, OpenQuestion, Reading,
};

use super::question::Question;

/// Most columns that one sentence names.
const COLUMNS_NAMED_MAX: usize = 5;

/// What stands against an instrument.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Obstacle {
    pub(crate) code: ReasonCode,
    pub(crate) why: String,
}

impl Obstacle {
    pub(crate) fn new(code: ReasonCode, why: impl Into<String>) -> Self {
        Self {
            code,
            why: why.into(),
        }
    }
}

/// Everything that stands against using `it` for the columns of `subject`, in a fixed order.
pub(crate) fn obstacles(q: &Question<'_>, it: &Instrument, subject: &[&str]) -> Vec<Obstacle> {
    let mut found = Vec::new();
    let mut say = |code, why: String| found.push(Obstacle::new(code, format!("{}: {why}", it.id)));
    if let Some(why) = invalid(q, it) {
        say(ReasonCode::InstrumentNotValid, why);
    }
    for why in exceeded(q, it, subject) {
        say(ReasonCode::EnvelopeExceeded, why);
    }
    if q.is_personal()
        && it.envelope.persons_max.is_some()
        && q.is_measured()
        && q.under(it).is_none()
    {
        say(
            ReasonCode::CountMissing,
            "the counter home did not say how many persons were sent under it".to_owned(),
        );
    }
    found
}

/// Why it is not in force on the day.
fn invalid(q: &Question<'_>, it: &Instrument) -> Option<String> {
    match it.state {
        InstrumentState::Valid => {}
        InstrumentState::Suspended => return Some("it is suspended".to_owned()),
        InstrumentState::Ended => return Some("it was ended".to_owned()),
    }
    let (day, last) = (q.day(), last_day(q, it));
    if day < it.from {
        return Some(format!("it begins on {}", it.from));
    }
    if day > last {
        return Some(format!("it ended on {last}"));
    }
    if let Some(due) = filing_due(q, it)
        && day > due
    {
        return Some(format!("it had to be filed by {due} and is not"));
    }
    if is_overtaken(q, it) && q.reading(OpenQuestion::ContractAfterCrossing).strict {
        return Some("it is from before the threshold of the assessment was crossed".to_owned());
    }
    None
}

/// The last day on which it holds: its own, and never past the longest validity of its kind.
fn last_day(q: &Question<'_>, it: &Instrument) -> Day {
    let years = q.force.instrument(it.kind).and_then(|rule| rule.years_max);
    let longest = years.map(|years| it.from.plus_years(years));
    // The day of the same date is the first one after.
    longest.map_or(it.until, |first_after| {
        let mut last = it.until;
        if last >= first_after {
            last = before(first_after);
        }
        last
    })
}

fn before(day: Day) -> Day {
    Day::of(day.start().plus_millis(-1))
}

/// Until when it must be filed; none when it is, or need not be.
fn filing_due(q: &Question<'_>, it: &Instrument) -> Option<Day> {
    let within = q.force.instrument(it.kind)?.file_within_working_days?;
    let filed = it.filed_on.is_some_and(|on| on <= q.day());
    (!filed).then(|| q.force.last_day(it.from, within))
}

/// Whether the sender crossed the assessment's threshold after the contract or certification began.
fn is_overtaken(q: &Question<'_>, it: &Instrument) -> bool {
    let concerned = match it.kind {
        InstrumentKind::StandardContract | InstrumentKind::Certification => true,
        // Under the waiver volumes do not matter for it.
        InstrumentKind::GbaContract => q.reading(OpenQuestion::GbaVolumeWaiver).strict,
        InstrumentKind::SecurityAssessment
        | InstrumentKind::Treaty
        | InstrumentKind::CompetentApproval
        | InstrumentKind::ImpactAssessment
        | InstrumentKind::SeparateConsent
        | InstrumentKind::ContractNecessity
        | InstrumentKind::EmployeeManagement
        | InstrumentKind::Emergency
        | InstrumentKind::StatutoryDuty
        | InstrumentKind::CollectedAbroad
        | InstrumentKind::ZoneClassification => false,
    };
    concerned && q.export.crossed_on.is_some_and(|on| it.from <= on)
}

/// What the export has beyond the envelope.
fn exceeded(q: &Question<'_>, it: &Instrument, subject: &[&str]) -> Vec<String> {
    let envelope = &it.envelope;
    let mut found = Vec::new();
    if !envelope
        .recipients
        .contains(&q.request.principal.participant)
    {
        found.push("the recipient is another".to_owned());
    }
    // Both where rows go and where the recipient sits.
    for place in [q.request.destination, q.request.principal.jurisdiction] {
        let told = format!("{place} is not a destination of it");
        if !place.is_mainland() && !envelope.destinations.contains(&place) && !found.contains(&told)
        {
            found.push(told);
        }
    }
    if !q
        .purpose()
        .is_some_and(|purpose| envelope.purposes.contains(purpose))
    {
        found.push("the purpose is another".to_owned());
    }
    let named = q.dataset_id.and_then(|id| envelope.columns(id));
    let outside: Vec<&str> = subject
        .iter()
        .copied()
        .filter(|column| !named.is_some_and(|columns| columns.contains(*column)))
        .collect();
    if !outside.is_empty() {
        let shown = outside[..outside.len().min(COLUMNS_NAMED_MAX)].join(", ");
        found.push(format!(
            "columns outside of it ({}): {shown}",
            outside.len()
        ));
    }
    if !envelope.methods.contains(&q.export.method) {
        found.push(format!("the method {} is outside of it", q.export.method));
    }
    found.extend(beyond_scale(q, it));
    found.extend(beyond_retention(q, it));
    if it.kind == InstrumentKind::GbaContract && q.export.onward_transfer {
        found.push("the contract lets rows be passed on, which it forbids".to_owned());
    }
    found
}

fn beyond_scale(q: &Question<'_>, it: &Instrument) -> Option<String> {
    if !q.is_personal() {
        return None;
    }
    match (it.envelope.persons_max, q.under(it)) {
        (None, _) if it.kind.is_scaled() => Some("it names no scale of persons".to_owned()),
        (Some(most), Some(sent)) if sent > most => Some(format!(
            "{sent} persons were sent under it, its scale is {most}"
        )),
        _ => None,
    }
}

fn beyond_retention(q: &Question<'_>, it: &Instrument) -> Option<String> {
    match (it.envelope.retention_days_max, q.export.retention_days) {
        (None, _) if it.kind.is_scaled() => Some("it names no retention".to_owned()),
        (None, _) => None,
        (Some(most), None) => Some(format!("the retention is not known, it allows {most} days")),
        (Some(most), Some(days)) if days > most => {
            Some(format!("the retention is {days} days, it allows {most}"))
        }
        (Some(_), Some(_)) => None,
    }
}

/// What a permit under `it` has to watch.
pub(crate) fn notices(q: &Question<'_>, it: &Instrument) -> Vec<Notice> {
    let mut found = Vec::new();
    if let (true, Some(most), Some(sent)) = (q.is_personal(), it.envelope.persons_max, q.under(it))
    {
        let marks = &q.force.rules().thresholds.warn_percents;
        found.extend(near(NoticeKind::NearScale, sent, most, marks));
    }
    let left = |day: Day| u64::try_from(day.days_since(q.day())).unwrap_or(0);
    if let Some(due) = filing_due(q, it) {
        found.push(Notice {
            kind: NoticeKind::FilingDue,
            percent: 0,
            count: 0,
            limit: left(due),
        });
    }
    let window = q
        .force
        .instrument(it.kind)
        .and_then(|rule| rule.extension_window_working_days);
    let last = last_day(q, it);
    if let Some(window) = window
        && q.force.first_day_before(last, window) <= q.day()
    {
        let kind = NoticeKind::ExtensionOpen;
        found.push(Notice {
            kind,
            percent: 0,
            count: 0,
            limit: left(last),
        });
    }
    found
}

/// The highest mark that a count has reached.
pub(crate) fn near(kind: NoticeKind, count: u64, limit: u64, marks: &[u32]) -> Option<Notice> {
    let reached = |percent: u32| u128::from(count) * 100 >= u128::from(limit) * u128::from(percent);
    let percent = marks.iter().copied().filter(|it| reached(*it)).max()?;
    Some(Notice {
        kind,
        percent,
        count,
        limit,
    })
}

/// The readings that judging `it` rested on.
pub(crate) fn readings(q: &Question<'_>, it: &Instrument) -> Option<Reading> {
    is_overtaken(q, it).then(|| q.reading(OpenQuestion::ContractAfterCrossing))
}

/// Whether a valid instrument of one of `kinds` covers the columns.
pub(crate) fn covered(
    q: &Question<'_>,
    kinds: &'static [InstrumentKind],
    subject: &[&str],
) -> bool {
    q.instruments(kinds)
        .any(|it| obstacles(q, it, subject).is_empty())
}
