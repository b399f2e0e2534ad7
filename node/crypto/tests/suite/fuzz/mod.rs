//! Fuzzing of what this crate reads: `targets` says what must hold, here are valid inputs.
//!
//! It does not follow coverage.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "set-up of tests, and what must hold"
)]

mod samples;
mod targets;

use crypto::keys::KEY_FILE_ITERATIONS_MIN;
use crypto::merkle::{Tree, leaf_digest};
use crypto::password::PasswordHash;
use crypto::{Authority, Certificate, Digest, KeyFile, Label, SecretKey, Usage, Validity};
use mutate::Fuzz;

pub(crate) use samples::pem;
use samples::{ENVELOPES, PASSPHRASE, SECRET, STREAM, TLS, first_flight, hello_of_server};

/// Objects of X.509 at which readers differ: booleans, times, curves, algorithms, extensions.
const DER_WORDS: &[&str] = &[
    "\u{1}\u{1}\0",
    "\u{5}\0",
    "\u{30}\0",
    "\u{2}\u{1}\0",
    "\u{3}\u{2}\0\0",
    "\u{6}\u{3}\u{55}\u{1d}\u{f}",
    "\u{17}\u{d}491231235959Z",
    "\u{18}\u{f}99991231235959Z",
];

const PEM_WORDS: &[&str] = &[
    "-----BEGIN CERTIFICATE-----\n",
    "-----END CERTIFICATE-----\n",
    "-----BEGIN PRIVATE KEY-----\n",
    "-----BEGIN X509 CRL-----\n",
    "\r\n",
    "=",
    "Proc-Type: 4,ENCRYPTED\n",
];

fn certificates() -> Vec<Certificate> {
    let validity = Validity::days(1_764_000_000_000, 365);
    let authority = Authority::create("CA", validity, SecretKey::generate().unwrap()).unwrap();
    let issue = |usage| {
        authority
            .issue("深圳港,O=x", SECRET.public(), usage, validity)
            .unwrap()
    };
    vec![
        issue(Usage::Sign),
        issue(Usage::Encrypt),
        authority.certificate().clone(),
    ]
}

fn check(name: &str, seeds: &[Vec<u8>], words: &[&str], runs: u32, target: fn(&[u8]) -> bool) {
    Fuzz {
        name,
        seeds,
        words,
        runs,
    }
    .run(target);
}

#[test]
fn changed_certificates() {
    let seeds: Vec<Vec<u8>> = certificates()
        .iter()
        .map(|it| it.as_der().to_vec())
        .collect();
    check(
        "certificate",
        &seeds,
        DER_WORDS,
        1_500,
        targets::certificate,
    );
}

#[test]
fn changed_certificates_in_pem() {
    let seeds: Vec<Vec<u8>> = certificates()
        .iter()
        .map(|it| it.to_pem().unwrap().into_bytes())
        .collect();
    check(
        "certificate_pem",
        &seeds,
        PEM_WORDS,
        1_500,
        targets::certificate_pem,
    );
}

#[test]
fn changed_signatures() {
    let sign = |message: &[u8]| SECRET.sign(Label::Command, message).unwrap();
    let seeds = [sign(b"message"), sign(b"m")].map(|it| it.as_der().to_vec());
    check("signature", &seeds, DER_WORDS, 1_500, targets::signature);
}

#[test]
fn changed_public_keys() {
    let seeds = [SECRET.public().to_spki_der()];
    check("public_key", &seeds, DER_WORDS, 2_000, targets::public_key);
}

#[test]
fn changed_secret_keys() {
    let seeds = [SECRET.to_pkcs8_der().unwrap().to_vec()];
    check("secret_key", &seeds, DER_WORDS, 1_000, targets::secret_key);
}

#[test]
fn changed_wraps() {
    let seeds = [SECRET.public().wrap(b"secret").unwrap()];
    check("wrap", &seeds, DER_WORDS, 1_000, targets::wrap);
}

#[test]
fn changed_envelopes() {
    let seeds = &ENVELOPES.messages;
    check("envelope", seeds, DER_WORDS, 600, targets::envelope);
}

