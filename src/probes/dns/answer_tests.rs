//! Answers that a server might send, honest and not.

use std::net::Ipv4Addr;

use hickory_proto::op::{Edns, Query};
use hickory_proto::rr::rdata::{A, CNAME, NS, NULL, SOA};
use proptest::prelude::*;

use super::*;
use crate::probes::dns::name::parse_name;

const ID: u16 = 0x4a4a;

fn name(text: &str) -> Name {
    parse_name(text).unwrap()
}

fn question() -> Question {
    Question::to_resolver(&name("www.example.com"), RecordType::A)
}

fn a(owner: &str, last: u8) -> Record {
    let data = RData::A(A(Ipv4Addr::new(192, 0, 2, last)));
    Record::from_rdata(name(owner), 300, data)
}

fn alias(owner: &str, target: &str) -> Record {
    Record::from_rdata(name(owner), 60, RData::CNAME(CNAME(name(target))))
}

fn reply(code: ResponseCode, answers: Vec<Record>) -> Message {
    let mut message = Message::response(ID, OpCode::Query);
    message.metadata.response_code = code;
    message.add_query(Query::query(name("WWW.Example.COM"), RecordType::A));
    message.add_answers(answers);
    message
}

fn read(message: &Message) -> Result<Answer, Reject> {
    read_answer(&message.to_vec().unwrap(), ID, &question())
}

fn state_of(message: &Message) -> State {
    read(message).unwrap().state
}

#[test]
fn records_are_sorted_and_without_repeats() {
    let records = vec![
        a("www.example.com", 9),
        a("www.example.com", 10),
        a("WWW.example.com", 9),
    ];
    let answer = read(&reply(ResponseCode::NoError, records)).unwrap();
    assert_eq!(answer.state, State::NoError);
    assert_eq!(answer.records, ["192.0.2.10", "192.0.2.9"]);
    assert_eq!(answer.ttl_min_seconds, Some(300));
}

#[test]
fn aliases_are_followed_within_the_answer() {
    let records = vec![
        a("c.example.net", 1),
        alias("b.example.net", "c.example.net"),
        alias("www.example.com", "B.example.net"),
        a("stranger.example.net", 66),
    ];
    let answer = read(&reply(ResponseCode::NoError, records)).unwrap();
    assert_eq!(answer.records, ["192.0.2.1"]);
    assert_eq!(answer.chain, ["b.example.net", "c.example.net"]);
    assert_eq!(answer.ttl_min_seconds, Some(60));
}

#[test]
fn an_alias_loop_ends_and_is_no_answer() {
    let records = vec![
        alias("www.example.com", "b.example.net"),
        alias("b.example.net", "www.example.com"),
    ];
    let answer = read(&reply(ResponseCode::NoError, records)).unwrap();
    assert_eq!(answer.state, State::NoData);
    assert!(answer.alias_loop);
}

#[test]
fn records_of_another_name_are_no_answer() {
    let forged = reply(ResponseCode::NoError, vec![a("other.example.com", 1)]);
    assert_eq!(read(&forged).unwrap_err(), Reject::OtherNames);
}

#[test]
fn nothing_in_a_refusal_is_an_answer() {
    for (code, state) in [
        (ResponseCode::ServFail, State::ServFail),
        (ResponseCode::Refused, State::Refused),
        (ResponseCode::NotImp, State::OtherError),
    ] {
        let answer = read(&reply(code, vec![a("www.example.com", 1)])).unwrap();
        assert_eq!((answer.state, answer.records), (state, vec![]));
    }
}

#[test]
fn a_missing_name_and_a_missing_record_are_two_things() {
    assert_eq!(
        state_of(&reply(ResponseCode::NXDomain, vec![])),
        State::NxDomain
    );
    let mut nothing = reply(ResponseCode::NoError, vec![]);
    assert_eq!(state_of(&nothing), State::NoData);
    nothing.add_authority(Record::from_rdata(
        name("example.com"),
        60,
        RData::NS(NS(name("ns1.example.com"))),
    ));
    assert_eq!(state_of(&nothing), State::Referral);
    let soa = SOA::new(
        name("ns1.example.com"),
        name("admin.example.com"),
        7,
        1,
        1,
        1,
        1,
    );
    nothing.add_authority(Record::from_rdata(name("example.com"), 60, RData::SOA(soa)));
    let answer = read(&nothing).unwrap();
    assert_eq!(answer.state, State::NoData);
    assert_eq!(answer.denied_by, Some(name("example.com")));
}

#[test]
fn what_answers_another_question_is_rejected() {
    let good = reply(ResponseCode::NoError, vec![a("www.example.com", 1)]);
    let bytes = good.to_vec().unwrap();
    assert_eq!(
        read_answer(&bytes, ID + 1, &question()).unwrap_err(),
        Reject::WrongId
    );

    let mut query = bytes.clone();
    query[2] &= 0x7f;
    assert_eq!(
        read_answer(&query, ID, &question()).unwrap_err(),
        Reject::NotAResponse
    );

    let mut other = good.clone();
    other.queries[0].name = name("www.example.org");
    assert_eq!(read(&other).unwrap_err(), Reject::OtherQuestion);
    let mut other = good.clone();
    other.queries[0].query_type = RecordType::AAAA;
    assert_eq!(read(&other).unwrap_err(), Reject::OtherQuestion);
    let mut other = good.clone();
    other.queries[0].query_class = DNSClass::CH;
    assert_eq!(read(&other).unwrap_err(), Reject::OtherQuestion);
    let mut other = good.clone();
    other.queries.clear();
    assert_eq!(read(&other).unwrap_err(), Reject::OtherQuestion);
    let mut twice = good;
    twice.add_query(Query::query(name("www.example.com"), RecordType::A));
    assert_eq!(read(&twice).unwrap_err(), Reject::OtherQuestion);
}

