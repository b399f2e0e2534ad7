//! Whether a certificate is valid at an instant, and who issued it.

use x509_cert::der::Encode as _;

use super::{Certificate, Usage};
use crate::Error;
use crate::sm2::Signature;
use crate::x509::refused;

impl Certificate {
    /// Checks that `issuer` issued this certificate and that both are valid at `at_ms`
    /// (milliseconds since 1970-01-01 UTC).
    ///
    /// # Errors
    ///
    /// [`Error::NotYetValid`], [`Error::Expired`], [`Error::ForeignIssuer`],
    /// [`Error::WrongUsage`] when the issuer may not issue, [`Error::SignatureRejected`].
    pub fn verify_issued_by(&self, issuer: &Self, at_ms: i64) -> Result<(), Error> {
        self.check_valid_at(at_ms)?;
        issuer.check_valid_at(at_ms)?;
        let tbs = self.parsed.tbs_certificate();
        if tbs.issuer() != issuer.parsed.tbs_certificate().subject() {
            return Err(Error::ForeignIssuer {
                subject: self.subject.clone(),
                issuer: issuer.subject.clone(),
            });
        }
        issuer.check_usage(Usage::Authority)?;
        // What was parsed encodes to the bytes that were read, so this is what was signed.
        let signed = tbs.to_der().map_err(|_| refused("it cannot be written"))?;
        let bits = self
            .parsed
            .signature()
            .as_bytes()
            .ok_or_else(|| refused("its signature"))?;
        let signature = Signature::from_der(bits)?;
        issuer.public_key.verify_unlabelled(&signed, &signature)
    }

    /// Checks the validity alone.
    ///
    /// # Errors
    ///
    /// [`Error::NotYetValid`] or [`Error::Expired`].
    pub fn check_valid_at(&self, at_ms: i64) -> Result<(), Error> {
        let subject = || self.subject.clone();
        if at_ms < self.validity.not_before_ms {
            let not_before_ms = self.validity.not_before_ms;
            return Err(Error::NotYetValid {
                subject: subject(),
                not_before_ms,
            });
        }
        // X.509 counts whole seconds and includes the last one.
        if at_ms.div_euclid(1_000) > self.validity.not_after_ms.div_euclid(1_000) {
            let not_after_ms = self.validity.not_after_ms;
            return Err(Error::Expired {
                subject: subject(),
                not_after_ms,
            });
        }
        Ok(())
    }

    /// Checks what the key is for.
    ///
    /// # Errors
    ///
    /// [`Error::WrongUsage`].
    pub fn check_usage(&self, usage: Usage) -> Result<(), Error> {
        if self.usage == usage {
            return Ok(());
        }
        let wanted = match usage {
            Usage::Sign => "to sign",
            Usage::Encrypt => "to encrypt to",
            Usage::Authority => "to issue certificates",
        };
        Err(Error::WrongUsage {
            subject: self.subject.clone(),
            wanted,
        })
    }
}
