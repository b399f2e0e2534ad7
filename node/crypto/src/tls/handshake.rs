//! Handshakes of the ShangMi suites, after which [`super::records`] takes over.
//!
//! It does not shake hands itself, rustls does; this carries the bytes. rustls gives its keys
//! away only where its caller holds the buffers, and it is shown one record at a time, so that
//! it has never opened one behind the handshake when the keys leave it.

use std::io;
use std::sync::Arc;

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::crypto::CryptoProvider;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, UnbufferedStatus};
use rustls::{ClientConfig, CommonState, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::records::stream::RecordStream;
use super::records::{Established, Records};
use super::shangmi::{TLS_SM4_CCM_SM3, TLS_SM4_GCM_SM3};

/// One side of a handshake.
pub(super) trait Side:
    Established + std::ops::Deref<Target: std::ops::Deref<Target = CommonState>>
{
    /// What rustls keeps for the side.
    type Data;

    /// Shows it what the peer sent, and learns what comes next.
    fn step<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data>;
}

impl Side for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn step<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(bytes)
    }
}

impl Side for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn step<'c, 'i>(&'c mut self, bytes: &'i mut [u8]) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(bytes)
    }
}

/// Whether the client has nothing but our suites, and lets us have their keys.
pub(super) fn is_client_ours(config: &ClientConfig) -> bool {
    config.enable_secret_extraction
        && config.max_fragment_size.is_none()
        && has_our_suites_alone(config.crypto_provider())
}

/// Whether the server has nothing but our suites, and lets us have their keys.
pub(super) fn is_server_ours(config: &ServerConfig) -> bool {
    config.enable_secret_extraction
        && config.max_fragment_size.is_none()
        && config.max_early_data_size == 0
        && has_our_suites_alone(config.crypto_provider())
}

fn has_our_suites_alone(provider: &Arc<CryptoProvider>) -> bool {
    let mut suites = provider.cipher_suites.iter().map(|suite| suite.suite());
    suites.all(|suite| matches!(suite, TLS_SM4_GCM_SM3 | TLS_SM4_CCM_SM3))
}

/// A handshake on its way.
pub(super) struct Handshake<S> {
    pub(super) side: S,
    tcp: TcpStream,
    /// What was read and is not done with.
    unread: Vec<u8>,
    /// How much of it rustls was shown: whole records.
    shown: usize,
    unsent: Vec<u8>,
}

/// What a handshake wants next.
enum Want {
    /// To be asked again.
    Turn,
    /// That all is sent.
    Send,
    /// The peer's next record.
    Receive,
    /// Nothing more.
    Nothing,
}

impl<S: Side> Handshake<S> {
    /// `unread` was read from the socket before.
    pub(super) const fn new(side: S, tcp: TcpStream, unread: Vec<u8>) -> Self {
        Self {
            side,
            tcp,
            unread,
            shown: 0,
            unsent: Vec::new(),
        }
    }

    /// Completes it.
    ///
    /// # Errors
    ///
    /// The connection's errors, and a refusal as an error that holds a [`rustls::Error`]; the
    /// peer is told before.
    pub(super) async fn run(&mut self) -> io::Result<()> {
        loop {
            match self.turn() {
                Ok(Want::Turn) => {}
                Ok(Want::Send) => self.send().await?,
                Ok(Want::Receive) => self.receive().await?,
                Ok(Want::Nothing) => return Ok(()),
                Err(error) => {
                    self.gather_alert();
                    // The peer may be gone; why is what counts.
                    let _unsaid = self.send().await;
                    return Err(error);
                }
            }
        }
    }

    /// The connection, open.
    ///
    /// # Errors
    ///
    /// When the handshake is not done.
    pub(super) fn into_stream(self) -> io::Result<RecordStream> {
        let records = Records::new(self.side, self.unread);
        Ok(RecordStream::new(self.tcp, records.map_err(refusal)?))
    }

