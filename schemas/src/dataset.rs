//! A dataset's catalog record (政务信息资源目录) and its published versions.
//!
//! It does not hold rows: those are in the provider's Delta tables.

use crypto::{Digest, Label};
use serde::{Deserialize, Serialize};

use crate::code::codes;
use crate::grading::Grading;
use crate::mapping::Mapping;
use crate::quality::{QualityGate, QualityRule, QualityVerdict};
use crate::resource::ResourceEntry;
use crate::{
    DatasetId, LocalText, MappingId, NodeId, ParticipantId, PersonId, Signed, StandardId,
    Timestamp, Visibility,
};

codes! {
    /// Share attribute (共享属性, Decree 809).
    pub enum ShareAttribute {
        /// 无条件共享.
        Unconditional = "UNCONDITIONAL",
        /// 有条件共享: the conditions must be stated.
        Conditional = "CONDITIONAL",
        /// 不予共享: needs a basis in law.
        NotShared = "NOT_SHARED",
    }
}

codes! {
    /// Grade (GB/T 43697-2024): four general levels, important, core; from harmless to core.
    pub enum Grade {
        /// General, level 1: no harm.
        G1 = "G1",
        /// General, level 2: ordinary harm.
        G2 = "G2",
        /// General, level 3: serious harm.
        G3 = "G3",
        /// General, level 4: very serious harm.
        G4 = "G4",
        /// 重要数据, by notification or publication only.
        Important = "IMPORTANT",
        /// 核心数据.
        Core = "CORE",
    }
}

impl Grade {
    /// Whether data of this grade is always sealed to its recipient.
    #[must_use]
    pub fn is_sealed(self) -> bool {
        self >= Self::G3
    }
}

codes! {
    /// Personal information in a column (PIPL 4 and 28).
    pub enum Sensitivity {
        /// None.
        None = "NONE",
        /// Personal information.
        Personal = "PERSONAL",
        /// Sensitive personal information.
        SensitivePersonal = "SENSITIVE_PERSONAL",
    }
}

codes! {
    /// How often a dataset is renewed (更新周期).
    pub enum UpdateCycle {
        /// 实时.
        Realtime = "REALTIME",
        /// 每日.
        Daily = "DAILY",
        /// 每周.
        Weekly = "WEEKLY",
        /// 每月.
        Monthly = "MONTHLY",
        /// 每季度.
        Quarterly = "QUARTERLY",
        /// 每年.
        Yearly = "YEARLY",
        /// 其他.
        Other = "OTHER",
    }
}

codes! {
    /// Life of a catalog record (目录条目状态).
    pub enum DatasetState {
        /// Being written.
        Draft = "DRAFT",
        /// Approved by the department.
        DepartmentApproved = "DEPT_APPROVED",
        /// With the data authority.
        Submitted = "SUBMITTED",
        /// Sent back.
        Returned = "RETURNED",
        /// Approved by the data authority.
        Approved = "APPROVED",
        /// Visible and served.
        Published = "PUBLISHED",
        /// Published, and a revision is being written.
        Revising = "REVISING",
        /// Not served for the time being.
        Suspended = "SUSPENDED",
        /// Ended.
        Retired = "RETIRED",
    }
}

/// One column (信息项).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Name in tables and in the JSON Schema.
    pub name: String,
    /// Title for people.
    pub title: LocalText,
    /// Personal information in it.
    pub sensitivity: Sensitivity,
}

/// An edition of a data standard.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(deny_unknown_fields)]
pub struct StandardEdition {
    /// The standard.
    pub standard: StandardId,
    /// Its edition, counted from 1.
    pub edition: u32,
}

