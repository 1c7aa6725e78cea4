//! Who may connect from where: `pg_hba.conf` as the server reads it.

use std::net::IpAddr;

use futures_util::future::join_all;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::Postgres;
use super::hba_match::{Caller, Network, could_not_match};
use super::observe::not_seen;
use super::row::{Row, first, unknown};
use super::session::Session;
use crate::evidence::{Failure, Observed, Unknown, UnknownWhy};
use crate::net::postgres::Target;

/// `pg_hba.conf` of one server. The server shows the file, which need not be what it has loaded:
/// where the file would not let our own connection in, or was seen to be changed after it was
/// loaded, or has a line that the server cannot read, its lines are unknown. What the login of this run was asked for is of what is loaded.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Hba {
    /// Host and port of the server as configured.
    pub name: String,
    /// When the server last loaded its configuration.
    pub loaded_at: Observed<Timestamp>,
    /// When the file was last changed. Needs `EXECUTE` on `pg_stat_file(text)`, and a file inside of
    /// the data directory.
    pub modified_at: Observed<Timestamp>,
    /// What the server asked for when this run logged in.
    pub login_asked: Observed<Asked>,
    /// Lines that the server could not read, with its words. With one of them in it the file is
    /// not loaded at all.
    pub errors: Observed<Vec<String>>,
    /// The lines in their order; the first that matches a connection decides.
    pub lines: Observed<Vec<Line>>,
}

/// What a server asks for at a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Asked {
    /// Nothing: whoever says the name is let in.
    Nothing,
    /// Nothing beyond the client certificate that was shown.
    Certificate,
    /// The password itself.
    Password,
    /// The password's MD5 hash.
    Md5,
    /// A proof by SCRAM.
    Scram,
    /// Something else.
    Other,
    /// A pooler asked, not the server.
    Pooler,
}

/// One line.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Line {
    /// Its place and its words, such as `line 3: host all all 10.0.0.0/8 md5`.
    pub name: String,
    /// What kind of connection it is for.
    pub connection: Connection,
    /// The authentication method, such as `scram-sha-256`.
    pub method: String,
    /// How many bits of the client's address it fixes; 0: the whole world. Names, `samehost`,
    /// `samenet` and lines for sockets count as 128.
    pub address_bits: i64,
    /// Whether it is for loopback addresses alone.
    pub is_loopback: bool,
    /// Whether it can let a connection in that is not encrypted. A line that lets in both kinds
    /// does not where an earlier one rejects all of its unencrypted ones.
    pub lets_plaintext_in: bool,
}

/// What kind of connection a line is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Connection {
    /// Unix sockets.
    Local,
    /// TCP, encrypted or not.
    Host,
    /// TCP with TLS.
    Hostssl,
    /// TCP without TLS.
    Hostnossl,
    /// TCP with GSSAPI encryption.
    Hostgssenc,
    /// TCP without GSSAPI encryption.
    Hostnogssenc,
}

impl Connection {
    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "local" => Self::Local,
            "host" => Self::Host,
            "hostssl" => Self::Hostssl,
            "hostnossl" => Self::Hostnossl,
            "hostgssenc" => Self::Hostgssenc,
            "hostnogssenc" => Self::Hostnogssenc,
            _ => return None,
        })
    }

    /// Whether unencrypted connections match.
    const fn takes_plaintext(self) -> bool {
        matches!(self, Self::Host | Self::Hostnossl | Self::Hostnogssenc)
    }
}

/// A line as the server gives it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) place: String,
    pub(super) connection: Connection,
    pub(super) databases: Vec<String>,
    pub(super) users: Vec<String>,
    /// `all`, `samehost`, `samenet`, a name or an address; empty for sockets.
    pub(super) address: String,
    /// Where it is an address.
    pub(super) network: Option<Network>,
    pub(super) method: String,
}

/// The file, line by line. Source: `pg_hba_file_rules`, which has the file's name since 16.
const FILE: &str = "select line_number, type, database, user_name, address, netmask, auth_method,
  error, to_jsonb(h) ->> 'file_name' as file
from pg_catalog.pg_hba_file_rules h limit 10001";

const MAX_LINES: usize = 10_000;

