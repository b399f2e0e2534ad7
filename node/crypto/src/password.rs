//! Passwords of people who sign in at the console.
//!
//! It does not judge how good a password is, and it does not count attempts: the sign-in does.

use std::fmt;
use std::str::FromStr;

use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::Error;
use crate::digest::pbkdf2_hmac_sm3;
use crate::random::random_bytes;

/// How many PBKDF2 rounds a new hash gets; the same reasoning as for key files.
pub const PASSWORD_ITERATIONS_DEFAULT: u32 = 600_000;

/// More rounds than this are not accepted from a stored text; each sign-in would take seconds.
pub const PASSWORD_ITERATIONS_MAX: u32 = 5_000_000;

/// A longer password is refused; nobody types it, and hashing it is work that a stranger orders.
pub const PASSWORD_BYTES_MAX: usize = 1_024;

/// A password's PBKDF2-HMAC-SM3 hash, as text: `$pbkdf2-hmac-sm3$<rounds>$<salt>$<hash>`.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    iterations: u32,
    salt: [u8; SALT_BYTES],
    hash: [u8; HASH_BYTES],
}

impl PasswordHash {
    /// Hashes a password under a fresh salt, with [`PASSWORD_ITERATIONS_DEFAULT`] rounds.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for an empty password, [`Error::LimitExceeded`] for one above
    /// [`PASSWORD_BYTES_MAX`], [`Error::Randomness`].
    pub fn hash(password: &[u8]) -> Result<Self, Error> {
        Self::hash_with(password, PASSWORD_ITERATIONS_DEFAULT)
    }

    /// Hashes a password with a given number of rounds.
    ///
    /// # Errors
    ///
    /// As [`Self::hash`], and [`Error::LimitExceeded`] above [`PASSWORD_ITERATIONS_MAX`].
    pub fn hash_with(password: &[u8], iterations: u32) -> Result<Self, Error> {
        if password.is_empty() {
            return Err(Error::InvalidArgument {
                what: "password",
                reason: "it is empty",
            });
        }
        check_length(password)?;
        check_iterations(iterations)?;
        let salt = random_bytes()?;
        let mut hash = [0; HASH_BYTES];
        pbkdf2_hmac_sm3(password, &salt, iterations, &mut hash);
        Ok(Self {
            iterations,
            salt,
            hash,
        })
    }

    /// Checks a password, comparing in constant time.
    ///
    /// # Errors
    ///
    /// [`Error::WrongPassword`] when it is another one.
    pub fn verify(&self, password: &[u8]) -> Result<(), Error> {
        check_length(password).map_err(|_| Error::WrongPassword)?;
        let mut hash = Zeroizing::new([0; HASH_BYTES]);
        pbkdf2_hmac_sm3(password, &self.salt, self.iterations, &mut *hash);
        if bool::from(hash.ct_eq(&self.hash)) {
            Ok(())
        } else {
            Err(Error::WrongPassword)
        }
    }
}

impl fmt::Display for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (salt, hash) = (hex::encode(self.salt), hex::encode(self.hash));
        write!(f, "${SCHEME}${}${salt}${hash}", self.iterations)
    }
}

impl fmt::Debug for PasswordHash {
    /// A hash can be guessed against, so it is not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash")
    }
}

impl FromStr for PasswordHash {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid = |reason| Error::InvalidEncoding {
            what: "password hash",
            reason,
        };
        let mut parts = text.split('$');
        let mut next = || {
            parts
                .next()
                .ok_or_else(|| invalid("it has fewer than five parts"))
        };
        if !next()?.is_empty() || next()? != SCHEME {
            return Err(invalid("it does not start with $pbkdf2-hmac-sm3$"));
        }
        let iterations = next()?
            .parse()
            .map_err(|_| invalid("its rounds are not a number"))?;
        check_iterations(iterations)?;
        let read = Self {
            iterations,
            salt: crate::encoding::hex_array(next()?, "salt")?,
            hash: crate::encoding::hex_array(next()?, "password hash")?,
        };
        if parts.next().is_some() {
            return Err(invalid("it has more than five parts"));
        }
        // A number has other spellings: with a sign, with zeros before it.
        if read.to_string() == text {
            Ok(read)
        } else {
            Err(invalid("its rounds have another spelling"))
        }
    }
}

fn check_length(password: &[u8]) -> Result<(), Error> {
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(Error::LimitExceeded {
            what: "password bytes",
            limit: crate::encoding::length(PASSWORD_BYTES_MAX),
            found: crate::encoding::length(password.len()),
        });
    }
    Ok(())
}

fn check_iterations(iterations: u32) -> Result<(), Error> {
    if iterations == 0 {
        return Err(Error::InvalidArgument {
            what: "iterations",
            reason: "there must be some",
        });
    }
    if iterations > PASSWORD_ITERATIONS_MAX {
        return Err(Error::LimitExceeded {
            what: "iterations",
            limit: u64::from(PASSWORD_ITERATIONS_MAX),
            found: u64::from(iterations),
        });
    }
    Ok(())
}

const SCHEME: &str = "pbkdf2-hmac-sm3";
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
