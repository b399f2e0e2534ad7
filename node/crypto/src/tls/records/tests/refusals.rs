//! What a peer may not do, and what it is told.

use rustls::AlertDescription;

use super::super::{MESSAGE_BYTES_MAX, QUIET_MAX, Read, RecordFault};
use super::{Records, content, drain, feed, opened_pair, said, sent};

/// A fault of the server's end is final, and the client is told.
fn assert_refused(mut server: Records, mut client: Records, fault: &RecordFault) {
    assert_eq!(drain(&mut server, 99).1, Err(fault.clone()));
    let alert = sent(&mut server);
    for _ in 0..2 {
        assert_eq!(drain(&mut server, 99), (vec![], Err(fault.clone())));
        assert_eq!(server.write(b"more"), Err(fault.clone()));
        assert_eq!(server.finish(), Err(fault.clone()));
        assert_eq!(server.close(), Err(fault.clone()));
        assert_eq!(server.unsent(), b"");
    }
    feed(&mut client, &alert);
    let told = match fault.alert() {
        Some(alert) => Err(RecordFault::Alert(alert)),
        None => Ok(Read::Incomplete),
    };
    assert_eq!(drain(&mut client, 99), (vec![], told), "{fault:?}");
}

/// Types and bodies of records, one after the other.
type Said<'a> = &'a [(u8, &'a [u8])];

#[test]
fn records_that_open_may_still_be_wrong() {
    use RecordFault as Fault;
    const UPDATE: &[u8] = &[24, 0, 0, 1, 0];
    let too_long = vec![1; (1 << 14) + 1];
    let key_update = "key update";
    let cases: [(Said<'_>, Fault); 17] = [
        (&[(22, b"")], Fault::EmptyFragment),
        (
            &[(22, &[1, 0, 0, 0])],
            Fault::UnexpectedMessage { found: 1 },
        ),
        (
            &[(22, &[4, 0, 0, 1, 9])],
            Fault::UnexpectedMessage { found: 4 },
        ),
        (
            &[(22, &[13, 0, 0, 1, 9])],
            Fault::UnexpectedMessage { found: 13 },
        ),
        (
            &[(22, &[24, 0, 0, 1, 2])],
            Fault::Malformed { what: key_update },
        ),
        (
            &[(22, &[24, 0, 0, 0])],
            Fault::Malformed { what: key_update },
        ),
        (&[(22, &[24, 0, 0, 1, 0, 4])], Fault::KeyUpdateNotLast),
        (
            &[(22, &[24, 0, 0]), (22, &[1, 0, 4])],
            Fault::KeyUpdateNotLast,
        ),
        (
            &[(22, &[4, 1, 0, 1])],
            Fault::MessageTooLong {
                found: MESSAGE_BYTES_MAX + 1,
            },
        ),
        (&[(22, &UPDATE[..4]), (23, b"content")], Fault::Interleaved),
        (&[(22, &UPDATE[..1]), (21, &[1, 0])], Fault::Interleaved),
        (&[(21, &[1])], Fault::Malformed { what: "alert" }),
        (&[(21, &[1, 0, 0])], Fault::Malformed { what: "alert" }),
        (
            &[(21, &[1, 40])],
            Fault::Alert(AlertDescription::HandshakeFailure),
        ),
        (&[(20, &[1])], Fault::UnexpectedRecord { found: 20 }),
        (&[(0, &[0, 0])], Fault::UnexpectedRecord { found: 0 }),
        (
            &[(23, &too_long)],
            Fault::RecordTooLong {
                found: (1 << 14) + 2,
            },
        ),
    ];
    for (records, fault) in cases {
        let (mut client, mut server) = opened_pair();
        for (kind, body) in records {
            client.outbound.append(*kind, body).unwrap();
        }
        feed(&mut server, &sent(&mut client));
        assert_refused(server, client, &fault);
    }
}

#[test]
fn what_is_no_record_is_refused_by_its_header() {
    use RecordFault as Fault;
    for (bytes, fault) in [
        (
            &[20, 3, 3, 0, 1, 1][..],
            Fault::UnexpectedRecord { found: 20 },
        ),
        (
            &[21, 3, 3, 0, 2, 1, 0],
            Fault::UnexpectedRecord { found: 21 },
        ),
        (&[22, 3, 3, 0, 4], Fault::UnexpectedRecord { found: 22 }),
        (&[0, 0, 0, 0, 0], Fault::UnexpectedRecord { found: 0 }),
        (&[23, 3, 1, 0, 40], Fault::OtherVersion { found: 0x0301 }),
        (
            &[23, 3, 3, 0x41, 1],
            Fault::RecordTooLong {
                found: (1 << 14) + 257,
            },
        ),
        (
            &[23, 3, 3, 0xff, 0xff],
            Fault::RecordTooLong { found: 65_535 },
        ),
        (&[23, 3, 3, 0, 0], Fault::NotOpened),
        (&[23, 3, 3, 0, 4, 1, 2, 3, 4], Fault::NotOpened),
        (
            &[
                23, 3, 3, 0, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6,
            ],
            Fault::NotOpened,
        ),
    ] {
        let (client, mut server) = opened_pair();
        feed(&mut server, bytes);
        assert_refused(server, client, &fault);
    }
}

#[test]
fn every_changed_bit_ends_the_connection() {
    let record_bytes = 5 + 6 + 1 + 16;
    for position in 0..record_bytes * 8 {
        let (mut client, mut server) = opened_pair();
        let mut record = said(&mut client, b"record");
        assert_eq!(record.len(), record_bytes);
        record[position / 8] ^= 1 << (position % 8);
        feed(&mut server, &record);
        // A length that grew waits for more; what comes then does not open.
        if drain(&mut server, 9).1 == Ok(Read::Incomplete) {
            let more = said(&mut client, &content(40_000));
            feed(&mut server, &more);
        }
        let (heard, end) = drain(&mut server, 9);
        assert_eq!(heard, b"", "{position}");
        assert!(end.is_err(), "{position}: {end:?}");
        assert!(!server.unsent().is_empty());
    }
}

#[test]
fn records_are_not_repeated_left_out_or_moved() {
    for order in [&[0, 0][..], &[1], &[0, 2], &[1, 0]] {
        let (mut client, mut server) = opened_pair();
        let records = [0, 1, 2].map(|at| said(&mut client, &[at]));
        for at in order {
            feed(&mut server, &records[*at]);
            let _first = drain(&mut server, 1);
        }
        assert_refused(server, client, &RecordFault::NotOpened);
    }
}

#[test]
fn records_do_not_open_where_they_were_made() {
    let (mut client, mut server) = opened_pair();
    let record = said(&mut client, b"record");
    feed(&mut server, &record);
    assert_eq!(drain(&mut server, 9).0, b"record");
    feed(&mut client, &record);
    assert_refused(client, server, &RecordFault::NotOpened);
}

#[test]
fn a_peer_that_sends_nothing_is_not_heard_for_ever() {
    type Say = fn(&mut Records);
    let says: [Say; 3] = [
        |peer| peer.outbound.append(23, b"").unwrap(),
        |peer| peer.outbound.append(21, &[1, 90]).unwrap(),
        |peer| peer.update_key().unwrap(),
    ];
    for say in says {
        let (mut client, mut server) = opened_pair();
        for _ in 0..3 {
            for _ in 0..QUIET_MAX {
                say(&mut client);
            }
            let content = said(&mut client, b"content");
            feed(&mut server, &content);
            assert_eq!(
                drain(&mut server, 99),
                (b"content".to_vec(), Ok(Read::Incomplete))
            );
        }
        for _ in 0..=QUIET_MAX {
            say(&mut client);
        }
        feed(&mut server, &sent(&mut client));
        assert_refused(server, client, &RecordFault::TooQuiet);
    }
}

#[test]
fn a_malformed_ticket_is_refused_by_a_client() {
    let (mut client, mut server) = opened_pair();
    server.outbound.append(22, &[4, 0, 0, 2, 1, 2]).unwrap();
    feed(&mut client, &sent(&mut server));
    let fault = RecordFault::Malformed {
        what: "session ticket",
    };
    assert_refused(client, server, &fault);
}

#[test]
fn numbers_of_records_run_out() {
    let (mut client, mut server) = opened_pair();
    let mut key = client.keys.next_sending().unwrap();
    key.set_number(u64::MAX);
    client.outbound.replace_key(key);
    assert_eq!(
        client.outbound.append(23, b"x"),
        Err(RecordFault::NoNumberLeft)
    );
    let mut key = server.keys.next_receiving().unwrap();
    key.set_number(u64::MAX);
    server.inbound.replace_key(key);
    feed(&mut server, &said(&mut opened_pair().0, b"x"));
    assert_eq!(drain(&mut server, 9).1, Err(RecordFault::NoNumberLeft));
}

#[test]
fn content_before_a_fault_is_handed_out_first() {
    let (mut client, mut server) = opened_pair();
    let good = said(&mut client, &content(20_000));
    feed(
        &mut server,
        &[&good[..], &[23, 3, 3, 0, 4, 1, 2, 3, 4]].concat(),
    );
    assert_eq!(
        drain(&mut server, 30_000),
        (content(20_000), Err(RecordFault::NotOpened))
    );
}
