//! The agent's own resolver: what the system is configured with. When it gives no address, the
//! agent could not look; that says nothing about the target.

use std::net::{IpAddr, SocketAddr};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::system_conf::read_system_conf;
use tokio::sync::OnceCell;
use tokio::time::{Instant, timeout_at};

use super::error::NetError;

#[derive(Default)]
pub(super) struct SystemResolver {
    resolver: OnceCell<Result<TokioResolver, String>>,
}

impl SystemResolver {
    pub(super) async fn lookup(
        &self,
        host: &str,
        deadline: Instant,
    ) -> Result<Vec<IpAddr>, NetError> {
        let failed = |detail: String| NetError::Resolve {
            host: host.to_owned(),
            detail,
        };
        let resolver = self
            .resolver
            .get_or_init(|| async { load() })
            .await
            .as_ref()
            .map_err(|detail| failed(detail.clone()))?;
        let answer = timeout_at(deadline, resolver.lookup_ip(host))
            .await
            .map_err(|_| failed("our resolver did not answer before the timeout".to_owned()))?
            .map_err(|error| failed(error.to_string()))?;
        let addresses: Vec<IpAddr> = answer.iter().collect();
        if addresses.is_empty() {
            return Err(failed("our resolver gave no address".to_owned()));
        }
        Ok(addresses)
    }
}

fn load() -> Result<TokioResolver, String> {
    // Without a readable resolv.conf names in the hosts file must still resolve.
    let mut builder = TokioResolver::builder_tokio().unwrap_or_else(|_| {
        TokioResolver::builder_with_config(
            ResolverConfig::default(),
            TokioRuntimeProvider::default(),
        )
    });
    builder.options_mut().ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
    builder.build().map_err(|error| error.to_string())
}

/// The name servers that this system is configured with, port 53 unless configured otherwise.
///
/// # Errors
/// Text saying why the system's configuration names none.
pub fn system_nameservers() -> Result<Vec<SocketAddr>, String> {
    let (config, _) = read_system_conf()
        .map_err(|error| format!("cannot read the system's resolver configuration: {error}"))?;
    let mut servers = Vec::new();
    for server in config.name_servers() {
        let port = server
            .connections
            .first()
            .map_or(53, |connection| connection.port);
        let address = SocketAddr::new(server.ip, port);
        if !servers.contains(&address) {
            servers.push(address);
        }
    }
    if servers.is_empty() {
        return Err("the system's resolver configuration names no server; set `resolvers`".into());
    }
    Ok(servers)
}
