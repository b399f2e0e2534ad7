//! The consumer's side: one job from asking to the receipts of both sides.
//!
//! It does not serve rows; what arrived is a Delta table of its own below `received/`, and who
//! may read it there is the gate's to say.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crypto::seal::{Opener, SealedHeader, SealedTrailer};
use jobs::{Job, JobFailure, JobKind, JobOutcome, JobStep, Progress, ProgressUnit};
use schemas::code::ErrorCode;
use schemas::command::{Author, Command, Outcome, Proposal, SignedProposal};
use schemas::ledger_entry::LedgerEvent;
use schemas::participant::Participant;
use schemas::transfer::{Receipt, ReceiptSide, Transfer, TransferState};
use schemas::{CommandId, GrantId, Signed, TransferId, canonical};

use super::channel::{Client, client};
use super::chunks::Layout;
use super::fetch::Fetch;
use super::journal::Journal;
use super::offer::{Offer, chunk_range};
use super::wire::{CompleteRequest, FinishRequest, OpenRequest};
use super::{Failure, not_opened, receipts, status, store};
use crate::{Hosted, Parts};

/// How often the gate is asked again when a release was lost on the way.
const OPENS_MAX: u32 = 4;

/// Attempts of one call while the provider's node does not answer.
const CALLS_MAX: u32 = 6;

/// The first pause between two attempts; each further one is twice as long.
const PAUSE_FIRST: Duration = Duration::from_millis(200);

/// How long one call may take: the provider may have to scan and write a whole table first.
const CALL_MAX: Duration = Duration::from_secs(30 * 60);

/// Longest reason that goes into the catalog, in characters; the job has all of it.
const BECAUSE_CHARS_MAX: usize = 500;

/// Bytes between two notes of progress.
const PROGRESS_BYTES: u64 = 8 << 20;

/// Runs a transfer job to its end. On failure the transfer is terminated in the catalog, so that
/// both sides see why.
///
/// # Errors
/// The failure to write into the job.
pub(crate) async fn run(parts: &Arc<Parts>, job: &Job) -> Result<JobOutcome, JobFailure> {
    let JobKind::Transfer {
        transfer,
        grant,
        version,
    } = &job.kind
    else {
        let why = "the job is not a transfer";
        return Err(JobFailure::new(ErrorCode::Internal, why));
    };
    let outcome = Box::pin(receive(parts, job, transfer, (grant, *version))).await;
    match outcome {
        Ok(outcome) => Ok(outcome),
        Err(failure) => {
            tracing::warn!(%transfer, error = %failure, "a transfer failed");
            terminate(parts, transfer, &failure).await;
            // A terminated transfer is not taken up again, so its chunks are worth nothing.
            let _ = std::fs::remove_dir_all(journal_folder(parts, transfer));
            Err(failure.into_job_failure())
        }
    }
}

async fn receive(
    parts: &Arc<Parts>,
    job: &Job,
    id: &TransferId,
    wanted: (&GrantId, Option<u64>),
) -> Result<JobOutcome, Failure> {
    let transfer = opened(parts, id, wanted).await?;
    let folder = store::folder(&transfer.consumer, &transfer.dataset, &transfer.grant);
    if transfer.state == TransferState::Completed {
        return completed(parts, &transfer, folder);
    }
    let receiving = Receiving::new(parts, job, transfer)?;
    let mut opens = 0;
    let (offer, sent) = loop {
        match receiving.attempt(opens > 0).await {
            Ok(done) => break done,
            // The provider was restarted, or we were away too long: ask its gate again.
            Err(Failure::ReleaseGone) if opens + 1 < OPENS_MAX => opens += 1,
            Err(other) => return Err(other),
        }
    };
    let _ = std::fs::remove_dir_all(receiving.journal_folder());
    tracing::info!(transfer = %id, rows = sent.body.rows, bytes = sent.body.bytes, "received");
    Ok(JobOutcome::Transferred {
        version: offer.manifest.version,
        rows: offer.manifest.rows,
        bytes: offer.manifest.bytes(),
        release: offer.release,
        path: folder,
        row_limit_reached: offer.manifest.row_limit_reached,
    })
}

