//! The client of one attempt.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response};
use rustls::{ClientConfig, RootCertStore};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use url::Url;

use super::MAX_IN_FLIGHT;
use super::body::{Budget, Lease};
use super::endpoint::Endpoint;
use super::error::{ApiError, classify, short};
use super::resolver::{Resolver, lookup};
use super::send::{Body, Received, Request, is_lost};
use crate::evidence::Failure;
use crate::net::{Dialler, TlsProfile};

/// Parsing less than this takes no time that anybody would miss.
const PARSED_IN_PLACE_BYTES: usize = 64 * 1024;

/// An API during one attempt: its own connections, one budget.
pub struct Api {
    base: Url,
    /// Carries the client certificate; for the origin of the base alone.
    origin: Client,
    origin_headers: HeaderMap,
    /// For where redirects lead; made when one leads there.
    elsewhere: OnceLock<Result<Client, Failure>>,
    plain_tls: TlsProfile,
    resolver: Arc<Resolver>,
    deadline: Instant,
    addresses: Vec<SocketAddr>,
    slots: Semaphore,
    budget: Arc<Budget>,
    /// Whether there may be idle connections.
    reuses: AtomicBool,
}

/// A decoded answer with what its head said.
#[derive(Debug)]
pub struct Answer<T> {
    /// The body.
    pub value: T,
    /// The status.
    pub status: u16,
    /// The target's clock when it answered, where it told: whole seconds.
    pub date: Option<Timestamp>,
}

impl Api {
    /// Resolves the name of the endpoint by `resolve_by` and prepares its client; nothing is sent yet.
    /// No request of it outlives `deadline`.
    ///
    /// # Errors
    /// A probe error when our resolver gives no address, or our TLS cannot be set up.
    pub async fn open(
        dialler: &Arc<Dialler>,
        endpoint: &Endpoint,
        resolve_by: Instant,
        deadline: Instant,
    ) -> Result<Self, Failure> {
        let host = endpoint.base.host_str().unwrap_or_default().to_owned();
        let port = endpoint.base.port_or_known_default().unwrap_or(80);
        let addresses = lookup(dialler, &host, port, resolve_by).await?;
        let resolver = Arc::new(Resolver {
            dialler: Arc::clone(dialler),
            deadline,
            host,
            addresses: addresses.clone(),
        });
        let tls = if endpoint.base.scheme() == "https" {
            (*dialler.tls_config(&endpoint.origin_tls)?).clone()
        } else {
            no_tls()
        };
        Ok(Self {
            base: endpoint.base.clone(),
            origin: client(tls, &resolver, deadline)?,
            origin_headers: endpoint.origin_headers.clone(),
            elsewhere: OnceLock::new(),
            plain_tls: endpoint.plain_tls.clone(),
            resolver,
            deadline,
            addresses,
            slots: Semaphore::new(MAX_IN_FLIGHT),
            budget: Budget::new(endpoint.max_body_bytes),
            reuses: AtomicBool::new(false),
        })
    }

