//! The counter home against plain sets, with every way a reservation can go, crashes and reopening
//! among them.

#![expect(clippy::unwrap_used, reason = "a helper that fails is a failed test")]

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use crypto::SoftwareKey;
use enforcement::counters::{CounterHome, Fault, Flags, Kept, Person, Reservation};
use proptest::prelude::*;
use schemas::InstrumentId;
use schemas::calendar::Day;
use schemas::export::{BatchCount, InstrumentCount, PersonCounts};

const YEAR: u16 = 2026;

fn instrument(at: usize) -> InstrumentId {
    InstrumentId::parse(format!("i-{at}")).unwrap()
}

fn instruments() -> [InstrumentId; 2] {
    [instrument(0), instrument(1)]
}

fn open(dir: &Path, key: &SoftwareKey) -> Result<Arc<CounterHome>, Fault> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build().unwrap();
    runtime.block_on(CounterHome::open(dir, key))
}

/// What a person is in a batch: her number, and whether with each kind of information.
type Row = (u8, bool, bool);

fn kinds(row: Row) -> Flags {
    let some = |has: bool, flags| if has { flags } else { Flags::NONE };
    some(row.1, Flags::PERSONAL).and(some(row.2, Flags::SENSITIVE))
}

fn reserve(home: &Arc<CounterHome>, rows: &[Row]) -> (Reservation, PersonCounts) {
    let ids: Vec<[u8; 1]> = rows.iter().map(|row| [row.0]).collect();
    let persons: Vec<Person<'_>> = ids
        .iter()
        .zip(rows)
        .map(|(id, row)| Person {
            id,
            kinds: kinds(*row),
        })
        .collect();
    let mut count = home.begin(YEAR, &instruments()).unwrap();
    // In two parts, so that persons come again in another one.
    let (first, second) = persons.split_at(persons.len() / 2);
    count.take(first).unwrap();
    count.take(second).unwrap();
    home.reserve(count, YEAR, &instruments()).unwrap()
}

/// What happens to a reservation.
#[derive(Clone, Debug)]
enum Fate {
    /// Given back at once.
    Unspent,
    /// Kept; then sent, given back, or left to a crash.
    Kept {
        exempt: bool,
        under: usize,
        sent: bool,
    },
    /// The program ends with it open and not kept.
    Lost,
    /// The program ends with it kept.
    LostKept { exempt: bool, under: usize },
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![
        Just(Fate::Unspent),
        (any::<bool>(), 0_usize..3, any::<bool>()).prop_map(|(exempt, under, sent)| Fate::Kept {
            exempt,
            under,
            sent
        }),
        Just(Fate::Lost),
        (any::<bool>(), 0_usize..3).prop_map(|(exempt, under)| Fate::LostKept { exempt, under }),
    ]
}

fn kept(exempt: bool, under: usize) -> Kept {
    Kept {
        exempt,
        instruments: (under < 2).then(|| instrument(under)).into_iter().collect(),
    }
}

/// The plain model: who was sent how.
#[derive(Clone, Default)]
struct Model {
    counted: [HashSet<u8>; 2],
    exempt: [HashSet<u8>; 2],
    under: BTreeMap<InstrumentId, HashSet<u8>>,
}

impl Model {
    fn send(&mut self, rows: &[Row], kept: Option<&Kept>) {
        let exempt = kept.is_some_and(|it| it.exempt);
        let year = if exempt {
            &mut self.exempt
        } else {
            &mut self.counted
        };
        year[0].extend(rows.iter().filter(|row| row.1).map(|row| row.0));
        year[1].extend(rows.iter().filter(|row| row.2).map(|row| row.0));
        for id in instruments() {
            if kept.is_none_or(|it| it.instruments.contains(&id)) {
                let anyhow = rows.iter().filter(|row| row.1 || row.2);
                self.under
                    .entry(id)
                    .or_default()
                    .extend(anyhow.map(|row| row.0));
            }
        }
    }

