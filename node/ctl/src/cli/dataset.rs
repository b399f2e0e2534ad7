//! `kouanctl dataset`.
//!
//! It does not know which moves the catalog allows; the catalog says so.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use schemas::dataset::{DatasetState, Grade, ShareAttribute, UpdateCycle};
use schemas::grading::ImpactAnswer;
use schemas::rule_pack::{ImpactDegree, ImpactObject};
use schemas::{DatasetId, JobId, MappingId, ParticipantId, StandardId};

use super::{FromFile, Paging, code};

#[derive(Debug, Subcommand)]
pub(crate) enum Dataset {
    /// Find datasets by words in title, summary, theme or identifier; all must occur.
    #[command(after_help = "Example: kouanctl dataset search 集装箱 --grade G2")]
    Search(Search),
    /// Datasets that you may see.
    #[command(after_help = "Example: kouanctl dataset list --provider gd.guangzhou.port")]
    List(Find),
    /// One dataset's card.
    #[command(after_help = "Example: kouanctl dataset get gd.port.calls -o json")]
    Get {
        /// Which.
        id: DatasetId,
    },
    /// Create or revise a card. The revision in the file is the one that it replaces, 0 for new.
    #[command(after_help = "Example: kouanctl dataset describe -f calls.json")]
    Describe(FromFile),
    /// Move a dataset through its life.
    #[command(after_help = "Example: kouanctl dataset move gd.port.calls SUBMITTED")]
    Move {
        /// Which.
        id: DatasetId,
        /// Where to: DEPT_APPROVED, SUBMITTED, APPROVED, PUBLISHED ...
        #[arg(value_parser = |text: &str|
            code(text, DatasetState::ALL, DatasetState::parse))]
        state: DatasetState,
    },
    /// What is filled in wrongly in a card: one of the catalog, or a file before it is sent.
    #[command(after_help = "Example: kouanctl dataset check-card gd.port.calls")]
    CheckCard {
        /// Which.
        #[arg(required_unless_present = "file", conflicts_with = "file")]
        id: Option<DatasetId>,
        /// JSON file of the card; other cards are then not looked at.
        #[arg(short, long, value_name = "FILE.json")]
        file: Option<PathBuf>,
    },
    /// The first free resource code of a classification: class 1, item 2, subject 3, detail.
    #[command(after_help = "Example: kouanctl dataset code 3060100")]
    Code {
        /// Its digits.
        classification: String,
    },
    /// The grade that answers about impact give; each object of impact is answered. What comes out
    /// goes into the card as grading.assessment.
    #[command(after_help = "Example: kouanctl dataset grade \
        --impact NATIONAL_SECURITY=NONE:public --impact ECONOMIC_OPERATION=NONE:public \
        --impact SOCIAL_ORDER=NONE:public --impact PUBLIC_INTEREST=NONE:public \
        --impact ORGANISATION_RIGHTS=GENERAL:trade --impact INDIVIDUAL_RIGHTS=NONE:none -o json")]
    Grade {
        /// Object, degree and reason. Degrees: NONE, GENERAL, SERIOUS, VERY_SERIOUS.
        #[arg(long = "impact", required = true, value_parser = impact,
            value_name = "OBJECT=DEGREE:REASON")]
        impacts: Vec<(ImpactObject, ImpactAnswer)>,
    },
    /// Publish a file as the next version: sign what it is, send it, wait for the verdict.
    #[command(after_help = "Example: kouanctl dataset publish gd.port.calls calls.csv")]
    Publish(Publish),
    /// Read a file and check every row, and publish nothing: what would be kept out, and why (exit
    /// 6 when a row does not follow the standard).
    #[command(
        after_help = "Example: kouanctl dataset check calls.xml --standard port-calls \
        --mapping calls.json"
    )]
    Check(Check),
    /// Published versions, oldest first.
    #[command(after_help = "Example: kouanctl dataset versions gd.port.calls")]
    Versions {
        /// Of which dataset.
        id: DatasetId,
        #[command(flatten)]
        paging: Paging,
    },
    /// The latest version by the indicators of GB/T 36344, each with its formula and its basis.
    #[command(after_help = "Example: kouanctl dataset scorecard gd.port.calls")]
    Scorecard {
        /// Of which dataset.
        id: DatasetId,
    },
    /// Rows that a publish job kept out, with the reasons.
    #[command(after_help = "Example: kouanctl dataset quarantine j-7f3a -o csv > rows.csv")]
    Quarantine {
        /// The publish job.
        job: JobId,
        #[command(flatten)]
        paging: Paging,
    },
    /// First rows of your own dataset's latest version.
    #[command(after_help = "Example: kouanctl dataset preview gd.port.calls --limit 10")]
    Preview {
        /// Which.
        id: DatasetId,
        #[command(flatten)]
        paging: Paging,
    },
    /// Data standards: the form that rows follow.
    #[command(after_help = "Example: kouanctl dataset standards")]
    Standards(Paging),
    /// One edition of a data standard.
    #[command(after_help = "Example: kouanctl dataset standard port-calls 1 -o json")]
    Standard {
        /// Which.
        id: StandardId,
        /// Its edition, from 1.
        edition: u32,
    },
    /// Adopt an edition of a data standard.
    #[command(after_help = "Example: kouanctl dataset adopt-standard -f port-calls.json")]
    AdoptStandard(FromFile),
}

