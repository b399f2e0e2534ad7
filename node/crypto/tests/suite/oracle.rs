//! A second implementation, the crate `sm-crypto`, as an oracle.
//!
//! It sees only what these tests made, never bytes of a peer; the decision record of 2026-11-24
//! on it says why. It panics on input it does not like, so it is called behind `catch_unwind`.

#![expect(clippy::panic, reason = "without a key there is nothing to test")]

use std::panic::catch_unwind;

use crypto::Zeroizing;
use crypto::digest::Digest;
use crypto::sm2::{Label, SecretKey, Signature};
use proptest::prelude::*;

/// A key in both notations: ours, and hexadecimal as the oracle wants it.
fn key(scalar: &str) -> (SecretKey, String) {
    let bytes: Option<[u8; 32]> = hex::decode(scalar)
        .ok()
        .and_then(|bytes| bytes.try_into().ok());
    let key = bytes.and_then(|bytes| SecretKey::from_bytes(&bytes).ok());
    let Some(key) = key else {
        panic!("{scalar} is not a key")
    };
    (key, scalar.to_owned())
}

const D: &str = "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8";

#[test]
fn our_signatures_verify_in_the_oracle_and_its_signatures_verify_here() {
    let (ours, scalar) = key(D);
    let public = ours.public().to_string();
    for message in [&b""[..], b"a", b"message digest", &[0xff; 300]] {
        let labelled = [Label::Receipt.prefix(), message].concat();
        let made_here = ours.sign(Label::Receipt, message).unwrap();
        let accepted = catch_unwind(|| {
            sm_crypto::sm2::Verify::new(&public).verify_der(&labelled, made_here.as_der(), true)
        });
        assert!(accepted.unwrap());
        let made_there =
            catch_unwind(|| sm_crypto::sm2::Sign::new(&scalar).sign_der(&labelled, true)).unwrap();
        let signature = Signature::from_der(&made_there).unwrap();
        assert_eq!(
            ours.public().verify(Label::Receipt, message, &signature),
            Ok(())
        );
    }
}

#[test]
fn our_wraps_open_in_the_oracle_and_its_wraps_open_here() {
    let (ours, scalar) = key(D);
    let public = ours.public().to_string();
    // The oracle drops leading zero bytes of what it decrypts, so none is sent to it.
    for secret in [&[0x5a; 32][..], b"sixteen byte key", &[0xff; 200]] {
        let made_here = ours.public().wrap(secret).unwrap();
        let opened =
            catch_unwind(|| sm_crypto::sm2::Decrypt::new(&scalar).decrypt_asna1(&made_here));
        assert_eq!(opened.unwrap(), secret);
        let made_there =
            catch_unwind(|| sm_crypto::sm2::Encrypt::new(&public).encrypt_asna1(secret)).unwrap();
        assert_eq!(
            ours.unwrap(&made_there),
            Ok(Zeroizing::new(secret.to_vec()))
        );
    }
}

#[test]
fn both_derive_the_same_public_key() {
    let (ours, scalar) = key(D);
    let theirs = catch_unwind(|| sm_crypto::sm2::pk_from_sk(&scalar)).unwrap();
    assert_eq!(ours.public().to_string(), format!("04{theirs}"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn both_compute_the_same_sm3(bytes: Vec<u8>) {
        let theirs = catch_unwind(|| sm_crypto::sm3::sm3_hash(&bytes)).unwrap();
        prop_assert_eq!(Digest::of(&bytes).to_string(), theirs);
    }
}
