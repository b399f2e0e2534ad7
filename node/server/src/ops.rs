//! Liveness, readiness and Prometheus metrics, on a port of their own.
//!
//! It does not serve anything else: the operations port may be opened to a monitoring system that
//! nobody signs in to.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use catalog::Catalog;
use enforcement::{Clock, EnforcementPoint};
use http::{StatusCode, header};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use schemas::{NodeId, ParticipantId};
use serde::Serialize;

/// A view older than this is not served as ready, in milliseconds: G3 reads would be refused.
const READY_AGE_MS_MAX: u64 = 60_000;

/// What health and metrics are read from.
pub(crate) struct Health {
    node: NodeId,
    catalog: Catalog,
    points: BTreeMap<ParticipantId, Arc<EnforcementPoint>>,
    clock: Arc<dyn Clock>,
}

/// Whether the node can serve, and if not, why.
#[derive(Debug, Serialize)]
struct Ready {
    node: NodeId,
    ready: bool,
    reasons: Vec<String>,
}

impl Health {
    pub(crate) fn new(
        node: &NodeId,
        catalog: Catalog,
        points: BTreeMap<ParticipantId, Arc<EnforcementPoint>>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            node: node.clone(),
            catalog,
            points,
            clock,
        }
    }

    fn ready(&self) -> Ready {
        let mut reasons = Vec::new();
        let status = self.catalog.status();
        if status.leader.is_none() {
            reasons.push("the catalog knows no leader; check the other voters".to_owned());
        }
        let age = self.catalog.staleness_ms();
        if age > READY_AGE_MS_MAX {
            reasons.push(format!("the catalog view is {age} ms old"));
        }
        if !self.clock.is_trusted() {
            reasons.push("the clock is more than 30 s off its peers; check time sync".to_owned());
        }
        for participant in self.points.keys() {
            if self.catalog.view().participant(participant).is_none() {
                reasons.push(format!("participant {participant} is not registered"));
            }
        }
        Ready {
            node: self.node.clone(),
            ready: reasons.is_empty(),
            reasons,
        }
    }

    fn metrics(&self) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::with_prefix("kouan");
        let mut put = |name: &str, help: &str, value: u64| {
            let gauge = Gauge::<i64, std::sync::atomic::AtomicI64>::default();
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
            registry.register(name, help, gauge);
        };
        let status = self.catalog.status();
        let view = self.catalog.view();
        put(
            "catalog_applied_index",
            "Last log index applied here",
            status.applied,
        );
        put("catalog_term", "Raft term", status.term);
        put(
            "catalog_view_age_ms",
            "Age of the local view",
            self.catalog.staleness_ms(),
        );
        put(
            "catalog_has_leader",
            "1 when a leader is known",
            u64::from(status.leader.is_some()),
        );
        put("catalog_datasets", "Dataset cards", count(view.datasets()));
        put(
            "catalog_grants",
            "Grants, ended ones included",
            count(view.grants()),
        );
        put(
            "clock_trusted",
            "1 within 30 s of the peers",
            u64::from(self.clock.is_trusted()),
        );
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u64 {
    u64::try_from(items.count()).unwrap_or(u64::MAX)
}

/// `/livez`, `/readyz`, `/metrics`.
pub(crate) fn router(health: Arc<Health>) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(health)
}

async fn readyz(State(health): State<Arc<Health>>) -> impl IntoResponse {
    let ready = health.ready();
    let status = if ready.ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(ready))
}

async fn metrics(State(health): State<Arc<Health>>) -> Result<impl IntoResponse, StatusCode> {
    let text = health
        .metrics()
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text))
}
