//! Sets, reservations and their figures, kept in step with the file.
//!
//! It does not hash (`count`) and does not lay bytes out (`journal`).

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crypto::{PublicKey, Unwrapper, Zeroizing, random_bytes};
use schemas::InstrumentId;
use schemas::calendar::Day;
use schemas::export::{BatchCount, InstrumentCount, PersonCounts};

use super::count::{Count, SetKey};
use super::journal::{Journal, Kind};
use super::record::{Kept, Persons, Record, SETTLED};
use super::set::{Entry, Flags, PersonSet, Tally, flags_in, flags_of};
use super::{Fault, INSTRUMENTS_MAX, RESERVATIONS_MAX, Scope};

/// Bytes from which on the file is written anew when most of it is past.
const REWRITE_BYTES_MIN: u64 = 64 << 20;

/// How long the folder is waited for: a node that is started anew meets the one before, whose
/// last tasks end within moments.
const TAKEN_WAIT_MAX: Duration = Duration::from_secs(3);
const TAKEN_LOOK: Duration = Duration::from_millis(50);

/// The counters of one participant.
pub struct CounterHome {
    dir: PathBuf,
    /// To whom keys are wrapped.
    wraps_to: PublicKey,
    state: Mutex<State>,
    /// Held as long as the home is open, so that no second process counts beside it.
    _lock: File,
}

struct State {
    journal: Journal,
    /// Number of the file.
    number: u64,
    sets: Vec<Set>,
    open: BTreeMap<u64, Open>,
    next: u64,
    crossed: Option<Day>,
}

struct Set {
    scope: Scope,
    /// As the file has it.
    wrapped: String,
    key: SetKey,
    settled: PersonSet,
    /// Settled and reserved persons together.
    all: Tally,
}

/// A reservation: its persons by set.
#[derive(Default)]
struct Open {
    parts: BTreeMap<usize, Vec<Entry>>,
    kept: Option<Kept>,
}

impl CounterHome {
    /// Opens the home in `dir`, making it when there is none. What was reserved when it was last
    /// used counts as sent from now on.
    ///
    /// # Errors
    /// [`Fault::Taken`], [`Fault::Damaged`], [`Fault::Key`] when a key was wrapped to another one,
    /// [`Fault::Record`], [`Fault::Io`].
    pub async fn open(dir: &Path, unwrapper: &dyn Unwrapper) -> Result<Arc<Self>, Fault> {
        let lock = open_lock(dir)?;
        take(dir, &lock).await?;
        let mut read = Read::default();
        let found = newest(dir)?;
        let (journal, number) = match found {
            Some(number) => {
                let each = |kind, payload: &[u8]| read.take(kind, payload);
                (Journal::open(&dir.join(name(number)), each)?, number)
            }
            None => (Journal::create(&dir.join(name(1)))?, 1),
        };
        let mut keys = Vec::with_capacity(read.sets.len());
        for (_, wrapped) in &read.sets {
            let bytes = hex::decode(wrapped).map_err(|_| Fault::Record {
                why: "a key is no hexadecimal text".to_owned(),
            })?;
            let key = unwrapper.unwrap_key(&bytes).await?;
            let key = key.first_chunk().copied().ok_or_else(|| Fault::Record {
                why: "a key is too short".to_owned(),
            })?;
            keys.push(Zeroizing::new(key));
        }
        let mut state = read.finish(journal, number, keys)?;
        state.settle_all()?;
        Ok(Arc::new(Self {
            dir: dir.to_owned(),
            wraps_to: unwrapper.public().clone(),
            state: Mutex::new(state),
            _lock: lock,
        }))
    }

    /// Begins to count a batch for a year and for the scales of instruments.
    ///
    /// # Errors
    /// [`Fault::TooMany`] instruments; [`Fault::Key`], [`Fault::Io`] when a new set cannot be made.
    pub fn begin(&self, year: u16, instruments: &[InstrumentId]) -> Result<Count, Fault> {
        if instruments.len() > INSTRUMENTS_MAX {
            return Err(Fault::TooMany {
                what: "instruments",
                limit: INSTRUMENTS_MAX,
            });
        }
        let mut state = self.locked();
        let scopes = instruments.iter().cloned().map(Scope::Instrument);
        let mut keys = Vec::with_capacity(instruments.len() + 1);
        for scope in std::iter::once(Scope::Year(year)).chain(scopes) {
            let set = match state.set_of(&scope) {
                Some(set) => set,
                None => state.make_set(scope, &self.wraps_to)?,
            };
            let key = state.sets.get(set).map(|it| it.key.clone());
            keys.extend(key.map(|key| (set, key)));
        }
        drop(state);
        Ok(Count::new(keys))
    }

