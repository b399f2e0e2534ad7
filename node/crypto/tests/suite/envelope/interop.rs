//! Messages both ways with GmSSL, OpenSSL and asn1crypto.
//!
//! It is ignored by default, because it fetches three packages from PyPI into an environment of
//! its own below the target folder. Run it with `cargo test -p crypto --test suite -- --ignored`.

use std::path::Path;
use std::process::Command;

use crypto::envelope::{DetachedSignature, EnvelopedData, SignedAndEnvelopedData, SignedData};

use super::Parties;

const PACKAGES: [&str; 3] = [
    "gmssl_pyx==2.1.0",
    "cryptography==50.0.2",
    "asn1crypto==1.5.1",
];

fn run(script: &str, folder: &Path) {
    let environment = Path::new(env!("CARGO_TARGET_TMPDIR")).join("gmt0010");
    let python = environment.join("bin/python3");
    if !environment.join("done").exists() {
        let made = Command::new("python3")
            .args(["-m", "venv"])
            .arg(&environment)
            .status();
        assert!(made.unwrap().success(), "python3 -m venv");
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet"]).args(PACKAGES);
        assert!(pip.status().unwrap().success(), "pip install");
        std::fs::write(environment.join("done"), "").unwrap();
    }
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/interop/gmt0010.py");
    let status = Command::new(python)
        .args([program, script])
        .arg(folder)
        .status();
    assert!(status.unwrap().success(), "{script}");
}

#[tokio::test]
#[ignore = "fetches packages from PyPI"]
async fn other_hands_read_our_messages_and_we_read_theirs() {
    let parties = Parties::new();
    for content in [&b"x"[..], &b"0123456789abcdef".repeat(2_000)] {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        };
        let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
        write("content", content);
        write("signer.der", parties.signer.as_der());
        write("signer.key", &super::SIGNER_SCALAR);
        write("recipient.der", parties.recipient.as_der());
        write("recipient.key", &super::RECIPIENT_SCALAR);
        run("make", folder.path());
        for name in ["signed.der", "plain.der"] {
            let message = SignedData::from_der(&read(name)).unwrap();
            assert_eq!(message.verified_content(&parties.signer), Ok(content));
            let carried = message.unverified_certificates();
            assert_eq!(carried, std::slice::from_ref(&parties.signer));
        }
        for name in ["detached.der", "detached-plain.der"] {
            let message = DetachedSignature::from_der(&read(name)).unwrap();
            assert_eq!(message.verify(content, &parties.signer), Ok(()));
        }
        let message = EnvelopedData::from_der(&read("enveloped.der")).unwrap();
        assert_eq!(parties.open(&message).await.unwrap(), content);
        let message = SignedAndEnvelopedData::from_der(&read("both.der")).unwrap();
        assert_eq!(parties.open_both(&message).await.unwrap(), content);

        write("ours-signed.der", &parties.sign(content).await);
        write("ours-detached.der", &parties.sign_detached(content).await);
        write("ours-enveloped.der", &parties.seal(content));
        write("ours-both.der", &parties.seal_both(content).await);
        run("read", folder.path());
    }
}
