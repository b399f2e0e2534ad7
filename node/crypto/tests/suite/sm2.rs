//! SM2 keys, signatures and wraps.

use crypto::sm2::{
    CertificateIdentifier, HandshakeIdentifier, HandshakeSignature, Label, PublicKey, SecretKey,
    Signature, WRAP_SECRET_BYTES_MAX, verify_batch,
};
use crypto::{Error, Zeroizing};
use proptest::prelude::*;

use crate::vectors::{left_out, stanzas, text, unhex, value};

/// d, P and the ciphertext of the examples of GM/T 0003.5-2012.
const D: &str = "3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8";
const P: &str = "0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020\
                 ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13";
const ENCRYPTED: &str = "307b\
    022004ebfc718e8d1798620432268e77feb6415e2ede0e073c0f4f640ecd2e149a73\
    022100e858f9d81e5430a57b36daab8f950a3c64e6ee6a63094d99283aff767e124df0\
    042059983c18f809e262923c53aec295d30383b54e39d609d160afcb1908d0bd8766\
    041321886ca989ca9c7d58087307ca93092d651efa";

#[test]
fn the_published_example_key_and_ciphertext_are_understood() {
    let key = SecretKey::from_bytes(&unhex(D).try_into().unwrap()).unwrap();
    assert_eq!(key.public().to_string(), P);
    // The example's DER frame is written by hand above; its length is that of its content.
    let mut wrapped = unhex(ENCRYPTED);
    wrapped[1] = u8::try_from(wrapped.len() - 2).unwrap();
    assert_eq!(**key.unwrap(&wrapped).unwrap(), *b"encryption standard");
}

#[test]
fn ciphertexts_of_tongsuo_open_and_no_changed_byte_does() {
    if left_out() {
        return;
    }
    let file = text("tongsuo_evppkey_sm2.txt");
    let pem = file.split("-----").nth(2).unwrap().replace('\n', "");
    let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, pem).unwrap();
    let key = SecretKey::from_pkcs8_der(&der).unwrap();
    let mut checked = 0;
    for stanza in stanzas(&file) {
        let field = |name: &str| stanza.iter().find(|(key, _)| *key == name).map(|it| it.1);
        let (Some("SM2_key1"), Some(input), Some(output)) =
            (field("Decrypt"), field("Input"), field("Output"))
        else {
            continue;
        };
        let wrapped = value(input);
        assert_eq!(key.unwrap(&wrapped), Ok(Zeroizing::new(value(output))));
        for at in 0..wrapped.len() {
            let mut changed = wrapped.clone();
            changed[at] ^= 1;
            assert_eq!(key.unwrap(&changed), Err(Error::Rejected), "byte {at}");
        }
        checked += 1;
    }
    assert_eq!(checked, 4);
}

#[test]
fn a_signature_is_good_for_one_label_only() {
    let key = SecretKey::generate().unwrap();
    for made_for in Label::ALL {
        let signature = key.sign(made_for, b"message").unwrap();
        for read_as in Label::ALL {
            let expected = if made_for == read_as {
                Ok(())
            } else {
                Err(Error::SignatureRejected)
            };
            assert_eq!(
                key.public().verify(read_as, b"message", &signature),
                expected
            );
        }
    }
}

#[test]
fn no_label_is_the_start_of_another() {
    for one in Label::ALL {
        for other in Label::ALL {
            let starts = other.prefix().starts_with(one.prefix());
            assert_eq!(starts, one == other, "{one:?} {other:?}");
        }
    }
}

#[test]
fn the_two_identifiers_are_those_of_the_standards() {
    assert_eq!(CertificateIdentifier::TEXT, "1234567812345678");
    assert_eq!(HandshakeIdentifier::TEXT, "TLSv1.3+GM+Cipher+Suite");
}

#[test]
fn a_signature_for_a_handshake_is_no_other_and_no_other_is_one() {
    let key = SecretKey::generate().unwrap();
    let content = [Label::Batch.prefix(), b"message"].concat();
    let for_handshake = key.sign_handshake(&content).unwrap();
    let outcome = key.public().verify_handshake(&content, &for_handshake);
    assert_eq!(outcome, Ok(()));
    let labelled = key.sign(Label::Batch, b"message").unwrap();
    let taken_for_labelled = Signature::from_der(for_handshake.as_der()).unwrap();
    let taken_for_handshake = HandshakeSignature::from_der(labelled.as_der()).unwrap();
    assert_eq!(
        key.public()
            .verify(Label::Batch, b"message", &taken_for_labelled),
        Err(Error::SignatureRejected)
    );
    assert_eq!(
        key.public()
            .verify_handshake(&content, &taken_for_handshake),
        Err(Error::SignatureRejected)
    );
}

