//! The main job on generated port traffic, with everything that must go wrong going wrong.
//!
//! It does not continue past a promise that was not kept: the step that broke it is named.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use crypto::tls::{Family, PeerTlsStream};
use enforcement::{Ask, EnforcementPoint, principal};
use jobs::{Job, JobOutcome, JobState};
use ledger::fsck;
use schemas::code::{Action, ReasonCode};
use schemas::dataset::Dataset;
use schemas::decision::{Decision, DecisionRequest, Mask, Operator, Predicate, RowFilter};
use schemas::ledger_entry::{Checkpoint, LedgerEvent, LedgerIndex, ReleaseOutcome};
use schemas::participant::Role;
use schemas::request::Purpose;
use schemas::{DatasetId, GrantId, Jurisdiction, Signed};

use super::Options;
use super::agency::{Agency, Wish};
use super::generate::{self, Faults};
use super::teller::{Teller, grouped, megabytes, rate};
use crate::config::Config;
use crate::federation::{Federation, Member, now};
use crate::{Error, Transport};

/// Position of each agency in the plan.
const PROVINCE: usize = 0;
const GUANGZHOU: usize = 1;
const SHENZHEN: usize = 2;

/// Columns that Shenzhen asks for: what customs transit needs, and the contact to call.
const WANTED: &[&str] = &[
    "call_id",
    "port",
    "imo",
    "vessel_name",
    "arrived_at",
    "operation",
    "container",
    "teu",
    "hs_code",
    "gross_mass",
    "agent_name",
    "contact_name",
    "contact_id",
];

pub(super) fn broken(step: &'static str, why: impl ToString) -> Error {
    Error::Demo {
        step,
        why: why.to_string(),
    }
}

/// Three nodes are up and agree.
pub(super) async fn founded(teller: &Teller, federation: &Federation) -> Result<(), Error> {
    teller.step(
        "founded",
        &[("count", federation.members.len().to_string())],
    );
    for member in &federation.members {
        let Some(node) = &member.node else { continue };
        let status = node.catalog().status();
        let name = &member.prepared.participant.name;
        teller.fact(&format!(
            "{:<10} {} / {}   REST {}   index {}   digest {}",
            member.prepared.node.id.as_str(),
            name.zh,
            name.en,
            node.addresses().admin,
            status.applied,
            &status.state_digest.to_string()[..12],
        ));
    }
    let (from, to) = (
        &federation.members[GUANGZHOU],
        &federation.members[PROVINCE],
    );
    let spoken = spoken_between(from, to).await?;
    let what = match spoken.family() {
        Family::ShangMi => "between-shangmi",
        Family::Standard => "between-standard",
    };
    teller.line(what, &[("suite", spoken.suite_name())]);
    Ok(())
}

/// A connection as one member makes it to another, to see what is agreed on.
async fn spoken_between(from: &Member, to: &Member) -> Result<PeerTlsStream, Error> {
    let path = &from.prepared.config;
    let config = Config::read(path)?;
    let tls = Transport::resolve(&config.directory(path), &config)?.peers()?;
    let address = to.running()?.addresses().catalog;
    Ok(crypto::tls::connect(address, "localhost", tls).await?)
}

/// Publish, refuse a bad file, request, approve, transfer, refuse the border, revoke.
pub(super) fn tell(
    teller: &Teller,
    federation: &Federation,
    options: &Options,
    dir: &Path,
) -> Result<(), Error> {
    let province = Agency::open(federation, PROVINCE)?;
    let guangzhou = Agency::open(federation, GUANGZHOU)?;
    let shenzhen = Agency::open(federation, SHENZHEN)?;
    let dataset = publish(teller, &province, &guangzhou, options, dir)?;
    keep_serving(teller, &guangzhou, &dataset, options, dir)?;
    let grant = agree(teller, &guangzhou, &shenzhen, &dataset)?;
    transfer(teller, &shenzhen, &grant)?;
    border(teller, &guangzhou, &shenzhen, &dataset)?;
    revoke(teller, &guangzhou, &shenzhen, &dataset)
}

