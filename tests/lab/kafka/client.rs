//! What tests do to the cluster as its clients: topics, records, groups.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Offset, TopicPartitionList};

use super::{Kafka, PATIENCE};

impl Kafka {
    /// Creates a topic and waits until every broker that is asked knows it.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        replication: i32,
        config: &[(&str, &str)],
    ) {
        let admin = self.admin();
        let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(replication));
        for (key, value) in config {
            topic = topic.set(key, value);
        }
        let created = block_on(admin.create_topics([&topic], &patient()));
        for result in created.expect("ask for a topic") {
            result.expect("create a topic");
        }
        self.wait("know the new topic", |metadata| {
            metadata.topics().iter().any(|topic| {
                topic.name() == name && topic.partitions().iter().all(|one| one.leader() >= 0)
            })
        });
    }

    /// Creates many topics at once.
    pub fn create_topics(&self, names: &[&str], partitions: i32, replication: i32) {
        let topic = |name| NewTopic::new(name, partitions, TopicReplication::Fixed(replication));
        let topics: Vec<NewTopic<'_>> = names.iter().copied().map(topic).collect();
        let created = block_on(self.admin().create_topics(&topics, &patient()));
        for result in created.expect("ask for topics") {
            result.expect("create a topic");
        }
        self.wait_until_in_sync();
    }

    /// Deletes topics.
    pub fn delete_topics(&self, names: &[&str]) {
        let deleted = block_on(self.admin().delete_topics(names, &patient()));
        for result in deleted.expect("ask to delete topics") {
            result.expect("delete a topic");
        }
    }

    /// Deletes a topic.
    pub fn delete_topic(&self, name: &str) {
        self.delete_topics(&[name]);
        self.wait("forget the topic", |metadata| {
            !metadata.topics().iter().any(|topic| topic.name() == name)
        });
    }

    /// Whether there is a topic of that name.
    pub fn has_topic(&self, name: &str) -> bool {
        self.metadata()
            .topics()
            .iter()
            .any(|topic| topic.name() == name)
    }

    /// The names of all topics.
    pub fn topics(&self) -> Vec<String> {
        let metadata = self.metadata();
        let names = metadata
            .topics()
            .iter()
            .map(|topic| topic.name().to_owned());
        names.collect()
    }

    /// The names of all groups.
    pub fn groups(&self) -> Vec<String> {
        let client: BaseConsumer = self.client(&[]).create().expect("a client");
        let list = client.fetch_group_list(None, PATIENCE).expect("groups");
        list.groups()
            .iter()
            .map(|group| group.name().to_owned())
            .collect()
    }

    /// The offset that the next record of a partition will have.
    pub fn end_offset(&self, topic: &str, partition: i32) -> i64 {
        let client: BaseConsumer = self.client(&[]).create().expect("a client");
        let (_, end) = client
            .fetch_watermarks(topic, partition, PATIENCE)
            .expect("offsets");
        end
    }

    /// Removes the records before an offset, as retention does.
    pub fn delete_records(&self, topic: &str, partition: i32, before: i64) {
        let list = offsets(topic, &[(partition, before)]);
        let deleted =
            block_on(self.admin().delete_records(&list, &patient())).expect("delete records");
        for element in deleted.elements() {
            element.error().expect("delete records");
        }
    }

    /// Appends records; `None` is a tombstone.
    pub fn produce(&self, topic: &str, partition: i32, values: &[Option<&[u8]>]) {
        self.produce_with(&[], topic, partition, values);
    }

    /// Appends records with further settings of the producer.
    pub fn produce_with(
        &self,
        config: &[(&str, &str)],
        topic: &str,
        partition: i32,
        values: &[Option<&[u8]>],
    ) {
        let producer = self.producer(config);
        send(&producer, topic, partition, values);
        producer.flush(PATIENCE).expect("flush");
    }

    /// Appends records in a transaction that is then committed or aborted.
    pub fn produce_in_transaction(
        &self,
        topic: &str,
        partition: i32,
        values: &[Option<&[u8]>],
        commit: bool,
    ) {
        let producer = self.producer(&[("transactional.id", topic)]);
        producer.init_transactions(PATIENCE).expect("transactions");
        producer.begin_transaction().expect("begin");
        send(&producer, topic, partition, values);
        producer.flush(PATIENCE).expect("flush");
        if commit {
            producer.commit_transaction(PATIENCE).expect("commit");
        } else {
            producer.abort_transaction(PATIENCE).expect("abort");
        }
    }

    /// Commits offsets for a group without joining it.
    pub fn commit(&self, group: &str, topic: &str, positions: &[(i32, i64)]) {
        let consumer: BaseConsumer = self
            .client(&[("group.id", group), ("enable.auto.commit", "false")])
            .create()
            .expect("a consumer");
        let list = offsets(topic, positions);
        let begun = Instant::now();
        while let Err(error) = consumer.commit(&list, CommitMode::Sync) {
            assert!(begun.elapsed() < PATIENCE, "commit: {error}");
            sleep(Duration::from_millis(100));
        }
    }

    /// Joins a group with further settings (`group.protocol = "consumer"`: KIP-848) and waits for
    /// an assignment. The member reads, and commits only with `enable.auto.commit`.
    pub fn join(&self, group: &str, topics: &[&str], config: &[(&str, &str)]) -> Member {
        let mut client = self.client(&[
            ("group.id", group),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", "earliest"),
        ]);
        for (key, value) in config {
            client.set(*key, *value);
        }
        let consumer: BaseConsumer = client.create().expect("a consumer");
        consumer.subscribe(topics).expect("subscribe");
        let begun = Instant::now();
        while consumer.assignment().expect("an assignment").count() == 0 {
            assert!(begun.elapsed() < PATIENCE, "{group} assigns nothing");
            consumer.poll(Duration::from_millis(50));
        }
        Member::keep(consumer)
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        self.client(&[]).create().expect("an admin client")
    }

    fn producer(&self, config: &[(&str, &str)]) -> BaseProducer {
        let mut client = self.client(&[("acks", "all"), ("linger.ms", "0")]);
        for (key, value) in config {
            client.set(*key, *value);
        }
        client.create().expect("a producer")
    }
}

/// A member of a group; it leaves when dropped.
pub struct Member {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Member {
    fn keep(consumer: BaseConsumer) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                consumer.poll(Duration::from_millis(50));
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn send(producer: &BaseProducer, topic: &str, partition: i32, values: &[Option<&[u8]>]) {
    for value in values {
        let mut record = BaseRecord::<str, [u8]>::to(topic)
            .key("key")
            .partition(partition);
        if let Some(value) = value {
            record = record.payload(value);
        }
        producer.send(record).expect("send");
    }
}

fn offsets(topic: &str, positions: &[(i32, i64)]) -> TopicPartitionList {
    let mut list = TopicPartitionList::new();
    for (partition, offset) in positions {
        list.add_partition_offset(topic, *partition, Offset::Offset(*offset))
            .expect("an offset");
    }
    list
}

fn patient() -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(PATIENCE))
        .operation_timeout(Some(PATIENCE))
}

/// Runs a future to its end, also from within an asynchronous test.
fn block_on<F: Future<Output: Send> + Send>(future: F) -> F::Output {
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            tokio::runtime::Builder::new_current_thread()
                .build()
                .expect("a runtime")
                .block_on(future)
        });
        run.join().expect("the client panicked")
    })
}
