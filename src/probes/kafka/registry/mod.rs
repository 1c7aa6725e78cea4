//! The schema registry: subjects, their effective compatibility, and whether the newest records are
//! what it says.

mod avro;
mod decode;
mod subject;
pub(super) mod tail;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::client::Settings;
use super::config::Config;
use super::{Kafka, pool};
use crate::evidence::{Observed, Unknown, UnknownWhy};
use crate::net::api::{Api, ApiError, Auth, Endpoint, EndpointParams};
use crate::params::{FilePath, UrlText};
use crate::probes::{Condition, Context, ParamError, RuleSpec, Severity};

/// No answer of a registry to what is asked here is near this.
const MAX_BODY_BYTES: u64 = 4 << 20;
/// Subjects that are asked about; more would not be answered within a timeout.
const MAX_SUBJECTS: usize = 1_000;

/// A schema registry with Confluent's REST interface.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RegistryParams {
    /// Its base URL, with the path below which `/subjects` is.
    pub(super) url: UrlText,
    /// How to log in; without it, as the URL says.
    pub(super) auth: Option<Auth>,
    /// A PEM file with the roots to trust; without it the system's.
    pub(super) ca_file: Option<FilePath>,
    /// Subjects that must exist. Where a topic `T` is declared too, the newest record of `T` must be
    /// what the registry says for the subject `T-value`.
    #[serde(default)]
    pub(super) subjects: Vec<String>,
}

/// What the schema registry told.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RegistryFacts {
    /// Why there is no answer of a schema registry: refused, silent, a page instead of JSON. Empty:
    /// it answers.
    pub problem: Observed<String>,
    /// The compatibility level of subjects that have none of their own.
    pub global_compatibility: Observed<Compatibility>,
    /// The declared subjects.
    pub subjects: Vec<Subject>,
    /// The declared topics whose value's subject is declared too.
    pub topics: Vec<TopicRecords>,
}

/// A declared subject.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Subject {
    /// Its name.
    pub subject: String,
    /// Whether there is such a subject.
    pub exists: Observed<bool>,
    /// Its newest version.
    pub version: Observed<u32>,
    /// The id of the schema of that version.
    pub schema_id: Observed<u32>,
    /// The type of that schema: `AVRO`, `JSON`, `PROTOBUF`.
    pub schema_type: Observed<String>,
    /// Its effective compatibility level, its own or inherited.
    pub compatibility: Observed<Compatibility>,
}

/// Which schemas a subject takes as its next version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Compatibility {
    /// Those that read what the last one wrote.
    Backward,
    /// Those that read what any earlier one wrote.
    BackwardTransitive,
    /// Those whose records the last one reads.
    Forward,
    /// Those whose records any earlier one reads.
    ForwardTransitive,
    /// Both, for the last one.
    Full,
    /// Both, for any earlier one.
    FullTransitive,
    /// Any at all.
    None,
}

/// The newest records of a topic.
#[derive(Debug, Serialize, JsonSchema)]
pub struct TopicRecords {
    /// The topic.
    pub topic: String,
    /// The newest record that has a value, by the times that records bear, which are the producers'
    /// where the topic does not say otherwise; unknown where one of the last records has no time.
    pub newest: Observed<Record>,
    /// The last record with a value in each partition that holds one among its last offsets; deleted
    /// keys (tombstones) and records of transactions that are open or aborted are none.
    pub partitions: Observed<Vec<Record>>,
}

/// A record that is the last one with a value in its partition.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Record {
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its timestamp.
    pub timestamp: Observed<Timestamp>,
    /// The id of its schema.
    pub schema_id: Observed<u32>,
    /// Why it is not what its schema says: no magic byte, a schema that the registry does not know,
    /// bytes that do not decode. Empty: it decodes.
    pub problem: Observed<String>,
}

