//! The rest of a catalog record: form, way of sharing, opening to the public, and the code of a
//! government information resource (政务信息资源目录编制指南; `domain.md` 6.2).
//!
//! It does not know which codes are taken: the catalog does. The form of the code's separator and
//! the digits of the classes are \[G\]: no retrieved text confirms them.

mod filling;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use filling::{CatalogFinding, CatalogRule, Neighbours, findings};

use crate::Error;
use crate::calendar::Day;
use crate::code::codes;

codes! {
    /// 信息资源格式.
    pub enum ResourceFormat {
        /// 电子文件.
        Document = "DOCUMENT",
        /// 电子表格.
        Spreadsheet = "SPREADSHEET",
        /// 数据库.
        Database = "DATABASE",
        /// 图形图像.
        Image = "IMAGE",
        /// 流媒体.
        StreamMedia = "STREAM_MEDIA",
        /// 自描述格式.
        SelfDescribed = "SELF_DESCRIBED",
    }
}

codes! {
    /// 共享方式.
    pub enum ShareMethod {
        /// 共享平台, 库表交换.
        PlatformDatabase = "PLATFORM_DATABASE",
        /// 共享平台, 接口.
        PlatformInterface = "PLATFORM_INTERFACE",
        /// 共享平台, 文件.
        PlatformFile = "PLATFORM_FILE",
        /// 邮件、介质等.
        Offline = "OFFLINE",
    }
}

codes! {
    /// 开放属性: whether the public may have it.
    pub enum Opening {
        /// 不予开放.
        NotOpen = "NOT_OPEN",
        /// 有条件开放: the conditions must be stated.
        Conditional = "CONDITIONAL",
        /// 无条件开放.
        Unconditional = "UNCONDITIONAL",
    }
}

impl ResourceFormat {
    /// Whether a resource of this format is shared that way: a file as a file, a database as tables
    /// or through an interface.
    #[must_use]
    pub fn goes_with(self, method: ShareMethod) -> bool {
        let tables = matches!(
            method,
            ShareMethod::PlatformDatabase | ShareMethod::PlatformInterface
        );
        match self {
            Self::Database => tables,
            Self::Document | Self::Spreadsheet | Self::Image | Self::StreamMedia => !tables,
            Self::SelfDescribed => true,
        }
    }
}

/// Form, way of sharing and opening of a dataset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResourceEntry {
    /// 信息资源格式.
    pub format: ResourceFormat,
    /// 共享方式.
    pub method: ShareMethod,
    /// 开放属性.
    pub opening: Opening,
    /// 开放条件, required when conditional.
    pub open_conditions: Option<String>,
    /// 关联资源代码: at most [`ResourceEntry::RELATED_MAX`].
    pub related: BTreeSet<String>,
    /// 发布日期: the day of the first publication, by leader time. The catalog sets it, whatever the
    /// record says.
    pub published_on: Option<Day>,
}

impl ResourceEntry {
    /// Most related resources.
    pub const RELATED_MAX: usize = 64;

    /// Tables that are exchanged over the platform and not opened to the public: what this node
    /// does with a dataset unless its provider says otherwise.
    #[must_use]
    pub fn exchanged_tables() -> Self {
        Self {
            format: ResourceFormat::Database,
            method: ShareMethod::PlatformDatabase,
            opening: Opening::NotOpen,
            open_conditions: None,
            related: BTreeSet::new(),
            published_on: None,
        }
    }
}

/// 政务信息资源代码: `3060100/000001`, classification and sequence.
///
/// The classification has one digit of class (类: 1 基础, 2 主题, 3 部门), two of item (项), three of
/// subject (目) and any number of detail (细目).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResourceCode {
    classification: String,
    sequence: String,
}

/// Digits of class, item and subject.
const CLASSIFICATION_DIGITS_MIN: usize = 6;
/// Most digits of a classification, and of a sequence.
const PART_DIGITS_MAX: usize = 18;
/// Digits of a sequence that is made here.
const SEQUENCE_DIGITS: usize = 6;

