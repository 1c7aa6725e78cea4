//! Whether what rules select exists: many selectors in one query, as cheaply as the server can tell.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::config::Config;
use super::facts::{SelectorFacts, SelectorState};
use super::kept::Kept;
use super::selectors::{self, Clause, Selector, is_classic, quoted};
use super::wire::{self, QueryResult, RuleGroups, RuleType};
use crate::evidence::{Observed, Unknown, UnknownWhy};
use crate::net::api::{Api, ApiError, short};

const MAX_CLAUSES: usize = 5_000;
const MAX_RULES: usize = 10_000;
/// Rules named with a selector.
const MAX_RULES_NAMED: usize = 10;
const BATCH: usize = 50;
const BATCH_BYTES: usize = 16 * 1024;
/// The label that tells the parts of a batch apart; no metric has it.
const TAG: &str = "__probe_selector";
/// A part of every batch that must come back: without it an empty answer would prove nothing.
const CONTROL: &str = "control";
/// A series that ended within the last hour existed.
const RECENT_SECONDS: u64 = 3_600;

/// A clause, and the rules that need it.
type Wanted = BTreeMap<Clause, Vec<String>>;

/// Asks about every selector of every rule.
pub(super) async fn observe(
    api: &Api,
    groups: &RuleGroups,
    config: &Config,
    kept: &Kept,
    deadline: Instant,
) -> Observed<Vec<SelectorFacts>> {
    let named: Vec<(&str, &str)> = groups
        .groups
        .iter()
        .flat_map(|group| group.rules.iter())
        .map(|rule| (rule.name.as_str(), rule.query.as_str()))
        .collect();
    if named.len() > MAX_RULES {
        let detail = format!("more than {MAX_RULES} rules");
        return Observed::unknown(UnknownWhy::TooLarge, detail);
    }
    let expressions = named.iter().map(|(_, query)| (*query).to_owned()).collect();
    // Half of the time is for asking.
    let left = deadline.saturating_duration_since(Instant::now());
    let read = selectors::read_all(expressions, Instant::now() + left / 2).await;
    let mut wanted = Wanted::new();
    let mut unread = Vec::new();
    for ((rule, query), needs) in named.iter().zip(read) {
        match needs {
            Ok(needs) => want(&mut wanted, rule, needs, config),
            Err(error) => unread.push(unread_facts(rule, query, error)),
        }
    }
    if wanted.len() + unread.len() > MAX_CLAUSES {
        let detail = format!("more than {MAX_CLAUSES} selectors");
        return Observed::unknown(UnknownWhy::TooLarge, detail);
    }
    let states = states(api, &wanted, &recorded(groups), deadline).await;
    let facts = wanted.into_iter().map(|(clause, rules)| SelectorFacts {
        name: name_of(&clause),
        rules,
        state: best(&clause, &states),
    });
    kept.list("selectors", MAX_CLAUSES, facts.chain(unread), |facts| {
        facts.name.len() + facts.rules.iter().map(String::len).sum::<usize>()
    })
}

fn want(wanted: &mut Wanted, rule: &str, needs: Vec<Clause>, config: &Config) {
    for clause in needs {
        let is_excused = |selector: &Selector| {
            let metric = selector.metric.as_ref();
            metric.is_some_and(|metric| config.may_be_absent.contains(metric))
        };
        if clause.keys().any(is_excused) {
            continue;
        }
        let rules = wanted.entry(clause).or_default();
        if rules.len() < MAX_RULES_NAMED && !rules.iter().any(|known| known == rule) {
            rules.push(rule.to_owned());
        }
    }
}

fn unread_facts(rule: &str, query: &str, error: String) -> SelectorFacts {
    SelectorFacts {
        name: short(query, 200),
        rules: vec![rule.to_owned()],
        state: Observed::unknown(UnknownWhy::Unparseable, error),
    }
}

fn name_of(clause: &Clause) -> String {
    let names: Vec<&str> = clause.keys().map(|selector| &*selector.text).collect();
    names.join(" or ")
}

/// What recording rules make, and whether one of that name has been evaluated.
fn recorded(groups: &RuleGroups) -> HashMap<&str, bool> {
    let mut recorded = HashMap::new();
    for rule in groups.groups.iter().flat_map(|group| &group.rules) {
        if rule.kind == RuleType::Recording {
            *recorded.entry(&*rule.name).or_default() |= rule.health == "ok";
        }
    }
    recorded
}

type States = HashMap<Selector, Observed<SelectorState>>;

async fn states(
    api: &Api,
    wanted: &Wanted,
    recorded: &HashMap<&str, bool>,
    deadline: Instant,
) -> States {
    let mut ranges = BTreeMap::<&Selector, u64>::new();
    for (selector, range) in wanted.keys().flatten() {
        let longest = ranges.entry(selector).or_default();
        *longest = (*longest).max(*range);
    }
    let selectors: Vec<(&Selector, u64)> = ranges.into_iter().collect();
    let now = selectors.iter().enumerate();
    let now = now.map(|(at, (selector, _))| (at.to_string(), selector.text.clone()));
    let mut found = exist(api, now.collect(), deadline).await;
    // Only of what is missing now it matters whether it was there before, and who should make it.
    let mut before = Vec::new();
    for (at, (selector, range)) in selectors.iter().enumerate() {
        if !matches!(found.get(&at.to_string()), Some(Ok(false))) {
            continue;
        }
        let seconds = RECENT_SECONDS.max(*range);
        before.push((
            format!("recent{at}"),
            format!("last_over_time({}[{seconds}s])", selector.text),
        ));
        if let Some(metric) = made_by_rule(selector, recorded) {
            before.push((format!("bare{at}"), bare(metric)));
        }
    }
    found.extend(exist(api, before, deadline).await);
    let state = |(at, (selector, _)): (usize, (&Selector, u64))| {
        let state = state_of(at, selector, &found, recorded);
        (selector.clone(), state)
    };
    selectors.into_iter().enumerate().map(state).collect()
}

