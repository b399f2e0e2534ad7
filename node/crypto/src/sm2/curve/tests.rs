//! The arithmetic against two others: big integers for the field, RustCrypto's curve for points.

use proptest::prelude::*;
use sm2::elliptic_curve::bigint::{NonZero, U256};
use sm2::elliptic_curve::ops::Reduce as _;
use sm2::elliptic_curve::sec1::ToSec1Point as _;
use sm2::elliptic_curve::{Group as _, PrimeField as _};
use sm2::{FieldBytes, ProjectivePoint, Scalar};

use super::comb::{BASE, signing_base};
use super::field::{Element, P};
use super::multiply::sparse_digits;
use super::order::N;
use super::point::to_affine;
use super::*;

/// Written in GB/T 32918.5-2017.
const BASE_X: &str = "32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7";
const BASE_Y: &str = "bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0";
const B: &str = "28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93";

fn bytes(hex: &str) -> [u8; 32] {
    hex::decode(hex).unwrap().try_into().unwrap()
}

/// Integers below 2^256 that lie where carries do, and random ones.
fn integers() -> impl Strategy<Value = [u64; 4]> {
    let limb = prop_oneof![
        Just(0),
        Just(1),
        Just(u64::MAX),
        Just(u64::MAX << 32),
        Just(0xffff_fffe_ffff_ffff),
        any::<u64>(),
    ];
    let near_p = (0..3_u64).prop_map(|less| limbs::sub(&P, &[less, 0, 0, 0]).0);
    let near_n = (0..3_u64).prop_map(|less| limbs::sub(&N, &[less, 0, 0, 0]).0);
    prop_oneof![
        8 => any::<[u64; 4]>(),
        8 => prop::array::uniform4(limb),
        1 => near_p,
        1 => near_n,
    ]
}

/// Elements, with their value as a big integer of another library.
fn elements() -> impl Strategy<Value = (Element, U256)> {
    integers().prop_map(|integer| {
        let integer = limbs::reduce_once(&integer, false, &P);
        let value = U256::from_be_slice(&limbs::to_bytes(&integer));
        (Element::from_integer(&integer).unwrap(), value)
    })
}

/// Scalars below n: ours, and RustCrypto's.
fn scalars() -> impl Strategy<Value = (Integer, Scalar)> {
    let small = (0..20_u64).prop_map(|integer| [integer, 0, 0, 0]);
    let power = (0..256_usize).prop_map(|bit| {
        let mut integer = [0; 4];
        integer[bit / 64] = 1 << (bit % 64);
        integer
    });
    prop_oneof![4 => integers(), 1 => small, 1 => power].prop_map(|integer| {
        let bytes = limbs::to_bytes(&integer);
        let theirs = Scalar::reduce(&FieldBytes::from(bytes));
        (Integer::reduced(&bytes), theirs)
    })
}

fn modulus() -> NonZero<U256> {
    NonZero::new(U256::from_be_slice(&limbs::to_bytes(&P))).unwrap()
}

fn element_bytes(value: &U256) -> [u8; 32] {
    value.to_be_bytes().into()
}

fn coordinates(point: &Jacobian) -> Option<[u8; 64]> {
    (!point.is_neutral()).then(|| {
        let affine = &to_affine(&[*point])[0];
        let both = [affine.x.to_bytes(), affine.y.to_bytes()].concat();
        both.try_into().unwrap()
    })
}

fn their_coordinates(point: &ProjectivePoint) -> Option<[u8; 64]> {
    let sec1 = point.to_affine().to_sec1_point(false);
    sec1.as_bytes().get(1..).and_then(|it| it.try_into().ok())
}

/// The same point with another z.
fn rescaled(point: &Jacobian, z: &Element) -> Jacobian {
    let squared = z.square();
    Jacobian {
        x: point.x.mul(&squared),
        y: point.y.mul(&squared.mul(z)),
        z: point.z.mul(z),
    }
}

fn base_times(scalar: &Integer) -> Jacobian {
    multiply_vartime(&BASE, scalar)
}

