//! Grants. The client library of the tests has no call for them, so two requests of Kafka's protocol
//! are written here: `CreateAcls`, and `DescribeAcls` to wait until every broker applies them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Kafka, PATIENCE};

/// What a grant is for.
#[derive(Debug, Clone, Copy)]
pub enum Resource<'a> {
    /// A topic by name.
    Topic(&'a str),
    /// Topics by the beginning of their names.
    TopicPrefix(&'a str),
    /// A consumer group by name.
    Group(&'a str),
    /// The cluster.
    Cluster,
}

impl<'a> Resource<'a> {
    fn encoded(self) -> (u8, &'a str) {
        match self {
            Self::Topic(name) | Self::TopicPrefix(name) => (2, name),
            Self::Group(name) => (3, name),
            Self::Cluster => (4, "kafka-cluster"),
        }
    }

    fn pattern(self) -> u8 {
        match self {
            Self::TopicPrefix(_) => PREFIXED,
            _ => LITERAL,
        }
    }
}

/// What is granted; the numbers are the protocol's.
#[derive(Debug, Clone, Copy)]
pub enum Operation {
    /// Fetch records, or use a group.
    Read = 3,
    /// Append records.
    Write = 4,
    /// Create topics.
    Create = 5,
    /// See that it exists.
    Describe = 8,
    /// See its configuration.
    DescribeConfigs = 10,
}

const CREATE_ACLS: i16 = 30;
const DESCRIBE_ACLS: i16 = 29;
const LITERAL: u8 = 3;
const PREFIXED: u8 = 4;
const ALLOW: u8 = 3;

impl Kafka {
    /// Grants a user an operation, and waits until every live broker knows.
    pub fn allow(&self, user: &str, resource: Resource<'_>, operation: Operation) {
        let (kind, name) = resource.encoded();
        let mut grant = vec![kind];
        put(&mut grant, Some(name));
        grant.push(resource.pattern());
        put(&mut grant, Some(&format!("User:{user}")));
        let mut filter = grant.clone();
        put(&mut grant, Some("*"));
        put(&mut filter, None);
        for body in [&mut grant, &mut filter] {
            body.extend([operation as u8, ALLOW]);
        }
        let ports: Vec<u16> = (self.ports.iter().zip(&self.brokers))
            .filter_map(|(ports, server)| server.as_ref().map(|_| ports.plaintext))
            .collect();
        let creations = [&1_i32.to_be_bytes()[..], &grant].concat();
        let created = request(ports[0], CREATE_ACLS, &creations);
        // Throttle time, number of results, error code.
        assert_eq!(&created[8..10], [0, 0], "no grant: {created:?}");
        let begun = Instant::now();
        for port in ports {
            // Throttle time, error code, error message (null), number of resources.
            while request(port, DESCRIBE_ACLS, &filter)[8..12] == [0, 0, 0, 0] {
                assert!(begun.elapsed() < PATIENCE, "a broker ignores a grant");
                sleep(Duration::from_millis(20));
            }
        }
    }
}

/// Sends one request in version 1 and returns the body of its answer.
fn request(port: u16, key: i16, body: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    for number in [key, 1] {
        message.extend(number.to_be_bytes());
    }
    message.extend(7_i32.to_be_bytes());
    put(&mut message, Some("lab"));
    message.extend(body);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    let length = u32::try_from(message.len()).expect("a short message");
    stream.write_all(&length.to_be_bytes()).expect("write");
    stream.write_all(&message).expect("write");
    let mut length = [0; 4];
    stream.read_exact(&mut length).expect("read");
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    stream.read_exact(&mut answer).expect("read");
    // The correlation id goes first.
    answer.split_off(4)
}

/// A nullable string of the protocol.
fn put(message: &mut Vec<u8>, text: Option<&str>) {
    let length = text.map_or(-1, |text| i16::try_from(text.len()).expect("a short text"));
    message.extend(length.to_be_bytes());
    message.extend(text.unwrap_or_default().as_bytes());
}
