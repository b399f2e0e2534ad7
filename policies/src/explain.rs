//! Every rule that spoke, with the facts that it saw and its article.
//!
//! It does not decide and is not recorded: it is computed from a decision's request and facts, the
//! same ones that the ledger holds.

use schemas::code::{Action, ReasonCode};
use schemas::decision::{Decision, DecisionRequest, Facts, Obligations};
use schemas::explanation::{Explanation, Saw, Spoke, Voice};

use crate::combine::Reasons;
use crate::export;
use crate::obligation;
use crate::pdp::Pdp;
use crate::rbac::Ruling;
use crate::usage::Duties;

impl Pdp {
    /// The decision with every rule that spoke, in the order of evaluation: roles, the record and
    /// its grant, the border, and the duties of a permit.
    #[must_use]
    pub fn explain(&self, request: &DecisionRequest, facts: &Facts) -> Explanation {
        let decision = self.decide(request, facts);
        let duties = Duties::of(request.action);
        // What would leave, whatever became of it.
        let mut unheard = Reasons::new(self.rules());
        let obligations = obligation::judge(self, duties, request, facts, &mut unheard);
        let (border, readings) = export::explain(self, duties, request, facts, &obligations);
        let mut spoke = vec![self.role_spoke(request)];
        if let Decision::Deny(reasons) = &decision {
            let told = |code: ReasonCode| border.iter().any(|it| it.rule == code.as_str());
            spoke.extend(reasons.iter().filter(|it| !told(it.code)).map(|it| Spoke {
                rule: it.code.as_str().to_owned(),
                voice: Voice::Refuses,
                saw: saw(it.code, request, facts),
                cites: it.cites.clone(),
            }));
        } else {
            spoke.extend(grant_spoke(request, facts));
        }
        spoke.extend(border);
        if let Decision::Permit(it) = &decision {
            spoke.extend(duties_spoke(it, facts));
        }
        Explanation {
            decision,
            spoke,
            readings,
        }
    }

    /// What the policy lines say of the principal.
    fn role_spoke(&self, request: &DecisionRequest) -> Spoke {
        let voice = match self.ruling(request) {
            Some(Ruling::Allowed) => Voice::Allows,
            Some(Ruling::Forbidden { .. }) | None => Voice::Refuses,
        };
        let rule = match self.ruling(request) {
            Some(Ruling::Forbidden { line }) => format!("roles.csv line {line}"),
            Some(Ruling::Allowed) | None => "roles.csv".to_owned(),
        };
        let roles: Vec<&str> = request
            .principal
            .roles
            .iter()
            .map(|it| it.as_str())
            .collect();
        let saw = vec![
            Saw::new("request.action", request.action),
            Saw::new("request.principal.roles", listed(&roles)),
        ];
        Spoke {
            rule,
            voice,
            saw,
            cites: self.rules().cites(ReasonCode::RoleMissing),
        }
    }
}

/// The grant that a permit rests on.
fn grant_spoke(request: &DecisionRequest, facts: &Facts) -> Option<Spoke> {
    let grant = facts
        .grant
        .as_ref()
        .filter(|_| request.action == Action::DatasetRead)?;
    Some(Spoke {
        rule: "grant".to_owned(),
        voice: Voice::Allows,
        saw: vec![
            Saw::new("facts.grant.id", &grant.id),
            Saw::new("facts.grant.state", grant.state),
            Saw::new("facts.grant.period.until", grant.period.until),
            Saw::new("facts.grant.purpose.code", &grant.purpose.code),
        ],
        cites: "D809 21 and 25: data is shared on an agreed request, for its purpose".to_owned(),
    })
}