#[test]
fn the_base_point_is_that_of_the_standard_and_on_the_curve() {
    assert_eq!(BASE.x.to_bytes(), bytes(BASE_X));
    assert_eq!(BASE.y.to_bytes(), bytes(BASE_Y));
    let three_x = BASE.x.double().add(&BASE.x);
    let b = Element::from_bytes(&bytes(B)).unwrap();
    let right = BASE.x.square().mul(&BASE.x).sub(&three_x).add(&b);
    assert!(BASE.y.square() == right);
}

#[test]
fn integers_from_the_prime_on_are_no_elements() {
    for more in 0..3 {
        let integer = limbs::add(&P, &[more, 0, 0, 0]).0;
        assert!(Element::from_integer(&integer).is_none());
    }
    assert!(Element::from_integer(&[u64::MAX; 4]).is_none());
    assert!(Integer::from_bytes(&limbs::to_bytes(&N)).is_none());
    assert!(Integer::reduced(&limbs::to_bytes(&N)).is_zero());
}

#[test]
fn zero_has_no_inverse_and_gives_zero() {
    assert!(Element::ZERO.invert().is_zero());
    assert!(Element::ONE.invert() == Element::ONE);
}

#[test]
fn an_x_coordinate_above_the_order_counts_modulo_the_order() {
    // Not a point of the curve: only coordinates are compared.
    let z = Element::from_integer(&[7, 0, 0, 0]).unwrap();
    for (low, found) in [(0_u64, true), (5, true)] {
        let x = limbs::add(&N, &[low, 0, 0, 0]).0;
        let flat = Jacobian {
            x: Element::from_integer(&x).unwrap(),
            y: Element::ONE,
            z: Element::ONE,
        };
        let wanted = Integer::reduced(&limbs::to_bytes(&[low, 0, 0, 0]));
        let other = Integer::reduced(&limbs::to_bytes(&[low + 1, 0, 0, 0]));
        assert_eq!(rescaled(&flat, &z).has_x(&wanted), found);
        assert!(!rescaled(&flat, &z).has_x(&other));
    }
    assert!(!Jacobian::NEUTRAL.has_x(&Integer::reduced(&[0; 32])));
}

