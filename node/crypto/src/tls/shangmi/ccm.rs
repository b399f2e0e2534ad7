//! SM4-CCM (RFC 8998 section 3.2, NIST SP 800-38C): nonce 12 bytes, tag 16, length field 3.
//!
//! It does not aim at speed: CBC-MAC is serial by definition. It is there for peers that have
//! no GCM; between nodes GCM is chosen. The block cipher is the one of the GCM kernels.

use subtle::ConstantTimeEq as _;
use zeroize::Zeroize as _;

use super::record::Aead;
use crate::Error;
use crate::sm4::{BLOCK_BYTES, Expanded, Kernel};
use crate::sm4gcm::{KEY_BYTES, NONCE_BYTES, TAG_BYTES};

/// One SM4-CCM key, wiped on drop.
pub(crate) struct Sm4Ccm {
    kernel: Kernel,
    /// In a box, so that a key that is moved leaves no copy behind.
    expanded: Box<Expanded>,
}

impl Aead for Sm4Ccm {
    fn new(key: &[u8; KEY_BYTES]) -> Self {
        let kernel = Kernel::selected();
        let mut expanded = Box::new(Expanded::ZERO);
        kernel.expand(key, &mut expanded);
        Self { kernel, expanded }
    }

    fn seal(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        text: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], Error> {
        let tag = self.tag(nonce, aad, text)?;
        self.apply_keystream(nonce, text);
        Ok(tag)
    }

    fn open(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        text: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), Error> {
        self.apply_keystream(nonce, text);
        let expected = self.tag(nonce, aad, text)?;
        if bool::from(expected.ct_eq(tag)) {
            Ok(())
        } else {
            text.zeroize();
            Err(Error::Rejected)
        }
    }
}

impl Sm4Ccm {
    /// The encrypted CBC-MAC over nonce, lengths, additional data and text.
    fn tag(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        text: &[u8],
    ) -> Result<[u8; TAG_BYTES], Error> {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
        if length > TEXT_BYTES_MAX || aad.len() > AAD_BYTES_MAX {
            return Err(Error::LimitExceeded {
                what: "SM4-CCM bytes",
                limit: u64::from(TEXT_BYTES_MAX),
                found: crate::encoding::length(text.len()),
            });
        }
        let flags = if aad.is_empty() { 0x3a } else { 0x7a };
        let mut mac = frame(flags, nonce, length);
        self.encrypt(&mut mac);
        if !aad.is_empty() {
            // Two bytes of length before the data; their block is padded with zeros.
            let mut bytes = Vec::with_capacity(2 + aad.len());
            let aad_length = u16::try_from(aad.len()).unwrap_or(u16::MAX);
            bytes.extend_from_slice(&aad_length.to_be_bytes());
            bytes.extend_from_slice(aad);
            self.absorb(&mut mac, &bytes);
        }
        self.absorb(&mut mac, text);
        let mut mask = frame(COUNTER_FLAGS, nonce, 0);
        self.encrypt(&mut mask);
        add(&mut mac, &mask);
        Ok(mac)
    }

    fn absorb(&self, mac: &mut [u8; BLOCK_BYTES], bytes: &[u8]) {
        for block in bytes.chunks(BLOCK_BYTES) {
            add(mac, block);
            self.encrypt(mac);
        }
    }

    /// Counter mode from 1 on; the counter cannot run over, since `tag` bounds the text.
    fn apply_keystream(&self, nonce: &[u8; NONCE_BYTES], text: &mut [u8]) {
        for (counter, block) in (1..).zip(text.chunks_mut(BLOCK_BYTES)) {
            let mut mask = frame(COUNTER_FLAGS, nonce, counter);
            self.encrypt(&mut mask);
            add(block, &mask);
        }
    }

    fn encrypt(&self, block: &mut [u8; BLOCK_BYTES]) {
        *block = self.kernel.encrypt_with(&self.expanded, block);
    }
}

/// Flags, nonce, and a number of three bytes: SP 800-38C, appendix A.
fn frame(flags: u8, nonce: &[u8; NONCE_BYTES], number: u32) -> [u8; BLOCK_BYTES] {
    let mut block = [0; BLOCK_BYTES];
    block[0] = flags;
    block[1..=NONCE_BYTES].copy_from_slice(nonce);
    block[NONCE_BYTES + 1..].copy_from_slice(&number.to_be_bytes()[1..]);
    block
}

fn add(block: &mut [u8], mask: &[u8]) {
    for (byte, mask) in block.iter_mut().zip(mask) {
        *byte ^= mask;
    }
}