#[test]
fn a_key_survives_pkcs8_and_spki() {
    let key = SecretKey::generate().unwrap();
    let again = SecretKey::from_pkcs8_der(&key.to_pkcs8_der().unwrap()).unwrap();
    assert_eq!(again.public(), key.public());
    let spki = key.public().to_spki_der();
    assert_eq!(PublicKey::from_spki_der(&spki).as_ref(), Ok(key.public()));
    assert_eq!(
        PublicKey::from_spki_der(&spki).unwrap().key_id(),
        key.public().key_id()
    );
}

#[test]
fn scalars_out_of_range_are_no_keys() {
    let order = "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123";
    let below = "fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54122";
    let most = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";
    for wrong in [&"00".repeat(32), order, below, most] {
        let outcome = SecretKey::from_bytes(&unhex(wrong).try_into().unwrap());
        let reason = "the scalar is out of range";
        assert_eq!(
            outcome.err(),
            Some(Error::InvalidSecretKey { reason }),
            "{wrong}"
        );
    }
}

#[test]
fn points_off_the_curve_and_other_forms_are_no_keys() {
    let good = unhex(P);
    for at in 1..good.len() {
        let mut changed = good.clone();
        changed[at] ^= 1;
        assert!(PublicKey::from_sec1(&changed).is_err(), "byte {at}");
    }
    let mut compressed = good[..33].to_vec();
    compressed[0] = 0x03;
    for wrong in [
        &[0][..],
        &[],
        &compressed,
        &good[..64],
        &[&good[..], &[0]].concat(),
    ] {
        assert!(PublicKey::from_sec1(wrong).is_err());
    }
}

#[test]
fn only_the_one_der_form_of_a_signature_is_read() {
    let key = SecretKey::generate().unwrap();
    let signature = key.sign(Label::Receipt, b"message").unwrap();
    let der = signature.as_der();
    assert_eq!(Signature::from_der(der).as_ref(), Ok(&signature));
    for length in 0..der.len() {
        assert!(
            Signature::from_der(&der[..length]).is_err(),
            "{length} bytes"
        );
    }
    let longer = [der, &[0]].concat();
    let zero = unhex("3006020100020101");
    let padded = unhex("300702020001020101");
    let order =
        unhex("3026022100fffffffeffffffffffffffffffffffff7203df6b21c6052b53bbf40939d54123020101");
    for wrong in [longer, zero, padded, order] {
        assert_eq!(Signature::from_der(&wrong), Err(Error::InvalidSignature));
    }
}

#[test]
fn every_changed_bit_of_a_signature_is_refused() {
    let key = SecretKey::generate().unwrap();
    let signature = key.sign(Label::Receipt, b"message").unwrap();
    for bit in 0..signature.as_der().len() * 8 {
        let mut changed = signature.as_der().to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        let outcome = Signature::from_der(&changed)
            .and_then(|it| key.public().verify(Label::Receipt, b"message", &it));
        assert!(outcome.is_err(), "bit {bit}");
    }
}

#[test]
fn a_batch_stands_or_falls_as_a_whole() {
    let key = SecretKey::generate().unwrap();
    let messages: Vec<Vec<u8>> = (0_u8..40).map(|number| vec![number; 20]).collect();
    let mut signatures: Vec<Signature> = messages
        .iter()
        .map(|message| key.sign(Label::Batch, message).unwrap())
        .collect();
    let check = |signatures: &[Signature]| {
        let items: Vec<_> = messages
            .iter()
            .zip(signatures)
            .map(|(message, signature)| {
                (key.public().clone(), Label::Batch, &message[..], signature)
            })
            .collect();
        verify_batch(&items)
    };
    assert_eq!(check(&signatures), Ok(()));
    assert_eq!(check(&[]), Ok(()));
    signatures.swap(33, 34);
    assert_eq!(check(&signatures), Err(Error::SignatureRejected));
}

