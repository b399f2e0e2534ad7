//! Every refusal of the main job, through the doors that people and nodes use, with the entry that
//! it leaves in a ledger.
#![expect(
    clippy::too_many_lines,
    reason = "a test tells one story from end to end"
)]
#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a promise that is not kept ends the test"
)]

use std::collections::BTreeMap;

use conformance::rest::{Call, Upload};
use conformance::{Answer, Client, Cluster, Site, bulk, data, errand, eventually};
use crypto::Digest;
use schemas::GrantId;
use schemas::code::ErrorCode;
use schemas::command::Command;
use schemas::dataset::{Dataset, DatasetState, Grade};
use schemas::decision::Decision;
use schemas::ledger_entry::{LedgerEvent, ReleaseOutcome};
use schemas::participant::Role;
use schemas::request::{AccessRequest, GrantState, RequestDecision};
use serde_json::json;

const PROVINCE: usize = 0;
const GUANGZHOU: usize = 1;
const SHENZHEN: usize = 2;

/// The code table, described and published by Guangzhou.
fn published(cluster: &Cluster, steward: &Client) -> Dataset {
    let approver = cluster.sign_in(PROVINCE, Role::DataSteward);
    let owner = &cluster.member(GUANGZHOU).prepared.node.id;
    let (described, standard) = data::shipped("code-iso3166");
    let file = data::file(&described);
    let dataset = errand::describe(steward, &approver, owner, (described, standard));
    let job = errand::publish(steward, &dataset.id, &file);
    assert_eq!(errand::published(&job), (1, 249, 0));
    dataset
}

/// Reason codes of every decision against, in order.
fn denials(cluster: &Cluster, at: usize) -> Vec<Vec<String>> {
    cluster
        .entries(at)
        .into_iter()
        .filter_map(|event| match event {
            LedgerEvent::Decided {
                decision: Decision::Deny(reasons),
                ..
            } => Some(reasons.iter().map(|it| it.code.to_string()).collect()),
            _ => None,
        })
        .collect()
}

/// The refusal says where it stands in the ledger, and it stands there.
fn stands_in_the_ledger(cluster: &Cluster, at: usize, answer: &Answer) {
    let index = answer.body["ledger_index"]
        .as_u64()
        .expect("a refusal names its entry");
    let event = cluster
        .entries(at)
        .swap_remove(usize::try_from(index).expect("an index"));
    let LedgerEvent::Decided {
        decision: Decision::Deny(reasons),
        ..
    } = event
    else {
        panic!("entry {index} is {event:?}");
    };
    let recorded: Vec<String> = reasons.iter().map(|it| it.code.to_string()).collect();
    assert_eq!(recorded, answer.reasons());
}

#[test]
fn a_transfer_needs_a_grant_of_ones_own_that_is_in_force() {
    if data::left_out() {
        return;
    }
    let cluster = Cluster::start(3);
    let steward = cluster.sign_in(GUANGZHOU, Role::DataSteward);
    let consumer = cluster.sign_in(SHENZHEN, Role::DataConsumer);
    let stranger = cluster.sign_in(PROVINCE, Role::DataConsumer);
    let dataset = published(&cluster, &steward);

    // No grant at all.
    let none = GrantId::parse("g-none").expect("an identifier");
    let answer = errand::start_fetch(&consumer, &none, "k-none");
    assert_eq!(answer.refusal(), (404, "NOT_FOUND"));

    // Somebody else's grant does not exist for a stranger, nor for the provider as a consumer.
    let wish = errand::Wish::all("r-own", &dataset.id);
    let grant = errand::grant(&consumer, &steward, &dataset, &wish, BTreeMap::new());
    for other in [&stranger, &cluster.sign_in(GUANGZHOU, Role::DataConsumer)] {
        let answer = errand::start_fetch(other, &grant, "k-other");
        assert_eq!(answer.refusal(), (404, "NOT_FOUND"));
    }

    // One key for two transfers.
    let second = errand::Wish::all("r-second", &dataset.id);
    let second = errand::grant(&consumer, &steward, &dataset, &second, BTreeMap::new());
    let job = errand::fetch(&consumer, &grant, "k-one");
    assert_eq!(errand::transferred(&job), (1, 249));
    let answer = errand::start_fetch(&consumer, &second, "k-one");
    assert_eq!(answer.refusal(), (422, "IDEMPOTENCY_KEY_REUSED"));
    // The same call again is the same job.
    let again: jobs::Job = errand::start_fetch(&consumer, &grant, "k-one").ok();
    assert_eq!(again.id, job.id);

    // Revoked.
    errand::revoke(&steward, &second);
    seen(&cluster, &second, GrantState::Revoked);
    let job = errand::fetch(&consumer, &second, "k-revoked");
    let failure = job.failure.expect("a revoked grant gives nothing");
    assert!(failure.detail.contains("REVOKED"), "{}", failure.detail);

    // Suspended: served no longer, whatever the grant says.
    let _: serde_json::Value =
        errand::move_to(&steward, &steward, &dataset.id, DatasetState::Suspended).ok();
    eventually("the suspension at the consumer's node", || {
        let view = cluster.node(SHENZHEN).catalog().view();
        (view.dataset(&dataset.id)?.state == DatasetState::Suspended).then_some(())
    });
    let job = errand::fetch(&consumer, &grant, "k-suspended");
    let failure = job.failure.expect("a suspended dataset is not served");
    assert!(failure.detail.contains("SUSPENDED"), "{}", failure.detail);
    let released = cluster.entries(GUANGZHOU);
    let released = released
        .iter()
        .filter(|it| matches!(it, LedgerEvent::Released { .. }));
    assert_eq!(released.count(), 1, "one transfer was good");
}

