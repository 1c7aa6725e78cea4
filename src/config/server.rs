//! `[server]` → how the daemon is asked.

use toml::Spanned;

use super::diagnostics::Diagnostics;
use super::sources::Place;
use super::suggest::did_you_mean;
use super::tables::ServerTable;
use crate::net::load_identity;
use crate::params::{FilePath, Secret};
use crate::plan::{ServerSettings, TlsFiles, TokenHash};

/// What may be made public. Whatever makes the daemon act is not among them.
const MAY_BE_PUBLIC: [&str; 11] = [
    "/",
    "/healthz",
    "/readyz",
    "/metrics",
    "/probe",
    "/badge",
    "/gates",
    "/api/v1/verdict",
    "/api/v1/items",
    "/api/v1/probes",
    "/api/v1/events",
];
/// A token shorter than this can be guessed.
const SHORT_TOKEN_BYTES: usize = 16;

/// Resolves the table; errors go to `diagnostics`.
pub(super) fn settings(
    table: ServerTable,
    file: usize,
    diagnostics: &mut Diagnostics,
) -> ServerSettings {
    let mut reader = Reader { file, diagnostics };
    let mut settings = ServerSettings::default();
    let listen = table.listen.as_ref();
    if let Some((host, port)) = listen.and_then(|listen| reader.listen(listen)) {
        settings.host = host;
        settings.port = port;
    }
    if let Some(tokens) = &table.tokens {
        settings.tokens = reader.tokens(tokens);
    } else if let Some(listen) = listen
        && !settings.is_loopback()
    {
        let help = "for example tokens = [\"${file:/run/secrets/probe-token}\"]";
        reader
            .error(
                listen,
                "`listen` is reachable from other hosts: `tokens` must say who may ask",
            )
            .help(help);
    }
    settings.tls = reader.tls(table.cert_file.as_ref(), table.key_file.as_ref());
    if let Some(public) = &table.public {
        settings.public = public
            .iter()
            .filter_map(|path| reader.public(path))
            .collect();
    }
    settings.hosts = table.hosts;
    let with = |given: Option<usize>, default: usize| given.unwrap_or(default);
    settings.max_connections = with(table.max_connections, settings.max_connections);
    settings.max_requests = with(table.max_requests, settings.max_requests);
    settings.max_probes = with(table.max_probes, settings.max_probes);
    if let Some(rate) = table.requests_per_second {
        settings.requests_per_second = rate;
    }
    settings
}

struct Reader<'d> {
    file: usize,
    diagnostics: &'d mut Diagnostics,
}

impl Reader<'_> {
    fn error<T>(
        &mut self,
        at: &Spanned<T>,
        message: impl Into<String>,
    ) -> &mut super::diagnostics::Diagnostic {
        let place = Place {
            file: self.file,
            span: at.span(),
        };
        self.diagnostics.error(place, message.into())
    }

    fn listen(&mut self, written: &Spanned<String>) -> Option<(String, u16)> {
        const EXAMPLE: &str =
            "write host:port, such as \"127.0.0.1:9730\", \"0.0.0.0:9730\" or \"[::1]:9730\"";
        let text = written.get_ref();
        let split = text.rsplit_once(':').and_then(|(host, port)| {
            let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
            let host = match bare {
                Some(v6) => v6.parse::<std::net::Ipv6Addr>().ok().map(|_| v6)?,
                None => Some(host).filter(|host| !host.contains([':', '/', '@', ' ']))?,
            };
            Some((host.to_owned(), port.parse::<u16>().ok()?))
        });
        match split {
            Some((host, port)) if !host.is_empty() => Some((host, port)),
            _ => {
                self.error(written, format!("`{text}` is nothing to listen on"))
                    .help(EXAMPLE);
                None
            }
        }
    }

    fn tokens(&mut self, written: &Spanned<Vec<Spanned<Secret>>>) -> Vec<TokenHash> {
        if written.get_ref().is_empty() {
            self.error(written, "`tokens` lists none")
                .help("list one, or leave `tokens` out and listen on loopback");
        }
        let mut hashes = Vec::new();
        for token in written.get_ref() {
            let text = token.get_ref().expose();
            if text.trim().is_empty() {
                self.error(token, "this token is empty")
                    .help("set what it is read from; an empty token would let everybody in");
            } else if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                self.error(
                    token,
                    "a token is visible ASCII without spaces: it is sent in a header",
                );
            } else {
                if text.len() < SHORT_TOKEN_BYTES {
                    let place = Place {
                        file: self.file,
                        span: token.span(),
                    };
                    self.diagnostics
                        .warning(
                            place,
                            format!(
                                "a token of less than {SHORT_TOKEN_BYTES} characters can be guessed"
                            ),
                        )
                        .help("for example `openssl rand -hex 32`");
                }
                hashes.push(TokenHash::of(text));
            }
        }
        hashes
    }

    fn tls(
        &mut self,
        cert: Option<&Spanned<FilePath>>,
        key: Option<&Spanned<FilePath>>,
    ) -> Option<TlsFiles> {
        match (cert, key) {
            (None, None) => None,
            (Some(alone), None) => {
                self.error(alone, "`cert_file` needs its private key: set `key_file`");
                None
            }
            (None, Some(alone)) => {
                self.error(alone, "`key_file` needs its certificate: set `cert_file`");
                None
            }
            (Some(cert), Some(key)) => {
                let files = TlsFiles {
                    cert: cert.get_ref().as_path().to_owned(),
                    key: key.get_ref().as_path().to_owned(),
                };
                crate::net::install_crypto_provider();
                if let Err(message) = load_identity(&files.cert, &files.key) {
                    self.error(cert, message);
                }
                Some(files)
            }
        }
    }

    fn public(&mut self, written: &Spanned<String>) -> Option<String> {
        let path = format!("/{}", written.get_ref().trim_matches('/'));
        if MAY_BE_PUBLIC.contains(&path.as_str()) || path == "/api/v1/openapi.json" {
            return Some(path);
        }
        let message = format!("`{}` cannot be public", written.get_ref());
        let help = did_you_mean(&path, MAY_BE_PUBLIC);
        self.error(written, message).help(help);
        None
    }
}
