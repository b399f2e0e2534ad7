//! The C interface of GM/T 0018-2012: its structures, and its functions in a vendor's library.
//!
//! It does not decide when a function is called; it makes each callable without `unsafe`, checks
//! what comes back, and turns codes into errors.

use std::ffi::{c_int, c_uint, c_void};
use std::mem::offset_of;
use std::path::Path;
use std::ptr::null_mut;

use libloading::Library;
use serde::{Deserialize, Serialize};
use x509_cert::der::asn1::{OctetStringRef, UintRef};
use x509_cert::der::{Reader as _, SliceReader};
use zeroize::Zeroizing;

use super::advice::{failed, is_about_ciphertext};
use crate::sm2::WRAP_SECRET_BYTES_MAX;
use crate::{Digest, Error, PublicKey, Signature};

/// Which form `SDF_InternalDecrypt_ECC` has in a library.
///
/// GM/T 0018-2012 does not have the function, vendors had added it with an argument for the
/// algorithm, and GM/T 0018-2023 took it up without. The vendor's header says which.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecryptCall {
    /// `(session, index, cipher, data, length)`, as GM/T 0018-2023 has it.
    #[default]
    Standard,
    /// `(session, index, algorithm, cipher, data, length)`, with the algorithm SGD_SM2_3.
    WithAlgorithm,
}

/// A device or a session, as the library calls it.
#[derive(Clone, Copy)]
pub(super) struct Handle(*mut c_void);

#[expect(
    unsafe_code,
    reason = "GM/T 0018-2012 lets any thread use a handle, and never dereferences it here"
)]
// SAFETY: a handle is a number to us; `session` lets one thread at a time use one session, and
// devices are meant to be shared (GM/T 0018-2012, 6.2).
unsafe impl Send for Handle {}

#[expect(unsafe_code, reason = "as above")]
// SAFETY: as above.
unsafe impl Sync for Handle {}

/// The longest coordinate that the structures have room for, in bytes: 512 bits.
const COORDINATE_BYTES: usize = 64;

/// ECCrefPublicKey.
#[repr(C)]
struct EccPublicKey {
    bits: c_uint,
    x: [u8; COORDINATE_BYTES],
    y: [u8; COORDINATE_BYTES],
}

/// ECCSignature.
#[repr(C)]
struct EccSignature {
    r: [u8; COORDINATE_BYTES],
    s: [u8; COORDINATE_BYTES],
}

/// ECCCipher, with room for the longest wrapped secret where the standard has an array of one.
#[repr(C)]
struct EccCipher {
    x: [u8; COORDINATE_BYTES],
    y: [u8; COORDINATE_BYTES],
    hash: [u8; 32],
    length: c_uint,
    text: [u8; WRAP_SECRET_BYTES_MAX],
}

// Vendors pack the structures to bytes; in this order that makes no difference.
const _: () = assert!(offset_of!(EccPublicKey, y) == 68 && offset_of!(EccCipher, text) == 164);

type OpenDevice = unsafe extern "C" fn(*mut *mut c_void) -> c_int;
type Close = unsafe extern "C" fn(*mut c_void) -> c_int;
type OpenSession = unsafe extern "C" fn(*mut c_void, *mut *mut c_void) -> c_int;
type AccessRight = unsafe extern "C" fn(*mut c_void, c_uint, *mut u8, c_uint) -> c_int;
type ExportPublic = unsafe extern "C" fn(*mut c_void, c_uint, *mut EccPublicKey) -> c_int;
type Sign = unsafe extern "C" fn(*mut c_void, c_uint, *mut u8, c_uint, *mut EccSignature) -> c_int;
type Decrypt =
    unsafe extern "C" fn(*mut c_void, c_uint, *mut EccCipher, *mut u8, *mut c_uint) -> c_int;
type DecryptWithAlgorithm = unsafe extern "C" fn(
    *mut c_void,
    c_uint,
    c_uint,
    *mut EccCipher,
    *mut u8,
    *mut c_uint,
) -> c_int;
type Random = unsafe extern "C" fn(*mut c_void, c_uint, *mut u8) -> c_int;

