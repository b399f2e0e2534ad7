//! Keys in a device, through the C interface: the software device of `examples/sdf_device.rs`.
//!
//! Each test loads a copy of the library, so that each has a device of its own.

#![expect(clippy::panic, reason = "without a device there is nothing to test")]

mod misbehaviour;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crypto::keys::sdf::{DecryptCall, SdfDevice, SdfOptions};
use crypto::{Error, Label, PublicKey, SecretKey, Signer, Unwrapper};

/// The library, built once by the cargo that built this test, into the same folder.
fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
        let target = target.unwrap_or_else(|| panic!("no target folder"));
        let built = Command::new(env!("CARGO"))
            .args([
                "build",
                "--quiet",
                "--package",
                "crypto",
                "--example",
                "sdf_device",
            ])
            .arg("--target-dir")
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        let built = built.unwrap_or_else(|error| panic!("run cargo: {error}"));
        assert!(built.success(), "the device does not build");
        let name = format!(
            "{}sdf_device{}",
            std::env::consts::DLL_PREFIX,
            std::env::consts::DLL_SUFFIX
        );
        target.join("debug/examples").join(name)
    })
}

/// A device of one test's own: a copy of the library, and a PIN.
struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap_or_else(|error| panic!("no folder: {error}"));
        let world = Self { folder };
        let copied = std::fs::copy(library(), world.path("device"));
        copied.unwrap_or_else(|error| panic!("no device: {error}"));
        world.pin("12345678\n");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn pin(&self, pin: &str) {
        let written = std::fs::write(self.path("pin"), pin);
        written.unwrap_or_else(|error| panic!("no PIN: {error}"));
    }

    fn options(&self, index: u32) -> SdfOptions {
        SdfOptions::new(self.path("device"), index, self.path("pin"))
    }

    async fn open(&self, index: u32) -> SdfDevice {
        let opened = SdfDevice::open(self.options(index)).await;
        opened.unwrap_or_else(|error| panic!("no device: {error}"))
    }

    /// Sessions open, sessions open at most, devices open, PINs shown.
    #[expect(unsafe_code, reason = "the device counts in C")]
    fn counts(&self) -> [u32; 4] {
        let mut counts = [0; 4];
        // SAFETY: the function is this test's own and writes four numbers.
        let counted = unsafe {
            libloading::Library::new(self.path("device")).map(|library| {
                type Counts = unsafe extern "C" fn(*mut [u32; 4]);
                library
                    .get::<Counts>("device_counts")
                    .map(|count| count(&raw mut counts))
            })
        };
        assert!(matches!(counted, Ok(Ok(()))), "no counts");
        counts
    }

    /// A library in C.
    fn compile(&self, name: &str, source: &str, arguments: &[&str]) -> PathBuf {
        let (code, library) = (self.path(&format!("{name}.c")), self.path(name));
        let written = std::fs::write(&code, source);
        written.unwrap_or_else(|error| panic!("no source: {error}"));
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&library, &code])
            .args(arguments)
            .status();
        let compiled = compiled.unwrap_or_else(|error| panic!("no C compiler: {error}"));
        assert!(compiled.success(), "{name} does not compile");
        library
    }
}

/// The public half of what the device has under an index.
fn public(scalar: u8) -> PublicKey {
    let key = SecretKey::from_bytes(&[scalar; 32]);
    let key = key.unwrap_or_else(|error| panic!("no key: {error}"));
    key.public().clone()
}

#[tokio::test]
async fn what_the_device_signs_verifies_with_our_own_arithmetic() {
    let world = World::new();
    for index in [1, 2_u8] {
        let device = world.open(index.into()).await;
        let signer = device.signer().await.unwrap();
        assert_eq!(*Signer::public(&signer), public(index));
        for label in Label::ALL {
            let signature = signer.sign(label, b"message").await.unwrap();
            let verified = signer.public().verify(label, b"message", &signature);
            assert_eq!(verified, Ok(()));
        }
    }
}

#[tokio::test]
async fn what_is_wrapped_opens_on_the_device_and_nothing_else_does() {
    let world = World::new();
    let unwrapper = world.open(1).await.unwrapper().await.unwrap();
    assert_eq!(*unwrapper.public(), public(101));
    for secret in [&[0][..], &[0, 0, 7], b"a key of 16 byte", &[0xff; 1_024]] {
        let wrapped = unwrapper.public().wrap(secret).unwrap();
        assert_eq!(**unwrapper.unwrap_key(&wrapped).await.unwrap(), *secret);
    }
    let wrapped = unwrapper.public().wrap(b"a key of 16 byte").unwrap();
    for at in 0..wrapped.len() {
        let mut changed = wrapped.clone();
        changed[at] ^= 1;
        let outcome = unwrapper.unwrap_key(&changed).await;
        assert_eq!(outcome, Err(Error::Rejected), "byte {at}");
        let outcome = unwrapper.unwrap_key(&wrapped[..at]).await;
        assert_eq!(outcome, Err(Error::Rejected), "{at} bytes");
    }
    let longer = [&wrapped[..], &[0]].concat();
    for wrong in [longer, vec![0x30; 5_000], public(1).wrap(b"x").unwrap()] {
        let outcome = unwrapper.unwrap_key(&wrong).await;
        assert_eq!(outcome, Err(Error::Rejected));
    }
}

