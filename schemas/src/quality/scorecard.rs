//! The scorecard of a version by the indicators of GB/T 36344-2018, each with its formula and what
//! it rests on.
//!
//! It does not guess: an indicator that no rule and no check feeds is not assessable, which is not
//! 100 %. It does not grade either; local standards (such as DB11/T 2317-2024) set those lines.

use serde::{Deserialize, Serialize};

use super::{Ppm, QualityVerdict};
use crate::{LocalText, RuleId};

/// One indicator of the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Indicator {
    /// Its code; the first two digits are the dimension.
    pub code: &'static str,
    /// Its name in Chinese.
    pub zh: &'static str,
    /// Its name in English.
    pub en: &'static str,
    /// What A and B of its formula X = A / B are.
    pub formula: &'static str,
}

const fn indicator(
    code: &'static str,
    zh: &'static str,
    en: &'static str,
    formula: &'static str,
) -> Indicator {
    Indicator {
        code,
        zh,
        en,
        formula,
    }
}

/// The indicators of GB/T 36344-2018, in its order. 0303 and 0305 have the form that DB31/T gives
/// them, in which more is better as everywhere else.
pub const INDICATORS: [Indicator; 18] = [
    indicator(
        "0101",
        "数据标准",
        "Data standard",
        "A 符合标准的行 / B 被评价的行",
    ),
    indicator(
        "0102",
        "数据模型",
        "Data model",
        "A 符合模型的元素 / B 被评价的元素",
    ),
    indicator(
        "0103",
        "元数据",
        "Metadata",
        "A 符合元数据定义的元素 / B 被评价的元素",
    ),
    indicator(
        "0104",
        "业务规则",
        "Business rules",
        "A 符合业务规则的元素 / B 被评价的元素",
    ),
    indicator(
        "0105",
        "权威参考数据",
        "Reference data",
        "A 在参考数据中的值 / B 被评价的值",
    ),
    indicator(
        "0106",
        "安全规范",
        "Security rules",
        "A 符合安全规则的元素 / B 被评价的元素",
    ),
    indicator(
        "0201",
        "数据元素完整性",
        "Complete elements",
        "A 已赋值的元素 / B 应赋值的元素",
    ),
    indicator(
        "0202",
        "数据记录完整性",
        "Complete records",
        "A 已有的记录 / B 应有的记录",
    ),
    indicator(
        "0301",
        "数据内容正确性",
        "Correct content",
        "A 内容正确的元素 / B 被评价的元素",
    ),
    indicator(
        "0302",
        "数据格式合规性",
        "Compliant form",
        "A 格式合规的元素 / B 被评价的元素",
    ),
    indicator(
        "0303",
        "数据重复率",
        "Duplicates",
        "1 - A 重复的元素 / B 被评价的元素",
    ),
    indicator(
        "0304",
        "数据唯一性",
        "Uniqueness",
        "A 唯一的元素 / B 被评价的元素",
    ),
    indicator(
        "0305",
        "脏数据出现率",
        "Dirty data",
        "1 - A 脏数据 / B 被评价的元素",
    ),
    indicator(
        "0401",
        "相同数据一致性",
        "Same data agrees",
        "A 一致的元素 / B 被评价的元素",
    ),
    indicator(
        "0402",
        "关联数据一致性",
        "Related data agrees",
        "A 一致的元素 / B 被评价的元素",
    ),
    indicator(
        "0501",
        "基于时间段的正确性",
        "Right in the period",
        "A 正确的记录 / B 被评价的记录",
    ),
    indicator(
        "0502",
        "基于时间点的及时性",
        "In time",
        "A 及时的记录 / B 被评价的记录",
    ),
    indicator(
        "0503",
        "时序性",
        "Order in time",
        "A 时序正确的元素 / B 被评价的元素",
    ),
];

/// The two indicators of accessibility: they are of a service over time, not of a version.
pub const OF_THE_SERVICE: [Indicator; 2] = [
    indicator(
        "0601",
        "可访问",
        "Accessible",
        "A 需要时可访问的次数 / B 访问次数",
    ),
    indicator("0602", "可用性", "Usable", "A 可用的时间 / B 需要的时间"),
];

/// What an indicator rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Basis {
    /// A quality rule.
    Rule(RuleId),
    /// The check of every row against the data standard.
    Standard,
}

