//! Share groups. The client library of the tests has none, so the one request of Kafka's protocol by
//! which a member joins is written here.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::Kafka;

const SHARE_GROUP_HEARTBEAT: i16 = 76;
/// No tagged fields.
const NO_TAGS: u8 = 0;
/// Null, where lengths are compact.
const NULL: u8 = 0;
const COORDINATOR_ELSEWHERE: [u8; 2] = [0, 16];

impl Kafka {
    /// Has a member join a share group; it is missed after its session has timed out, 45 s.
    pub fn join_share(&self, group: &str, topic: &str) {
        // Whichever broker keeps the group takes it.
        for ports in &self.ports {
            let answer = heartbeat(ports.plaintext, group, topic);
            // Correlation id, tags, throttle time, error code.
            match &answer[9..11] {
                [0, 0] => return,
                code => assert_eq!(code, COORDINATOR_ELSEWHERE, "not joined: {answer:?}"),
            }
        }
        panic!("no broker keeps {group}");
    }
}

fn heartbeat(port: u16, group: &str, topic: &str) -> Vec<u8> {
    let mut message = Vec::new();
    for number in [SHARE_GROUP_HEARTBEAT, 1] {
        message.extend(number.to_be_bytes());
    }
    message.extend(7_i32.to_be_bytes());
    // A client id of no length.
    message.extend([0, 0, NO_TAGS]);
    // Compact lengths are one more than the length.
    let length = |length: usize| u8::try_from(length + 1).expect("a short list");
    for text in [group, "AAAAAAAAAAAAAAAAAAAAAA"] {
        message.push(length(text.len()));
        message.extend(text.as_bytes());
    }
    // An epoch of zero joins; there is no rack.
    message.extend(0_i32.to_be_bytes());
    message.push(NULL);
    message.push(length(1));
    message.push(length(topic.len()));
    message.extend(topic.as_bytes());
    message.push(NO_TAGS);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    let bytes = u32::try_from(message.len()).expect("a short message");
    stream.write_all(&bytes.to_be_bytes()).expect("write");
    stream.write_all(&message).expect("write");
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes).expect("read");
    let mut answer = vec![0; u32::from_be_bytes(bytes) as usize];
    stream.read_exact(&mut answer).expect("read");
    answer
}
