//! From an entitlement to a pinned artefact: the Parquet files that exactly one permit lets leave.
//!
//! It does not send them and it does not decide. It is the only module on the way out that opens
//! raw tables, and only with a permit of `dataset.read` in hand: everything behind it sees files
//! in `dir/artefacts/` that hold nothing else than what may leave.
//!
//! ```text
//!   permit (columns, rows, masks, limit) --> cache key --> dir/artefacts/<key>/
//!                                                            manifest.json, part-00000.parquet ...
//! ```

mod filter;
mod manifest;
mod masks;
mod persons;
mod rows;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::{Schema, SchemaRef};
use catalog::View;
use crypto::{Digest, Zeroizing, random_bytes};
use enforcement::counters::Count;
use enforcement::{MeasurePermit, Permit, PinnedArtefact};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions};
use schemas::dataset::DatasetVersion;
use schemas::decision::{Mask, Obligations};
use schemas::request::GrantState;
use schemas::{GrantId, ParticipantId, Timestamp, TransferId, canonical};
use serde::Serialize;

pub(crate) use manifest::{ArtefactFile, Manifest, root};
pub(crate) use persons::identities;
pub(crate) use rows::digest_of_file;

use crate::Error;
use crate::tables;
use manifest::file_name;
use masks::MaskKey;
use rows::{Source, Written, write_out};

/// Artefacts that are made at one time: each scans a table with one core.
const MATERIALISING_MAX: usize = 2;

/// The artefacts of one node.
pub(crate) struct Artefacts {
    /// The node's folder.
    dir: PathBuf,
    secret: Zeroizing<Vec<u8>>,
    /// What lies there, by cache key.
    known: Mutex<BTreeMap<Digest, Arc<Pinned>>>,
    turns: tokio::sync::Semaphore,
}

/// One artefact: its folder and what is in it. Its bytes do not change as long as it exists.
#[derive(Debug)]
pub(crate) struct Pinned {
    pub(crate) dir: PathBuf,
    pub(crate) manifest: Manifest,
}

impl Pinned {
    /// As the gate wants to know it.
    pub(crate) fn for_transfer(&self, transfer: &TransferId) -> PinnedArtefact {
        PinnedArtefact {
            digest: self.manifest.artefact,
            rows: self.manifest.rows,
            bytes: self.manifest.bytes(),
            transfer: Some(transfer.clone()),
        }
    }
}

/// Everything on which the bytes of an artefact depend.
#[derive(Serialize)]
struct Key<'a> {
    content: &'a Digest,
    version: u64,
    dataset: &'a str,
    obligations: &'a Obligations,
    grant: Option<&'a GrantId>,
    recipient: &'a ParticipantId,
    /// SM3 of the key behind keyed hashes, when there are any.
    mask_key: Option<Digest>,
}

