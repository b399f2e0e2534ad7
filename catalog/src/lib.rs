//! The catalog: the replicated record of who shares what with whom.
//!
//! It does not hold rows and it does not decide accesses.

pub mod state;
pub mod view;