const DECLARED: Option<Condition<Config>> = Some(Condition {
    text: "`schema_registry` is declared",
    holds: |config| config.schema_registry.is_some(),
});
const SUBJECTS_DECLARED: Option<Condition<Config>> = Some(Condition {
    text: "`schema_registry.subjects` are declared",
    holds: |config| (config.schema_registry.as_ref()).is_some_and(|it| !it.subjects.is_empty()),
});
const VALUES_DECLARED: Option<Condition<Config>> = Some(Condition {
    text: "a topic `T` and the subject `T-value` are declared",
    holds: |config| {
        let has_subject = |params: &RegistryParams| {
            (config.topics.iter()).any(|topic| has_value_subject(&params.subjects, &topic.name))
        };
        config.schema_registry.as_ref().is_some_and(has_subject)
    },
});

/// It answers.
pub(super) const ANSWERS: RuleSpec<Config> = RuleSpec {
    name: "schema-registry",
    expr: "schema_registry.problem == ''",
    applies: None,
    severity: Severity::Must,
    why: "without it no producer can write a new schema, and no consumer that has just started can read",
    source: "Confluent Schema Registry API",
    when: DECLARED,
};

/// The declared subjects are there.
pub(super) const SUBJECTS: RuleSpec<Config> = RuleSpec {
    name: "subjects-exist",
    expr: "schema_registry.subjects.all(s, s.exists)",
    applies: None,
    severity: Severity::Must,
    why: "a declared subject that is missing has no schema to check records by",
    source: "definition",
    when: SUBJECTS_DECLARED,
};

/// Schemas are checked against earlier ones.
pub(super) const COMPATIBILITY: RuleSpec<Config> = RuleSpec {
    name: "compatibility",
    expr: "schema_registry.subjects.all(s, s.compatibility != 'NONE')",
    applies: None,
    severity: Severity::Must,
    why: "with NONE, its own or inherited, any schema is taken, also one that no consumer can read",
    source: "Confluent documentation: Schema Evolution and Compatibility",
    when: SUBJECTS_DECLARED,
};

/// What was written last can be read, in every partition: which of them was written to last only
/// producers tell, and a clock that is wrong would hide the record that does not decode.
pub(super) const NEWEST_RECORD: RuleSpec<Config> = RuleSpec {
    name: "newest-record-decodes",
    expr: "schema_registry.topics.all(t, t.partitions.all(p, p.problem == ''))",
    applies: None,
    severity: Severity::Must,
    why: "a schema in the registry does not show that producers write by it, and a record that does not decode stops the consumers of its partition",
    source: "Confluent documentation: wire format",
    when: VALUES_DECLARED,
};

/// A registry whose parameters make sense.
pub(super) struct Registry {
    endpoint: Endpoint,
    subjects: Vec<String>,
    /// Topics to look into.
    topics: Vec<String>,
}

impl Registry {
    /// Checks the parameters; `declared` are the names of the topics.
    pub(super) fn new<'t>(
        params: &RegistryParams,
        declared: impl Iterator<Item = &'t str>,
        errors: &mut Vec<ParamError>,
    ) -> Option<Self> {
        check_subjects(&params.subjects, errors);
        let endpoint = Endpoint::new(&EndpointParams {
            url: &params.url,
            auth: params.auth.as_ref(),
            ca_file: params.ca_file.as_ref(),
            max_body_bytes: Some(MAX_BODY_BYTES),
        });
        let endpoint = endpoint.map_err(|problems| {
            errors.extend(problems.into_iter().map(|problem| {
                let problem = problem.below("schema_registry");
                ParamError::new(problem.param, problem.message)
            }));
        });
        Some(Self {
            endpoint: endpoint.ok()?,
            subjects: params.subjects.clone(),
            topics: declared
                .filter(|topic| has_value_subject(&params.subjects, topic))
                .map(str::to_owned)
                .collect(),
        })
    }

    /// The clients that look into topics: one that asks where they are, and one that reads.
    pub(super) fn clients(&self) -> usize {
        if self.topics.is_empty() { 0 } else { 2 }
    }

    /// Credentials in the form in which they are sent.
    pub(super) fn secrets(&self) -> &[String] {
        self.endpoint.secrets()
    }
}

