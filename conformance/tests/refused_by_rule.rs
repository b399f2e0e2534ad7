//! Refusals that depend on what a dataset is, on where its rows would go and on what the node
//! knows, each at the gate of a real node and in its ledger.
//!
//! It does not make facts up: rules whose facts no record holds yet (X0, X1, X2) are the policy
//! tests' business, and so is a rule for rows of core data, of which there are never any.
#![expect(
    clippy::expect_used,
    reason = "a promise that is not kept ends the test"
)]

use std::collections::BTreeMap;

use conformance::rest::Call;
use conformance::{Client, Cluster, bulk, errand, eventually};
use schemas::Jurisdiction;
use schemas::code::ErrorCode;
use schemas::command::Command;
use schemas::dataset::{Dataset, Grade, Sensitivity, ShareAttribute};
use schemas::decision::Decision;
use schemas::ledger_entry::LedgerEvent;
use schemas::participant::{Participant, ParticipantKind, Role};
use schemas::shipped::Described;
use serde_json::{Value, json};

const PROVINCE: usize = 0;
const GUANGZHOU: usize = 1;
const SHENZHEN: usize = 2;

/// Three nodes; Guangzhou provides, Shenzhen consumes.
struct Scene {
    cluster: Cluster,
    steward: Client,
    officer: Client,
    approver: Client,
    consumer: Client,
}

impl Scene {
    fn open() -> Self {
        let cluster = Cluster::start(3);
        let steward = cluster.sign_in(GUANGZHOU, Role::DataSteward);
        let officer = cluster.sign_in(GUANGZHOU, Role::SecurityOfficer);
        let approver = cluster.sign_in(PROVINCE, Role::DataSteward);
        let consumer = cluster.sign_in(SHENZHEN, Role::DataConsumer);
        Self {
            cluster,
            steward,
            officer,
            approver,
            consumer,
        }
    }

    /// A dataset with one version of forty rows.
    fn dataset(&self, name: &str, grade: Grade, change: impl Fn(&mut Described)) -> Dataset {
        let owner = &self.cluster.member(GUANGZHOU).prepared.node.id;
        let (mut described, standard) = bulk::described(name, grade);
        change(&mut described);
        let described = (described, standard);
        let dataset = errand::describe(&self.steward, &self.approver, owner, described);
        let file = self.cluster.scratch().join(format!("{name}.csv"));
        bulk::write(&file, 40, 1);
        let job = errand::publish(&self.steward, &dataset.id, &file);
        assert_eq!(errand::published(&job), (1, 40, 0));
        dataset
    }

    /// What is wished for is agreed to and refused at the provider's gate; the reasons that stand
    /// in its ledger.
    fn refused(&self, dataset: &Dataset, wish: &errand::Wish) -> Vec<String> {
        let two = (&self.steward, &self.officer);
        let grant = errand::grant_by_two(&self.consumer, two, dataset, wish);
        let job = errand::fetch(&self.consumer, &grant, &format!("k-{}", wish.id));
        let failure = job.failure.expect("the rows stay");
        assert_eq!(failure.code, ErrorCode::Refused, "{failure:?}");
        let reasons = self.newest_denial();
        for reason in &reasons {
            assert!(failure.detail.contains(reason), "{reason} in {failure:?}");
        }
        reasons
    }

    /// What is wished for is agreed to and leaves; the rule under which it did, as the provider's
    /// ledger has it.
    fn left(&self, dataset: &Dataset, wish: &errand::Wish) -> String {
        let two = (&self.steward, &self.officer);
        let grant = errand::grant_by_two(&self.consumer, two, dataset, wish);
        let job = errand::fetch(&self.consumer, &grant, &format!("k-{}", wish.id));
        assert_eq!(errand::transferred(&job), (1, 40));
        let terms = |event: &LedgerEvent| match event {
            LedgerEvent::Released { obligations, .. } => obligations.export.clone(),
            _ => None,
        };
        let entries = self.cluster.entries(GUANGZHOU);
        let newest = entries.iter().rev().find_map(terms);
        newest.expect("an export in the ledger").rule.to_string()
    }

    /// Reason codes of the newest refusal in the provider's ledger.
    fn newest_denial(&self) -> Vec<String> {
        let denied = |event: &LedgerEvent| match event {
            LedgerEvent::Decided {
                decision: Decision::Deny(reasons),
                ..
            } => Some(reasons.iter().map(|it| it.code.to_string()).collect()),
            _ => None,
        };
        let entries = self.cluster.entries(GUANGZHOU);
        let newest = entries.iter().rev().find_map(denied);
        newest.expect("a refusal in the ledger")
    }

