//! A public key, prepared for verifying many signatures.
//!
//! It does not check the point: its owner, [`super::PublicKey`], did. It is behind an `Arc` there,
//! so that clones of a key share what one of them paid for:
//!
//! | what | when | costs |
//! |---|---|---|
//! | the identity digest Z | first signature | 4 blocks of SM3, 32 bytes |
//! | the key's name | first use | 2 blocks of SM3, 32 bytes |
//! | a table of multiples | after [`USES_BEFORE_TABLE`] uses | about 6 verifications, 52 KiB |

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::CertificateIdentifier;
use super::curve::{
    Affine, Claim, Comb, Integer, Jacobian, KEY_WINDOW_BITS, multiply_vartime, verifying_base,
};
use super::identity::Identity;
use crate::digest::{Digest, KeyId};

/// A point with what was computed for it so far.
pub(super) struct Prepared {
    point: Affine,
    identity: OnceLock<Identity<CertificateIdentifier>>,
    key_id: OnceLock<KeyId>,
    uses: AtomicUsize,
    table: OnceLock<Table>,
}

impl Prepared {
    /// Nothing when a coordinate is not below p.
    pub(super) fn new(coordinates: &[u8; 64]) -> Option<Self> {
        let ([x, y], []) = coordinates.as_chunks::<32>() else {
            return None;
        };
        Some(Self {
            point: Affine::from_coordinates(x, y)?,
            identity: OnceLock::new(),
            key_id: OnceLock::new(),
            uses: AtomicUsize::new(0),
            table: OnceLock::new(),
        })
    }

    /// The identity of the key, whose coordinates its owner has.
    pub(super) fn identity(&self, coordinates: &[u8; 64]) -> &Identity<CertificateIdentifier> {
        self.identity.get_or_init(|| Identity::of(coordinates))
    }

    /// The name of the key, which `make` computes.
    pub(super) fn key_id(&self, make: impl FnOnce() -> KeyId) -> KeyId {
        *self.key_id.get_or_init(make)
    }

    /// Whether (r, s) is a signature of this key over a digest: GB/T 32918.2-2016, section 7.1,
    /// steps B1, B2 and B5 to B7.
    ///
    /// The standard compares r with e + x modulo n. Here, r - e is compared with x, so that the
    /// sum's x coordinate need not be divided out.
    pub(super) fn holds(&self, digest: &Digest, r: &Integer, s: &Integer) -> bool {
        let t = r.add(s);
        if r.is_zero() || s.is_zero() || t.is_zero() {
            return false;
        }
        let of_key = match self.table() {
            Some(table) => table.add_vartime(&t, &Jacobian::NEUTRAL),
            None => multiply_vartime(&self.point, &t),
        };
        let sum = verifying_base().add_vartime(s, &of_key);
        sum.has_x(&r.sub(&Integer::reduced(digest.as_bytes())))
    }

    /// What [`Self::holds`] would decide, for deciding it beside others: nothing without a table,
    /// or when the scalars alone say that it does not hold.
    pub(super) fn claim(&self, digest: &Digest, r: &Integer, s: &Integer) -> Option<Claim<'_>> {
        let key = &self.table.get()?.comb;
        let t = r.add(s);
        let zero = r.is_zero() || s.is_zero() || t.is_zero();
        let wanted = r.sub(&Integer::reduced(digest.as_bytes()));
        (!zero).then_some(Claim {
            key,
            t,
            s: *s,
            wanted,
        })
    }

    #[cfg(test)]
    pub(super) fn has_table(&self) -> bool {
        self.table.get().is_some()
    }

    /// The table, if the key has earned one and there is room for it.
    fn table(&self) -> Option<&Comb<KEY_WINDOW_BITS>> {
        if let Some(table) = self.table.get() {
            return Some(&table.comb);
        }
        if self.uses.fetch_add(1, Ordering::Relaxed) < USES_BEFORE_TABLE {
            return None;
        }
        // If two threads come here at once, one builds, and the other gives its room back.
        let room = Room::take()?;
        let table = self.table.get_or_init(|| Table {
            comb: Comb::new(&self.point),
            _room: room,
        });
        Some(&table.comb)
    }
}

/// Takes all the room that is left, so that a test can see what happens without.
#[cfg(test)]
pub(super) fn fill_tables() -> impl Sized {
    std::iter::from_fn(Room::take).collect::<Vec<_>>()
}

struct Table {
    comb: Comb<KEY_WINDOW_BITS>,
    _room: Room,
}

/// One of the [`TABLES_MAX`] tables that there may be.
struct Room;

impl Room {
    fn take() -> Option<Self> {
        TABLES
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |tables| {
                (tables < TABLES_MAX).then_some(tables + 1)
            })
            .ok()
            .map(|_| Self)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        TABLES.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many keys of this process have a table.
static TABLES: AtomicUsize = AtomicUsize::new(0);

/// The first keys to verify often get a table, and a key keeps it until its last clone is
/// dropped. Whatever comes beyond verifies without, at about a third of the speed. With 52 KiB
/// each, tables take 26 MiB at most.
const TABLES_MAX: usize = 512;

/// A table costs less than this many verifications without one, so that a key which stops being
/// used has cost at most twice what it had to.
pub(super) const USES_BEFORE_TABLE: usize = 8;

const _: () = assert!(TABLES_MAX * Comb::<KEY_WINDOW_BITS>::BYTES <= 26 << 20);