fn publish(
    teller: &Teller,
    province: &Agency<'_>,
    guangzhou: &Agency<'_>,
    options: &Options,
    dir: &Path,
) -> Result<Dataset, Error> {
    let described = schemas::shipped::datasets()?
        .into_iter()
        .find(|it| it.id.as_str() == "port-traffic")
        .ok_or_else(|| broken("publish", "no shipped dataset port-traffic"))?;
    let standard = schemas::shipped::standards()?
        .into_iter()
        .find(|it| it.edition == described.standard)
        .ok_or_else(|| broken("publish", "no shipped standard port-traffic"))?;
    let dataset = guangzhou.describe(province, &standard, described)?;
    let file = dir.join("port-traffic.csv");
    let faulty = generate::port_traffic(&file, options.seed, options.rows, Faults::Few)?;
    let bytes = std::fs::metadata(&file).map_or(0, |it| it.len());
    teller.step(
        "publish",
        &[("rows", grouped(options.rows)), ("size", megabytes(bytes))],
    );
    let begun = Instant::now();
    let job = guangzhou.publish(&dataset.id, &file)?;
    let took = begun.elapsed();
    let Some(JobOutcome::Published {
        version,
        rows,
        quarantined_rows,
        bytes: stored,
        verdict,
    }) = &job.outcome
    else {
        return Err(ended("publish", &job));
    };
    teller.line(
        "published",
        &[
            ("version", version.to_string()),
            ("rows", grouped(*rows)),
            ("quarantined", grouped(*quarantined_rows)),
            ("stored", megabytes(*stored)),
            ("seconds", format!("{:.1}", took.as_secs_f64())),
            ("rate", rate(bytes, took)),
        ],
    );
    for rule in &verdict.rules {
        teller.fact(&format!(
            "{:<18} {} {}",
            rule.rule.as_str(),
            rule.indicator,
            rule.score
        ));
    }
    if *quarantined_rows != faulty || rows + quarantined_rows != options.rows {
        return Err(broken(
            "publish",
            format!("{faulty} rows are faulty, {quarantined_rows} were kept out"),
        ));
    }
    Ok(dataset)
}

/// A dirty file meets the gate, and the last good version goes on.
fn keep_serving(
    teller: &Teller,
    guangzhou: &Agency<'_>,
    dataset: &Dataset,
    options: &Options,
    dir: &Path,
) -> Result<(), Error> {
    let file = dir.join("port-traffic-dirty.csv");
    let faulty = generate::port_traffic(&file, options.seed + 1, 2_000, Faults::Many)?;
    teller.step(
        "dirty",
        &[("rows", grouped(2_000)), ("faulty", grouped(faulty))],
    );
    let job = guangzhou.publish(&dataset.id, &file)?;
    let Some(failure) = &job.failure else {
        return Err(broken("dirty file", "the gate let it pass"));
    };
    teller.line(
        "gate",
        &[
            ("code", failure.code.to_string()),
            ("detail", failure.detail.clone()),
        ],
    );
    for finding in failure.findings.iter().take(3) {
        teller.fact(&format!(
            "row {}  {}  {}  {}  {}",
            finding.row.unwrap_or(0),
            finding.field.as_deref().unwrap_or("-"),
            finding.rule,
            finding.value.as_deref().unwrap_or("-"),
            finding.why,
        ));
    }
    let view = guangzhou.member.running()?.catalog().view();
    let serving = view
        .latest_version(&dataset.id)
        .map_or(0, |it| it.body.number);
    if serving != 1 {
        return Err(broken(
            "dirty file",
            format!("version {serving} is serving"),
        ));
    }
    teller.line("still-serving", &[("version", serving.to_string())]);
    Ok(())
}

fn purpose() -> Purpose {
    Purpose {
        code: "transit-coordination".to_owned(),
        text: "粤港澳大湾区组合港通关协同与到港预测".to_owned(),
    }
}

fn wanted() -> Option<Vec<String>> {
    Some(WANTED.iter().map(|it| (*it).to_owned()).collect())
}

fn agree(
    teller: &Teller,
    guangzhou: &Agency<'_>,
    shenzhen: &Agency<'_>,
    dataset: &Dataset,
) -> Result<GrantId, Error> {
    let rows = RowFilter {
        all: vec![Predicate {
            column: "port".to_owned(),
            operator: Operator::In,
            values: vec!["CNYTN".to_owned(), "CNSHK".to_owned()],
        }],
    };
    teller.step("request", &[("title", dataset.title.zh.clone())]);
    let request = shenzhen.ask(&Wish {
        id: "r-2026-00001",
        dataset: &dataset.id,
        purpose: purpose(),
        columns: wanted(),
        rows,
        destination: Jurisdiction::MAINLAND,
    })?;
    teller.line(
        "asked",
        &[
            ("request", request.id.to_string()),
            ("purpose", request.purpose.text.clone()),
            ("columns", WANTED.len().to_string()),
        ],
    );
    let masks = BTreeMap::from([
        ("contact_name".to_owned(), Mask::Truncate { keep_chars: 1 }),
        ("contact_id".to_owned(), Mask::KeyedHash),
    ]);
    let grant = guangzhou.agree(dataset, &request.id, masks)?;
    teller.line("agreed", &[("grant", grant.to_string())]);
    Ok(grant)
}

