//! Clients of librdkafka: what they are told, and what they say went wrong.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::{ClientConfig, FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message as _};
use rdkafka::producer::{BaseProducer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::evidence::Failure;
use crate::params::Secret;

/// Two names of one setting: what a user has set by the other one must not win.
const ALIASES: [[&str; 2]; 5] = [
    ["acks", "request.required.acks"],
    ["message.send.max.retries", "retries"],
    ["linger.ms", "queue.buffering.max.ms"],
    ["message.timeout.ms", "delivery.timeout.ms"],
    ["fetch.message.max.bytes", "max.partition.fetch.bytes"],
];

/// What every client of one probe is told.
#[derive(Clone)]
pub(super) struct Settings {
    config: ClientConfig,
    token: Option<Secret>,
}

impl Settings {
    /// Settings of a client that starts from `brokers`. What the user set comes first: what keeps
    /// the promises of the probe overrides it.
    pub(super) fn new(
        brokers: &[String],
        user: &[(String, String)],
        token: Option<Secret>,
    ) -> Self {
        let mut config = ClientConfig::new();
        config.set("client.id", "probe");
        config.set("reconnect.backoff.max.ms", "1000");
        for (key, value) in user {
            config.set(key, value);
        }
        config.set("bootstrap.servers", brokers.join(","));
        // Asking for a topic must not make it.
        config.set("allow.auto.create.topics", "false");
        config.set("enable.auto.commit", "false");
        config.set("enable.idempotence", "false");
        // Whoever asks for its reports gets them, with `--verbose`.
        let reports = user.iter().any(|(key, _)| key == "debug");
        config.set_log_level(if reports {
            RDKafkaLogLevel::Debug
        } else {
            RDKafkaLogLevel::Error
        });
        Self { config, token }
    }

    /// The same with another value.
    #[must_use]
    pub(super) fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        for pair in ALIASES {
            if pair.contains(&key) {
                for name in pair {
                    self.config.remove(name);
                }
            }
        }
        self.config.set(key, value);
        self
    }

    /// Whether librdkafka takes the settings together, for a client that writes.
    pub(super) fn try_producer(&self) -> Result<(), String> {
        self.try_client::<BaseProducer<Watch>>()
    }

    /// The same for one that reads.
    pub(super) fn try_consumer(&self) -> Result<(), String> {
        self.try_client::<BaseConsumer<Watch>>()
    }

    fn try_client<C: FromClientConfigAndContext<Watch>>(&self) -> Result<(), String> {
        let mut alone = self.clone();
        alone.config.remove("bootstrap.servers");
        match alone.connect::<C>() {
            Ok(_) => Ok(()),
            Err(failure) => Err(failure.detail().to_owned()),
        }
    }

    /// Makes a client: a `BaseProducer<Watch>` or a `BaseConsumer<Watch>`. It blocks, and so does
    /// dropping it: only on a thread of [`pool`](super::pool).
    ///
    /// # Errors
    /// When librdkafka takes the settings one by one and not together.
    pub(super) fn connect<C: FromClientConfigAndContext<Watch>>(
        &self,
    ) -> Result<(C, Heard), Failure> {
        let heard = Heard::default();
        let watch = Watch {
            heard: heard.clone(),
            token: self.token.clone(),
        };
        let client = self
            .config
            .create_with_context(watch)
            .map_err(|error| Failure::probe(format!("the Kafka client does not start: {error}")))?;
        Ok((client, heard))
    }
}

/// An error that a client reported beside its calls.
#[derive(Debug, Clone)]
pub(super) struct Cause {
    pub(super) at: Instant,
    pub(super) code: Code,
    pub(super) text: String,
}

/// What a client has reported so far. Its calls only know that they timed out; why, it says here.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard {
    causes: Arc<Mutex<Vec<Cause>>>,
    deliveries: Arc<Mutex<Vec<Delivery>>>,
}

/// What became of a record that was sent.
#[derive(Debug)]
pub(super) struct Delivery {
    pub(super) partition: i32,
    /// Its offset, or why it has none.
    pub(super) result: Result<i64, Code>,
    pub(super) at: Instant,
}

/// Reports kept: of a cluster that refuses the first ones tell why.
const MAX_CAUSES: usize = 32;

