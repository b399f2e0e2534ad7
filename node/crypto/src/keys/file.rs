//! A private key in a file, under a pass phrase.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::Error;
use crate::digest::pbkdf2_hmac_sm3;
use crate::random::random_bytes;
use crate::sm2::{PublicKey, SecretKey};
use crate::sm4gcm::{KEY_BYTES, NONCE_BYTES, Sm4Gcm};

/// How many PBKDF2 rounds a new key file gets. With SM3 that is about a third of a second on the
/// reference machine: long for whoever guesses, short for whoever starts a node. The number is
/// OWASP's for PBKDF2 with a 256-bit hash (2023).
pub const KEY_FILE_ITERATIONS_DEFAULT: u32 = 600_000;

/// Fewer rounds than this are refused, in files and when sealing. Tests use it.
pub const KEY_FILE_ITERATIONS_MIN: u32 = 1_000;

/// More rounds than this are refused in a file, since opening it would take half a minute or
/// more; a hostile file must not be able to stop a start.
pub const KEY_FILE_ITERATIONS_MAX: u32 = 20_000_000;

/// The largest key file that is read, in bytes. A real one has about 700.
const KEY_FILE_BYTES_MAX: u64 = 16 * 1_024;

const VERSION: u32 = 1;
const KDF: &str = "pbkdf2-hmac-sm3";
const SUITE: &str = "sm4-gcm";
const SALT_BYTES: usize = 16;

/// The private key's PKCS#8 with tag has about 150 bytes; this leaves room and no more.
const CIPHERTEXT_BYTES_MAX: usize = 1_024;

/// An encrypted private key: JSON text that may be copied and backed up.
///
/// What is not secret in it (key derivation, public key) is bound to the ciphertext, so that
/// none of it can be changed without the pass phrase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    version: u32,
    kdf: String,
    iterations: u32,
    salt: String,
    suite: String,
    nonce: String,
    ciphertext: String,
    public: PublicKey,
}

impl KeyFile {
    /// Encrypts `key` under `passphrase`, with [`KEY_FILE_ITERATIONS_DEFAULT`] or what a test
    /// can bear as `iterations`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for an empty pass phrase or too few rounds,
    /// [`Error::LimitExceeded`] for too many, [`Error::Randomness`].
    pub fn seal(key: &SecretKey, passphrase: &[u8], iterations: u32) -> Result<Self, Error> {
        if passphrase.is_empty() {
            return Err(Error::InvalidArgument {
                what: "pass phrase",
                reason: "it is empty",
            });
        }
        check_iterations(iterations)?;
        let salt: [u8; SALT_BYTES] = random_bytes()?;
        let nonce: [u8; NONCE_BYTES] = random_bytes()?;
        let mut file = Self {
            version: VERSION,
            kdf: KDF.to_owned(),
            iterations,
            salt: hex::encode(salt),
            suite: SUITE.to_owned(),
            nonce: hex::encode(nonce),
            ciphertext: String::new(),
            public: key.public().clone(),
        };
        // Room for the tag, so that appending it does not leave a copy of the plaintext behind.
        let plain = key.to_pkcs8_der()?;
        let mut buffer = Zeroizing::new(Vec::with_capacity(plain.len() + 16));
        buffer.extend_from_slice(&plain);
        cipher(passphrase, &salt, iterations).seal_in_place(
            &nonce,
            &file.bound_bytes(),
            &mut buffer,
        )?;
        file.ciphertext = hex::encode(&*buffer);
        Ok(file)
    }

    /// Decrypts the key.
    ///
    /// # Errors
    ///
    /// [`Error::WrongPassphrase`] when the pass phrase is wrong or the file was changed,
    /// [`Error::InvalidEncoding`] or [`Error::LimitExceeded`] when it is not such a file.
    pub fn open(&self, passphrase: &[u8]) -> Result<SecretKey, Error> {
        self.check()?;
        let salt: [u8; SALT_BYTES] = crate::encoding::hex_array(&self.salt, "salt")?;
        let nonce: [u8; NONCE_BYTES] = crate::encoding::hex_array(&self.nonce, "nonce")?;
        let sealed =
            crate::encoding::hex_vec(&self.ciphertext, "ciphertext", CIPHERTEXT_BYTES_MAX)?;
        let mut buffer = Zeroizing::new(sealed);
        cipher(passphrase, &salt, self.iterations)
            .open_in_place(&nonce, &self.bound_bytes(), &mut buffer)
            .map_err(|_| Error::WrongPassphrase)?;
        let key = SecretKey::from_pkcs8_der(&buffer)?;
        if *key.public() == self.public {
            Ok(key)
        } else {
            Err(Error::WrongPassphrase)
        }
    }

