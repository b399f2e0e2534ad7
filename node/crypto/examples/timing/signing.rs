//! Signatures with SM2.
//!
//! It does not choose a nonce, which nobody outside can; but whoever knows the key d can compute
//! it from a signature: k = s (1 + d) + r d. So one pass of random signatures is sorted
//! afterwards, by several questions about k.

use std::time::Instant;

use crypto::sm2::{Label, SecretKey};
use sm2::Scalar;
use sm2::elliptic_curve::PrimeField as _;

use super::welch::print;

pub(crate) fn print_all(count: usize) {
    println!();
    println!("|   t   | SM2 signatures: first class | second class |");
    println!("|-------|---|---|");
    by_key(count);
    by_nonce(count);
}

/// Keys of few and of many bits, in turn.
fn by_key(count: usize) {
    let mut sparse = [0; 32];
    sparse[31] = 3;
    let mut dense = [0xff; 32];
    dense[3] = 0xfe;
    dense[16] = 0x11;
    let keys = [sparse, dense].map(|it| SecretKey::from_bytes(&it).unwrap());
    let samples: Vec<(f64, bool)> = (0..count)
        .map(|at| {
            // Which key comes is not a rhythm that something else could share.
            let second = at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63 == 1;
            (timed(&keys[usize::from(second)]).0, second)
        })
        .collect();
    print("d = 3", "d of 250 ones", &samples);
}

/// One key, and what the nonce was.
fn by_nonce(count: usize) {
    let bytes = [0x5b; 32];
    let key = SecretKey::from_bytes(&bytes).unwrap();
    let d = Scalar::from_repr(bytes.into()).unwrap();
    let pass: Vec<(f64, [u8; 32])> = (0..count)
        .map(|_| {
            let (time, signature) = timed(&key);
            let signature = sm2::dsa::Signature::from_der(signature.as_der()).unwrap();
            let (r, s) = (*signature.r(), *signature.s());
            let k = s * (Scalar::ONE + d) + r * d;
            (time, k.to_repr().into())
        })
        .collect();
    let sort = |first: &str, second: &str, is_second: &dyn Fn(&[u8; 32]) -> bool| {
        let samples: Vec<_> = pass.iter().map(|(time, k)| (*time, is_second(k))).collect();
        print(first, second, &samples);
    };
    let ones = |k: &[u8]| k.iter().map(|byte| byte.count_ones()).sum::<u32>();
    sort("k even", "k odd", &|k| k[31] & 1 == 1);
    sort("k below 2^255", "k above", &|k| k[0] >= 0x80);
    sort("top byte of k above 3", "below", &|k| k[0] < 4);
    sort("lowest digit of k high", "low", &|k| k[31] & 31 < 16);
    sort("at most 128 ones in k", "more", &|k| ones(k) > 128);
    sort("fewer than 140 ones in k", "more", &|k| ones(k) >= 140);
    sort("ones in the top half of k", "more than 64", &|k| {
        ones(&k[..16]) > 64
    });
}

/// One signature and its time in nanoseconds.
fn timed(key: &SecretKey) -> (f64, crypto::Signature) {
    let start = Instant::now();
    let signature = key.sign(Label::Challenge, b"timing").unwrap();
    let time = start.elapsed().as_secs_f64() * 1e9;
    (time, signature)
}
