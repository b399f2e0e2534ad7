//! The enforcement point of one participant on one node: asks, records, enforces.
//!
//! It does not decide: the decision point of the policy set in force does, on facts of one view.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use catalog::{Catalog, View};
use crypto::Signer;
use ledger::Ledger;
use schemas::code::{Action, ReasonCode};
use schemas::command::{Author, Command, Outcome, Proposal, SignedProposal};
use schemas::decision::{Decision, DecisionRequest, Facts};
use schemas::explanation::Explanation;
use schemas::export::{ExportMethod, PersonCounts};
use schemas::ledger_entry::{
    Checkpoint, CheckpointUpdate, LedgerEvent, LedgerIndex, ReleaseOutcome,
};
use schemas::{CommandId, GrantId, NodeId, ParticipantId, ReleaseId, Signed};

use crate::counters::CounterHome;
use crate::decider::{Decider, Deciders, Found, compile};
use crate::entry::{bounded, entry, gap};
use crate::facts::{Circumstances, Leaving, gather, leaves, lets_rows_out};
use crate::release::{RELEASE_LIFE_MAX_MS, Terms};
use crate::{
    Clock, Error, Granted, IngestCapability, LedgerReader, MeasurePermit, Permit, PinnedArtefact,
    Refusal, Release,
};

/// The age of a view that was never known to be current: the largest number that an entry can hold
/// (canonical JSON, 2^53), and too old for everything.
const VIEW_AGE_MS_MAX: u64 = 1 << 53;

/// How long a linearizable read may take. Without a majority there is none, and the caller gets a
/// refusal for a stale view instead of waiting for one.
const LINEARIZABLE_READ_MAX: Duration = Duration::from_secs(5);

/// What an enforcement point is made of.
pub struct Parts {
    /// Whose gate.
    pub participant: ParticipantId,
    /// On which node.
    pub node: NodeId,
    /// The catalog replica of the node.
    pub catalog: Catalog,
    /// The participant's ledger.
    pub ledger: Ledger,
    /// The participant's signing key: it signs checkpoints.
    pub signer: Arc<dyn Signer>,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
}

/// What comes with a request besides the request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask {
    /// Ties entry, log lines and answer together; at most 64 printable ASCII characters are kept.
    pub trace: String,
    /// The grant that is used; without it the best one in force is looked up.
    pub grant: Option<GrantId>,
}

/// One question to the gate.
pub(crate) struct Question {
    pub(crate) request: DecisionRequest,
    pub(crate) ask: Ask,
    pub(crate) method: ExportMethod,
    /// The counters with the batch in them, for a second decision.
    pub(crate) measured: Option<PersonCounts>,
}

/// How rows would leave, and what was counted of them.
pub(crate) struct Export {
    pub(crate) method: ExportMethod,
    pub(crate) measured: Option<PersonCounts>,
}

/// The one gate of one participant on one node.
pub struct EnforcementPoint {
    pub(crate) gate: Arc<Gate>,
    deciders: Deciders,
    /// The participant's counter home, where it is on this node.
    pub(crate) counters: Option<Arc<CounterHome>>,
    permitted: AtomicU64,
    refused: AtomicU64,
}

/// How a gate has answered since it was put up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// Permits given.
    pub permitted: u64,
    /// Refusals, those that could not be recorded included.
    pub refused: u64,
}

