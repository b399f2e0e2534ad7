//! Known answers, asked at every start before the first port opens, in the manner of GM/T 0028.
//!
//! It does not prove the code right; it finds a build or a machine on which it is wrong. The
//! answers are published ones, named beside each test. SM4 and SM3 have several kernels; what
//! is asked is the one that this machine uses.

use std::time::Instant;

use crate::Error;
use crate::digest::{Digest, hkdf_sm3, hmac_sm3};
use crate::sm2::{Label, PublicKey, SecretKey, Signature};
use crate::sm4::Kernel;
use crate::sm4gcm::Sm4Gcm;
use crate::tls::shangmi::{Aead as _, Sm4Ccm};

/// Which self-tests ran and how long each took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelfTestReport {
    /// All tests, in the order in which they ran. All succeeded.
    pub tests: Vec<SelfTestLine>,
}

/// One self-test that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SelfTestLine {
    /// What was tested, with its source.
    pub name: &'static str,
    /// How long it took.
    pub microseconds: u64,
}

/// Runs all self-tests; a node that gets an error must not start.
///
/// # Errors
///
/// [`Error::SelfTest`] naming the first that failed, or [`Error::Randomness`].
pub fn self_test() -> Result<SelfTestReport, Error> {
    let mut tests = Vec::with_capacity(TESTS.len());
    for (name, test) in TESTS {
        let started = Instant::now();
        test().map_err(|error| match error {
            Error::Randomness => Error::Randomness,
            _ => Error::SelfTest { test: name },
        })?;
        let microseconds = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        tests.push(SelfTestLine { name, microseconds });
    }
    Ok(SelfTestReport { tests })
}

type Test = fn() -> Result<(), Error>;

const TESTS: &[(&str, Test)] = &[
    ("SM3 of abc, GB/T 32905-2016 A.1", sm3_known_answer),
    (
        "SM3 side by side, GB/T 32905-2016 A.1, A.2",
        sm3_in_every_lane,
    ),
    ("SM4 block, GB/T 32907-2016 A.1", sm4_known_answer),
    ("SM4-GCM, RFC 8998 A.1", sm4_gcm_known_answer),
    ("SM4-CCM, RFC 8998 A.2", sm4_ccm_known_answer),
    ("HMAC-SM3, RFC 2202 case 2 over SM3", hmac_known_answer),
    ("HKDF-SM3, RFC 5869 case 1 over SM3", hkdf_known_answer),
    ("SM2 verification, GB/T 32918.5-2017 A.2", sm2_known_answer),
    ("SM2 sign and verify", sm2_round_trip),
    ("SM2 wrap and unwrap", wrap_round_trip),
];

fn sm3_known_answer() -> Result<(), Error> {
    expect(&Digest::of(b"abc").to_string(), SM3_ABC)
}

fn sm3_in_every_lane() -> Result<(), Error> {
    let long = b"abcd".repeat(16);
    // Twice as many as there are lanes, so that every lane meets both and takes up a second.
    let contents: [&[u8]; 34] = std::array::from_fn(|i| match i % 3 {
        0 => &b"abc"[..],
        _ => &long,
    });
    for (content, digest) in contents.iter().zip(Digest::of_each(&contents)) {
        let known = if content.len() == 3 {
            SM3_ABC
        } else {
            SM3_ABCD_16
        };
        expect(&digest.to_string(), known)?;
    }
    Ok(())
}

fn sm4_known_answer() -> Result<(), Error> {
    let key: [u8; 16] = bytes(SM4_KEY)?;
    let block = Kernel::selected().encrypt_block(&key, &key);
    expect(&hex::encode(block), SM4_BLOCK)
}

fn sm4_gcm_known_answer() -> Result<(), Error> {
    let cipher = Sm4Gcm::new(&bytes(SM4_KEY)?);
    let (nonce, aad) = (bytes(AEAD_NONCE)?, bytes::<20>(AEAD_AAD)?);
    let plain: [u8; 64] = bytes(AEAD_PLAIN)?;
    let mut buffer = plain.to_vec();
    cipher.seal_in_place(&nonce, &aad, &mut buffer)?;
    expect(&hex::encode(&buffer), GCM_SEALED)?;
    let mut changed = buffer.clone();
    cipher.open_in_place(&nonce, &aad, &mut buffer)?;
    if buffer != plain {
        return Err(Error::Rejected);
    }
    changed[0] ^= 1;
    match cipher.open_in_place(&nonce, &aad, &mut changed) {
        Err(Error::Rejected) if changed.is_empty() => Ok(()),
        _ => Err(Error::Rejected),
    }
}

