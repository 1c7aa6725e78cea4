//! The queries of panels, run as the browser runs them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::facts::{Panel, PanelState};
use super::observe::Hit;
use crate::evidence::{Observed, UnknownWhy};
use crate::net::api::{Api, ApiError, path, short};

const MAX_PANELS: usize = 2_000;
const MAX_DASHBOARDS: usize = 500;
/// Rows hold panels; nothing holds rows.
const MAX_DEPTH: usize = 2;
/// Of one panel, as text.
const MAX_QUERY_BYTES: usize = 64 * 1024;
const MAX_QUERIES: usize = 100;
/// Of all panels.
const MAX_KEPT_BYTES: usize = 16 << 20;
/// What a panel costs beside its text.
const ELEMENT_BYTES: usize = 1024;
/// Data sources that Grafana makes up for the browser.
const BUILT_IN: &str = "-- ";

#[derive(Deserialize)]
struct Shown {
    dashboard: Dashboard,
}

/// What is absent and what is `null` are the same.
fn or_none<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

#[derive(Deserialize)]
struct Dashboard {
    #[serde(default, deserialize_with = "or_none")]
    panels: Vec<RawPanel>,
    /// Where dashboards of before Grafana 5 keep their panels.
    #[serde(default, deserialize_with = "or_none")]
    rows: Vec<RawPanel>,
    #[serde(default, deserialize_with = "or_none")]
    templating: Templating,
    /// Where newer dashboards keep their panels.
    elements: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
struct Templating {
    #[serde(default, deserialize_with = "or_none")]
    list: Vec<Variable>,
}

#[derive(Deserialize)]
struct Variable {
    name: String,
}

#[derive(Deserialize)]
struct RawPanel {
    #[serde(default, deserialize_with = "or_none")]
    id: i64,
    #[serde(default, deserialize_with = "or_none")]
    title: String,
    /// Text until it is needed: as trees, objects would cost a hundred times as much.
    datasource: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "or_none")]
    targets: Vec<Box<RawValue>>,
    #[serde(default, deserialize_with = "or_none")]
    panels: Vec<RawPanel>,
}

#[derive(Deserialize)]
struct Results {
    results: BTreeMap<String, Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    error: Option<String>,
    #[serde(default, deserialize_with = "or_none")]
    frames: Vec<Frame>,
}

#[derive(Deserialize)]
struct Frame {
    data: Option<Columns>,
}

#[derive(Deserialize)]
struct Columns {
    #[serde(default, deserialize_with = "or_none")]
    values: Vec<Vec<IgnoredAny>>,
}

/// A panel and what to ask for it.
struct Asked {
    panel: Panel,
    queries: Result<Vec<Query>, &'static str>,
}

/// A query as it is sent.
struct Query {
    id: String,
    text: Box<RawValue>,
}

#[derive(Serialize)]
struct Queries<'q> {
    queries: Vec<&'q RawValue>,
    from: &'static str,
    to: &'static str,
}

/// What is kept of all dashboards together.
struct Room(AtomicUsize);

impl Room {
    fn take(&self, asked: &[Asked]) -> Result<(), ApiError> {
        let bytes = |asked: &Asked| {
            let queries = asked.queries.as_deref().unwrap_or_default();
            let text = queries.iter().map(|query| query.text.get().len());
            ELEMENT_BYTES + text.sum::<usize>()
        };
        let bytes: usize = asked.iter().map(bytes).sum();
        let taken = self
            .0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| {
                left.checked_sub(bytes)
            });
        taken.map(drop).map_err(|_| {
            ApiError::TooLarge(format!(
                "the queries of all panels are larger than {MAX_KEPT_BYTES} bytes"
            ))
        })
    }
}

/// Runs the queries of all panels of these dashboards.
pub(super) async fn check(
    api: &Api,
    dashboards: &[Hit],
    deadline: Instant,
) -> Observed<Vec<Panel>> {
    if dashboards.len() > MAX_DASHBOARDS {
        let detail = format!("there are more than {MAX_DASHBOARDS} dashboards");
        return Observed::unknown(UnknownWhy::TooLarge, detail);
    }
    let room = &Room(AtomicUsize::new(MAX_KEPT_BYTES));
    let shown = join_all(dashboards.iter().map(|hit| async move {
        let path = path(&["api", "dashboards", "uid", &hit.uid]);
        let shown = api.get::<Shown>(&path, &[], deadline).await?;
        let dashboard = shown.value.dashboard;
        if dashboard.elements.is_some() {
            return Ok(None);
        }
        let variables = dashboard.templating.list.iter();
        let names: Vec<String> = variables.map(|variable| variable.name.clone()).collect();
        let mut asked = Vec::new();
        let Dashboard { panels, rows, .. } = dashboard;
        add(&mut asked, hit, panels, &names, MAX_DEPTH);
        add(&mut asked, hit, rows, &names, MAX_DEPTH);
        room.take(&asked)?;
        Ok::<_, ApiError>(Some(asked))
    }));
    let mut asked = Vec::new();
    for (hit, shown) in dashboards.iter().zip(shown.await) {
        match shown {
            // A dashboard that was not seen may hold the panel that matters.
            Err(error) => return error.into(),
            Ok(None) => {
                let title = short(&hit.title, 100);
                let detail = format!(
                    "the dashboard {title:?} has the new schema, whose panels are not read"
                );
                return Observed::unknown(UnknownWhy::Unsupported, detail);
            }
            Ok(Some(of_dashboard)) => asked.extend(of_dashboard),
        }
        if asked.len() > MAX_PANELS {
            let detail = format!("there are more than {MAX_PANELS} panels");
            return Observed::unknown(UnknownWhy::TooLarge, detail);
        }
    }
    let panels = asked.into_iter().map(|asked| ask(api, asked, deadline));
    Observed::Value(join_all(panels).await)
}

