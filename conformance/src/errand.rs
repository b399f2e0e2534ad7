//! The steps of the main job that most tests share, each through REST.
//!
//! It does not decide what is right: it does a step and returns what came of it.

use std::collections::BTreeMap;
use std::path::Path;

use jobs::{Job, JobOutcome};
use schemas::calendar::Day;
use schemas::command::Command;
use schemas::dataset::{Dataset, DatasetState};
use schemas::decision::{Mask, RowFilter};
use schemas::grading::{Grading, ImportantBasis};
use schemas::participant::Person;
use schemas::request::{
    AccessRequest, Contract, ContractTerms, Grant, GrantState, Purpose, RequestDecision,
    RequestState, RequestTexts,
};
use schemas::shipped::Described;
use schemas::standard::DataStandard;
use schemas::{
    ContractId, DatasetId, Grade, GrantId, Jurisdiction, NodeId, PartyOnly, Period, RequestId,
};
use serde_json::{Value, json};
use server::federation::now;

use crate::eventually;
use crate::rest::{Answer, Call, Client, Upload};

/// A grant's life in milliseconds unless a test says otherwise: a day.
pub const GRANT_LIFE_MS: i64 = 24 * 3_600_000;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Identifier of the request; contract and grant are named after it.
    pub id: String,
    /// Which dataset.
    pub dataset: DatasetId,
    /// What for, as a code.
    pub purpose: String,
    /// Columns; all when none.
    pub columns: Option<Vec<String>>,
    /// Rows.
    pub rows: RowFilter,
    /// Where they will be.
    pub destination: Jurisdiction,
    /// How long, in milliseconds from now.
    pub life_ms: i64,
}

impl Wish {
    /// All of a dataset, for a day, in the mainland.
    #[must_use]
    pub fn all(id: &str, dataset: &DatasetId) -> Self {
        Self {
            id: id.to_owned(),
            dataset: dataset.clone(),
            purpose: "port-statistics".to_owned(),
            columns: None,
            rows: RowFilter::default(),
            destination: Jurisdiction::MAINLAND,
            life_ms: GRANT_LIFE_MS,
        }
    }
}

/// Adopts a standard, describes a dataset of `owner`'s provider and walks it to published;
/// `approver` is a steward of the authority.
///
/// # Panics
/// When a step is refused.
#[must_use]
pub fn describe(
    steward: &Client,
    approver: &Client,
    owner: &NodeId,
    (described, standard): (Described, DataStandard),
) -> Dataset {
    adopt(steward, standard);
    let dataset = draft(steward, owner, described);
    let id = dataset.id;
    for (by, to) in [
        (steward, DatasetState::DepartmentApproved),
        (steward, DatasetState::Submitted),
        (approver, DatasetState::Approved),
        (steward, DatasetState::Published),
    ] {
        let _: Value = move_to(steward, by, &id, to).ok();
    }
    steward.get(&format!("/datasets/{id}")).ok()
}

/// Adopts a data standard, unless that was done.
///
/// # Panics
/// When it is refused for another reason.
pub fn adopt(steward: &Client, standard: DataStandard) {
    let edition = standard.edition.clone();
    let command = Command::AdoptStandard {
        standard: Box::new(standard),
    };
    let answer = steward.change("POST", "/standards", 0, command);
    let known = || {
        steward
            .get(&format!(
                "/standards/{}/{}",
                edition.standard, edition.edition
            ))
            .status
            == 200
    };
    assert!(
        answer.status == 200 || known(),
        "adopt a standard: {answer:?}"
    );
}

/// Describes a dataset and leaves it a draft.
///
/// # Panics
/// When it is refused.
#[must_use]
pub fn draft(steward: &Client, owner: &NodeId, described: Described) -> Dataset {
    let mut dataset = described.into_dataset(steward.person.participant.clone(), owner.clone());
    if dataset.grade == Grade::Important {
        // Only a notice makes data important.
        let important = Some(ImportantBasis {
            catalogue: "重要数据目录 1".to_owned(),
            authority: "主管部门".to_owned(),
            notified_on: Day::of(now()),
        });
        dataset.grading = Some(Grading {
            important,
            ..Grading::default()
        });
    }
    let id = dataset.id.clone();
    let command = Command::DescribeDataset {
        dataset: Box::new(dataset),
    };
    let _: Value = steward
        .change("PUT", &format!("/datasets/{id}"), 0, command)
        .ok();
    steward.get(&format!("/datasets/{id}")).ok()
}