    /// Changes the provider's record, as the authority's administrator does. The provider's people
    /// sign in again: a session is of the participant as it was.
    fn change_provider(&mut self, change: impl Fn(&mut Participant)) {
        let administrator = self.cluster.sign_in(PROVINCE, Role::SystemAdministrator);
        let id = &self.cluster.member(GUANGZHOU).prepared.participant.id;
        let view = self.cluster.node(PROVINCE).catalog().view();
        let mut participant = view.participant(id).expect("the provider").clone();
        change(&mut participant);
        let revision = participant.revision;
        let command = Command::RegisterParticipant {
            participant: Box::new(participant),
        };
        let _: Value = administrator
            .change("POST", "/participants", revision, command)
            .ok();
        eventually("the changed record at the provider's node", || {
            let view = self.cluster.node(GUANGZHOU).catalog().view();
            (view.participant(id)?.revision > revision).then_some(())
        });
        self.steward = self.cluster.sign_in(GUANGZHOU, Role::DataSteward);
        self.officer = self.cluster.sign_in(GUANGZHOU, Role::SecurityOfficer);
    }
}

fn abroad(id: &str, dataset: &Dataset, purpose: &str) -> errand::Wish {
    errand::Wish {
        destination: Jurisdiction::HONG_KONG,
        purpose: purpose.to_owned(),
        ..errand::Wish::all(id, &dataset.id)
    }
}

#[test]
fn each_export_is_judged_under_the_first_rule_that_holds() {
    let mut scene = Scene::open();
    let plain = scene.dataset("plain", Grade::G2, |_| ());
    let important = scene.dataset("important", Grade::Important, |_| ());
    let personal = scene.dataset("personal", Grade::G3, |it| {
        it.columns[2].sensitivity = Sensitivity::Personal;
    });
    let statistics = "port-statistics";
    let wish = abroad("r-x18", &plain, statistics);
    assert_eq!(scene.left(&plain, &wish), "X18");
    let wish = abroad("r-x7", &plain, "port-logistics");
    assert_eq!(scene.left(&plain, &wish), "X7");
    let wish = abroad("r-x4", &important, statistics);
    assert_eq!(
        scene.refused(&important, &wish),
        ["X4", "INSTRUMENT_MISSING"]
    );
    let wish = abroad("r-x5", &personal, statistics);
    let duties = ["CONSENT_MISSING", "IMPACT_ASSESSMENT_MISSING"];
    let under = |rule: &'static str| [&[rule, "INSTRUMENT_MISSING"][..], &duties].concat();
    assert_eq!(scene.refused(&personal, &wish), under("X5"));
    // What is personal and left out of the request does not make it so.
    let wish = errand::Wish {
        columns: Some(["id", "port"].map(str::to_owned).into()),
        ..abroad("r-x18-narrow", &personal, statistics)
    };
    assert_eq!(scene.left(&personal, &wish), "X18");

    // The same rows of an enterprise that has sent few persons; and of one that operates critical
    // infrastructure.
    scene.change_provider(|it| it.kind = ParticipantKind::Enterprise);
    let wish = abroad("r-x17", &personal, statistics);
    let exempt = [&["X17"][..], &duties].concat();
    assert_eq!(scene.refused(&personal, &wish), exempt);
    scene.change_provider(|it| it.ciio = true);
    let wish = abroad("r-x6", &personal, statistics);
    assert_eq!(scene.refused(&personal, &wish), under("X6"));

    let entries = scene.cluster.entries(GUANGZHOU);
    let important_left = |it: &LedgerEvent| match it {
        LedgerEvent::Released { dataset, .. } => *dataset == important.id,
        _ => false,
    };
    assert!(!entries.iter().any(important_left), "something left");
    // Within the mainland the same grant would have given the important rows.
    let wish = errand::Wish::all("r-mainland", &important.id);
    let (consumer, two) = (&scene.consumer, (&scene.steward, &scene.officer));
    let grant = errand::grant_by_two(consumer, two, &important, &wish);
    let job = errand::fetch(consumer, &grant, "k-mainland");
    assert_eq!(errand::transferred(&job), (1, 40));
}

