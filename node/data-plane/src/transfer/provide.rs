//! The provider's side: the gRPC service.
//!
//! It does not read tables or make decisions: the gate decides, `materialise` reads, and this
//! sends what both agreed to.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use catalog::View;
use crypto::seal::{Sealer, StreamParameters};
use crypto::{Digest, random_bytes};
use enforcement::{Ask, Granted, MeasurePermit, Permit, Release, principal};
use schemas::code::Action;
use schemas::dataset::DatasetVersion;
use schemas::decision::DecisionRequest;
use schemas::ledger_entry::LedgerEvent;
use schemas::transfer::{ReceiptSide, Transfer, TransferState};
use schemas::{ParticipantId, ReleaseId, TransferId, canonical};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::offer::{Offer, chunk_count, length};
use super::open::{Open, Opened, Releases, Shut};
use super::wire::transfers_server::{Transfers, TransfersServer};
use super::wire::{
    Chunk, ChunksRequest, CompleteReply, CompleteRequest, FinishReply, FinishRequest, OpenReply,
    OpenRequest,
};
use super::{
    BATCH_CHUNKS, BATCHES_MAX, Failure, MESSAGE_BYTES_MAX, OPENINGS_MAX, Peer, RANGE_CHUNKS_MAX,
};
use super::{receipts, status, sweep};
use crate::materialise::{Artefacts, Pinned, identities};
use crate::{Error, Hosted, Parts};

/// How long this node waits for the catalog to bring a transfer that the consumer just opened.
const TRANSFER_SEEN_MAX: Duration = Duration::from_secs(5);

/// How long a consumer may leave a stream unread before it is cut.
const UNREAD_MAX: Duration = Duration::from_secs(60);

/// Chunks between the disk and the connection.
const CHUNKS_WAITING_MAX: usize = 2;

/// The provider's side of all transfers on this node.
pub(crate) struct TransferService {
    pub(crate) parts: Arc<Parts>,
    pub(crate) artefacts: Artefacts,
    pub(crate) releases: Releases,
    openings: Semaphore,
    batches: Arc<Semaphore>,
}

/// Puts the service up, with its sweep running. Must be called within a runtime.
///
/// # Errors
/// [`Error::Io`] or [`Error::Record`] when the artefact folder cannot be used.
pub(crate) fn service(parts: Arc<Parts>) -> Result<Arc<TransferService>, Error> {
    let artefacts = Artefacts::open(&parts.dir)?;
    let service = Arc::new(TransferService {
        parts,
        artefacts,
        releases: Releases::default(),
        openings: Semaphore::new(OPENINGS_MAX),
        batches: Arc::new(Semaphore::new(BATCHES_MAX)),
    });
    tokio::spawn(sweep::run(Arc::downgrade(&service)));
    Ok(service)
}

impl TransferService {
    /// The gRPC routes of this service.
    pub(crate) fn routes(self: &Arc<Self>) -> tonic::service::Routes {
        let server = TransfersServer::from_arc(Arc::clone(self))
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        tonic::service::Routes::new(server)
    }

    /// Ends every release, and records it.
    pub(crate) async fn close(&self) {
        self.releases.close().await;
    }

    async fn offer(&self, peer: Digest, request: OpenRequest) -> Result<OpenReply, Status> {
        let transfer = parsed(TransferId::parse(request.transfer))?;
        let consumer = parsed(ParticipantId::parse(request.consumer))?;
        let asked = self.asked(&transfer).await?;
        if asked.consumer != consumer || asked.state == TransferState::Completed {
            return Err(Status::not_found(
                "no such transfer is open for this consumer",
            ));
        }
        let hosted = self
            .parts
            .hosted
            .get(&asked.provider)
            .map(Arc::clone)
            .ok_or_else(|| Status::not_found("the provider is not hosted here"))?;
        let view = self.parts.catalog.view();
        let granted = granted(&self.parts, &view, &hosted, (&peer, &asked)).await?;
        // Only now: a revocation terminates its transfers, and it is the gate's to say so.
        if !matches!(
            asked.state,
            TransferState::Requested | TransferState::Started
        ) {
            return Err(Status::not_found("the transfer is not open any more"));
        }
        let version = view
            .version(&asked.dataset, asked.version)
            .ok_or_else(|| Status::not_found("no such version"))?;
        let permit = match granted {
            Granted::Permit(permit) => *permit,
            Granted::Measure(first) => {
                let counted = self.counted(&hosted, &view, *first, &version.body);
                Box::pin(counted).await?
            }
        };
        let pinned = self
            .artefacts
            .pin(&permit, &version.body)
            .await
            .map_err(|error| status::failed(&error.into()))?;
        let policy = permit.facts().policy.digest;
        let release = hosted
            .point
            .release(permit, pinned.for_transfer(&transfer))
            .await
            .map_err(|refusal| status::refused(&refusal))?;
        let node = view
            .node_by_transport_key(&peer)
            .map(|node| node.id.clone());
        let node = node.ok_or_else(|| Status::unauthenticated("the peer is no node any more"))?;
        let claim = Claim {
            peer,
            node,
            asked,
            hosted,
            policy,
        };
        self.take_up(claim, release, pinned).await
    }

