//! One voter: founding, proposing, restarting, and pushing back.

#[expect(
    clippy::unwrap_used,
    clippy::panic,
    dead_code,
    reason = "a fixture that cannot be built is a failed test; each test uses a part of it"
)]
mod raft_world;

use std::time::Duration;

use catalog::{Error, Options};
use futures::future::join_all;
use raft_world::{
    World, assert_applied, by_admin, eventually, found_one, founding, has, options, participant,
    register,
};
use schemas::command::{Command, RefusalCode};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_voter_founds_proposes_and_goes_on_after_a_restart() {
    let world = World::new();
    let options = options();
    let (mut place, catalog) = found_one(&world, &options).await;
    let proposal = register("port");
    let first = catalog.propose(proposal.clone()).await.unwrap();
    assert_applied(&first);
    let again = catalog.propose(proposal).await.unwrap();
    assert_eq!(again.outcome, first.outcome);
    assert!(has(&catalog.linearizable().await.unwrap(), "port"));
    assert!(catalog.staleness_ms() < 60_000);
    let before = catalog.view();
    catalog.shutdown().await;
    drop(catalog);

    let catalog = world.start(&mut place, &options).await;
    eventually("the restarted voter applies its log", || async {
        catalog.view().index() >= before.index()
    })
    .await;
    assert!(has(&catalog.view(), "port"));
    assert_eq!(catalog.status().damage, None);
    assert_applied(&catalog.propose(register("customs")).await.unwrap());
    catalog.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leader_time_moves_without_anybody_proposing() {
    let world = World::new();
    let (_place, catalog) = found_one(&world, &options()).await;
    let before = catalog.view().leader_time();
    eventually("a tick", || async { catalog.view().leader_time() > before }).await;
    catalog.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_founding_that_would_be_refused_leaves_nothing_behind() {
    let world = World::new();
    let mut place = world.place(1).await;
    let catalog = world.start(&mut place, &options()).await;
    let command = Command::Found {
        authority: Box::new(participant("authority")),
        node: Box::new(raft_world::node(&place)),
        persons: Vec::new(),
    };
    match catalog.found(by_admin("found", command)).await {
        Err(Error::FoundingRefused { code, .. }) => {
            assert_eq!(code, RefusalCode::SignatureRejected);
        }
        other => panic!("{other:?}"),
    }
    assert!(!catalog.status().admitted);
    assert_applied(&catalog.found(founding(&place)).await.unwrap());
    catalog.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_pushes_back_and_the_rest_learn_that_nobody_leads() {
    let world = World::new();
    let mut place = world.place(1).await;
    let options = Options {
        proposals_queued: 4,
        batches_in_flight: 1,
        batch_commands: 2,
        answer: Duration::from_millis(700),
        ..options()
    };
    let catalog = world.start(&mut place, &options).await;
    let proposals = (0..20).map(|number| catalog.propose(register(&format!("p{number}"))));
    let answers = join_all(proposals).await;
    let pushed_back = answers
        .iter()
        .filter(|answer| matches!(answer, Err(Error::Pushback { .. })))
        .count();
    let unled = answers
        .iter()
        .filter(|answer| matches!(answer, Err(Error::NoLeader { .. })))
        .count();
    assert!(pushed_back >= 10, "{pushed_back}");
    assert_eq!(pushed_back + unled, 20);
    catalog.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proposal_above_the_limit_is_refused_before_it_is_queued() {
    let world = World::new();
    let (_place, catalog) = found_one(&world, &options()).await;
    let mut large = participant("large");
    large.name.en = "x".repeat(2 << 20);
    let command = Command::RegisterParticipant {
        participant: Box::new(large),
    };
    let proposal = schemas::command::SignedProposal {
        signature: None,
        proposal: schemas::command::Proposal {
            command,
            ..register("large").proposal
        },
    };
    let refused = catalog.propose(proposal).await;
    assert!(
        matches!(refused, Err(Error::Record(_) | Error::TooLarge { .. })),
        "{refused:?}"
    );
    assert_applied(&catalog.propose(register("small")).await.unwrap());
    catalog.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_of_a_newer_format_or_another_member_is_refused() {
    let world = World::new();
    let (mut place, catalog) = found_one(&world, &options()).await;
    catalog.shutdown().await;
    drop(catalog);
    place.number = 7;
    let refused = world.try_start(&mut place, &options()).await.map(drop);
    assert!(
        matches!(
            refused,
            Err(Error::AnotherMember {
                found: 1,
                configured: 7,
                ..
            })
        ),
        "{refused:?}"
    );
    place.number = 1;
    std::fs::write(place.dir.join("format"), "99\n").unwrap();
    let refused = world.try_start(&mut place, &options()).await.map(drop);
    assert!(
        matches!(
            refused,
            Err(Error::NewerFormat {
                found: 99,
                supported: 1,
                ..
            })
        ),
        "{refused:?}"
    );
}
