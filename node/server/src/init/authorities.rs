//! The authorities that certify the transport keys of a federation: one a family of TLS.
//!
//! They do not decide who is a member: the catalog does, by the keys in its node records.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crypto::tls::{
    CertificateDer, Family, Suites, TlsApplicant, TlsAuthority, TlsIdentity, TlsRoots,
};
use crypto::{Digest, Validity, Zeroizing};
use schemas::Timestamp;

use super::{make_dir, write_new};
use crate::Error;

/// Life of a transport authority in days.
const AUTHORITY_DAYS: u32 = 3_650;
/// Life of a transport certificate in days.
pub(crate) const TLS_DAYS: u32 = 397;

/// File of the certificates of both, for everyone.
pub const ROOTS: &str = "roots.pem";

/// File of the revocation lists of both, for every node.
pub const REVOCATIONS: &str = "revocations.pem";

/// What a family's files are called.
pub(super) const fn stem(family: Family) -> &'static str {
    match family {
        Family::ShangMi => "shangmi",
        Family::Standard => "standard",
    }
}

/// Certifies transport keys, of either family.
pub struct TransportAuthorities {
    /// With an SM2 key, for RFC 8998.
    pub shangmi: TlsAuthority,
    /// With a P-256 key, for those who do not speak RFC 8998.
    pub standard: TlsAuthority,
}

impl TransportAuthorities {
    /// Makes both in `dir`: a certificate and a key file each, and [`ROOTS`].
    ///
    /// # Errors
    /// [`Error::Crypto`] without random bytes, [`Error::File`] when the files exist or cannot be
    /// written.
    pub fn create(dir: &Path, now: Timestamp) -> Result<Self, Error> {
        make_dir(dir)?;
        let validity = Validity::days(now.millis(), AUTHORITY_DAYS);
        let make = |family: Family, name: &str| {
            let authority = TlsAuthority::create_of(family, name, validity)?;
            let certificate = dir.join(format!("{}.pem", stem(family)));
            write_new(&certificate, authority.certificate_pem()?.as_bytes())?;
            authority.write_new_key(dir.join(format!("{}.key.pem", stem(family))))?;
            Ok::<_, Error>(authority)
        };
        let authorities = Self {
            shangmi: make(
                Family::ShangMi,
                "kouan federation transport authority (SM2)",
            )?,
            standard: make(
                Family::Standard,
                "kouan federation transport authority (P-256)",
            )?,
        };
        write_new(&dir.join(ROOTS), authorities.roots_pem()?.as_bytes())?;
        Ok(authorities)
    }