/// One indicator of one version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assessed {
    /// Its code.
    pub indicator: String,
    /// Its name.
    pub title: LocalText,
    /// Its formula.
    pub formula: String,
    /// What it rests on; nothing when it is not assessable.
    pub basis: Vec<Basis>,
    /// B, over everything it rests on.
    pub evaluated: u64,
    /// B less A.
    pub failed: u64,
    /// The mean over what it rests on; none when it is not assessable.
    pub score: Option<Ppm>,
}

/// All indicators of a version: of a verdict, and of how many rows were published and kept out.
#[must_use]
pub fn scorecard(verdict: &QualityVerdict, rows: u64, quarantined_rows: u64) -> Vec<Assessed> {
    let all = INDICATORS.iter().chain(&OF_THE_SERVICE);
    all.map(|indicator| assess(*indicator, verdict, rows, quarantined_rows))
        .collect()
}

fn assess(
    indicator: Indicator,
    verdict: &QualityVerdict,
    rows: u64,
    quarantined_rows: u64,
) -> Assessed {
    let mut basis = Vec::new();
    let mut parts: Vec<(u64, u64, Ppm)> = Vec::new();
    let checked = rows.saturating_add(quarantined_rows);
    // Every row is checked against its standard: what fails is of the wrong form or is dirty.
    if matches!(indicator.code, "0101" | "0305") && checked > 0 {
        basis.push(Basis::Standard);
        parts.push((checked, quarantined_rows, Ppm::of(rows, checked)));
    }
    for said in &verdict.rules {
        // A rule that applied to nothing says nothing.
        if said.indicator == indicator.code && said.evaluated > 0 {
            basis.push(Basis::Rule(said.rule.clone()));
            parts.push((said.evaluated, said.failed, said.score));
        }
    }
    let sum =
        |part: fn(&(u64, u64, Ppm)) -> u64| parts.iter().map(part).fold(0_u64, u64::saturating_add);
    let count = u64::try_from(parts.len()).unwrap_or(u64::MAX);
    let scores = sum(|(_, _, score)| u64::from(score.0));
    let mean = scores
        .checked_div(count)
        .map(|mean| u32::try_from(mean).unwrap_or(1_000_000));
    Assessed {
        indicator: indicator.code.to_owned(),
        title: LocalText::new(indicator.zh, indicator.en),
        formula: indicator.formula.to_owned(),
        basis,
        evaluated: sum(|(evaluated, ..)| *evaluated),
        failed: sum(|(_, failed, _)| *failed),
        score: mean.map(Ppm),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::RuleVerdict;

    fn said(rule: &str, indicator: &str, evaluated: u64, failed: u64) -> RuleVerdict {
        RuleVerdict {
            rule: RuleId::parse(rule).unwrap(),
            indicator: indicator.to_owned(),
            evaluated,
            failed,
            score: Ppm::of(evaluated - failed, evaluated),
            passed: true,
        }
    }

    #[test]
    fn an_indicator_without_a_basis_is_not_assessable_and_never_whole() {
        let verdict = QualityVerdict {
            rules: vec![
                said("key", "0304", 100, 1),
                said("pair", "0304", 50, 0),
                said("parent", "0105", 0, 0),
            ],
            score: None,
            quarantined: Ppm(0),
            passed: true,
        };
        let card = scorecard(&verdict, 95, 5);
        let assessed: Vec<_> = card
            .iter()
            .filter(|it| it.score.is_some())
            .map(|it| {
                (
                    it.indicator.as_str(),
                    it.evaluated,
                    it.failed,
                    it.score.unwrap().0,
                )
            })
            .collect();
        let expected = [
            ("0101", 100, 5, 950_000),
            ("0304", 150, 1, 995_000),
            ("0305", 100, 5, 950_000),
        ];
        assert_eq!(assessed, expected);
        assert_eq!(card.len(), 20);
        assert!(
            card.iter()
                .all(|it| it.basis.is_empty() == it.score.is_none())
        );
    }

    #[test]
    fn nothing_published_is_not_assessable() {
        let verdict = QualityVerdict {
            rules: Vec::new(),
            score: None,
            quarantined: Ppm(0),
            passed: true,
        };
        assert!(
            scorecard(&verdict, 0, 0)
                .iter()
                .all(|it| it.score.is_none())
        );
    }
}
