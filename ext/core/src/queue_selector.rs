//! Which queues a pool takes jobs from, and the grammar of the setting that says so:
//! `pool (";" pool)*`, `pool = queues [":" threads]`, `queues = "*" | ["-" | "+"] name ("," name)*`.

use serde::Serialize;

use crate::error::Error;

/// Which queues a pool takes jobs from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "FlatSelector")]
pub enum QueueSelector {
    /// Every queue.
    All,
    /// Only these.
    Include(Vec<String>),
    /// Only these, and the first as long as it has jobs, then the second, and so on.
    Ordered(Vec<String>),
    /// Every queue but these.
    Exclude(Vec<String>),
}

/// One pool as the queue string names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PoolSpec {
    /// The queues as written, for logs and process rows.
    pub name: String,
    /// The queues, understood.
    pub queues: QueueSelector,
    /// Threads asked for; `None` leaves it to `max_threads`.
    pub max_threads: Option<usize>,
}

/// Reads a queue string such as `"mice:2;elephants:4"`.
///
/// # Errors
/// The part that cannot be understood, quoted, and what is allowed in its place.
pub fn parse(queues: &str) -> Result<Vec<PoolSpec>, Error> {
    if queues.trim().is_empty() {
        return Ok(vec![parse_pool("*", queues)?]);
    }
    let queues = queues.trim();
    let body = queues.strip_suffix(';').unwrap_or(queues);
    body.split(';').map(|pool| parse_pool(pool.trim(), queues)).collect()
}

fn parse_pool(pool: &str, whole: &str) -> Result<PoolSpec, Error> {
    let (name, threads) = match pool.rsplit_once(':') {
        Some((name, threads)) => (name.trim(), Some(parse_threads(threads.trim(), pool, whole)?)),
        None => (pool, None),
    };
    if name.is_empty() {
        return Err(Error::invalid_input(format!(
            "queues {whole:?}: the pool {pool:?} names no queue; write \"*\" for all queues, or remove it"
        )));
    }
    Ok(PoolSpec { name: name.to_owned(), queues: QueueSelector::parse(name, whole)?, max_threads: threads })
}

fn parse_threads(threads: &str, pool: &str, whole: &str) -> Result<usize, Error> {
    match threads.parse::<usize>() {
        Ok(count) if (1..=THREADS_MAX).contains(&count) => Ok(count),
        _ => Err(Error::invalid_input(format!(
            "queues {whole:?}: the thread count {threads:?} of the pool {pool:?} must be a whole number from 1 to {THREADS_MAX}"
        ))),
    }
}

/// Most threads that one pool may have.
pub const THREADS_MAX: usize = 1_000;

impl QueueSelector {
    /// Reads the queues of one pool, without its thread count.
    ///
    /// # Errors
    /// A list that names no queue.
    pub fn parse(queues: &str, whole: &str) -> Result<Self, Error> {
        let (list, select): (&str, fn(Vec<String>) -> Self) = match queues.chars().next() {
            Some('-') => (&queues[1..], Self::Exclude),
            Some('+') => (&queues[1..], Self::Ordered),
            _ => (queues, Self::Include),
        };
        let mut names: Vec<String> = Vec::new();
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        if names.iter().any(|name| name == "*") {
            return Ok(Self::All);
        }
        if names.is_empty() {
            return Err(Error::invalid_input(format!("queues {whole:?}: {queues:?} names no queue; write \"*\" for all queues")));
        }
        Ok(select(names))
    }

    /// Whether a job of this queue is for the pool.
    pub fn matches(&self, queue_name: Option<&str>) -> bool {
        let listed = |names: &[String]| queue_name.is_some_and(|queue| names.iter().any(|name| name == queue));
        match self {
            Self::All => true,
            Self::Include(names) | Self::Ordered(names) => listed(names),
            Self::Exclude(names) => !listed(names),
        }
    }
}

impl QueueSelector {
    /// The queues of a pool that goes by queue, in order: claims of one queue, or of queues one after the other, walk an index that
    /// begins with the queue. `None` for a pool that takes from several at once.
    pub fn in_turn(&self) -> Option<&[String]> {
        match self {
            Self::Ordered(names) => Some(names),
            Self::Include(names) if names.len() == 1 => Some(names),
            Self::Include(_) | Self::Exclude(_) | Self::All => None,
        }
    }

