//! The program itself, as a person meets it first.
//!
//! It does not speak to a node. That this test exists also makes `cargo test --workspace` build the
//! program, which the conformance tests start.
#![expect(
    clippy::expect_used,
    reason = "a test ends where its program cannot be run"
)]

use std::process::Command;

fn kouanctl(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_kouanctl"))
        .args(arguments)
        .output();
    let output = output.expect("run kouanctl");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code(), text)
}

#[test]
fn help_names_every_noun_and_every_exit_code() {
    let (code, help) = kouanctl(&["--help"]);
    assert_eq!(code, Some(0));
    for noun in ["dataset", "request", "grant", "transfer", "job", "ledger"] {
        assert!(help.contains(noun), "{noun}");
    }
    assert!(help.contains("130 interrupted"), "{help}");
    assert_eq!(kouanctl(&["no-such-noun"]).0, Some(2));
}
