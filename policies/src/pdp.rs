//! The decision point itself: text in, index out; request and facts in, decision out.
//!
//! It does not know the rules: each file beside this one looks for its own reasons, and `combine`
//! adds them up.

use schemas::calendar::Day;
use schemas::code::ReasonCode;
use schemas::decision::{Decision, DecisionRequest, Facts, PolicyVersion, Principal};
use schemas::export::{Notice, PersonCounts};
use schemas::participant::Role;
use schemas::policy_set::PolicySet;
use schemas::rule_pack::{PackVersion, RulePack};
use schemas::{Grade, Jurisdiction, Timestamp, canonical};

use crate::combine::Reasons;
use crate::error::Error;
use crate::export::pack::Packs;
use crate::rbac::{Index, Ruling};
use crate::rules::Rules;
use crate::usage::Duties;
use crate::{export, obligation, usage};

/// The casbin model that ships.
pub(crate) const SHIPPED_MODEL: &str = include_str!("../baseline/model.conf");
/// The casbin policy lines that ship.
pub(crate) const SHIPPED_ROLES: &str = include_str!("../baseline/roles.csv");
/// The rules that ship.
pub(crate) const SHIPPED_RULES: &str = include_str!("../baseline/rules.toml");

/// The policy set that ships with the program: number 0, in force until another is adopted.
#[must_use]
pub fn shipped() -> PolicySet {
    PolicySet {
        number: 0,
        model: SHIPPED_MODEL.to_owned(),
        roles: SHIPPED_ROLES.to_owned(),
        rules: SHIPPED_RULES.to_owned(),
        note: "ships with the program".to_owned(),
    }
}

/// A compiled policy set.
///
/// Compiling takes milliseconds and is done once for a set; a decision is a few map look-ups and
/// the copies that its obligations need.
#[derive(Clone, Debug)]
pub struct Pdp {
    version: PolicyVersion,
    index: Index,
    rules: Rules,
    packs: Packs,
}

impl Pdp {
    /// Compiles a policy set, with the rule packs that ship.
    ///
    /// # Errors
    /// [`Error`], naming the part, the line and what to do, when the text is too long, cannot be
    /// read, names what does not exist, or is looser than the architecture allows.
    pub fn compile(set: &PolicySet) -> Result<Self, Error> {
        let index = Index::compile(&set.model, &set.roles)?;
        let rules = Rules::parse(&set.rules)?;
        let digest = canonical::digest(set).map_err(|e| Error::Digest { why: e.to_string() })?;
        Ok(Self {
            version: PolicyVersion {
                number: set.number,
                digest,
            },
            index,
            rules,
            packs: Packs::compile(&[])?,
        })
    }

    /// The same set with adopted rule packs. Of one kind, the highest number that holds on the day
    /// of a request is used; those that ship have number 0.
    ///
    /// # Errors
    /// [`Error::Pack`] when one of them breaks a rule or there are too many.
    pub fn with_packs(self, adopted: &[RulePack]) -> Result<Self, Error> {
        Ok(Self {
            packs: Packs::compile(adopted)?,
            ..self
        })
    }

    /// Which set this is.
    #[must_use]
    pub fn version(&self) -> &PolicyVersion {
        &self.version
    }

    /// Decides. Asking "why was this refused?" is the same call without recording it.
    ///
    /// The answer is a function of this set and the two arguments. A refusal carries all reasons,
    /// sorted and each once; a permit of an action under which no rows leave has no obligations.
    #[must_use]
    pub fn decide(&self, request: &DecisionRequest, facts: &Facts) -> Decision {
        let mut reasons = Reasons::new(&self.rules);
        let duties = Duties::of(request.action);
        self.judge_principal(request, facts, &mut reasons);
        usage::judge(&self.rules, duties, request, facts, &mut reasons);
        let obligations = obligation::judge(self, duties, request, facts, &mut reasons);
        let passage = export::judge(self, duties, request, facts, &obligations, &mut reasons);
        reasons.decide(obligations, passage)
    }

    /// Oldest catalog view on which a permit for this grade may rest, in milliseconds.
    #[must_use]
    pub fn view_age_max_ms(&self, grade: Grade) -> u64 {
        self.rules.grade(grade).view_age_max_ms
    }

    /// Whether rows of this grade, sent there, need a view from a linearizable read: important and
    /// core data, and every export.
    #[must_use]
    pub fn needs_linearizable(&self, grade: Grade, destination: Jurisdiction) -> bool {
        self.rules.grade(grade).linearizable || !destination.is_mainland()
    }

    /// Whether rows of this grade, sent there, are sealed to the recipient's key: G3 and above, and
    /// every export.
    #[must_use]
    pub fn seals(&self, grade: Grade, destination: Jurisdiction) -> bool {
        self.rules.grade(grade).seal || !destination.is_mainland()
    }

    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The rule packs that an export of that day rests on, for the facts of a decision.
    #[must_use]
    pub fn export_packs(&self, at: Timestamp) -> Vec<PackVersion> {
        let force = self.packs.in_force(Day::of(at));
        force.map_or_else(Vec::new, |it| it.versions())
    }

    /// Whether the persons of a year have reached the number from which on the rules of that day
    /// ask for a security assessment.
    #[must_use]
    pub fn is_assessment_reached(&self, at: Timestamp, counts: &PersonCounts) -> bool {
        let force = self.packs.in_force(Day::of(at));
        force.is_some_and(|it| export::is_assessment_reached(it, counts))
    }

    /// The thresholds of that day which the persons of a year come near to, at the marks of the
    /// rule pack.
    #[must_use]
    pub fn near_thresholds(&self, at: Timestamp, counts: &PersonCounts) -> Vec<Notice> {
        let force = self.packs.in_force(Day::of(at));
        force.map_or_else(Vec::new, |it| export::near_thresholds(it, counts))
    }

    /// Whether the packs that the facts name are this one's; facts without an export name none.
    pub(crate) fn has_packs_of(&self, facts: &Facts) -> bool {
        let named = facts.export.as_ref().map_or(&[][..], |it| &it.packs);
        named.iter().all(|it| self.packs.holds(it))
    }

    pub(crate) fn packs(&self) -> &Packs {
        &self.packs
    }

    /// What the policy lines say of the principal and the action.
    pub(crate) fn ruling(&self, request: &DecisionRequest) -> Option<Ruling> {
        self.index.ruling(&request.principal, request.action)
    }

    /// Who asks: valid now, not two of the three administrators in one, and with a role for it.
    fn judge_principal(&self, request: &DecisionRequest, facts: &Facts, reasons: &mut Reasons<'_>) {
        let principal = &request.principal;
        let nobody = principal.person.is_none() && principal.node.is_none();
        if !facts.principal_valid || nobody {
            reasons.deny(ReasonCode::PrincipalNotValid);
        }
        if administrations(principal) > 1 {
            reasons.deny(ReasonCode::SeparationOfDuties);
        }
        match self.ruling(request) {
            Some(Ruling::Allowed) => {}
            Some(Ruling::Forbidden { line }) => {
                let cites = self.rules.cites(ReasonCode::SeparationOfDuties);
                let cites = format!("roles.csv line {line}; {cites}");
                reasons.deny_because(ReasonCode::SeparationOfDuties, cites);
            }
            None => reasons.deny(ReasonCode::RoleMissing),
        }
    }
}

/// How many of the three separate administrations meet in one person.
fn administrations(principal: &Principal) -> usize {
    [
        Role::SystemAdministrator,
        Role::SecurityOfficer,
        Role::Auditor,
    ]
    .iter()
    .filter(|role| principal.roles.contains(role))
    .count()
}