impl ResourceCode {
    /// Parses the text form.
    ///
    /// # Errors
    /// [`Error::Field`] with the part that is wrong.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (classification, sequence) = text
            .split_once('/')
            .ok_or_else(|| wrong("write CLASSIFICATION/SEQUENCE, for example 3060100/000001"))?;
        let classification = Self::check_classification(classification)?;
        if !is_digits(sequence) || sequence.bytes().all(|it| it == b'0') {
            return Err(wrong(
                "the sequence behind the slash has 1 to 18 digits, not all of them 0",
            ));
        }
        Ok(Self {
            classification: classification.to_owned(),
            sequence: sequence.to_owned(),
        })
    }

    /// Class, item, subject and detail in one text of digits.
    #[must_use]
    pub fn classification(&self) -> &str {
        &self.classification
    }

    /// Checks a classification alone.
    ///
    /// # Errors
    /// [`Error::Field`] when it has not at least six digits, or begins with no known class.
    pub fn check_classification(text: &str) -> Result<&str, Error> {
        if !is_digits(text) || text.len() < CLASSIFICATION_DIGITS_MIN {
            return Err(wrong(
                "the classification has 6 to 18 digits: class 1, item 2, subject 3, then detail",
            ));
        }
        if !matches!(text.as_bytes().first(), Some(b'1'..=b'3')) {
            return Err(wrong(
                "the first digit is the class: 1 基础, 2 主题, 3 部门",
            ));
        }
        Ok(text)
    }

    /// The first code of a classification behind those that are taken: one more than the highest.
    ///
    /// # Errors
    /// As [`Self::check_classification`], and when no number is left.
    pub fn next<'a>(
        classification: &str,
        taken: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, Error> {
        let classification = Self::check_classification(classification)?;
        let highest = taken
            .into_iter()
            .filter_map(|it| Self::parse(it).ok())
            .filter(|it| it.classification == classification)
            .filter_map(|it| it.sequence.parse::<u64>().ok())
            .max()
            .unwrap_or(0);
        let sequence = format!("{:0SEQUENCE_DIGITS$}", highest + 1);
        if sequence.len() > PART_DIGITS_MAX {
            return Err(wrong("this classification has no number left"));
        }
        Ok(Self {
            classification: classification.to_owned(),
            sequence,
        })
    }
}

impl std::fmt::Display for ResourceCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.classification, self.sequence)
    }
}

fn is_digits(text: &str) -> bool {
    (1..=PART_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit())
}

fn wrong(why: &str) -> Error {
    Error::Field {
        record: "dataset",
        field: "resource_code",
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_code_is_a_classification_and_a_sequence() {
        for good in [
            "3060100/000001",
            "101010/1",
            "1010100/000002",
            "307010000/9",
        ] {
            assert_eq!(ResourceCode::parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "3060100",
            "/1",
            "3060100/",
            "30601/1",
            "4060100/1",
            "0060100/1",
            "3060100/0",
            "3060100/000",
            "3060100/1/2",
            "306010a/1",
            "3060100/x",
            "３060100/1",
            "3060100/1234567890123456789",
        ] {
            assert!(ResourceCode::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_is_shared_as_a_file_and_tables_as_tables() {
        let pairs: Vec<String> = ResourceFormat::ALL
            .iter()
            .map(|format| {
                let methods = ShareMethod::ALL.iter().filter(|it| format.goes_with(**it));
                let methods: Vec<&str> = methods.map(|it| it.as_str()).collect();
                format!("{format}: {}", methods.join(" "))
            })
            .collect();
        let expected = [
            "DOCUMENT: PLATFORM_FILE OFFLINE",
            "SPREADSHEET: PLATFORM_FILE OFFLINE",
            "DATABASE: PLATFORM_DATABASE PLATFORM_INTERFACE",
            "IMAGE: PLATFORM_FILE OFFLINE",
            "STREAM_MEDIA: PLATFORM_FILE OFFLINE",
            "SELF_DESCRIBED: PLATFORM_DATABASE PLATFORM_INTERFACE PLATFORM_FILE OFFLINE",
        ];
        assert_eq!(pairs, expected);
    }

    proptest! {
        #[test]
        fn the_next_code_is_one_that_nobody_has(
            taken in prop::collection::vec(("(3060100|306010|1010100)", 1_u64..2_000), 0..40),
            noise in prop::collection::vec(".{0,20}", 0..5),
        ) {
            let mut codes: Vec<String> = taken.iter().map(|(c, n)| format!("{c}/{n:06}")).collect();
            codes.extend(noise);
            let next = ResourceCode::next("3060100", codes.iter().map(String::as_str)).unwrap();
            prop_assert!(!codes.contains(&next.to_string()));
            prop_assert_eq!(ResourceCode::parse(&next.to_string()).unwrap(), next);
        }
    }
}
