//! Tests of the public interface: published vectors, a second implementation, real certificates,
//! real sockets and files, and properties.
//!
//! It does not test the block cipher's nonce handling from outside, since no caller can give a
//! nonce; those tests sit beside the module.

mod certificate;
mod digest;
mod envelope;
mod fuzz;
mod keys;
mod map;
mod merkle;
mod oracle;
mod people;
mod request;
mod sdf;
mod seal;
mod shangmi;
mod sm2;
mod tls;
mod vectors;

/// The present, milliseconds since 1970-01-01 UTC.
fn now_ms() -> i64 {
    let elapsed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    elapsed
        .ok()
        .and_then(|it| i64::try_from(it.as_millis()).ok())
        .unwrap_or(0)
}
