//! The page that an operator follows, `deploy/README.md`, "In ten minutes": every command of it, in
//! its order, with the real programs on a directory and ports of the test.
//!
//! It does not repeat the page: it reads it. Address, ports and directory are put in for those of
//! the page, and nothing else.
#![expect(
    clippy::expect_used,
    reason = "a promise that is not kept ends the test"
)]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use conformance::eventually;
use conformance::process::program;
use conformance::terminal::{Said, said};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The shell blocks of the section, in order.
fn blocks() -> Vec<String> {
    let path = repository().join("deploy/README.md");
    let page = std::fs::read_to_string(path).expect("read deploy/README.md");
    let section = page
        .split("\n## ")
        .find(|it| it.starts_with("In ten minutes"))
        .expect("the section");
    section
        .split("```sh\n")
        .skip(1)
        .map(|it| it.split("```").next().unwrap_or_default().to_owned())
        .collect()
}

/// A port whose next three are free too.
fn four_ports() -> u16 {
    eventually("four free ports in a row", || {
        let first = TcpListener::bind(("127.0.0.1", 0)).ok()?;
        let port = first.local_addr().ok()?.port();
        let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        (port < u16::MAX - 3 && (1..=3).all(|it| free(port + it))).then_some(port)
    })
}

/// The page's machine, as a directory of the test.
struct Machine {
    scratch: tempfile::TempDir,
    port: u16,
}

impl Machine {
    fn new() -> Self {
        let scratch = tempfile::tempdir().expect("a directory");
        let deploy = repository().join("deploy").canonicalize().expect("deploy");
        std::os::unix::fs::symlink(deploy, scratch.path().join("deploy")).expect("a link");
        Self {
            scratch,
            port: four_ports(),
        }
    }

    fn node(&self) -> PathBuf {
        self.scratch.path().join("kouan")
    }

    /// A shell that runs `script` as the page has it.
    fn shell(&self, script: &str) -> Command {
        let mut script = script.replace("/var/lib/kouan", &self.node().display().to_string());
        script = script.replace("10.1.2.3", "127.0.0.1");
        for offset in 0..4 {
            let ours = (self.port + offset).to_string();
            script = script.replace(&format!("740{}", 1 + offset), &ours);
        }
        let programs = program("kouan");
        let programs = programs.parent().expect("a folder of programs").display();
        let mut command = Command::new("sh");
        command
            .args(["-eu", "-c", &script])
            .current_dir(self.scratch.path())
            .env_clear()
            .env("PATH", format!("{programs}:/usr/bin:/bin"))
            .env("HOME", self.scratch.path())
            .env("KOUAN_LANG", "en")
            .stdin(Stdio::null());
        command
    }

    fn run(&self, script: &str) -> Said {
        let said = said(self.shell(script));
        assert_eq!(said.code, Some(0), "{script}\n{said:?}");
        said
    }
}

/// A node that goes on until the test ends.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _killed = self.0.kill();
        let _waited = self.0.wait();
    }
}

#[test]
fn the_page_of_ten_minutes_is_true_to_its_last_command() {
    let _ = (program("kouan"), program("kouanctl"));
    let machine = Machine::new();
    let mut blocks = blocks().into_iter();
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
    let mut serve = machine.shell(&format!("{variables}exec {serve}"));
    let log = machine.scratch.path().join("serve.log");
    serve.stderr(std::fs::File::create(&log).expect("a log"));
    let mut serving = Serving(serve.spawn().expect("serve"));
    // It says so once the federation is founded; before that nobody is let in.
    eventually("the node to say that it serves", || {
        let told = std::fs::read_to_string(&log).unwrap_or_default();
        if let Some(status) = serving.0.try_wait().expect("ask for a process") {
            panic!("the node ended: {status}\n{told}");
        }
        told.contains("node gd-1 serves").then_some(())
    });

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
    let mut telling = Serving(command.spawn().expect("run kouan"));
    let told = || std::fs::read_to_string(&out).unwrap_or_default();
    // The story is longer than one wait on a loaded machine.
    for step in [" 3  ", " 6  ", "go on running"] {
        eventually(&format!("the story to come to {step:?}"), || {
            let ended = telling.0.try_wait().expect("ask for a process");
            assert!(ended.is_none(), "{ended:?}\n{}", told());
            told().contains(step).then_some(())
        });
    }
    let id = telling.0.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &id]).status();
    assert!(sent.expect("send a signal").success());
    let status = eventually("the demonstration to end", || {
        telling.0.try_wait().expect("ask for a process")
    });
    assert_eq!(status.code(), Some(0), "{}", told());
}
