//! What Patroni says of the cluster that it manages, asked of each declared member's REST API.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::Instant;

use super::row::unknown;
use crate::evidence::{Observed, Outcome, Unknown, UnknownWhy};
use crate::net::api::{ApiError, Endpoint};
use crate::probes::Context;

/// One REST API of Patroni.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Patroni {
    /// Where it is, without credentials.
    pub url: String,
    /// Why it gave no answer; empty where it did. Unknown where it refused us, or where we could
    /// not look.
    pub error: Observed<String>,
    /// The name of the leader; empty where there is none, or more than one.
    pub leader: Observed<String>,
    /// Every member of the cluster.
    pub members: Observed<Vec<Member>>,
    /// Whether automatic failover is switched off (`patronictl pause`).
    pub paused: Observed<bool>,
}

/// One member.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// `leader`, `standby_leader`, `replica`, `sync_standby`, …
    pub role: String,
    /// `running`, `streaming`, `starting`, `stopped`, …
    pub state: String,
    /// Its timeline.
    pub timeline: Observed<i64>,
    /// WAL bytes that it is behind, as Patroni last saw it.
    pub lag_bytes: Observed<i64>,
}

/// The answer to `GET /cluster`.
#[derive(Deserialize)]
struct Cluster {
    members: Vec<RawMember>,
    #[serde(default)]
    pause: bool,
}

#[derive(Deserialize)]
struct RawMember {
    name: String,
    role: String,
    state: String,
    timeline: Option<i64>,
    /// A number, or `unknown`.
    lag: Option<Value>,
}

/// A declared REST API, ready to be asked.
pub(super) struct Declared {
    pub(super) url: String,
    pub(super) endpoint: Endpoint,
}

/// Asks one of them.
pub(super) async fn read(ctx: &Context, declared: &Declared, deadline: Instant) -> Patroni {
    let url = declared.url.clone();
    let api = match ctx.api(&declared.endpoint).await {
        Ok(api) => api,
        Err(failure) => return not_seen(url, &ApiError::Connection(failure)),
    };
    match api.get::<Cluster>("cluster", &[], deadline).await {
        Ok(answer) => seen(url, answer.value),
        Err(error) => not_seen(url, &error),
    }
}

fn seen(url: String, cluster: Cluster) -> Patroni {
    let members: Vec<Member> = cluster.members.into_iter().map(member).collect();
    let mut leaders = members
        .iter()
        .filter(|member| matches!(member.role.as_str(), "leader" | "standby_leader" | "master"));
    let leader = match (leaders.next(), leaders.next()) {
        (Some(leader), None) => leader.name.clone(),
        _ => String::new(),
    };
    Patroni {
        url,
        error: Observed::Value(String::new()),
        leader: Observed::Value(leader),
        members: Observed::Value(members),
        paused: Observed::Value(cluster.pause),
    }
}

fn member(raw: RawMember) -> Member {
    let absent = |what: &str| unknown(UnknownWhy::NotObserved, format!("Patroni tells no {what}"));
    let lag = raw.lag.as_ref().and_then(Value::as_i64);
    Member {
        name: raw.name,
        role: raw.role,
        state: raw.state,
        timeline: raw
            .timeline
            .map_or_else(|| absent("timeline").into(), Observed::Value),
        lag_bytes: lag.map_or_else(|| absent("lag").into(), Observed::Value),
    }
}

fn not_seen(url: String, error: &ApiError) -> Patroni {
    let why: Unknown = error.unknown();
    let ours = match error {
        ApiError::Connection(failure) => failure.outcome() != Outcome::TargetError,
        ApiError::Denied(_) | ApiError::TooLarge(_) => true,
        _ => false,
    };
    Patroni {
        url,
        error: if ours {
            why.clone().into()
        } else {
            Observed::Value(error.to_string())
        },
        leader: why.clone().into(),
        members: why.clone().into(),
        paused: why.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Patroni {
        seen(
            "x".to_owned(),
            serde_json::from_str(json).expect("a cluster"),
        )
    }

    #[test]
    fn a_cluster_has_one_leader_or_none_is_named() {
        let one = read(
            r#"{"members": [{"name": "a", "role": "leader", "state": "running", "timeline": 3},
                {"name": "b", "role": "replica", "state": "streaming", "timeline": 3, "lag": 16},
                {"name": "c", "role": "replica", "state": "starting", "lag": "unknown"}], "pause": true}"#,
        );
        assert_eq!(one.leader, Observed::Value("a".to_owned()));
        assert_eq!(one.paused, Observed::Value(true));
        let members = one.members.value().expect("members");
        assert_eq!(members[1].lag_bytes, Observed::Value(16));
        assert!(members[2].lag_bytes.value().is_none());
        assert!(members[2].timeline.value().is_none());
        for none in [
            r#"{"members": []}"#,
            r#"{"members": [{"name": "a", "role": "leader", "state": "running"},
                {"name": "b", "role": "leader", "state": "running"}]}"#,
        ] {
            assert_eq!(read(none).leader, Observed::Value(String::new()));
        }
        assert!(serde_json::from_str::<Cluster>("{}").is_err());
    }
}
