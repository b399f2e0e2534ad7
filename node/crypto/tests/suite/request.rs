//! Requests for TLS certificates, from key to handshake, and everything that is none.

#![expect(clippy::unwrap_used, reason = "set-up of tests")]

use crypto::tls::{
    Family, REQUEST_BYTES_MAX, TlsApplicant, TlsAuthority, TlsIdentity, TlsRequest, certificates_of,
};
use crypto::{Digest, Error, Validity};
use proptest::prelude::*;

use crate::now_ms;

fn authority(family: Family) -> TlsAuthority {
    TlsAuthority::create_of(family, "authority", Validity::days(now_ms(), 10)).unwrap()
}

fn key_pem(request: &TlsRequest) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("key.pem");
    request.write_new_key(&path).unwrap();
    assert!(
        request.write_new_key(&path).is_err(),
        "nothing is overwritten"
    );
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_request_of_each_family_becomes_an_identity_that_others_accept() {
    for family in [Family::ShangMi, Family::Standard] {
        let names = ["gd-2.example.cn", "10.1.2.3", "2001:db8::1"];
        let request = TlsRequest::create(family, "gd-2", &names).unwrap();
        let applicant = TlsApplicant::from_pem(request.request_pem()).unwrap();
        assert_eq!((applicant.family(), applicant.name()), (family, "gd-2"));
        let expected = [&["127.0.0.1"], names.as_slice()].concat();
        assert_eq!(applicant.alternative_names(), expected);

        let authority = authority(family);
        let validity = Validity::days(now_ms(), 5);
        let certificate = authority.certify(&applicant, validity).unwrap();
        let identity = TlsIdentity::join(&certificate, &key_pem(&request)).unwrap();
        assert_eq!(identity.family(), family);
        assert_eq!(identity.spki_digest(), applicant.spki_digest());
        // X.509 counts whole seconds.
        assert_eq!(
            identity.not_after_ms() / 1_000,
            validity.not_after_ms / 1_000
        );
        let roots = authority.roots().unwrap();
        roots.check(&identity, now_ms()).unwrap();
        let late = validity.not_after_ms + 2_000;
        assert!(roots.check(&identity, late).is_err(), "after its end");

        // Whose certificate it is: known by the issuer's name, taken back by a list.
        let chain = certificates_of(&certificate).unwrap();
        assert_eq!(authority.issued(&chain), chain);
        let other = TlsAuthority::create_of(family, "other", validity).unwrap();
        assert_eq!(other.issued(&chain), []);
        let list = authority.revocation_list(1, &chain, validity).unwrap();
        let roots = roots.with_revocations(&list).unwrap();
        assert!(roots.check(&identity, now_ms()).is_err(), "taken back");
    }
}

#[test]
fn key_and_certificate_must_belong_together_and_to_the_authority() {
    let (shangmi, standard) = (authority(Family::ShangMi), authority(Family::Standard));
    let validity = Validity::days(now_ms(), 5);
    let request = TlsRequest::create(Family::ShangMi, "gd-2", &["gd-2"]).unwrap();
    let applicant = TlsApplicant::from_pem(request.request_pem()).unwrap();
    let wrong = standard.certify(&applicant, validity).map(drop);
    assert!(
        matches!(wrong, Err(Error::InvalidArgument { .. })),
        "{wrong:?}"
    );
    let certificate = shangmi.certify(&applicant, validity).unwrap();
    for family in [Family::ShangMi, Family::Standard] {
        let other = TlsRequest::create(family, "gd-2", &["gd-2"]).unwrap();
        let joined = TlsIdentity::join(&certificate, &key_pem(&other)).map(drop);
        assert!(joined.is_err(), "{family}: {joined:?}");
    }
}

#[test]
fn what_is_no_request_is_refused() {
    let request = TlsRequest::create(Family::ShangMi, "gd-2", &["gd-2"]).unwrap();
    let key = key_pem(&request);
    let relabelled = request
        .request_pem()
        .replace("CERTIFICATE REQUEST", "CERTIFICATE");
    let long = "x".repeat(REQUEST_BYTES_MAX + 1);
    for text in ["", "-----BEGIN", &key, &relabelled, &long] {
        let read = TlsApplicant::from_pem(text).map(drop);
        assert!(
            matches!(read, Err(Error::InvalidEncoding { .. })),
            "{read:?}"
        );
    }
    for name in ["", "a\nb", &"x".repeat(65)] {
        assert!(TlsRequest::create(Family::Standard, name, &["a"]).is_err());
    }
    assert!(TlsRequest::create(Family::Standard, "a", &["no host"]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The signature covers everything: with any bit changed there is no applicant, and no panic.
    #[test]
    fn a_changed_bit_leaves_no_request(position: prop::sample::Index, bit in 0_u8..8, sm2: bool) {
        let family = if sm2 { Family::ShangMi } else { Family::Standard };
        let request = TlsRequest::create(family, "gd-2", &["gd-2.example.cn"]).unwrap();
        let (label, mut der) = pem(request.request_pem());
        let at = position.index(der.len());
        der[at] ^= 1 << bit;
        let digest = Digest::of(&der);
        prop_assert!(TlsApplicant::from_pem(&text(&label, &der)).is_err(), "{digest} {at} {bit}");
        der.truncate(at);
        prop_assert!(TlsApplicant::from_pem(&text(&label, &der)).is_err());
    }
}

fn pem(text: &str) -> (String, Vec<u8>) {
    use base64::Engine as _;
    let body: String = text.lines().filter(|it| !it.starts_with('-')).collect();
    let der = base64::prelude::BASE64_STANDARD.decode(body).unwrap();
    ("CERTIFICATE REQUEST".to_owned(), der)
}

fn text(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::prelude::BASE64_STANDARD.encode(der);
    let lines: Vec<&str> = body
        .as_bytes()
        .chunks(64)
        .map(|it| std::str::from_utf8(it).unwrap())
        .collect();
    format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        lines.join("\n")
    )
}