#[test]
fn the_one_scalar_that_the_constant_time_formula_cannot_do_gives_nothing() {
    let exception = limbs::sub(&[0; 4], &N).0;
    assert!(exception[0] & 1 == 1);
    assert_eq!(base_multiple_x(&limbs::to_bytes(&exception)), None);
    for near in [-2_i64, 2] {
        let (more, less) = (near.max(0).unsigned_abs(), near.min(0).unsigned_abs());
        let odd = limbs::sub(
            &limbs::add(&exception, &[more, 0, 0, 0]).0,
            &[less, 0, 0, 0],
        )
        .0;
        let expected = base_times(&Integer::reduced(&limbs::to_bytes(&odd))).x_bytes();
        assert_eq!(base_multiple_x(&limbs::to_bytes(&odd)), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_field_is_that_of_big_integers((a, big_a) in elements(), (b, big_b) in elements()) {
        let p = modulus();
        let product = big_a.mul_mod(&big_b, &p);
        prop_assert_eq!(a.mul(&b).to_bytes(), element_bytes(&product));
        let square = big_a.mul_mod(&big_a, &p);
        prop_assert_eq!(a.square().to_bytes(), element_bytes(&square));
        let sum = big_a.add_mod(&big_b, &p);
        prop_assert_eq!(a.add(&b).to_bytes(), element_bytes(&sum));
        let difference = big_a.sub_mod(&big_b, &p);
        prop_assert_eq!(a.sub(&b).to_bytes(), element_bytes(&difference));
        prop_assert!(a.negate().add(&a).is_zero());
        prop_assert_eq!(a == b, big_a == big_b);
    }

    #[test]
    fn integers_modulo_the_order_are_those_of_the_other_library(
        (a, their_a) in scalars(), (b, their_b) in scalars(),
    ) {
        let repr = |scalar: Scalar| -> [u8; 32] { scalar.to_repr().into() };
        prop_assert_eq!(limbs::to_bytes(a.add(&b).limbs()), repr(their_a + their_b));
        prop_assert_eq!(limbs::to_bytes(a.sub(&b).limbs()), repr(their_a - their_b));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn an_element_times_its_inverse_is_one((a, _) in elements()) {
        let product = a.mul(&a.invert());
        prop_assert!(a.is_zero() || product == Element::ONE);
    }

    #[test]
    fn sparse_digits_add_up_to_the_scalar((scalar, theirs) in scalars()) {
        let mut sum = Scalar::ZERO;
        for digit in sparse_digits(&scalar).iter().rev() {
            let part = Scalar::from(u64::from(digit.unsigned_abs()));
            sum = sum + sum + if *digit < 0 { -part } else { part };
            prop_assert!(*digit == 0 || digit.unsigned_abs() % 2 == 1 && digit.unsigned_abs() < 16);
        }
        prop_assert_eq!(sum, theirs);
    }

    #[test]
    fn every_way_to_multiply_gives_the_same_point((scalar, theirs) in scalars()) {
        let expected = ProjectivePoint::mul_by_generator(&theirs);
        let without_table = base_times(&scalar);
        prop_assert_eq!(coordinates(&without_table), their_coordinates(&expected));
        let with_table = verifying_base().add_vartime(&scalar, &Jacobian::NEUTRAL);
        prop_assert_eq!(coordinates(&with_table), their_coordinates(&expected));
        let (odd, _) = scalar.odd();
        if !scalar.is_zero() {
            let x = base_multiple_x(&limbs::to_bytes(&odd));
            let their_x = their_coordinates(&expected).map(|it| it[..32].to_vec());
            prop_assert_eq!(x.map(|it| it.to_vec()), their_x);
            prop_assert_eq!(without_table.x_bytes(), x);
        }
        let narrow = signing_base().add_vartime(&scalar, &base_times(&scalar));
        prop_assert_eq!(coordinates(&narrow), their_coordinates(&expected.double()));
    }

    #[test]
    fn sums_are_complete_with_every_z(
        (a, their_a) in scalars(), (b, their_b) in scalars(), (z, _) in elements(),
    ) {
        prop_assume!(!z.is_zero());
        let (p, q) = (rescaled(&base_times(&a), &z), base_times(&b));
        let their_p = ProjectivePoint::mul_by_generator(&their_a);
        let their_q = ProjectivePoint::mul_by_generator(&their_b);
        let same = |ours: &Jacobian, theirs: &ProjectivePoint| {
            prop_assert_eq!(coordinates(ours), their_coordinates(theirs));
            Ok(())
        };
        same(&p.add(&q), &(their_p + their_q))?;
        same(&p.add(&base_times(&a)), &their_p.double())?;
        same(&p.double(), &their_p.double())?;
        same(&p.add(&base_times(&a).negate()), &ProjectivePoint::IDENTITY)?;
        same(&p.add(&Jacobian::NEUTRAL), &their_p)?;
        same(&Jacobian::NEUTRAL.add(&p), &their_p)?;
        if q.is_neutral() || p.is_neutral() {
            return Ok(());
        }
        let flat = to_affine(&[q, p, q.double()]);
        same(&p.add_affine(&flat[0]), &(their_p + their_q))?;
        same(&p.add_affine(&flat[1]), &their_p.double())?;
        same(&p.add_affine(&flat[1].negate_if(u64::MAX)), &ProjectivePoint::IDENTITY)?;
        same(&p.add_affine(&flat[2]), &(their_p + their_q.double()))?;
        same(&Jacobian::NEUTRAL.add_affine(&flat[0]), &their_q)?;
        prop_assert!(p.add_distinct(&flat[1]).is_neutral());
        prop_assert!(p.add_distinct(&flat[1].negate_if(u64::MAX)).is_neutral());
    }

    #[test]
    fn a_key_of_ones_own_multiplies_with_and_without_table(
        (key, their_key) in scalars(), (scalar, theirs) in scalars(),
    ) {
        prop_assume!(!key.is_zero());
        let point = to_affine(&[base_times(&key)])[0];
        let expected = ProjectivePoint::mul_by_generator(&(their_key * theirs));
        let product = multiply_vartime(&point, &scalar);
        prop_assert_eq!(coordinates(&product), their_coordinates(&expected));
        let product = Comb::<5>::new(&point).add_vartime(&scalar, &Jacobian::NEUTRAL);
        prop_assert_eq!(coordinates(&product), their_coordinates(&expected));
    }
}
