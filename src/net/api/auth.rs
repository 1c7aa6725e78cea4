//! Credentials for an HTTP API.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use schemars::JsonSchema;
use serde::Deserialize;
use url::Url;

use super::endpoint::BadParam;
use crate::net::{ClientIdentity, load_identity};
use crate::params::{FilePath, Secret};

/// How to log in: `{ bearer = "…" }`, `{ basic = { username = "…", password = "…" } }`, or a client
/// certificate `{ client_cert = "cert.pem", client_key = "key.pem" }`, which goes with either.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct Auth {
    /// A token to send as `Authorization: Bearer …`.
    pub bearer: Option<Secret>,
    /// Basic authentication.
    pub basic: Option<BasicCredentials>,
    /// The client certificate chain (PEM, leaf first), with `client_key`.
    pub client_cert: Option<FilePath>,
    /// The private key (PEM) of `client_cert`.
    pub client_key: Option<FilePath>,
}

/// A user and a password.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct BasicCredentials {
    /// The user.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// Credentials in the form in which they are sent.
#[derive(Default)]
pub(super) struct Credentials {
    pub authorization: Option<HeaderValue>,
    pub identity: Option<ClientIdentity>,
    /// What the configuration does not hold literally.
    pub secrets: Vec<String>,
}

impl Credentials {
    /// From the parameters and the user info of the URL; what is wrong goes to `problems`.
    pub fn new(auth: Option<&Auth>, url: Option<&Url>, problems: &mut Vec<BadParam>) -> Self {
        let mut credentials = Self::default();
        let mut places = Vec::new();
        if let Some(url) = url
            && (!url.username().is_empty() || url.password().is_some())
        {
            let user = percent_decode_str(url.username()).decode_utf8_lossy();
            let password =
                percent_decode_str(url.password().unwrap_or_default()).decode_utf8_lossy();
            credentials.basic(&user, &password);
            places.push("url");
        }
        let Some(auth) = auth else {
            return credentials;
        };
        if let Some(basic) = &auth.basic {
            if basic.username.contains(':') {
                let message = "a user name cannot contain a colon";
                problems.push(BadParam::new("auth.basic.username", message));
            }
            credentials.basic(&basic.username, basic.password.expose());
            places.push("auth.basic");
        }
        if let Some(token) = &auth.bearer {
            credentials.bearer(token.expose(), problems);
            places.push("auth.bearer");
        }
        if let [_, second, ..] = places.as_slice() {
            let given = places.join(", ");
            let message = format!("credentials are given more than once ({given}): keep one");
            problems.push(BadParam::new(*second, message));
        }
        credentials.certificate(auth, problems);
        if places.is_empty() && auth.client_cert.is_none() && auth.client_key.is_none() {
            let message = "no credentials in it: write `bearer`, `basic`, or `client_cert` and `client_key`, or leave `auth` out";
            problems.push(BadParam::new("auth", message));
        }
        credentials
    }

    fn basic(&mut self, user: &str, password: &str) {
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        self.set(&format!("Basic {encoded}"));
        self.secrets.push(encoded);
        self.secrets.push(password.to_owned());
    }

    fn bearer(&mut self, token: &str, problems: &mut Vec<BadParam>) {
        // A token read from a file ends in a newline as often as not.
        let token = token.trim();
        if token.is_empty() || !self.set(&format!("Bearer {token}")) {
            let message = "a token is visible ASCII text in one line";
            problems.push(BadParam::new("auth.bearer", message));
        }
        self.secrets.push(token.to_owned());
    }

    fn set(&mut self, value: &str) -> bool {
        let Ok(mut value) = HeaderValue::from_str(value) else {
            return false;
        };
        value.set_sensitive(true);
        self.authorization = Some(value);
        true
    }

    fn certificate(&mut self, auth: &Auth, problems: &mut Vec<BadParam>) {
        match (&auth.client_cert, &auth.client_key) {
            (Some(chain), Some(key)) => match load_identity(chain.as_path(), key.as_path()) {
                Ok(identity) => self.identity = Some(identity),
                Err(message) => problems.push(BadParam::new("auth.client_cert", message)),
            },
            (Some(_), None) => problems.push(BadParam::new(
                "auth.client_key",
                "`client_cert` needs its private key",
            )),
            (None, Some(_)) => problems.push(BadParam::new(
                "auth.client_cert",
                "`client_key` needs its certificate",
            )),
            (None, None) => {}
        }
    }
}
