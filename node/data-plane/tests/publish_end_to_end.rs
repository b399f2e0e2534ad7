//! An upload over HTTP becomes a recorded version, or a failure that says what to do.

#![expect(clippy::unwrap_used, reason = "a test")]

mod publish_world;

use data_plane::Options;
use hyper::StatusCode;
use jobs::{JobKind, JobOutcome, JobState, Jobs, NewJob};
use publish_world::Provider;
use publish_world::world::{dataset_id, participant_id, secret};
use schemas::JobId;
use schemas::code::ErrorCode;
use schemas::command::Command;
use schemas::dataset::{DatasetState, DatasetVersion};
use schemas::ledger_entry::LedgerEvent;
use schemas::quality::Ppm;
use serde_json::json;

const GOOD: &str = "box_number,day,driver,teu\n\
                    CSQU3054383,2026-11-24,Li,2\n\
                    MSCU1234567,2026-11-24,Wang,x\n\
                    TGHU7654321,2026-11-25,,1\n";

/// The job's identifier in an answer.
fn job_of(answer: &publish_world::Answer) -> String {
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.body);
    answer.body["id"].as_str().unwrap().to_owned()
}

#[expect(
    clippy::too_many_lines,
    reason = "one story, told in the order of its steps"
)]
#[tokio::test(flavor = "multi_thread")]
async fn an_upload_becomes_a_recorded_version() {
    let mut provider = Provider::start().await;
    let token = provider.sign_in("steward");
    let intent = provider.intent("steward", "moves", GOOD.as_bytes());
    let query = ("key-1", "file=moves.csv");
    let answer = provider
        .upload(&token, query, &intent, GOOD.as_bytes())
        .await;
    let id = job_of(&answer);
    let again = provider
        .upload(&token, query, &intent, GOOD.as_bytes())
        .await;
    assert_eq!(job_of(&again), id, "the same request again is the same job");
    let job = provider.ended(&id).await;
    let Some(JobOutcome::Published {
        version,
        rows,
        quarantined_rows,
        verdict,
        ..
    }) = &job.outcome
    else {
        panic!("{job:?}");
    };
    assert_eq!(
        (*version, *rows, *quarantined_rows, verdict.passed),
        (1, 2, 1, true)
    );
    let view = provider.world.catalog.view();
    let recorded = view.latest_version(&dataset_id("moves")).unwrap();
    recorded
        .verify(DatasetVersion::LABEL, secret("port").public())
        .unwrap();
    assert_eq!(recorded.body.intent, intent);
    let published = provider.events().into_iter().filter(|event| {
        matches!(
            event,
            LedgerEvent::Published {
                version: Some(1),
                rows: 2,
                ..
            }
        )
    });
    assert_eq!(published.count(), 1);
    assert!(provider.staging_is_empty());

    let answer = provider
        .get(&token, &format!("/api/v1/jobs/{id}/quarantine"))
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    let rows = &answer.body["items"];
    assert_eq!(rows[0]["row"], 2);
    assert_eq!(rows[0]["findings"][0]["field"], "teu");
    assert_eq!(
        rows[0]["values"]["driver"], "***",
        "personal values are masked"
    );
    let answer = provider
        .get(&token, "/api/v1/datasets/moves/preview?limit=1")
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    // Columns in the order of the standard's text.
    assert_eq!(
        answer.body["rows"],
        json!([["CSQU3054383", "2026-11-24", "***", "2"]])
    );
    let inspected = provider.events().into_iter().filter(|event| {
        matches!(event, LedgerEvent::Decided { request, .. }
            if request.action == schemas::code::Action::DatasetInspect)
    });
    assert_eq!(
        inspected.count(),
        2,
        "each look is a decision in the ledger"
    );
    provider.stop().await;
}

