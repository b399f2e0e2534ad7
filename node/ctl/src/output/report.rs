//! Errors in words: what is so, why, what to do next, and what to quote to an operator.
//!
//! It does not translate what the node wrote; that stands below, marked as the node's words.

use schemas::code::{ErrorCode, ReasonCode};
use schemas::decision::Reason;

use super::Terminal;
use super::cell::printable;
use crate::Error;
use crate::error::JobFailed;
use crate::problem::Problem;

/// The lines that tell of an error.
pub(super) fn lines(terminal: &Terminal, error: &Error) -> Vec<String> {
    match error {
        Error::Problem(problem) => of_problem(terminal, problem),
        Error::JobFailed(failed) => of_job(terminal, failed),
        other => {
            let mut lines = vec![headline(&what(terminal, other))];
            lines.extend(remedy(other).map(|key| indented(&terminal.say(key, &[]))));
            lines
        }
    }
}

fn headline(text: &str) -> String {
    format!("kouanctl: {text}")
}

fn indented(text: &str) -> String {
    format!("  {text}")
}

/// What is so.
fn what(terminal: &Terminal, error: &Error) -> String {
    let say = |key, arguments: &[(&str, &dyn std::fmt::Display)]| terminal.say(key, arguments);
    match error {
        Error::Missing { flag } => say("err-missing", &[("flag", flag)]),
        Error::Input { what, why } => {
            let (what, why) = (printable(what), printable(why));
            say("err-input", &[("what", &what), ("why", &why)])
        }
        Error::NoInput { flag } => say("err-no-input", &[("flag", flag)]),
        Error::NotConfirmed => say("err-not-confirmed", &[]),
        Error::OpenToOthers { path } => say("err-open-to-others", &[("path", &path.display())]),
        Error::File {
            action,
            path,
            source,
        } => {
            let known = match *action {
                "read" => "err-file-read",
                "remove" => "err-file-remove",
                _ => "err-file-write",
            };
            say(known, &[("path", &path.display()), ("why", source)])
        }
        Error::Problem(problem) => of_problem(terminal, problem).join("\n"),
        Error::NoSuchEntry { index } => say("err-no-entry", &[("index", index)]),
        Error::Denied => say("err-denied", &[]),
        Error::JobFailed(failed) => of_job(terminal, failed).join("\n"),
        Error::JobCancelled { job } => say("err-job-cancelled", &[("job", job)]),
        Error::KeyNeeded => say("err-key-needed", &[]),
        Error::NotFilledIn { failed } => say("err-not-filled-in", &[("failed", failed)]),
        Error::RowsKeptOut { kept_out, rows } => {
            say("err-kept-out", &[("count", kept_out), ("rows", rows)])
        }
        Error::NotVerified { failed, all } => {
            say("err-not-verified", &[("failed", failed), ("all", all)])
        }
        Error::Unreachable { server, why } => {
            say("err-unreachable", &[("server", server), ("why", why)])
        }
        Error::TimedOut { what } => say("err-timed-out", &[("what", what)]),
        Error::Answer { server, why } => say("err-answer", &[("server", server), ("why", why)]),
        Error::Crypto(crypto::Error::WrongPassphrase) => say("err-passphrase", &[]),
        Error::Crypto(source) => say("err-crypto", &[("why", source)]),
        Error::Record(source) => say("err-record", &[("why", &printable(&source.to_string()))]),
        Error::Ledger(source) => say("err-ledger", &[("why", &printable(&source.to_string()))]),
    }
}

/// Key of what to do, where the text of what is so does not say it already.
fn remedy(error: &Error) -> Option<&'static str> {
    match error {
        Error::Missing { .. } => Some("fix-missing"),
        Error::KeyNeeded => Some("fix-key-needed"),
        Error::NotFilledIn { .. } => Some("fix-not-filled-in"),
        Error::RowsKeptOut { .. } => Some("fix-kept-out"),
        Error::NotVerified { .. } => Some("fix-not-verified"),
        Error::Unreachable { .. } => Some("fix-unreachable"),
        Error::TimedOut { .. } => Some("fix-timed-out"),
        Error::Answer { .. } => Some("fix-answer"),
        _ => None,
    }
}