    /// Counts the persons that would leave, and asks the gate once more.
    async fn counted(
        &self,
        hosted: &Hosted,
        view: &View,
        first: MeasurePermit,
        version: &DatasetVersion,
    ) -> Result<Permit, Status> {
        let card = view.dataset(&version.dataset);
        let standard = card
            .and_then(|card| view.standard(&card.standard))
            .ok_or_else(|| Status::not_found("no such standard"))?;
        let identities = identities(standard).map_err(|error| status::failed(&error.into()))?;
        let point = &hosted.point;
        let count = point
            .count(&first)
            .map_err(|refusal| status::refused(&refusal))?;
        let count = self
            .artefacts
            .count(&first, version, &identities, count)
            .await
            .map_err(|error| status::failed(&error.into()))?;
        let second = point.measured(first, count).await;
        second.map_err(|refusal| status::refused(&refusal))
    }

    /// The transfer of that identifier, once this replica has it.
    async fn asked(&self, id: &TransferId) -> Result<Transfer, Status> {
        let mut changed = self.parts.catalog.changed();
        let seen = tokio::time::timeout(TRANSFER_SEEN_MAX, async {
            loop {
                changed.mark_unchanged();
                if let Some(transfer) = self.parts.catalog.view().transfer(id) {
                    return Some(transfer.clone());
                }
                changed.changed().await.ok()?;
            }
        });
        match seen.await {
            Ok(Some(transfer)) => Ok(transfer),
            Ok(None) | Err(_) => Err(Status::not_found("no such transfer")),
        }
    }

    async fn take_up(
        &self,
        claim: Claim,
        release: Release,
        pinned: Arc<Pinned>,
    ) -> Result<OpenReply, Status> {
        let failed = |failure: Failure| status::failed(&failure);
        let (sealer, header) = self
            .sealed(&claim, &release, &pinned)
            .await
            .map_err(failed)?
            .map_or((None, None), |(sealer, header)| {
                (Some(sealer), Some(header))
            });
        let offer = Offer {
            transfer: claim.asked.id.clone(),
            release: release.id().clone(),
            provider: claim.asked.provider.clone(),
            consumer: claim.asked.consumer.clone(),
            manifest: pinned.manifest.clone(),
            chunk_count: chunk_count(pinned.manifest.bytes()),
            sealed: header.as_ref().map(crypto::seal::SealedHeader::digest),
            deadline: release.deadline(),
        };
        let signed = offer
            .clone()
            .sign(&*claim.hosted.signer)
            .await
            .map_err(failed)?;
        let offered = canonical::to_bytes(&signed).map_err(|it| failed(it.into()))?;
        let sealed_header = match &header {
            Some(header) => header.to_bytes().map_err(|it| failed(it.into()))?,
            None => Vec::new(),
        };
        let opened = Opened {
            peer: claim.peer,
            node: claim.node,
            hosted: claim.hosted,
            pinned,
            offer,
            sealer,
        };
        let open = Open::new(opened, release, self.parts.clock.now());
        match self.releases.insert(Arc::new(open)) {
            Ok(Some(replaced)) => replaced.abort().await,
            Ok(None) => {}
            Err(super::open::Full) => return Err(busy()),
        }
        Ok(OpenReply {
            offer: offered,
            sealed_header,
        })
    }

    async fn sealed(
        &self,
        claim: &Claim,
        release: &Release,
        pinned: &Pinned,
    ) -> Result<Option<(Sealer, crypto::seal::SealedHeader)>, Failure> {
        if !release.obligations().seal {
            return Ok(None);
        }
        let view = self.parts.catalog.view();
        let consumer = &claim.asked.consumer;
        let recipient = view.participant(consumer).ok_or_else(|| Failure::Missing {
            what: "participant",
            name: consumer.to_string(),
        })?;
        let parameters = StreamParameters {
            stream_id: random_bytes()?,
            schema: pinned.manifest.schema,
            policy: claim.policy,
            plain_bytes: pinned.manifest.bytes(),
            created_at_ms: self.parts.clock.now().millis(),
            context: release.id().as_str().as_bytes().to_vec(),
        };
        let recipients = [recipient.encryption.clone()];
        Ok(Some(
            Sealer::start(parameters, &recipients, &*claim.hosted.signer).await?,
        ))
    }

