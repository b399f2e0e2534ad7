//! The lanes against sums made one at a time, and every exception provoked.

use proptest::prelude::*;
use sm2::elliptic_curve::ops::Reduce as _;
use sm2::elliptic_curve::sec1::ToSec1Point as _;
use sm2::elliptic_curve::{Group as _, PrimeField as _};
use sm2::{FieldBytes, ProjectivePoint, Scalar};

use super::*;
use crate::sm2::curve::limbs;
use crate::sm2::curve::order::{Integer, N};
use crate::sm2::curve::point::Jacobian;

const BASE_WINDOWS: usize = Comb::<VERIFYING_WINDOW_BITS>::WINDOWS;

/// A claim that owns its table.
struct Owned {
    key: Comb<KEY_WINDOW_BITS>,
    t: Integer,
    s: Integer,
}

impl Owned {
    /// The key is the base point times `key`.
    fn new(key: Scalar, t: Scalar, s: Scalar) -> Self {
        let point = ProjectivePoint::mul_by_generator(&key).to_affine();
        let sec1 = point.to_sec1_point(false);
        let (coordinates, _) = sec1.as_bytes()[1..].as_chunks::<32>();
        let point = Affine::from_coordinates(&coordinates[0], &coordinates[1]).unwrap();
        Self {
            key: Comb::new(&point),
            t: integer(t),
            s: integer(s),
        }
    }

    fn sum(&self) -> Jacobian {
        let of_key = self.key.add_vartime(&self.t, &Jacobian::NEUTRAL);
        verifying_base().add_vartime(&self.s, &of_key)
    }

    /// What is true of the sum; anything where it is neutral.
    fn claim(&self) -> Claim<'_> {
        let x = self.sum().x_bytes().unwrap_or_default();
        Claim {
            key: &self.key,
            t: self.t,
            s: self.s,
            wanted: Integer::reduced(&x),
        }
    }
}

fn integer(scalar: Scalar) -> Integer {
    Integer::reduced(&scalar.to_repr().into())
}

fn scalar(bytes: [u8; 32]) -> Scalar {
    Scalar::reduce(&FieldBytes::from(bytes))
}

/// Not zero: small ones, their negatives, powers of two, random ones.
fn scalars() -> impl Strategy<Value = Scalar> {
    let power = (0..256_usize).prop_map(|bit| {
        let mut bytes = [0; 32];
        bytes[31 - bit / 8] = 1 << (bit % 8);
        scalar(bytes)
    });
    prop_oneof![
        1 => (1..40_u64).prop_map(Scalar::from),
        1 => (1..40_u64).prop_map(|less| -Scalar::from(less)),
        1 => power,
        3 => any::<[u8; 32]>().prop_map(|bytes| scalar(bytes) + Scalar::ONE),
    ]
    .prop_filter("zero", |scalar| !bool::from(scalar.is_zero()))
}

/// The base point's multiple that is added at a window for an odd scalar, as in [`Comb`], and
/// that of all windows before it.
fn entry_and_partial(odd: &Integer, window: usize) -> (Scalar, Scalar) {
    const BITS: usize = VERIFYING_WINDOW_BITS;
    let digit = |at: usize| {
        let top = u64::from(at == BASE_WINDOWS - 1) << BITS;
        let bits = limbs::bits(odd.limbs(), at * BITS, BITS + 1) | 1 | top;
        let place = (0..at * BITS).fold(Scalar::ONE, |power, _| power.double());
        (Scalar::from(bits) - Scalar::from(1_u64 << BITS)) * place
    };
    let partial = (0..window)
        .map(digit)
        .fold(Scalar::ZERO, |sum, it| sum + it);
    (digit(window), partial)
}

/// Eight claims, of which one is looked at in a lane that moves, with ordinary ones around it.
fn confirmed(lanes: Lanes8, odd_one: &Owned, at: usize, others: &[Owned; 2]) -> bool {
    let odd_one = odd_one.claim();
    let others = others.each_ref().map(Owned::claim);
    let claims = array::from_fn(|lane| {
        if lane == at % 8 {
            &odd_one
        } else {
            &others[lane % 2]
        }
    });
    let found = lanes.confirm(&claims);
    for (lane, confirmed) in found.iter().enumerate() {
        assert!(
            *confirmed || lane == at % 8,
            "lane {lane} was disturbed by an exception"
        );
    }
    found[at % 8]
}

