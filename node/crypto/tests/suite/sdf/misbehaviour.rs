//! Devices that are not there, are set up wrongly, fail, hang or lie.

use std::time::{Duration, Instant};

use crypto::keys::sdf::{SdfDevice, SdfOptions};
use crypto::{Error, Label, Signer, Unwrapper};

use super::World;

async fn open(options: SdfOptions) -> Error {
    match SdfDevice::open(options).await {
        Ok(device) => panic!("it opened: {device:?}"),
        Err(error) => error,
    }
}

async fn signer(world: &World, index: u32) -> Error {
    match world.open(index).await.signer().await {
        Ok(signer) => panic!("it signs: {signer:?}"),
        Err(error) => error,
    }
}

async fn unwrapper(world: &World, index: u32) -> Error {
    match world.open(index).await.unwrapper().await {
        Ok(unwrapper) => panic!("it opens: {unwrapper:?}"),
        Err(error) => error,
    }
}

fn device(error: &Error) -> (&'static str, u32) {
    match error {
        Error::Device { function, code, .. } => (function, *code),
        other => panic!("not an error of a device: {other}"),
    }
}

#[tokio::test]
async fn a_library_that_is_none_is_named() {
    let world = World::new();
    let mut options = world.options(1);
    options.library = world.path("absent");
    let absent = Error::File {
        action: "read device library",
        path: world.path("absent"),
        kind: std::io::ErrorKind::NotFound,
    };
    assert_eq!(open(options.clone()).await, absent);

    options.library = world.path("pin");
    assert!(matches!(
        open(options.clone()).await,
        Error::DeviceLibrary { path, .. } if path == world.path("pin")
    ));

    let source = "int SDF_OpenDevice(void **device) { *device = 0; return 0; }";
    options.library = world.compile("half", source, &[]);
    let half = Error::DeviceFunction {
        path: world.path("half"),
        function: "SDF_CloseDevice",
    };
    assert_eq!(open(options.clone()).await, half);

    options.library = "libsdf.so".into();
    assert!(matches!(open(options).await, Error::InvalidArgument { .. }));
}

#[tokio::test]
async fn options_without_meaning_are_refused() {
    let world = World::new();
    for change in [
        |options: &mut SdfOptions| options.sessions_max = 0,
        |options: &mut SdfOptions| options.sessions_max = 257,
        |options: &mut SdfOptions| options.call_ms_max = 0,
    ] {
        let mut options = world.options(1);
        change(&mut options);
        assert!(matches!(open(options).await, Error::InvalidArgument { .. }));
    }
    for pin in ["", "\n", &"7".repeat(65), &"7".repeat(70)] {
        world.pin(pin);
        let error = open(world.options(1)).await;
        assert!(matches!(error, Error::InvalidArgument { .. }), "{pin}");
    }
    std::fs::remove_file(world.path("pin")).unwrap();
    assert!(matches!(open(world.options(1)).await, Error::File { .. }));
}

/// A device locks itself after a few wrong PINs, so one is shown once, whoever asks how often.
#[tokio::test]
async fn a_wrong_pin_is_shown_once_and_never_printed() {
    let world = World::new();
    world.pin("hunter2-hunter2");
    let opened = world.open(1).await;
    let first = opened.signer().await.err().unwrap();
    assert_eq!(
        device(&first),
        ("SDF_GetPrivateKeyAccessRight", 0x0100_0018)
    );
    assert!(first.to_string().contains("PIN"), "{first}");
    assert_eq!(opened.signer().await.err(), Some(first.clone()));
    assert_eq!(opened.unwrapper().await.err(), Some(first.clone()));
    let [open, _, _, pins] = world.counts();
    assert_eq!((open, pins), (0, 1));
    for text in [format!("{opened:?}"), format!("{first:?} {first}")] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[tokio::test]
async fn an_index_without_a_key_is_named() {
    let world = World::new();
    for error in [signer(&world, 3).await, unwrapper(&world, 3).await] {
        assert_eq!(device(&error).1, 0x0100_0008);
        assert!(error.to_string().contains("key_index"), "{error}");
    }
}

#[tokio::test]
async fn a_device_that_hangs_holds_up_nobody_for_long() {
    let world = World::new();
    let mut options = world.options(21);
    options.call_ms_max = 500;
    options.sessions_max = 2;
    let opened = SdfDevice::open(options).await.unwrap();
    let signer = opened.signer().await.unwrap();
    let started = Instant::now();
    let late = Error::DeviceTimeout {
        function: "SDF_InternalSign_ECC",
        limit_ms: 500,
    };
    // Two hang in the device, and the third finds both places taken.
    for _ in 0..3 {
        let outcome = signer.sign(Label::Receipt, b"message").await;
        assert_eq!(outcome, Err(late.clone()));
    }
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(world.counts()[1] <= 2);

    let mut options = world.options(30);
    options.call_ms_max = 500;
    let opened = SdfDevice::open(options).await.unwrap();
    assert!(matches!(
        opened.signer().await.err(),
        Some(Error::DeviceTimeout { .. })
    ));
}

#[tokio::test]
async fn a_device_that_fails_midway_is_asked_again_with_a_new_session() {
    let world = World::new();
    let signer = world.open(22).await.signer().await.unwrap();
    for _ in 0..2 {
        let error = signer.sign(Label::Receipt, b"message").await.err().unwrap();
        assert_eq!(device(&error), ("SDF_InternalSign_ECC", 0x0100_0004));
        assert_eq!(world.counts()[0], 0);
    }
    let signature = signer.sign(Label::Receipt, b"message").await.unwrap();
    let verified = signer
        .public()
        .verify(Label::Receipt, b"message", &signature);
    assert_eq!(verified, Ok(()));
}

#[tokio::test]
async fn a_device_that_lies_is_not_believed() {
    let world = World::new();
    let lie = |function, reason| Error::DeviceAnswer { function, reason };
    let export = "SDF_ExportSignPublicKey_ECC";
    let decrypt = "SDF_InternalDecrypt_ECC";
    for (index, found, reason) in [
        (23, export, "its key has not 256 bits"),
        (24, export, "its key is not a point of the curve"),
        (
            25,
            "SDF_InternalSign_ECC",
            "its signature is not one of its key over the digest",
        ),
        (26, "SDF_InternalSign_ECC", "its signature is out of range"),
    ] {
        assert_eq!(signer(&world, index).await, lie(found, reason), "{index}");
    }
    for index in [27, 28] {
        let reason = "its plaintext has another length than the ciphertext";
        assert_eq!(unwrapper(&world, index).await, lie(decrypt, reason));
    }
    let stuck = lie("SDF_GenerateRandom", "its random bytes are all the same");
    let opened = world.open(29).await;
    assert_eq!(opened.random(16).await.err(), Some(stuck));
}

/// A point off the curve would tell a careless device's key (an invalid-curve attack), so no such
/// point gets there.
#[tokio::test]
async fn a_point_off_the_curve_never_reaches_the_device() {
    let world = World::new();
    let unwrapper = world.open(1).await.unwrapper().await.unwrap();
    let before = world.counts();
    let mut wrapped = vec![0x30, 0x2d, 0x02, 0x01, 0x05, 0x02, 0x01, 0x07, 0x04, 0x20];
    wrapped.extend([0; 32]);
    wrapped.extend([0x04, 0x01, 0x00]);
    wrapped[1] = u8::try_from(wrapped.len() - 2).unwrap();
    let outcome = unwrapper.unwrap_key(&wrapped).await;
    assert_eq!(outcome, Err(Error::Rejected));
    assert_eq!(world.counts(), before);
}
