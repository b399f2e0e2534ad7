//! Whole signatures against RustCrypto's: the same verdict on every pair of scalars, and the same
//! bytes from the same nonce.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex};

use proptest::prelude::*;
use sm2::dsa;
use sm2::dsa::signature::hazmat::{PrehashVerifier as _, RandomizedPrehashSigner as _};
use sm2::dsa::signature::rand_core::{TryCryptoRng, TryRng};
use sm2::elliptic_curve::ops::Reduce as _;
use sm2::elliptic_curve::sec1::{FromSec1Point as _, ToSec1Point as _};
use sm2::elliptic_curve::{Group as _, PrimeField as _};
use sm2::{AffinePoint, FieldBytes, ProjectivePoint, Scalar};

use super::batch::{Check, confirm, verify_lot};
use super::curve::{Integer, Lanes};
use super::identity::Identity;
use super::prepared::{Prepared, USES_BEFORE_TABLE, fill_tables};
use super::sign::SigningScalar;
use super::*;
use crate::Error;
use crate::digest::Digest;

/// A random source that gives the same bytes each time.
struct Fixed([u8; 32]);

impl TryRng for Fixed {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(0)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        bytes.copy_from_slice(&self.0);
        Ok(())
    }
}

impl TryCryptoRng for Fixed {}

/// Held by a test that takes all room for tables, and by one that cannot do without a table.
static ROOM: Mutex<()> = Mutex::new(());

fn scalar(bytes: [u8; 32]) -> Scalar {
    Scalar::reduce(&FieldBytes::from(bytes))
}

fn bytes(scalar: Scalar) -> [u8; 32] {
    scalar.to_repr().into()
}

fn integer(scalar: Scalar) -> Integer {
    Integer::reduced(&bytes(scalar))
}

/// Edges and random ones.
fn scalars() -> impl Strategy<Value = Scalar> {
    prop_oneof![
        1 => (0..3_u64).prop_map(Scalar::from),
        1 => (1..3_u64).prop_map(|less| -Scalar::from(less)),
        1 => Just(scalar([0xff; 32])),
        8 => any::<[u8; 32]>().prop_map(scalar),
    ]
}

fn digests() -> impl Strategy<Value = [u8; 32]> {
    prop_oneof![
        1 => Just([0; 32]),
        1 => Just([0xff; 32]),
        1 => scalars().prop_map(bytes),
        4 => any::<[u8; 32]>(),
    ]
}

/// A key with its table.
fn known(sec1: &[u8]) -> PublicKey {
    let key = PublicKey::from_sec1(sec1).unwrap();
    let one = dsa::Signature::from_scalars(Scalar::ONE, Scalar::ONE).unwrap();
    let one = Signature::from_inner(&one);
    for _ in 0..=USES_BEFORE_TABLE {
        // It does not hold, but for one digest of all.
        let _ = key.verify_digest(&Digest::from_bytes([0; 32]), &one);
    }
    key
}

/// The verdict on a signature in a batch, of which the second half is ordinary.
fn verdict_in_batch(sec1: &[u8], digest: [u8; 32], r: Scalar, s: Scalar) -> bool {
    let Ok(signature) = dsa::Signature::from_scalars(r, s) else {
        return false;
    };
    static ORDINARY: LazyLock<(PublicKey, Digest, Signature)> = LazyLock::new(|| {
        let secret = SecretKey::from_bytes(&[0x39; 32]).unwrap();
        let key = known(&secret.public().to_sec1());
        let digest = key.message_digest(&[b"message"]);
        let signature = secret.sign_digest(&digest).unwrap();
        (key, digest, signature)
    });
    let (other, other_digest, other_signature) = &*ORDINARY;
    let signature = Signature::from_inner(&signature);
    let (key, digest) = (known(sec1), Digest::from_bytes(digest));
    let mut checks = vec![(&key, digest, &signature); 5];
    checks.resize(10, (other, *other_digest, other_signature));
    let failed = AtomicBool::new(false);
    let outcome = verify_lot(&checks, &failed);
    assert_eq!(failed.into_inner(), outcome.is_err());
    outcome.is_ok()
}