/// Our own connection, as the server sees it.
const CALLER: &str = "select host(inet_client_addr()) as address, session_user as role,
  current_database() as database, pg_conf_load_time() as loaded_at,
  (select ssl from pg_catalog.pg_stat_ssl where pid = pg_backend_pid()) as ssl";

/// When the file was last changed.
const MODIFIED: &str =
    "select modification as modified_at from pg_stat_file(current_setting('hba_file'))";

const NEEDS: &str = "needs GRANT SELECT ON pg_hba_file_rules and GRANT EXECUTE ON FUNCTION \
    pg_hba_file_rules(), both in this database";

/// Asks one server, which is called `name`.
async fn read(target: &Target, session: Result<&Session, Unknown>) -> Hba {
    let name = target.dsn.name();
    let session = match session {
        Ok(session) => session,
        Err(reason) => {
            return Hba {
                name,
                loaded_at: reason.clone().into(),
                modified_at: reason.clone().into(),
                login_asked: reason.clone().into(),
                errors: reason.clone().into(),
                lines: reason.into(),
            };
        }
    };
    let (file, caller, modified) = futures_util::join!(
        session.rows(FILE, &[]),
        session.rows(CALLER, &[]),
        session.rows(MODIFIED, &[]),
    );
    let caller = first(caller);
    let loaded_at: Observed<Timestamp> = match &caller {
        Ok(row) => row.timestamp("loaded_at", "never loaded"),
        Err(reason) => reason.clone().into(),
    };
    let modified_at = match first(modified) {
        Ok(row) => row.timestamp("modified_at", "never changed"),
        Err(reason) => reason.into(),
    };
    let file = file.map_err(needs_grants).and_then(whole);
    let errors = file.clone().and_then(|rows| errors(&rows));
    Hba {
        name,
        login_asked: Observed::Value(asked(target, session)),
        errors: errors.map_or_else(Observed::Unknown, Observed::Value),
        lines: file
            .and_then(|rows| match (&modified_at, &loaded_at) {
                (Observed::Value(modified), Observed::Value(loaded)) if modified > loaded => {
                    Err(unknown(UnknownWhy::Inconsistent, CHANGED))
                }
                _ => lines(&rows, caller.and_then(|row| as_caller(&row))),
            })
            .map_or_else(Observed::Unknown, Observed::Value),
        loaded_at,
        modified_at,
    }
}

const CHANGED: &str = "the file was changed after the server loaded it: reload it";

fn asked(target: &Target, session: &Session) -> Asked {
    match session.asked() {
        _ if session.is_pooled() => Asked::Pooler,
        0 if target.tls.identity.is_some() => Asked::Certificate,
        0 => Asked::Nothing,
        3 => Asked::Password,
        5 => Asked::Md5,
        10 => Asked::Scram,
        _ => Asked::Other,
    }
}

/// Asks every server, where that is declared.
pub(super) async fn files(
    probe: &Postgres,
    sessions: &[Result<Session, Failure>],
) -> Observed<Vec<Hba>> {
    if probe.config.hba.is_none() {
        return Observed::unknown(UnknownWhy::NotApplicable, "`hba` is not declared");
    }
    let files = probe.targets.iter().zip(sessions).map(|(target, session)| {
        let session = session.as_ref().map_err(not_seen);
        read(target, session)
    });
    Observed::Value(join_all(files).await)
}

fn needs_grants(reason: Unknown) -> Unknown {
    match reason.why {
        UnknownWhy::Denied => unknown(UnknownWhy::Denied, NEEDS),
        _ => reason,
    }
}

fn whole(rows: Vec<Row>) -> Result<Vec<Row>, Unknown> {
    if rows.len() > MAX_LINES {
        let detail = format!("more than {MAX_LINES} lines");
        return Err(unknown(UnknownWhy::TooLarge, detail));
    }
    Ok(rows)
}

fn place(row: &Row) -> String {
    let line: i64 = row.get("line_number").ok().flatten().unwrap_or_default();
    let file = row.shown("file");
    match file.rsplit('/').next() {
        Some(name) if !name.is_empty() && name != "pg_hba.conf" => format!("{name} line {line}"),
        _ => format!("line {line}"),
    }
}