/// A refusal prints code, rule, citation, ledger index, trace and the next step.
fn of_problem(terminal: &Terminal, problem: &Problem) -> Vec<String> {
    let heading = format!(
        "{} ({})",
        terminal.say(title(problem.code), &[]),
        problem.code
    );
    let mut lines = vec![headline(&heading)];
    lines.extend(of_reasons(terminal, &problem.reasons));
    if problem.reasons.is_empty() {
        let detail = printable(&problem.detail);
        lines.push(indented(
            &terminal.say("err-detail", &[("detail", &detail)]),
        ));
        let next = terminal.say(fix(problem.code), &[]);
        lines.push(indented(&terminal.say("err-next", &[("next", &next)])));
    }
    if let Some(seconds) = problem.retry_after_s {
        lines.push(indented(
            &terminal.say("err-retry-after", &[("seconds", &seconds)]),
        ));
    }
    if let Some(index) = problem.ledger_index {
        lines.push(indented(
            &terminal.say("err-ledger-index", &[("index", &index)]),
        ));
    }
    if !problem.trace.is_empty() {
        lines.push(indented(
            &terminal.say("err-trace", &[("trace", &printable(&problem.trace))]),
        ));
    }
    lines
}

/// A job that failed: what it says, for a refusal every rule with its citation, and what to do.
fn of_job(terminal: &Terminal, failed: &JobFailed) -> Vec<String> {
    let (heading, detail) = (
        terminal.say(title(failed.code), &[]),
        printable(&failed.detail),
    );
    let arguments: [(&str, &dyn std::fmt::Display); 3] = [
        ("job", &failed.job),
        ("title", &heading),
        ("detail", &detail),
    ];
    let mut lines = vec![headline(&terminal.say("err-job", &arguments))];
    lines.extend(of_reasons(terminal, &failed.reasons));
    if failed.reasons.is_empty() {
        let next = terminal.say(fix_job(failed), &[]);
        lines.push(indented(&terminal.say("err-next", &[("next", &next)])));
    }
    if let Some(index) = failed.ledger_index {
        let key = if failed.publish {
            "err-ledger-index"
        } else {
            "err-ledger-index-provider"
        };
        lines.push(indented(&terminal.say(key, &[("index", &index)])));
    }
    lines
}

/// Two lines a reason: rule, meaning and citation, and the next step.
fn of_reasons(terminal: &Terminal, reasons: &[Reason]) -> Vec<String> {
    let mut lines = Vec::new();
    for it in reasons {
        let (meaning, next) = reason(it.code);
        let meaning = terminal.say(meaning, &[]);
        let cites = printable(&it.cites);
        let arguments: [(&str, &dyn std::fmt::Display); 3] =
            [("code", &it.code), ("meaning", &meaning), ("cites", &cites)];
        lines.push(indented(&terminal.say("err-reason", &arguments)));
        let next = terminal.say(next, &[]);
        lines.push(indented(&terminal.say("err-next", &[("next", &next)])));
    }
    lines
}

/// Key of what to do about a job that failed without reasons. It has no trace number; its own
/// identifier is what an operator looks for.
fn fix_job(failed: &JobFailed) -> &'static str {
    match failed.code {
        ErrorCode::Internal | ErrorCode::Tampered | ErrorCode::StorageFull => "fix-job-operator",
        ErrorCode::Conflict => "fix-job-again",
        code => fix(code),
    }
}

/// Key of a code's title.
fn title(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Invalid => "err-invalid",
        ErrorCode::SchemaViolation => "err-schema-violation",
        ErrorCode::QualityGateFailed => "err-quality-gate-failed",
        ErrorCode::Unauthenticated => "err-unauthenticated",
        ErrorCode::Refused => "err-refused",
        ErrorCode::NotFound => "err-not-found",
        ErrorCode::Conflict => "err-conflict",
        ErrorCode::PreconditionFailed | ErrorCode::PreconditionRequired => "err-precondition",
        ErrorCode::KeyReused => "err-key-reused",
        ErrorCode::LimitExceeded => "err-limit-exceeded",
        ErrorCode::LockedOut => "err-locked-out",
        ErrorCode::Unavailable => "err-unavailable",
        ErrorCode::StorageFull => "err-storage-full",
        ErrorCode::Tampered => "err-tampered",
        ErrorCode::Internal => "err-internal",
    }
}

