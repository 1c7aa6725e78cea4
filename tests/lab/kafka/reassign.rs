//! Moves replicas. The client library of the tests has no call for it, so one request of Kafka's
//! protocol is written here.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::Kafka;

const ALTER_PARTITION_REASSIGNMENTS: i16 = 45;
/// No tagged fields.
const NO_TAGS: u8 = 0;

impl Kafka {
    /// Gives a partition these replicas and no others, and waits until it has them.
    pub fn reassign(&self, topic: &str, partition: i32, brokers: &[i32]) {
        let mut message = Vec::new();
        for number in [ALTER_PARTITION_REASSIGNMENTS, 0] {
            message.extend(number.to_be_bytes());
        }
        message.extend(7_i32.to_be_bytes());
        // A client id of no length.
        message.extend([0, 0, NO_TAGS]);
        message.extend(10_000_i32.to_be_bytes());
        // Compact lengths are one more than the length.
        let length = |length: usize| u8::try_from(length + 1).expect("a short list");
        message.push(length(1));
        message.push(length(topic.len()));
        message.extend(topic.as_bytes());
        message.push(length(1));
        message.extend(partition.to_be_bytes());
        message.push(length(brokers.len()));
        for broker in brokers {
            message.extend(broker.to_be_bytes());
        }
        message.extend([NO_TAGS; 3]);
        let port = self.ports[0].plaintext;
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connect");
        let bytes = u32::try_from(message.len()).expect("a short message");
        stream.write_all(&bytes.to_be_bytes()).expect("write");
        stream.write_all(&message).expect("write");
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).expect("read");
        let mut answer = vec![0; u32::from_be_bytes(bytes) as usize];
        stream.read_exact(&mut answer).expect("read");
        // Correlation id, tags, throttle time, error code.
        assert_eq!(&answer[9..11], [0, 0], "not moved: {answer:?}");
        self.wait("move the replicas", |metadata| {
            let mut topics = metadata.topics().iter();
            let found = topics.find(|one| one.name() == topic);
            let mut partitions = found.iter().flat_map(|topic| topic.partitions());
            partitions.any(|one| one.id() == partition && one.replicas() == brokers)
        });
    }
}
