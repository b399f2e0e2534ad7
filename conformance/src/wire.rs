//! The transfer protocol, spoken with an identity of the test's own choice.
//!
//! It does not check anything: what the node answers is what the test looks at.

use std::net::SocketAddr;

use crypto::tls::{TlsIdentity, TlsRoots, client_config, connect};
use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint, Uri};

/// What the protocol's file generates.
#[allow(
    missing_docs,
    unnameable_types,
    unreachable_pub,
    unused_qualifications,
    unused_results,
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::use_self,
    reason = "generated code"
)]
mod generated {
    tonic::include_proto!("kouan.transfer.v1");
}

pub use generated::transfers_client::TransfersClient;
pub use generated::{Chunk, ChunksRequest, CompleteRequest, FinishRequest, OpenReply, OpenRequest};

/// A client of the data-plane port at `to`.
///
/// # Errors
/// What the transport says when the node does not take the connection.
///
/// # Panics
/// When the identity cannot be used at all.
pub async fn transfers(
    to: SocketAddr,
    roots: &TlsRoots,
    identity: Option<&TlsIdentity>,
) -> Result<TransfersClient<Channel>, tonic::transport::Error> {
    let tls = client_config(roots, identity, &[b"h2"]).expect("a TLS configuration");
    let connector = tower::service_fn(move |_: Uri| {
        let tls = tls.clone();
        async move {
            let stream = connect(to, "localhost", tls).await;
            stream
                .map(TokioIo::new)
                .map_err(|error| std::io::Error::other(error.to_string()))
        }
    });
    let endpoint = Endpoint::from_static("http://localhost");
    let channel = endpoint.connect_with_connector(connector).await?;
    Ok(TransfersClient::new(channel).max_decoding_message_size(4 << 20))
}
