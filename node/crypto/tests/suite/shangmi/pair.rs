//! Two ends of one connection in memory.
//!
//! It does not hide errors: each end's first one is kept, and alerts still travel afterwards.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use crypto::tls::{ClientAuth, ClientConfig, ServerConfig, client_config, server_config};
use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConnection, Error, ServerConnection};

use super::Members;

/// Both ends, and how far each came.
pub(super) struct Pair {
    pub(super) client: ClientConnection,
    pub(super) server: ServerConnection,
    client_received: Vec<u8>,
    server_received: Vec<u8>,
    pub(super) client_outcome: Result<(), Error>,
    pub(super) server_outcome: Result<(), Error>,
}

impl Pair {
    pub(super) fn new(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> Self {
        let name = ServerName::try_from("localhost").unwrap();
        Self {
            client: ClientConnection::new(client, name).unwrap(),
            server: ServerConnection::new(server).unwrap(),
            client_received: Vec::new(),
            server_received: Vec::new(),
            client_outcome: Ok(()),
            server_outcome: Ok(()),
        }
    }

    /// Two members with certificates, after their handshake.
    pub(super) fn of(members: &Members) -> Self {
        let mut pair = Self::new(client_of(members), server_of(members));
        pair.run();
        assert_eq!(
            (&pair.client_outcome, &pair.server_outcome),
            (&Ok(()), &Ok(()))
        );
        assert!(!pair.client.is_handshaking() && !pair.server.is_handshaking());
        pair
    }

    /// Carries bytes until both ends are silent.
    pub(super) fn run(&mut self) {
        loop {
            let to_server = self.client_flight();
            self.feed_server(&to_server);
            let to_client = self.server_flight();
            self.feed_client(&to_client);
            if to_server.is_empty() && to_client.is_empty() {
                return;
            }
        }
    }

    pub(super) fn client_flight(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    pub(super) fn server_flight(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.server.wants_write() {
            self.server.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    pub(super) fn feed_client(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.client_outcome.is_ok() {
            self.client.read_tls(&mut bytes).unwrap();
            self.client_outcome = self.client.process_new_packets().map(drop);
            // Ends with an error when there is no more now.
            let _more = self.client.reader().read_to_end(&mut self.client_received);
        }
    }

    pub(super) fn feed_server(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.server_outcome.is_ok() {
            self.server.read_tls(&mut bytes).unwrap();
            self.server_outcome = self.server.process_new_packets().map(drop);
            let _more = self.server.reader().read_to_end(&mut self.server_received);
        }
    }

    /// Sends bytes one way and says what came out.
    pub(super) fn client_says(&mut self, bytes: &[u8]) -> Vec<u8> {
        for piece in bytes.chunks(PIECE_BYTES) {
            self.client.writer().write_all(piece).unwrap();
            self.run();
        }
        std::mem::take(&mut self.server_received)
    }

    /// As [`Self::client_says`], the other way.
    pub(super) fn server_says(&mut self, bytes: &[u8]) -> Vec<u8> {
        for piece in bytes.chunks(PIECE_BYTES) {
            self.server.writer().write_all(piece).unwrap();
            self.run();
        }
        std::mem::take(&mut self.client_received)
    }
}

/// Below what rustls holds back for a slow line.
const PIECE_BYTES: usize = 48 * 1_024;

pub(super) fn client_of(members: &Members) -> Arc<ClientConfig> {
    client_config(&members.roots, Some(&members.client), &[b"h2"]).unwrap()
}

pub(super) fn server_of(members: &Members) -> Arc<ServerConfig> {
    let clients = ClientAuth::Required(&members.roots);
    server_config(&members.server, clients, &[b"h2"]).unwrap()
}

/// The error of an end that was told so by the other.
pub(super) fn alert(description: AlertDescription) -> Result<(), Error> {
    Err(Error::AlertReceived(description))
}
