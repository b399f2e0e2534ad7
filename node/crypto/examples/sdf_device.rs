//! A cryptographic device of GM/T 0018 in software, for tests: a C library as a vendor gives it.
//!
//! `cargo build -p crypto --example sdf_device` makes the library. It is no device: its keys are
//! known to everybody, and some of them misbehave on purpose. The PIN is `12345678`.
//!
//! | index | what happens |
//! |---|---|
//! | 1, 2 | all is well |
//! | 21 | from the second on, signing does not return for a minute |
//! | 22 | the second and third signing fail with a fault of the hardware |
//! | 23 | the public key has 512 bits |
//! | 24 | the public key is not on the curve |
//! | 25 | signatures are over another digest |
//! | 26 | signatures are longer than the order |
//! | 27 | a decrypted text is longer than the room for it |
//! | 28 | a decrypted text is one byte too short |
//! | 29 | random bytes are zeros |
//! | 30 | the PIN is never answered |
//! | others | there is no key |
#![expect(
    unsafe_code,
    clippy::missing_safety_doc,
    reason = "this is the other side of a C interface, whose callers are tests"
)]

use std::collections::BTreeMap;
use std::ffi::{c_int, c_uint, c_void};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sm2::dsa::SigningKey;
use sm2::dsa::signature::hazmat::PrehashSigner as _;
use sm2::pke::DecryptingKey;

/// Sessions by handle, with the index whose keys each may use.
static SESSIONS: Mutex<BTreeMap<usize, Option<u32>>> = Mutex::new(BTreeMap::new());
static NEXT_SESSION: AtomicU32 = AtomicU32::new(1);
static SESSIONS_PEAK: AtomicU32 = AtomicU32::new(0);
static DEVICES_OPEN: AtomicU32 = AtomicU32::new(0);
static PINS_SHOWN: AtomicU32 = AtomicU32::new(0);
static SIGNED: AtomicU32 = AtomicU32::new(0);

const COMMUNICATION: c_int = 0x0100_0003;
const HARDWARE: c_int = 0x0100_0004;
const NO_SUCH_KEY: c_int = 0x0100_0008;
const SIGNING: c_int = 0x0100_000d;
const ENCRYPTED_DATA: c_int = 0x0100_0016;
const NO_ACCESS_RIGHT: c_int = 0x0100_0018;
const ARGUMENT: c_int = 0x0100_001d;
const PIN: &[u8] = b"12345678";

/// ECCrefPublicKey.
#[repr(C)]
pub struct PublicKey {
    bits: c_uint,
    x: [u8; 64],
    y: [u8; 64],
}

/// ECCSignature.
#[repr(C)]
pub struct Signature {
    r: [u8; 64],
    s: [u8; 64],
}

/// ECCCipher.
#[repr(C)]
pub struct Cipher {
    x: [u8; 64],
    y: [u8; 64],
    hash: [u8; 32],
    length: c_uint,
    text: [u8; 1],
}

fn sessions() -> MutexGuard<'static, BTreeMap<usize, Option<u32>>> {
    SESSIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The private scalars of an index: for signatures and for encryption.
fn scalars(index: c_uint) -> Result<[[u8; 32]; 2], c_int> {
    match u8::try_from(index) {
        Ok(index @ (1..=2 | 21..=30)) => Ok([[index; 32], [index + 100; 32]]),
        _ => Err(NO_SUCH_KEY),
    }
}

fn signing_key(index: c_uint) -> Result<SigningKey, c_int> {
    SigningKey::from_slice("1234567812345678", &scalars(index)?[0]).map_err(|_| NO_SUCH_KEY)
}

/// Whether a session may use the private keys of an index.
fn may(session: *mut c_void, index: c_uint) -> Result<(), c_int> {
    match sessions().get(&session.addr()) {
        Some(Some(granted)) if *granted == index => Ok(()),
        Some(_) => Err(NO_ACCESS_RIGHT),
        None => Err(COMMUNICATION),
    }
}

fn code(outcome: Result<(), c_int>) -> c_int {
    outcome.err().unwrap_or(0)
}

fn wide(bytes: &[u8]) -> [u8; 64] {
    let mut wide = [0; 64];
    wide[32..].copy_from_slice(bytes);
    wide
}

/// How many sessions are open now, how many were at most, how many devices are open, and how often
/// a PIN was shown: for tests.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn device_counts(counts: *mut [c_uint; 4]) {
    let open = u32::try_from(sessions().len()).unwrap_or(u32::MAX);
    let load = |count: &AtomicU32| count.load(Ordering::SeqCst);
    // SAFETY: the caller has room for four numbers.
    unsafe {
        *counts = [
            open,
            load(&SESSIONS_PEAK),
            load(&DEVICES_OPEN),
            load(&PINS_SHOWN),
        ];
    }
}

/// GM/T 0018-2012, 6.2.1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_OpenDevice(device: *mut *mut c_void) -> c_int {
    DEVICES_OPEN.fetch_add(1, Ordering::SeqCst);
    // SAFETY: the caller has room for a pointer.
    unsafe { *device = std::ptr::without_provenance_mut(0x1000_0000) };
    0
}

/// GM/T 0018-2012, 6.2.2.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_CloseDevice(_device: *mut c_void) -> c_int {
    DEVICES_OPEN.fetch_sub(1, Ordering::SeqCst);
    0
}

/// GM/T 0018-2012, 6.2.3.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_OpenSession(_device: *mut c_void, session: *mut *mut c_void) -> c_int {
    let handle = NEXT_SESSION.fetch_add(1, Ordering::SeqCst) as usize;
    let mut sessions = sessions();
    sessions.insert(handle, None);
    let open = u32::try_from(sessions.len()).unwrap_or(u32::MAX);
    SESSIONS_PEAK.fetch_max(open, Ordering::SeqCst);
    // SAFETY: the caller has room for a pointer.
    unsafe { *session = std::ptr::without_provenance_mut(handle) };
    0
}

