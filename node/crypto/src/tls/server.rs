//! The server's side of a handshake under a policy.
//!
//! It does not listen: [`super::incoming`] does.

use std::io;
use std::sync::Arc;

use rustls::pki_types::UnixTime;
use rustls::server::{Acceptor, ClientHello, UnbufferedServerConnection};
use rustls::{CommonState, HandshakeKind, ServerConfig};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor, TlsStream, server};

use super::ahead::ReadAhead;
use super::config::{ServerSide, server_side};
use super::handshake::{Handshake, is_server_ours};
use super::policy::{Sides, missing};
use super::shangmi::{CURVE_SM2, SM2SIG_SM3, TLS_SM4_CCM_SM3, TLS_SM4_GCM_SM3};
use super::stream::{Agreed, Line};
use super::{ClientAuth, FALLBACK_PROTOCOL, Resumption, Suites, TlsIdentity};
use crate::Error;

/// What a listener is made of.
#[derive(Clone, Copy)]
pub struct ServerOptions<'a> {
    /// The policy. It says which of the identities must be there.
    pub suites: Suites,
    /// What is shown to clients that speak RFC 8998.
    pub shangmi: Option<&'a TlsIdentity>,
    /// What is shown to all others.
    pub standard: Option<&'a TlsIdentity>,
    /// Whether clients must show certificates.
    pub client_auth: ClientAuth<'a>,
    /// Whether a client may take up its last session.
    pub resumption: Resumption,
    /// The application protocols, the preferred one first.
    pub alpn: &'a [&'a [u8]],
}

/// How a listener answers. Cheap to clone.
///
/// An `Arc<ServerConfig>` of [`super::server_config`] can stand for it: one family, no resumption.
#[derive(Clone)]
pub struct ServerTls {
    sides: Sides<ServerSide>,
}

impl ServerTls {
    /// Makes the configurations that the policy needs.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] when the policy needs an identity that is not there or is of
    /// the other family, [`Error::Tls`] as [`super::server_config`].
    pub fn new(options: ServerOptions<'_>) -> Result<Self, Error> {
        let side = |identity: Option<&TlsIdentity>| {
            let identity = identity.ok_or_else(missing)?;
            let ServerOptions {
                client_auth,
                resumption,
                alpn,
                ..
            } = options;
            server_side(identity, client_auth, resumption, alpn)
        };
        Sides::new(
            options.suites,
            options.shangmi,
            options.standard,
            |_, it| side(it),
        )
        .map(|sides| Self { sides })
    }

    /// Completes a handshake on a new connection.
    ///
    /// # Errors
    ///
    /// The connection's errors, and a refusal as an error that holds a [`rustls::Error`].
    pub(super) async fn accept(&self, tcp: TcpStream) -> io::Result<(Line, Agreed)> {
        let (shangmi, standard) = match &self.sides {
            Sides::One(side) => return side.accept(tcp, Vec::new()).await,
            Sides::Preferring { shangmi, standard } => (shangmi, standard),
        };
        let tcp = ReadAhead::keeping(tcp);
        let mut start = LazyConfigAcceptor::new(Acceptor::default(), tcp).await?;
        let hello = start.client_hello();
        if offers_shangmi(&hello) {
            // From the start, because the handshake's hello is not for others to read.
            let (tcp, read) = start.io.into_kept();
            return shangmi.accept(tcp, read).await;
        }
        if is_fallback(&hello) {
            start.io.write_all(&INAPPROPRIATE_FALLBACK).await?;
            let reason = "the client gave up RFC 8998 although it is spoken here";
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        start.io.forget();
        let config = Arc::clone(&standard.config);
        standard.established(start.into_stream(config).await?)
    }
}

impl ServerSide {
    /// A handshake of which `read` came already.
    async fn accept(&self, tcp: TcpStream, read: Vec<u8>) -> io::Result<(Line, Agreed)> {
        let config = Arc::clone(&self.config);
        if is_server_ours(&config) {
            let server = UnbufferedServerConnection::new(config).map_err(refused)?;
            let mut handshake = Handshake::new(server, tcp, read);
            handshake.run().await?;
            recheck(self, &handshake.side)?;
            let agreed = Agreed::of(&handshake.side);
            return Ok((Line::Records(Box::new(handshake.into_stream()?)), agreed));
        }
        let acceptor = TlsAcceptor::from(config);
        self.established(acceptor.accept(ReadAhead::new(tcp, read)).await?)
    }

    fn established(&self, stream: server::TlsStream<ReadAhead>) -> io::Result<(Line, Agreed)> {
        recheck(self, stream.get_ref().1)?;
        let agreed = Agreed::of(stream.get_ref().1);
        let line = Line::Rustls(Box::new(TlsStream::Server(stream)));
        Ok((line, agreed))
    }
}

fn refused(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl From<Arc<ServerConfig>> for ServerTls {
    fn from(config: Arc<ServerConfig>) -> Self {
        let verifier = None;
        Self {
            sides: Sides::One(ServerSide { config, verifier }),
        }
    }
}

/// RFC 8998 section 3.3.1: suite, group and signature scheme, all three.
fn offers_shangmi(hello: &ClientHello<'_>) -> bool {
    let suites = hello.cipher_suites();
    let suite = suites.contains(&TLS_SM4_GCM_SM3) || suites.contains(&TLS_SM4_CCM_SM3);
    let group = hello
        .named_groups()
        .is_some_and(|groups| groups.contains(&CURVE_SM2));
    suite && group && hello.signature_schemes().contains(&SM2SIG_SM3)
}

fn is_fallback(hello: &ClientHello<'_>) -> bool {
    hello
        .alpn()
        .is_some_and(|mut names| names.any(|name| name == FALLBACK_PROTOCOL))
}

/// A resumed session skips the client's certificate, which may have expired since, or have been
/// revoked; it is verified again as of now, and only its signature is spared.
fn recheck(side: &ServerSide, connection: &CommonState) -> io::Result<()> {
    let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
    let (true, Some(verifier)) = (resumed, &side.verifier) else {
        return Ok(());
    };
    match connection.peer_certificates() {
        Some([leaf, intermediates @ ..]) => verifier
            .verify_client_cert(leaf, intermediates, UnixTime::now())
            .map(|_| ())
            .map_err(refused),
        _ if verifier.client_auth_mandatory() => {
            Err(refused(rustls::Error::NoCertificatesPresented))
        }
        _ => Ok(()),
    }
}

/// A record with the fatal alert `inappropriate_fallback` (RFC 7507), before any key exists.
const INAPPROPRIATE_FALLBACK: [u8; 7] = [21, 3, 3, 0, 2, 2, 86];
