//! The tables of `probes.toml`, apart from the parameters of each kind.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use crate::judge::Soft;
use crate::params::{DurationText, FilePath, Secret};
use crate::plan::RiskLevel;
use crate::probes::Severity;

/// `[agent]`: who runs, and for what.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct AgentTable {
    /// The environment that the checklist is about, such as `production`.
    pub(super) environment: Option<String>,
    /// The service that the checklist is about.
    pub(super) service: Option<String>,
    /// The commit that is being deployed.
    pub(super) git_commit: Option<String>,
    /// The image digests that are being deployed.
    #[serde(default)]
    pub(super) digests: Vec<String>,
    /// Where the digest that is deployed is observed, as `PROBE/fact`: a string, or a list of strings. When
    /// it changes, windows over the past begin anew.
    #[schemars(with = "Option<String>")]
    pub(super) digest_from: Option<Spanned<String>>,
    /// The name of this vantage point; the host's name where it is not set.
    pub(super) vantage: Option<String>,
    /// The most probes at a time that may look at one target.
    #[schemars(range(min = 1))]
    pub(super) max_per_target: Option<usize>,
}

/// When an attempt is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum RetryOn {
    /// After an attempt that observed nothing.
    Error,
    /// Also after one whose must rule failed.
    Fail,
}

/// `[defaults]`: what a probe does not say itself.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct DefaultsTable {
    /// Bounds one attempt, all its steps together. Without it: 10s.
    pub(super) timeout: Option<DurationText>,
    /// How often the daemon runs a probe, at least every 100ms. Without it: 30s.
    #[schemars(with = "Option<DurationText>")]
    pub(super) interval: Option<Spanned<DurationText>>,
    /// Further attempts after one that observed nothing, at most 100. Without it: 0.
    #[schemars(range(max = 100))]
    pub(super) retries: Option<u32>,
    /// `error` (the default): an attempt that observed nothing is repeated; `fail`: also one whose must
    /// rule failed.
    pub(super) retry_on: Option<RetryOn>,
}

/// The keys that every `[[probe]]` has, whatever its kind.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct ProbeTable {
    /// A stable, unique slug.
    pub(super) id: String,
    /// The kind of system; `probe kinds` lists them.
    #[expect(
        dead_code,
        reason = "read before the rest, to choose the kind; here for the schema"
    )]
    pub(super) kind: String,
    /// Bounds one attempt, all its steps together.
    pub(super) timeout: Option<DurationText>,
    /// How often the daemon runs it, at least every 100ms.
    #[schemars(with = "Option<DurationText>")]
    pub(super) interval: Option<Spanned<DurationText>>,
    /// In the daemon: `2/3` makes a fail hard when two of the last three runs that could look were bad; a single
    /// bad run between good ones warns. Without it every fail is hard. An unknown is never softened.
    pub(super) soft: Option<Soft>,
    /// Further attempts after one that observed nothing, at most 100: retries hide what is flaky.
    #[schemars(range(max = 100))]
    pub(super) retries: Option<u32>,
    /// `error` (the default): an attempt that observed nothing is repeated; `fail`: also one whose must
    /// rule failed.
    pub(super) retry_on: Option<RetryOn>,
    /// Labels for `--select tag:…`.
    #[serde(default)]
    pub(super) tags: Vec<String>,
    /// Ids of probes that must pass or warn first; else this one is not run and is unknown.
    #[serde(default)]
    #[expect(
        dead_code,
        reason = "read with its places, to report unknown names; here for the schema"
    )]
    pub(super) depends_on: Vec<String>,
}

/// A rule as a table.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct RuleTable {
    /// The CEL expression over the kind's facts; it yields true or false.
    #[schemars(extend("x-place" = "expr"))]
    #[schemars(with = "Option<String>")]
    pub(super) expr: Option<Spanned<String>>,
    /// `must` (the default of one's own rules) or `should`.
    pub(super) severity: Option<Severity>,
    /// One line: why anybody wants this.
    pub(super) why: Option<String>,
    /// A CEL predicate; where it is false, the rule is `na`.
    #[schemars(extend("x-place" = "expr"))]
    #[schemars(with = "Option<String>")]
    pub(super) applies: Option<Spanned<String>>,
    /// How long the rule must not hold before it counts; needs history, a one-shot run judges at once.
    #[serde(rename = "for")]
    pub(super) hold: Option<DurationText>,
    /// `false` switches the rule off, `true` switches on one that is not on by default.
    pub(super) enabled: Option<bool>,
}