    /// A queue's place among [`Self::in_turn`], or every place if no queue is named; the one place 0 where queues are not in turn.
    pub fn places(&self, queue: Option<&str>) -> impl Iterator<Item = usize> + use<'_> {
        let places = match (self.in_turn(), queue) {
            (None, _) => 0..1,
            (Some(names), None) => 0..names.len(),
            (Some(names), Some(queue)) => names.iter().position(|name| name == queue).map_or(0..0, |place| place..place + 1),
        };
        places
    }
}

/// The shape in which GoodJob shows a parsed queue string.
#[derive(Debug, Clone, Serialize)]
struct FlatSelector {
    #[serde(skip_serializing_if = "Option::is_none")]
    all: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    include: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exclude: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ordered_queues: Option<bool>,
}

impl From<QueueSelector> for FlatSelector {
    fn from(selector: QueueSelector) -> Self {
        let none = Self { all: None, include: None, exclude: None, ordered_queues: None };
        match selector {
            QueueSelector::All => Self { all: Some(true), ..none },
            QueueSelector::Include(names) => Self { include: Some(names), ..none },
            QueueSelector::Ordered(names) => Self { include: Some(names), ordered_queues: Some(true), ..none },
            QueueSelector::Exclude(names) => Self { exclude: Some(names), ..none },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn reads_what_the_grammar_allows() {
        let cases = [
            ("", vec![("*", QueueSelector::All, None)]),
            ("   ", vec![("*", QueueSelector::All, None)]),
            ("*", vec![("*", QueueSelector::All, None)]),
            ("*:3", vec![("*", QueueSelector::All, Some(3))]),
            ("mice", vec![("mice", QueueSelector::Include(names(&["mice"])), None)]),
            (
                " mice : 2 ; elephants:4 ",
                vec![
                    ("mice", QueueSelector::Include(names(&["mice"])), Some(2)),
                    ("elephants", QueueSelector::Include(names(&["elephants"])), Some(4)),
                ],
            ),
            ("mice;", vec![("mice", QueueSelector::Include(names(&["mice"])), None)]),
            ("-mice, elephants:1", vec![("-mice, elephants", QueueSelector::Exclude(names(&["mice", "elephants"])), Some(1))]),
            ("+mice,elephants", vec![("+mice,elephants", QueueSelector::Ordered(names(&["mice", "elephants"])), None)]),
            ("mice,mice", vec![("mice,mice", QueueSelector::Include(names(&["mice"])), None)]),
            ("-mice,*", vec![("-mice,*", QueueSelector::All, None)]),
            ("+*", vec![("+*", QueueSelector::All, None)]),
            ("mi*e", vec![("mi*e", QueueSelector::Include(names(&["mi*e"])), None)]),
            ("a:b:2", vec![("a:b", QueueSelector::Include(names(&["a:b"])), Some(2))]),
        ];
        for (string, expected) in cases {
            let pools = parse(string).unwrap_or_else(|error| panic!("{string:?}: {error}"));
            let pools: Vec<_> = pools.iter().map(|pool| (pool.name.as_str(), pool.queues.clone(), pool.max_threads)).collect();
            assert_eq!(pools, expected, "{string:?}");
        }
    }

    #[test]
    fn quotes_the_part_that_it_cannot_read() {
        let cases = [
            ("mice;;elephants", "\"\""),
            (";mice", "\"\""),
            (":2", "\":2\""),
            ("mice:two", "\"two\""),
            ("mice:0", "\"0\""),
            ("mice:-1", "\"-1\""),
            ("mice:", "\"\""),
            ("mice:99999999999999999999", "\"99999999999999999999\""),
            ("-", "\"-\""),
            ("+,", "\"+,\""),
        ];
        for (string, quoted) in cases {
            let error = parse(string).expect_err(string);
            assert!(error.is_invalid_input());
            assert!(error.to_string().contains(quoted), "{string:?}: {error}");
        }
    }

    #[test]
    fn a_job_without_a_queue_belongs_to_pools_that_exclude() {
        assert!(QueueSelector::Exclude(names(&["mice"])).matches(None));
        assert!(!QueueSelector::Include(names(&["mice"])).matches(None));
        assert!(!QueueSelector::Exclude(names(&["mice"])).matches(Some("mice")));
        assert!(QueueSelector::All.matches(None));
    }

    mod properties {
        use proptest::prelude::*;

        use super::*;

        /// Anything at all, and strings made of what the grammar is made of: those get further into it.
        fn any_text() -> impl Strategy<Value = String> {
            prop_oneof![".*", "[ab*:;,+\\- 0-9\u{a0}ä]{0,24}"]
        }

        fn name() -> impl Strategy<Value = String> {
            "[a-z_.ä*-]{0,6}[a-z]"
        }

        /// A pool in the user's words, and what it means.
        fn pool() -> impl Strategy<Value = PoolSpec> {
            let sign = prop_oneof![Just(""), Just("+"), Just("-")];
            let names = proptest::collection::hash_set(name(), 1..4).prop_map(Vec::from_iter);
            (sign, names, proptest::option::of(1..=THREADS_MAX)).prop_filter_map(
                "a sign belongs to the list",
                |(sign, names, max_threads)| {
                    let written = format!("{sign}{}", names.join(","));
                    let queues = match sign {
                        "+" => QueueSelector::Ordered(names),
                        "-" => QueueSelector::Exclude(names),
                        _ if written.starts_with('-') => return None,
                        _ => QueueSelector::Include(names),
                    };
                    Some(PoolSpec { name: written, queues, max_threads })
                },
            )
        }

        fn print(pools: &[PoolSpec]) -> String {
            let pools = pools.iter().map(|pool| match pool.max_threads {
                Some(threads) => format!("{}:{threads}", pool.name),
                None => pool.name.clone(),
            });
            pools.collect::<Vec<_>>().join(";")
        }

        proptest! {
            #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

            #[test]
            fn any_text_is_read_or_refused_with_a_reason_that_quotes_it(text in any_text()) {
                if let Err(error) = parse(&text) {
                    prop_assert!(error.is_invalid_input());
                    prop_assert!(error.to_string().contains(&format!("{:?}", text.trim())), "{}", error);
                }
            }

            #[test]
            fn what_is_read_prints_as_what_is_read_again(text in any_text()) {
                if let Ok(pools) = parse(&text) {
                    prop_assert_eq!(parse(&print(&pools)).unwrap(), pools);
                }
            }

            #[test]
            fn what_is_printed_is_read_as_it_was(pools in proptest::collection::vec(pool(), 1..5)) {
                prop_assert_eq!(parse(&print(&pools)).unwrap(), pools);
            }

            #[test]
            fn every_pool_has_a_name_threads_within_bounds_and_a_list_without_repeats(text in any_text()) {
                for pool in parse(&text).unwrap_or_default() {
                    prop_assert!(!pool.name.is_empty());
                    prop_assert!(pool.max_threads.is_none_or(|threads| (1..=THREADS_MAX).contains(&threads)));
                    let (QueueSelector::Include(names) | QueueSelector::Ordered(names) | QueueSelector::Exclude(names)) = &pool.queues else {
                        continue;
                    };
                    prop_assert!(!names.is_empty());
                    prop_assert!(names.iter().all(|name| !name.is_empty() && name != "*" && name.trim() == name));
                    prop_assert_eq!(names.iter().collect::<std::collections::HashSet<_>>().len(), names.len());
                }
            }

            #[test]
            fn a_queue_belongs_to_a_list_or_to_all_but_that_list_never_to_both(text in any_text(), queue in proptest::option::of(name())) {
                for PoolSpec { queues, .. } in parse(&text).unwrap_or_default() {
                    let (QueueSelector::Include(names) | QueueSelector::Ordered(names) | QueueSelector::Exclude(names)) = queues else {
                        continue;
                    };
                    let queue = queue.as_deref();
                    let included = QueueSelector::Include(names.clone()).matches(queue);
                    prop_assert_eq!(QueueSelector::Ordered(names.clone()).matches(queue), included);
                    prop_assert_eq!(QueueSelector::Exclude(names).matches(queue), !included);
                }
            }

            #[test]
            fn a_pool_looks_for_a_job_exactly_where_its_queue_has_a_place(text in any_text(), queue in name()) {
                for PoolSpec { queues, .. } in parse(&text).unwrap_or_default() {
                    let places: Vec<usize> = queues.places(Some(&queue)).collect();
                    match queues.in_turn() {
                        Some(names) => {
                            prop_assert_eq!(places.len(), usize::from(queues.matches(Some(&queue))));
                            prop_assert!(places.iter().all(|place| names[*place] == queue));
                            prop_assert_eq!(queues.places(None).count(), names.len());
                        }
                        None => prop_assert_eq!(places, [0]),
                    }
                }
            }
        }
    }
}