/// Waits until the consumer's replica has the grant in a state.
fn seen(cluster: &Cluster, grant: &GrantId, state: GrantState) {
    eventually(&format!("grant {grant} to be {state}"), || {
        let view = cluster.node(SHENZHEN).catalog().view();
        (view.grant(grant)?.state == state).then_some(())
    });
}

#[test]
fn a_transfer_ends_when_its_grant_does() {
    let cluster = Cluster::start(3);
    let steward = cluster.sign_in(GUANGZHOU, Role::DataSteward);
    let consumer = cluster.sign_in(SHENZHEN, Role::DataConsumer);
    let approver = cluster.sign_in(PROVINCE, Role::DataSteward);
    let owner = &cluster.member(GUANGZHOU).prepared.node.id;
    let described = bulk::described("bulk", Grade::G2);
    let dataset = errand::describe(&steward, &approver, owner, described);
    let file = cluster.scratch().join("bulk.csv");
    bulk::write(&file, 40_000, 12);
    let job = errand::publish(&steward, &dataset.id, &file);
    assert_eq!(errand::published(&job), (1, 40_000, 0));

    // Time ends one while it runs: four seconds a chunk are more than it has.
    let wish = errand::Wish {
        life_ms: 6_000,
        ..errand::Wish::all("r-short", &dataset.id)
    };
    let short = errand::grant(&consumer, &steward, &dataset, &wish, BTreeMap::new());
    cluster.node(GUANGZHOU).limit_transfers(256 << 10);
    let job = errand::fetch(&consumer, &short, "k-short");
    let failure = job.failure.expect("the grant has ended");
    assert_eq!(failure.code, ErrorCode::Refused, "{}", failure.detail);
    assert!(
        failure.detail.contains("GRANT_EXPIRED"),
        "{}",
        failure.detail
    );

    // The provider ends another.
    let wish = errand::Wish::all("r-stopped", &dataset.id);
    let stopped = errand::grant(&consumer, &steward, &dataset, &wish, BTreeMap::new());
    let job: jobs::Job = errand::start_fetch(&consumer, &stopped, "k-stopped").ok();
    eventually("a release of the second grant", || {
        let released = cluster.entries(GUANGZHOU);
        let released = released
            .iter()
            .filter(|it| matches!(it, LedgerEvent::Released { .. }));
        (released.count() == 2).then_some(())
    });
    errand::revoke(&steward, &stopped);
    let job = consumer.wait(&job.id);
    let failure = job.failure.expect("the grant was revoked");
    assert_eq!(failure.code, ErrorCode::Refused, "{}", failure.detail);
    cluster.node(GUANGZHOU).limit_transfers(u64::MAX);

    let outcomes = eventually("the ends of both releases in the ledger", || {
        let outcomes: Vec<ReleaseOutcome> = cluster
            .entries(GUANGZHOU)
            .into_iter()
            .filter_map(|event| match event {
                LedgerEvent::ReleaseEnded { outcome, .. } => Some(outcome),
                _ => None,
            })
            .collect();
        (outcomes.len() >= 2).then_some(outcomes)
    });
    assert_eq!(outcomes, [ReleaseOutcome::Expired, ReleaseOutcome::Revoked]);

    // Once it has ended, it starts nothing either.
    seen(&cluster, &short, GrantState::Expired);
    let job = errand::fetch(&consumer, &short, "k-late");
    let failure = job.failure.expect("the grant has ended");
    assert!(failure.detail.contains("EXPIRED"), "{}", failure.detail);
}

