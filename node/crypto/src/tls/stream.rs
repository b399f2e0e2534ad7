//! A TLS connection that knows its peer's key.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{CipherSuite, CommonState, HandshakeKind};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::ToSocketAddrs;
use tokio::time::timeout;
use tokio_rustls::TlsStream;

use super::ahead::ReadAhead;
use super::records::stream::RecordStream;
use super::shangmi::{TLS_SM4_CCM_SM3, TLS_SM4_GCM_SM3};
use super::{ClientTls, Family, HANDSHAKE_SECONDS_MAX, peer_spki_digest};
use crate::Error;
use crate::digest::Digest;

/// One TLS connection after its handshake, on either side.
///
/// A server for gRPC wraps it in a type of its own that implements tonic's `Connected`. Bytes that
/// were written are on their way after a flush, and not before; a reader that finds nothing makes
/// one too. An end that the peer did not announce is an error of the kind `UnexpectedEof`; with a
/// ShangMi suite, what is wrong with a record is a [`super::RecordFault`] in the error.
pub struct PeerTlsStream {
    line: Line,
    agreed: Agreed,
    peer_address: SocketAddr,
    peer_spki: Option<Digest>,
}

/// Who makes the records.
pub(super) enum Line {
    /// rustls, for the standard suites.
    Rustls(Box<TlsStream<ReadAhead>>),
    /// This crate, for the ShangMi suites.
    Records(Box<RecordStream>),
}

/// What a handshake came to.
pub(super) struct Agreed {
    suite: Option<CipherSuite>,
    peer_certificates: Vec<CertificateDer<'static>>,
    alpn_protocol: Option<Vec<u8>>,
    is_resumed: bool,
}

impl Agreed {
    pub(super) fn of(connection: &CommonState) -> Self {
        let suite = connection.negotiated_cipher_suite();
        Self {
            suite: suite.map(|suite| suite.suite()),
            peer_certificates: connection.peer_certificates().unwrap_or_default().to_vec(),
            alpn_protocol: connection.alpn_protocol().map(<[u8]>::to_vec),
            is_resumed: connection.handshake_kind() == Some(HandshakeKind::Resumed),
        }
    }
}

impl PeerTlsStream {
    pub(super) fn new((line, agreed): (Line, Agreed), peer_address: SocketAddr) -> Self {
        let peer_spki = peer_spki_digest(&agreed.peer_certificates);
        Self {
            line,
            agreed,
            peer_address,
            peer_spki,
        }
    }

    /// SM3 of the `SubjectPublicKeyInfo` of the peer's verified certificate; none when it showed
    /// no certificate.
    #[must_use]
    pub const fn peer_spki(&self) -> Option<Digest> {
        self.peer_spki
    }

    /// Where the peer connects from or listens.
    #[must_use]
    pub const fn peer_address(&self) -> SocketAddr {
        self.peer_address
    }

    /// The peer's verified certificate chain, own certificate first.
    #[must_use]
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        &self.agreed.peer_certificates
    }

    /// Which algorithms protect the connection.
    #[must_use]
    pub const fn family(&self) -> Family {
        match self.agreed.suite {
            Some(TLS_SM4_GCM_SM3 | TLS_SM4_CCM_SM3) => Family::ShangMi,
            _ => Family::Standard,
        }
    }

    /// The name of the cipher suite that was agreed, as it is registered for TLS 1.3.
    #[must_use]
    pub fn suite_name(&self) -> String {
        match self.agreed.suite {
            Some(TLS_SM4_GCM_SM3) => "TLS_SM4_GCM_SM3".to_owned(),
            Some(TLS_SM4_CCM_SM3) => "TLS_SM4_CCM_SM3".to_owned(),
            // rustls puts the version into the names that it gives.
            Some(other) => format!("{other:?}").replace("TLS13_", "TLS_"),
            None => String::new(),
        }
    }

    /// Whether the session is an earlier one, taken up again.
    #[must_use]
    pub const fn is_resumed(&self) -> bool {
        self.agreed.is_resumed
    }

    /// The application protocol that was agreed, such as `h2`.
    #[must_use]
    pub fn alpn_protocol(&self) -> Option<&[u8]> {
        self.agreed.alpn_protocol.as_deref()
    }
}

/// Connects to a server and completes the handshake within [`HANDSHAKE_SECONDS_MAX`].
/// `server_name` is the DNS name or address that its certificate must show.
///
/// # Errors
///
/// [`Error::InvalidArgument`] for a name that is neither, [`Error::Tls`] for everything that
/// goes wrong on the line or with the certificate.
pub async fn connect(
    address: impl ToSocketAddrs,
    server_name: &str,
    tls: impl Into<ClientTls>,
) -> Result<PeerTlsStream, Error> {
    let name =
        ServerName::try_from(server_name.to_owned()).map_err(|_| Error::InvalidArgument {
            what: "server name",
            reason: "no DNS name and no address",
        })?;
    let tls = tls.into();
    let handshake = async {
        let (connection, peer_address) = tls.connect(address, name).await?;
        Ok::<_, io::Error>(PeerTlsStream::new(connection, peer_address))
    };
    match timeout(Duration::from_secs(HANDSHAKE_SECONDS_MAX), handshake).await {
        Ok(outcome) => outcome.map_err(|source| Error::tls(&source)),
        Err(_) => Err(Error::Tls {
            reason: "the handshake took longer than 10 s".to_owned(),
        }),
    }
}

impl fmt::Debug for PeerTlsStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeerTlsStream")
            .field("peer_address", &self.peer_address)
            .field("peer_spki", &self.peer_spki)
            .finish_non_exhaustive()
    }
}

impl AsyncRead for PeerTlsStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.line {
            Line::Rustls(stream) => Pin::new(stream).poll_read(cx, buffer),
            Line::Records(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for PeerTlsStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.line {
            Line::Rustls(stream) => Pin::new(stream).poll_write(cx, bytes),
            Line::Records(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.line {
            Line::Rustls(stream) => Pin::new(stream).poll_flush(cx),
            Line::Records(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.line {
            Line::Rustls(stream) => Pin::new(stream).poll_shutdown(cx),
            Line::Records(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.line {
            Line::Rustls(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Line::Records(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.line {
            Line::Rustls(stream) => stream.is_write_vectored(),
            Line::Records(stream) => stream.is_write_vectored(),
        }
    }
}
