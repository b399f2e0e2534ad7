//! An export from the first decision to its settlement, with a real catalog, a real ledger and a
//! real counter home.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a failed test")]
#![expect(clippy::panic, reason = "another answer is a failed test")]

mod world;

use std::sync::Arc;

use crypto::{Digest, Label};
use enforcement::counters::{CounterHome, Flags, Person};
use enforcement::{
    Ask, EnforcementPoint, Granted, MeasurePermit, Permit, PinnedArtefact, Refusal, principal,
};
use policies::{Pdp, Replay};
use schemas::calendar::Day;
use schemas::code::{Action, ReasonCode};
use schemas::command::Command;
use schemas::dataset::{Grade, Sensitivity};
use schemas::decision::{Decision, DecisionRequest, Facts};
use schemas::export::{
    Envelope, EnvelopeData, ExportMethod, Instrument, InstrumentKind, InstrumentState, NoticeKind,
};
use schemas::ledger_entry::{LedgerEvent, LedgerIndex, ReleaseOutcome};
use schemas::participant::{Participant, ParticipantKind, Role};
use schemas::{InstrumentId, Jurisdiction, Timestamp};
use world::{World, dataset_id, grant_id, node_id, participant, participant_id, person, purpose};

const COLUMNS: world::Columns<'_> = &[
    ("plate", "string", Sensitivity::None),
    ("driver", "string", Sensitivity::Personal),
    ("face", "string", Sensitivity::SensitivePersonal),
];

/// A port that is an enterprise in Shenzhen, and a terminal in Hong Kong.
async fn founded() -> World {
    let world = World::found().await;
    let port = Participant {
        kind: ParticipantKind::Enterprise,
        seat: Some("440305".to_owned()),
        ..participant("port")
    };
    let terminal = Participant {
        kind: ParticipantKind::Foreign,
        jurisdiction: Jurisdiction::HONG_KONG,
        seat: None,
        ..participant("customs")
    };
    world.parties(port, terminal).await;
    world
        .bind(person("guard", "port", Role::SecurityOfficer))
        .await;
    world
        .publish_card("drivers", "node-authority", Grade::G3, COLUMNS)
        .await;
    let granted = world::Granted::columns(&["plate", "driver", "face"]);
    world
        .agree(
            "g-1",
            "drivers",
            granted,
            Jurisdiction::HONG_KONG,
            &["steward", "guard"],
        )
        .await;
    for kind in [
        InstrumentKind::SeparateConsent,
        InstrumentKind::ImpactAssessment,
    ] {
        world.holds(kind, None).await;
    }
    world
}

impl World {
    /// The port registers an instrument that covers everything of `drivers`.
    async fn holds(&self, kind: InstrumentKind, persons_max: Option<u64>) {
        let today = Day::of(Timestamp::from_millis(self.now_ms()));
        let instrument = Instrument {
            id: InstrumentId::parse(kind.as_str().to_lowercase().replace('_', "-")).unwrap(),
            kind,
            processor: participant_id("port"),
            reference: "doc 1".to_owned(),
            issued_by: "issuer".to_owned(),
            from: today,
            until: today.plus_days(300),
            filed_on: Some(today),
            envelope: Envelope {
                recipients: [participant_id("customs")].into(),
                destinations: [Jurisdiction::HONG_KONG].into(),
                purposes: [purpose().code].into(),
                data: vec![EnvelopeData {
                    dataset: dataset_id("drivers"),
                    columns: COLUMNS
                        .iter()
                        .map(|(name, ..)| (*name).to_owned())
                        .collect(),
                }],
                methods: [ExportMethod::Transfer].into(),
                persons_max,
                retention_days_max: persons_max.map(|_| 180),
            },
            classification: None,
            state: InstrumentState::Valid,
            state_because: None,
            revision: 0,
        };
        let command = Command::RegisterInstrument {
            instrument: Box::new(instrument),
        };
        self.person_does("guard", "port", command).await;
    }

    fn now_ms(&self) -> i64 {
        use enforcement::Clock as _;
        self.clock.now().millis()
    }

    async fn home(&self) -> Arc<CounterHome> {
        let dir = self.dir.path().join("counters");
        let key = world::software("port-encryption");
        CounterHome::open(&dir, &*key).await.unwrap()
    }
}

