//! The operations port: health, readiness and metrics, over TLS and for nobody in particular.
//!
//! It does not judge the figures of one machine: it looks at whether counters move, and by how
//! much where that is known.
#![expect(
    clippy::expect_used,
    reason = "a promise that is not kept ends the test"
)]

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use conformance::{Cluster, bulk, errand, eventually};
use schemas::dataset::Grade;
use schemas::participant::Role;
use serde_json::json;

const PROVINCE: usize = 0;
const GUANGZHOU: usize = 1;
const SHENZHEN: usize = 2;

/// Status, kind and text of what the operations port of a member answers.
fn ask(cluster: &Cluster, at: usize, path: &str) -> (u16, String, String) {
    let address = cluster.node(at).addresses().operations;
    let agent = conformance::rest::agent(&cluster.federation().roots);
    let answer = agent.get(format!("https://{address}{path}")).call();
    let mut answer = answer.expect("an answer");
    let kind = answer.headers().get("content-type");
    let kind = kind.map_or("", |it| it.to_str().expect("ASCII")).to_owned();
    let text = answer.body_mut().read_to_string().expect("text");
    (answer.status().as_u16(), kind, text)
}

/// The samples of `/metrics`: name with labels, and value.
fn samples(cluster: &Cluster, at: usize) -> BTreeMap<String, i64> {
    let (status, kind, text) = ask(cluster, at, "/metrics");
    assert_eq!(status, 200);
    assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
    assert!(text.ends_with("# EOF\n"), "{text}");
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').expect("a name and a value"))
        .map(|(name, value)| (name.to_owned(), value.parse().expect("a whole number")))
        .collect()
}

/// What a port says to a caller without TLS.
fn plain(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).expect("a connection");
    let limit = Some(Duration::from_secs(20));
    stream.set_read_timeout(limit).expect("a timeout");
    let request = format!("GET /livez HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("send");
    let mut said = Vec::new();
    // The node may close the line in the middle of it.
    let _ = stream.read_to_end(&mut said);
    String::from_utf8_lossy(&said).into_owned()
}

#[test]
fn health_is_told_over_tls_to_whoever_asks() {
    let mut cluster = Cluster::start(2);
    let (status, _, text) = ask(&cluster, PROVINCE, "/livez");
    assert_eq!((status, text.as_str()), (200, "ok\n"));
    let (status, kind, text) = eventually("the node to be ready", || {
        let answer = ask(&cluster, PROVINCE, "/readyz");
        (answer.0 == 200).then_some(answer)
    });
    assert_eq!((status, kind.as_str()), (200, "application/json"));
    let ready: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        ready,
        json!({"node": "province", "ready": true, "reasons": [], "warnings": []})
    );
    // Nothing else is served there, and what is served elsewhere is not.
    for path in ["/", "/api/v1/datasets", "/openapi.json"] {
        assert_eq!(ask(&cluster, PROVINCE, path).0, 404, "{path}");
    }
    let address = cluster.node(PROVINCE).addresses().operations;
    let said = plain(address);
    assert!(
        !said.contains("HTTP/1.1 200") && !said.contains("ok\n"),
        "{said}"
    );

    // Without the leader, and without a majority for another: alive, not ready, with the reason.
    cluster.stop(PROVINCE);
    let text = eventually("the node to say that it is not ready", || {
        let (status, _, text) = ask(&cluster, GUANGZHOU, "/readyz");
        (status == 503).then_some(text)
    });
    let ready: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(ready["ready"], false);
    assert!(text.contains("the catalog knows no leader"), "{text}");
    assert_eq!(ask(&cluster, GUANGZHOU, "/livez").0, 200);
}

