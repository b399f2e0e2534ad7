//! One-time codes of authenticator apps (RFC 6238 over RFC 4226): HMAC-SHA-1, 30 seconds, six
//! digits, because that is what every such app can do.
//!
//! It does not remember which codes were used; [`verify_one_time_code`] returns the time step,
//! and whoever keeps accounts refuses a step that is not above the last one.

use hmac::{KeyInit as _, Mac as _};
use subtle::ConstantTimeEq as _;

use crate::Error;

/// A time step in seconds, RFC 6238 section 5.2.
pub const STEP_SECONDS: u64 = 30;

/// The length of a new secret in bytes: that of the hash, as RFC 4226 section 4 (R6) recommends.
pub const SECRET_BYTES: usize = 20;

/// How many steps before and after the present one are accepted: clocks of telephones differ.
pub const WINDOW_STEPS: u64 = 1;

/// The six-digit code of `secret` at an instant, seconds since 1970-01-01 UTC.
#[must_use]
pub fn one_time_code(secret: &[u8], unix_seconds: u64) -> String {
    code_at_step(secret, unix_seconds / STEP_SECONDS)
}

/// Checks a code against the present step and [`WINDOW_STEPS`] around it, in constant time, and
/// returns the step it belongs to, which must not be accepted twice.
///
/// # Errors
///
/// [`Error::WrongCode`] when it belongs to none of them.
pub fn verify_one_time_code(secret: &[u8], code: &str, unix_seconds: u64) -> Result<u64, Error> {
    let present = unix_seconds / STEP_SECONDS;
    let mut found = None;
    for step in present.saturating_sub(WINDOW_STEPS)..=present.saturating_add(WINDOW_STEPS) {
        let expected = code_at_step(secret, step);
        if bool::from(expected.as_bytes().ct_eq(code.as_bytes())) {
            found = Some(step);
        }
    }
    found.ok_or(Error::WrongCode)
}

/// The `otpauth` address that an app reads from a picture. It contains the secret.
#[must_use]
pub fn enrolment_address(issuer: &str, account: &str, secret: &[u8]) -> zeroize::Zeroizing<String> {
    let (issuer, account) = (percent(issuer), percent(account));
    let secret = zeroize::Zeroizing::new(base32(secret));
    zeroize::Zeroizing::new(format!(
        "otpauth://totp/{issuer}:{account}?secret={}&issuer={issuer}&digits=6&period=30",
        *secret
    ))
}

fn code_at_step(secret: &[u8], step: u64) -> String {
    let mut mac = match hmac::Hmac::<sha1::Sha1>::new_from_slice(secret) {
        Ok(mac) => mac,
        // HMAC takes keys of every length; the type of the library does not say so.
        Err(_) => hmac::Hmac::<sha1::Sha1>::new(&Default::default()),
    };
    mac.update(&step.to_be_bytes());
    let digest: [u8; 20] = mac.finalize().into_bytes().into();
    // Dynamic truncation, RFC 4226 section 5.3.
    let offset = usize::from(digest[19] & 0x0f);
    let word = [
        digest[offset],
        digest[offset + 1],
        digest[offset + 2],
        digest[offset + 3],
    ];
    let number = (u32::from_be_bytes(word) & 0x7fff_ffff) % 1_000_000;
    format!("{number:06}")
}

/// RFC 4648 section 6, without padding, as authenticator apps expect it.
fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for group in bytes.chunks(5) {
        let mut padded = [0_u8; 8];
        padded[3..3 + group.len()].copy_from_slice(group);
        let bits = u64::from_be_bytes(padded);
        for digit in 0..(group.len() * 8).div_ceil(5) {
            let index = usize::try_from(bits >> (35 - 5 * digit) & 31).unwrap_or(0);
            text.push(char::from(ALPHABET[index]));
        }
    }
    text
}

/// RFC 3986 section 2.1, everything but unreserved characters.
fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
