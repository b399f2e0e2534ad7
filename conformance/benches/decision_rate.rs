//! How long an answer of the gate takes with many grants in force: `cargo bench --workspace
//! --bench decision_rate`. Prints p50 and p99 in microseconds of the whole way (facts of the view,
//! decision, durable ledger entry), alone and eight at a time, and of the decision alone.
//!
//! It does not pass or fail: a figure belongs in RESULTS.md, with the machine it was taken on.
#![expect(clippy::print_stdout, reason = "a program that prints its result")]
#![expect(
    clippy::expect_used,
    reason = "what cannot be set up cannot be measured"
)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use conformance::{Cluster, data, errand};
use crypto::SecretKey;
use enforcement::{Ask, principal};
use policies::{Pdp, shipped};
use schemas::code::Action;
use schemas::command::Command;
use schemas::dataset::Dataset;
use schemas::decision::DecisionRequest;
use schemas::participant::{KeyCustody, Participant, Person, Role};
use schemas::request::RequestDecision;
use schemas::{GrantId, ParticipantId, PersonId, Visibility};
use server::federation::now;
use server::init;

/// Decisions that are timed.
const ROUNDS: usize = 4_000;
/// Proposals on their way at one time while the grants are made.
const WRITING: usize = 256;

fn main() {
    let grants: usize = std::env::args()
        .find_map(|it| it.parse().ok())
        .unwrap_or(10_000);
    let cluster = Cluster::start(1);
    let steward = cluster.sign_in(0, Role::DataSteward);
    let approver = cluster.add_person(0, "second-steward", Role::DataSteward);
    let owner = &cluster.member(0).prepared.node.id;
    let (described, standard) = data::shipped("customs-declarations");
    let dataset = errand::describe(&steward, &approver, owner, (described, standard));
    let (person, key) = consumer(&cluster);
    let begun = Instant::now();
    give(&cluster, &dataset, (&person, &key), grants);
    let in_force = cluster.node(0).catalog().view().grants().count();
    println!(
        "{in_force} grants in force after {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    measure(&cluster, &dataset, &person, grants);
}

/// A consumer without a node of its own, with one person.
fn consumer(cluster: &Cluster) -> (Person, SecretKey) {
    let key = SecretKey::generate().expect("a key");
    let participant = Participant {
        id: ParticipantId::parse("gd.zhuhai.port").expect("an identifier"),
        ledger_incarnation: 1,
        signing: SecretKey::generate().expect("a key").public().clone(),
        encryption: SecretKey::generate().expect("a key").public().clone(),
        revision: 0,
        ..cluster.member(0).prepared.participant.clone()
    };
    let from = now();
    let person = Person {
        id: PersonId::parse("gd.zhuhai.port.analyst").expect("an identifier"),
        participant: participant.id.clone(),
        roles: [Role::DataConsumer].into(),
        signing: key.public().clone(),
        custody: KeyCustody::Person,
        not_before: from.plus_millis(-60_000),
        not_after: from.plus_millis(24 * 3_600_000),
        visibility: Visibility::Parties([participant.id.clone()].into()),
        revision: 0,
    };
    for command in [
        Command::RegisterParticipant {
            participant: Box::new(participant),
        },
        Command::BindPerson {
            person: Box::new(person.clone()),
        },
    ] {
        let signed = conformance::cluster::signed_at(
            cluster.member(0),
            Role::SystemAdministrator,
            command,
            now(),
        );
        let outcome = cluster.propose(0, signed);
        assert!(
            matches!(outcome, schemas::command::Outcome::Applied { .. }),
            "{outcome:?}"
        );
    }
    (person, key)
}

/// Asks and agrees `count` times, many at a time.
fn give(cluster: &Cluster, dataset: &Dataset, (person, key): (&Person, &SecretKey), count: usize) {
    let catalog = cluster.node(0).catalog();
    let steward = cluster
        .member(0)
        .person(Role::DataSteward)
        .expect("a steward");
    let numbers: Vec<usize> = (0..count).collect();
    for part in numbers.chunks(WRITING) {
        let all = part.iter().map(|number| async move {
            let wish = errand::Wish::all(&format!("r-{number}"), &dataset.id);
            let request = errand::request_of(person, &wish);
            let asked = Command::SubmitRequest {
                request: Box::new(request.clone()),
            };
            let signed = init::sign(person, key, asked, now()).expect("sign");
            catalog.propose(signed).await.expect("a request");
            let request = schemas::request::AccessRequest {
                revision: 1,
                ..request
            };
            let (contract, grant) = errand::agreement(dataset, &request, BTreeMap::new());
            let (contract, grant) = (Box::new(contract), Box::new(grant));
            let decision = RequestDecision::Agree { contract, grant };
            let command = Command::DecideRequest {
                request: request.id,
                revision: 1,
                decision,
            };
            let signed = init::sign(&steward.record, &steward.key, command, now()).expect("sign");
            let outcome = catalog.propose(signed).await.expect("an agreement").outcome;
            assert!(
                matches!(outcome, schemas::command::Outcome::Applied { .. }),
                "{outcome:?}"
            );
        });
        cluster.run(async {
            let mut waiting: Vec<_> = all.map(Box::pin).collect();
            std::future::poll_fn(|context| {
                waiting.retain_mut(|it| it.as_mut().poll(context).is_pending());
                if waiting.is_empty() {
                    std::task::Poll::Ready(())
                } else {
                    std::task::Poll::Pending
                }
            })
            .await;
        });
    }
}

fn measure(cluster: &Cluster, dataset: &Dataset, person: &Person, grants: usize) {
    let participant = &cluster.member(0).prepared.participant.id;
    let point = cluster.node(0).point(participant).expect("a gate");
    let view = cluster.node(0).catalog().view();
    let principal = principal::of_person(&view, &person.id).expect("a principal");
    let ask = |number: usize| {
        let grant = GrantId::parse(format!("g-r-{}", number * 7_919 % grants)).expect("a grant");
        let request = DecisionRequest {
            destination: principal.jurisdiction,
            principal: principal.clone(),
            action: Action::DatasetRead,
            dataset: Some(dataset.id.clone()),
            record: Some(grant.to_string()),
            purpose: view.grant(&grant).map(|it| it.purpose.clone()),
            columns: None,
            at: now(),
        };
        (
            request,
            Ask {
                trace: format!("bench-{number}"),
                grant: Some(grant),
            },
        )
    };
    let (mut alone, mut decided) = (Vec::new(), Vec::new());
    let pdp = Pdp::compile(&shipped()).expect("the shipped policy");
    for number in 0..ROUNDS {
        let (request, ask) = ask(number);
        let begun = Instant::now();
        let permit = cluster
            .run(point.authorize(request, ask))
            .expect("a permit");
        alone.push(begun.elapsed());
        let begun = Instant::now();
        let decision = std::hint::black_box(pdp.decide(permit.request(), permit.facts()));
        decided.push(begun.elapsed());
        drop(decision);
    }
    print("one at a time, to the durable entry", &mut alone);
    print("the decision alone", &mut decided);
    let mut together = Vec::new();
    let begun = Instant::now();
    cluster.run(async {
        let mut tasks = tokio::task::JoinSet::new();
        for lane in 0..8 {
            let point = point.clone();
            let asked: Vec<_> = (0..ROUNDS / 8).map(|it| ask(lane + it * 8)).collect();
            tasks.spawn(async move {
                let mut times = Vec::new();
                for (request, ask) in asked {
                    let begun = Instant::now();
                    drop(point.authorize(request, ask).await.expect("a permit"));
                    times.push(begun.elapsed());
                }
                times
            });
        }
        while let Some(times) = tasks.join_next().await {
            together.extend(times.expect("a lane"));
        }
    });
    let rate = together.len() as f64 / begun.elapsed().as_secs_f64();
    print("eight at a time, to the durable entry", &mut together);
    println!("{rate:.0} decisions per second, eight at a time");
}

fn print(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_micros();
    println!(
        "{what:<40} p50 {:>6} us   p99 {:>6} us   {} asked",
        at(50),
        at(99),
        times.len()
    );
}
