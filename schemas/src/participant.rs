//! Members of the federation, their nodes and the persons who act for them.
//!
//! It does not check signatures or certificates: that is the catalog's, at one log index.

use std::collections::BTreeSet;

use crypto::{Digest, KeyId, PublicKey};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{Error, NodeId, ParticipantId, PersonId, Timestamp, Visibility, code::codes};

/// A name in both languages of the product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalText {
    /// Simplified Chinese.
    pub zh: String,
    /// English.
    pub en: String,
}

impl LocalText {
    /// Longest text in characters, for titles, summaries and conditions alike.
    pub const CHARS_MAX: usize = 2_000;

    /// Both languages at once.
    #[must_use]
    pub fn new(zh: impl Into<String>, en: impl Into<String>) -> Self {
        Self {
            zh: zh.into(),
            en: en.into(),
        }
    }
}

codes! {
    /// What a participant is in law; the export rules depend on it (PIPL 36 and 37).
    pub enum ParticipantKind {
        /// 国家机关.
        StateOrgan = "STATE_ORGAN",
        /// 法律、法规授权的组织.
        AuthorisedOrganisation = "AUTHORISED_ORGANISATION",
        /// An enterprise or other organisation in the mainland.
        Enterprise = "ENTERPRISE",
        /// A party outside the mainland, Hong Kong and Macao included.
        Foreign = "FOREIGN",
    }
}

codes! {
    /// Who approves a catalog record for the department (部门负责人审核), before the authority sees it.
    pub enum DepartmentApproval {
        /// Another data steward than who wrote it.
        SecondPerson = "SECOND_PERSON",
        /// Who wrote it may: for a department with one data steward. The authority registers that.
        SamePerson = "SAME_PERSON",
    }
}

codes! {
    /// What a person may do. System, security and audit administration are three persons
    /// (GB/T 22239-2019, 8.1.5): no one holds two of these three.
    pub enum Role {
        /// Runs the node: start, stop, membership. Sees no data.
        SystemAdministrator = "system-administrator",
        /// Sets grades, policies and export instruments.
        SecurityOfficer = "security-officer",
        /// Reads the ledger and verifies proofs.
        Auditor = "auditor",
        /// Describes and publishes datasets, answers requests.
        DataSteward = "data-steward",
        /// Finds, requests and reads data.
        DataConsumer = "data-consumer",
    }
}

/// A place in the sense of the export rules: an ISO 3166-1 alpha-2 code, where `CN` means the
/// mainland. Hong Kong, Macao and Taiwan have codes of their own, and leaving for them is an
/// export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, utoipa::ToSchema)]
#[schema(value_type = String, pattern = "^[A-Z]{2}$", example = "CN")]
pub struct Jurisdiction([u8; 2]);

impl Jurisdiction {
    /// The mainland.
    pub const MAINLAND: Self = Self(*b"CN");
    /// Hong Kong.
    pub const HONG_KONG: Self = Self(*b"HK");
    /// Macao.
    pub const MACAO: Self = Self(*b"MO");

    /// Parses two capital letters.
    ///
    /// # Errors
    /// [`Error::Field`] for anything else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match text.as_bytes() {
            &[a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => Ok(Self([a, b])),
            _ => Err(Error::Field {
                record: "jurisdiction",
                field: "code",
                why: "write an ISO 3166-1 alpha-2 code such as CN, HK or MO".to_owned(),
            }),
        }
    }

    /// Whether data sent there stays in the mainland.
    #[must_use]
    pub fn is_mainland(self) -> bool {
        self == Self::MAINLAND
    }
}

impl std::fmt::Display for Jurisdiction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", char::from(self.0[0]), char::from(self.0[1]))
    }
}

