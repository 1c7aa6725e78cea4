//! `grafana`: does it show what it is there to show, and only to those who may see it.
//!
//! Its client follows the documented API; it is tested on recorded answers, not on a real Grafana.

mod config;
mod facts;
mod observe;
mod panels;
mod rules;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use self::config::{Config, Endpoints};
use self::facts::{ContactPoint, DataSource, DeclaredContactPoint, DeclaredDataSource, Facts};
use super::{Context, Effect, KindInfo, ParamError, ProbeKind, RuleSpec, TargetParams};
use crate::evidence::{Failure, Observed, UnknownWhy};
use crate::net::api::{Api, ApiError, DESCRIPTORS};

/// Each try counts as a failed login.
const LOGIN_EVERY: SignedDuration = SignedDuration::from_mins(10);

/// The kind.
pub struct Grafana {
    config: Config,
    endpoints: Endpoints,
}

impl ProbeKind for Grafana {
    const INFO: KindInfo = KindInfo {
        name: "grafana",
        summary: "health, data sources, dashboards, panels without data, users, contact points, and who gets in (tested on recorded answers of the documented API)",
        privileges: "the token of a service account with the role Viewer sees health, dashboards and panels; `datasources:read` for data sources, `org.users:read` for users, `alert.provisioning:read` for contact points: without them those facts are unknown",
        effect: Effect::Read,
        side_effects: "one failed login of `admin` a run unless `check_default_login = false`; with `check_panels` the queries of all panels",
        example: "url = \"http://127.0.0.1:3000\"\nauth = { bearer = \"${env:GRAFANA_TOKEN}\" }\nmin_dashboards = 1\n",
        init: &[],
    };
    const TARGET: TargetParams = TargetParams::Url {
        param: "url",
        scheme: "http",
    };
    const RULES: &'static [RuleSpec<Config>] = rules::RULES;
    type Config = Config;
    type Facts = Facts;

    fn new(config: Config) -> Result<Self, Vec<ParamError>> {
        let endpoints = config.prepare()?;
        Ok(Self { config, endpoints })
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn target(&self) -> String {
        self.endpoints.own.target()
    }

    fn descriptors(&self) -> usize {
        DESCRIPTORS + 8
    }

    fn secrets(&self) -> Vec<String> {
        self.endpoints.own.secrets().to_vec()
    }

    /// The login that was tried last is remembered from run to run.
    fn earlier_runs(&self) -> usize {
        usize::from(self.config.check_default_login)
    }

    async fn observe(&self, ctx: &Context) -> Result<Facts, Failure> {
        let api = ctx.api(&self.endpoints.own).await?;
        // An answer that is slow is one, as long as the timeout is not over.
        let first = ctx.deadline() - ctx.remaining() / 10;
        let health = observe::health(&api, first).await;
        let said = match health {
            Ok(answer) => answer.value,
            // A refusal is one by whoever stands before it: Grafana tells everybody.
            Err(error) => return Err(error.into()),
        };
        let listed = ctx.share(2);
        let (hits, datasources, roles, contact_points, entry) = tokio::join!(
            observe::dashboards(&api, listed),
            observe::datasources(&api, listed, ctx.deadline()),
            observe::users(&api, listed),
            observe::contact_points(&api, listed),
            self.entry(ctx, &api, listed),
        );
        let panels = match &hits {
            _ if !self.config.check_panels => not_applicable("`check_panels` is off"),
            Observed::Value(hits) => panels::check(&api, hits, ctx.deadline()).await,
            Observed::Unknown(unknown) => unknown.clone().into(),
        };
        let version = said.version.filter(|version| !version.is_empty());
        Ok(Facts {
            database: Observed::Value(crate::net::api::short(&said.database, 50)),
            version: version.map_or_else(|| not_applicable("it does not tell"), Observed::Value),
            declared_datasources: declared_datasources(&self.config.datasources, &datasources),
            datasources,
            dashboards: seen(&hits, |hits| count(hits.len())),
            dashboards_by_folder: seen(&hits, |hits| observe::by_folder(hits)),
            min_dashboards: self.config.min_dashboards.map_or_else(
                || not_applicable("`min_dashboards` is not declared"),
                Observed::Value,
            ),
            panels,
            users: seen(&roles, |roles| roles.values().sum()),
            users_by_role: roles,
            declared_contact_points: declared_contact_points(
                &self.config.contact_points,
                &contact_points,
            ),
            contact_points,
            anonymous_access: entry.anonymous,
            default_login_accepted: entry.default_login,
            default_login_checked_at: entry.checked_at,
        })
    }
}

/// Who gets in.
struct Entry {
    anonymous: Observed<bool>,
    default_login: Observed<bool>,
    checked_at: Observed<Timestamp>,
}

impl Grafana {
    async fn entry(&self, ctx: &Context, own: &Api, deadline: Instant) -> Entry {
        let control = observe::control(own, deadline).await;
        let (anonymous, login) = tokio::join!(
            async {
                match ctx.api(&self.endpoints.anonymous).await {
                    Ok(api) => observe::anonymous(&api, &control, deadline).await,
                    Err(failure) => ApiError::Connection(failure).into(),
                }
            },
            self.default_login(ctx, &control, deadline),
        );
        let (default_login, checked_at) = login;
        Entry {
            anonymous,
            default_login,
            checked_at,
        }
    }

