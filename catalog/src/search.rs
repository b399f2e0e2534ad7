//! Finds datasets: words in Chinese and English, facets, and only what the reader may discover.
//!
//! It does not decide who may ask, the enforcement point does, and it holds no text of its own:
//! the index is made from a view and moved on by what two views differ in. It is never stored.
//!
//! ```text
//!   view n --differences--> view n+1        words --> terms --> sets of documents
//!                |                                                   |
//!                '--> terms, facets, who may see  --> index --> and, or, count --> page
//! ```
//!
//! A reader sees a dataset that is hers, or that is served and open to all or to her by name; the
//! supervising authority sees what has left its provider's desk as well.

mod index;
mod set;
mod terms;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use schemas::dataset::{Dataset, Grade, ShareAttribute, UpdateCycle};
use schemas::{DatasetId, ParticipantId};

use crate::View;

pub use index::Index;

/// Whose eyes a search has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight<'a> {
    /// A participant's: what it may not discover does not exist.
    Participant(&'a ParticipantId),
    /// Nobody's: everything in the catalog. For work of the node itself, never for an answer.
    Unfiltered,
}

/// What to find.
#[derive(Clone, Debug)]
pub struct Query<'a> {
    /// Whose eyes.
    pub sight: Sight<'a>,
    /// Words in title, summary, theme or identifier; all must occur. Latin words match by their
    /// beginning, Chinese by every two neighbouring characters.
    pub words: &'a str,
    /// Only of this provider.
    pub provider: Option<&'a ParticipantId>,
    /// Only of this grade.
    pub grade: Option<Grade>,
    /// Only with this share attribute.
    pub share: Option<ShareAttribute>,
    /// Only with this update cycle.
    pub cycle: Option<UpdateCycle>,
    /// Only of this theme.
    pub theme: Option<&'a str>,
    /// Go on behind this place.
    pub after: Option<Place>,
    /// Most datasets in the answer.
    pub limit: usize,
    /// Whether facets are counted.
    pub facets: bool,
}

impl<'a> Query<'a> {
    /// Everything that is to be seen, in the order of identifiers.
    #[must_use]
    pub const fn all(sight: Sight<'a>, limit: usize) -> Self {
        Self {
            sight,
            words: "",
            provider: None,
            grade: None,
            share: None,
            cycle: None,
            theme: None,
            after: None,
            limit,
            facets: false,
        }
    }
}

/// Where a page ends: datasets whose title has all words come first, and then the others, each in
/// the order of identifiers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Whether this is among the others.
    pub beyond_titles: bool,
    /// The last dataset of the page.
    pub id: DatasetId,
}

/// By what found datasets are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Facet {
    /// The provider.
    Provider,
    /// The grade.
    Grade,
    /// The share attribute.
    Share,
    /// The update cycle.
    Cycle,
    /// The theme.
    Theme,
}

impl Facet {
    /// Every facet.
    pub const ALL: [Self; 5] = [
        Self::Provider,
        Self::Grade,
        Self::Share,
        Self::Cycle,
        Self::Theme,
    ];

    /// The stable text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Grade => "grade",
            Self::Share => "share",
            Self::Cycle => "update_cycle",
            Self::Theme => "theme",
        }
    }
}

/// How many of the found datasets have each value of each facet, most first, at most
/// [`FACET_VALUES_MAX`] of each.
pub type Facets = BTreeMap<Facet, Vec<(Arc<str>, usize)>>;

/// Most values of one facet in an answer: a list that nobody reads further.
pub const FACET_VALUES_MAX: usize = 50;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// One page.
    pub items: Vec<Arc<Dataset>>,
    /// Where the next page begins; none at the end.
    pub next: Option<Place>,
    /// How many there are in all, before [`Query::after`].
    pub total: usize,
    /// Counts, when they were asked for.
    pub facets: Facets,
}

/// The index that follows the newest view of this node.
#[derive(Default)]
pub(crate) struct Searcher {
    index: Mutex<Arc<Index>>,
}

impl Searcher {
    /// Finds in `view`. The first call indexes all of it, a later one what has changed.
    pub(crate) fn search(&self, view: &View, query: &Query<'_>) -> Found {
        self.follow(view).search(view.authority(), query)
    }

    /// The index at `view`, or at a newer one that somebody else brought.
    pub(crate) fn follow(&self, view: &View) -> Arc<Index> {
        let mut index = self.index.lock().unwrap_or_else(PoisonError::into_inner);
        if index.is_behind(view) {
            Arc::make_mut(&mut index).follow(view);
        }
        Arc::clone(&index)
    }
}

#[cfg(test)]
mod tests;