/// A length field of three bytes, and nothing else.
const COUNTER_FLAGS: u8 = 0x02;

/// What a length field of three bytes can say.
const TEXT_BYTES_MAX: u32 = (1 << 24) - 1;

/// What the short form of the additional data's length can say; a record has 5 bytes.
const AAD_BYTES_MAX: usize = 0xfeff;

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::Value;

    use super::*;

    /// RFC 8998, appendix A.2.
    #[test]
    fn sealing_agrees_with_rfc_8998() {
        let bytes = |text: &str| hex::decode(text).unwrap();
        let key = bytes("0123456789abcdeffedcba9876543210");
        let nonce = bytes("00001234567800000000abcd").try_into().unwrap();
        let aad = bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2");
        let plain = bytes(concat!(
            "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd",
            "eeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa"
        ));
        let sealed = bytes(concat!(
            "48af93501fa62adbcd414cce6034d895dda1bf8f132f042098661572e7483094",
            "fd12e518ce062c98acee28d95df4416bed31a2f04476c18bb40c84a74b97dc5b"
        ));
        let tag = bytes("16842d4fa186f56ab33256971fa110f4");
        let cipher = Sm4Ccm::new(&key.try_into().unwrap());
        let mut text = plain.clone();
        let made = cipher.seal(&nonce, &aad, &mut text).unwrap();
        assert_eq!((&text, &made[..]), (&sealed, &tag[..]));
        cipher.open(&nonce, &aad, &mut text, &made).unwrap();
        assert_eq!(text, plain);
        for bit in 0..128 {
            let mut changed = made;
            changed[bit / 8] ^= 1 << (bit % 8);
            let mut text = sealed.clone();
            let outcome = cipher.open(&nonce, &aad, &mut text, &changed);
            assert_eq!((outcome, text), (Err(Error::Rejected), vec![0; 64]));
        }
    }

    #[test]
    fn sealing_and_opening_agree_with_wycheproof() {
        let root = std::env::var_os("KOUAN_DATA").map_or_else(
            || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
            PathBuf::from,
        );
        let name = "conformance/crypto/wycheproof_sm4_ccm.json";
        let text = std::fs::read_to_string(root.join(name))
            .unwrap_or_else(|error| panic!("set KOUAN_DATA to the folder of {name}: {error}"));
        let file: Value = serde_json::from_str(&text).unwrap();
        let mut checked = 0;
        for group in file["testGroups"].as_array().unwrap() {
            // Other lengths of nonces and tags are not offered.
            if group["ivSize"] != 96 || group["tagSize"] != 128 {
                continue;
            }
            for test in group["tests"].as_array().unwrap() {
                agree_with(test);
                checked += 1;
            }
        }
        assert_eq!(checked, 39);
    }

    fn agree_with(test: &Value) {
        let context = &test["tcId"];
        let field = |name: &str| hex::decode(test[name].as_str().unwrap()).unwrap();
        let cipher = Sm4Ccm::new(&field("key").try_into().unwrap());
        let nonce = field("iv").try_into().unwrap();
        let (aad, plain, sealed) = (field("aad"), field("msg"), field("ct"));
        let tag = field("tag").try_into().unwrap();
        let mut text = sealed.clone();
        let outcome = cipher.open(&nonce, &aad, &mut text, &tag);
        if test["result"] == "valid" {
            assert_eq!((outcome, &text), (Ok(()), &plain), "{context}");
            let made = cipher.seal(&nonce, &aad, &mut text);
            assert_eq!((made, text), (Ok(tag), sealed), "{context}");
        } else {
            let nothing = vec![0; sealed.len()];
            assert_eq!(
                (outcome, text),
                (Err(Error::Rejected), nothing),
                "{context}"
            );
        }
    }

    #[test]
    fn every_short_length_survives() {
        let (cipher, nonce) = (Sm4Ccm::new(&[7; 16]), [9; 12]);
        for length in 0..70_u8 {
            let plain: Vec<u8> = (0..length).collect();
            for aad in [&b""[..], b"record"] {
                let mut text = plain.clone();
                let tag = cipher.seal(&nonce, aad, &mut text).unwrap();
                cipher.open(&nonce, aad, &mut text, &tag).unwrap();
                assert_eq!(text, plain);
                let other = cipher.open(&nonce, b"another", &mut text, &tag);
                assert_eq!(other, Err(Error::Rejected));
            }
        }
    }
}
