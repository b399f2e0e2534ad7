//! What people remember or read off: passwords and one-time codes.

use crypto::Error;
use crypto::password::{PASSWORD_ITERATIONS_MAX, PasswordHash};
use crypto::totp::{enrolment_address, one_time_code, verify_one_time_code};

#[test]
fn a_password_hash_accepts_its_password_only() {
    let hash = PasswordHash::hash_with("密码 1".as_bytes(), 1_000).unwrap();
    let read: PasswordHash = hash.to_string().parse().unwrap();
    assert_eq!(read, hash);
    assert_eq!(read.verify("密码 1".as_bytes()), Ok(()));
    for wrong in ["", "密码 2", "密码 1 "] {
        assert_eq!(read.verify(wrong.as_bytes()), Err(Error::WrongPassword));
    }
    assert_eq!(read.verify(&[b'x'; 5_000]), Err(Error::WrongPassword));
    let other = PasswordHash::hash_with("密码 1".as_bytes(), 1_000).unwrap();
    assert_ne!(
        other, hash,
        "two hashes of one password have different salts"
    );
}

#[test]
fn a_damaged_password_hash_is_not_read() {
    let text = PasswordHash::hash_with(b"password", 1_000)
        .unwrap()
        .to_string();
    let costly = text.replace("$1000$", &format!("${}$", PASSWORD_ITERATIONS_MAX + 1));
    for wrong in [
        String::new(),
        "$".to_owned(),
        text.replace("sm3", "md5"),
        text.replace("$1000$", "$0$"),
        text.replace("$1000$", "$-1$"),
        text.replace("$1000$", "$+1000$"),
        text.replace("$1000$", "$01000$"),
        costly,
        format!("{text}0"),
        format!("{text}$"),
        text[..text.len() - 2].to_owned(),
    ] {
        assert!(wrong.parse::<PasswordHash>().is_err(), "{wrong}");
    }
}

/// RFC 6238, appendix B, the SHA-1 rows; its eight digits end in our six.
const SECRET: &[u8] = b"12345678901234567890";

#[test]
fn one_time_codes_are_those_of_the_standard() {
    for (unix_seconds, code) in [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ] {
        assert_eq!(one_time_code(SECRET, unix_seconds), code);
    }
}

#[test]
fn a_code_is_good_for_one_step_on_either_side() {
    let code = one_time_code(SECRET, 1_234_567_890);
    let step = 1_234_567_890 / 30;
    for (seconds, outcome) in [
        (1_234_567_890 - 60, Err(Error::WrongCode)),
        (1_234_567_890 - 30, Ok(step)),
        (1_234_567_890, Ok(step)),
        (1_234_567_890 + 30, Ok(step)),
        (1_234_567_890 + 60, Err(Error::WrongCode)),
    ] {
        assert_eq!(verify_one_time_code(SECRET, &code, seconds), outcome);
    }
    for wrong in ["", "00592", "0059240", "０05924"] {
        let outcome = verify_one_time_code(SECRET, wrong, 1_234_567_890);
        assert_eq!(outcome, Err(Error::WrongCode), "{wrong}");
    }
}

#[test]
fn the_enrolment_address_holds_the_secret_in_base32() {
    let address = enrolment_address("口岸", "a b@c", SECRET);
    assert_eq!(
        *address,
        "otpauth://totp/%E5%8F%A3%E5%B2%B8:a%20b%40c?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
         &issuer=%E5%8F%A3%E5%B2%B8&digits=6&period=30"
    );
}
