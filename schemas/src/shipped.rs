//! The data standards that ship with the program, and descriptions of real public files that
//! follow them: what a demonstration or a test publishes first.
//!
//! It does not hold data, and it knows no provider: a description becomes a catalog record when a
//! provider and its node take it over.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dataset::{Column, Dataset, DatasetState, Grade, ShareAttribute, UpdateCycle};
use crate::mapping::Mapping;
use crate::quality::{QualityGate, QualityRule};
use crate::resource::ResourceEntry;
use crate::standard::DataStandard;
use crate::{
    DatasetId, Error, LocalText, NodeId, ParticipantId, StandardEdition, StandardId, Visibility,
};

/// A file of real rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceFile {
    /// Path below the folder of real data.
    pub path: String,
    /// Rows in it, the header not counted.
    pub rows_total: u64,
}

/// What becomes of a file of real rows under the standard that ships for it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// Which description.
    pub dataset: DatasetId,
    /// Path below the folder of real data.
    pub file: String,
    /// Rows in it.
    pub rows: u64,
    /// Rows of those that are kept out.
    pub quarantined: u64,
    /// Column and keyword that they break -> how many do.
    pub why: BTreeMap<String, u64>,
}

/// A dataset before it has a provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Described {
    /// Its identifier; a provider may choose another.
    pub id: DatasetId,
    /// The standard that its rows follow.
    pub standard: StandardEdition,
    /// The real file, or nothing where rows are generated.
    pub source: Option<SourceFile>,
    /// 信息资源代码.
    pub resource_code: String,
    /// Title.
    pub title: LocalText,
    /// Summary.
    pub summary: LocalText,
    /// Theme.
    pub theme: String,
    /// Share attribute.
    pub share: ShareAttribute,
    /// Share conditions, where it is conditional.
    pub share_conditions: Option<String>,
    /// Basis in law, where it is not shared.
    pub share_basis: Option<String>,
    /// Update cycle.
    pub update_cycle: UpdateCycle,
    /// Grade.
    pub grade: Grade,
    /// Why it has that grade.
    pub grade_basis: String,
    /// Columns in the order of the standard.
    pub columns: Vec<Column>,
    /// Quality rules that the real rows pass.
    pub quality_rules: Vec<QualityRule>,
    /// When a version may be published.
    pub quality_gate: QualityGate,
    /// How files of other forms become its rows.
    #[serde(default)]
    pub mappings: Vec<Mapping>,
}

impl Described {
    /// The catalog record: a draft of `provider`, owned by `owner`, revision 0 (a new one).
    #[must_use]
    pub fn into_dataset(self, provider: ParticipantId, owner: NodeId) -> Dataset {
        Dataset {
            id: self.id,
            resource_code: self.resource_code,
            provider,
            owner,
            title: self.title,
            summary: self.summary,
            theme: self.theme,
            share: self.share,
            share_conditions: self.share_conditions,
            share_basis: self.share_basis,
            update_cycle: self.update_cycle,
            resource: Some(ResourceEntry::exchanged_tables()),
            grade: self.grade,
            grade_basis: self.grade_basis,
            grading: None,
            standard: self.standard,
            columns: self.columns,
            quality_rules: self.quality_rules,
            quality_gate: self.quality_gate,
            mappings: self.mappings,
            visibility: Visibility::Federation,
            state: DatasetState::Draft,
            written_by: None,
            revision: 0,
        }
    }
}

/// Every standard that ships, edition 1 each.
///
/// # Errors
/// [`Error::Standard`] when an embedded text cannot be read, which a test rules out.
pub fn standards() -> Result<Vec<DataStandard>, Error> {
    TEXTS.iter().map(|texts| texts.standard()).collect()
}

/// Every dataset that ships, code tables first.
///
/// # Errors
/// As [`standards`].
pub fn datasets() -> Result<Vec<Described>, Error> {
    TEXTS
        .iter()
        .map(|texts| parse(texts.name, texts.dataset))
        .collect()
}

/// What becomes of each real file that a shipped description names.
///
/// # Errors
/// As [`standards`].
pub fn expectations() -> Result<Vec<Expected>, Error> {
    parse("EXPECTED", include_str!("../json/standards/EXPECTED.json"))
}

fn parse<'a, T: Deserialize<'a>>(name: &str, text: &'a str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|source| Error::Standard {
        why: format!("shipped text of {name}: {source}"),
    })
}

/// The embedded texts of one standard.
struct Texts {
    name: &'static str,
    row_schema: &'static str,
    reading: &'static str,
    dataset: &'static str,
}

impl Texts {
    fn standard(&self) -> Result<DataStandard, Error> {
        let dataset: Described = parse(self.name, self.dataset)?;
        Ok(DataStandard {
            edition: StandardEdition {
                standard: StandardId::parse(self.name)?,
                edition: 1,
            },
            title: dataset.title,
            row_schema: self.row_schema.to_owned(),
            reading: parse(self.name, self.reading)?,
        })
    }
}

macro_rules! texts {
    ($($name:literal),* $(,)?) => {
        &[$(Texts {
            name: $name,
            row_schema: include_str!(concat!("../json/standards/", $name, ".row.schema.json")),
            reading: include_str!(concat!("../json/standards/", $name, ".reading.json")),
            dataset: include_str!(concat!("../json/standards/", $name, ".dataset.json")),
        },)*]
    };
}

const TEXTS: &[Texts] = texts![
    "code-gbt2260",
    "code-gbt2260-201512",
    "code-iso3166",
    "flights",
    "travellers",
    "customs-declarations",
    "vessel-positions",
    "port-traffic",
    "vessel-calls",
    "container-throughput",
    "port-cargo-gba",
    "code-gbt2260-changes",
];
