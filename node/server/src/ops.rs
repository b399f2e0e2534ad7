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
use data_plane::Moved;
use enforcement::{Clock, EnforcementPoint};
use http::{StatusCode, header};
use jobs::{JobState, Jobs};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use schemas::{NodeId, ParticipantId};
use serde::Serialize;

use crate::Shown;

/// A view older than this is not served as ready, in milliseconds: G3 reads would be refused.
const READY_AGE_MS_MAX: u64 = 60_000;

/// What health and metrics are read from.
pub(crate) struct Health {
    pub(crate) node: NodeId,
    pub(crate) catalog: Catalog,
    pub(crate) points: BTreeMap<ParticipantId, Arc<EnforcementPoint>>,
    pub(crate) jobs: Jobs,
    pub(crate) moved: Moved,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) certificates: Vec<Shown>,
}

/// Label names and their values.
type Labels = Vec<(&'static str, String)>;

/// Whether the node can serve, and if not, why.
#[derive(Debug, Serialize)]
struct Ready {
    node: NodeId,
    ready: bool,
    reasons: Vec<String>,
    /// What will keep it from serving before long.
    warnings: Vec<String>,
}

impl Health {
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
            warnings: self.warnings(),
        }
    }

    fn warnings(&self) -> Vec<String> {
        let now = self.clock.now();
        let ending = self.certificates.iter().filter_map(|shown| {
            let days = shown.due(now)?;
            let (family, end) = (shown.family, shown.not_after);
            Some(format!(
                "the {family} transport certificate ends at {end}, in {days} days or less"
            ))
        });
        ending.collect()
    }

    fn metrics(&self) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::with_prefix("kouan");
        self.gauges(&mut registry);
        self.counters(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(text)
    }

    /// How the node stands now.
    fn gauges(&self, registry: &mut Registry) {
        let mut put = |name: &str, help: &str, value: u64| {
            let gauge = Gauge::<i64>::default();
            gauge.set(whole(value));
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
        let ends = Family::<Labels, Gauge>::default();
        for shown in &self.certificates {
            ends.get_or_create(&labelled("family", shown.family))
                .set(shown.not_after.millis().div_euclid(1_000));
        }
        let help = "When the transport certificate ends, in seconds since 1970";
        registry.register("tls_certificate_not_after_seconds", help, ends);
        let counts = self.jobs.counts();
        let jobs = Family::<Labels, Gauge>::default();
        for state in [JobState::Queued, JobState::Running] {
            let value = counts.get(&state).copied().unwrap_or(0);
            jobs.get_or_create(&labelled("state", state))
                .set(whole(value));
        }
        registry.register("jobs", "Jobs that wait or run", jobs);
    }

    /// What the node has done since it started.
    fn counters(&self, registry: &mut Registry) {
        let decisions = Family::<Labels, Counter>::default();
        for (participant, point) in &self.points {
            let answered = point.answered();
            for (outcome, value) in [
                ("permitted", answered.permitted),
                ("refused", answered.refused),
            ] {
                let mut labels = labelled("participant", participant);
                labels.push(("outcome", outcome.to_owned()));
                decisions.get_or_create(&labels).inc_by(value);
            }
        }
        registry.register("decisions", "Answers of the gate", decisions);
        let counts = self.jobs.counts();
        let ended = Family::<Labels, Counter>::default();
        for state in [JobState::Succeeded, JobState::Failed, JobState::Cancelled] {
            let value = counts.get(&state).copied().unwrap_or(0);
            ended.get_or_create(&labelled("state", state)).inc_by(value);
        }
        registry.register("jobs_ended", "Jobs that ended, by how", ended);
        let mut put = |name: &str, help: &str, value: u64| {
            let counter = Counter::<u64>::default();
            counter.inc_by(value);
            registry.register(name, help, counter);
        };
        let moved = &self.moved;
        put(
            "rows_published",
            "Rows of published versions",
            moved.rows_published(),
        );
        put(
            "transfer_sent_bytes",
            "Bytes sent to other nodes",
            moved.bytes_sent(),
        );
        put(
            "transfer_received_bytes",
            "Bytes received from other nodes",
            moved.bytes_received(),
        );
    }
}

fn labelled(name: &'static str, value: impl ToString) -> Labels {
    vec![(name, value.to_string())]
}

/// A gauge's number; nothing that is counted here comes near the limit.
fn whole(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
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