/// What outlives a call: releases hold it too.
pub(crate) struct Gate {
    pub(crate) participant: ParticipantId,
    node: NodeId,
    pub(crate) catalog: Catalog,
    ledger: Ledger,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Gate {
    pub(crate) async fn append(
        &self,
        trace: &str,
        event: LedgerEvent,
    ) -> Result<LedgerIndex, Error> {
        if let Some(gap) = self.gap() {
            let entry = entry(&*self.clock, &self.node, "gap", gap);
            self.ledger.append(entry).await?;
        }
        let entry = entry(&*self.clock, &self.node, trace, event);
        Ok(self.ledger.append(entry).await?)
    }

    /// What the first entry of a later life says: that entries were lost, and which was the last
    /// checkpoint that others have of them. The node writes its first entry before it serves, so
    /// nobody else writes at the same time.
    fn gap(&self) -> Option<LedgerEvent> {
        let identity = self.ledger.identity();
        if identity.incarnation <= 1 || self.ledger.size() > 0 {
            return None;
        }
        let view = self.catalog.view();
        let known = view.checkpoint(&self.participant);
        gap(identity, known.map(|it| &it.update.checkpoint.body))
    }
}

impl EnforcementPoint {
    /// Puts the gate up. The baseline policy is compiled here, so that a node whose policy cannot
    /// be used does not start.
    ///
    /// # Errors
    /// [`Error::Policy`] when the shipped policy set does not compile.
    pub fn new(parts: Parts) -> Result<Self, Error> {
        compile(&policies::shipped())?;
        let Parts {
            participant,
            node,
            catalog,
            ledger,
            signer,
            clock,
        } = parts;
        let gate = Arc::new(Gate {
            participant,
            node,
            catalog,
            ledger,
            signer,
            clock,
        });
        Ok(Self {
            gate,
            deciders: Deciders::default(),
            counters: None,
            permitted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        })
    }

    /// Gives it the participant's counter home. Without one no export of personal information is
    /// permitted here.
    #[must_use]
    pub fn with_counters(mut self, home: Arc<CounterHome>) -> Self {
        self.counters = Some(home);
        self
    }

    /// How it has answered so far. A dry run ([`EnforcementPoint::explain`]) is no answer.
    #[must_use]
    pub fn answered(&self) -> Answered {
        Answered {
            permitted: self.permitted.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        }
    }

    /// Whose gate it is.
    #[must_use]
    pub fn participant(&self) -> &ParticipantId {
        &self.gate.participant
    }

    /// The node it stands on.
    #[must_use]
    pub fn node(&self) -> &NodeId {
        &self.gate.node
    }

    /// The node's catalog replica.
    #[must_use]
    pub fn catalog(&self) -> &Catalog {
        &self.gate.catalog
    }

    /// Decides, records, and only then answers. `request.at` is set from the node's clock: the
    /// time of a decision is not the caller's to choose.
    ///
    /// # Errors
    /// The refusal, with its place in the ledger; `NOT_RECORDED` when the ledger cannot append;
    /// `COUNT_MISSING` where persons would have to be counted, which only a transfer does.
    pub async fn authorize(&self, request: DecisionRequest, ask: Ask) -> Result<Permit, Refusal> {
        let question = Question {
            request,
            ask,
            method: ExportMethod::Read,
            measured: None,
        };
        let answer = match self.answer(question).await {
            Ok(Granted::Permit(permit)) => Ok(*permit),
            Ok(Granted::Measure(permit)) => Err(Refusal::one(
                ReasonCode::CountMissing,
                "O16 7 and 8: persons are counted before their information leaves; ask for a \
                 transfer",
                Some(permit.recorded_at()),
                permit.trace(),
            )),
            Err(refusal) => Err(refusal),
        };
        self.tell(answer.is_ok());
        answer
    }

    /// As [`Self::authorize`], for a caller that can count persons before anything leaves.
    ///
    /// # Errors
    /// As [`Self::authorize`], without `COUNT_MISSING` for what can be counted.
    pub async fn authorize_transfer(
        &self,
        request: DecisionRequest,
        ask: Ask,
    ) -> Result<Granted, Refusal> {
        let question = Question {
            request,
            ask,
            method: ExportMethod::Transfer,
            measured: None,
        };
        let answer = self.answer(question).await;
        self.tell(answer.is_ok());
        answer
    }

