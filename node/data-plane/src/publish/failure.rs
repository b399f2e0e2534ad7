//! Why a publish failed, in words that a steward can act on.
//!
//! It does not hide anything from her, and it tells nothing of this machine.

use enforcement::Refusal;
use jobs::{Finding, JobFailure};
use schemas::code::ErrorCode;
use schemas::quality::{QualityGate, QualityRule, QualityVerdict};

use crate::Error;
use crate::ingest::{RowFault, Staged};

/// A failure of the work itself.
pub(crate) fn failed(error: Error) -> JobFailure {
    let code = error.code();
    // What only an operator understands goes to the log; the steward gets the sentence.
    if matches!(
        code,
        ErrorCode::Internal | ErrorCode::Tampered | ErrorCode::StorageFull
    ) {
        tracing::error!(error = &error as &dyn std::error::Error, "a job failed");
    }
    let finding = match &error {
        Error::WrongByte { row, .. } => Some((Some(*row), "encoding")),
        Error::RecordTooLong { row, .. } => Some((Some(*row), "length")),
        Error::Header { .. } => Some((None, "header")),
        Error::Mapping { .. } => Some((None, "mapping")),
        _ => None,
    };
    let findings = finding.map(|(row, rule)| Finding {
        row,
        field: None,
        rule: rule.to_owned(),
        value: None,
        why: error.to_string(),
    });
    let detail = match code {
        ErrorCode::StorageFull => {
            "the disk of the node is full; free space or extend it, then publish again".to_owned()
        }
        ErrorCode::Internal => {
            format!("{error} did not work; the node's log says why, publish again")
        }
        _ => error.to_string(),
    };
    JobFailure {
        findings: findings.into_iter().collect(),
        ..JobFailure::new(code, detail)
    }
}

pub(super) fn invalid(why: &str) -> JobFailure {
    JobFailure::new(ErrorCode::Invalid, why)
}

/// The catalog could not be asked.
pub(super) fn unavailable(why: String) -> JobFailure {
    JobFailure::new(ErrorCode::Unavailable, why)
}

pub(super) fn refused(refusal: &Refusal) -> JobFailure {
    JobFailure::new(ErrorCode::Refused, refusal.to_string())
        .because(refusal.reasons.clone(), refusal.recorded_at)
}

pub(super) fn gate(
    verdict: &QualityVerdict,
    rules: &[QualityRule],
    gate: &QualityGate,
    staged: &Staged,
) -> JobFailure {
    let mut findings = Vec::new();
    for (rule, said) in rules
        .iter()
        .zip(&verdict.rules)
        .filter(|(_, said)| !said.passed)
    {
        findings.push(Finding {
            row: None,
            field: None,
            rule: rule.id.to_string(),
            value: Some(format!("{} of {} failed", said.failed, said.evaluated)),
            why: format!(
                "{}; {} passed, the line is {}",
                rule.title.en, said.score, rule.pass_line
            ),
        });
    }
    findings.extend(staged.faults.iter().map(finding));
    let rows = staged.rows + staged.quarantined_rows;
    let detail = format!(
        "the quality gate did not pass: {} of {rows} rows were kept out (at most {} may be), \
         score {} (at least {}), {} rules missed their line; the last good version keeps serving",
        staged.quarantined_rows,
        gate.quarantined_max,
        verdict
            .score
            .map_or_else(|| "none".to_owned(), |score| score.to_string()),
        gate.score_min,
        verdict.rules.iter().filter(|said| !said.passed).count(),
    );
    JobFailure {
        findings,
        ..JobFailure::new(ErrorCode::QualityGateFailed, detail)
    }
}

fn finding(found: &RowFault) -> Finding {
    Finding {
        row: Some(found.row),
        field: found.fault.field.clone(),
        rule: found.fault.rule.clone(),
        value: found.fault.value.clone(),
        why: found.fault.why.clone(),
    }
}
