//! SM2 signatures a second: ours, RustCrypto's and sm-crypto's, in one run.
//!
//! `cargo bench -p crypto --bench sm2`. It does not compare with earlier runs; each figure is the
//! best of many rounds on one core, over a message of 200 bytes.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and ends when something does not work"
)]

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use crypto::sm2::{CertificateIdentifier, Label, PublicKey, SecretKey, Signature, verify_batch};
use sm2::dsa::signature::{Signer as _, Verifier as _};

const MESSAGE: [u8; 200] = [0x5a; 200];
const LABEL: Label = Label::Command;
const SCALAR: [u8; 32] = [0x39; 32];
const BATCH: usize = 512;

fn main() {
    println!("| SM2, operations per second | ours | RustCrypto sm2 | sm-crypto |");
    println!("|---|---|---|---|");
    sign();
    verify();
    batches();
    parts();
}

fn sign() {
    let ours = SecretKey::from_bytes(&SCALAR).unwrap();
    let theirs = their_key();
    let scalar = hex::encode(SCALAR);
    let oracle = sm_crypto::sm2::Sign::new(&scalar);
    row(
        "sign",
        rate(1, || drop(black_box(ours.sign(LABEL, &MESSAGE)))),
        Some(rate(1, || drop(black_box(theirs.try_sign(&MESSAGE))))),
        Some(rate(1, || drop(black_box(oracle.sign_der(&MESSAGE, true))))),
    );
}

fn verify() {
    let secret = SecretKey::from_bytes(&SCALAR).unwrap();
    let signature = secret.sign(LABEL, &MESSAGE).unwrap();
    let known = secret.public().clone();
    for _ in 0..64 {
        known.verify(LABEL, &MESSAGE, &signature).unwrap();
    }
    // A key that never comes twice: read from bytes each time, so that nothing is kept.
    let sec1 = known.to_sec1();
    let fresh = rate(1, || {
        let key = PublicKey::from_sec1(&sec1).unwrap();
        key.verify(LABEL, &MESSAGE, &signature).unwrap();
    });
    let cached = rate(1, || known.verify(LABEL, &MESSAGE, &signature).unwrap());

    let theirs = their_key();
    let their_signature: sm2::dsa::Signature = theirs.sign(&MESSAGE);
    let their_verifier = theirs.verifying_key();
    let library = rate(1, || {
        their_verifier.verify(&MESSAGE, &their_signature).unwrap()
    });
    let public = known.to_string();
    let oracle = sm_crypto::sm2::Verify::new(&public);
    let labelled = [LABEL.prefix(), &MESSAGE].concat();
    let crate_named = rate(1, || {
        assert!(oracle.verify_der(&labelled, signature.as_der(), true));
    });
    row(
        "verify, key read each time",
        fresh,
        Some(library),
        Some(crate_named),
    );
    row("verify, key with its table", cached, None, None);
}

fn batches() {
    for (what, signers) in [("8 keys", 8), ("512 keys", BATCH)] {
        let keys: Vec<SecretKey> = (0..signers)
            .map(|_| SecretKey::generate().unwrap())
            .collect();
        let signatures: Vec<Signature> = keys
            .iter()
            .cycle()
            .take(BATCH)
            .map(|key| key.sign(LABEL, &MESSAGE).unwrap())
            .collect();
        // Keys are read anew for each batch of many, and kept for batches of few.
        let items = || -> Vec<(PublicKey, Label, &[u8], &Signature)> {
            let mut publics = keys.iter().map(|key| key.public().clone()).cycle();
            let mut next = || {
                let key = publics.next().unwrap();
                if signers == BATCH {
                    PublicKey::from_sec1(&key.to_sec1()).unwrap()
                } else {
                    key
                }
            };
            signatures
                .iter()
                .map(|it| (next(), LABEL, &MESSAGE[..], it))
                .collect()
        };
        let one = rate(BATCH, || {
            for (key, label, message, signature) in items() {
                key.verify(label, message, signature).unwrap();
            }
        });
        let all = rate(BATCH, || verify_batch(&items()).unwrap());
        let cores = thread::available_parallelism().map_or(1, usize::from);
        row(
            &format!("batch of {BATCH}, {what}, 1 thread"),
            one,
            None,
            None,
        );
        row(
            &format!("batch of {BATCH}, {what}, {cores} threads"),
            all,
            None,
            None,
        );
    }
}

/// What surrounds the arithmetic.
fn parts() {
    let key = SecretKey::from_bytes(&SCALAR).unwrap();
    let signature = key.sign(LABEL, &MESSAGE).unwrap();
    let (sec1, der) = (key.public().to_sec1(), signature.as_der());
    let read_key = rate(1, || drop(black_box(PublicKey::from_sec1(&sec1))));
    row("read a public key", read_key, None, None);
    let read_signature = rate(1, || drop(black_box(Signature::from_der(der))));
    row("read a signature", read_signature, None, None);
    let hash = rate(1, || {
        black_box(crypto::Digest::of(&MESSAGE));
    });
    row("SM3 of the message", hash, None, None);
}

fn their_key() -> sm2::dsa::SigningKey {
    sm2::dsa::SigningKey::from_slice(CertificateIdentifier::TEXT, &SCALAR).unwrap()
}

fn row(what: &str, ours: f64, library: Option<f64>, oracle: Option<f64>) {
    let text = |rate: Option<f64>| rate.map_or_else(String::new, |rate| format!("{rate:.0}"));
    println!(
        "| {what} | {ours:.0} | {} | {} |",
        text(library),
        text(oracle)
    );
}

/// The best rate of 200 rounds of 2 ms or one run, in operations per second. Short rounds, since
/// one that nothing interrupts is then among them on a machine that does other things as well.
fn rate(operations: usize, mut run: impl FnMut()) -> f64 {
    let operations = f64::from(u32::try_from(operations).unwrap());
    run();
    let mut best = 0.0_f64;
    for _ in 0..200 {
        let start = Instant::now();
        let mut done = 0.0;
        while done == 0.0 || start.elapsed() < Duration::from_millis(2) {
            run();
            done += operations;
        }
        best = best.max(done / start.elapsed().as_secs_f64());
    }
    best
}
