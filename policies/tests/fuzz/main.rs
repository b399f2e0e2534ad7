//! Fuzzing of policy text: `targets` says what must hold, here is the text that ships.
//!
//! It does not follow coverage.
#![expect(clippy::expect_used, reason = "what must hold")]

mod targets;

use mutate::Fuzz;
use policies::shipped;

#[test]
fn changed_rules() {
    let fuzz = Fuzz {
        name: "policy_rules",
        seeds: &[shipped().rules.into_bytes()],
        words: &[
            "seal = false\n",
            "linearizable = false\n",
            "view_age_max_ms = 86_400_000\n",
            "-1",
            "0x0",
            "1e9",
            "[grade.CORE]\n",
            "[[export.rule]]\n",
            "\"\"\"",
            "\\u0000",
            "inf",
        ],
        runs: 60,
    };
    fuzz.run(targets::policy_rules);
}

#[test]
fn changed_roles() {
    let few = "# desk\np, desk, dataset, *, allow\ng, data-consumer, desk\n";
    let fuzz = Fuzz {
        name: "policy_roles",
        seeds: &[shipped().roles.into_bytes(), few.as_bytes().to_vec()],
        words: &[
            "p, ",
            "g, desk, desk\n",
            "g, desk, data-consumer\n",
            "deny\n",
            "*",
            "\"",
            "#",
            "\r\n",
            "\u{2028}",
            "p2, ",
            ",,",
        ],
        runs: 60,
    };
    fuzz.run(targets::policy_roles);
}

#[test]
fn changed_models() {
    let fuzz = Fuzz {
        name: "policy_model",
        seeds: &[shipped().model.into_bytes()],
        words: &["[matchers]\n", "m = ", "#", ";", "\\\n", "\u{a0}", "\r\n"],
        runs: 200,
    };
    fuzz.run(targets::policy_model);
}
