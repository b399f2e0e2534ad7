//! The idempotency window: what became of the last commands, by author and identifier.
//!
//! It does not keep what a later attempt could change: a rejected signature and an author time
//! that is off are answered anew each time. Otherwise anybody could use up an identifier by
//! sending it with a signature that does not hold.

use std::sync::Arc;

use schemas::command::{Command, Outcome, RefusalCode};

use super::limits::REMEMBERED_COMMANDS_MAX;
use super::record::{Record, RememberedCommand, command_key};
use super::refusal::Refusal;
use super::signature::VerifiedProposal;
use super::store::State;
use super::{Change, Written};

/// The answer to a command that was answered before.
pub(crate) fn answer(state: &State, it: &VerifiedProposal) -> Option<Outcome> {
    #[cfg(test)]
    if crate::raft::sim::ignores_the_window() {
        return None;
    }
    let proposal = it.proposal();
    let before = state
        .commands
        .get(&command_key(&proposal.author, &proposal.id))?;
    Some(if before.digest == it.digest() {
        before.outcome.clone()
    } else {
        Refusal::conflict(format!(
            "command {} was used for another proposal; choose a new identifier",
            proposal.id
        ))
        .into()
    })
}

/// Keeps an outcome for retries and lets the oldest go.
pub(crate) fn remember(
    state: &mut State,
    it: &VerifiedProposal,
    outcome: &Outcome,
    written: &mut Written,
) {
    let proposal = it.proposal();
    if !is_remembered(&proposal.command, outcome) {
        return;
    }
    let sequence = state
        .commands_by_age
        .get_max()
        .map_or(0, |(sequence, _)| *sequence)
        + 1;
    let remembered = Record::Command(Arc::new(RememberedCommand {
        author: proposal.author.clone(),
        id: proposal.id.clone(),
        digest: it.digest(),
        outcome: outcome.clone(),
        sequence,
    }));
    // Identifiers, a digest and a sentence always have a canonical form.
    if state
        .commit(Change::new(0, vec![remembered]), written)
        .is_err()
    {
        return;
    }
    while state.commands.len() > REMEMBERED_COMMANDS_MAX {
        let Some((sequence, key)) = state.commands_by_age.get_min().cloned() else {
            return;
        };
        state.commands_by_age.remove(&sequence);
        state.commands.remove(&key);
        state.digests.remove(key.as_str().as_bytes());
        written.insert(key, None);
    }
}

fn is_remembered(command: &Command, outcome: &Outcome) -> bool {
    // A tick comes every second and moves nothing when it is repeated.
    if matches!(command, Command::Tick { .. }) {
        return false;
    }
    match outcome {
        Outcome::Applied { .. } => true,
        Outcome::Refused { code, .. } => match code {
            RefusalCode::SignatureRejected | RefusalCode::ClockSkew => false,
            RefusalCode::NotFound
            | RefusalCode::Conflict
            | RefusalCode::NotAllowed
            | RefusalCode::Invalid
            | RefusalCode::WrongState => true,
        },
    }
}
