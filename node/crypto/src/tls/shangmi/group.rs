//! The key exchange group `curveSM2`: ephemeral Diffie-Hellman, RFC 8998 section 3.2.2.
//!
//! It does not keep a secret: each handshake makes its own, and it is wiped when the handshake
//! has used it or ends. The multiplication takes the same time for every secret.

use rustls::crypto::{ActiveKeyExchange, SharedSecret, SupportedKxGroup};
use rustls::ffdhe_groups::FfdheGroup;
use rustls::{Error, NamedGroup, PeerMisbehaved, ProtocolVersion};
use sm2::elliptic_curve::Generate as _;
use sm2::elliptic_curve::point::AffineCoordinates as _;
use sm2::{NonZeroScalar, ProjectivePoint};
use zeroize::{Zeroize as _, Zeroizing};

use super::CURVE_SM2;
use crate::sm2::PublicKey;

/// `curveSM2`.
#[derive(Debug)]
pub(super) struct CurveSm2;

impl SupportedKxGroup for CurveSm2 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let secret = NonZeroScalar::try_generate_from_rng(&mut crate::sm2::SystemRandom)
            .map_err(|_| Error::FailedToGetRandomBytes)?;
        let mut exchange = Box::new(Exchange {
            secret,
            public: [0; PublicKey::SEC1_BYTES],
        });
        let point = sm2::PublicKey::from_secret_scalar(&exchange.secret);
        let point = PublicKey::from_inner(point).map_err(|_| Error::FailedToGetRandomBytes)?;
        exchange.public = point.to_sec1();
        Ok(exchange)
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn name(&self) -> NamedGroup {
        CURVE_SM2
    }

    fn usable_for_version(&self, version: ProtocolVersion) -> bool {
        version == ProtocolVersion::TLSv1_3
    }
}

struct Exchange {
    secret: NonZeroScalar,
    public: [u8; PublicKey::SEC1_BYTES],
}

impl ActiveKeyExchange for Exchange {
    /// The x coordinate of the product. A point off the curve is the peer's mistake and is
    /// answered with `illegal_parameter` (RFC 8446 section 4.2.8.2); the curve has no small
    /// subgroups, so there is no other bad point.
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let peer = PublicKey::from_sec1(peer).map_err(|_| PeerMisbehaved::InvalidKeyShare)?;
        let point = ProjectivePoint::from(*peer.as_inner().as_affine()) * *self.secret;
        let x = Zeroizing::new(<[u8; 32]>::from(point.to_affine().x()));
        Ok(SharedSecret::from(&x[..]))
    }

    fn ffdhe_group(&self) -> Option<FfdheGroup<'static>> {
        None
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        CURVE_SM2
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}
