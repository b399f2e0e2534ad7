//! SM4-GCM (GB/T 32907, RFC 8998 section 3.2): key 16 bytes, nonce 12, tag 16.
//!
//! It is not public: callers elsewhere would have to choose nonces, and one repeated nonce gives
//! away both plaintexts and the authentication key. [`crate::seal`] and [`crate::keys`] derive
//! theirs. Everything passes through the two functions here, so a vectorised kernel can replace
//! the table-driven one of RustCrypto without a change elsewhere. The table reads its S-box at
//! secret indices; on a machine that runs hostile code beside the node, that is a cache-timing
//! channel, and the reason why the kernel is wanted.

use aes_gcm::aead::consts::U12;
use aes_gcm::{AeadInOut, AesGcm, KeyInit};
use zeroize::Zeroize;

use crate::Error;

/// The length of a tag in bytes; never truncated.
pub(crate) const TAG_BYTES: usize = 16;

/// The length of a key in bytes.
pub(crate) const KEY_BYTES: usize = 16;

/// The length of a nonce in bytes.
pub(crate) const NONCE_BYTES: usize = 12;

/// One SM4-GCM key, wiped on drop.
pub(crate) struct Sm4Gcm(AesGcm<sm4::Sm4, U12>);

impl Sm4Gcm {
    /// Expands the key.
    pub(crate) fn new(key: &[u8; KEY_BYTES]) -> Self {
        Self(AesGcm::new(key.into()))
    }

    /// Encrypts `buffer` and appends the tag.
    pub(crate) fn seal_in_place(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        buffer: &mut Vec<u8>,
    ) -> Result<(), Error> {
        let found = buffer.len();
        self.0
            .encrypt_in_place(nonce.into(), aad, buffer)
            .map_err(|_| {
                // The cipher refuses only what is longer than its 32-bit block counter.
                buffer.zeroize();
                Error::LimitExceeded {
                    what: "SM4-GCM plaintext bytes",
                    limit: PLAIN_BYTES_MAX,
                    found: crate::encoding::length(found),
                }
            })
    }

    /// Checks the tag, decrypts, and removes the tag. On failure the buffer is wiped.
    pub(crate) fn open_in_place(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        buffer: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.0
            .decrypt_in_place(nonce.into(), aad, buffer)
            .map_err(|_| {
                buffer.zeroize();
                Error::Rejected
            })
    }
}

/// 2^32 - 2 blocks, NIST SP 800-38D section 5.2.1.1 and RFC 8998.
const PLAIN_BYTES_MAX: u64 = (1 << 36) - 32;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::path::PathBuf;

    fn wycheproof() -> Value {
        let root = std::env::var_os("KOUAN_DATA").map_or_else(
            || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
            PathBuf::from,
        );
        let name = "conformance/crypto/wycheproof_sm4_gcm.json";
        let text = std::fs::read_to_string(root.join(name))
            .unwrap_or_else(|error| panic!("set KOUAN_DATA to the folder of {name}: {error}"));
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn sealing_and_opening_agree_with_wycheproof() {
        let file = wycheproof();
        let mut checked = 0;
        for group in file["testGroups"].as_array().unwrap() {
            // Other lengths of nonce are not offered.
            if group["ivSize"] != 96 {
                continue;
            }
            for test in group["tests"].as_array().unwrap() {
                let field = |name: &str| hex::decode(test[name].as_str().unwrap()).unwrap();
                let cipher = Sm4Gcm::new(&field("key").try_into().unwrap());
                let nonce = field("iv").try_into().unwrap();
                let sealed = [field("ct"), field("tag")].concat();
                let mut opened = sealed.clone();
                let outcome = cipher.open_in_place(&nonce, &field("aad"), &mut opened);
                if test["result"] == "valid" {
                    assert_eq!(
                        (outcome, &opened),
                        (Ok(()), &field("msg")),
                        "{}",
                        test["tcId"]
                    );
                    cipher
                        .seal_in_place(&nonce, &field("aad"), &mut opened)
                        .unwrap();
                    assert_eq!(opened, sealed, "{}", test["tcId"]);
                } else {
                    let nothing = Vec::new();
                    assert_eq!((outcome, opened), (Err(Error::Rejected), nothing));
                }
                checked += 1;
            }
        }
        assert_eq!(checked, 33);
    }
}
