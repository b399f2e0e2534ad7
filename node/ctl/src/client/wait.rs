//! Waiting for jobs of the node, and showing how far they are.
//!
//! It does not link the crate that runs jobs: it reads of a job what a client needs.

use std::time::{Duration, Instant};

use schemas::code::ErrorCode;
use schemas::decision::Reason;
use serde::Deserialize;
use serde_json::Value;

use super::{Call, Client};
use crate::Error;
use crate::error::JobFailed;
use crate::progress::Progress;

/// First pause between two looks at a job; each is half again as long, up to the longest.
const PAUSE: Duration = Duration::from_millis(50);
/// Longest pause between two looks.
const PAUSE_MAX: Duration = Duration::from_millis(1_000);

/// Of a job, what a client acts on.
#[derive(Debug, Deserialize)]
struct Seen {
    id: String,
    state: String,
    kind: Value,
    progress: Option<At>,
    failure: Option<Failed>,
}

#[derive(Debug, Deserialize)]
struct At {
    done: u64,
    total: Option<u64>,
    step: String,
}

#[derive(Debug, Deserialize)]
struct Failed {
    code: ErrorCode,
    detail: String,
    #[serde(default)]
    reasons: Vec<Reason>,
    #[serde(default)]
    ledger_index: Option<u64>,
}

impl Client<'_> {
    /// Waits until the job has ended, well or not, and answers with it as it is then.
    pub(crate) fn wait(&mut self, id: &str) -> Result<Value, Error> {
        let begun = Instant::now();
        let bar = Progress::job(self.terminal);
        let mut pause = PAUSE;
        loop {
            let job = self.insist(&Call::get(format!("/jobs/{id}")))?;
            let seen = self.seen(&job)?;
            if let "SUCCEEDED" | "FAILED" | "CANCELLED" = seen.state.as_str() {
                return Ok(job);
            }
            match seen.progress {
                Some(at) => bar.at(self.terminal.say(step(&at.step), &[]), at.done, at.total),
                None => bar.at(self.terminal.say("step-queued", &[]), 0, None),
            }
            if begun.elapsed() > self.settings.job_timeout {
                return Err(Error::TimedOut {
                    what: id.to_owned(),
                });
            }
            std::thread::sleep(pause);
            pause = (pause + pause / 2).min(PAUSE_MAX);
        }
    }

    /// Whether an ended job did what was asked for; the error says why not.
    pub(crate) fn judge(&self, job: &Value) -> Result<(), Error> {
        let seen = self.seen(job)?;
        match (seen.state.as_str(), seen.failure) {
            ("CANCELLED", _) => Err(Error::JobCancelled { job: seen.id }),
            ("FAILED", failure) => {
                let publish = seen.kind.get("publish").is_some();
                let failure = failure.unwrap_or_else(|| Failed {
                    code: ErrorCode::Internal,
                    detail: String::new(),
                    reasons: Vec::new(),
                    ledger_index: None,
                });
                Err(Error::JobFailed(Box::new(JobFailed {
                    job: seen.id,
                    code: failure.code,
                    publish,
                    detail: failure.detail,
                    reasons: failure.reasons,
                    ledger_index: failure.ledger_index,
                })))
            }
            _ => Ok(()),
        }
    }

    fn seen(&self, job: &Value) -> Result<Seen, Error> {
        Seen::deserialize(job).map_err(|e| Error::Answer {
            server: self.server.clone(),
            why: e.to_string(),
        })
    }
}

/// Key of a step's text.
fn step(name: &str) -> &'static str {
    match name {
        "STAGED" => "step-queued",
        "DECODING" => "step-decoding",
        "CHECKING" => "step-checking",
        "QUALITY" => "step-quality",
        "COMMITTING" => "step-committing",
        "RECORDING" => "step-recording",
        "AUTHORIZING" => "step-authorizing",
        "MATERIALISING" => "step-materialising",
        "SENDING" => "step-sending",
        "RECEIVING" => "step-receiving",
        "VERIFYING" => "step-verifying",
        "STORING" => "step-storing",
        _ => "step-working",
    }
}
