//! Export control: the golden matrix and what must hold of every export.
//!
//! It does not test who may ask: the matrix beside it does.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a world that cannot be built fails its test"
)]
#![expect(
    clippy::too_many_lines,
    reason = "a table is long; each entry is one case"
)]

mod explained;
mod matrix;
mod past;
mod properties;
mod world;
