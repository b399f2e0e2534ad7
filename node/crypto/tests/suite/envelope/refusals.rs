//! What must not open, verify or panic.

use crypto::envelope::{EnvelopedData, SignedAndEnvelopedData, SignedData};
use crypto::{Certificate, Error, Usage, Validity};
use proptest::prelude::*;

use super::{Parties, START_MS, block_on, key};

const CONTENT: &[u8] = b"three containers of lamps, one of oil";

/// Reads and verifies whatever kind of message it is.
async fn read(parties: &Parties, kind: usize, encoded: &[u8]) -> Result<Vec<u8>, Error> {
    match kind {
        0 => SignedData::from_der(encoded)?
            .verified_content(&parties.signer)
            .map(<[u8]>::to_vec),
        1 => {
            let message = SignedAndEnvelopedData::from_der(encoded)?;
            parties.open_both(&message).await
        }
        _ => {
            let message = EnvelopedData::from_der(encoded)?;
            parties.open(&message).await
        }
    }
}

async fn messages(parties: &Parties) -> [Vec<u8>; 3] {
    [
        parties.sign(CONTENT).await,
        parties.seal_both(CONTENT).await,
        parties.seal(CONTENT),
    ]
}

#[tokio::test]
async fn every_truncation_and_every_extension_is_malformed() {
    let parties = Parties::new();
    for (kind, encoded) in messages(&parties).await.iter().enumerate() {
        let longer = [encoded, &[0][..]].concat();
        let shorter = (0..encoded.len()).map(|end| &encoded[..end]);
        for wrong in shorter.chain([&longer[..]]) {
            let outcome = read(&parties, kind, wrong).await;
            let malformed = matches!(outcome, Err(Error::InvalidEncoding { .. }));
            assert!(malformed, "{kind}, {} bytes: {outcome:?}", wrong.len());
        }
    }
}

/// Some bytes carry nothing that matters, such as versions and certificates that travel along.
/// So a change is refused, or it changes nothing.
#[tokio::test]
async fn no_changed_byte_gives_another_content() {
    let parties = Parties::new();
    for (kind, encoded) in messages(&parties).await[..2].iter().enumerate() {
        let mut unnoticed = 0;
        for at in 0..encoded.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut changed = encoded.clone();
                changed[at] ^= change;
                match read(&parties, kind, &changed).await {
                    Ok(content) => {
                        assert_eq!(content, CONTENT, "{kind}, byte {at}");
                        unnoticed += 1;
                    }
                    Err(
                        Error::Rejected
                        | Error::InvalidEncoding { .. }
                        | Error::NotARecipient { .. },
                    ) => {}
                    Err(other) => assert_eq!(other, Error::Rejected, "{kind}, byte {at}"),
                }
            }
        }
        // The carried certificate is a third of it; all else is noticed.
        assert!(unnoticed < 3 * parties.signer.as_der().len() + 20);
    }
}

/// Where the initialization vector is: behind the identifier of SM4-CBC.
fn iv(encoded: &[u8]) -> usize {
    let cipher = [0x2a, 0x81, 0x1c, 0xcf, 0x55, 0x01, 0x68, 0x02, 0x04, 0x10];
    let mut windows = encoded.windows(cipher.len());
    let found = windows.position(|window| window == cipher);
    found.map_or(0, |at| at + cipher.len())
}

/// The reason for the name of `open_unauthenticated`, and for the other type.
#[tokio::test]
async fn a_changed_envelope_opens_and_the_signed_one_does_not() {
    let parties = Parties::new();
    let [_, both, envelope] = messages(&parties).await;
    let mut changed = envelope.clone();
    changed[iv(&envelope)] ^= b't' ^ b'T';
    let opened = read(&parties, 2, &changed).await.unwrap();
    assert_eq!(opened, b"Three containers of lamps, one of oil");
    let mut changed = both.clone();
    changed[iv(&both)] ^= b't' ^ b'T';
    let outcome = read(&parties, 1, &changed).await;
    assert_eq!(outcome, Err(Error::Rejected));
}

