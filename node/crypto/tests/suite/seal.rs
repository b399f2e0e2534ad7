//! Sealed streams: what is sealed opens, and nothing else does.

#![expect(clippy::unwrap_used, reason = "set-up of tests")]

use crypto::merkle::{leaf_digest, root_of};
use crypto::seal::{
    CHUNK_BYTES, Opener, RECIPIENTS_MAX, REJECTED_CHUNKS_MAX, STREAM_BYTES_MAX, SealedHeader,
    SealedTrailer, Sealer, StreamParameters,
};
use crypto::{Digest, Error, PublicKey, SoftwareKey};
use proptest::prelude::*;

struct Stream {
    sender: SoftwareKey,
    recipient: SoftwareKey,
    header: SealedHeader,
    chunks: Vec<Vec<u8>>,
    trailer: SealedTrailer,
    plain: Vec<u8>,
}

fn parameters(plain_bytes: u64) -> StreamParameters {
    StreamParameters {
        stream_id: crypto::random_bytes().unwrap(),
        schema: Digest::of(b"schema"),
        policy: Digest::of(b"policy"),
        plain_bytes,
        created_at_ms: 1_764_000_000_000,
        context: b"release 7".to_vec(),
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(future)
}

fn pieces(plain: &[u8]) -> Vec<&[u8]> {
    if plain.is_empty() {
        vec![plain]
    } else {
        plain.chunks(CHUNK_BYTES).collect()
    }
}

fn seal_with(plain: Vec<u8>, sender: SoftwareKey, recipient: SoftwareKey) -> Stream {
    let recipients = [recipient.public().clone(), sender.public().clone()];
    let parameters = parameters(plain.len() as u64);
    let (sealer, header) = wait(Sealer::start(parameters, &recipients, &sender)).unwrap();
    let mut chunks = Vec::new();
    for (index, piece) in pieces(&plain).into_iter().enumerate() {
        chunks.push(sealer.seal_chunk(index as u64, piece.to_vec()).unwrap());
    }
    let trailer = wait(sealer.finish(&sender)).unwrap();
    Stream {
        sender,
        recipient,
        header,
        chunks,
        trailer,
        plain,
    }
}

fn seal(plain: Vec<u8>) -> Stream {
    seal_with(
        plain,
        SoftwareKey::generate().unwrap(),
        SoftwareKey::generate().unwrap(),
    )
}

fn start(stream: &Stream) -> Opener {
    wait(Opener::start(
        &stream.header,
        stream.sender.public(),
        &stream.recipient,
    ))
    .unwrap()
}

fn noise(len: usize) -> Vec<u8> {
    // A plain multiplicative generator: the content does not matter, only that chunks differ.
    let mut state = 1_u32;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
        .collect()
}

fn check_round_trip(plain_bytes: usize) {
    let stream = seal(noise(plain_bytes));
    let header = SealedHeader::from_bytes(&stream.header.to_bytes().unwrap()).unwrap();
    assert_eq!(header, stream.header);
    let trailer = SealedTrailer::from_bytes(&stream.trailer.to_bytes().unwrap()).unwrap();
    assert_eq!(trailer, stream.trailer);
    let opener = start(&stream);
    assert_eq!(opener.chunk_count(), stream.chunks.len() as u64);
    let end = plain_bytes as u64;
    assert_eq!(opener.chunk_plain_range(opener.chunk_count()), end..end);
    // Backwards, and the first one twice: order and repetition are free.
    let mut plain = vec![0; plain_bytes];
    for (index, chunk) in stream
        .chunks
        .iter()
        .enumerate()
        .rev()
        .chain([(0, &stream.chunks[0])])
    {
        let range = opener.chunk_plain_range(index as u64);
        let opened = opener.open_chunk(index as u64, chunk.clone()).unwrap();
        let start = usize::try_from(range.start).unwrap();
        assert_eq!(range.end - range.start, opened.len() as u64);
        plain[start..start + opened.len()].copy_from_slice(&opened);
    }
    assert_eq!(plain, stream.plain);
    let leaves: Vec<Digest> = stream
        .chunks
        .iter()
        .map(|chunk| leaf_digest(chunk))
        .collect();
    assert_eq!(opener.finish(&trailer), Ok(root_of(&leaves)));
}

#[test]
fn what_is_sealed_opens_at_every_kind_of_length() {
    for plain_bytes in [
        0,
        1,
        15,
        16,
        17,
        1_000,
        CHUNK_BYTES - 1,
        CHUNK_BYTES,
        CHUNK_BYTES + 1,
    ] {
        check_round_trip(plain_bytes);
    }
    check_round_trip(3 * CHUNK_BYTES);
}

#[test]
fn every_flipped_bit_of_a_small_stream_is_refused() {
    let stream = seal(noise(40));
    let opener = || start(&stream);
    let mut current = opener();
    let mut failures = 0;
    for bit in 0..stream.chunks[0].len() * 8 {
        let mut changed = stream.chunks[0].clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            current.open_chunk(0, changed),
            Err(Error::Rejected),
            "bit {bit}"
        );
        failures += 1;
        if failures % REJECTED_CHUNKS_MAX == 0 {
            current = opener();
        }
    }
}

