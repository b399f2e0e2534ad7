//! The packs that ship with the program: number 0 of their series, in force until another is
//! adopted.
//!
//! It does not hold a negative list: the rows of Guangdong's list could not be retrieved, and a
//! list that is not known exempts nothing.

use super::RulePack;
use crate::Error;

/// Every pack that ships, by series.
///
/// # Errors
/// [`Error::Field`] when one of the files breaks a rule, which a test excludes.
pub fn shipped() -> Result<Vec<RulePack>, Error> {
    TEXTS.iter().map(|text| RulePack::parse(text)).collect()
}

const TEXTS: [&str; 4] = [
    include_str!("../../json/packs/clocks.140581.json"),
    include_str!("../../json/packs/clocks.cn.json"),
    include_str!("../../json/packs/export.cn.json"),
    include_str!("../../json/packs/holidays.cn.json"),
];