impl Serialize for Jurisdiction {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Jurisdiction {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

/// A legal party: keys, ledger, counters, quotas and roles belong to it, not to a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Participant {
    /// Its identifier in the federation.
    pub id: ParticipantId,
    /// Its name.
    pub name: LocalText,
    /// Unified social credit code (GB 32100-2015) for a mainland organisation.
    pub uscc: Option<String>,
    /// What it is in law.
    pub kind: ParticipantKind,
    /// Where it is seated.
    pub jurisdiction: Jurisdiction,
    /// GB/T 2260 code of its seat, six digits, in the mainland.
    pub seat: Option<String>,
    /// Whether it operates critical information infrastructure (CSL 37).
    pub ciio: bool,
    /// Who approves its catalog records for the department; a second person when nothing is said.
    pub department_approval: Option<DepartmentApproval>,
    /// Key that signs its receipts, versions and checkpoints.
    #[schema(value_type = String, pattern = "^04[0-9a-f]{128}$")]
    pub signing: PublicKey,
    /// Key that others seal to. Separate from `signing`, as GM/T 0015 has it.
    #[schema(value_type = String, pattern = "^04[0-9a-f]{128}$")]
    pub encryption: PublicKey,
    /// Which life of its ledger is current: restoring an old copy opens the next one.
    pub ledger_incarnation: u32,
    /// Grows with each change.
    pub revision: u64,
}

impl Participant {
    /// Whether who wrote a catalog record may also approve it for the department.
    #[must_use]
    pub fn approves_alone(&self) -> bool {
        self.department_approval == Some(DepartmentApproval::SamePerson)
    }
}

/// Most transport certificates that a node may show at one time: one a family of TLS, and its
/// successor.
pub const TRANSPORT_KEYS_MAX: usize = 4;

/// A machine that runs `kouan`. Nodes and participants are many-to-many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// Its identifier in the federation.
    pub id: NodeId,
    /// Who operates it.
    pub operator: ParticipantId,
    /// For whom it acts. The operator need not be among them.
    pub hosts: BTreeSet<ParticipantId>,
    /// Its number in Raft; 0 means that it has no vote and follows a feed.
    pub raft_number: u64,
    /// `host:port` of its Raft listener.
    pub raft_address: String,
    /// `host:port` of its data-plane listener (transfers between nodes; uploads and previews).
    pub data_address: String,
    /// `host:port` of its REST listener.
    pub api_address: String,
    /// SM3 of the SubjectPublicKeyInfo of each transport certificate that it may show: binds the
    /// TLS peer to this record. One at least and [`TRANSPORT_KEYS_MAX`] at most: a node that speaks
    /// RFC 8998 to some and standard TLS to others has two, and one that changes a certificate has
    /// the old and the new one until nobody shows the old.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 4)]
    pub transport_keys: BTreeSet<Digest>,
    /// Key that signs its batches.
    #[schema(value_type = String, pattern = "^04[0-9a-f]{128}$")]
    pub signing: PublicKey,
    /// Grows with each change.
    pub revision: u64,
}

codes! {
    /// Where a person's signing key is.
    pub enum KeyCustody {
        /// The person holds it (a file or token of hers); policy can demand this kind.
        Person = "PERSON",
        /// The node keeps it wrapped under her secret and second factor.
        Node = "NODE",
    }
}

/// A person who acts for one participant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Person {
    /// Her identifier.
    pub id: PersonId,
    /// For whom she acts.
    pub participant: ParticipantId,
    /// Her roles.
    pub roles: BTreeSet<Role>,
    /// Her signing key.
    #[schema(value_type = String, pattern = "^04[0-9a-f]{128}$")]
    pub signing: PublicKey,
    /// Where that key is.
    pub custody: KeyCustody,
    /// From when to when she may act.
    pub not_before: Timestamp,
    /// First instant at which she may no longer act.
    pub not_after: Timestamp,
    /// Who may read this record; names of persons are party-only.
    pub visibility: Visibility,
    /// Grows with each change.
    pub revision: u64,
}

impl Person {
    /// Her key's identifier.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        self.signing.key_id()
    }

    /// Checks the separation of system, security and audit administration.
    ///
    /// # Errors
    /// [`Error::Field`] naming the rule when two of the three roles meet in one person.
    pub fn check_roles(&self) -> Result<(), Error> {
        let separate = [
            Role::SystemAdministrator,
            Role::SecurityOfficer,
            Role::Auditor,
        ];
        if separate
            .iter()
            .filter(|role| self.roles.contains(role))
            .count()
            > 1
        {
            return Err(Error::Field {
                record: "person",
                field: "roles",
                why: "system-administrator, security-officer and auditor are three persons \
                      (GB/T 22239-2019, 8.1.5); bind them to different people"
                    .to_owned(),
            });
        }
        Ok(())
    }
}
