//! Processes that are killed, and a disk that is full. The processes are this test program again,
//! running one of its ignored tests.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use ledger::{Error, fsck};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;

const DIRECTORY: &str = "KOUAN_TEST_LEDGER";

/// Starts the ignored test `name` in a process of its own. The shell is there for one thing: a
/// file that grows beyond its limit must be an error, not a signal.
fn start(name: &str, dir: &Path) -> Child {
    Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", name, "--nocapture"])
        .env(DIRECTORY, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// What a child acknowledged: the lines `acknowledged INDEX`, the last one only if it is whole.
fn acknowledged(line: &str) -> Option<u64> {
    line.trim_end().strip_prefix("acknowledged ")?.parse().ok()
}

fn directory() -> std::path::PathBuf {
    std::env::var_os(DIRECTORY).unwrap().into()
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").unwrap();
    out.flush().unwrap();
}

#[test]
#[ignore = "runs as the process that is killed"]
fn child_appends_until_it_is_killed() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let ledger = open(&directory(), small());
    runtime.block_on(async {
        let writers = (0..8).map(|_| {
            let ledger = ledger.clone();
            tokio::spawn(async move {
                loop {
                    let index = ledger.append(entry(7)).await.unwrap();
                    say(&format!("acknowledged {index}"));
                }
            })
        });
        futures::future::join_all(writers).await;
    });
}

#[test]
fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut before = 0;
    for round in 0..6_usize {
        let mut child = start("crash::child_appends_until_it_is_killed", dir.path());
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut last = None;
        let mut count = 0;
        // Killed after another number of answers each time; what is in the pipe counts too.
        for line in lines {
            let index = acknowledged(&line.unwrap());
            count += usize::from(index.is_some());
            last = last.max(index);
            if count == 40 + round * 170 {
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
        let last = last.unwrap();
        assert!(last >= before, "round {round}: the child began anew");
        let report = fsck::check(dir.path(), None).unwrap();
        assert!(
            report.entries > last,
            "round {round}: {} of {last}",
            report.entries
        );
        let ledger = open(dir.path(), small());
        assert!(
            ledger.size() > last,
            "round {round}: {} of {last}",
            ledger.size()
        );
        assert!(all(&ledger).iter().all(|(_, found)| *found == entry(7)));
        before = ledger.size();
    }
}

#[test]
#[ignore = "runs as the process whose files may not grow"]
fn child_fills_its_disk() {
    let ledger = open(
        &directory(),
        Options {
            segment_bytes: 1 << 30,
            ..small()
        },
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let maximum = getrlimit(Resource::Fsize).maximum;
    setrlimit(
        Resource::Fsize,
        Rlimit {
            current: Some(50_000),
            maximum,
        },
    )
    .unwrap();
    let mut number = 0;
    let fill = |mut number: u64| {
        let refused = loop {
            match runtime.block_on(ledger.append(entry(number))) {
                Ok(index) => {
                    assert_eq!(index, LedgerIndex(number));
                    say(&format!("acknowledged {index}"));
                    number += 1;
                }
                Err(refused) => break refused,
            }
        };
        assert!(matches!(refused, Error::StorageFull { .. }), "{refused:?}");
        assert_eq!(ledger.size(), number);
        number
    };
    number = fill(number);
    // A full disk stays full, and reading goes on.
    assert_eq!(fill(number), number);
    assert_eq!(all(&ledger).len(), usize::try_from(number).unwrap());
    setrlimit(
        Resource::Fsize,
        Rlimit {
            current: Some(90_000),
            maximum,
        },
    )
    .unwrap();
    let more = fill(number);
    assert!(
        more > number,
        "space returned, and nothing could be appended"
    );
    say("done");
}

#[test]
fn a_full_disk_refuses_whole_entries_and_works_again_when_there_is_space() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = start("crash::child_fills_its_disk", dir.path());
    let lines: Vec<_> = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(|line| line.unwrap())
        .collect();
    let status = child.wait().unwrap();
    assert!(
        status.success() && lines.iter().any(|line| line == "done"),
        "{status} {lines:?}"
    );
    let last = lines
        .iter()
        .filter_map(|line| acknowledged(line))
        .max()
        .unwrap();
    let report = fsck::check(dir.path(), None).unwrap();
    assert_eq!((report.entries, report.damage), (last + 1, None));
    let ledger = open(dir.path(), small());
    assert!((0..=last).all(|n| ledger.read(LedgerIndex(n)).unwrap() == entry(n)));
}
