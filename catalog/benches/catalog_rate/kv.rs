//! The one call of etcd v3's gRPC interface that the benchmark makes: service `etcdserverpb.KV`,
//! method `Put`, fields as etcd's API reference numbers them.
//!
//! Our own ingress in front of a member's catalog speaks it too, so that both systems are written
//! to by the same client.

use std::convert::Infallible;
use std::task::{Context, Poll};

use bytes::Bytes;
use catalog::Catalog;
use futures::future::BoxFuture;
use schemas::command::{Outcome, SignedProposal};
use tonic::body::Body;
use tonic::codegen::http;
use tonic::server::UnaryService;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::Service;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct PutRequest {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) value: Bytes,
}

#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct PutResponse {}

/// A client on a connection of its own.
pub(crate) struct Client(tonic::client::Grpc<Channel>);

impl Client {
    pub(crate) fn new(channel: Channel) -> Self {
        Self(tonic::client::Grpc::new(channel))
    }

    pub(crate) async fn put(&mut self, value: PutRequest) -> Result<(), Status> {
        let path = http::uri::PathAndQuery::from_static("/etcdserverpb.KV/Put");
        self.0
            .ready()
            .await
            .map_err(|error| Status::unavailable(error.to_string()))?;
        let codec: ProstCodec<PutRequest, PutResponse> = ProstCodec::default();
        self.0.unary(Request::new(value), path, codec).await?;
        Ok(())
    }
}

/// Proposes what is put. It serves one method and looks at no path.
#[derive(Clone)]
pub(crate) struct Ingress(pub(crate) Catalog);

impl<B> Service<http::Request<B>> for Ingress
where
    B: tonic::codegen::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<tonic::codegen::StdError> + Send,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let put = Put(self.0.clone());
        Box::pin(async move {
            let codec: ProstCodec<PutResponse, PutRequest> = ProstCodec::default();
            Ok(tonic::server::Grpc::new(codec).unary(put, request).await)
        })
    }
}

struct Put(Catalog);

impl UnaryService<PutRequest> for Put {
    type Response = PutResponse;
    type Future = BoxFuture<'static, Result<Response<PutResponse>, Status>>;

    fn call(&mut self, request: Request<PutRequest>) -> Self::Future {
        let catalog = self.0.clone();
        Box::pin(async move {
            let proposal: SignedProposal = serde_json::from_slice(&request.into_inner().value)
                .map_err(|error| Status::invalid_argument(error.to_string()))?;
            match catalog.propose(proposal).await {
                Ok(applied) => match applied.outcome {
                    Outcome::Applied { .. } => Ok(Response::new(PutResponse {})),
                    Outcome::Refused { code, detail } => {
                        Err(Status::failed_precondition(format!("{code}: {detail}")))
                    }
                },
                Err(error) => Err(Status::unavailable(error.to_string())),
            }
        })
    }
}