impl Artefacts {
    /// Opens `dir/artefacts/`, making it and the node's mask secret when they do not exist yet.
    /// What was being written when the node stopped is removed.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Record`] when the secret is not one.
    pub(crate) fn open(dir: &Path) -> Result<Self, Error> {
        let artefacts = dir.join("artefacts");
        fs::create_dir_all(&artefacts).map_err(Error::io("create the artefact folder"))?;
        let secret = mask_secret(&dir.join("mask.secret"))?;
        let mut known = BTreeMap::new();
        for entry in fs::read_dir(&artefacts).map_err(Error::io("list the artefact folder"))? {
            let entry = entry.map_err(Error::io("list the artefact folder"))?;
            let key = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse::<Digest>().ok());
            match key.zip(read_manifest(&entry.path())) {
                Some((key, manifest)) => {
                    known.insert(
                        key,
                        Arc::new(Pinned {
                            dir: entry.path(),
                            manifest,
                        }),
                    );
                }
                None => remove(&entry.path()),
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            secret,
            known: Mutex::new(known),
            turns: tokio::sync::Semaphore::new(MATERIALISING_MAX),
        })
    }

    /// The artefact that `permit` entitles to, made now or found from before.
    ///
    /// # Errors
    /// [`Error::Record`] when the permit is not one of `dataset.read` for this version's dataset
    /// or its obligations do not fit the table; [`Error::Missing`] when the table is not here;
    /// [`Error::Query`], [`Error::Parquet`], [`Error::Io`].
    pub(crate) async fn pin(
        &self,
        permit: &Permit,
        version: &DatasetVersion,
    ) -> Result<Arc<Pinned>, Error> {
        let request = permit.request();
        if request.action != schemas::code::Action::DatasetRead
            || request.dataset.as_ref() != Some(&version.dataset)
        {
            return Err(Error::Record {
                what: "pin an artefact",
                why: "the permit is not for reading this dataset".to_owned(),
            });
        }
        let grant = permit.facts().grant.as_ref().map(|grant| &grant.id);
        let masks = &permit.obligations().masks;
        let mask_key = if masks.values().any(|mask| *mask == Mask::KeyedHash) {
            Some(MaskKey::derive(&self.secret, grant)?.digest())
        } else {
            None
        };
        let key = canonical::digest(&Key {
            content: &version.content_digest,
            version: version.number,
            dataset: version.dataset.as_str(),
            // Under which terms they leave the mainland changes no byte.
            obligations: &Obligations {
                export: None,
                ..permit.obligations().clone()
            },
            grant,
            recipient: &request.principal.participant,
            mask_key,
        })
        .map_err(|source| Error::Record {
            what: "pin an artefact",
            why: source.to_string(),
        })?;
        if let Some(pinned) = self.found(&key) {
            return Ok(pinned);
        }
        let turn = self.turns.acquire().await;
        let _turn = turn.map_err(|_| Error::Worker("the artefact store"))?;
        if let Some(pinned) = self.found(&key) {
            return Ok(pinned);
        }
        let pinned = Arc::new(self.make(&key, permit, version).await?);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(known.entry(key).or_insert(pinned)))
    }

    /// Counts the persons of the rows that would leave, by the columns that tell them apart.
    ///
    /// # Errors
    /// As [`Self::pin`]; [`Error::Record`] when there are more persons than one batch may have.
    pub(crate) async fn count(
        &self,
        permit: &MeasurePermit,
        version: &DatasetVersion,
        identities: &[String],
        mut count: Count,
    ) -> Result<Count, Error> {
        let turn = self.turns.acquire().await;
        let _turn = turn.map_err(|_| Error::Worker("the artefact store"))?;
        let raw = tables::open_measured(&self.dir, permit, version).await?;
        check_source(raw.files.clone(), version.clone()).await?;
        let source = Source {
            files: raw.files,
            schema: raw.schema,
        };
        persons::count(&source, permit, version, identities, &mut count).await?;
        Ok(count)
    }

    fn found(&self, key: &Digest) -> Option<Arc<Pinned>> {
        self.known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(key)
            .map(Arc::clone)
    }

    async fn make(
        &self,
        key: &Digest,
        permit: &Permit,
        version: &DatasetVersion,
    ) -> Result<Pinned, Error> {
        let obligations = permit.obligations();
        let grant = permit.facts().grant.as_ref().map(|grant| &grant.id);
        let raw = tables::open_version(&self.dir, permit, version).await?;
        let source = Source {
            files: raw.files,
            schema: raw.schema,
        };
        let artefacts = self.dir.join("artefacts");
        let suffix: [u8; 8] = random_bytes().map_err(|source| Error::Record {
            what: "name a temporary folder",
            why: source.to_string(),
        })?;
        let beside = artefacts.join(format!("making-{:016x}", u64::from_be_bytes(suffix)));
        fs::create_dir(&beside).map_err(Error::io("create a temporary folder"))?;
        let whole = !source.files.is_empty() && is_whole(obligations, &source.schema, version);
        // One outcome for all of it, so that no failure leaves the temporary folder behind.
        let written = async {
            if whole {
                return link_out(source, beside.clone(), version.clone()).await;
            }
            let key = MaskKey::derive(&self.secret, grant)?;
            check_source(source.files.clone(), version.clone()).await?;
            write_out(&source, obligations, key, &beside).await
        }
        .await;
        let made = written.and_then(|written| {
            let manifest = Manifest {
                dataset: version.dataset.clone(),
                version: version.number,
                grant: grant.cloned(),
                recipient: permit.request().principal.participant.clone(),
                artefact: root(&written.files)?,
                files: written.files,
                rows: written.rows,
                row_limit_reached: written.row_limit_reached,
                schema: schema_digest(&written.schema)?,
            };
            settle(&beside, &artefacts.join(key.to_string()), manifest)
        });
        if made.is_err() {
            remove(&beside);
        }
        made
    }

    /// Removes what may no longer leave: artefacts whose grant is not in force in `view`.
    /// What runs under such a grant is stopped by its release, before it reads the next chunk.
    pub(crate) fn purge(&self, view: &View, now: Timestamp) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, pinned| {
            let in_force = pinned.manifest.grant.as_ref().is_none_or(|id| {
                view.grant(id).is_some_and(|grant| {
                    grant.state == GrantState::Active && now < grant.period.until
                })
            });
            if !in_force {
                tracing::info!(folder = %pinned.dir.display(), "purge an artefact");
                remove(&pinned.dir);
            }
            in_force
        });
    }
}

