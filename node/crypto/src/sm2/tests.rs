//! Whole signatures against RustCrypto's: the same verdict on every pair of scalars, and the same
//! bytes from the same nonce.

use proptest::prelude::*;
use sm2::dsa;
use sm2::dsa::signature::hazmat::{PrehashVerifier as _, RandomizedPrehashSigner as _};
use sm2::dsa::signature::rand_core::{TryCryptoRng, TryRng};
use sm2::elliptic_curve::ops::Reduce as _;
use sm2::elliptic_curve::sec1::{FromSec1Point as _, ToSec1Point as _};
use sm2::elliptic_curve::{Group as _, PrimeField as _};
use sm2::{AffinePoint, FieldBytes, ProjectivePoint, Scalar};

use super::curve::Integer;
use super::identity::Identity;
use super::prepared::{Prepared, USES_BEFORE_TABLE, fill_tables};
use super::sign::SigningScalar;
use super::*;
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

/// The verdict on a signature, which must be the same from the other library, without a table,
/// and with one.
fn verdict(key: &ProjectivePoint, digest: [u8; 32], r: Scalar, s: Scalar) -> bool {
    let point = key.to_affine();
    let theirs = dsa::VerifyingKey::from_affine(CertificateIdentifier::TEXT, point).unwrap();
    let expected = dsa::Signature::from_scalars(r, s)
        .and_then(|signature| theirs.verify_prehash(&digest, &signature))
        .is_ok();
    let sec1 = point.to_sec1_point(false);
    let prepared = Prepared::new(sec1.as_bytes()[1..].try_into().unwrap()).unwrap();
    let (digest, r, s) = (Digest::from_bytes(digest), integer(r), integer(s));
    assert!(!prepared.has_table());
    assert_eq!(prepared.holds(&digest, &r, &s), expected, "without a table");
    let one = integer(Scalar::ONE);
    for _ in 0..=USES_BEFORE_TABLE {
        prepared.holds(&digest, &one, &one);
    }
    assert_eq!(prepared.holds(&digest, &r, &s), expected, "with a table");
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
