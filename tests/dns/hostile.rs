//! Resolvers that lie, stutter or talk rubbish: never a pass, never a hang.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::thread;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::rdata::A;
use hickory_proto::rr::{Name, RData, Record};

use super::{only_resolver, run};
use crate::lab::Verdict;

/// What a server sends back for a question: one datagram after the other.
type Script = fn(&Message) -> Vec<Vec<u8>>;

/// A server over UDP that answers by the script, for as long as the test runs.
fn serve(script: Script) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, client)) = socket.recv_from(&mut buffer) {
            let question = Message::from_vec(&buffer[..length]).expect("a question");
            for datagram in script(&question) {
                socket.send_to(&datagram, client).ok();
            }
        }
    });
    address
}

/// A server over TCP that sends `script`'s bytes as they are.
fn serve_stream(listener: TcpListener, script: Script) {
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut length = [0; 2];
            if stream.read_exact(&mut length).is_err() {
                continue;
            }
            let mut bytes = vec![0; usize::from(u16::from_be_bytes(length))];
            if stream.read_exact(&mut bytes).is_err() {
                continue;
            }
            let question = Message::from_vec(&bytes).expect("a question");
            for part in script(&question) {
                stream.write_all(&part).ok();
            }
        }
    });
}

fn honest(question: &Message) -> Message {
    let mut reply = question.clone();
    reply.metadata.message_type = MessageType::Response;
    let data = RData::A(A::new(192, 0, 2, 66));
    reply.add_answer(Record::from_rdata(
        question.queries[0].name.clone(),
        60,
        data,
    ));
    reply
}

fn bytes(message: &Message) -> Vec<u8> {
    message.to_vec().unwrap()
}

fn ask(resolver: &str) -> Verdict {
    run(&format!(
        "name = \"www.plain.test\"\nresolvers = [\"{resolver}\"]"
    ))
}

/// The lie leaves the rule unknown, in time.
fn not_believed(resolver: &str) {
    let begun = Instant::now();
    let verdict = ask(resolver);
    assert_eq!(verdict.probe("d")["outcome"], "probe_error", "{resolver}");
    assert_eq!(verdict.result("d/answered"), "unknown");
    assert_eq!(verdict.code, 3);
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn the_honest_server_is_believed() {
    let address = serve(|question| vec![bytes(&honest(question))]);
    let verdict = ask(&address.to_string());
    assert_eq!(verdict.facts("d")["answers"][0], "192.0.2.66");
    assert_eq!(verdict.result("d/answered"), "pass");
}

#[test]
fn another_id_is_not_believed() {
    let address = serve(|question| {
        let mut reply = honest(question);
        reply.metadata.id ^= 1;
        vec![bytes(&reply)]
    });
    not_believed(&address.to_string());
}

#[test]
fn another_question_is_not_believed() {
    let address = serve(|question| {
        let mut reply = honest(question);
        reply.queries[0].name = Name::from_ascii("www.evil.test.").unwrap();
        vec![bytes(&reply)]
    });
    not_believed(&address.to_string());
}

#[test]
fn records_of_another_name_are_not_believed() {
    let address = serve(|question| {
        let mut reply = honest(question);
        reply.answers[0].name = Name::from_ascii("www.evil.test.").unwrap();
        vec![bytes(&reply)]
    });
    not_believed(&address.to_string());
}

#[test]
fn rubbish_half_packets_and_floods_are_not_believed() {
    let scripts: [Script; 4] = [
        |_| vec![vec![0xff; 1200]],
        |question| {
            let whole = bytes(&honest(question));
            (0..whole.len()).map(|end| whole[..end].to_vec()).collect()
        },
        |question| {
            let mut whole = bytes(&honest(question));
            whole.resize(60_000, 0xc0);
            whole[6] = 0xff;
            vec![whole]
        },
        |question| vec![bytes(question); 500],
    ];
    for script in scripts {
        not_believed(&serve(script).to_string());
    }
}

#[test]
fn strangers_before_the_answer_are_ignored() {
    let address = serve(|question| {
        let mut forged = honest(question);
        forged.metadata.id ^= 0x1234;
        let mut other = honest(question);
        other.queries[0].name = Name::from_ascii("www.evil.test.").unwrap();
        vec![
            bytes(&forged),
            vec![],
            bytes(&other),
            bytes(&honest(question)),
        ]
    });
    let verdict = ask(&address.to_string());
    assert_eq!(verdict.result("d/answered"), "pass");
}

#[test]
fn a_lost_datagram_is_sent_again() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        socket.recv_from(&mut buffer).unwrap();
        let (length, client) = socket.recv_from(&mut buffer).unwrap();
        let question = Message::from_vec(&buffer[..length]).unwrap();
        socket.send_to(&bytes(&honest(&question)), client).unwrap();
    });
    assert_eq!(ask(&address.to_string()).result("d/answered"), "pass");
}

#[test]
fn a_server_from_before_edns_is_asked_in_its_words() {
    let address = serve(|question| {
        if question.edns.is_none() {
            return vec![bytes(&honest(question))];
        }
        let mut header = bytes(question)[..12].to_vec();
        header[2] |= 0x80;
        header[3] = 1;
        header[4..12].fill(0);
        vec![header]
    });
    let verdict = ask(&address.to_string());
    assert_eq!(verdict.result("d/answered"), "pass");
    assert_eq!(only_resolver(&verdict)["dnssec"]["unknown"], "unsupported");
}

#[test]
fn truncation_without_end_is_never_an_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let udp = UdpSocket::bind(address).unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((length, client)) = udp.recv_from(&mut buffer) {
            let mut reply = honest(&Message::from_vec(&buffer[..length]).unwrap());
            reply.metadata.truncation = true;
            udp.send_to(&bytes(&reply), client).ok();
        }
    });
    serve_stream(listener, |question| {
        let mut reply = honest(question);
        reply.metadata.truncation = true;
        let message = bytes(&reply);
        let length = u16::try_from(message.len()).unwrap();
        vec![length.to_be_bytes().to_vec(), message]
    });
    not_believed(&address.to_string());
    not_believed(&format!("tcp://{address}"));
}

#[test]
fn streams_of_rubbish_are_not_believed() {
    let scripts: [Script; 4] = [
        |_| vec![vec![0, 0]],
        |_| vec![vec![0xff; 100_000]],
        |question| vec![vec![0, 200], bytes(&honest(question))],
        |_| vec![b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()],
    ];
    for script in scripts {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        serve_stream(listener, script);
        not_believed(&format!("tcp://{address}"));
    }
}

#[test]
fn a_listener_that_says_nothing_is_not_believed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    not_believed(&format!("tcp://{address}"));
    not_believed(&format!("tls://{address}#dns.test"));
    not_believed(&format!("https://dns.test:{}/#127.0.0.1", address.port()));
}