#[test]
fn a_grant_gives_no_other_purpose_place_or_column_than_was_asked_for() {
    if data::left_out() {
        return;
    }
    let cluster = Cluster::start(3);
    let steward = cluster.sign_in(GUANGZHOU, Role::DataSteward);
    let consumer = cluster.sign_in(SHENZHEN, Role::DataConsumer);
    let dataset = published(&cluster, &steward);
    let wish = errand::Wish {
        columns: Some(vec!["alpha2".to_owned()]),
        ..errand::Wish::all("r-narrow", &dataset.id)
    };
    let _: serde_json::Value = errand::ask(&consumer, &wish).ok();
    let path = "/requests/r-narrow";
    let asked: AccessRequest = eventually("the request at the provider's node", || {
        let found = steward.get(path);
        (found.status == 200).then(|| found.ok())
    });
    let decide = |change: &dyn Fn(&mut schemas::request::Grant)| {
        let (contract, mut grant) = errand::agreement(&dataset, &asked, BTreeMap::new());
        change(&mut grant);
        let (contract, grant) = (Box::new(contract), Box::new(grant));
        let decision = RequestDecision::Agree { contract, grant };
        let (request, revision) = (asked.id.clone(), asked.revision);
        let command = Command::DecideRequest {
            request,
            revision,
            decision,
        };
        steward.change("POST", "/requests/r-narrow/decision", revision, command)
    };
    let answers = [
        decide(&|it| "advertising".clone_into(&mut it.purpose.code)),
        decide(&|it| it.destination = schemas::Jurisdiction::HONG_KONG),
        decide(&|it| it.columns.push("name_zh".to_owned())),
        decide(&|it| it.period.until = it.period.until.plus_millis(1)),
        decide(&|it| it.consumer = dataset.provider.clone()),
    ];
    for answer in &answers {
        assert_eq!(answer.refusal(), (400, "INVALID"), "{answer:?}");
    }
    assert_eq!(decide(&|_| ()).status, 200);

    // What it does give is answered beforehand, and another purpose is not among it.
    let asked = |purpose: &str| {
        let body = json!({
            "action": "dataset.read", "dataset": dataset.id, "grant": "g-r-narrow",
            "purpose": {"code": purpose, "text": "口岸运行监测"}, "columns": ["alpha2"],
        });
        eventually("the grant at the consumer's node", || {
            let known = consumer.get("/grants/g-r-narrow").status == 200;
            known.then(|| consumer.post("/policies/explanation", &body))
        })
    };
    let denied = asked("advertising");
    let codes = denied.body["decision"]["deny"]
        .as_array()
        .expect("a refusal");
    assert!(
        codes.iter().any(|it| it["code"] == "PURPOSE_MISMATCH"),
        "{denied:?}"
    );
    let permitted = asked(&wish.purpose);
    assert!(
        permitted.body["decision"]["permit"].is_object(),
        "{permitted:?}"
    );
}

#[test]
fn a_person_without_the_role_is_refused_on_the_record() {
    if data::left_out() {
        return;
    }
    let cluster = Cluster::start(3);
    let steward = cluster.sign_in(GUANGZHOU, Role::DataSteward);
    let consumer = cluster.sign_in(GUANGZHOU, Role::DataConsumer);
    let auditor = cluster.sign_in(GUANGZHOU, Role::Auditor);
    let administrator = cluster.sign_in(GUANGZHOU, Role::SystemAdministrator);
    let dataset = published(&cluster, &steward);
    let id = &dataset.id;

    let suspend = || Command::MoveDataset {
        dataset: id.clone(),
        revision: dataset.revision,
        to: DatasetState::Suspended,
    };
    let path = format!("/datasets/{id}/state");
    let revision = dataset.revision;
    let answers = [
        consumer.change("POST", &path, revision, suspend()),
        auditor.change("POST", &path, revision, suspend()),
        administrator.change("POST", &path, revision, suspend()),
        steward.get("/ledger"),
        administrator.get("/ledger/entries"),
        errand::publish_bytes(&consumer, id, "codes.csv", b"alpha2\n"),
    ];
    let reasons: Vec<Vec<&str>> = answers.iter().map(Answer::reasons).collect();
    let mut expected = vec![vec!["ROLE_MISSING"]; answers.len()];
    // Who administers reads no ledger: that is kept apart, not just left out of her role.
    expected[4] = vec!["SEPARATION_OF_DUTIES"];
    assert_eq!(reasons, expected);
    for answer in &answers {
        assert_eq!(answer.refusal(), (403, "REFUSED"), "{answer:?}");
        stands_in_the_ledger(&cluster, GUANGZHOU, answer);
    }
    assert_eq!(denials(&cluster, GUANGZHOU).len(), answers.len());
}