    fn counts(&self, batch: Option<BatchCount>) -> PersonCounts {
        let number = |it: usize| u64::try_from(it).unwrap();
        let all = |at: usize| number(self.counted[at].union(&self.exempt[at]).count());
        let exempt = |at: usize| number(self.exempt[at].difference(&self.counted[at]).count());
        PersonCounts {
            year: YEAR,
            non_sensitive: all(0),
            sensitive: all(1),
            exempt_non_sensitive: exempt(0),
            exempt_sensitive: exempt(1),
            under: instruments()
                .into_iter()
                .map(|instrument| InstrumentCount {
                    persons: number(self.under.get(&instrument).map_or(0, HashSet::len)),
                    instrument,
                })
                .collect(),
            batch,
        }
    }
}

fn batch(rows: &[Row]) -> BatchCount {
    let distinct = |wanted: fn(&Row) -> bool| {
        let persons: HashSet<u8> = rows.iter().filter(|it| wanted(it)).map(|it| it.0).collect();
        u64::try_from(persons.len()).unwrap()
    };
    BatchCount {
        non_sensitive: distinct(|it| it.1),
        sensitive: distinct(|it| it.2),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_becomes_of_reservations_the_figures_are_those_of_plain_sets(
        steps in prop::collection::vec(
            (prop::collection::vec((any::<u8>(), any::<bool>(), any::<bool>()), 0..60), fate()),
            1..8,
        ),
    ) {
        let (mut dir, key) = (tempfile::tempdir().unwrap(), SoftwareKey::generate().unwrap());
        let mut home = open(dir.path(), &key).unwrap();
        let mut model = Model::default();
        for (rows, fate) in steps {
            let (reservation, counts) = reserve(&home, &rows);
            // Before it is known what for, it counts for everything.
            let mut strict = model.clone();
            strict.send(&rows, None);
            prop_assert_eq!(counts, strict.counts(Some(batch(&rows))));
            match fate {
                Fate::Unspent => drop(reservation),
                Fate::Kept { exempt, under, sent } => {
                    let kept = kept(exempt, under);
                    reservation.keep(kept.clone(), None).unwrap();
                    let mut reserved = model.clone();
                    reserved.send(&rows, Some(&kept));
                    prop_assert_eq!(home.counts(YEAR, &instruments()), reserved.counts(None));
                    if sent {
                        reservation.begin_sending();
                        model = reserved;
                    }
                    drop(reservation);
                }
                Fate::Lost => {
                    model.send(&rows, None);
                    dir = crashed(&dir);
                    std::mem::forget(reservation);
                    home = open(dir.path(), &key).unwrap();
                }
                Fate::LostKept { exempt, under } => {
                    let kept = kept(exempt, under);
                    reservation.keep(kept.clone(), None).unwrap();
                    model.send(&rows, Some(&kept));
                    dir = crashed(&dir);
                    std::mem::forget(reservation);
                    home = open(dir.path(), &key).unwrap();
                }
            }
            prop_assert_eq!(home.counts(YEAR, &instruments()), model.counts(None));
        }
        home.compact().unwrap();
        prop_assert_eq!(home.counts(YEAR, &instruments()), model.counts(None));
        drop(home);
        let home = open(dir.path(), &key).unwrap();
        prop_assert_eq!(home.counts(YEAR, &instruments()), model.counts(None));
    }
}

/// What a crash leaves: the files as they are, while somebody still has them open.
fn crashed(dir: &tempfile::TempDir) -> tempfile::TempDir {
    let left = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), left.path().join(entry.file_name())).unwrap();
    }
    left
}

