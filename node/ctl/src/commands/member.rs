//! `participant`: members, nodes, persons.
//!
//! It does not make keys; whoever holds them does.

use schemas::code::ErrorCode;
use schemas::command::Command;
use schemas::delegation::Delegation;
use schemas::participant::{KeyCustody, Node, Participant as Member, Person};
use schemas::{NodeId, Period, PersonId, Visibility};

use super::Desk;
use crate::Error;
use crate::cli::member::{Bind, Delegate, Participant};
use crate::client::{Call, Verb, now};
use crate::files::read_record;
use crate::output::Column;

/// How long a person is bound when nothing is said, in milliseconds: a year, then roles are
/// reviewed.
const YEAR_MS: i64 = 365 * 24 * 3_600 * 1_000;

/// How far before now a binding begins, in milliseconds.
const AHEAD_MS: i64 = 60_000;

const MEMBERS: &[Column] = &[
    Column::text("col-id", "id"),
    Column::text("col-name", "name"),
    Column::text("col-kind", "kind"),
    Column::text("col-place", "jurisdiction"),
    Column::text("col-seat", "seat"),
    Column::number("col-revision", "revision"),
];

const NODES: &[Column] = &[
    Column::text("col-id", "id"),
    Column::text("col-operator", "operator"),
    Column::text("col-hosts", "hosts"),
    Column::text("col-api", "api_address"),
    Column::text("col-data", "data_address"),
    Column::number("col-revision", "revision"),
];

const APPLICATIONS: &[Column] = &[
    Column::text("col-id", "id"),
    Column::text("col-node", "node"),
    Column::text("col-participant", "participant"),
    Column::text("col-applied", "applied_at"),
    Column::text("col-check", "check"),
];

const DELEGATIONS: &[Column] = &[
    Column::text("col-person", "from"),
    Column::text("col-stands-in", "to"),
    Column::time("col-from", "period.from"),
    Column::time("col-until", "period.until"),
    Column::text("col-note", "because"),
    Column::number("col-revision", "revision"),
];

pub(super) fn run(it: Participant, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    match it {
        Participant::List(paging) => desk.list("/participants", MEMBERS, paging),
        Participant::Get { id } => desk.show(&format!("/participants/{id}"), MEMBERS),
        Participant::Nodes(paging) => desk.list("/nodes", NODES, paging),
        Participant::Applications(paging) => desk.list("/enrolments", APPLICATIONS, paging),
        Participant::Admit { id } => admit(&id, desk),
        Participant::Register(it) => {
            let member: Member = read_record(&it.file)?;
            let (id, revision) = (member.id.clone(), member.revision);
            let command = Command::RegisterParticipant {
                participant: Box::new(member),
            };
            let answer = desk
                .client
                .change(Verb::Post, "/participants", revision, command)?;
            desk.changed(&id, &answer)
        }
        Participant::RegisterNode(it) => {
            let node: Node = read_record(&it.file)?;
            let (id, revision) = (node.id.clone(), node.revision);
            let command = Command::RegisterNode {
                node: Box::new(node),
            };
            let answer = desk
                .client
                .change(Verb::Post, "/nodes", revision, command)?;
            desk.changed(&id, &answer)
        }
        Participant::Bind(it) => {
            let person = person(it, desk)?;
            // The node checks this too; here the person learns it before anything is signed.
            person.check_roles()?;
            let (id, revision) = (person.id.clone(), person.revision);
            let command = Command::BindPerson {
                person: Box::new(person),
            };
            let answer = desk
                .client
                .change(Verb::Post, "/persons", revision, command)?;
            desk.changed(&id, &answer)
        }
        Participant::Delegate(it) => delegate(it, desk),
        Participant::Delegations(paging) => desk.list("/delegations", DELEGATIONS, paging),
        Participant::EndDelegation { from, because } => {
            let revision = revision_of(&from, desk)?;
            let command = Command::EndDelegation {
                from: from.clone(),
                revision,
                because,
            };
            let path = format!("/delegations/{from}/end");
            let answer = desk.client.change(Verb::Post, &path, revision, command)?;
            desk.changed(&from, &answer)
        }
    }
}

/// What a new node sent, as its authority keeps it.
#[derive(serde::Deserialize)]
struct Application {
    participant: Member,
    node: Node,
    persons: Vec<Person>,
}

