//! From a first decision that asks for a count to a second one that knows it.
//!
//! It does not read rows: whoever does hands each person over, see [`crate::counters::Count`].

use std::sync::Arc;

use catalog::View;
use crypto::Label;
use schemas::calendar::Day;
use schemas::code::ReasonCode;
use schemas::decision::{DecisionRequest, Obligations};
use schemas::export::{
    ExportFacts, ExportMethod, ExportTerms, Instrument, InstrumentState, Notice, PersonCounts,
    PersonTotals,
};
use schemas::{InstrumentId, Signed, canonical};

use crate::counters::{Count, CounterHome, Fault, INSTRUMENTS_MAX, Kept, Reservation};
use crate::decider::Decider;
use crate::facts::{Leaving, leaves};
use crate::permit::Granted;
use crate::point::{Export, Question};
use crate::{Ask, EnforcementPoint, Error, MeasurePermit, Permit, Refusal};

/// The counters of a participant as they stand, with what they come near to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The figures of the year.
    pub counts: PersonCounts,
    /// The last day on which the assessment's threshold was crossed.
    pub crossed_on: Option<Day>,
    /// Thresholds that are near, at the rule pack's marks.
    pub near: Vec<Notice>,
}

impl EnforcementPoint {
    /// What an export needs to be known of; none when nothing leaves.
    pub(crate) async fn leaving(
        &self,
        view: &View,
        decider: &Decider,
        request: &DecisionRequest,
        asked: &Export,
    ) -> Option<Leaving> {
        let dataset = request.dataset.as_ref().and_then(|id| view.dataset(id));
        let dataset = dataset.filter(|_| leaves(request))?;
        // Counters are those of the sender; another gate's say nothing of it.
        let own = dataset.provider == self.gate.participant;
        let home = self.counters.as_ref().filter(|_| own);
        let sent = view.instruments_for(&dataset.provider, &request.principal.participant);
        let counts = match (&asked.measured, home) {
            (Some(measured), _) => Some(measured.clone()),
            (None, None) => None,
            (None, Some(home)) => {
                let (home, scaled) = (Arc::clone(home), scaled(sent));
                let year = Day::of(request.at).year();
                let counts = blocking(move || Ok(home.counts(year, &scaled))).await;
                counts.ok()
            }
        };
        Some(Leaving {
            packs: decider.export_packs(request.at),
            method: asked.method,
            counts,
            crossed_on: home.and_then(|it| it.crossed_on()),
        })
    }

    /// Begins to count the persons of a batch. Whoever reads the rows that `permit` would let leave
    /// hands each person to the count.
    ///
    /// # Errors
    /// `COUNT_MISSING` when the participant's counter home is not here or cannot be used;
    /// `RELEASE_ENDED` when the permit is another gate's.
    pub fn count(&self, permit: &MeasurePermit) -> Result<Count, Refusal> {
        if *permit.issuer() != self.gate.participant {
            let why = "the permit was given by another gate";
            return Err(refused(ReasonCode::ReleaseEnded, why, permit));
        }
        let home = self.home(permit)?;
        let begun = home.begin(permit.duty().year, &scaled_of(permit));
        begun.map_err(|fault| not_counted(&fault, permit))
    }

    /// Reserves what was counted, decides once more with it, and records that. The persons stay
    /// reserved as long as the permit or its release lives.
    ///
    /// # Errors
    /// The refusal of the second decision; `COUNT_MISSING` when nothing could be reserved, or what
    /// may leave changed while it was counted.
    pub async fn measured(&self, permit: MeasurePermit, count: Count) -> Result<Permit, Refusal> {
        let answer = self.second(permit, count).await;
        self.tell(answer.is_ok());
        answer
    }

    async fn second(&self, permit: MeasurePermit, count: Count) -> Result<Permit, Refusal> {
        let home = Arc::clone(self.home(&permit)?);
        let (year, scaled) = (permit.duty().year, scaled_of(&permit));
        let reserved = blocking(move || home.reserve(count, year, &scaled)).await;
        let (reservation, counts) = reserved.map_err(|fault| not_counted(&fault, &permit))?;
        let question = Question {
            request: permit.request().clone(),
            ask: Ask {
                trace: permit.trace().to_owned(),
                grant: permit.grant().cloned(),
            },
            method: ExportMethod::Transfer,
            measured: Some(counts.clone()),
        };
        // A reservation that is dropped on the way is given back.
        let Granted::Permit(second) = Box::pin(self.answer(question)).await? else {
            let why = "the year of the count is over; ask again";
            return Err(refused(ReasonCode::CountMissing, why, &permit));
        };
        if !is_same_batch(permit.obligations(), second.obligations()) {
            let why = "what may leave changed while it was counted; ask again";
            return Err(refused(ReasonCode::CountMissing, why, &permit));
        }
        let crossed = self.crossed(&permit, &second, &counts).await;
        let kept = kept(&second);
        let reservation = blocking(move || {
            reservation.keep(kept, crossed)?;
            Ok::<Reservation, Fault>(reservation)
        });
        let reservation = reservation
            .await
            .map_err(|fault| not_counted(&fault, &permit))?;
        Ok(second.reserving(reservation))
    }

