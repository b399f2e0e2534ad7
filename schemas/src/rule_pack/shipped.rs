//! The packs that ship with the program: number 0 of their series, in force until another is
//! adopted.
//!
//! It does not hold a negative list: the rows of Guangdong's list could not be retrieved, and a
//! list that is not known exempts nothing.

use std::sync::OnceLock;

use super::RulePack;

/// Every pack that ships, by series. A file that breaks a rule would leave none, and then nothing
/// is exported and no clock runs; a test excludes it.
#[must_use]
pub fn shipped() -> &'static [RulePack] {
    static PACKS: OnceLock<Vec<RulePack>> = OnceLock::new();
    PACKS.get_or_init(|| {
        let parsed: Result<Vec<RulePack>, _> =
            TEXTS.iter().map(|text| RulePack::parse(text)).collect();
        parsed.unwrap_or_default()
    })
}

const TEXTS: [&str; 5] = [
    include_str!("../../json/packs/clocks.140581.json"),
    include_str!("../../json/packs/clocks.cn.json"),
    include_str!("../../json/packs/export.cn.json"),
    include_str!("../../json/packs/grading.cn.json"),
    include_str!("../../json/packs/holidays.cn.json"),
];
