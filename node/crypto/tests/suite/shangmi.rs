//! RFC 8998: handshakes in memory, policies over sockets, and an independent stack.

#![expect(clippy::unwrap_used, reason = "set-up of tests")]

mod interop;
mod pair;
mod policy;
mod records;
mod refusals;
mod streams;

use crypto::Validity;
use crypto::tls::{TlsAuthority, TlsIdentity, TlsRoots};

use crate::now_ms;

const DAY_MS: i64 = 86_400_000;

fn validity() -> Validity {
    Validity::days(now_ms() - 3_600_000, 2)
}

fn authority() -> TlsAuthority {
    TlsAuthority::create_shangmi("SM2 TLS CA", validity()).unwrap()
}

fn identity(authority: &TlsAuthority, name: &str) -> TlsIdentity {
    TlsIdentity::issue(authority, name, &["localhost"], validity()).unwrap()
}

/// An SM2 authority with a server and a client of its own.
struct Members {
    authority: TlsAuthority,
    server: TlsIdentity,
    client: TlsIdentity,
    roots: TlsRoots,
}

fn members() -> Members {
    let authority = authority();
    Members {
        server: identity(&authority, "server"),
        client: identity(&authority, "client"),
        roots: authority.roots().unwrap(),
        authority,
    }
}