/// The decryption function in one of its forms.
enum DecryptFunction {
    Standard(Decrypt),
    WithAlgorithm(DecryptWithAlgorithm),
}

/// A vendor's functions. The library stays loaded until the process ends, because vendors start
/// threads in it, and because a call may still hang in it.
pub(super) struct Functions {
    open_device: OpenDevice,
    close_device: Close,
    open_session: OpenSession,
    close_session: Close,
    access_right: AccessRight,
    export_sign_public: ExportPublic,
    export_encrypt_public: ExportPublic,
    sign: Sign,
    decrypt: DecryptFunction,
    random: Random,
}

#[expect(
    unsafe_code,
    reason = "the library's functions are C, and only their names tell their types"
)]
impl Functions {
    /// Loads the library and finds all functions.
    pub(super) fn load(path: &Path, decrypt_call: DecryptCall) -> Result<Self, Error> {
        std::fs::metadata(path)
            .map_err(|source| Error::file("read device library", path, &source))?;
        // SAFETY: the operator names the library, and runs its initialization with that.
        let library = unsafe { Library::new(path) }.map_err(|_| Error::DeviceLibrary {
            path: path.to_owned(),
            reason: "the system cannot load it: another processor, or a library that it needs",
        })?;
        let find = Finder {
            library: &library,
            path,
        };
        let functions = Self {
            open_device: find.function("SDF_OpenDevice")?,
            close_device: find.function("SDF_CloseDevice")?,
            open_session: find.function("SDF_OpenSession")?,
            close_session: find.function("SDF_CloseSession")?,
            access_right: find.function(ACCESS_RIGHT)?,
            export_sign_public: find.function(SIGN_PUBLIC)?,
            export_encrypt_public: find.function(ENCRYPT_PUBLIC)?,
            sign: find.function(SIGN)?,
            decrypt: match decrypt_call {
                DecryptCall::Standard => DecryptFunction::Standard(find.function(DECRYPT)?),
                DecryptCall::WithAlgorithm => {
                    DecryptFunction::WithAlgorithm(find.function(DECRYPT)?)
                }
            },
            random: find.function("SDF_GenerateRandom")?,
        };
        std::mem::forget(library);
        Ok(functions)
    }

    /// Opens the device.
    pub(super) fn open_device(&self) -> Result<Handle, Error> {
        let mut handle = null_mut();
        // SAFETY: the function writes one pointer, for which there is room.
        let code = unsafe { (self.open_device)(&raw mut handle) };
        done("SDF_OpenDevice", code).map(|()| Handle(handle))
    }

    /// Closes the device. There is nothing to be done about a failure.
    pub(super) fn close_device(&self, device: Handle) {
        // SAFETY: the handle is of this library, and nobody uses it afterwards.
        let _code = unsafe { (self.close_device)(device.0) };
    }

    /// Opens a session.
    pub(super) fn open_session(&self, device: Handle) -> Result<Handle, Error> {
        let mut handle = null_mut();
        // SAFETY: the device is open, and there is room for the pointer that is written.
        let code = unsafe { (self.open_session)(device.0, &raw mut handle) };
        done("SDF_OpenSession", code).map(|()| Handle(handle))
    }

    /// Closes a session. There is nothing to be done about a failure.
    pub(super) fn close_session(&self, session: Handle) {
        // SAFETY: the handle is of this library, and nobody uses it afterwards.
        let _code = unsafe { (self.close_session)(session.0) };
    }

    /// Shows the PIN, after which the session may use the private keys of the index.
    pub(super) fn access_right(
        &self,
        session: Handle,
        index: u32,
        pin: &[u8],
    ) -> Result<(), Error> {
        // A copy, since the interface does not promise to leave the PIN alone.
        let mut pin = Zeroizing::new(pin.to_vec());
        let length = count(pin.len());
        // SAFETY: the session is open, and the length is that of the PIN.
        let code = unsafe { (self.access_right)(session.0, index, pin.as_mut_ptr(), length) };
        done(ACCESS_RIGHT, code)
    }

