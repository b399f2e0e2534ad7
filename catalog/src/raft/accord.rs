//! Members compare their state digests at indexes that both have applied, and name the first record
//! that differs.
//!
//! It does not repair anything and does not say who is right: an operator compares the record with
//! its signature, on both members and a third. Raft tolerates crashes and not lies, and neither
//! notices a defect of ours, a bit that flipped in memory, or a member whose disk somebody edited.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use crypto::Digest;
use futures::future::BoxFuture;
use tokio::sync::watch;

use crate::raft::blocking::blocking;
use crate::raft::member::Member;
use crate::raft::peers::CallFailure;
use crate::raft::published::Published;
use crate::raft::wire::proto;
use crate::state::{Difference, PARTS, Part, State, differing_part, first_difference};

/// Two members that have applied the same entries and have not the same records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The Raft number of the other one.
    pub member: u64,
    /// The log index at which both were compared.
    pub index: u64,
    /// The first record that differs; none when the records are alike and only one of the members
    /// could not say so.
    pub difference: Option<Difference>,
}

/// What comparing has shown so far.
#[derive(Debug, Default)]
pub(crate) struct Accord {
    found: Mutex<Found>,
}

#[derive(Debug, Default)]
struct Found {
    agreed: Option<u64>,
    divergence: Option<Divergence>,
}

impl Accord {
    /// The newest index at which another member had the same digest.
    pub(crate) fn agreed(&self) -> Option<u64> {
        self.found().agreed
    }

    /// The first divergence since this member started.
    pub(crate) fn divergence(&self) -> Option<Divergence> {
        self.found().divergence.clone()
    }

    fn agreed_at(&self, index: u64) {
        let mut found = self.found();
        found.agreed = found.agreed.max(Some(index));
    }

    fn diverged(&self, divergence: Divergence) {
        let mut found = self.found();
        if found.divergence.is_none() {
            tracing::error!(
                ?divergence,
                "two members differ at one index; compare the record"
            );
            found.divergence = Some(divergence);
        }
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a member is asked: one of the three.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// The digest at the newest of these indexes that is kept.
    Digest(Vec<u64>),
    /// The digest of each part at an index.
    Parts(u64),
    /// The records of one part at an index.
    Part(u64, u8),
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing is kept of that.
    Gone,
    Digest(u64, Digest),
    Parts(Vec<Digest>),
    Part(Part),
}

/// Answers out of what is kept. Walks over all records for a part.
pub(crate) fn answer(published: &Published, ask: &Ask) -> Answer {
    match ask {
        Ask::Digest(indexes) => {
            let newest = indexes.iter().filter_map(|index| published.kept(*index));
            match newest.max_by_key(State::applied) {
                Some(state) => Answer::Digest(state.applied(), state.digest()),
                None => Answer::Gone,
            }
        }
        Ask::Parts(index) => match published.kept(*index) {
            Some(state) => Answer::Parts(state.part_digests()),
            None => Answer::Gone,
        },
        Ask::Part(index, number) => match published.kept(*index) {
            Some(state) => {
                let part = state.part(*number).into_iter();
                Answer::Part(part.take(PART_ENTRIES_MAX).collect())
            }
            None => Answer::Gone,
        },
    }
}

/// Compares this member's states with another's. None when they have no index in common now.
pub(crate) async fn compare<'a>(
    published: &Published,
    member: u64,
    ask: impl Fn(Ask) -> BoxFuture<'a, Result<Answer, CallFailure>>,
) -> Result<Option<Result<u64, Divergence>>, CallFailure> {
    let Answer::Digest(index, theirs) = ask(Ask::Digest(published.kept_indexes())).await? else {
        return Ok(None);
    };
    let Some(state) = published.kept(index) else {
        return Ok(None);
    };
    if state.digest() == theirs {
        return Ok(Some(Ok(index)));
    }
    let mut divergence = Divergence {
        member,
        index,
        difference: None,
    };
    if let Answer::Parts(theirs) = ask(Ask::Parts(index)).await?
        && let Some(number) = differing_part(&state.part_digests(), &theirs)
        && let Answer::Part(theirs) = ask(Ask::Part(index, number)).await?
    {
        divergence.difference = first_difference(&state.part(number), &theirs);
    }
    Ok(Some(Err(divergence)))
}

