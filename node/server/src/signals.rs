//! The two signals that end a program in order: SIGINT and SIGTERM.
//!
//! It does not stop anything; whoever waits does.

use tokio::signal::unix::{SignalKind, signal};

/// Waits for the first of them.
pub async fn wait() {
    let interrupt = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = interrupt => {}
                _ = terminate.recv() => {}
            }
        }
        Err(_) => {
            // Without a handler for SIGTERM there is still SIGINT.
            let _ = interrupt.await;
        }
    }
}
