//! The index over one view: terms, facets and who may see, as sets of document numbers.
//!
//! It does not change under a reader: moving on copies what is shared and no more. A document keeps
//! its number for as long as its dataset is there.

use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::ordmap::DiffItem;
use imbl::{OrdMap, Vector};
use schemas::dataset::{Dataset, DatasetState};
use schemas::{DatasetId, ParticipantId, Visibility};

use super::set::{Bits, Set};
use super::terms::{Term, Wanted, of_query, of_text};
use super::{FACET_VALUES_MAX, Facet, Facets, Found, Place, Query, Sight};
use crate::View;

/// An index over the datasets of one view. Cloning shares everything.
#[derive(Clone, Debug, Default)]
pub struct Index {
    at: u64,
    datasets: OrdMap<DatasetId, Arc<Dataset>>,
    numbers: OrdMap<DatasetId, u32>,
    documents: Vector<Option<Arc<Dataset>>>,
    free: Vector<u32>,
    /// Terms of titles, summaries, themes and identifiers.
    terms: OrdMap<Term, Set>,
    /// Terms of titles.
    titles: OrdMap<Term, Set>,
    facets: OrdMap<(Facet, Arc<str>), Set>,
    /// Served, and open to the whole federation.
    open: Set,
    /// A participant's own, and served ones that name it.
    named: OrdMap<ParticipantId, Set>,
    /// No longer on the provider's desk.
    handed_in: Set,
}

/// The places of one dataset in the index.
#[derive(Default)]
struct Entry {
    terms: BTreeSet<Term>,
    titles: BTreeSet<Term>,
}

impl Index {
    /// An index over a view.
    #[must_use]
    pub fn of(view: &View) -> Self {
        let mut index = Self::default();
        index.follow(view);
        index
    }

    /// Whether the view is newer.
    #[must_use]
    pub fn is_behind(&self, view: &View) -> bool {
        self.at < view.index()
    }

    /// Moves on to a view. Costs what has changed, whatever the number of datasets.
    pub fn follow(&mut self, view: &View) {
        let before = std::mem::replace(&mut self.datasets, view.state().datasets.clone());
        let after = self.datasets.clone();
        for change in before.diff(&after) {
            match change {
                DiffItem::Add(_, new) => self.add(new),
                DiffItem::Update { old, new } => {
                    self.remove(old.1);
                    self.add(new.1);
                }
                DiffItem::Remove(_, old) => self.remove(old),
            }
        }
        self.at = view.index();
    }

    fn add(&mut self, dataset: &Arc<Dataset>) {
        let number = self.free.pop_back().unwrap_or_else(|| {
            self.documents.push_back(None);
            // The catalog limits datasets far below 2^32.
            u32::try_from(self.documents.len() - 1).unwrap_or(u32::MAX)
        });
        self.numbers.insert(dataset.id.clone(), number);
        self.put(number, Some(Arc::clone(dataset)));
        let entry = Entry::of(dataset);
        for (map, terms) in [
            (&mut self.terms, entry.terms),
            (&mut self.titles, entry.titles),
        ] {
            for term in terms {
                map.entry(term).or_default().insert(number);
            }
        }
        for facet in Facet::ALL {
            let key = (facet, value(dataset, facet).into());
            self.facets.entry(key).or_default().insert(number);
        }
        for reader in readers(dataset) {
            let named = self.named.entry(reader.clone()).or_default();
            named.insert(number);
        }
        if is_open(dataset) {
            self.open.insert(number);
        }
        if dataset.state != DatasetState::Draft {
            self.handed_in.insert(number);
        }
    }

    fn remove(&mut self, dataset: &Dataset) {
        let Some(number) = self.numbers.remove(&dataset.id) else {
            return;
        };
        self.put(number, None);
        self.free.push_back(number);
        let entry = Entry::of(dataset);
        for term in entry.terms {
            take_out(&mut self.terms, &term, number);
        }
        for term in entry.titles {
            take_out(&mut self.titles, &term, number);
        }
        for facet in Facet::ALL {
            let key = (facet, value(dataset, facet).into());
            take_out(&mut self.facets, &key, number);
        }
        for reader in readers(dataset) {
            take_out(&mut self.named, reader, number);
        }
        self.open.remove(number);
        self.handed_in.remove(number);
    }

    fn put(&mut self, number: u32, document: Option<Arc<Dataset>>) {
        if let Ok(at) = usize::try_from(number) {
            self.documents.set(at, document);
        }
    }

    /// Finds. `authority` is the supervising one of the same view.
    #[must_use]
    pub fn search(&self, authority: Option<&ParticipantId>, query: &Query<'_>) -> Found {
        let mut found = self.visible(authority, query.sight);
        self.keep_facets(&mut found, query);
        let wanted = of_query(query.words);
        for wanted in &wanted {
            found.keep(&any(&self.terms, wanted));
        }
        let total = found.len();
        let facets = if query.facets {
            self.count(&found)
        } else {
            Facets::new()
        };
        // What has all words in its title comes first, if there are words.
        let mut first = found.clone();
        if !wanted.is_empty() {
            for wanted in &wanted {
                first.keep(&any(&self.titles, wanted));
            }
            found.drop_all(&first);
        } else {
            found = Bits::default();
        }
        let (items, next) = self.page(&[first, found], query);
        Found {
            items,
            next,
            total,
            facets,
        }
    }

    fn visible(&self, authority: Option<&ParticipantId>, sight: Sight<'_>) -> Bits {
        let mut visible = Bits::default();
        match sight {
            Sight::Unfiltered => {
                visible = Bits::below(self.documents.len());
                for number in &self.free {
                    let mut free = Set::default();
                    free.insert(*number);
                    let mut bits = Bits::default();
                    bits.add(&free);
                    visible.drop_all(&bits);
                }
            }
            Sight::Participant(reader) => {
                visible.add(&self.open);
                if let Some(named) = self.named.get(reader) {
                    visible.add(named);
                }
                if authority == Some(reader) {
                    visible.add(&self.handed_in);
                }
            }
        }
        visible
    }