/// One step of a dataset's life, taken by `by` at the revision that `owner` sees. Either node may
/// be a moment behind the other: then the card is read again.
///
/// # Panics
/// When the owner cannot read the card, or the step is refused for another reason to the end.
#[must_use]
pub fn move_to(owner: &Client, by: &Client, id: &DatasetId, to: DatasetState) -> Answer {
    let path = format!("/datasets/{id}/state");
    eventually(&format!("{id} to become {to}"), || {
        let current: Dataset = owner.get(&format!("/datasets/{id}")).ok();
        let revision = current.revision;
        let command = Command::MoveDataset {
            dataset: id.clone(),
            revision,
            to,
        };
        let answer = by.change("POST", &path, revision, command);
        (![404, 409].contains(&answer.status)).then_some(answer)
    })
}

/// Uploads a file, honestly, and waits for its job.
///
/// # Panics
/// When the upload is not taken.
#[must_use]
pub fn publish(steward: &Client, id: &DatasetId, file: &Path) -> Job {
    let job: Job = publish_file(steward, id, file).ok();
    steward.wait(&job.id)
}

/// Uploads a file, honestly, without holding it in memory; the answer is as it came.
///
/// # Panics
/// When there is no answer.
#[must_use]
pub fn publish_file(steward: &Client, id: &DatasetId, file: &Path) -> Answer {
    let intent = steward.intent_of(id, file);
    let name = file
        .file_name()
        .expect("a file name")
        .to_string_lossy()
        .into_owned();
    let key = format!("{id}-{}", &intent.file_digest.to_string()[..24]);
    let declared = Some(intent.file_bytes);
    let upload = Upload {
        dataset: id,
        intent,
        name: &name,
        key: &key,
        query: Vec::new(),
        declared,
    };
    let body = std::fs::File::open(file).expect("open a file");
    steward
        .upload(upload, body)
        .expect("an answer to an upload")
}

/// Uploads bytes, honestly; the answer is as it came.
///
/// # Panics
/// When there is no answer.
#[must_use]
pub fn publish_bytes(steward: &Client, id: &DatasetId, name: &str, bytes: &[u8]) -> Answer {
    let intent = steward.intent(id, bytes);
    let key = format!("{id}-{}", &intent.file_digest.to_string()[..24]);
    let upload = Upload {
        dataset: id,
        intent,
        name,
        key: &key,
        query: Vec::new(),
        declared: Some(bytes.len() as u64),
    };
    send(steward, &upload, bytes)
}

/// Sends an upload until there is an answer: a node that refuses before it has read everything
/// hangs up, and the answer can be lost on a line that is still written to.
///
/// # Panics
/// When there is none in the end.
#[must_use]
pub fn send(steward: &Client, upload: &Upload<'_>, bytes: &[u8]) -> Answer {
    eventually("an answer to an upload", || {
        steward.upload(upload.clone(), std::io::Cursor::new(bytes.to_vec()))
    })
}

/// The request record of a wish.
///
/// # Panics
/// When its identifier has not the form of one.
#[must_use]
pub fn request(consumer: &Client, wish: &Wish) -> AccessRequest {
    request_of(&consumer.person, wish)
}

/// The request record of a person's wish.
///
/// # Panics
/// When its identifier has not the form of one.
#[must_use]
pub fn request_of(person: &Person, wish: &Wish) -> AccessRequest {
    // Leader time moves with each tick, so what begins now has not begun for up to a second.
    let submitted_at = now();
    let from = submitted_at.plus_millis(-5_000);
    AccessRequest {
        id: RequestId::parse(wish.id.as_str()).expect("an identifier"),
        dataset: wish.dataset.clone(),
        consumer: person.participant.clone(),
        requester: person.id.clone(),
        purpose: Purpose {
            code: wish.purpose.clone(),
            text: "口岸运行监测".to_owned(),
        },
        texts: PartyOnly::Clear(RequestTexts {
            legal_basis: "政务数据共享条例（国务院令第809号）第二十一条".to_owned(),
            scenario: "口岸运行监测".to_owned(),
        }),
        columns: wish.columns.clone(),
        rows: wish.rows.clone(),
        period: Period {
            from,
            until: submitted_at.plus_millis(wish.life_ms),
        },
        destination: wish.destination,
        state: RequestState::Submitted,
        submitted_at,
        due_at: None,
        answer: None,
        revision: 0,
    }
}

/// Submits a wish; the answer is as it came.
///
/// # Panics
/// When the consumer's node does not come to know the dataset.
#[must_use]
pub fn ask(consumer: &Client, wish: &Wish) -> Answer {
    let card = format!("/datasets/{}", wish.dataset);
    let known = eventually("the dataset at the consumer's node", || {
        let card = consumer.get(&card);
        (card.status == 200).then_some(card)
    });
    assert_eq!(
        known.body["state"],
        json!(DatasetState::Published),
        "{known:?}"
    );
    let request = Box::new(request(consumer, wish));
    consumer.change("POST", "/requests", 0, Command::SubmitRequest { request })
}

