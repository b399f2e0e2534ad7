//! Changes one field of a command, so that it still reads as one and makes little sense.
//!
//! It does not make bytes that cannot be read; fuzzing does, and they never reach the state.

use schemas::command::Proposal;
use serde_json::{Value, json};

use crate::seeded::Random;

/// The proposal with one field changed; none when no reader would take it.
pub(crate) fn damaged(random: &mut Random, proposal: &Proposal) -> Option<Proposal> {
    let mut whole = serde_json::to_value(proposal).ok()?;
    let command = whole.get_mut("command")?;
    let mut paths = Vec::new();
    leaves(command, String::new(), &mut paths);
    let (to, from) = (random.one(&paths)?, random.one(&paths)?);
    let odd = [
        json!(""),
        json!(" "),
        json!("x"),
        json!("口".repeat(5_000)),
        json!(0),
        json!(9_007_199_254_740_991_u64),
        json!(-1),
        Value::Null,
        json!([]),
        json!(true),
        json!("9999-12-31T23:59:59.999Z"),
        command.pointer(&from)?.clone(),
        command.pointer(&from)?.clone(),
    ];
    *command.pointer_mut(&to)? = random.one(&odd)?;
    serde_json::from_value(whole).ok()
}

/// The paths of everything that holds no other value, the tag of the command left out.
fn leaves(value: &Value, path: String, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, field) in fields {
                let below = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
                if below != "/command" {
                    leaves(field, below, found);
                }
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (at, item) in items.iter().enumerate() {
                leaves(item, format!("{path}/{at}"), found);
            }
        }
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Object(_)
        | Value::Array(_) => found.push(path),
    }
}
