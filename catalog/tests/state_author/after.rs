//! Disputes, correction tickets, delegations and emergencies.
//!
//! It does not know what becomes of its commands either.

use schemas::CorrectionId;
use schemas::command::Command;
use schemas::correction::{Correction, CorrectionState};
use schemas::delegation::Delegation;
use schemas::dispute::DisputeMove;
use schemas::request::{RequestDecision, RequestState};

use super::*;

impl Author {
    /// One of what follows an answer.
    pub(super) fn after(&mut self, view: &View) -> Option<(String, Command)> {
        match self.random.below(5) {
            0 => self.dispute(view),
            1 => self.ticket(view),
            2 => Some(self.delegate(view)),
            3 => self.emergency(view),
            _ => self.review(view),
        }
    }

    fn dispute(&mut self, view: &View) -> Option<(String, Command)> {
        let disputed = [
            RequestState::Refused,
            RequestState::Negotiating,
            RequestState::Coordinating,
            RequestState::Escalated,
        ];
        let all: Vec<_> = view
            .requests()
            .filter(|it| disputed.contains(&it.state))
            .collect();
        let it = self.random.one(&all)?;
        let provider = view.dataset(&it.dataset)?.provider.clone();
        let people = [
            format!("{}-consumer", it.consumer),
            format!("{provider}-steward"),
            format!("{AUTHORITY}-steward2"),
        ];
        let mut step = self.random.one(DisputeMove::ALL).unwrap();
        if it.state == RequestState::Refused && self.random.percent(80) {
            step = DisputeMove::Open;
        }
        let by = self.random.one(&[0_usize, 1, 2]).unwrap();
        let command = Command::DisputeRequest {
            request: it.id.clone(),
            revision: it.revision,
            step,
            because: "the statute".to_owned(),
        };
        Some((people[by].clone(), command))
    }

    fn ticket(&mut self, view: &View) -> Option<(String, Command)> {
        let open: Vec<_> = view.corrections().collect();
        if self.random.percent(60)
            && let Some(it) = self.random.one(&open)
        {
            let provider = view.dataset(&it.dataset)?.provider.clone();
            let to = self.random.one(CorrectionState::ALL).unwrap();
            let latest = view.latest_version(&it.dataset)?.body.number;
            let by = if to == CorrectionState::Closed {
                format!("{}-consumer", it.consumer)
            } else {
                format!("{provider}-steward")
            };
            let command = Command::MoveCorrection {
                correction: it.id.clone(),
                revision: it.revision,
                to,
                text: "as checked".to_owned(),
                corrected_in: (to == CorrectionState::Corrected).then_some(latest),
            };
            return Some((by, command));
        }
        let all: Vec<_> = view.grants().collect();
        let grant = self.random.one(&all)?;
        let version = view.latest_version(&grant.dataset)?.body.number;
        let by = format!("{}-consumer", grant.consumer);
        let it = Correction {
            id: CorrectionId::parse(format!("c{}", self.random.below(20))).unwrap(),
            dataset: grant.dataset.clone(),
            version,
            row: "IMO9074729".to_owned(),
            column: None,
            evidence: "the manifest differs".to_owned(),
            consumer: grant.consumer.clone(),
            opened_by: person_id(&by),
            opened_at: view.leader_time(),
            state: CorrectionState::Open,
            due_at: None,
            overdue_at: None,
            answer: None,
            corrected_in: None,
            notified: [].into(),
            revision: 0,
        };
        let correction = Box::new(it);
        Some((by, Command::OpenCorrection { correction }))
    }

    fn delegate(&mut self, view: &View) -> (String, Command) {
        let member = self.member();
        let duties = ["steward", "steward2", "officer", "consumer"];
        let from = format!("{member}-{}", self.random.one(&duties).unwrap());
        let to = format!("{member}-{}", self.random.one(&duties).unwrap());
        let held = view.delegation(&person_id(&from));
        let revision = held.map_or(0, |it| it.revision);
        if revision > 0 && self.random.percent(40) {
            let command = Command::EndDelegation {
                from: person_id(&from),
                revision,
                because: "back".to_owned(),
            };
            return (from, command);
        }
        let it = Delegation {
            from: person_id(&from),
            to: person_id(&to),
            participant: participant_id(member),
            period: self.period(view.leader_time()),
            because: "leave".to_owned(),
            ended_because: None,
            revision,
        };
        let delegation = Box::new(it);
        (from, Command::SetDelegation { delegation })
    }

    fn emergency(&mut self, view: &View) -> Option<(String, Command)> {
        let open: Vec<_> = view
            .requests()
            .filter(|it| it.state == RequestState::Submitted)
            .collect();
        let it = self.random.one(&open)?;
        let provider = view.dataset(&it.dataset)?.provider.clone();
        let (contract, grant) = agreement(it, provider.as_str());
        let decision = RequestDecision::Emergency {
            contract: Box::new(contract),
            grant: Box::new(grant),
            because: "a ship on fire".to_owned(),
        };
        let duty = self.random.one(&["steward", "officer"]).unwrap();
        let command = Command::DecideRequest {
            request: it.id.clone(),
            revision: it.revision,
            decision,
        };
        Some((format!("{provider}-{duty}"), command))
    }

    fn review(&mut self, view: &View) -> Option<(String, Command)> {
        let all: Vec<_> = view.emergencies().collect();
        let it = self.random.one(&all)?;
        let provider = view.grant(&it.grant)?.provider.clone();
        let duty = self
            .random
            .one(&["steward", "steward2", "officer"])
            .unwrap();
        let command = Command::ReviewEmergency {
            request: it.request.clone(),
            upheld: self.random.percent(50),
            because: "as the log shows".to_owned(),
        };
        Some((format!("{provider}-{duty}"), command))
    }
}
