//! `http`: one request, its redirects, and everything about the final response.

mod body;
mod config;
mod connect;
mod decode;
mod exchange;
mod facts;
mod headers;
mod location;
mod samples;

use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http::header::{self, HeaderMap};
use http_body_util::Full;
use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::time::Instant;

use self::body::Body;
pub use self::config::Config;
use self::config::{HttpVersionWanted, Prepared};
use self::connect::{Tls, Wire};
use self::exchange::Exchange;
pub use self::facts::Facts;
use self::facts::{BodyFacts, Redirect};
use self::location::{Hop, Next};
use super::{
    Condition, Context, Effect, InitHint, KindInfo, ParamError, ProbeKind, RuleSpec, Sample,
    Severity, TargetParams,
};
use crate::evidence::{Failure, Observed, UnknownWhy, millis};

const MAX_REDIRECTS: usize = 10;

/// The kind.
pub struct Http {
    config: Config,
    prepared: Prepared,
}

impl ProbeKind for Http {
    const INFO: KindInfo = KindInfo {
        name: "http",
        summary: "status, headers, body, JSON and timings of an HTTP endpoint, over HTTP/1.1 or 2",
        privileges: "none; credentials as the endpoint wants them",
        effect: Effect::Read,
        side_effects: "one request on a new connection, and one for each redirect that is followed",
        example: "url = \"http://127.0.0.1:8000/health\"\n",
        init: &[InitHint {
            variable: "API_URL",
            toml: "url = \"${env:{variable}}\"\n",
        }],
    };
    const TARGET: TargetParams = TargetParams::Url {
        param: "url",
        scheme: "http",
    };
    const RULES: &'static [RuleSpec<Config>] = &[
        RuleSpec {
            name: "status",
            expr: "status >= 200 && status <= 299",
            applies: None,
            severity: Severity::Must,
            why: "the endpoint answers with success",
            source: "RFC 9110, section 15.3",
            when: None,
        },
        RuleSpec {
            name: "complete",
            expr: "complete",
            applies: None,
            severity: Severity::Must,
            why: "a response that breaks off is a broken response, whatever its status said",
            source: "RFC 9112, section 8",
            when: None,
        },
        RuleSpec {
            name: "redirects-to-https",
            expr: "final_url.startsWith('https://') || (status in [301, 302, 307, 308] && \
                   'location' in headers && headers['location'].startsWith('https://'))",
            applies: None,
            severity: Severity::Must,
            why: "who comes over plain HTTP is sent to HTTPS",
            source: "RFC 6797, section 7.2",
            when: Some(Condition {
                text: "it is switched on: `rules.redirects-to-https = true`",
                holds: |_| false,
            }),
        },
    ];
    type Config = Config;
    type Facts = Facts;

    fn new(config: Config) -> Result<Self, Vec<ParamError>> {
        let prepared = Prepared::new(&config)?;
        Ok(Self { config, prepared })
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn target(&self) -> String {
        self.prepared.start.url.to_string()
    }

    fn descriptors(&self) -> usize {
        // While a name is resolved no connection is open; two servers may be asked at once, each
        // for both families.
        const RESOLVING: usize = 4;
        let prepared = &self.prepared;
        let resolves = prepared.pin.is_none() && !prepared.start.is_literal;
        if resolves { RESOLVING } else { 1 }
    }

    fn secrets(&self) -> Vec<String> {
        self.prepared.secrets.clone()
    }

    fn samples(facts: &Map<String, Value>) -> Vec<Sample> {
        samples::samples(facts)
    }

    async fn observe(&self, ctx: &Context) -> Result<Facts, Failure> {
        let begun = Instant::now();
        let mut redirects = Vec::new();
        let mut hop = self.first_hop();
        loop {
            let answer = self.request(ctx, &hop).await.map_err(|failure| {
                if redirects.is_empty() {
                    return failure;
                }
                failure.during(&format!("redirected to {}", hop.location.url))
            })?;
            let head = &answer.exchange.head;
            let stayed = match location::next(&self.prepared, &hop, head.status, &head.headers) {
                Next::Follow(next) => {
                    redirects.push(Redirect {
                        status: head.status.as_u16(),
                        from: hop.location.url.to_string(),
                        location: next.location.url.to_string(),
                    });
                    if redirects.len() > MAX_REDIRECTS {
                        let detail = format!("more than {MAX_REDIRECTS} redirects");
                        return Err(Failure::target(detail));
                    }
                    hop = next;
                    continue;
                }
                Next::Final => None,
                Next::Stay(reason) => Some(reason),
            };
            return Ok(self
                .finish(ctx, begun, &hop, answer, redirects, stayed)
                .await);
        }
    }
}

/// The head of a response, and how it came.
struct Answer {
    exchange: Exchange,
    wire: Wire,
    first_byte_ms: f64,
}

impl Http {
    fn first_hop(&self) -> Hop {
        Hop {
            location: Arc::clone(&self.prepared.start),
            method: self.prepared.method.clone(),
            with_body: true,
            at_origin: true,
        }
    }