/// The verdict on a signature, which must be the same from the other library, without a table,
/// with one, and in a batch.
fn verdict(key: &ProjectivePoint, digest: [u8; 32], r: Scalar, s: Scalar) -> bool {
    let point = key.to_affine();
    let theirs = dsa::VerifyingKey::from_affine(CertificateIdentifier::TEXT, point).unwrap();
    let expected = dsa::Signature::from_scalars(r, s)
        .and_then(|signature| theirs.verify_prehash(&digest, &signature))
        .is_ok();
    let sec1 = point.to_sec1_point(false);
    let prepared = Prepared::new(sec1.as_bytes()[1..].try_into().unwrap()).unwrap();
    let in_batch = verdict_in_batch(sec1.as_bytes(), digest, r, s);
    let (digest, r, s) = (Digest::from_bytes(digest), integer(r), integer(s));
    assert!(!prepared.has_table());
    assert_eq!(prepared.holds(&digest, &r, &s), expected, "without a table");
    let one = integer(Scalar::ONE);
    for _ in 0..=USES_BEFORE_TABLE {
        prepared.holds(&digest, &one, &one);
    }
    assert_eq!(prepared.holds(&digest, &r, &s), expected, "with a table");
    assert_eq!(in_batch, expected, "in a batch");
    expected
}

/// A key for which `s` times the base point and `r + s` times the key add up to `sum`.
fn key_for(sum: ProjectivePoint, r: Scalar, s: Scalar) -> Option<ProjectivePoint> {
    let inverse: Option<Scalar> = (r + s).invert().into();
    let key = (sum - ProjectivePoint::mul_by_generator(&s)) * inverse?;
    (!bool::from(key.is_identity())).then_some(key)
}

fn x_of(point: &ProjectivePoint) -> Scalar {
    let sec1 = point.to_affine().to_sec1_point(false);
    scalar(sec1.as_bytes()[1..33].try_into().unwrap())
}

/// A point whose x coordinate is not below n; there is one for about every second x.
fn point_above_the_order(skip: u8) -> ProjectivePoint {
    let mut x: [u8; 32] = bytes(-Scalar::ONE);
    x[31] += 1; // n itself: its last byte is 23
    let compressed = (skip..=u8::MAX - 0x23).find_map(|more| {
        let mut form = [&[2], &x[..]].concat();
        form[32] += more;
        let form = sm2::Sec1Point::from_bytes(&form).ok()?;
        AffinePoint::from_sec1_point(&form).into_option()
    });
    ProjectivePoint::from(compressed.unwrap())
}

#[test]
fn an_x_coordinate_above_the_order_is_accepted_as_the_standard_says() {
    for skip in [0, 7, 100] {
        let sum = point_above_the_order(skip);
        let (r, s) = (scalar([0x31; 32]), scalar([0x59; 32]));
        let key = key_for(sum, r, s).unwrap();
        assert!(verdict(&key, bytes(r - x_of(&sum)), r, s));
        assert!(!verdict(&key, bytes(r - x_of(&sum) + Scalar::ONE), r, s));
    }
}

#[test]
fn a_sum_that_is_neutral_is_refused() {
    for (r, s) in [([0x31; 32], [0x59; 32]), ([1; 32], [2; 32])] {
        let (r, s) = (scalar(r), scalar(s));
        let key = key_for(ProjectivePoint::IDENTITY, r, s).unwrap();
        for digest in [[0; 32], bytes(r), bytes(-r)] {
            assert!(!verdict(&key, digest, r, s));
        }
    }
}

#[test]
fn a_sum_of_two_equal_points_is_doubled() {
    let (r, s) = (scalar([0x31; 32]), scalar([0x59; 32]));
    let sum = ProjectivePoint::mul_by_generator(&(s + s));
    let key = key_for(sum, r, s).unwrap();
    assert!(verdict(&key, bytes(r - x_of(&sum)), r, s));
}

#[test]
fn the_base_point_and_its_negative_are_keys_like_others() {
    for key in [ProjectivePoint::GENERATOR, -ProjectivePoint::GENERATOR] {
        for (r, s) in [(1_u64, 1_u64), (1, 2), (5, 1 << 40)] {
            let (r, s) = (Scalar::from(r), Scalar::from(s));
            let sum = ProjectivePoint::mul_by_generator(&s) + key * (r + s);
            if !bool::from(sum.is_identity()) {
                assert!(verdict(&key, bytes(r - x_of(&sum)), r, s));
            }
            assert!(!verdict(&key, [0xff; 32], r, s));
        }
    }
}

