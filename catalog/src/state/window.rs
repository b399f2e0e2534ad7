//! The idempotency window: what became of the last commands, by author and identifier.
//!
//! It does not keep what a later attempt could change: a rejected signature and an author time
//! that is off are answered anew each time. Otherwise anybody could use up an identifier by
//! sending it with a signature that does not hold.

use std::sync::Arc;

use crypto::Hasher;
use crypto::merkle::map::Place;
use schemas::CommandId;
use schemas::command::{Author, Command, Outcome, RefusalCode};

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
    let name = CommandName::of(&proposal.author, &proposal.id);
    let before = state
        .commands_by_name
        .get(&name)
        .and_then(|sequence| state.commands.get(sequence))
        .filter(|it| it.author == proposal.author && it.id == proposal.id)?;
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
        .commands
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
        let Some((sequence, oldest)) = state.commands.get_min().cloned() else {
            return;
        };
        state.commands.remove(&sequence);
        let name = CommandName::of(&oldest.author, &oldest.id);
        if state.commands_by_name.get(&name) == Some(&sequence) {
            state.commands_by_name.remove(&name);
        }
        state.digests.remove_at(Place::numbered(sequence));
        written.insert(command_key(sequence), None);
    }
}

/// What finds a remembered command: the beginning of SM3 over its author and its identifier.
///
/// The map over these is copied in part at every change, and sixteen plain bytes copy faster than
/// three shared texts. Whoever finds two commands of one name (2^64 tries) has the earlier one
/// forgotten too soon; author and identifier are compared, so it answers for no other command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CommandName([u64; 2]);

impl CommandName {
    pub(crate) fn of(author: &Author, id: &CommandId) -> Self {
        let mut hasher = Hasher::new();
        // No identifier has a slash in it, so that no two authors give the same bytes.
        let mut part = |text: &str| {
            hasher.update(text.as_bytes());
            hasher.update(b"/");
        };
        match author {
            Author::Person {
                participant,
                person,
            } => {
                part("person");
                part(participant.as_str());
                part(person.as_str());
            }
            Author::Node(node) => {
                part("node");
                part(node.as_str());
            }
        }
        part(id.as_str());
        let digest = hasher.finish();
        let (halves, _) = digest.as_bytes().as_chunks();
        Self([u64::from_be_bytes(halves[0]), u64::from_be_bytes(halves[1])])
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