/// Where chunks lie until they are verified. No dataset's name begins with a dot.
fn journal_folder(parts: &Parts, transfer: &TransferId) -> PathBuf {
    parts
        .dir
        .join("received")
        .join(".incoming")
        .join(transfer.as_str())
}

/// A job that was interrupted after its very last step has only to say so. The offer is gone by
/// then; as many rows as the limit allows count as a limit that was reached.
fn completed(parts: &Parts, transfer: &Transfer, path: String) -> Result<JobOutcome, Failure> {
    let receipt = transfer.receipts.first().map(|receipt| &receipt.body);
    let receipt = receipt.ok_or(Failure::Rejected("a completed transfer without receipts"))?;
    let view = parts.catalog.view();
    let rows_max = view.grant(&receipt.grant).and_then(|grant| grant.rows_max);
    Ok(JobOutcome::Transferred {
        version: receipt.version,
        rows: receipt.rows,
        bytes: receipt.bytes,
        release: receipt.release.clone(),
        path,
        row_limit_reached: rows_max.is_some_and(|most| receipt.rows >= most),
    })
}

/// The transfer's record, opened in the catalog when it is not there yet.
async fn opened(
    parts: &Parts,
    id: &TransferId,
    (grant, version): (&GrantId, Option<u64>),
) -> Result<Transfer, Failure> {
    let missing = |what, name: &str| Failure::Missing {
        what,
        name: name.to_owned(),
    };
    let view = parts.catalog.view();
    if let Some(known) = view.transfer(id) {
        return match known.state {
            TransferState::Terminated => Err(Failure::NotOpened {
                code: ErrorCode::Conflict,
                why: "the transfer was terminated; start a new one".to_owned(),
                reasons: Vec::new(),
            }),
            _ if known.grant == *grant => Ok(known.clone()),
            _ => Err(missing("transfer under this grant", id.as_str())),
        };
    }
    let granted = view
        .grant(grant)
        .ok_or_else(|| missing("grant", grant.as_str()))?;
    let version = match version {
        Some(version) => version,
        None => view
            .latest_version(&granted.dataset)
            .map(|version| version.body.number)
            .ok_or_else(|| missing("version of dataset", granted.dataset.as_str()))?,
    };
    let transfer = Transfer {
        id: id.clone(),
        grant: grant.clone(),
        dataset: granted.dataset.clone(),
        version,
        provider: granted.provider.clone(),
        consumer: granted.consumer.clone(),
        state: TransferState::Requested,
        receipts: Vec::new(),
        ended_because: None,
        revision: 0,
    };
    let command = Command::OpenTransfer {
        transfer: Box::new(transfer.clone()),
    };
    match propose(parts, command).await? {
        Outcome::Applied { .. } => Ok(transfer),
        Outcome::Refused { code, detail } => {
            Err(not_opened::why(parts, grant, (code, detail)).await)
        }
    }
}

/// Says in the catalog that the transfer ended without success.
async fn terminate(parts: &Parts, id: &TransferId, failure: &Failure) {
    let known = parts
        .catalog
        .view()
        .transfer(id)
        .map(|transfer| transfer.state);
    if !matches!(
        known,
        Some(TransferState::Requested | TransferState::Started)
    ) {
        return;
    }
    let because = failure
        .to_string()
        .chars()
        .take(BECAUSE_CHARS_MAX)
        .collect();
    let command = Command::TerminateTransfer {
        transfer: id.clone(),
        because,
    };
    match propose(parts, command).await {
        Ok(Outcome::Applied { .. }) => {}
        Ok(Outcome::Refused { code, detail }) => {
            tracing::warn!(transfer = %id, %code, detail, "terminate a transfer");
        }
        Err(error) => tracing::warn!(transfer = %id, %error, "terminate a transfer"),
    }
}