/// The catalog record of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Dataset {
    /// Its identifier.
    pub id: DatasetId,
    /// 信息资源代码.
    pub resource_code: String,
    /// 信息资源提供方.
    pub provider: ParticipantId,
    /// The node that owns its tables: update, merge and delete happen there only.
    pub owner: NodeId,
    /// 信息资源名称.
    pub title: LocalText,
    /// 信息资源摘要.
    pub summary: LocalText,
    /// 信息资源分类 (theme).
    pub theme: String,
    /// 共享类型.
    pub share: ShareAttribute,
    /// 共享条件, required when conditional.
    pub share_conditions: Option<String>,
    /// Law or regulation that the share attribute rests on, required when not shared.
    pub share_basis: Option<String>,
    /// 更新周期.
    pub update_cycle: UpdateCycle,
    /// Format, share method and opening. A record without them is not taken in for review.
    pub resource: Option<ResourceEntry>,
    /// 分级.
    pub grade: Grade,
    /// Why it has that grade.
    pub grade_basis: String,
    /// How it came by that grade, as far as it is on record.
    pub grading: Option<Grading>,
    /// The data standard its rows follow.
    pub standard: StandardEdition,
    /// 信息项.
    pub columns: Vec<Column>,
    /// Quality rules run on publish.
    pub quality_rules: Vec<QualityRule>,
    /// When a version may be published.
    pub quality_gate: QualityGate,
    /// How files of other forms become its rows, at most [`crate::mapping::MAPPINGS_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub mappings: Vec<Mapping>,
    /// Who may see this card; an important dataset's card may be limited.
    pub visibility: Visibility,
    /// Where it is in its life.
    pub state: DatasetState,
    /// Who wrote it last. The catalog sets it: the signer of the change, whatever the record says.
    pub written_by: Option<PersonId>,
    /// Grows with each change; `If-Match` compares it.
    pub revision: u64,
}

impl Dataset {
    /// Most columns of a dataset; the widest real table we know has 107.
    pub const COLUMNS_MAX: usize = 1_024;
    /// Most quality rules of a dataset.
    pub const RULES_MAX: usize = 256;

    /// The column of that name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The mapping of that name.
    #[must_use]
    pub fn mapping(&self, id: &MappingId) -> Option<&Mapping> {
        self.mappings.iter().find(|mapping| mapping.id == *id)
    }

    /// Whether any column holds personal information.
    #[must_use]
    pub fn has_personal_columns(&self) -> bool {
        self.columns
            .iter()
            .any(|column| column.sensitivity != Sensitivity::None)
    }

    /// Whether versions are served to others.
    #[must_use]
    pub fn is_served(&self) -> bool {
        matches!(self.state, DatasetState::Published | DatasetState::Revising)
    }
}

/// What a steward signs when she publishes a file: the file is fixed by its digest, so that no
/// other content can be published under her name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishIntent {
    /// The dataset.
    pub dataset: DatasetId,
    /// SM3 of the file as uploaded.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub file_digest: Digest,
    /// Its size in bytes.
    pub file_bytes: u64,
    /// Who publishes.
    pub person: PersonId,
    /// For whom.
    pub participant: ParticipantId,
    /// When she signed.
    pub at: Timestamp,
}

impl PublishIntent {
    /// The label under which the steward signs it: it binds, as a command does.
    pub const LABEL: Label = Label::Command;
}

/// The mapping that a version's file was read with, exactly.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AppliedMapping {
    /// Its name in the dataset's card.
    pub mapping: MappingId,
    /// SM3 of its canonical bytes: which revision of it.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub digest: Digest,
}

/// One published version. Signed by the provider's key, recorded once, never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetVersion {
    /// The dataset.
    pub dataset: DatasetId,
    /// Counted from 1 without gaps.
    pub number: u64,
    /// Version of the Delta table that holds it.
    pub delta_version: u64,
    /// Rows in it.
    pub rows: u64,
    /// Rows of the same upload that were kept out, with reasons.
    pub quarantined_rows: u64,
    /// Bytes of its Parquet files.
    pub bytes: u64,
    /// The standard that its rows were checked against.
    pub standard: StandardEdition,
    /// SM3 of the canonical Arrow schema of the table.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub schema_digest: Digest,
    /// SM3 Merkle root over the version's files: their names, sizes and content digests, by name.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub content_digest: Digest,
    /// The mapping that its file was read with, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub mapping: Option<AppliedMapping>,
    /// What the quality rules said.
    pub verdict: QualityVerdict,
    /// The steward's signed intent.
    pub intent: Signed<PublishIntent>,
    /// When the gate let it pass.
    pub published_at: Timestamp,
}

impl DatasetVersion {
    /// The label under which the provider's key signs it: evidence of what was published.
    pub const LABEL: Label = Label::Evidence;
}