    pub(crate) fn tell(&self, permitted: bool) {
        let count = if permitted {
            &self.permitted
        } else {
            &self.refused
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Judges, records, and only then answers.
    pub(crate) async fn answer(&self, question: Question) -> Result<Granted, Refusal> {
        let Question {
            mut request,
            ask,
            method,
            measured,
        } = question;
        let trace = bounded(&ask.trace);
        request.at = self.gate.clock.now();
        let asked = Export { method, measured };
        let (facts, decision) = self.judge(&request, ask.grant.as_ref(), &asked).await;
        let event = LedgerEvent::Decided {
            request: Box::new(request.clone()),
            facts: Box::new(facts.clone()),
            decision: decision.clone(),
        };
        let recorded_at = match self.gate.append(&trace, event).await {
            Ok(index) => index,
            Err(error) => {
                tracing::error!(%error, trace, "record a decision; the answer is no");
                return Err(Refusal::not_recorded(&trace));
            }
        };
        let issuer = self.gate.participant.clone();
        let recorded = |obligations, trace| {
            Permit::recorded(issuer, (request, facts), obligations, recorded_at, trace)
        };
        match decision {
            Decision::Permit(obligations) => {
                Ok(Granted::Permit(Box::new(recorded(obligations, trace))))
            }
            Decision::Deny(reasons) => Err(Refusal {
                reasons,
                recorded_at: Some(recorded_at),
                trace,
            }),
            Decision::Measure { duty, obligations } => {
                let permit = recorded(obligations, trace);
                let permit = MeasurePermit::recorded(permit, *duty, ask.grant);
                Ok(Granted::Measure(Box::new(permit)))
            }
        }
    }

    /// What would be decided now, without deciding it: nothing is recorded and no permit is made.
    /// The question itself (`policy.explain`) is a decision of its own.
    pub async fn explain(
        &self,
        mut request: DecisionRequest,
        grant: Option<&GrantId>,
    ) -> (Facts, Decision) {
        request.at = self.gate.clock.now();
        let asked = Export {
            method: ExportMethod::Transfer,
            measured: None,
        };
        self.judge(&request, grant, &asked).await
    }

    /// As [`Self::explain`], with every rule that spoke, the facts that it saw and its article.
    pub async fn explanation(
        &self,
        request: DecisionRequest,
        grant: Option<&GrantId>,
    ) -> (Facts, Explanation) {
        let (facts, decision) = self.explain(request.clone(), grant).await;
        let mut request = request;
        request.at = self.gate.clock.now();
        let decider = self.decider(&self.gate.catalog.view()).await;
        let found = decider.pdp().map(|pdp| pdp.explain(&request, &facts));
        let why = found.unwrap_or_else(|| Explanation {
            decision,
            spoke: Vec::new(),
            readings: Vec::new(),
        });
        (facts, why)
    }

    async fn judge(
        &self,
        request: &DecisionRequest,
        grant: Option<&GrantId>,
        asked: &Export,
    ) -> (Facts, Decision) {
        let view = self.gate.catalog.view();
        let decider = self.decider(&view).await;
        let leaving = self.leaving(&view, &decider, request, asked).await;
        let circumstances = self.circumstances(&decider, false, leaving);
        let facts = gather(&view, request, grant, circumstances);
        let dataset = facts
            .dataset
            .as_ref()
            .filter(|_| lets_rows_out(request.action));
        // Only rows are worth a round trip to the majority.
        let strict = dataset.is_some_and(|it| {
            leaves(request) || decider.needs_linearizable(it.grade, request.destination)
        });
        if strict {
            let read =
                tokio::time::timeout(LINEARIZABLE_READ_MAX, self.gate.catalog.linearizable());
            // Without the read the facts say so, and the decision point refuses.
            if let Ok(Ok(newest)) = read.await {
                let decider = self.decider(&newest).await;
                let leaving = self.leaving(&newest, &decider, request, asked).await;
                let circumstances = self.circumstances(&decider, true, leaving);
                let facts = gather(&newest, request, grant, circumstances);
                let decision = decider.decide(request, &facts);
                return (facts, decision);
            }
        }
        let decision = decider.decide(request, &facts);
        (facts, decision)
    }

    fn circumstances(
        &self,
        decider: &Decider,
        linearizable: bool,
        leaving: Option<Leaving>,
    ) -> Circumstances {
        Circumstances {
            participant: self.gate.participant.clone(),
            view_age_ms: if linearizable {
                0
            } else {
                self.gate.catalog.staleness_ms().min(VIEW_AGE_MS_MAX)
            },
            linearizable,
            clock_trusted: self.gate.clock.is_trusted(),
            policy: decider.version().clone(),
            leaving,
        }
    }

    /// The decision point of the policy set in force in `view`. The first use of a set is recorded.
    pub(crate) async fn decider(&self, view: &View) -> Arc<Decider> {
        match self.deciders.of(view).await {
            Found::Known(decider) => decider,
            Found::New(decider) => {
                let event = LedgerEvent::PolicyInForce {
                    policy: decider.version().clone(),
                };
                // When the ledger cannot append, the decision that follows is not recorded either,
                // and the answer is no.
                if let Err(error) = self.gate.append("policy", event).await {
                    tracing::error!(%error, "record that a policy set is in force");
                }
                decider
            }
        }
    }

    /// Spends a permit of `dataset.read` on a pinned artefact. The grant is looked at once more:
    /// making the artefact took time.
    ///
    /// # Errors
    /// A refusal: `RELEASE_ENDED` for a permit that is not this gate's or not of this action,
    /// `ROW_LIMIT` for more rows than are allowed, what [`Release::check`] says of a grant that
    /// moved meanwhile, `NOT_RECORDED`.
    pub async fn release(
        &self,
        mut permit: Permit,
        artefact: PinnedArtefact,
    ) -> Result<Release, Refusal> {
        let (trace, decided_at) = (permit.trace().to_owned(), permit.recorded_at());
        self.own(&permit, Action::DatasetRead)?;
        let obligations = permit.obligations().clone();
        let (Some(dataset), Some(known)) =
            (permit.request().dataset.clone(), &permit.facts().dataset)
        else {
            let why = "the permit names no dataset";
            return Err(Refusal::one(
                ReasonCode::DatasetNotServed,
                why,
                Some(decided_at),
                &trace,
            ));
        };
        let Ok(id) = fresh_id("rl", ReleaseId::parse) else {
            return Err(Refusal::not_recorded(&trace));
        };
        if obligations
            .rows_max
            .is_some_and(|most| artefact.rows > most)
        {
            return Err(self
                .unspent(id, ReasonCode::RowLimit, "the grant's row limit", &trace)
                .await);
        }
        let decider = self.decider(&self.gate.catalog.view()).await;
        let grant = permit.facts().grant.as_ref();
        let latest = self.gate.clock.now().plus_millis(RELEASE_LIFE_MAX_MS);
        let deadline = grant.map_or(latest, |grant| grant.period.until.min(latest));
        let mut terms = Terms {
            id,
            dataset,
            grant: grant.map(|grant| (grant.id.clone(), grant.revision)),
            obligations,
            deadline,
            view_age_max_ms: decider.view_age_max_ms(known.grade),
            recorded_at: decided_at,
            trace,
            reservation: permit.take_reservation(),
        };
        let event = LedgerEvent::Released {
            release: terms.id.clone(),
            decided_at,
            transfer: artefact.transfer,
            dataset: terms.dataset.clone(),
            artefact: artefact.digest,
            rows: artefact.rows,
            bytes: artefact.bytes,
            deadline,
            revocation_epoch: terms.grant.as_ref().map_or(0, |(_, revision)| *revision),
            obligations: terms.obligations.clone(),
        };
        match self.gate.append(&terms.trace, event).await {
            Ok(index) => terms.recorded_at = index,
            Err(error) => {
                tracing::error!(%error, trace = terms.trace, "record a release; the answer is no");
                return Err(Refusal::not_recorded(&terms.trace));
            }
        }
        let release = Release::begun(Arc::clone(&self.gate), terms);
        // A dropped release records its end, so a grant that moved meanwhile leaves no loose end.
        release.check()?;
        Ok(release)
    }

    /// Spends a permit of `dataset.publish` on the right to write the dataset's tables.
    ///
    /// # Errors
    /// A refusal when the permit is not this gate's, not of this action, or names no dataset.
    pub fn ingest(&self, permit: Permit) -> Result<IngestCapability, Refusal> {
        self.own(&permit, Action::DatasetPublish)?;
        let index = permit.recorded_at();
        match permit.request().dataset.clone() {
            Some(dataset) => Ok(IngestCapability::spent(dataset, index)),
            None => Err(Refusal::one(
                ReasonCode::DatasetNotServed,
                "the permit names no dataset",
                Some(index),
                permit.trace(),
            )),
        }
    }

    /// The ledger, for whoever holds a permit of `ledger.read`.
    ///
    /// # Errors
    /// A refusal when the permit is not this gate's or not of this action.
    pub fn reader(&self, permit: &Permit) -> Result<LedgerReader, Refusal> {
        self.own(permit, Action::LedgerRead)?;
        let key = self.gate.signer.public().clone();
        Ok(LedgerReader::opened(self.gate.ledger.clone(), key))
    }

    /// The participant's key, which signs what it says of its ledger.
    pub(crate) fn signer(&self) -> &dyn Signer {
        &*self.gate.signer
    }

    /// Now, by the node's clock.
    pub(crate) fn now(&self) -> schemas::Timestamp {
        self.gate.clock.now()
    }

    /// A permit opens only what it was given for, at the gate that gave it.
    fn own(&self, permit: &Permit, action: Action) -> Result<(), Refusal> {
        if *permit.issuer() == self.gate.participant && permit.request().action == action {
            return Ok(());
        }
        let why = "the permit was given for another action or by another gate";
        let index = Some(permit.recorded_at());
        Err(Refusal::one(
            ReasonCode::ReleaseEnded,
            why,
            index,
            permit.trace(),
        ))
    }

    /// Records that a permit was not spent after all.
    async fn unspent(&self, id: ReleaseId, code: ReasonCode, why: &str, trace: &str) -> Refusal {
        let event = LedgerEvent::ReleaseEnded {
            release: id,
            bytes: 0,
            outcome: ReleaseOutcome::Aborted,
        };
        match self.gate.append(trace, event).await {
            Ok(index) => Refusal::one(code, why, Some(index), trace),
            Err(_) => Refusal::not_recorded(trace),
        }
    }

    /// Records a fact that is no decision: a receipt, a published version, a sign-in.
    ///
    /// # Errors
    /// [`Error::Ledger`] when it could not be made durable.
    pub async fn record(&self, event: LedgerEvent, trace: &str) -> Result<LedgerIndex, Error> {
        self.gate.append(trace, event).await
    }

    /// Signs a checkpoint over the ledger as it is and makes it known in the catalog, with the
    /// proof that it extends the last one there.
    ///
    /// # Errors
    /// [`Error::Ledger`], [`Error::Catalog`], or [`Error::ProposalRefused`] when the catalog's
    /// last checkpoint is not a prefix of this ledger.
    pub async fn checkpoint_now(&self) -> Result<Signed<Checkpoint>, Error> {
        let gate = &self.gate;
        let checkpoint = gate
            .ledger
            .checkpoint(&*gate.signer, gate.clock.now())
            .await?;
        let view = gate.catalog.view();
        let known = view
            .checkpoint(&gate.participant)
            .map(|it| &it.update.checkpoint.body);
        let same_life = known.filter(|it| it.ledger == checkpoint.body.ledger);
        let consistency = match same_life {
            Some(last) if last.size >= checkpoint.body.size => return Ok(checkpoint),
            Some(last) => Some(gate.ledger.consistency(last.size, checkpoint.body.size)?),
            None => None,
        };
        let update = Box::new(CheckpointUpdate {
            checkpoint: checkpoint.clone(),
            consistency,
        });
        propose(
            &gate.catalog,
            &gate.node,
            &*gate.clock,
            Command::PublishCheckpoint { update },
        )
        .await?;
        Ok(checkpoint)
    }
}

impl std::fmt::Debug for EnforcementPoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnforcementPoint")
            .field("participant", &self.gate.participant)
            .field("node", &self.gate.node)
            .finish_non_exhaustive()
    }
}

/// Proposes a command in the node's own name; a refusal of the catalog is an error here.
pub(crate) async fn propose(
    catalog: &Catalog,
    node: &NodeId,
    clock: &dyn Clock,
    command: Command,
) -> Result<(), Error> {
    let proposal = Proposal {
        id: fresh_id("cm", CommandId::parse)?,
        author: Author::Node(node.clone()),
        at: clock.now(),
        command,
    };
    let applied = catalog.propose(SignedProposal::by_node(proposal)).await?;
    match applied.outcome {
        Outcome::Applied { .. } => Ok(()),
        Outcome::Refused { code, detail } => Err(Error::ProposalRefused { code, detail }),
    }
}

/// A fresh identifier: 128 random bits, so that it cannot be guessed or met twice.
fn fresh_id<T>(
    prefix: &str,
    parse: impl Fn(String) -> Result<T, schemas::Error>,
) -> Result<T, Error> {
    let bytes: [u8; 16] = crypto::random_bytes()?;
    Ok(parse(format!("{prefix}-{}", hex::encode(bytes)))?)
}