    /// The figures of a year, open reservations included, without a batch.
    #[must_use]
    pub fn counts(&self, year: u16, instruments: &[InstrumentId]) -> PersonCounts {
        self.locked().counts(year, instruments, None)
    }

    /// The last day on which the assessment's threshold was crossed.
    #[must_use]
    pub fn crossed_on(&self) -> Option<Day> {
        self.locked().crossed
    }

    /// Years that have a set.
    #[must_use]
    pub fn years(&self) -> Vec<u16> {
        let state = self.locked();
        let mut years: Vec<u16> = state
            .sets
            .iter()
            .filter_map(|it| match it.scope {
                Scope::Year(year) => Some(year),
                Scope::Instrument(_) => None,
            })
            .collect();
        years.sort_unstable();
        years
    }

    /// Reserves a batch: from here on it counts, in every set. Returns once that is durable. The
    /// figures are those of `year` and `instruments` with the batch in them.
    ///
    /// # Errors
    /// [`Fault::TooMany`] open reservations; [`Fault::Io`], [`Fault::Broken`]: it is not reserved.
    pub fn reserve(
        self: &Arc<Self>,
        count: Count,
        year: u16,
        instruments: &[InstrumentId],
    ) -> Result<(Reservation, PersonCounts), Fault> {
        let parts: BTreeMap<usize, Vec<Entry>> = count
            .sets
            .into_iter()
            .map(|it| (it.set, it.finish()))
            .collect();
        let mut state = self.locked();
        if state.open.len() >= RESERVATIONS_MAX {
            return Err(Fault::TooMany {
                what: "open reservations",
                limit: RESERVATIONS_MAX,
            });
        }
        let id = state.next;
        for (set, entries) in &parts {
            Persons::write(&mut state.journal, id, *set, entries.iter().copied())?;
        }
        Record::Reserved { reservation: id }.write(&mut state.journal)?;
        state.journal.sync()?;
        state.next = id + 1;
        let of_year = state
            .set_of(&Scope::Year(year))
            .and_then(|set| parts.get(&set))
            .map_or_else(Tally::default, |entries| Tally::of(entries));
        for (set, entries) in &parts {
            state.enter(*set, entries);
        }
        state.open.insert(id, Open { parts, kept: None });
        let batch = BatchCount {
            non_sensitive: of_year.personal(),
            sensitive: of_year.sensitive(),
        };
        let counts = state.counts(year, instruments, Some(batch));
        drop(state);
        let reservation = Reservation {
            home: Arc::clone(self),
            id,
            sending: AtomicBool::new(false),
        };
        Ok((reservation, counts))
    }

    fn keep(&self, id: u64, kept: Kept, crossed: Option<Day>) -> Result<(), Fault> {
        let mut state = self.locked();
        if !state.open.contains_key(&id) {
            return Err(Fault::NotReserved(id));
        }
        let record = Record::Kept {
            reservation: id,
            kept: kept.clone(),
            crossed,
        };
        record.write(&mut state.journal)?;
        state.journal.sync()?;
        state.crossed = state.crossed.max(crossed);
        state.narrow(id, kept);
        Ok(())
    }

    /// Neither end needs to be durable: after a crash a reservation counts as sent, which is what
    /// one says, and the other only forgoes.
    fn end(&self, id: u64, sent: bool) -> Result<(), Fault> {
        let mut state = self.locked();
        let record = if sent {
            Record::Settled { reservation: id }
        } else {
            Record::Returned { reservation: id }
        };
        // When it cannot be written, nothing is returned: the next opening counts it as sent.
        let written = record
            .write(&mut state.journal)
            .and_then(|()| state.journal.flush());
        if sent || written.is_err() {
            state.settle(id);
        } else {
            state.give_back(id);
        }
        if state.is_mostly_past()
            && let Err(error) = state.rewrite(&self.dir)
        {
            tracing::warn!(%error, "write the counter file anew; the old one stays");
        }
        written
    }