#[test]
fn every_flipped_byte_of_a_header_is_refused() {
    let stream = seal(noise(40));
    let bytes = stream.header.to_bytes().unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x01;
        let Ok(header) = SealedHeader::from_bytes(&changed) else {
            continue;
        };
        let outcome = wait(Opener::start(
            &header,
            stream.sender.public(),
            &stream.recipient,
        ))
        .err();
        assert_eq!(outcome, Some(Error::Rejected), "byte {at}");
    }
    for length in 0..bytes.len() {
        assert!(
            SealedHeader::from_bytes(&bytes[..length]).is_err(),
            "{length} bytes"
        );
    }
    assert!(SealedHeader::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
}

#[test]
fn every_flipped_byte_of_a_trailer_is_refused() {
    let stream = seal(noise(40));
    let opener = start(&stream);
    opener.open_chunk(0, stream.chunks[0].clone()).unwrap();
    let bytes = stream.trailer.to_bytes().unwrap();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x01;
        let Ok(trailer) = SealedTrailer::from_bytes(&changed) else {
            continue;
        };
        assert_eq!(opener.finish(&trailer), Err(Error::Rejected), "byte {at}");
    }
    assert!(opener.finish(&stream.trailer).is_ok());
}

#[test]
fn chunks_of_another_place_length_or_stream_are_refused() {
    let plain = noise(2 * CHUNK_BYTES);
    let stream = seal(plain.clone());
    let opener = start(&stream);
    let refused = Err(Error::Rejected);
    assert_eq!(
        opener.open_chunk(0, stream.chunks[1].clone()),
        refused,
        "reordered"
    );
    assert_eq!(
        opener.open_chunk(1, stream.chunks[0].clone()),
        refused,
        "replayed"
    );
    let short = stream.chunks[0][..CHUNK_BYTES].to_vec();
    assert_eq!(opener.open_chunk(0, short), refused, "cut");
    let long = [&stream.chunks[0][..], &[0]].concat();
    assert_eq!(opener.open_chunk(0, long), refused, "lengthened");
    assert_eq!(opener.open_chunk(0, Vec::new()), refused, "empty");
    // The same people, the same plaintext: still another stream.
    let other = seal_with(plain, stream.sender, stream.recipient);
    assert_eq!(
        opener.open_chunk(0, other.chunks[0].clone()),
        refused,
        "spliced"
    );
    let outside = Error::NoSuchChunk {
        index: 2,
        chunk_count: 2,
    };
    assert_eq!(opener.open_chunk(2, other.chunks[0].clone()), Err(outside));
}

