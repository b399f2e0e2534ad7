//! What is known when a decision is made: one catalog view and the node's circumstances become
//! [`Facts`].
//!
//! It does not decide, and it reads no clock and no disk: the same view, request and circumstances
//! give the same facts.

use catalog::View;
use schemas::calendar::Day;
use schemas::code::Action;
use schemas::dataset::Dataset;
use schemas::decision::{DatasetFacts, DecisionRequest, Facts, Party, PolicyVersion, Principal};
use schemas::export::{ExportFacts, ExportMethod, PersonCounts};
use schemas::request::{Grant, GrantState};
use schemas::rule_pack::PackVersion;
use schemas::{DatasetId, GrantId, NodeId, ParticipantId, RequestId, Timestamp, TransferId};

/// What the view does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circumstances {
    /// Whose gate it is.
    pub participant: ParticipantId,
    /// Age of the view in milliseconds.
    pub view_age_ms: u64,
    /// Whether the view came from a linearizable read.
    pub linearizable: bool,
    /// Whether the node's clock is within its limits.
    pub clock_trusted: bool,
    /// The policy set in force in that view.
    pub policy: PolicyVersion,
    /// What is known of an export; without it every export is refused.
    pub leaving: Option<Leaving>,
}

/// What an export needs to be known of that the view does not say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// The rule packs in force on the day.
    pub packs: Vec<PackVersion>,
    /// How rows will leave.
    pub method: ExportMethod,
    /// The sender's counters; none when its counter home did not answer.
    pub counts: Option<PersonCounts>,
    /// The last day on which the sender crossed the threshold of the security assessment.
    pub crossed_on: Option<Day>,
}

/// Gathers the facts of one decision. `grant` is the one that the caller named; without it the
/// best that the principal's participant has for the dataset is taken.
#[must_use]
pub fn gather(
    view: &View,
    request: &DecisionRequest,
    grant: Option<&GrantId>,
    circumstances: Circumstances,
) -> Facts {
    let record = record(view, request);
    let dataset = request
        .dataset
        .as_ref()
        .or(record.dataset.as_ref())
        .and_then(|id| view.dataset(id));
    let participant = &request.principal.participant;
    let grant = grant_used(view, request, grant);
    let leaving = circumstances.leaving.clone();
    let export = dataset.zip(leaving).filter(|_| leaves(request));
    Facts {
        view_index: view.index(),
        view_age_ms: circumstances.view_age_ms,
        linearizable: circumstances.linearizable,
        clock_trusted: circumstances.clock_trusted,
        principal_valid: principal_valid(view, &request.principal),
        policy: circumstances.policy.clone(),
        party: party(view, request, dataset, &record, &circumstances),
        dataset: dataset.and_then(|dataset| dataset_facts(view, dataset, participant)),
        export: export.map(|(dataset, leaving)| {
            let facts = export_facts(view, request, &dataset.provider, grant.as_ref(), leaving);
            Box::new(facts)
        }),
        grant,
    }
}

/// Whether rows given in answer leave the mainland.
pub(crate) fn leaves(request: &DecisionRequest) -> bool {
    lets_rows_out(request.action) && policies::leaves_mainland(request)
}

/// Whether rows leave under the action.
pub(crate) fn lets_rows_out(action: Action) -> bool {
    matches!(action, Action::DatasetRead | Action::DatasetInspect)
}