/// Whether the entitlement is the version as it is, so that its own files can be pinned.
fn is_whole(obligations: &Obligations, schema: &Schema, version: &DatasetVersion) -> bool {
    obligations.masks.is_empty()
        && obligations.rows.all.is_empty()
        && obligations.rows_max.is_none_or(|most| version.rows <= most)
        && obligations
            .columns
            .iter()
            .eq(schema.fields().iter().map(|field| field.name()))
}

/// Pins the table's own files: another name for the same bytes, which outlives the table's.
async fn link_out(
    source: Source,
    into: PathBuf,
    version: DatasetVersion,
) -> Result<Written, Error> {
    let linked = tokio::task::spawn_blocking(move || {
        let mut files = Vec::with_capacity(source.files.len());
        for (at, file) in source.files.iter().enumerate() {
            let link = into.join(file_name(at));
            fs::hard_link(file, &link).map_err(Error::io("pin a table's file"))?;
            files.push(digest_of_file(&link, file_name(at))?);
        }
        check_content(&source.files, &files, &version)?;
        // The recipient takes the columns from the files; so does the manifest.
        let (schema, _) = read_footer(&into.join(file_name(0)))?;
        Ok(Written {
            files,
            rows: version.rows,
            row_limit_reached: false,
            schema,
        })
    });
    linked
        .await
        .map_err(|_| Error::Worker("the artefact's writer"))?
}

/// Hashes the table's files before anything is read from them.
async fn check_source(files: Vec<PathBuf>, version: DatasetVersion) -> Result<(), Error> {
    let checked = tokio::task::spawn_blocking(move || {
        let hashed = files.iter().map(|file| digest_of_file(file, String::new()));
        check_content(&files, &hashed.collect::<Result<Vec<_>, _>>()?, &version)
    });
    checked
        .await
        .map_err(|_| Error::Worker("the table checker"))?
}

/// Holds the table's files, hashed just now, against the record that the provider signed: what
/// was changed on its disk since does not leave.
fn check_content(
    places: &[PathBuf],
    hashed: &[ArtefactFile],
    version: &DatasetVersion,
) -> Result<(), Error> {
    let names = places
        .iter()
        .map(|it| it.file_name().and_then(|it| it.to_str()).unwrap_or(""));
    let files = names
        .zip(hashed)
        .map(|(name, file)| (name, file.bytes, file.digest));
    if tables::content_digest_of(files)? == version.content_digest {
        return Ok(());
    }
    let (dataset, number) = (&version.dataset, version.number);
    Err(Error::Tampered {
        file: format!("a file of {dataset}, version {number},"),
    })
}

