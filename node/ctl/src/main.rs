//! `kouanctl`: what stewards, consumers and auditors type.
//!
//! It does not hold logic; the library does.

use std::process::ExitCode;

fn main() -> ExitCode {
    ctl::run(std::env::args_os())
}
