//! Changes of the catalog: signed by the person, under an identifier that makes a retry the same
//! change.
//!
//! It does not check what the catalog checks.

use schemas::CommandId;
use schemas::command::{Author, Command, PersonSignature, Proposal, SignedProposal};
use serde_json::{Value, json};

use super::session::now;
use super::{Call, Client, Verb};
use crate::Error;

/// How often a change is sent again when its fate is unknown.
const RETRIES: usize = 2;

impl Client<'_> {
    /// Signs `command` and sends it; `revision` is the one that it was made for.
    pub(crate) fn change(
        &mut self,
        verb: Verb,
        path: &str,
        revision: u64,
        command: Command,
    ) -> Result<Value, Error> {
        let principal = self.principal()?;
        let person = principal.person.ok_or(Error::Missing { flag: "person" })?;
        let proposal = Proposal {
            id: CommandId::parse(Self::fresh("c")?)?,
            author: Author::Person {
                participant: principal.participant,
                person,
            },
            at: now(),
            command,
        };
        let id = proposal.id.to_string();
        let body = if self.node_signs() {
            json!({ "unsigned": proposal })
        } else {
            let bytes = SignedProposal::signed_bytes(&proposal)?;
            let key = self.open_key()?;
            let signature = key.sign(SignedProposal::LABEL, &bytes)?;
            let key = key.public().key_id();
            let signature = Some(PersonSignature { key, signature });
            json!({ "signed": SignedProposal { proposal, signature } })
        };
        let headers = vec![
            ("if-match", format!("\"{revision}\"")),
            ("idempotency-key", id),
        ];
        let call = Call {
            verb,
            path: path.to_owned(),
            headers,
            body: Some(&body),
        };
        self.insist(&call)
    }

    /// Sends a call that a retry does not repeat, again while the node is between leaders.
    pub(crate) fn insist(&mut self, call: &Call<'_>) -> Result<Value, Error> {
        let mut left = RETRIES;
        loop {
            match self.call(call) {
                Err(Error::Problem(problem))
                    if left > 0 && problem.code == schemas::code::ErrorCode::Unavailable =>
                {
                    left -= 1;
                    let seconds = problem.retry_after_s.unwrap_or(1).min(5);
                    std::thread::sleep(std::time::Duration::from_secs(seconds));
                }
                other => return other,
            }
        }
    }
}