    /// The release, for the peer that opened it; what ended it when it has ended.
    fn usable(&self, release: String, peer: &Digest) -> Result<Arc<Open>, Status> {
        let id = parsed(ReleaseId::parse(release))?;
        let gone = || status::failed(&Failure::ReleaseGone);
        let open = self.releases.find(&id, peer).ok_or_else(gone)?;
        open.touch(self.parts.clock.now());
        Ok(open)
    }

    async fn receive_receipt(&self, open: &Open, receipt: &[u8]) -> Result<Vec<u8>, Failure> {
        let now = self.parts.clock.now();
        let offer = &open.offer;
        let root = open.sealed_root();
        if offer.sealed.is_some() && root.is_none() {
            return Err(Failure::Rejected("a receipt before the stream's end"));
        }
        let view = self.parts.catalog.view();
        let consumer = view
            .participant(&offer.consumer)
            .ok_or_else(|| Failure::Missing {
                what: "participant",
                name: offer.consumer.to_string(),
            })?;
        let expected = receipts::of(offer, ReceiptSide::Received, root, now)?;
        let received = receipts::verified(receipt, &expected, &consumer.signing)?;
        let sent = receipts::of(offer, ReceiptSide::Sent, root, now)?;
        let sent = receipts::sign(sent, &*open.hosted.signer).await?;
        let trace = offer.transfer.as_str();
        for receipt in [received, sent.clone()] {
            let event = LedgerEvent::Receipt {
                receipt: Box::new(receipt),
            };
            open.hosted
                .point
                .record(event, trace)
                .await
                .map_err(|error| Failure::NotRecorded {
                    why: error.to_string(),
                })?;
        }
        let answer = canonical::to_bytes(&sent)?;
        open.complete(answer.clone()).await;
        Ok(answer)
    }
}

/// Asks the provider's gate on behalf of the peer. It judges what the peer claims; a claim that
/// does not hold is refused there, and so stands in the ledger.
async fn granted(
    parts: &Parts,
    view: &View,
    hosted: &Hosted,
    (peer, asked): (&Digest, &Transfer),
) -> Result<Granted, Status> {
    let grant = view
        .grant(&asked.grant)
        .ok_or_else(|| Status::not_found("no such grant"))?;
    let principal = principal::claimed_by_peer(view, peer, &asked.consumer)
        .map_err(|error| Status::unauthenticated(error.to_string()))?;
    // Rows go where the grant says that they are used; a consumer seated outside the mainland takes
    // them there whatever the grant says.
    let destination = if principal.jurisdiction.is_mainland() {
        grant.destination
    } else {
        principal.jurisdiction
    };
    let request = DecisionRequest {
        destination,
        principal,
        action: Action::DatasetRead,
        dataset: Some(asked.dataset.clone()),
        record: Some(asked.grant.to_string()),
        purpose: Some(grant.purpose.clone()),
        columns: None,
        at: parts.clock.now(),
    };
    let ask = Ask {
        trace: asked.id.to_string(),
        grant: Some(asked.grant.clone()),
    };
    let answer = hosted.point.authorize_transfer(request, ask).await;
    answer.map_err(|refusal| status::refused(&refusal))
}

/// What was claimed and granted, on its way to an open release.
struct Claim {
    peer: Digest,
    node: schemas::NodeId,
    asked: Transfer,
    hosted: Arc<Hosted>,
    policy: Digest,
}

#[tonic::async_trait]
impl Transfers for TransferService {
    async fn open(&self, request: Request<OpenRequest>) -> Result<Response<OpenReply>, Status> {
        let peer = peer(&request)?;
        let _turn = self.openings.try_acquire().map_err(|_| busy())?;
        if !self.releases.has_room(&peer) {
            return Err(busy());
        }
        let reply = Box::pin(self.offer(peer, request.into_inner())).await?;
        Ok(Response::new(reply))
    }

    type ChunksStream = ReceiverStream<Result<Chunk, Status>>;

