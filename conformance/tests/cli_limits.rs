//! What a grant leaves out and takes back, at the terminal: masks, a row limit, a revocation, and
//! the exit codes of work that is slow, called off, interrupted or asked for twice.
//!
//! It does not repeat the main job; `cli` does that.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

use conformance::terminal::{Said, Terminal};
use conformance::{Cluster, bulk, errand, eventually, received};
use schemas::dataset::Grade;
use schemas::participant::Role;
use serde_json::json;

const PROVINCE: usize = 0;
const GUANGZHOU: usize = 1;
const SHENZHEN: usize = 2;

/// Rows of the dataset; a quarter of them is of each of four ports.
const ROWS: u64 = 4_000;

/// Three nodes and a dataset of Guangzhou's, and two people at their terminals.
struct Scene {
    cluster: Cluster,
    dataset: schemas::dataset::Dataset,
    provider: Terminal,
    consumer: Terminal,
}

impl Scene {
    fn open(rows: u64) -> Self {
        let cluster = Cluster::start(3);
        let steward = cluster.sign_in(GUANGZHOU, Role::DataSteward);
        let approver = cluster.sign_in(PROVINCE, Role::DataSteward);
        let owner = &cluster.member(GUANGZHOU).prepared.node.id;
        let described = bulk::described("bulk", Grade::G3);
        let dataset = errand::describe(&steward, &approver, owner, described);
        let file = cluster.scratch().join("bulk.csv");
        bulk::write(&file, rows, 12);
        let job = errand::publish(&steward, &dataset.id, &file);
        assert_eq!(errand::published(&job), (1, rows, 0));
        cluster.settle();
        let provider = Terminal::of(&cluster, GUANGZHOU, Role::DataSteward);
        let consumer = Terminal::of(&cluster, SHENZHEN, Role::DataConsumer);
        Self {
            cluster,
            dataset,
            provider,
            consumer,
        }
    }

    /// Asks at the terminal and agrees with further flags; the grant is known at both nodes.
    fn grant(&self, request: &str, asked: &[&str], agreed: &[&str]) -> String {
        let create = [
            "request",
            "create",
            self.dataset.id.as_str(),
            "--id",
            request,
            "--purpose",
            "port-statistics",
            "--basis",
            "809-21",
            "--scenario",
            "statistics",
            "--until",
            "2099-12-31",
        ];
        let said = self.consumer.run(&[&create, asked].concat());
        assert_eq!(said.code, Some(0), "{said:?}");
        let approve = ["request", "approve", request];
        let said = eventually("the request at the provider's node", || {
            let said = self.provider.run(&[&approve, agreed].concat());
            (said.code != Some(3)).then_some(said)
        });
        assert_eq!(said.code, Some(0), "{said:?}");
        eventually("the grant at the consumer's node", || {
            let view = self.cluster.node(SHENZHEN).catalog().view();
            let contracts: BTreeMap<_, _> = view
                .contracts()
                .map(|it| (it.id.clone(), it.request.to_string()))
                .collect();
            let mut grants = view.grants();
            let found = grants.find(|it| {
                let of = contracts.get(&it.contract).map(String::as_str);
                of == Some(request)
            });
            found.map(|it| it.id.to_string())
        })
    }

    fn fetch(&self, grant: &str) -> Said {
        self.consumer.run(&["transfer", "start", grant, "--wait"])
    }
}

fn check(expected: i32, said: &Said) {
    assert_eq!(said.code, Some(expected), "{said:?}");
}

#[test]
fn masks_a_row_limit_and_a_revocation_hold_at_the_terminal() {
    let scene = Scene::open(ROWS);
    let masks = ["--mask", "port=truncate:2", "--mask", "text=hash"];
    let asked = ["--where", "port=eq:CNNSA"];
    let limited = [&masks[..], &["--rows-max", "100"]].concat();
    let grant = scene.grant("r-limited", &asked, &limited);
    let record = scene.consumer.run(&["grant", "get", &grant]).json();
    assert_eq!(record["rows_max"], 100, "{record}");
    assert_eq!(
        record["masks"],
        json!({"port": {"truncate": {"keep_chars": 2}}, "text": "keyed_hash"}),
        "{record}"
    );

    // A thousand rows pass the filter; a hundred come, and it is said that there are more.
    let said = scene.fetch(&grant);
    let outcome = &said.json()["outcome"]["transferred"];
    assert_eq!(outcome["rows"], 100, "{outcome}");
    assert_eq!(outcome["row_limit_reached"], true, "{outcome}");
    assert!(said.err.contains("row limit"), "{said:?}");
    let job = scene.consumer.run(&["job", "list"]).json();
    let id = job[0]["id"].as_str().expect("a job").to_owned();
    let chinese = scene.consumer.run(&["--lang", "zh", "job", "wait", &id]);
    assert!(chinese.err.contains("行数上限"), "{chinese:?}");

    let folder = received::folder(&scene.cluster.member(SHENZHEN).prepared, "bulk");
    let rows = received::rows(&folder, &["id", "port", "text"]);
    assert_eq!(rows.len(), 100);
    for row in &rows {
        let id: u64 = row[0].as_deref().expect("an id").parse().expect("a number");
        assert_eq!(id % 4, 0, "only rows of the filter");
        assert_eq!(row[1].as_deref(), Some("CN*"));
        let text = row[2].as_deref().expect("a hash");
        assert_ne!(text.len(), 12 * 16, "the text arrived in clear: {text}");
    }

    // Without a limit all of them come, and nothing is said.
    let grant = scene.grant("r-whole", &asked, &masks);
    let said = scene.fetch(&grant);
    let outcome = &said.json()["outcome"]["transferred"];
    assert_eq!(outcome["rows"], ROWS / 4, "{outcome}");
    assert_eq!(outcome["row_limit_reached"], false, "{outcome}");
    assert!(!said.err.contains("row limit"), "{said:?}");

    // A limit that fits exactly cuts nothing off.
    let exact = [&masks[..], &["--rows-max", "1000"]].concat();
    let grant = scene.grant("r-exact", &asked, &exact);
    let outcome = &scene.fetch(&grant).json()["outcome"]["transferred"];
    assert_eq!(outcome["rows"], 1_000, "{outcome}");
    assert_eq!(outcome["row_limit_reached"], false, "{outcome}");

    // What was given is taken back.
    let because = ["grant", "revoke", &grant, "--because", "misuse"];
    check(0, &scene.provider.run(&because));
    eventually("the revocation at the consumer's node", || {
        let record = scene.consumer.run(&["grant", "get", &grant]).json();
        (record["state"] == "REVOKED").then_some(())
    });
    let refused = scene.fetch(&grant);
    check(4, &refused);
    assert!(refused.err.contains("is REVOKED"), "{refused:?}");
    let asked = scene.consumer.run(&["grant", "check", &grant]);
    check(4, &asked);
    let said = [asked.out, asked.err].concat();
    assert!(said.contains("GRANT_REVOKED"), "{said}");
}

