//! The field of vectors against the one of single elements, which has a test of its own.

use proptest::prelude::*;

use super::*;

type Limbs = [u64; 5];

/// Limbs below 2^52, the topmost one below 2^`top_bits`: edges where carries are, multiples of p
/// and what is behind them, and random ones.
fn limbs(random: [u64; 5], picks: u64, top_bits: u32) -> Limbs {
    if picks >> 60 == 0 {
        return multiple(1 + picks % 7, picks >> 8 & 1);
    }
    let mut limbs = std::array::from_fn(|at| match picks >> (4 * at) & 15 {
        0 => 0,
        1 => 1,
        2 | 3 => MASK,
        4 => MASK - 1,
        5 => 1 << 44,
        _ => random[at] & MASK,
    });
    limbs[4] &= (1 << top_bits) - 1;
    limbs
}

fn eight(top_bits: u32) -> impl Strategy<Value = [Limbs; 8]> {
    prop::collection::vec(any::<([u64; 5], u64)>(), 8).prop_map(move |lanes| {
        std::array::from_fn(|lane| limbs(lanes[lane].0, lanes[lane].1, top_bits))
    })
}

/// `times` p, plus `more`.
fn multiple(times: u64, more: u64) -> Limbs {
    let [a, b, c, d] = P.map(u128::from);
    let p = [
        a & u128::from(MASK),
        (a >> 52 | b << 12) & u128::from(MASK),
        (b >> 40 | c << 24) & u128::from(MASK),
        (c >> 28 | d << 36) & u128::from(MASK),
        d >> 16,
    ];
    let mut carry = u128::from(more);
    p.map(|limb| {
        let sum = limb * u128::from(times) + carry;
        carry = sum >> 52;
        u64::try_from(sum & u128::from(MASK)).unwrap()
    })
}

/// Limbs taken as an integer, modulo p.
fn value(limbs: &Limbs) -> Element {
    let radix = Element::from_integer(&[1 << 52, 0, 0, 0]).unwrap();
    limbs.iter().rev().fold(Element::ZERO, |sum, limb| {
        let limb = Element::from_integer(&[*limb, 0, 0, 0]).unwrap();
        sum.mul(&radix).add(&limb)
    })
}

/// About how many times p the limbs are.
fn times_p(limbs: &Limbs) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "only the size counts")]
    let value = limbs
        .iter()
        .rev()
        .fold(0.0, |sum, limb| sum * (1_u64 << 52) as f64 + *limb as f64);
    value / (2_f64.powi(256) - 2_f64.powi(224))
}

/// 2^260.
fn radix() -> Element {
    value(&[0, 0, 0, 0, MASK]).add(&value(&[0, 0, 0, 0, 1])) // 2^208 * (2^52 - 1 + 1)
}

#[target_feature(enable = "avx512f")]
fn gather(lanes: &[Limbs; 8]) -> Residues {
    let mut vectors = [_mm512_setzero_si512(); 5];
    for (at, vector) in vectors.iter_mut().enumerate() {
        let [a, b, c, d, e, f, g, h] = lanes.map(|limbs| limbs[at].cast_signed());
        *vector = std::arch::x86_64::_mm512_setr_epi64(a, b, c, d, e, f, g, h);
    }
    Residues(vectors)
}

#[target_feature(enable = "avx512f")]
fn scatter(residues: Residues) -> [Limbs; 8] {
    let vectors = residues.0.map(|vector| store(vector));
    std::array::from_fn(|lane| vectors.map(|limbs| limbs[lane]))
}

/// What is computed of four operands below 8.01 p.
struct Results {
    product: [Limbs; 8],
    square: [Limbs; 8],
    sum_of_products: [Limbs; 8],
    settled: [Limbs; 8],
    carried: [Limbs; 8],
    flipped: [Limbs; 8],
    elements: [Element; 8],
}

const FLIPPED: u8 = 0b1011_0101;