/// What is known of an export: by what right, under which terms, and how many persons so far.
fn export_facts(
    view: &View,
    request: &DecisionRequest,
    sender: &ParticipantId,
    grant: Option<&Grant>,
    leaving: Leaving,
) -> ExportFacts {
    let recipient = &request.principal.participant;
    let contract = grant.and_then(|it| view.contract(&it.contract));
    // Terms that this replica may not read are not known, and the stricter is taken.
    let terms = contract.and_then(|it| it.terms.clear());
    let until_the_end = grant.map(|it| days_until(request.at, it.period.until));
    ExportFacts {
        packs: leaving.packs,
        sender_seat: view.participant(sender).and_then(|it| it.seat.clone()),
        instruments: view
            .instruments_for(sender, recipient)
            .take(ExportFacts::INSTRUMENTS_MAX)
            .cloned()
            .collect(),
        counts: leaving.counts,
        crossed_on: leaving.crossed_on,
        method: leaving.method,
        retention_days: terms.and_then(|it| it.retention_days.or(until_the_end)),
        onward_transfer: terms.is_none_or(|it| it.onward_transfer),
        approvals: contract.map_or(0, |it| {
            let approval = view.approval(&it.request);
            approval.map_or(1, |it| 1 + u32::from(it.second.is_some()))
        }),
    }
}

/// Whole days, a begun one included.
fn days_until(now: Timestamp, end: Timestamp) -> u32 {
    const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
    let left = end.millis_since(now).max(0);
    u32::try_from(left.saturating_add(DAY_MS - 1) / DAY_MS).unwrap_or(u32::MAX)
}

/// Who stands on either side of the record that a request names.
#[derive(Default)]
struct Record {
    /// Whether the request is about a record with two sides.
    found: bool,
    dataset: Option<DatasetId>,
    provider: Option<ParticipantId>,
    consumer: Option<ParticipantId>,
}

/// Looks the named record up. The action says which kind of identifier the text is.
fn record(view: &View, request: &DecisionRequest) -> Record {
    let Some(text) = request.record.as_deref() else {
        return Record::default();
    };
    match request.action {
        Action::RequestRead
        | Action::RequestDecide
        | Action::RequestDispute
        | Action::RequestWithdraw => {
            let found = RequestId::parse(text).ok().and_then(|id| view.request(&id));
            found.map_or_else(Record::default, |it| Record {
                found: true,
                dataset: Some(it.dataset.clone()),
                provider: view
                    .dataset(&it.dataset)
                    .map(|dataset| dataset.provider.clone()),
                consumer: Some(it.consumer.clone()),
            })
        }
        Action::GrantRead | Action::GrantRevoke | Action::DatasetRead => of_grant(view, text),
        Action::TransferRun => {
            let found = TransferId::parse(text)
                .ok()
                .and_then(|id| view.transfer(&id));
            found.map_or_else(
                || of_grant(view, text),
                |it| Record {
                    found: true,
                    dataset: Some(it.dataset.clone()),
                    provider: Some(it.provider.clone()),
                    consumer: Some(it.consumer.clone()),
                },
            )
        }
        Action::DatasetDiscover
        | Action::DatasetDescribe
        | Action::DatasetPublish
        | Action::DatasetInspect
        | Action::StandardAdopt
        | Action::RequestSubmit
        | Action::CorrectionOpen
        | Action::CorrectionRead
        | Action::CorrectionMove
        | Action::DelegationSet
        | Action::JobRead
        | Action::JobCancel
        | Action::LedgerRead
        | Action::PolicyExplain
        | Action::PolicyAdopt
        | Action::ParticipantRegister
        | Action::ParticipantRead
        | Action::RoleBind
        | Action::NodeOperate
        | Action::ExportRegister => Record::default(),
    }
}

fn of_grant(view: &View, text: &str) -> Record {
    let found = GrantId::parse(text).ok().and_then(|id| view.grant(&id));
    found.map_or_else(Record::default, |it| Record {
        found: true,
        dataset: Some(it.dataset.clone()),
        provider: Some(it.provider.clone()),
        consumer: Some(it.consumer.clone()),
    })
}

