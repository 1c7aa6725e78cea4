//! The schema registry: subjects, their compatibility, and the newest records of their topics.

use apache_avro::Schema;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;

use super::run;
use crate::lab::kafka::{Operation, PROBE, Resource};
use crate::lab::{Apicurio, Kafka, Nginx, Verdict};

const SCHEMA: &str = r#"{"type": "record", "name": "Match", "namespace": "football", "fields": [
    {"name": "home", "type": "string"}, {"name": "goals", "type": "int"}]}"#;

/// A record by that schema, as a producer writes it.
fn record(id: u32) -> Vec<u8> {
    framed(
        id,
        SCHEMA,
        Value::Record(vec![
            ("home".into(), "Bern".into()),
            ("goals".into(), Value::Int(2)),
        ]),
    )
}

fn framed(id: u32, schema: &str, value: Value) -> Vec<u8> {
    let schema = Schema::parse_str(schema).expect("a schema");
    let writer = GenericDatumWriter::builder(&schema)
        .build()
        .expect("a writer");
    let datum = writer.write_value_to_vec(value).expect("a datum");
    [&[0][..], &id.to_be_bytes(), &datum].concat()
}

/// One run over a topic and its value's subject.
fn look(kafka: &Kafka, topic: &str) -> Verdict {
    run(&format!(
        "brokers = {}\ntopics = [{{ name = \"{topic}\" }}]\n\
         schema_registry = {{ url = \"{}\", subjects = [\"{topic}-value\"] }}",
        kafka.plaintext(),
        Apicurio::shared().url()
    ))
}

/// A topic of one partition with its subject, and the id of its schema.
fn prepared(kafka: &Kafka, topic: &str) -> u32 {
    let registry = Apicurio::shared();
    let id = registry.register(&format!("{topic}-value"), SCHEMA);
    registry.set_level(&format!("{topic}-value"), "BACKWARD");
    kafka.create_topic(topic, 1, 3, &[]);
    id
}

const RULES: [&str; 4] = [
    "schema-registry",
    "subjects-exist",
    "compatibility",
    "newest-record-decodes",
];

fn assert_all_pass(verdict: &Verdict) {
    for rule in RULES {
        let rule = verdict.rule(&format!("stream/{rule}"));
        assert_eq!(rule["result"], "pass", "{rule}");
    }
}

fn assert_rule(verdict: &Verdict, rule: &str, result: &str, says: &str) {
    let rule = verdict.rule(&format!("stream/{rule}"));
    assert_eq!(rule["result"], result, "{rule}");
    let reason = rule["reason"].as_str().expect("a reason");
    assert!(reason.contains(says), "no `{says}` in {reason}");
}

#[test]
fn a_registry_and_records_that_agree_pass() {
    let kafka = Kafka::shared();
    let id = prepared(&kafka, "registry-good");
    kafka.produce(
        "registry-good",
        0,
        &[Some(b"older than the schema"), Some(&record(id))],
    );
    let verdict = look(&kafka, "registry-good");
    assert_all_pass(&verdict);
    let facts = &verdict.facts("stream")["schema_registry"];
    let subject = &facts["subjects"][0];
    assert_eq!(subject["version"], 1);
    assert_eq!(subject["schema_id"], id);
    assert_eq!(subject["schema_type"], "AVRO");
    assert_eq!(subject["compatibility"], "BACKWARD");
    let newest = &facts["topics"][0]["newest"];
    assert_eq!(newest["offset"], 1);
    assert_eq!(newest["schema_id"], id);
}

#[test]
fn a_subject_that_is_missing_fails_and_is_named() {
    let kafka = Kafka::shared();
    kafka.create_topic("registry-no-subject", 1, 3, &[]);
    let verdict = look(&kafka, "registry-no-subject");
    assert_rule(
        &verdict,
        "subjects-exist",
        "fail",
        "registry-no-subject-value",
    );
    assert_eq!(verdict.result("stream/schema-registry"), "pass");
}

#[test]
fn none_is_never_silent_whether_own_or_inherited() {
    let kafka = Kafka::shared();
    let registry = Apicurio::shared();
    prepared(&kafka, "registry-none");
    registry.set_level("registry-none-value", "NONE");
    let verdict = look(&kafka, "registry-none");
    assert_rule(&verdict, "compatibility", "fail", "registry-none-value");
    // No level of its own.
    registry.register("registry-inherits-value", SCHEMA);
    kafka.create_topic("registry-inherits", 1, 3, &[]);
    let level = registry.global_level("NONE");
    let verdict = look(&kafka, "registry-inherits");
    assert_rule(&verdict, "compatibility", "fail", "registry-inherits-value");
    drop(level);
    let level = registry.global_level("FULL");
    let verdict = look(&kafka, "registry-inherits");
    assert_rule(&verdict, "compatibility", "pass", "");
    let facts = &verdict.facts("stream")["schema_registry"];
    assert_eq!(facts["global_compatibility"], "FULL");
    assert_eq!(facts["subjects"][0]["compatibility"], "FULL");
    drop(level);
}

