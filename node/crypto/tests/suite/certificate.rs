//! SM2 certificates: our own authority's, and real ones made by Tongsuo and OpenSSL.

#![expect(
    clippy::panic,
    reason = "without an authority there is nothing to test"
)]

use crypto::{Authority, Certificate, Error, SecretKey, Usage, Validity};

use crate::fuzz::pem;
use crate::vectors::{archive, left_out};

const START_MS: i64 = 1_764_000_000_000;
const DAY_MS: i64 = 86_400_000;

fn authority(name: &str) -> Authority {
    let key = SecretKey::generate();
    let made = key.and_then(|key| Authority::create(name, Validity::days(START_MS, 3_650), key));
    match made {
        Ok(authority) => authority,
        Err(error) => panic!("no authority: {error}"),
    }
}

#[test]
fn an_issued_certificate_says_what_was_asked_for() {
    let authority = authority("口岸联邦 CA");
    for usage in [Usage::Sign, Usage::Encrypt, Usage::Authority] {
        let key = SecretKey::generate().unwrap();
        let validity = Validity::days(START_MS, 365);
        let issued = authority
            .issue("深圳港,O=x+CN=y", key.public(), usage, validity)
            .unwrap();
        assert_eq!(issued.subject(), "深圳港,O=x+CN=y");
        assert_eq!(issued.public_key(), key.public());
        assert_eq!(issued.usage(), usage);
        assert_eq!(issued.not_before_ms(), START_MS);
        assert_eq!(issued.not_after_ms(), START_MS + 365 * DAY_MS);
        let verified = issued.verify_issued_by(authority.certificate(), START_MS + DAY_MS);
        assert_eq!(verified, Ok(()));
        let pem = issued.to_pem().unwrap();
        assert_eq!(Certificate::from_pem(&pem).as_ref(), Ok(&issued));
        assert_eq!(Certificate::from_der(issued.as_der()).as_ref(), Ok(&issued));
        let json = serde_json::to_string(&issued).unwrap();
        assert_eq!(serde_json::from_str::<Certificate>(&json).unwrap(), issued);
    }
}

#[test]
fn a_certificate_is_valid_in_its_time_and_from_its_issuer_only() {
    let home = authority("home");
    let key = SecretKey::generate().unwrap();
    let issue = |usage| {
        home.issue("member", key.public(), usage, Validity::days(START_MS, 1))
            .unwrap()
    };
    let issued = issue(Usage::Sign);
    let at = |at_ms| issued.verify_issued_by(home.certificate(), at_ms);
    let subject = || "member".to_owned();
    let early = Error::NotYetValid {
        subject: subject(),
        not_before_ms: START_MS,
    };
    assert_eq!(at(START_MS - 1), Err(early));
    assert_eq!(at(START_MS), Ok(()));
    assert_eq!(at(START_MS + DAY_MS), Ok(()));
    let late = Error::Expired {
        subject: subject(),
        not_after_ms: START_MS + DAY_MS,
    };
    assert_eq!(at(START_MS + DAY_MS + 1_000), Err(late));

    let foreign = authority("elsewhere");
    let outcome = issued.verify_issued_by(foreign.certificate(), START_MS);
    let issuer = "elsewhere".to_owned();
    assert_eq!(
        outcome,
        Err(Error::ForeignIssuer {
            subject: subject(),
            issuer
        })
    );
    let namesake = authority("home");
    let outcome = issued.verify_issued_by(namesake.certificate(), START_MS);
    assert_eq!(outcome, Err(Error::SignatureRejected));
}

#[test]
fn a_member_cannot_issue() {
    let home = authority("home");
    let key = SecretKey::generate().unwrap();
    let validity = Validity::days(START_MS, 1);
    let member = home
        .issue("member", key.public(), Usage::Sign, validity)
        .unwrap();
    let wanted = "to issue certificates";
    let refused = Error::WrongUsage {
        subject: "member".to_owned(),
        wanted,
    };
    assert_eq!(
        Authority::open(member.clone(), key).err(),
        Some(refused.clone())
    );
    // Even a certificate that names it as issuer is refused for its usage.
    let copycat = authority("member");
    let below = copycat
        .issue("x", member.public_key(), Usage::Sign, validity)
        .unwrap();
    assert_eq!(below.verify_issued_by(&member, START_MS), Err(refused));
}

#[test]
fn every_changed_byte_of_a_certificate_is_refused() {
    let home = authority("home");
    let key = SecretKey::generate().unwrap();
    let validity = Validity::days(START_MS, 1);
    let issued = home
        .issue("member", key.public(), Usage::Sign, validity)
        .unwrap();
    for at in 0..issued.as_der().len() {
        let mut changed = issued.as_der().to_vec();
        changed[at] ^= 0x01;
        let outcome = Certificate::from_der(&changed)
            .and_then(|it| it.verify_issued_by(home.certificate(), START_MS));
        assert!(outcome.is_err(), "byte {at}");
    }
}