    async fn default_login(
        &self,
        ctx: &Context,
        control: &Result<(), ApiError>,
        deadline: Instant,
    ) -> (Observed<bool>, Observed<Timestamp>) {
        if !self.config.check_default_login {
            let off = "`check_default_login` is off";
            return (not_applicable(off), not_applicable(off));
        }
        if let Some((accepted, at)) = remembered(ctx) {
            return (Observed::Value(accepted), Observed::Value(at));
        }
        let api = match ctx.api(&self.endpoints.default_login).await {
            Ok(api) => api,
            Err(failure) => {
                let error = ApiError::Connection(failure);
                return (error.clone().into(), error.into());
            }
        };
        let takes_basic = self.config.logs_in_with_basic() && control.is_ok();
        let accepted = observe::default_login(&api, control, takes_basic, deadline).await;
        let at = seen(&accepted, |_| ctx.now());
        (accepted, at)
    }
}

/// What an earlier run found out a while ago.
fn remembered(ctx: &Context) -> Option<(bool, Timestamp)> {
    let facts = &ctx.earlier().last()?.facts;
    let accepted = facts.get("default_login_accepted")?.as_bool()?;
    let at: Timestamp = facts
        .get("default_login_checked_at")?
        .as_str()?
        .parse()
        .ok()?;
    let age = ctx.now().duration_since(at);
    (SignedDuration::ZERO..LOGIN_EVERY)
        .contains(&age)
        .then_some((accepted, at))
}

fn not_applicable<T>(detail: &str) -> Observed<T> {
    Observed::unknown(UnknownWhy::NotApplicable, detail)
}

fn seen<S, T>(seen: &Observed<S>, take: impl FnOnce(&S) -> T) -> Observed<T> {
    match seen {
        Observed::Value(value) => Observed::Value(take(value)),
        Observed::Unknown(unknown) => unknown.clone().into(),
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn declared_datasources(
    names: &[String],
    all: &Observed<Vec<DataSource>>,
) -> Vec<DeclaredDataSource> {
    let one = |name: &String| {
        let source = seen(all, |all| all.iter().find(|one| one.name == *name).cloned());
        let found = seen(&source, Option::is_some);
        let message = source
            .value()
            .and_then(Option::as_ref)
            .map(|one| one.message.clone());
        let health = source.and_then(|source| {
            source.map_or_else(
                || {
                    Observed::unknown(
                        UnknownWhy::NotObserved,
                        "there is no data source of that name",
                    )
                },
                |source| source.health,
            )
        });
        DeclaredDataSource {
            name: name.clone(),
            found,
            health,
            message: message.unwrap_or_default(),
        }
    };
    names.iter().map(one).collect()
}

fn declared_contact_points(
    names: &[String],
    all: &Observed<Vec<ContactPoint>>,
) -> Vec<DeclaredContactPoint> {
    let one = |name: &String| DeclaredContactPoint {
        name: name.clone(),
        found: seen(all, |all| all.iter().any(|point| point.name == *name)),
    };
    names.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::FactSchema;

    #[test]
    fn every_fact_has_a_type_that_rules_know() {
        let schema = FactSchema::of::<Facts>().unwrap();
        assert!(schema.facts.values().all(|fact| !fact.doc.is_empty()));
    }
}