    async fn chunks(
        &self,
        request: Request<ChunksRequest>,
    ) -> Result<Response<Self::ChunksStream>, Status> {
        let peer = peer(&request)?;
        let ChunksRequest { release, from, to } = request.into_inner();
        let open = self.usable(release, &peer)?;
        if from >= to || to > open.offer.chunk_count || to - from > RANGE_CHUNKS_MAX {
            return Err(Status::invalid_argument(format!(
                "ask for 1 to {RANGE_CHUNKS_MAX} chunks below {}",
                open.offer.chunk_count
            )));
        }
        let turn = Arc::clone(&open.streams)
            .try_acquire_owned()
            .map_err(|_| busy())?;
        allowed(&open).await?;
        let (sender, receiver) = mpsc::channel(CHUNKS_WAITING_MAX);
        let parts = Arc::clone(&self.parts);
        let batches = Arc::clone(&self.batches);
        tokio::spawn(send_range(open, parts, from..to, sender, (turn, batches)));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn finish(
        &self,
        request: Request<FinishRequest>,
    ) -> Result<Response<FinishReply>, Status> {
        let peer = peer(&request)?;
        let open = self.usable(request.into_inner().release, &peer)?;
        // Whoever lost the last answer goes through the end once more.
        if open.completed().is_none() {
            allowed(&open).await?;
        }
        let trailer = open.trailer().await.map_err(|failure| match failure {
            Failure::Key(crypto::Error::Unfinished { missing, .. }) => {
                Status::failed_precondition(format!("{missing} chunks were not sent yet"))
            }
            other => status::failed(&other),
        })?;
        let trailer = match trailer {
            Some(trailer) => trailer
                .to_bytes()
                .map_err(|it| status::failed(&it.into()))?,
            None => Vec::new(),
        };
        Ok(Response::new(FinishReply { trailer }))
    }

    async fn complete(
        &self,
        request: Request<CompleteRequest>,
    ) -> Result<Response<CompleteReply>, Status> {
        let peer = peer(&request)?;
        let CompleteRequest { release, receipt } = request.into_inner();
        let open = self.usable(release, &peer)?;
        // An answer that was lost on the way is given again.
        if let Some(receipt) = open.completed() {
            return Ok(Response::new(CompleteReply { receipt }));
        }
        allowed(&open).await?;
        let receipt = Box::pin(self.receive_receipt(&open, &receipt))
            .await
            .map_err(|failure| status::failed(&failure))?;
        Ok(Response::new(CompleteReply { receipt }))
    }
}

/// Sends one range, asking the release before every chunk. Chunks are made some at a time, so that
/// at most [`BATCH_CHUNKS`] of them wait here for the line.
async fn send_range(
    open: Arc<Open>,
    parts: Arc<Parts>,
    range: std::ops::Range<u64>,
    sender: mpsc::Sender<Result<Chunk, Status>>,
    (_turn, batches): (OwnedSemaphorePermit, Arc<Semaphore>),
) {
    let end = range.end;
    let mut made: VecDeque<Vec<u8>> = VecDeque::new();
    let mut seat = None;
    for index in range {
        if let Err(refused) = allowed(&open).await {
            let _ = tokio::time::timeout(UNREAD_MAX, sender.send(Err(refused))).await;
            return;
        }
        if made.is_empty() {
            drop(seat.take());
            seat = Arc::clone(&batches).try_acquire_owned().ok();
            // With many streams at one time they take turns at large batches.
            let most = seat.as_ref().map_or(1, |_| length(BATCH_CHUNKS));
            let batch = index..end.min(index + most);
            let maker = Arc::clone(&open);
            made = match tokio::task::spawn_blocking(move || maker.chunks(batch)).await {
                Ok(Ok(contents)) => contents.into(),
                Ok(Err(failure)) => {
                    let _ = sender.try_send(Err(status::failed(&failure)));
                    return;
                }
                Err(_) => return,
            };
        }
        let Some(content) = made.pop_front() else {
            return;
        };
        let bytes = length(content.len());
        let sent = sender.send(Ok(Chunk { index, content }));
        match tokio::time::timeout(UNREAD_MAX, sent).await {
            Ok(Ok(())) => {
                open.sent(bytes, parts.clock.now());
                parts.options.moved.sent(bytes);
            }
            // The consumer went away or does not read; it may come again for the rest.
            Ok(Err(_)) | Err(_) => return,
        }
        tokio::time::sleep(parts.options.send_rate.pause(bytes)).await;
    }
}

/// Whether the release may be used now. A refusal ends it on the spot.
async fn allowed(open: &Open) -> Result<(), Status> {
    match open.check() {
        Ok(()) => Ok(()),
        Err(Shut::Gone) => Err(status::failed(&Failure::ReleaseGone)),
        Err(Shut::Refused(refusal)) => {
            let answer = status::refused(&refusal);
            tracing::info!(release = %open.offer.release, node = %open.node, %refusal, "stop");
            open.refuse(refusal).await;
            Err(answer)
        }
    }
}

/// Who calls, by the certificate of the connection.
fn peer<T>(request: &Request<T>) -> Result<Digest, Status> {
    let peer = request.extensions().get::<Peer>().and_then(|peer| peer.0);
    peer.ok_or_else(|| Status::unauthenticated("show the certificate of a node of the federation"))
}

fn parsed<T>(read: Result<T, schemas::Error>) -> Result<T, Status> {
    read.map_err(|error| Status::invalid_argument(error.to_string()))
}

fn busy() -> Status {
    Status::resource_exhausted("too much at one time; try again in a minute")
}