    /// The addresses behind the base URL.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// GET, decoded from JSON; any status but success is an error.
    ///
    /// # Errors
    /// Whatever kept an answer from being had by `deadline`.
    pub async fn get<T: DeserializeOwned + Send + 'static>(
        &self,
        endpoint_path: &str,
        query: &[(&str, &str)],
        deadline: Instant,
    ) -> Result<Answer<T>, ApiError> {
        let request = self.request(Method::GET, endpoint_path, query, Body::None);
        self.json(request, deadline).await
    }

    /// The same for an API that says something in JSON with other statuses too; 401 and 403 are still errors.
    ///
    /// # Errors
    /// Whatever kept an answer from being had by `deadline`.
    pub async fn get_any_status<T: DeserializeOwned + Send + 'static>(
        &self,
        endpoint_path: &str,
        query: &[(&str, &str)],
        deadline: Instant,
    ) -> Result<Answer<T>, ApiError> {
        let mut request = self.request(Method::GET, endpoint_path, query, Body::None);
        request.any_status = true;
        self.json(request, deadline).await
    }

    /// GET, as text.
    ///
    /// # Errors
    /// Whatever kept an answer from being had by `deadline`.
    pub async fn get_text(
        &self,
        endpoint_path: &str,
        query: &[(&str, &str)],
        deadline: Instant,
    ) -> Result<Answer<String>, ApiError> {
        let request = self.request(Method::GET, endpoint_path, query, Body::None);
        let path = request.path.clone();
        let received = self.receive(request, deadline).await?;
        let Received {
            head, bytes, lease, ..
        } = received;
        let text = String::from_utf8(bytes)
            .map_err(|_| ApiError::Unparseable(format!("{path}: not text in UTF-8")))?;
        drop(lease);
        Ok(head.answer(text))
    }

    /// GET of the URL of the endpoint itself: a document of any type, byte by byte as it is stored there.
    ///
    /// # Errors
    /// Whatever kept the whole document from being had by `deadline`.
    pub async fn get_document(&self, deadline: Instant) -> Result<Answer<Vec<u8>>, ApiError> {
        let mut request = self.request(Method::GET, "", &[], Body::None);
        request.path = short(self.base.path(), 200);
        request.is_document = true;
        let received = self.receive(request, deadline).await?;
        Ok(received.head.answer(received.bytes))
    }

    /// POST of a form, decoded from JSON: for queries too long for a URL.
    ///
    /// # Errors
    /// Whatever kept an answer from being had by `deadline`.
    pub async fn post_form<T: DeserializeOwned + Send + 'static>(
        &self,
        endpoint_path: &str,
        form: &[(&str, &str)],
        deadline: Instant,
    ) -> Result<Answer<T>, ApiError> {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let content_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        let body = Body::Bytes(content_type, body.into());
        self.json(
            self.request(Method::POST, endpoint_path, &[], body),
            deadline,
        )
        .await
    }

    /// POST of JSON whose answer says nothing: a write. Never sent twice, never redirected.
    ///
    /// # Errors
    /// Whatever kept success from being seen by `deadline`; the write may have happened.
    pub async fn post_json(
        &self,
        endpoint_path: &str,
        value: &(impl Serialize + Sync),
        deadline: Instant,
    ) -> Result<(), ApiError> {
        let body = serde_json::to_vec(value)
            .map_err(|error| ApiError::Unparseable(format!("{endpoint_path}: {error}")))?;
        let content_type = HeaderValue::from_static("application/json");
        let body = Body::Bytes(content_type, body.into());
        let mut request = self.request(Method::POST, endpoint_path, &[], body);
        request.only_reads = false;
        self.receive(request, deadline).await.map(drop)
    }

    /// POST of JSON to a query endpoint, decoded from JSON. With `any_status`, other statuses than
    /// success are answers too, as in [`get_any_status`](Self::get_any_status).
    ///
    /// # Errors
    /// Whatever kept an answer from being had by `deadline`.
    pub async fn query_json<T: DeserializeOwned + Send + 'static>(
        &self,
        endpoint_path: &str,
        query: &[(&str, &str)],
        value: &(impl Serialize + Sync),
        any_status: bool,
        deadline: Instant,
    ) -> Result<Answer<T>, ApiError> {
        let body = serde_json::to_vec(value)
            .map_err(|error| ApiError::Unparseable(format!("{endpoint_path}: {error}")))?;
        let content_type = HeaderValue::from_static("application/json");
        let body = Body::Bytes(content_type, body.into());
        let mut request = self.request(Method::POST, endpoint_path, query, body);
        request.any_status = any_status;
        self.json(request, deadline).await
    }

    fn request(&self, method: Method, path: &str, query: &[(&str, &str)], body: Body) -> Request {
        let path = path.trim_start_matches('/').to_owned();
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path()));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Request {
            method,
            url,
            path,
            body,
            any_status: false,
            only_reads: true,
            is_document: false,
        }
    }

    async fn json<T: DeserializeOwned + Send + 'static>(
        &self,
        request: Request,
        deadline: Instant,
    ) -> Result<Answer<T>, ApiError> {
        let path = request.path.clone();
        let Received {
            head,
            bytes,
            mut lease,
        } = self.receive(request, deadline).await?;
        lease.take_values(&path, &bytes)?;
        let value = decode(path, bytes, lease, deadline).await?;
        Ok(head.answer(value))
    }

    /// Sends a request when its turn comes, and reads the answer whole.
    async fn receive(&self, request: Request, deadline: Instant) -> Result<Received, ApiError> {
        let path = request.path.clone();
        let working = async {
            let _slot = self.slots.acquire().await;
            self.send(request, self.budget.lease(), deadline).await
        };
        tokio::select! {
            biased;
            breach = self.budget.breached() => Err(breach),
            done = timeout_at(deadline, working) => done.unwrap_or_else(|_| Err(timed_out(&path))),
        }
    }

    /// Sends it; once more where the connection may have been an idle one that the server had given up.
    async fn exchange(
        &self,
        client: &Client,
        request: &Request,
        at_origin: bool,
    ) -> Result<Response, ApiError> {
        let may_be_stale = self.reuses.load(Ordering::Relaxed) && request.only_reads;
        let mut sent = self.build(client, request, at_origin).send().await;
        if may_be_stale && sent.as_ref().is_err_and(is_lost) {
            sent = self.build(client, request, at_origin).send().await;
        }
        sent.map_err(|error| classify(&error, &request.path, &self.addresses))
    }

    fn build(&self, client: &Client, request: &Request, at_origin: bool) -> RequestBuilder {
        let mut built = client.request(request.method.clone(), request.url.clone());
        if at_origin {
            built = built.headers(self.origin_headers.clone());
        }
        if request.is_document {
            // Neither another format of it nor a compressed one has its hash.
            built = built
                .header(header::ACCEPT, "*/*")
                .header(header::ACCEPT_ENCODING, "identity");
        }
        if let Body::Bytes(content_type, bytes) = &request.body {
            built = built
                .header(header::CONTENT_TYPE, content_type)
                .body(bytes.clone());
        }
        built
    }

    fn elsewhere(&self) -> Result<&Client, ApiError> {
        let made = self.elsewhere.get_or_init(|| {
            let tls = self.resolver.dialler.tls_config(&self.plain_tls)?;
            client((*tls).clone(), &self.resolver, self.deadline)
        });
        made.as_ref()
            .map_err(|failure| ApiError::Connection(failure.clone()))
    }

    async fn send(
        &self,
        mut request: Request,
        lease: Lease,
        deadline: Instant,
    ) -> Result<Received, ApiError> {
        const MAX_REDIRECTS: usize = 5;
        let mut at_origin = true;
        for _ in 0..=MAX_REDIRECTS {
            let client = if at_origin {
                &self.origin
            } else {
                self.elsewhere()?
            };
            let response = self.exchange(client, &request, at_origin).await?;
            match request.redirected(&response)? {
                None => {
                    let received = request.read(response, lease, at_origin, deadline).await?;
                    self.reuses.store(true, Ordering::Relaxed);
                    return Ok(received);
                }
                Some(next) => {
                    // Once elsewhere, always elsewhere: a detour must not launder credentials.
                    at_origin = at_origin && next.origin() == self.base.origin();
                    request.url = next;
                }
            }
        }
        let path = request.path;
        Err(ApiError::Connection(Failure::target(format!(
            "{path}: more than {MAX_REDIRECTS} redirects"
        ))))
    }
}

