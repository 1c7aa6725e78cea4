//! `tcp`: is a port open, refused or filtered; with a positive control where it must be closed.

mod dial;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::dial::{AddressState, Reached, State};
use super::{
    Condition, Context, Effect, KindInfo, ParamError, ProbeKind, RuleSpec, Severity, TargetParams,
};
use crate::evidence::{Failure, Observed, UnknownWhy};
use crate::params::{FilePath, Guarded};

/// A unix socket's path has to fit into the address that the kernel takes.
const MAX_SOCKET_PATH_BYTES: usize = 107;

/// Parameters of a `tcp` probe.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// The host: a name or an address.
    host: Option<String>,
    /// The port.
    port: Option<u16>,
    /// The path of a unix socket, in place of `host` and `port`.
    path: Option<FilePath>,
    /// What must be met: `open` (the default) or `closed`.
    #[serde(default)]
    expect: Expect,
    /// For `expect = "closed"`: the `host:port` of something that must be open, best on the same
    /// host. It is dialled in the same run; unless it is open, a closed port proves nothing.
    control: Option<String>,
    /// Whether to read the first line that the server says, at most 1 KiB.
    #[serde(default)]
    banner: bool,
    /// Text to send before the first line of the answer is read.
    send: Option<Guarded>,
}

/// What must be met.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    /// Somebody listens.
    #[default]
    Open,
    /// Nobody can connect from here.
    Closed,
}

/// What one `tcp` probe saw.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Facts {
    /// What connecting met: `open` if any address is open, else `refused` if any refused, else
    /// `filtered` (no answer in time).
    pub state: State,
    /// What is declared to be met.
    pub expect: Expect,
    /// Every address that was dialled.
    pub addresses: Vec<Address>,
    /// What connecting to `control` met.
    pub control_state: Observed<State>,
    /// True when a closed port is proof: `control` was open in this very run, and every address
    /// could be dialled from here. Otherwise unknown, never false.
    pub controlled: Observed<bool>,
    /// The first line that the server said, without its line end.
    pub banner: Observed<String>,
}

/// What one address met.
#[derive(Debug, Serialize, JsonSchema)]
#[expect(
    clippy::struct_field_names,
    reason = "`address` is what a rule reads: `addresses.filter(a, a.address == …)`"
)]
pub struct Address {
    /// Address and port, or the path of a unix socket.
    pub address: String,
    /// What connecting met; `unreachable`: there is no way there from this host.
    pub state: AddressState,
    /// How long opening the connection took, milliseconds.
    pub connect_ms: Observed<f64>,
}

/// Where to connect to.
enum Target {
    Tcp { host: String, port: u16 },
    Unix(std::path::PathBuf),
}

/// The kind.
pub struct Tcp {
    config: Config,
    target: Target,
    control: Option<(String, u16)>,
}

fn expects_open_by_name(config: &Config) -> bool {
    let host = config.host.as_deref().unwrap_or("localhost");
    config.expect == Expect::Open && !host.trim_end_matches('.').eq_ignore_ascii_case("localhost")
}

