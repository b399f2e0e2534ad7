//! Sign-ins against a real catalog.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

mod world;

use crypto::{Digest, Label};
use enforcement::accounts::Accounts;
use enforcement::sessions::{
    Challenge, FAILED_SIGN_INS_MAX, LOCK_OUT_MS, SESSION_IDLE_MAX_MS, SESSION_LIFE_MAX_MS,
};
use enforcement::{Clock as _, Session, Sessions, SignInError};
use schemas::Timestamp;
use schemas::participant::Role;
use world::{World, person_id, secret};

async fn founded() -> World {
    let world = World::found().await;
    world.register(world::participant("port")).await;
    world
        .bind(world::person("steward", "port", Role::DataSteward))
        .await;
    world
}

fn answer(
    world: &World,
    sessions: &Sessions,
    challenge: &Challenge,
    key: &str,
    now: Timestamp,
) -> Result<Session, SignInError> {
    let signature = secret(key)
        .sign(Label::Challenge, challenge.bytes())
        .unwrap();
    let person = person_id("steward");
    sessions.sign_in(
        &world.catalog.view(),
        &person,
        &challenge.challenge,
        &signature,
        now,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_challenge_is_good_for_one_answer_and_a_session_for_fifteen_idle_minutes() {
    let world = founded().await;
    let sessions = Sessions::new();
    let now = world.clock.now();
    let challenge = sessions.challenge(&person_id("steward"), now).unwrap();
    let session = answer(&world, &sessions, &challenge, "steward", now).unwrap();
    assert_eq!(
        sessions.principal(&session.token, now).unwrap(),
        session.principal
    );
    assert!(matches!(
        answer(&world, &sessions, &challenge, "steward", now),
        Err(SignInError::NotAccepted)
    ));
    // Each use renews it, up to a working day.
    let mut at = now;
    while at.millis_since(now) < SESSION_LIFE_MAX_MS - SESSION_IDLE_MAX_MS {
        at = at.plus_millis(SESSION_IDLE_MAX_MS - 1);
        sessions.principal(&session.token, at).unwrap();
    }
    at = now.plus_millis(SESSION_LIFE_MAX_MS);
    assert!(matches!(
        sessions.principal(&session.token, at),
        Err(SignInError::SessionEnded)
    ));
    let challenge = sessions.challenge(&person_id("steward"), at).unwrap();
    let session = answer(&world, &sessions, &challenge, "steward", at).unwrap();
    let idle = at.plus_millis(SESSION_IDLE_MAX_MS);
    assert!(matches!(
        sessions.principal(&session.token, idle),
        Err(SignInError::SessionEnded)
    ));
    assert!(sessions.principal(&Digest::ZERO.to_string(), at).is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_failures_lock_a_person_out_for_a_quarter_of_an_hour() {
    let world = founded().await;
    let sessions = Sessions::new();
    let now = world.clock.now();
    for failure in 1..=FAILED_SIGN_INS_MAX {
        let challenge = sessions.challenge(&person_id("steward"), now).unwrap();
        let refused = answer(&world, &sessions, &challenge, "somebody else", now).unwrap_err();
        let locked = matches!(
            refused,
            SignInError::LockedOut {
                wait_ms: LOCK_OUT_MS,
                ..
            }
        );
        assert_eq!(locked, failure == FAILED_SIGN_INS_MAX, "{refused}");
    }
    assert!(sessions.challenge(&person_id("steward"), now).is_err());
    let later = now.plus_millis(LOCK_OUT_MS);
    let challenge = sessions.challenge(&person_id("steward"), later).unwrap();
    answer(&world, &sessions, &challenge, "steward", later).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_works_with_a_fresh_code_once_and_brings_the_kept_key() {
    let world = founded().await;
    let path = world.dir.path().join("accounts.json");
    let person = person_id("steward");
    let accounts = Accounts::load(&path).unwrap();
    assert!(accounts.enrol(&person, "too short", None, 1_000).is_err());
    let password = "correct horse battery";
    let address = accounts
        .enrol(&person, password, Some(&secret("steward")), 1_000)
        .unwrap();
    let sessions = Sessions::with_accounts(Accounts::load(&path).unwrap());
    let now = world.clock.now();
    let code = crypto::totp::one_time_code(&totp_secret(&address), seconds(now));
    let view = world.catalog.view();
    let sign_in = |sessions: &Sessions, password: &str| {
        sessions.sign_in_with_password(&view, &person, password.as_bytes(), &code, now)
    };
    assert!(matches!(
        sign_in(&sessions, "wrong"),
        Err(SignInError::NotAccepted)
    ));
    let session = sign_in(&sessions, password).unwrap();
    let signer = sessions.signer(&session.token, now).unwrap().unwrap();
    assert_eq!(signer.public(), secret("steward").public());
    // The same code again is refused, even after a restart.
    assert!(sign_in(&sessions, password).is_err());
    let restarted = Sessions::with_accounts(Accounts::load(&path).unwrap());
    assert!(sign_in(&restarted, password).is_err());
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_made_or_taken_away_by_another_program_counts_at_the_next_sign_in() {
    let world = founded().await;
    let path = world.dir.path().join("accounts.json");
    let person = person_id("steward");
    let sessions = Sessions::with_accounts(Accounts::load(&path).unwrap());
    let (view, now) = (world.catalog.view(), world.clock.now());
    let sign_in = |address: &str, after_steps: u64| {
        let at = seconds(now) + after_steps * crypto::totp::STEP_SECONDS;
        let code = crypto::totp::one_time_code(&totp_secret(address), at);
        let password = b"correct horse battery";
        sessions.sign_in_with_password(&view, &person, password, &code, now)
    };
    // The other program: it has read the file before the node writes it, and after.
    let other = Accounts::load(&path).unwrap();
    let enrol = || other.enrol(&person, "correct horse battery", None, 1_000);
    let address = enrol().unwrap();
    sign_in(&address, 0).unwrap();
    let stranger = person_id("somebody");
    other
        .enrol(&stranger, "correct horse battery", None, 1_000)
        .unwrap();
    assert!(
        sign_in(&address, 0).is_err(),
        "the spent code stays spent when another program writes"
    );
    sign_in(&address, 1).unwrap();
    assert_eq!(other.persons().unwrap(), [stranger, person.clone()]);
    assert!(other.remove(&person).unwrap());
    assert!(!other.remove(&person).unwrap());
    assert!(sign_in(&address, 1).is_err());
    // A file that cannot be read lets nobody in, and one that is whole again does.
    let address = enrol().unwrap();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, b"{").unwrap();
    assert!(sign_in(&address, 0).is_err());
    std::fs::write(&path, whole).unwrap();
    sign_in(&address, 0).unwrap();
}

fn seconds(at: Timestamp) -> u64 {
    u64::try_from(at.millis() / 1_000).unwrap()
}

/// The secret in an `otpauth` address: base32 (RFC 4648) without padding.
fn totp_secret(address: &str) -> Vec<u8> {
    let text = address
        .split("secret=")
        .nth(1)
        .unwrap()
        .split('&')
        .next()
        .unwrap();
    let (mut bits, mut buffer, mut out) = (0_u32, 0_u32, Vec::new());
    for symbol in text.bytes() {
        let value = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            _ => symbol - b'2' + 26,
        };
        buffer = (buffer << 5) | u32::from(value);
        bits += 5;
        if bits >= 8 {
            bits -= 8;
            out.push(u8::try_from((buffer >> bits) & 0xff).unwrap());
        }
    }
    out
}
