use std::collections::BTreeMap;

use crypto::Digest;
use proptest::prelude::*;
use schemas::canonical;
use schemas::dataset::DatasetState;
use schemas::{LocalText, Visibility};

use super::*;
use crate::state::{RecordKey, SNAPSHOT_FORMAT, SnapshotHeader, State};

fn party(number: u8) -> ParticipantId {
    ParticipantId::parse(format!("p{number}")).unwrap()
}

/// What differs between the datasets of these tests.
#[derive(Clone, Debug)]
struct Card {
    provider: u8,
    title: usize,
    summary: usize,
    grade: usize,
    state: usize,
    parties: Option<Vec<u8>>,
}

const TITLES: &[(&str, &str)] = &[
    ("集装箱吞吐量", "Container throughput"),
    ("船舶进出港", "Vessel calls"),
    ("港口船舶动态", "Vessel movements in port"),
    ("报关单", "Customs declarations"),
    ("航班", "Flights"),
];

const SUMMARIES: &[(&str, &str)] = &[
    ("各港口每月集装箱数量", "Containers by port and month"),
    ("自动识别系统的船舶位置", "Positions of vessels by AIS"),
    ("", ""),
];

fn dataset(id: &str, card: &Card) -> Dataset {
    let template = include_str!("../../../schemas/json/records/examples/dataset.travellers.json");
    let mut dataset: Dataset = serde_json::from_str(template).unwrap();
    let (title, summary) = (TITLES[card.title], SUMMARIES[card.summary]);
    dataset.id = DatasetId::parse(id).unwrap();
    dataset.provider = party(card.provider);
    dataset.title = LocalText::new(title.0, title.1);
    dataset.summary = LocalText::new(summary.0, summary.1);
    dataset.theme = "交通".to_owned();
    dataset.grade = Grade::ALL[card.grade];
    dataset.state = DatasetState::ALL[card.state];
    dataset.visibility = match &card.parties {
        None => Visibility::Federation,
        Some(parties) => Visibility::Parties(parties.iter().map(|it| party(*it)).collect()),
    };
    dataset
}

/// A view with just these datasets.
fn view(index: u64, cards: &BTreeMap<String, Card>) -> View {
    let mut digests = crypto::merkle::map::MerkleMap::new();
    let mut records = Vec::new();
    for (id, card) in cards {
        let bytes = canonical::to_bytes(&dataset(id, card)).unwrap();
        let key = RecordKey::parse(&format!("dataset/{id}")).unwrap();
        digests.insert(key.as_str().as_bytes(), Digest::of(&bytes));
        records.push((key, bytes));
    }
    let header = SnapshotHeader {
        format: SNAPSHOT_FORMAT,
        applied: index,
        digest: digests.root(),
        records: digests.len(),
    };
    View::new(State::from_records(&header, records).unwrap())
}

fn card() -> impl Strategy<Value = Card> {
    let parties = prop::option::of(prop::collection::vec(0_u8..4, 0..3));
    let numbers = (0_u8..4, 0..TITLES.len(), 0..SUMMARIES.len());
    let codes = (0..Grade::ALL.len(), 0..DatasetState::ALL.len());
    (numbers, codes, parties).prop_map(|((provider, title, summary), (grade, state), parties)| {
        Card {
            provider,
            title,
            summary,
            grade,
            state,
            parties,
        }
    })
}

fn cards() -> impl Strategy<Value = BTreeMap<String, Card>> {
    prop::collection::btree_map("[a-c][0-9]{1,2}", card(), 0..40)
}

/// The rule by the book: one dataset after the other.
fn may_see(dataset: &Dataset, authority: &ParticipantId, reader: &ParticipantId) -> bool {
    dataset.provider == *reader
        || (dataset.is_served() && dataset.visibility.admits(reader))
        || (authority == reader && dataset.state != DatasetState::Draft)
}

