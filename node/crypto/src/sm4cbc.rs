//! SM4-CBC with the padding of PKCS#7 (GB/T 17964-2021; RFC 5652 section 6.3): key and
//! initialization vector 16 bytes.
//!
//! It is not public and it authenticates nothing: whoever changes a ciphertext changes the
//! plaintext in a way that he can choose. It is there for the envelopes of other systems, see
//! [`crate::envelope`]; all that is ours is sealed with SM4-GCM.
//!
//! Encryption is serial by definition and takes one block through the kernel of the processor;
//! decryption takes sixteen through the portable one. Neither keeps a table nor branches by what
//! is secret, and the padding is judged without a branch.

use subtle::{Choice, ConstantTimeEq as _, ConstantTimeLess as _};
use zeroize::{Zeroize as _, Zeroizing};

use crate::sm4::{BLOCK_BYTES, DECRYPT_BLOCKS, Expanded, Inverse, Kernel};

/// The length of a key in bytes.
pub(crate) const KEY_BYTES: usize = 16;

/// The length of an initialization vector in bytes.
pub(crate) const IV_BYTES: usize = BLOCK_BYTES;

/// Pads and encrypts. `iv` must be random and fresh for each message.
pub(crate) fn encrypt(key: &[u8; KEY_BYTES], iv: &[u8; IV_BYTES], plain: &[u8]) -> Vec<u8> {
    let kernel = Kernel::selected();
    let mut expanded = Box::new(Expanded::ZERO);
    kernel.expand(key, &mut expanded);
    let mut encrypted = Vec::with_capacity(plain.len() + BLOCK_BYTES);
    let mut before = *iv;
    let mut block = |text: &[u8; BLOCK_BYTES]| {
        let mut sum: [u8; BLOCK_BYTES] = std::array::from_fn(|i| before[i] ^ text[i]);
        before = kernel.encrypt_with(&expanded, &sum);
        sum.zeroize();
        encrypted.extend_from_slice(&before);
    };
    let (whole, rest) = plain.as_chunks::<BLOCK_BYTES>();
    whole.iter().for_each(&mut block);
    // The rest has fewer than sixteen bytes, so the padding has one to sixteen.
    let padding = u8::try_from(BLOCK_BYTES - rest.len()).unwrap_or_default();
    let mut last = Zeroizing::new([padding; BLOCK_BYTES]);
    last[..rest.len()].copy_from_slice(rest);
    block(&last);
    encrypted
}

/// What [`decrypt`] gives: the bytes, and whether they ended in a padding.
pub(crate) struct Decrypted {
    /// Without the padding, or all bytes if there was none.
    pub(crate) plain: Zeroizing<Vec<u8>>,
    /// Whether they ended in a padding.
    pub(crate) padded: Choice,
}

/// Decrypts and looks for the padding.
///
/// A wrong padding is not an error here: the caller does what else there is to do, such as
/// checking a signature, before anybody is told, so that time does not tell it first. No whole
/// number of blocks, or none, is public and gives `None`.
pub(crate) fn decrypt(
    key: &[u8; KEY_BYTES],
    iv: &[u8; IV_BYTES],
    encrypted: &[u8],
) -> Option<Decrypted> {
    let (blocks, rest) = encrypted.as_chunks::<BLOCK_BYTES>();
    if blocks.is_empty() || !rest.is_empty() {
        return None;
    }
    let inverse = Inverse::new(key);
    let mut plain = Zeroizing::new(Vec::with_capacity(encrypted.len()));
    let mut before = *iv;
    let mut batch = Zeroizing::new([[0; BLOCK_BYTES]; DECRYPT_BLOCKS]);
    for part in blocks.chunks(DECRYPT_BLOCKS) {
        batch[..part.len()].copy_from_slice(part);
        inverse.decrypt(&mut batch);
        for (block, found) in batch.iter().zip(part) {
            plain.extend(block.iter().zip(before).map(|(byte, last)| byte ^ last));
            before = *found;
        }
    }
    let (length, padded) = padding(&plain);
    let content = plain.len() - length;
    plain.truncate(content);
    Some(Decrypted { plain, padded })
}