    async fn request(&self, ctx: &Context, hop: &Hop) -> Result<Answer, Failure> {
        let prepared = &self.prepared;
        let tls = self.tls(ctx, hop)?;
        let pin = prepared.pin.filter(|_| hop.at_origin);
        let mut connection = connect::open(ctx, &hop.location, pin, tls.as_ref()).await?;
        let wants_http2 = prepared.version == HttpVersionWanted::Http2;
        if wants_http2 && hop.location.https && !connection.wire.is_http2 {
            return Err(Failure::target(
                "http: the target did not agree to HTTP/2 (ALPN)",
            ));
        }
        connection.wire.is_http2 |= wants_http2;
        let is_http2 = connection.wire.is_http2;
        let request = self.build(hop, is_http2);
        let begun = Instant::now();
        let sent = exchange::send(connection.stream, is_http2, request, ctx.deadline()).await;
        let took = begun.elapsed();
        ctx.phase("first_byte", took);
        Ok(Answer {
            exchange: sent?,
            wire: connection.wire,
            first_byte_ms: millis(took),
        })
    }

    fn tls(&self, ctx: &Context, hop: &Hop) -> Result<Option<Tls>, Failure> {
        let Some(server_name) = &hop.location.server_name else {
            return Ok(None);
        };
        let (profile, overridden) = if hop.at_origin {
            (
                &self.prepared.origin_tls,
                self.prepared.server_name.as_ref(),
            )
        } else {
            (&self.prepared.plain_tls, None)
        };
        Ok(Some(Tls {
            config: ctx.net().tls_config(profile)?,
            server_name: overridden.unwrap_or(server_name).clone(),
        }))
    }

    fn build(&self, hop: &Hop, is_http2: bool) -> Request<Full<Bytes>> {
        let prepared = &self.prepared;
        let mut headers = if hop.at_origin {
            prepared.origin_headers.clone()
        } else {
            prepared.plain_headers.clone()
        };
        let body = if hop.with_body {
            prepared.body.clone()
        } else {
            drop_content_headers(&mut headers);
            Bytes::new()
        };
        let uri = if is_http2 {
            let host = headers.remove(header::HOST);
            let overridden = host.and_then(|host| host.to_str().ok()?.parse().ok());
            let authority = overridden.unwrap_or_else(|| hop.location.authority.clone());
            hop.location.uri(Some(authority))
        } else {
            headers
                .entry(header::HOST)
                .or_insert_with(|| hop.location.host_header.clone());
            hop.location.uri(None)
        };
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = hop.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        request
    }

    async fn finish(
        &self,
        ctx: &Context,
        begun: Instant,
        hop: &Hop,
        mut answer: Answer,
        redirects: Vec<Redirect>,
        stayed: Option<String>,
    ) -> Facts {
        let prepared = &self.prepared;
        let reading = Instant::now();
        let max_bytes = prepared.max_body_bytes;
        let deadline = ctx.deadline();
        let Body {
            content,
            complete,
            ended,
        } = body::read(&mut answer.exchange, &hop.method, max_bytes, deadline).await;
        ctx.phase("body", reading.elapsed());
        let total = Observed::Value(millis(begun.elapsed()));
        let total_ms = match (&content, ended) {
            (Observed::Unknown(unknown), false) => unknown.clone().into(),
            _ => total,
        };
        // The connection is closed before its response is worked on.
        let Answer {
            exchange,
            wire,
            first_byte_ms,
        } = answer;
        let head = exchange.head;
        drop((exchange.body, exchange.driver));
        let body = BodyFacts::new(content);
        let (certificate_not_after, certificate_days_left) = validity(&wire, ctx.now());
        Facts {
            status: head.status.as_u16(),
            complete,
            total_ms,
            dns_ms: wire.dns_ms,
            connect_ms: wire.connect_ms,
            tls_ms: wire.tls_ms,
            first_byte_ms,
            headers: facts::header_map(&head.headers),
            set_cookies: facts::cookies(&head.headers),
            body: body.text,
            json: body.json,
            body_bytes: body.bytes,
            body_sha256: body.sha256,
            http_version: head.version.into(),
            redirects,
            redirect_not_followed: stayed.map_or_else(
                || {
                    Observed::unknown(
                        UnknownWhy::NotApplicable,
                        "the final response redirects nowhere",
                    )
                },
                Observed::Value,
            ),
            final_url: hop.location.url.to_string(),
            remote_address: wire.remote.to_string(),
            tls_version: wire.tls_version,
            certificate_not_after,
            certificate_days_left,
        }
    }
}

fn drop_content_headers(headers: &mut HeaderMap) {
    for name in [
        header::CONTENT_TYPE,
        header::CONTENT_ENCODING,
        header::CONTENT_LANGUAGE,
        header::CONTENT_LOCATION,
    ] {
        headers.remove(name);
    }
}

fn validity(wire: &Wire, now: Timestamp) -> (Observed<Timestamp>, Observed<i64>) {
    const SECONDS_PER_DAY: i64 = 86_400;
    let not_after = wire.certificate.clone().and_then(|leaf| {
        let unparseable = |detail: String| Observed::unknown(UnknownWhy::Unparseable, detail);
        match x509_parser::parse_x509_certificate(&leaf) {
            Err(error) => unparseable(error.to_string()),
            Ok((_, certificate)) => {
                let seconds = certificate.validity().not_after.timestamp();
                Timestamp::from_second(seconds)
                    .map_or_else(|error| unparseable(error.to_string()), Observed::Value)
            }
        }
    });
    let days_left = not_after
        .clone()
        .map(|end| (end.as_second() - now.as_second()).div_euclid(SECONDS_PER_DAY));
    (not_after, days_left)
}