/// A point, r, s, and the digest that was signed: GB/T 32918.5-2017, A.2, whose message is
/// "message digest", and the two of Tongsuo's `evppkey_sm2.txt`, whose digests are given.
const PUBLISHED: [(&str, Option<&str>, &str); 3] = [
    (
        "0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020\
         ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13",
        None,
        "3046022100f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3\
         022100b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa",
    ),
    (
        TONGSUO_KEY,
        Some("d7ad397f6ffa5d4f7f11e7217f241607dc30618c236d2c09c1b9ea8fdadee2e8"),
        "3046022100ab1db64de7c40edbde6651c9b8ebdb804673db836e5d5c7fe15dcf9ed2725037\
         022100eba714451ff69b0bb930b379e192e7cd5fa6e3c41c7fbd8303b799ab54a54621",
    ),
    (
        TONGSUO_KEY,
        Some("b1139602c6ecc9e15e2f3f9c635a1afe737058bc15387479c1ea0d0b3d90e9e5"),
        "3045022100e6e0414ebd3a656c35602af14ab20287dbf30d57af75c49a188ed4b42391f224\
         02202f54f277c606f4605e1ce9514947ffddf94c67a539804a4ed17f852288bdbe2e",
    ),
];

const TONGSUO_KEY: &str = "04393a2ad9e27e43acaaab85a19d3b85591e14406157175addd37bf77ff0caf9ed\
                           37fcf3a8b4f55c038523261fca6636afe6a7afa2a1482a606f5cb3a18b2e2a1e";

