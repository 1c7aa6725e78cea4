//! The built-in rules of the `redis` kind. Every threshold stands here, none in the code.

use super::config::{Config, Durability, Purpose};
use crate::probes::{Condition, RuleSpec, Severity};

const fn must(
    name: &'static str,
    expr: &'static str,
    why: &'static str,
    source: &'static str,
) -> RuleSpec<Config> {
    RuleSpec {
        name,
        expr,
        applies: None,
        severity: Severity::Must,
        why,
        source,
        when: None,
    }
}

const fn should(
    name: &'static str,
    expr: &'static str,
    why: &'static str,
    source: &'static str,
) -> RuleSpec<Config> {
    RuleSpec {
        severity: Severity::Should,
        ..must(name, expr, why, source)
    }
}

const fn when(text: &'static str, holds: fn(&Config) -> bool) -> Condition<Config> {
    Condition { text, holds }
}

const HAS_REPLICAS: Option<Condition<Config>> = Some(when("`replicas` are declared", |config| {
    !config.replicas.is_empty()
}));
const KEEPS_DATA: Option<Condition<Config>> = Some(when(
    "`role = \"store\"` or `\"broker\"` is declared",
    Config::keeps_data,
));
const IS_CACHE: Option<Condition<Config>> =
    Some(when("`role = \"cache\"` is declared", |config| {
        config.role == Some(Purpose::Cache)
    }));
const HAS_ROLE: Option<Condition<Config>> =
    Some(when("`role` is declared", |config| config.role.is_some()));
const HAS_SENTINELS: Option<Condition<Config>> = Some(when("`sentinels` are declared", |config| {
    !config.sentinels.is_empty()
}));
const IS_CLUSTER: Option<Condition<Config>> =
    Some(when("`cluster = true` is declared", |config| {
        config.cluster
    }));
const MAY_WRITE: Option<Condition<Config>> =
    Some(when("`allow_writes = true` is declared", |config| {
        config.allow_writes
    }));

/// What holds of every server that takes writes; where none of them was seen, of those that were.
macro_rules! writers {
    ($holds:literal) => {
        concat!(
            "nodes.exists(p, p.role == 'primary') ? nodes.all(n, n.role == 'replica' || (",
            $holds,
            ")) : nodes.all(n, ",
            $holds,
            ")"
        )
    };
}

/// What holds of every sentinel that answers, of which there is one.
macro_rules! answering {
    ($holds:literal) => {
        concat!(
            "!sentinels.all(s, s.state != 'answered') && sentinels.all(s, s.state != 'answered' || (",
            $holds,
            "))"
        )
    };
}