/// Registers what a node applied for, record by record, and gives it a vote. Records that are
/// there from an earlier try stay; so the command can be given again.
fn admit(id: &str, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    let plain = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric());
    if !plain {
        return Err(Error::input("ID", "it is no name of an invitation"));
    }
    let enrolment = desk.client.get(&format!("/enrolments/{id}"))?;
    let wrong = |e: serde_json::Error| Error::input("application", e);
    let came: Application =
        serde_json::from_value(enrolment["application"].clone()).map_err(wrong)?;
    desk.terminal.record(APPLICATIONS, &enrolment)?;
    let check = enrolment["check"].as_str().unwrap_or_default().to_owned();
    desk.terminal.confirm("ask-admit", &check)?;
    let node = came.node.id.clone();
    let mut commands = vec![
        (
            "/participants",
            Command::RegisterParticipant {
                participant: Box::new(came.participant),
            },
        ),
        (
            "/nodes",
            Command::RegisterNode {
                node: Box::new(came.node),
            },
        ),
    ];
    commands.extend(came.persons.into_iter().map(|it| {
        let person = Box::new(it);
        ("/persons", Command::BindPerson { person })
    }));
    for (path, command) in commands {
        match desk.client.change(Verb::Post, path, 0, command) {
            Err(Error::Problem(problem)) if problem.code == ErrorCode::Conflict => {
                desk.terminal
                    .note("note-there-already", &[("detail", &problem.detail)]);
            }
            other => drop(other?),
        }
    }
    desk.terminal.note("note-registered", &[("node", &node)]);
    match give_vote(&node, desk) {
        Ok(()) => desk.terminal.note("note-member-added", &[("node", &node)]),
        // It may not have been started yet.
        Err(Error::Problem(problem)) if problem.code == ErrorCode::Unavailable => {
            let detail = &problem.detail;
            let words: [(&str, &dyn std::fmt::Display); 2] = [("node", &node), ("detail", detail)];
            desk.terminal.note("note-member-waits", &words);
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Asks for a vote for a registered node.
pub(super) fn give_vote(node: &NodeId, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    let body = serde_json::json!({ "node": node });
    let call = Call {
        verb: Verb::Post,
        path: "/catalog/members".to_owned(),
        headers: Vec::new(),
        body: Some(&body),
    };
    desk.client.insist(&call).map(drop)
}

/// The revision of a person's delegation, 0 when there is none.
fn revision_of(from: &PersonId, desk: &mut Desk<'_, '_>) -> Result<u64, Error> {
    let all = desk.client.list("/delegations", None)?.items;
    let held = all.iter().find(|it| it["from"] == from.as_str());
    Ok(held.and_then(|it| it["revision"].as_u64()).unwrap_or(0))
}

fn delegate(it: Delegate, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    let principal = desk.client.principal()?;
    let from = principal.person.ok_or(Error::Missing { flag: "person" })?;
    let revision = revision_of(&from, desk)?;
    let delegation = Delegation {
        from: from.clone(),
        to: it.to,
        participant: principal.participant,
        period: Period {
            from: it.from.unwrap_or_else(now),
            until: it.until,
        },
        because: it.because,
        ended_because: None,
        revision,
    };
    let command = Command::SetDelegation {
        delegation: Box::new(delegation),
    };
    let answer = desk
        .client
        .change(Verb::Post, "/delegations", revision, command)?;
    desk.changed(&from, &answer)
}

/// The record to bind: from the file, or from what was typed.
fn person(it: Bind, desk: &mut Desk<'_, '_>) -> Result<Person, Error> {
    if let Some(path) = &it.file {
        return read_record(path);
    }
    let id = it.id.ok_or(Error::Missing { flag: "file" })?;
    let key = it.public_key.ok_or(Error::Missing { flag: "public-key" })?;
    let key = crate::verify::read_keys(&key)?.into_iter().next();
    let participant = match it.participant {
        Some(participant) => participant,
        None => desk.client.principal()?.participant,
    };
    // A clock that is a little ahead of the leader's must not keep her out for the first minute.
    let from = now().plus_millis(-AHEAD_MS);
    Ok(Person {
        id,
        roles: it.roles.into_iter().collect(),
        signing: key.ok_or(Error::Missing { flag: "public-key" })?,
        custody: if it.node_keeps_key {
            KeyCustody::Node
        } else {
            KeyCustody::Person
        },
        not_before: from,
        not_after: it.until.unwrap_or_else(|| from.plus_millis(YEAR_MS)),
        // Names of persons are party-only.
        visibility: Visibility::Parties([participant.clone()].into()),
        participant,
        revision: it.revision,
    })
}