/// Columns and rows of an artefact's file, from its footer.
///
/// The Arrow schema that the writer added is not read: Arrow panics on one that is not valid, and
/// a file comes from a peer too.
///
/// # Errors
/// [`Error::Io`], and [`Error::Parquet`] for a file that is none.
pub(crate) fn read_footer(path: &Path) -> Result<(SchemaRef, u64), Error> {
    let file = fs::File::open(path).map_err(Error::io("open an artefact's file"))?;
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let footer = ArrowReaderMetadata::load(&file, options)
        .map_err(Error::parquet("read the footer of an artefact's file"))?;
    let rows = u64::try_from(footer.metadata().file_metadata().num_rows()).unwrap_or(0);
    Ok((
        Arc::new(Schema::new(footer.schema().fields().clone())),
        rows,
    ))
}

/// Writes the manifest, makes everything durable and gives the folder its name.
fn settle(beside: &Path, place: &Path, manifest: Manifest) -> Result<Pinned, Error> {
    let text = canonical::to_bytes(&manifest).map_err(|source| Error::Record {
        what: "write a manifest",
        why: source.to_string(),
    })?;
    let io = || Error::io("write a manifest");
    let mut file = fs::File::create_new(beside.join(MANIFEST)).map_err(io())?;
    file.write_all(&text).map_err(io())?;
    file.sync_all().map_err(io())?;
    fs::File::open(beside)
        .and_then(|folder| folder.sync_all())
        .map_err(io())?;
    fs::rename(beside, place).map_err(Error::io("name an artefact's folder"))?;
    if let Some(parent) = place.parent() {
        fs::File::open(parent)
            .and_then(|folder| folder.sync_all())
            .map_err(io())?;
    }
    Ok(Pinned {
        dir: place.to_owned(),
        manifest,
    })
}

/// The manifest in a folder, when it is one and fits the files beside it by name and size.
/// Content is checked by whoever receives it.
fn read_manifest(folder: &Path) -> Option<Manifest> {
    let text = fs::read(folder.join(MANIFEST)).ok()?;
    let manifest: Manifest = canonical::from_bytes(&text).ok()?;
    manifest.check().ok()?;
    let fits = manifest.files.iter().all(|file| {
        fs::metadata(folder.join(&file.name)).is_ok_and(|found| found.len() == file.bytes)
    });
    fits.then_some(manifest)
}

/// SM3 of names, types and nullability of the columns, in order.
pub(crate) fn schema_digest(schema: &SchemaRef) -> Result<Digest, Error> {
    let columns: Vec<(&str, String, bool)> = schema
        .fields()
        .iter()
        .map(|field| {
            (
                field.name().as_str(),
                field.data_type().to_string(),
                field.is_nullable(),
            )
        })
        .collect();
    canonical::digest(&columns).map_err(|source| Error::Record {
        what: "hash a schema",
        why: source.to_string(),
    })
}

/// The node's secret behind all keyed hashes: read, or made once, for the node's user only.
fn mask_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(secret) if secret.len() == Digest::BYTES => return Ok(Zeroizing::new(secret)),
        Ok(_) => {
            return Err(Error::Record {
                what: "read the mask secret",
                why: format!(
                    "{} has not 32 bytes; restore it from a backup",
                    path.display()
                ),
            });
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::io("read the mask secret")(error)),
    }
    let fresh: [u8; Digest::BYTES] = random_bytes().map_err(|source| Error::Record {
        what: "make the mask secret",
        why: source.to_string(),
    })?;
    let secret = Zeroizing::new(fresh.to_vec());
    let io = || Error::io("write the mask secret");
    let beside = path.with_extension("new");
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .map_err(io())?;
    file.write_all(&secret).map_err(io())?;
    file.sync_all().map_err(io())?;
    fs::rename(&beside, path).map_err(io())?;
    Ok(secret)
}

/// Removes a folder; what cannot be removed now is found again at the next start.
fn remove(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder) {
        tracing::warn!(folder = %folder.display(), %error, "remove an artefact's folder");
    }
}

const MANIFEST: &str = "manifest.json";