    fn turn(&mut self) -> io::Result<Want> {
        let status = self.side.step(&mut self.unread[..self.shown]);
        let discard = status.discard;
        let mut is_open = false;
        let want = match status.state {
            Ok(ConnectionState::EncodeTlsData(mut flight)) => {
                append(&mut self.unsent, |target| flight.encode(target))?;
                Ok(Want::Turn)
            }
            Ok(ConnectionState::TransmitTlsData(flight)) => {
                flight.done();
                Ok(Want::Send)
            }
            Ok(ConnectionState::BlockedHandshake) => Ok(Want::Receive),
            Ok(ConnectionState::WriteTraffic(_)) => {
                is_open = true;
                Ok(Want::Nothing)
            }
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => Err(cut_off()),
            Ok(_) => Err(refusal(rustls::Error::HandshakeNotComplete)),
            Err(error) => Err(refusal(error)),
        };
        self.unread.drain(..discard);
        self.shown -= discard;
        // A server may speak before it has heard all.
        if is_open && self.side.is_handshaking() {
            return Ok(Want::Receive);
        }
        want
    }

    async fn send(&mut self) -> io::Result<()> {
        self.tcp.write_all(&self.unsent).await?;
        self.unsent.clear();
        Ok(())
    }

    /// Has the next record ready to be shown.
    async fn receive(&mut self) -> io::Result<()> {
        loop {
            if let Some(length) = first_record(&self.unread[self.shown..]) {
                self.shown += length;
                return Ok(());
            }
            if self.unread.len() >= UNREAD_BYTES_MAX {
                let reason = "more bytes than a handshake can have";
                return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
            }
            self.unread.reserve(READ_BYTES);
            let room = UNREAD_BYTES_MAX - self.unread.len();
            let mut limited = (&mut self.tcp).take(u64::try_from(room).unwrap_or(0));
            if limited.read_buf(&mut self.unread).await? == 0 {
                return Err(cut_off());
            }
        }
    }

    /// After a refusal: what rustls has to say about it, if anything. Without something to say it
    /// would look for the rest of what it refused, which is not shown to it again.
    fn gather_alert(&mut self) {
        while self.side.wants_write() {
            let Ok(ConnectionState::EncodeTlsData(mut flight)) = self.side.step(&mut []).state
            else {
                return;
            };
            if append(&mut self.unsent, |target| flight.encode(target)).is_err() {
                return;
            }
        }
    }
}

/// The length of the first record, once it is there in full. What cannot be one is shown to
/// rustls, which refuses it by its header.
fn first_record(bytes: &[u8]) -> Option<usize> {
    let &[_, _, _, a, b] = bytes.first_chunk::<HEADER_BYTES>()?;
    let length = usize::from(u16::from_be_bytes([a, b]));
    if length > RECORD_BYTES_MAX {
        return Some(HEADER_BYTES);
    }
    let length = HEADER_BYTES + length;
    (bytes.len() >= length).then_some(length)
}

/// Appends what `encode` writes, with room made for it when it asks.
fn append(
    target: &mut Vec<u8>,
    mut encode: impl FnMut(&mut [u8]) -> Result<usize, EncodeError>,
) -> io::Result<()> {
    let before = target.len();
    let mut outcome = encode(&mut []);
    if let Err(EncodeError::InsufficientSize(size)) = &outcome {
        target.resize(before + size.required_size, 0);
        outcome = encode(&mut target[before..]);
    }
    let written = outcome.map_err(io::Error::other)?;
    target.truncate(before + written);
    Ok(())
}

fn refusal(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the handshake was cut off")
}

/// The length in bytes of what is before a record.
const HEADER_BYTES: usize = 5;

/// The longest record that rustls looks at, that of TLS 1.2.
const RECORD_BYTES_MAX: usize = (1 << 14) + 2_048;

/// The most bytes that wait for rustls: the longest message that it takes, 2^16 bytes, cut into
/// records, and the record that ends it.
const UNREAD_BYTES_MAX: usize = 128 << 10;

/// How much is read at once: a flight with two chains is smaller.
const READ_BYTES: usize = 8 << 10;