#[test]
fn who_is_no_party_learns_nothing() {
    if data::left_out() {
        return;
    }
    let cluster = Cluster::start(3);
    // Shenzhen provides here, so that Guangzhou, which is no authority, can be the stranger.
    let steward = cluster.sign_in(SHENZHEN, Role::DataSteward);
    let approver = cluster.sign_in(PROVINCE, Role::DataSteward);
    let consumer = cluster.sign_in(PROVINCE, Role::DataConsumer);
    let stranger = cluster.sign_in(GUANGZHOU, Role::DataSteward);
    let asker = cluster.sign_in(GUANGZHOU, Role::DataConsumer);
    let owner = &cluster.member(SHENZHEN).prepared.node.id;
    let (described, standard) = data::shipped("code-iso3166");
    let file = data::file(&described);
    let hidden = data::renamed(described.clone(), "hidden");
    let dataset = errand::describe(&steward, &approver, owner, (described, standard));
    let _ = errand::published(&errand::publish(&steward, &dataset.id, &file));
    let hidden = errand::draft(&steward, owner, hidden);
    let wish = errand::Wish::all("r-theirs", &dataset.id);
    let grant = errand::grant(&consumer, &steward, &dataset, &wish, BTreeMap::new());
    cluster.settle();

    let unknown = |path: &str| {
        let answer = stranger.get(path);
        assert_eq!(answer.refusal(), (404, "NOT_FOUND"), "{path}: {answer:?}");
    };
    // A draft is its provider's business only, and so is what is asked of it.
    unknown(&format!("/datasets/{}", hidden.id));
    unknown("/requests/r-theirs");
    unknown(&format!("/grants/{grant}"));
    for (path, seen) in [("/requests", 0), ("/grants", 0), ("/transfers", 0)] {
        let listed = match path {
            "/transfers" => asker.get(path),
            _ => stranger.get(path),
        };
        assert_eq!(listed.status, 200, "{listed:?}");
        let items = listed.body["items"].as_array().expect("a page");
        assert_eq!(items.len(), seen, "{path}");
    }
    // What is not published cannot be asked for: to the asker it is not there or not served.
    let ask = Command::SubmitRequest {
        request: Box::new(errand::request(
            &asker,
            &errand::Wish::all("r-hidden", &hidden.id),
        )),
    };
    let answer = asker.change("POST", "/requests", 0, ask);
    assert_eq!(answer.refusal(), (403, "REFUSED"), "{answer:?}");
    assert!(
        answer.reasons().contains(&"DATASET_NOT_SERVED"),
        "{answer:?}"
    );
    stands_in_the_ledger(&cluster, GUANGZHOU, &answer);
    // Nor published to: another's dataset is not there, at whichever node.
    let answer = errand::publish_bytes(&stranger, &dataset.id, "codes.csv", b"alpha2\n");
    assert_eq!(answer.refusal(), (404, "NOT_FOUND"));
}

