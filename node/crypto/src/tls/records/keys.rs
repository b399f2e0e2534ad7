//! What stays of rustls after a handshake: the secrets from which the next keys come, and the
//! memory for tickets.
//!
//! It does not seal or open.

use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::kernel::KernelConnection;
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::{CipherSuite, ConnectionTrafficSecrets, ExtractedSecrets, SupportedCipherSuite};

use super::messages::NEW_SESSION_TICKET;
use super::{Protection, RecordFault};

/// The secrets of one connection.
pub(super) struct Keys {
    end: End,
    suite: CipherSuite,
    records_max: u64,
}

enum End {
    Client(KernelConnection<ClientConnectionData>),
    Server(KernelConnection<ServerConnectionData>),
}

/// Both directions of a connection, and what makes their next keys.
pub(in crate::tls) struct Parts {
    pub(super) keys: Keys,
    pub(super) sending: Protection,
    pub(super) receiving: Protection,
}

/// A connection whose handshake is done, on either side.
pub(crate) trait Established {
    /// Takes its keys from it.
    fn into_parts(self) -> Result<Parts, rustls::Error>;
}

impl Established for UnbufferedClientConnection {
    fn into_parts(self) -> Result<Parts, rustls::Error> {
        let (secrets, kernel) = self.dangerous_into_kernel_connection()?;
        let suite = kernel.negotiated_cipher_suite();
        Keys::parts(End::Client(kernel), suite, &secrets)
    }
}

impl Established for UnbufferedServerConnection {
    fn into_parts(self) -> Result<Parts, rustls::Error> {
        let (secrets, kernel) = self.dangerous_into_kernel_connection()?;
        let suite = kernel.negotiated_cipher_suite();
        Keys::parts(End::Server(kernel), suite, &secrets)
    }
}

impl Keys {
    fn parts(
        end: End,
        suite: SupportedCipherSuite,
        secrets: &ExtractedSecrets,
    ) -> Result<Parts, rustls::Error> {
        let tls13 = suite.tls13().ok_or(rustls::Error::HandshakeNotComplete)?;
        let keys = Self {
            end,
            suite: tls13.common.suite,
            records_max: tls13.common.confidentiality_limit,
        };
        let (number, secret) = &secrets.tx;
        let sending = keys.protection(*number, secret)?;
        let (number, secret) = &secrets.rx;
        let receiving = keys.protection(*number, secret)?;
        Ok(Parts {
            keys,
            sending,
            receiving,
        })
    }

    /// How many records one key may seal, the key update that replaces it included.
    pub(super) const fn records_max(&self) -> u64 {
        self.records_max
    }

    /// The key after this one for what is sent (RFC 8446 section 7.2).
    pub(super) fn next_sending(&mut self) -> Result<Protection, RecordFault> {
        let secret = match &mut self.end {
            End::Client(end) => end.update_tx_secret(),
            End::Server(end) => end.update_tx_secret(),
        };
        self.next(secret)
    }

    /// The key after this one for what is received.
    pub(super) fn next_receiving(&mut self) -> Result<Protection, RecordFault> {
        let secret = match &mut self.end {
            End::Client(end) => end.update_rx_secret(),
            End::Server(end) => end.update_rx_secret(),
        };
        self.next(secret)
    }

    /// Keeps a ticket for the next connection. Nobody gives one to a server.
    pub(super) fn remember(&mut self, ticket: &[u8]) -> Result<(), RecordFault> {
        match &mut self.end {
            End::Client(end) => {
                end.handle_new_session_ticket(ticket)
                    .map_err(|_| RecordFault::Malformed {
                        what: "session ticket",
                    })
            }
            End::Server(_) => Err(RecordFault::UnexpectedMessage {
                found: NEW_SESSION_TICKET,
            }),
        }
    }

    fn next(
        &self,
        secret: Result<(u64, ConnectionTrafficSecrets), rustls::Error>,
    ) -> Result<Protection, RecordFault> {
        let (number, secret) = secret.map_err(RecordFault::Keys)?;
        self.protection(number, &secret).map_err(RecordFault::Keys)
    }

    fn protection(
        &self,
        number: u64,
        secret: &ConnectionTrafficSecrets,
    ) -> Result<Protection, rustls::Error> {
        Protection::new(self.suite, number, secret)
            .ok_or_else(|| rustls::Error::General("the suite is none of RFC 8998".to_owned()))
    }
}
