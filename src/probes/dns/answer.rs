//! An answer on the wire: whether it answers our question at all, and what it says.

use std::collections::BTreeSet;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::BinEncodable;

use super::facts::{Rcode, State};
use super::name::present_name;
use super::present::present;
use super::question::Question;

/// The EDNS option in which a server explains its answer (RFC 8914).
const EXTENDED_ERROR: u16 = 15;

/// Why a message does not answer our question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Reject {
    #[error("it is no DNS message: {0}")]
    Malformed(String),
    #[error("it has another id than the question")]
    WrongId,
    #[error("it is no response")]
    NotAResponse,
    #[error("it answers another question")]
    OtherQuestion,
    #[error("its records are about other names")]
    OtherNames,
}

/// What one server said.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are the bits of a header"
)]
pub(super) struct Answer {
    pub rcode: Rcode,
    pub state: State,
    /// Presentation form, sorted, without repeats.
    pub records: Vec<String>,
    /// The data of the same records.
    pub data: Vec<RData>,
    /// The targets of the aliases, in order.
    pub chain: Vec<String>,
    /// Whether the aliases lead back to themselves.
    pub alias_loop: bool,
    pub ttl_min_seconds: Option<u32>,
    pub authoritative: bool,
    pub authentic: bool,
    pub truncated: bool,
    /// Whether the server knows EDNS.
    pub edns: bool,
    /// Whether the server would have sent signatures.
    pub dnssec_ok: bool,
    /// The expiry of each signature over what was asked, as the 32-bit time on the wire.
    pub signatures: Vec<u32>,
    /// Whether there is any signature at all, also over the denial of what was asked.
    pub signed: bool,
    /// The zone that says that there is nothing, from the SOA beside such an answer.
    pub denied_by: Option<Name>,
    /// The server's own explanations.
    pub explanations: Vec<String>,
}

/// Reads the answer to `question` that was sent under `id`.
pub(super) fn read_answer(bytes: &[u8], id: u16, question: &Question) -> Result<Answer, Reject> {
    check_header(bytes, id)?;
    let message = Message::from_vec(bytes).map_err(|error| Reject::Malformed(error.to_string()))?;
    check_question(&message, question)?;
    interpret(&message, question)
}

/// Looks at the header alone: a flood of strangers' datagrams must not cost a parse each.
fn check_header(bytes: &[u8], id: u16) -> Result<(), Reject> {
    match bytes {
        [high, low, flags, ..] if bytes.len() >= 12 => {
            if u16::from_be_bytes([*high, *low]) != id {
                Err(Reject::WrongId)
            } else if flags & 0x80 == 0 {
                Err(Reject::NotAResponse)
            } else {
                Ok(())
            }
        }
        _ => Err(Reject::Malformed(format!(
            "{} bytes are less than a header",
            bytes.len()
        ))),
    }
}

fn check_question(message: &Message, question: &Question) -> Result<(), Reject> {
    let head = &message.metadata;
    if head.message_type != MessageType::Response || head.op_code != OpCode::Query {
        return Err(Reject::NotAResponse);
    }
    match message.queries.as_slice() {
        [query]
            if query.name == question.name
                && query.query_type == question.kind
                && query.query_class == DNSClass::IN =>
        {
            Ok(())
        }
        // A server that cannot read the question cannot repeat it.
        [] if matches!(
            head.response_code,
            ResponseCode::FormErr | ResponseCode::NotImp
        ) =>
        {
            Ok(())
        }
        _ => Err(Reject::OtherQuestion),
    }
}

fn interpret(message: &Message, question: &Question) -> Result<Answer, Reject> {
    let head = &message.metadata;
    let rcode = Rcode::from(head.response_code);
    // Nothing in a refusal is an answer, whatever a server puts there.
    let trusted: &[Record] = match rcode {
        Rcode::NoError | Rcode::NxDomain => &message.answers,
        _ => &[],
    };
    let found = follow(trusted, question);
    if found.path.is_empty() && !trusted.is_empty() && rcode == Rcode::NoError {
        return Err(Reject::OtherNames);
    }
    let mut records: Vec<(String, RData)> = found
        .answers
        .iter()
        .filter_map(|record| Some((present(&record.data)?, record.data.clone())))
        .collect();
    records.sort_by(|a, b| a.0.cmp(&b.0));
    records.dedup_by(|a, b| a.0 == b.0);
    let (records, data): (Vec<_>, Vec<_>) = records.into_iter().unzip();
    let signatures = signature_expiries(trusted, &found.owners);
    let edns = message.edns.as_ref();
    Ok(Answer {
        rcode,
        state: state(rcode, !records.is_empty(), message),
        records,
        data,
        chain: found.path_targets,
        alias_loop: found.alias_loop,
        ttl_min_seconds: found.path.iter().map(|record| ttl(record)).min(),
        authoritative: head.authoritative,
        authentic: head.authentic_data,
        truncated: head.truncation,
        edns: edns.is_some(),
        dnssec_ok: edns.is_some_and(|edns| edns.flags().dnssec_ok),
        signed: !signatures.is_empty() || message.authorities.iter().any(is_signature),
        signatures,
        denied_by: soa_owner(message),
        explanations: edns.map_or_else(Vec::new, |edns| {
            edns.options()
                .as_ref()
                .iter()
                .filter_map(|(_, option)| explanation(option))
                .collect()
        }),
    })
}