/// In the order in which they are printed.
pub const RULES: &[RuleSpec<Config>] = &[
    must(
        "reachable",
        "nodes.all(n, n.state == 'answered')",
        "a declared server, or a member of the cluster, that does not answer is down for its clients too",
        "definition",
    ),
    must(
        "ready",
        "nodes.all(n, n.ping == 'pong')",
        "a server that loads, is busy, or cannot save says so to every client",
        "definition",
    ),
    must(
        "database",
        "nodes.all(n, n.database_exists)",
        "clients that select a database that is not there are refused, or meet another one",
        "definition",
    ),
    RuleSpec {
        when: HAS_REPLICAS,
        ..must(
            "servers-distinct",
            "nodes_distinct",
            "one server at two addresses is no second one",
            "definition",
        )
    },
    RuleSpec {
        when: HAS_REPLICAS,
        ..must(
            "primary",
            "nodes[0].role == 'primary'",
            "writes go to `url`; on a replica they are refused or lost",
            "definition",
        )
    },
    must(
        "replica-link",
        "nodes.all(n, n.role == 'primary' || n.replication.link == 'up')",
        "a replica without its link serves old data and cannot take over",
        "definition",
    ),
    RuleSpec {
        when: HAS_REPLICAS,
        ..must(
            "replicates",
            "nodes.all(n, n.declared_as != 'replica' || (n.role == 'replica' && n.replication.follows_primary))",
            "a declared replica must copy the server at `url`, not another and not none",
            "definition",
        )
    },
    RuleSpec {
        when: HAS_REPLICAS,
        ..must(
            "replicas-listed",
            "replicas_missing == 0",
            "a replica whose link is up in its own eyes alone gets nothing; the primary must list it",
            "definition",
        )
    },
    must(
        "replica-lag",
        "nodes.all(n, n.replication.replicas.size() == 0 || n.replication.replicas.all(r, r.is_consumer || r.state != 'online' || r.lag_seconds <= 5))",
        "a replica acknowledges every second; one that froze stays online and only this grows",
        "repl-ack every second, five of them missed",
    ),
    should(
        "replica-online",
        "nodes.all(n, n.replication.replicas.size() == 0 || n.replication.replicas.all(r, r.state == 'online'))",
        "a replica that is still being copied to cannot take over",
        "definition",
    ),
    must(
        "replica-gap",
        "nodes.all(n, n.replication.replicas.size() == 0 || n.replication.replicas.all(r, r.is_consumer || r.state != 'online' || r.gap_bytes <= 16777216)) && nodes.all(n, n.declared_as != 'replica' || n.role != 'replica' || !n.replication.follows_primary || n.replication.gap_bytes <= 16777216)",
        "what a replica is behind is lost when it takes over; both ends are asked",
        "practice: 16 MiB",
    ),
    should(
        "replica-gap-growing",
        "nodes.all(n, n.replication.replicas.size() == 0 || n.replication.replicas.all(r, r.is_consumer || r.state != 'online' || r.gap_bytes <= 1048576)) && nodes.all(n, n.declared_as != 'replica' || n.role != 'replica' || !n.replication.follows_primary || n.replication.gap_bytes <= 1048576)",
        "a replica that falls behind outgrows the backlog and must be copied anew",
        "repl-backlog-size: 1 MiB by default",
    ),
    must(
        "rdb-saves",
        "nodes.all(n, n.persistence.rdb.last_status != 'err')",
        "a snapshot that fails leaves the last one as all there is",
        "redis.io persistence",
    ),
    must(
        "aof-writes",
        "nodes.all(n, n.persistence.aof.last_write_status != 'err' && n.persistence.aof.last_rewrite_status != 'err')",
        "an append-only file that cannot be written or rewritten ends in lost data or a full disk",
        "redis.io persistence",
    ),
    RuleSpec {
        applies: Some("nodes.exists(n, n.role != 'replica')"),
        ..must(
            "writes-accepted",
            "nodes.all(n, n.role == 'replica' || n.writes_refused.size() == 0)",
            "a server that refuses writes still answers PONG",
            "definition",
        )
    },
    must(
        "memory",
        "nodes.all(n, n.memory.used_ratio < 0.95 || (n.memory.evictable_ratio >= 0.1 && n.memory.used_ratio < 1.05))",
        "without much to evict, full memory refuses writes or is killed by the system; over its bound it refuses them now",
        "practice: 95%, as a single write of the size of the rest is refused, and a tenth of the keys",
    ),
    should(
        "memory-headroom",
        "nodes.all(n, n.memory.used_ratio < 0.85 || (n.memory.evictable_ratio >= 0.5 && n.memory.used_ratio < 1.05))",
        "forks, buffers and the next peak need room",
        "practice: 85%, and half of the keys",
    ),
    RuleSpec {
        when: KEEPS_DATA,
        ..must(
            "evicts-nothing",
            "nodes.all(n, n.memory.policy == 'noeviction' || n.memory.maxmemory_bytes == 0)",
            "a store or broker that evicts loses data that nobody else has",
            "redis.io eviction",
        )
    },
    RuleSpec {
        when: IS_CACHE,
        ..must(
            "cache-evicts",
            "nodes.all(n, n.memory.policy != 'noeviction' || n.memory.maxmemory_bytes == 0)",
            "a full cache that may evict nothing refuses writes",
            "redis.io eviction",
        )
    },
    RuleSpec {
        when: IS_CACHE,
        ..should(
            "cache-bounded",
            "nodes.all(n, n.memory.maxmemory_bytes > 0)",
            "a cache without a bound grows until the system kills it",
            "redis.io eviction",
        )
    },
    RuleSpec {
        when: KEEPS_DATA,
        ..must(
            "persistence",
            writers!("n.persistence.rdb.enabled || n.persistence.aof.enabled"),
            "a store or broker without persistence is empty after a restart, and empties its replicas",
            "redis.io persistence",
        )
    },
    RuleSpec {
        when: Some(when(
            "`persistence = \"rdb\"` or `\"both\"` is declared",
            Config::wants_rdb,
        )),
        ..must(
            "persistence-rdb",
            writers!("n.persistence.rdb.enabled"),
            "snapshots are declared",
            "definition",
        )
    },
    RuleSpec {
        when: Some(when(
            "`persistence = \"aof\"` or `\"both\"` is declared",
            Config::wants_aof,
        )),
        ..must(
            "persistence-aof",
            writers!("n.persistence.aof.enabled"),
            "the append-only file is declared",
            "definition",
        )
    },
    RuleSpec {
        when: Some(when("`persistence = \"none\"` is declared", |config| {
            config.persistence == Some(Durability::None)
        })),
        ..must(
            "persistence-none",
            writers!("(!n.persistence.rdb.enabled && !n.persistence.aof.enabled)"),
            "no persistence is declared: its forks and writes cost latency and memory",
            "definition",
        )
    },
    RuleSpec {
        when: Some(when(
            "`role = \"store\"` or `\"broker\"`, or `persistence = \"rdb\"` or `\"both\"`, is declared",
            |config| config.keeps_data() || config.wants_rdb(),
        )),
        ..should(
            "rdb-recent",
            writers!("n.persistence.aof.enabled || n.persistence.rdb.overdue_seconds <= 60"),
            "a save point has passed and no snapshot was taken: the status stays ok all the while",
            "the server's own save points",
        )
    },
    RuleSpec {
        when: Some(when(
            "`role = \"store\"` or `\"broker\"`, or `persistence = \"aof\"` or `\"both\"`, is declared",
            |config| config.keeps_data() || config.wants_aof(),
        )),
        ..should(
            "aof-fsync",
            writers!("!n.persistence.aof.enabled || n.persistence.aof.fsync != 'no'"),
            "without it the system decides how much is lost",
            "redis.io persistence",
        )
    },
    RuleSpec {
        when: HAS_ROLE,
        ..should(
            "authentication",
            "nodes.all(n, n.security.anonymous == 'refused')",
            "whoever reaches the port owns the data; from this host alone it warns, over the network `authentication-network` fails",
            "redis.io security",
        )
    },
    RuleSpec {
        when: HAS_ROLE,
        ..must(
            "authentication-network",
            "nodes.all(n, n.is_loopback || n.security.anonymous == 'refused')",
            "whoever reaches the port owns the data, and with CONFIG SET the host",
            "redis.io security",
        )
    },
    RuleSpec {
        when: HAS_ROLE,
        ..should(
            "open-commands",
            "nodes.all(n, n.security.open_commands.size() == 0)",
            "without a password, FLUSHALL and CONFIG SET are open to whoever connects",
            "redis.io security",
        )
    },
    RuleSpec {
        when: Some(when("`role` is declared and `url` is `rediss`", |config| {
            config.role.is_some() && config.is_tls()
        })),
        ..should(
            "plaintext-port",
            "nodes.all(n, n.plaintext_port == 'closed')",
            "a plaintext port beside TLS carries passwords and data in the clear",
            "redis.io TLS",
        )
    },
    RuleSpec {
        when: HAS_ROLE,
        ..should(
            "latency",
            "nodes.all(n, n.command_ms <= 100.0)",
            "a server of one thread that takes this long for a trivial command keeps everybody waiting",
            "practice: 100 ms",
        )
    },
    RuleSpec {
        when: HAS_ROLE,
        ..should(
            "client-limit",
            "nodes.all(n, n.clients.used_ratio < 0.9)",
            "past `maxclients` new connections are refused",
            "practice: 90%",
        )
    },
    RuleSpec {
        when: Some(when("`pool_size` is declared", |config| {
            config.pool_size.is_some()
        })),
        ..should(
            "pool",
            "nodes[0].clients.pooled <= pool_size",
            "more connections than the pools may hold are leaked or not pooled",
            "definition",
        )
    },
    RuleSpec {
        when: HAS_ROLE,
        ..should(
            "fragmentation",
            "nodes.all(n, n.memory.fragmentation_ratio < 1.5 || n.memory.fragmentation_bytes < 134217728)",
            "memory that is held and not used is missing elsewhere",
            "practice: half as much again, from 128 MiB on",
        )
    },
    RuleSpec {
        applies: Some("has_earlier_run"),
        ..should(
            "rejected-connections",
            "since_last_run.rejected_connections == 0",
            "clients were turned away since the last run",
            "definition",
        )
    },
    RuleSpec {
        applies: Some("has_earlier_run"),
        when: KEEPS_DATA,
        ..must(
            "evicted-keys",
            "since_last_run.evicted_keys == 0",
            "a store or broker lost keys since the last run",
            "definition",
        )
    },
    RuleSpec {
        applies: Some("has_earlier_run"),
        ..should(
            "delayed-fsyncs",
            "since_last_run.delayed_fsyncs == 0",
            "the disk kept writes waiting since the last run",
            "redis.io latency",
        )
    },
    RuleSpec {
        when: HAS_SENTINELS,
        ..should(
            "sentinels-reachable",
            "sentinels.all(s, s.state == 'answered')",
            "each sentinel that is gone is one vote less",
            "definition",
        )
    },
    RuleSpec {
        when: HAS_SENTINELS,
        ..must(
            "quorum",
            answering!("s.quorum == 'ok'"),
            "without a quorum nobody takes over when the primary dies; the status of the primary stays ok",
            "redis.io Sentinel",
        )
    },
    RuleSpec {
        when: HAS_SENTINELS,
        ..must(
            "sentinels-distinct",
            "sentinels_distinct",
            "one sentinel at two addresses has one vote",
            "definition",
        )
    },
    RuleSpec {
        when: HAS_SENTINELS,
        ..must(
            "sentinels-know-each-other",
            answering!("s.other_sentinels >= sentinels.size() - 1"),
            "sentinels that do not know each other do not vote together: each would replace the primary alone, or none",
            "redis.io Sentinel",
        )
    },
    RuleSpec {
        when: HAS_SENTINELS,
        ..should(
            "sentinels-majority",
            answering!(
                "s.required * 2 > s.other_sentinels + 1 && sentinels.all(t, t.state != 'answered' || t.required == s.required)"
            ),
            "where fewer than most of them, or not equally many, must hold the primary for down, a few on the wrong side of a network do",
            "practice: more than half",
        )
    },
    RuleSpec {
        when: HAS_SENTINELS,
        ..should(
            "sentinels-know-replicas",
            answering!("s.replicas >= 1"),
            "a sentinel that knows no replica has nothing to put in the place of the primary",
            "redis.io Sentinel",
        )
    },
    RuleSpec {
        when: HAS_SENTINELS,
        ..must(
            "sentinels-agree",
            "sentinels_agree",
            "clients that ask different sentinels write to different servers",
            "redis.io Sentinel",
        )
    },
    RuleSpec {
        when: HAS_SENTINELS,
        ..must(
            "sentinels-name-url",
            answering!("s.names_url"),
            "clients write where the sentinels send them: it must be the server at `url`",
            "redis.io Sentinel",
        )
    },
    RuleSpec {
        when: HAS_SENTINELS,
        ..must(
            "sentinels-see-primary",
            answering!("!s.primary_down"),
            "a sentinel that holds the primary for down is about to replace it",
            "redis.io Sentinel",
        )
    },
    RuleSpec {
        when: HAS_SENTINELS,
        ..should(
            "sentinels-tilt",
            answering!("!s.tilt"),
            "a sentinel whose clock jumped does nothing",
            "redis.io Sentinel",
        )
    },
    RuleSpec {
        when: IS_CLUSTER,
        ..must(
            "cluster",
            "cluster.enabled",
            "a cluster is declared",
            "definition",
        )
    },
    RuleSpec {
        applies: Some("cluster.enabled"),
        ..must(
            "cluster-state",
            "nodes.all(n, n.cluster.state == 'ok')",
            "a cluster in state fail serves nothing",
            "redis.io Cluster",
        )
    },
    RuleSpec {
        applies: Some("cluster.enabled"),
        ..must(
            "cluster-slots",
            "nodes.all(n, n.cluster.slots_ok == 16384)",
            "keys of an uncovered slot cannot be read or written, also where the state stays ok",
            "redis.io Cluster: 16384 slots",
        )
    },
    RuleSpec {
        applies: Some("cluster.enabled"),
        when: IS_CLUSTER,
        ..must(
            "cluster-slots-agree",
            "cluster.disputed_slots.size() == 0",
            "a slot that each of two nodes holds for the other's sends its clients to and fro for ever",
            "redis.io Cluster",
        )
    },
    RuleSpec {
        applies: Some("cluster.enabled"),
        when: IS_CLUSTER,
        ..should(
            "cluster-open-slots",
            "nodes.all(n, n.cluster.migrating_slots.size() == 0 && n.cluster.importing_slots.size() == 0)",
            "a slot on its way between two nodes costs its clients a detour; one that stays so was left half-way",
            "redis.io Cluster",
        )
    },
    RuleSpec {
        when: IS_CLUSTER,
        ..should(
            "cluster-replicas",
            "cluster.shards.all(s, s.replicas >= 1)",
            "the slots of a primary without a replica are gone when it dies",
            "redis.io Cluster",
        )
    },
    RuleSpec {
        when: IS_CLUSTER,
        ..should(
            "cluster-epochs",
            "cluster.epochs_agree && !cluster.epoch_collision",
            "nodes that know different epochs have not heard of each other's failovers",
            "redis.io Cluster",
        )
    },
    RuleSpec {
        when: IS_CLUSTER,
        ..should(
            "cluster-members",
            "cluster.members_agree",
            "nodes that know different members are parts of different clusters",
            "redis.io Cluster",
        )
    },
    RuleSpec {
        when: MAY_WRITE,
        ..must(
            "canary-write",
            "canary.writes.all(w, w.result == 'written')",
            "a write of our own was refused, whatever PING says",
            "definition",
        )
    },
    RuleSpec {
        applies: Some("canary.writes.exists(w, w.result == 'written') && canary.reads.size() > 0"),
        when: MAY_WRITE,
        ..must(
            "canary-replicated",
            "canary.reads.all(r, r.seen && r.replicated_ms <= 1000.0)",
            "what was written must reach every replica",
            "practice: one second",
        )
    },
    RuleSpec {
        applies: Some("canary.writes.exists(w, w.result == 'written')"),
        when: MAY_WRITE,
        ..should(
            "canary-deleted",
            "canary.deleted",
            "what was written is to leave no trace; it expires by itself",
            "definition",
        )
    },
];