    fn keep_facets(&self, found: &mut Bits, query: &Query<'_>) {
        let chosen = [
            (Facet::Provider, query.provider.map(ParticipantId::as_str)),
            (Facet::Grade, query.grade.map(|it| it.as_str())),
            (Facet::Share, query.share.map(|it| it.as_str())),
            (Facet::Cycle, query.cycle.map(|it| it.as_str())),
            (Facet::Theme, query.theme),
        ];
        for (facet, value) in chosen {
            let Some(value) = value else { continue };
            let mut having = Bits::default();
            if let Some(set) = self.facets.get(&(facet, value.into())) {
                having.add(set);
            }
            found.keep(&having);
        }
    }

    fn count(&self, found: &Bits) -> Facets {
        let mut facets = Facets::new();
        for ((facet, value), set) in &self.facets {
            let count = found.count(set);
            if count > 0 {
                let counts = facets.entry(*facet).or_default();
                counts.push((Arc::clone(value), count));
            }
        }
        for counts in facets.values_mut() {
            counts.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
            counts.truncate(FACET_VALUES_MAX);
        }
        facets
    }

    /// The page behind `after`, out of what is first and what comes then.
    fn page(&self, tiers: &[Bits; 2], query: &Query<'_>) -> (Vec<Arc<Dataset>>, Option<Place>) {
        let limit = query.limit.max(1);
        let mut items: Vec<Arc<Dataset>> = Vec::new();
        for (tier, beyond_titles) in tiers.iter().zip([false, true]) {
            let after = match &query.after {
                Some(place) if place.beyond_titles && !beyond_titles => continue,
                Some(place) if place.beyond_titles == beyond_titles => Some(&place.id),
                _ => None,
            };
            let room = limit - items.len();
            let mut more = self.in_order(tier, after, room + 1);
            let full = more.len() > room;
            more.truncate(room);
            items.extend(more);
            if full {
                // Of an empty page of this tier, the last item is one of the tier before.
                let before = items.len() == limit && room == 0;
                let next = items.last().map(|last| Place {
                    beyond_titles: beyond_titles && !before,
                    id: last.id.clone(),
                });
                return (items, next);
            }
        }
        (items, None)
    }

    /// The first `most` of a set behind `after`, in the order of identifiers.
    fn in_order(&self, set: &Bits, after: Option<&DatasetId>, most: usize) -> Vec<Arc<Dataset>> {
        use std::ops::Bound::{Excluded, Unbounded};
        if set.len() > self.documents.len() / SPARSE {
            // So many that walking in order meets the next one soon.
            let from = after.map_or(Unbounded, Excluded);
            let walk = self.numbers.range::<_, DatasetId>((from, Unbounded));
            let hit = walk.filter(|(_, number)| set.has(**number));
            return hit
                .take(most)
                .filter_map(|(_, number)| self.document(*number))
                .cloned()
                .collect();
        }
        let all = set.numbers().filter_map(|number| self.document(number));
        let mut behind: Vec<&Arc<Dataset>> = all
            .filter(|it| after.is_none_or(|after| it.id > *after))
            .collect();
        if behind.len() > most {
            behind.select_nth_unstable_by(most, |one, other| one.id.cmp(&other.id));
            behind.truncate(most);
        }
        behind.sort_unstable_by(|one, other| one.id.cmp(&other.id));
        behind.into_iter().cloned().collect()
    }

    fn document(&self, number: u32) -> Option<&Arc<Dataset>> {
        self.documents.get(usize::try_from(number).ok()?)?.as_ref()
    }
}

impl Entry {
    fn of(dataset: &Dataset) -> Self {
        let mut entry = Self::default();
        of_text(&dataset.title.zh, &mut entry.titles);
        of_text(&dataset.title.en, &mut entry.titles);
        entry.terms.clone_from(&entry.titles);
        for text in [
            dataset.id.as_str(),
            &dataset.summary.zh,
            &dataset.summary.en,
            &dataset.theme,
        ] {
            of_text(text, &mut entry.terms);
        }
        entry
    }
}

/// Everything that has any term of a range.
fn any(terms: &OrdMap<Term, Set>, wanted: &Wanted) -> Bits {
    let mut bits = Bits::default();
    for (_, set) in terms.range(wanted.clone()) {
        bits.add(set);
    }
    bits
}

fn take_out<K: Ord + Clone>(map: &mut OrdMap<K, Set>, key: &K, number: u32) {
    if let Some(set) = map.get_mut(key) {
        set.remove(number);
        if set.is_empty() {
            map.remove(key);
        }
    }
}

fn value(dataset: &Dataset, facet: Facet) -> &str {
    match facet {
        Facet::Provider => dataset.provider.as_str(),
        Facet::Grade => dataset.grade.as_str(),
        Facet::Share => dataset.share.as_str(),
        Facet::Cycle => dataset.update_cycle.as_str(),
        Facet::Theme => &dataset.theme,
    }
}

fn is_open(dataset: &Dataset) -> bool {
    dataset.is_served() && dataset.visibility == Visibility::Federation
}

/// Who sees it by name: its provider in any state, and who is named once it is served.
fn readers(dataset: &Dataset) -> BTreeSet<&ParticipantId> {
    let mut readers = BTreeSet::from([&dataset.provider]);
    if let Visibility::Parties(parties) = &dataset.visibility
        && dataset.is_served()
    {
        readers.extend(parties);
    }
    readers
}

/// One in so many is found soon by walking.
const SPARSE: usize = 32;