#[test]
fn a_session_ends_and_too_many_tries_lock_out() {
    let cluster = Cluster::start(1);
    let mut steward = cluster.sign_in(PROVINCE, Role::DataSteward);
    let good = steward.token.clone();
    assert_eq!(steward.get("/sessions").status, 200);
    for token in [String::new(), "no-token".to_owned(), format!("{good}x")] {
        steward.token = token;
        assert_eq!(steward.get("/datasets").refusal(), (401, "UNAUTHENTICATED"));
        let upload = errand::publish_bytes(&steward, &any_dataset(), "a.csv", b"a\n");
        assert_eq!(upload.refusal(), (401, "UNAUTHENTICATED"));
    }
    steward.token = good;
    let out = Call {
        method: "DELETE",
        path: "/sessions",
        headers: Vec::new(),
        body: None,
    };
    assert_eq!(steward.call(&out).status, 204);
    assert_eq!(steward.get("/datasets").refusal(), (401, "UNAUTHENTICATED"));
    let upload = errand::publish_bytes(&steward, &any_dataset(), "a.csv", b"a\n");
    assert_eq!(upload.refusal(), (401, "UNAUTHENTICATED"));

    // A challenge is answered once.
    let given = steward.post(
        "/sessions/challenge",
        &json!({ "person": steward.person.id }),
    );
    let challenge: Digest = given.body["challenge"]
        .as_str()
        .expect("a challenge")
        .parse()
        .expect("32 bytes");
    let key = conformance::rest::open_key(
        cluster
            .member(PROVINCE)
            .person(Role::DataSteward)
            .expect("a steward"),
    );
    assert_eq!(steward.answer_challenge(&challenge, &key).status, 201);
    assert_eq!(
        steward.answer_challenge(&challenge, &key).refusal(),
        (401, "UNAUTHENTICATED")
    );

    let consumer = cluster.sign_in(PROVINCE, Role::DataConsumer);
    let tries: Vec<u16> = (0..enforcement::sessions::FAILED_SIGN_INS_MAX)
        .map(|_| consumer.sign_in_as_impostor().status)
        .collect();
    // The last of them locks.
    assert_eq!(tries, [401, 401, 401, 401, 429]);
    assert_eq!(
        consumer.sign_in_as_impostor().refusal(),
        (429, "LOCKED_OUT")
    );
    // She herself is locked out too, and what she had open goes on.
    let given = consumer.post(
        "/sessions/challenge",
        &json!({ "person": consumer.person.id }),
    );
    assert_eq!(given.refusal(), (429, "LOCKED_OUT"));
    assert_eq!(consumer.get("/datasets").status, 200);

    let failed = cluster
        .entries(PROVINCE)
        .into_iter()
        .filter(|event| {
            matches!(event, LedgerEvent::SignedIn { person, accepted: false, .. }
                if *person == consumer.person.id)
        })
        .count();
    assert_eq!(failed, 5, "each failed try is on the ledger");
}

fn any_dataset() -> schemas::DatasetId {
    schemas::DatasetId::parse("any").expect("an identifier")
}

#[test]
fn a_change_names_its_revision_its_route_and_itself() {
    let cluster = Cluster::start(1);
    let steward = cluster.sign_in(PROVINCE, Role::DataSteward);
    let owner = &cluster.member(PROVINCE).prepared.node.id;
    let (described, standard) = data::shipped("code-iso3166");
    errand::adopt(&steward, standard);
    let dataset = errand::draft(&steward, owner, described);
    let path = format!("/datasets/{}/state", dataset.id);
    let command = |revision, to| Command::MoveDataset {
        dataset: dataset.id.clone(),
        revision,
        to,
    };
    let step = |revision| command(revision, DatasetState::DepartmentApproved);
    let send = |headers: Vec<(&str, String)>, path: &str, command: Command| {
        let body = json!({ "signed": steward.sign(command) });
        steward.call(&Call {
            method: "POST",
            path,
            headers,
            body: Some(&body),
        })
    };
    let tag = |revision: u64| vec![("if-match", format!("\"{revision}\""))];
    let revision = dataset.revision;

    let missing = send(Vec::new(), &path, step(revision));
    assert_eq!(missing.refusal(), (428, "PRECONDITION_REQUIRED"));
    let stale = send(tag(revision + 1), &path, step(revision));
    assert_eq!(stale.refusal(), (412, "PRECONDITION_FAILED"));
    let moved_on = send(tag(revision + 7), &path, step(revision + 7));
    assert_eq!(moved_on.refusal(), (409, "CONFLICT"));
    let no_step = send(
        tag(revision),
        &path,
        command(revision, DatasetState::Published),
    );
    assert_eq!(no_step.refusal(), (409, "CONFLICT"));
    for wrong in [
        "/requests",
        "/standards",
        "/participants",
        "/policies",
        "/persons",
    ] {
        let answer = send(tag(revision), wrong, step(revision));
        assert_eq!(answer.refusal(), (400, "INVALID"), "{wrong}");
    }
    let other = send(tag(revision), "/datasets/another/state", step(revision));
    assert_eq!(other.refusal(), (400, "INVALID"));
    let mut headers = tag(revision);
    headers.push(("idempotency-key", "c-of-another".to_owned()));
    assert_eq!(
        send(headers, &path, step(revision)).refusal(),
        (400, "INVALID")
    );

    // What somebody else signed, and what was changed after it was signed.
    let auditor = cluster.sign_in(PROVINCE, Role::Auditor);
    let body = json!({ "signed": auditor.sign(step(revision)) });
    let call = Call {
        method: "POST",
        path: &path,
        headers: tag(revision),
        body: Some(&body),
    };
    assert_eq!(steward.call(&call).refusal(), (400, "INVALID"));
    let mut forged = steward.sign(step(revision));
    forged.proposal.command = command(revision, DatasetState::Submitted);
    let body = json!({ "signed": forged });
    let call = Call {
        method: "POST",
        path: &path,
        headers: tag(revision),
        body: Some(&body),
    };
    assert_eq!(steward.call(&call).refusal(), (400, "INVALID"));
    // A session of a key that the person holds signs nothing for her.
    let body = json!({ "unsigned": steward.sign(step(revision)).proposal });
    let call = Call {
        method: "POST",
        path: &path,
        headers: tag(revision),
        body: Some(&body),
    };
    assert_eq!(steward.call(&call).refusal(), (400, "INVALID"));

    // None of it did anything; the right one does, and done twice it is done once.
    let now: Dataset = steward.get(&format!("/datasets/{}", dataset.id)).ok();
    assert_eq!(now, dataset);
    let body = json!({ "signed": steward.sign(step(revision)) });
    let call = Call {
        method: "POST",
        path: &path,
        headers: tag(revision),
        body: Some(&body),
    };
    let first = steward.call(&call);
    assert_eq!(first.status, 200, "{first:?}");
    let second = steward.call(&call);
    assert_eq!(
        (second.status, &second.body["revision"]),
        (200, &first.body["revision"])
    );
}

