//! What crosses the border of the mainland, and by what right: instruments with their envelopes,
//! counters of natural persons, and what an export decision says.
//!
//! It does not decide (that is `policies`) and it does not count persons (that is the counter
//! home's). Sources are named in `rule_pack`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::calendar::Day;
use crate::code::{ReasonCode, codes};
use crate::rule_pack::PackVersion;
use crate::{DatasetId, InstrumentId, Jurisdiction, ParticipantId, RulePackId, Timestamp};

codes! {
    /// What an instrument is. The first six open a way; the others are evidence that some rules
    /// ask for. All are registered alike, with a validity and an envelope.
    pub enum InstrumentKind {
        /// 数据出境安全评估: a passed assessment (O11; O16 9).
        SecurityAssessment = "SECURITY_ASSESSMENT",
        /// 个人信息出境标准合同, filed (O13).
        StandardContract = "STANDARD_CONTRACT",
        /// 个人信息出境认证 (O20).
        Certification = "CERTIFICATION",
        /// 粤港澳大湾区个人信息跨境流动标准合同, filed.
        GbaContract = "GBA_CONTRACT",
        /// A treaty or agreement of the state, and what it lets pass (NDSR 36).
        Treaty = "TREATY",
        /// Approval of the competent authority for a foreign judicial or enforcement body (DSL 36,
        /// PIPL 41).
        CompetentApproval = "COMPETENT_APPROVAL",
        /// 个人信息保护影响评估 (PIPL 55 and 56).
        ImpactAssessment = "IMPACT_ASSESSMENT",
        /// 单独同意 of the individuals (PIPL 39).
        SeparateConsent = "SEPARATE_CONSENT",
        /// Necessary for a contract with the individual (O16 5(1)).
        ContractNecessity = "CONTRACT_NECESSITY",
        /// Cross-border management of employees under lawful rules (O16 5(2)).
        EmployeeManagement = "EMPLOYEE_MANAGEMENT",
        /// Emergency: life, health, property (O16 5(3)).
        Emergency = "EMERGENCY",
        /// Necessary for a statutory duty (NDSR 35(6)).
        StatutoryDuty = "STATUTORY_DUTY",
        /// Collected and produced abroad, nothing domestic added (O16 4).
        CollectedAbroad = "COLLECTED_ABROAD",
        /// How the data falls under the negative list of a free-trade zone (O16 6).
        ZoneClassification = "ZONE_CLASSIFICATION",
    }
}

impl InstrumentKind {
    /// Whether personal information needs a scale and a retention in the envelope (NDSR 38).
    #[must_use]
    pub fn is_scaled(self) -> bool {
        matches!(
            self,
            Self::SecurityAssessment
                | Self::StandardContract
                | Self::Certification
                | Self::GbaContract
        )
    }
}

codes! {
    /// Whether an instrument may be used, apart from its validity.
    pub enum InstrumentState {
        /// It may.
        Valid = "VALID",
        /// Not for the time being.
        Suspended = "SUSPENDED",
        /// Never again.
        Ended = "ENDED",
    }
}

codes! {
    /// How rows leave.
    pub enum ExportMethod {
        /// As a pinned artefact, sealed and counted first.
        Transfer = "TRANSFER",
        /// As the answer of a live read.
        Read = "READ",
    }
}

/// Columns of one dataset that an envelope names.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct EnvelopeData {
    /// The dataset.
    pub dataset: DatasetId,
    /// Its columns.
    pub columns: BTreeSet<String>,
}

/// What an instrument covers: purpose, method, scope, types and scale must not be exceeded
/// (NDSR 38).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// Who may receive.
    pub recipients: BTreeSet<ParticipantId>,
    /// Where to.
    pub destinations: BTreeSet<Jurisdiction>,
    /// What for, as purpose codes.
    pub purposes: BTreeSet<String>,
    /// Which columns, by dataset.
    pub data: Vec<EnvelopeData>,
    /// How.
    pub methods: BTreeSet<ExportMethod>,
    /// Most distinct natural persons over the instrument's life.
    pub persons_max: Option<u64>,
    /// Longest retention abroad, in days.
    pub retention_days_max: Option<u32>,
}

impl Envelope {
    /// Most recipients of one envelope.
    pub const RECIPIENTS_MAX: usize = 256;
    /// Most purposes of one envelope.
    pub const PURPOSES_MAX: usize = 64;
    /// Most datasets of one envelope.
    pub const DATASETS_MAX: usize = 256;