/// How long the padding is, 0 if there is none, and whether there is one.
fn padding(plain: &[u8]) -> (usize, Choice) {
    let Some(last) = plain.last_chunk::<BLOCK_BYTES>() else {
        return (0, Choice::from(0));
    };
    let length = last[BLOCK_BYTES - 1];
    let mut good = !length.ct_eq(&0) & length.ct_lt(&17);
    for (distance, byte) in (0_u8..).zip(last.iter().rev()) {
        let counts = distance.ct_lt(&length);
        good &= !counts | byte.ct_eq(&length);
    }
    // The length is the caller's secret until it knows that all is well.
    (usize::from(length) * usize::from(good.unwrap_u8()), good)
}

#[cfg(test)]
mod tests {
    use ::sm4::cipher::{BlockCipherEncrypt as _, KeyInit as _};
    use proptest::prelude::*;

    use super::*;

    const KEY: u128 = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210;

    fn round_trip(key: &[u8; 16], iv: &[u8; 16], encrypted: &[u8]) -> Option<Vec<u8>> {
        let found = decrypt(key, iv, encrypted)?;
        bool::from(found.padded).then(|| found.plain.to_vec())
    }

    /// Made with SM4-CBC of OpenSSL 4.0.3 and `PKCS7(128)` of the PyPI package
    /// `cryptography` 50.0.2: the key of GB/T 32907-2016 A.1, the vector 00 01 .. 0f, and the
    /// plaintexts below.
    #[test]
    fn openssl_encrypts_alike() {
        let key = KEY.to_be_bytes();
        let iv = std::array::from_fn(|i| u8::try_from(i).unwrap());
        for (plain, expected) in VECTORS {
            let encrypted = encrypt(&key, &iv, plain);
            assert_eq!(hex::encode(&encrypted), *expected);
            assert_eq!(round_trip(&key, &iv, &encrypted).as_deref(), Some(*plain));
        }
    }

    const VECTORS: &[(&[u8], &str)] = &[
        (b"", "4b910651754b5553f10cfa0c8a09e9e5"),
        (b"abc", "4301693c448c7da7cff13f84690f7dea"),
        (
            b"exactly 16 bytes",
            "2ac1de76db7d8d677d62456b672f6b00e98a8990a511a1a74db33f70f5147160",
        ),
        (
            &[0x5a; 47],
            "1534bfcf6c21cfc0376ed10c5c4ea7e22e7c0b9c6ad7e750937b3a93295922c24c4355bb\
             d1244d0e17bb4591cced723d",
        ),
    ];

    #[test]
    fn only_a_whole_padding_is_one() {
        let block = |tail: &[u8]| [&vec![9; 16 - tail.len()], tail].concat();
        for length in 1..=16_u8 {
            let tail = vec![length; usize::from(length)];
            assert_eq!(padding(&block(&tail)).0, usize::from(length));
            let mut broken = tail.clone();
            broken[0] ^= 0x40;
            assert!(!bool::from(padding(&block(&broken)).1) || length == 1);
        }
        for wrong in [0, 17, 0x80, 0xff] {
            assert!(!bool::from(padding(&block(&[wrong; 3])).1));
        }
    }

    proptest! {
        #[test]
        fn what_is_encrypted_comes_back_and_agrees_with_rustcrypto(
            key: [u8; 16],
            iv: [u8; 16],
            plain in prop::collection::vec(any::<u8>(), 0..600),
        ) {
            let encrypted = encrypt(&key, &iv, &plain);
            prop_assert_eq!(encrypted.len(), (plain.len() / 16 + 1) * 16);
            prop_assert_eq!(round_trip(&key, &iv, &encrypted), Some(plain.clone()));
            let oracle = ::sm4::Sm4::new(&key.into());
            let mut before = iv;
            for (at, found) in encrypted.as_chunks::<16>().0.iter().enumerate() {
                let pad = u8::try_from(encrypted.len() - plain.len()).unwrap();
                let text = |i: usize| plain.get(16 * at + i).copied().unwrap_or(pad);
                let sum: [u8; 16] = std::array::from_fn(|i| before[i] ^ text(i));
                let mut block = sum.into();
                oracle.encrypt_block(&mut block);
                prop_assert_eq!(&found[..], &block[..]);
                before = *found;
            }
        }

        #[test]
        fn no_length_of_stray_bytes_panics(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let found = decrypt(&[7; 16], &[0; 16], &bytes);
            prop_assert_eq!(found.is_some(), !bytes.is_empty() && bytes.len() % 16 == 0);
        }
    }
}
