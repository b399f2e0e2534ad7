//! What is true for this run: addresses resolved, keys opened, no optional left open.
//!
//! It does not start anything. Only settings travel; the configuration as written stays behind.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crypto::keys::KeyFile;
use crypto::keys::sdf::{SdfDevice, SdfOptions};
use crypto::{Signer, SoftwareKey, Unwrapper, Zeroizing};
use schemas::{NodeId, ParticipantId};

use crate::Error;
use crate::config::{CatalogSection, Config, LedgerSection, ParticipantSection};
use crate::transport::Transport;

/// One participant that this node acts for, with its keys opened.
pub struct HostedKeys {
    /// Which participant.
    pub participant: ParticipantId,
    /// Signs receipts, versions and checkpoints.
    pub signing: Arc<dyn Signer>,
    /// Opens what others sealed to the participant.
    pub encryption: Arc<dyn Unwrapper>,
    /// Which life of its ledger is current.
    pub ledger_incarnation: u32,
}

/// Everything a node needs to start.
pub struct Settings {
    /// Which node this is.
    pub node: NodeId,
    /// Directory of all its state.
    pub dir: PathBuf,
    /// The node's signing key.
    pub signing: Arc<SoftwareKey>,
    /// For whom it acts.
    pub hosted: BTreeMap<ParticipantId, HostedKeys>,
    /// Its transport certificates, and what they are used for.
    pub tls: Transport,
    /// The replicated catalog.
    pub catalog: CatalogSection,
    /// The access ledgers.
    pub ledger: LedgerSection,
    /// Where it listens.
    pub listen: Listen,
    /// Directory of the federation's transport authorities, where new nodes are enrolled here.
    pub authority: Option<PathBuf>,
}

/// The four listeners of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Raft and forwarded writes.
    pub catalog: SocketAddr,
    /// Transfers and uploads.
    pub data: SocketAddr,
    /// REST.
    pub admin: SocketAddr,
    /// Health and metrics.
    pub operations: SocketAddr,
}

impl Settings {
    /// Resolves a configuration: reads every file that it names and opens every key. Needs a Tokio
    /// runtime with time, for devices.
    ///
    /// # Errors
    /// [`Error::Config`] or [`Error::File`] naming the file and what to do, and [`Error::Crypto`]
    /// for a device that does not answer as it must.
    pub async fn resolve(path: &Path, config: Config) -> Result<Self, Error> {
        let wrong = |why: String| Error::Config {
            path: path.to_owned(),
            why,
        };
        let base = config.directory(path);
        let passphrase = read_passphrase(&base.join(&config.node.passphrase_file))?;
        let mut hosted = BTreeMap::new();
        for section in &config.participants {
            let keys = open_hosted(&base, section, &passphrase, path).await?;
            if hosted.insert(keys.participant.clone(), keys).is_some() {
                return Err(wrong(format!("participant {} stands twice", section.id)));
            }
        }
        if hosted.is_empty() {
            return Err(wrong(
                "no [[participants]]: name whom this node acts for".to_owned(),
            ));
        }
        let address = |what: &'static str, text: &str| {
            text.parse::<SocketAddr>().map_err(|_| {
                wrong(format!(
                    "{what}: {text:?} is not an address such as 0.0.0.0:7401"
                ))
            })
        };
        let listen = Listen {
            catalog: address("catalog.listen", &config.catalog.listen)?,
            data: address("data-plane.listen", &config.data_plane.listen)?,
            admin: address("admin.listen", &config.admin.listen)?,
            operations: address("operations.listen", &config.operations.listen)?,
        };
        let tls = Transport::resolve(&base, &config)?;
        Ok(Self {
            node: NodeId::parse(&config.node.id).map_err(|e| wrong(format!("node.id: {e}")))?,
            signing: open_key(
                "node key",
                &base.join(&config.node.signing_key),
                &passphrase,
            )?,
            authority: config.enrolment.map(|it| base.join(it.authority)),
            dir: base,
            hosted,
            tls,
            catalog: config.catalog,
            ledger: config.ledger,
            listen,
        })
    }
}

async fn open_hosted(
    base: &Path,
    section: &ParticipantSection,
    passphrase: &[u8],
    path: &Path,
) -> Result<HostedKeys, Error> {
    let wrong = |why: String| Error::Config {
        path: path.to_owned(),
        why,
    };
    let participant =
        ParticipantId::parse(&section.id).map_err(|e| wrong(format!("participants.id: {e}")))?;
    let ParticipantSection {
        signing_key,
        encryption_key,
        device,
        ..
    } = section;
    let (signing, encryption) = match (signing_key, encryption_key, device) {
        (Some(signing_key), Some(encryption_key), None) => {
            let signing: Arc<dyn Signer> =
                open_key("signing key", &base.join(signing_key), passphrase)?;
            let encryption: Arc<dyn Unwrapper> =
                open_key("encryption key", &base.join(encryption_key), passphrase)?;
            (signing, encryption)
        }
        (None, None, Some(options)) => {
            let device = open_device(base, options).await?;
            // Each works once before it is handed over.
            let signing: Arc<dyn Signer> = Arc::new(device.signer().await?);
            let encryption: Arc<dyn Unwrapper> = Arc::new(device.unwrapper().await?);
            (signing, encryption)
        }
        _ => {
            return Err(wrong(format!(
                "participant {}: name signing_key and encryption_key, or a device that has both",
                section.id
            )));
        }
    };
    Ok(HostedKeys {
        participant,
        signing,
        encryption,
        ledger_incarnation: section.ledger_incarnation,
    })
}

async fn open_device(base: &Path, options: &SdfOptions) -> Result<SdfDevice, Error> {
    let options = SdfOptions {
        pin_file: base.join(&options.pin_file),
        ..options.clone()
    };
    refuse_readable("PIN file", &options.pin_file)?;
    Ok(SdfDevice::open(options).await?)
}

fn open_key(what: &'static str, path: &Path, passphrase: &[u8]) -> Result<Arc<SoftwareKey>, Error> {
    let wrong = |e: crypto::Error| Error::File {
        what,
        path: path.to_owned(),
        why: e.to_string(),
    };
    let secret = KeyFile::read(path)
        .and_then(|file| file.open(passphrase))
        .map_err(wrong)?;
    Ok(Arc::new(SoftwareKey::new(secret)))
}

pub(crate) fn read_text(what: &'static str, path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|e| Error::File {
        what,
        path: path.to_owned(),
        why: e.to_string(),
    })
}

/// Reads a passphrase file. Its mode must keep others out, as a key's would.
pub(crate) fn read_passphrase(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    let what = "passphrase file";
    refuse_readable(what, path)?;
    let wrong = |why: String| Error::File {
        what,
        path: path.to_owned(),
        why,
    };
    let text = Zeroizing::new(std::fs::read(path).map_err(|e| wrong(e.to_string()))?);
    let end = text
        .iter()
        .rposition(|b| !b.is_ascii_whitespace())
        .map_or(0, |at| at + 1);
    if end == 0 {
        return Err(wrong("it is empty".to_owned()));
    }
    Ok(Zeroizing::new(text[..end].to_vec()))
}

/// Refuses a file that others than its owner can read.
fn refuse_readable(what: &'static str, path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    let wrong = |why: String| Error::File {
        what,
        path: path.to_owned(),
        why,
    };
    let mode = std::fs::metadata(path)
        .map_err(|e| wrong(e.to_string()))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        return Err(wrong(format!(
            "mode {:o} lets others read it; chmod 600",
            mode & 0o777
        )));
    }
    Ok(())
}