fn made_by_rule<'s>(selector: &'s Selector, recorded: &HashMap<&str, bool>) -> Option<&'s str> {
    let metric = selector.metric.as_deref()?;
    recorded.contains_key(metric).then_some(metric)
}

fn bare(metric: &str) -> String {
    if is_classic(metric) {
        metric.to_owned()
    } else {
        format!("{{__name__={}}}", quoted(metric))
    }
}

fn state_of(
    at: usize,
    selector: &Selector,
    found: &Found,
    recorded: &HashMap<&str, bool>,
) -> Observed<SelectorState> {
    let look = |key: String| match found.get(&key) {
        Some(Ok(exists)) => Observed::Value(*exists),
        Some(Err(unknown)) => unknown.clone().into(),
        None => Observed::unknown(UnknownWhy::NotObserved, "not asked"),
    };
    look(at.to_string()).and_then(|is_there| {
        if is_there {
            return Observed::Value(SelectorState::Present);
        }
        look(format!("recent{at}")).and_then(|was_there| {
            let rule = made_by_rule(selector, recorded).map(|metric| recorded.get(metric));
            match (was_there, rule) {
                (true, _) => Observed::Value(SelectorState::Recent),
                (false, None) => Observed::Value(SelectorState::Missing),
                (false, Some(Some(true))) => look(format!("bare{at}")).map(|has_output| {
                    if has_output {
                        SelectorState::Missing
                    } else {
                        SelectorState::Recorded
                    }
                }),
                (false, Some(_)) => Observed::unknown(
                    UnknownWhy::NotObserved,
                    "the recording rule of that name has not been evaluated with success",
                ),
            }
        })
    })
}

/// Of alternatives the best counts; where none is seen to exist, an unknown one leaves it open.
fn best(clause: &Clause, states: &States) -> Observed<SelectorState> {
    let mut best = SelectorState::Missing;
    let mut open: Option<&Unknown> = None;
    for selector in clause.keys() {
        match states.get(selector) {
            Some(Observed::Value(state)) => best = best.max(*state),
            Some(Observed::Unknown(unknown)) => open = Some(unknown),
            None => {}
        }
    }
    match open {
        Some(unknown) if best == SelectorState::Missing => unknown.clone().into(),
        _ => Observed::Value(best),
    }
}

/// Whether expressions have a result, by key.
type Found = HashMap<String, Result<bool, Unknown>>;

/// Asks for many at once. A batch that the server refuses is halved until what is to blame stands alone.
async fn exist(api: &Api, expressions: Vec<(String, String)>, deadline: Instant) -> Found {
    let mut found = Found::new();
    let mut batches = batches(expressions);
    while !batches.is_empty() {
        let asked = batches.into_iter().map(|batch| async move {
            let answer = ask(api, &batch, deadline).await;
            (batch, answer)
        });
        batches = Vec::new();
        for (mut batch, answer) in join_all(asked).await {
            match answer {
                Ok(tags) => {
                    let keys = batch.into_iter().map(|(key, _)| key);
                    found.extend(keys.map(|key| {
                        let exists = tags.contains(&key);
                        (key, Ok(exists))
                    }));
                }
                Err(error) if batch.len() > 1 && error.status().is_some() => {
                    let second = batch.split_off(batch.len() / 2);
                    batches.extend([batch, second]);
                }
                Err(error) => {
                    let unknown = error.unknown();
                    let keys = batch.into_iter().map(|(key, _)| key);
                    found.extend(keys.map(|key| (key, Err(unknown.clone()))));
                }
            }
        }
    }
    found
}

fn batches(expressions: Vec<(String, String)>) -> Vec<Vec<(String, String)>> {
    let mut batches: Vec<Vec<(String, String)>> = Vec::new();
    let mut bytes = 0;
    for (key, expression) in expressions {
        bytes += expression.len();
        match batches.last_mut() {
            Some(batch) if batch.len() < BATCH && bytes <= BATCH_BYTES => {
                batch.push((key, expression));
            }
            _ => {
                bytes = expression.len();
                batches.push(vec![(key, expression)]);
            }
        }
    }
    batches
}

/// The keys of those that have a result.
async fn ask(
    api: &Api,
    batch: &[(String, String)],
    deadline: Instant,
) -> Result<BTreeSet<String>, ApiError> {
    let tagged = |expression: &str, key: &str| {
        format!("label_replace({expression},\"{TAG}\",\"{key}\",\"\",\"\")")
    };
    let mut promql = tagged("vector(1)", CONTROL);
    for (key, expression) in batch {
        let counted = tagged(&format!("count({expression})"), key);
        write!(promql, " or {counted}").ok();
    }
    let result = wire::query(api, &promql, deadline).await?;
    let tags: BTreeSet<String> = match result {
        QueryResult::Vector(vector) => vector
            .iter()
            .filter_map(|series| series.metric.get(TAG).map(str::to_owned))
            .collect(),
        _ => BTreeSet::new(),
    };
    if !tags.contains(CONTROL) {
        let detail = "api/v1/query: the control of the selectors did not come back";
        return Err(ApiError::Unparseable(detail.to_owned()));
    }
    Ok(tags)
}
