//! What the client library cannot be trusted with: a broker that dies while it asks for a group
//! takes the whole process with it. So groups are asked for here, over connections of our own, which
//! also show whether each broker serves at the address that it advertises.

mod access;
mod codec;
mod link;
mod login;
mod requests;
mod scram;
mod tls;
mod trial;
mod visit;

pub(super) use access::Access;
pub(super) use link::{Kind, Problem};
pub(super) use trial::{anonymous, diagnosis, no_impostors, served};
pub(super) use visit::{MAX_BROKERS, Visit};

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::time::{Instant, sleep};

use super::native::{NodeView, OffsetView, Place, Refused, Trouble, code};
use super::pool::{PULSE, Work};
use crate::evidence::Unknown;
use crate::net::Dialler;

/// Connections of our own, for a thread of the pool.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) net: Arc<Dialler>,
    pub(super) access: Result<Access, Unknown>,
    pub(super) runtime: Handle,
}

impl Wire {
    /// Visits brokers and asks for groups; `kept`: whether there may be groups at all.
    pub(super) fn visit(
        &self,
        nodes: &[NodeView],
        names: &[&str],
        kept: bool,
        work: &Work,
    ) -> Result<Visit, Trouble> {
        let access = self.access()?;
        let end = end(work);
        let visit = Visit::begin(&self.net, access, nodes, names, kept, end);
        self.wait(work, visit).ok_or(Trouble::TimedOut)
    }

    /// The offsets that groups have committed.
    pub(super) fn committed(
        &self,
        visit: &mut Visit,
        asked: &[(String, Vec<Place>)],
        work: &Work,
    ) -> BTreeMap<String, Result<Vec<OffsetView>, Trouble>> {
        let failed = |trouble: &Trouble| {
            let failed = |(name, _): &(String, Vec<Place>)| (name.clone(), Err(trouble.clone()));
            asked.iter().map(failed).collect()
        };
        let access = match self.access() {
            Ok(access) => access,
            Err(trouble) => return failed(&trouble),
        };
        let committed = visit.committed(&self.net, access, asked, end(work));
        let committed = self.wait(work, committed);
        committed.unwrap_or_else(|| failed(&Trouble::TimedOut))
    }

    fn access(&self) -> Result<&Access, Trouble> {
        self.access.as_ref().map_err(|why| {
            Trouble::Failed(Refused {
                code: code::UNSUPPORTED,
                text: why.detail.clone(),
            })
        })
    }

    /// Runs a conversation; none: nobody waits for its end any more.
    fn wait<T>(&self, work: &Work, conversation: impl Future<Output = T>) -> Option<T> {
        self.runtime.block_on(async {
            tokio::pin!(conversation);
            loop {
                tokio::select! {
                    biased;
                    value = &mut conversation => return Some(value),
                    () = sleep(PULSE) => {}
                }
                if work.is_cancelled() {
                    return None;
                }
            }
        })
    }
}

fn end(work: &Work) -> Instant {
    Instant::now() + work.left(super::native::MAX_CALL)
}