#[tokio::test]
async fn an_envelope_opens_and_is_signed_with_the_keys_of_a_device() {
    use crypto::envelope::SignedAndEnvelopedData;
    use crypto::{Authority, Usage, Validity};

    let world = World::new();
    let device = world.open(1).await;
    let (signer, unwrapper) = (
        device.signer().await.unwrap(),
        device.unwrapper().await.unwrap(),
    );
    let validity = Validity::days(1_764_000_000_000, 1);
    let authority = Authority::create("home", validity, SecretKey::generate().unwrap()).unwrap();
    let issue = |name, key, usage| authority.issue(name, key, usage, validity).unwrap();
    let signs = issue("signer", Signer::public(&signer), Usage::Sign);
    let reads = issue("reader", unwrapper.public(), Usage::Encrypt);
    let recipients = std::slice::from_ref(&reads);
    let sealed = SignedAndEnvelopedData::seal(b"cargo", recipients, &signs, &signer).await;
    let opened = sealed.unwrap().open(&reads, &unwrapper, &signs).await;
    assert_eq!(**opened.unwrap(), *b"cargo");
}

#[tokio::test]
async fn many_calls_share_a_few_sessions_and_all_are_closed_at_the_end() {
    let world = World::new();
    let mut options = world.options(1);
    options.sessions_max = 3;
    let device = SdfDevice::open(options).await.unwrap();
    let signer = device.signer().await.unwrap();
    let calls = (0..40_u8).map(|number| {
        let signer = signer.clone();
        tokio::spawn(async move { signer.sign(Label::Receipt, &[number]).await })
    });
    for call in calls.collect::<Vec<_>>() {
        assert!(call.await.unwrap().is_ok());
    }
    let [open, peak, devices, pins] = world.counts();
    assert!((1..=3).contains(&open) && peak <= 3, "{open} of {peak}");
    assert_eq!((devices, pins), (1, peak));
    drop(device);
    drop(signer);
    for _ in 0..500 {
        if world.counts()[0] == 0 && world.counts()[2] == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("still open: {:?}", world.counts());
}

#[tokio::test]
async fn random_bytes_come_from_the_device() {
    let world = World::new();
    let device = world.open(1).await;
    let (first, second) = (
        device.random(32).await.unwrap(),
        device.random(32).await.unwrap(),
    );
    assert_eq!(first.len(), 32);
    assert_ne!(first, second);
    assert!(matches!(
        device.random(4_097).await,
        Err(Error::LimitExceeded { .. })
    ));
}

/// Libraries from before GM/T 0018-2023 want to be told the algorithm. This one is a few lines of C
/// before the device, and refuses another algorithm than SGD_SM2_3.
#[tokio::test]
async fn the_older_form_of_the_decryption_call_is_spoken_too() {
    let world = World::new();
    let path = format!("-DDEVICE=\"{}\"", world.path("device").display());
    let library = world.compile("older", OLDER, &[&path]);
    let mut options = world.options(1);
    options.library = library;
    options.decrypt_call = DecryptCall::WithAlgorithm;
    let device = SdfDevice::open(options).await.unwrap();
    let unwrapper = device.unwrapper().await.unwrap();
    let wrapped = unwrapper.public().wrap(b"secret").unwrap();
    assert_eq!(**unwrapper.unwrap_key(&wrapped).await.unwrap(), *b"secret");
}

const OLDER: &str = r#"#include <dlfcn.h>
typedef void *handle;
static handle find(const char *name) { return dlsym(dlopen(DEVICE, RTLD_NOW), name); }
#define PASS(name, types, arguments) \
    int name types { return ((int(*) types)find(#name)) arguments; }
PASS(SDF_OpenDevice, (handle *d), (d))
PASS(SDF_CloseDevice, (handle d), (d))
PASS(SDF_OpenSession, (handle d, handle *s), (d, s))
PASS(SDF_CloseSession, (handle s), (s))
PASS(SDF_GenerateRandom, (handle s, unsigned n, void *out), (s, n, out))
PASS(SDF_GetPrivateKeyAccessRight, (handle s, unsigned i, void *p, unsigned n), (s, i, p, n))
PASS(SDF_ExportSignPublicKey_ECC, (handle s, unsigned i, void *k), (s, i, k))
PASS(SDF_ExportEncPublicKey_ECC, (handle s, unsigned i, void *k), (s, i, k))
PASS(SDF_InternalSign_ECC, (handle s, unsigned i, void *d, unsigned n, void *o), (s, i, d, n, o))
int SDF_InternalDecrypt_ECC(handle s, unsigned i, unsigned algorithm, void *c, void *o, void *n) {
    if (algorithm != 0x00020800) return 0x01000009;
    return ((int(*)(handle, unsigned, void *, void *, void *))find("SDF_InternalDecrypt_ECC"))(
        s, i, c, o, n);
}
"#;

#[test]
fn options_are_few_and_none_is_unknown() {
    let text = r#"{"library": "/usr/lib/libsdf.so", "key_index": 3, "pin_file": "/etc/pin"}"#;
    let read: SdfOptions = serde_json::from_str(text).unwrap();
    assert_eq!(read, SdfOptions::new("/usr/lib/libsdf.so", 3, "/etc/pin"));
    let more = text.replace('}', r#", "decrypt_call": "with-algorithm"}"#);
    let read: SdfOptions = serde_json::from_str(&more).unwrap();
    assert_eq!(read.decrypt_call, DecryptCall::WithAlgorithm);
    let unknown = text.replace('}', r#", "pin": "12345678"}"#);
    assert!(serde_json::from_str::<SdfOptions>(&unknown).is_err());
}