#[derive(Debug, Args)]
pub(crate) struct Search {
    /// Words, in Chinese or English.
    #[arg(required = true)]
    pub(crate) words: Vec<String>,
    #[command(flatten)]
    pub(crate) find: Find,
}

#[derive(Debug, Args)]
pub(crate) struct Find {
    /// Only of this provider.
    #[arg(long)]
    pub(crate) provider: Option<ParticipantId>,
    /// Only of this grade: G1 to G4, IMPORTANT, CORE.
    #[arg(long, value_parser = |text: &str| code(text, Grade::ALL, Grade::parse))]
    pub(crate) grade: Option<Grade>,
    /// Only with this share attribute: UNCONDITIONAL, CONDITIONAL, NOT_SHARED.
    #[arg(long, value_parser = |text: &str|
        code(text, ShareAttribute::ALL, ShareAttribute::parse))]
    pub(crate) share: Option<ShareAttribute>,
    /// Only with this update cycle: REALTIME, DAILY, WEEKLY, MONTHLY, QUARTERLY, YEARLY, OTHER.
    #[arg(long, value_parser = |text: &str| code(text, UpdateCycle::ALL, UpdateCycle::parse))]
    pub(crate) cycle: Option<UpdateCycle>,
    /// Only of this theme.
    #[arg(long)]
    pub(crate) theme: Option<String>,
    /// Count instead, by provider, grade, share attribute, update cycle and theme.
    #[arg(long, conflicts_with_all = ["limit", "all"])]
    pub(crate) facets: bool,
    #[command(flatten)]
    pub(crate) paging: Paging,
}

#[derive(Debug, Args)]
pub(crate) struct Publish {
    /// Of which dataset.
    pub(crate) id: DatasetId,
    /// CSV, JSON, XML, XLSX or Parquet; its ending says which.
    pub(crate) path: PathBuf,
    /// The mapping of the dataset's card that it is read with.
    #[arg(long)]
    pub(crate) mapping: Option<MappingId>,
    /// Its encoding: UTF-8, GB18030, Big5, UTF-16LE, UTF-16BE; found out when absent.
    #[arg(long)]
    pub(crate) encoding: Option<String>,
    /// Come back when the file has arrived, and do not wait for the verdict.
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// Makes a retry the same job; random when absent.
    #[arg(long, value_name = "KEY")]
    pub(crate) idempotency_key: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    /// CSV, JSON, XML, XLSX or Parquet; its ending says which.
    pub(crate) path: PathBuf,
    /// The data standard that its rows should follow.
    #[arg(long)]
    pub(crate) standard: StandardId,
    /// Its edition, from 1.
    #[arg(long, default_value_t = 1)]
    pub(crate) edition: u32,
    /// A mapping file (JSON), where the file is not of the standard's own form.
    #[arg(long, value_name = "FILE")]
    pub(crate) mapping: Option<PathBuf>,
    /// Its encoding: UTF-8, GB18030, Big5, UTF-16LE, UTF-16BE; found out when absent.
    #[arg(long)]
    pub(crate) encoding: Option<String>,
}

/// Parses `OBJECT=DEGREE:REASON`.
fn impact(text: &str) -> Result<(ImpactObject, ImpactAnswer), String> {
    let wrong = || "write OBJECT=DEGREE:REASON, for example SOCIAL_ORDER=NONE:public".to_owned();
    let (object, rest) = text.split_once('=').ok_or_else(wrong)?;
    let (degree, because) = rest.split_once(':').ok_or_else(wrong)?;
    if because.trim().is_empty() {
        return Err(wrong());
    }
    let object = code(object, ImpactObject::ALL, ImpactObject::parse)?;
    let degree = code(degree, ImpactDegree::ALL, ImpactDegree::parse)?;
    let because = because.to_owned();
    Ok((object, ImpactAnswer { degree, because }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_impact_is_an_object_a_degree_and_a_reason() {
        let because = "lists: of ships".to_owned();
        let degree = ImpactDegree::VerySerious;
        assert_eq!(
            impact("social-order=very-serious:lists: of ships"),
            Ok((ImpactObject::SocialOrder, ImpactAnswer { degree, because }))
        );
        for bad in [
            "",
            "SOCIAL_ORDER",
            "SOCIAL_ORDER=NONE",
            "SOCIAL_ORDER=NONE: ",
            "X=NONE:x",
        ] {
            assert!(impact(bad).is_err(), "{bad}");
        }
    }
}