#[expect(
    clippy::too_many_lines,
    reason = "one story, told in the order of its steps"
)]
#[tokio::test(flavor = "multi_thread")]
async fn whoever_may_not_upload_learns_what_to_do_and_leaves_nothing() {
    let options = Options {
        upload_bytes_max: 1_000,
        ..Options::default()
    };
    let mut provider = Provider::start_with(options).await;
    let steward = provider.sign_in("steward");
    let analyst = provider.sign_in("analyst");
    let auditor = provider.sign_in("auditor");
    let intent = provider.intent("steward", "moves", GOOD.as_bytes());
    let hers = provider.intent("auditor", "moves", GOOD.as_bytes());
    let unknown = provider.intent("steward", "unknown", GOOD.as_bytes());
    let large = "x".repeat(1_001);
    let large_intent = provider.intent("steward", "moves", large.as_bytes());
    let query = "file=moves.csv";
    let other = GOOD.replace("Li", "Lu");
    let cases = [
        (
            "no",
            &intent,
            query,
            GOOD,
            StatusCode::UNAUTHORIZED,
            ErrorCode::Unauthenticated,
        ),
        (
            &steward,
            &unknown,
            query,
            GOOD,
            StatusCode::NOT_FOUND,
            ErrorCode::NotFound,
        ),
        (
            &analyst,
            &intent,
            query,
            GOOD,
            StatusCode::NOT_FOUND,
            ErrorCode::NotFound,
        ),
        (
            &auditor,
            &intent,
            query,
            GOOD,
            StatusCode::BAD_REQUEST,
            ErrorCode::Invalid,
        ),
        (
            &auditor,
            &hers,
            query,
            GOOD,
            StatusCode::FORBIDDEN,
            ErrorCode::Refused,
        ),
        (
            &steward,
            &intent,
            query,
            &other,
            StatusCode::BAD_REQUEST,
            ErrorCode::Invalid,
        ),
        (
            &steward,
            &intent,
            query,
            &GOOD[..9],
            StatusCode::BAD_REQUEST,
            ErrorCode::Invalid,
        ),
        (
            &steward,
            &intent,
            "",
            GOOD,
            StatusCode::BAD_REQUEST,
            ErrorCode::Invalid,
        ),
        (
            &steward,
            &intent,
            "file=a%2Fb",
            GOOD,
            StatusCode::BAD_REQUEST,
            ErrorCode::Invalid,
        ),
        (
            &steward,
            &large_intent,
            query,
            &large,
            StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::LimitExceeded,
        ),
    ];
    for (at, (token, intent, query, body, status, code)) in cases.into_iter().enumerate() {
        let key = format!("key-{at}");
        let answer = provider
            .upload(token, (&key, query), intent, body.as_bytes())
            .await;
        assert_eq!(
            (answer.status, &answer.body["code"]),
            (status, &json!(code.as_str())),
            "case {at}: {}",
            answer.body
        );
    }
    assert!(provider.staging_is_empty());
    assert!(
        provider
            .jobs
            .list(&participant_id("port"), None, 10)
            .unwrap()
            .is_empty()
    );
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_fails_the_gate_leaves_the_last_good_version_serving() {
    let mut provider = Provider::start().await;
    let token = provider.sign_in("steward");
    let publish = async |provider: &Provider, key: &str, text: &str| {
        let intent = provider.intent("steward", "moves", text.as_bytes());
        let query = (key, "file=moves.csv");
        let answer = provider
            .upload(&token, query, &intent, text.as_bytes())
            .await;
        provider.ended(&job_of(&answer)).await
    };
    let job = publish(&provider, "first", GOOD).await;
    assert_eq!(job.state, JobState::Succeeded, "{job:?}");
    // From now on no row may be kept out.
    let world = &provider.world;
    let revision = world
        .catalog
        .view()
        .dataset(&dataset_id("moves"))
        .unwrap()
        .revision;
    let to = DatasetState::Revising;
    let command = Command::MoveDataset {
        dataset: dataset_id("moves"),
        revision,
        to,
    };
    world.person_does("steward", "port", command).await;
    let mut dataset = world
        .catalog
        .view()
        .dataset(&dataset_id("moves"))
        .unwrap()
        .clone();
    dataset.quality_gate.quarantined_max = Ppm(0);
    let command = Command::DescribeDataset {
        dataset: Box::new(dataset),
    };
    world.person_does("steward", "port", command).await;

    let job = publish(&provider, "second", GOOD).await;
    let failure = job.failure.unwrap();
    assert_eq!(failure.code, ErrorCode::QualityGateFailed, "{failure:?}");
    assert_eq!(failure.findings[0].row, Some(2));
    let job = publish(&provider, "third", "box_number,weight\nA,1\n").await;
    let failure = job.failure.unwrap();
    assert_eq!(failure.code, ErrorCode::SchemaViolation, "{failure:?}");
    assert!(failure.detail.contains("\"weight\""), "{failure:?}");
    let view = provider.world.catalog.view();
    assert_eq!(view.versions(&dataset_id("moves")).count(), 1);
    let events = provider.events();
    let refused = events
        .iter()
        .filter(|event| matches!(event, LedgerEvent::Published { version: None, .. }));
    assert_eq!(refused.count(), 1);
    assert!(provider.staging_is_empty());
    let log = provider.dir.join("tables/moves/_delta_log");
    assert!(
        !log.join(format!("{:020}.json", 2)).exists(),
        "nothing was committed"
    );
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publish_that_died_at_any_point_is_finished_once() {
    let mut provider = Provider::start().await;
    let token = provider.sign_in("steward");
    let intent = provider.intent("steward", "moves", GOOD.as_bytes());
    let query = ("key-1", "file=moves.csv");
    let answer = provider
        .upload(&token, query, &intent, GOOD.as_bytes())
        .await;
    let id = job_of(&answer);
    let first = provider.ended(&id).await;
    provider.stop().await;

    // It died before the job was noted as done: the list of jobs still has it.
    let again = |provider: &Provider, name: &str| {
        let jobs = Jobs::open(&provider.dir.join(name)).unwrap();
        let staged = format!("upload-{}", "0".repeat(32));
        let kind = JobKind::Publish {
            dataset: dataset_id("moves"),
            staged,
            file_name: "moves.csv".to_owned(),
            mapping: None,
            intent: intent.clone(),
        };
        let new = NewJob {
            id: JobId::parse(id.clone()).unwrap(),
            participant: participant_id("port"),
            person: None,
            key: "key-1".to_owned(),
            kind,
            at: enforcement::Clock::now(&*provider.world.clock),
        };
        jobs.create(new).unwrap();
        jobs
    };
    provider.jobs = again(&provider, "jobs-2");
    provider.open(Options::default()).await;
    let second = provider.ended(&id).await;
    assert_eq!(second.outcome, first.outcome);
    provider.stop().await;
    let view = provider.world.catalog.view();
    assert_eq!(
        view.versions(&dataset_id("moves")).count(),
        1,
        "published once"
    );

    // It died between the Delta commit and the catalog: a catalog that knows nothing of it, over
    // the tables of the first.
    let mut other = Provider::start().await;
    other.stop().await;
    copy(&provider.dir.join("tables"), &other.dir.join("tables"));
    other.jobs = again(&other, "jobs-2");
    other.open(Options::default()).await;
    let third = other.ended(&id).await;
    assert_eq!(third.outcome, first.outcome);
    let (before, after) = (view, other.world.catalog.view());
    let before = before.latest_version(&dataset_id("moves")).unwrap();
    let after = after.latest_version(&dataset_id("moves")).unwrap();
    assert_eq!(after.body.content_digest, before.body.content_digest);
    assert_eq!(after.body.delta_version, before.body.delta_version);
    other.stop().await;
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The same moves as another system writes them.
const FOREIGN: &str = "箱号;作业日期;标准箱;备注\nCSQU3054383;24-11-2026;2,0;\n\
                       MSCU1234567;31-11-2026;1,0;x\n";

fn foreign() -> serde_json::Value {
    json!({
        "id": "terminal", "title": { "zh": "码头系统", "en": "The terminal's system" },
        "columns": {
            "box_number": { "from": ["箱号"], "steps": ["trim"] },
            "day": { "from": ["作业日期"], "steps": [
                { "time": { "patterns": ["DD-MM-YYYY"], "write": "DATE", "offset": null } }] },
            "teu": { "from": ["标准箱"], "steps": [
                { "piece": { "separator": ",", "number": 1 } }] },
        },
        "ignored": ["备注"],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_what_a_publish_would_keep_out_and_publishes_nothing() {
    let mut provider = Provider::start().await;
    let token = provider.sign_in("steward");
    let query = "file=moves.csv&standard=moves&edition=1";
    let refused = provider.check(&token, query, "", FOREIGN).await;
    assert_eq!(refused.status, StatusCode::OK);
    assert_eq!(
        refused.body["problem"]["code"], "SCHEMA_VIOLATION",
        "{}",
        refused.body
    );
    let mapping = foreign().to_string();
    let checked = provider.check(&token, query, &mapping, FOREIGN).await;
    let report = json!({
        "rows": 2, "passed": 1, "kept_out": 1, "encoding": "UTF-8",
        "counts": [{ "field": "day", "rule": "mapping", "count": 1 }],
        "findings": [{ "row": 2, "fault": {
            "field": "day", "rule": "mapping", "value": "31-11-2026",
            "why": "no day or time in the mapping's patterns" } }],
    });
    assert_eq!(checked.body["report"], report, "{}", checked.body);
    let twice = mapping.replacen("{", "{\"id\":\"again\",", 1);
    let wrong = provider.check(&token, query, &twice, FOREIGN).await;
    assert_eq!(
        wrong.body["problem"]["code"], "SCHEMA_VIOLATION",
        "{}",
        wrong.body
    );
    let auditor = provider.sign_in("auditor");
    let answer = provider.check(&auditor, query, "", GOOD).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN, "{}", answer.body);
    let missing = "file=moves.csv&standard=moves&edition=2";
    let answer = provider.check(&token, missing, "", GOOD).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND, "{}", answer.body);
    let view = provider.world.catalog.view();
    assert!(view.latest_version(&dataset_id("moves")).is_none());
    assert!(
        provider
            .jobs
            .list(&participant_id("port"), None, 1)
            .unwrap()
            .is_empty()
    );
    // The file goes when its check has ended, which may be after the answer has arrived.
    publish_world::world::eventually("the staged files go", || async {
        provider.staging_is_empty()
    })
    .await;
    provider.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_another_form_is_published_with_a_mapping_of_the_card() {
    let mut provider = Provider::start().await;
    let token = provider.sign_in("steward");
    let intent = provider.intent("steward", "moves", FOREIGN.as_bytes());
    let query = ("key-1", "file=moves.csv&mapping=terminal");
    let unknown = provider
        .upload(&token, query, &intent, FOREIGN.as_bytes())
        .await;
    assert_eq!(unknown.status, StatusCode::BAD_REQUEST, "{}", unknown.body);
    let id = dataset_id("moves");
    let card = || provider.world.catalog.view().dataset(&id).unwrap().clone();
    let revise = Command::MoveDataset {
        dataset: id.clone(),
        revision: card().revision,
        to: DatasetState::Revising,
    };
    provider.world.person_does("steward", "port", revise).await;
    let mut revised = card();
    revised
        .mappings
        .push(serde_json::from_value(foreign()).unwrap());
    let describe = Command::DescribeDataset {
        dataset: Box::new(revised.clone()),
    };
    provider
        .world
        .person_does("steward", "port", describe)
        .await;
    let answer = provider
        .upload(&token, query, &intent, FOREIGN.as_bytes())
        .await;
    let job = provider.ended(&job_of(&answer)).await;
    assert_eq!(job.state, JobState::Succeeded, "{job:?}");
    let view = provider.world.catalog.view();
    let version = &view.latest_version(&id).unwrap().body;
    assert_eq!((version.rows, version.quarantined_rows), (1, 1));
    let applied = version.mapping.as_ref().unwrap();
    let bytes = schemas::canonical::to_bytes(&revised.mappings[0]).unwrap();
    assert_eq!(applied.mapping.as_str(), "terminal");
    assert_eq!(applied.digest, crypto::Digest::of(&bytes));
    let answer = provider.get(&token, "/api/v1/datasets/moves/preview").await;
    assert_eq!(
        answer.body["rows"],
        json!([["CSQU3054383", "2026-11-24", null, "2"]])
    );
    provider.stop().await;
}
