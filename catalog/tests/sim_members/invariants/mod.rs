//! What must hold whatever happens, one file each.

pub(super) mod acknowledged_not_lost;
pub(super) mod applied_equal_digest;
pub(super) mod committed_immutable;
pub(super) mod leader_completeness;
pub(super) mod leader_time;
pub(super) mod one_outcome;
pub(super) mod promises_kept;
pub(super) mod reads_linearizable;
pub(super) mod staleness_is_true;