#[test]
fn tables_and_chinese_words_are_for_people() {
    let scene = Scene::open(40);
    let people = Terminal::of(&scene.cluster, SHENZHEN, Role::DataConsumer).with_tables();
    let listed = people.run(&["dataset", "list"]);
    check(0, &listed);
    let mut lines = listed.out.lines().filter(|it| !it.trim().is_empty());
    let header = lines.next().expect("a header");
    assert!(
        header.contains("id") && header.contains("state"),
        "{listed:?}"
    );
    let row = lines.find(|it| it.contains("bulk")).expect("a row");
    for part in ["G3", "PUBLISHED", "gd.guangzhou.port"] {
        assert!(row.contains(part), "{part} in {row}");
    }
    let chinese = people.run(&["--lang", "zh", "dataset", "list"]);
    check(0, &chinese);
    assert!(chinese.out.contains("标识"), "{chinese:?}");
    assert!(
        chinese.out.contains("PUBLISHED"),
        "codes are not translated"
    );

    // A refusal in Chinese: the rule and what to do, with the codes as they are.
    let refused = people.run(&["--lang", "zh", "ledger", "status"]);
    check(4, &refused);
    for part in ["REFUSED", "ROLE_MISSING", "台账序号", "下一步"] {
        assert!(refused.err.contains(part), "{part} in {refused:?}");
    }
    assert_eq!(refused.out, "", "words are no data");
    let missing = people.run(&["--lang", "zh", "dataset", "get", "no-such"]);
    check(3, &missing);
    assert!(
        !missing.err.is_empty() && missing.out.is_empty(),
        "{missing:?}"
    );
}

#[test]
fn work_that_is_slow_called_off_interrupted_or_asked_for_twice_has_its_exit_code() {
    let scene = Scene::open(20_000);
    let grant = scene.grant("r-slow", &[], &[]);
    let other = scene.grant("r-other", &[], &[]);
    // A conflict: what was agreed to is not agreed to again.
    check(5, &scene.provider.run(&["request", "approve", "r-slow"]));

    // Minutes for each chunk: the machine may be busy, and the job must not end by itself.
    scene.cluster.node(GUANGZHOU).limit_transfers(4 << 10);
    let start = ["transfer", "start", &grant, "--idempotency-key", "k-slow"];
    let job = scene.consumer.run(&start).json();
    let job = job["id"].as_str().expect("a job").to_owned();
    // One key for two transfers.
    let twice = ["transfer", "start", &other, "--idempotency-key", "k-slow"];
    check(5, &scene.consumer.run(&twice));
    // Too slow for whoever waits a second.
    let wait = ["--timeout", "1", "job", "wait", &job];
    check(8, &scene.consumer.run(&wait));

    // Ctrl-C ends the wait, not the job: 130, as shells tell it.
    let mut waiting = scene.consumer.start(&["job", "wait", &job]);
    std::thread::sleep(Duration::from_millis(500));
    let sent = std::process::Command::new("sh")
        .args(["-c", "kill -INT \"$0\""])
        .arg(waiting.id().to_string())
        .status();
    assert!(sent.expect("run sh").success());
    let ended = waiting.wait().expect("wait for a process of ours");
    let code = ended.code().or_else(|| ended.signal().map(|it| 128 + it));
    assert_eq!(code, Some(130), "{ended}");
    let running = scene.consumer.run(&["job", "get", &job]).json();
    assert_eq!(running["state"], "RUNNING", "{running}");

    // Called off: the wait ends as one that failed.
    check(0, &scene.consumer.run(&["job", "cancel", &job]));
    let called_off = scene.consumer.run(&["job", "wait", &job]);
    check(1, &called_off);
    assert!(called_off.err.contains("called off"), "{called_off:?}");
    scene.cluster.node(GUANGZHOU).limit_transfers(u64::MAX);
}
