//! Random bytes from the operating system.
//!
//! It does not fall back to anything: when the system gives no bytes, the caller gets an error.
//! A generator of our own, seeded once, would be one more state to leak or to repeat after a
//! fork or a restored snapshot.

use crate::Error;

/// Returns `N` fresh random bytes.
///
/// # Errors
///
/// [`Error::Randomness`] when the operating system has none to give.
pub fn random_bytes<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).map_err(|_| Error::Randomness)?;
    Ok(bytes)
}