/// `[[item]]`: a row of the checklist.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct ItemTable {
    /// A stable, unique slug, such as `F1.1`.
    #[schemars(with = "String")]
    pub(super) id: Spanned<String>,
    /// What people call it; without it: the id.
    pub(super) title: Option<String>,
    /// The title in other languages, such as `{ zh = "…" }`.
    #[serde(default)]
    pub(super) titles: BTreeMap<String, String>,
    /// Its section.
    pub(super) section: Option<String>,
    /// Its category for the score.
    #[schemars(with = "Option<String>")]
    pub(super) category: Option<Spanned<String>>,
    /// Its weight for the score; 1 without it.
    #[schemars(with = "Option<f64>")]
    pub(super) weight: Option<Spanned<f64>>,
    /// Who answers for it.
    pub(super) owner: Option<String>,
    /// The rules that decide it: `PROBE/RULE`, `*` as wildcard. None: unknown, no probe for this yet.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(super) needs: Vec<Spanned<String>>,
    /// How old its evidence may be.
    pub(super) ttl: Option<DurationText>,
    /// Evidence that is not gathered yet, such as `outside vantage`: the item is then at best a warning.
    pub(super) misses: Option<String>,
    /// What to do when it does not pass.
    pub(super) remediation: Option<String>,
    /// The id of the item that is the same as this one, in another place of the checklist. Without `needs`
    /// of its own this one is decided by the rules of that one.
    #[schemars(with = "Option<String>")]
    pub(super) alias_of: Option<Spanned<String>>,
    /// Ids of items without which this one cannot hold: where it is ticked and they are not, that is a finding.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(super) prerequisites: Vec<Spanned<String>>,
}

/// `[score]`: what the score is to reach.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct ScoreTable {
    /// The least share of all items, from 0 to 1, such as 0.9.
    #[schemars(range(min = 0, max = 1))]
    pub(super) target: Option<f64>,
}

/// `[[category]]`: items that are scored together.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct CategoryTable {
    /// A stable, unique slug: the `category` of its items.
    #[schemars(with = "String")]
    pub(super) id: Spanned<String>,
    /// What people call it; without it: the id.
    pub(super) title: Option<String>,
    /// The title in other languages, such as `{ zh = "…" }`.
    #[serde(default)]
    pub(super) titles: BTreeMap<String, String>,
    /// The least share of its items, from 0 to 1, such as 0.9. The score is met only when every category
    /// meets its own target.
    #[schemars(range(min = 0, max = 1))]
    pub(super) target: Option<f64>,
}

/// `[[gate]]`: items that must pass at one phase.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct GateTable {
    /// A stable, unique slug, such as `pre-deploy`.
    #[schemars(with = "String")]
    pub(super) id: Spanned<String>,
    /// Ids of items, `*` as wildcard.
    #[schemars(with = "Vec<String>")]
    pub(super) items: Vec<Spanned<String>>,
}

/// `[[risk]]`: what may go wrong, and the items that mitigate it.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct RiskTable {
    /// A stable, unique slug.
    #[schemars(with = "String")]
    pub(super) id: Spanned<String>,
    /// What people call it; without it: the id.
    pub(super) title: Option<String>,
    /// The title in other languages, such as `{ zh = "…" }`.
    #[serde(default)]
    pub(super) titles: BTreeMap<String, String>,
    /// How bad it is where nothing mitigates it.
    pub(super) level: RiskLevel,
    /// Ids of the items that mitigate it, `*` as wildcard.
    #[schemars(with = "Vec<String>")]
    pub(super) items: Vec<Spanned<String>>,
}

/// `[[attestation]]`: somebody's word for what no machine can see, and the document that says so. Its other
/// keys are those of the kind that fetches the document.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct AttestationTable {
    /// The item's id.
    #[schemars(with = "String")]
    pub(super) item: Spanned<String>,
    /// Who answers for it.
    #[schemars(with = "String")]
    pub(super) owner: Spanned<String>,
    /// The first day on which it holds, UTC.
    #[schemars(with = "String")]
    pub(super) issued: Spanned<String>,
    /// The last day on which it holds, UTC; at most a year after `issued`.
    #[schemars(with = "String")]
    pub(super) expires: Spanned<String>,
    /// SHA-256 of the document, hexadecimal, as `sha256sum` prints it.
    #[schemars(with = "String")]
    pub(super) sha256: Spanned<String>,
    /// Bounds one attempt to fetch the document.
    pub(super) timeout: Option<DurationText>,
}

