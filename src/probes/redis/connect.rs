//! A connection to one server: addresses, TCP, TLS, and the client on top, which is told every
//! reply of every command apart, so that one that hangs costs only itself.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, RedisConnectionInfo, RedisError, Value};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::config::{Endpoint, Prepared};
use super::guard::{Breach, Guarded};
use super::reply::{Problem, Reply};
use crate::evidence::Failure;
use crate::net::{NetError, TlsProfile};
use crate::probes::Context;

/// A resolver that gives more addresses than this is not followed further.
const MAX_ADDRESSES: usize = 8;

/// Any stream that the client can speak over.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Wire for S {}

/// Why there is no connection.
#[derive(Debug)]
pub enum Down {
    /// The network said so.
    Net(NetError),
    /// Nothing was tried: our own TLS set-up is at fault.
    Own(String),
}

impl From<NetError> for Down {
    fn from(error: NetError) -> Self {
        Self::Net(error)
    }
}

impl From<Down> for Failure {
    fn from(down: Down) -> Self {
        match down {
            Down::Net(error) => error.into(),
            Down::Own(detail) => Self::probe(detail),
        }
    }
}

/// What every connection of an attempt shares.
pub struct Dial<'a> {
    ctx: &'a Context,
    tls: Option<Arc<ClientConfig>>,
    /// The same without our client certificate.
    bare_tls: Option<Arc<ClientConfig>>,
    server_name: Option<ServerName<'static>>,
    /// Whether a client certificate is shown to servers that speak TLS.
    pub has_identity: bool,
    /// Whether the phases of a connection are recorded already: those of the first tell enough.
    has_phases: AtomicBool,
}

impl<'a> Dial<'a> {
    /// Prepares TLS once, where any server is spoken to over it.
    ///
    /// # Errors
    /// A probe error when this system has no roots.
    pub fn new(ctx: &'a Context, prepared: &Prepared) -> Result<Self, Failure> {
        let any_tls = std::iter::once(&prepared.url)
            .chain(&prepared.replicas)
            .chain(&prepared.sentinels)
            .any(|endpoint| endpoint.tls);
        let (mut tls, mut bare_tls) = (None, None);
        if any_tls {
            tls = Some(ctx.net().tls_config(&prepared.tls)?);
            let bare = TlsProfile {
                identity: None,
                ..prepared.tls.clone()
            };
            bare_tls = Some(ctx.net().tls_config(&bare)?);
        }
        Ok(Self {
            ctx,
            has_identity: any_tls && prepared.tls.identity.is_some(),
            tls,
            bare_tls,
            server_name: prepared.server_name.clone(),
            has_phases: AtomicBool::new(false),
        })
    }

    /// The attempt.
    pub const fn ctx(&self) -> &'a Context {
        self.ctx
    }

    /// Connects to the first address that takes us.
    pub async fn open(&self, endpoint: &Endpoint, deadline: Instant) -> Result<Link, Down> {
        let found = self.ctx.net().resolve(&endpoint.host, deadline).await?;
        let addresses: Vec<IpAddr> = found.into_iter().take(MAX_ADDRESSES).collect();
        let mut last = Down::Own(format!("{} has no address", endpoint.host));
        for (index, ip) in addresses.iter().enumerate() {
            let parts = u32::try_from(addresses.len() - index).unwrap_or(1);
            let left = deadline.saturating_duration_since(Instant::now());
            let share = Instant::now() + left / parts;
            let address = SocketAddr::new(*ip, endpoint.port);
            match self.open_at(endpoint, address, share).await {
                Ok(link) => return Ok(link),
                Err(down) => last = worse(last, down),
            }
        }
        Err(last)
    }

    /// What a server says to a connection before it is asked anything: a server in protected mode, or
    /// one that has no room, says so and closes, and what we send meanwhile may cost us its words.
    pub async fn greeting(&self, endpoint: &Endpoint, deadline: Instant) -> Option<Problem> {
        const MOST_BYTES: usize = 512;
        const PATIENCE: Duration = Duration::from_millis(300);
        let ip = *self
            .ctx
            .net()
            .resolve(&endpoint.host, deadline)
            .await
            .ok()?
            .first()?;
        let address = SocketAddr::new(ip, endpoint.port);
        let (mut wire, _) = self.wire(endpoint, address, deadline).await.ok()?;
        let until = deadline.min(Instant::now() + PATIENCE);
        let mut bytes = [0; MOST_BYTES];
        let read = timeout_at(until, wire.read(&mut bytes)).await.ok()?.ok()?;
        let text = String::from_utf8_lossy(bytes.get(..read)?).into_owned();
        let line = text.strip_prefix('-')?.lines().next()?;
        let (code, detail) = line.split_once(' ').unwrap_or((line, ""));
        Some(Problem::refused(code, Some(detail)))
    }

    async fn open_at(
        &self,
        endpoint: &Endpoint,
        address: SocketAddr,
        deadline: Instant,
    ) -> Result<Link, Down> {
        let (wire, local) = self.wire(endpoint, address, deadline).await?;
        Link::new(wire, address, local).await
    }

    async fn wire(
        &self,
        endpoint: &Endpoint,
        address: SocketAddr,
        deadline: Instant,
    ) -> Result<(Box<dyn Wire>, Option<SocketAddr>), Down> {
        self.ctx.address(address);
        let begun = Instant::now();
        let stream = self.ctx.net().connect(address, deadline).await?;
        let local = stream.local_addr().ok();
        let is_first = !self.has_phases.swap(true, Ordering::Relaxed);
        if is_first {
            self.ctx.phase("connect", begun.elapsed());
        }
        let config = if endpoint.shows_certificate {
            &self.tls
        } else {
            &self.bare_tls
        };
        let wire: Box<dyn Wire> = match (config, endpoint.tls) {
            (Some(config), true) => {
                let name = self.name_for(endpoint)?;
                let begun = Instant::now();
                let handshake =
                    self.ctx
                        .net()
                        .handshake(stream, name, Arc::clone(config), deadline);
                let stream = handshake.await?;
                if is_first {
                    self.ctx.phase("tls", begun.elapsed());
                }
                Box::new(stream)
            }
            (None, true) => return Err(Down::Own("TLS was not prepared".to_owned())),
            (_, false) => Box::new(stream),
        };
        Ok((wire, local))
    }

    fn name_for(&self, endpoint: &Endpoint) -> Result<ServerName<'static>, Down> {
        if let Some(name) = &self.server_name {
            return Ok(name.clone());
        }
        let host = endpoint.host.trim_end_matches('.').to_owned();
        ServerName::try_from(host).map_err(|_| {
            Down::Own(format!(
                "`{}` cannot be verified: set `server_name`",
                endpoint.host
            ))
        })
    }
}

