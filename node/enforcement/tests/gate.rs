//! The gate with a real catalog of one voter and a real ledger.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

mod world;

use crypto::Digest;
use enforcement::{Ask, EnforcementPoint, Permit, PinnedArtefact, Refusal, principal};
use policies::Pdp;
use schemas::Jurisdiction;
use schemas::code::{Action, ReasonCode};
use schemas::dataset::{Grade, Sensitivity};
use schemas::decision::{DecisionRequest, Principal};
use schemas::ledger_entry::{LedgerEntry, LedgerEvent, LedgerIndex, ReleaseOutcome};
use world::{Granted, World, dataset_id, grant_id, node_id, participant_id, person_id, purpose};

const COLUMNS: world::Columns<'_> = &[
    ("container", "string", Sensitivity::None),
    ("weight", "integer", Sensitivity::None),
];

async fn founded(grade: Grade) -> World {
    let world = World::found().await;
    world.two_parties().await;
    world
        .publish_card("containers", "node-authority", grade, COLUMNS)
        .await;
    world
        .grant("g-1", "containers", Granted::columns(&["container"]))
        .await;
    world
}

fn consumer(world: &World) -> Principal {
    let view = world.catalog.view();
    principal::of_node(
        &view,
        &node_id("node-authority"),
        &participant_id("customs"),
    )
    .unwrap()
}

fn read(principal: Principal) -> DecisionRequest {
    DecisionRequest {
        principal,
        action: Action::DatasetRead,
        dataset: Some(dataset_id("containers")),
        record: None,
        purpose: Some(purpose()),
        destination: Jurisdiction::MAINLAND,
        columns: None,
        at: schemas::Timestamp::from_millis(0),
    }
}

fn ask() -> Ask {
    Ask {
        trace: "t-1".to_owned(),
        grant: Some(grant_id("g-1")),
    }
}

fn artefact(rows: u64) -> PinnedArtefact {
    PinnedArtefact {
        digest: Digest::of(b"rows"),
        rows,
        bytes: 10,
        transfer: None,
    }
}

fn codes(refusal: &Refusal) -> Vec<ReasonCode> {
    refusal.reasons.iter().map(|reason| reason.code).collect()
}

async fn permit(world: &World, point: &EnforcementPoint) -> Permit {
    point.authorize(read(consumer(world)), ask()).await.unwrap()
}