#[test]
fn core_data_enters_no_version_and_what_is_not_shared_is_not_asked_for() {
    let scene = Scene::open();
    let owner = &scene.cluster.member(GUANGZHOU).prepared.node.id;
    let (described, standard) = bulk::described("core", Grade::Core);
    errand::adopt(&scene.steward, standard);
    let core = errand::draft(&scene.steward, owner, described);
    let answer = errand::publish_bytes(&scene.steward, &core.id, "core.csv", b"id,port,text\n");
    assert_eq!(answer.refusal(), (403, "REFUSED"), "{answer:?}");
    assert_eq!(answer.reasons(), ["CORE_DATA"]);
    assert_eq!(scene.newest_denial(), ["CORE_DATA"]);
    // Beforehand the gate says what it would say: no, at home and abroad.
    let explained = |destination: &str| {
        let body = json!({
            "action": "dataset.read", "dataset": core.id, "destination": destination,
            "purpose": {"code": "port-statistics", "text": "口岸运行监测"},
        });
        let answer = scene.steward.post("/policies/explanation", &body);
        let reasons = answer.body["decision"]["deny"].clone();
        let reasons = reasons.as_array().expect("a refusal").clone();
        let codes: Vec<String> = reasons
            .iter()
            .filter_map(|it| it["code"].as_str().map(str::to_owned))
            .collect();
        codes
    };
    assert!(explained("CN").contains(&"CORE_DATA".to_owned()));
    assert!(explained("HK").contains(&"X3".to_owned()));

    let kept = scene.dataset("kept", Grade::G2, |it| {
        it.share = ShareAttribute::NotShared;
        it.share_basis = Some("政务数据共享条例（国务院令第809号）第十三条".to_owned());
    });
    let answer = errand::ask(&scene.consumer, &errand::Wish::all("r-kept", &kept.id));
    assert_eq!(answer.refusal(), (403, "REFUSED"), "{answer:?}");
    assert_eq!(answer.reasons(), ["NOT_SHARED"]);
    let index = answer.body["ledger_index"].as_u64();
    assert!(index.is_some(), "{answer:?}");
    // A mainland reader of important data without a grant is told both reasons.
    let important = scene.dataset("important", Grade::Important, |_| ());
    eventually("the dataset at the consumer's node", || {
        let card = scene.consumer.get(&format!("/datasets/{}", important.id));
        (card.status == 200).then_some(())
    });
    let body = json!({
        "action": "dataset.read", "dataset": important.id,
        "purpose": {"code": "port-statistics", "text": "口岸运行监测"},
    });
    let answer = scene.consumer.post("/policies/explanation", &body);
    let denied = answer.body["decision"]["deny"].to_string();
    for code in ["GRANT_MISSING", "IMPORTANT_DATA"] {
        assert!(denied.contains(code), "{code} in {denied}");
    }
}

#[test]
fn a_grant_that_has_not_begun_gives_nothing() {
    let scene = Scene::open();
    let dataset = scene.dataset("plain", Grade::G2, |_| ());
    let wish = errand::Wish::all("r-early", &dataset.id);
    let mut request = errand::request(&scene.consumer, &wish);
    request.period.from = request.submitted_at.plus_millis(3_600_000);
    eventually("the dataset at the consumer's node", || {
        let card = scene.consumer.get(&format!("/datasets/{}", dataset.id));
        (card.status == 200).then_some(())
    });
    let request = Box::new(request);
    let command = Command::SubmitRequest { request };
    let _: Value = scene.consumer.change("POST", "/requests", 0, command).ok();
    let grant = errand::agree(&scene.steward, &dataset, &wish.id, BTreeMap::new());
    eventually("the grant at the consumer's node", || {
        let known = scene.consumer.get(&format!("/grants/{grant}")).status;
        (known == 200).then_some(())
    });
    // The catalog opens no transfer under it, so that it does not even come to the provider's gate;
    let job = errand::fetch(&scene.consumer, &grant, "k-early");
    let failure = job.failure.expect("it has not begun");
    assert_eq!(failure.code, ErrorCode::Refused, "{failure:?}");
    for part in ["WRONG_STATE", "holds from", grant.as_str()] {
        assert!(failure.detail.contains(part), "{part} in {failure:?}");
    }
    let entries = scene.cluster.entries(GUANGZHOU);
    let released = |it: &LedgerEvent| matches!(it, LedgerEvent::Released { .. });
    assert!(!entries.iter().any(released), "something left");
    // and the gate, asked beforehand, gives the reason.
    let body = json!({
        "action": "dataset.read", "dataset": dataset.id, "grant": grant,
        "purpose": {"code": wish.purpose, "text": "口岸运行监测"},
    });
    let answer = scene.consumer.post("/policies/explanation", &body);
    let denied = answer.body["decision"]["deny"].to_string();
    assert!(denied.contains("GRANT_NOT_YET_VALID"), "{answer:?}");
}

#[test]
fn a_node_without_a_majority_shows_no_important_rows() {
    let mut scene = Scene::open();
    let important = scene.dataset("important", Grade::Important, |_| ());
    let plain = scene.dataset("plain", Grade::G2, |_| ());
    let preview = |steward: &Client, dataset: &Dataset| {
        steward.call_at(
            steward.site().data,
            &Call {
                method: "GET",
                path: &format!("/datasets/{}/preview", dataset.id),
                headers: Vec::new(),
                body: None,
            },
        )
    };
    assert_eq!(preview(&scene.steward, &important).status, 200);
    scene.cluster.stop(PROVINCE);
    scene.cluster.stop(SHENZHEN);
    // Whether a grant was revoked meanwhile cannot be known here: no, and it is on the record.
    let answer = preview(&scene.steward, &important);
    assert_eq!(answer.refusal(), (403, "REFUSED"), "{answer:?}");
    assert_eq!(answer.reasons(), ["STALE_VIEW"]);
    assert_eq!(scene.newest_denial(), ["STALE_VIEW"]);
    // What may rest on a view of this day is shown.
    let answer = preview(&scene.steward, &plain);
    assert_eq!(answer.status, 200, "{answer:?}");

    scene.cluster.restart(PROVINCE).expect("the node starts");
    eventually("important rows to be shown again", || {
        (preview(&scene.steward, &important).status == 200).then_some(())
    });
}
