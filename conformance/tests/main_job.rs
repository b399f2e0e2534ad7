//! The main job on real files, through REST, between three nodes: publish, ask, agree, transfer,
//! and prove it afterwards without a node.
#![expect(
    clippy::too_many_lines,
    reason = "a test tells one story from end to end"
)]
#![expect(
    clippy::expect_used,
    reason = "a promise that is not kept ends the test"
)]

use std::collections::{BTreeMap, BTreeSet};

use conformance::{Client, Cluster, data, errand, eventually, received};
use ledger::evidence::{self, Evidence};
use ledger::fsck;
use schemas::decision::{Decision, Mask, Operator, Predicate, RowFilter};
use schemas::ledger_entry::{LedgerEvent, ReleaseOutcome};
use schemas::participant::Role;
use schemas::transfer::{ReceiptSide, Transfer, TransferState};
use schemas::{GrantId, Jurisdiction};

const PROVINCE: usize = 0;
const GUANGZHOU: usize = 1;
const SHENZHEN: usize = 2;

struct People {
    approver: Client,
    steward: Client,
    consumer: Client,
}

fn people(cluster: &Cluster) -> People {
    People {
        approver: cluster.sign_in(PROVINCE, Role::DataSteward),
        steward: cluster.sign_in(GUANGZHOU, Role::DataSteward),
        consumer: cluster.sign_in(SHENZHEN, Role::DataConsumer),
    }
}

/// Both sides' receipts of one transfer are in the catalog and in both ledgers, and the release
/// that it used was decided, given and ended in that order.
fn receipts_agree(cluster: &Cluster, grant: &GrantId, sealed: bool) {
    let transfer: Transfer = eventually("a completed transfer", || {
        let view = cluster.node(SHENZHEN).catalog().view();
        let found = view.transfers().find(|it| it.grant == *grant).cloned();
        found.filter(|it| it.state == TransferState::Completed)
    });
    let sides: Vec<ReceiptSide> = transfer.receipts.iter().map(|it| it.body.side).collect();
    assert_eq!(
        sides.into_iter().collect::<BTreeSet<_>>(),
        BTreeSet::from([ReceiptSide::Sent, ReceiptSide::Received])
    );
    for receipt in &transfer.receipts {
        assert_eq!(receipt.body.sealed_root.is_some(), sealed, "{receipt:?}");
    }
    for at in [GUANGZHOU, SHENZHEN] {
        let recorded = eventually("both receipts in a ledger", || {
            let of_transfer: BTreeSet<_> = cluster
                .entries(at)
                .into_iter()
                .filter_map(|event| match event {
                    LedgerEvent::Receipt { receipt } => Some(receipt.body),
                    _ => None,
                })
                .filter(|it| it.transfer == transfer.id)
                .map(|it| it.side)
                .collect();
            (of_transfer.len() == 2).then_some(of_transfer)
        });
        assert_eq!(
            recorded,
            BTreeSet::from([ReceiptSide::Sent, ReceiptSide::Received])
        );
    }
    let release = &transfer.receipts[0].body.release;
    let story = eventually("the end of the release in the ledger", || {
        let story: Vec<&str> = cluster
            .entries(GUANGZHOU)
            .iter()
            .filter_map(|event| match event {
                LedgerEvent::Decided {
                    request,
                    decision: Decision::Permit(_),
                    ..
                } if request.record.as_deref() == Some(grant.as_str())
                    && request.action == schemas::code::Action::DatasetRead =>
                {
                    Some("decided")
                }
                LedgerEvent::Released { release: it, .. } if it == release => Some("released"),
                LedgerEvent::ReleaseEnded {
                    release: it,
                    outcome: ReleaseOutcome::Completed,
                    ..
                } if it == release => Some("completed"),
                _ => None,
            })
            .collect();
        (story.len() >= 3).then_some(story)
    });
    assert_eq!(story, ["decided", "released", "completed"]);
}

