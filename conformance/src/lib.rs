//! The judge: starts real nodes, breaks them, and says what they promised and kept.
//!
//! It is never linked into the node. It does not reach into private parts: what it cannot see
//! through public items, sockets and files, it does not judge.
