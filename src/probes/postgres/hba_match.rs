//! Which line of `pg_hba.conf` a connection matches.

use std::fmt;
use std::net::IpAddr;

use super::hba::{Connection, Entry};

/// A network: an address and the bits of it that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    pub(super) const fn new(address: IpAddr, mask: IpAddr) -> Self {
        let bits = match mask {
            IpAddr::V4(mask) => mask.to_bits().leading_ones(),
            IpAddr::V6(mask) => mask.to_bits().leading_ones(),
        };
        Self { address, bits }
    }

    pub(super) fn bits(&self) -> i64 {
        self.bits.into()
    }

    pub(super) fn contains(&self, other: IpAddr) -> bool {
        // A shift by the whole width is none at all: nothing counts, everything is inside.
        match (self.address, other) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.checked_shr(32_u32.saturating_sub(self.bits)) == Some(0) || self.bits == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differ = own.to_bits() ^ other.to_bits();
                differ.checked_shr(128_u32.saturating_sub(self.bits)) == Some(0) || self.bits == 0
            }
            _ => false,
        }
    }

    /// Whether every address of `other` is in this one.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.bits <= other.bits && self.contains(other.address)
    }

    pub(super) fn is_loopback(&self) -> bool {
        let enough = match self.address {
            IpAddr::V4(_) => 8,
            IpAddr::V6(_) => 128,
        };
        self.address.is_loopback() && self.bits >= enough
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// A connection as the server sees it.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) address: IpAddr,
    pub(super) role: String,
    pub(super) database: String,
    pub(super) is_tls: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Match {
    No,
    /// That depends on what is not seen here: groups, host names, the server's own networks.
    Perhaps,
    Yes,
}

impl From<bool> for Match {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// Whether these lines would for certain not have let `caller` in.
pub(super) fn could_not_match(entries: &[Entry], caller: &Caller) -> bool {
    for entry in entries {
        match matches(entry, caller) {
            Match::No => {}
            // A rejection that perhaps matches leaves it to the lines behind it.
            Match::Perhaps if entry.method == "reject" => {}
            Match::Perhaps => return false,
            Match::Yes => return entry.method == "reject",
        }
    }
    true
}

fn matches(entry: &Entry, caller: &Caller) -> Match {
    let connection = match entry.connection {
        // The client speaks TCP, and no GSSAPI.
        Connection::Local | Connection::Hostgssenc => Match::No,
        Connection::Host | Connection::Hostnogssenc => Match::Yes,
        Connection::Hostssl => Match::from(caller.is_tls),
        Connection::Hostnossl => Match::from(!caller.is_tls),
    };
    let address = match (entry.network, entry.address.as_str()) {
        (Some(network), _) => Match::from(network.contains(caller.address)),
        (None, "all") => Match::Yes,
        _ => Match::Perhaps,
    };
    let database = any(&entry.databases, |word| match word {
        "all" => Match::Yes,
        "sameuser" => Match::from(caller.database == caller.role),
        "samerole" | "samegroup" => Match::Perhaps,
        _ if word.starts_with(['/', '@']) => Match::Perhaps,
        _ => Match::from(word == caller.database),
    });
    let user = any(&entry.users, |word| match word {
        "all" => Match::Yes,
        _ if word.starts_with(['/', '@', '+']) => Match::Perhaps,
        _ => Match::from(word == caller.role),
    });
    let parts = [connection, address, database, user];
    if parts.contains(&Match::No) {
        Match::No
    } else if parts.contains(&Match::Perhaps) {
        Match::Perhaps
    } else {
        Match::Yes
    }
}

fn any(words: &[String], matches: impl Fn(&str) -> Match) -> Match {
    let all: Vec<Match> = words.iter().map(|word| matches(word)).collect();
    if all.contains(&Match::Yes) {
        Match::Yes
    } else if all.contains(&Match::Perhaps) {
        Match::Perhaps
    } else {
        Match::No
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str, mask: &str) -> Network {
        Network::new(address.parse().unwrap(), mask.parse().unwrap())
    }

    #[test]
    fn networks_contain_their_addresses() {
        let all = network("0.0.0.0", "0.0.0.0");
        let ten = network("10.0.0.0", "255.0.0.0");
        let one = network("10.1.2.3", "255.255.255.255");
        assert!(all.covers(&ten) && ten.covers(&one) && !one.covers(&ten));
        assert!(!ten.contains("11.0.0.1".parse().unwrap()));
        assert!(!all.contains("::1".parse().unwrap()));
        assert!(network("::", "::").contains("2001:db8::1".parse().unwrap()));
        assert!(network("127.0.0.0", "255.0.0.0").is_loopback());
        assert!(!network("127.0.0.0", "254.0.0.0").is_loopback());
        assert_eq!(ten.to_string(), "10.0.0.0/8");
    }

    fn entry(connection: Connection, users: &str, method: &str) -> Entry {
        Entry {
            place: String::new(),
            connection,
            databases: vec!["all".to_owned()],
            users: vec![users.to_owned()],
            address: "all".to_owned(),
            network: None,
            method: method.to_owned(),
        }
    }

    #[test]
    fn a_file_that_keeps_us_out_is_not_loaded() {
        let caller = Caller {
            address: "127.0.0.1".parse().unwrap(),
            role: "probe".to_owned(),
            database: "app".to_owned(),
            is_tls: true,
        };
        let out = |entries: &[Entry]| could_not_match(entries, &caller);
        let scram = entry(Connection::Hostssl, "all", "scram-sha-256");
        assert!(!out(std::slice::from_ref(&scram)));
        assert!(out(&[]));
        assert!(out(&[entry(Connection::Hostnossl, "all", "md5")]));
        assert!(out(&[
            entry(Connection::Host, "probe", "reject"),
            scram.clone()
        ]));
        assert!(!out(&[entry(Connection::Host, "+admins", "reject"), scram]));
        assert!(!out(&[entry(Connection::Host, "+monitors", "md5")]));
        assert!(out(&[entry(Connection::Host, "other", "md5")]));
    }
}
