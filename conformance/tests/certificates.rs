//! The life of a node's transport certificate, as its operator and the authority's live it: with
//! the real `kouan ca`, on a running federation.
#![expect(
    clippy::expect_used,
    reason = "a promise that is not kept ends the test"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use conformance::process::program;
use conformance::terminal::{Said, said};
use conformance::wire::{OpenRequest, transfers};
use conformance::{Cluster, eventually};
use crypto::tls::{TlsAuthority, TlsIdentity, TlsRoots};
use schemas::command::{Command as Change, Outcome};
use schemas::participant::{Node, Role};
use server::config::Config;
use server::federation::now;
use server::init;
use tonic::Code;

const PROVINCE: usize = 0;
const GUANGZHOU: usize = 1;
const SHENZHEN: usize = 2;

fn kouan(arguments: &[&str]) -> Said {
    let mut command = Command::new(program("kouan"));
    command.args(arguments).args(["--lang", "en"]).env_clear();
    said(command)
}

fn done(arguments: &[&str]) -> String {
    let answer = kouan(arguments);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    answer.out
}

fn refused(arguments: &[&str], why: &str) {
    let answer = kouan(arguments);
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(answer.err.contains(why), "{why}: {answer:?}");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// A new certificate for the node at `at`, from request to file. Returns the file.
fn renewed(cluster: &Cluster, at: usize, name: &str) -> PathBuf {
    let authority = cluster.federation().roots.with_file_name("");
    let out = cluster.member(at).prepared.dir.join("tls").join(name);
    let node = cluster.member(at).prepared.node.id.to_string();
    let [key, request, certificate, joined] =
        [".key.pem", ".csr.pem", ".cert.pem", ".pem"].map(|ending| {
            let mut path = out.clone().into_os_string();
            path.push(ending);
            PathBuf::from(path)
        });
    done(&[
        "ca",
        "request",
        "--family",
        "shangmi",
        "--name",
        &node,
        "--host",
        "localhost",
        "--out",
        text(&out),
    ]);
    let issue = [
        "ca",
        "issue",
        "--dir",
        text(&authority),
        "--request",
        text(&request),
        "--out",
        text(&certificate),
    ];
    let told = done(&issue);
    assert!(told.contains("127.0.0.1, localhost"), "{told}");
    // Nothing is overwritten.
    refused(&issue, "exists");
    let roots = cluster.federation().roots.clone();
    done(&[
        "ca",
        "join",
        "--key",
        text(&key),
        "--certificate",
        text(&certificate),
        "--roots",
        text(&roots),
        "--out",
        text(&joined),
    ]);
    joined
}

/// Changes the record of a node, as its operator's system administrator.
fn change_node(cluster: &Cluster, at: usize, change: impl FnOnce(&mut Node)) {
    let prepared = &cluster.member(at).prepared;
    let current = cluster.node(at).catalog().view();
    let mut node = current.node(&prepared.node.id).expect("the record").clone();
    change(&mut node);
    let command = Change::RegisterNode {
        node: Box::new(node),
    };
    let administrator = prepared
        .person(Role::SystemAdministrator)
        .expect("a person");
    let signed = init::sign(&administrator.record, &administrator.key, command, now());
    let outcome = cluster.propose(at, signed.expect("signed"));
    assert!(matches!(outcome, Outcome::Applied { .. }), "{outcome:?}");
    cluster.settle();
}

fn configure(cluster: &Cluster, at: usize, change: impl FnOnce(&mut Config)) {
    let path = &cluster.member(at).prepared.config;
    let mut config = Config::read(path).expect("a configuration");
    change(&mut config);
    std::fs::write(path, toml::to_string(&config).expect("a text")).expect("write it");
}

/// What the data port of the node at `at` says to a peer that asks for a transfer which is not
/// there.
fn answer(cluster: &Cluster, at: usize, identity: &TlsIdentity) -> Option<Code> {
    let roots = cluster.federation().authorities.roots().expect("roots");
    let to = cluster.site(at).data;
    cluster.run(async {
        let mut client = transfers(to, &roots, Some(identity)).await.ok()?;
        let asked = OpenRequest {
            transfer: "t-none".to_owned(),
            consumer: "gd.shenzhen.port".to_owned(),
        };
        client.open(asked).await.err().map(|status| status.code())
    })
}

fn identity(path: &Path) -> TlsIdentity {
    let text = std::fs::read_to_string(path).expect("an identity");
    TlsIdentity::from_pem(&text).expect("an identity")
}

#[test]
fn a_node_changes_its_certificate_while_others_go_on() {
    let mut cluster = Cluster::start(3);
    let old = cluster.identity(SHENZHEN);
    let file = renewed(&cluster, SHENZHEN, "shangmi-2");
    let new = identity(&file);
    assert_ne!(old.spki_digest(), new.spki_digest());

    // The record first: until the node shows the new certificate, both are its.
    change_node(&cluster, SHENZHEN, |it| {
        it.transport_keys.insert(new.spki_digest());
    });
    cluster.stop(SHENZHEN);
    configure(&cluster, SHENZHEN, |it| {
        it.tls.shangmi = Some("tls/shangmi-2.pem".into());
    });
    cluster.restart(SHENZHEN).expect("the node starts");
    cluster.settle();

    // Out of the record is out of every port, within seconds, with nobody restarted.
    change_node(&cluster, SHENZHEN, |it| {
        it.transport_keys.remove(&old.spki_digest());
    });
    for at in [PROVINCE, GUANGZHOU] {
        let code = answer(&cluster, at, &new);
        assert_eq!(code, Some(Code::NotFound), "the new certificate");
        eventually("the old certificate to be a stranger's", || {
            let view = cluster.node(at).catalog().view();
            let known = view.node_by_transport_key(&old.spki_digest()).is_some();
            (!known).then_some(())
        });
    }
    // It goes on taking part: what is written now reaches it.
    let steward = cluster.add_person(PROVINCE, "new-steward", Role::DataSteward);
    cluster.settle();
    let view = cluster.node(SHENZHEN).catalog().view();
    assert!(view.person(&steward.person.id).is_some());
}

#[test]
fn a_revoked_certificate_opens_no_port_of_a_node_that_has_the_list() {
    let mut cluster = Cluster::start(3);
    let authority = cluster.federation().roots.with_file_name("");
    let shown = cluster
        .member(SHENZHEN)
        .prepared
        .dir
        .join("tls/shangmi.pem");
    let own = cluster.identity(SHENZHEN);
    let told = done(&["ca", "revoke", "--dir", text(&authority), text(&shown)]);
    assert!(told.contains("names 1 certificates"), "{told}");
    // Once more changes nothing, and a renewal of the lists keeps what they name.
    let told = done(&["ca", "revoke", "--dir", text(&authority), text(&shown)]);
    assert!(told.contains("names 1 certificates"), "{told}");
    let told = done(&["ca", "revoke", "--dir", text(&authority)]);
    assert!(told.contains("names 1 certificates"), "{told}");

    // An authority takes back what it issued, and nothing is written of anything else.
    let (scratch, day) = (cluster.scratch(), crypto::Validity::days(now().millis(), 1));
    let stranger = TlsAuthority::create_shangmi("another", day).expect("an authority");
    let stranger = TlsIdentity::issue(&stranger, "x", &["x"], day).expect("a certificate");
    let path = scratch.join("stranger.pem");
    stranger.write_new(&path).expect("write it");
    refused(
        &["ca", "revoke", "--dir", text(&authority), text(&path)],
        "neither authority of this directory issued it",
    );

    let lists = authority.join(init::REVOCATIONS);
    cluster.stop(GUANGZHOU);
    configure(&cluster, GUANGZHOU, |it| {
        it.tls.revocations = Some(lists.clone())
    });
    cluster.restart(GUANGZHOU).expect("the node starts");
    // In TLS 1.3 the client learns of the refusal when it reads: no answer of the service, but what
    // its own transport makes of a line that is closed.
    let code = answer(&cluster, GUANGZHOU, &own);
    let of_transport = [Code::Unknown, Code::Unavailable, Code::Cancelled];
    assert!(
        code.is_none_or(|code| of_transport.contains(&code)),
        "{code:?}"
    );
    let other = cluster.identity(PROVINCE);
    let code = answer(&cluster, GUANGZHOU, &other);
    assert_eq!(code, Some(Code::NotFound), "not taken back");

    // The list as others read it, and the certificate of another in it.
    let roots =
        TlsRoots::from_pem(&std::fs::read_to_string(&cluster.federation().roots).expect("roots"));
    let roots = roots
        .expect("roots")
        .with_revocations(&std::fs::read_to_string(&lists).expect("lists"));
    let roots = roots.expect("lists");
    assert!(roots.check(&other, now().millis()).is_ok());
    let revoked = roots.check(&own, now().millis()).expect_err("taken back");
    assert!(revoked.to_string().contains("Revoked"), "{revoked}");
    // An overdue list is no list.
    let later = now().plus_millis(31 * 24 * 3_600_000).millis();
    let overdue = roots.check(&other, later).expect_err("an overdue list");
    assert!(overdue.to_string().contains("expired"), "{overdue}");
}

/// A request for a P-256 certificate, made for `name` in a folder.
fn request_in(folder: &Path, name: &str) {
    let out = folder.join(name);
    let mut arguments = vec!["ca", "request", "--family", "standard", "--name", name];
    arguments.extend(["--host", "gd-2.example.cn", "--out", text(&out)]);
    done(&arguments);
}

/// The authority's answer to the request in a file, which goes to another.
fn issue(folder: &Path, request: &Path, answer: &Path) -> Said {
    let authority = folder.join("authority");
    let mut arguments = vec!["ca", "issue", "--dir", text(&authority)];
    arguments.extend(["--request", text(request), "--out", text(answer)]);
    kouan(&arguments)
}

#[test]
fn what_is_no_request_gets_no_certificate() {
    let scratch = tempfile::tempdir().expect("a directory");
    let at = |name: &str| scratch.path().join(name);
    let authority = at("authority");
    done(&["ca", "init", "--dir", text(&authority)]);
    refused(&["ca", "init", "--dir", text(&authority)], "exists");
    request_in(scratch.path(), "gd-2");
    let request = std::fs::read_to_string(at("gd-2.csr.pem")).expect("a request");
    let key = std::fs::read_to_string(at("gd-2.key.pem")).expect("a key");
    let mut flipped = request.into_bytes();
    // In the middle of the base64 text, so within the key or the names.
    let middle = flipped.len() / 2;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    for (name, content, why) in [
        ("flipped", flipped, "certificate request"),
        (
            "key",
            key.into_bytes(),
            "its label is not CERTIFICATE REQUEST",
        ),
        ("empty", Vec::new(), "no PEM text"),
        ("long", vec![b'x'; 20_000], "more than 16 KiB"),
    ] {
        let (path, answer) = (at(name), at(&format!("{name}.cert.pem")));
        std::fs::write(&path, content).expect("write it");
        let said = issue(scratch.path(), &path, &answer);
        assert!(said.code == Some(1) && said.err.contains(why), "{said:?}");
        assert!(!answer.exists(), "{name}");
    }
}

#[test]
fn a_certificate_and_another_key_do_not_become_an_identity() {
    let scratch = tempfile::tempdir().expect("a directory");
    let at = |name: &str| scratch.path().join(name);
    let (authority, foreign) = (at("authority"), at("foreign"));
    done(&["ca", "init", "--dir", text(&authority)]);
    done(&["ca", "init", "--dir", text(&foreign)]);
    request_in(scratch.path(), "gd-2");
    request_in(scratch.path(), "other");
    let (answer, joined) = (at("gd-2.cert.pem"), at("gd-2.pem"));
    let said = issue(scratch.path(), &at("gd-2.csr.pem"), &answer);
    assert_eq!(said.code, Some(0), "{said:?}");
    let join = |key: &str, roots: &Path| {
        let (key, roots) = (at(key), roots.join("roots.pem"));
        let mut arguments = vec!["ca", "join", "--key", text(&key)];
        arguments.extend(["--certificate", text(&answer), "--roots", text(&roots)]);
        arguments.extend(["--out", text(&joined)]);
        kouan(&arguments)
    };
    for (key, roots, why) in [
        ("other.key.pem", &authority, "its key is another one"),
        // It has the same name and another key.
        ("gd-2.key.pem", &foreign, "BadSignature"),
    ] {
        let said = join(key, roots);
        assert!(said.code == Some(1) && said.err.contains(why), "{said:?}");
        assert!(!joined.exists());
    }
    let good = join("gd-2.key.pem", &authority);
    assert_eq!(good.code, Some(0), "{good:?}");
    let year = now().plus_millis(390 * 24 * 3_600_000).millis();
    assert!(identity(&joined).not_after_ms() > year);
}
