//! `postgres`: a primary and its standbys, asked side by side: replication, archiving, safety and
//! readiness.

mod activity;
mod archiver;
mod audit;
mod canary;
mod columns;
mod config;
mod database;
mod database_rules;
mod facts;
mod hba;
mod hba_match;
mod indexes;
mod lsn;
mod migrations;
mod observe;
mod patroni;
mod plaintext;
mod pooler;
mod privileges;
mod python;
mod queries;
mod replication;
mod revisions;
mod row;
mod rules;
mod server;
mod session;
mod settings;
mod sql;
mod units;

use std::sync::Arc;

use super::{Context, Effect, InitHint, KindInfo, ParamError, ProbeKind, RuleSpec};
use crate::evidence::Failure;
use crate::net::api;
use crate::net::postgres::Target;
pub use config::Config;
pub use facts::Facts;
use revisions::Revisions;

/// What a minimal role needs, as it is typed into psql.
const PRIVILEGES: &str = "\
a role of its own, never a superuser:

    CREATE ROLE probe LOGIN PASSWORD '…';
    GRANT CONNECT ON DATABASE app TO probe;
    GRANT pg_monitor TO probe;

and only for what is declared:

    -- allow_writes = true
    GRANT CREATE ON DATABASE app TO probe;
    -- hba = \"restricted\"
    GRANT SELECT ON pg_hba_file_rules TO probe;
    GRANT EXECUTE ON FUNCTION pg_hba_file_rules() TO probe;
    -- the same, so that a file inside of the data directory that is not loaded is seen
    GRANT EXECUTE ON FUNCTION pg_stat_file(text) TO probe;
    -- encrypted_columns, migrations, queries: what they read
    GRANT USAGE ON SCHEMA public TO probe;
    GRANT SELECT (email) ON customers TO probe;
    GRANT SELECT ON alembic_version TO probe;

grant nothing else to the role of `queries`: what a function does outside of its transaction (over \
another connection, by a signal, to a file) no rollback undoes; behind PgBouncer `stats_users` names the role, so that the pools are seen; without a grant, what \
needs it is unknown and names it";

/// Connections to one server that are open at the same time.
const MAX_CONNECTIONS_PER_SERVER: usize = 2;

/// The kind.
pub struct Postgres {
    config: Config,
    /// The primary first.
    targets: Vec<Arc<Target>>,
    patroni: Vec<patroni::Declared>,
    /// The migrations that the database must be at.
    revisions: Option<Revisions>,
}

impl ProbeKind for Postgres {
    const INFO: KindInfo = KindInfo {
        name: "postgres",
        summary: "a PostgreSQL primary and its standbys: replication, archiving, safety, readiness",
        privileges: PRIVILEGES,
        effect: Effect::Write,
        side_effects: "at most two connections per server, read-only; with `allow_writes` a row in a table of its own schema, which is removed again, and where a commit hangs one more that cancels it",
        example: "primary = \"host=127.0.0.1 port=5432 user=probe password=${env:PGPASSWORD} dbname=app sslmode=verify-full\"\n",
        init: &[InitHint {
            variable: "DATABASE_URL",
            toml: "primary = \"${env:{variable}}\"\n",
        }],
    };
    const RULES: &'static [RuleSpec<Config>] = rules::RULES;
    type Config = Config;
    type Facts = Facts;

    fn new(config: Config) -> Result<Self, Vec<ParamError>> {
        let mut errors = Vec::new();
        let targets = config::targets(&config, &mut errors);
        let patroni = config::patroni(&config, &mut errors);
        config::check(&config, &mut errors);
        database::check(&config, &mut errors);
        let revisions = database::revisions(&config, &mut errors);
        if errors.is_empty() {
            Ok(Self {
                config,
                targets,
                patroni,
                revisions,
            })
        } else {
            Err(errors)
        }
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn target(&self) -> String {
        let names: Vec<String> = self
            .targets
            .iter()
            .map(|target| target.dsn.name())
            .collect();
        names.join(", ")
    }

    fn descriptors(&self) -> usize {
        self.targets.len() * MAX_CONNECTIONS_PER_SERVER + self.patroni.len() * api::DESCRIPTORS
    }

    fn secrets(&self) -> Vec<String> {
        let passwords = self.targets.iter();
        let passwords = passwords.filter_map(|target| target.dsn.password.as_ref());
        let endpoints = self.patroni.iter();
        endpoints
            .flat_map(|declared| declared.endpoint.secrets().to_vec())
            .chain(passwords.map(|password| password.expose().to_owned()))
            .collect()
    }

    async fn observe(&self, ctx: &Context) -> Result<Facts, Failure> {
        observe::observe(self, ctx).await
    }
}