#[test]
fn real_files_are_published_asked_for_agreed_to_transferred_and_proven() {
    if data::left_out() {
        return;
    }
    let cluster = Cluster::start(3);
    let people = people(&cluster);
    let owner = &cluster.member(GUANGZHOU).prepared.node.id;

    // G1 and G2 leave under mutual TLS, whole.
    for (id, rows) in [("code-iso3166", 249), ("travellers", 44_328)] {
        let (described, standard) = data::shipped(id);
        let file = data::file(&described);
        let dataset = errand::describe(
            &people.steward,
            &people.approver,
            owner,
            (described, standard),
        );
        let job = errand::publish(&people.steward, &dataset.id, &file);
        assert_eq!(errand::published(&job), (1, rows, 0));
        let wish = errand::Wish::all(&format!("r-{id}"), &dataset.id);
        let grant = errand::grant(
            &people.consumer,
            &people.steward,
            &dataset,
            &wish,
            BTreeMap::new(),
        );
        let job = errand::fetch(&people.consumer, &grant, &format!("fetch-{id}"));
        assert_eq!(errand::transferred(&job), (1, rows));
        receipts_agree(&cluster, &grant, false);
    }
    // The famous null trap: Namibia's alpha-2 code is NA, and arrives as such.
    let folder = received::folder(&cluster.member(SHENZHEN).prepared, "code-iso3166");
    let codes = received::rows(&folder, &["alpha2", "name_zh"]);
    assert!(codes.contains(&vec![Some("NA".to_owned()), Some("纳米比亚".to_owned())]));

    evidence_holds_offline(&cluster, GUANGZHOU);
    evidence_holds_offline(&cluster, SHENZHEN);
    replicas_agree(&cluster);
}

#[test]
fn rows_of_grade_three_leave_sealed_filtered_and_masked() {
    if data::left_out() {
        return;
    }
    let cluster = Cluster::start(3);
    let people = people(&cluster);
    let owner = &cluster.member(GUANGZHOU).prepared.node.id;
    let (described, standard) = data::shipped("customs-declarations");
    let file = cluster.scratch().join("declarations.csv");
    data::cut(&data::file(&described), 2_000, &file);
    let dataset = errand::describe(
        &people.steward,
        &people.approver,
        owner,
        (described, standard),
    );
    let job = errand::publish(&people.steward, &dataset.id, &file);
    let (version, rows, quarantined) = errand::published(&job);
    assert_eq!((version, rows + quarantined), (1, 2_000));

    let wanted = [
        "declaration_id",
        "office_id",
        "importer_id",
        "hs6_code",
        "net_mass",
    ];
    let wish = errand::Wish {
        columns: Some(wanted.map(str::to_owned).into()),
        rows: RowFilter {
            all: vec![Predicate {
                column: "country_of_origin".to_owned(),
                operator: Operator::In,
                values: vec!["CN".to_owned(), "US".to_owned()],
            }],
        },
        ..errand::Wish::all("r-declarations", &dataset.id)
    };
    let masks = BTreeMap::from([
        ("importer_id".to_owned(), Mask::KeyedHash),
        ("hs6_code".to_owned(), Mask::Truncate { keep_chars: 2 }),
        ("net_mass".to_owned(), Mask::Null),
    ]);
    let grant = errand::grant(&people.consumer, &people.steward, &dataset, &wish, masks);
    let job = errand::fetch(&people.consumer, &grant, "fetch-declarations");
    let (_, left) = errand::transferred(&job);
    receipts_agree(&cluster, &grant, true);

    // What may be known of the rows, from the file that was published.
    let text = data::text(&file);
    let origins: Vec<Vec<&str>> = text
        .lines()
        .skip(1)
        .map(|it| it.split(',').collect())
        .collect();
    let expected: BTreeMap<&str, &str> = origins
        .iter()
        .filter(|row| ["CN", "US"].contains(&row[14]))
        .map(|row| (row[0], row[9]))
        .collect();
    let prepared = &cluster.member(SHENZHEN).prepared;
    let folder = received::folder(prepared, "customs-declarations");
    assert_eq!(received::columns(&folder), wanted.map(str::to_owned).into());
    let found = received::rows(
        &folder,
        &["declaration_id", "importer_id", "hs6_code", "net_mass"],
    );
    assert_eq!(found.len() as u64, left);
    assert!(found.len() > 100 && expected.len() as u64 <= left + quarantined);
    for row in &found {
        let [Some(id), importer, Some(heading), None] = &row[..] else {
            panic!("{row:?}")
        };
        let clear = expected
            .get(id.as_str())
            .expect("only rows of the filter arrive");
        assert_ne!(
            importer.as_deref(),
            Some(*clear),
            "an importer arrived in clear"
        );
        assert!(heading.len() == 3 && heading.ends_with('*'), "{heading}");
    }
    never_in_clear(&cluster, &expected);
}

