//! Mistakes of a caller around jobs, jobs that are called off, transfers that are refused with
//! their rule, and contracts as their parties read them: over REST and at the terminal.

use std::collections::BTreeMap;

use conformance::rest::Call;
use conformance::terminal::{Said, Terminal};
use conformance::{Answer, Client, Cluster, bulk, data, errand, eventually};
use jobs::{Job, JobState};
use schemas::GrantId;
use schemas::code::{ErrorCode, ReasonCode};
use schemas::command::Command;
use schemas::dataset::{Dataset, DatasetState, Grade, Sensitivity};
use schemas::participant::Role;
use schemas::request::{Contract, GrantState};
use serde_json::{Value, json};

const PROVINCE: usize = 0;
const GUANGZHOU: usize = 1;
const SHENZHEN: usize = 2;

/// A dataset of Guangzhou's with one version, and a grant of it to Shenzhen.
struct Shared {
    steward: Client,
    consumer: Client,
    dataset: Dataset,
    grant: GrantId,
}

impl Shared {
    fn of(cluster: &Cluster) -> Self {
        let steward = cluster.sign_in(GUANGZHOU, Role::DataSteward);
        let consumer = cluster.sign_in(SHENZHEN, Role::DataConsumer);
        let approver = cluster.sign_in(PROVINCE, Role::DataSteward);
        let owner = &cluster.member(GUANGZHOU).prepared.node.id;
        let described = bulk::described("bulk", Grade::G2);
        let dataset = errand::describe(&steward, &approver, owner, described);
        let file = cluster.scratch().join("bulk.csv");
        bulk::write(&file, 20_000, 12);
        let job = errand::publish(&steward, &dataset.id, &file);
        assert_eq!(errand::published(&job), (1, 20_000, 0));
        let wish = errand::Wish::all("r-first", &dataset.id);
        let grant = errand::grant(&consumer, &steward, &dataset, &wish, BTreeMap::new());
        Self {
            steward,
            consumer,
            dataset,
            grant,
        }
    }

    /// Another dataset, with persons in it.
    fn persons(&self, cluster: &Cluster) -> Dataset {
        let (mut described, standard) = bulk::described("persons", Grade::G3);
        described.columns[2].sensitivity = Sensitivity::Personal;
        let owner = &cluster.member(GUANGZHOU).prepared.node.id;
        let approver = cluster.sign_in(PROVINCE, Role::DataSteward);
        let described = (described, standard);
        let dataset = errand::describe(&self.steward, &approver, owner, described);
        let file = cluster.scratch().join("persons.csv");
        bulk::write(&file, 20, 1);
        let job = errand::publish(&self.steward, &dataset.id, &file);
        assert_eq!(errand::published(&job), (1, 20, 0));
        dataset
    }

    fn grant(&self, name: &str) -> GrantId {
        let wish = errand::Wish::all(name, &self.dataset.id);
        errand::grant(
            &self.consumer,
            &self.steward,
            &self.dataset,
            &wish,
            BTreeMap::new(),
        )
    }
}

fn cancel(who: &Client, job: &Job) -> Answer {
    who.post(&format!("/jobs/{}/cancellation", job.id), &json!({}))
}

#[test]
fn a_job_is_called_off_once_it_runs_and_not_once_it_has_ended() {
    let cluster = Cluster::start(3);
    let shared = Shared::of(&cluster);
    let consumer = &shared.consumer;
    let terminal = Terminal::of(&cluster, SHENZHEN, Role::DataConsumer);

    // Ended: the record has moved on, and that is no defect of the node.
    let job = errand::fetch(consumer, &shared.grant, "k-done");
    assert_eq!(errand::transferred(&job), (1, 20_000));
    assert_eq!(cancel(consumer, &job).refusal(), (409, "CONFLICT"));
    let said = terminal.run(&["job", "cancel", job.id.as_str()]);
    assert_eq!(said.code, Some(5), "{said:?}");
    let transfer = job.id.as_str().replacen("j-", "t-", 1);
    let said = terminal.run(&["transfer", "cancel", &transfer]);
    assert_eq!(said.code, Some(5), "{said:?}");

    // Running: it stops, and the transfer ends for both sides.
    cluster.node(GUANGZHOU).limit_transfers(64 << 10);
    let job: Job = errand::start_fetch(consumer, &shared.grant, "k-running").ok();
    eventually("the job to run", || {
        let job: Job = consumer.get(&format!("/jobs/{}", job.id)).ok();
        (job.state == JobState::Running).then_some(())
    });
    let called_off: Job = cancel(consumer, &job).ok();
    assert_eq!(called_off.state, JobState::Cancelled);
    let again: Job = cancel(consumer, &job).ok();
    assert_eq!(again.state, JobState::Cancelled, "twice is once");
    cluster.node(GUANGZHOU).limit_transfers(u64::MAX);
    assert_eq!(consumer.wait(&job.id).state, JobState::Cancelled);
    let waited = terminal.run(&["job", "wait", job.id.as_str()]);
    assert_eq!(waited.code, Some(1), "{waited:?}");

    // Somebody else's job does not exist, and neither does none.
    let steward = &shared.steward;
    assert_eq!(cancel(steward, &job).refusal(), (404, "NOT_FOUND"));
}

