//! What is asked of a Grafana.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::facts::{ContactPoint, DataSource, Health};
use crate::evidence::{Observed, UnknownWhy};
use crate::net::api::{Answer, Api, ApiError, path, short};

/// What says the same with credentials and without.
const CONTROL: (&str, [(&str, &str); 2]) = ("api/search", [("type", "dash-db"), ("limit", "1")]);
const PAGE: usize = 1_000;
const MAX_PAGES: usize = 20;
const MAX_DATA_SOURCES: usize = 500;

/// What Grafana says of itself.
#[derive(Deserialize)]
pub(super) struct Said {
    pub(super) database: String,
    #[serde(default)]
    pub(super) version: Option<String>,
}

/// A dashboard that was found.
#[derive(Deserialize)]
pub(super) struct Hit {
    pub(super) uid: String,
    pub(super) title: String,
    #[serde(rename = "folderTitle")]
    folder: Option<String>,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct RawSource {
    uid: String,
    name: String,
    #[serde(rename = "type")]
    plugin: String,
}

#[derive(Deserialize)]
struct Checked {
    status: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct User {
    role: String,
    #[serde(rename = "login")]
    _login: String,
}

#[derive(Deserialize)]
struct RawContactPoint {
    name: String,
    #[serde(rename = "type")]
    integration: String,
}

#[derive(Deserialize)]
struct LoggedIn {
    #[serde(rename = "login")]
    _login: String,
}

/// A refusal names what is missing.
fn needs<T>(error: ApiError, permission: &str) -> Observed<T> {
    match error {
        ApiError::Denied(detail) => Observed::unknown(
            UnknownWhy::Denied,
            format!("{detail} (needs the permission `{permission}`)"),
        ),
        error => error.into(),
    }
}

async fn list<T: DeserializeOwned + Send + 'static>(
    api: &Api,
    path: &str,
    permission: &str,
    deadline: Instant,
) -> Observed<Vec<T>> {
    match api.get::<Vec<T>>(path, &[], deadline).await {
        Ok(answer) => Observed::Value(answer.value),
        Err(error) => needs(error, permission),
    }
}

/// The health of Grafana itself, which it tells everybody.
pub(super) async fn health(api: &Api, deadline: Instant) -> Result<Answer<Said>, ApiError> {
    api.get_any_status("api/health", &[], deadline).await
}

/// All dashboards that the credentials see, page by page.
pub(super) async fn dashboards(api: &Api, deadline: Instant) -> Observed<Vec<Hit>> {
    let limit = PAGE.to_string();
    let mut all = Vec::new();
    for page in 1..=MAX_PAGES {
        let page = page.to_string();
        let query = [("type", "dash-db"), ("limit", &*limit), ("page", &*page)];
        match api.get::<Vec<Hit>>("api/search", &query, deadline).await {
            Err(error) => return needs(error, "dashboards:read"),
            Ok(answer) => {
                let count = answer.value.len();
                all.extend(answer.value.into_iter().filter(|hit| hit.kind == "dash-db"));
                if count < PAGE {
                    return Observed::Value(all);
                }
            }
        }
    }
    let detail = format!("there are more than {} dashboards", PAGE * MAX_PAGES);
    Observed::unknown(UnknownWhy::TooLarge, detail)
}

/// How many dashboards each folder has.
pub(super) fn by_folder(hits: &[Hit]) -> BTreeMap<String, u64> {
    let mut folders = BTreeMap::new();
    for hit in hits {
        let folder = hit.folder.as_deref().unwrap_or("General");
        *folders.entry(short(folder, 200)).or_insert(0) += 1;
    }
    folders
}

/// All data sources, each asked for its health.
pub(super) async fn datasources(
    api: &Api,
    list_by: Instant,
    deadline: Instant,
) -> Observed<Vec<DataSource>> {
    let listed = list::<RawSource>(api, "api/datasources", "datasources:read", list_by).await;
    let sources = match listed {
        Observed::Unknown(unknown) => return unknown.into(),
        Observed::Value(sources) => sources,
    };
    if sources.len() > MAX_DATA_SOURCES {
        let detail = format!("there are more than {MAX_DATA_SOURCES} data sources");
        return Observed::unknown(UnknownWhy::TooLarge, detail);
    }
    let checked = sources.into_iter().map(|source| async move {
        let (health, message) = check(api, &source.uid, deadline).await;
        DataSource {
            name: short(&source.name, 200),
            uid: short(&source.uid, 200),
            plugin: short(&source.plugin, 200),
            health,
            message,
        }
    });
    Observed::Value(join_all(checked).await)
}

async fn check(api: &Api, uid: &str, deadline: Instant) -> (Observed<Health>, String) {
    let path = path(&["api", "datasources", "uid", uid, "health"]);
    let answer = match api.get_any_status::<Checked>(&path, &[], deadline).await {
        Err(error) => return (needs(error, "datasources:query"), String::new()),
        Ok(answer) => answer,
    };
    let Checked { status, message } = answer.value;
    let message = short(&message.unwrap_or_default(), 300);
    let health = match (status.as_deref(), answer.status) {
        (Some("OK"), 200) => Observed::Value(Health::Ok),
        (Some("ERROR"), _) => Observed::Value(Health::Error),
        (_, 404 | 501) => Observed::unknown(
            UnknownWhy::Unsupported,
            format!("its plugin has no health check: {message}"),
        ),
        (_, 500..) => Observed::Value(Health::Error),
        (said, status) => Observed::unknown(
            UnknownWhy::Unparseable,
            format!(
                "HTTP {status}, status {:?}: {message}",
                short(said.unwrap_or_default(), 50)
            ),
        ),
    };
    (health, message)
}

/// How many users have each role.
pub(super) async fn users(api: &Api, deadline: Instant) -> Observed<BTreeMap<String, u64>> {
    let users = list::<User>(api, "api/org/users", "org.users:read", deadline).await;
    users.map(|users| {
        let mut roles = BTreeMap::new();
        for user in users {
            *roles.entry(short(&user.role, 50)).or_insert(0) += 1;
        }
        roles
    })
}

/// All contact points.
pub(super) async fn contact_points(api: &Api, deadline: Instant) -> Observed<Vec<ContactPoint>> {
    const PATH: &str = "api/v1/provisioning/contact-points";
    let listed = list::<RawContactPoint>(api, PATH, "alert.provisioning:read", deadline).await;
    listed.map(|points| {
        let shown = |point: RawContactPoint| ContactPoint {
            name: short(&point.name, 200),
            integration: short(&point.integration, 200),
        };
        points.into_iter().map(shown).collect()
    })
}

/// Whether the credentials of the probe are accepted: what a refusal of others is held against.
pub(super) async fn control(api: &Api, deadline: Instant) -> Result<(), ApiError> {
    let (path, query) = CONTROL;
    api.get::<Vec<Hit>>(path, &query, deadline).await.map(drop)
}

/// Whether the same is answered without credentials.
pub(super) async fn anonymous(
    api: &Api,
    control: &Result<(), ApiError>,
    deadline: Instant,
) -> Observed<bool> {
    let asked = self::control(api, deadline).await;
    accepted(asked, control)
}

/// Whether `admin` is logged in. Where the API takes no passwords at all, it refuses this one too, while the
/// login form may take it: only a refusal of the password itself counts, or one where `takes_basic`.
pub(super) async fn default_login(
    api: &Api,
    control: &Result<(), ApiError>,
    takes_basic: bool,
    deadline: Instant,
) -> Observed<bool> {
    const BY_NAME: &str = "invalid username or password";
    let asked = api.get::<LoggedIn>("api/user", &[], deadline).await;
    if let (Err(ApiError::Denied(detail)), Ok(())) = (&asked, control)
        && !takes_basic
        && !detail.to_ascii_lowercase().contains(BY_NAME)
    {
        let detail = format!(
            "{detail}: the API may take no passwords at all (`[auth.basic] enabled = false`), while the login form does"
        );
        return Observed::unknown(UnknownWhy::NotObserved, detail);
    }
    accepted(asked.map(drop), control)
}

fn accepted(asked: Result<(), ApiError>, control: &Result<(), ApiError>) -> Observed<bool> {
    match (asked, control) {
        (Ok(()), _) => Observed::Value(true),
        (Err(ApiError::Denied(_)), Ok(())) => Observed::Value(false),
        (Err(ApiError::Denied(_)), Err(error)) => {
            let detail = format!(
                "that it is refused proves nothing: so are the credentials of this probe ({error})"
            );
            Observed::unknown(UnknownWhy::NotObserved, detail)
        }
        (Err(error), _) => error.into(),
    }
}
