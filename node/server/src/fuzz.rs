//! What must hold for whatever an operator writes into the configuration.
//!
//! It does not choose the bytes: the tests below do. Each function says
//! whether the bytes were valid.

use crate::config::{Config, Span};

/// The configuration file: what is written of it is the same configuration.
pub fn server_config(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let Ok(read) = Config::parse(text) else {
        return false;
    };
    let written = toml::to_string(&read).unwrap_or_default();
    assert_eq!(Config::parse(&written).ok(), Some(read));
    true
}

/// A span of time: above zero, and what is written of it is the same span.
pub fn server_span(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let Ok(read) = Span::parse(text) else {
        return false;
    };
    assert!(read.0 > 0);
    assert_eq!(Span::parse(&read.to_string()), Ok(read));
    true
}

#[cfg(test)]
mod tests {
    use mutate::Fuzz;

    use super::*;

    #[test]
    fn changed_configurations() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/config");
        let seeds = ["single.toml", "cluster.toml"]
            .map(|name| std::fs::read(format!("{folder}/{name}")).unwrap());
        let fuzz = Fuzz {
            name: "server_config",
            seeds: &seeds,
            words: &[
                "[node]\n",
                "[[participants]]\n",
                "\"0s\"",
                "\"\"\"",
                "-1",
                "1e9",
                "\\u0000",
            ],
            runs: 1_000,
        };
        fuzz.run(server_config);
    }

    #[test]
    fn changed_spans() {
        let seeds = ["200ms", "10s", "5min", "1h"].map(|it| it.as_bytes().to_vec());
        let fuzz = Fuzz {
            name: "server_span",
            seeds: &seeds,
            words: &[
                "18446744073709551615",
                "+",
                "-",
                "0",
                "ms",
                "h",
                " ",
                "\u{b5}",
            ],
            runs: 10_000,
        };
        fuzz.run(server_span);
    }
}
