use crypto::SecretKey;
use proptest::prelude::*;

use super::*;
use crate::Signed;
use crate::canonical;

fn secret(owner: &str) -> SecretKey {
    SecretKey::from_bytes(Digest::of(owner.as_bytes()).as_bytes()).unwrap()
}

/// The record of the node that signs, as far as a backup is concerned.
fn node() -> Vec<u8> {
    let node = Node {
        id: NodeId::parse("node-1").unwrap(),
        operator: crate::ParticipantId::parse("gd").unwrap(),
        hosts: Default::default(),
        raft_number: 1,
        raft_address: "gd-1:7401".to_owned(),
        data_address: "gd-1:7402".to_owned(),
        api_address: "gd-1:7403".to_owned(),
        transport_keys: Default::default(),
        signing: secret("node-1").public().clone(),
        revision: 0,
    };
    canonical::to_bytes(&node).unwrap()
}

type Records = Vec<(String, Vec<u8>)>;

fn header(records: &Records) -> BackupHeader {
    let mut digests = MerkleMap::new();
    for (key, bytes) in records {
        digests.insert(key.as_bytes(), Digest::of(bytes));
    }
    BackupHeader {
        cluster: Digest::of(b"founding"),
        index: 42,
        term: 3,
        digest: digests.root(),
        records: digests.len(),
        leader_time: Timestamp::from_millis(1_790_000_000_000),
        taken_at: Timestamp::from_millis(1_790_000_000_500),
        node: NodeId::parse("node-1").unwrap(),
        signing: secret("node-1").public().clone(),
        voters: vec![BackupMember {
            raft_number: 1,
            address: "gd-1:7401".to_owned(),
        }],
        learners: Vec::new(),
        program: "0.1.0".to_owned(),
    }
}

fn signed(seal: &BackupSeal, key: &SecretKey) -> Signed<BackupSeal> {
    let bytes = canonical::to_bytes(seal).unwrap();
    Signed {
        body: seal.clone(),
        key: key.public().key_id(),
        signature: key.sign(BackupSeal::LABEL, &bytes).unwrap(),
    }
}

fn written_as(header: &BackupHeader, records: &Records, key: &SecretKey) -> Vec<u8> {
    let mut writer = BackupWriter::new(Vec::new(), header).unwrap();
    for (key, bytes) in records {
        writer.record(key, bytes).unwrap();
    }
    let seal = signed(writer.end_records().unwrap(), key);
    writer.finish(&seal).unwrap()
}

fn written(records: &Records) -> Vec<u8> {
    written_as(&header(records), records, &secret("node-1"))
}

fn records(sizes: &[usize]) -> Records {
    let mut records = vec![("node/node-1".to_owned(), node())];
    for (at, size) in sizes.iter().enumerate() {
        let byte = u8::try_from(at % 251).unwrap();
        records.push((format!("dataset/{at:06}"), vec![byte; *size]));
    }
    records
}

fn why(bytes: &[u8], expected: &Expected<'_>) -> String {
    match verify(bytes, expected) {
        Ok(report) => format!("verified {} records", report.header.records),
        Err(error) => error.to_string(),
    }
}

proptest! {
    #[test]
    fn what_was_written_is_read_again_whatever_its_lengths(
        sizes in prop::collection::vec(0_usize..400_000, 0..12),
    ) {
        let records = records(&sizes);
        let bytes = written(&records);
        let report = verify(bytes.as_slice(), &Expected::default()).unwrap();
        prop_assert_eq!(report.header, header(&records));
        let mut backup = Backup::open(bytes.as_slice()).unwrap();
        let mut read = Records::new();
        while let Some(record) = backup.next_record().unwrap() {
            read.push(record);
        }
        prop_assert_eq!(read, records);
    }

    /// Chunks whose digests hold and whose content is anything.
    #[test]
    fn content_that_is_no_record_is_refused(
        raw in prop::collection::vec(prop_oneof![Just(0_u8), any::<u8>()], 1..300),
    ) {
        let mut writer = BackupWriter::new(Vec::new(), &header(&Records::new())).unwrap();
        writer.push(&raw).unwrap();
        let seal = signed(writer.end_records().unwrap(), &secret("node-1"));
        let bytes = writer.finish(&seal).unwrap();
        prop_assert!(verify(bytes.as_slice(), &Expected::default()).is_err());
    }
}