pub(super) fn timed_out(path: &str) -> ApiError {
    ApiError::TimedOut(format!(
        "{path}: no whole answer in its share of the timeout"
    ))
}

/// Decodes JSON; what is large is decoded aside, so that other probes get to run.
async fn decode<T: DeserializeOwned + Send + 'static>(
    path: String,
    bytes: Vec<u8>,
    lease: Lease,
    deadline: Instant,
) -> Result<T, ApiError> {
    let whole = bytes.len();
    let late = timed_out(&path);
    let work = move || {
        let decoded = serde_json::from_slice(&bytes);
        let decoded = decoded.map_err(|error| not_the_api(&path, &bytes, &error));
        drop((bytes, lease));
        decoded
    };
    if whole <= PARSED_IN_PLACE_BYTES {
        return work();
    }
    match timeout_at(deadline, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(decoded)) => decoded,
        Ok(Err(error)) => Err(ApiError::Connection(Failure::probe(error.to_string()))),
        Err(_) => Err(late),
    }
}

fn not_the_api(path: &str, bytes: &[u8], error: &serde_json::Error) -> ApiError {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let detail = match first {
        None => "an empty answer".to_owned(),
        Some(b'<') => {
            "a page, not JSON: a sign-in page, or another product at that address".to_owned()
        }
        Some(_) => format!(
            "not the JSON that this API answers: {}",
            short(&error.to_string(), 200)
        ),
    };
    ApiError::Unparseable(format!("{path}: {detail}"))
}

/// For an origin without TLS: the system's roots need not be loaded for it.
fn no_tls() -> ClientConfig {
    ClientConfig::builder()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

fn client(
    tls: ClientConfig,
    resolver: &Arc<Resolver>,
    deadline: Instant,
) -> Result<Client, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    Client::builder()
        .user_agent(concat!("probe/", env!("CARGO_PKG_VERSION")))
        .default_headers(headers)
        .tls_backend_preconfigured(tls)
        .dns_resolver(Arc::clone(resolver))
        .connect_timeout(deadline.saturating_duration_since(Instant::now()))
        .pool_max_idle_per_host(MAX_IN_FLIGHT)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .no_proxy()
        .http1_only()
        .build()
        .map_err(|error| Failure::probe(format!("http client: {}", error.without_url())))
}
