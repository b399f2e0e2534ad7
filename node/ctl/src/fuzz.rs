//! What must hold for whatever stands in the files of a person, or comes from a server.
//!
//! It does not choose the bytes: the tests below do. Each function says
//! whether the bytes were valid. Evidence is fuzzed where it is verified, in the ledger.

use crate::problem::Problem;
use crate::profile::{Profiles, Session};

/// The file of profiles: what is written of it is the same file.
pub fn ctl_profiles(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let Ok(read) = toml::from_str::<Profiles>(text) else {
        return false;
    };
    let written = toml::to_string(&read).unwrap_or_default();
    assert_eq!(toml::from_str::<Profiles>(&written).ok(), Some(read));
    true
}

/// A session's file: what is written of it is the same session.
pub fn ctl_session(bytes: &[u8]) -> bool {
    let Ok(read) = serde_json::from_slice::<Session>(bytes) else {
        return false;
    };
    let written = serde_json::to_vec(&read).unwrap_or_default();
    let again = serde_json::from_slice::<Session>(&written).ok();
    assert!(again == Some(read), "what was read is not what is written");
    true
}

/// An answer that is none: a problem document, or what the status alone says.
pub fn ctl_problem(bytes: &[u8]) -> bool {
    let read = Problem::read(503, bytes);
    assert_eq!(Problem::read(503, bytes), read);
    read.detail != Problem::read(503, b"").detail
}

#[cfg(test)]
mod tests {
    use mutate::Fuzz;

    use super::*;

    fn check(name: &str, seeds: &[&str], words: &[&str], target: fn(&[u8]) -> bool) {
        let seeds: Vec<Vec<u8>> = seeds.iter().map(|it| it.as_bytes().to_vec()).collect();
        let fuzz = Fuzz {
            name,
            seeds: &seeds,
            words,
            runs: 2_000,
        };
        fuzz.run(target);
    }

    #[test]
    fn changed_profiles() {
        let text = "current = \"port\"\n\n[profiles.port]\nserver = \"127.0.0.1:7403\"\n\
                    roots = \"/etc/kouan/roots.pem\"\nperson = \"port.steward\"\n";
        let words = [
            "[profiles]\n",
            "\"\"\"",
            "\\u0000",
            "port = {}\n",
            "\u{feff}",
            "1e9",
        ];
        check("ctl_profiles", &["", text], &words, ctl_profiles);
    }

    #[test]
    fn changed_sessions() {
        let text = r#"{"token":"t","principal":{"participant":"port","kind":"STATE_ORGAN",
            "jurisdiction":"CN","person":"port.steward","node":null,"roles":["data-steward"]},
            "expires_at":"2026-11-24T08:00:00.000Z","node_signs":false}"#;
        let kind = schemas::participant::ParticipantKind::ALL[0].as_str();
        let text = text.replace("STATE_ORGAN", kind);
        check(
            "ctl_session",
            &[&text],
            &["null", "{}", "9999-12-31"],
            ctl_session,
        );
    }

    #[test]
    fn changed_problems() {
        let text = r#"{"code":"REFUSED","detail":"d","trace":"t","ledger_index":7,
            "retry_after_s":1,"reasons":[{"code":"X5","cites":"PIPL 36"}],"status":403}"#;
        check(
            "ctl_problem",
            &[text],
            &["null", "-1", "[]", "\\ud800"],
            ctl_problem,
        );
    }
}
