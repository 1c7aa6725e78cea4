//! How connections of our own are opened: what `security` and `librdkafka` say, as far as it is
//! ours to do.

use std::sync::Arc;

use super::super::config::Config;
use super::super::security::{Mechanism, Protocol};
use crate::evidence::{Unknown, UnknownWhy};
use crate::net::{ClientIdentity, Roots, load_identity, load_roots};
use crate::params::Secret;

/// How to connect and log in.
#[derive(Clone)]
pub(in super::super) struct Access {
    pub(super) client_id: String,
    pub(super) tls: Option<Tls>,
    pub(super) login: Option<Login>,
}

/// How TLS is spoken.
#[derive(Clone)]
pub(in super::super) struct Tls {
    pub(super) roots: Roots,
    pub(super) identity: Option<Arc<ClientIdentity>>,
    pub(super) trust: Trust,
}

/// Which certificates are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Those with a trusted chain and the broker's name.
    Verified,
    /// Those with a trusted chain, whatever their name.
    AnyName,
    /// Any at all.
    Any,
}

/// How to log in.
#[derive(Clone)]
pub(in super::super) struct Login {
    pub(super) mechanism: Mechanism,
    pub(super) username: String,
    /// The password, or the token.
    pub(super) secret: Secret,
}

/// Settings of librdkafka by which it connects in a way that is not spoken here.
const LIBRARY_ALONE: &[&str] = &[
    "ssl.keystore.location",
    "ssl.certificate.pem",
    "ssl.certificate.location",
    "ssl.key.pem",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.ca.pem",
    "ssl.ca.certificate.stores",
    "sasl.oauthbearer.config",
    "sasl.oauthbearer.method",
    "enable.sasl.oauthbearer.unsecure.jwt",
];

impl Access {
    /// As the parameters say.
    pub(in super::super) fn of(config: &Config) -> Result<Self, Unknown> {
        let set = |key: &str| {
            config
                .librdkafka
                .get(key)
                .map(super::super::config::Setting::text)
        };
        if let Some(key) = LIBRARY_ALONE.iter().find(|key| set(key).is_some()) {
            return Err(unknown(format!(
                "`{key}` is set for librdkafka alone, and groups and each broker are asked without \
                 it: write it in `security`"
            )));
        }
        let protocol = match &config.security {
            Some(security) => security.protocol,
            None => protocol(set("security.protocol").as_deref())?,
        };
        let tls = if protocol.is_tls() {
            Some(tls(config, &set)?)
        } else {
            None
        };
        let login = if protocol.is_sasl() {
            Some(login(config, &set)?)
        } else {
            None
        };
        Ok(Self {
            client_id: set("client.id").unwrap_or_else(|| "probe".to_owned()),
            tls,
            login,
        })
    }

    /// The same without a login, with whatever certificate the broker has: nothing secret is sent.
    pub(in super::super) fn anonymous(&self) -> Self {
        let tls = self.tls.clone().map(|tls| Tls {
            identity: None,
            trust: Trust::Any,
            ..tls
        });
        Self {
            client_id: self.client_id.clone(),
            tls,
            login: None,
        }
    }

    /// The same with another password.
    pub(in super::super) fn with_password(&self, password: &str) -> Self {
        let mut other = self.clone();
        if let Some(login) = &mut other.login {
            login.secret = password.to_owned().into();
        }
        other
    }
}

fn unknown(detail: impl Into<String>) -> Unknown {
    Unknown {
        why: UnknownWhy::Unsupported,
        detail: detail.into(),
    }
}

fn protocol(text: Option<&str>) -> Result<Protocol, Unknown> {
    let Some(text) = text else {
        return Ok(Protocol::Plaintext);
    };
    let all = [
        Protocol::Plaintext,
        Protocol::Ssl,
        Protocol::SaslPlaintext,
        Protocol::SaslSsl,
    ];
    let found = (all.into_iter()).find(|known| known.as_str().eq_ignore_ascii_case(text));
    found.ok_or_else(|| unknown(format!("protocol `{text}` is not spoken here")))
}

fn tls(config: &Config, set: &dyn Fn(&str) -> Option<String>) -> Result<Tls, Unknown> {
    let security = config.security.as_ref();
    let file = match security.and_then(|security| security.ca_file.as_ref()) {
        Some(file) => Some(file.as_path().to_owned()),
        None => set("ssl.ca.location").map(Into::into),
    };
    let roots = match file {
        Some(path) => load_roots(&path).map_err(unknown)?,
        None => Roots::System,
    };
    let files = security.and_then(|security| {
        let chain = security.client_cert_file.as_ref()?;
        Some((chain, security.client_key_file.as_ref()?))
    });
    let identity = match files {
        Some((chain, key)) => Some(load_identity(chain.as_path(), key.as_path()).map_err(unknown)?),
        None => None,
    };
    let is = |key: &str, value: &str| set(key).is_some_and(|it| it.eq_ignore_ascii_case(value));
    let trust = if is("enable.ssl.certificate.verification", "false") {
        Trust::Any
    } else if is("ssl.endpoint.identification.algorithm", "none") {
        Trust::AnyName
    } else {
        Trust::Verified
    };
    Ok(Tls {
        roots,
        identity: identity.map(Arc::new),
        trust,
    })
}

fn login(config: &Config, set: &dyn Fn(&str) -> Option<String>) -> Result<Login, Unknown> {
    let missing = || unknown("the login is not complete");
    if let Some(security) = &config.security {
        let mechanism = security.mechanism.ok_or_else(missing)?;
        let secret = match mechanism {
            Mechanism::OauthBearer => &security.token,
            _ => &security.password,
        };
        return Ok(Login {
            mechanism,
            username: security.username.clone().unwrap_or_default(),
            secret: secret.clone().ok_or_else(missing)?,
        });
    }
    let name = set("sasl.mechanism").or_else(|| set("sasl.mechanisms"));
    let all = [Mechanism::Plain, Mechanism::Scram256, Mechanism::Scram512];
    let mechanism = (all.into_iter())
        .find(|known| name.as_deref() == Some(known.as_str()))
        .ok_or_else(|| unknown("this mechanism of SASL is not spoken here without `security`"))?;
    Ok(Login {
        mechanism,
        username: set("sasl.username").ok_or_else(missing)?,
        secret: set("sasl.password").ok_or_else(missing)?.into(),
    })
}