    /// Writes what holds into a new file, without what is past. It happens by itself when most of
    /// the file is past.
    ///
    /// # Errors
    /// [`Fault::Io`]; the old file stays in use.
    pub fn compact(&self) -> Result<(), Fault> {
        self.locked().rewrite(&self.dir)
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        // A panic under the lock would be a bug; the file is what counts after it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for CounterHome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CounterHome")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl State {
    fn set_of(&self, scope: &Scope) -> Option<usize> {
        self.sets.iter().position(|it| it.scope == *scope)
    }

    fn make_set(&mut self, scope: Scope, wraps_to: &PublicKey) -> Result<usize, Fault> {
        let key: SetKey = Zeroizing::new(random_bytes()?);
        let wrapped = hex::encode(wraps_to.wrap(&*key)?);
        let record = Record::Set {
            scope: scope.clone(),
            key: wrapped.clone(),
        };
        record.write(&mut self.journal)?;
        self.journal.sync()?;
        self.sets.push(Set::new(scope, wrapped, key));
        Ok(self.sets.len() - 1)
    }

    fn counts(
        &self,
        year: u16,
        instruments: &[InstrumentId],
        batch: Option<BatchCount>,
    ) -> PersonCounts {
        let all = |scope: &Scope| {
            let set = self.set_of(scope).and_then(|set| self.sets.get(set));
            set.map_or_else(Tally::default, |it| it.all)
        };
        let of_year = all(&Scope::Year(year));
        let under = instruments.iter().map(|id| InstrumentCount {
            instrument: id.clone(),
            persons: all(&Scope::Instrument(id.clone())).persons(),
        });
        PersonCounts {
            year,
            non_sensitive: of_year.personal(),
            sensitive: of_year.sensitive(),
            exempt_non_sensitive: of_year.personal_exempt(),
            exempt_sensitive: of_year.sensitive_exempt(),
            under: under.collect(),
            batch,
        }
    }

    /// What a person of `set` is without the reservation that is being looked at, which is not
    /// among the open ones.
    fn others(&self, set: usize, of: Entry) -> Flags {
        let settled = self.sets.get(set).map(|it| it.settled.flags(of));
        let open = self.open.values().filter_map(|it| it.parts.get(&set));
        open.fold(settled.unwrap_or_default(), |flags, entries| {
            flags.and(flags_in(entries, of))
        })
    }

    /// Counts persons of a reservation in.
    fn enter(&mut self, set: usize, entries: &[Entry]) {
        let mut all = self.sets.get(set).map(|it| it.all).unwrap_or_default();
        for it in entries {
            let before = self.others(set, *it);
            all.turn(before, before.and(flags_of(*it)));
        }
        if let Some(set) = self.sets.get_mut(set) {
            set.all = all;
        }
    }

    /// Counts persons of a reservation out.
    fn leave(&mut self, set: usize, entries: &[Entry]) {
        let mut all = self.sets.get(set).map(|it| it.all).unwrap_or_default();
        for it in entries {
            let after = self.others(set, *it);
            all.turn(after.and(flags_of(*it)), after);
        }
        if let Some(set) = self.sets.get_mut(set) {
            set.all = all;
        }
    }

    /// What a reservation is for is known now: scales of other instruments are free again, and a
    /// volume that is exempt is counted as one.
    fn narrow(&mut self, id: u64, kept: Kept) {
        let Some(open) = self.open.remove(&id) else {
            return;
        };
        let mut parts = BTreeMap::new();
        for (set, mut entries) in open.parts {
            let stays = match self.sets.get(set).map(|it| &it.scope) {
                Some(Scope::Year(_)) => true,
                Some(Scope::Instrument(it)) => kept.instruments.contains(it),
                None => false,
            };
            if !stays || kept.exempt {
                self.leave(set, &entries);
            }
            if stays && kept.exempt {
                for it in &mut entries {
                    *it = it.exempted();
                }
                self.enter(set, &entries);
            }
            if stays {
                parts.insert(set, entries);
            }
        }
        let kept = Some(kept);
        self.open.insert(id, Open { parts, kept });
    }

    fn settle(&mut self, id: u64) {
        let Some(open) = self.open.remove(&id) else {
            return;
        };
        for (set, entries) in open.parts {
            if let Some(set) = self.sets.get_mut(set) {
                // Settled and reserved persons together stay the same.
                set.settled.add(&entries);
            }
        }
    }

    fn give_back(&mut self, id: u64) {
        let Some(open) = self.open.remove(&id) else {
            return;
        };
        for (set, entries) in open.parts {
            self.leave(set, &entries);
        }
    }

    /// What was reserved when the home was last used counts as sent.
    fn settle_all(&mut self) -> Result<(), Fault> {
        let left: Vec<u64> = self.open.keys().copied().collect();
        for id in left {
            tracing::warn!(
                reservation = id,
                "a reservation had no end; it counts as sent"
            );
            Record::Settled { reservation: id }.write(&mut self.journal)?;
            self.settle(id);
        }
        self.journal.sync()
    }

    fn is_mostly_past(&self) -> bool {
        let held: u64 = self
            .sets
            .iter()
            .map(|it| it.settled.tally().persons())
            .sum();
        let bytes = self.journal.bytes();
        let entry = u64::try_from(Entry::BYTES).unwrap_or(u64::MAX);
        bytes > REWRITE_BYTES_MIN && bytes / 3 > held.saturating_mul(entry)
    }

    /// Writes what holds into a new file, which then takes the place of this one.
    fn rewrite(&mut self, dir: &Path) -> Result<(), Fault> {
        let number = self.number + 1;
        let beside = dir.join(format!("{}.new", name(number)));
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Fault::io("remove an unfinished counter file")(error));
            }
            Ok(()) | Err(_) => {}
        }
        let mut journal = Journal::create(&beside)?;
        for (at, set) in self.sets.iter().enumerate() {
            let record = Record::Set {
                scope: set.scope.clone(),
                key: set.wrapped.clone(),
            };
            record.write(&mut journal)?;
            Persons::write(&mut journal, SETTLED, at, set.settled.entries())?;
        }
        if let Some(day) = self.crossed {
            Record::Crossed { day }.write(&mut journal)?;
        }
        for (id, open) in &self.open {
            for (set, entries) in &open.parts {
                Persons::write(&mut journal, *id, *set, entries.iter().copied())?;
            }
            Record::Reserved { reservation: *id }.write(&mut journal)?;
            // What was kept is in the entries already.
        }
        journal.sync()?;
        let old = dir.join(name(self.number));
        journal.rename(&dir.join(name(number)))?;
        self.journal = journal;
        self.number = number;
        // An old file that stays is removed at the next opening.
        if let Err(error) = std::fs::remove_file(&old) {
            tracing::warn!(file = %old.display(), %error, "remove an old counter file");
        }
        Ok(())
    }
}

