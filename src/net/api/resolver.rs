//! Names are resolved by the one dialler, so that a failure of our DNS stays ours.

use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::time::Instant;

use crate::net::Dialler;

/// A resolver that gives more addresses than this is not followed further.
const MAX_ADDRESSES: usize = 16;

/// The addresses of the base are known; other names are those of redirects.
pub(super) struct Resolver {
    pub dialler: Arc<Dialler>,
    pub deadline: Instant,
    pub host: String,
    pub addresses: Vec<SocketAddr>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        if name.as_str().eq_ignore_ascii_case(&self.host) {
            // Port 0: that of the URL. A redirect may lead to another port of the same host.
            let known = self.addresses.clone().into_iter();
            let known: Addrs = Box::new(known.map(|address| SocketAddr::new(address.ip(), 0)));
            return Box::pin(async move { Ok(known) });
        }
        let dialler = Arc::clone(&self.dialler);
        let deadline = self.deadline;
        Box::pin(async move {
            let found = lookup(&dialler, name.as_str(), 0, deadline).await?;
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}

/// The addresses of `host` with `port`, which is 0 where the URL says it.
pub(super) async fn lookup(
    dialler: &Dialler,
    host: &str,
    port: u16,
    deadline: Instant,
) -> Result<Vec<SocketAddr>, crate::net::NetError> {
    let found = dialler.resolve(host, deadline).await?;
    Ok(found
        .into_iter()
        .take(MAX_ADDRESSES)
        .map(|ip| SocketAddr::new(ip, port))
        .collect())
}
