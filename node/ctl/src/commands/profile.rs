//! `login`, `logout`, `whoami` and `context`.
//!
//! It does not keep secrets in profiles: only the names of the files that hold them.

use serde_json::{Value, json};

use super::Desk;
use crate::Error;
use crate::cli::Global;
use crate::cli::profile::{Context, Login};
use crate::client::{Client, Password};
use crate::output::{Column, Terminal};
use crate::profile::{Profile, Settings, Store, base_url};

/// The profile's name when nobody gives one.
const DEFAULT: &str = "default";

const PRINCIPAL: &[Column] = &[
    Column::text("col-person", "person"),
    Column::text("col-participant", "participant"),
    Column::text("col-roles", "roles"),
    Column::text("col-place", "jurisdiction"),
];

const PROFILES: &[Column] = &[
    Column::text("col-name", "name"),
    Column::text("col-current", "current"),
    Column::text("col-server", "server"),
    Column::text("col-person", "person"),
];

/// Signs in, and writes the profile once that has worked.
pub(super) fn login(it: Login, global: &Global, terminal: &Terminal) -> Result<(), Error> {
    let store = Store::new(global)?;
    let mut profiles = store.profiles()?;
    let name = global.profile.clone().or_else(|| profiles.current.clone());
    let name = name.unwrap_or_else(|| DEFAULT.to_owned());
    let before = profiles.profiles.get(&name).cloned().unwrap_or_default();
    let profile = Profile::of(global).or(before);
    let settings = Settings::new(profile.clone(), store.clone(), global);
    let mut client = Client::new(&settings, terminal)?;
    if it.password {
        let by = Password {
            file: it.password_file,
            code: it.code,
        };
        client.sign_in_with_password(&by)?;
    } else {
        client.sign_in()?;
    }
    profiles.profiles.insert(name.clone(), profile);
    profiles.current = Some(name.clone());
    store.write_profiles(&profiles)?;
    terminal.note("note-signed-in", &[("profile", &name)]);
    let principal = serde_json::to_value(client.principal()?).unwrap_or_default();
    terminal.record(PRINCIPAL, &principal)
}

/// Ends the session; the profile stays.
pub(super) fn logout(desk: &Desk<'_, '_>) -> Result<(), Error> {
    desk.client.sign_out()?;
    desk.terminal.note("note-signed-out", &[]);
    Ok(())
}

/// Who is signed in, as the node says.
pub(super) fn whoami(desk: &mut Desk<'_, '_>) -> Result<(), Error> {
    desk.show("/sessions", PRINCIPAL)
}

/// Lists, chooses, writes and forgets profiles.
pub(super) fn context(it: &Context, global: &Global, terminal: &Terminal) -> Result<(), Error> {
    let store = Store::new(global)?;
    let mut profiles = store.profiles()?;
    let unknown = |name: &str| Error::input(name, terminal.say("err-no-profile", &[]));
    match it {
        Context::List => {
            let all: Vec<Value> = profiles
                .profiles
                .iter()
                .map(|(name, profile)| {
                    let current = profiles.current.as_ref() == Some(name);
                    json!({"name": name, "current": if current { "*" } else { "" },
                        "server": profile.server, "person": profile.person,
                        "key_file": profile.key_file, "roots": profile.roots})
                })
                .collect();
            return terminal.list(PROFILES, &all);
        }
        Context::Use { name } => {
            if !profiles.profiles.contains_key(name) {
                return Err(unknown(name));
            }
            profiles.current = Some(name.clone());
        }
        Context::Add { name } => {
            let profile = Profile::of(global);
            let server = profile
                .server
                .as_deref()
                .ok_or(Error::Missing { flag: "server" })?;
            base_url(server)?;
            profiles.profiles.insert(name.clone(), profile);
            profiles.current.get_or_insert_with(|| name.clone());
        }
        Context::Rm { name } => {
            profiles
                .profiles
                .remove(name)
                .ok_or_else(|| unknown(name))?;
            if profiles.current.as_ref() == Some(name) {
                profiles.current = None;
            }
        }
    }
    store.write_profiles(&profiles)?;
    terminal.note("note-profiles-written", &[]);
    Ok(())
}
