//! One seed from its beginning to its end: found, break, heal, demand progress.
//!
//! It does not fail by itself: what is wrong is the oracle's to say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::{BasicNode, ServerState};

use super::Ran;
use super::chaos::Chaos;
use super::clients::{Client, Histories};
use super::invariants::reads_linearizable;
use super::members::Members;
use super::net::Net;
use super::oracle::Oracle;
use super::plan::{Bug, Plan};
use super::seeded::Random;
use super::world::{address, registering};
use crate::raft::membership::Change;
use crate::raft::peers::Admission;

pub(super) async fn simulate(seed: u64, bug: Option<Bug>) -> Ran {
    let plan = Plan::of(seed, bug);
    let oracle = Oracle::new();
    oracle.note(format!("{plan:?}"));
    let net = Net::new(seed, Arc::clone(&oracle), bug);
    let members = Members::new(seed, &plan, &net, &oracle);
    let histories = Histories::new();
    let mut chaos = Chaos {
        random: Random::new(seed ^ 0x00c4_a050),
        plan: plan.clone(),
        members: Arc::clone(&members),
        wiped: None,
    };
    let everything = async {
        found(&members, &plan).await;
        let clients = start_clients(seed, &plan, &members, &histories);
        chaos.run().await;
        chaos.heal().await;
        tokio::time::sleep(CALM).await;
        histories.done.store(true, Ordering::Relaxed);
        for client in clients {
            let _ended = client.await;
        }
        progress(&members).await;
        use_all(&members, &histories, plan.keys).await;
        progress(&members).await;
        oracle.judge(
            "reads_linearizable",
            reads_linearizable::check(&histories.all()),
        );
    };
    tokio::select! {
        biased;
        () = oracle.rings.notified() => {}
        () = everything => {}
    }
    Ran {
        violation: oracle.violation(),
        trace: oracle.trace(),
        counts: oracle.counts(),
    }
}

/// Founds the federation and makes all members what the plan says.
async fn found(members: &Members, plan: &Plan) {
    for number in members.numbers() {
        members.start(number).await;
    }
    members.found().await;
    let first = members.life(1).unwrap();
    for number in 2..=plan.members() {
        let registered = registering(number, members.oracle.now());
        first.batcher.propose(registered).await.unwrap();
        if number <= plan.voters {
            let change = Change::Add {
                raft_number: number,
                address: address(number),
            };
            first.member.change(&change).await.unwrap();
        } else if plan.is_learner(number) {
            let learner = members.life(number).unwrap();
            learner.member.admit(Admission::Grant).unwrap();
            let node = BasicNode::new(address(number));
            let raft = &first.member.raft;
            raft.add_learner(number, node, true).await.unwrap();
            members.net.set_learner(number);
        }
    }
    members.oracle.note("founded");
}

fn start_clients(
    seed: u64,
    plan: &Plan,
    members: &Arc<Members>,
    histories: &Arc<Histories>,
) -> Vec<tokio::task::JoinHandle<()>> {
    let start = |number: u64| {
        let client = Client {
            number,
            keys: plan.keys,
            random: Random::new(seed ^ (number << 8)),
            members: Arc::clone(members),
            histories: Arc::clone(histories),
            seen: BTreeMap::new(),
        };
        tokio::spawn(client.run())
    };
    (1..=plan.clients).map(start).collect()
}

/// After healing: one leader that everybody knows, and everything applied everywhere.
async fn progress(members: &Members) {
    let behind = || {
        let Some((_, numbers)) = members.membership() else {
            return Some("nobody leads".to_owned());
        };
        let newest = members.oracle.newest_acknowledged();
        let mut leaders = BTreeSet::new();
        for number in numbers {
            let Some(life) = members.life(number) else {
                return Some(format!("{number} does not run"));
            };
            let metrics = life.member.raft.metrics();
            let metrics = metrics.borrow();
            leaders.insert(metrics.current_leader);
            let leads = metrics.state == ServerState::Leader;
            if leads != (metrics.current_leader == Some(number)) {
                return Some(format!("{number} is not sure who leads"));
            }
            let applied = life.member.published.view().index();
            if applied < newest {
                return Some(format!("{number} has applied {applied} of {newest}"));
            }
        }
        let agreed = leaders.len() == 1 && leaders.first().is_some_and(Option::is_some);
        (!agreed).then(|| format!("members follow {leaders:?}"))
    };
    let until = tokio::time::Instant::now() + PROGRESS_TIME_MAX;
    while let Some(why) = behind() {
        if tokio::time::Instant::now() > until {
            return members.oracle.judge("members_go_on", Err(why));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    members.oracle.note("all go on");
}

/// Reads and writes every register through every member: nothing was lost, and all can be used.
async fn use_all(members: &Arc<Members>, histories: &Arc<Histories>, keys: u64) {
    let numbers = members.membership().map(|(_, numbers)| numbers);
    for number in numbers.unwrap_or_default() {
        let Some(life) = members.life(number) else {
            continue;
        };
        for key in 0..keys {
            let used = histories.use_once(members, &life, key).await;
            if let Err(error) = used {
                let why = format!("member {number} after healing: {error}");
                members.oracle.judge("members_go_on", Err(why));
            }
        }
    }
}

/// After healing, everything must go on within this time: a few elections.
const PROGRESS_TIME_MAX: Duration = Duration::from_secs(60);

/// Clients go on for this long after healing.
const CALM: Duration = Duration::from_secs(2);