fn read(world: &World) -> DecisionRequest {
    let view = world.catalog.view();
    let (node, consumer) = (node_id("node-authority"), participant_id("customs"));
    DecisionRequest {
        principal: principal::of_node(&view, &node, &consumer).unwrap(),
        action: Action::DatasetRead,
        dataset: Some(dataset_id("drivers")),
        record: None,
        purpose: Some(purpose()),
        destination: Jurisdiction::HONG_KONG,
        columns: None,
        at: Timestamp::from_millis(0),
    }
}

fn ask() -> Ask {
    Ask {
        trace: "t-1".to_owned(),
        grant: Some(grant_id("g-1")),
    }
}

async fn measure(world: &World, point: &EnforcementPoint) -> MeasurePermit {
    let granted = point.authorize_transfer(read(world), ask()).await.unwrap();
    let Granted::Measure(permit) = granted else {
        panic!("{granted:?}");
    };
    *permit
}

/// Counts persons `from..to`, all with both kinds of information, and asks again.
async fn measured(
    point: &EnforcementPoint,
    permit: MeasurePermit,
    persons: std::ops::Range<u32>,
) -> Result<Permit, Refusal> {
    let ids: Vec<[u8; 4]> = persons.map(u32::to_be_bytes).collect();
    let kinds = Flags::PERSONAL.and(Flags::SENSITIVE);
    let persons: Vec<Person<'_>> = ids.iter().map(|id| Person { id, kinds }).collect();
    let mut count = point.count(&permit)?;
    count.take(&persons).unwrap();
    point.measured(permit, count).await
}

fn artefact() -> PinnedArtefact {
    PinnedArtefact {
        digest: Digest::of(b"rows"),
        rows: 3,
        bytes: 10,
        transfer: None,
    }
}

fn codes(refusal: &Refusal) -> Vec<ReasonCode> {
    refusal.reasons.iter().map(|reason| reason.code).collect()
}

