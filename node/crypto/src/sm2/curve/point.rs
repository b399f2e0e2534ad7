//! Points of the curve and their addition.
//!
//! It does not check that coordinates are on the curve: they come from a checked key or from the
//! standard. Except for [`Jacobian::add_distinct`], whose one caller says why it is enough there,
//! the additions are complete and branch on their input, which must be public.

use super::field::Element;
use super::order::Integer;

/// A point other than the neutral one. In memory, x is before y and both fill a cache line, as
/// vectors load them.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(in crate::sm2) struct Affine {
    pub(super) x: Element,
    pub(super) y: Element,
}

impl Affine {
    /// The point with these big-endian coordinates, which must be below p.
    pub(in crate::sm2) fn from_coordinates(x: &[u8; 32], y: &[u8; 32]) -> Option<Self> {
        Some(Self {
            x: Element::from_bytes(x)?,
            y: Element::from_bytes(y)?,
        })
    }

    /// The negative of the point where the mask has ones.
    #[inline]
    pub(super) fn negate_if(&self, mask: u64) -> Self {
        Self {
            x: self.x,
            y: self.y.negate_if(mask),
        }
    }
}

/// A point (x / z^2, y / z^3), or the neutral one where z is zero.
#[derive(Clone, Copy)]
pub(in crate::sm2) struct Jacobian {
    pub(super) x: Element,
    pub(super) y: Element,
    pub(super) z: Element,
}

impl Jacobian {
    pub(in crate::sm2) const NEUTRAL: Self = Self {
        x: Element::ONE,
        y: Element::ONE,
        z: Element::ZERO,
    };

    pub(super) const fn from_affine(point: &Affine) -> Self {
        Self {
            x: point.x,
            y: point.y,
            z: Element::ONE,
        }
    }

    pub(super) fn is_neutral(&self) -> bool {
        self.z.is_zero()
    }

    /// Twice the point, by the formula for a = -3. No point is its own negative, since the order
    /// is odd; and the neutral point's z stays zero.
    pub(super) fn double(&self) -> Self {
        let delta = self.z.square();
        let gamma = self.y.square();
        let beta = self.x.mul(&gamma);
        let slope = self.x.sub(&delta).mul(&self.x.add(&delta));
        let alpha = slope.double().add(&slope);
        let beta_4 = beta.double().double();
        let x = alpha.square().sub(&beta_4.double());
        let gamma_squared_8 = gamma.double().square().double();
        Self {
            x,
            y: alpha.mul(&beta_4.sub(&x)).sub(&gamma_squared_8),
            z: self.y.mul(&self.z).double(),
        }
    }

    /// The sum of two points that are different, not each other's negative, and not neutral.
    ///
    /// It never branches. If the points are equal or opposite after all, the sum's z is zero.
    #[inline]
    pub(super) fn add_distinct(&self, other: &Affine) -> Self {
        let (width, height) = self.offsets(other);
        self.add_by_offsets(&width, &height)
    }

    /// How far `other` is from this point in x and y, scaled by z^2 and z^3.
    #[inline]
    fn offsets(&self, other: &Affine) -> (Element, Element) {
        let squared = self.z.square();
        let x = other.x.mul(&squared);
        let y = other.y.mul(&squared.mul(&self.z));
        (x.sub(&self.x), y.sub(&self.y))
    }

    #[inline]
    fn add_by_offsets(&self, width: &Element, height: &Element) -> Self {
        let squared = width.square();
        let cubed = squared.mul(width);
        let middle = self.x.mul(&squared);
        let x = height.square().sub(&cubed).sub(&middle.double());
        Self {
            x,
            y: height.mul(&middle.sub(&x)).sub(&self.y.mul(&cubed)),
            z: self.z.mul(width),
        }
    }

    /// The sum with any point that is not neutral. Variable time.
    pub(super) fn add_affine(&self, other: &Affine) -> Self {
        if self.is_neutral() {
            return Self::from_affine(other);
        }
        let (width, height) = self.offsets(other);
        if !width.is_zero() {
            self.add_by_offsets(&width, &height)
        } else if height.is_zero() {
            self.double()
        } else {
            Self::NEUTRAL
        }
    }

    /// The sum with any point. Variable time.
    pub(super) fn add(&self, other: &Self) -> Self {
        if other.is_neutral() {
            return *self;
        }
        if self.is_neutral() {
            return *other;
        }
        // Both points are brought to the common denominator z1 * z2, in which the sum is that of
        // the affine case, but for its own z.
        let squared = other.z.square();
        let scaled = Self {
            x: self.x.mul(&squared),
            y: self.y.mul(&squared.mul(&other.z)),
            z: self.z,
        };
        let (width, height) = scaled.offsets(&Affine {
            x: other.x,
            y: other.y,
        });
        if !width.is_zero() {
            let mut sum = scaled.add_by_offsets(&width, &height);
            sum.z = sum.z.mul(&other.z);
            sum
        } else if height.is_zero() {
            self.double()
        } else {
            Self::NEUTRAL
        }
    }

    pub(super) fn negate(&self) -> Self {
        Self {
            y: self.y.negate(),
            ..*self
        }
    }

    /// Whether the point is not neutral and its x coordinate is `wanted` modulo n.
    pub(in crate::sm2) fn has_x(&self, wanted: &Integer) -> bool {
        is_x(&self.x, &self.z.square(), wanted)
    }

    /// The big-endian x coordinate, or nothing for the neutral point. No branch but that one.
    pub(in crate::sm2) fn x_bytes(&self) -> Option<[u8; 32]> {
        let x = self.x.mul(&self.z.invert().square());
        (!self.is_neutral()).then(|| x.to_bytes())
    }
}

/// Whether a point's x coordinate, which is x / `squared`, is `wanted` modulo n. It is not where
/// `squared` is zero: that is no point, or the neutral one.
pub(super) fn is_x(x: &Element, squared: &Element, wanted: &Integer) -> bool {
    let is = |candidate: &Element| candidate.mul(squared) == *x;
    !squared.is_zero() && wanted.elements().iter().flatten().any(is)
}

/// Brings points, none of them neutral, into affine form with one inversion for all.
pub(super) fn to_affine(points: &[Jacobian]) -> Box<[Affine]> {
    // products[i] is the product of all z before point i.
    let mut product = Element::ONE;
    let products: Vec<Element> = points
        .iter()
        .map(|point| {
            let before = product;
            product = product.mul(&point.z);
            before
        })
        .collect();
    let mut rest = product.invert();
    let mut affine: Vec<Affine> = points
        .iter()
        .zip(&products)
        .rev()
        .map(|(point, before)| {
            let inverse = rest.mul(before);
            rest = rest.mul(&point.z);
            let squared = inverse.square();
            Affine {
                x: point.x.mul(&squared),
                y: point.y.mul(&squared.mul(&inverse)),
            }
        })
        .collect();
    affine.reverse();
    affine.into_boxed_slice()
}
