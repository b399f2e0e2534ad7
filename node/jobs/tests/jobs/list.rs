//! Keys, limits, pages, order and damage.

use fjall::{Database, KeyspaceCreateOptions, PersistMode};
use jobs::{Error, JOBS_QUEUED_MAX, JobState, KEY_BYTES_MAX, PAGE_JOBS_MAX};

use super::*;

#[test]
fn the_same_key_gives_the_same_job_and_another_request_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = open(&dir);
    jobs.create(new(1)).unwrap();
    jobs.claim(at(9)).unwrap();
    let again = NewJob {
        id: id(2),
        at: at(10),
        ..new(1)
    };
    let running = jobs.create(again).unwrap();
    assert_eq!((running.id, running.state), (id(1), JobState::Running));
    let other = NewJob {
        key: "key-1".to_owned(),
        ..new(3)
    };
    assert!(matches!(jobs.create(other), Err(Error::KeyReused { job }) if job == id(1)));
    let taken = NewJob {
        id: id(1),
        ..new(4)
    };
    assert!(matches!(jobs.create(taken), Err(Error::IdReused { job }) if job == id(1)));
    // The key belongs to its participant.
    let elsewhere = NewJob {
        id: id(5),
        participant: participant("hk.port"),
        ..new(1)
    };
    assert_eq!(jobs.create(elsewhere).unwrap().id, id(5));
    drop(jobs);
    assert_eq!(
        open(&dir)
            .create(NewJob {
                id: id(6),
                ..new(1)
            })
            .unwrap()
            .id,
        id(1)
    );
}

#[test]
fn fields_have_lengths() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = open(&dir);
    for (length, fits) in [
        (0, false),
        (1, true),
        (KEY_BYTES_MAX, true),
        (KEY_BYTES_MAX + 1, false),
    ] {
        let number = u64::try_from(length).unwrap();
        let made = jobs.create(NewJob {
            key: "k".repeat(length),
            ..new(number)
        });
        assert_eq!(made.is_ok(), fits, "{length}");
    }
}

#[test]
fn a_participant_may_queue_so_many_jobs_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = open(&dir);
    for number in 0..JOBS_QUEUED_MAX {
        jobs.create(new(number)).unwrap();
    }
    let next = || new(JOBS_QUEUED_MAX);
    let full = |jobs: &Jobs| {
        matches!(
            jobs.create(next()),
            Err(Error::TooManyQueued {
                queued: JOBS_QUEUED_MAX,
                ..
            })
        )
    };
    assert!(full(&jobs));
    // Another participant is not held up, and a repeated request is not a new one.
    let elsewhere = NewJob {
        participant: participant("hk.port"),
        id: id(5_000),
        ..new(1)
    };
    jobs.create(elsewhere).unwrap();
    assert_eq!(jobs.create(new(7)).unwrap().id, id(7));
    drop(jobs);
    let jobs = open(&dir);
    assert!(full(&jobs));
    jobs.cancel(&id(3), at(1)).unwrap();
    jobs.create(next()).unwrap();
}

#[test]
fn jobs_are_claimed_oldest_first_and_listed_newest_first_by_page() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = open(&dir);
    let mut changed = jobs.changed();
    for number in [3, 1, 5, 2, 4] {
        jobs.create(new(number)).unwrap();
    }
    assert!(changed.has_changed().unwrap());
    changed.mark_unchanged();
    jobs.create(NewJob {
        participant: participant("gd.gz.port-2"),
        ..new(9)
    })
    .unwrap();
    let ours = participant("gd.gz.port");
    let mut pages = Vec::new();
    let mut after = None;
    loop {
        let page = jobs.list(&ours, after.as_ref(), 2).unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id.clone());
        pages.push(page.into_iter().map(|job| job.id).collect::<Vec<_>>());
    }
    assert_eq!(pages, [vec![id(5), id(4)], vec![id(3), id(2)], vec![id(1)]]);
    assert_eq!(
        jobs.list(&ours, None, usize::MAX).unwrap().len(),
        5.min(PAGE_JOBS_MAX)
    );
    // A job of somebody else is no place in this list.
    assert!(matches!(
        jobs.list(&ours, Some(&id(9)), 2),
        Err(Error::NotFound { .. })
    ));
    for number in [1, 2, 3, 4, 5, 9] {
        assert_eq!(jobs.claim(at(10)).unwrap().unwrap().id, id(number));
    }
    assert_eq!(jobs.claim(at(10)).unwrap(), None);
    assert!(changed.has_changed().unwrap());
}

#[test]
fn a_damaged_record_is_named_and_holds_up_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let jobs = open(&dir);
    for number in [1, 2] {
        jobs.create(new(number)).unwrap();
    }
    drop(jobs);
    {
        let database = Database::builder(dir.path()).open().unwrap();
        let keyspace = database
            .keyspace("jobs", KeyspaceCreateOptions::default)
            .unwrap();
        keyspace.insert("jjob-1", "{\"id\":\"job-1\"").unwrap();
        database.persist(PersistMode::SyncAll).unwrap();
    }
    let jobs = open(&dir);
    let is_named =
        |error: Option<Error>| matches!(error, Some(Error::Damaged { job, .. }) if job == id(1));
    assert!(is_named(jobs.job(&id(1)).err()));
    assert!(is_named(jobs.create(new(1)).err()));
    assert!(is_named(jobs.claim(at(1)).err()));
    assert_eq!(jobs.claim(at(1)).unwrap().unwrap().id, id(2));
    assert_eq!(jobs.claim(at(1)).unwrap(), None);
    assert!(is_named(
        jobs.list(&participant("gd.gz.port"), None, 10).err()
    ));
}