fn errors(rows: &[Row]) -> Result<Vec<String>, Unknown> {
    let mut errors = Vec::new();
    for row in rows {
        if let Some(error) = row.get::<String>("error")? {
            errors.push(format!("{}: {error}", place(row)));
        }
    }
    Ok(errors)
}

/// The lines, where they can be those that the server has loaded: whole, and such that they let
/// `caller`, which is us, in.
fn lines(rows: &[Row], caller: Result<Caller, Unknown>) -> Result<Vec<Line>, Unknown> {
    if let Some(error) = errors(rows)?.first() {
        let detail = format!("the file was not loaded: {error}");
        return Err(unknown(UnknownWhy::Inconsistent, detail));
    }
    let entries = rows.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    if could_not_match(&entries, &caller?) {
        return Err(unknown(
            UnknownWhy::Inconsistent,
            "the file would not let our own connection in, so it is not what the server has \
             loaded: reload it",
        ));
    }
    let line = |(at, entry): (usize, &Entry)| line(entry, entries.get(..at).unwrap_or_default());
    Ok(entries.iter().enumerate().map(line).collect())
}

/// Our own connection. Where the server does not say what it is, nobody knows whether the file is
/// the one that let it in.
fn as_caller(row: &Row) -> Result<Caller, Unknown> {
    let address: String = needed(row, "address")?;
    Ok(Caller {
        address: address
            .parse()
            .map_err(|_| unknown(UnknownWhy::Unparseable, "our own address is none"))?,
        role: needed(row, "role")?,
        database: needed(row, "database")?,
        is_tls: needed(row, "ssl")?,
    })
}

fn needed<T: serde::de::DeserializeOwned>(row: &Row, column: &str) -> Result<T, Unknown> {
    row.get(column)?.ok_or_else(|| {
        let detail = format!("the server does not tell the `{column}` of our own connection");
        unknown(UnknownWhy::NotObserved, detail)
    })
}

fn entry(row: &Row) -> Result<Entry, Unknown> {
    let text = |column: &str| Ok::<String, Unknown>(row.get(column)?.unwrap_or_default());
    let unreadable = |what: &str| {
        let detail = format!("{}: {what}", place(row));
        unknown(UnknownWhy::Unparseable, detail)
    };
    let kind = text("type")?;
    let connection = Connection::parse(&kind).ok_or_else(|| {
        let detail = format!("{}: a line of type `{kind}`", place(row));
        unknown(UnknownWhy::Unsupported, detail)
    })?;
    let (address, mask) = (text("address")?, text("netmask")?);
    let network = match (address.parse(), mask.parse::<IpAddr>()) {
        (Ok(address), Ok(mask)) => Some(Network::new(address, mask)),
        // Names, `all` and their like have no mask, and networks always have one.
        (Err(_), Err(_)) if mask.is_empty() => None,
        _ => return Err(unreadable("a network that cannot be read")),
    };
    let method = text("auth_method")?;
    if method.is_empty() {
        return Err(unreadable("no authentication method"));
    }
    Ok(Entry {
        place: place(row),
        connection,
        databases: row.get("database")?.unwrap_or_default(),
        users: row.get("user_name")?.unwrap_or_default(),
        address,
        network,
        method,
    })
}

fn line(entry: &Entry, earlier: &[Entry]) -> Line {
    let from = match entry.network {
        Some(network) => network.to_string(),
        None => entry.address.clone(),
    };
    let kind = format!("{:?}", entry.connection).to_lowercase();
    let words = [
        kind.as_str(),
        &entry.databases.join(","),
        &entry.users.join(","),
        &from,
        &entry.method,
    ];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    let is_open = entry.address == "all";
    Line {
        name: format!("{}: {}", entry.place, words.join(" ")),
        connection: entry.connection,
        method: entry.method.clone(),
        address_bits: match entry.network {
            Some(network) => network.bits(),
            None if is_open => 0,
            None => 128,
        },
        is_loopback: match entry.network {
            Some(network) => network.is_loopback(),
            None => {
                matches!(entry.address.as_str(), "samehost" | "localhost")
                    || entry.connection == Connection::Local
            }
        },
        lets_plaintext_in: entry.connection.takes_plaintext()
            && entry.method != "reject"
            && !earlier
                .iter()
                .any(|other| rejects_plaintext_of(other, entry)),
    }
}