fn decided(ledger: &ledger::Ledger, at: LedgerIndex) -> (DecisionRequest, Facts, Decision) {
    match ledger.read(at).unwrap().event {
        LedgerEvent::Decided {
            request,
            facts,
            decision,
        } => (*request, *facts, decision),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn persons_are_counted_reserved_and_settled_and_both_decisions_replay() {
    let world = founded().await;
    world
        .holds(InstrumentKind::StandardContract, Some(1_000))
        .await;
    let ledger = world.ledger("port");
    let home = world.home().await;
    let point = world
        .point("port", "node-authority", ledger.clone())
        .with_counters(Arc::clone(&home));
    let first = measure(&world, &point).await;
    assert_eq!(first.duty().personal, ["driver"]);
    assert_eq!(first.duty().sensitive, ["face"]);
    let (year, first_at) = (first.duty().year, first.recorded_at());
    let permit = measured(&point, first, 0..900).await.unwrap();
    let terms = permit.obligations().export.clone().unwrap();
    let contract = InstrumentId::parse("standard-contract").unwrap();
    assert_eq!(
        (terms.rule, terms.instrument),
        (ReasonCode::X16, Some(contract.clone()))
    );
    let near: Vec<_> = terms
        .notices
        .iter()
        .map(|it| (it.kind, it.percent))
        .collect();
    assert_eq!(near, [(NoticeKind::NearScale, 80)]);
    let second_at = permit.recorded_at();
    let facts = permit.facts().export.clone().unwrap();
    let batch = facts.counts.clone().unwrap().batch.unwrap();
    assert_eq!((batch.non_sensitive, batch.sensitive), (900, 900));
    assert_eq!(
        (facts.approvals, facts.retention_days, facts.onward_transfer),
        (2, Some(30), false)
    );
    let pdp = Pdp::compile(&policies::shipped()).unwrap();
    for at in [first_at, second_at] {
        let (request, facts, decision) = decided(&ledger, at);
        let past = policies::Past {
            entry: at.0,
            request: &request,
            facts: &facts,
            decision: &decision,
        };
        assert_eq!(pdp.replay(past), Replay::Agrees, "entry {at}");
    }
    let release = point.release(permit, artefact()).await.unwrap();
    release.begin_sending();
    release.end(10, ReleaseOutcome::Completed).await.unwrap();
    // The same artefact again: nobody is counted twice.
    let again = measure(&world, &point).await;
    let again = measured(&point, again, 0..900).await.unwrap();
    drop(again);
    world::eventually("the second batch is given back", || async {
        let counts = home.counts(year, std::slice::from_ref(&contract));
        (
            counts.non_sensitive,
            counts.sensitive,
            counts.under[0].persons,
        ) == (900, 900, 900)
    })
    .await;
    // Others go beyond the contract's scale, and the batch is not kept.
    let beyond = measure(&world, &point).await;
    let refusal = measured(&point, beyond, 900..1_001).await.unwrap_err();
    assert_eq!(
        codes(&refusal),
        [ReasonCode::X16, ReasonCode::EnvelopeExceeded]
    );
    world::eventually("the refused batch is given back", || async {
        home.counts(year, &[]).non_sensitive == 900
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_sent_is_free_again_and_what_a_crash_left_counts() {
    let world = founded().await;
    world
        .holds(InstrumentKind::StandardContract, Some(1_000))
        .await;
    let home = world.home().await;
    let point = world
        .point("port", "node-authority", world.ledger("port"))
        .with_counters(Arc::clone(&home));
    let permit = measure(&world, &point).await;
    let year = permit.duty().year;
    let permit = measured(&point, permit, 0..10).await.unwrap();
    assert_eq!(home.counts(year, &[]).sensitive, 10);
    let release = point.release(permit, artefact()).await.unwrap();
    release.end(0, ReleaseOutcome::Aborted).await.unwrap();
    world::eventually("nothing was sent", || async {
        home.counts(year, &[]).sensitive == 0
    })
    .await;
    let permit = measure(&world, &point).await;
    let permit = measured(&point, permit, 0..10).await.unwrap();
    // The files as a crash leaves them: the permit was not spent.
    let place = tempfile::tempdir().unwrap();
    let file = "persons-1";
    std::fs::copy(
        world.dir.path().join("counters").join(file),
        place.path().join(file),
    )
    .unwrap();
    let key = world::software("port-encryption");
    let found = CounterHome::open(place.path(), &*key).await.unwrap();
    assert_eq!(found.counts(year, &[]).sensitive, 10);
    drop(permit);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_personal_leaves_without_a_count() {
    let world = founded().await;
    world
        .holds(InstrumentKind::StandardContract, Some(1_000))
        .await;
    let blind = world.point("port", "node-authority", world.ledger("port"));
    let refusal = blind
        .authorize_transfer(read(&world), ask())
        .await
        .unwrap_err();
    assert!(
        codes(&refusal).contains(&ReasonCode::CountMissing),
        "{refusal}"
    );
    let home = world.home().await;
    let point = blind.with_counters(Arc::clone(&home));
    // Whoever cannot count gets no rows of persons: a read is no method of the evidence.
    let refusal = point.authorize(read(&world), ask()).await.unwrap_err();
    let missing = [
        ReasonCode::X17,
        ReasonCode::ConsentMissing,
        ReasonCode::ImpactAssessmentMissing,
    ];
    assert_eq!(codes(&refusal), missing);
    let other = world.point("customs", "node-authority", world.ledger("customs"));
    let permit = measure(&world, &point).await;
    let year = permit.duty().year;
    let refusal = other.count(&permit).unwrap_err();
    assert_eq!(codes(&refusal), [ReasonCode::ReleaseEnded]);
    // Figures alone leave the participant, signed.
    let permit = measured(&point, permit, 0..7).await.unwrap();
    let totals = point.totals(year).await.unwrap().unwrap();
    assert_eq!((totals.body.non_sensitive, totals.body.sensitive), (7, 7));
    totals
        .verify(Label::Evidence, world::software("port").public())
        .unwrap();
    drop(permit);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grant_that_ends_while_persons_are_counted_is_refused_and_given_back() {
    let world = founded().await;
    world
        .holds(InstrumentKind::StandardContract, Some(1_000))
        .await;
    let home = world.home().await;
    let point = world
        .point("port", "node-authority", world.ledger("port"))
        .with_counters(Arc::clone(&home));
    let permit = measure(&world, &point).await;
    let year = permit.duty().year;
    world.revoke("g-1").await;
    let refusal = measured(&point, permit, 0..10).await.unwrap_err();
    assert!(
        codes(&refusal).contains(&ReasonCode::GrantRevoked),
        "{refusal}"
    );
    world::eventually("the batch is given back", || async {
        home.counts(year, &[]).sensitive == 0
    })
    .await;
}
