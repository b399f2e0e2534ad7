//! The cryptographic message syntax of SM2: GM/T 0010-2012, now GB/T 35275-2017. It is PKCS#7
//! with names of its own, and it is what other systems put files into.
//!
//! It does not replace [`crate::seal`]: a message is held in memory as a whole, its cipher is
//! SM4-CBC, and whom it was written for is not signed. Between nodes, and for all that is large,
//! [`crate::seal`] is used. This module is for what must be exchanged with somebody else's system.
//!
//! | type | content type | what it gives |
//! |---|---|---|
//! | [`SignedData`] | 1.2.156.10197.6.1.4.2.2 | who wrote it |
//! | [`DetachedSignature`] | the same, without its content | who wrote the file beside it |
//! | [`EnvelopedData`] | 1.2.156.10197.6.1.4.2.3 | who can read it, **and nothing else** |
//! | [`SignedAndEnvelopedData`] | 1.2.156.10197.6.1.4.2.4 | both |
//!
//! **Enveloped data are not authenticated.** Anybody who knows a recipient's certificate can make
//! some, and whoever changes a byte of CBC ciphertext changes plaintext, which he can choose in
//! the block behind. Worse, a recipient who tells strangers whether an envelope opened is a padding
//! oracle (Vaudenay, 2002): a few hundred questions a block give the content away. Use
//! [`SignedAndEnvelopedData`], or sign first and put the [`SignedData`] into the envelope, or sign
//! the envelope, in which case the signature is checked before anything is decrypted.
//! [`EnvelopedData::open_unauthenticated`] has its name for that reason.
//!
//! ## What is written, and what is read
//!
//! What is written is DER: SM3, SM2 signatures (1.2.156.10197.1.301.1) with the identifier
//! `1234567812345678`, SM2 key wraps (1.2.156.10197.1.301.3, GM/T 0009-2012, 7.2), SM4-CBC with
//! the padding of PKCS#7 (1.2.156.10197.1.104.2), recipients and signers by issuer and serial
//! number, one certificate for each signer. Signatures are over the attributes `contentType` and
//! `messageDigest`, never over the content itself: a signature over bytes that somebody else may
//! choose could be one over a labelled message of ours ([`crate::Label`]). A DER SET starts none.
//!
//! What is read is DER as well: definite lengths in their shortest form, nothing behind the end.
//! Four liberties are taken, each because a system that is in use writes it so:
//!
//! * elements of a SET OF come in any order, and versions may be 0, 1 or 2;
//! * the algorithm identifiers 1.501 for the signature, 1.301.2 for the wrap (`GmSSL`) and 1.104
//!   with an initialization vector for SM4-CBC (CFCA), with parameters absent or NULL;
//! * recipients by subject key identifier (CFCA);
//! * the encrypted content as one OCTET STRING within `[0]` (read as EXPLICIT by `gmsm`).
//!
//! Revocation lists and unauthenticated attributes are skipped: the catalog says who is revoked.
//! Certificates that are carried are claims of the sender; the caller decides which one it trusts
//! ([`crate::Certificate::verify_issued_by`]) and hands it in.
//!
//! ## Errors
//!
//! Bytes that are not such a message give [`crate::Error::InvalidEncoding`] or
//! [`crate::Error::LimitExceeded`] from `from_der`, which uses no key. Whatever fails after that
//! for a recipient gives [`crate::Error::Rejected`]: a wrap, a padding, a digest or a signature
//! that does not fit are one error, found after the same work.

mod content;
mod der;
mod detached;
mod enveloped;
mod identifier;
mod signature;
mod signed;
mod signed_and_enveloped;

pub use detached::DetachedSignature;
pub use enveloped::EnvelopedData;
pub use signature::SignedAttributes;
pub use signed::SignedData;
pub use signed_and_enveloped::SignedAndEnvelopedData;

use x509_cert::der::asn1::ObjectIdentifier;

/// The longest content in bytes (64 MiB), since it is in memory as a whole, encrypted and not.
pub const CONTENT_BYTES_MAX: usize = 64 << 20;

/// The most recipients of one envelope, the same as of a sealed stream.
pub const RECIPIENTS_MAX: usize = crate::seal::RECIPIENTS_MAX;

/// The most signers of one message.
pub const SIGNERS_MAX: usize = 8;

/// The most certificates that are read from one message: a chain for each signer.
pub const CERTIFICATES_MAX: usize = 32;

/// The longest encoded message in bytes: the content, and 1 MiB for certificates, wraps and
/// signatures.
pub const ENVELOPE_BYTES_MAX: usize = CONTENT_BYTES_MAX + (1 << 20);

/// The content type "data".
const DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10197.6.1.4.2.1");

/// SM3, GM/T 0006-2012.
const SM3: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.156.10197.1.401");