fn ordinary() -> [Owned; 2] {
    [(3, 5, 7), (11, 13, 17)].map(|(key, t, s)| {
        let [key, t, s] = [key, t, s].map(|byte| scalar([byte; 32]));
        Owned::new(key, t, s)
    })
}

#[test]
fn an_exception_in_any_window_of_the_base_is_not_confirmed() {
    let Some(lanes) = Lanes8::detect() else {
        return;
    };
    let others = ordinary();
    let t = scalar([0x6b; 32]);
    for s in [scalar([0x3d; 32]), Scalar::from(9_u64)] {
        for window in 0..BASE_WINDOWS {
            let (entry, partial) = entry_and_partial(&integer(s), window);
            for sum_before in [entry, -entry] {
                let of_key = sum_before - partial;
                let key = of_key * t.invert().unwrap();
                if bool::from(key.is_zero()) {
                    continue;
                }
                let claim = Owned::new(key, t, s);
                let expected = ProjectivePoint::mul_by_generator(&(of_key + s));
                let x = expected.to_affine().to_sec1_point(false);
                let x = x.as_bytes().get(1..33).map(|x| x.try_into().unwrap());
                assert_eq!(claim.sum().x_bytes(), x);
                assert!(!confirmed(lanes, &claim, window, &others), "{window}");
            }
        }
    }
}

#[test]
fn the_exception_in_the_last_window_of_a_key_is_not_confirmed() {
    let Some(lanes) = Lanes8::detect() else {
        return;
    };
    let others = ordinary();
    let exception = scalar(limbs::to_bytes(&limbs::sub(&[0; 4], &N).0));
    for (at, t) in [exception, -exception].into_iter().enumerate() {
        let claim = Owned::new(scalar([0x29; 32]), t, scalar([0x31; 32]));
        assert!(claim.sum().has_x(&claim.claim().wanted));
        assert!(!confirmed(lanes, &claim, at, &others));
        let near = Owned::new(scalar([0x29; 32]), t.double(), scalar([0x31; 32]));
        assert!(confirmed(lanes, &near, at, &others));
    }
}

#[test]
fn a_sum_that_is_neutral_is_not_confirmed() {
    let Some(lanes) = Lanes8::detect() else {
        return;
    };
    let (t, s) = (scalar([0x6b; 32]), scalar([0x3d; 32]));
    let claim = Owned::new(-s * t.invert().unwrap(), t, s);
    assert!(claim.sum().is_neutral());
    assert!(!confirmed(lanes, &claim, 5, &ordinary()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn each_lane_has_the_sum_of_its_own_terms_or_zero_as_zz(
        terms in prop::array::uniform8((scalars(), scalars(), scalars())),
    ) {
        let Some(lanes) = Lanes8::detect() else { return Ok(()) };
        let owned = terms.map(|(key, t, s)| Owned::new(key, t, s));
        let claims = owned.each_ref().map(Owned::claim);
        let found = lanes.add_up(&claims.each_ref().map(Terms::of));
        let confirmed = lanes.confirm(&claims.each_ref());
        for lane in 0..8 {
            let (sum, (x, zz)) = (owned[lane].sum(), &found[lane]);
            if sum.is_neutral() {
                prop_assert!(zz.is_zero() && !confirmed[lane]);
                continue;
            }
            prop_assert!(x.mul(&sum.z.square()) == sum.x.mul(zz) || zz.is_zero());
            prop_assert_eq!(confirmed[lane], !zz.is_zero());
        }
        let alone = Lanes::One.confirm(&claims.each_ref());
        prop_assert_eq!(alone, owned.each_ref().map(|it| !it.sum().is_neutral()));
        let wrong = claims.map(|claim| Claim {
            wanted: claim.wanted.add(&integer(Scalar::ONE)),
            ..claim
        });
        for lanes in [Lanes::Eight(lanes), Lanes::One] {
            prop_assert_eq!(lanes.confirm(&wrong.each_ref()), [false; 8]);
        }
    }

    #[test]
    fn what_nobody_constructed_has_no_exception(
        terms in any::<[[[u8; 32]; 3]; 8]>(),
    ) {
        let Some(lanes) = Lanes8::detect() else { return Ok(()) };
        let owned = terms.map(|[key, t, s]| {
            let one = Scalar::ONE;
            Owned::new(scalar(key) + one, scalar(t) + one, scalar(s) + one)
        });
        let claims = owned.each_ref().map(Owned::claim);
        prop_assert_eq!(lanes.confirm(&claims.each_ref()), [true; 8]);
    }
}
