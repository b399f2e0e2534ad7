//! A release: one spent permit, one pinned artefact, one deadline.
//!
//! It does not send anything. Whoever sends asks it before every range, every retry and every
//! signed address, so that a revocation stops what is already running.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use catalog::View;
use schemas::code::ReasonCode;
use schemas::decision::Obligations;
use schemas::ledger_entry::{LedgerEvent, LedgerIndex, ReleaseOutcome};
use schemas::request::GrantState;
use schemas::{DatasetId, GrantId, ReleaseId, Timestamp};

use crate::counters::Reservation;
use crate::point::Gate;
use crate::{Error, Refusal};

/// How long a release lives at most, in milliseconds: a day, the longest that one transfer of the
/// largest known version took over the slowest measured line, with room. A later attempt is a new
/// decision.
pub const RELEASE_LIFE_MAX_MS: i64 = 24 * 60 * 60 * 1_000;

/// A right to send one pinned artefact, until its deadline or its grant's next change.
#[must_use = "a release that is dropped is recorded as aborted"]
pub struct Release {
    gate: Arc<Gate>,
    terms: Terms,
    /// Bytes that left so far.
    sent: AtomicU64,
    /// The first refusal; once ended, a release stays ended.
    stopped: Mutex<Option<Refusal>>,
    ended: bool,
}

/// What a release was given for.
pub(crate) struct Terms {
    pub(crate) id: ReleaseId,
    pub(crate) dataset: DatasetId,
    /// The grant and the revision of it that the decision saw; none for a provider's own data.
    pub(crate) grant: Option<(GrantId, u64)>,
    pub(crate) obligations: Obligations,
    pub(crate) deadline: Timestamp,
    /// How old the view may be for the dataset's grade, in milliseconds.
    pub(crate) view_age_max_ms: u64,
    pub(crate) recorded_at: LedgerIndex,
    pub(crate) trace: String,
    /// The persons that leave, when they were counted; they stay reserved until the end.
    pub(crate) reservation: Option<Reservation>,
}

impl Release {
    pub(crate) fn begun(gate: Arc<Gate>, terms: Terms) -> Self {
        Self {
            gate,
            terms,
            sent: AtomicU64::new(0),
            stopped: Mutex::new(None),
            ended: false,
        }
    }

    /// Its identifier; not guessable.
    #[must_use]
    pub fn id(&self) -> &ReleaseId {
        &self.terms.id
    }

    /// The dataset.
    #[must_use]
    pub fn dataset(&self) -> &DatasetId {
        &self.terms.dataset
    }

    /// What must be done to the rows, and whether they are sealed.
    #[must_use]
    pub fn obligations(&self) -> &Obligations {
        &self.terms.obligations
    }

    /// The grant that it hangs on; none for a provider's own data.
    #[must_use]
    pub fn grant(&self) -> Option<&GrantId> {
        self.terms.grant.as_ref().map(|(id, _)| id)
    }

    /// First instant at which nothing is sent any more.
    #[must_use]
    pub fn deadline(&self) -> Timestamp {
        self.terms.deadline
    }

    /// Its entry in the ledger.
    #[must_use]
    pub fn recorded_at(&self) -> LedgerIndex {
        self.terms.recorded_at
    }

    /// To be called before the first byte is handed on: from then on its persons count as sent,
    /// whatever becomes of the bytes. Until then the release's end frees them.
    pub fn begin_sending(&self) {
        if let Some(reservation) = &self.terms.reservation {
            reservation.begin_sending();
        }
    }