impl Heard {
    fn push(&self, cause: Cause) {
        let mut causes = self.causes.lock().unwrap_or_else(PoisonError::into_inner);
        if causes.len() < MAX_CAUSES {
            causes.push(cause);
        }
    }

    /// What was reported, oldest first.
    pub(super) fn all(&self) -> Vec<Cause> {
        self.causes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// When all brokers were first found dead, and why one of them is.
    pub(super) fn all_down(&self) -> Option<(Instant, Cause)> {
        let causes = self.all();
        let down = causes
            .iter()
            .find(|cause| cause.code == Code::AllBrokersDown)?;
        let telling = causes
            .iter()
            .find(|cause| cause.code != Code::AllBrokersDown);
        Some((down.at, telling.unwrap_or(down).clone()))
    }

    fn deliver(&self, delivery: Delivery) {
        let mut deliveries = self
            .deliveries
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        deliveries.push(delivery);
    }

    /// What became of records since this was last asked.
    pub(super) fn delivered(&self) -> Vec<Delivery> {
        std::mem::take(
            &mut *self
                .deliveries
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// A refusal that no waiting changes: a login or a certificate that is not taken.
    pub(super) fn refusal(&self) -> Option<Cause> {
        let refused = |cause: &Cause| matches!(cause.code, Code::Authentication | Code::SSL);
        self.all().into_iter().find(refused)
    }

    /// The first report that says more than that all brokers are down.
    pub(super) fn telling(&self) -> Option<Cause> {
        let causes = self.all();
        let telling = causes
            .iter()
            .find(|cause| cause.code != Code::AllBrokersDown);
        telling.or(causes.first()).cloned()
    }
}

/// Listens to a client.
pub(super) struct Watch {
    heard: Heard,
    token: Option<Secret>,
}

impl ClientContext for Watch {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, _: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!("librdkafka: {facility}: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code().unwrap_or(Code::Fail);
        self.heard.push(Cause {
            at: Instant::now(),
            code,
            text: reason.to_owned(),
        });
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn Error>> {
        let token = self.token.as_ref().ok_or("no token is declared")?;
        let claims = Claims::of(token.expose())?;
        Ok(OAuthToken {
            token: token.expose().to_owned(),
            principal_name: claims.subject,
            lifetime_ms: claims.expires_ms,
        })
    }
}

impl ConsumerContext for Watch {}

impl ProducerContext for Watch {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let (partition, result) = match result {
            Ok(message) => (message.partition(), Ok(message.offset())),
            Err((error, message)) => {
                let code = error.rdkafka_error_code().unwrap_or(Code::Fail);
                (message.partition(), Err(code))
            }
        };
        self.heard.deliver(Delivery {
            partition,
            result,
            at: Instant::now(),
        });
    }
}

/// What a client must know of its token; only the broker can tell whether it is genuine.
pub(super) struct Claims {
    subject: String,
    expires_ms: i64,
}

impl Claims {
    /// Reads a JSON Web Token.
    pub(super) fn of(token: &str) -> Result<Self, &'static str> {
        let mut parts = token.trim().split('.');
        let (Some(_), Some(body), Some(_), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("is not a JSON Web Token: it has three parts with `.` between them");
        };
        let body = URL_SAFE_NO_PAD
            .decode(body.trim_end_matches('='))
            .map_err(|_| "is not a JSON Web Token: its second part is not base64url")?;
        let claims: serde_json::Value = serde_json::from_slice(&body)
            .map_err(|_| "is not a JSON Web Token: its second part is not JSON")?;
        let subject = claims.get("sub").and_then(serde_json::Value::as_str);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a float that is too large becomes the largest integer"
        )]
        let expires_ms = claims
            .get("exp")
            .and_then(serde_json::Value::as_f64)
            .map(|seconds| (seconds * 1000.0) as i64);
        match (subject, expires_ms) {
            (Some(subject), Some(expires_ms)) => Ok(Self {
                subject: subject.to_owned(),
                expires_ms,
            }),
            (None, _) => Err("is a JSON Web Token without `sub`, the user that it is for"),
            (_, None) => Err("is a JSON Web Token without `exp`, the time when it expires"),
        }
    }
}
