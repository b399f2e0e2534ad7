//! Roles and actions: casbin's model and policy lines, compiled to an index.
//!
//! It does not ask casbin when a decision is made: casbin evaluates every line for every question
//! (7 to 60 ms at 10,000 lines), and there are only a few hundred questions that can be asked. The
//! text stays casbin's: it is loaded by casbin when a set is compiled, and in tests casbin's
//! enforcer is the oracle for every role and action. This is the only file that imports casbin.
//!
//! One model is compiled, the one that ships; another shape is refused, because an index for it
//! would be a guess.

use std::collections::{BTreeMap, BTreeSet};

use casbin::{CoreApi as _, DefaultModel, Enforcer, MgmtApi as _, StringAdapter};
use futures::FutureExt as _;
use schemas::code::Action;
use schemas::decision::Principal;
use schemas::participant::Role;

use crate::error::{Error, Part, shown};

/// Longest model text in bytes; what ships has about 600.
const MODEL_BYTES_MAX: usize = 8 * 1024;
/// Longest policy text in bytes: a set must also fit one canonical record of 1 MiB.
const ROLES_BYTES_MAX: usize = 768 * 1024;
/// Most policy lines, comments included; what ships has about 70.
const ROLES_LINES_MAX: usize = 20_000;
/// Longest chain of g lines. casbin follows ten links and silently stops; eight are understood by
/// a reader and far from that edge.
const GROUP_CHAIN_LINKS_MAX: usize = 8;
/// Longest name of a group in bytes.
const NAME_BYTES_MAX: usize = 96;

/// The subject under which a node acts for a participant that it hosts.
const HOSTING_NODE: &str = "hosting-node";

/// Who a policy line can speak about in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// A person with that role.
    Role(Role),
    /// A node without a person.
    HostingNode,
}

impl Subject {
    /// Every subject of the text that a principal can have.
    fn all() -> impl Iterator<Item = Self> {
        Role::ALL
            .iter()
            .copied()
            .map(Self::Role)
            .chain([Self::HostingNode])
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Role(role) => role.as_str(),
            Self::HostingNode => HOSTING_NODE,
        }
    }
}

/// What the text says of one subject and action, with the line that says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// An allow line, and no deny line.
    Allowed,
    /// A deny line.
    Forbidden {
        /// The line, counted from 1.
        line: usize,
    },
}

/// The compiled text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    rulings: BTreeMap<(Subject, Action), Ruling>,
}

impl Index {
    /// Compiles model and policy lines.
    ///
    /// # Errors
    /// [`Error`] with the line and what to do, for text that is too long, is not this model, or
    /// names a role, action or effect that does not exist.
    pub(crate) fn compile(model: &str, roles: &str) -> Result<Self, Error> {
        check_model(model)?;
        let lines = Lines::parse(roles)?;
        lines.check_groups()?;
        let casbin = load(model, roles)?;
        for (what, read, ours) in [
            ("p", casbin.get_policy().len(), lines.rules.len()),
            ("g", casbin.get_grouping_policy().len(), lines.groups.len()),
        ] {
            if read != ours {
                let why = format!("casbin reads {read} {what} lines, the index {ours}");
                return Err(Error::CasbinDiffers {
                    part: Part::Roles,
                    why,
                });
            }
        }
        Ok(lines.index())
    }

    /// What the text says of a principal: a deny line for any of its subjects beats the rest.
    /// Nothing is said when no line allows.
    pub(crate) fn ruling(&self, principal: &Principal, action: Action) -> Option<Ruling> {
        let mut ruling = None;
        if principal.person.is_none() {
            // Roles are persons' roles; a node without a person has one subject of its own.
            return principal
                .node
                .as_ref()
                .and_then(|_| self.rulings.get(&(Subject::HostingNode, action)).copied());
        }
        for role in &principal.roles {
            match self.rulings.get(&(Subject::Role(*role), action)) {
                Some(forbidden @ Ruling::Forbidden { .. }) => return Some(*forbidden),
                Some(Ruling::Allowed) => ruling = Some(Ruling::Allowed),
                None => {}
            }
        }
        ruling
    }
}

/// What stands in a policy text, line by line.
struct Lines<'a> {
    /// `p` lines: line, subject, actions, whether it allows.
    rules: Vec<(usize, &'a str, Vec<Action>, bool)>,
    /// `g` lines: line, child, parent.
    groups: Vec<(usize, &'a str, &'a str)>,
}