fn last(ledger: &ledger::Ledger) -> LedgerEntry {
    ledger.read(LedgerIndex(ledger.size() - 1)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permit_and_a_refusal_stand_in_the_ledger_and_replay_to_the_same_decision() {
    let world = founded(Grade::G1).await;
    let ledger = world.ledger("port");
    let point = world.point("port", "node-authority", ledger.clone());
    let permit = permit(&world, &point).await;
    assert_eq!(permit.obligations().columns, ["container"]);
    let nobody = Principal {
        node: None,
        ..consumer(&world)
    };
    let refusal = point.authorize(read(nobody), ask()).await.unwrap_err();
    assert!(codes(&refusal).contains(&ReasonCode::PrincipalNotValid));
    let pdp = Pdp::compile(&policies::shipped()).unwrap();
    for index in [permit.recorded_at(), refusal.recorded_at.unwrap()] {
        let LedgerEvent::Decided {
            request,
            facts,
            decision,
        } = ledger.read(index).unwrap().event
        else {
            panic!("entry {index} is not a decision");
        };
        assert_eq!(facts.policy, *pdp.version());
        assert_eq!(pdp.decide(&request, &facts), decision);
    }
    let first = ledger.read(LedgerIndex(0)).unwrap();
    assert!(
        matches!(first.event, LedgerEvent::PolicyInForce { .. }),
        "{first:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_ledger_the_answer_is_no() {
    let world = founded(Grade::G1).await;
    let ledger = world.ledger("port");
    let point = world.point("port", "node-authority", ledger.clone());
    let permit = permit(&world, &point).await;
    ledger.close().await;
    let refusal = point.release(permit, artefact(1)).await.unwrap_err();
    assert_eq!(
        (codes(&refusal), refusal.recorded_at),
        (vec![ReasonCode::NotRecorded], None)
    );
    let refusal = point
        .authorize(read(consumer(&world)), ask())
        .await
        .unwrap_err();
    assert_eq!(
        (codes(&refusal), refusal.recorded_at),
        (vec![ReasonCode::NotRecorded], None)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_grant_stops_a_running_release_and_the_ledger_says_so() {
    let world = founded(Grade::G3).await;
    let ledger = world.ledger("port");
    let point = world.point("port", "node-authority", ledger.clone());
    let permit = permit(&world, &point).await;
    assert!(permit.obligations().seal);
    let release = point.release(permit, artefact(1)).await.unwrap();
    assert_eq!(release.check(), Ok(()));
    release.count(7);
    world.revoke("g-1").await;
    let refusal = release.check().unwrap_err();
    assert_eq!(codes(&refusal), [ReasonCode::GrantRevoked]);
    assert_eq!(release.stopped_as(), Some(ReleaseOutcome::Revoked));
    let id = release.id().clone();
    // Nobody ends it; the drop does.
    drop(release);
    let expected = LedgerEvent::ReleaseEnded {
        release: id,
        bytes: 7,
        outcome: ReleaseOutcome::Revoked,
    };
    world::eventually("the end of the release is recorded", || async {
        last(&ledger).event == expected
    })
    .await;
    let refusal = point
        .authorize(read(consumer(&world)), ask())
        .await
        .unwrap_err();
    assert!(codes(&refusal).contains(&ReasonCode::GrantRevoked));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_stops_at_its_deadline_and_a_mistrusted_clock_stops_everything() {
    let world = founded(Grade::G1).await;
    let point = world.point("port", "node-authority", world.ledger("port"));
    let release = point
        .release(permit(&world, &point).await, artefact(1))
        .await
        .unwrap();
    let second = point
        .release(permit(&world, &point).await, artefact(1))
        .await
        .unwrap();
    // The grant ends in an hour, before a release's day is over.
    world.clock.advance(3_600_001);
    assert_eq!(
        codes(&release.check().unwrap_err()),
        [ReasonCode::GrantExpired]
    );
    assert_eq!(release.stopped_as(), Some(ReleaseOutcome::Expired));
    world.clock.advance(-3_600_001);
    // Once stopped, it stays stopped.
    assert_eq!(
        codes(&release.check().unwrap_err()),
        [ReasonCode::GrantExpired]
    );
    world.clock.mistrust();
    assert_eq!(
        codes(&second.check().unwrap_err()),
        [ReasonCode::ClockUntrusted]
    );
    let refusal = point
        .authorize(read(consumer(&world)), ask())
        .await
        .unwrap_err();
    assert_eq!(codes(&refusal), [ReasonCode::ClockUntrusted]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permit_opens_only_what_it_was_given_for_at_the_gate_that_gave_it() {
    let world = founded(Grade::G1).await;
    let ours = world.point("port", "node-authority", world.ledger("port"));
    let theirs = world.point("customs", "node-authority", world.ledger("customs"));
    let refusal = theirs
        .release(permit(&world, &ours).await, artefact(1))
        .await
        .unwrap_err();
    assert_eq!(codes(&refusal), [ReasonCode::ReleaseEnded]);
    let refusal = ours.ingest(permit(&world, &ours).await).unwrap_err();
    assert_eq!(codes(&refusal), [ReasonCode::ReleaseEnded]);
    let view = world.catalog.view();
    let steward = principal::of_person(&view, &person_id("steward")).unwrap();
    let publish = DecisionRequest {
        action: Action::DatasetPublish,
        ..read(steward)
    };
    let permit = ours.authorize(publish, Ask::default()).await.unwrap();
    let index = permit.recorded_at();
    let capability = ours.ingest(permit).unwrap();
    assert_eq!(
        (capability.dataset(), capability.recorded_at()),
        (&dataset_id("containers"), index)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_ledger_is_read_with_a_permit_and_checkpoints_are_witnessed() {
    let world = founded(Grade::G1).await;
    let point = world.point("port", "node-authority", world.ledger("port"));
    let auditor = principal::of_person(&world.catalog.view(), &person_id("auditor")).unwrap();
    let request = DecisionRequest {
        action: Action::LedgerRead,
        dataset: None,
        purpose: None,
        ..read(auditor)
    };
    let permit = point.authorize(request, Ask::default()).await.unwrap();
    let reader = point.reader(&permit).unwrap();
    let checkpoint = point.checkpoint_now().await.unwrap();
    assert_eq!(
        (checkpoint.body.size, checkpoint.body.root),
        (reader.size(), reader.root())
    );
    // A member that acts for the port does not witness its ledger; another one does.
    world.rehost(&["authority", "port"], "127.0.0.1:1").await;
    let member = world
        .join(2, "node-customs", &["customs"], "127.0.0.1:1")
        .await;
    let (stop, stopping) = tokio::sync::watch::channel(false);
    let witness = enforcement::Witness {
        participant: participant_id("customs"),
        node: node_id("node-customs"),
        catalog: member.catalog.clone(),
        signer: world::software("node-customs"),
        clock: std::sync::Arc::new(enforcement::SystemClock::new()),
    };
    let running = tokio::spawn(witness.run(stopping));
    for round in 0..2 {
        if round > 0 {
            let version = "0".to_owned();
            let event = LedgerEvent::Started { version };
            point.record(event, "t").await.unwrap();
            point.checkpoint_now().await.unwrap();
        }
        world::eventually("the checkpoint is cosigned", || async {
            let view = world.catalog.view();
            let known = view.checkpoint(&participant_id("port")).unwrap();
            known.update.checkpoint.body.size == reader.size() && known.cosignatures.len() == 1
        })
        .await;
    }
    stop.send(true).unwrap();
    running.await.unwrap();
    let evidence = reader.evidence(permit.recorded_at()).unwrap();
    let key = world
        .catalog
        .view()
        .participant(&participant_id("port"))
        .unwrap()
        .signing
        .clone();
    let proven = ledger::evidence::verify(&evidence, &key).unwrap();
    assert_eq!(proven.entry, reader.read(permit.recorded_at()).unwrap());
    let filter = enforcement::Filter {
        action: Some("ledger.read".to_owned()),
        ..Default::default()
    };
    let language = enforcement::Language::Zh;
    let package = point.package(&permit, filter, language).await.unwrap();
    let proven = ledger::package::verify(&package.unwrap(), &[key]).unwrap();
    assert_eq!(proven.entries.len(), 1);
    assert_eq!(proven.entries[0].0, permit.recorded_at());
    assert_eq!(proven.witnesses, [participant_id("customs")].into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_life_of_a_ledger_begins_with_a_gap_record() {
    let world = founded(Grade::G1).await;
    let started = || LedgerEvent::Started {
        version: "0".to_owned(),
    };
    let first = world.point("port", "node-authority", world.ledger("port"));
    first.record(started(), "t").await.unwrap();
    let known = first.checkpoint_now().await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut identity = known.body.ledger.clone();
    identity.incarnation += 1;
    let ledger = ledger::Ledger::open(dir.path(), identity, ledger::Options::default()).unwrap();
    let second = world.point("port", "node-authority", ledger.clone());
    for _ in 0..2 {
        second.record(started(), "t").await.unwrap();
    }
    let LedgerEvent::Gap { last, .. } = ledger.read(LedgerIndex(0)).unwrap().event else {
        panic!("no gap record");
    };
    assert_eq!(last.map(|it| *it), Some(known.body));
    assert_eq!(ledger.read(LedgerIndex(1)).unwrap().event, started());
    assert_eq!(ledger.size(), 3);
}
