//! What clients saw of each register can have happened one after the other.
//!
//! Source: Herlihy and Wing, "Linearizability" (1990); etcd's and Jepsen's tests hold the same. It
//! catches stale reads, lost writes and writes that were refused and yet done, wherever they come
//! from. It looks at what clients saw and not at members, and only at the end.

use std::collections::BTreeMap;

use super::super::linear::{Operation, Register, Verdict, judge};

/// Judges the history of each register.
pub(in super::super) fn check(histories: &BTreeMap<u64, Vec<Operation>>) -> Result<(), String> {
    for (key, history) in histories {
        match judge(Register::default(), history) {
            Verdict::Linearizable => {}
            Verdict::TooHard => {
                return Err(format!("register {key}: the history could not be judged"));
            }
            Verdict::Violation { longest } => {
                let unexplained: Vec<_> = history
                    .iter()
                    .enumerate()
                    .filter(|(at, it)| !longest.contains(at) && it.answered.is_some())
                    .take(8)
                    .map(|(_, it)| it)
                    .collect();
                return Err(format!(
                    "register {key}: {} of {} operations can be explained; not: {unexplained:?}",
                    longest.len(),
                    history.len()
                ));
            }
        }
    }
    Ok(())
}
