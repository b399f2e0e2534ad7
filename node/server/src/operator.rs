//! What an operator types once, at the machine: `kouan init`, `kouan ca`, `kouan invite`,
//! `kouan join`, `kouan account` and `kouan restore`.
//!
//! It does not speak to a running node: it reads and writes the node's directory, as the user that
//! the node runs as.

pub mod account;
pub mod ca;
pub mod init;
pub mod invite;
pub mod restore;
