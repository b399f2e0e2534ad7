//! People at a terminal: the real `kouanctl` as a child process, with a folder of settings each.
//!
//! It does not read what is typed: every answer is a flag or a file.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use schemas::participant::Role;
use serde_json::Value;

use crate::Cluster;
use crate::process::program;

/// A person at a terminal.
pub struct Terminal {
    /// Flags before each command.
    pub arguments: Vec<String>,
    /// Her folder of settings.
    pub config: PathBuf,
}

/// What a command answered.
#[derive(Debug)]
pub struct Said {
    /// The exit code.
    pub code: Option<i32>,
    /// Data.
    pub out: String,
    /// Words.
    pub err: String,
}

impl Said {
    /// The record that was printed.
    ///
    /// # Panics
    /// When the command failed or printed something else.
    #[must_use]
    pub fn json(&self) -> Value {
        assert_eq!(self.code, Some(0), "{self:?}");
        serde_json::from_str(&self.out).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// Runs `kouanctl` with a folder of settings.
///
/// # Panics
/// When the program is not there.
#[must_use]
pub fn run(config: &Path, arguments: &[&str]) -> Said {
    said(kouanctl(config, arguments))
}

fn kouanctl(config: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program("kouanctl"));
    command
        .args(arguments)
        .env_clear()
        .env("HOME", config)
        .env("KOUAN_CONFIG_DIR", config)
        .env("KOUAN_LANG", "en");
    command
}

/// Runs a program to its end.
///
/// # Panics
/// When it cannot be run.
#[must_use]
pub fn said(mut command: Command) -> Said {
    let output = command.output().expect("run a program");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said {
        code: output.status.code(),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

impl Terminal {
    /// The person with a role of the member at `at`, with her key file.
    ///
    /// # Panics
    /// When nobody has the role.
    #[must_use]
    pub fn of(cluster: &Cluster, at: usize, role: Role) -> Self {
        let prepared = &cluster.member(at).prepared;
        let person = prepared.person(role).expect("a person");
        let passphrase = prepared.dir.join("persons/passphrase");
        let mut terminal = Self::at(cluster, at, person.record.id.as_str());
        terminal.arguments.extend([
            "--key-file".to_owned(),
            person.key_file.display().to_string(),
            "--passphrase-file".to_owned(),
            passphrase.display().to_string(),
        ]);
        terminal
    }

    /// Somebody at the node of the member at `at`, without a key.
    ///
    /// # Panics
    /// When her folder cannot be made.
    #[must_use]
    pub fn at(cluster: &Cluster, at: usize, person: &str) -> Self {
        let site = cluster.site(at);
        let config = cluster.scratch().join(person);
        std::fs::create_dir_all(&config).expect("a folder of settings");
        let arguments = [
            ("--server", site.api.to_string()),
            ("--data-server", site.data.to_string()),
            ("--roots", site.roots.display().to_string()),
            ("--person", person.to_owned()),
            ("--output", "json".to_owned()),
        ];
        let arguments = arguments
            .into_iter()
            .flat_map(|(flag, value)| [flag.to_owned(), value])
            .collect();
        Self { arguments, config }
    }

    /// Types a command.
    ///
    /// # Panics
    /// When the program is not there.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Said {
        run(&self.config, &self.typed(arguments))
    }

    /// Types a command and does not wait for its end.
    ///
    /// # Panics
    /// When the program cannot be run.
    #[must_use]
    pub fn start(&self, arguments: &[&str]) -> Child {
        kouanctl(&self.config, &self.typed(arguments))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("run kouanctl")
    }

    fn typed<'a>(&'a self, arguments: &[&'a str]) -> Vec<&'a str> {
        let own = self.arguments.iter().map(String::as_str);
        own.chain(["--no-input", "--yes"])
            .chain(arguments.iter().copied())
            .collect()
    }

    /// The same person with tables instead of JSON.
    #[must_use]
    pub fn with_tables(mut self) -> Self {
        for argument in &mut self.arguments {
            if argument == "json" {
                "table".clone_into(argument);
            }
        }
        self
    }
}
