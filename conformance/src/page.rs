//! Machines of a page for operators: its commands, run as they stand there with the real programs,
//! in a directory and on ports of the test.
//!
//! It does not repeat a page: it reads it. Addresses, ports and directories are put in for those
//! of the page, and nothing else.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::eventually;
use crate::process::program;
use crate::terminal::{Said, said};

/// The shell blocks of a section of a page below `deploy`, in order.
///
/// # Panics
/// When there is no such page or section.
#[must_use]
pub fn blocks(page: &str, section: &str) -> Vec<String> {
    let path = repository().join("deploy").join(page);
    let page = std::fs::read_to_string(path).expect("read a page of deploy");
    let section = page
        .split("\n## ")
        .find(|it| it.starts_with(section))
        .expect("the section");
    section
        .split("```sh\n")
        .skip(1)
        .map(|it| it.split("```").next().unwrap_or_default().to_owned())
        .collect()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
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

/// A machine of a page, as a directory of the test.
pub struct Machine {
    scratch: PathBuf,
    name: &'static str,
    port: u16,
}

impl Machine {
    /// A machine whose node's directory is `name` below `scratch`.
    ///
    /// # Panics
    /// When the directory cannot be used.
    #[must_use]
    pub fn new(scratch: &Path, name: &'static str) -> Self {
        let deploy = repository().join("deploy").canonicalize().expect("deploy");
        let link = scratch.join("deploy");
        if !link.exists() {
            std::os::unix::fs::symlink(deploy, link).expect("a link");
        }
        Self {
            scratch: scratch.to_owned(),
            name,
            port: four_ports(),
        }
    }

    /// Directory of its node.
    #[must_use]
    pub fn node(&self) -> PathBuf {
        self.scratch.join(self.name)
    }

    /// A shell that runs `script` as the page has it.
    ///
    /// # Panics
    /// When the programs are not there.
    #[must_use]
    pub fn shell(&self, script: &str) -> Command {
        let mut script = script.replace("/var/lib/kouan", &self.node().display().to_string());
        for address in ["10.1.2.3", "10.1.3.2"] {
            script = script.replace(address, "127.0.0.1");
        }
        for offset in 0..4 {
            let ours = (self.port + offset).to_string();
            script = script.replace(&format!("740{}", 1 + offset), &ours);
        }
        let programs = program("kouan");
        let programs = programs.parent().expect("a folder of programs").display();
        let mut command = Command::new("sh");
        command
            .args(["-eu", "-c", &script])
            .current_dir(&self.scratch)
            .env_clear()
            .env("PATH", format!("{programs}:/usr/bin:/bin"))
            .env("HOME", &self.scratch)
            .env("KOUAN_LANG", "en")
            .stdin(Stdio::null());
        command
    }

    /// Runs `script` to its end, which must be a good one.
    ///
    /// # Panics
    /// When a command of it fails.
    pub fn run(&self, script: &str) -> Said {
        let said = said(self.shell(script));
        assert_eq!(said.code, Some(0), "{script}\n{said:?}");
        said
    }

    /// Runs `script`, which serves node `id`, until the test ends; returns when it serves.
    ///
    /// # Panics
    /// When it ends before.
    #[must_use]
    pub fn serve(&self, script: &str, id: &str) -> Serving {
        let mut serve = self.shell(script);
        let log = self.scratch.join(format!("{}.log", self.name));
        serve.stderr(std::fs::File::create(&log).expect("a log"));
        let mut serving = Serving(serve.spawn().expect("serve"));
        eventually("the node to say that it serves", || {
            let told = std::fs::read_to_string(&log).unwrap_or_default();
            let ended = serving.ended();
            assert!(ended.is_none(), "the node ended: {ended:?}\n{told}");
            told.contains(&format!("node {id} serves")).then_some(())
        });
        serving
    }
}

/// A process that goes on until the test ends.
pub struct Serving(Child);

impl Serving {
    /// Ends this process with the test.
    #[must_use]
    pub const fn of(child: Child) -> Self {
        Self(child)
    }

    /// Its status, once it has ended.
    ///
    /// # Panics
    /// When the system does not say.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().expect("ask for a process")
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _killed = self.0.kill();
        let _waited = self.0.wait();
    }
}
