//! A command has one outcome, however often it comes: in the log, and as its author is told.
//!
//! Source: `state/window.rs`; idempotency is what makes a repeated proposal safe. It catches a
//! command that is decided twice. It does not see what the command changed.
//!
//! A signature that does not hold and an author's clock that is off are answered anew each time;
//! and a client of this simulation signs what it proposes, so nobody may call that unsigned.

use std::collections::BTreeMap;

use schemas::CommandId;
use schemas::command::{Outcome, RefusalCode};

#[derive(Default)]
pub(in super::super) struct OneOutcome {
    outcomes: BTreeMap<CommandId, Outcome>,
}

impl OneOutcome {
    pub(in super::super) fn applied(
        &mut self,
        member: u64,
        index: u64,
        id: &CommandId,
        outcome: &Outcome,
    ) -> Result<(), String> {
        self.same(id, outcome)
            .map_err(|why| format!("member {member} at {index}: {why}"))
    }

    /// Its author is told.
    pub(in super::super) fn told(
        &mut self,
        id: &CommandId,
        outcome: &Outcome,
    ) -> Result<(), String> {
        if let Outcome::Refused {
            code: RefusalCode::SignatureRejected,
            detail,
        } = outcome
        {
            return Err(format!("{id} is signed, and its author is told: {detail}"));
        }
        self.same(id, outcome)
    }

    fn same(&mut self, id: &CommandId, outcome: &Outcome) -> Result<(), String> {
        if let Outcome::Refused {
            code: RefusalCode::SignatureRejected | RefusalCode::ClockSkew,
            ..
        } = outcome
        {
            return Ok(());
        }
        let known = self
            .outcomes
            .entry(id.clone())
            .or_insert_with(|| outcome.clone());
        if known == outcome {
            return Ok(());
        }
        Err(format!("{id} was {known:?} and is {outcome:?}"))
    }
}