#[tokio::test]
async fn whoever_opens_learns_one_thing_only() {
    let parties = Parties::new();
    let [_, both, envelope] = messages(&parties).await;
    // Behind the vector come two bytes of frame and three blocks. Each byte of them decides about
    // the padding or about the content.
    let first_block = |encoded: &[u8]| iv(encoded) + 18;
    let start = first_block(&both);
    for at in start..start + 48 {
        let mut changed = both.clone();
        changed[at] ^= 0x10;
        let outcome = read(&parties, 1, &changed).await;
        assert_eq!(outcome, Err(Error::Rejected), "byte {at}");
    }
    let start = first_block(&envelope);
    let mut changed = envelope;
    changed[start + 31] ^= 0x40;
    let outcome = read(&parties, 2, &changed).await;
    assert_eq!(outcome, Err(Error::Rejected));
}

#[tokio::test]
async fn another_signer_another_key_and_another_use_are_refused() {
    let parties = Parties::new();
    let [signed, both, _] = messages(&parties).await;
    let issue = |name: &str, scalar, usage| -> Certificate {
        let validity = Validity::days(START_MS, 1);
        let issued = parties
            .authority
            .issue(name, key(scalar).public(), usage, validity);
        issued.unwrap()
    };
    let other = issue("signer", [0x11; 32], Usage::Sign);
    let same_key = issue("signer", super::SIGNER_SCALAR, Usage::Sign);
    let message = SignedData::from_der(&signed).unwrap();
    let opened = SignedAndEnvelopedData::from_der(&both).unwrap();
    for certificate in [&other, &same_key] {
        assert_eq!(message.verified_content(certificate), Err(Error::Rejected));
        let outcome = opened
            .open(&parties.recipient, &parties.recipient_key, certificate)
            .await;
        assert_eq!(outcome.err(), Some(Error::Rejected));
    }

    let wrong_use = |wanted| Error::WrongUsage {
        subject: "recipient".to_owned(),
        wanted,
    };
    let outcome = message.verified_content(&parties.recipient);
    assert_eq!(outcome, Err(wrong_use("to sign")));
    let outcome = SignedData::sign(vec![], &parties.recipient, &parties.recipient_key).await;
    assert_eq!(outcome.err(), Some(wrong_use("to sign")));
    let outcome = EnvelopedData::seal(b"", std::slice::from_ref(&parties.signer));
    let refused = Error::WrongUsage {
        subject: "signer".to_owned(),
        wanted: "to encrypt to",
    };
    assert_eq!(outcome.err(), Some(refused));

    let outcome = SignedData::sign(vec![], &other, &parties.signer_key).await;
    assert!(matches!(outcome, Err(Error::InvalidArgument { .. })));
    let outcome = opened
        .open(&parties.recipient, &parties.signer_key, &parties.signer)
        .await;
    assert!(matches!(outcome, Err(Error::InvalidArgument { .. })));
    let outcome = EnvelopedData::seal(b"", &[]);
    assert!(matches!(outcome, Err(Error::InvalidArgument { .. })));
}

/// Whoever signed attributes signed the bytes of a SET. Shown as a content without attributes,
/// the same signature would be over something that nobody wrote.
#[tokio::test]
async fn signed_attributes_are_not_a_content() {
    let parties = Parties::new();
    let encoded = parties.sign(CONTENT).await;
    let tag = [0xa0, 0x4c, 0x30];
    let found = encoded.windows(3).rposition(|window| window == tag);
    let start = found.unwrap();
    let attributes = &encoded[start..start + 2 + 0x4c];
    let mut set = attributes.to_vec();
    set[0] = 0x31;
    // The same message with the set as content, and without attributes.
    let outer = stripped(&encoded, attributes, &set);
    let message = SignedData::from_der(&outer).unwrap();
    let outcome = message.verified_content(&parties.signer);
    assert_eq!(outcome, Err(Error::Rejected));
}

