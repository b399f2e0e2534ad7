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
fn saw(code: ReasonCode, request: &DecisionRequest, facts: &Facts) -> Vec<Saw> {
    let grant = facts.grant.as_ref();
    let dataset = facts.dataset.as_ref();
    let or_none = |it: Option<String>| it.unwrap_or_else(|| "none".to_owned());
    match code {
        ReasonCode::NotAParty => vec![
            Saw::new("facts.party", facts.party),
            Saw::new(
                "request.principal.participant",
                &request.principal.participant,
            ),
        ],
        ReasonCode::DatasetNotServed => {
            vec![Saw::new(
                "facts.dataset.served",
                or_none(dataset.map(|it| it.served.to_string())),
            )]
        }
        ReasonCode::NotShared => {
            vec![Saw::new(
                "facts.dataset.share",
                or_none(dataset.map(|it| it.share.to_string())),
            )]
        }
        ReasonCode::GrantMissing | ReasonCode::GrantRevoked => vec![
            Saw::new("facts.grant.id", or_none(grant.map(|it| it.id.to_string()))),
            Saw::new(
                "facts.grant.state",
                or_none(grant.map(|it| it.state.to_string())),
            ),
        ],
        ReasonCode::GrantNotYetValid | ReasonCode::GrantExpired => vec![
            Saw::new("request.at", request.at),
            Saw::new(
                "facts.grant.period.from",
                or_none(grant.map(|it| it.period.from.to_string())),
            ),
            Saw::new(
                "facts.grant.period.until",
                or_none(grant.map(|it| it.period.until.to_string())),
            ),
        ],
        ReasonCode::PurposeMismatch => vec![
            Saw::new(
                "request.purpose.code",
                or_none(request.purpose.as_ref().map(|it| it.code.clone())),
            ),
            Saw::new(
                "facts.grant.purpose.code",
                or_none(grant.map(|it| it.purpose.code.clone())),
            ),
        ],
        ReasonCode::DestinationMismatch => vec![
            Saw::new("request.destination", request.destination),
            Saw::new(
                "facts.grant.destination",
                or_none(grant.map(|it| it.destination.to_string())),
            ),
        ],
        ReasonCode::CoreData | ReasonCode::ImportantData => {
            vec![Saw::new(
                "facts.dataset.grade",
                or_none(dataset.map(|it| it.grade.to_string())),
            )]
        }
        ReasonCode::StaleView => vec![
            Saw::new("facts.view_age_ms", facts.view_age_ms),
            Saw::new("facts.linearizable", facts.linearizable),
        ],
        ReasonCode::ClockUntrusted => vec![Saw::new("facts.clock_trusted", facts.clock_trusted)],
        ReasonCode::PrincipalNotValid => {
            vec![Saw::new("facts.principal_valid", facts.principal_valid)]
        }
        // The others are told by the role line, by the border, or name what they saw themselves.
        _ => Vec::new(),
    }
}
