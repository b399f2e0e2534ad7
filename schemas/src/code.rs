//! The lists that REST, command line, console, policies and conformance share: error codes,
//! actions, refusal reasons and command nouns. One list each, so that a program can match on them.
//!
//! It does not know HTTP or gRPC: the two tables that turn a code into a wire answer live with the
//! faces.

use serde::{Deserialize, Serialize};

/// A list of names with one stable text each.
///
/// `$text` is a `tt`, not a `literal`: a captured literal is wrapped invisibly, and the derive of
/// `ToSchema` then overlooks the renaming.
macro_rules! codes {
    ($(#[$meta:meta])* $vis:vis enum $name:ident {
        $($(#[$doc:meta])* $variant:ident = $text:tt,)*
    }) => {
        $(#[$meta])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
            utoipa::ToSchema,
        )]
        $vis enum $name { $($(#[$doc])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// Every value, in the order of the list.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable text.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The value with that text, if there is one.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use codes;

codes! {
    /// Why something did not work. Few on purpose: one code for each thing a program would do
    /// differently.
    pub enum ErrorCode {
        /// The request cannot be read; change it.
        Invalid = "INVALID",
        /// A file or its rows do not follow the data standard.
        SchemaViolation = "SCHEMA_VIOLATION",
        /// The quality gate refused a version; the last good one keeps serving.
        QualityGateFailed = "QUALITY_GATE_FAILED",
        /// Nobody is signed in, or the session ended.
        Unauthenticated = "UNAUTHENTICATED",
        /// A decision was made, and it was no; reasons and ledger index are with it.
        Refused = "REFUSED",
        /// No such record, or none that the caller may know of.
        NotFound = "NOT_FOUND",
        /// The record moved; read it again.
        Conflict = "CONFLICT",
        /// The revision given with `If-Match` is not the current one.
        PreconditionFailed = "PRECONDITION_FAILED",
        /// A write needs `If-Match`.
        PreconditionRequired = "PRECONDITION_REQUIRED",
        /// The same idempotency key came with another body.
        KeyReused = "IDEMPOTENCY_KEY_REUSED",
        /// A limit was reached: size, count or rate.
        LimitExceeded = "LIMIT_EXCEEDED",
        /// Too many failed sign-ins.
        LockedOut = "LOCKED_OUT",
        /// Try again later: no leader, or a queue is full.
        Unavailable = "UNAVAILABLE",
        /// The disk or a quota is full.
        StorageFull = "STORAGE_FULL",
        /// Evidence or data does not verify; an operator is needed now.
        Tampered = "TAMPERED",
        /// A defect of ours.
        Internal = "INTERNAL",
    }
}

codes! {
    /// What a principal wants to do. Every REST route and every data-plane method maps to one.
    pub enum Action {
        /// See that a dataset exists, its card and its verdicts.
        DatasetDiscover = "dataset.discover",
        /// Create or revise a dataset card.
        DatasetDescribe = "dataset.describe",
        /// Publish a version.
        DatasetPublish = "dataset.publish",
        /// See quarantined rows or a preview of one's own upload.
        DatasetInspect = "dataset.inspect",
        /// Receive rows of a version under a grant.
        DatasetRead = "dataset.read",
        /// Adopt a data standard.
        StandardAdopt = "standard.adopt",
        /// Ask for shared data.
        RequestSubmit = "request.submit",
        /// Read a request one is party to.
        RequestRead = "request.read",
        /// Agree to, refuse or return a request.
        RequestDecide = "request.decide",
        /// Withdraw one's own request.
        RequestWithdraw = "request.withdraw",
        /// Dispute a refusal, or take part in a dispute.
        RequestDispute = "request.dispute",
        /// Doubt a row that one received.
        CorrectionOpen = "correction.open",
        /// Read correction tickets and notices.
        CorrectionRead = "correction.read",
        /// Answer or close a correction ticket.
        CorrectionMove = "correction.move",
        /// Let somebody decide in one's place, or end that.
        DelegationSet = "delegation.set",
        /// Read a contract or grant one is party to.
        GrantRead = "grant.read",
        /// End a grant before its time.
        GrantRevoke = "grant.revoke",
        /// Start, watch or cancel a transfer.
        TransferRun = "transfer.run",
        /// Read jobs of the own node.
        JobRead = "job.read",
        /// Cancel a job.
        JobCancel = "job.cancel",
        /// Read the access ledger and its proofs.
        LedgerRead = "ledger.read",
        /// Ask what would be decided, without doing it.
        PolicyExplain = "policy.explain",
        /// Put a policy set or a rule pack in force.
        PolicyAdopt = "policy.adopt",
        /// Register or change a participant or its nodes.
        ParticipantRegister = "participant.register",
        /// See participants and nodes.
        ParticipantRead = "participant.read",
        /// Bind roles to a person.
        RoleBind = "role.bind",
        /// Operate the node: status, drain, membership.
        NodeOperate = "node.operate",
        /// Register, suspend or end an export instrument.
        ExportRegister = "export.register",
    }
}

codes! {
    /// Why a decision was no. `X` numbers are the export rules of the law module, in their order.
    pub enum ReasonCode {
        /// No role of the principal allows the action.
        RoleMissing = "ROLE_MISSING",
        /// The principal acts for a participant that is not party to this.
        NotAParty = "NOT_A_PARTY",
        /// The dataset is not published (or was suspended or retired).
        DatasetNotServed = "DATASET_NOT_SERVED",
        /// Not shared, by law.
        NotShared = "NOT_SHARED",
        /// No grant covers this.
        GrantMissing = "GRANT_MISSING",
        /// The grant has not begun.
        GrantNotYetValid = "GRANT_NOT_YET_VALID",
        /// The grant has ended.
        GrantExpired = "GRANT_EXPIRED",
        /// The grant was revoked.
        GrantRevoked = "GRANT_REVOKED",
        /// The purpose is not the granted one.
        PurposeMismatch = "PURPOSE_MISMATCH",
        /// A column outside the grant was asked for.
        ColumnNotGranted = "COLUMN_NOT_GRANTED",
        /// The destination is not the granted one.
        DestinationMismatch = "DESTINATION_MISMATCH",
        /// More rows than the grant allows.
        RowLimit = "ROW_LIMIT",
        /// Core data does not leave by default.
        CoreData = "CORE_DATA",
        /// Important data needs a basis record and a risk assessment.
        ImportantData = "IMPORTANT_DATA",
        /// The catalog view is too old for this grade.
        StaleView = "STALE_VIEW",
        /// This node's clock cannot be trusted.
        ClockUntrusted = "CLOCK_UNTRUSTED",
        /// The ledger could not record the decision, so the answer is no.
        NotRecorded = "NOT_RECORDED",
        /// The release was used up, ended or belongs to an earlier epoch.
        ReleaseEnded = "RELEASE_ENDED",
        /// The person or certificate is not valid now.
        PrincipalNotValid = "PRINCIPAL_NOT_VALID",
        /// One person may not hold or exercise both duties.
        SeparationOfDuties = "SEPARATION_OF_DUTIES",
        /// Rule X1: request of a foreign judicial or enforcement body.
        X1 = "X1",
        /// Rule X2: recipient or item is restricted.
        X2 = "X2",
        /// Rule X3: core data.
        X3 = "X3",
        /// Rule X4: important data.
        X4 = "X4",
        /// Rule X5: personal information held by a state organ or authorised organisation.
        X5 = "X5",
        /// Rule X6: personal information held by a critical-infrastructure operator.
        X6 = "X6",
        /// Rule X0: state or work secret.
        X0 = "X0",
        /// Rule X7: trade and transport data without personal or important data.
        X7 = "X7",
        /// Rule X14: personal information, and a count of persons does not show less.
        X14 = "X14",
        /// Rule X18: nothing of the above; no instrument would be required.
        X18 = "X18",
        /// Rule X8: personal information collected and produced abroad.
        X8 = "X8",
        /// Rule X9: necessary for a contract with the individual.
        X9 = "X9",
        /// Rule X10: cross-border management of employees.
        X10 = "X10",
        /// Rule X11: emergency.
        X11 = "X11",
        /// Rule X12: negative list of a free-trade zone.
        X12 = "X12",
        /// Rule X13: treaty.
        X13 = "X13",
        /// Rule X15: the Greater Bay Area standard contract applies.
        X15 = "X15",
        /// Rule X16: a standard contract or a certification is needed.
        X16 = "X16",
        /// Rule X17: fewer than 100,000 persons, none sensitive.
        X17 = "X17",
        /// No instrument of the kind that the export rule asks for is registered.
        InstrumentMissing = "INSTRUMENT_MISSING",
        /// The instrument is suspended, over, not filed in time, or overtaken.
        InstrumentNotValid = "INSTRUMENT_NOT_VALID",
        /// The export is outside what its instrument covers.
        EnvelopeExceeded = "ENVELOPE_EXCEEDED",
        /// Neither separate consent nor another ground covers the personal columns.
        ConsentMissing = "CONSENT_MISSING",
        /// No valid impact assessment covers the personal columns.
        ImpactAssessmentMissing = "IMPACT_ASSESSMENT_MISSING",
        /// A second person of the provider has not agreed.
        SecondApprovalMissing = "SECOND_APPROVAL_MISSING",
        /// Persons could not be counted, or not for this year.
        CountMissing = "COUNT_MISSING",
    }
}

codes! {
    /// First words of the command line and of REST paths.
    pub enum Noun {
        /// Members of the federation.
        Participant = "participant",
        /// Datasets and their versions.
        Dataset = "dataset",
        /// Requests for shared data.
        Request = "request",
        /// Correction tickets.
        Correction = "correction",
        /// Grants under contracts.
        Grant = "grant",
        /// Transfers.
        Transfer = "transfer",
        /// The access ledger.
        Ledger = "ledger",
        /// Policy sets and dry runs.
        Policy = "policy",
        /// Export instruments and checks.
        Export = "export",
        /// The replicated catalog itself.
        Catalog = "catalog",
        /// Local work of a node.
        Job = "job",
    }
}