#[test]
fn an_idempotency_key_is_one_to_128_bytes_and_means_one_call() {
    let cluster = Cluster::start(1);
    let consumer = cluster.sign_in(PROVINCE, Role::DataConsumer);
    let steward = cluster.sign_in(PROVINCE, Role::DataSteward);
    // A grant that is there is not needed: what is wrong with the call is found first.
    let start = |key: Option<&str>| {
        let body = json!({ "grant": "g-none" });
        let headers = key.map(|key| ("idempotency-key", key.to_owned()));
        consumer.call(&Call {
            method: "POST",
            path: "/transfers",
            headers: headers.into_iter().collect(),
            body: Some(&body),
        })
    };
    let long = "k".repeat(129);
    for key in [None, Some(""), Some(long.as_str())] {
        assert_eq!(start(key).refusal(), (400, "INVALID"), "{key:?}");
    }
    let longest = "k".repeat(128);
    for key in ["k", longest.as_str()] {
        assert_eq!(start(Some(key)).refusal(), (404, "NOT_FOUND"), "{key}");
    }

    // The same proposal again is the same change; another one under its name is a conflict.
    let (_, standard) = data::shipped("code-iso3166");
    let (_, other) = data::shipped("travellers");
    let signed = |standard, id: Option<&schemas::CommandId>| {
        let command = Command::AdoptStandard {
            standard: Box::new(standard),
        };
        let proposal = steward.sign(command).proposal;
        let id = id.cloned().unwrap_or(proposal.id);
        steward.sign_as(id, proposal.command)
    };
    let send = |signed: &schemas::command::SignedProposal| {
        let body = json!({ "signed": signed });
        let key = ("idempotency-key", signed.proposal.id.to_string());
        steward.call(&Call {
            method: "POST",
            path: "/standards",
            headers: vec![key],
            body: Some(&body),
        })
    };
    let first = signed(standard, None);
    let done = send(&first);
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(send(&first).body["revision"], done.body["revision"]);
    let reused = signed(other, Some(&first.proposal.id));
    assert_eq!(send(&reused).refusal(), (409, "CONFLICT"));
}

/// What a refused transfer says at the terminal.
fn refused(terminal: &Terminal, grant: &GrantId) -> Said {
    let said = terminal.run(&["transfer", "start", grant.as_str(), "--wait"]);
    assert_eq!(said.code, Some(4), "{said:?}");
    said
}