/// GM/T 0018-2012, 6.2.4.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_CloseSession(session: *mut c_void) -> c_int {
    match sessions().remove(&session.addr()) {
        Some(_) => 0,
        None => COMMUNICATION,
    }
}

/// GM/T 0018-2012, 6.2.6.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_GenerateRandom(
    session: *mut c_void,
    count: c_uint,
    out: *mut u8,
) -> c_int {
    // SAFETY: the caller has room for as many bytes.
    let out = unsafe { std::slice::from_raw_parts_mut(out, count as usize) };
    out.fill(0);
    if may(session, 29).is_err() && getrandom::fill(out).is_err() {
        return HARDWARE;
    }
    0
}

/// GM/T 0018-2012, 6.2.7.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_GetPrivateKeyAccessRight(
    session: *mut c_void,
    index: c_uint,
    pin: *mut u8,
    length: c_uint,
) -> c_int {
    PINS_SHOWN.fetch_add(1, Ordering::SeqCst);
    if index == 30 {
        std::thread::sleep(Duration::from_mins(1));
    }
    // SAFETY: the caller says how long the PIN is.
    let pin = unsafe { std::slice::from_raw_parts(pin, length as usize) };
    code(scalars(index).and_then(|_| {
        if pin != PIN {
            return Err(NO_ACCESS_RIGHT);
        }
        match sessions().get_mut(&session.addr()) {
            Some(granted) => *granted = Some(index),
            None => return Err(COMMUNICATION),
        }
        Ok(())
    }))
}

fn export(index: c_uint, scalar: &[u8; 32]) -> Result<PublicKey, c_int> {
    let key = sm2::SecretKey::from_slice(scalar).map_err(|_| NO_SUCH_KEY)?;
    let point = key.public_key().to_sec1_bytes();
    let mut public = PublicKey {
        bits: if index == 23 { 512 } else { 256 },
        x: wide(&point[1..33]),
        y: wide(&point[33..]),
    };
    if index == 24 {
        public.y[63] ^= 1;
    }
    Ok(public)
}

/// GM/T 0018-2012, 6.3.4.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_ExportSignPublicKey_ECC(
    _session: *mut c_void,
    index: c_uint,
    public: *mut PublicKey,
) -> c_int {
    code(scalars(index).and_then(|[scalar, _]| {
        // SAFETY: the caller has room for the structure.
        export(index, &scalar).map(|key| unsafe { *public = key })
    }))
}

/// GM/T 0018-2012, 6.3.5.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_ExportEncPublicKey_ECC(
    _session: *mut c_void,
    index: c_uint,
    public: *mut PublicKey,
) -> c_int {
    code(scalars(index).and_then(|[_, scalar]| {
        // SAFETY: the caller has room for the structure.
        export(index, &scalar).map(|key| unsafe { *public = key })
    }))
}

/// GM/T 0018-2012, 6.4.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_InternalSign_ECC(
    session: *mut c_void,
    index: c_uint,
    data: *mut u8,
    length: c_uint,
    signature: *mut Signature,
) -> c_int {
    if length != 32 {
        return ARGUMENT;
    }
    // SAFETY: the caller says how long the digest is.
    let mut digest = unsafe { std::slice::from_raw_parts(data, 32) }.to_vec();
    let before = SIGNED.fetch_add(1, Ordering::SeqCst);
    match (index, before) {
        (21, 1..) => std::thread::sleep(Duration::from_mins(1)),
        (22, 1..=2) => return HARDWARE,
        (25, _) => digest[0] ^= 1,
        _ => {}
    }
    let outcome = may(session, index).and_then(|()| {
        let signed = signing_key(index)?.sign_prehash(&digest);
        let signed: sm2::dsa::Signature = signed.map_err(|_| SIGNING)?;
        let mut wide = Signature {
            r: wide(&signed.r_bytes()),
            s: wide(&signed.s_bytes()),
        };
        if index == 26 {
            wide.s[31] = 1;
        }
        // SAFETY: the caller has room for the structure.
        unsafe { *signature = wide };
        Ok(())
    });
    code(outcome)
}

/// GM/T 0018-2023, in its form without an algorithm.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn SDF_InternalDecrypt_ECC(
    session: *mut c_void,
    index: c_uint,
    cipher: *mut Cipher,
    out: *mut u8,
    length: *mut c_uint,
) -> c_int {
    let outcome = may(session, index).and_then(|()| {
        // SAFETY: the caller gives a structure with as many bytes behind it as it says.
        let (cipher, text) = unsafe {
            let text = (&raw const (*cipher).text).cast::<u8>();
            let length = (*cipher).length as usize;
            (&*cipher, std::slice::from_raw_parts(text, length))
        };
        let raw = [&[4], &cipher.x[32..], &cipher.y[32..], &cipher.hash, text].concat();
        let key = DecryptingKey::from_slice(&scalars(index)?[1]).map_err(|_| NO_SUCH_KEY)?;
        let plain = key.decrypt(&raw).map_err(|_| ENCRYPTED_DATA)?;
        let says = match index {
            27 => 5_000,
            28 => plain.len() - 1,
            _ => plain.len(),
        };
        // SAFETY: the caller has room for as many bytes as are encrypted, and for their number.
        unsafe {
            out.copy_from_nonoverlapping(plain.as_ptr(), plain.len());
            *length = c_uint::try_from(says).unwrap_or(0);
        }
        Ok(())
    });
    code(outcome)
}
