//! Keys in software and in files, and random bytes and self-tests.

use std::os::unix::fs::PermissionsExt as _;

use crypto::keys::{KEY_FILE_ITERATIONS_MAX, KEY_FILE_ITERATIONS_MIN};
use crypto::{Error, KeyFile, Label, SecretKey, Signer, SoftwareKey, Unwrapper, Zeroizing};

const PASSPHRASE: &[u8] = "口岸 correct horse".as_bytes();

#[test]
fn a_key_file_opens_with_its_pass_phrase_only() {
    let key = SecretKey::generate().unwrap();
    let file = KeyFile::seal(&key, PASSPHRASE, KEY_FILE_ITERATIONS_MIN).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signing.key.json");
    file.write_new(&path).unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let read = KeyFile::read(&path).unwrap();
    assert_eq!(read, file);
    assert_eq!(read.public(), key.public());
    assert_eq!(read.open(PASSPHRASE).unwrap().public(), key.public());
    for wrong in [&b""[..], b"x", &PASSPHRASE[1..]] {
        assert_eq!(read.open(wrong).err(), Some(Error::WrongPassphrase));
    }
}

#[test]
fn a_key_file_is_never_overwritten() {
    let key = SecretKey::generate().unwrap();
    let file = KeyFile::seal(&key, PASSPHRASE, KEY_FILE_ITERATIONS_MIN).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    file.write_new(&path).unwrap();
    let refused = Error::File {
        action: "write private file",
        path: path.clone(),
        kind: std::io::ErrorKind::AlreadyExists,
    };
    assert_eq!(file.write_new(&path), Err(refused));
}

#[test]
fn no_field_of_a_key_file_can_be_changed() {
    let key = SecretKey::generate().unwrap();
    let other = SecretKey::generate().unwrap();
    let file = KeyFile::seal(&key, PASSPHRASE, KEY_FILE_ITERATIONS_MIN).unwrap();
    let text = file.to_json().unwrap();
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let changes = [
        ("version", serde_json::json!(2)),
        ("kdf", serde_json::json!("pbkdf2-hmac-sha1")),
        ("iterations", serde_json::json!(KEY_FILE_ITERATIONS_MIN + 1)),
        ("iterations", serde_json::json!(1)),
        ("iterations", serde_json::json!(KEY_FILE_ITERATIONS_MAX + 1)),
        ("salt", serde_json::json!("00".repeat(16))),
        ("suite", serde_json::json!("none")),
        ("nonce", serde_json::json!("00".repeat(12))),
        ("ciphertext", serde_json::json!("00".repeat(150))),
        ("public", serde_json::json!(other.public().to_string())),
        ("added", serde_json::json!("x")),
    ];
    for (field, changed) in changes {
        let mut copy = value.clone();
        copy[field] = changed;
        let outcome = KeyFile::from_json(&copy.to_string()).and_then(|file| file.open(PASSPHRASE));
        assert!(outcome.is_err(), "{field}");
    }
    assert!(
        KeyFile::from_json(&text)
            .and_then(|file| file.open(PASSPHRASE))
            .is_ok()
    );
}

#[tokio::test]
async fn a_software_key_signs_and_unwraps_behind_the_traits() {
    let key = SoftwareKey::generate().unwrap();
    let signer: &dyn Signer = &key;
    let signature = signer.sign(Label::Checkpoint, b"tree head").await.unwrap();
    assert_eq!(
        key.public()
            .verify(Label::Checkpoint, b"tree head", &signature),
        Ok(())
    );
    assert_eq!(signer.key_id(), key.public().key_id());
    let unwrapper: &dyn Unwrapper = &key;
    let wrapped = unwrapper.public().wrap(b"secret").unwrap();
    assert_eq!(
        unwrapper.unwrap_key(&wrapped).await,
        Ok(Zeroizing::new(b"secret".to_vec()))
    );
}

#[test]
fn random_bytes_do_not_repeat() {
    let first: [u8; 32] = crypto::random_bytes().unwrap();
    let second: [u8; 32] = crypto::random_bytes().unwrap();
    assert_ne!(first, second);
}

#[test]
fn the_self_tests_pass_and_are_reported() {
    let names: Vec<&str> = crypto::self_test()
        .unwrap()
        .tests
        .iter()
        .map(|test| test.name)
        .collect();
    assert_eq!(
        names,
        [
            "SM3 of abc, GB/T 32905-2016 A.1",
            "SM3 side by side, GB/T 32905-2016 A.1, A.2",
            "SM4 block, GB/T 32907-2016 A.1",
            "SM4-GCM, RFC 8998 A.1",
            "SM4-CCM, RFC 8998 A.2",
            "HMAC-SM3, RFC 2202 case 2 over SM3",
            "HKDF-SM3, RFC 5869 case 1 over SM3",
            "SM2 verification, GB/T 32918.5-2017 A.2",
            "SM2 sign and verify",
            "SM2 wrap and unwrap",
        ]
    );
}