fn transfer(teller: &Teller, shenzhen: &Agency<'_>, grant: &GrantId) -> Result<(), Error> {
    teller.step("transfer", &[]);
    let begun = Instant::now();
    let job = shenzhen.fetch(grant, "demo-transfer-1")?;
    let took = begun.elapsed();
    let Some(JobOutcome::Transferred {
        version,
        rows,
        bytes,
        release,
        path,
        ..
    }) = &job.outcome
    else {
        return Err(ended("transfer", &job));
    };
    teller.line(
        "transferred",
        &[
            ("version", version.to_string()),
            ("rows", grouped(*rows)),
            ("size", megabytes(*bytes)),
            ("seconds", format!("{:.1}", took.as_secs_f64())),
            ("rate", rate(*bytes, took)),
        ],
    );
    teller.line(
        "release",
        &[("release", release.to_string()), ("path", path.clone())],
    );
    Ok(())
}

/// The same data asked for in Hong Kong: agreed by the steward, refused by the gate, with its rule.
fn border(
    teller: &Teller,
    guangzhou: &Agency<'_>,
    shenzhen: &Agency<'_>,
    dataset: &Dataset,
) -> Result<(), Error> {
    teller.step("border", &[]);
    let wish = Wish {
        id: "r-2026-00002",
        dataset: &dataset.id,
        purpose: purpose(),
        columns: wanted(),
        rows: RowFilter::default(),
        destination: Jurisdiction::HONG_KONG,
    };
    stays(
        teller,
        (guangzhou, shenzhen),
        dataset,
        &wish,
        ReasonCode::X5,
    )
}

/// What is wished for abroad stays: the provider's gate names the rule, and its ledger has it.
pub(super) fn stays(
    teller: &Teller,
    (provider, consumer): (&Agency<'_>, &Agency<'_>),
    dataset: &Dataset,
    wish: &Wish<'_>,
    rule: ReasonCode,
) -> Result<(), Error> {
    let request = consumer.ask(wish)?;
    let grant = provider.agree(dataset, &request.id, BTreeMap::new())?;
    let job = consumer.fetch(&grant, &format!("demo-{}", wish.id))?;
    let Some(failure) = &job.failure else {
        return Err(broken("border", "the rows left"));
    };
    teller.line("refused", &[("detail", failure.detail.clone())]);
    let (index, reasons) = refusal(provider, &dataset.id)?;
    for reason in &reasons {
        teller.fact(&format!("{}  {}", reason.code, reason.cites));
    }
    if !reasons.iter().any(|it| it.code == rule) {
        let why = format!("the refusal does not name rule {rule}");
        return Err(broken("border", why));
    }
    teller.line("on-ledger", &[("index", index.to_string())]);
    Ok(())
}

/// What is wished for abroad leaves, and the provider's ledger says under which rule.
pub(super) fn leaves(
    teller: &Teller,
    (provider, consumer): (&Agency<'_>, &Agency<'_>),
    dataset: &Dataset,
    wish: &Wish<'_>,
    rule: ReasonCode,
) -> Result<(), Error> {
    let request = consumer.ask(wish)?;
    let grant = provider.agree(dataset, &request.id, BTreeMap::new())?;
    let job = consumer.fetch(&grant, &format!("demo-{}", wish.id))?;
    if let Some(failure) = &job.failure {
        return Err(broken("border", &failure.detail));
    }
    let under = entries(provider)?
        .into_iter()
        .rev()
        .find_map(|(index, event)| match event {
            LedgerEvent::Released { obligations, .. } => Some((index, obligations.export?)),
            _ => None,
        });
    let Some((index, terms)) = under.filter(|(_, terms)| terms.rule == rule) else {
        let why = format!("nothing left under rule {rule}");
        return Err(broken("border", why));
    };
    teller.fact(&format!("{}  {}", terms.rule, terms.cites));
    teller.line("left", &[("index", index.to_string())]);
    Ok(())
}