/// How `participant` stands to what is asked. With neither record nor dataset, the participant
/// whose gate it is counts as the provider: its ledger, jobs and nodes are its own. Policy sets
/// are nobody's own: for them only the authority counts.
fn party(
    view: &View,
    request: &DecisionRequest,
    dataset: Option<&Dataset>,
    record: &Record,
    circumstances: &Circumstances,
) -> Party {
    let participant = &request.principal.participant;
    let is_authority = view.authority() == Some(participant);
    if request.action == Action::PolicyAdopt {
        return if is_authority {
            Party::Authority
        } else {
            Party::Other
        };
    }
    // A node is its operator's.
    if request.action == Action::NodeOperate
        && let Some(id) = request.record.as_deref()
    {
        let node = NodeId::parse(id).ok().and_then(|id| view.node(&id));
        return match node {
            Some(node) if node.operator == *participant => Party::Provider,
            Some(_) | None if is_authority => Party::Authority,
            Some(_) | None => Party::Other,
        };
    }
    let provides = match (record.found, dataset) {
        (true, _) => record.provider.as_ref() == Some(participant),
        (false, Some(dataset)) => dataset.provider == *participant,
        (false, None) => circumstances.participant == *participant,
    };
    let consumes = record.consumer.as_ref() == Some(participant)
        || (!record.found
            && dataset.is_some_and(|it| view.grants_for(&it.id, participant).next().is_some()));
    if provides {
        Party::Provider
    } else if consumes {
        Party::Consumer
    } else if is_authority {
        Party::Authority
    } else {
        Party::Other
    }
}

/// Whether participant, person and node of the principal are what the catalog says now. Validity
/// of a person is judged at leader time, which all replicas share.
fn principal_valid(view: &View, principal: &Principal) -> bool {
    let Some(participant) = view.participant(&principal.participant) else {
        return false;
    };
    if participant.kind != principal.kind || participant.jurisdiction != principal.jurisdiction {
        return false;
    }
    let now: Timestamp = view.leader_time();
    let person_valid = principal.person.as_ref().is_none_or(|id| {
        view.person(id).is_some_and(|person| {
            person.participant == principal.participant
                && person.not_before <= now
                && now < person.not_after
                && principal.roles.is_subset(&person.roles)
        })
    });
    let node_valid = principal.node.as_ref().is_none_or(|id| {
        view.node(id)
            .is_some_and(|node| node.hosts.contains(&principal.participant))
            && (principal.person.is_some() || principal.roles.is_empty())
    });
    person_valid && node_valid && (principal.person.is_some() || principal.node.is_some())
}

fn dataset_facts(
    view: &View,
    dataset: &Dataset,
    participant: &ParticipantId,
) -> Option<DatasetFacts> {
    let provider = view.participant(&dataset.provider)?;
    Some(DatasetFacts {
        provider: dataset.provider.clone(),
        provider_kind: provider.kind,
        provider_ciio: provider.ciio,
        grade: dataset.grade,
        share: dataset.share,
        served: dataset.is_served(),
        visible: dataset.visibility.admits(participant)
            || dataset.provider == *participant
            || view.authority() == Some(participant),
        columns: dataset
            .columns
            .iter()
            .map(|column| (column.name.clone(), column.sensitivity))
            .collect(),
    })
}

/// The grant that the request rests on. A grant for another dataset or another consumer is none.
fn grant_used(view: &View, request: &DecisionRequest, named: Option<&GrantId>) -> Option<Grant> {
    let principal = &request.principal.participant;
    let fits = |grant: &Grant| {
        request
            .dataset
            .as_ref()
            .is_none_or(|dataset| grant.dataset == *dataset)
            && (grant.consumer == *principal || grant.provider == *principal)
    };
    if let Some(id) = named {
        return view.grant(id).cloned().filter(|grant| fits(grant));
    }
    if request.action != Action::DatasetRead {
        return None;
    }
    let dataset = request.dataset.as_ref()?;
    let in_force =
        |grant: &Grant| grant.state == GrantState::Active && grant.period.contains(request.at);
    let all = || view.grants_for(dataset, principal);
    all()
        .find(|grant| in_force(grant))
        .or_else(|| all().next())
        .cloned()
}