fn add(asked: &mut Vec<Asked>, hit: &Hit, panels: Vec<RawPanel>, names: &[String], depth: usize) {
    for raw in panels {
        if asked.len() > MAX_PANELS {
            return;
        }
        let queries = queries(&raw, names);
        if queries.as_ref().map_or(true, |queries| !queries.is_empty()) {
            asked.push(Asked {
                panel: Panel {
                    dashboard: short(&hit.title, 200),
                    dashboard_uid: short(&hit.uid, 200),
                    title: short(&raw.title, 200),
                    id: raw.id,
                    state: Observed::unknown(UnknownWhy::NotObserved, ""),
                    message: String::new(),
                },
                queries,
            });
        }
        if depth > 1 {
            add(asked, hit, raw.panels, names, depth - 1);
        }
    }
}

fn parsed<T: serde::de::DeserializeOwned>(text: &RawValue) -> Result<T, &'static str> {
    serde_json::from_str(text.get()).map_err(|_| "its queries are not those of a panel")
}

/// What the browser would send, or why only it can.
fn queries(panel: &RawPanel, names: &[String]) -> Result<Vec<Query>, &'static str> {
    const TOO_LARGE: &str = "its queries are larger than any that a person writes";
    let texts = panel.datasource.iter().chain(&panel.targets);
    let bytes: usize = texts.map(|text| text.get().len()).sum();
    if bytes > MAX_QUERY_BYTES || panel.targets.len() > MAX_QUERIES {
        return Err(TOO_LARGE);
    }
    let panel_source = panel
        .datasource
        .as_ref()
        .map_or(Ok(Value::Null), |text| parsed(text))?;
    let mut queries = Vec::new();
    for (at, target) in panel.targets.iter().enumerate() {
        let target: Map<String, Value> = parsed(target)?;
        if target.get("hide") == Some(&Value::Bool(true)) {
            continue;
        }
        let own = target
            .get("datasource")
            .filter(|own| own.get("uid").is_some());
        let source = own.unwrap_or(&panel_source);
        let Some(uid) = source.get("uid").and_then(Value::as_str) else {
            return Err("it names its data source in an old way, or uses the default one");
        };
        if uid.starts_with(BUILT_IN) || uid == "grafana" {
            return Err("its data source is one of the browser");
        }
        let mut query = target.clone();
        query.insert("datasource".to_owned(), source.clone());
        query
            .entry("refId")
            .or_insert_with(|| Value::from(format!("Q{at}")));
        query
            .entry("intervalMs")
            .or_insert_with(|| Value::from(15_000));
        query
            .entry("maxDataPoints")
            .or_insert_with(|| Value::from(100));
        let query = Value::Object(query);
        if uses_variable(&query, names) {
            return Err(
                "its queries need a variable of the dashboard, which only a browser fills in",
            );
        }
        let id = query.get("refId").and_then(Value::as_str);
        let id = id.unwrap_or_default().to_owned();
        let text = to_raw_value(&query).map_err(|_| "its queries cannot be written as JSON")?;
        queries.push(Query { id, text });
    }
    Ok(queries)
}

fn uses_variable(query: &Value, names: &[String]) -> bool {
    match query {
        Value::String(text) => {
            // Grafana's own variables, such as `$__interval`, are filled in by the server.
            let named = |name: &String| {
                [
                    format!("${name}"),
                    format!("${{{name}"),
                    format!("[[{name}"),
                ]
                .iter()
                .any(|form| text.contains(form))
            };
            text.contains('$') && names.iter().any(named)
                || text.contains("[[") && names.iter().any(named)
        }
        Value::Array(list) => list.iter().any(|one| uses_variable(one, names)),
        Value::Object(map) => map.values().any(|one| uses_variable(one, names)),
        _ => false,
    }
}

async fn ask(api: &Api, asked: Asked, deadline: Instant) -> Panel {
    let Asked { mut panel, queries } = asked;
    let queries = match queries {
        Ok(queries) => queries,
        Err(why) => {
            panel.state = Observed::unknown(UnknownWhy::Unsupported, why);
            return panel;
        }
    };
    let body = Queries {
        queries: queries.iter().map(|query| &*query.text).collect(),
        from: "now-1h",
        to: "now",
    };
    match api
        .query_json::<Results>("api/ds/query", &[], &body, true, deadline)
        .await
    {
        Err(ApiError::Denied(detail)) => {
            let detail = format!("{detail} (needs the permission `datasources:query`)");
            panel.state = Observed::unknown(UnknownWhy::Denied, detail);
        }
        Err(error) => panel.state = error.into(),
        Ok(answer) => (panel.state, panel.message) = told(&queries, &answer.value),
    }
    panel
}

/// What the results of these queries amount to.
fn told(queries: &[Query], results: &Results) -> (Observed<PanelState>, String) {
    let mut state = PanelState::Empty;
    for query in queries {
        let id = &query.id;
        let Some(outcome) = results.results.get(id) else {
            let detail = format!("api/ds/query: no result for the query {id}");
            return (
                Observed::unknown(UnknownWhy::Unparseable, detail),
                String::new(),
            );
        };
        if let Some(error) = &outcome.error {
            return (Observed::Value(PanelState::Error), short(error, 300));
        }
        let has_value = |frame: &Frame| {
            let columns = frame.data.as_ref();
            columns.is_some_and(|data| data.values.iter().any(|column| !column.is_empty()))
        };
        if outcome.frames.iter().any(has_value) {
            state = PanelState::Data;
        }
    }
    (Observed::Value(state), String::new())
}
