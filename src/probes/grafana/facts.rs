//! What a `grafana` probe observes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::evidence::Observed;

/// What one `grafana` probe saw.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Facts {
    /// What Grafana says of its own database: `ok` or `failing`. It says nothing of data sources.
    pub database: Observed<String>,
    /// Its version, where it tells.
    pub version: Observed<String>,
    /// Every data source.
    pub datasources: Observed<Vec<DataSource>>,
    /// The data sources that are declared.
    pub declared_datasources: Vec<DeclaredDataSource>,
    /// How many dashboards the credentials see.
    pub dashboards: Observed<u64>,
    /// How many there are in each folder, by its title; those in none are in `General`.
    pub dashboards_by_folder: Observed<BTreeMap<String, u64>>,
    /// How many there must be.
    pub min_dashboards: Observed<u64>,
    /// Every panel that has queries; with `check_panels`.
    pub panels: Observed<Vec<Panel>>,
    /// How many users the organisation has.
    pub users: Observed<u64>,
    /// How many of them have each role: `Admin`, `Editor`, `Viewer`.
    pub users_by_role: Observed<BTreeMap<String, u64>>,
    /// Every contact point.
    pub contact_points: Observed<Vec<ContactPoint>>,
    /// The contact points that are declared.
    pub declared_contact_points: Vec<DeclaredContactPoint>,
    /// Whether the API answers without credentials. False only where it refuses and, in this very
    /// run, answered the same question with credentials.
    pub anonymous_access: Observed<bool>,
    /// Whether `admin` can log in with the password `admin`. False only where the password is refused, by name or
    /// because others are taken in the same way, and, in this very run, other credentials were accepted. A refusal
    /// that may be one of all passwords, as where the API takes none and only the login form does, is unknown.
    pub default_login_accepted: Observed<bool>,
    /// When that was tried.
    pub default_login_checked_at: Observed<Timestamp>,
}

/// How a data source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Grafana can use it.
    Ok,
    /// It cannot.
    Error,
}

/// A data source.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DataSource {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// The id of its plugin, such as `prometheus`.
    pub plugin: String,
    /// What its health check says; unknown where its plugin has none.
    pub health: Observed<Health>,
    /// In which words.
    pub message: String,
}

/// A declared data source.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeclaredDataSource {
    /// Its name.
    pub name: String,
    /// Whether there is one of that name.
    pub found: Observed<bool>,
    /// What its health check says.
    pub health: Observed<Health>,
    /// In which words.
    pub message: String,
}

/// What the queries of a panel return.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PanelState {
    /// At least one value.
    Data,
    /// Not one value in the last hour.
    Empty,
    /// An error.
    Error,
}

/// A panel that has queries.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Panel {
    /// The title of its dashboard.
    pub dashboard: String,
    /// The uid of its dashboard.
    pub dashboard_uid: String,
    /// Its title.
    pub title: String,
    /// Its id within the dashboard.
    pub id: i64,
    /// What its queries return; unknown where they need a variable of the dashboard, which only a
    /// browser fills in, or do not run on the server.
    pub state: Observed<PanelState>,
    /// The error.
    pub message: String,
}

/// A contact point.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ContactPoint {
    /// Its name.
    pub name: String,
    /// What it is: `email`, `webhook`, …
    pub integration: String,
}

/// A declared contact point.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeclaredContactPoint {
    /// Its name.
    pub name: String,
    /// Whether there is one of that name.
    pub found: Observed<bool>,
}
