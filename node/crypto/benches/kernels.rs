//! What the kernels do in a second, beside what others do in the same run: `cargo bench -p crypto`.
//!
//! It does not judge: it prints a table. All runs in one thread. A figure is the best of many
//! passes, since everything that disturbs a pass makes it longer; they are short enough that some
//! fit between two turns of other programs. Arguments choose lines by a part of their name.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a table is printed, and a benchmark that cannot run has nothing to clean up"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use aes_gcm::aead::consts::U12;
use aes_gcm::{AeadInOut as _, AesGcm, KeyInit as _};
use crypto::measure::{Cipher, sm3_lanes, sm3_on};
use crypto::{Digest, Sm4Backend};
use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use sm3::Digest as _;

const KEY: [u8; 16] = *b"0123456789abcdef";
const NONCE: [u8; 12] = *b"counted once";
const PASSES: usize = 300;
const PASS: Duration = Duration::from_micros(300);

/// A line that takes longer has fewer passes.
const LINE: Duration = Duration::from_secs(3);

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|it| it != "--bench")
        .collect();
    let table = Table { wanted };
    println!("selected: {}", Sm4Backend::selected());
    for backend in Sm4Backend::available() {
        ours(&table, backend);
    }
    peers(&table);
    hashing(&table);
}

struct Table {
    wanted: Vec<String>,
}

impl Table {
    /// Runs `work`, which handles `bytes` at a time, and prints a line.
    fn line(&self, name: &str, bytes: usize, mut work: impl FnMut()) {
        let is_wanted = |it: &String| name.contains(it.as_str());
        if !self.wanted.is_empty() && !self.wanted.iter().any(is_wanted) {
            return;
        }
        let mut repeats = 1_u32;
        let mut best = f64::INFINITY;
        let line = Instant::now();
        for pass in 0..PASSES {
            if pass >= 5 && line.elapsed() > LINE {
                break;
            }
            loop {
                let started = Instant::now();
                for _ in 0..repeats {
                    work();
                }
                let elapsed = started.elapsed();
                if elapsed >= PASS {
                    best = best.min(elapsed.as_secs_f64() / f64::from(repeats));
                    break;
                }
                repeats *= 2;
            }
        }
        let length = u32::try_from(bytes).unwrap();
        let rate = f64::from(length) / best / 1e9;
        println!(
            "{name:<44} {bytes:>9} B {:>12.3} us {rate:>8.3} GB/s",
            best * 1e6
        );
    }
}

fn ours(table: &Table, backend: Sm4Backend) {
    let name = |what: &str| format!("sm4-gcm {backend} {what}");
    table.line(&name("key"), 16, || {
        black_box(Cipher::new(backend, black_box(&KEY)));
    });
    let cipher = Cipher::new(backend, &KEY).unwrap();
    for bytes in SIZES {
        let mut buffer = vec![0x61; bytes];
        buffer.reserve_exact(16);
        table.line(&name("seal"), bytes, || {
            cipher.seal(&NONCE, b"", &mut buffer).unwrap();
            buffer.truncate(bytes);
        });
        cipher.seal(&NONCE, b"", &mut buffer).unwrap();
        let sealed = buffer.clone();
        table.line(&name("open, with a copy"), bytes, || {
            buffer.clear();
            buffer.extend_from_slice(&sealed);
            cipher.open(&NONCE, b"", &mut buffer).unwrap();
        });
    }
}

const SIZES: [usize; 5] = [64, 1_024, 1_500, 16 << 10, 1 << 20];

fn peers(table: &Table) {
    let rustcrypto = AesGcm::<sm4::Sm4, U12>::new(&KEY.into());
    let ring = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &KEY).unwrap());
    let cbc = sm_crypto::sm4::CryptSM4CBC::new(&KEY, &KEY);
    table.line("rustcrypto sm4-gcm key", 16, || {
        black_box(AesGcm::<sm4::Sm4, U12>::new(black_box(&KEY.into())));
    });
    for bytes in [64, 16 << 10, 1 << 20] {
        let mut buffer = vec![0x61; bytes];
        buffer.reserve_exact(16);
        let found = buffer.clone();
        table.line("copy", bytes, || {
            buffer.clear();
            buffer.extend_from_slice(black_box(&found));
            black_box(&mut buffer);
        });
        table.line("rustcrypto sm4-gcm seal", bytes, || {
            rustcrypto
                .encrypt_in_place(&NONCE.into(), b"", &mut buffer)
                .unwrap();
            buffer.truncate(bytes);
        });
        table.line("ring aes-128-gcm seal", bytes, || {
            let nonce = Nonce::assume_unique_for_key(NONCE);
            ring.seal_in_place_append_tag(nonce, Aad::empty(), &mut buffer)
                .unwrap();
            buffer.truncate(bytes);
        });
        table.line("sm-crypto sm4-cbc encrypt", bytes, || {
            black_box(cbc.encrypt_cbc(&buffer));
        });
    }
}

fn hashing(table: &Table) {
    for bytes in [64, 16 << 10, 1 << 20] {
        let content = vec![0x61; bytes];
        table.line("sm3 one stream", bytes, || {
            black_box(Digest::of(black_box(&content)));
        });
        table.line("rustcrypto sm3", bytes, || {
            black_box(sm3::Sm3::digest(black_box(&content)));
        });
    }
    for bytes in [64, 1_024, 64 << 10] {
        let contents: Vec<Vec<u8>> = (0..64).map(|i| vec![i; bytes]).collect();
        let contents: Vec<&[u8]> = contents.iter().map(Vec::as_slice).collect();
        for lanes in sm3_lanes() {
            table.line(
                &format!("sm3 64 messages, {lanes} lanes"),
                64 * bytes,
                || {
                    black_box(sm3_on(lanes, black_box(&contents)));
                },
            );
        }
    }
    let leaves = vec![Digest::of(b"leaf"); 4_096];
    table.line("merkle root over 4,096 digests", 4_096 * 32, || {
        black_box(crypto::merkle::root_of(black_box(&leaves)));
    });
}