/// Whether `other` rejects every unencrypted connection that matches `entry`.
fn rejects_plaintext_of(other: &Entry, entry: &Entry) -> bool {
    let has = |list: &[String], word: &str| list.iter().any(|item| item == word);
    // `all` databases are not those of replication.
    let databases = has(&other.databases, "all")
        && (!has(&entry.databases, "replication") || has(&other.databases, "replication"));
    let addresses = match (other.network, entry.network) {
        _ if other.address == "all" => true,
        (Some(other), Some(entry)) => other.covers(&entry),
        _ => false,
    };
    other.method == "reject"
        && matches!(other.connection, Connection::Host | Connection::Hostnossl)
        && databases
        && has(&other.users, "all")
        && addresses
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(lines: &[&str]) -> Vec<Row> {
        let row = |(at, line): (usize, &&str)| {
            let words: Vec<&str> = line.split(' ').collect();
            let list = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
            let (address, netmask) = match words[3].split_once('/') {
                Some((address, mask)) => (json!(address), json!(mask)),
                None => (json!(words[3]), json!(null)),
            };
            let row = json!({
                "line_number": at + 1, "type": words[0], "database": list(words[1]),
                "user_name": list(words[2]), "address": address, "netmask": netmask,
                "auth_method": words[4], "error": null, "file": null,
            });
            Row(row.as_object().unwrap().clone())
        };
        lines.iter().enumerate().map(row).collect()
    }

    fn caller() -> Caller {
        Caller {
            address: "10.1.2.3".parse().unwrap(),
            role: "probe".to_owned(),
            database: "app".to_owned(),
            is_tls: true,
        }
    }

    #[test]
    fn a_file_that_may_not_be_the_one_in_force_is_unknown() {
        let open = ["host all all 10.0.0.0/255.0.0.0 scram-sha-256"];
        let nobody = unknown(UnknownWhy::TimedOut, "no answer");
        assert_eq!(
            lines(&rows(&open), Err(nobody.clone())).unwrap_err(),
            nobody
        );
        let mut broken = rows(&[open[0], open[0]]);
        broken[1]
            .0
            .insert("error".to_owned(), json!("invalid authentication method"));
        let why = lines(&broken, Ok(caller())).unwrap_err();
        assert!(why.detail.contains("line 2"), "{why}");
        let mut odd = rows(&open);
        odd[0].0.insert("netmask".to_owned(), json!("255.x"));
        assert!(lines(&odd, Ok(caller())).is_err());
        odd[0].0.insert("auth_method".to_owned(), json!(null));
        assert!(lines(&odd, Ok(caller())).is_err());
    }

    #[test]
    fn a_line_behind_a_rejection_lets_no_plaintext_in() {
        let plaintext = |file: &[&str]| {
            let ours = "hostssl app probe 10.1.2.3/255.255.255.255 md5";
            let read = lines(&rows(&[&[ours], file].concat()), Ok(caller())).unwrap();
            read.last().unwrap().lets_plaintext_in
        };
        let open = "host all all 10.0.0.0/255.0.0.0 scram-sha-256";
        assert!(plaintext(&[open]));
        assert!(!plaintext(&["hostnossl all all all reject", open]));
        assert!(!plaintext(&[
            "hostnossl all all 0.0.0.0/0.0.0.0 reject",
            open
        ]));
        assert!(plaintext(&["hostnossl all all ::/:: reject", open]));
        assert!(plaintext(&["hostnossl app all all reject", open]));
        assert!(plaintext(&["hostssl all all all reject", open]));
        let replication = "host replication all 10.0.0.0/255.0.0.0 md5";
        assert!(plaintext(&["hostnossl all all all reject", replication]));
        assert!(!plaintext(&["hostssl all all all md5"]));
    }

    #[test]
    fn a_line_is_told_in_its_own_words() {
        let read = lines(
            &rows(&["host app,x all 10.1.0.0/255.255.0.0 md5"]),
            Ok(caller()),
        )
        .unwrap();
        assert_eq!(read[0].name, "line 1: host app,x all 10.1.0.0/16 md5");
        assert_eq!(read[0].address_bits, 16);
        assert!(!read[0].is_loopback);
    }
}
