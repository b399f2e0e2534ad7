//! Keys in a cryptographic device behind the C interface of GM/T 0018-2012 and 2023 (SDF).
//!
//! It does not make, import or delete keys: the vendor's tool does, and says under which index a
//! key pair lies. Nor does it hash on the device: Z and the digest are computed here, and the
//! device gets 32 bytes.
//!
//! A device is a library of the vendor's that the process loads, a file with a PIN, and a key
//! index. Its functions block and may never return, so each call runs on a thread of its own and
//! is waited for no longer than [`SdfOptions::call_ms_max`]; a thread that hangs keeps its place
//! among the [`SdfOptions::sessions_max`], so that there are never more. One call has one session,
//! which is kept for the next call when all went well.
//!
//! What comes back is not believed: points must lie on the curve, lengths must fit, and each
//! signature is verified before it is handed on. A library is code in this process, however: what
//! it does to memory nobody can check.
//!
//! A PIN that was refused is not tried again, because devices lock themselves after a few
//! attempts. Restart with the right one.

mod abi;
mod advice;
mod device;
mod session;

pub use abi::DecryptCall;
pub use device::{SdfDevice, SdfSigner, SdfUnwrapper};

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::Error;

/// How long a call may take by default, in milliseconds. A card answers within one; a device on
/// a network that restarts takes seconds, and a caller should learn of it sooner.
pub const CALL_MS_DEFAULT: u64 = 5_000;

/// How many sessions there are at most by default. Devices have room for a few hundred, for all
/// their users.
pub const SESSIONS_DEFAULT: usize = 8;

/// The most sessions that can be asked for.
pub const SESSIONS_MAX: usize = 256;

/// The longest PIN in bytes.
pub const PIN_BYTES_MAX: usize = 64;

/// The largest number of random bytes that is asked of a device at once.
pub const RANDOM_BYTES_MAX: usize = 4_096;

/// Where the device is and which of its keys is meant. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SdfOptions {
    /// The vendor's library, an absolute path.
    pub library: PathBuf,
    /// The index of the key pairs on the device: one pair for signatures, one for encryption.
    pub key_index: u32,
    /// A file with the PIN of that index and nothing else; one line feed at its end is dropped.
    pub pin_file: PathBuf,
    /// Which form of the decryption call the vendor's library has.
    #[serde(default)]
    pub decrypt_call: DecryptCall,
    /// How many sessions there are at most, 1 to [`SESSIONS_MAX`].
    #[serde(default = "sessions_default")]
    pub sessions_max: usize,
    /// How long a call may take, waiting for a session included, in milliseconds.
    #[serde(default = "call_ms_default")]
    pub call_ms_max: u64,
}

impl SdfOptions {
    /// Options with the defaults for all that need not be known.
    #[must_use]
    pub fn new(library: impl Into<PathBuf>, key_index: u32, pin_file: impl Into<PathBuf>) -> Self {
        Self {
            library: library.into(),
            key_index,
            pin_file: pin_file.into(),
            decrypt_call: DecryptCall::default(),
            sessions_max: SESSIONS_DEFAULT,
            call_ms_max: CALL_MS_DEFAULT,
        }
    }

    fn check(&self) -> Result<(), Error> {
        let invalid = |what, reason| Err(Error::InvalidArgument { what, reason });
        if !self.library.is_absolute() {
            // The loader would look for it where somebody else may have put one.
            return invalid("device library", "its path must be absolute");
        }
        if !(1..=SESSIONS_MAX).contains(&self.sessions_max) {
            return invalid("device sessions", "there must be 1 to 256");
        }
        if self.call_ms_max == 0 {
            return invalid("device time", "no call can succeed within 0 ms");
        }
        Ok(())
    }
}

const fn sessions_default() -> usize {
    SESSIONS_DEFAULT
}

const fn call_ms_default() -> u64 {
    CALL_MS_DEFAULT
}