#[test]
fn many_at_one_time_reserve_and_settle_and_nobody_is_lost_or_counted_twice() {
    let (dir, key) = (
        tempfile::tempdir().unwrap(),
        SoftwareKey::generate().unwrap(),
    );
    let home = open(dir.path(), &key).unwrap();
    let mut expected: HashMap<u8, ()> = HashMap::new();
    std::thread::scope(|scope| {
        for worker in 0..8_u8 {
            let home = &home;
            let mine: Vec<Row> = (0..100)
                .map(|it| (it * 2 + worker % 2, true, false))
                .collect();
            expected.extend(mine.iter().map(|row| (row.0, ())));
            scope.spawn(move || {
                for (at, rows) in mine.chunks(10).enumerate() {
                    let (reservation, _) = reserve(home, rows);
                    reservation.keep(kept(false, 0), None).unwrap();
                    // Every batch goes twice: once given back, once sent.
                    if at % 2 == 0 {
                        drop(reservation);
                        let (again, _) = reserve(home, rows);
                        again.keep(kept(false, 0), None).unwrap();
                        again.begin_sending();
                    } else {
                        reservation.begin_sending();
                    }
                }
            });
        }
    });
    let counts = home.counts(YEAR, &instruments());
    let persons = u64::try_from(expected.len()).unwrap();
    assert_eq!((counts.non_sensitive, counts.sensitive), (persons, 0));
    assert_eq!(counts.under[0].persons, persons);
    assert_eq!(counts.under[1].persons, 0);
}

#[test]
fn the_last_crossing_and_the_years_outlive_the_program() {
    let (dir, key) = (
        tempfile::tempdir().unwrap(),
        SoftwareKey::generate().unwrap(),
    );
    let day = Day::parse("2026-11-29").unwrap();
    let home = open(dir.path(), &key).unwrap();
    let (reservation, _) = reserve(&home, &[(1, true, false)]);
    reservation.keep(kept(false, 0), Some(day)).unwrap();
    assert!(matches!(open(dir.path(), &key), Err(Fault::Taken { .. })));
    drop(reservation);
    drop(home);
    let home = open(dir.path(), &key).unwrap();
    assert_eq!((home.crossed_on(), home.years()), (Some(day), vec![YEAR]));
    home.compact().unwrap();
    drop(home);
    let other = SoftwareKey::generate().unwrap();
    assert!(matches!(open(dir.path(), &other), Err(Fault::Key(_))));
    let home = open(dir.path(), &key).unwrap();
    assert_eq!((home.crossed_on(), home.years()), (Some(day), vec![YEAR]));
}

/// A file cut at any byte opens, and nobody who had been settled or reserved before is missing.
#[test]
fn a_file_cut_anywhere_counts_no_fewer_than_were_durable_by_then() {
    let (dir, key) = (
        tempfile::tempdir().unwrap(),
        SoftwareKey::generate().unwrap(),
    );
    let home = open(dir.path(), &key).unwrap();
    let file = dir.path().join("persons-1");
    let mut durable = vec![(0, 0)];
    for person in 0..4_u8 {
        let (reservation, counts) = reserve(&home, &[(person, true, false)]);
        let bytes = std::fs::metadata(&file).unwrap().len();
        durable.push((bytes, counts.non_sensitive));
        reservation.begin_sending();
    }
    drop(home);
    let whole = std::fs::read(&file).unwrap();
    let near = |cut: &usize| {
        let ends = durable
            .iter()
            .map(|(bytes, _)| usize::try_from(*bytes).unwrap());
        cut.is_multiple_of(17) || ends.into_iter().any(|end| end.abs_diff(*cut) < 2)
    };
    for cut in (0..=whole.len()).filter(near) {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("persons-1"), &whole[..cut]).unwrap();
        let home = open(place.path(), &key).unwrap();
        let cut = u64::try_from(cut).unwrap();
        let reached = durable.iter().rfind(|(bytes, _)| *bytes <= cut).unwrap();
        let found = home.counts(YEAR, &[]).non_sensitive;
        assert_eq!(found, reached.1, "cut at {cut}");
    }
}
