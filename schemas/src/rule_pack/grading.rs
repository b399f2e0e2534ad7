//! The table of impact and degree by which data is graded (GB/T 43697-2024, table 1 and annex H).
//!
//! It does not grade a dataset: people answer what would be harmed and how much, and the table says
//! which grade follows.

use serde::{Deserialize, Serialize};

use super::{check_count, check_text, check_unique, refuse};
use crate::code::codes;
use crate::{Error, Grade};

codes! {
    /// What would be harmed (影响对象).
    pub enum ImpactObject {
        /// 国家安全.
        NationalSecurity = "NATIONAL_SECURITY",
        /// 经济运行.
        EconomicOperation = "ECONOMIC_OPERATION",
        /// 社会秩序.
        SocialOrder = "SOCIAL_ORDER",
        /// 公共利益.
        PublicInterest = "PUBLIC_INTEREST",
        /// 组织权益.
        OrganisationRights = "ORGANISATION_RIGHTS",
        /// 个人权益.
        IndividualRights = "INDIVIDUAL_RIGHTS",
    }
}

codes! {
    /// How much (影响程度); from none to very serious.
    pub enum ImpactDegree {
        /// 无危害.
        None = "NONE",
        /// 一般危害.
        General = "GENERAL",
        /// 严重危害.
        Serious = "SERIOUS",
        /// 特别严重危害.
        VerySerious = "VERY_SERIOUS",
    }
}

/// One cell of the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GradingCell {
    /// What would be harmed.
    pub object: ImpactObject,
    /// How much.
    pub degree: ImpactDegree,
    /// The grade that follows.
    pub grade: Grade,
    /// The table or annex.
    pub cites: String,
}

/// The table: each object with each degree once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GradingTable {
    /// The cells, in any order.
    pub cells: Vec<GradingCell>,
}

/// The least grade that the national standard lets a cell have: what table 1 calls important or
/// core. General levels below are the adopting authority's to set.
fn least(object: ImpactObject, degree: ImpactDegree) -> Grade {
    match (object, degree) {
        (_, ImpactDegree::None)
        | (ImpactObject::OrganisationRights | ImpactObject::IndividualRights, _) => Grade::G1,
        (ImpactObject::NationalSecurity, ImpactDegree::General) => Grade::Important,
        (ImpactObject::NationalSecurity, ImpactDegree::Serious)
        | (_, ImpactDegree::VerySerious) => Grade::Core,
        (_, ImpactDegree::Serious) => Grade::Important,
        (_, ImpactDegree::General) => Grade::G1,
    }
}

impl GradingTable {
    /// The cell of an object and a degree.
    #[must_use]
    pub fn cell(&self, object: ImpactObject, degree: ImpactDegree) -> Option<&GradingCell> {
        self.cells
            .iter()
            .find(|it| it.object == object && it.degree == degree)
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        let all = ImpactObject::ALL.len() * ImpactDegree::ALL.len();
        check_count("cells", self.cells.len(), all)?;
        check_unique("cells", self.cells.iter().map(|it| (it.object, it.degree)))?;
        if self.cells.len() != all {
            return Err(refuse(
                "cells",
                format!("it has {} cells of {all}; write each", self.cells.len()),
            ));
        }
        for cell in &self.cells {
            check_text("cells.cites", &cell.cites)?;
            let floor = least(cell.object, cell.degree);
            if cell.grade < floor {
                return Err(refuse(
                    "cells.grade",
                    format!(
                        "{} {} is {floor} at least (GB/T 43697-2024, table 1)",
                        cell.object, cell.degree
                    ),
                ));
            }
        }
        for object in ImpactObject::ALL {
            let grades = ImpactDegree::ALL
                .iter()
                .filter_map(|degree| self.cell(*object, *degree))
                .map(|it| it.grade);
            if !grades.is_sorted() {
                return Err(refuse(
                    "cells.grade",
                    format!("{object}: more harm gives a lower grade; correct one"),
                ));
            }
        }
        Ok(())
    }
}