#[test]
fn a_refused_transfer_names_its_rule_its_entry_and_the_next_step() {
    let cluster = Cluster::start(3);
    let shared = Shared::of(&cluster);
    let (consumer, steward) = (&shared.consumer, &shared.steward);
    let terminal = Terminal::of(&cluster, SHENZHEN, Role::DataConsumer);
    let reasons = |job: Job| {
        let failure = job.failure.expect("a refusal");
        assert_eq!(failure.code, ErrorCode::Refused, "{}", failure.detail);
        assert!(failure.reasons.iter().all(|it| !it.cites.is_empty()));
        let codes: Vec<ReasonCode> = failure.reasons.iter().map(|it| it.code).collect();
        (codes, failure.ledger_index.is_some())
    };
    let seen = |grant: &GrantId, state: GrantState| {
        eventually("the grant's end at the consumer's node", || {
            let view = cluster.node(SHENZHEN).catalog().view();
            (view.grant(grant)?.state == state).then_some(())
        });
    };

    // Revoked before it starts: the catalog opens no transfer, and no entry of the provider's
    // stands for it.
    let revoked = shared.grant("r-revoked");
    errand::revoke(steward, &revoked);
    seen(&revoked, GrantState::Revoked);
    let job = errand::fetch(consumer, &revoked, "k-revoked");
    assert_eq!(reasons(job), (vec![ReasonCode::GrantRevoked], false));
    let said = refused(&terminal, &revoked);
    assert!(said.err.contains("GRANT_REVOKED"), "{said:?}");
    assert!(said.err.contains("talk to the provider"), "{said:?}");

    // Expired.
    let wish = errand::Wish {
        life_ms: 3_000,
        ..errand::Wish::all("r-short", &shared.dataset.id)
    };
    let short = errand::grant(consumer, steward, &shared.dataset, &wish, BTreeMap::new());
    seen(&short, GrantState::Expired);
    let job = errand::fetch(consumer, &short, "k-short");
    assert_eq!(reasons(job), (vec![ReasonCode::GrantExpired], false));

    // Across the border with persons in it: the provider's gate says no, and its entry is named.
    let persons = shared.persons(&cluster);
    let wish = errand::Wish {
        destination: schemas::Jurisdiction::HONG_KONG,
        ..errand::Wish::all("r-border", &persons.id)
    };
    let officer = cluster.sign_in(GUANGZHOU, Role::SecurityOfficer);
    let border = errand::grant_by_two(consumer, (steward, &officer), &persons, &wish);
    let (codes, recorded) = reasons(errand::fetch(consumer, &border, "k-border"));
    assert!(recorded && !codes.is_empty(), "{codes:?}");
    let said = refused(&terminal, &border);
    assert!(said.err.contains("Next: "), "{said:?}");
    assert!(said.err.contains("provider's ledger"), "{said:?}");

    // Suspended.
    let moved = errand::move_to(
        steward,
        steward,
        &shared.dataset.id,
        DatasetState::Suspended,
    );
    assert_eq!(moved.status, 200, "{moved:?}");
    eventually("the suspension at the consumer's node", || {
        let view = cluster.node(SHENZHEN).catalog().view();
        (view.dataset(&shared.dataset.id)?.state == DatasetState::Suspended).then_some(())
    });
    let job = errand::fetch(consumer, &shared.grant, "k-suspended");
    assert_eq!(reasons(job), (vec![ReasonCode::DatasetNotServed], false));
    refused(&terminal, &shared.grant);
}

#[test]
fn a_contract_is_read_by_its_parties_and_the_authority_only() {
    let cluster = Cluster::start(3);
    let shared = Shared::of(&cluster);
    // Between the authority and the provider: the consumer of the first is no party to it.
    let authority = cluster.sign_in(PROVINCE, Role::DataConsumer);
    let wish = errand::Wish::all("r-second", &shared.dataset.id);
    let second = errand::grant(
        &authority,
        &shared.steward,
        &shared.dataset,
        &wish,
        BTreeMap::new(),
    );
    let ids = |who: &Client| -> Vec<String> {
        let page: Value = who.get("/contracts").ok();
        let items = page["items"].as_array().expect("a page");
        let id = |it: &Value| it["id"].as_str().expect("an identifier").to_owned();
        items.iter().map(id).collect()
    };
    let both = ["c-r-first".to_owned(), "c-r-second".to_owned()];
    eventually("both contracts at every node", || {
        let everybody = [&shared.steward, &authority];
        everybody.iter().all(|who| ids(who) == both).then_some(())
    });
    assert_eq!(ids(&shared.consumer), both[..1]);
    let contract: Contract = shared.consumer.get("/contracts/c-r-first").ok();
    let grant: schemas::request::Grant = shared
        .consumer
        .get(&format!("/grants/{}", shared.grant))
        .ok();
    assert_eq!(grant.contract, contract.id);
    assert!(matches!(contract.terms, schemas::PartyOnly::Clear(_)));
    let hidden = shared.consumer.get("/contracts/c-r-second");
    assert_eq!(hidden.refusal(), (404, "NOT_FOUND"));
    assert_eq!(
        shared.consumer.get("/contracts/c-none").refusal(),
        (404, "NOT_FOUND")
    );
    assert!(second.as_str().ends_with("r-second"));
    // Whoever has no role for it is refused on the record.
    let administrator = cluster.sign_in(GUANGZHOU, Role::SystemAdministrator);
    let refused = administrator.get("/contracts");
    assert_eq!(refused.refusal(), (403, "REFUSED"));
    assert_eq!(refused.reasons(), ["ROLE_MISSING"]);

    let terminal = Terminal::of(&cluster, SHENZHEN, Role::DataConsumer);
    let shown = terminal.run(&["grant", "contract", "c-r-first"]).json();
    assert_eq!(shown["request"], "r-first", "{shown}");
    let listed = terminal.run(&["grant", "contracts"]).json();
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");

    // The other call that had no command.
    let auditor = Terminal::of(&cluster, GUANGZHOU, Role::Auditor);
    let proof = auditor.run(&["ledger", "consistency", "2", "5"]);
    assert_eq!(proof.code, Some(0), "{proof:?}");
    let wrong = auditor.run(&["ledger", "consistency", "5", "2"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}
