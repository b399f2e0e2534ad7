//! A record together with the signature over its canonical bytes.
//!
//! It does not know whose key it is: the catalog says which key belonged to whom at which index.

use crypto::{KeyId, Label, PublicKey, Signature};
use serde::{Deserialize, Serialize};

use crate::{Error, canonical};

/// `body`, signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Signed<T> {
    /// What was signed.
    pub body: T,
    /// Which key signed.
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    pub key: KeyId,
    /// SM2 signature (DER) over label and canonical bytes of `body`.
    #[schema(value_type = String, pattern = "^30(?:[0-9a-f]{2})+$")]
    pub signature: Signature,
}

impl<T: Serialize> Signed<T> {
    /// Checks the signature against `key` under `label`.
    ///
    /// # Errors
    /// [`Error::Field`] when the key is another one or the signature does not fit;
    /// [`Error::Canonical`] when the body has no canonical form.
    pub fn verify(&self, label: Label, key: &PublicKey) -> Result<(), Error> {
        let refuse = |why: &str| Error::Field {
            record: "signed record",
            field: "signature",
            why: why.to_owned(),
        };
        if key.key_id() != self.key {
            return Err(refuse("it names another key than the one on record"));
        }
        let bytes = canonical::to_bytes(&self.body)?;
        key.verify(label, &bytes, &self.signature)
            .map_err(|_| refuse("it does not fit the record; sign the record that is sent"))
    }
}
