//! Text for people, from one message file per language.
//!
//! It does not hold text itself, and a text that is missing is a test failure, not a fallback.

use clap::ValueEnum;
use fluent_bundle::{FluentArgs, FluentBundle, FluentResource};
use unic_langid::LanguageIdentifier;

/// Languages of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// Simplified Chinese.
    Zh,
    /// English.
    En,
}

impl Language {
    /// The language that the environment asks for, as POSIX orders its variables.
    pub(crate) fn of_environment() -> Self {
        let set = |name| {
            std::env::var(name)
                .ok()
                .filter(|it: &String| !it.is_empty())
        };
        let locale = set("LC_ALL")
            .or_else(|| set("LC_MESSAGES"))
            .or_else(|| set("LANG"));
        if locale.is_some_and(|it| it.starts_with("zh")) {
            Self::Zh
        } else {
            Self::En
        }
    }

    /// Key of this language in records and in `Accept-Language`.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::Zh => "zh",
            Self::En => "en",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Zh => include_str!("messages/zh.ftl"),
            Self::En => include_str!("messages/en.ftl"),
        }
    }

    fn identifier(self) -> LanguageIdentifier {
        match self {
            Self::Zh => "zh-CN".parse().unwrap_or_default(),
            Self::En => "en-US".parse().unwrap_or_default(),
        }
    }
}

/// The messages of one language.
pub(crate) struct Messages {
    bundle: FluentBundle<FluentResource>,
}

impl Messages {
    /// Reads the message file of `language`.
    pub(crate) fn new(language: Language) -> Self {
        let mut bundle = FluentBundle::new(vec![language.identifier()]);
        // Isolation marks are for mixed directions; here they would only upset terminals.
        bundle.set_use_isolating(false);
        let resource = match FluentResource::try_new(language.text().to_owned()) {
            Ok(resource) | Err((resource, _)) => resource,
        };
        bundle.add_resource_overriding(resource);
        Self { bundle }
    }

    /// The text of `key` with its arguments; the key itself where there is none.
    pub(crate) fn say(&self, key: &str, arguments: &[(&str, &dyn std::fmt::Display)]) -> String {
        let Some(pattern) = self.bundle.get_message(key).and_then(|it| it.value()) else {
            return key.to_owned();
        };
        let mut given = FluentArgs::new();
        for (name, value) in arguments {
            given.set(*name, value.to_string());
        }
        self.bundle
            .format_pattern(pattern, Some(&given), &mut Vec::new())
            .into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    fn keys(language: Language) -> BTreeSet<&'static str> {
        let line = |line: &'static str| line.split_once(" =").map(|(key, _)| key);
        language
            .text()
            .lines()
            .filter(|it| !it.starts_with([' ', '#']))
            .filter_map(line)
            .collect()
    }

    /// Every source file of this crate.
    fn sources(dir: &Path, found: &mut String) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|it| it == "rs") {
                found.push_str(&std::fs::read_to_string(path).unwrap());
            }
        }
    }

    #[test]
    fn both_languages_say_the_same_things_and_nothing_is_left_over() {
        assert_eq!(keys(Language::Zh), keys(Language::En));
        let mut text = String::new();
        sources(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &mut text,
        );
        let unused: Vec<_> = keys(Language::En)
            .into_iter()
            .filter(|key| !text.contains(&format!("\"{key}\"")))
            .collect();
        assert_eq!(unused, Vec::<&str>::new());
    }

    #[test]
    fn every_key_that_the_program_says_has_a_text() {
        let mut text = String::new();
        sources(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &mut text,
        );
        let families = [
            "col-", "err-", "fix-", "reason-", "next-", "step-", "note-", "ask-",
        ];
        let known = keys(Language::En);
        let absent: BTreeSet<&str> = text
            .split('"')
            .filter(|it| {
                families
                    .iter()
                    .any(|family| it.strip_prefix(family).is_some_and(|rest| !rest.is_empty()))
            })
            .filter(|it| {
                it.bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            })
            .filter(|it| !known.contains(it))
            .collect();
        assert_eq!(absent, BTreeSet::new());
    }

    #[test]
    fn both_files_parse_and_take_the_same_arguments() {
        for language in [Language::Zh, Language::En] {
            assert!(FluentResource::try_new(language.text().to_owned()).is_ok());
        }
        let arguments = |language: Language| -> Vec<(&str, BTreeSet<&str>)> {
            let mut all: Vec<_> = language
                .text()
                .lines()
                .filter_map(|line| line.split_once(" ="))
                .map(|(key, text)| {
                    let names = text.split("{ $").skip(1);
                    (key, names.filter_map(|it| it.split(' ').next()).collect())
                })
                .collect();
            all.sort();
            all
        };
        assert_eq!(arguments(Language::Zh), arguments(Language::En));
    }

    #[test]
    fn a_text_takes_its_arguments() {
        let said = Messages::new(Language::Zh).say("note-saved", &[("path", &"a.json")]);
        assert!(said.contains("a.json"), "{said}");
    }
}
