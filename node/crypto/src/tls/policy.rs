//! What server and client have in common under a policy.
//!
//! It does not talk to a peer.

use super::{Family, Suites, TlsIdentity};
use crate::Error;

/// Whether a session may be taken up again without a signature.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resumption {
    /// Every connection is a full handshake, about a millisecond of one core.
    #[default]
    Never,
    /// A session may be resumed once, with a new key exchange, and the peer's certificate is
    /// verified again when it is: one that expired meanwhile is refused. A list of revoked
    /// certificates belongs to the configuration, and sessions do not outlive it.
    Rechecked,
}

/// One configuration, or one for each family.
#[derive(Clone)]
pub(super) enum Sides<S> {
    One(S),
    Preferring { shangmi: S, standard: S },
}

impl<S> Sides<S> {
    /// Makes what the policy needs with `make`, after a look at the families of the identities.
    pub(super) fn new<'a>(
        suites: Suites,
        shangmi: Option<&'a TlsIdentity>,
        standard: Option<&'a TlsIdentity>,
        make: impl Fn(Family, Option<&'a TlsIdentity>) -> Result<S, Error>,
    ) -> Result<Self, Error> {
        let is = |identity: Option<&TlsIdentity>, family| {
            identity.is_none_or(|identity| identity.family() == family)
        };
        if !is(shangmi, Family::ShangMi) || !is(standard, Family::Standard) {
            return Err(Error::InvalidArgument {
                what: "TLS identity",
                reason: "its key is of the other family",
            });
        }
        Ok(match suites {
            Suites::ShangMiOnly => Self::One(make(Family::ShangMi, shangmi)?),
            Suites::Standard => Self::One(make(Family::Standard, standard)?),
            Suites::ShangMiPreferred => Self::Preferring {
                shangmi: make(Family::ShangMi, shangmi)?,
                standard: make(Family::Standard, standard)?,
            },
        })
    }
}

pub(super) const fn missing() -> Error {
    Error::InvalidArgument {
        what: "TLS identity",
        reason: "the policy needs one of a family that was not given",
    }
}
