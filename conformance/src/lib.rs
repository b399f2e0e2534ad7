//! The judge: starts real nodes, breaks them, and says what they promised and kept.
//!
//! It is never linked into the node. It does not reach into private parts: what it cannot see
//! through public items, sockets and files, it does not judge.
//!
//! | module | what it does |
//! |---|---|
//! | [`cluster`] | a federation of real nodes in this process, on free ports |
//! | [`process`] | the same nodes as child processes, which can be killed |
//! | [`rest`] | a signed-in person's client that keeps every answer, good or bad |
//! | [`terminal`] | people at a terminal, with the real `kouanctl` |
//! | [`errand`] | the steps of the main job that most tests share |
//! | [`data`] | real files, whole or cut |
//! | [`bulk`] | rows made for their size |
//! | [`relay`] | what stands between two nodes and changes a byte |
//! | [`page`] | machines of a page for operators |
//! | [`received`] | what arrived at a consumer, read past the node |
//! | [`small_disk`] | a disk that a test fills |
//! | [`wire`] | the transfer protocol, spoken as a node or as a stranger |
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "the judge stops at the first promise that is not kept, with a sentence"
)]

pub mod bulk;
pub mod cluster;
pub mod data;
pub mod errand;
pub mod page;
pub mod process;
pub mod received;
pub mod relay;
pub mod rest;
pub mod small_disk;
pub mod terminal;
pub mod wire;

pub use cluster::Cluster;
pub use rest::{Answer, Client, Site};

use std::time::{Duration, Instant};

/// Longest wait for anything that has to happen, in seconds. A loaded machine is slow, not wrong.
pub const WAIT_SECONDS_MAX: u64 = 45;

/// Asks `probe` until it has an answer; `what` names what did not happen when time is up.
///
/// # Panics
/// When it does not happen within [`WAIT_SECONDS_MAX`].
pub fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(WAIT_SECONDS_MAX),
            "{what} did not happen within {WAIT_SECONDS_MAX} s"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