#[test]
fn an_upload_is_the_file_that_was_signed_or_nothing() {
    let cluster = Cluster::start(2);
    let steward = cluster.sign_in(1, Role::DataSteward);
    let approver = cluster.sign_in(0, Role::DataSteward);
    let owner = &cluster.member(1).prepared.node.id;
    let (described, standard) = data::shipped("code-iso3166");
    let dataset = errand::describe(&steward, &approver, owner, (described, standard));
    let id = &dataset.id;
    let file = b"alpha2,alpha3,numeric,name_en,official_name_en,name_zh\n".to_vec();
    let send = |upload: Upload<'_>, body: &[u8]| errand::send(&steward, &upload, body);
    let signed = |key: &'static str| Upload {
        dataset: id,
        intent: steward.intent(id, &file),
        name: "codes.csv",
        key,
        query: Vec::new(),
        declared: None,
    };
    let mut other = file.clone();
    other[3] ^= 1;
    assert_eq!(
        send(signed("k-1"), &other).refusal(),
        (400, "INVALID"),
        "another byte"
    );
    assert_eq!(
        send(signed("k-2"), &file[1..]).refusal(),
        (400, "INVALID"),
        "too short"
    );
    let longer = [&file[..], b"x"].concat();
    assert_eq!(
        send(signed("k-3"), &longer).refusal(),
        (400, "INVALID"),
        "too long"
    );
    let declared = Upload {
        declared: Some(longer.len() as u64),
        ..signed("k-4")
    };
    assert_eq!(
        send(declared, &longer).refusal(),
        (400, "INVALID"),
        "declared too long"
    );
    let name = Upload {
        name: "../codes.csv",
        ..signed("k-5")
    };
    assert_eq!(
        send(name, &file).refusal(),
        (400, "INVALID"),
        "a path as a name"
    );
    let encoding = Upload {
        query: vec![("encoding", "EBCDIC")],
        ..signed("k-6")
    };
    assert_eq!(
        send(encoding, &file).refusal(),
        (400, "INVALID"),
        "unknown encoding"
    );
    let key = Upload {
        key: "",
        ..signed("k-7")
    };
    assert_eq!(
        send(key, &file).refusal(),
        (400, "INVALID"),
        "no idempotency key"
    );
    let mut intent = steward.intent(id, &file);
    intent.dataset = schemas::DatasetId::parse("another").expect("an identifier");
    let another = Upload {
        intent,
        ..signed("k-8")
    };
    assert_eq!(
        send(another, &file).refusal(),
        (400, "INVALID"),
        "signed for another dataset"
    );
    let mut intent = steward.intent(id, &file);
    intent.person = approver.person.id;
    let hers = Upload {
        intent,
        ..signed("k-9")
    };
    assert_eq!(
        send(hers, &file).refusal(),
        (400, "INVALID"),
        "in another's name"
    );
    let mut intent = steward.intent(id, &file);
    intent.file_bytes = 9 << 30;
    let huge = Upload {
        intent,
        ..signed("k-10")
    };
    assert_eq!(
        send(huge, &file).refusal(),
        (413, "LIMIT_EXCEEDED"),
        "9 GiB"
    );

    // Nothing of all this lies in the staging folder, and no job was made.
    let staging = cluster.member(1).prepared.dir.join("data/staging");
    let left = std::fs::read_dir(&staging)
        .expect("a staging folder")
        .count();
    assert_eq!(left, 0, "{}", staging.display());
    let jobs = steward.get("/jobs");
    assert_eq!(jobs.body["items"], json!([]), "{jobs:?}");

    // One key for two files.
    let first = send(signed("k-11"), &file);
    assert_eq!(first.status, 202, "{first:?}");
    let reused = Upload {
        intent: steward.intent(id, &other),
        ..signed("k-11")
    };
    assert_eq!(
        send(reused, &other).refusal(),
        (422, "IDEMPOTENCY_KEY_REUSED")
    );
}