/// Whether the subject of the topic's values is declared.
pub(super) fn has_value_subject(subjects: &[String], topic: &str) -> bool {
    subjects
        .iter()
        .any(|subject| subject.strip_suffix("-value") == Some(topic))
}

fn check_subjects(subjects: &[String], errors: &mut Vec<ParamError>) {
    if subjects.len() > MAX_SUBJECTS {
        let message = format!(
            "are {}: declare {MAX_SUBJECTS} at most in one probe",
            subjects.len()
        );
        errors.push(ParamError::new("schema_registry.subjects", message));
    }
    for (index, subject) in subjects.iter().enumerate() {
        let problem = if subject.is_empty() {
            "is empty: write the name of a subject, such as \"matches-value\"".to_owned()
        } else if subjects[..index].contains(subject) {
            format!("`{subject}` is declared twice")
        } else {
            continue;
        };
        let param = format!("schema_registry.subjects.{index}");
        errors.push(ParamError::new(param, problem));
    }
}

/// Asks the registry, and looks into the topics. It ends before the attempt does.
pub(super) async fn read(
    ctx: &Context,
    kafka: &Kafka,
    settings: &Settings,
) -> Observed<RegistryFacts> {
    let Some(registry) = &kafka.registry else {
        return Observed::unknown(
            UnknownWhy::NotApplicable,
            "no `schema_registry` is declared",
        );
    };
    let end = Instant::now() + ctx.remaining().mul_f64(0.9);
    let halfway = Instant::now() + ctx.remaining().mul_f64(0.5);
    Observed::Value(match ctx.api(&registry.endpoint).await {
        Ok(api) => ask(&api, settings, registry, halfway, end).await,
        Err(failure) => unreached(registry, &ApiError::Connection(failure)),
    })
}

async fn ask(
    api: &Api,
    settings: &Settings,
    registry: &Registry,
    halfway: Instant,
    end: Instant,
) -> RegistryFacts {
    let (settings, topics) = (settings.clone(), registry.topics.clone());
    let tails = pool::run(halfway, move |work| tail::read(&settings, &topics, work));
    let tails = async {
        if registry.topics.is_empty() {
            return Vec::new();
        }
        tails.await.unwrap_or_else(|failure| {
            let unknown = tail::not_observed(&failure);
            registry
                .topics
                .iter()
                .map(|_| Err(unknown.clone()))
                .collect()
        })
    };
    let (answers, tails) = tokio::join!(subject::read(api, &registry.subjects, end), tails);
    let mut schemas = decode::Schemas::new(api, end);
    let mut topics = Vec::new();
    for (topic, tails) in registry.topics.iter().zip(tails) {
        topics.push(schemas.topic(topic, tails).await);
    }
    RegistryFacts {
        problem: answers.problem,
        global_compatibility: answers.global_compatibility,
        subjects: answers.subjects,
        topics,
    }
}

/// Our own side failed before anything was asked.
fn unreached(registry: &Registry, error: &ApiError) -> RegistryFacts {
    let unknown = error.unknown();
    RegistryFacts {
        problem: subject::problem(error),
        global_compatibility: unknown.clone().into(),
        subjects: (registry.subjects.iter())
            .map(|name| Subject::unknown(name, &unknown))
            .collect(),
        topics: (registry.topics.iter())
            .map(|topic| TopicRecords {
                topic: topic.clone(),
                newest: unknown.clone().into(),
                partitions: unknown.clone().into(),
            })
            .collect(),
    }
}

impl Subject {
    fn unknown(name: &str, why: &Unknown) -> Self {
        Self {
            subject: name.to_owned(),
            exists: why.clone().into(),
            version: why.clone().into(),
            schema_id: why.clone().into(),
            schema_type: why.clone().into(),
            compatibility: why.clone().into(),
        }
    }
}