impl Set {
    fn new(scope: Scope, wrapped: String, key: SetKey) -> Self {
        Self {
            scope,
            wrapped,
            key,
            settled: PersonSet::default(),
            all: Tally::default(),
        }
    }
}

/// What a file says, read from its beginning.
#[derive(Default)]
struct Read {
    sets: Vec<(Scope, String)>,
    settled: Vec<PersonSet>,
    /// Reservations; what was not written to its end is among them until the file's end.
    open: BTreeMap<u64, (bool, Open)>,
    next: u64,
    crossed: Option<Day>,
}

impl Read {
    fn take(&mut self, kind: Kind, payload: &[u8]) -> Result<(), Fault> {
        match kind {
            Kind::Persons => self.persons(Persons::read(payload)?),
            Kind::Text => self.record(Record::read(payload)?),
        }
    }

    fn persons(&mut self, it: Persons) -> Result<(), Fault> {
        let known = self.settled.get_mut(it.set);
        let settled = known.ok_or_else(|| Fault::Record {
            why: format!("persons of set {}, which is not there", it.set),
        })?;
        if it.reservation == SETTLED {
            settled.add(&it.entries);
        } else {
            self.next = self.next.max(it.reservation);
            let open = self.open.entry(it.reservation).or_default();
            open.1.parts.entry(it.set).or_default().extend(it.entries);
        }
        Ok(())
    }

    fn record(&mut self, record: Record) -> Result<(), Fault> {
        match record {
            Record::Set { scope, key } => {
                self.sets.push((scope, key));
                self.settled.push(PersonSet::default());
            }
            Record::Reserved { reservation } => {
                self.next = self.next.max(reservation);
                self.open.entry(reservation).or_default().0 = true;
            }
            Record::Kept {
                reservation,
                kept,
                crossed,
            } => {
                self.crossed = self.crossed.max(crossed);
                self.found(reservation)?.kept = Some(kept);
            }
            Record::Settled { reservation } => self.settle(reservation)?,
            Record::Returned { reservation } => {
                self.found(reservation)?;
                self.open.remove(&reservation);
            }
            Record::Crossed { day } => self.crossed = self.crossed.max(Some(day)),
        }
        Ok(())
    }

    fn found(&mut self, id: u64) -> Result<&mut Open, Fault> {
        match self.open.get_mut(&id) {
            Some((true, open)) => Ok(open),
            _ => Err(Fault::Record {
                why: format!("reservation {id} is not there"),
            }),
        }
    }

    fn settle(&mut self, id: u64) -> Result<(), Fault> {
        let open = std::mem::take(self.found(id)?);
        self.open.remove(&id);
        for (set, entries) in self.kept(open) {
            if let Some(settled) = self.settled.get_mut(set) {
                settled.add(&entries);
            }
        }
        Ok(())
    }