/// The newest refusal about `dataset` in the provider's ledger.
fn refusal(
    guangzhou: &Agency<'_>,
    dataset: &DatasetId,
) -> Result<(LedgerIndex, Vec<schemas::decision::Reason>), Error> {
    let found = entries(guangzhou)?
        .into_iter()
        .rev()
        .find_map(|(index, event)| match event {
            LedgerEvent::Decided {
                request,
                decision: Decision::Deny(reasons),
                ..
            } if request.dataset.as_ref() == Some(dataset) => Some((index, reasons)),
            _ => None,
        });
    found.ok_or_else(|| broken("border", "the refusal is not on the ledger"))
}

/// The whole ledger of an agency, read by its auditor through REST.
fn entries(agency: &Agency<'_>) -> Result<Vec<(LedgerIndex, LedgerEvent)>, Error> {
    let auditor = agency.sign_in(Role::Auditor)?;
    let mut all = Vec::new();
    loop {
        let path = format!("/ledger/entries?from={}&limit=1000", all.len());
        let page: Vec<serde_json::Value> = auditor.get(&path)?;
        let count = page.len();
        for item in page {
            let parsed = (
                serde_json::from_value(item["index"].clone()),
                serde_json::from_value(item["entry"]["event"].clone()),
            );
            match parsed {
                (Ok(index), Ok(event)) => all.push((index, event)),
                (Err(e), _) | (_, Err(e)) => return Err(broken("read a ledger", e)),
            }
        }
        if count < 1_000 {
            return Ok(all);
        }
    }
}

/// A grant is revoked while its transfer runs; the transfer stops.
fn revoke(
    teller: &Teller,
    guangzhou: &Agency<'_>,
    shenzhen: &Agency<'_>,
    dataset: &Dataset,
) -> Result<(), Error> {
    teller.step("revocation", &[]);
    let request = shenzhen.ask(&Wish {
        id: "r-2026-00003",
        dataset: &dataset.id,
        purpose: purpose(),
        columns: wanted(),
        rows: RowFilter::default(),
        destination: Jurisdiction::MAINLAND,
    })?;
    let grant = guangzhou.agree(dataset, &request.id, BTreeMap::new())?;
    // A slow line leaves time to think again.
    let node = guangzhou.member.running()?;
    node.limit_transfers(SLOW_BYTES_PER_SECOND);
    let job = shenzhen.start_fetch(&grant, "demo-transfer-3")?;
    wait_for_bytes(shenzhen, &job)?;
    let begun = Instant::now();
    guangzhou.revoke(&grant, "线索核查：停止提供")?;
    let job = shenzhen.consumer.wait(&job.id)?;
    node.limit_transfers(u64::MAX);
    let took = begun.elapsed();
    if job.state != JobState::Failed {
        return Err(broken(
            "revocation",
            format!("the transfer ended {}", job.state),
        ));
    }
    let detail = job.failure.map(|it| it.detail).unwrap_or_default();
    let milliseconds = took.as_millis().to_string();
    teller.line(
        "stopped",
        &[("milliseconds", milliseconds), ("detail", detail)],
    );
    let stopped = entries(guangzhou)?.into_iter().any(|(_, event)| {
        matches!(
            event,
            LedgerEvent::ReleaseEnded {
                outcome: ReleaseOutcome::Revoked,
                ..
            }
        )
    });
    if !stopped {
        return Err(broken(
            "revocation",
            "the ledger does not say that the release was revoked",
        ));
    }
    Ok(())
}

/// What the slow line carries: slow enough that the smallest demonstration is still under way
/// when its grant is revoked.
const SLOW_BYTES_PER_SECOND: u64 = 512 << 10;

