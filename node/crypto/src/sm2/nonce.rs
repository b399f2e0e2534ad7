//! The nonces of signatures: the generator of RFC 6979, section 3.2, over SM3, with fresh bytes as
//! the additional input of section 3.6.
//!
//! It does not draw the fresh bytes, and it does not take a nonce from anybody. The decision
//! record of 2026-11-24 on nonces says why they are hedged.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sm3::Sm3;
use zeroize::Zeroizing;

/// Candidates for the nonce of one signature.
pub(super) struct Nonces {
    mac: Hmac<Sm3>,
    value: Zeroizing<[u8; 32]>,
}

impl Nonces {
    /// Steps a to g, for a private scalar, a message digest below n, and fresh bytes.
    pub(super) fn new(secret: &[u8; 32], digest: &[u8; 32], fresh: &[u8; 32]) -> Self {
        let mut nonces = Self {
            mac: keyed(&[0; 32]),
            value: Zeroizing::new([1; 32]),
        };
        nonces.absorb(0, &[secret, digest, fresh]);
        nonces.absorb(1, &[secret, digest, fresh]);
        nonces
    }

    /// The next candidate, step h.2. It may be out of range.
    pub(super) fn draw(&mut self) -> &[u8; 32] {
        self.step();
        &self.value
    }

    /// Moves on after a candidate that was no good, step h.3.
    pub(super) fn refuse(&mut self) {
        self.absorb(0, &[]);
    }

    fn absorb(&mut self, tag: u8, seed: &[&[u8; 32]]) {
        let mut mac = self.mac.clone();
        mac.update(&*self.value);
        mac.update(&[tag]);
        for part in seed {
            mac.update(*part);
        }
        self.mac = keyed(&Zeroizing::new(mac.finalize().into_bytes().into()));
        self.step();
    }

    fn step(&mut self) {
        let mut mac = self.mac.clone();
        mac.update(&*self.value);
        *self.value = mac.finalize().into_bytes().into();
    }
}

/// HMAC-SM3 with a key of one digest.
fn keyed(key: &[u8; 32]) -> Hmac<Sm3> {
    // The key as RFC 2104 pads it: the length is then the block's, which cannot be refused.
    let mut block = Zeroizing::new([0_u8; 64]);
    block[..32].copy_from_slice(key);
    Hmac::new(&(*block).into())
}
