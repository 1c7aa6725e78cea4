//! The queries of panels, run as the browser runs them.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::facts::{Panel, PanelState};
use super::observe::Hit;
use crate::evidence::{Observed, UnknownWhy};
use crate::net::api::{Api, ApiError, path, short};

const MAX_PANELS: usize = 2_000;
const MAX_DASHBOARDS: usize = 500;
/// Rows hold panels; nothing holds rows.
const MAX_DEPTH: usize = 2;
/// Data sources that Grafana makes up for the browser.
const BUILT_IN: &str = "-- ";

#[derive(Deserialize)]
struct Shown {
    dashboard: Dashboard,
}

#[derive(Deserialize)]
struct Dashboard {
    #[serde(default)]
    panels: Vec<RawPanel>,
    #[serde(default)]
    templating: Templating,
    /// Where newer dashboards keep their panels.
    elements: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
struct Templating {
    #[serde(default)]
    list: Vec<Variable>,
}

#[derive(Deserialize)]
struct Variable {
    name: String,
}

#[derive(Deserialize)]
struct RawPanel {
    #[serde(default)]
    id: i64,
    #[serde(default)]
    title: String,
    #[serde(default)]
    datasource: Value,
    #[serde(default)]
    targets: Vec<Map<String, Value>>,
    #[serde(default)]
    panels: Vec<RawPanel>,
}

#[derive(Deserialize)]
struct Results {
    results: BTreeMap<String, Outcome>,
}

#[derive(Deserialize)]
struct Outcome {
    error: Option<String>,
    #[serde(default)]
    frames: Vec<Frame>,
}

#[derive(Deserialize)]
struct Frame {
    data: Option<Columns>,
}

#[derive(Deserialize)]
struct Columns {
    #[serde(default)]
    values: Vec<Vec<IgnoredAny>>,
}

/// A panel and what to ask for it.
struct Asked {
    panel: Panel,
    queries: Result<Vec<Value>, &'static str>,
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
    let shown = join_all(dashboards.iter().map(|hit| async move {
        let path = path(&["api", "dashboards", "uid", &hit.uid]);
        let shown = api.get::<Shown>(&path, &[], deadline).await?;
        Ok::<_, ApiError>((hit, shown.value.dashboard))
    }));
    let mut asked = Vec::new();
    for shown in shown.await {
        match shown {
            // A dashboard that was not seen may hold the panel that matters.
            Err(error) => return error.into(),
            Ok((hit, dashboard)) if dashboard.elements.is_some() => {
                let title = short(&hit.title, 100);
                let detail = format!(
                    "the dashboard {title:?} has the new schema, whose panels are not read"
                );
                return Observed::unknown(UnknownWhy::Unsupported, detail);
            }
            Ok((hit, dashboard)) => {
                let names: Vec<String> = dashboard
                    .templating
                    .list
                    .into_iter()
                    .map(|variable| variable.name)
                    .collect();
                add(&mut asked, hit, dashboard.panels, &names, MAX_DEPTH);
            }
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

/// What the browser would send, or why only it can.
fn queries(panel: &RawPanel, names: &[String]) -> Result<Vec<Value>, &'static str> {
    let mut queries = Vec::new();
    for (at, target) in panel.targets.iter().enumerate() {
        if target.get("hide") == Some(&Value::Bool(true)) {
            continue;
        }
        let own = target
            .get("datasource")
            .filter(|own| own.get("uid").is_some());
        let source = own.unwrap_or(&panel.datasource);
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
        queries.push(query);
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
    let body = json!({ "queries": queries, "from": "now-1h", "to": "now" });
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
fn told(queries: &[Value], results: &Results) -> (Observed<PanelState>, String) {
    let mut state = PanelState::Empty;
    for query in queries {
        let id = query
            .get("refId")
            .and_then(Value::as_str)
            .unwrap_or_default();
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