/// Key of what to do about a code that comes without reasons.
fn fix(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::Invalid | ErrorCode::LimitExceeded => "fix-input",
        ErrorCode::SchemaViolation | ErrorCode::QualityGateFailed => "fix-rows",
        ErrorCode::Unauthenticated => "fix-sign-in",
        ErrorCode::Refused => "fix-refused",
        ErrorCode::NotFound => "fix-not-found",
        ErrorCode::Conflict | ErrorCode::PreconditionFailed | ErrorCode::PreconditionRequired => {
            "fix-conflict"
        }
        ErrorCode::KeyReused => "fix-key-reused",
        ErrorCode::LockedOut | ErrorCode::Unavailable => "fix-later",
        ErrorCode::StorageFull | ErrorCode::Tampered | ErrorCode::Internal => "fix-operator",
    }
}

/// Keys of what a reason means and what to do about it.
fn reason(code: ReasonCode) -> (&'static str, &'static str) {
    match code {
        ReasonCode::RoleMissing => ("reason-role", "next-role"),
        ReasonCode::NotAParty => ("reason-party", "next-party"),
        ReasonCode::DatasetNotServed => ("reason-not-served", "next-not-served"),
        ReasonCode::NotShared => ("reason-not-shared", "next-not-shared"),
        ReasonCode::GrantMissing => ("reason-grant-missing", "next-request"),
        ReasonCode::GrantNotYetValid => ("reason-grant-early", "next-grant-early"),
        ReasonCode::GrantExpired => ("reason-grant-expired", "next-request"),
        ReasonCode::GrantRevoked => ("reason-grant-revoked", "next-grant-revoked"),
        ReasonCode::PurposeMismatch => ("reason-purpose", "next-purpose"),
        ReasonCode::ColumnNotGranted => ("reason-column", "next-column"),
        ReasonCode::DestinationMismatch => ("reason-destination", "next-destination"),
        ReasonCode::RowLimit => ("reason-rows", "next-rows"),
        ReasonCode::CoreData => ("reason-core", "next-core"),
        ReasonCode::ImportantData => ("reason-important", "next-important"),
        ReasonCode::StaleView => ("reason-stale", "next-stale"),
        ReasonCode::ClockUntrusted => ("reason-clock", "next-clock"),
        ReasonCode::NotRecorded => ("reason-not-recorded", "next-not-recorded"),
        ReasonCode::ReleaseEnded => ("reason-release", "next-release"),
        ReasonCode::PrincipalNotValid => ("reason-principal", "next-principal"),
        ReasonCode::SeparationOfDuties => ("reason-duties", "next-duties"),
        ReasonCode::X0 => ("reason-x0", "next-core"),
        ReasonCode::X1 => ("reason-x1", "next-export-authority"),
        ReasonCode::X2 => ("reason-x2", "next-export-authority"),
        ReasonCode::X3 => ("reason-x3", "next-core"),
        ReasonCode::X4 => ("reason-x4", "next-important"),
        ReasonCode::X5 => ("reason-x5", "next-export-personal"),
        ReasonCode::X6 => ("reason-x6", "next-export-personal"),
        ReasonCode::X7 => ("reason-x7", "next-export-open"),
        ReasonCode::X14 => ("reason-x14", "next-export-personal"),
        ReasonCode::X18 => ("reason-x18", "next-export-open"),
        ReasonCode::X8 => ("reason-x8", "next-export-other"),
        ReasonCode::X9 => ("reason-x9", "next-export-other"),
        ReasonCode::X10 => ("reason-x10", "next-export-other"),
        ReasonCode::X11 => ("reason-x11", "next-export-other"),
        ReasonCode::X12 => ("reason-x12", "next-export-list"),
        ReasonCode::X13 => ("reason-x13", "next-export-treaty"),
        ReasonCode::X15 => ("reason-x15", "next-export-bay"),
        ReasonCode::X16 => ("reason-x16", "next-export-contract"),
        ReasonCode::X17 => ("reason-x17", "next-export-other"),
        ReasonCode::InstrumentMissing => ("reason-instrument", "next-instrument"),
        ReasonCode::InstrumentNotValid => ("reason-instrument-invalid", "next-instrument-renew"),
        ReasonCode::EnvelopeExceeded => ("reason-envelope", "next-envelope"),
        ReasonCode::ConsentMissing => ("reason-consent", "next-consent"),
        ReasonCode::ImpactAssessmentMissing => ("reason-impact", "next-impact"),
        ReasonCode::SecondApprovalMissing => ("reason-second", "next-second"),
        ReasonCode::CountMissing => ("reason-count", "next-count"),
    }
}

