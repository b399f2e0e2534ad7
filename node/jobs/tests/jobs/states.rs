//! What may follow what.

use jobs::{
    DETAIL_CHARS_MAX, Error, FINDING_CHARS_MAX, FINDINGS_MAX, Finding, Job, JobState, JobStep,
    Progress, ProgressUnit,
};

use super::*;

/// Applies words to a fresh job and says in which state it ends, or which word was refused.
fn check(words: &str, expected: &str) {
    let dir = tempfile::tempdir().unwrap();
    let jobs = open(&dir);
    jobs.create(new(1)).unwrap();
    let progress = || Progress {
        done: 1,
        total: None,
        unit: ProgressUnit::Rows,
        step: JobStep::Checking,
    };
    for word in words.split_whitespace() {
        let done = match word {
            "claim" => jobs.claim(at(1)).map(|_| ()),
            "progress" => jobs.progress(&id(1), progress()),
            "succeed" => jobs.succeed(&id(1), outcome(), at(2)).map(|_| ()),
            "fail" => jobs.fail(&id(1), failure("no"), at(2)).map(|_| ()),
            "cancel" => jobs.cancel(&id(1), at(2)).map(|_| ()),
            "recover" => jobs.recover(at(3)).map(|_| ()),
            other => panic!("{other}"),
        };
        match done {
            Ok(()) => {}
            Err(Error::WrongState { state, .. }) => {
                assert_eq!(format!("{word} refused in {state}"), expected, "{words}");
                return;
            }
            Err(other) => panic!("{other}"),
        }
    }
    let job = jobs.job(&id(1)).unwrap().unwrap();
    assert_eq!(
        format!("{} attempt {}", job.state, job.attempt),
        expected,
        "{words}"
    );
    assert_eq!(job.ended_at.is_some(), job.state.is_ended(), "{words}");
    assert_eq!(
        jobs.is_cancelled(&id(1)),
        job.state == JobState::Cancelled,
        "{words}"
    );
}

#[test]
fn a_job_moves_as_its_picture_says() {
    check("", "QUEUED attempt 1");
    check("claim", "RUNNING attempt 1");
    check("claim progress succeed", "SUCCEEDED attempt 1");
    check("claim fail", "FAILED attempt 1");
    check("cancel", "CANCELLED attempt 1");
    check("cancel cancel claim", "CANCELLED attempt 1");
    check("claim cancel", "CANCELLED attempt 1");
    check("claim cancel fail", "CANCELLED attempt 1");
    check("claim cancel succeed", "SUCCEEDED attempt 1");
    check("claim recover", "QUEUED attempt 2");
    check("claim cancel recover", "CANCELLED attempt 1");
    check("claim recover claim recover claim", "RUNNING attempt 3");
    check(
        "claim recover claim recover claim recover",
        "FAILED attempt 3",
    );
    check("progress", "progress refused in QUEUED");
    check("succeed", "succeed refused in QUEUED");
    check("fail", "fail refused in QUEUED");
    check("claim fail succeed", "succeed refused in FAILED");
    check("claim succeed cancel", "cancel refused in SUCCEEDED");
    check("claim succeed fail", "fail refused in SUCCEEDED");
    check("claim cancel progress", "progress refused in CANCELLED");
}

#[test]
fn a_finished_job_keeps_everything_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = open(&dir);
    let created = jobs.create(new(1)).unwrap();
    let claimed = jobs.claim(at(5)).unwrap().unwrap();
    let running = Job {
        state: JobState::Running,
        started_at: Some(at(5)),
        ..created
    };
    assert_eq!(claimed, running);
    let progress = Progress {
        done: 7,
        total: Some(9),
        unit: ProgressUnit::Bytes,
        step: JobStep::Done,
    };
    jobs.progress(&id(1), progress.clone()).unwrap();
    let ended = jobs.succeed(&id(1), outcome(), at(6)).unwrap();
    let expected = Job {
        state: JobState::Succeeded,
        ended_at: Some(at(6)),
        progress: Some(progress),
        outcome: Some(outcome()),
        ..running
    };
    assert_eq!(ended, expected);
    drop(jobs);
    assert_eq!(open(&dir).job(&id(1)).unwrap(), Some(expected));
}

#[test]
fn what_a_failure_says_is_cut_to_its_limits() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = open(&dir);
    jobs.create(new(1)).unwrap();
    jobs.claim(at(1)).unwrap();
    let long = "港".repeat(5_000);
    let finding = Finding {
        row: Some(1),
        field: Some(long.clone()),
        rule: long.clone(),
        value: Some(long.clone()),
        why: long.clone(),
    };
    let mut said = failure(&long);
    said.findings = vec![finding; FINDINGS_MAX + 1];
    jobs.fail(&id(1), said, at(2)).unwrap();
    let kept = jobs.job(&id(1)).unwrap().unwrap().failure.unwrap();
    let short = "港".repeat(FINDING_CHARS_MAX);
    let finding = Finding {
        row: Some(1),
        field: Some(short.clone()),
        rule: short.clone(),
        value: Some(short.clone()),
        why: short,
    };
    assert_eq!(kept.detail, "港".repeat(DETAIL_CHARS_MAX));
    assert_eq!(kept.findings, vec![finding; FINDINGS_MAX]);
}

#[test]
fn a_job_that_is_not_there_is_not_found() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = open(&dir);
    assert_eq!(jobs.job(&id(1)).unwrap(), None);
    assert!(!jobs.is_cancelled(&id(1)));
    assert!(matches!(
        jobs.cancel(&id(1), at(1)),
        Err(Error::NotFound { .. })
    ));
}
