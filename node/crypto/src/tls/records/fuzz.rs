//! What must hold for whatever a peer sends after its handshake.
//!
//! It does not choose the bytes: the tests below do. Each function says whether the bytes were
//! valid.

use super::tests::{drain, feed, opened_pair, said, sent};
use super::{Read, Records};

/// Bytes behind a handshake, from somebody who has no key: nothing is handed out, and whatever
/// is refused is refused for good.
fn records_of_strangers(bytes: &[u8]) -> bool {
    let (client, mut server) = opened_pair();
    for piece in bytes.chunks(7_000) {
        feed(&mut server, piece);
        let (heard, end) = drain(&mut server, 999);
        assert_eq!(heard, b"");
        if end != Ok(Read::Incomplete) {
            assert_refused_for_good(server, client);
            return false;
        }
    }
    true
}

/// What the peer itself seals: records one after the other, each as a type, two bytes of length
/// and a body. What is handed out is the content of the records before the first that is refused.
fn records_of_peers(mut bytes: &[u8]) -> bool {
    let (mut client, mut server) = opened_pair();
    let (mut heard, mut content) = (Vec::new(), Vec::new());
    while let Some((&[kind, a, b], rest)) = bytes.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([a, b])).min(rest.len());
        let (body, rest) = rest.split_at(length);
        bytes = rest;
        if client.outbound.append(kind, body).is_err() {
            return false;
        }
        feed(&mut server, &sent(&mut client));
        let (now, end) = drain(&mut server, 999);
        heard.extend(now);
        // What is behind the content and its type may be padding, and the type as well.
        if kind == 23 {
            content.extend_from_slice(body);
        } else if kind == 0 {
            let length = body.iter().rposition(|byte| *byte != 0).unwrap_or(0);
            content.extend_from_slice(if body.get(length) == Some(&23) {
                &body[..length]
            } else {
                b""
            });
        }
        match end {
            Ok(Read::Incomplete) => assert!(heard == content),
            Ok(_) => return true,
            Err(_) => {
                assert!(content.starts_with(&heard));
                assert_refused_for_good(server, client);
                return false;
            }
        }
    }
    bytes.is_empty()
}

fn assert_refused_for_good(mut ours: Records, mut peer: Records) {
    let (_, fault) = drain(&mut ours, 9);
    assert!(fault.is_err());
    feed(&mut ours, &said(&mut peer, b"more"));
    assert_eq!(drain(&mut ours, 9), (vec![], fault.clone()));
    assert_eq!(ours.write(b"more").err(), fault.err());
}

#[cfg(test)]
mod runs {
    use mutate::Fuzz;

    use super::*;

    #[test]
    fn records_that_no_key_made() {
        let record = [&[23, 3, 3, 0, 40][..], &[7; 39]].concat();
        Fuzz {
            name: "tls_records_of_strangers",
            seeds: &[record, vec![23, 3, 3, 0x41, 0]],
            words: &["\u{17}\u{3}\u{3}\0\u{11}", "\u{15}\u{3}\u{3}\0\u{2}\u{1}\0"],
            runs: 300,
        }
        .run(records_of_strangers);
    }

    #[test]
    fn records_that_the_peer_made() {
        let record = |kind: u8, body: &[u8]| {
            let [a, b] = u16::try_from(body.len()).unwrap().to_be_bytes();
            [&[kind, a, b], body].concat()
        };
        let content = record(23, b"content");
        let padded = record(0, b"content\x17\0\0\0");
        let update = record(22, &[24, 0, 0, 1, 0]);
        let close = record(21, &[1, 0]);
        let halves = [record(22, &[24, 0, 0]), record(22, &[1, 1])].concat();
        Fuzz {
            name: "tls_records_of_peers",
            seeds: &[
                [content.clone(), padded.clone(), update].concat(),
                [padded, content.clone(), close].concat(),
                [content, halves].concat(),
            ],
            words: &[
                "\u{16}\0\u{5}\u{18}\0\0\u{1}\u{1}",
                "\u{17}\0\0",
                "\u{15}\0\u{2}",
            ],
            runs: 400,
        }
        .run(records_of_peers);
    }
}