/// Proposes in the node's own name. The same proposal is tried again when its fate is unknown;
/// its identifier keeps it from being applied twice.
async fn propose(parts: &Parts, command: Command) -> Result<Outcome, Failure> {
    let bytes: [u8; 16] = crypto::random_bytes()?;
    let proposal = SignedProposal::by_node(Proposal {
        id: CommandId::parse(format!("cm-{:032x}", u128::from_be_bytes(bytes)))?,
        author: Author::Node(parts.node.clone()),
        at: parts.clock.now(),
        command,
    });
    let mut attempt = 0;
    loop {
        match parts.catalog.propose(proposal.clone()).await {
            Ok(applied) => return Ok(applied.outcome),
            Err(error) if attempt + 1 >= CALLS_MAX => {
                return Err(Failure::Catalog {
                    why: error.to_string(),
                });
            }
            Err(_) => pause(&mut attempt).await,
        }
    }
}

async fn pause(attempt: &mut u32) {
    tokio::time::sleep(PAUSE_FIRST.saturating_mul(1 << (*attempt).min(8))).await;
    *attempt += 1;
}

/// One transfer on its way in.
struct Receiving<'a> {
    parts: &'a Arc<Parts>,
    job: &'a Job,
    transfer: Transfer,
    provider: Participant,
    hosted: Arc<Hosted>,
    client: Client,
    reported: AtomicU64,
}

impl<'a> Receiving<'a> {
    fn new(parts: &'a Arc<Parts>, job: &'a Job, transfer: Transfer) -> Result<Self, Failure> {
        let missing = |what, name: &str| Failure::Missing {
            what,
            name: name.to_owned(),
        };
        let view = parts.catalog.view();
        let hosted = parts
            .hosted
            .get(&transfer.consumer)
            .map(Arc::clone)
            .ok_or_else(|| missing("hosted participant", transfer.consumer.as_str()))?;
        let provider = view
            .participant(&transfer.provider)
            .cloned()
            .ok_or_else(|| missing("participant", transfer.provider.as_str()))?;
        let dataset = view
            .dataset(&transfer.dataset)
            .ok_or_else(|| missing("dataset", transfer.dataset.as_str()))?;
        let node = view
            .node(&dataset.owner)
            .ok_or_else(|| missing("node", dataset.owner.as_str()))?;
        let client = client(node, &parts.client_tls)?;
        let reported = AtomicU64::new(0);
        Ok(Self {
            parts,
            job,
            transfer,
            provider,
            hosted,
            client,
            reported,
        })
    }

    fn journal_folder(&self) -> PathBuf {
        journal_folder(self.parts, &self.transfer.id)
    }

    /// From the offer to both receipts, under one release.
    async fn attempt(&self, is_again: bool) -> Result<(Offer, Signed<Receipt>), Failure> {
        let taken_up = if is_again { None } else { self.taken_up() };
        let (offer, journal) = match taken_up {
            Some(found) => found,
            None => self.ask().await?,
        };
        let opener = self.opener(&offer, &journal).await?;
        let journal = Arc::new(journal);
        self.fetch(&offer, &journal, opener.clone()).await?;
        let sealed_root = match &opener {
            Some(opener) => Some(self.finish(&offer, opener).await?),
            None => None,
        };
        self.step(JobStep::Verifying, offer.manifest.bytes(), &offer);
        let it = &self.transfer;
        let folder = store::folder(&it.consumer, &it.dataset, &it.grant);
        let stored = store::store(self.parts, &folder, &offer, &journal).await;
        if stored.is_err() {
            // What does not verify is not taken up again.
            let _ = std::fs::remove_dir_all(self.journal_folder());
        }
        stored?;
        let sent = self.exchange(&offer, sealed_root).await?;
        Ok((offer, sent))
    }

    /// What an earlier run of this job left, when it still fits and the release may still live.
    fn taken_up(&self) -> Option<(Offer, Journal)> {
        let folder = self.journal_folder();
        let (offered, header) = Journal::found(&folder)?;
        let offer = self.verified(&offered).ok()?;
        if offer.deadline <= self.parts.clock.now() {
            return None;
        }
        let journal = Journal::open(&folder, header, Layout::of(&offer.manifest)).ok()?;
        Some((offer, journal))
    }