#[test]
fn a_batch_of_any_length_is_refused_for_any_one_that_fails() {
    let message = |at: usize| [u8::try_from(at).unwrap(); 20];
    // Three keys that sign often, and one that was never seen before.
    let secrets: [SecretKey; 4] = std::array::from_fn(|_| SecretKey::generate().unwrap());
    let stranger = SecretKey::generate().unwrap();
    let publics = secrets
        .each_ref()
        .map(|secret| PublicKey::from_sec1(&secret.public().to_sec1()).unwrap());
    for (secret, public) in secrets.iter().zip(&publics).take(3) {
        let signature = secret.sign(Label::Batch, b"").unwrap();
        for _ in 0..20 {
            assert_eq!(public.verify(Label::Batch, b"", &signature), Ok(()));
        }
    }
    let signer = |at: usize| if at % 9 == 7 { 3 } else { at % 3 };
    let messages: Vec<[u8; 20]> = (0..40).map(message).collect();
    let sign = |secret: &SecretKey, at: usize| secret.sign(Label::Batch, &messages[at]).unwrap();
    let good: Vec<Signature> = (0..40).map(|at| sign(&secrets[signer(at)], at)).collect();
    let bad: Vec<Signature> = (0..40)
        .map(|at| match at % 3 {
            0 => sign(&stranger, at),
            1 => sign(&secrets[signer(at)], (at + 1) % 40),
            _ => sign(&secrets[(signer(at) + 1) % 3], at),
        })
        .collect();
    let check = |length: usize, wrong: Option<usize>| {
        let item = |at: usize| {
            let signatures = if wrong == Some(at) { &bad } else { &good };
            let key = match signer(at) {
                3 => PublicKey::from_sec1(&publics[3].to_sec1()).unwrap(),
                known => publics[known].clone(),
            };
            (key, Label::Batch, &messages[at][..], &signatures[at])
        };
        verify_batch(&(0..length).map(item).collect::<Vec<_>>())
    };
    for length in 0..=40 {
        assert_eq!(check(length, None), Ok(()), "{length}");
        for wrong in 0..length {
            let outcome = check(length, Some(wrong));
            assert_eq!(
                outcome,
                Err(Error::SignatureRejected),
                "{wrong} of {length}"
            );
        }
    }
}

#[test]
fn secrets_of_a_wrong_length_are_not_wrapped() {
    let key = SecretKey::generate().unwrap();
    let empty = Error::InvalidArgument {
        what: "secret",
        reason: "it is empty",
    };
    assert_eq!(key.public().wrap(b""), Err(empty));
    let longest = vec![7; WRAP_SECRET_BYTES_MAX];
    let wrapped = key.public().wrap(&longest).unwrap();
    assert_eq!(key.unwrap(&wrapped), Ok(Zeroizing::new(longest)));
    let outcome = key.public().wrap(&[7; WRAP_SECRET_BYTES_MAX + 1]);
    let limit = Error::LimitExceeded {
        what: "secret bytes",
        limit: 1_024,
        found: 1_025,
    };
    assert_eq!(outcome, Err(limit));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_signed_verifies_and_nothing_else(message: Vec<u8>, other: Vec<u8>) {
        let key = SecretKey::generate().unwrap();
        let stranger = SecretKey::generate().unwrap();
        let signature = key.sign(Label::Evidence, &message).unwrap();
        prop_assert_eq!(key.public().verify(Label::Evidence, &message, &signature), Ok(()));
        prop_assert_eq!(
            stranger.public().verify(Label::Evidence, &message, &signature),
            Err(Error::SignatureRejected)
        );
        if message != other {
            let outcome = key.public().verify(Label::Evidence, &other, &signature);
            prop_assert_eq!(outcome, Err(Error::SignatureRejected));
        }
    }

    #[test]
    fn what_is_wrapped_opens_with_its_key_only(
        secret in prop::collection::vec(any::<u8>(), 1..64),
    ) {
        let key = SecretKey::generate().unwrap();
        let stranger = SecretKey::generate().unwrap();
        let wrapped = key.public().wrap(&secret).unwrap();
        prop_assert_eq!(key.unwrap(&wrapped), Ok(Zeroizing::new(secret)));
        prop_assert_eq!(stranger.unwrap(&wrapped), Err(Error::Rejected));
    }

    #[test]
    fn stray_bytes_never_open(bytes: Vec<u8>) {
        let key = SecretKey::generate().unwrap();
        prop_assert_eq!(key.unwrap(&bytes), Err(Error::Rejected));
    }
}