fn by_the_book(
    view: &View,
    reader: &ParticipantId,
    words: &[&str],
    grade: Option<Grade>,
) -> Vec<DatasetId> {
    let authority = party(0);
    let within = |text: &str| words.iter().all(|word| text.contains(word));
    let mut found: Vec<(bool, DatasetId)> = view
        .datasets()
        .filter(|it| may_see(it, &authority, reader))
        .filter(|it| grade.is_none_or(|grade| grade == it.grade))
        .filter_map(|it| {
            let titles = format!("{} {}", it.title.zh, it.title.en).to_lowercase();
            let rest = format!("{} {} {}", it.id, it.summary.zh, it.summary.en).to_lowercase();
            let all = format!("{titles} {rest} {}", it.theme);
            let beyond_titles = !words.is_empty() && !within(&titles);
            within(&all).then(|| (beyond_titles, it.id.clone()))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, id)| id).collect()
}

fn pages(index: &Index, query: &Query<'_>) -> (Vec<DatasetId>, usize) {
    let authority = party(0);
    let (mut ids, mut query, mut total) = (Vec::new(), query.clone(), 0);
    loop {
        let found = index.search(Some(&authority), &query);
        ids.extend(found.items.iter().map(|it| it.id.clone()));
        total = total.max(found.total);
        query.after = found.next;
        if query.after.is_none() {
            return (ids, total);
        }
    }
}

/// Words that bigrams, beginnings and the book agree on.
const WORDS: &[&str] = &[
    "集装箱",
    "船舶",
    "港口",
    "vessel",
    "container",
    "port",
    "交通",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn what_is_found_is_what_the_book_finds_and_pages_neither_skip_nor_repeat(
        cards in cards(),
        reader in 0_u8..4,
        words in prop::sample::subsequence(WORDS, 0..3),
        grade in prop::option::of(0..Grade::ALL.len()),
        limit in 1_usize..9,
    ) {
        let view = view(1, &cards);
        let (reader, grade) = (party(reader), grade.map(|it| Grade::ALL[it]));
        let text = words.join(" ");
        let query = Query {
            words: &text,
            grade,
            facets: true,
            ..Query::all(Sight::Participant(&reader), limit)
        };
        let index = Index::of(&view);
        let expected = by_the_book(&view, &reader, &words, grade);
        let (found, total) = pages(&index, &query);
        prop_assert_eq!(total, expected.len());
        prop_assert_eq!(&found, &expected);
        let counted = index.search(Some(&party(0)), &query).facets;
        let by_grade: usize = counted
            .get(&Facet::Grade)
            .map_or(0, |counts| counts.iter().map(|it| it.1).sum());
        prop_assert_eq!(by_grade, expected.len());
    }

    #[test]
    fn an_index_that_followed_answers_as_one_that_is_made_anew(
        steps in prop::collection::vec(cards(), 1..5),
        reader in 0_u8..4,
        word in prop::sample::select(WORDS),
    ) {
        let reader = party(reader);
        let mut followed = Index::default();
        for (at, cards) in steps.iter().enumerate() {
            let view = view(u64::try_from(at).unwrap() + 1, cards);
            followed.follow(&view);
            prop_assert!(!followed.is_behind(&view));
            let anew = Index::of(&view);
            for sight in [Sight::Participant(&reader), Sight::Unfiltered] {
                for words in ["", word] {
                    let query = Query { words, facets: true, ..Query::all(sight, 1_000) };
                    let (one, other) =
                        (followed.search(None, &query), anew.search(None, &query));
                    prop_assert_eq!(one, other);
                }
            }
        }
    }
}

#[test]
fn what_a_reader_may_not_discover_is_neither_listed_nor_counted() {
    let hidden = Card {
        provider: 1,
        title: 0,
        summary: 0,
        grade: 0,
        state: 6,
        parties: Some(vec![2]),
    };
    let view = view(1, &BTreeMap::from([("a".to_owned(), hidden)]));
    let index = Index::of(&view);
    let count = |reader| {
        let reader = party(reader);
        let query = Query {
            words: "集装箱",
            facets: true,
            ..Query::all(Sight::Participant(&reader), 10)
        };
        let found = index.search(Some(&party(0)), &query);
        assert_eq!(found.items.len(), found.total);
        assert_eq!(found.facets.is_empty(), found.total == 0);
        found.total
    };
    // The authority, the provider, who is named, and who is not.
    assert_eq!([0, 1, 2, 3].map(count), [1, 1, 1, 0]);
}

/// Each case parses and indexes up to two hundred cards.
const CASES: u32 = 48;