    /// Asks the provider's gate.
    async fn ask(&self) -> Result<(Offer, Journal), Failure> {
        self.note(JobStep::Authorizing, 0, None);
        let request = OpenRequest {
            transfer: self.transfer.id.to_string(),
            consumer: self.transfer.consumer.to_string(),
        };
        let reply = self
            .call(|mut client| {
                let request = request.clone();
                async move { client.open(request).await }
            })
            .await?;
        let offer = self.verified(&reply.offer)?;
        let folder = self.journal_folder();
        let journal = Journal::begin(
            &folder,
            &reply.offer,
            &reply.sealed_header,
            Layout::of(&offer.manifest),
        )?;
        Ok((offer, journal))
    }

    /// The offer, when it is the provider's and answers this transfer.
    fn verified(&self, offered: &[u8]) -> Result<Offer, Failure> {
        let offer = Offer::verified(offered, &self.provider.signing)?.body;
        let (asked, manifest) = (&self.transfer, &offer.manifest);
        let fits = offer.transfer == asked.id
            && offer.provider == asked.provider
            && offer.consumer == asked.consumer
            && manifest.dataset == asked.dataset
            && manifest.version == asked.version
            && manifest.grant.as_ref() == Some(&asked.grant)
            && manifest.recipient == asked.consumer;
        if fits {
            Ok(offer)
        } else {
            Err(Failure::Rejected("the offer"))
        }
    }

    /// Opens the seal, when there is one: the offer names the header, the header names the
    /// release, and the chunks that are here already are counted in.
    async fn opener(
        &self,
        offer: &Offer,
        journal: &Journal,
    ) -> Result<Option<Arc<Opener>>, Failure> {
        let refuse = |_| Failure::Rejected("the sealed header");
        let Some(expected) = offer.sealed else {
            return Ok(None);
        };
        let header = SealedHeader::from_bytes(&journal.header).map_err(refuse)?;
        if header.digest() != expected {
            return Err(Failure::Rejected("the sealed header"));
        }
        let opener = Opener::start(&header, &self.provider.signing, &*self.hosted.unwrapper)
            .await
            .map_err(refuse)?;
        let said = opener.parameters();
        let fits = said.context == offer.release.as_str().as_bytes()
            && said.plain_bytes == offer.manifest.bytes()
            && said.schema == offer.manifest.schema;
        if !fits {
            return Err(Failure::Rejected("the sealed header"));
        }
        for (index, leaf) in journal.kept() {
            opener.resume_chunk(index, leaf).map_err(refuse)?;
        }
        Ok(Some(Arc::new(opener)))
    }

    async fn fetch(
        &self,
        offer: &Offer,
        journal: &Arc<Journal>,
        opener: Option<Arc<Opener>>,
    ) -> Result<(), Failure> {
        let bytes = offer.manifest.bytes();
        let here: u64 = journal
            .kept()
            .iter()
            .map(|(index, _)| chunk_range(bytes, *index))
            .map(|range| range.end - range.start)
            .sum();
        self.reported.store(0, Ordering::Relaxed);
        let fetch = Fetch {
            client: self.client.clone(),
            release: offer.release.clone(),
            journal: Arc::clone(journal),
            opener,
            fetched: AtomicU64::new(here),
        };
        let counted = AtomicU64::new(here);
        let count = |fetched: u64| {
            let before = counted.fetch_max(fetched, Ordering::Relaxed);
            let moved = &self.parts.options.moved;
            moved.received(fetched.saturating_sub(before));
        };
        let outcome = fetch
            .run(&|fetched| {
                count(fetched);
                if self.parts.jobs.is_cancelled(&self.job.id) {
                    return Err(Failure::Cancelled);
                }
                if fetched >= self.reported.load(Ordering::Relaxed) {
                    self.reported
                        .store(fetched + PROGRESS_BYTES, Ordering::Relaxed);
                    self.step(JobStep::Receiving, fetched, offer);
                }
                Ok(())
            })
            .await;
        count(fetch.fetched.load(Ordering::Relaxed));
        outcome
    }