/// The result that a waiver names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum WaivedResult {
    /// The item is known not to hold.
    Fail,
    /// The item could not be seen.
    Unknown,
}

/// `[[waiver]]`: a stated, dated exception for one result of one item.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct WaiverTable {
    /// The item's id.
    #[schemars(with = "String")]
    pub(super) item: Spanned<String>,
    /// The result that is waived.
    pub(super) result: WaivedResult,
    /// Who answers for it.
    #[schemars(with = "String")]
    pub(super) owner: Spanned<String>,
    /// Why.
    #[schemars(with = "String")]
    pub(super) reason: Spanned<String>,
    /// The last day on which it holds, UTC; at most 90 days from now.
    #[schemars(with = "String")]
    pub(super) expires: Spanned<String>,
}

/// `[[maintenance]]`: a declared window of time. What is seen in it is shown and judged as ever, and its slots
/// are excluded from windows over the past. A gate is not let through by it: a waiver is for that.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct MaintenanceTable {
    /// Ids of the items that it is about, `*` as wildcard; the probes that they need are with them.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(super) items: Vec<Spanned<String>>,
    /// Ids of the probes that it is about, `*` as wildcard; the items that need them are shown with it.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(super) probes: Vec<Spanned<String>>,
    /// When it begins, with an offset, such as 2026-12-31T22:00:00Z.
    #[schemars(with = "String")]
    pub(super) start: Spanned<String>,
    /// When it ends, with an offset.
    #[schemars(with = "String")]
    pub(super) end: Spanned<String>,
    /// Why.
    #[schemars(with = "String")]
    pub(super) reason: Spanned<String>,
}

/// `[server]`: how the daemon is asked. It is no part of the digest of the configuration.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub(super) struct ServerTable {
    /// `host:port` to listen on; port 0: any that is free, which is logged. Without it: 127.0.0.1:9730.
    #[schemars(with = "Option<String>")]
    pub(super) listen: Option<Spanned<String>>,
    /// Bearer tokens, of which each request must carry one; they are kept hashed. Needed when `listen` is not
    /// loopback. Without any, whoever can connect may ask.
    #[schemars(with = "Option<Vec<Secret>>")]
    pub(super) tokens: Option<Spanned<Vec<Spanned<Secret>>>>,
    /// The certificate chain (PEM, leaf first) for TLS, with `key_file`. Both are read anew when they change.
    #[schemars(with = "Option<FilePath>")]
    pub(super) cert_file: Option<Spanned<FilePath>>,
    /// The private key (PEM) of `cert_file`.
    #[schemars(with = "Option<FilePath>")]
    pub(super) key_file: Option<Spanned<FilePath>>,
    /// The paths that need no token. Without it: `/healthz`, `/readyz` and `/metrics`.
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) public: Option<Vec<Spanned<String>>>,
    /// Names in the `Host` header that are answered on loopback, beside localhost and the addresses of
    /// loopback: a foreign one is a page in a browser that was led here.
    #[serde(default)]
    pub(super) hosts: Vec<String>,
    /// The most connections at a time. Without it: 512.
    #[schemars(range(min = 1, max = 65536))]
    pub(super) max_connections: Option<usize>,
    /// The most requests that are answered at a time. Without it: 256.
    #[schemars(range(min = 1, max = 65536))]
    pub(super) max_requests: Option<usize>,
    /// The most requests in a second that one address may make on the average. Without it: 2000.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) requests_per_second: Option<u32>,
    /// The most runs of `/probe` at a time. Without it: 64.
    #[schemars(range(min = 1, max = 4096))]
    pub(super) max_probes: Option<usize>,
}

/// The keys that every `[[module]]` has, whatever its kind; the others are the kind's, all but its target.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct ModuleTable {
    /// A stable, unique slug, such as `http_2xx`: what `/probe?module=` names.
    pub(super) id: String,
    /// The kind of system; `probe kinds` lists them.
    #[expect(
        dead_code,
        reason = "read before the rest, to choose the kind; here for the schema"
    )]
    pub(super) kind: String,
    /// Bounds one attempt; the timeout of the scrape bounds it too.
    pub(super) timeout: Option<DurationText>,
}
