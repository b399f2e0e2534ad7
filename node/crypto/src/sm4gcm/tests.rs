//! SM4-GCM on every kernel that this processor has, against published vectors, against another
//! implementation and against each other.

use std::path::PathBuf;

use aes_gcm::aead::consts::U12;
use aes_gcm::{AeadInOut as _, AesGcm, KeyInit as _};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::Sm4Backend;

fn kernels() -> Vec<Kernel> {
    let available = Sm4Backend::available();
    assert_eq!(available[0], Sm4Backend::selected());
    assert!(available.contains(&Sm4Backend::Portable));
    available.into_iter().filter_map(Kernel::of).collect()
}

fn name(kernel: Kernel) -> &'static str {
    kernel.backend().name()
}

/// A cheap stream of bytes that repeats late.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..length).map(|_| next()).collect()
}

fn wycheproof() -> Value {
    let root = std::env::var_os("KOUAN_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let name = "conformance/crypto/wycheproof_sm4_gcm.json";
    let text = std::fs::read_to_string(root.join(name))
        .unwrap_or_else(|error| panic!("set KOUAN_DATA to the folder of {name}: {error}"));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn sealing_and_opening_agree_with_wycheproof() {
    let file = wycheproof();
    for kernel in kernels() {
        let mut checked = 0;
        for group in file["testGroups"].as_array().unwrap() {
            // Other lengths of nonce are not offered.
            if group["ivSize"] != 96 {
                continue;
            }
            for test in group["tests"].as_array().unwrap() {
                agree_with(kernel, test);
                checked += 1;
            }
        }
        assert_eq!(checked, 33);
    }
}

fn agree_with(kernel: Kernel, test: &Value) {
    let context = format!("{} of {}", test["tcId"], name(kernel));
    let field = |name: &str| hex::decode(test[name].as_str().unwrap()).unwrap();
    let cipher = Sm4Gcm::with_kernel(kernel, &field("key").try_into().unwrap());
    let nonce = field("iv").try_into().unwrap();
    let sealed = [field("ct"), field("tag")].concat();
    let mut opened = sealed.clone();
    let outcome = cipher.open_in_place(&nonce, &field("aad"), &mut opened);
    if test["result"] == "valid" {
        assert_eq!((outcome, &opened), (Ok(()), &field("msg")), "{context}");
        cipher
            .seal_in_place(&nonce, &field("aad"), &mut opened)
            .unwrap();
        assert_eq!(opened, sealed, "{context}");
    } else {
        let nothing = Vec::new();
        assert_eq!(
            (outcome, opened),
            (Err(Error::Rejected), nothing),
            "{context}"
        );
    }
}

/// RFC 8998, A.1.
#[test]
fn every_kernel_gives_the_vector_of_rfc_8998() {
    let bytes = |text: &str| hex::decode(text).unwrap();
    let key = bytes("0123456789abcdeffedcba9876543210")
        .try_into()
        .unwrap();
    let nonce = bytes("00001234567800000000abcd").try_into().unwrap();
    let aad = bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    let plain = bytes(concat!(
        "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd",
        "eeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa"
    ));
    let sealed = concat!(
        "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735",
        "d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d",
        "83de3541e4c2b58177e065a9bf7b62ec"
    );
    for kernel in kernels() {
        let mut buffer = plain.clone();
        let cipher = Sm4Gcm::with_kernel(kernel, &key);
        cipher.seal_in_place(&nonce, &aad, &mut buffer).unwrap();
        assert_eq!(hex::encode(&buffer), sealed, "{}", name(kernel));
    }
}

#[test]
fn kernels_agree_at_every_length() {
    let (key, nonce) = ([0x5a; 16], [7; 12]);
    let ciphers: Vec<_> = kernels()
        .into_iter()
        .map(|kernel| (kernel, Sm4Gcm::with_kernel(kernel, &key)))
        .collect();
    let (plain, aad) = (noise(3_200, 1), noise(1_100, 2));
    for length in 0..=plain.len() {
        let aad = &aad[..length * 5 % aad.len()];
        let mut first = None;
        for (kernel, cipher) in &ciphers {
            let mut buffer = plain[..length].to_vec();
            cipher.seal_in_place(&nonce, aad, &mut buffer).unwrap();
            let expected = first.get_or_insert_with(|| buffer.clone());
            assert_eq!(&buffer, expected, "{length} bytes on {}", name(*kernel));
            cipher.open_in_place(&nonce, aad, &mut buffer).unwrap();
            assert_eq!(buffer, plain[..length], "{}", name(*kernel));
        }
    }
}

#[test]
fn any_changed_bit_is_rejected_and_the_buffer_wiped() {
    let (key, nonce, aad) = ([3; 16], [9; 12], noise(21, 3));
    for kernel in kernels() {
        let cipher = Sm4Gcm::with_kernel(kernel, &key);
        let mut sealed = noise(1_250, 4);
        cipher.seal_in_place(&nonce, &aad, &mut sealed).unwrap();
        let open = |nonce: &[u8; 12], aad: &[u8], mut buffer: Vec<u8>| {
            let outcome = cipher.open_in_place(nonce, aad, &mut buffer);
            assert_eq!((outcome, buffer), (Err(Error::Rejected), Vec::new()));
        };
        for bit in 0..8 * sealed.len() {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            open(&nonce, &aad, changed);
        }
        for bit in 0..8 * aad.len() {
            let mut changed = aad.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            open(&nonce, &changed, sealed.clone());
        }
        for bit in 0..8 * nonce.len() {
            let mut changed = nonce;
            changed[bit / 8] ^= 1 << (bit % 8);
            open(&changed, &aad, sealed.clone());
        }
        for length in 0..TAG_BYTES {
            open(&nonce, &aad, sealed[..length].to_vec());
        }
        open(&nonce, &aad, sealed[..sealed.len() - 1].to_vec());
    }
}

#[test]
fn what_was_wiped_leaves_no_plaintext_behind() {
    let cipher = Sm4Gcm::new(&[1; 16]);
    let mut buffer = vec![0x61; 4_000];
    cipher.seal_in_place(&[2; 12], b"", &mut buffer).unwrap();
    buffer[0] ^= 1;
    cipher
        .open_in_place(&[2; 12], b"", &mut buffer)
        .unwrap_err();
    buffer.resize(4_000, 0);
    assert!(buffer.iter().all(|byte| *byte == 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn every_kernel_agrees_with_rustcrypto(
        key: [u8; 16],
        nonce: [u8; 12],
        length in 0_usize..5_000,
        aad_length in prop_oneof![0_usize..70, 0_usize..2_500],
        seed: u64,
        flip: u64,
    ) {
        let (plain, aad) = (noise(length, seed), noise(aad_length, !seed));
        let mut expected = plain.clone();
        let oracle = AesGcm::<sm4::Sm4, U12>::new(&key.into());
        oracle.encrypt_in_place(&nonce.into(), &aad, &mut expected).unwrap();
        let bit = usize::try_from(flip % (8 * expected.len() as u64)).unwrap();
        for kernel in kernels() {
            let cipher = Sm4Gcm::with_kernel(kernel, &key);
            let mut buffer = plain.clone();
            cipher.seal_in_place(&nonce, &aad, &mut buffer).unwrap();
            prop_assert_eq!(&buffer, &expected, "{}", name(kernel));
            let mut changed = buffer.clone();
            cipher.open_in_place(&nonce, &aad, &mut buffer).unwrap();
            prop_assert_eq!(&buffer, &plain, "{}", name(kernel));
            changed[bit / 8] ^= 1 << (bit % 8);
            let outcome = cipher.open_in_place(&nonce, &aad, &mut changed);
            prop_assert_eq!((outcome, changed.len()), (Err(Error::Rejected), 0));
        }
    }
}
