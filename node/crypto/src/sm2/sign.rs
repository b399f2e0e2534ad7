//! Signing a digest: GB/T 32918.2-2016, section 6.1, steps A3 to A7.
//!
//! It does not branch on a secret, with three exceptions that tell nothing: whether a candidate
//! nonce is in range, whether its multiple of the base point could be computed, and whether the
//! signature has a zero in it. Each rejects the candidate, which is then never used; and each
//! happens with a probability below 2^-32.

use sm2::dsa;
use sm2::elliptic_curve::PrimeField as _;
use sm2::elliptic_curve::ops::Reduce as _;
use sm2::{FieldBytes, Scalar};
use subtle::ConditionallySelectable as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::curve::base_multiple_x;
use super::nonce::Nonces;
use crate::digest::Digest;

/// A private scalar d in 1..n-1, prepared for signing. Wiped on drop.
pub(super) struct SigningScalar {
    scalar: Scalar,
    /// 1 / (1 + d).
    factor: Scalar,
}

impl SigningScalar {
    /// Nothing for d = n - 1, which has no inverse of 1 + d.
    pub(super) fn new(scalar: &Scalar) -> Option<Self> {
        let factor = Option::from((scalar + &Scalar::ONE).invert())?;
        Some(Self {
            scalar: *scalar,
            factor,
        })
    }

    /// Signs a digest with a nonce made from the scalar, the digest and fresh bytes.
    ///
    /// Nothing when [`CANDIDATES_MAX`] nonces in a row were no good, which does not happen.
    pub(super) fn sign(&self, digest: &Digest, fresh: &[u8; 32]) -> Option<dsa::Signature> {
        let digest = Scalar::reduce(&FieldBytes::from(*digest.as_bytes()));
        let secret = Zeroizing::new(self.scalar.to_repr().into());
        let mut nonces = Nonces::new(&secret, &digest.to_repr().into(), fresh);
        for _ in 0..CANDIDATES_MAX {
            if let Some(signature) = self.sign_with(&digest, nonces.draw()) {
                return Some(signature);
            }
            nonces.refuse();
        }
        None
    }

    fn sign_with(&self, digest: &Scalar, candidate: &[u8; 32]) -> Option<dsa::Signature> {
        let nonce: Option<Scalar> = Scalar::from_repr((*candidate).into()).into();
        let nonce = Zeroizing::new(nonce?);
        let r = digest + &Scalar::reduce(&FieldBytes::from(multiple_x(&nonce)?));
        let sum = Zeroizing::new(r + *nonce);
        if bool::from(sum.is_zero()) {
            return None;
        }
        // The standard's s = (k - r * d) / (1 + d), written with one multiplication.
        let s = self.factor * *sum - r;
        // Refuses zeros.
        dsa::Signature::from_scalars(r, s).ok()
    }
}

impl Drop for SigningScalar {
    fn drop(&mut self) {
        self.scalar.zeroize();
        self.factor.zeroize();
    }
}

/// The x coordinate of `nonce` times the base point. The multiples by k and by n - k have the
/// same, and the odd one of the two is taken. Nothing for zero.
fn multiple_x(nonce: &Scalar) -> Option<[u8; 32]> {
    if bool::from(nonce.is_zero()) {
        return None;
    }
    let negative = Zeroizing::new(-nonce);
    let odd = Zeroizing::new(Scalar::conditional_select(&negative, nonce, nonce.is_odd()));
    let bytes = Zeroizing::new(odd.to_repr().into());
    base_multiple_x(&bytes)
}

/// One candidate in 2^32 is out of range (n begins with fffffffe), and other reasons to reject
/// one are far rarer; eight in a row would be a broken generator.
const CANDIDATES_MAX: usize = 8;
