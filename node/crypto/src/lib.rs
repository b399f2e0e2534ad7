//! The cryptography of the node: SM2, SM3, SM4-GCM, sealed streams, Merkle trees, keys,
//! certificates and TLS. It is the only crate that knows algorithms.
//!
//! It does not know datasets, participants or policies: it sees bytes, and it says whether they
//! are what their signer wrote. It is neither certified nor independently audited; where a rule
//! asks for a certified module, [`Signer`] and [`Unwrapper`] are the seams at which one is put.
//!
//! | module | what it gives | standard |
//! |---|---|---|
//! | [`digest`] | SM3, HMAC, HKDF, PBKDF2 | GB/T 32905, RFC 2104, RFC 5869, RFC 8018 |
//! | [`sm2`] | signatures with a purpose, key wraps | GB/T 32918.2, .4; GM/T 0009 |
//! | [`keys`] | keys behind traits: in software, in files, in devices | GM/T 0018 |
//! | [`seal`] | sealed streams of known length | ours, over RFC 8998's SM4-GCM |
//! | [`envelope`] | messages for other systems | GM/T 0010, GB/T 35275 |
//! | [`Sm4Backend`] | which kernel seals here | GB/T 32907, NIST SP 800-38D |
//! | [`merkle`] | trees and proofs, a map with a root | RFC 6962 and RFC 9162 over SM3 |
//! | [`certificate`] | SM2 certificates and a small authority | RFC 5280, GM/T 0015 |
//! | [`tls`] | mutual TLS 1.3 on rustls, ShangMi or standard | RFC 8998, RFC 8446 |
//! | [`password`], [`totp`] | secrets that people remember or read off | RFC 8018, RFC 6238 |
//! | [`self_test`](mod@self_test) | known answers at start | in the manner of GM/T 0028 |
#![doc = ""]
#![doc = include_str!("../docs/limits-and-assessment.md")]

pub mod certificate;
pub mod digest;
mod encoding;
pub mod envelope;
mod error;
pub mod keys;
#[doc(hidden)]
pub mod measure;
pub mod merkle;
pub mod password;
pub mod random;
pub mod seal;
pub mod self_test;
pub mod sm2;
mod sm3;
mod sm4;
mod sm4cbc;
mod sm4gcm;
pub mod tls;
pub mod totp;
mod x509;

pub use certificate::{Authority, Certificate, Usage, Validity};
pub use digest::{Digest, Hasher, KeyId};
pub use error::Error;
pub use keys::{KeyFile, Signer, SoftwareKey, Unwrapper};
pub use random::random_bytes;
pub use self_test::self_test;
pub use sm2::{Label, PublicKey, SecretKey, Signature};
pub use sm4::Sm4Backend;
pub use zeroize::Zeroizing;