    /// Fetches the stream's signed end, and holds everything that came against it.
    async fn finish(&self, offer: &Offer, opener: &Opener) -> Result<crypto::Digest, Failure> {
        let request = FinishRequest {
            release: offer.release.to_string(),
        };
        let reply = self
            .call(|mut client| {
                let request = request.clone();
                async move { client.finish(request).await }
            })
            .await?;
        let refuse = |_| Failure::Rejected("the end of the sealed stream");
        let trailer = SealedTrailer::from_bytes(&reply.trailer).map_err(refuse)?;
        opener.finish(&trailer).map_err(refuse)
    }

    /// Signs for what arrived, gets the provider's word for it, and records both: here, there and
    /// in the catalog.
    async fn exchange(
        &self,
        offer: &Offer,
        sealed_root: Option<crypto::Digest>,
    ) -> Result<Signed<Receipt>, Failure> {
        let now = self.parts.clock.now();
        let received = receipts::of(offer, ReceiptSide::Received, sealed_root, now)?;
        let received = receipts::sign(received, &*self.hosted.signer).await?;
        self.record(&received).await?;
        let request = CompleteRequest {
            release: offer.release.to_string(),
            receipt: canonical::to_bytes(&received)?,
        };
        let reply = self
            .call(|mut client| {
                let request = request.clone();
                async move { client.complete(request).await }
            })
            .await?;
        let expected = receipts::of(offer, ReceiptSide::Sent, sealed_root, now)?;
        let sent = receipts::verified(&reply.receipt, &expected, &self.provider.signing)?;
        self.record(&sent).await?;
        let command = Command::CompleteTransfer {
            transfer: self.transfer.id.clone(),
            receipts: vec![sent.clone(), received],
        };
        match propose(self.parts, command).await? {
            Outcome::Applied { .. } => Ok(sent),
            Outcome::Refused { code, detail } => Err(Failure::Catalog {
                why: format!("{code}: {detail}"),
            }),
        }
    }

    async fn record(&self, receipt: &Signed<Receipt>) -> Result<(), Failure> {
        let event = LedgerEvent::Receipt {
            receipt: Box::new(receipt.clone()),
        };
        let recorded = self
            .hosted
            .point
            .record(event, self.transfer.id.as_str())
            .await;
        recorded.map(drop).map_err(|error| Failure::NotRecorded {
            why: error.to_string(),
        })
    }

    /// One call, tried again while the provider's node does not answer.
    async fn call<T, F>(&self, call: impl Fn(Client) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    {
        let mut attempt = 0;
        loop {
            if self.parts.jobs.is_cancelled(&self.job.id) {
                return Err(Failure::Cancelled);
            }
            let answered = tokio::time::timeout(CALL_MAX, call(self.client.clone())).await;
            let failure = match answered {
                Ok(Ok(reply)) => return Ok(reply.into_inner()),
                Ok(Err(refused)) => status::understood(&refused),
                Err(_) => Failure::Unreachable {
                    why: "no answer in 30 minutes".to_owned(),
                },
            };
            match failure {
                Failure::Unreachable { .. } if attempt + 1 < CALLS_MAX => {
                    pause(&mut attempt).await;
                }
                other => return Err(other),
            }
        }
    }

    fn step(&self, step: JobStep, done: u64, offer: &Offer) {
        self.note(step, done, Some(offer.manifest.bytes()));
    }

    /// Progress is a courtesy: a job that cannot note it goes on.
    fn note(&self, step: JobStep, done: u64, total: Option<u64>) {
        let progress = Progress {
            done,
            total,
            unit: ProgressUnit::Bytes,
            step,
        };
        if let Err(error) = self.parts.jobs.progress(&self.job.id, progress) {
            tracing::debug!(job = %self.job.id, %error, "note a job's progress");
        }
    }
}