#[test]
fn a_truncated_stream_is_never_finished() {
    let stream = seal(noise(CHUNK_BYTES + 1));
    let opener = start(&stream);
    opener.open_chunk(0, stream.chunks[0].clone()).unwrap();
    let unfinished = Error::Unfinished {
        missing: 1,
        chunk_count: 2,
    };
    assert_eq!(opener.finish(&stream.trailer), Err(unfinished));
}

#[test]
fn a_trailer_of_another_stream_is_refused() {
    let one = seal(noise(40));
    let (header, chunk) = (one.header.clone(), one.chunks[0].clone());
    let sender_public = one.sender.public().clone();
    let other = seal_with(noise(40), one.sender, one.recipient);
    let opener = wait(Opener::start(&header, &sender_public, &other.recipient)).unwrap();
    opener.open_chunk(0, chunk).unwrap();
    assert_eq!(opener.finish(&other.trailer), Err(Error::Rejected));
}

#[test]
fn other_bytes_under_a_sealed_index_are_refused_and_the_same_are_not() {
    let key = SoftwareKey::generate().unwrap();
    let recipients = [key.public().clone()];
    let (sealer, _) = wait(Sealer::start(parameters(5), &recipients, &key)).unwrap();
    let first = sealer.seal_chunk(0, b"first".to_vec()).unwrap();
    assert_eq!(sealer.seal_chunk(0, b"first".to_vec()), Ok(first));
    let changed = Error::PinnedBytesChanged { index: 0 };
    assert_eq!(sealer.seal_chunk(0, b"other".to_vec()), Err(changed));
    let length = Error::ChunkLength {
        index: 0,
        expected_bytes: 5,
        found_bytes: 6,
    };
    assert_eq!(sealer.seal_chunk(0, b"longer".to_vec()), Err(length));
}

#[test]
fn a_sealer_with_missing_chunks_signs_nothing() {
    let key = SoftwareKey::generate().unwrap();
    let recipients = [key.public().clone()];
    let (sealer, _) = wait(Sealer::start(parameters(5), &recipients, &key)).unwrap();
    let unfinished = Error::Unfinished {
        missing: 1,
        chunk_count: 1,
    };
    assert_eq!(wait(sealer.finish(&key)), Err(unfinished));
}

#[test]
fn strangers_neither_open_nor_pass_for_the_sender() {
    let stream = seal(noise(40));
    let stranger = SoftwareKey::generate().unwrap();
    let outcome = wait(Opener::start(
        &stream.header,
        stream.sender.public(),
        &stranger,
    ))
    .err();
    let key = stranger.public().key_id();
    assert_eq!(outcome, Some(Error::NotARecipient { key }));
    let outcome = wait(Opener::start(
        &stream.header,
        stranger.public(),
        &stream.recipient,
    ))
    .err();
    assert_eq!(outcome, Some(Error::Rejected));
}

#[test]
fn a_rotated_key_gets_the_same_stream_by_a_new_wrap() {
    let stream = seal(noise(40));
    let rotated = SoftwareKey::generate().unwrap();
    let recipients = [rotated.public().clone()];
    let header = wait(
        stream
            .header
            .rewrap(&stream.sender, &recipients, &stream.sender),
    )
    .unwrap();
    assert_eq!(header.digest(), stream.header.digest());
    let opener = wait(Opener::start(&header, stream.sender.public(), &rotated)).unwrap();
    assert_eq!(
        opener.open_chunk(0, stream.chunks[0].clone()),
        Ok(stream.plain.clone())
    );
    // Only the sender can do it, not a recipient.
    let outcome = wait(
        stream
            .header
            .rewrap(&stream.recipient, &recipients, &stream.recipient),
    );
    assert_eq!(outcome.err(), Some(Error::Rejected));
    // The wraps of one stream do not fit another one.
    let other = seal(noise(40));
    let mixed = SealedHeader {
        wraps: header.wraps.clone(),
        wraps_signature: header.wraps_signature,
        ..other.header.clone()
    };
    let outcome = wait(Opener::start(&mixed, other.sender.public(), &rotated)).err();
    assert_eq!(outcome, Some(Error::Rejected));
}