    /// The public half, readable without the pass phrase.
    #[must_use]
    pub const fn public(&self) -> &PublicKey {
        &self.public
    }

    /// The file's text.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEncoding`] if it cannot be written as JSON, which does not happen.
    pub fn to_json(&self) -> Result<String, Error> {
        serde_json::to_string_pretty(self)
            .map(|text| text + "\n")
            .map_err(|_| Error::InvalidEncoding {
                what: "key file",
                reason: "not JSON",
            })
    }

    /// Reads the file's text and checks everything that needs no pass phrase.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidEncoding`] or [`Error::LimitExceeded`] when it is not such a file.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        let file: Self = serde_json::from_str(text).map_err(|_| Error::InvalidEncoding {
            what: "key file",
            reason: "a field is missing, unknown or of the wrong form",
        })?;
        file.check()?;
        Ok(file)
    }

    /// Reads a key file from disk.
    ///
    /// # Errors
    ///
    /// [`Error::File`] when it cannot be read, else as [`Self::from_json`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let failed = |source: std::io::Error| Error::file("read key file", path, &source);
        let mut text = String::new();
        File::open(path)
            .map_err(failed)?
            .take(KEY_FILE_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(failed)?;
        Self::from_json(&text)
    }

    /// Writes a new key file that only its owner can read, and returns when it is durable. An
    /// existing file is never overwritten.
    ///
    /// # Errors
    ///
    /// [`Error::File`], also when the file exists.
    pub fn write_new(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        write_private(path.as_ref(), self.to_json()?.as_bytes())
    }

    fn check(&self) -> Result<(), Error> {
        let invalid = |reason| {
            Err(Error::InvalidEncoding {
                what: "key file",
                reason,
            })
        };
        if self.version != VERSION {
            return invalid("its version is not 1");
        }
        if self.kdf != KDF {
            return invalid("its kdf is not pbkdf2-hmac-sm3");
        }
        if self.suite != SUITE {
            return invalid("its suite is not sm4-gcm");
        }
        check_iterations(self.iterations)
    }

    /// What is authenticated beside the ciphertext.
    fn bound_bytes(&self) -> Vec<u8> {
        format!(
            "kouan/v1/key-file\n{}\n{}\n{}\n{}\n{}\n{}\n",
            self.version, self.kdf, self.iterations, self.salt, self.suite, self.public
        )
        .into_bytes()
    }
}

/// Writes a file that only its owner can read, durably, and never over an existing one.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = |source: std::io::Error| Error::file("write private file", path, &source);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.sync_all().map_err(failed)?;
    // A new name is durable only when its directory is.
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(directory)
        .and_then(|opened| opened.sync_all())
        .map_err(failed)
}

fn cipher(passphrase: &[u8], salt: &[u8], iterations: u32) -> Sm4Gcm {
    let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
    pbkdf2_hmac_sm3(passphrase, salt, iterations, &mut *key);
    Sm4Gcm::new(&key)
}

fn check_iterations(iterations: u32) -> Result<(), Error> {
    if iterations < KEY_FILE_ITERATIONS_MIN {
        return Err(Error::InvalidArgument {
            what: "iterations",
            reason: "fewer than 1,000 rounds do not slow anyone down",
        });
    }
    if iterations > KEY_FILE_ITERATIONS_MAX {
        return Err(Error::LimitExceeded {
            what: "iterations",
            limit: u64::from(KEY_FILE_ITERATIONS_MAX),
            found: u64::from(iterations),
        });
    }
    Ok(())
}