/// No importer of the released rows stands anywhere in the consumer's directory.
fn never_in_clear(cluster: &Cluster, expected: &BTreeMap<&str, &str>) {
    let importers: BTreeSet<&str> = expected
        .values()
        .copied()
        .filter(|it| it.len() > 5)
        .take(50)
        .collect();
    assert!(importers.len() > 10);
    let mut folders = vec![cluster.member(SHENZHEN).prepared.dir.join("data")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the consumer's data") {
            let path = entry.expect("the consumer's data").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let bytes = std::fs::read(&path).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            let told = importers.iter().find(|it| text.contains(**it));
            assert_eq!(told, None, "{}", path.display());
        }
    }
}

/// Every entry of a ledger verifies with nothing but its evidence and the participant's key, and
/// the files verify without the node.
fn evidence_holds_offline(cluster: &Cluster, at: usize) {
    let auditor = cluster.sign_in(at, Role::Auditor);
    let participant = &cluster.member(at).prepared.participant;
    let other = &cluster.member(PROVINCE).prepared.participant.signing;
    let size = auditor.get("/ledger").body["size"]
        .as_u64()
        .expect("a size");
    for index in [0, size / 2, size - 1] {
        let evidence: Evidence = auditor
            .get(&format!("/ledger/entries/{index}/evidence"))
            .ok();
        let proven = evidence::verify(&evidence, &participant.signing).expect("it verifies");
        assert_eq!(proven.index.0, index);
        assert_eq!(proven.checkpoint.ledger.participant, participant.id);
        // One changed letter, or another's key, and it does not.
        let mut forged = evidence.clone();
        forged.entry = forged.entry.replacen("\"at\":\"2", "\"at\":\"3", 1);
        assert_ne!(forged.entry, evidence.entry);
        assert!(evidence::verify(&forged, &participant.signing).is_err());
        assert!(evidence::verify(&evidence, other).is_err());
    }
    let dir = cluster
        .node(at)
        .ledger_dir(&participant.id, participant.ledger_incarnation);
    let report = fsck::check(&dir, Some(&participant.signing)).expect("a ledger");
    assert_eq!((report.damage, report.foreign_signatures), (None, 0));
    assert!(report.entries >= size && report.checkpoints >= 1);
}

/// The same state on every replica, and witnesses for every ledger.
fn replicas_agree(cluster: &Cluster) {
    eventually("three equal replicas", || {
        let mut standing: Vec<_> = (0..3)
            .map(|at| cluster.node(at).catalog().view())
            .map(|view| (view.index(), view.digest()))
            .collect();
        standing.dedup();
        (standing.len() == 1).then_some(())
    });
    for at in 0..3 {
        let participant = &cluster.member(at).prepared.participant.id;
        eventually("two witnesses of a checkpoint", || {
            let view = cluster.node(at).catalog().view();
            let found = view.checkpoint(participant)?;
            (found.cosignatures.len() >= 2).then_some(())
        });
    }
}

#[test]
fn what_crosses_the_border_crosses_sealed_and_the_ledger_names_its_rule() {
    if data::left_out() {
        return;
    }
    let cluster = Cluster::start(3);
    let people = people(&cluster);
    let owner = &cluster.member(GUANGZHOU).prepared.node.id;
    let (described, standard) = data::shipped("customs-declarations");
    let file = cluster.scratch().join("declarations.csv");
    data::cut(&data::file(&described), 200, &file);
    let dataset = errand::describe(
        &people.steward,
        &people.approver,
        owner,
        (described, standard),
    );
    let _ = errand::published(&errand::publish(&people.steward, &dataset.id, &file));
    let wish = errand::Wish {
        destination: Jurisdiction::HONG_KONG,
        ..errand::Wish::all("r-border", &dataset.id)
    };
    let officer = cluster.sign_in(GUANGZHOU, Role::SecurityOfficer);
    let two = (&people.steward, &officer);
    let grant = errand::grant_by_two(&people.consumer, two, &dataset, &wish);
    let job = errand::fetch(&people.consumer, &grant, "fetch-border");
    let _ = errand::transferred(&job);
    let released: Vec<(String, bool)> = cluster
        .entries(GUANGZHOU)
        .into_iter()
        .filter_map(|event| match event {
            LedgerEvent::Released { obligations, .. } => {
                let terms = obligations.export?;
                Some((terms.rule.to_string(), obligations.seal))
            }
            _ => None,
        })
        .collect();
    // Nothing personal in it and not a purpose of trade: the rule for all the rest.
    assert_eq!(released, [("X18".to_owned(), true)]);
}
