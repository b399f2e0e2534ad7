//! The real `kouanctl` against real nodes: the main job as people at a terminal do it, and the exit
//! codes that scripts rely on.
#![expect(
    clippy::too_many_lines,
    reason = "a test tells one story from end to end"
)]

use conformance::terminal::{Said, Terminal, run};
use conformance::{Cluster, data, errand, eventually};
use schemas::participant::Role;

const PROVINCE: usize = 0;
const GUANGZHOU: usize = 1;
const SHENZHEN: usize = 2;

#[test]
fn the_main_job_is_done_at_the_terminal_and_proven_offline() {
    if data::left_out() {
        return;
    }
    let cluster = Cluster::start(3);
    let steward = cluster.sign_in(GUANGZHOU, Role::DataSteward);
    let approver = cluster.sign_in(PROVINCE, Role::DataSteward);
    let owner = &cluster.member(GUANGZHOU).prepared.node.id;
    let (described, standard) = data::shipped("code-iso3166");
    let file = data::file(&described);
    let dataset = errand::describe(&steward, &approver, owner, (described, standard));
    let id = dataset.id.as_str();
    let provider = Terminal::of(&cluster, GUANGZHOU, Role::DataSteward);
    let consumer = Terminal::of(&cluster, SHENZHEN, Role::DataConsumer);
    let auditor = Terminal::of(&cluster, GUANGZHOU, Role::Auditor);
    let file = file.display().to_string();

    let published = provider.run(&["dataset", "publish", id, &file]).json();
    assert_eq!(
        published["outcome"]["published"]["rows"], 249,
        "{published}"
    );
    let found = eventually("the dataset at the consumer's node", || {
        let said = consumer.run(&["dataset", "search", "ISO"]);
        (said.code == Some(0) && said.out.contains(id)).then_some(said)
    });
    assert!(
        found.json().to_string().contains("gd.guangzhou.port"),
        "{found:?}"
    );

    let asked = consumer.run(&[
        "request",
        "create",
        id,
        "--id",
        "r-cli",
        "--purpose",
        "port-statistics",
        "--basis",
        "809-21",
        "--scenario",
        "statistics",
        "--columns",
        "alpha2,name_zh",
        "--where",
        "alpha2=in:CN,NA",
        "--until",
        "2099-12-31",
    ]);
    assert_eq!(asked.code, Some(0), "{asked:?}");
    let agreed = eventually("the request at the provider's node", || {
        let said = provider.run(&["request", "approve", "r-cli"]);
        (said.code != Some(3)).then_some(said)
    });
    assert_eq!(agreed.code, Some(0), "{agreed:?}");
    let grant = eventually("the grant at the consumer's node", || {
        let said = consumer.run(&["grant", "list"]);
        let listed = said.json();
        let items = listed["items"].as_array().or_else(|| listed.as_array())?;
        items.first()?["id"].as_str().map(str::to_owned)
    });
    assert_eq!(consumer.run(&["grant", "check", &grant]).code, Some(0));
    let refused = consumer.run(&["grant", "check", &grant, "--purpose", "advertising"]);
    assert_eq!(refused.code, Some(4), "{refused:?}");
    let fetched = consumer
        .run(&["transfer", "start", &grant, "--wait"])
        .json();
    assert_eq!(fetched["outcome"]["transferred"]["rows"], 2, "{fetched}");

    // The auditor takes evidence away, and checks it where no node is.
    let evidence = cluster
        .scratch()
        .join("evidence.json")
        .display()
        .to_string();
    let key = cluster.scratch().join("key.json");
    let participant = &cluster.member(GUANGZHOU).prepared.participant;
    std::fs::write(&key, serde_json::to_vec(participant).expect("JSON")).expect("write");
    let key = key.display().to_string();
    let saved = auditor.run(&["ledger", "prove", "1", "--out", &evidence]);
    assert_eq!(saved.code, Some(0), "{saved:?}");
    let dir = cluster
        .node(GUANGZHOU)
        .ledger_dir(&participant.id, participant.ledger_incarnation);
    let dir = dir.display().to_string();
    let alone = cluster.scratch().join("alone");
    let verified = run(
        &alone,
        &["-o", "json", "ledger", "verify", &evidence, "--key", &key],
    );
    assert!(
        verified.json().to_string().contains("VERIFIED"),
        "{verified:?}"
    );
    let folder = run(&alone, &["ledger", "verify", &dir, "--key", &key]);
    assert_eq!(folder.code, Some(0), "{folder:?}");
}

#[test]
fn exit_codes_are_those_that_the_help_names() {
    let cluster = Cluster::start(1);
    let steward = Terminal::of(&cluster, PROVINCE, Role::DataSteward);
    let auditor = Terminal::of(&cluster, PROVINCE, Role::Auditor);
    let scratch = cluster.scratch();
    let path = |name: &str| scratch.join(name).display().to_string();
    std::fs::write(scratch.join("a.csv"), "a\n").expect("write");
    std::fs::write(scratch.join("not-evidence.json"), "{}").expect("write");
    let check = |expected: i32, said: &Said| assert_eq!(said.code, Some(expected), "{said:?}");

    check(0, &steward.run(&["dataset", "list"]));
    check(2, &steward.run(&["dataset", "no-such-verb"]));
    check(2, &steward.run(&["dataset", "get"]));
    check(3, &steward.run(&["dataset", "get", "no-such-dataset"]));
    check(
        3,
        &steward.run(&["dataset", "publish", "no-such-dataset", &path("a.csv")]),
    );
    check(
        2,
        &steward.run(&["dataset", "publish", "any", &path("no-such-file.csv")]),
    );
    check(4, &steward.run(&["ledger", "status"]));
    check(
        6,
        &steward.run(&["ledger", "verify", &path("not-evidence.json")]),
    );
    let nowhere = run(
        &steward.config,
        &[
            "--server",
            "127.0.0.1:1",
            "--roots",
            &path("a.csv"),
            "dataset",
            "list",
        ],
    );
    assert!(matches!(nowhere.code, Some(1 | 2 | 7)), "{nowhere:?}");
    let mut unreachable = Terminal::of(&cluster, PROVINCE, Role::DataConsumer);
    unreachable.arguments[1] = "127.0.0.1:1".to_owned();
    check(7, &unreachable.run(&["dataset", "list"]));

    // Evidence, whole and forged, and the ledger's folder.
    let evidence = path("evidence.json");
    check(
        0,
        &auditor.run(&["ledger", "prove", "0", "--out", &evidence]),
    );
    check(
        2,
        &auditor.run(&["ledger", "prove", "0", "--out", &evidence]),
    );
    let participant = &cluster.member(PROVINCE).prepared.participant;
    let key = path("key.json");
    std::fs::write(&key, serde_json::to_vec(participant).expect("JSON")).expect("write");
    let alone = cluster.scratch().join("alone");
    check(
        0,
        &run(&alone, &["ledger", "verify", &evidence, "--key", &key]),
    );
    let text = std::fs::read_to_string(&evidence).expect("evidence");
    let forged = text.replacen("clock_trusted", "clock_trustee", 1);
    assert_ne!(forged, text);
    std::fs::write(path("forged.json"), forged).expect("write");
    check(
        6,
        &run(
            &alone,
            &["ledger", "verify", &path("forged.json"), "--key", &key],
        ),
    );
    let dir = cluster
        .node(PROVINCE)
        .ledger_dir(&participant.id, participant.ledger_incarnation);
    let dir = dir.display().to_string();
    check(0, &run(&alone, &["ledger", "verify", &dir, "--key", &key]));
}
