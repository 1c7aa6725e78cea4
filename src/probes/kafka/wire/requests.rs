//! The questions about groups, and their answers, copied into values of our own.

use super::super::native::{GroupListing, MemberView, OffsetView, Place, Refused, meaning};
use super::codec::{Body, Malformed, Read, Reader};
use super::link::{Answer, Kind, Link, Problem, Request};

const OFFSET_FETCH: i16 = 9;
const DESCRIBE_GROUPS: i16 = 15;
const LIST_GROUPS: i16 = 16;
const CONSUMER_GROUP_DESCRIBE: i16 = 69;

/// Kafka takes no longer name of a topic.
const MAX_TOPIC_BYTES: usize = 249;
/// Partitions of all members of the groups in one answer; more are no group's.
const MAX_ASSIGNED: usize = 200_000;

/// A group, as one broker describes it.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) name: String,
    pub(super) code: i16,
    pub(super) state: String,
    pub(super) members: Vec<MemberView>,
}

/// How all groups of a broker are asked for.
pub(super) fn list(link: &Link) -> Result<Request, Problem> {
    let version = link.version(LIST_GROUPS, 5).ok_or_else(too_old)?;
    // The third is flexible and tells no more than the second.
    let version = if version == 3 { 2 } else { version };
    let flexible = version >= 3;
    let mut body = Body::new(flexible);
    for _ in 4..=version {
        // No filter.
        body.length(0);
    }
    body.end();
    Ok(Request {
        key: LIST_GROUPS,
        version,
        flexible,
        body,
    })
}

/// The groups of a broker, or its error.
pub(super) fn listed(answer: &Answer, version: i16) -> Result<Vec<GroupListing>, Refused> {
    let read = answer.read(|it| {
        if version >= 1 {
            it.i32()?;
        }
        let code = it.i16()?;
        let groups = it.list(|it| {
            let name = it.text()?.to_owned();
            // What the members of a classic group speak.
            it.text()?;
            let state = if version >= 4 { it.text()? } else { "" }.to_owned();
            let kind = if version >= 5 { it.text()? } else { "" }.to_owned();
            it.end()?;
            Ok(GroupListing { name, state, kind })
        })?;
        Ok((code, groups))
    });
    match read {
        Ok((0, groups)) => Ok(groups),
        Ok((code, _)) => Err(refused(code)),
        Err(Malformed) => Err(unreadable()),
    }
}

/// How groups of the first protocol are asked for.
pub(super) fn describe(link: &Link, names: &[&str]) -> Result<Request, Problem> {
    let version = link.version(DESCRIBE_GROUPS, 4).ok_or_else(too_old)?;
    let mut body = Body::new(false);
    body.length(names.len());
    for name in names {
        body.text(name);
    }
    if version >= 3 {
        // What the client may do is not asked for.
        body.i8(0);
    }
    Ok(Request {
        key: DESCRIBE_GROUPS,
        version,
        flexible: false,
        body,
    })
}

/// What a broker says of groups of the first protocol.
pub(super) fn described(answer: &Answer, version: i16) -> Read<Vec<Told>> {
    let mut left = MAX_ASSIGNED;
    answer.read(|it| {
        if version >= 1 {
            it.i32()?;
        }
        it.list(|it| {
            let code = it.i16()?;
            let name = it.text()?.to_owned();
            let state = it.text()?.to_owned();
            let is_consumer = it.text()? == "consumer";
            it.text()?;
            let members = it.list(|it| {
                let id = it.text()?.to_owned();
                if version >= 4 {
                    it.text()?;
                }
                let client_id = it.text()?.to_owned();
                let host = it.text()?.to_owned();
                it.blob()?;
                let assigned = it.blob()?;
                let partitions = if is_consumer && !assigned.is_empty() {
                    assignment(assigned, &mut left)?
                } else {
                    Vec::new()
                };
                Ok(MemberView {
                    id,
                    client_id,
                    host,
                    partitions,
                })
            })?;
            if version >= 3 {
                it.i32()?;
            }
            Ok(Told {
                name,
                code,
                state,
                members,
            })
        })
    })
}

/// What a consumer was given: its own encoding within the answer.
fn assignment(bytes: &[u8], left: &mut usize) -> Read<Vec<Place>> {
    let mut it = Reader::new(bytes, false);
    it.i16()?;
    let mut places = Vec::new();
    it.each(|it| assigned_topic(it, &mut places, left))?;
    Ok(places)
}

fn assigned_topic(it: &mut Reader<'_>, places: &mut Vec<Place>, left: &mut usize) -> Read<()> {
    let topic = it.text()?;
    if topic.len() > MAX_TOPIC_BYTES {
        return Err(Malformed);
    }
    it.each(|it| {
        *left = left.checked_sub(1).ok_or(Malformed)?;
        places.push(Place {
            topic: topic.to_owned(),
            partition: it.i32()?,
        });
        Ok(())
    })
}