    /// The public half of the pair for signatures.
    pub(super) fn sign_public(&self, session: Handle, index: u32) -> Result<PublicKey, Error> {
        export(self.export_sign_public, SIGN_PUBLIC, session, index)
    }

    /// The public half of the pair for encryption.
    pub(super) fn encrypt_public(&self, session: Handle, index: u32) -> Result<PublicKey, Error> {
        export(self.export_encrypt_public, ENCRYPT_PUBLIC, session, index)
    }

    /// Signs a digest.
    pub(super) fn sign(
        &self,
        session: Handle,
        index: u32,
        digest: &Digest,
    ) -> Result<Signature, Error> {
        let mut digest = *digest.as_bytes();
        let mut signature = EccSignature {
            r: [0; COORDINATE_BYTES],
            s: [0; COORDINATE_BYTES],
        };
        let (data, length) = (digest.as_mut_ptr(), count(digest.len()));
        // SAFETY: the session is open, the length is that of the digest, and there is room for the
        // structure that is written.
        let code = unsafe { (self.sign)(session.0, index, data, length, &raw mut signature) };
        done(SIGN, code)?;
        let scalars = number(&signature.r).zip(number(&signature.s));
        scalars
            .and_then(|(r, s)| Signature::from_scalars(r, s).ok())
            .ok_or_else(|| lied(SIGN, "its signature is out of range"))
    }

    /// Opens a wrap (SM2, C1 C3 C2, DER).
    pub(super) fn decrypt(
        &self,
        session: Handle,
        index: u32,
        wrapped: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut cipher = EccCipher::read(wrapped).ok_or(Error::Rejected)?;
        let expected = cipher.length;
        let cipher = &raw mut *cipher;
        // Twice the room, in case that a device writes more than it says.
        let mut text = Zeroizing::new([0; 2 * WRAP_SECRET_BYTES_MAX]);
        let (data, mut length) = (text.as_mut_ptr(), count(WRAP_SECRET_BYTES_MAX));
        let written = &raw mut length;
        // SAFETY: the session is open, the structure holds as many bytes as it says, and there is
        // room for as many as the length says.
        let code = unsafe {
            match self.decrypt {
                DecryptFunction::Standard(call) => call(session.0, index, cipher, data, written),
                DecryptFunction::WithAlgorithm(call) => {
                    call(session.0, index, SGD_SM2_3, cipher, data, written)
                }
            }
        };
        if is_about_ciphertext(code.cast_unsigned()) {
            return Err(Error::Rejected);
        }
        done(DECRYPT, code)?;
        let secret = usize::try_from(length).ok().and_then(|end| text.get(..end));
        secret
            .filter(|_| length == expected)
            .map(|secret| Zeroizing::new(secret.to_vec()))
            .ok_or_else(|| {
                lied(
                    DECRYPT,
                    "its plaintext has another length than the ciphertext",
                )
            })
    }

    /// Fills `out` with random bytes of the device.
    pub(super) fn random(&self, session: Handle, out: &mut [u8]) -> Result<(), Error> {
        // SAFETY: the session is open, and there is room for as many bytes as are asked for.
        let code = unsafe { (self.random)(session.0, count(out.len()), out.as_mut_ptr()) };
        done("SDF_GenerateRandom", code)
    }
}

