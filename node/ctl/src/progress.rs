//! Progress on stderr, only where a person watches.
//!
//! It does not measure anything; whoever works says how far it is.

use std::io::Read;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output::Terminal;

/// How often the sign of life moves, in milliseconds.
const TICK: Duration = Duration::from_millis(120);

/// A bar, or nothing where nobody watches.
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// A bar over so many bytes.
    pub(crate) fn bytes(terminal: &Terminal, key: &str, total: u64) -> Self {
        let template = "{msg} {bar:30} {binary_bytes}/{binary_total_bytes} {binary_bytes_per_sec}";
        Self::new(terminal, terminal.say(key, &[]), Some(total), template)
    }

    /// A sign of life for a job, whose total may not be known.
    pub(crate) fn job(terminal: &Terminal) -> Self {
        Self::new(terminal, String::new(), None, "{spinner} {msg} {human_pos}")
    }

    fn new(terminal: &Terminal, text: String, total: Option<u64>, template: &str) -> Self {
        let target = if terminal.screen {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(total, target);
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(text);
        if terminal.screen {
            bar.enable_steady_tick(TICK);
        }
        Self { bar }
    }

    /// Shows where a job is: the step in words, done and of how many.
    pub(crate) fn at(&self, step: String, done: u64, total: Option<u64>) {
        let template = match total {
            Some(_) => "{spinner} {msg} {bar:30} {human_pos}/{human_len}",
            None => "{spinner} {msg} {human_pos}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style.progress_chars("=> "));
        }
        if let Some(total) = total {
            self.bar.set_length(total);
        }
        self.bar.set_message(step);
        self.bar.set_position(done);
    }

    /// `inner`, counted while it is read.
    pub(crate) fn counted<R: Read>(&self, inner: R) -> impl Read + use<R> {
        self.bar.wrap_read(inner)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