#[test]
fn a_certificate_that_is_not_der_is_refused_in_pem_too() {
    let mut der = authority("home").certificate().as_der().to_vec();
    // The explicit tag around the version says eleven bytes and has three.
    let version = der.windows(5).position(|it| it == [0xa0, 3, 2, 1, 2]);
    der[version.unwrap() + 1] = 11;
    let text = pem("CERTIFICATE", &der);
    assert!(Certificate::from_pem(&text).is_err(), "{text}");
}

#[test]
fn names_that_x509_cannot_hold_are_refused() {
    let home = authority("home");
    let key = SecretKey::generate().unwrap();
    let validity = Validity::days(START_MS, 1);
    let name = |reason| Error::InvalidArgument {
        what: "certificate name",
        reason,
    };
    for (text, refused) in [
        (String::new(), name("it is empty")),
        ("x".repeat(65), name("it has more than 64 characters")),
        ("a\nb".to_owned(), name("it has control characters")),
    ] {
        let outcome = home.issue(&text, key.public(), Usage::Sign, validity);
        assert_eq!(outcome, Err(refused), "{text}");
    }
    let longest = "港".repeat(64);
    let issued = home
        .issue(&longest, key.public(), Usage::Sign, validity)
        .unwrap();
    assert_eq!(issued.subject(), longest);
    let backwards = Validity {
        not_before_ms: START_MS,
        not_after_ms: START_MS - 1_000,
    };
    assert!(
        home.issue("x", key.public(), Usage::Sign, backwards)
            .is_err()
    );
}

#[test]
fn an_authority_survives_storage() {
    let key = SecretKey::generate().unwrap();
    let stored = key.to_pkcs8_der().unwrap();
    let made = Authority::create("home", Validity::days(START_MS, 10), key).unwrap();
    let key = SecretKey::from_pkcs8_der(&stored).unwrap();
    let opened = Authority::open(made.certificate().clone(), key).unwrap();
    assert_eq!(opened.certificate(), made.certificate());
    let other = SecretKey::generate().unwrap();
    assert!(Authority::open(made.certificate().clone(), other).is_err());
}

#[test]
fn real_certificates_of_other_makers_verify() {
    if left_out() {
        return;
    }
    let files = archive("tlcp_sm2_certs.tar.gz");
    let read = |name: &str| -> Vec<Certificate> {
        let (_, text) = files
            .iter()
            .find(|(path, _)| path.ends_with(name))
            .unwrap_or_else(|| panic!("{name} is not in the archive"));
        text.split_inclusive("-----END CERTIFICATE-----")
            .filter_map(|part| part.find("-----BEGIN").map(|start| &part[start..]))
            .map(|pem| Certificate::from_pem(pem).unwrap())
            .collect()
    };
    // 2025-06-01, within all of them.
    let at_ms = 1_748_736_000_000;
    let chain = read("sm2/chain-ca.crt");
    let by_name = |name: &str| chain.iter().find(|it| it.subject() == name).unwrap();
    let (root, sub) = (by_name("root ca"), by_name("sub ca"));
    assert_eq!(root.verify_issued_by(root, at_ms), Ok(()));
    assert_eq!(sub.verify_issued_by(root, at_ms), Ok(()));
    for (name, usage) in [
        ("sm2/client_sign.crt", Usage::Sign),
        ("sm2/client_enc.crt", Usage::Encrypt),
        ("sm2/server_sign.crt", Usage::Sign),
        ("sm2/server_enc.crt", Usage::Encrypt),
    ] {
        let leaf = &read(name)[0];
        assert_eq!(
            (leaf.usage(), leaf.verify_issued_by(sub, at_ms)),
            (usage, Ok(())),
            "{name}"
        );
        assert!(leaf.verify_issued_by(root, at_ms).is_err(), "{name}");
    }
    let chain = read("sm2-chain-ca.crt");
    let middle = chain
        .iter()
        .find(|it| it.subject() == "www.middle.com")
        .unwrap();
    assert_eq!(
        read("sm2-leaf.crt")[0].verify_issued_by(middle, at_ms),
        Ok(())
    );
    // These two name the curve as the key's algorithm. The root was made anew after the leaf was
    // signed, or not: both have the same name, and the signature decides.
    let (leaf, root) = (&read("sm2-cert.pem")[0], &read("sm2-root-cert.pem")[0]);
    assert_eq!(root.verify_issued_by(root, at_ms), Ok(()));
    assert_eq!(leaf.verify_issued_by(root, at_ms), Ok(()));
}