impl<'a> Lines<'a> {
    fn parse(text: &'a str) -> Result<Self, Error> {
        if text.len() > ROLES_BYTES_MAX {
            let (bytes, limit) = (text.len(), ROLES_BYTES_MAX);
            return Err(Error::TooLarge {
                part: Part::Roles,
                bytes,
                limit,
            });
        }
        let lines = text.lines().count();
        if lines > ROLES_LINES_MAX {
            return Err(Error::TooManyLines {
                part: Part::Roles,
                lines,
                limit: ROLES_LINES_MAX,
            });
        }
        let mut parsed = Self {
            rules: Vec::new(),
            groups: Vec::new(),
        };
        let mut seen: BTreeMap<Vec<&str>, usize> = BTreeMap::new();
        for (line, text) in text
            .lines()
            .enumerate()
            .map(|(at, text)| (at + 1, text.trim()))
        {
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let refuse = |why: String| Err(Error::line(Part::Roles, line, why));
            let fields: Vec<&str> = text.split(',').map(str::trim).collect();
            if let Some(bad) = fields.iter().find(|field| !is_name(field)) {
                return refuse(format!(
                    "{:?} is not a name: write 1 to {NAME_BYTES_MAX} of a-z 0-9 . - _ or *",
                    shown(bad)
                ));
            }
            if let Some(first) = seen.insert(fields.clone(), line) {
                return refuse(format!("it repeats line {first}; remove one"));
            }
            match *fields.as_slice() {
                ["p", subject, object, act, effect] => {
                    let actions = actions(line, object, act)?;
                    let allows = match effect {
                        "allow" => true,
                        "deny" => false,
                        _ => return refuse("the effect must be allow or deny".to_owned()),
                    };
                    parsed.rules.push((line, subject, actions, allows));
                }
                ["g", child, parent] => parsed.groups.push((line, child, parent)),
                _ => {
                    return refuse(
                        "write `p, subject, object, act, effect` or `g, child, group`".to_owned(),
                    );
                }
            }
        }
        if parsed.rules.is_empty() {
            return Err(Error::incomplete(
                Part::Roles,
                "no p line: nobody could do anything",
            ));
        }
        parsed.check_subjects()?;
        Ok(parsed)
    }

    /// A subject that is neither a role nor in a g line is a typing error that would silently
    /// allow nothing.
    fn check_subjects(&self) -> Result<(), Error> {
        let mut known: BTreeSet<&str> = Subject::all().map(Subject::as_str).collect();
        known.extend(
            self.groups
                .iter()
                .flat_map(|(_, child, parent)| [*child, *parent]),
        );
        match self
            .rules
            .iter()
            .find(|(_, subject, ..)| !known.contains(subject))
        {
            None => Ok(()),
            Some((line, subject, ..)) => {
                let names: Vec<&str> = Subject::all().map(Subject::as_str).collect();
                let why = format!(
                    "{:?} is neither one of {} nor a group of a g line",
                    shown(subject),
                    names.join(", ")
                );
                Err(Error::line(Part::Roles, *line, why))
            }
        }
    }

    /// Groups may not go in a circle, nor nest deeper than casbin follows: a group is taken away
    /// once all of its parents are, at most one level in each round.
    fn check_groups(&self) -> Result<(), Error> {
        let mut open: Vec<&(usize, &str, &str)> = self.groups.iter().collect();
        for _ in 0..GROUP_CHAIN_LINKS_MAX {
            let children: BTreeSet<&str> = open.iter().map(|(_, child, _)| *child).collect();
            open.retain(|(_, _, parent)| children.contains(parent));
        }
        match open.first() {
            None => Ok(()),
            Some((line, child, parent)) => Err(Error::line(
                Part::Roles,
                *line,
                format!(
                    "{child} in {parent} is part of a circle or of a chain of more than \
                     {GROUP_CHAIN_LINKS_MAX} groups; remove a link"
                ),
            )),
        }
    }

    fn index(&self) -> Index {
        let mut parents: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (_, child, parent) in &self.groups {
            parents.entry(child).or_default().insert(parent);
        }
        let mut rulings: BTreeMap<(Subject, Action), Ruling> = BTreeMap::new();
        for subject in Subject::all() {
            let reached = reached(&parents, subject.as_str());
            for (line, name, actions, allows) in &self.rules {
                if !reached.contains(name) {
                    continue;
                }
                for action in actions.iter().copied() {
                    let entry = rulings.entry((subject, action)).or_insert(Ruling::Allowed);
                    if !allows && *entry == Ruling::Allowed {
                        *entry = Ruling::Forbidden { line: *line };
                    }
                }
            }
        }
        Index { rulings }
    }
}