#[test]
fn a_class_other_than_in_is_no_answer() {
    let mut record = a("www.example.com", 1);
    record.dns_class = DNSClass::CH;
    assert!(read(&reply(ResponseCode::NoError, vec![record])).is_err());
}

#[test]
fn signatures_give_their_expiry() {
    let mut rdata = vec![0, 1, 13, 3, 0, 0, 1, 44];
    rdata.extend_from_slice(&1_700_000_000_u32.to_be_bytes());
    rdata.extend_from_slice(&[0; 12]);
    let signature = |owner: &str, rdata: Vec<u8>| {
        let data = RData::Unknown {
            code: RecordType::RRSIG,
            rdata: NULL::with(rdata),
        };
        Record::from_rdata(name(owner), 300, data)
    };
    let mut message = reply(
        ResponseCode::NoError,
        vec![
            a("www.example.com", 1),
            signature("www.example.com", rdata.clone()),
            signature("www.example.com", vec![0; 11]),
            signature("other.example.com", rdata),
        ],
    );
    let mut edns = Edns::new();
    edns.set_dnssec_ok(true);
    message.set_edns(edns);
    let answer = read(&message).unwrap();
    assert_eq!(answer.signatures, [1_700_000_000]);
    assert!(answer.signed && answer.edns && answer.dnssec_ok);
}

#[test]
fn a_ttl_with_its_highest_bit_set_is_zero() {
    let mut record = a("www.example.com", 1);
    record.ttl = 0x8000_0001;
    let answer = read(&reply(ResponseCode::NoError, vec![record])).unwrap();
    assert_eq!(answer.ttl_min_seconds, Some(0));
}

/// A message whose names are chains of pointers, each to the one before: the worst case for a
/// reader that follows them.
fn pointer_bomb() -> Vec<u8> {
    let good = reply(ResponseCode::NoError, vec![]).to_vec().unwrap();
    let mut bytes = good;
    bytes[6..8].copy_from_slice(&5000_u16.to_be_bytes());
    // One record of rubbish holds the chain of pointers.
    bytes.extend_from_slice(&[0xc0, 12, 0, 10, 0, 1, 0, 0, 0, 0]);
    let room = 16_000 - bytes.len() - 2;
    bytes.extend_from_slice(&u16::try_from(room).unwrap().to_be_bytes());
    let mut previous = 12_u16;
    for _ in 0..room / 2 {
        let here = u16::try_from(bytes.len()).unwrap();
        bytes.extend_from_slice(&(0xc000 | previous).to_be_bytes());
        previous = here;
    }
    while bytes.len() + 16 < 65_535 {
        bytes.extend_from_slice(&(0xc000 | previous).to_be_bytes());
        bytes.extend_from_slice(&[0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 192, 0, 2, 1]);
    }
    bytes
}

#[test]
fn chains_of_pointers_do_not_hang() {
    let begun = std::time::Instant::now();
    read_answer(&pointer_bomb(), ID, &question()).ok();
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_pointer_to_itself_is_refused() {
    let mut bytes = reply(ResponseCode::NoError, vec![]).to_vec().unwrap();
    bytes[7] = 1;
    let here = u16::try_from(bytes.len()).unwrap();
    bytes.extend_from_slice(&(0xc000 | here).to_be_bytes());
    bytes.extend_from_slice(&[0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 192, 0, 2, 1]);
    assert!(matches!(
        read_answer(&bytes, ID, &question()),
        Err(Reject::Malformed(_))
    ));
}

/// The honest bytes that the properties below damage.
fn honest() -> Vec<u8> {
    let records = vec![
        alias("www.example.com", "b.example.net"),
        a("b.example.net", 1),
        a("b.example.net", 2),
    ];
    reply(ResponseCode::NoError, records).to_vec().unwrap()
}

proptest! {
    #[test]
    fn bytes_of_any_kind_are_no_answer(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
        prop_assert!(read_answer(&bytes, ID, &question()).is_err());
    }

    #[test]
    fn rubbish_behind_a_good_question_is_no_answer(
        counts in prop::array::uniform3(0_u16..8),
        tail in prop::collection::vec(any::<u8>(), 0..1024),
    ) {
        let mut bytes = reply(ResponseCode::NoError, vec![]).to_vec().unwrap();
        for (index, count) in counts.into_iter().enumerate() {
            bytes[6 + 2 * index..8 + 2 * index].copy_from_slice(&count.to_be_bytes());
        }
        bytes.extend_from_slice(&tail);
        if let Ok(answer) = read_answer(&bytes, ID, &question()) {
            prop_assert_ne!(answer.state, State::NoError);
        }
    }

    #[test]
    fn a_damaged_answer_never_gains_what_was_not_sent(
        at in any::<prop::sample::Index>(),
        bits in 1_u8..,
        keep in any::<prop::sample::Index>(),
    ) {
        let mut bytes = honest();
        let at = at.index(bytes.len());
        bytes[at] ^= bits;
        // Half of the cases are cut short as well.
        let keep = keep.index(2 * bytes.len());
        bytes.truncate(keep.max(1));
        if let Ok(answer) = read_answer(&bytes, ID, &question()) {
            // A flipped response code may stand above records that were sent; never the other way.
            prop_assert!(answer.state != State::NoError || !answer.records.is_empty());
            for record in &answer.records {
                prop_assert!(record.parse::<Ipv4Addr>().is_ok(), "{}", record);
            }
            prop_assert!(answer.records.len() <= 2);
        }
    }
}