#[test]
fn changed_key_files() {
    let file = KeyFile::seal(&SECRET, PASSPHRASE, KEY_FILE_ITERATIONS_MIN).unwrap();
    let seeds = [file.to_json().unwrap().into_bytes()];
    let words = ["\"version\"", "null", "{", "1e9", "-1", "\\u0000"];
    check("key_file", &seeds, &words, 500, targets::key_file);
}

#[test]
fn changed_password_hashes() {
    let seeds = [PasswordHash::hash_with(b"password", 1_000)
        .unwrap()
        .to_string()
        .into_bytes()];
    let words = ["$", "+", "0", "pbkdf2-hmac-sm3"];
    check(
        "password_hash",
        &seeds,
        &words,
        5_000,
        targets::password_hash,
    );
}

#[test]
fn changed_texts() {
    let seeds = [
        Digest::of(b"").to_string(),
        SECRET.public().to_string(),
        SECRET.sign(Label::Command, b"").unwrap().to_string(),
        "shangmi-only".to_owned(),
    ]
    .map(String::into_bytes);
    check(
        "texts",
        &seeds,
        &["A", "0x", "é", " "],
        3_000,
        targets::texts,
    );
}

#[test]
fn changed_merkle_proofs() {
    let tree: Tree = (0..13_u8).map(|it| leaf_digest(&[it])).collect();
    let seeds = [
        serde_json::to_vec(&tree.inclusion(5, 13).unwrap()).unwrap(),
        serde_json::to_vec(&tree.consistency(6, 13).unwrap()).unwrap(),
    ];
    let words = [
        "18446744073709551615",
        "0",
        "9223372036854775808",
        "[]",
        ",",
    ];
    check("merkle_proof", &seeds, &words, 2_000, targets::merkle_proof);
}

#[test]
fn changed_headers_of_sealed_streams() {
    let seeds = [STREAM.header.to_bytes().unwrap()];
    check("sealed_header", &seeds, &[], 2_000, targets::sealed_header);
}

#[test]
fn changed_chunks_of_sealed_streams() {
    let seeds = [STREAM.chunk.clone()];
    check("sealed_chunk", &seeds, &[], 500, targets::sealed_chunk);
}

#[test]
fn changed_trailers_of_sealed_streams() {
    let seeds = [STREAM.trailer.to_bytes().unwrap()];
    check(
        "sealed_trailer",
        &seeds,
        &[],
        2_000,
        targets::sealed_trailer,
    );
}

#[test]
fn changed_texts_of_tls() {
    let seeds = [&TLS.revocations, &TLS.authority, &TLS.identity].map(|it| it.clone().into_bytes());
    check("tls_pem", &seeds, PEM_WORDS, 500, targets::tls_pem);
}

#[test]
fn changed_revocation_lists() {
    let seeds = [TLS.revocations_der()];
    check(
        "revocation_list",
        &seeds,
        DER_WORDS,
        1_000,
        targets::revocation_list,
    );
}

#[test]
fn changed_certificates_of_peers() {
    let seeds = [TLS.client_certificate.clone()];
    check(
        "peer_certificate",
        &seeds,
        DER_WORDS,
        300,
        targets::peer_certificate,
    );
}

#[test]
fn changed_hellos_of_clients() {
    let seeds = [first_flight(&mut TLS.client())];
    check("tls_to_server", &seeds, &[], 500, targets::tls_to_server);
}

#[test]
fn changed_hellos_of_servers() {
    let seeds = [hello_of_server()];
    check("tls_to_client", &seeds, &[], 500, targets::tls_to_client);
}

#[test]
fn stray_records_after_a_handshake() {
    // The start of a record: valid as long as the rest may still come.
    let seeds = [b"\x17\x03\x03\x00\x12sixteen bytes".to_vec()];
    check(
        "tls_records",
        &seeds,
        &["\u{17}\u{3}\u{3}\0\0"],
        150,
        targets::tls_records,
    );
}