/// Takes signed data apart far enough to put another content into it.
fn stripped(encoded: &[u8], attributes: &[u8], content: &[u8]) -> Vec<u8> {
    let frame = |tag: u8, parts: &[&[u8]]| {
        let inside = parts.concat();
        let length = u16::try_from(inside.len()).unwrap().to_be_bytes();
        match length {
            [0, short @ 0..0x80] => [&[tag, short], &inside[..]].concat(),
            [0, long] => [&[tag, 0x81, long], &inside[..]].concat(),
            long => [&[tag, 0x82], &long, &inside[..]].concat(),
        }
    };
    let fields = |bytes: &[u8]| -> Vec<Vec<u8>> {
        let mut fields = Vec::new();
        let mut rest = bytes;
        while let [_, length, ..] = rest {
            let (head, length) = match length {
                0x82 => (4, usize::from(rest[2]) << 8 | usize::from(rest[3])),
                0x81 => (3, usize::from(rest[2])),
                short => (2, usize::from(*short)),
            };
            let (field, behind) = rest.split_at(head + length);
            fields.push(field.to_vec());
            rest = behind;
        }
        fields
    };
    let inside = |field: &[u8]| match field[1] {
        0x82 => field[4..].to_vec(),
        0x81 => field[3..].to_vec(),
        _ => field[2..].to_vec(),
    };
    let info = fields(&inside(encoded));
    let data = fields(&inside(&inside(&info[1])));
    let octets = frame(0x04, &[content]);
    let kind = fields(&inside(&data[2])).swap_remove(0);
    let inner = frame(0x30, &[&kind, &frame(0xa0, &[&octets])]);
    let signer: Vec<u8> = fields(&inside(&inside(&data[4])))
        .into_iter()
        .filter(|field| field != attributes)
        .flatten()
        .collect();
    let signers = frame(0x31, &[&frame(0x30, &[&signer])]);
    let data = frame(0x30, &[&data[0], &data[1], &inner, &data[3], &signers]);
    frame(0x30, &[&info[0], &frame(0xa0, &[&data])])
}

#[test]
fn contents_above_the_limit_are_refused() {
    let parties = Parties::new();
    let long = vec![0; crypto::envelope::CONTENT_BYTES_MAX + 1];
    let recipients = std::slice::from_ref(&parties.recipient);
    let limit = Error::LimitExceeded {
        what: "envelope content bytes",
        limit: 67_108_864,
        found: 67_108_865,
    };
    let outcome = EnvelopedData::seal(&long, recipients);
    assert_eq!(outcome.err(), Some(limit.clone()));
    let outcome = block_on(SignedData::sign(long, &parties.signer, &parties.signer_key));
    assert_eq!(outcome.err(), Some(limit));
    let longest = vec![0; crypto::envelope::ENVELOPE_BYTES_MAX + 1];
    let outcome = SignedData::from_der(&longest);
    assert!(matches!(outcome, Err(Error::LimitExceeded { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn stray_bytes_are_no_message(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        kind in 0..3_usize,
    ) {
        let parties = Parties::new();
        prop_assert!(block_on(read(&parties, kind, &bytes)).is_err());
    }

    #[test]
    fn spliced_messages_never_panic_and_never_lie(
        kind in 0..2_usize,
        at in any::<prop::sample::Index>(),
        length in 0..40_usize,
        bytes in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let parties = Parties::new();
        block_on(async {
            let encoded = messages(&parties).await[kind].clone();
            let start = at.index(encoded.len());
            let end = encoded.len().min(start + length);
            let mut spliced = encoded;
            spliced.splice(start..end, bytes);
            if let Ok(content) = read(&parties, kind, &spliced).await {
                prop_assert_eq!(content, CONTENT);
            }
            Ok(())
        })?;
    }
}