#[test]
fn a_restarted_recipient_need_not_open_everything_again() {
    let stream = seal(noise(CHUNK_BYTES + 1));
    let opener = start(&stream);
    opener
        .resume_chunk(0, leaf_digest(&stream.chunks[0]))
        .unwrap();
    opener.open_chunk(1, stream.chunks[1].clone()).unwrap();
    assert_eq!(opener.finish(&stream.trailer), Ok(stream.trailer.root));
    let misled = start(&stream);
    misled.resume_chunk(0, Digest::ZERO).unwrap();
    misled.open_chunk(1, stream.chunks[1].clone()).unwrap();
    assert_eq!(misled.finish(&stream.trailer), Err(Error::Rejected));
}

#[test]
fn trying_tags_ends_the_stream() {
    let stream = seal(noise(40));
    let opener = start(&stream);
    for _ in 0..REJECTED_CHUNKS_MAX {
        assert_eq!(opener.open_chunk(0, vec![0; 56]), Err(Error::Rejected));
    }
    assert_eq!(
        opener.open_chunk(0, stream.chunks[0].clone()),
        Err(Error::Rejected)
    );
}

#[test]
fn recipients_and_lengths_have_limits() {
    let key = SoftwareKey::generate().unwrap();
    let outcome = |parameters: StreamParameters, recipients: &[PublicKey]| {
        wait(Sealer::start(parameters, recipients, &key)).err()
    };
    let one = [key.public().clone()];
    let none = Error::InvalidArgument {
        what: "recipients",
        reason: "there must be one",
    };
    assert_eq!(outcome(parameters(1), &[]), Some(none));
    let twice = [one[0].clone(), one[0].clone()];
    let same = Error::InvalidArgument {
        what: "recipients",
        reason: "the same key is given twice",
    };
    assert_eq!(outcome(parameters(1), &twice), Some(same));
    let many = vec![one[0].clone(); RECIPIENTS_MAX + 1];
    let limit = Error::LimitExceeded {
        what: "recipients",
        limit: 16,
        found: 17,
    };
    assert_eq!(outcome(parameters(1), &many), Some(limit));
    let found = STREAM_BYTES_MAX + 1;
    let long = Error::LimitExceeded {
        what: "stream bytes",
        limit: STREAM_BYTES_MAX,
        found,
    };
    assert_eq!(outcome(parameters(found), &one), Some(long));
    let context = vec![0; 4_097];
    let wide = Error::LimitExceeded {
        what: "context bytes",
        limit: 4_096,
        found: 4_097,
    };
    assert_eq!(
        outcome(
            StreamParameters {
                context,
                ..parameters(1)
            },
            &one
        ),
        Some(wide)
    );
}

#[test]
fn sixteen_recipients_with_a_full_context_fit_and_each_opens() {
    let keys: Vec<SoftwareKey> = (0..RECIPIENTS_MAX)
        .map(|_| SoftwareKey::generate().unwrap())
        .collect();
    let recipients: Vec<PublicKey> = keys.iter().map(|key| key.public().clone()).collect();
    let full = StreamParameters {
        context: vec![7; 4_096],
        ..parameters(3)
    };
    let (sealer, header) = wait(Sealer::start(full, &recipients, &keys[0])).unwrap();
    let chunk = sealer.seal_chunk(0, b"abc".to_vec()).unwrap();
    let header = SealedHeader::from_bytes(&header.to_bytes().unwrap()).unwrap();
    for key in &keys {
        let opener = wait(Opener::start(&header, keys[0].public(), key)).unwrap();
        assert_eq!(opener.open_chunk(0, chunk.clone()), Ok(b"abc".to_vec()));
    }
}

