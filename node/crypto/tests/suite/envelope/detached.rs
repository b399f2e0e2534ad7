//! Signatures beside their content.

use crypto::envelope::{CONTENT_BYTES_MAX, DetachedSignature, SignedData};
use crypto::{Error, Usage, Validity};
use proptest::prelude::*;

use super::{Parties, START_MS, block_on, key};

const CONTENT: &[u8] = b"three containers of lamps, one of oil";

fn verify(encoded: &[u8], content: &[u8], parties: &Parties) -> Result<(), Error> {
    DetachedSignature::from_der(encoded)?.verify(content, &parties.signer)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn a_detached_signature_fits_its_content_and_no_other(
        content in prop::collection::vec(any::<u8>(), 0..400),
        other in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let parties = Parties::new();
        let encoded = block_on(parties.sign_detached(&content));
        let message = DetachedSignature::from_der(&encoded).unwrap();
        prop_assert_eq!(message.verify(&content, &parties.signer), Ok(()));
        prop_assert_eq!(message.to_der().unwrap(), encoded);
        let carried = message.unverified_certificates();
        prop_assert_eq!(carried, std::slice::from_ref(&parties.signer));
        if other != content {
            let outcome = message.verify(&other, &parties.signer);
            prop_assert_eq!(outcome, Err(Error::Rejected));
        }
    }
}

/// The message says which of the two it is, and neither type reads the other's.
#[tokio::test]
async fn attached_and_detached_are_not_taken_for_each_other() {
    let parties = Parties::new();
    // An empty content is a content.
    for content in [CONTENT, b""] {
        let (attached, detached) = (
            parties.sign(content).await,
            parties.sign_detached(content).await,
        );
        let has_content = Error::InvalidEncoding {
            what: "detached signature",
            reason: "it has a content of its own",
        };
        assert_eq!(verify(&attached, content, &parties), Err(has_content));
        let has_none = Error::InvalidEncoding {
            what: "signed data",
            reason: "it has no content; its signature is a detached one",
        };
        assert_eq!(SignedData::from_der(&detached).err(), Some(has_none));
    }
}

#[tokio::test]
async fn a_cut_longer_or_changed_signature_says_nothing_new() {
    let parties = Parties::new();
    let encoded = parties.sign_detached(CONTENT).await;
    for end in 0..encoded.len() {
        let outcome = verify(&encoded[..end], CONTENT, &parties);
        assert!(matches!(outcome, Err(Error::InvalidEncoding { .. })));
    }
    let outcome = verify(&[&encoded, &[0][..]].concat(), CONTENT, &parties);
    assert!(matches!(outcome, Err(Error::InvalidEncoding { .. })));
    let mut unnoticed = 0;
    for at in 0..encoded.len() {
        let mut changed = encoded.clone();
        changed[at] ^= 1;
        match verify(&changed, CONTENT, &parties) {
            Ok(()) => unnoticed += 1,
            Err(error) => assert!(
                matches!(error, Error::Rejected | Error::InvalidEncoding { .. }),
                "byte {at}: {error}"
            ),
        }
        assert_ne!(verify(&changed, b"another content", &parties), Ok(()));
    }
    // The carried certificate and versions matter to nobody; all else is noticed.
    assert!(unnoticed < parties.signer.as_der().len() + 20);
}

#[tokio::test]
async fn a_detached_signature_is_by_the_signer_and_for_signatures() {
    let parties = Parties::new();
    let encoded = parties.sign_detached(CONTENT).await;
    let message = DetachedSignature::from_der(&encoded).unwrap();
    let other = parties.authority.issue(
        "signer",
        key([0x11; 32]).public(),
        Usage::Sign,
        Validity::days(START_MS, 1),
    );
    let outcome = message.verify(CONTENT, &other.unwrap());
    assert_eq!(outcome, Err(Error::Rejected));
    let wrong_use = Error::WrongUsage {
        subject: "recipient".to_owned(),
        wanted: "to sign",
    };
    let outcome = message.verify(CONTENT, &parties.recipient);
    assert_eq!(outcome, Err(wrong_use.clone()));
    let signed = DetachedSignature::sign(CONTENT, &parties.recipient, &parties.recipient_key);
    assert_eq!(signed.await.err(), Some(wrong_use));

    let long = vec![0; CONTENT_BYTES_MAX + 1];
    let limit = Error::LimitExceeded {
        what: "envelope content bytes",
        limit: CONTENT_BYTES_MAX as u64,
        found: CONTENT_BYTES_MAX as u64 + 1,
    };
    let outcome = message.verify(&long, &parties.signer);
    assert_eq!(outcome, Err(limit.clone()));
    let signed = DetachedSignature::sign(&long, &parties.signer, &parties.signer_key).await;
    assert_eq!(signed.err(), Some(limit));
}
