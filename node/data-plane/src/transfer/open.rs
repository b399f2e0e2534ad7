//! The releases that are open on this node: who may use them, and how they end.
//!
//! It does not survive a restart, on purpose: a restart needs a new permit.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use catalog::View;
use crypto::Digest;
use crypto::seal::{SealedTrailer, Sealer};
use enforcement::{Refusal, Release};
use schemas::ledger_entry::{LedgerIndex, ReleaseOutcome};
use schemas::transfer::TransferState;
use schemas::{NodeId, ReleaseId, Timestamp};
use tokio::sync::Semaphore;

use super::offer::Offer;
use super::{Failure, RELEASE_IDLE_MAX_MS, RELEASES_MAX, RELEASES_PER_PEER_MAX};
use super::{STREAMS_PER_RELEASE_MAX, chunks};
use crate::Hosted;
use crate::materialise::Pinned;

/// One open release.
pub(crate) struct Open {
    /// The only peer that may use it: SM3 of its certificate's key.
    pub(crate) peer: Digest,
    /// That peer's node.
    pub(crate) node: NodeId,
    pub(crate) hosted: Arc<Hosted>,
    pub(crate) pinned: Arc<Pinned>,
    pub(crate) offer: Offer,
    pub(crate) sealer: Option<Sealer>,
    /// Ranges that are being sent.
    pub(crate) streams: Arc<Semaphore>,
    release: Mutex<Option<Release>>,
    end: Mutex<Option<End>>,
    trailer: Mutex<Option<SealedTrailer>>,
    /// Milliseconds since the epoch of the last use.
    touched: AtomicI64,
}

/// How a release ended, for whoever asks again.
#[derive(Clone)]
enum End {
    Refused(Refusal),
    /// With the provider's signed receipt, as it was sent.
    Completed(Vec<u8>),
    Gone,
}

/// What an open release is made of.
pub(crate) struct Opened {
    pub(crate) peer: Digest,
    pub(crate) node: NodeId,
    pub(crate) hosted: Arc<Hosted>,
    pub(crate) pinned: Arc<Pinned>,
    pub(crate) offer: Offer,
    pub(crate) sealer: Option<Sealer>,
}

/// Why a release does not serve.
pub(crate) enum Shut {
    Refused(Refusal),
    Gone,
}

impl Open {
    pub(crate) fn new(opened: Opened, release: Release, now: Timestamp) -> Self {
        let Opened {
            peer,
            node,
            hosted,
            pinned,
            offer,
            sealer,
        } = opened;
        Self {
            peer,
            node,
            hosted,
            pinned,
            offer,
            sealer,
            streams: Arc::new(Semaphore::new(STREAMS_PER_RELEASE_MAX)),
            release: Mutex::new(Some(release)),
            end: Mutex::new(None),
            trailer: Mutex::new(None),
            touched: AtomicI64::new(now.millis()),
        }
    }

    /// Whether the next bytes may leave.
    pub(crate) fn check(&self) -> Result<(), Shut> {
        if let Some(release) = &*locked(&self.release) {
            return release.check().map_err(Shut::Refused);
        }
        Err(match &*locked(&self.end) {
            Some(End::Refused(refusal)) => Shut::Refused(refusal.clone()),
            Some(End::Completed(_) | End::Gone) | None => Shut::Gone,
        })
    }

    /// The bytes of neighbouring chunks as they leave: read, and sealed when the release asks for
    /// it. Blocks.
    pub(crate) fn chunks(&self, range: Range<u64>) -> Result<Vec<Vec<u8>>, Failure> {
        // From here on its persons count as sent; what has ended makes no chunk any more.
        match &*locked(&self.release) {
            Some(release) => release.begin_sending(),
            None => return Err(Failure::ReleaseGone),
        }
        let first = range.start;
        let read = |index| chunks::read_chunk(&self.pinned.dir, &self.pinned.manifest, index);
        let plain: Vec<Vec<u8>> = range.map(read).collect::<Result<_, _>>()?;
        match &self.sealer {
            Some(sealer) => Ok(sealer.seal_chunks(first, plain)?),
            None => Ok(plain),
        }
    }

    /// Counts bytes that left, and that somebody is still there.
    pub(crate) fn sent(&self, bytes: u64, now: Timestamp) {
        self.touch(now);
        if let Some(release) = &*locked(&self.release) {
            release.count(bytes);
        }
    }

    pub(crate) fn touch(&self, now: Timestamp) {
        self.touched.store(now.millis(), Ordering::Relaxed);
    }

    fn is_idle(&self, now: Timestamp) -> bool {
        let touched = Timestamp::from_millis(self.touched.load(Ordering::Relaxed));
        now.millis_since(touched) > RELEASE_IDLE_MAX_MS
    }