    /// The columns of a dataset that it names.
    #[must_use]
    pub fn columns(&self, dataset: &DatasetId) -> Option<&BTreeSet<String>> {
        self.data
            .iter()
            .find(|it| it.dataset == *dataset)
            .map(|it| &it.columns)
    }
}

/// How data falls under a negative list: only for `ZONE_CLASSIFICATION`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ZoneClassification {
    /// The list's series.
    pub list: RulePackId,
    /// The list's number: a new list asks for a new classification.
    pub number: u64,
    /// Data classes of the list under which the data falls; none means outside of it.
    pub classes: BTreeSet<String>,
}

/// An export instrument or evidence, as the security officer of the sender registers it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Instrument {
    /// Its identifier.
    pub id: InstrumentId,
    /// What it is.
    pub kind: InstrumentKind,
    /// The data processor that sends.
    pub processor: ParticipantId,
    /// 文号 or another name by which a lawyer finds the document.
    pub reference: String,
    /// Who issued, certified or signed it.
    pub issued_by: String,
    /// First day on which it holds.
    pub from: Day,
    /// Last day on which it holds.
    pub until: Day,
    /// When it was filed, where it must be.
    pub filed_on: Option<Day>,
    /// What it covers.
    pub envelope: Envelope,
    /// For a classification: how the data falls under the list.
    pub classification: Option<ZoneClassification>,
    /// Whether it may be used.
    pub state: InstrumentState,
    /// Why it was suspended or ended.
    pub state_because: Option<String>,
    /// Grows with each change.
    pub revision: u64,
}

/// Distinct persons sent under one instrument, this batch included once it is reserved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct InstrumentCount {
    /// Which.
    pub instrument: InstrumentId,
    /// Persons.
    pub persons: u64,
}

/// Distinct natural persons in one batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchCount {
    /// With information that is not sensitive.
    pub non_sensitive: u64,
    /// With sensitive information.
    pub sensitive: u64,
}

/// The counters of one processor and year, as its counter home gives them: reserved and settled
/// volumes together. A person with both kinds of information counts in both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonCounts {
    /// Calendar year in Asia/Shanghai.
    pub year: u16,
    /// Distinct persons with non-sensitive information since 1 January.
    pub non_sensitive: u64,
    /// Distinct persons with sensitive information since 1 January.
    pub sensitive: u64,
    /// Of `non_sensitive`, those who occur in exempt volumes only.
    pub exempt_non_sensitive: u64,
    /// Of `sensitive`, those who occur in exempt volumes only.
    pub exempt_sensitive: u64,
    /// By instrument, over its life.
    pub under: Vec<InstrumentCount>,
    /// This batch, once it is measured and reserved; it is then part of the other figures. None
    /// before: the first of two decisions.
    pub batch: Option<BatchCount>,
}

/// The totals of one processor and year, signed by it for who supervises it: figures, no persons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PersonTotals {
    /// The data processor.
    pub processor: ParticipantId,
    /// Calendar year in Asia/Shanghai.
    pub year: u16,
    /// Distinct persons with non-sensitive information, reserved and sent.
    pub non_sensitive: u64,
    /// Distinct persons with sensitive information, reserved and sent.
    pub sensitive: u64,
    /// Of `non_sensitive`, those who occur in exempt volumes only.
    pub exempt_non_sensitive: u64,
    /// Of `sensitive`, those who occur in exempt volumes only.
    pub exempt_sensitive: u64,
    /// The last day on which the threshold of the security assessment was crossed.
    pub crossed_on: Option<Day>,
    /// When it was said.
    pub at: Timestamp,
}

/// What is known of an export, beside what every decision knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportFacts {
    /// The rule packs in force in the view: export rules, negative lists, holidays.
    pub packs: Vec<PackVersion>,
    /// GB/T 2260 code of the sender's seat.
    pub sender_seat: Option<String>,
    /// Instruments and evidence of the sender that name the recipient, by identifier.
    pub instruments: Vec<Instrument>,
    /// Counters of the sender; none when its counter home did not answer.
    pub counts: Option<PersonCounts>,
    /// The last day on which the sender crossed the threshold of the security assessment.
    pub crossed_on: Option<Day>,
    /// How rows will leave.
    pub method: ExportMethod,
    /// How long the recipient keeps them, in days, by the contract; none when it is not known.
    pub retention_days: Option<u32>,
    /// Whether the contract lets the recipient pass rows on.
    pub onward_transfer: bool,
    /// How many persons of the sender agreed to the request.
    pub approvals: u32,
}

