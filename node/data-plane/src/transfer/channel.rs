//! A gRPC channel to another node, on a connection that knows its peer.
//!
//! It does not trust a certificate alone: the key behind it must be the one that the catalog has
//! for the node that was meant.

use std::sync::Arc;
use std::time::Duration;

use crypto::tls::{ClientTls, connect};
use hyper_util::rt::TokioIo;
use schemas::participant::Node;
use tonic::transport::{Endpoint, Uri};

use super::wire::transfers_client::TransfersClient;
use super::{Failure, MESSAGE_BYTES_MAX};

/// The client of one node.
pub(crate) type Client = TransfersClient<tonic::transport::Channel>;

/// How long nothing may be heard of the other side before the connection is given up.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// Bytes under way on one stream and on the connection: a long fat line at 100 ms and 300 Mbit/s.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// The longest frame that the other side may send: a chunk of 1 MiB comes in four instead of 64,
/// which is a third faster. A ping waits for one of them at most, 7 ms at 300 Mbit/s.
const FRAME_BYTES_MAX: u32 = 256 << 10;

/// A client for `node`. It connects with the first call, and again when the connection broke.
///
/// # Errors
/// [`Failure::Unreachable`] when the node's address is none.
pub(crate) fn client(node: &Node, tls: &ClientTls) -> Result<Client, Failure> {
    let unusable = |why: &str| Failure::Unreachable {
        why: format!("{}: {why}", node.data_address),
    };
    let address = node.data_address.clone();
    let (name, _) = address
        .rsplit_once(':')
        .ok_or_else(|| unusable("no host:port"))?;
    let name = name.trim_matches(['[', ']']).to_owned();
    // The scheme is what HTTP/2 is told; the connection below is TLS whatever it says.
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|_| unusable("no address"))?
        .http2_keep_alive_interval(SILENCE_MAX / 2)
        .keep_alive_timeout(SILENCE_MAX / 2)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES_MAX);
    let (tls, expected) = (tls.clone(), Arc::new(node.transport_keys.clone()));
    let connector = tower::service_fn(move |_: Uri| {
        let (address, name, tls) = (address.clone(), name.clone(), tls.clone());
        let expected = Arc::clone(&expected);
        async move {
            let stream = connect(address.as_str(), &name, tls)
                .await
                .map_err(|error| std::io::Error::other(error.to_string()))?;
            let shown = stream.peer_spki();
            if !shown.is_some_and(|key| expected.contains(&key)) {
                return Err(std::io::Error::other(
                    "another node answers at this address",
                ));
            }
            Ok(TokioIo::new(stream))
        }
    });
    Ok(
        TransfersClient::new(endpoint.connect_with_connector_lazy(connector))
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX),
    )
}