#[test]
fn chunks_are_sealed_by_many_threads() {
    let key = SoftwareKey::generate().unwrap();
    let plain = noise(3 * CHUNK_BYTES + 5);
    let recipients = [key.public().clone()];
    let (sealer, header) = wait(Sealer::start(
        parameters(plain.len() as u64),
        &recipients,
        &key,
    ))
    .unwrap();
    let chunks: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let workers: Vec<_> = pieces(&plain)
            .into_iter()
            .enumerate()
            .map(|(index, piece)| {
                let sealer = &sealer;
                scope.spawn(move || sealer.seal_chunk(index as u64, piece.to_vec()).unwrap())
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().expect("no panic"))
            .collect()
    });
    let trailer = wait(sealer.finish(&key)).unwrap();
    let opener = wait(Opener::start(&header, key.public(), &key)).unwrap();
    let mut opened = Vec::new();
    for (index, chunk) in chunks.into_iter().enumerate() {
        opened.extend(opener.open_chunk(index as u64, chunk).unwrap());
    }
    assert_eq!(opened, plain);
    assert_eq!(opener.finish(&trailer), Ok(trailer.root));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_bytes_go_through_unchanged(plain in prop::collection::vec(any::<u8>(), 0..5_000)) {
        let stream = seal(plain);
        let opened = start(&stream).open_chunk(0, stream.chunks[0].clone());
        prop_assert_eq!(opened, Ok(stream.plain));
    }

    #[test]
    fn stray_bytes_are_no_header_and_no_trailer(bytes: Vec<u8>) {
        prop_assert!(SealedHeader::from_bytes(&bytes).is_err());
        prop_assert!(SealedTrailer::from_bytes(&bytes).is_err());
    }
}

#[test]
fn neighbouring_chunks_go_together_or_not_at_all() {
    let stream = seal(vec![0x2a; 3 * CHUNK_BYTES + 5]);
    let recipients = [stream.recipient.public().clone()];
    let size = stream.plain.len() as u64;
    let (sealer, header) =
        wait(Sealer::start(parameters(size), &recipients, &stream.sender)).unwrap();
    let plain: Vec<Vec<u8>> = pieces(&stream.plain)
        .into_iter()
        .map(<[u8]>::to_vec)
        .collect();
    let sealed = sealer.seal_chunks(0, plain.clone()).unwrap();
    for ((index, piece), together) in (0..).zip(&plain).zip(&sealed) {
        assert_eq!(&sealer.seal_chunk(index, piece.clone()).unwrap(), together);
    }
    let changed = [plain[1].clone(), vec![0; CHUNK_BYTES]].to_vec();
    let refused = sealer.seal_chunks(1, changed);
    assert_eq!(refused, Err(Error::PinnedBytesChanged { index: 2 }));
    assert!(sealer.seal_chunks(u64::MAX, plain[..2].to_vec()).is_err());

    let opener = wait(Opener::start(
        &header,
        stream.sender.public(),
        &stream.recipient,
    ))
    .unwrap();
    let mut damaged = sealed.clone();
    damaged[3][0] ^= 1;
    assert_eq!(opener.open_chunks(0, damaged), Err(Error::Rejected));
    assert_eq!(
        opener.open_chunks(1, sealed[..3].to_vec()),
        Err(Error::Rejected)
    );
    assert!(opener.open_chunks(u64::MAX, sealed[..2].to_vec()).is_err());
    let leaves: Vec<Digest> = sealed.iter().map(|it| leaf_digest(it)).collect();
    let opened = opener.open_chunks(0, sealed).unwrap();
    assert_eq!(opened, plain.into_iter().zip(leaves).collect::<Vec<_>>());
    let trailer = wait(sealer.finish(&stream.sender)).unwrap();
    assert!(opener.finish(&trailer).is_ok());
}
