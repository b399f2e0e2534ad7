//! Text for people, from one message file per language.
//!
//! It does not hold text itself, and a text that is missing is a test failure, not a fallback.

use clap::ValueEnum;
use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use unic_langid::LanguageIdentifier;

/// Languages of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// Simplified Chinese.
    Zh,
    /// English.
    En,
}

impl Language {
    /// What the environment asks for: Chinese when LC_ALL, LC_MESSAGES or LANG begin with `zh`.
    #[must_use]
    pub fn of_environment() -> Self {
        let named = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .into_iter()
            .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
        match named {
            Some(value) if value.starts_with("zh") => Self::Zh,
            _ => Self::En,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Zh => include_str!("messages/zh.ftl"),
            Self::En => include_str!("messages/en.ftl"),
        }
    }

    fn identifier(self) -> LanguageIdentifier {
        let tag = match self {
            Self::Zh => "zh-CN",
            Self::En => "en-US",
        };
        // Both tags are well formed; the default is the root language.
        tag.parse().unwrap_or_default()
    }
}

/// The messages of one language.
pub struct Messages {
    bundle: FluentBundle<FluentResource>,
}

impl Messages {
    /// Reads the message file of `language`.
    #[must_use]
    pub fn new(language: Language) -> Self {
        let mut bundle = FluentBundle::new_concurrent(vec![language.identifier()]);
        // Isolation marks are for mixed directions; here they would only upset terminals.
        bundle.set_use_isolating(false);
        let resource = match FluentResource::try_new(language.text().to_owned()) {
            Ok(resource) | Err((resource, _)) => resource,
        };
        bundle.add_resource_overriding(resource);
        Self { bundle }
    }

    /// The text of `key` with its arguments; the key itself where there is none.
    #[must_use]
    pub fn say(&self, key: &str, arguments: &[(&str, String)]) -> String {
        let Some(pattern) = self.bundle.get_message(key).and_then(|it| it.value()) else {
            return key.to_owned();
        };
        let mut given = FluentArgs::new();
        for (name, value) in arguments {
            given.set(*name, value.clone());
        }
        self.bundle
            .format_pattern(pattern, Some(&given), &mut Vec::new())
            .into_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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

    #[test]
    fn both_languages_say_the_same_things_and_nothing_is_left_over() {
        assert_eq!(keys(Language::Zh), keys(Language::En));
        let sources = concat!(
            include_str!("demo/mod.rs"),
            include_str!("demo/story.rs"),
            include_str!("demo/dirty.rs"),
            include_str!("demo/entitled.rs"),
            include_str!("demo/real.rs"),
            include_str!("demo/teller.rs"),
            include_str!("operator/account.rs"),
            include_str!("operator/ca.rs"),
            include_str!("operator/init.rs"),
            include_str!("operator/invite.rs"),
            include_str!("operator/restore.rs"),
        );
        let unused: Vec<_> = keys(Language::En)
            .into_iter()
            .filter(|key| !sources.contains(&format!("\"{key}\"")))
            .collect();
        assert_eq!(unused, Vec::<&str>::new());
    }

    #[test]
    fn both_files_parse() {
        for language in [Language::Zh, Language::En] {
            assert!(FluentResource::try_new(language.text().to_owned()).is_ok());
        }
    }
}
