//! Sealing, opening and the key schedule of SM4-GCM, on every kernel that this processor has.
//!
//! It does not know the classes before the clock starts: random bytes are drawn for both, and a
//! mask says which stay, so that no branch depends on it.

use std::hint::black_box;
use std::time::Instant;

use crypto::Sm4Backend;
use crypto::measure::Cipher;

use super::welch::print;

pub(crate) fn print_all(count: usize) {
    for backend in Sm4Backend::available() {
        println!();
        println!("|   t   | {backend}: first class | second class |");
        println!("|-------|---|---|");
        key_schedule(backend, count);
        sealing_by_key(backend, count);
        sealing_by_text(backend, count);
        opening_by_tag(backend, count);
    }
}

/// Round keys and the powers of the hash key.
fn key_schedule(backend: Sm4Backend, count: usize) {
    for (name, fixed) in [("expand zeros", [0; 16]), ("expand ones", [0xff; 16])] {
        let samples = samples(count, |noise, mask| {
            let key = noise.masked(&fixed, mask);
            timed(|| Cipher::new(backend, black_box(&key)))
        });
        print(name, "random keys", &samples);
    }
}

fn sealing_by_key(backend: Sm4Backend, count: usize) {
    let mut buffer = Vec::with_capacity(TEXT_BYTES + TAG_BYTES);
    let samples = samples(count, |noise, mask| {
        let cipher = Cipher::new(backend, &noise.masked(&[0; 16], mask)).unwrap();
        buffer.clear();
        buffer.resize(TEXT_BYTES, 0x61);
        timed(|| cipher.seal(&NONCE, b"", black_box(&mut buffer)).unwrap())
    });
    print("seal with the key zero", "with random keys", &samples);
}

fn sealing_by_text(backend: Sm4Backend, count: usize) {
    let cipher = Cipher::new(backend, &[0x5b; 16]).unwrap();
    let mut buffer = Vec::with_capacity(TEXT_BYTES + TAG_BYTES);
    let samples = samples(count, |noise, mask| {
        buffer.clear();
        buffer.extend_from_slice(&noise.masked(&[0; TEXT_BYTES], mask));
        timed(|| cipher.seal(&NONCE, b"", black_box(&mut buffer)).unwrap())
    });
    print("seal zeros", "random texts", &samples);
}

/// Whether a tag that is wrong from its first byte on is rejected sooner than one whose last byte
/// alone is.
fn opening_by_tag(backend: Sm4Backend, count: usize) {
    let cipher = Cipher::new(backend, &[0x5b; 16]).unwrap();
    let mut sealed = vec![0x61; TEXT_BYTES];
    cipher.seal(&NONCE, b"", &mut sealed).unwrap();
    let mut buffer = Vec::with_capacity(sealed.len());
    let samples = samples(count, |_, mask| {
        buffer.clear();
        buffer.extend_from_slice(&sealed);
        let tag = &mut buffer[TEXT_BYTES..];
        tag[0] ^= !mask & 1;
        tag[TAG_BYTES - 1] ^= mask & 1;
        timed(|| {
            cipher
                .open(&NONCE, b"", black_box(&mut buffer))
                .unwrap_err()
        })
    });
    print("open, first byte wrong", "last byte wrong", &samples);
}

/// Measurements with classes that come in no rhythm; the mask is zero for the first class.
fn samples(count: usize, mut measure: impl FnMut(&mut Noise, u8) -> f64) -> Vec<(f64, bool)> {
    let mut noise = Noise(0x6b6f_7561_6e00);
    (0..count)
        .map(|_| {
            let second = noise.next() >> 63 == 1;
            let mask = black_box(u8::from(second).wrapping_neg());
            (measure(&mut noise, mask), second)
        })
        .collect()
}

/// The time of `work` in nanoseconds. What it made is dropped after the clock has stopped.
fn timed<T>(work: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    let made = work();
    let time = start.elapsed().as_secs_f64() * 1e9;
    drop(black_box(made));
    time
}

/// SplitMix64 (Steele, Lea and Flood, 2014): the same inputs in each run.
struct Noise(u64);

impl Noise {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = self.0;
        let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// Random bytes where the mask is set, those given where not.
    fn masked<const N: usize>(&mut self, given: &[u8; N], mask: u8) -> [u8; N] {
        let mut bytes = [0; N];
        for chunk in bytes.chunks_mut(8) {
            let random = self.next().to_le_bytes();
            chunk.copy_from_slice(&random[..chunk.len()]);
        }
        for (byte, given) in bytes.iter_mut().zip(given) {
            *byte = given ^ ((*byte ^ given) & mask);
        }
        bytes
    }
}

const NONCE: [u8; 12] = *b"not a secret";
const TAG_BYTES: usize = 16;

/// Several batches of every kernel, and a short one.
const TEXT_BYTES: usize = 1_500;
