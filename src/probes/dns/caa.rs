//! The CAA records in force for a name (RFC 8659, 3): the first ones on the way to the top.

use hickory_proto::rr::{Name, RecordType};
use tokio::time::Instant;

use super::facts::{Caa, State};
use super::name::{parent, present_name};
use super::zone::Guide;
use crate::evidence::{Observed, Unknown};

/// Climbs from `name`. A step that cannot be seen ends the climb: what stands there may forbid
/// what stands above.
pub(super) async fn climb(guide: Guide<'_>, name: &Name, deadline: Instant) -> Observed<Caa> {
    match search(guide, name, deadline).await {
        Ok(found) => Observed::Value(found),
        Err(unknown) => Observed::Unknown(unknown),
    }
}

async fn search(guide: Guide<'_>, name: &Name, deadline: Instant) -> Result<Caa, Unknown> {
    let mut candidate = if name.is_wildcard() {
        name.base_name()
    } else {
        name.clone()
    };
    while !candidate.is_root() {
        let answer = guide.look_up(&candidate, RecordType::CAA, deadline).await?;
        if answer.state == State::NoError {
            return Ok(Caa {
                at: present_name(&candidate),
                records: answer.records,
            });
        }
        match parent(&candidate) {
            Some(above) => candidate = above,
            None => break,
        }
    }
    Ok(Caa {
        at: String::new(),
        records: Vec::new(),
    })
}
