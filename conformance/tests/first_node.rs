//! The page that an operator follows, `deploy/README.md`, "In ten minutes": every command of it, in
//! its order, with the real programs on a directory and ports of the test.
//!
//! It does not repeat the page: it reads it. Address, ports and directory are put in for those of
//! the page, and nothing else.
use std::process::{Command, Stdio};

use conformance::eventually;
use conformance::page::{Machine, Serving, blocks};
use conformance::process::program;
use conformance::terminal::said;

#[test]
fn the_page_of_ten_minutes_is_true_to_its_last_command() {
    let _ = (program("kouan"), program("kouanctl"));
    let scratch = tempfile::tempdir().expect("a directory");
    let machine = Machine::new(scratch.path(), "kouan");
    let mut blocks = blocks("README.md", "In ten minutes").into_iter();
    let first = blocks.next().expect("a first block");
    let (before, serve) = first
        .trim_end()
        .rsplit_once('\n')
        .expect("the first block ends with one command");
    assert!(serve.starts_with("kouan serve "), "{serve}");
    let variables: String = before
        .lines()
        .filter(|it| it.starts_with("D="))
        .map(|it| format!("{it}\n"))
        .collect();
    let made = machine.run(before);
    assert!(made.out.contains("gd.province.data-steward-2"), "{made:?}");
    let _serving = machine.serve(&format!("{variables}exec {serve}"), "gd-1");

    let rest: Vec<String> = blocks.collect();
    assert!(rest.len() >= 4, "{} blocks", rest.len());
    let said = machine.run(&format!("{variables}{}", rest.join("\n")));
    for expected in ["\"rows\":6", "VERIFIED", "gd.province.steward-3"] {
        assert!(said.out.contains(expected), "{expected} in {said:?}");
    }
}

#[test]
fn a_directory_is_made_whole_or_not_at_all_and_a_wildcard_needs_a_name() {
    let scratch = tempfile::tempdir().expect("a directory");
    let init = |dir: &str, more: &[&str]| {
        let mut command = Command::new(program("kouan"));
        command
            .current_dir(scratch.path())
            .args(["init", "--lang", "en", "--dir", dir])
            .args(["--name-zh", "广东省", "--name-en", "Guangdong"])
            .args(more);
        said(command)
    };
    let names = ["--node", "gd-1", "--participant", "gd.province"];
    let cases: [(&[&str], &str); 4] = [
        (
            &["--node", "GD 1", "--participant", "gd.province"],
            "--node",
        ),
        (&["--node", "gd-1", "--participant", "x y"], "--participant"),
        (
            &[&names[..], &["--listen", "0.0.0.0:7401"]].concat(),
            "--host",
        ),
        (
            &[&names[..], &["--listen", "127.0.0.1:65534"]].concat(),
            "--listen",
        ),
    ];
    for (arguments, named) in cases {
        let refused = init("new/node", arguments);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        assert!(refused.err.contains(named), "{refused:?}");
        assert!(!scratch.path().join("new").exists(), "{named}");
    }

    // What is made stands for the address it listens on.
    let listen = ["--listen", "127.0.0.2:7401"];
    let made = init("new/node", &[&names[..], &listen].concat());
    assert_eq!(made.code, Some(0), "{made:?}");
    let node = scratch.path().join("new/node");
    let record = std::fs::read_to_string(node.join("records/node.json")).expect("a record");
    assert!(record.contains("127.0.0.2:7403"), "{record}");
    let again = init("new/node", &[&names[..], &listen].concat());
    assert_eq!(again.code, Some(1));
    assert!(again.err.contains("kouan serve --config"), "{again:?}");
}

#[test]
fn a_demonstration_that_goes_on_ends_in_order_on_sigterm() {
    let scratch = tempfile::tempdir().expect("a directory");
    let out = scratch.path().join("out.log");
    let mut command = Command::new(program("kouan"));
    command
        .args(["demo", "--keep", "--lang", "en", "--dir"])
        .arg(scratch.path().join("demo"))
        .stdin(Stdio::null())
        .stdout(std::fs::File::create(&out).expect("a log"))
        .stderr(Stdio::null());
    let mut telling = Serving::of(command.spawn().expect("run kouan"));
    let told = || std::fs::read_to_string(&out).unwrap_or_default();
    // The story is longer than one wait on a loaded machine.
    for step in [" 3  ", " 6  ", "go on running"] {
        eventually(&format!("the story to come to {step:?}"), || {
            let ended = telling.ended();
            assert!(ended.is_none(), "{ended:?}\n{}", told());
            told().contains(step).then_some(())
        });
    }
    let id = telling.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &id]).status();
    assert!(sent.expect("send a signal").success());
    let status = eventually("the demonstration to end", || telling.ended());
    assert_eq!(status.code(), Some(0), "{}", told());
}
