//! Receipts: what both sides say of a finished transfer, signed.
//!
//! It does not record them; whoever makes or takes one does.

use crypto::{Label, PublicKey, Signer};
use schemas::transfer::{Receipt, ReceiptSide};
use schemas::{Signed, Timestamp, canonical};

use super::Failure;
use super::offer::Offer;

/// What the given side has to say of the offer, once all of it was sent or verified.
pub(crate) fn of(
    offer: &Offer,
    side: ReceiptSide,
    sealed_root: Option<crypto::Digest>,
    at: Timestamp,
) -> Result<Receipt, Failure> {
    let manifest = &offer.manifest;
    let grant = manifest.grant.clone();
    Ok(Receipt {
        transfer: offer.transfer.clone(),
        release: offer.release.clone(),
        side,
        participant: match side {
            ReceiptSide::Sent => offer.provider.clone(),
            ReceiptSide::Received => offer.consumer.clone(),
        },
        dataset: manifest.dataset.clone(),
        version: manifest.version,
        grant: grant.ok_or(Failure::Rejected("an offer without a grant"))?,
        rows: manifest.rows,
        bytes: manifest.bytes(),
        artefact: manifest.artefact,
        sealed_root,
        at,
    })
}

/// Signs a receipt.
pub(crate) async fn sign(
    receipt: Receipt,
    signer: &dyn Signer,
) -> Result<Signed<Receipt>, Failure> {
    let bytes = canonical::to_bytes(&receipt)?;
    let signature = signer.sign(Label::Receipt, &bytes).await?;
    Ok(Signed {
        body: receipt,
        key: signer.key_id(),
        signature,
    })
}

/// Reads the other side's receipt: signed with its key, and saying what was agreed in everything
/// but the time.
///
/// # Errors
/// [`Failure::Rejected`].
pub(crate) fn verified(
    bytes: &[u8],
    expected: &Receipt,
    key: &PublicKey,
) -> Result<Signed<Receipt>, Failure> {
    let signed: Signed<Receipt> =
        canonical::from_bytes(bytes).map_err(|_| Failure::Rejected("the receipt"))?;
    signed
        .verify(Label::Receipt, key)
        .map_err(|_| Failure::Rejected("the receipt"))?;
    let said = Receipt {
        at: expected.at,
        ..signed.body.clone()
    };
    if said == *expected {
        Ok(signed)
    } else {
        Err(Failure::Rejected("the receipt"))
    }
}
