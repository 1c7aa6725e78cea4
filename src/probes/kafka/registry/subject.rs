//! What the registry says of the declared subjects.

use futures_util::future::join_all;
use serde::Deserialize;
use tokio::time::Instant;

use super::{Compatibility, Subject};
use crate::evidence::{Observed, Outcome, Unknown, UnknownWhy};
use crate::net::api::{Api, ApiError, path};

/// All that was asked.
pub(super) struct Answers {
    /// Why there is no answer of a registry; empty: there is one.
    pub(super) problem: Observed<String>,
    /// The level that is inherited.
    pub(super) global_compatibility: Observed<Compatibility>,
    /// The subjects, in their order.
    pub(super) subjects: Vec<Subject>,
}

/// The newest version of a subject.
#[derive(Deserialize)]
struct Latest {
    id: u32,
    version: u32,
    #[serde(rename = "schemaType")]
    schema_type: Option<String>,
}

/// A level as it is told; some products answer with the name that belongs into a request.
#[derive(Deserialize)]
struct Level {
    #[serde(rename = "compatibilityLevel", alias = "compatibility")]
    level: Compatibility,
}

/// The body of an error of Confluent's interface.
#[derive(Deserialize)]
struct Refused {
    error_code: u32,
}

/// Errors that say that a subject, a version, a schema or a level of its own is not there. Another
/// 404 may only mean that the base URL is wrong.
pub(super) fn is_absence(error: &ApiError) -> bool {
    matches!(error, ApiError::Status(refusal) if refusal.status == 404
        && refusal.json::<Refused>().is_some_and(|body| (40_400..40_500).contains(&body.error_code)))
}

/// Asks for the inherited level and every subject.
pub(super) async fn read(api: &Api, names: &[String], end: Instant) -> Answers {
    let global = api.get::<Level>("config", &[], end);
    let subjects = join_all(names.iter().map(|name| one(api, name, end)));
    let (global, subjects) = tokio::join!(global, subjects);
    let global = global.map(|answer| answer.value.level);
    let answered = global.is_ok() || subjects.iter().any(Asked::is_answer);
    let problem = match &global {
        Err(error) if !answered => problem(error),
        _ => Observed::Value(String::new()),
    };
    Answers {
        problem,
        subjects: (names.iter().zip(subjects))
            .map(|(name, asked)| asked.facts(name, &global))
            .collect(),
        global_compatibility: observed(global),
    }
}

/// Why the registry does not answer, where that is its fault.
pub(super) fn problem(error: &ApiError) -> Observed<String> {
    match error {
        ApiError::Connection(failure) if failure.outcome() == Outcome::TargetError => {
            Observed::Value(failure.detail().to_owned())
        }
        ApiError::Connection(_)
        | ApiError::Untrusted(_)
        | ApiError::Denied(_)
        | ApiError::TooLarge(_) => error.unknown().into(),
        ApiError::Status(_) | ApiError::TimedOut(_) | ApiError::Unparseable(_) => {
            Observed::Value(error.to_string())
        }
    }
}

/// The answers to what was asked of one subject.
struct Asked {
    latest: Result<Latest, ApiError>,
    level: Result<Compatibility, ApiError>,
}

async fn one(api: &Api, name: &str, end: Instant) -> Asked {
    let latest = path(&["subjects", name, "versions", "latest"]);
    let level = path(&["config", name]);
    // Without this, Apicurio answers NONE for a subject that inherits another level, and Confluent's
    // own registry has no answer.
    let effective = [("defaultToGlobal", "true")];
    let (latest, level) = tokio::join!(
        api.get::<Latest>(&latest, &[], end),
        api.get::<Level>(&level, &effective, end)
    );
    Asked {
        latest: latest.map(|answer| answer.value),
        level: level.map(|answer| answer.value.level),
    }
}

impl Asked {
    /// Whether it is the answer of a registry, be it that there is no such subject.
    fn is_answer(&self) -> bool {
        match &self.latest {
            Ok(_) => true,
            Err(error) => is_absence(error),
        }
    }

    fn facts(self, name: &str, global: &Result<Compatibility, ApiError>) -> Subject {
        let latest = match self.latest {
            Ok(latest) => latest,
            Err(error) if is_absence(&error) => {
                let why = Unknown {
                    why: UnknownWhy::NotApplicable,
                    detail: format!("there is no subject {name}"),
                };
                return Subject {
                    exists: Observed::Value(false),
                    ..Subject::unknown(name, &why)
                };
            }
            Err(error) => return Subject::unknown(name, &error.unknown()),
        };
        Subject {
            subject: name.to_owned(),
            exists: Observed::Value(true),
            version: Observed::Value(latest.version),
            schema_id: Observed::Value(latest.id),
            schema_type: Observed::Value(latest.schema_type.unwrap_or_else(|| "AVRO".to_owned())),
            compatibility: match self.level {
                // It has no level of its own, and the registry did not give the one it inherits.
                Err(error) if is_absence(&error) => observed(global.clone()),
                level => observed(level),
            },
        }
    }
}

fn observed<T>(result: Result<T, ApiError>) -> Observed<T> {
    match result {
        Ok(value) => Observed::Value(value),
        Err(error) => error.into(),
    }
}
