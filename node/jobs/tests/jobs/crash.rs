//! A process that is killed while it works on jobs: this test program again, running one of its
//! ignored tests.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use jobs::{ATTEMPTS_MAX, JobState, JobStep, Progress, ProgressUnit, Recovered};

use super::*;

const DIRECTORY: &str = "KOUAN_TEST_JOBS";

#[test]
#[ignore = "runs as the process that is killed"]
fn child_works_until_it_is_killed() {
    let dir = std::env::var_os(DIRECTORY).unwrap();
    let jobs = Jobs::open(dir.as_ref()).unwrap();
    let mut out = std::io::stdout().lock();
    for number in 1.. {
        jobs.create(new(number)).unwrap();
        writeln!(out, "created {number}").unwrap();
        let job = jobs.claim(at(1)).unwrap().unwrap();
        writeln!(out, "claimed {number}").unwrap();
        assert_eq!(job.id, id(number));
        let progress = Progress {
            done: 1,
            total: None,
            unit: ProgressUnit::Rows,
            step: JobStep::Decoding,
        };
        jobs.progress(&id(number), progress).unwrap();
        jobs.succeed(&id(number), outcome(), at(2)).unwrap();
        writeln!(out, "succeeded {number}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn what_was_answered_before_a_kill_is_there_afterwards() {
    for kill_after in [1, 2, 3, 50, 101] {
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--ignored",
                "--exact",
                "crash::child_works_until_it_is_killed",
                "--nocapture",
            ])
            .env(DIRECTORY, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut answered = 0;
        let (mut created, mut succeeded) = (0, 0);
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            // The test harness writes its own line ahead of the first one.
            let mut words = line.split_whitespace().rev();
            let (number, word) = (words.next(), words.next());
            let Some(number) = number.and_then(|number| number.parse::<u64>().ok()) else {
                continue;
            };
            match word {
                Some("created") => created = number,
                Some("succeeded") => succeeded = number,
                Some("claimed") => {}
                _ => continue,
            }
            answered += 1;
            if answered == kill_after {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        assert!(answered >= kill_after);
        let jobs = open(&dir);
        for number in 1..=created {
            let job = jobs.job(&id(number)).unwrap().unwrap();
            assert!(
                number > succeeded || job.state == JobState::Succeeded,
                "{job:?}"
            );
        }
        let recovered = jobs.recover(at(3)).unwrap();
        assert!(
            recovered.requeued <= 1 && recovered.failed == 0,
            "{recovered:?}"
        );
    }
}

#[test]
fn a_job_that_stops_the_node_every_time_fails_in_the_end() {
    let dir = tempfile::tempdir().unwrap();
    open(&dir).create(new(1)).unwrap();
    for attempt in 1..=ATTEMPTS_MAX {
        let jobs = open(&dir);
        let claimed = jobs.claim(at(1)).unwrap().unwrap();
        assert_eq!(claimed.attempt, attempt);
        drop(jobs);
        let recovered = open(&dir).recover(at(2)).unwrap();
        let is_last = u64::from(attempt == ATTEMPTS_MAX);
        let expected = Recovered {
            requeued: 1 - is_last,
            failed: is_last,
            damaged: 0,
        };
        assert_eq!(recovered, expected);
    }
    let job = open(&dir).job(&id(1)).unwrap().unwrap();
    assert_eq!(job.state, JobState::Failed);
    assert!(job.failure.unwrap().detail.contains("3 times"));
}