    /// The persons of a reservation as they count.
    fn kept(&self, open: Open) -> BTreeMap<usize, Vec<Entry>> {
        let Some(kept) = open.kept else {
            return open.parts;
        };
        let stays = |set: &usize| match self.sets.get(*set) {
            Some((Scope::Instrument(it), _)) => kept.instruments.contains(it),
            Some((Scope::Year(_), _)) => true,
            None => false,
        };
        let mut parts = open.parts;
        parts.retain(|set, _| stays(set));
        if kept.exempt {
            for it in parts.values_mut().flatten() {
                *it = it.exempted();
            }
        }
        parts
    }

    fn finish(mut self, journal: Journal, number: u64, keys: Vec<SetKey>) -> Result<State, Fault> {
        if self.sets.len() != keys.len() {
            return Err(Fault::Record {
                why: "a set has no key".to_owned(),
            });
        }
        let written = std::mem::take(&mut self.open)
            .into_iter()
            .filter(|(_, (whole, _))| *whole);
        let open: Vec<(u64, BTreeMap<usize, Vec<Entry>>)> = written
            .map(|(id, (_, open))| (id, self.kept(open)))
            .collect();
        let sets = self.sets.into_iter().zip(self.settled).zip(keys);
        let sets = sets.map(|(((scope, wrapped), settled), key)| Set {
            all: settled.tally(),
            settled,
            ..Set::new(scope, wrapped, key)
        });
        let mut state = State {
            journal,
            number,
            sets: sets.collect(),
            open: BTreeMap::new(),
            next: self.next + 1,
            crossed: self.crossed,
        };
        for (id, parts) in open {
            for (set, entries) in &parts {
                state.enter(*set, entries);
            }
            state.open.insert(id, Open { parts, kept: None });
        }
        Ok(state)
    }
}

/// Persons that count, until it is known whether they left. Dropped, they count when sending had
/// begun, and are free again when it had not.
#[must_use = "a reservation that is dropped is given back"]
pub struct Reservation {
    home: Arc<CounterHome>,
    id: u64,
    sending: AtomicBool,
}

impl Reservation {
    /// The second decision said what it is for. `crossed` is the day when the persons reached the
    /// assessment's threshold under it.
    ///
    /// # Errors
    /// [`Fault::Io`], [`Fault::Broken`]; it stays reserved for everything.
    pub fn keep(&self, kept: Kept, crossed: Option<Day>) -> Result<(), Fault> {
        self.home.keep(self.id, kept, crossed)
    }

    /// From here on it counts, whatever happens.
    pub fn begin_sending(&self) {
        self.sending.store(true, Ordering::Relaxed);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let (home, id) = (Arc::clone(&self.home), self.id);
        let sent = self.sending.load(Ordering::Relaxed);
        let end = move || {
            if let Err(error) = home.end(id, sent) {
                tracing::error!(%error, reservation = id, "end a reservation; it counts as sent");
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(end)),
            Err(_) => end(),
        }
    }
}

impl std::fmt::Debug for Reservation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Reservation({})", self.id)
    }
}

fn name(number: u64) -> String {
    format!("persons-{number}")
}

/// The newest whole file; what a crash left beside it is removed.
fn newest(dir: &Path) -> Result<Option<u64>, Fault> {
    let io = || Fault::io("list the counter folder");
    let mut found: Vec<u64> = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(io())? {
        let entry = entry.map_err(io())?;
        let file = entry.file_name();
        let number = file.to_str().and_then(|it| it.strip_prefix("persons-"));
        found.extend(number.and_then(|it| it.parse::<u64>().ok()));
    }
    found.sort_unstable();
    let newest = found.pop();
    for old in found {
        let old = dir.join(name(old));
        std::fs::remove_file(&old).map_err(Fault::io("remove an old counter file"))?;
    }
    Ok(newest)
}

/// The folder and the lock in it, for this user alone.
fn open_lock(dir: &Path) -> Result<File, Fault> {
    use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
    let io = || Fault::io("open the counter folder");
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(io())?;
    let lock = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(dir.join("lock"))
        .map_err(io())?;
    Ok(lock)
}

/// Takes the folder for this process, waiting a little for one that is ending.
async fn take(dir: &Path, lock: &File) -> Result<(), Fault> {
    let until = tokio::time::Instant::now() + TAKEN_WAIT_MAX;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(()),
            Err(std::fs::TryLockError::Error(error)) => {
                return Err(Fault::io("lock the counter folder")(error));
            }
            Err(std::fs::TryLockError::WouldBlock) if tokio::time::Instant::now() >= until => {
                return Err(Fault::Taken {
                    dir: dir.to_owned(),
                });
            }
            Err(std::fs::TryLockError::WouldBlock) => tokio::time::sleep(TAKEN_LOOK).await,
        }
    }
}