/// How groups of KIP-848 are asked for; none where the broker knows no such groups.
pub(super) fn describe_consumers(link: &Link, names: &[&str]) -> Option<Request> {
    let version = link.version(CONSUMER_GROUP_DESCRIBE, 1)?;
    let mut body = Body::new(true);
    body.length(names.len());
    for name in names {
        body.text(name);
    }
    body.i8(0);
    body.end();
    Some(Request {
        key: CONSUMER_GROUP_DESCRIBE,
        version,
        flexible: true,
        body,
    })
}

/// What a broker says of groups of KIP-848.
pub(super) fn described_consumers(answer: &Answer, version: i16) -> Read<Vec<Told>> {
    let mut left = MAX_ASSIGNED;
    answer.read(|it| {
        it.i32()?;
        let groups = it.list(|it| {
            let code = it.i16()?;
            it.text()?;
            let name = it.text()?.to_owned();
            let state = it.text()?.to_owned();
            it.i32()?;
            it.i32()?;
            it.text()?;
            let members = it.list(|it| consumer(it, version, &mut left))?;
            it.i32()?;
            it.end()?;
            Ok(Told {
                name,
                code,
                state,
                members,
            })
        })?;
        it.end()?;
        Ok(groups)
    })
}

fn consumer(it: &mut Reader<'_>, version: i16, left: &mut usize) -> Read<MemberView> {
    let id = it.text()?.to_owned();
    it.text()?;
    it.text()?;
    it.i32()?;
    let client_id = it.text()?.to_owned();
    let host = it.text()?.to_owned();
    it.each(|it| it.text().map(drop))?;
    it.text()?;
    let mut partitions = Vec::new();
    given(it, &mut partitions, left)?;
    // What it is to have once others have let go.
    given(it, &mut Vec::new(), left)?;
    if version >= 1 {
        it.i8()?;
    }
    it.end()?;
    Ok(MemberView {
        id,
        client_id,
        host,
        partitions,
    })
}

fn given(it: &mut Reader<'_>, places: &mut Vec<Place>, left: &mut usize) -> Read<()> {
    it.each(|it| {
        it.skip_uuid()?;
        assigned_topic(it, places, left)?;
        it.end()
    })?;
    it.end()
}

/// How the offsets that a group has committed are asked for.
pub(super) fn offsets(link: &Link, group: &str, places: &[Place]) -> Result<Request, Problem> {
    let version = link.version(OFFSET_FETCH, 5).filter(|it| *it >= 2);
    let version = version.ok_or_else(too_old)?;
    let mut topics: Vec<(&str, Vec<i32>)> = Vec::new();
    for place in places {
        match topics.last_mut() {
            Some((topic, partitions)) if *topic == place.topic => partitions.push(place.partition),
            _ => topics.push((&place.topic, vec![place.partition])),
        }
    }
    let mut body = Body::new(false);
    body.text(group);
    body.length(topics.len());
    for (topic, partitions) in topics {
        body.text(topic);
        body.length(partitions.len());
        for partition in partitions {
            body.i32(partition);
        }
    }
    Ok(Request {
        key: OFFSET_FETCH,
        version,
        flexible: false,
        body,
    })
}

/// The offsets that a group has committed in the places that were asked for.
pub(super) fn fetched(
    answer: &Answer,
    version: i16,
    asked: &[Place],
) -> Result<Vec<OffsetView>, Refused> {
    let read = answer.read(|it| {
        if version >= 3 {
            it.i32()?;
        }
        let mut offsets = Vec::new();
        it.each(|it| {
            let topic = it.text()?;
            it.each(|it| {
                let partition = it.i32()?;
                let offset = it.i64()?;
                if version >= 5 {
                    it.i32()?;
                }
                it.text()?;
                let code = it.i16()?;
                let place =
                    (asked.iter()).find(|it| it.topic == topic && it.partition == partition);
                // Whatever else is told was not asked for.
                if let Some(place) = place.filter(|_| offsets.len() < asked.len()) {
                    offsets.push(OffsetView {
                        place: place.clone(),
                        offset: if code == 0 {
                            Ok(offset)
                        } else {
                            Err(refused(code))
                        },
                    });
                }
                Ok(())
            })
        })?;
        Ok((it.i16()?, offsets))
    });
    match read {
        Ok((0, offsets)) => Ok(offsets),
        Ok((code, _)) => Err(refused(code)),
        Err(Malformed) => Err(unreadable()),
    }
}

/// An error of a broker.
pub(super) fn refused(code: i16) -> Refused {
    Refused {
        code: code.into(),
        text: meaning(code.into()),
    }
}

/// An answer that cannot be read.
pub(super) fn unreadable() -> Refused {
    Refused {
        code: -1,
        text: "an answer that cannot be read".to_owned(),
    }
}

fn too_old() -> Problem {
    Problem::new(
        Kind::Unsupported,
        "the broker does not take this question in a version that is spoken here",
    )
}
