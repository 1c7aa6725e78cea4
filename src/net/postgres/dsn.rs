//! Connection strings as libpq reads them: `key=value` pairs or a URL. `sslmode` is enforced by us.

use std::net::IpAddr;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::params::{Secret, dsn_pairs, is_url};

/// How much TLS a connection string asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

impl SslMode {
    /// Whether a connection without TLS is acceptable.
    pub const fn may_be_plain(self) -> bool {
        matches!(self, Self::Disable | Self::Allow | Self::Prefer)
    }
}

/// One server and how to log in there.
#[derive(Debug, Clone)]
pub struct Dsn {
    pub host: String,
    pub hostaddr: Option<IpAddr>,
    pub port: u16,
    pub user: String,
    pub password: Option<Secret>,
    pub dbname: String,
    /// `None`: not written.
    pub sslmode: Option<SslMode>,
    pub sslrootcert: Option<PathBuf>,
    /// Of the user's, put before our own.
    pub options: Option<String>,
    pub application_name: Option<String>,
    pub require_channel_binding: bool,
}

impl Dsn {
    /// Reads a connection string.
    ///
    /// # Errors
    /// What is wrong and what to write instead; never the text itself, which holds a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let pairs = if text.starts_with("postgresql://") || text.starts_with("postgres://") {
            url_pairs(text)?
        } else if is_url(text) {
            return Err("is a URL of another scheme: write postgresql://user@host/database".into());
        } else {
            dsn_pairs(text).map_err(|bad| bad.to_string())?
        };
        Builder::default().all(pairs)?.finish()
    }

    /// The server, for people.
    pub fn name(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

#[derive(Default)]
struct Builder {
    host: Option<String>,
    hostaddr: Option<IpAddr>,
    port: Option<u16>,
    user: Option<String>,
    password: Option<Secret>,
    dbname: Option<String>,
    sslmode: Option<SslMode>,
    sslrootcert: Option<PathBuf>,
    options: Option<String>,
    application_name: Option<String>,
    require_channel_binding: bool,
}

impl Builder {
    fn all(mut self, pairs: Vec<(String, String)>) -> Result<Self, String> {
        for (key, value) in pairs {
            self.set(&key, value)?;
        }
        Ok(self)
    }

    fn set(&mut self, key: &str, value: String) -> Result<(), String> {
        match key {
            "host" => self.host = Some(host(value)?),
            "hostaddr" => {
                let address = value
                    .parse()
                    .map_err(|_| "`hostaddr` is not an address: write one, or `host` for a name")?;
                self.hostaddr = Some(address);
            }
            "port" => self.port = Some(port(&value)?),
            "user" => self.user = Some(value),
            "password" => self.password = Some(value.into()),
            "dbname" => self.dbname = Some(value),
            "sslmode" => self.sslmode = Some(sslmode(&value)?),
            "sslrootcert" if value == "system" => self.sslrootcert = None,
            "sslrootcert" => self.sslrootcert = Some(value.into()),
            "options" => self.options = Some(value),
            "application_name" => self.application_name = Some(value),
            "channel_binding" => match value.as_str() {
                "require" => self.require_channel_binding = true,
                "prefer" | "disable" => {}
                _ => return Err("`channel_binding` is require, prefer or disable".into()),
            },
            // How long and how often to try is the probe's own matter.
            "connect_timeout"
            | "keepalives"
            | "keepalives_idle"
            | "keepalives_interval"
            | "keepalives_count"
            | "tcp_user_timeout"
            | "client_encoding"
            | "gssencmode"
            | "fallback_application_name"
            | "sslcompression"
            | "sslsni"
            | "load_balance_hosts"
            | "target_session_attrs" => {}
            "passfile" | "service" => {
                return Err(format!(
                    "`{key}` is not read: put the password in with password=${{env:NAME}}"
                ));
            }
            _ => {
                return Err(format!(
                    "`{}` is not a key that is understood: there are host, hostaddr, port, user, password, dbname, sslmode, sslrootcert, application_name, options, channel_binding",
                    key.chars().take(40).collect::<String>()
                ));
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<Dsn, String> {
        let host = match (self.host, self.hostaddr) {
            (Some(host), _) => host,
            (None, Some(address)) => address.to_string(),
            (None, None) => return Err("names no host: write host=…".into()),
        };
        let Some(user) = self.user.filter(|user| !user.is_empty()) else {
            return Err("names no user: write user=…".into());
        };
        let dbname = self.dbname.filter(|name| !name.is_empty());
        Ok(Dsn {
            host,
            hostaddr: self.hostaddr,
            port: self.port.unwrap_or(5432),
            dbname: dbname.unwrap_or_else(|| user.clone()),
            user,
            password: self
                .password
                .filter(|password| !password.expose().is_empty()),
            sslmode: self.sslmode,
            sslrootcert: self.sslrootcert,
            options: self.options,
            application_name: self.application_name,
            require_channel_binding: self.require_channel_binding,
        })
    }
}

fn host(value: String) -> Result<String, String> {
    if value.contains(',') {
        return Err(
            "names several hosts: write one server per entry, the others under `standbys`".into(),
        );
    }
    if value.starts_with('/') || value.starts_with('@') {
        return Err("names a Unix socket: write the host or address of a TCP listener".into());
    }
    if value.is_empty() {
        return Err("names no host: write host=…".into());
    }
    Ok(value)
}

fn port(value: &str) -> Result<u16, String> {
    value
        .parse()
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| "`port` is not one: write a number from 1 to 65535".to_owned())
}

fn sslmode(value: &str) -> Result<SslMode, String> {
    Ok(match value {
        "disable" => SslMode::Disable,
        "allow" => SslMode::Allow,
        "prefer" => SslMode::Prefer,
        "require" => SslMode::Require,
        "verify-ca" => SslMode::VerifyCa,
        "verify-full" => SslMode::VerifyFull,
        _ => {
            return Err(
                "`sslmode` is disable, allow, prefer, require, verify-ca or verify-full".into(),
            );
        }
    })
}

fn url_pairs(text: &str) -> Result<Vec<(String, String)>, String> {
    let decode = |part: &str| {
        percent_decode_str(part)
            .decode_utf8()
            .map(std::borrow::Cow::into_owned)
            .map_err(|_| "is not a URL: a percent-encoded part is not UTF-8".to_owned())
    };
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, dbname) = rest.split_once('/').unwrap_or((rest, ""));
    let (user_info, host_port) = authority.rsplit_once('@').unwrap_or(("", authority));
    let mut pairs = Vec::new();
    let mut push = |key: &str, part: &str| -> Result<(), String> {
        if !part.is_empty() {
            pairs.push((key.to_owned(), decode(part)?));
        }
        Ok(())
    };
    let (user, password) = user_info.split_once(':').unwrap_or((user_info, ""));
    push("user", user)?;
    push("password", password)?;
    let (host, port) = match host_port
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((host, after)) => (host, after.strip_prefix(':').unwrap_or(after)),
        None => host_port.rsplit_once(':').unwrap_or((host_port, "")),
    };
    push("host", host)?;
    push("port", port)?;
    push("dbname", dbname)?;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((key, value)) = pair.split_once('=') else {
            return Err("has a query parameter without a value".into());
        };
        push(&decode(key)?, value)?;
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let pairs =
            r"host = h port=5501 user=probe password='p\'a\\ s' dbname=app sslmode=verify-full";
        let url = "postgresql://probe:p%27a%5C%20s@h:5501/app?sslmode=verify-full";
        for text in [pairs, url] {
            let dsn = Dsn::parse(text).expect(text);
            assert_eq!((dsn.host.as_str(), dsn.port), ("h", 5501), "{text}");
            assert_eq!((dsn.user.as_str(), dsn.dbname.as_str()), ("probe", "app"));
            assert_eq!(dsn.password.expect("a password").expose(), r"p'a\ s");
            assert_eq!(dsn.sslmode, Some(SslMode::VerifyFull));
        }
    }

    #[test]
    fn what_is_left_out_has_the_defaults_of_libpq() {
        let dsn = Dsn::parse("postgres://u@[::1]").expect("a URL");
        assert_eq!(
            (dsn.name().as_str(), dsn.dbname.as_str()),
            ("[::1]:5432", "u")
        );
        assert!(dsn.password.is_none() && dsn.sslmode.is_none());
        let dsn = Dsn::parse("hostaddr=127.0.0.1 user=u").expect("pairs");
        assert_eq!(dsn.host, "127.0.0.1");
    }

    #[test]
    fn errors_say_what_to_write_and_never_what_was_written() {
        for (text, words) in [
            ("", "names no host"),
            ("host=h", "names no user"),
            ("host=a,b user=u", "several hosts"),
            ("host=/run user=u", "Unix socket"),
            ("host=h user=u port=0", "1 to 65535"),
            ("host=h user=u sslmode=full", "verify-full"),
            ("host=h user=u nonsense", "key=value pairs"),
            ("host=h user=u password='hunter2", "never closed"),
            ("host=h user=u pasword=hunter2", "not a key"),
            ("host=h user=u service=x", "not read"),
            ("mysql://u:hunter2@h/x", "another scheme"),
        ] {
            let error = Dsn::parse(text).expect_err(text);
            assert!(error.contains(words), "{text}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