/// `subject` and every group that it is in, directly or through others.
fn reached<'a>(
    parents: &BTreeMap<&'a str, BTreeSet<&'a str>>,
    subject: &'a str,
) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::from([subject]);
    let mut open = vec![subject];
    while let Some(name) = open.pop() {
        for parent in parents.get(name).into_iter().flatten() {
            if reached.insert(parent) {
                open.push(parent);
            }
        }
    }
    reached
}

/// Object and act of an action: what stands before and after its dot.
fn object_and_act(action: Action) -> (&'static str, &'static str) {
    let text = action.as_str();
    text.split_once('.').unwrap_or((text, ""))
}

/// The actions that a line is about; a name that is no action is an error, not an empty set.
fn actions(line: usize, object: &str, act: &str) -> Result<Vec<Action>, Error> {
    let of_object = |action: &Action| object_and_act(*action).0 == object;
    let found: Vec<Action> = Action::ALL
        .iter()
        .copied()
        .filter(of_object)
        .filter(|action| act == "*" || object_and_act(*action).1 == act)
        .collect();
    if found.is_empty() {
        let acts: Vec<&str> = Action::ALL
            .iter()
            .filter(|action| of_object(action))
            .map(|it| it.as_str())
            .collect();
        let known = if acts.is_empty() {
            "no action of that object".to_owned()
        } else {
            acts.join(", ")
        };
        let why = format!(
            "{}.{} is not an action; there is {known}",
            shown(object),
            shown(act)
        );
        return Err(Error::line(Part::Roles, line, why));
    }
    Ok(found)
}

/// Names without quotes, spaces or commas are read alike by casbin and by us.
fn is_name(field: &str) -> bool {
    let fits = |byte: u8| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_')
    };
    field == "*" || (!field.is_empty() && field.len() <= NAME_BYTES_MAX && field.bytes().all(fits))
}

/// The model as casbin sees it: no comments, no blank lines, single spaces; with line numbers.
fn meaning(model: &str) -> impl Iterator<Item = (usize, String)> {
    model.lines().enumerate().filter_map(|(at, line)| {
        let line = line.trim();
        let says = !line.is_empty() && !line.starts_with('#') && !line.starts_with(';');
        says.then(|| {
            (
                at + 1,
                line.split_whitespace().collect::<Vec<_>>().join(" "),
            )
        })
    })
}

fn check_model(model: &str) -> Result<(), Error> {
    if model.len() > MODEL_BYTES_MAX {
        let (bytes, limit) = (model.len(), MODEL_BYTES_MAX);
        return Err(Error::TooLarge {
            part: Part::Model,
            bytes,
            limit,
        });
    }
    let mut shipped = meaning(crate::pdp::SHIPPED_MODEL);
    for (line, text) in meaning(model) {
        match shipped.next() {
            Some((_, expected)) if expected == text => {}
            Some((_, expected)) => {
                let why = format!("write `{expected}`; only the model that ships is compiled");
                return Err(Error::line(Part::Model, line, why));
            }
            None => {
                let why = "remove it; only the model that ships is compiled";
                return Err(Error::line(Part::Model, line, why));
            }
        }
    }
    match shipped.next() {
        None => Ok(()),
        Some((_, missing)) => Err(Error::incomplete(
            Part::Model,
            format!("the line `{missing}` is missing; add it"),
        )),
    }
}

/// Loads the text into casbin. Its functions are async for adapters that wait; this one does not,
/// so a future that is not ready at once would be a change in casbin, told as an error.
fn load(model: &str, roles: &str) -> Result<Enforcer, Error> {
    let differs = |part: Part| {
        move |source: casbin::error::Error| Error::CasbinDiffers {
            part,
            why: source.to_string(),
        }
    };
    let waits = |part: Part| Error::CasbinDiffers {
        part,
        why: "it waits for something".to_owned(),
    };
    let model = DefaultModel::from_str(model)
        .now_or_never()
        .ok_or_else(|| waits(Part::Model))?
        .map_err(differs(Part::Model))?;
    Enforcer::new(model, StringAdapter::new(roles))
        .now_or_never()
        .ok_or_else(|| waits(Part::Roles))?
        .map_err(differs(Part::Roles))
}

#[cfg(test)]
#[path = "rbac/tests.rs"]
mod tests;
