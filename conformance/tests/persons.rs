//! People who come in later: a key of one's own, a binding, an account with a password, and too
//! many wrong tries, each with the real programs.
#![expect(
    clippy::expect_used,
    reason = "a promise that is not kept ends the test"
)]

use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use conformance::process::program;
use conformance::terminal::{Said, Terminal, said};
use conformance::{Cluster, data, errand, eventually};
use schemas::participant::Role;
use serde_json::{Value, json};
use server::federation::now;

const PROVINCE: usize = 0;

/// A file that only its owner reads.
fn secret(cluster: &Cluster, name: &str, text: &str) -> PathBuf {
    use std::io::Write as _;
    let path = cluster.scratch().join(name);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&path)
        .expect("make a file");
    file.write_all(text.as_bytes()).expect("write a file");
    path
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

#[test]
fn a_person_makes_her_key_is_bound_and_acts() {
    let cluster = Cluster::start(1);
    let passphrase = secret(&cluster, "pass", "correct horse battery\n");
    let key = cluster.scratch().join("second.key");
    let mut second = Terminal::at(&cluster, PROVINCE, "gd.province.second");
    let with_passphrase = ["--passphrase-file", text(&passphrase)];
    second.arguments.extend(with_passphrase.map(str::to_owned));
    let made = second.run(&["key", "new", "--out", text(&key)]);
    let public = made.json();
    let mode = std::fs::metadata(&key).expect("a key file").permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    assert!(!made.out.contains("ciphertext"), "{made:?}");
    let again = second.run(&["key", "new", "--out", text(&key)]);
    assert_eq!(again.code, Some(2), "an existing key stays: {again:?}");

    // Nobody is let in before she is bound, and only the administrator binds.
    let from_file = ["--key-file", text(&key)];
    second.arguments.extend(from_file.map(str::to_owned));
    assert_eq!(second.run(&["whoami"]).code, Some(4));
    let card = secret(&cluster, "second.json", &public.to_string());
    let bind = |role: &str, revision: &str| -> Vec<String> {
        [
            "participant",
            "bind",
            "gd.province.second",
            "--role",
            role,
            "--public-key",
            text(&card),
            "--revision",
            revision,
        ]
        .map(str::to_owned)
        .into()
    };
    let typed = |who: &Terminal, words: &[String]| -> Said {
        who.run(&words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let steward = Terminal::of(&cluster, PROVINCE, Role::DataSteward);
    let refused = typed(&steward, &bind("data-steward", "0"));
    assert_eq!(refused.code, Some(4), "{refused:?}");
    let administrator = Terminal::of(&cluster, PROVINCE, Role::SystemAdministrator);
    let unknown = typed(&administrator, &bind("emperor", "0"));
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    let bound = typed(&administrator, &bind("data-steward", "0")).json();
    assert_eq!(bound["revision"], 1, "{bound}");
    let stale = typed(&administrator, &bind("data-consumer", "0"));
    assert_eq!(stale.code, Some(5), "{stale:?}");
    let who = second.run(&["whoami"]).json();
    assert_eq!(who["roles"], json!(["data-steward"]), "{who}");

    // With her, the authority can publish what its other steward submitted.
    let first = cluster.sign_in(PROVINCE, Role::DataSteward);
    let (described, standard) = data::shipped("code-iso3166");
    errand::adopt(&first, standard);
    let owner = &cluster.member(PROVINCE).prepared.node.id;
    let dataset = errand::draft(&first, owner, described);
    let id = dataset.id.as_str();
    for (who, to, expected) in [
        (&steward, "DEPT_APPROVED", 0),
        (&steward, "SUBMITTED", 0),
        (&steward, "APPROVED", 4),
        (&second, "APPROVED", 0),
        (&steward, "PUBLISHED", 0),
    ] {
        let moved = who.run(&["dataset", "move", id, to]);
        assert_eq!(moved.code, Some(expected), "{to}: {moved:?}");
    }
}

fn account(cluster: &Cluster, arguments: &[&str]) -> Said {
    let config = &cluster.member(PROVINCE).prepared.config;
    let mut command = Command::new(program("kouan"));
    command
        .arg("account")
        .args(arguments)
        .args(["--lang", "en", "--config"])
        .arg(config)
        .stdin(std::process::Stdio::null());
    said(command)
}

/// The bytes of a secret in base32 (RFC 4648).
fn decoded(secret: &str) -> Vec<u8> {
    let (mut bits, mut buffer, mut out) = (0_u32, 0_u32, Vec::new());
    for symbol in secret.trim().bytes() {
        let value = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            _ => symbol - b'2' + 26,
        };
        buffer = (buffer << 5) | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from((buffer >> bits) & 0xff).expect("a byte"));
        }
    }
    out
}