impl Terminal {
    /// A reason as a row of a table: code, meaning, citation, next step.
    pub(crate) fn reason_row(&self, it: &Reason) -> serde_json::Value {
        let (meaning, next) = reason(it.code);
        serde_json::json!({
            "code": it.code, "meaning": self.say(meaning, &[]), "cites": it.cites,
            "next": self.say(next, &[]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::messages::Language;
    use crate::output::{Format, for_tests};

    fn refused() -> Error {
        let body = br#"{"code":"REFUSED","detail":"d","trace":"t-77","ledger_index":42,
            "reasons":[{"code":"X5","cites":"PIPL 36"}]}"#;
        Error::Problem(Box::new(Problem::read(403, body)))
    }

    #[test]
    fn a_refusal_names_code_rule_citation_ledger_index_trace_and_next_step() {
        for language in [Language::Zh, Language::En] {
            let terminal = for_tests(language, Format::Table);
            let text = lines(&terminal, &refused()).join("\n");
            let next = terminal.say("next-export-personal", &[]);
            let meaning = terminal.say("reason-x5", &[]);
            let parts = [
                "REFUSED",
                "X5",
                "PIPL 36",
                "42",
                "t-77",
                next.as_str(),
                meaning.as_str(),
            ];
            for part in parts {
                assert!(text.contains(part), "{part} in {text}");
            }
        }
    }

    #[test]
    fn a_refused_job_names_rule_citation_ledger_index_and_next_step() {
        let failed = |publish, reasons, ledger_index| {
            Error::JobFailed(Box::new(JobFailed {
                job: "j-7f3a".to_owned(),
                code: ErrorCode::Refused,
                publish,
                detail: "the provider refused: X5".to_owned(),
                reasons,
                ledger_index,
            }))
        };
        let reasons = || vec![Reason::new(ReasonCode::X5, "PIPL 36")];
        for language in [Language::Zh, Language::En] {
            let terminal = for_tests(language, Format::Table);
            let refused = failed(false, reasons(), Some(31));
            assert_eq!(refused.exit_code(), 4);
            let text = lines(&terminal, &refused).join("\n");
            let next = terminal.say("next-export-personal", &[]);
            let place = terminal.say("err-ledger-index-provider", &[("index", &31)]);
            for part in ["j-7f3a", "X5", "PIPL 36", next.as_str(), place.as_str()] {
                assert!(text.contains(part), "{part} in {text}");
            }
            let bare = lines(&terminal, &failed(true, Vec::new(), None)).join("\n");
            assert!(bare.contains(&terminal.say("fix-refused", &[])), "{bare}");
        }
    }

    #[test]
    fn a_chinese_refusal_has_no_english_words_of_ours() {
        let terminal = for_tests(Language::Zh, Format::Table);
        let text = lines(&terminal, &refused()).join("\n");
        let ours = text
            .replace("kouanctl", "")
            .replace("REFUSED", "")
            .replace("PIPL", "");
        let ours = ours.replace("t-77", "").replace("X5", "");
        assert!(!ours.bytes().any(|b| b.is_ascii_alphabetic()), "{text}");
    }
}