impl EccCipher {
    /// Reads SM2Cipher of GM/T 0009-2012, 7.2, and checks that its point is on the curve: a
    /// device that does not check it would give its key away, bit by bit.
    fn read(der: &[u8]) -> Option<Box<Self>> {
        let mut reader = SliceReader::new(der).ok()?;
        let fields = reader.sequence(|fields| {
            let x = UintRef::as_bytes(&fields.decode()?);
            let y = UintRef::as_bytes(&fields.decode()?);
            let hash: &OctetStringRef = fields.decode()?;
            let text: &OctetStringRef = fields.decode()?;
            Ok::<_, x509_cert::der::Error>((x, y, hash.as_bytes(), text.as_bytes()))
        });
        let (x, y, hash, text) = fields.ok()?;
        reader.finish().ok()?;
        let mut cipher = Box::new(Self {
            x: [0; COORDINATE_BYTES],
            y: [0; COORDINATE_BYTES],
            hash: hash.try_into().ok()?,
            length: count(text.len()),
            text: [0; WRAP_SECRET_BYTES_MAX],
        });
        let mut sec1 = [4; PublicKey::SEC1_BYTES];
        for (coordinate, room) in [(x, &mut cipher.x), (y, &mut cipher.y)] {
            let start = COORDINATE_BYTES.checked_sub(coordinate.len())?;
            room[start..].copy_from_slice(coordinate);
        }
        sec1[1..33].copy_from_slice(number(&cipher.x)?);
        sec1[33..].copy_from_slice(number(&cipher.y)?);
        PublicKey::from_sec1(&sec1).ok()?;
        cipher.text.get_mut(..text.len())?.copy_from_slice(text);
        (!text.is_empty()).then_some(cipher)
    }
}

/// Finds functions in a library.
struct Finder<'a> {
    library: &'a Library,
    path: &'a Path,
}

impl Finder<'_> {
    #[expect(unsafe_code, reason = "only the name of a function tells its type")]
    fn function<T: Copy>(&self, name: &'static str) -> Result<T, Error> {
        // SAFETY: the type is the one that GM/T 0018 gives to the name.
        let found = unsafe { self.library.get::<T>(name) };
        found
            .map(|function| *function)
            .map_err(|_| Error::DeviceFunction {
                path: self.path.to_owned(),
                function: name,
            })
    }
}

#[expect(unsafe_code, reason = "the library's functions are C")]
fn export(
    call: ExportPublic,
    function: &'static str,
    session: Handle,
    index: u32,
) -> Result<PublicKey, Error> {
    let mut key = EccPublicKey {
        bits: 0,
        x: [0; COORDINATE_BYTES],
        y: [0; COORDINATE_BYTES],
    };
    // SAFETY: the session is open, and there is room for the structure that is written.
    let code = unsafe { call(session.0, index, &raw mut key) };
    done(function, code)?;
    if key.bits != 256 {
        return Err(lied(function, "its key has not 256 bits"));
    }
    let point = number(&key.x).zip(number(&key.y)).and_then(|(x, y)| {
        let sec1 = [&[4], &x[..], &y[..]].concat();
        PublicKey::from_sec1(&sec1).ok()
    });
    point.ok_or_else(|| lied(function, "its key is not a point of the curve"))
}

/// The number of 256 bits in a field of 512, if it is none longer.
fn number(field: &[u8; COORDINATE_BYTES]) -> Option<&[u8; 32]> {
    let (high, low) = field.split_last_chunk::<32>()?;
    high.iter().all(|byte| *byte == 0).then_some(low)
}

fn done(function: &'static str, code: c_int) -> Result<(), Error> {
    match code.cast_unsigned() {
        0 => Ok(()),
        code => Err(failed(function, code)),
    }
}

pub(super) const fn lied(function: &'static str, reason: &'static str) -> Error {
    Error::DeviceAnswer { function, reason }
}

/// A length as the interface wants it; all lengths here are far below the limit.
fn count(bytes: usize) -> c_uint {
    c_uint::try_from(bytes).unwrap_or(c_uint::MAX)
}

/// The names that errors and other modules repeat.
pub(super) const SIGN: &str = "SDF_InternalSign_ECC";
pub(super) const DECRYPT: &str = "SDF_InternalDecrypt_ECC";
pub(super) const SIGN_PUBLIC: &str = "SDF_ExportSignPublicKey_ECC";
pub(super) const ENCRYPT_PUBLIC: &str = "SDF_ExportEncPublicKey_ECC";
const ACCESS_RIGHT: &str = "SDF_GetPrivateKeyAccessRight";

/// SM2 encryption, GM/T 0006-2012.
const SGD_SM2_3: c_uint = 0x0002_0800;
