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
/// As many as `verify_batch` leaves on one thread; 512 are cut into lots of 24 and one of 8.
const ONE_THREAD_ITEMS: usize = 24;

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

/// One at a time, side by side, and side by side on all cores.
fn batches() {
    for (what, signers, known) in [
        ("8 known keys", 8, true),
        ("512 known keys", BATCH, true),
        ("512 new keys", BATCH, false),
    ] {
        let batch = Batch::new(signers, known);
        let one = rate(BATCH, || {
            for (key, label, message, signature) in batch.items() {
                key.verify(label, message, signature).unwrap();
            }
        });
        let row_of = |how: &str, ours, theirs| {
            row(
                &format!("batch of {BATCH}, {what}, {how}"),
                ours,
                theirs,
                None,
            );
        };
        row_of("one at a time", one, known.then(|| batch.their_rate()));
        let beside = rate(BATCH, || {
            for lot in batch.items().chunks(ONE_THREAD_ITEMS) {
                verify_batch(lot).unwrap();
            }
        });
        row_of("side by side, 1 thread", beside, None);
        let all = rate(BATCH, || verify_batch(&batch.items()).unwrap());
        let cores = thread::available_parallelism().map_or(1, usize::from);
        row_of(&format!("side by side, {cores} threads"), all, None);
    }
}

/// Signatures of some keys by turns.
struct Batch {
    keys: Vec<SecretKey>,
    signatures: Vec<Signature>,
    known: bool,
}

impl Batch {
    fn new(signers: usize, known: bool) -> Self {
        let keys: Vec<SecretKey> = (0..signers)
            .map(|_| SecretKey::generate().unwrap())
            .collect();
        let signatures: Vec<Signature> = keys
            .iter()
            .cycle()
            .take(BATCH)
            .map(|key| key.sign(LABEL, &MESSAGE).unwrap())
            .collect();
        if known {
            for (key, signature) in keys.iter().zip(&signatures) {
                for _ in 0..16 {
                    key.public().verify(LABEL, &MESSAGE, signature).unwrap();
                }
            }
        }
        Self {
            keys,
            signatures,
            known,
        }
    }

    /// A new key is read from its bytes each time, so that nothing is kept.
    fn items(&self) -> Vec<(PublicKey, Label, &[u8], &Signature)> {
        let key = |key: &SecretKey| {
            if self.known {
                key.public().clone()
            } else {
                PublicKey::from_sec1(&key.public().to_sec1()).unwrap()
            }
        };
        self.keys
            .iter()
            .cycle()
            .zip(&self.signatures)
            .map(|(secret, it)| (key(secret), LABEL, &MESSAGE[..], it))
            .collect()
    }

    fn their_rate(&self) -> f64 {
        let message = [LABEL.prefix(), &MESSAGE].concat();
        let items: Vec<_> = self
            .items()
            .into_iter()
            .map(|(key, _, _, signature)| {
                let id = CertificateIdentifier::TEXT;
                let key = sm2::dsa::VerifyingKey::from_sec1_bytes(id, &key.to_sec1()).unwrap();
                let signature = sm2::dsa::Signature::from_der(signature.as_der()).unwrap();
                (key, signature)
            })
            .collect();
        rate(BATCH, || {
            for (key, signature) in &items {
                key.verify(&message, signature).unwrap();
            }
        })
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