    /// The signed end of the sealed stream; made once.
    pub(crate) async fn trailer(&self) -> Result<Option<SealedTrailer>, Failure> {
        if let Some(trailer) = &*locked(&self.trailer) {
            return Ok(Some(trailer.clone()));
        }
        let Some(sealer) = &self.sealer else {
            return Ok(None);
        };
        let trailer = sealer.finish(&*self.hosted.signer).await?;
        *locked(&self.trailer) = Some(trailer.clone());
        Ok(Some(trailer))
    }

    /// The root over the sealed chunks, once the trailer was made.
    pub(crate) fn sealed_root(&self) -> Option<Digest> {
        locked(&self.trailer).as_ref().map(|trailer| trailer.root)
    }

    /// The receipt that was sent when the release was completed.
    pub(crate) fn completed(&self) -> Option<Vec<u8>> {
        match &*locked(&self.end) {
            Some(End::Completed(receipt)) => Some(receipt.clone()),
            Some(End::Refused(_) | End::Gone) | None => None,
        }
    }

    /// Ends the release because the gate said so; the ledger then says how.
    pub(crate) async fn refuse(&self, refusal: Refusal) {
        let outcome = locked(&self.release).as_ref().and_then(Release::stopped_as);
        // A stale view may become fresh again; the release lives on.
        let Some(outcome) = outcome else { return };
        self.end(End::Refused(refusal), outcome).await;
    }

    /// Ends the release after the last receipt.
    pub(crate) async fn complete(&self, receipt: Vec<u8>) -> Option<LedgerIndex> {
        self.end(End::Completed(receipt), ReleaseOutcome::Completed)
            .await
    }

    /// Ends the release because nobody uses it any more.
    pub(crate) async fn abort(&self) {
        self.end(End::Gone, ReleaseOutcome::Aborted).await;
    }

    async fn end(&self, end: End, outcome: ReleaseOutcome) -> Option<LedgerIndex> {
        let release = {
            let mut slot = locked(&self.release);
            let release = slot.take()?;
            *locked(&self.end) = Some(end);
            release
        };
        let (id, sent) = (release.id().clone(), release.sent());
        match release.end(sent, outcome).await {
            Ok(index) => Some(index),
            Err(error) => {
                tracing::error!(%error, release = %id, "record the end of a release");
                None
            }
        }
    }

    fn is_live(&self) -> bool {
        locked(&self.release).is_some()
    }
}

/// All open releases of the node.
#[derive(Default)]
pub(crate) struct Releases {
    open: Mutex<BTreeMap<ReleaseId, Arc<Open>>>,
}

/// Why no further release is opened.
pub(crate) struct Full;

impl Releases {
    /// Whether `peer` may open another one now.
    pub(crate) fn has_room(&self, peer: &Digest) -> bool {
        let open = locked(&self.open);
        let live = || open.values().filter(|it| it.is_live());
        live().count() < RELEASES_MAX
            && live().filter(|it| it.peer == *peer).count() < RELEASES_PER_PEER_MAX
    }

    /// Takes a release up. Returns the one that it replaces: of one transfer only the newest
    /// release serves.
    pub(crate) fn insert(&self, new: Arc<Open>) -> Result<Option<Arc<Open>>, Full> {
        let mut open = locked(&self.open);
        let replaced = open
            .values()
            .find(|it| it.peer == new.peer && it.offer.transfer == new.offer.transfer)
            .map(Arc::clone);
        if let Some(replaced) = &replaced {
            open.remove(&replaced.offer.release);
        }
        // Ended ones stay for a while, so twice the number may lie here.
        if open.len() >= 2 * RELEASES_MAX {
            return Err(Full);
        }
        open.insert(new.offer.release.clone(), new);
        Ok(replaced)
    }

    /// The release, for the peer that opened it and for nobody else: to others it is not there.
    pub(crate) fn find(&self, id: &ReleaseId, peer: &Digest) -> Option<Arc<Open>> {
        locked(&self.open)
            .get(id)
            .filter(|it| it.peer == *peer)
            .map(Arc::clone)
    }

    /// Asks the gate about every release, and lets go of what nobody uses: what rests, and what
    /// either side terminated.
    pub(crate) async fn sweep(&self, view: &View, now: Timestamp) {
        let all: Vec<Arc<Open>> = locked(&self.open).values().map(Arc::clone).collect();
        for open in all {
            if let Err(Shut::Refused(refusal)) = open.check() {
                open.refuse(refusal).await;
            }
            let transfer = view.transfer(&open.offer.transfer);
            if transfer.is_none_or(|it| it.state == TransferState::Terminated) {
                open.abort().await;
            }
            if open.is_idle(now) {
                open.abort().await;
                locked(&self.open).remove(&open.offer.release);
            }
        }
    }

    /// Ends everything, for a shutdown that leaves no release without its end.
    pub(crate) async fn close(&self) {
        let all = std::mem::take(&mut *locked(&self.open));
        for open in all.values() {
            open.abort().await;
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that runs under these locks can leave half a value behind.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