#[test]
fn a_body_beyond_the_limit_is_refused_as_too_large() {
    let cluster = Cluster::start(1);
    let steward = cluster.sign_in(PROVINCE, Role::DataSteward);
    // A few bytes beyond it: of a much larger one the node hangs up, and the answer can be lost on
    // a line that the caller still writes to.
    let body = json!({ "signed": "x".repeat(2 << 20) });
    let answer = steward.post("/requests", &body);
    assert_eq!(answer.refusal(), (413, "LIMIT_EXCEEDED"), "{answer:?}");
    let broken = steward.post("/requests", &json!({ "signed": {} }));
    assert_eq!(broken.refusal(), (400, "INVALID"));
    assert_eq!(steward.get("/datasets").status, 200);
}

/// Where a site listens, for tests that speak to ports directly.
fn ports(site: &Site) -> [std::net::SocketAddr; 2] {
    [site.catalog, site.data]
}

#[test]
fn only_certificates_of_the_federation_open_the_ports_between_nodes() {
    use conformance::wire::{OpenRequest, transfers};
    use crypto::Validity;
    use crypto::tls::{Family, TlsAuthority, TlsIdentity, client_config, connect};

    let cluster = Cluster::start(1);
    let site = cluster.site(PROVINCE);
    let roots = cluster.federation().authorities.roots().expect("roots");
    let now = server::federation::now().millis();
    let day = 24 * 3_600_000;
    let foreign = [Family::ShangMi, Family::Standard].map(|family| {
        let authority = TlsAuthority::create_of(family, "another", Validity::days(now, 10));
        let authority = authority.expect("an authority");
        let names = &["localhost"];
        TlsIdentity::issue(&authority, "province", names, Validity::days(now, 5))
            .expect("a certificate")
    });
    let standard = cluster.standard_identity(PROVINCE);
    let expired = cluster.issue("province", Validity::days(now - 10 * day, 5));
    let early = cluster.issue("province", Validity::days(now + 5 * day, 5));

    // Not even a byte of an answer: the handshake fails, which in TLS 1.3 the client learns when
    // it reads.
    let reached = |to, identity: Option<&TlsIdentity>| {
        let tls = client_config(&roots, identity, &[b"h2"]).expect("a TLS configuration");
        cluster.run(async move {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let Ok(mut stream) = connect(to, "localhost", tls).await else {
                return false;
            };
            // The preface of HTTP/2 with empty settings; a server that takes the connection
            // answers with its own settings.
            let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
            if stream.write_all(preface).await.is_err() {
                return false;
            }
            let mut first = [0_u8; 9];
            let read = stream.read_exact(&mut first);
            let limit = std::time::Duration::from_secs(20);
            matches!(tokio::time::timeout(limit, read).await, Ok(Ok(_)))
        })
    };
    let own = cluster.identity(PROVINCE);
    for port in ports(&site) {
        assert!(
            reached(port, Some(&own)),
            "{port}: a member of the federation"
        );
        for foreign in &foreign {
            assert!(
                !reached(port, Some(foreign)),
                "{port}: a certificate of another authority, {}",
                foreign.family()
            );
        }
        assert!(
            !reached(port, Some(&expired)),
            "{port}: an expired certificate"
        );
        assert!(
            !reached(port, Some(&early)),
            "{port}: a certificate of next week"
        );
    }
    assert!(
        !reached(site.catalog, None),
        "the Raft port without a certificate"
    );
    // Of the right authority, but for people's programs: between nodes it is RFC 8998 only.
    assert!(
        !reached(site.catalog, Some(&standard)),
        "the Raft port over standard TLS"
    );

    // Persons use the data port too, so it takes a connection without a certificate; but it opens
    // no transfer for one, nor for a certificate that no node of the catalog has.
    let unknown = cluster.issue("nobody", Validity::days(now, 5));
    for identity in [None, Some(&unknown)] {
        let answer = cluster.run(async {
            let mut client = transfers(site.data, &roots, identity)
                .await
                .expect("a connection");
            let consumer = "gd.province".to_owned();
            client
                .open(OpenRequest {
                    transfer: "t-any".to_owned(),
                    consumer,
                })
                .await
        });
        let status = answer.expect_err("nobody opens a transfer");
        let expected = match identity {
            None => tonic::Code::Unauthenticated,
            // A stranger with a certificate may ask; the transfer does not exist.
            Some(_) => tonic::Code::NotFound,
        };
        assert_eq!(status.code(), expected, "{status}");
    }
}

