//! One agency at work: its people signed in at its node, and the errands that the stories share.
//!
//! It does not tell; it does and returns.

use std::collections::BTreeMap;
use std::path::Path;

use jobs::Job;
use schemas::command::Command;
use schemas::dataset::{Dataset, DatasetState};
use schemas::decision::{Mask, RowFilter};
use schemas::participant::Role;
use schemas::request::{
    AccessRequest, Contract, ContractTerms, Grant, GrantState, Purpose, RequestDecision,
    RequestState, RequestTexts,
};
use schemas::shipped::Described;
use schemas::standard::DataStandard;
use schemas::{ContractId, DatasetId, Grade, GrantId, Jurisdiction, PartyOnly, Period, RequestId};
use serde_json::Value;

use super::rest::Client;
use crate::Error;
use crate::federation::{Federation, Member, now};
use crate::https::agent;

/// One agency's people.
pub(super) struct Agency<'a> {
    agent: ureq::Agent,
    pub(super) member: &'a Member,
    pub(super) steward: Client<'a>,
    pub(super) consumer: Client<'a>,
}

/// What is asked for.
pub(super) struct Wish<'a> {
    pub(super) id: &'a str,
    pub(super) dataset: &'a DatasetId,
    pub(super) purpose: Purpose,
    pub(super) columns: Option<Vec<String>>,
    pub(super) rows: RowFilter,
    pub(super) destination: Jurisdiction,
}

/// A grant's life in milliseconds: ninety days.
const GRANT_LIFE_MS: i64 = 90 * 24 * 3_600 * 1_000;

impl<'a> Agency<'a> {
    /// Signs the agency's people in.
    pub(super) fn open(federation: &'a Federation, at: usize) -> Result<Self, Error> {
        let wrong = |why: String| Error::Demo {
            step: "sign in",
            why,
        };
        let member = federation
            .members
            .get(at)
            .ok_or_else(|| wrong(format!("no member {at}")))?;
        let roots = std::fs::read(&federation.roots).map_err(|e| wrong(e.to_string()))?;
        let agent = agent(&roots);
        let addresses = member.running()?.addresses();
        let sign_in = |role| {
            Client::sign_in(
                &agent,
                addresses.admin,
                addresses.data,
                member.person(role)?,
            )
        };
        let steward = sign_in(Role::DataSteward)?;
        let consumer = sign_in(Role::DataConsumer)?;
        Ok(Self {
            agent,
            member,
            steward,
            consumer,
        })
    }

