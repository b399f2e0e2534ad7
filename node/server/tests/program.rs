//! The program itself, as an operator meets it first.
//!
//! It does not start a node. That this test exists also makes `cargo test --workspace` build the
//! program, which the conformance tests start as child processes.
#![expect(
    clippy::expect_used,
    reason = "a test ends where its program cannot be run"
)]

use std::process::Command;

fn kouan(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_kouan"))
        .args(arguments)
        .output();
    let output = output.expect("run kouan");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code(),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn help_names_every_command_with_an_example() {
    let (code, help, _) = kouan(&["--help"]);
    assert_eq!(code, Some(0));
    for command in ["init", "serve", "check", "demo"] {
        assert!(help.contains(command), "{command}");
        let (code, help, _) = kouan(&[command, "--help"]);
        assert_eq!(code, Some(0));
        assert!(help.contains("Example: kouan"), "{command} has no example");
    }
}

#[test]
fn a_configuration_that_is_not_there_is_named() {
    let (code, _, errors) = kouan(&["serve", "--config", "no-such-file.toml"]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("no-such-file.toml"), "{errors}");
}

#[test]
fn a_directory_is_made_once_and_never_overwritten() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("node");
    let path = path.to_str().expect("a path in UTF-8");
    let arguments = [
        "init",
        "--dir",
        path,
        "--node",
        "gd-1",
        "--participant",
        "gd.province",
        "--name-zh",
        "广东省",
        "--name-en",
        "Guangdong",
    ];
    let (code, _, errors) = kouan(&arguments);
    assert_eq!(code, Some(0), "{errors}");
    let config = format!("{path}/kouan.toml");
    let (code, settings, errors) = kouan(&["check", "--config", &config]);
    assert_eq!(code, Some(0), "{errors}");
    assert!(settings.contains("all keys open"), "{settings}");
    let before = std::fs::read(&config).expect("the configuration");
    let (code, _, errors) = kouan(&arguments);
    assert_eq!(code, Some(1));
    assert!(errors.contains("exist"), "{errors}");
    assert_eq!(std::fs::read(&config).expect("the configuration"), before);
}