#[test]
fn a_release_is_of_use_to_nobody_else_and_to_nobody_twice() {
    if data::left_out() {
        return;
    }
    use conformance::wire::{ChunksRequest, CompleteRequest, FinishRequest, transfers};

    let cluster = Cluster::start(3);
    let steward = cluster.sign_in(GUANGZHOU, Role::DataSteward);
    let consumer = cluster.sign_in(SHENZHEN, Role::DataConsumer);
    let dataset = published(&cluster, &steward);
    let wish = errand::Wish::all("r-once", &dataset.id);
    let grant = errand::grant(&consumer, &steward, &dataset, &wish, BTreeMap::new());
    let job = errand::fetch(&consumer, &grant, "k-once");
    let Some(jobs::JobOutcome::Transferred { release, .. }) = job.outcome else {
        panic!("{job:?}");
    };
    let release = release.to_string();
    let before = cluster.entries(GUANGZHOU).len();

    let site = cluster.site(GUANGZHOU);
    let roots = cluster.federation().authorities.roots().expect("roots");
    for identity in [cluster.identity(SHENZHEN), cluster.identity(PROVINCE)] {
        let (chunks, finish, complete) = cluster.run(async {
            let mut client = transfers(site.data, &roots, Some(&identity))
                .await
                .expect("a connection");
            let release = release.clone();
            let chunks = ChunksRequest {
                release: release.clone(),
                from: 0,
                to: 1,
            };
            let finish = FinishRequest {
                release: release.clone(),
            };
            let complete = CompleteRequest {
                release,
                receipt: b"{}".to_vec(),
            };
            let chunks = client
                .chunks(chunks)
                .await
                .map(|_| ())
                .map_err(|it| it.code());
            let finish = client
                .finish(finish)
                .await
                .map(|_| ())
                .map_err(|it| it.code());
            let complete = client
                .complete(complete)
                .await
                .map(|_| ())
                .map_err(|it| it.code());
            (chunks, finish, complete)
        });
        let is_consumer = identity.spki_digest() == cluster.identity(SHENZHEN).spki_digest();
        assert_eq!(chunks, Err(tonic::Code::NotFound), "no byte leaves twice");
        if is_consumer {
            // Who lost the last answer is given it again: no rows, only the receipt.
            assert_eq!((finish, complete), (Ok(()), Ok(())));
        } else {
            assert_eq!(finish, Err(tonic::Code::NotFound));
            assert_eq!(complete, Err(tonic::Code::NotFound));
        }
    }
    let after = cluster.entries(GUANGZHOU);
    let released = after[before..].iter().any(|it| {
        matches!(
            it,
            LedgerEvent::Released { .. } | LedgerEvent::ReleaseEnded { .. }
        )
    });
    assert!(!released, "asking again has released something");
}