    /// Signs another of the agency's people in.
    pub(super) fn sign_in(&self, role: Role) -> Result<Client<'a>, Error> {
        let addresses = self.member.running()?.addresses();
        Client::sign_in(
            &self.agent,
            addresses.admin,
            addresses.data,
            self.member.person(role)?,
        )
    }

    pub(super) fn participant(&self) -> &schemas::ParticipantId {
        &self.member.prepared.participant.id
    }

    /// Adopts the data standard, describes the dataset and walks it to `APPROVED` and
    /// `PUBLISHED`; the data authority's steward approves.
    pub(super) fn describe(
        &self,
        authority: &Agency<'_>,
        standard: &DataStandard,
        described: Described,
    ) -> Result<Dataset, Error> {
        let adopt = Command::AdoptStandard {
            standard: Box::new(standard.clone()),
        };
        self.steward.change(false, "/standards", 0, adopt)?;
        let owner = self.member.prepared.node.id.clone();
        let dataset = described.into_dataset(self.participant().clone(), owner);
        let id = dataset.id.clone();
        let describe = Command::DescribeDataset {
            dataset: Box::new(dataset),
        };
        self.steward
            .change(true, &format!("/datasets/{id}"), 0, describe)?;
        for (by, to) in [
            (self, DatasetState::DepartmentApproved),
            (self, DatasetState::Submitted),
            (authority, DatasetState::Approved),
            (self, DatasetState::Published),
        ] {
            by.move_dataset(self, &id, to)?;
        }
        self.steward.get(&format!("/datasets/{id}"))
    }

    /// Moves a dataset of `owner`. The revision comes from the owner's catalog replica, since a
    /// card that is not published yet is not shown to others.
    fn move_dataset(
        &self,
        owner: &Agency<'_>,
        id: &DatasetId,
        to: DatasetState,
    ) -> Result<(), Error> {
        let current: Dataset = owner.steward.get(&format!("/datasets/{id}"))?;
        let revision = current.revision;
        let command = Command::MoveDataset {
            dataset: id.clone(),
            revision,
            to,
        };
        let path = format!("/datasets/{id}/state");
        let changed = self.steward.change(false, &path, revision, command)?;
        owner.see(&changed)
    }

    /// Waits until this agency's replica has what another node wrote.
    fn see(&self, changed: &Value) -> Result<(), Error> {
        let index = changed["catalog_index"].as_u64().unwrap_or(0);
        let catalog = self.member.running()?.catalog();
        for _ in 0..400 {
            if catalog.view().index() >= index {
                return Ok(());
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        Err(Error::Demo {
            step: "wait for the catalog",
            why: format!("index {index} did not arrive within 4 s"),
        })
    }

    /// Publishes a file and waits for its job.
    pub(super) fn publish(&self, id: &DatasetId, file: &Path) -> Result<Job, Error> {
        self.steward.publish(id, file)
    }

    /// Asks for shared data.
    pub(super) fn ask(&self, wish: &Wish<'_>) -> Result<AccessRequest, Error> {
        // The federation's time is up to a tick behind this clock; a period that begins this very
        // instant would begin in its future.
        let from = now().plus_millis(-60_000);
        let request = AccessRequest {
            id: RequestId::parse(wish.id)?,
            dataset: wish.dataset.clone(),
            consumer: self.participant().clone(),
            requester: self.member.person(Role::DataConsumer)?.record.id.clone(),
            purpose: wish.purpose.clone(),
            texts: PartyOnly::Clear(RequestTexts {
                legal_basis: "政务数据共享条例（国务院令第809号）第二十一条".to_owned(),
                scenario: wish.purpose.text.clone(),
            }),
            columns: wish.columns.clone(),
            rows: wish.rows.clone(),
            period: Period {
                from,
                until: from.plus_millis(GRANT_LIFE_MS),
            },
            destination: wish.destination,
            state: RequestState::Submitted,
            submitted_at: from,
            due_at: None,
            answer: None,
            revision: 0,
        };
        let command = Command::SubmitRequest {
            request: Box::new(request),
        };
        self.consumer.change(false, "/requests", 0, command)?;
        self.consumer.get(&format!("/requests/{}", wish.id))
    }

    /// Agrees to a request of this provider's dataset: a contract, and a grant under it. Where two
    /// persons must agree, the security officer is the second.
    pub(super) fn agree(
        &self,
        dataset: &Dataset,
        request: &RequestId,
        masks: BTreeMap<String, Mask>,
    ) -> Result<GrantId, Error> {
        let path = format!("/requests/{request}");
        let asked = self.when_visible(&path)?;
        let asked: AccessRequest = serde_json::from_value(asked).map_err(|e| Error::Demo {
            step: "read a request",
            why: e.to_string(),
        })?;
        let contract = Contract {
            id: ContractId::parse(format!("c-{request}"))?,
            request: asked.id.clone(),
            dataset: asked.dataset.clone(),
            provider: self.participant().clone(),
            consumer: asked.consumer.clone(),
            terms: PartyOnly::Clear(ContractTerms {
                onward_transfer: false,
                retention_days: Some(90),
                text: "仅限申请用途；不得提供给第三方".to_owned(),
            }),
            period: asked.period,
        };
        let all = || {
            dataset
                .columns
                .iter()
                .map(|column| column.name.clone())
                .collect()
        };
        let grant = Grant {
            id: GrantId::parse(format!("g-{request}"))?,
            contract: contract.id.clone(),
            dataset: asked.dataset.clone(),
            provider: self.participant().clone(),
            consumer: asked.consumer.clone(),
            subject: None,
            columns: asked.columns.clone().unwrap_or_else(all),
            rows: asked.rows.clone(),
            masks,
            rows_max: None,
            purpose: asked.purpose.clone(),
            destination: asked.destination,
            period: asked.period,
            state: GrantState::Active,
            ended_because: None,
            revision: 0,
        };
        let id = grant.id.clone();
        let decision = RequestDecision::Agree {
            contract: Box::new(contract),
            grant: Box::new(grant),
        };
        let revision = asked.revision;
        let command = Command::DecideRequest {
            request: request.clone(),
            revision,
            decision,
        };
        let path = format!("{path}/decision");
        self.steward
            .change(false, &path, revision, command.clone())?;
        if dataset.grade >= Grade::G4 || !asked.destination.is_mainland() {
            let officer = self.sign_in(Role::SecurityOfficer)?;
            officer.change(false, &path, revision, command)?;
        }
        Ok(id)
    }

    /// A record that another node wrote a moment ago.
    fn when_visible(&self, path: &str) -> Result<Value, Error> {
        let mut last = None;
        for _ in 0..200 {
            match self.steward.get(path) {
                Ok(found) => return Ok(found),
                Err(error) => last = Some(error),
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        Err(last.unwrap_or(Error::Demo {
            step: "wait for a record",
            why: path.to_owned(),
        }))
    }

    /// Fetches under a grant and waits for the job. The grant may have been given a moment ago at
    /// another node.
    pub(super) fn fetch(&self, grant: &GrantId, key: &str) -> Result<Job, Error> {
        let job = self.start_fetch(grant, key)?;
        self.consumer.wait(&job.id)
    }

    /// Starts to fetch under a grant.
    pub(super) fn start_fetch(&self, grant: &GrantId, key: &str) -> Result<Job, Error> {
        for _ in 0..200 {
            let seen = self
                .member
                .running()?
                .catalog()
                .view()
                .grant(grant)
                .is_some();
            if seen {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        self.consumer.fetch(grant, key)
    }

    /// Ends a grant.
    pub(super) fn revoke(&self, grant: &GrantId, because: &str) -> Result<(), Error> {
        let command = Command::RevokeGrant {
            grant: grant.clone(),
            because: because.to_owned(),
        };
        let record: Grant = self.steward.get(&format!("/grants/{grant}"))?;
        let path = format!("/grants/{grant}/revocation");
        self.steward
            .change(false, &path, record.revision, command)?;
        Ok(())
    }
}