#[target_feature(enable = "avx512f,avx512ifma")]
fn compute([a, b, c, d]: &[[Limbs; 8]; 4]) -> Results {
    let [a, b, c, d] = [gather(a), gather(b), gather(c), gather(d)];
    let [ua, ub, uc, ud] = [a, b, c, d].map(|it| it.unsettled());
    let settled = ua.plus(&ub).minus(&uc).minus(&ud).settle();
    let us = settled.unsettled();
    Results {
        product: scatter(a.mul(&b)),
        square: scatter(a.square()),
        sum_of_products: scatter(a.mul_and_add(&b, &c, &d)),
        settled: scatter(settled),
        carried: scatter(ua.minus(&us).plus_3p().carry()),
        flipped: scatter(us.subtract_from_3p(FLIPPED).carry()),
        elements: a.to_elements(),
    }
}

#[expect(unsafe_code, reason = "it is asked first whether the processor can")]
fn results(operands: &[[Limbs; 8]; 4]) -> Option<Results> {
    let found = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512ifma");
    // SAFETY: the processor has all instructions.
    found.then(|| unsafe { compute(operands) })
}

fn is_carried(limbs: &Limbs) -> bool {
    limbs.iter().all(|limb| *limb <= MASK)
}

#[test]
fn the_constants_are_what_they_are_called() {
    assert!(value(&P_3).is_zero());
    assert_eq!(multiple(3, 0), P_3);
    assert!(value(&ONE) == radix());
    assert!((times_p(&P_3) - 3.0).abs() < 1e-9 && times_p(&ONE) < 1.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_024))]

    #[test]
    fn every_lane_computes_modulo_the_prime_and_keeps_its_bound(
        operands in prop::array::uniform4(eight(51)),
    ) {
        let Some(found) = results(&operands) else { return Ok(()) };
        let radix = radix();
        for lane in 0..8 {
            let limbs = operands.map(|operand| operand[lane]);
            let [a, b, c, d] = limbs.each_ref().map(value);
            let [sa, sb, sc, sd] = limbs.each_ref().map(times_p);
            let is = |got: &Limbs, wanted: Element, below: f64| {
                prop_assert!(is_carried(got), "{got:x?} of {limbs:x?}");
                prop_assert_eq!(value(got), wanted, "{:x?}", limbs);
                prop_assert!(times_p(got) < below + 1e-6, "{got:x?} of {limbs:x?}");
                Ok(())
            };
            let scaled = |got: &Limbs, wanted: Element, below: f64| {
                prop_assert_eq!(value(got).mul(&radix), wanted, "{:x?}", limbs);
                is(got, value(got), below)
            };
            scaled(&found.product[lane], a.mul(&b), sa * sb / 16.0 + 1.0)?;
            scaled(&found.square[lane], a.square(), sa * sa / 16.0 + 1.0)?;
            let sum = a.mul(&b).add(&c.mul(&d));
            let bound = (sa * sb + sc * sd) / 16.0 + 1.0;
            scaled(&found.sum_of_products[lane], sum, bound)?;
            let settled = a.add(&b).sub(&c).sub(&d);
            is(&found.settled[lane], settled, 2.01)?;
            is(&found.carried[lane], a.sub(&settled), sa + 3.0)?;
            let flips = FLIPPED >> lane & 1 == 1;
            let flipped = if flips { settled.negate() } else { settled };
            is(&found.flipped[lane], flipped, 3.0)?;
            prop_assert_eq!(found.elements[lane].mul(&radix), a);
        }
    }

    #[test]
    fn one_factor_may_be_as_large_as_limbs_can_be(
        a in eight(52), b in eight(51),
    ) {
        let Some(found) = results(&[a, b, a, b]) else { return Ok(()) };
        for lane in 0..8 {
            let (got, a, b) = (&found.product[lane], &a[lane], &b[lane]);
            prop_assert!(is_carried(got), "{got:x?} of {a:x?} and {b:x?}");
            prop_assert_eq!(value(got).mul(&radix()), value(a).mul(&value(b)));
        }
    }
}
