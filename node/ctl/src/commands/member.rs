//! `participant`: members, nodes, persons.
//!
//! It does not make keys; whoever holds them does.

use schemas::command::Command;
use schemas::participant::{Node, Participant as Member, Person};

use super::Desk;
use crate::Error;
use crate::cli::member::Participant;
use crate::client::Verb;
use crate::files::read_record;
use crate::output::Column;

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

pub(super) fn run(it: Participant, desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    match it {
        Participant::List(paging) => desk.list("/participants", MEMBERS, paging),
        Participant::Get { id } => desk.show(&format!("/participants/{id}"), MEMBERS),
        Participant::Nodes(paging) => desk.list("/nodes", NODES, paging),
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
            let person: Person = read_record(&it.file)?;
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
    }
}