impl ProbeKind for Tcp {
    const INFO: KindInfo = KindInfo {
        name: "tcp",
        summary: "whether a port or a unix socket is open, refused or filtered",
        privileges: "none; for a unix socket, write permission on it",
        effect: Effect::Read,
        side_effects: "opens and closes a connection to every address; sends nothing unless `send` is set",
        example: "host = \"127.0.0.1\"\nport = 22\n",
        init: &[],
    };
    const TARGET: TargetParams = TargetParams::HostPort {
        host: "host",
        port: "port",
        default_port: None,
    };
    const RULES: &'static [RuleSpec<Config>] = &[
        RuleSpec {
            name: "state",
            expr: "expect == \"open\" ? state == \"open\" : state != \"open\" && controlled",
            applies: None,
            severity: Severity::Must,
            why: "the port is what it is declared to be; closed counts only beside a control that is open",
            source: "RFC 9293, section 3.10.7.1; a dropped packet looks like a host that is down",
            when: None,
        },
        RuleSpec {
            name: "every-address",
            expr: "addresses.all(a, a.state in [\"open\", \"unreachable\"])",
            applies: Some("size(addresses) > 1"),
            severity: Severity::Should,
            why: "clients pick any address of the name; those that have no way to one skip it",
            source: "RFC 6724, section 2",
            when: Some(Condition {
                text: "`expect` is open, and the host is not localhost",
                holds: expects_open_by_name,
            }),
        },
    ];
    type Config = Config;
    type Facts = Facts;

    fn new(config: Config) -> Result<Self, Vec<ParamError>> {
        let mut problems = Vec::new();
        let target = target(&config, &mut problems);
        let control = control(&config, &mut problems);
        if config.expect == Expect::Closed && wants_banner(&config) {
            problems.push(ParamError::new(
                if config.banner { "banner" } else { "send" },
                "a port that must be closed says nothing: remove this",
            ));
        }
        match target {
            Some(target) if problems.is_empty() => Ok(Self {
                config,
                target,
                control,
            }),
            _ => Err(problems),
        }
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn target(&self) -> String {
        match &self.target {
            Target::Tcp { host, port } => authority(host, *port),
            Target::Unix(path) => format!("unix:{}", path.display()),
        }
    }

    fn descriptors(&self) -> usize {
        let ends = |host: &str| dial::descriptors(host);
        let target = match &self.target {
            Target::Tcp { host, .. } => ends(host),
            Target::Unix(_) => 1,
        };
        target + self.control.as_ref().map_or(0, |(host, _)| ends(host))
    }

    async fn observe(&self, ctx: &Context) -> Result<Facts, Failure> {
        // The line of a banner is waited for after the connection is open.
        let steps = if wants_banner(&self.config) { 2 } else { 1 };
        let deadline = ctx.share(steps);
        let (reached, control) = futures_util::future::join(
            self.reach(ctx, deadline),
            self.reach_control(ctx, deadline),
        )
        .await;
        let mut reached = reached?;
        let banner = self.banner(ctx, &mut reached).await;
        let control_state = control.state();
        Ok(Facts {
            state: reached.state,
            expect: self.config.expect,
            controlled: controlled(&control_state, &reached),
            control_state,
            addresses: reached.addresses,
            banner,
        })
    }
}

fn wants_banner(config: &Config) -> bool {
    config.banner || config.send.is_some()
}

fn target(config: &Config, problems: &mut Vec<ParamError>) -> Option<Target> {
    let mut problem = |param: &str, message: &str| problems.push(ParamError::new(param, message));
    if let Some(path) = &config.path {
        if config.host.is_some() || config.port.is_some() {
            problem("path", "give either `path`, or `host` and `port`");
        }
        if config.expect == Expect::Closed {
            problem(
                "expect",
                "a unix socket can only be expected open: a path has no control",
            );
        }
        return socket_path(path.as_path(), &mut problem);
    }
    let host = config.host.as_deref().map(unbracketed);
    let valid_host = match host {
        None => {
            problem(
                "host",
                "`host` and `port` are needed, or the `path` of a unix socket",
            );
            None
        }
        Some(host) if !is_host(host) => {
            problem(
                "host",
                "not a host: write a name or an address, without scheme and port",
            );
            None
        }
        Some(host) => Some(host.to_owned()),
    };
    match config.port {
        None => problem("port", "`port` is needed with `host`"),
        Some(0) => problem(
            "port",
            "port 0 cannot be connected to: write the port of the service",
        ),
        Some(_) => {}
    }
    Some(Target::Tcp {
        host: valid_host?,
        port: config.port.filter(|port| *port != 0)?,
    })
}

fn socket_path(path: &Path, problem: &mut impl FnMut(&str, &str)) -> Option<Target> {
    let length = path.as_os_str().len();
    if length == 0 || length > MAX_SOCKET_PATH_BYTES {
        problem("path", "the path of a unix socket has 1 to 107 bytes");
        return None;
    }
    Some(Target::Unix(path.to_owned()))
}