impl ExportFacts {
    /// Most instruments that a decision looks at.
    pub const INSTRUMENTS_MAX: usize = 256;
}

codes! {
    /// What an export rule comes to, from strictest to loosest.
    pub enum ExportOutcome {
        /// It does not leave.
        Prohibited = "PROHIBITED",
        /// A passed security assessment is needed.
        SecurityAssessment = "SECURITY_ASSESSMENT",
        /// A filed standard contract or a certification is needed.
        ContractOrCertification = "CONTRACT_OR_CERTIFICATION",
        /// A filed Greater Bay Area standard contract is needed.
        GbaContract = "GBA_CONTRACT",
        /// What the treaty asks for is needed.
        AsTreaty = "AS_TREATY",
        /// What the free-trade zone's list asks for is needed.
        AsListed = "AS_LISTED",
        /// Exempt from assessment, contract and certification; the other duties stay (O16 10).
        Exempt = "EXEMPT",
        /// No instrument is required.
        NotRequired = "NOT_REQUIRED",
    }
}

codes! {
    /// Questions that the law leaves open. Each has a setting in the rule pack, which is the
    /// stricter reading unless the authority decides otherwise, and a decision that rests on one
    /// says so.
    pub enum OpenQuestion {
        /// Whether a Greater Bay Area contract waives the volume thresholds of O16.
        GbaVolumeWaiver = "GBA_VOLUME_WAIVER",
        /// Whether a statutory duty (NDSR 35(6)) frees a state organ from PIPL 36.
        OrganStatutoryDuty = "ORGAN_STATUTORY_DUTY",
        /// Whether volumes sent under an exemption count towards the thresholds.
        ExemptVolumesCount = "EXEMPT_VOLUMES_COUNT",
        /// Whether a contract or certification from before a crossing can be used again later.
        ContractAfterCrossing = "CONTRACT_AFTER_CROSSING",
    }
}

/// How an open question was read.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// Which question.
    pub question: OpenQuestion,
    /// Whether the stricter reading was taken.
    pub strict: bool,
}

codes! {
    /// What a permitted export has to watch.
    pub enum NoticeKind {
        /// A counter nears the end of the exemption (persons, non-sensitive).
        NearExemption = "NEAR_EXEMPTION",
        /// A counter nears the security assessment (persons, non-sensitive).
        NearAssessment = "NEAR_ASSESSMENT",
        /// A counter nears the security assessment (persons, sensitive).
        NearSensitiveAssessment = "NEAR_SENSITIVE_ASSESSMENT",
        /// The instrument's scale is nearly used up.
        NearScale = "NEAR_SCALE",
        /// The instrument is not filed yet; `limit` days are left.
        FilingDue = "FILING_DUE",
        /// The window for the extension is open; the instrument ends in `limit` days.
        ExtensionOpen = "EXTENSION_OPEN",
    }
}

/// One thing to watch.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// What.
    pub kind: NoticeKind,
    /// The mark that was reached in per cent of the limit, for counters; 0 for days.
    pub percent: u32,
    /// The counter.
    pub count: u64,
    /// The threshold, or days left.
    pub limit: u64,
}

/// Under what an export was permitted: part of the obligations, and so of the ledger's entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportTerms {
    /// The rule that decided.
    pub rule: ReasonCode,
    /// What it came to.
    pub outcome: ExportOutcome,
    /// What it rests on.
    pub cites: String,
    /// The instrument that is used; the batch settles on it.
    pub instrument: Option<InstrumentId>,
    /// How the recipient must keep the rows, in days.
    pub retention_days: Option<u32>,
    /// Open questions that mattered.
    pub readings: Vec<Reading>,
    /// What to watch.
    pub notices: Vec<Notice>,
    /// The rule packs used.
    pub packs: Vec<PackVersion>,
}

/// What must be counted before an export can be decided. Nothing leaves under it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MeasureDuty {
    /// The rule that would decide if the batch were empty.
    pub rule: ReasonCode,
    /// The calendar year whose counters are reserved in.
    pub year: u16,
    /// Columns with personal information that is not sensitive.
    pub personal: Vec<String>,
    /// Columns with sensitive personal information.
    pub sensitive: Vec<String>,
    /// The instrument on whose scale the batch is reserved as well.
    pub instrument: Option<InstrumentId>,
}
