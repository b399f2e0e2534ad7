//! What the codes of GM/T 0018-2012, appendix A, mean to whoever runs a node.
//!
//! It does not know the codes that vendors add; they are passed on as numbers.

use crate::Error;

/// The error of a function that gave a code other than 0.
pub(super) const fn failed(function: &'static str, code: u32) -> Error {
    let advice = match code {
        NOT_SUPPORTED => "the device does not offer it; ask the vendor for a library that does",
        COMMUNICATION => "the device cannot be reached; check its cable, network and service",
        HARDWARE => "the device reports a fault of its own; have it examined",
        OPEN_DEVICE => "the device cannot be opened; check its driver, service and configuration",
        OPEN_SESSION => "no session is left; lower sessions_max or close other users of the device",
        DENIED | NO_ACCESS_RIGHT => {
            "the PIN is not the one of this key; correct the PIN file and restart, \
             and mind that the device locks itself after a few attempts"
        }
        NO_SUCH_KEY => "there is no key under this index; correct key_index or make the key",
        KEY_TYPE | KEY => "the key under this index is of another kind; make an SM2 key pair",
        _ => "look the code up in the vendor's manual",
    };
    Error::Device {
        function,
        code,
        advice,
    }
}

/// Whether a code says that a ciphertext was not made for this key.
pub(super) const fn is_about_ciphertext(code: u32) -> bool {
    matches!(code, PRIVATE_KEY_OPERATION | ENCRYPTED_DATA)
}

/// Whether an error may pass by itself, so that the PIN may be shown again.
pub(super) const fn is_passing(error: &Error) -> bool {
    match error {
        Error::Device { code, .. } => matches!(*code, COMMUNICATION | HARDWARE | OPEN_SESSION),
        _ => false,
    }
}

const BASE: u32 = 0x0100_0000;
const NOT_SUPPORTED: u32 = BASE + 0x02;
const COMMUNICATION: u32 = BASE + 0x03;
const HARDWARE: u32 = BASE + 0x04;
const OPEN_DEVICE: u32 = BASE + 0x05;
const OPEN_SESSION: u32 = BASE + 0x06;
const DENIED: u32 = BASE + 0x07;
const NO_SUCH_KEY: u32 = BASE + 0x08;
const PRIVATE_KEY_OPERATION: u32 = BASE + 0x0c;
const KEY_TYPE: u32 = BASE + 0x14;
const KEY: u32 = BASE + 0x15;
const ENCRYPTED_DATA: u32 = BASE + 0x16;
const NO_ACCESS_RIGHT: u32 = BASE + 0x18;