#[test]
fn published_signatures_hold_in_a_batch_and_no_changed_bit_does() {
    let published = PUBLISHED.map(|(key, digest, signature)| {
        let key = known(&hex::decode(key).unwrap());
        let digest = match digest {
            Some(hex) => Digest::from_bytes(hex::decode(hex).unwrap().try_into().unwrap()),
            None => key.message_digest(&[b"message digest"]),
        };
        (key, digest, signature.parse::<Signature>().unwrap())
    });
    let verify = |checks: &[Check<'_>]| verify_lot(checks, &AtomicBool::new(false));
    let all = published
        .each_ref()
        .map(|(key, digest, it)| (key, *digest, it));
    let lot = [all, all, all].concat();
    assert_eq!(verify(&lot), Ok(()));
    let refused = Err(Error::SignatureRejected);
    for (at, bit) in (0..256).enumerate() {
        let at = at % lot.len();
        let (key, digest, signature) = lot[at];
        let mut changed = *digest.as_bytes();
        changed[bit / 8] ^= 1 << (bit % 8);
        let mut with_digest = lot.clone();
        with_digest[at] = (key, Digest::from_bytes(changed), signature);
        assert_eq!(verify(&with_digest), refused, "digest, bit {bit}");
        for byte_from in [4, 38] {
            let mut der = signature.as_der().to_vec();
            der[byte_from + bit / 8] ^= 1 << (bit % 8);
            let Ok(changed) = Signature::from_der(&der) else {
                continue;
            };
            let mut with_signature = lot.clone();
            with_signature[at] = (key, digest, &changed);
            assert_eq!(
                verify(&with_signature),
                refused,
                "byte {byte_from}, bit {bit}"
            );
        }
    }
    let swapped = [(all[0].0, all[1].1, all[1].2); 8];
    assert_eq!(verify(&swapped), refused);
}

#[test]
fn only_keys_with_a_table_are_verified_side_by_side() {
    let _room = ROOM.lock().unwrap();
    let secret = SecretKey::generate().unwrap();
    let (old, new) = (known(&secret.public().to_sec1()), secret.public());
    let digest = old.message_digest(&[b"message"]);
    let signature = secret.sign_digest(&digest).unwrap();
    let failed = AtomicBool::new(false);
    let with_lanes = Lanes::detect().are_many();
    for (count, beside) in [
        (1, false),
        (3, false),
        (4, true),
        (8, true),
        (9, true),
        (20, true),
    ] {
        let mut checks = vec![(&old, digest, &signature); count];
        checks.insert(1, (new, digest, &signature));
        let mut expected = vec![beside && with_lanes; count];
        expected.insert(1, false);
        if count == 9 {
            expected[9] = false; // alone in its lot
        }
        assert_eq!(confirm(&checks, &failed), expected, "{count}");
        failed.store(true, Ordering::Relaxed);
        assert_eq!(confirm(&checks, &failed), vec![false; count + 1]);
        failed.store(false, Ordering::Relaxed);
    }
}

#[test]
fn the_scalars_of_a_signature_are_those_in_its_der_form() {
    let edges = [1, 0x7f, 0x80, 0xff, 0x100, u64::MAX].map(Scalar::from);
    let edges = [&edges[..], &[-Scalar::ONE, scalar([0x80; 32])]].concat();
    for r in &edges {
        for s in &edges {
            let signature = dsa::Signature::from_scalars(*r, *s).unwrap();
            let signature = Signature::from_inner(&signature);
            assert!(signature.scalars() == Some((integer(*r), integer(*s))));
        }
    }
}

#[test]
fn the_identity_depends_on_the_identifier() {
    let key = SecretKey::generate().unwrap();
    let sec1 = key.public().to_sec1();
    let coordinates: [u8; 64] = sec1[1..].try_into().unwrap();
    let certificate = Identity::<CertificateIdentifier>::of(&coordinates);
    let handshake = Identity::<HandshakeIdentifier>::of(&coordinates);
    assert_ne!(certificate.message(&[b"m"]), handshake.message(&[b"m"]));
    assert_eq!(
        certificate.message(&[b"m", b"n"]),
        certificate.message(&[b"mn"])
    );
}

#[test]
fn without_room_for_a_table_a_key_verifies_as_before() {
    let key = SecretKey::generate().unwrap();
    let signature = key.sign(Label::Receipt, b"message").unwrap();
    let _room = ROOM.lock().unwrap();
    let full = fill_tables();
    for _ in 0..2 * USES_BEFORE_TABLE {
        let outcome = key.public().verify(Label::Receipt, b"message", &signature);
        assert_eq!(outcome, Ok(()));
    }
    drop(full);
}

#[test]
fn clones_of_a_key_share_its_table() {
    let key = SecretKey::generate().unwrap();
    let signature = key.sign(Label::Receipt, b"message").unwrap();
    for _ in 0..2 * USES_BEFORE_TABLE {
        let clone = key.public().clone();
        let outcome = clone.verify(Label::Receipt, b"message", &signature);
        assert_eq!(outcome, Ok(()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn verdicts_are_those_of_the_other_library(
        secret in scalars(), digest in digests(), r in scalars(), s in scalars(),
    ) {
        let key = ProjectivePoint::mul_by_generator(&secret);
        prop_assume!(!bool::from(key.is_identity()));
        verdict(&key, digest, r, s);
        verdict(&key, digest, r, -r);
    }

    #[test]
    fn a_constructed_signature_holds_and_no_neighbour_does(
        sum in scalars(), r in scalars(), s in scalars(),
    ) {
        let sum = ProjectivePoint::mul_by_generator(&sum);
        prop_assume!(!bool::from(sum.is_identity() | r.is_zero() | s.is_zero()));
        let Some(key) = key_for(sum, r, s) else { return Ok(()) };
        let digest = r - x_of(&sum);
        prop_assert!(verdict(&key, bytes(digest), r, s));
        prop_assert!(!verdict(&key, bytes(digest + Scalar::ONE), r, s));
        prop_assert!(!verdict(&key, bytes(digest), s, r) || r == s);
        verdict(&key, bytes(digest), r + Scalar::ONE, s);
        verdict(&key, bytes(digest), r, s + Scalar::ONE);
        verdict(&key, bytes(digest), -r, -s);
    }

    #[test]
    fn signatures_are_those_of_the_other_library_for_the_same_fresh_bytes(
        secret in scalars(), digest in digests(), fresh in any::<[u8; 32]>(),
    ) {
        prop_assume!(!bool::from(secret.is_zero()) && secret != -Scalar::ONE);
        let theirs = dsa::SigningKey::from_slice(CertificateIdentifier::TEXT, &bytes(secret))
            .and_then(|key| key.sign_prehash_with_rng(&mut Fixed(fresh), &digest));
        let ours = SigningScalar::new(&secret).unwrap();
        let ours = ours.sign(&Digest::from_bytes(digest), &fresh).unwrap();
        prop_assert_eq!(ours.to_bytes(), theirs.unwrap().to_bytes());
    }
}