/// Compares with each other voter in turn until `stop`.
pub(crate) async fn run(member: Arc<Member>, every: Duration, mut stop: watch::Receiver<bool>) {
    let mut turn = 0_usize;
    loop {
        tokio::select! {
            () = tokio::time::sleep(every) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let others = others(&member);
        let Some((number, address)) = others.get(turn % others.len().max(1)) else {
            continue;
        };
        turn = turn.wrapping_add(1);
        let peers = &member.peers;
        let ask = |ask: Ask| -> BoxFuture<'_, Result<Answer, CallFailure>> {
            Box::pin(async move { peers.compare_states(*number, address, &ask).await })
        };
        match compare(&member.published, *number, ask).await {
            Ok(Some(Ok(index))) => member.accord.agreed_at(index),
            Ok(Some(Err(divergence))) => member.accord.diverged(divergence),
            Ok(None) => {}
            Err(why) => tracing::debug!(%why, number, "a member did not compare its state"),
        }
    }
}

fn others(member: &Member) -> Vec<(u64, String)> {
    let metrics = member.raft.server_metrics();
    let metrics = metrics.borrow();
    let membership = metrics.membership_config.membership();
    let nodes = membership
        .nodes()
        .filter(|(number, _)| **number != member.me);
    nodes
        .map(|(number, node)| (*number, node.addr.clone()))
        .collect()
}

/// Answers on a thread that may block.
pub(crate) async fn answer_message(
    published: Arc<Published>,
    message: proto::CompareRequest,
) -> Result<proto::CompareReply, crate::Error> {
    let ask = ask_from(message)?;
    let answer = blocking("compare states", move || answer(&published, &ask)).await?;
    Ok(answer_to(answer))
}

pub(crate) fn ask_to(ask: &Ask) -> proto::CompareRequest {
    let (indexes, parts, part) = match ask {
        Ask::Digest(indexes) => (indexes.clone(), false, None),
        Ask::Parts(index) => (vec![*index], true, None),
        Ask::Part(index, number) => (vec![*index], false, Some(u32::from(*number))),
    };
    proto::CompareRequest {
        indexes,
        parts,
        part,
    }
}

fn ask_from(message: proto::CompareRequest) -> Result<Ask, crate::Error> {
    let malformed = |why| crate::Error::malformed("comparison", why);
    if message.indexes.len() > STATES_KEPT {
        return Err(malformed("it names more indexes than are kept"));
    }
    let first = message.indexes.first().copied();
    match (message.parts, message.part) {
        (false, None) => Ok(Ask::Digest(message.indexes)),
        (true, None) => first.map(Ask::Parts).ok_or_else(|| malformed("no index")),
        (false, Some(number)) => {
            let number = u8::try_from(number).map_err(|_| malformed("no such part"))?;
            let index = first.ok_or_else(|| malformed("no index"))?;
            Ok(Ask::Part(index, number))
        }
        (true, Some(_)) => Err(malformed("it asks for two things")),
    }
}

fn answer_to(answer: Answer) -> proto::CompareReply {
    let bytes = |digest: Digest| Bytes::copy_from_slice(digest.as_bytes());
    let mut reply = proto::CompareReply::default();
    match answer {
        Answer::Gone => {}
        Answer::Digest(index, digest) => {
            reply.index = index;
            reply.digests = vec![bytes(digest)];
        }
        Answer::Parts(parts) => reply.digests = parts.into_iter().map(bytes).collect(),
        Answer::Part(part) => {
            for (key, digest) in part {
                reply.keys.push(key);
                reply.digests.push(bytes(digest));
            }
        }
    }
    reply
}

/// Reads an answer to `ask`; one that does not fit is as good as none.
pub(crate) fn answer_from(ask: &Ask, reply: proto::CompareReply) -> Answer {
    let digests: Option<Vec<Digest>> = reply
        .digests
        .iter()
        .map(|bytes| bytes.as_ref().try_into().ok().map(Digest::from_bytes))
        .collect();
    let digests = digests.unwrap_or_default();
    match ask {
        Ask::Digest(_) => match digests.first() {
            Some(digest) => Answer::Digest(reply.index, *digest),
            None => Answer::Gone,
        },
        Ask::Parts(_) if digests.len() == PARTS => Answer::Parts(digests),
        Ask::Part(..) if digests.len() == reply.keys.len() => {
            Answer::Part(reply.keys.into_iter().zip(digests).collect())
        }
        Ask::Parts(_) | Ask::Part(..) => Answer::Gone,
    }
}

/// States that a member keeps for comparing. They share what has not changed; two members that
/// apply at the same pace have most of these indexes in common.
pub(crate) const STATES_KEPT: usize = 64;

/// Records of one part in an answer: 4 MiB, and far more than a part of a million records has.
const PART_ENTRIES_MAX: usize = 20_000;

#[cfg(test)]
mod tests;