/// The target's word counts for more than ours: it was reached.
fn worse(known: Down, new: Down) -> Down {
    let ours = |down: &Down| {
        matches!(
            down,
            Down::Own(_)
                | Down::Net(
                    NetError::Resolve { .. } | NetError::NoRoute { .. } | NetError::Exhausted(_)
                )
        )
    };
    if ours(&new) && !ours(&known) {
        known
    } else {
        new
    }
}

/// Ends the client's task with the connection.
struct Driver(JoinHandle<()>);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An open connection, not logged in. The last clone ends it.
#[derive(Clone)]
pub struct Link {
    client: MultiplexedConnection,
    /// Where it leads.
    pub remote: SocketAddr,
    /// Where it comes from.
    pub local: Option<SocketAddr>,
    _driver: Arc<Driver>,
}

impl Link {
    async fn new(
        wire: Box<dyn Wire>,
        remote: SocketAddr,
        local: Option<SocketAddr>,
    ) -> Result<Self, Down> {
        // Login and database are commands of ours, so that what a server says to them is seen; the
        // client itself has nothing to say before them, and no timeout of its own.
        let info = RedisConnectionInfo::default().set_skip_set_lib_name();
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let made = MultiplexedConnection::new_with_config(&info, Guarded::new(wire), config).await;
        let (client, driver) = made.map_err(|error| {
            Down::Net(NetError::Broken {
                step: "redis client",
                detail: error.to_string(),
            })
        })?;
        Ok(Self {
            client,
            remote,
            local,
            _driver: Arc::new(Driver(tokio::spawn(driver))),
        })
    }

    /// Sends all commands at once and returns the reply of each, or why it has none.
    pub async fn ask(&self, commands: &[Cmd], deadline: Instant) -> Vec<Reply> {
        let begun = Instant::now();
        let each = commands.iter().map(|command| {
            let mut client = self.client.clone();
            async move {
                match timeout_at(deadline, client.send_packed_command(command)).await {
                    Ok(Ok(Value::ServerError(error))) => {
                        Err(Problem::refused(error.code(), error.details()))
                    }
                    Ok(Ok(value)) => Ok((value, begun.elapsed())),
                    Ok(Err(error)) => Err(problem(&error)),
                    Err(_) => Err(Problem::Silent),
                }
            }
        });
        join_all(each).await
    }

    /// Sends one command.
    pub async fn ask_one(&self, command: Cmd, deadline: Instant) -> Reply {
        self.ask(&[command], deadline)
            .await
            .pop()
            .unwrap_or(Err(Problem::Silent))
    }
}

/// What the client says about a connection that broke.
fn problem(error: &RedisError) -> Problem {
    if let Some(code) = error.code() {
        return Problem::refused(code, error.detail());
    }
    let cause = io_error(error).and_then(io::Error::get_ref);
    if let Some(breach) = cause.and_then(|cause| cause.downcast_ref::<Breach>()) {
        return match breach {
            Breach::Nonsense => Problem::Broken(breach.to_string()),
            Breach::Large | Breach::Many | Breach::Deep => Problem::TooLarge(breach.to_string()),
        };
    }
    if let Some(tls) = cause.and_then(|cause| cause.downcast_ref::<rustls::Error>()) {
        return Problem::Broken(format!("TLS: {tls}"));
    }
    if error.is_connection_dropped() {
        return Problem::Broken("the server closed the connection".to_owned());
    }
    Problem::Broken("the server's reply could not be read".to_owned())
}

/// The client hands its source out behind a pointer of its own.
fn io_error(error: &RedisError) -> Option<&io::Error> {
    type Shared = Arc<dyn std::error::Error + Send + Sync>;
    let source = std::error::Error::source(error)?;
    match source.downcast_ref::<Shared>() {
        Some(shared) => shared.downcast_ref(),
        None => source.downcast_ref(),
    }
}