    /// Opens what [`Self::create`] made.
    ///
    /// # Errors
    /// [`Error::File`] when a file is not there, [`Error::Crypto`] when it is not what it should
    /// be.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let read = |family: Family, kind: &str| {
            let path = dir.join(format!("{}.{kind}", stem(family)));
            std::fs::read_to_string(&path)
                .map(Zeroizing::new)
                .map_err(|e| Error::File {
                    what: "transport authority",
                    path,
                    why: e.to_string(),
                })
        };
        let open = |family| -> Result<_, Error> {
            Ok(TlsAuthority::from_pem(
                &read(family, "pem")?,
                &read(family, "key.pem")?,
            )?)
        };
        Ok(Self {
            shangmi: open(Family::ShangMi)?,
            standard: open(Family::Standard)?,
        })
    }

    /// The certificates of both, in PEM: P-256 first, for programs that read only one.
    ///
    /// # Errors
    /// [`Error::Crypto`], which does not happen for certificates that were read.
    pub fn roots_pem(&self) -> Result<String, Error> {
        let (first, second) = (
            self.standard.certificate_pem()?,
            self.shangmi.certificate_pem()?,
        );
        Ok(format!("{first}{second}"))
    }

    /// The roots that trust both.
    ///
    /// # Errors
    /// As [`Self::roots_pem`].
    pub fn roots(&self) -> Result<TlsRoots, Error> {
        Ok(TlsRoots::from_pem(&self.roots_pem()?)?)
    }

    /// Certifies the key of a request for so many days, and keeps no copy: a certificate that has
    /// to be taken back is the one that its owner shows.
    ///
    /// # Errors
    /// [`Error::Crypto`] for names that X.509 cannot hold.
    pub fn certify(
        &self,
        applicant: &TlsApplicant,
        days: u32,
        now: Timestamp,
    ) -> Result<String, Error> {
        let validity = Validity::days(now.millis(), days);
        Ok(self.of(applicant.family()).certify(applicant, validity)?)
    }

    /// Takes certificates back: keeps them in `dir` with those taken back before, and writes
    /// the signed lists of both authorities to [`REVOCATIONS`]. Returns that file and how many
    /// certificates the lists name.
    ///
    /// # Errors
    /// [`Error::File`] for what is not a certificate of theirs or cannot be written.
    pub fn revoke(
        &self,
        dir: &Path,
        certificates: &[(&Path, String)],
        days: u32,
        now: Timestamp,
    ) -> Result<(PathBuf, usize), Error> {
        let folder = dir.join("revoked");
        make_dir(&folder)?;
        for (path, text) in certificates {
            let der = certificate_of(path, text)?;
            let of_ours = [&self.standard, &self.shangmi]
                .into_iter()
                .any(|authority| !authority.issued(std::slice::from_ref(&der)).is_empty());
            if !of_ours {
                return Err(Error::File {
                    what: "certificate",
                    path: (*path).to_owned(),
                    why: "neither authority of this directory issued it; whoever did takes it back"
                        .to_owned(),
                });
            }
            let kept = folder.join(format!("{}.pem", Digest::of(&der)));
            // Taken back once more is taken back.
            if !kept.exists() {
                write_new(&kept, text.as_bytes())?;
            }
        }
        let mut revoked = Vec::new();
        let unreadable = |e: std::io::Error| Error::File {
            what: "revoked certificates",
            path: folder.clone(),
            why: e.to_string(),
        };
        for entry in std::fs::read_dir(&folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let text = std::fs::read_to_string(&path).map_err(unreadable)?;
            revoked.push(certificate_of(&path, &text)?);
        }
        let validity = Validity::days(now.millis(), days);
        // Grows from list to list, since time does.
        let number = u64::try_from(now.millis()).unwrap_or(0);
        let mut lists = String::new();
        for authority in [&self.standard, &self.shangmi] {
            let of_it = authority.issued(&revoked);
            lists.push_str(&authority.revocation_list(number, &of_it, validity)?);
        }
        let path = dir.join(REVOCATIONS);
        replace(&path, lists.as_bytes())?;
        Ok((path, revoked.len()))
    }

    const fn of(&self, family: Family) -> &TlsAuthority {
        match family {
            Family::ShangMi => &self.shangmi,
            Family::Standard => &self.standard,
        }
    }

    /// Certifies new keys for a node, one for each family that `suites` and people's programs
    /// need.
    pub(super) fn issue(
        &self,
        suites: Suites,
        node: &str,
        hosts: &[String],
        now: Timestamp,
    ) -> Result<Identities, Error> {
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        let validity = Validity::days(now.millis(), TLS_DAYS);
        let issue = |authority| TlsIdentity::issue(authority, node, &hosts, validity);
        Ok(Identities {
            suites,
            shangmi: (suites != Suites::Standard)
                .then(|| issue(&self.shangmi))
                .transpose()?,
            standard: issue(&self.standard)?,
        })
    }
}

fn certificate_of(path: &Path, text: &str) -> Result<CertificateDer<'static>, Error> {
    crypto::tls::certificates_of(text)
        .map(|mut chain| chain.swap_remove(0))
        .map_err(|error| Error::File {
            what: "certificate",
            path: path.to_owned(),
            why: error.to_string(),
        })
}

/// Writes a file beside the old one and puts it in its place.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let new = path.with_extension("new");
    let wrong = |e: std::io::Error| Error::File {
        what: "file",
        path: path.to_owned(),
        why: e.to_string(),
    };
    match std::fs::remove_file(&new) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(wrong(e)),
        _ => {}
    }
    write_new(&new, bytes)?;
    std::fs::rename(&new, path).map_err(wrong)
}

/// The transport certificates of a new node.
pub(super) struct Identities {
    suites: Suites,
    shangmi: Option<TlsIdentity>,
    standard: TlsIdentity,
}

impl Identities {
    /// Writes them to `dir`, as the configuration names them.
    pub(super) fn write_new(&self, dir: &Path) -> Result<(), Error> {
        if let Some(shangmi) = &self.shangmi {
            shangmi.write_new(dir.join("shangmi.pem"))?;
        }
        Ok(self.standard.write_new(dir.join("standard.pem"))?)
    }

    /// The keys that other nodes may see: a certificate that only people's programs see is not
    /// one of a member.
    pub(super) fn bound(&self) -> BTreeSet<Digest> {
        let shangmi = self.shangmi.as_ref().map(TlsIdentity::spki_digest);
        let standard = (self.suites != Suites::ShangMiOnly).then(|| self.standard.spki_digest());
        shangmi.into_iter().chain(standard).collect()
    }
}