/// What a permit obliges to.
fn duties_spoke(it: &Obligations, facts: &Facts) -> Vec<Spoke> {
    let oblige = |rule: &str, saw: Vec<Saw>, cites: &str| Spoke {
        rule: rule.to_owned(),
        voice: Voice::Obliges,
        saw,
        cites: cites.to_owned(),
    };
    let mut spoke = Vec::new();
    if it.seal {
        let grade = facts
            .dataset
            .as_ref()
            .map_or("none", |it| it.grade.as_str());
        let saw = vec![Saw::new("facts.dataset.grade", grade)];
        spoke.push(oblige(
            "seal",
            saw,
            "[policy] from G3 on, and every export, bytes are sealed",
        ));
    }
    if !it.masks.is_empty() {
        let names: Vec<&str> = it.masks.keys().map(String::as_str).collect();
        let saw = vec![Saw::new("columns", listed(&names))];
        spoke.push(oblige("masks", saw, "the grant; rules.toml mask: PIPL 28"));
    }
    if !it.rows.all.is_empty() {
        let names: Vec<&str> = it.rows.all.iter().map(|it| it.column.as_str()).collect();
        let saw = vec![Saw::new("columns", listed(&names))];
        spoke.push(oblige(
            "rows",
            saw,
            "the grant; D809 25: no wider scope than agreed",
        ));
    }
    spoke
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}

/// The facts that a reason looked at.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the others are told by the role line or the border, or name what they saw themselves"
)]
fn saw(code: ReasonCode, request: &DecisionRequest, facts: &Facts) -> Vec<Saw> {
    match code {
        ReasonCode::NotAParty => vec![
            Saw::new("facts.party", facts.party),
            Saw::new(
                "request.principal.participant",
                &request.principal.participant,
            ),
        ],
        ReasonCode::StaleView => vec![
            Saw::new("facts.view_age_ms", facts.view_age_ms),
            Saw::new("facts.linearizable", facts.linearizable),
        ],
        ReasonCode::ClockUntrusted => vec![Saw::new("facts.clock_trusted", facts.clock_trusted)],
        ReasonCode::PrincipalNotValid => {
            vec![Saw::new("facts.principal_valid", facts.principal_valid)]
        }
        ReasonCode::DatasetNotServed
        | ReasonCode::NotShared
        | ReasonCode::CoreData
        | ReasonCode::ImportantData => saw_of_dataset(code, facts),
        _ => saw_of_grant(code, request, facts),
    }
}

fn saw_of_dataset(code: ReasonCode, facts: &Facts) -> Vec<Saw> {
    let Some(it) = &facts.dataset else {
        return vec![Saw::new("facts.dataset", "none")];
    };
    vec![if code == ReasonCode::DatasetNotServed {
        Saw::new("facts.dataset.served", it.served)
    } else if code == ReasonCode::NotShared {
        Saw::new("facts.dataset.share", it.share)
    } else {
        Saw::new("facts.dataset.grade", it.grade)
    }]
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the others do not look at the grant"
)]
fn saw_of_grant(code: ReasonCode, request: &DecisionRequest, facts: &Facts) -> Vec<Saw> {
    let purpose = request.purpose.as_ref().map_or("none", |it| &it.code);
    let Some(it) = &facts.grant else {
        return match code {
            ReasonCode::GrantMissing => vec![Saw::new("facts.grant", "none")],
            _ => Vec::new(),
        };
    };
    match code {
        ReasonCode::GrantMissing | ReasonCode::GrantRevoked => vec![
            Saw::new("facts.grant.id", &it.id),
            Saw::new("facts.grant.state", it.state),
        ],
        ReasonCode::GrantNotYetValid | ReasonCode::GrantExpired => vec![
            Saw::new("request.at", request.at),
            Saw::new("facts.grant.period.from", it.period.from),
            Saw::new("facts.grant.period.until", it.period.until),
        ],
        ReasonCode::PurposeMismatch => vec![
            Saw::new("request.purpose.code", purpose),
            Saw::new("facts.grant.purpose.code", &it.purpose.code),
        ],
        ReasonCode::DestinationMismatch => vec![
            Saw::new("request.destination", request.destination),
            Saw::new("facts.grant.destination", it.destination),
        ],
        _ => Vec::new(),
    }
}