/// The code that her authenticator shows, some steps from now.
fn code(secret: &[u8], steps: i64) -> String {
    let seconds = now().millis() / 1_000 + steps * 30;
    crypto::totp::one_time_code(secret, u64::try_from(seconds).expect("after 1970"))
}

#[test]
fn a_person_with_an_account_signs_in_without_a_key_and_her_node_signs() {
    let cluster = Cluster::start(1);
    let prepared = &cluster.member(PROVINCE).prepared;
    let person = prepared.person(Role::DataSteward).expect("a steward");
    let id = person.record.id.as_str();
    let password = secret(&cluster, "password", "a long enough password\n");
    let short = secret(&cluster, "short", "too short\n");
    let add = |password: &Path, more: &[&str]| {
        let mut all = vec!["add", "--person", id, "--password-file", text(password)];
        all.extend(more);
        account(&cluster, &all)
    };
    assert_eq!(add(&short, &[]).code, Some(1));
    let nobody = account(&cluster, &["add", "--person", id]);
    assert_eq!(nobody.code, Some(1));
    assert!(nobody.err.contains("--password-file"), "{nobody:?}");
    let listed = account(&cluster, &["list"]);
    assert_eq!(listed.out, "", "{listed:?}");

    // The node runs while the account is made.
    let passphrase = prepared.dir.join("persons/passphrase");
    let key = ["--key-file", text(&person.key_file), "--passphrase-file"];
    let kept = [&key[..], &[text(&passphrase)]].concat();
    let added = add(&password, &kept);
    assert_eq!(added.code, Some(0), "{added:?}");
    let lines: Vec<&str> = added.out.lines().collect();
    assert!(lines[0].starts_with("otpauth://totp/kouan:"), "{added:?}");
    let totp = decoded(lines[1]);
    assert_eq!(account(&cluster, &["list"]).out.trim(), id);

    let her = Terminal::at(&cluster, PROVINCE, id);
    let sign_in = |code: &str| {
        let file = text(&password);
        her.run(&[
            "login",
            "--password",
            "--password-file",
            file,
            "--code",
            code,
        ])
    };
    let wrong = sign_in("000000");
    assert_eq!(wrong.code, Some(4), "{wrong:?}");
    let present = code(&totp, 0);
    let signed_in = sign_in(&present).json();
    assert_eq!(signed_in["person"], id, "{signed_in}");
    assert_eq!(sign_in(&present).code, Some(4), "a code opens one session");
    // The node signs for her what she changes.
    let (_, standard) = data::shipped("code-iso3166");
    let record = serde_json::to_string(&standard).expect("JSON");
    let record = secret(&cluster, "standard.json", &record);
    let adopted = her.run(&["dataset", "adopt-standard", "-f", text(&record)]);
    assert_eq!(adopted.code, Some(0), "{adopted:?}");

    // Taken away, it opens nothing more.
    let removed = account(&cluster, &["remove", "--person", id]);
    assert_eq!(removed.code, Some(0), "{removed:?}");
    assert_eq!(account(&cluster, &["remove", "--person", id]).code, Some(1));
    assert_eq!(sign_in(&code(&totp, 1)).code, Some(4));
}

#[test]
fn whoever_is_locked_out_is_told_for_how_long() {
    let cluster = Cluster::start(1);
    let consumer = cluster.sign_in(PROVINCE, Role::DataConsumer);
    let id = consumer.person.id.as_str();
    let password = secret(&cluster, "password", "a long enough password\n");
    let her = Terminal::at(&cluster, PROVINCE, id);
    let file = text(&password);
    let last = (0..enforcement::sessions::FAILED_SIGN_INS_MAX)
        .map(|_| {
            her.run(&[
                "login",
                "--password",
                "--password-file",
                file,
                "--code",
                "1",
            ])
        })
        .reduce(|_, next| next)
        .expect("tries");
    assert_eq!(last.code, Some(4), "{last:?}");
    assert!(last.err.contains("locked out"), "{last:?}");
    assert!(last.err.contains("again in 900 s"), "{last:?}");
    let given: Value = json!({ "person": id });
    let answer = consumer.post("/sessions/challenge", &given);
    assert_eq!(answer.refusal(), (429, "LOCKED_OUT"));
    let wait = answer.body["retry_after_s"].as_u64().expect("seconds");
    assert!((800..=900).contains(&wait), "{wait}");
    assert_eq!(answer.retry_after, Some(wait));
    // What she had open goes on, and the node serves others.
    eventually("an answer", || {
        (consumer.get("/datasets").status == 200).then_some(())
    });
}