fn wait_for_bytes(agency: &Agency<'_>, job: &Job) -> Result<(), Error> {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        let now = agency.consumer.job(&job.id)?;
        if now
            .progress
            .as_ref()
            .is_some_and(|it| it.step == jobs::JobStep::Receiving)
        {
            return Ok(());
        }
        if now.state.is_ended() {
            return Err(ended("revocation", &now));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err(broken("revocation", "no bytes arrived within 30 s"))
}

/// A job that should have ended well did not.
pub(super) fn ended(step: &'static str, job: &Job) -> Error {
    let detail = job
        .failure
        .as_ref()
        .map_or("no detail", |it| it.detail.as_str());
    broken(
        step,
        format!("job {} ended {}: {detail}", job.id, job.state),
    )
}

/// Every ledger verifies: segments, tree, checkpoints; other members have witnessed it; and one
/// entry's evidence verifies without a node.
pub(super) async fn proved(teller: &Teller, federation: &Federation) -> Result<(), Error> {
    teller.step("proved", &[]);
    for member in &federation.members {
        let node = member.running()?;
        let participant = &member.prepared.participant;
        let point = node
            .point(&participant.id)
            .ok_or_else(|| broken("prove", "a member has no gate"))?;
        let (checkpoint, witnesses) = witnessed(federation, member, point).await?;
        let dir = node.ledger_dir(&participant.id, participant.ledger_incarnation);
        let report = fsck::check(&dir, Some(&participant.signing))?;
        teller.line(
            "ledger",
            &[
                ("name", member.prepared.node.id.to_string()),
                ("entries", grouped(report.entries)),
                ("checkpoints", report.checkpoints.to_string()),
                ("witnesses", witnesses.to_string()),
                ("root", checkpoint.body.root.to_string()[..16].to_owned()),
            ],
        );
    }
    let digests: Vec<String> = federation
        .members
        .iter()
        .filter_map(|it| it.node.as_ref())
        .map(|node| node.catalog().status())
        .map(|status| {
            format!(
                "{} @ {}",
                &status.state_digest.to_string()[..16],
                status.applied
            )
        })
        .collect();
    teller.line("catalogs", &[("digests", digests.join("   "))]);
    Ok(())
}

/// Publishes a checkpoint and waits until all others have cosigned it. A witness that was too slow
/// for the checkpoint before takes this one for its new base and cosigns the next; so one more
/// entry is made then, by an auditor's look into the ledger.
async fn witnessed(
    federation: &Federation,
    member: &Member,
    point: &EnforcementPoint,
) -> Result<(Signed<Checkpoint>, usize), Error> {
    let enough = federation.members.len().saturating_sub(1);
    let mut best = 0;
    for _ in 0..CHECKPOINTS_TRIED_MAX {
        let checkpoint = point.checkpoint_now().await?;
        best = witnesses(member, checkpoint.body.size, enough).await?;
        if best >= enough {
            return Ok((checkpoint, best));
        }
        let view = member.running()?.catalog().view();
        let auditor = &member.person(Role::Auditor)?.record;
        let principal = principal::of_person(&view, &auditor.id)
            .map_err(|error| broken("prove", error.to_string()))?;
        let look = DecisionRequest {
            destination: principal.jurisdiction,
            principal,
            action: Action::LedgerRead,
            dataset: None,
            record: None,
            purpose: None,
            columns: None,
            at: now(),
        };
        let ask = Ask {
            trace: "demo-prove".to_owned(),
            grant: None,
        };
        // Yes or no, it is recorded.
        let _recorded = point.authorize(look, ask).await;
    }
    Err(broken(
        "prove",
        format!("{best} of {enough} members witnessed the checkpoint"),
    ))
}

/// How many have cosigned the checkpoint of `member` at `size` or later, within five seconds.
async fn witnesses(member: &Member, size: u64, enough: usize) -> Result<usize, Error> {
    let mut best = 0;
    for _ in 0..200 {
        let view = member.running()?.catalog().view();
        if let Some(found) = view.checkpoint(&member.prepared.participant.id)
            && found.update.checkpoint.body.size >= size
        {
            best = best.max(found.cosignatures.len());
        }
        if best >= enough {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    Ok(best)
}

/// A loaded machine lets a witness miss more than one.
const CHECKPOINTS_TRIED_MAX: usize = 6;

/// How to look around while the nodes run.
pub(super) fn look_around(teller: &Teller, federation: &Federation) {
    teller.line("keep", &[]);
    for member in &federation.members {
        let Some(node) = &member.node else { continue };
        teller.fact(&format!(
            "kouanctl --server https://{} --roots {} --person {}.data-consumer \
             --key-file {} --passphrase-file {} dataset list",
            node.addresses().admin,
            federation.roots.display(),
            member.prepared.participant.id,
            member
                .prepared
                .dir
                .join("persons/data-consumer.key")
                .display(),
            member.prepared.dir.join("persons/passphrase").display(),
        ));
    }
}
