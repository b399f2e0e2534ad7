//! The client's side of a handshake under a policy.
//!
//! It does not remember peers: who must speak RFC 8998 is in the policy that the caller chooses
//! for the peer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, ClientConfig, CommonState, HandshakeKind};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio_rustls::{TlsConnector, TlsStream};

use super::ahead::ReadAhead;
use super::config::{ClientSide, client_side};
use super::handshake::{Handshake, is_client_ours};
use super::policy::Sides;
use super::stream::{Agreed, Line};
use super::{FALLBACK_PROTOCOL, Family, Resumption, Suites, TlsIdentity, TlsRoots};
use crate::Error;

/// What a client is made of.
#[derive(Clone, Copy)]
pub struct ClientOptions<'a> {
    /// The policy towards the peer.
    pub suites: Suites,
    /// Whose certificates are accepted.
    pub roots: &'a TlsRoots,
    /// What is shown to servers that speak RFC 8998; none for a client without a name.
    pub shangmi: Option<&'a TlsIdentity>,
    /// What is shown to all others; none for a client without a name.
    pub standard: Option<&'a TlsIdentity>,
    /// Whether the last session with a server may be taken up.
    pub resumption: Resumption,
    /// The application protocols, the preferred one first.
    pub alpn: &'a [&'a [u8]],
}

/// How a client connects. Cheap to clone.
///
/// With [`Suites::ShangMiPreferred`] it offers RFC 8998 alone. A server that has nothing in
/// common with that says so with an alert, and the client connects again with standard suites.
/// The alert is not authenticated, so somebody on the line could send it instead of the server.
/// Therefore the second attempt says that it is one, by an application protocol that nobody
/// speaks ([`FALLBACK_PROTOCOL`]): a server that speaks RFC 8998 refuses it, as RFC 7507 has it
/// for versions, and whoever takes the mark out of the hello changes what both sides sign. There
/// is no second attempt after another alert, such as one about certificates. A server that is
/// known to have an SM2 certificate deserves [`Suites::ShangMiOnly`], and so does every server
/// where a rule demands ShangMi.
///
/// An `Arc<ClientConfig>` of [`super::client_config`] can stand for it: one family, no resumption.
#[derive(Clone)]
pub struct ClientTls {
    sides: Sides<ClientSide>,
}

impl ClientTls {
    /// Makes the configurations that the policy needs.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] when an identity is of the other family, [`Error::Tls`] as
    /// [`super::client_config`].
    pub fn new(options: ClientOptions<'_>) -> Result<Self, Error> {
        let marked: Vec<&[u8]> = [options.alpn, &[FALLBACK_PROTOCOL]].concat();
        let make = |family, identity: Option<&TlsIdentity>| {
            let second = family == Family::Standard && options.suites == Suites::ShangMiPreferred;
            let alpn = if second { &marked } else { options.alpn };
            client_side(family, options.roots, identity, options.resumption, alpn)
        };
        Sides::new(options.suites, options.shangmi, options.standard, make)
            .map(|sides| Self { sides })
    }

    /// Connects and completes a handshake; says with whom.
    ///
    /// # Errors
    ///
    /// The connection's errors, and a refusal as an error that holds a [`rustls::Error`].
    pub(super) async fn connect(
        &self,
        address: impl ToSocketAddrs,
        name: ServerName<'static>,
    ) -> io::Result<((Line, Agreed), SocketAddr)> {
        let tcp = TcpStream::connect(address).await?;
        let (first, second) = match &self.sides {
            Sides::One(side) => (side, None),
            Sides::Preferring { shangmi, standard } => (shangmi, Some(standard)),
        };
        let peer = tcp.peer_addr()?;
        let connection = match (handshake(first, tcp, name.clone()).await, second) {
            (Err(error), Some(second)) if nothing_in_common(&error) => {
                tracing::info!(%peer, "the server does not speak RFC 8998; standard TLS follows");
                handshake(second, TcpStream::connect(peer).await?, name).await
            }
            (outcome, _) => outcome,
        };
        Ok((connection?, peer))
    }
}

impl From<Arc<ClientConfig>> for ClientTls {
    fn from(config: Arc<ClientConfig>) -> Self {
        let verifier = None;
        Self {
            sides: Sides::One(ClientSide { config, verifier }),
        }
    }
}

async fn handshake(
    side: &ClientSide,
    tcp: TcpStream,
    name: ServerName<'static>,
) -> io::Result<(Line, Agreed)> {
    tcp.set_nodelay(true)?;
    let config = Arc::clone(&side.config);
    if is_client_ours(&config) {
        let client = UnbufferedClientConnection::new(config, name.clone()).map_err(refused)?;
        let mut handshake = Handshake::new(client, tcp, Vec::new());
        handshake.run().await?;
        recheck(side, &handshake.side, &name)?;
        let agreed = Agreed::of(&handshake.side);
        return Ok((Line::Records(Box::new(handshake.into_stream()?)), agreed));
    }
    let connector = TlsConnector::from(config);
    let stream = connector
        .connect(name.clone(), ReadAhead::new(tcp, Vec::new()))
        .await?;
    recheck(side, stream.get_ref().1, &name)?;
    let agreed = Agreed::of(stream.get_ref().1);
    let line = Line::Rustls(Box::new(TlsStream::Client(stream)));
    Ok((line, agreed))
}

fn refused(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// What stacks send that find no suite, group or scheme in a hello: RFC 8446 section 4.1.1,
/// RFC 8998 section 3.3.2, and servers without TLS 1.3.
fn nothing_in_common(error: &io::Error) -> bool {
    let refusal = error
        .get_ref()
        .and_then(|error| error.downcast_ref::<rustls::Error>());
    matches!(
        refusal,
        Some(rustls::Error::AlertReceived(
            AlertDescription::HandshakeFailure
                | AlertDescription::IllegalParameter
                | AlertDescription::InsufficientSecurity
                | AlertDescription::ProtocolVersion
        ))
    )
}

/// As on the server's side: a resumed session skips the certificate, so it is verified again.
fn recheck(side: &ClientSide, connection: &CommonState, name: &ServerName<'_>) -> io::Result<()> {
    let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
    let (true, Some(verifier)) = (resumed, &side.verifier) else {
        return Ok(());
    };
    let verified = match connection.peer_certificates() {
        Some([leaf, intermediates @ ..]) => verifier
            .verify_server_cert(leaf, intermediates, name, &[], UnixTime::now())
            .map(|_| ()),
        _ => Err(rustls::Error::NoCertificatesPresented),
    };
    verified.map_err(refused)
}
