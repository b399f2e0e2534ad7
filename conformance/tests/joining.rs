//! A node comes into a federation by an invitation and leaves it again: `deploy/runbooks/join.md`,
//! "Further nodes", command by command, with the real programs.
//!
//! It does not test replication under load; the catalog's own tests do.
#![expect(
    clippy::expect_used,
    reason = "a promise that is not kept ends the test"
)]

use conformance::eventually;
use conformance::page::{Machine, blocks};
use conformance::process::program;
use conformance::terminal::{Said, said};

/// The first node, with its system administrator and its auditor signed in.
const FIRST: &str = "D=/var/lib/kouan
kouan init --dir $D --node gd-1 --participant gd.province --name-zh 广东 --name-en Guangdong \
    --listen 10.1.2.3:7401
printf '\\n[enrolment]\\nauthority = \"authority\"\\n' >> $D/kouan.toml
";

const SIGN_IN: &str = "D=/var/lib/kouan
for who in system-administrator auditor data-steward; do
  kouanctl login --profile $who --server 10.1.2.3:7403 --roots $D/authority/roots.pem \
    --person gd.province.$who --key-file $D/persons/$who.key --passphrase-file $D/persons/passphrase
done
";

const SIGN_IN_THERE: &str = "D=/var/lib/kouan
kouanctl login --profile there --server 10.1.3.2:7403 --roots $D/tls/roots.pem \
  --person gd.shenzhen.port.auditor --key-file $D/persons/auditor.key \
  --passphrase-file $D/persons/passphrase
";

fn serve(machine: &Machine, id: &str) -> conformance::page::Serving {
    let config = machine.node().join("kouan.toml");
    machine.serve(
        &format!("exec kouan serve --config {}", config.display()),
        id,
    )
}

/// What a command said that must not end well.
fn refused(machine: &Machine, script: &str, why: &str) -> Said {
    let answer = said(machine.shell(script));
    assert!(answer.code.is_some_and(|it| it != 0), "{answer:?}");
    assert!(answer.err.contains(why), "{why}: {answer:?}");
    answer
}

/// The groups of four digits that both sides compare.
fn check_in(text: &str) -> &str {
    let is_check = |word: &&str| {
        word.len() == 19
            && word
                .split('-')
                .all(|it| it.len() == 4 && it.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    let mut words = text.split(|c: char| !c.is_ascii_hexdigit() && c != '-');
    words.find(is_check).expect("a check")
}

#[test]
fn a_node_comes_in_by_an_invitation_and_leaves_again() {
    let _ = (program("kouan"), program("kouanctl"));
    let scratch = tempfile::tempdir().expect("a directory");
    let authority = Machine::new(scratch.path(), "province");
    authority.run(FIRST);
    let _first = serve(&authority, "gd-1");
    authority.run(SIGN_IN);
    let [invite, join, admit]: [String; 3] = blocks("runbooks/join.md", "Further nodes")
        .try_into()
        .expect("three blocks");
    authority.run(&invite);
    let there = Machine::new(scratch.path(), "shenzhen");
    let (join, serves) = join
        .trim_end()
        .rsplit_once('\n')
        .expect("it ends with serve");
    assert!(serves.starts_with("kouan serve "), "{serves}");
    let joined = there.run(join);
    let _second = serve(&there, "sz-1");

    // She must have compared the check; without a terminal she says so with a flag.
    let admit = admit.replace("admit $ID", "admit $ID --yes");
    let admitted = authority.run(&admit);
    assert_eq!(check_in(&admitted.out), check_in(&joined.out));
    let status = "kouanctl --profile auditor catalog status -o json";
    let digest = |said: &Said| {
        let told = said.json();
        let votes = told["voters"].as_array().map_or(0, Vec::len);
        (votes, told["state_digest"].to_string())
    };
    there.run(SIGN_IN_THERE);
    eventually("both to vote and to hold the same", || {
        let here = authority.run(status);
        let other = there.run("kouanctl --profile there catalog status -o json");
        (digest(&here).0 == 2 && digest(&here) == digest(&other)).then_some(())
    });
    let entries = authority.run("kouanctl --profile auditor ledger entries --limit 200 -o json");
    assert!(entries.out.contains("enrolled"), "{entries:?}");

    // Nobody else gets in by what is used up, and only who operates nodes takes one out.
    let other = Machine::new(scratch.path(), "stranger");
    refused(&other, join, "used for another application");
    assert!(other.node().join("joining.json").exists());
    let by_steward = "kouanctl --profile data-steward catalog remove-member sz-1 --yes";
    refused(&authority, by_steward, "ROLE_MISSING");
    let administrator = "kouanctl --profile system-administrator";
    authority.run(&format!("{administrator} catalog remove-member sz-1 --yes"));
    eventually("one to vote", || {
        (digest(&authority.run(status)).0 == 1).then_some(())
    });
    let members = authority.run(&format!("{administrator} catalog members -o json"));
    assert!(members.out.contains("sz-1"), "records stay: {members:?}");
    refused(
        &authority,
        &format!("{administrator} catalog add-member nobody"),
        "nobody",
    );
}

#[test]
fn an_invitation_needs_the_authorities_keys() {
    let scratch = tempfile::tempdir().expect("a directory");
    let authority = Machine::new(scratch.path(), "province");
    let without: String = FIRST
        .lines()
        .filter(|line| !line.starts_with("printf"))
        .map(|line| format!("{line}\n"))
        .collect();
    authority.run(&without);
    let [invite, ..]: [String; 3] = blocks("runbooks/join.md", "Further nodes")
        .try_into()
        .expect("three blocks");
    refused(&authority, &invite, "[enrolment]");
}