    /// Counts bytes that left, for the entry that a drop writes.
    pub fn count(&self, bytes: u64) {
        self.begin_sending();
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Bytes that left so far, as counted.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Asks whether the next range may be sent, against the newest view. Cheap: no disk, no wait.
    ///
    /// # Errors
    /// The refusal, and the same one ever after: `RELEASE_ENDED` past the deadline or when the
    /// grant was changed, `GRANT_REVOKED`, `GRANT_EXPIRED`, `GRANT_MISSING`,
    /// `DATASET_NOT_SERVED`, `CLOCK_UNTRUSTED`. `STALE_VIEW` alone passes again when the view does.
    pub fn check(&self) -> Result<(), Refusal> {
        let mut stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(refusal) = &*stopped {
            return Err(refusal.clone());
        }
        let Err((code, cites)) = self.judge(&self.gate.catalog.view()) else {
            return Ok(());
        };
        let refusal = Refusal::one(code, cites, Some(self.terms.recorded_at), &self.terms.trace);
        if code != ReasonCode::StaleView {
            *stopped = Some(refusal.clone());
        }
        Err(refusal)
    }

    fn judge(&self, view: &View) -> Result<(), (ReasonCode, &'static str)> {
        let now = self.gate.clock.now();
        if let Some((id, revision)) = &self.terms.grant {
            let grant = view
                .grant(id)
                .ok_or((ReasonCode::GrantMissing, "the release's grant is gone"))?;
            match grant.state {
                GrantState::Revoked => {
                    return Err((ReasonCode::GrantRevoked, "the provider ended the grant"));
                }
                GrantState::Expired => {
                    return Err((ReasonCode::GrantExpired, "the grant's period is over"));
                }
                GrantState::Active => {}
            }
            if now >= grant.period.until {
                return Err((ReasonCode::GrantExpired, "the grant's period is over"));
            }
            if grant.revision != *revision {
                return Err((ReasonCode::ReleaseEnded, "the grant changed; ask again"));
            }
        }
        if now >= self.terms.deadline {
            return Err((
                ReasonCode::ReleaseEnded,
                "the release's deadline has passed",
            ));
        }
        if !view
            .dataset(&self.terms.dataset)
            .is_some_and(|dataset| dataset.is_served())
        {
            return Err((ReasonCode::DatasetNotServed, "the dataset was withdrawn"));
        }
        if !self.gate.clock.is_trusted() {
            return Err((
                ReasonCode::ClockUntrusted,
                "the node's clock is off its peers",
            ));
        }
        if self.gate.catalog.staleness_ms() > self.terms.view_age_max_ms {
            return Err((
                ReasonCode::StaleView,
                "the node cannot learn of a revocation now",
            ));
        }
        Ok(())
    }

    /// How the refusal that stopped this release is written into the ledger; none while it runs.
    #[must_use]
    pub fn stopped_as(&self) -> Option<ReleaseOutcome> {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        stopped.as_ref().map(outcome_of)
    }

    /// Ends the release and records how; returns the entry's position.
    ///
    /// # Errors
    /// [`Error::Ledger`] when it could not be recorded. The release has ended all the same.
    pub async fn end(mut self, bytes: u64, outcome: ReleaseOutcome) -> Result<LedgerIndex, Error> {
        self.ended = true;
        if bytes > 0 || outcome == ReleaseOutcome::Completed {
            self.begin_sending();
        }
        let event = LedgerEvent::ReleaseEnded {
            release: self.terms.id.clone(),
            bytes,
            outcome,
        };
        self.gate.append(&self.terms.trace, event).await
    }
}

/// The outcome that a refusal in the middle of a release amounts to.
fn outcome_of(refusal: &Refusal) -> ReleaseOutcome {
    if refusal.has(ReasonCode::GrantRevoked) || refusal.has(ReasonCode::GrantMissing) {
        ReleaseOutcome::Revoked
    } else if refusal.has(ReasonCode::GrantExpired) || refusal.has(ReasonCode::ReleaseEnded) {
        ReleaseOutcome::Expired
    } else {
        ReleaseOutcome::Aborted
    }
}

impl Drop for Release {
    /// A release that nobody ended was cut off; the ledger says so, with what had left by then.
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let outcome = self.stopped_as().unwrap_or(ReleaseOutcome::Aborted);
        let release = self.terms.id.clone();
        let event = LedgerEvent::ReleaseEnded {
            release,
            bytes: self.sent(),
            outcome,
        };
        let (gate, trace) = (Arc::clone(&self.gate), self.terms.trace.clone());
        // Without a runtime the process is ending; a start then finds a release without its end.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = gate.append(&trace, event).await {
                    tracing::error!(%error, trace, "record the end of a release");
                }
            });
        }
    }
}

impl std::fmt::Debug for Release {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Release")
            .field("id", &self.terms.id)
            .field("dataset", &self.terms.dataset)
            .field("deadline", &self.terms.deadline)
            .finish_non_exhaustive()
    }
}