#[test]
fn records_that_are_not_what_their_schema_says_fail_with_the_cause() {
    let kafka = Kafka::shared();
    let topic = "registry-bad-records";
    let id = prepared(&kafka, topic);
    let good = record(id);
    let foreign = Apicurio::shared().register(
        "registry-other-value",
        r#"{"type": "record", "name": "Other", "fields": [{"name": "x", "type": {"type": "array", "items": "string"}}]}"#,
    );
    let cases: [(&[u8], &str); 7] = [
        (b"{\"home\": \"Bern\"}", "not with the magic byte"),
        (b"", "no magic byte"),
        (&good[..3], "ends within the id"),
        (
            &[&[0, 0x7f, 0xff, 0xff, 0xff], &good[5..]].concat(),
            "not in the registry",
        ),
        (&good[..good.len() - 1], "ends too early"),
        (&[&good[..], b"x"].concat(), "bytes follow"),
        (
            &[&[0], &foreign.to_be_bytes()[..], &good[5..]].concat(),
            "does not decode",
        ),
    ];
    for (value, says) in cases {
        kafka.produce(topic, 0, &[Some(&good), Some(value)]);
        let verdict = look(&kafka, topic);
        assert_rule(&verdict, "newest-record-decodes", "fail", says);
        assert_rule(&verdict, "newest-record-decodes", "fail", topic);
    }
    kafka.produce(topic, 0, &[Some(&good)]);
    assert_all_pass(&look(&kafka, topic));
}

#[test]
fn every_compression_is_read() {
    let kafka = Kafka::shared();
    let topic = "registry-compressed";
    let id = prepared(&kafka, topic);
    for codec in ["gzip", "snappy", "lz4", "zstd"] {
        let good = record(id);
        let values = vec![Some(&good[..]); 50];
        kafka.produce_with(
            &[("compression.type", codec), ("linger.ms", "50")],
            topic,
            0,
            &values,
        );
        let verdict = look(&kafka, topic);
        assert_rule(&verdict, "newest-record-decodes", "pass", "");
    }
}

#[test]
fn markers_of_transactions_aborted_records_and_tombstones_are_stepped_over() {
    let kafka = Kafka::shared();
    let topic = "registry-transactions";
    let id = prepared(&kafka, topic);
    let good = record(id);
    let newest = |offset: i64| {
        let verdict = look(&kafka, topic);
        assert_all_pass(&verdict);
        let facts = &verdict.facts("stream")["schema_registry"];
        assert_eq!(facts["topics"][0]["newest"]["offset"], offset);
    };
    kafka.produce_in_transaction(topic, 0, &[Some(&good)], true);
    newest(0);
    kafka.produce_in_transaction(topic, 0, &[Some(b"never to be seen")], false);
    newest(0);
    // More tombstones than the first look reaches back.
    kafka.produce(topic, 0, &vec![None; 100]);
    newest(0);
    kafka.produce(topic, 0, &[Some(b"seen")]);
    let verdict = look(&kafka, topic);
    assert_rule(&verdict, "newest-record-decodes", "fail", "magic byte");
}

#[test]
fn where_no_record_is_nothing_is_known() {
    let kafka = Kafka::shared();
    let topic = "registry-empty";
    let id = prepared(&kafka, topic);
    let verdict = look(&kafka, topic);
    assert_rule(&verdict, "newest-record-decodes", "unknown", "no record");
    kafka.produce(topic, 0, &[None]);
    let verdict = look(&kafka, topic);
    assert_rule(&verdict, "newest-record-decodes", "unknown", "no record");
    kafka.produce(topic, 0, &[Some(&record(id))]);
    assert_all_pass(&look(&kafka, topic));
    // Retention took it.
    kafka.delete_records(topic, 0, kafka.end_offset(topic, 0));
    let verdict = look(&kafka, topic);
    assert_rule(&verdict, "newest-record-decodes", "unknown", "no record");
}

#[test]
fn the_last_record_of_every_partition_decides_whatever_time_it_bears() {
    let kafka = Kafka::shared();
    let topic = "registry-partitions";
    let registry = Apicurio::shared();
    let id = registry.register("registry-partitions-value", SCHEMA);
    registry.set_level("registry-partitions-value", "FULL_TRANSITIVE");
    kafka.create_topic(topic, 3, 3, &[]);
    kafka.produce(topic, 1, &[Some(b"not by the schema")]);
    kafka.produce(topic, 2, &[Some(&record(id))]);
    let verdict = look(&kafka, topic);
    assert_rule(&verdict, "newest-record-decodes", "fail", "magic byte");
    let newest = &verdict.facts("stream")["schema_registry"]["topics"][0]["newest"];
    assert_eq!(newest["partition"], 2, "{newest}");
    kafka.produce(topic, 1, &[Some(&record(id))]);
    assert_all_pass(&look(&kafka, topic));
}