    /// The day, when this batch is the one with which the year's persons reach the assessment.
    async fn crossed(
        &self,
        first: &MeasurePermit,
        second: &Permit,
        counts: &PersonCounts,
    ) -> Option<Day> {
        let decider = self.decider(&self.gate.catalog.view()).await;
        let at = second.request().at;
        let before = first.facts().export.as_ref()?.counts.as_ref();
        let was = before.is_some_and(|it| decider.is_assessment_reached(at, it));
        (!was && decider.is_assessment_reached(at, counts)).then(|| Day::of(at))
    }

    fn home(&self, permit: &MeasurePermit) -> Result<&Arc<CounterHome>, Refusal> {
        self.counters.as_ref().ok_or_else(|| {
            let why = "the counter home of the provider is not on this node";
            refused(ReasonCode::CountMissing, why, permit)
        })
    }

    /// The counters of a year; none when the counter home is not on this node.
    pub async fn standing(&self, year: u16) -> Option<Standing> {
        let home = Arc::clone(self.counters.as_ref()?);
        let counts = {
            let home = Arc::clone(&home);
            blocking(move || Ok(home.counts(year, &[]))).await.ok()?
        };
        let decider = self.decider(&self.gate.catalog.view()).await;
        let near = decider.near_thresholds(self.gate.clock.now(), &counts);
        Some(Standing {
            counts,
            crossed_on: home.crossed_on(),
            near,
        })
    }

    /// The totals of a year, signed by the participant, for who supervises it. None when the
    /// counter home is not on this node.
    ///
    /// # Errors
    /// [`Error::Record`], [`Error::Crypto`].
    pub async fn totals(&self, year: u16) -> Result<Option<Signed<PersonTotals>>, Error> {
        let Some(standing) = self.standing(year).await else {
            return Ok(None);
        };
        let body = PersonTotals {
            processor: self.gate.participant.clone(),
            year,
            non_sensitive: standing.counts.non_sensitive,
            sensitive: standing.counts.sensitive,
            exempt_non_sensitive: standing.counts.exempt_non_sensitive,
            exempt_sensitive: standing.counts.exempt_sensitive,
            crossed_on: standing.crossed_on,
            at: self.gate.clock.now(),
        };
        let bytes = canonical::to_bytes(&body)?;
        let signer = &self.gate.signer;
        let signature = signer.sign(Label::Evidence, &bytes).await?;
        let key = signer.key_id();
        Ok(Some(Signed {
            body,
            key,
            signature,
        }))
    }
}

/// Instruments and evidence that limit the number of persons.
fn scaled<'a>(instruments: impl IntoIterator<Item = &'a Instrument>) -> Vec<InstrumentId> {
    let limited = instruments
        .into_iter()
        .take(ExportFacts::INSTRUMENTS_MAX)
        .filter(|it| it.envelope.persons_max.is_some() && it.state != InstrumentState::Ended);
    limited
        .take(INSTRUMENTS_MAX)
        .map(|it| it.id.clone())
        .collect()
}

fn scaled_of(permit: &MeasurePermit) -> Vec<InstrumentId> {
    let export = permit.facts().export.as_ref();
    export.map_or_else(Vec::new, |it| scaled(&it.instruments))
}

/// What the second decision says that the batch is for. Evidence that limits persons counts
/// whether or not it was looked at; of instruments, the one that was used.
fn kept(second: &Permit) -> Kept {
    let terms = second.obligations().export.as_deref();
    let used = terms.and_then(|it| it.instrument.as_ref());
    let held = second.facts().export.as_ref();
    let limited = held.map_or_else(Vec::new, |it| scaled(&it.instruments));
    let is_evidence = |id: &InstrumentId| {
        let found = held.and_then(|it| it.instruments.iter().find(|it| it.id == *id));
        found.is_some_and(|it| !it.kind.is_scaled())
    };
    Kept {
        exempt: terms.is_some_and(is_exempt_volume),
        instruments: limited
            .into_iter()
            .filter(|id| used == Some(id) || is_evidence(id))
            .collect(),
    }
}

/// Volumes under articles 3 to 6 of O16. X17 (article 5(4)) is what the count itself decides, so
/// that its volumes must count.
fn is_exempt_volume(terms: &ExportTerms) -> bool {
    match terms.rule {
        ReasonCode::X7 | ReasonCode::X8 | ReasonCode::X9 | ReasonCode::X10 | ReasonCode::X11 => {
            true
        }
        // Outside of the list; what is within goes under an instrument.
        ReasonCode::X12 => terms.instrument.is_none(),
        _ => false,
    }
}

/// Whether what was counted is what may leave; the terms may have changed with the count.
fn is_same_batch(counted: &Obligations, allowed: &Obligations) -> bool {
    counted.columns == allowed.columns
        && counted.rows == allowed.rows
        && counted.rows_max == allowed.rows_max
}

fn refused(code: ReasonCode, why: &str, permit: &MeasurePermit) -> Refusal {
    Refusal::one(code, why, Some(permit.recorded_at()), permit.trace())
}

fn not_counted(fault: &Fault, permit: &MeasurePermit) -> Refusal {
    tracing::error!(%fault, trace = permit.trace(), "count persons; the answer is no");
    let why = "the counter home could not count the batch; its node's log says why";
    refused(ReasonCode::CountMissing, why, permit)
}

/// Runs what waits for a lock or a disk where that stops nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // The program ends, or the work had a bug; nothing was answered.
        Err(_) => Err(Fault::Broken),
    }
}
