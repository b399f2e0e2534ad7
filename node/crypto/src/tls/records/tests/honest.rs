//! What ends that mean well exchange.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use rustls::crypto::CryptoProvider;
use rustls::{CipherSuiteCommon, Connection, SupportedCipherSuite, Tls13CipherSuite};

use super::super::{CONTENT_BYTES_MAX, RECORD_BYTES_MAX, Read, RecordFault, WRITE_BYTES_MAX};
use super::{
    MEMBERS, Records, answer, content, drain, feed, opened, opened_pair, our_client, our_server,
    rustls_client, rustls_server, said, sent,
};
use crate::tls::shangmi;

/// What one of the ends does.
#[derive(Clone, Debug)]
enum Turn {
    WeWrite(usize),
    WeFinish,
    WeUpdate,
    PeerWrites(usize),
    PeerUpdates,
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let length = prop_oneof![0..40_usize, 16_300..16_500_usize, 0..150_000_usize];
    let turn = prop_oneof![
        4 => length.clone().prop_map(Turn::WeWrite),
        2 => Just(Turn::WeFinish),
        1 => Just(Turn::WeUpdate),
        4 => length.prop_map(Turn::PeerWrites),
        1 => Just(Turn::PeerUpdates),
    ];
    vec(turn, 1..12)
}

/// An end of ours, rustls at the other, and what each said and heard.
struct Ends {
    ours: Records,
    peer: Connection,
    we_said: Vec<u8>,
    peer_heard: Vec<u8>,
    peer_said: Vec<u8>,
    we_heard: Vec<u8>,
}

impl Ends {
    fn new(is_client: bool) -> Self {
        let (ours, peer) = if is_client {
            let mut peer = rustls_server();
            (opened(our_client(&MEMBERS.client), &mut peer), peer)
        } else {
            let mut peer = rustls_client();
            (opened(our_server(&MEMBERS.server), &mut peer), peer)
        };
        Self {
            ours,
            peer,
            we_said: Vec::new(),
            peer_heard: Vec::new(),
            peer_said: Vec::new(),
            we_heard: Vec::new(),
        }
    }

    fn take(&mut self, turn: &Turn, cuts: &[usize], step: usize) {
        match turn {
            Turn::WeWrite(length) => {
                let bytes = content(*length);
                let mut rest = &bytes[..];
                while !rest.is_empty() {
                    rest = &rest[self.ours.write(rest).unwrap()..];
                    if !rest.is_empty() {
                        self.carry_ours();
                    }
                }
                self.we_said.extend(bytes);
            }
            Turn::WeFinish => self.ours.finish().unwrap(),
            Turn::WeUpdate => self.ours.update_key().unwrap(),
            Turn::PeerWrites(length) => {
                let bytes = content(*length);
                for piece in bytes.chunks(48 << 10) {
                    self.peer.writer().write_all(piece).unwrap();
                    self.carry_peers(cuts, step);
                }
                self.peer_said.extend(bytes);
            }
            Turn::PeerUpdates => self.peer.refresh_traffic_keys().unwrap(),
        }
        self.carry_ours();
        self.carry_peers(cuts, step);
    }

    fn carry_ours(&mut self) {
        let bytes = sent(&mut self.ours);
        let mut bytes = &bytes[..];
        while !bytes.is_empty() {
            self.peer.read_tls(&mut bytes).unwrap();
            self.peer.process_new_packets().unwrap();
            // Ends with an error when there is no more now.
            let _more = self.peer.reader().read_to_end(&mut self.peer_heard);
        }
    }

