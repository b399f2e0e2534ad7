//! SM3 against published answers and another implementation, in one stream and in lanes.

use ::sm3::Digest as _;
use proptest::prelude::*;

use super::*;

fn known(message: &[u8]) -> [u8; 32] {
    ::sm3::Sm3::digest(message).into()
}

fn bytes(length: usize, seed: usize) -> Vec<u8> {
    (0..length)
        .map(|i| (i * i + seed * 31 + i / 7).to_le_bytes()[0])
        .collect()
}

/// GB/T 32905-2016, A.1 and A.2.
#[test]
fn both_examples_of_the_standard_come_out() {
    let published = [
        (
            b"abc".to_vec(),
            "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0",
        ),
        (
            b"abcd".repeat(16),
            "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732",
        ),
    ];
    for (message, digest) in published {
        for lanes in Lanes::available() {
            let found = lanes.digests(&[], &[&message[..]; 20]);
            assert!(
                found.iter().all(|it| hex::encode(it) == digest),
                "{}",
                lanes.count()
            );
        }
    }
}

#[test]
fn every_length_comes_out_in_every_lane() {
    let messages: Vec<Vec<u8>> = (0..300).map(|length| bytes(length, length)).collect();
    let borrowed: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    for prefix in [&b""[..], &[0], &[1; 63]] {
        let expected: Vec<[u8; 32]> = messages
            .iter()
            .map(|message| known(&[prefix, message].concat()))
            .collect();
        for lanes in Lanes::available() {
            for few in [0, 1, 2, 7, 8, 15, 16, 17, 300] {
                let found = lanes.digests(prefix, &borrowed[..few]);
                assert_eq!(found, expected[..few], "{} lanes", lanes.count());
            }
        }
    }
}

proptest! {
    #[test]
    fn pieces_make_no_difference(pieces: Vec<Vec<u8>>) {
        let mut stream = Stream::new();
        for piece in &pieces {
            stream.update(piece);
        }
        prop_assert_eq!(stream.finish(), known(&pieces.concat()));
    }

    #[test]
    fn lanes_agree_with_one_stream(
        lengths in prop::collection::vec(0_usize..2_000, 0..40),
        seed in 0_usize..1_000,
    ) {
        let messages: Vec<Vec<u8>> = lengths.iter().map(|it| bytes(*it, seed + it)).collect();
        let borrowed: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let expected: Vec<[u8; 32]> = messages.iter().map(|it| known(it)).collect();
        for lanes in Lanes::available() {
            prop_assert_eq!(lanes.digests(&[], &borrowed), expected.clone());
        }
    }
}