/// Agrees to a request: a contract and one grant, as asked for, with `masks`.
///
/// # Panics
/// When the request does not reach the provider, or the agreement is refused.
#[must_use]
pub fn agree(
    steward: &Client,
    dataset: &Dataset,
    request: &str,
    masks: BTreeMap<String, Mask>,
) -> GrantId {
    let path = format!("/requests/{request}");
    let asked: AccessRequest = eventually("the request at the provider's node", || {
        let found = steward.get(&path);
        (found.status == 200).then(|| found.ok())
    });
    let (contract, grant) = agreement(dataset, &asked, masks);
    let id = grant.id.clone();
    let decision = RequestDecision::Agree {
        contract: Box::new(contract),
        grant: Box::new(grant),
    };
    let revision = asked.revision;
    let command = Command::DecideRequest {
        request: asked.id,
        revision,
        decision,
    };
    let _: Value = steward
        .change("POST", &format!("{path}/decision"), revision, command)
        .ok();
    id
}

/// The contract and the grant that give what was asked for.
///
/// # Panics
/// When the request's identifier is too long to name them after.
#[must_use]
pub fn agreement(
    dataset: &Dataset,
    asked: &AccessRequest,
    masks: BTreeMap<String, Mask>,
) -> (Contract, Grant) {
    let contract = Contract {
        id: ContractId::parse(format!("c-{}", asked.id)).expect("an identifier"),
        request: asked.id.clone(),
        dataset: asked.dataset.clone(),
        provider: dataset.provider.clone(),
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
        id: GrantId::parse(format!("g-{}", asked.id)).expect("an identifier"),
        contract: contract.id.clone(),
        dataset: asked.dataset.clone(),
        provider: dataset.provider.clone(),
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
    (contract, grant)
}

/// Asks and agrees; the grant is then known at both nodes.
///
/// # Panics
/// When a step is refused.
#[must_use]
pub fn grant(
    consumer: &Client,
    steward: &Client,
    dataset: &Dataset,
    wish: &Wish,
    masks: BTreeMap<String, Mask>,
) -> GrantId {
    let _: Value = ask(consumer, wish).ok();
    let grant = agree(steward, dataset, &wish.id, masks);
    let path = format!("/grants/{grant}");
    eventually("the grant at the consumer's node", || {
        (consumer.get(&path).status == 200).then_some(())
    });
    grant
}

/// Asks, and both the steward and the security officer agree: very harmful and important data, and
/// every export.
///
/// # Panics
/// When a step is refused.
#[must_use]
pub fn grant_by_two(
    consumer: &Client,
    (steward, officer): (&Client, &Client),
    dataset: &Dataset,
    wish: &Wish,
) -> GrantId {
    let _: Value = ask(consumer, wish).ok();
    let _ = agree(steward, dataset, &wish.id, BTreeMap::new());
    let grant = agree(officer, dataset, &wish.id, BTreeMap::new());
    let path = format!("/grants/{grant}");
    eventually("the grant at the consumer's node", || {
        (consumer.get(&path).status == 200).then_some(())
    });
    grant
}

/// Starts a transfer; the answer is as it came.
#[must_use]
pub fn start_fetch(consumer: &Client, grant: &GrantId, key: &str) -> Answer {
    let body = json!({ "grant": grant });
    let headers = vec![("idempotency-key", key.to_owned())];
    consumer.call(&Call {
        method: "POST",
        path: "/transfers",
        headers,
        body: Some(&body),
    })
}

/// Fetches under a grant and waits for the job.
///
/// # Panics
/// When it is not taken.
#[must_use]
pub fn fetch(consumer: &Client, grant: &GrantId, key: &str) -> Job {
    let job: Job = start_fetch(consumer, grant, key).ok();
    consumer.wait(&job.id)
}

/// Ends a grant.
///
/// # Panics
/// When it is refused.
pub fn revoke(steward: &Client, id: &GrantId) {
    let grant: Grant = steward.get(&format!("/grants/{id}")).ok();
    let command = Command::RevokeGrant {
        grant: id.clone(),
        because: "核查".to_owned(),
    };
    let path = format!("/grants/{id}/revocation");
    let _: Value = steward.change("POST", &path, grant.revision, command).ok();
}

/// Version, rows and quarantined rows of a publish that succeeded.
///
/// # Panics
/// When it did not.
#[must_use]
pub fn published(job: &Job) -> (u64, u64, u64) {
    match &job.outcome {
        Some(JobOutcome::Published {
            version,
            rows,
            quarantined_rows,
            ..
        }) => (*version, *rows, *quarantined_rows),
        _ => panic!("the publish ended {}: {:?}", job.state, job.failure),
    }
}

/// Version and rows of a transfer that succeeded.
///
/// # Panics
/// When it did not.
#[must_use]
pub fn transferred(job: &Job) -> (u64, u64) {
    match &job.outcome {
        Some(JobOutcome::Transferred { version, rows, .. }) => (*version, *rows),
        _ => panic!("the transfer ended {}: {:?}", job.state, job.failure),
    }
}