/// Alerts and dashboard ask for metrics by name: a name that the node does not have never alarms.
#[test]
fn alerts_and_dashboard_ask_for_what_the_node_measures() {
    let cluster = Cluster::start(1);
    let known = samples(&cluster, PROVINCE);
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let mut asked = BTreeMap::new();
    for file in ["monitoring/kouan.rules.yml", "monitoring/grafana.json"] {
        let text = std::fs::read_to_string(folder.join(file)).expect("a file for operators");
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        for name in words.filter(|it| it.starts_with("kouan_")) {
            asked.insert(name.to_owned(), file);
        }
        // Every page that an alert names is there.
        let pages = text
            .lines()
            .filter_map(|it| it.trim().strip_prefix("runbook: "));
        for page in pages {
            assert!(folder.join(page).exists(), "{file} names {page}");
        }
    }
    assert!(asked.len() >= 10, "{asked:?}");
    for (name, file) in asked {
        let is_known = |it: &String| it.split('{').next() == Some(name.as_str());
        assert!(known.keys().any(is_known), "{file} asks for {name}");
    }
}

#[test]
fn metrics_move_with_what_the_node_does() {
    let cluster = Cluster::start(3);
    let steward = cluster.sign_in(GUANGZHOU, Role::DataSteward);
    let approver = cluster.sign_in(PROVINCE, Role::DataSteward);
    let consumer = cluster.sign_in(SHENZHEN, Role::DataConsumer);
    let owner = &cluster.member(GUANGZHOU).prepared.node.id;
    let described = bulk::described("bulk", Grade::G3);
    let dataset = errand::describe(&steward, &approver, owner, described);
    let of = |outcome: &str| {
        format!("kouan_decisions_total{{participant=\"gd.guangzhou.port\",outcome=\"{outcome}\"}}")
    };
    let ended = |state: &str| format!("kouan_jobs_ended_total{{state=\"{state}\"}}");
    let before = samples(&cluster, GUANGZHOU);
    for name in [
        "kouan_catalog_applied_index",
        "kouan_catalog_has_leader",
        "kouan_clock_trusted",
        "kouan_jobs{state=\"QUEUED\"}",
        "kouan_jobs{state=\"RUNNING\"}",
    ] {
        assert!(before.contains_key(name), "{name} in {before:?}");
    }

    let file = cluster.scratch().join("bulk.csv");
    bulk::write(&file, 5_000, 4);
    let _ = errand::published(&errand::publish(&steward, &dataset.id, &file));
    let wrong = cluster.scratch().join("wrong.csv");
    std::fs::write(&wrong, "id,port,text\n1,nowhere,x\n").expect("write");
    let job = errand::publish(&steward, &dataset.id, &wrong);
    assert!(job.failure.is_some(), "{job:?}");
    assert_eq!(steward.get("/ledger").status, 403);
    let wish = errand::Wish::all("r-metrics", &dataset.id);
    let grant = errand::grant(&consumer, &steward, &dataset, &wish, BTreeMap::new());
    let job = errand::fetch(&consumer, &grant, "k-metrics");
    assert_eq!(errand::transferred(&job), (1, 5_000));
    let Some(jobs::JobOutcome::Transferred { bytes, .. }) = job.outcome else {
        unreachable!("it was transferred");
    };
    let bytes = i64::try_from(bytes).expect("a size");

    let after = samples(&cluster, GUANGZHOU);
    let moved = |name: &str| after[name] - before[name];
    assert_eq!(moved("kouan_rows_published_total"), 5_000);
    assert_eq!(moved(&ended("SUCCEEDED")), 1);
    assert_eq!(moved(&ended("FAILED")), 1);
    assert_eq!(moved(&ended("CANCELLED")), 0);
    assert!(moved(&of("permitted")) >= 3, "{after:?}");
    assert!(moved(&of("refused")) >= 1, "{after:?}");
    // Sealed chunks are a little longer than what is in them.
    let sent = moved("kouan_transfer_sent_bytes_total");
    assert!(
        sent >= bytes && sent < bytes + bytes / 10 + 4_096,
        "{sent} of {bytes}"
    );
    let there = samples(&cluster, SHENZHEN);
    assert_eq!(there["kouan_transfer_received_bytes_total"], bytes);
    assert_eq!(there[&ended("SUCCEEDED")], 1);
    assert_eq!(there["kouan_jobs{state=\"RUNNING\"}"], 0);
}