/// The way from the asked name over its aliases to the records of the asked type.
struct Found<'m> {
    /// Every record on the way, the answers included.
    path: Vec<&'m Record>,
    path_targets: Vec<String>,
    owners: BTreeSet<Name>,
    answers: Vec<&'m Record>,
    alias_loop: bool,
}

/// Resolvers give up sooner; a longer chain is taken for one without an end.
const MAX_ALIASES: usize = 32;

fn follow<'m>(records: &'m [Record], question: &Question) -> Found<'m> {
    let mut found = Found {
        path: Vec::new(),
        path_targets: Vec::new(),
        owners: BTreeSet::new(),
        answers: Vec::new(),
        alias_loop: false,
    };
    let mut owner = &question.name;
    loop {
        if found.owners.len() > MAX_ALIASES || !found.owners.insert(owner.clone()) {
            found.alias_loop = true;
            return found;
        }
        let here = records
            .iter()
            .filter(|record| record.dns_class == DNSClass::IN && record.name == *owner);
        let mut alias = None;
        for record in here {
            if record.record_type() == question.kind {
                found.answers.push(record);
                found.path.push(record);
            } else if let RData::CNAME(target) = &record.data {
                alias = Some((record, &target.0));
            }
        }
        match alias {
            Some((record, target)) if found.answers.is_empty() => {
                found.path.push(record);
                found.path_targets.push(present_name(target));
                owner = target;
            }
            _ => return found,
        }
    }
}

fn state(rcode: Rcode, has_records: bool, message: &Message) -> State {
    match rcode {
        Rcode::NoError if has_records => State::NoError,
        Rcode::NoError if is_referral(message) => State::Referral,
        Rcode::NoError => State::NoData,
        Rcode::NxDomain => State::NxDomain,
        Rcode::ServFail => State::ServFail,
        Rcode::Refused => State::Refused,
        _ => State::OtherError,
    }
}

/// RFC 2308: name servers without an SOA point elsewhere; they do not say that there is nothing.
fn is_referral(message: &Message) -> bool {
    let has = |kind| {
        message
            .authorities
            .iter()
            .any(|record| record.record_type() == kind)
    };
    message.answers.is_empty()
        && !message.metadata.authoritative
        && has(RecordType::NS)
        && !has(RecordType::SOA)
}

fn soa_owner(message: &Message) -> Option<Name> {
    message
        .authorities
        .iter()
        .find(|record| record.record_type() == RecordType::SOA)
        .map(|record| record.name.clone())
}

/// RFC 2181: a TTL with its highest bit set counts as zero.
fn ttl(record: &Record) -> u32 {
    if record.ttl > i32::MAX as u32 {
        0
    } else {
        record.ttl
    }
}

fn is_signature(record: &Record) -> bool {
    record.record_type() == RecordType::RRSIG
}

/// The expiry field stands at octet 8 of a signature (RFC 4034, 3.1).
fn signature_expiries(records: &[Record], owners: &BTreeSet<Name>) -> Vec<u32> {
    records
        .iter()
        .filter(|record| is_signature(record) && owners.contains(&record.name))
        .filter_map(|record| {
            let bytes = record.data.to_bytes().ok()?;
            let expiry: [u8; 4] = bytes.get(8..12)?.try_into().ok()?;
            Some(u32::from_be_bytes(expiry))
        })
        .collect()
}

fn explanation(option: &EdnsOption) -> Option<String> {
    let EdnsOption::Unknown(EXTENDED_ERROR, bytes) = option else {
        return None;
    };
    let (code, text) = bytes.split_at_checked(2)?;
    let code = u16::from_be_bytes(code.try_into().ok()?);
    let text: String = String::from_utf8_lossy(text)
        .chars()
        .filter(|c| !c.is_control())
        .collect();
    Some(format!("{code} {text}").trim_end().to_owned())
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