#[test]
fn every_flipped_byte_and_every_cut_is_refused() {
    let bytes = written(&records(&[10, 1_000, 0, 70]));
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        let refused = verify(changed.as_slice(), &Expected::default());
        assert!(refused.is_err(), "byte {at} was flipped");
        let cut = verify(&bytes[..at], &Expected::default()).unwrap_err();
        assert!(
            matches!(cut, BackupError::Truncated { .. }),
            "cut at {at}: {cut}"
        );
    }
    let mut longer = bytes;
    longer.push(0);
    let refused = verify(longer.as_slice(), &Expected::default());
    assert!(matches!(refused, Err(BackupError::Trailing)));
}

#[test]
fn a_refusal_says_what_is_wrong() {
    let good = records(&[5]);
    let bytes = written(&good);
    let (own, other) = (secret("node-1"), secret("node-2"));
    let trusting = |keys| Expected {
        keys,
        cluster: None,
    };
    let (ours, theirs) = ([own.public().clone()], [other.public().clone()]);
    assert_eq!(why(&bytes, &trusting(&ours)), "verified 2 records");
    assert_eq!(
        why(&bytes, &trusting(&theirs)),
        "the signature of node node-1 does not hold: its key is none of those that are trusted"
    );
    let elsewhere = Expected {
        cluster: Some(Digest::of(b"elsewhere")),
        keys: &[],
    };
    assert!(why(&bytes, &elsewhere).starts_with("the backup is of catalog"));

    let mut newer = bytes;
    newer[MAGIC.len() + 3] = 2;
    assert_eq!(
        why(&newer, &Expected::default()),
        "the backup has format 2, this program reads up to 1; use the version that wrote it or a \
         newer one"
    );
    assert_eq!(
        why(
            b"PK\x03\x04 and whatever else is in a zip",
            &Expected::default()
        ),
        "this is no backup of a catalog: its first bytes are others"
    );

    // Whole and signed, but by somebody else's key.
    let header_of_other = BackupHeader {
        signing: other.public().clone(),
        ..header(&good)
    };
    assert_eq!(
        why(
            &written_as(&header_of_other, &good, &other),
            &Expected::default()
        ),
        "the signature of node node-1 does not hold: the node's record has another key; name the \
         key it had"
    );
    assert!(
        why(
            &written_as(&header(&good), &good, &other),
            &Expected::default()
        )
        .starts_with("the signature of node node-1 does not hold")
    );
}

#[test]
fn records_that_are_not_the_state_of_the_header_are_refused_although_the_node_signed() {
    let good = records(&[5, 6, 7]);
    let key = secret("node-1");
    let vanished: Records = good.iter().take(3).cloned().collect();
    let refused = verify(
        written_as(&header(&good), &vanished, &key).as_slice(),
        &Expected::default(),
    );
    assert!(matches!(refused, Err(BackupError::SealMismatch { .. })));
    let mut changed = good.clone();
    changed[3].1 = b"another".to_vec();
    let refused = verify(
        written_as(&header(&good), &changed, &key).as_slice(),
        &Expected::default(),
    );
    assert!(matches!(refused, Err(BackupError::DigestMismatch { .. })));
    let mut twice = good.clone();
    twice[2] = twice[3].clone();
    let refused = verify(
        written_as(&header(&good), &twice, &key).as_slice(),
        &Expected::default(),
    );
    assert!(matches!(refused, Err(BackupError::RecordTwice { .. })));
}

#[test]
fn a_chunk_that_inflates_beyond_its_length_is_refused() {
    let mut bytes = written(&records(&[200_000]));
    let end = verify(bytes.as_slice(), &Expected::default()).unwrap();
    assert_eq!(end.seal.chunks, 1);
    // The raw length of the one chunk stands behind the header; a smaller one, with its digest
    // made anew, must still not be believed.
    let header_bytes = canonical::to_bytes(&end.header).unwrap().len();
    let front = MAGIC.len() + 4 + 4 + header_bytes;
    let stored = u32::from_be_bytes(bytes[front + 1..front + 5].try_into().unwrap());
    let stored = usize::try_from(stored).unwrap();
    bytes[front + 5..front + 9].copy_from_slice(&7_u32.to_be_bytes());
    let chunk: [u8; 9] = bytes[front..front + 9].try_into().unwrap();
    let before = Digest::of(&bytes[..front]);
    let chain = write::link(&before, &chunk, &bytes[front + 9..front + 9 + stored]);
    let at = front + 9 + stored;
    bytes[at..at + Digest::BYTES].copy_from_slice(chain.as_bytes());
    let refused = verify(bytes.as_slice(), &Expected::default());
    assert!(matches!(
        refused,
        Err(BackupError::ChunkDamaged { chunk: 0 })
    ));
}