    /// Brings what rustls has to say in pieces of the given lengths.
    fn carry_peers(&mut self, cuts: &[usize], step: usize) {
        let bytes = answer(&mut self.peer, &[]).unwrap();
        let mut rest = &bytes[..];
        let mut cuts = cuts.iter().cycle();
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(rest.len().min(*cuts.next().unwrap()));
            feed(&mut self.ours, piece);
            let (heard, end) = drain(&mut self.ours, step);
            assert_eq!(end, Ok(Read::Incomplete));
            self.we_heard.extend(heard);
            rest = later;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_split_of_writes_records_and_reads_gives_the_same_bytes(
        is_client: bool,
        turns in turns(),
        cuts in vec(prop_oneof![1..50_usize, 1..40_000_usize], 1..6),
        step in prop_oneof![1..100_usize, 1..40_000_usize],
    ) {
        let mut ends = Ends::new(is_client);
        for turn in &turns {
            ends.take(turn, &cuts, step);
        }
        ends.ours.finish().unwrap();
        ends.carry_ours();
        prop_assert!(ends.we_said == ends.peer_heard);
        prop_assert!(ends.peer_said == ends.we_heard);
    }
}

#[test]
fn heads_and_bodies_travel_in_full_records() {
    let (mut ours, _) = opened_pair();
    for _ in 0..3 {
        assert_eq!(ours.write(&[0; 9]), Ok(9));
        assert_eq!(ours.write(&content(16_384)), Ok(16_384));
    }
    assert_eq!(ours.unsent().len(), 3 * RECORD_BYTES_MAX);
    ours.finish().unwrap();
    let overhead = RECORD_BYTES_MAX - CONTENT_BYTES_MAX;
    assert_eq!(ours.unsent().len(), 3 * RECORD_BYTES_MAX + 27 + overhead);
}

#[test]
fn what_waits_to_be_sent_is_bounded() {
    let (mut ours, _) = opened_pair();
    let bytes = content(1 << 20);
    assert_eq!(ours.write(&bytes), Ok(8 * CONTENT_BYTES_MAX));
    assert_eq!(ours.write(&bytes), Ok(0));
    assert_eq!(ours.unsent().len(), WRITE_BYTES_MAX);
    ours.was_sent(WRITE_BYTES_MAX - 1);
    assert_eq!(ours.write(&bytes), Ok(0));
    ours.was_sent(1);
    assert_eq!(ours.write(&bytes), Ok(8 * CONTENT_BYTES_MAX));
}

#[test]
fn an_end_that_said_all_still_hears() {
    for is_client in [false, true] {
        let mut ends = Ends::new(is_client);
        ends.ours.close().unwrap();
        ends.carry_ours();
        assert_eq!(ends.peer.reader().read(&mut [0; 9]).unwrap(), 0);
        ends.take(&Turn::PeerWrites(50_000), &[7_000], 999);
        assert_eq!(ends.we_heard, ends.peer_said);
        ends.peer.send_close_notify();
        let last = answer(&mut ends.peer, &[]).unwrap();
        feed(&mut ends.ours, &last);
        assert_eq!(drain(&mut ends.ours, 9), (vec![], Ok(Read::Closed)));
    }
}

#[test]
fn an_end_that_heard_all_still_speaks_and_hears_no_more() {
    let (mut ours, mut peer) = opened_pair();
    let last = said(&mut peer, b"last");
    peer.close().unwrap();
    let closing = sent(&mut peer);
    let mut after = [last, closing].concat();
    after.extend_from_slice(b"what comes after it");
    feed(&mut ours, &after);
    assert_eq!(drain(&mut ours, 100), (b"last".to_vec(), Ok(Read::Closed)));
    feed(&mut ours, b"and still");
    assert_eq!(drain(&mut ours, 100), (vec![], Ok(Read::Closed)));
    feed(&mut peer, &said(&mut ours, b"answer"));
    assert_eq!(
        drain(&mut peer, 100),
        (b"answer".to_vec(), Ok(Read::Incomplete))
    );
}

#[test]
fn an_end_that_is_cut_off_is_no_end() {
    let record_bytes = 100 + RECORD_BYTES_MAX - CONTENT_BYTES_MAX;
    for length in [0, 3, 60, record_bytes] {
        let (mut ours, mut peer) = opened_pair();
        let record = said(&mut peer, &content(100));
        feed(&mut ours, &record[..length]);
        assert_eq!(record.len(), record_bytes);
        let whole = length == record_bytes;
        let heard = if whole { content(100) } else { Vec::new() };
        assert_eq!(drain(&mut ours, 64), (heard, Ok(Read::Incomplete)));
        assert_eq!(ours.cut_off(), RecordFault::Truncated);
        assert_eq!(drain(&mut ours, 64), (vec![], Err(RecordFault::Truncated)));
        assert_eq!(ours.write(b"more"), Err(RecordFault::Truncated));
        assert_eq!(ours.unsent(), b"");
    }
}

#[test]
fn a_key_that_sealed_its_limit_is_replaced_before_the_next_record() {
    let original = shangmi::provider().cipher_suites[0].tls13().unwrap();
    let common = &original.common;
    assert_eq!(common.confidentiality_limit, 1 << 24);
    let short: &'static Tls13CipherSuite = Box::leak(Box::new(Tls13CipherSuite {
        common: CipherSuiteCommon {
            suite: common.suite,
            hash_provider: common.hash_provider,
            confidentiality_limit: 8,
        },
        hkdf_provider: original.hkdf_provider,
        aead_alg: original.aead_alg,
        quic: None,
    }));
    let mut provider = CryptoProvider::clone(&shangmi::provider());
    provider.cipher_suites = vec![SupportedCipherSuite::Tls13(short)];
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&MEMBERS.server.cert_resolver));
    config.enable_secret_extraction = true;
    config.send_tls13_tickets = 0;
    let mut peer = rustls_client();
    let mut ours = opened(our_server(&Arc::new(config)), &mut peer);
    let mut lengths = Vec::new();
    for _ in 0..30 {
        let records = said(&mut ours, b"record");
        lengths.push(records.len());
        answer(&mut peer, &records).unwrap();
    }
    // Seven records, and as the eighth the update, before the first of the next key.
    let expected = |at| if at > 0 && at % 7 == 0 { 28 + 27 } else { 28 };
    assert_eq!(lengths, (0..30).map(expected).collect::<Vec<_>>());
    let mut heard = Vec::new();
    let _more = peer.reader().read_to_end(&mut heard);
    assert_eq!(heard, b"record".repeat(30));
}

#[test]
fn a_key_that_the_peer_asks_for_comes_before_the_next_content() {
    let (mut ours, mut peer) = opened_pair();
    for _ in 0..5 {
        // Asked twice before there is content: one new key is the answer to both.
        for _ in 0..2 {
            peer.outbound.append(22, &[24, 0, 0, 1, 1]).unwrap();
            let key = peer.keys.next_sending().unwrap();
            peer.outbound.replace_key(key);
        }
        feed(&mut ours, &sent(&mut peer));
        assert_eq!(drain(&mut ours, 9), (vec![], Ok(Read::Incomplete)));
        let records = said(&mut ours, b"answer");
        assert_eq!(records.len(), 27 + 28);
        feed(&mut peer, &records);
        assert_eq!(drain(&mut peer, 9).0, b"answer");
        feed(&mut ours, &said(&mut peer, b"more"));
        assert_eq!(drain(&mut ours, 9).0, b"more");
    }
}

#[test]
fn padding_is_taken_off() {
    let (mut ours, mut peer) = opened_pair();
    for zeros in [1, 15, 200] {
        let mut body = b"content\0".to_vec();
        body.push(23);
        body.resize(body.len() + zeros - 1, 0);
        peer.outbound.append(0, &body).unwrap();
        feed(&mut ours, &sent(&mut peer));
        assert_eq!(drain(&mut ours, 50).0, b"content\0");
    }
}