#[test]
fn without_read_on_the_topic_its_records_are_unknown() {
    let kafka = Kafka::shared();
    let topic = "registry-denied";
    let id = prepared(&kafka, topic);
    kafka.produce(topic, 0, &[Some(&record(id))]);
    let probe = || {
        run(&format!(
            "brokers = {}\n{}\ntopics = [{{ name = \"{topic}\" }}]\n\
             schema_registry = {{ url = \"{}\", subjects = [\"{topic}-value\"] }}",
            kafka.sasl_ssl(),
            kafka.security("SCRAM-SHA-512", PROBE),
            Apicurio::shared().url()
        ))
    };
    kafka.allow(PROBE, Resource::Topic(topic), Operation::Describe);
    let verdict = probe();
    assert_rule(
        &verdict,
        "newest-record-decodes",
        "unknown",
        "Read on topic",
    );
    kafka.allow(PROBE, Resource::Topic(topic), Operation::Read);
    assert_rule(&probe(), "newest-record-decodes", "pass", "");
}

#[test]
fn a_login_and_a_base_path_are_needed_where_the_registry_wants_them() {
    let kafka = Kafka::shared();
    let topic = "registry-behind-login";
    let id = prepared(&kafka, topic);
    kafka.produce(topic, 0, &[Some(&record(id))]);
    let users = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(users.path(), "reader:{PLAIN}opensesame\n").expect("write users");
    std::fs::set_permissions(
        users.path(),
        std::os::unix::fs::PermissionsExt::from_mode(0o644),
    )
    .expect("permissions");
    let proxy = Nginx::plain_with(&format!(
        "location /base/ {{ auth_basic registry; auth_basic_user_file {}; proxy_pass {}/; }}",
        users.path().display(),
        Apicurio::shared().url()
    ));
    let probe = |registry: &str| {
        run(&format!(
            "brokers = {}\ntopics = [{{ name = \"{topic}\" }}]\n\
             schema_registry = {{ subjects = [\"{topic}-value\"], {registry} }}",
            kafka.plaintext()
        ))
    };
    let (port, login) = (
        proxy.port,
        "auth = { basic = { username = \"reader\", password = \"PW\" } }",
    );
    let right = login.replace("PW", "opensesame");
    assert_all_pass(&probe(&format!(
        "url = \"http://127.0.0.1:{port}/base\", {right}"
    )));
    assert_all_pass(&probe(&format!(
        "url = \"http://reader:opensesame@127.0.0.1:{port}/base/\""
    )));
    for wrong in [String::new(), login.replace("PW", "closed-sesame")] {
        let verdict = probe(&format!("url = \"http://127.0.0.1:{port}/base\", {wrong}"));
        for rule in RULES {
            assert_eq!(
                verdict.result(&format!("stream/{rule}")),
                "unknown",
                "{rule}"
            );
        }
        let text = verdict.json.to_string();
        assert!(!text.contains("closed-sesame"), "a secret is printed");
    }
    // Another base path: a 404 there says nothing of the subject.
    let verdict = probe(&format!(
        "url = \"http://127.0.0.1:{port}/elsewhere\", {right}"
    ));
    assert_rule(&verdict, "schema-registry", "fail", "404");
    assert_eq!(verdict.result("stream/subjects-exist"), "unknown");
}

#[test]
fn schemas_that_refer_to_others_are_put_together() {
    let kafka = Kafka::shared();
    let registry = Apicurio::shared();
    registry.register(
        "registry-team",
        r#"{"type": "record", "name": "football.Team", "fields": [{"name": "name", "type": "string"}]}"#,
    );
    let topic = "registry-references";
    let id = registry.register_with(
        "registry-references-value",
        r#"{"type": "record", "name": "football.Pair", "fields": [
            {"name": "home", "type": "football.Team"}, {"name": "away", "type": "football.Team"}]}"#,
        &[("football.Team", "registry-team", 1)],
    );
    registry.set_level("registry-references-value", "BACKWARD");
    kafka.create_topic(topic, 1, 3, &[]);
    let pair = [&[0][..], &id.to_be_bytes(), &[8], b"Bern", &[8], b"Linz"].concat();
    kafka.produce(topic, 0, &[Some(&pair)]);
    assert_all_pass(&look(&kafka, topic));
    kafka.produce(topic, 0, &[Some(&pair[..pair.len() - 2])]);
    assert_rule(
        &look(&kafka, topic),
        "newest-record-decodes",
        "fail",
        "ends too early",
    );
}