fn sm4_ccm_known_answer() -> Result<(), Error> {
    let cipher = Sm4Ccm::new(&bytes(SM4_KEY)?);
    let (nonce, aad) = (bytes(AEAD_NONCE)?, bytes::<20>(AEAD_AAD)?);
    let plain: [u8; 64] = bytes(AEAD_PLAIN)?;
    let mut text = plain;
    let mut tag = cipher.seal(&nonce, &aad, &mut text)?;
    expect(&hex::encode([&text[..], &tag].concat()), CCM_SEALED)?;
    cipher.open(&nonce, &aad, &mut text, &tag)?;
    if text != plain {
        return Err(Error::Rejected);
    }
    tag[0] ^= 1;
    match cipher.open(&nonce, &aad, &mut text, &tag) {
        Err(Error::Rejected) if text == [0; 64] => Ok(()),
        _ => Err(Error::Rejected),
    }
}

fn hmac_known_answer() -> Result<(), Error> {
    expect(
        &hmac_sm3(b"Jefe", b"what do ya want for nothing?").to_string(),
        HMAC_JEFE,
    )
}

fn hkdf_known_answer() -> Result<(), Error> {
    let mut out = [0_u8; 42];
    hkdf_sm3(
        &[0x0b; 22],
        &bytes::<13>(HKDF_SALT)?,
        &bytes::<10>(HKDF_INFO)?,
        &mut out,
    )?;
    expect(&hex::encode(out), HKDF_OUTPUT)
}

fn sm2_known_answer() -> Result<(), Error> {
    let key = PublicKey::from_sec1(&bytes::<65>(SM2_PUBLIC)?)?;
    let signature = Signature::from_der(&bytes::<72>(SM2_SIGNATURE)?)?;
    key.verify_unlabelled(b"message digest", &signature)?;
    match key.verify_unlabelled(b"message digesT", &signature) {
        Err(Error::SignatureRejected) => Ok(()),
        _ => Err(Error::Rejected),
    }
}

fn sm2_round_trip() -> Result<(), Error> {
    let key = SecretKey::generate()?;
    let signature = key.sign(Label::Challenge, b"self-test")?;
    key.public()
        .verify(Label::Challenge, b"self-test", &signature)?;
    match key
        .public()
        .verify(Label::Receipt, b"self-test", &signature)
    {
        Err(Error::SignatureRejected) => Ok(()),
        _ => Err(Error::Rejected),
    }
}

fn wrap_round_trip() -> Result<(), Error> {
    let key = SecretKey::generate()?;
    let secret: [u8; 32] = crate::random_bytes()?;
    let mut wrapped = key.public().wrap(&secret)?;
    if *key.unwrap(&wrapped)? != secret {
        return Err(Error::Rejected);
    }
    if let Some(last) = wrapped.last_mut() {
        *last ^= 1;
    }
    match key.unwrap(&wrapped) {
        Err(Error::Rejected) => Ok(()),
        _ => Err(Error::Rejected),
    }
}

fn expect(found: &str, expected: &str) -> Result<(), Error> {
    if found == expected {
        Ok(())
    } else {
        Err(Error::Rejected)
    }
}

fn bytes<const N: usize>(text: &str) -> Result<[u8; N], Error> {
    crate::encoding::hex_array(text, "self-test vector")
}

const SM3_ABC: &str = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0";
const SM3_ABCD_16: &str = "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732";
const SM4_KEY: &str = "0123456789abcdeffedcba9876543210";
const SM4_BLOCK: &str = "681edf34d206965e86b3e94f536e4246";
const AEAD_NONCE: &str = "00001234567800000000abcd";
const AEAD_AAD: &str = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
const AEAD_PLAIN: &str = "aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbccccccccccccccccdddddddddddddddd\
                          eeeeeeeeeeeeeeeeffffffffffffffffeeeeeeeeeeeeeeeeaaaaaaaaaaaaaaaa";
const GCM_SEALED: &str = "17f399f08c67d5ee19d0dc9969c4bb7d5fd46fd3756489069157b282bb200735\
                          d82710ca5c22f0ccfa7cbf93d496ac15a56834cbcf98c397b4024a2691233b8d\
                          83de3541e4c2b58177e065a9bf7b62ec";
const CCM_SEALED: &str = "48af93501fa62adbcd414cce6034d895dda1bf8f132f042098661572e7483094\
                          fd12e518ce062c98acee28d95df4416bed31a2f04476c18bb40c84a74b97dc5b\
                          16842d4fa186f56ab33256971fa110f4";
const HMAC_JEFE: &str = "2e87f1d16862e6d964b50a5200bf2b10b764faa9680a296a2405f24bec39f882";
const HKDF_SALT: &str = "000102030405060708090a0b0c";
const HKDF_INFO: &str = "f0f1f2f3f4f5f6f7f8f9";
const HKDF_OUTPUT: &str = "c69fe91b7aaee2dd5718d72dcaee0cce93f1b8e41f792da51261b6a517e68b36\
                           ed2c595572b01dfa359b";
const SM2_PUBLIC: &str = "0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020\
                          ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13";
const SM2_SIGNATURE: &str = "3046\
    022100f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3\
    022100b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa";