fn control(config: &Config, problems: &mut Vec<ParamError>) -> Option<(String, u16)> {
    let mut problem = |message: &str| problems.push(ParamError::new("control", message));
    let Some(text) = &config.control else {
        if config.expect == Expect::Closed && config.path.is_none() {
            problem(
                "`expect = \"closed\"` needs a positive control, because a host that is down looks closed too: \
                 write the \"host:port\" of something that is open, best on the same host",
            );
        }
        return None;
    };
    if config.expect == Expect::Open {
        problem("a control says something only with `expect = \"closed\"`: remove it");
        return None;
    }
    let parsed = text.rsplit_once(':').and_then(|(host, port)| {
        let port = port.parse::<u16>().ok().filter(|port| *port != 0)?;
        let is_bracketed = host.starts_with('[') && host.ends_with(']');
        let host = unbracketed(host);
        (is_host(host) && (is_bracketed || !host.contains(':'))).then(|| (host.to_owned(), port))
    });
    let Some((host, port)) = parsed else {
        problem("not a `host:port`: write one such as \"10.0.0.5:443\" or \"[::1]:443\"");
        return None;
    };
    let is_target = config.host.as_deref().map(unbracketed) == Some(host.as_str());
    if is_target && config.port == Some(port) {
        problem("the control is the port that must be closed: name another one, which is open");
        return None;
    }
    Some((host, port))
}

fn unbracketed(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(host)
}

fn is_host(host: &str) -> bool {
    let is_address = host.parse::<std::net::IpAddr>().is_ok();
    let is_name = !host.is_empty()
        && host.len() <= 254
        && host
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b":/@?#[]".contains(&byte));
    is_address || is_name
}

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

fn not_applicable<T>(detail: &str) -> Observed<T> {
    Observed::unknown(UnknownWhy::NotApplicable, detail)
}

/// What came of the control.
enum Control {
    None,
    Reached(State),
    Failed(Failure),
}

impl Control {
    fn state(&self) -> Observed<State> {
        match self {
            Self::None => not_applicable("no control is declared"),
            Self::Reached(state) => Observed::Value(*state),
            Self::Failed(failure) => {
                let detail = format!("control: {failure}");
                Observed::unknown(UnknownWhy::NotObserved, detail)
            }
        }
    }
}

impl Tcp {
    async fn reach(
        &self,
        ctx: &Context,
        deadline: tokio::time::Instant,
    ) -> Result<Reached, Failure> {
        match &self.target {
            Target::Tcp { host, port } => dial::reach(ctx, host, *port, deadline).await,
            Target::Unix(path) => dial::reach_unix(ctx, path, deadline).await,
        }
    }

    async fn reach_control(&self, ctx: &Context, deadline: tokio::time::Instant) -> Control {
        let Some((host, port)) = &self.control else {
            return Control::None;
        };
        match dial::reach(ctx, host, *port, deadline).await {
            Ok(reached) => Control::Reached(reached.state),
            Err(failure) => Control::Failed(failure),
        }
    }

    async fn banner(&self, ctx: &Context, reached: &mut Reached) -> Observed<String> {
        if !wants_banner(&self.config) {
            return not_applicable("`banner` is off");
        }
        let Some(stream) = reached.stream.take() else {
            return Observed::unknown(UnknownWhy::NotObserved, "no connection could be opened");
        };
        let send = self
            .config
            .send
            .as_ref()
            .map(|text| text.expose().as_bytes());
        dial::banner(stream, send.unwrap_or_default(), ctx.deadline()).await
    }
}

fn controlled(control: &Observed<State>, reached: &Reached) -> Observed<bool> {
    let proves_nothing = |detail: String| {
        let detail = format!("a closed port proves nothing: {detail}");
        Observed::unknown(UnknownWhy::NotObserved, detail)
    };
    match control {
        Observed::Unknown(unknown) if unknown.why == UnknownWhy::NotApplicable => {
            unknown.clone().into()
        }
        Observed::Unknown(unknown) => proves_nothing(unknown.detail.clone()),
        Observed::Value(State::Open) => match &reached.unreachable {
            None => Observed::Value(true),
            Some(detail) => proves_nothing(detail.clone()),
        },
        Observed::Value(state) => proves_nothing(format!("the control was {}", state.as_str())),
    }
}

#[cfg(test)]
mod tests;
