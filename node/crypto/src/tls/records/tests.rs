//! Both ends of a connection in memory: ours and rustls', or two of ours, one of which misbehaves.

mod honest;
mod refusals;

use std::sync::{Arc, LazyLock};

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{ConnectionState, EncodeError};
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use tokio::io::ReadBuf;

use super::{Read, RecordFault, Records};
use crate::Validity;
use crate::tls::handshake::Side;
use crate::tls::{ClientAuth, TlsAuthority, TlsIdentity, client_config, server_config};

/// The configurations of two members of a federation.
pub(super) struct Members {
    pub(super) client: Arc<ClientConfig>,
    pub(super) server: Arc<ServerConfig>,
}

pub(super) static MEMBERS: LazyLock<Members> = LazyLock::new(|| {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now_ms = i64::try_from(now.unwrap().as_millis()).unwrap();
    let validity = Validity::days(now_ms - 3_600_000, 2);
    let authority = TlsAuthority::create_shangmi("SM2 TLS CA", validity).unwrap();
    let issue = |name| TlsIdentity::issue(&authority, name, &["localhost"], validity).unwrap();
    let roots = authority.roots().unwrap();
    let clients = ClientAuth::Required(&roots);
    Members {
        client: client_config(&roots, Some(&issue("client")), &[]).unwrap(),
        server: server_config(&issue("server"), clients, &[]).unwrap(),
    }
});

pub(super) fn our_client(config: &Arc<ClientConfig>) -> UnbufferedClientConnection {
    let name = ServerName::try_from("localhost").unwrap();
    UnbufferedClientConnection::new(Arc::clone(config), name).unwrap()
}

pub(super) fn our_server(config: &Arc<ServerConfig>) -> UnbufferedServerConnection {
    UnbufferedServerConnection::new(Arc::clone(config)).unwrap()
}

/// rustls on its own, as a client or as a server.
fn rustls_client() -> Connection {
    let name = ServerName::try_from("localhost").unwrap();
    ClientConnection::new(Arc::clone(&MEMBERS.client), name)
        .unwrap()
        .into()
}

fn rustls_server() -> Connection {
    ServerConnection::new(Arc::clone(&MEMBERS.server))
        .unwrap()
        .into()
}

/// Lets a side go on as far as it can, and gives what it has to say.
fn speak<S: Side>(side: &mut S, heard: &mut Vec<u8>) -> Vec<u8> {
    let mut said = Vec::new();
    loop {
        let status = side.step(heard);
        let discard = status.discard;
        let mut is_waiting = false;
        match status.state.unwrap() {
            ConnectionState::EncodeTlsData(mut flight) => {
                let Err(EncodeError::InsufficientSize(size)) = flight.encode(&mut []) else {
                    panic!("a flight of nothing");
                };
                let before = said.len();
                said.resize(before + size.required_size, 0);
                flight.encode(&mut said[before..]).unwrap();
            }
            ConnectionState::TransmitTlsData(flight) => flight.done(),
            ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_) => {
                is_waiting = true;
            }
            other => panic!("{other:?}"),
        }
        heard.drain(..discard);
        if is_waiting {
            return said;
        }
    }
}

/// Lets rustls hear bytes, and gives what it has to say.
fn answer(peer: &mut Connection, mut bytes: &[u8]) -> Result<Vec<u8>, rustls::Error> {
    while !bytes.is_empty() {
        peer.read_tls(&mut bytes).unwrap();
        peer.process_new_packets()?;
    }
    let mut said = Vec::new();
    while peer.wants_write() {
        peer.write_tls(&mut said).unwrap();
    }
    Ok(said)
}

/// Shakes hands with rustls.
pub(super) fn opened<S: Side>(mut side: S, peer: &mut Connection) -> Records {
    let mut heard = Vec::new();
    while side.is_handshaking() || peer.is_handshaking() {
        let said = speak(&mut side, &mut heard);
        heard.extend(answer(peer, &said).unwrap());
    }
    Records::new(side, heard).unwrap()
}

/// Two ends of ours.
pub(super) fn opened_pair() -> (Records, Records) {
    let (mut client, mut server) = (our_client(&MEMBERS.client), our_server(&MEMBERS.server));
    let (mut to_client, mut to_server) = (Vec::new(), Vec::new());
    while client.is_handshaking() || server.is_handshaking() || !to_server.is_empty() {
        to_server.extend(speak(&mut client, &mut to_client));
        to_client.extend(speak(&mut server, &mut to_server));
    }
    let client = Records::new(client, to_client).unwrap();
    (client, Records::new(server, to_server).unwrap())
}

/// Hands bytes to an end, as if they had been read at once.
pub(super) fn feed(records: &mut Records, bytes: &[u8]) {
    records.space().extend_from_slice(bytes);
    records.was_read(Some(bytes.len()));
}

/// Takes what an end has, so many bytes at a time, and says why there is no more.
pub(super) fn drain(records: &mut Records, step: usize) -> (Vec<u8>, Result<Read, RecordFault>) {
    let (mut all, mut piece) = (Vec::new(), vec![0; step]);
    loop {
        let mut target = ReadBuf::new(&mut piece);
        match records.read(&mut target) {
            Ok(Read::Content) => all.extend_from_slice(target.filled()),
            end => return (all, end),
        }
    }
}

/// Takes what an end has ready to be sent.
pub(super) fn sent(records: &mut Records) -> Vec<u8> {
    let bytes = records.unsent().to_vec();
    records.was_sent(bytes.len());
    bytes
}

/// Has an end say something and finish it; gives the records.
pub(super) fn said(records: &mut Records, mut bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let taken = records.write(bytes).unwrap();
        bytes = &bytes[taken..];
        if !bytes.is_empty() {
            all.extend(sent(records));
        }
    }
    records.finish().unwrap();
    all.extend(sent(records));
    all
}

/// Bytes that are not all alike.
fn content(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}
