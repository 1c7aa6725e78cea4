//! The built-in rules of the `postgres` kind. Every threshold stands here, none in the code.

use super::config::Config;
use super::database_rules as database;
use crate::probes::{Condition, RuleSpec, Severity};

pub(super) const fn must(
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

pub(super) const fn should(
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

const WRITES: Condition<Config> = Condition {
    text: "`allow_writes = true` is declared",
    holds: |config| config.allow_writes,
};
const PATRONI: Condition<Config> = Condition {
    text: "`patroni` is declared",
    holds: |config| !config.patroni.is_empty(),
};
const SERVERS: &str = "servers.exists(s, s.declared == 'standby')";
const SLOTS: &str = "slots.size() > 0";
const ARCHIVES: &str = "archiver.mode != 'off'";
/// What a slot holds is told since 13.
const SLOTS_TELL: &str = "server_version_num >= 130000 && slots.size() > 0";

/// In the order in which they are printed.
pub const RULES: &[RuleSpec<Config>] = &[
    // --- servers ---
    must(
        "servers-answer",
        "servers.all(s, s.connect_error == '')",
        "every declared server takes connections and lets the probe log in",
        "definition",
    ),
    must(
        "roles-as-declared",
        "servers.all(s, s.role == s.declared)",
        "a standby that accepts writes, or a primary that does not, means a failover or a mistake",
        "definition",
    ),
    must(
        "one-primary",
        "split_brain == []",
        "two servers that accept writes to copies of the same data: one of the histories will be lost",
        "PostgreSQL documentation, 27.3 Failover",
    ),
    RuleSpec {
        applies: Some(SERVERS),
        ..must(
            "same-cluster",
            "servers.all(s, s.system_identifier == system_identifier)",
            "a standby of another cluster protects other data",
            "definition",
        )
    },
    RuleSpec {
        applies: Some(SERVERS),
        ..must(
            "same-timeline",
            "servers.all(s, s.timeline == timeline)",
            "a standby on another timeline follows a history that the primary has left",
            "PostgreSQL documentation, 26.3.6 Timelines",
        )
    },
    RuleSpec {
        applies: Some(SERVERS),
        ..must(
            "receiving",
            "servers.all(s, s.declared == 'primary' || (s.receiver == 'streaming' && (s.receiver_silent_seconds < 60.0 || standbys.exists(p, p.name == s.receiver_name && p.state == 'streaming' && p.reply_age_seconds < 60.0))))",
            "a standby that receives nothing falls behind, whatever its clock of the last transaction says; a receiver that is dead or cut off says streaming for ever, and on an idle link there is a message every 30 s",
            "definition",
        )
    },
    RuleSpec {
        applies: Some("servers.exists(s, s.role == 'standby')"),
        ..must(
            "replay-running",
            "servers.all(s, s.role == 'primary' || s.replay == 'running')",
            "a standby whose replay is paused shows old data, and takes over late",
            "PostgreSQL documentation, 9.27.4 Recovery Control Functions",
        )
    },
    RuleSpec {
        applies: Some(SERVERS),
        ..must(
            "replay-lag",
            "servers.all(s, s.declared == 'primary' || (s.lag_bytes >= 0 && s.lag_bytes < 16777216))",
            "what was not replayed is lost or missing after a failover; a standby ahead of the primary has another history",
            "one WAL segment, 16 MiB",
        )
    },
    RuleSpec {
        applies: Some(SERVERS),
        ..should(
            "replay-lag-small",
            "servers.all(s, s.declared == 'primary' || s.lag_bytes < 1048576)",
            "a standby that keeps up is less than 1 MiB behind",
            "practice",
        )
    },
    RuleSpec {
        applies: Some(SERVERS),
        ..must(
            "replay-delay",
            "servers.all(s, s.declared == 'primary' || s.lag_bytes < 1048576 || s.lag_seconds < 60.0)",
            "a minute behind with WAL left to replay is a standby that does not keep up",
            "practice",
        )
    },
    RuleSpec {
        when: Some(Condition {
            text: "`plaintext = \"refused\"` is declared",
            holds: |config| config.plaintext.is_some(),
        }),
        ..must(
            "plaintext-refused",
            "servers.all(s, s.plaintext == 'refused' && s.encrypted)",
            "with ssl = on alone a client may still speak in the clear; the login over TLS in the same run is the control",
            "PostgreSQL documentation, 21.1 The pg_hba.conf File",
        )
    },
    // --- replication as the primary sees it ---
    RuleSpec {
        when: Some(Condition {
            text: "`expect_standbys` is declared",
            holds: |config| !config.expect_standbys.is_empty(),
        }),
        ..must(
            "expected-standbys",
            "expected_standbys.all(s, s.state == 'streaming' && s.lag_bytes < 16777216)",
            "each declared standby must stream and be less than a WAL segment behind",
            "definition",
        )
    },
    RuleSpec {
        applies: Some("standbys.size() > 0"),
        ..should(
            "standbys-healthy",
            "standbys.all(s, s.state == 'streaming' && s.lag_bytes < 16777216)",
            "one that is connected and does not keep up is broken, also where nobody declared it",
            "one WAL segment, 16 MiB",
        )
    },
    RuleSpec {
        applies: Some("sync.required > 0"),
        ..must(
            "sync-standbys",
            "sync.present >= sync.required",
            "with fewer synchronous standbys than a commit needs, every commit hangs",
            "PostgreSQL documentation, 27.2.8 Synchronous Replication",
        )
    },
    RuleSpec {
        applies: Some(SLOTS_TELL),
        ..must(
            "slots-not-lost",
            "slots.all(s, s.wal_status != 'lost')",
            "whoever uses a slot that lost its WAL cannot go on and must be made anew",
            "PostgreSQL documentation, 54.19 pg_replication_slots",
        )
    },
    RuleSpec {
        applies: Some(SLOTS_TELL),
        ..must(
            "slots-not-piling-up",
            "slots.all(s, s.active || !(s.wal_status in ['extended', 'unreserved']))",
            "a slot that nobody uses and that holds more than max_wal_size fills the disk until the primary stops",
            "PostgreSQL documentation, 54.19 pg_replication_slots",
        )
    },
    RuleSpec {
        applies: Some(SLOTS),
        ..should(
            "slots-used",
            "slots.all(s, s.active || s.wal_status in ['none', 'lost'] || s.retained_bytes <= 16777216)",
            "a slot that nobody uses holds WAL for nobody",
            "one WAL segment, 16 MiB",
        )
    },
    RuleSpec {
        when: Some(PATRONI),
        ..must(
            "patroni-cluster",
            "patroni.all(p, p.error == '' && p.leader != '' && p.members.all(m, m.state in ['running', 'streaming', 'in archive recovery']))",
            "one leader, and every member at work, is what a failover needs",
            "Patroni documentation, REST API, GET /cluster",
        )
    },
    RuleSpec {
        when: Some(PATRONI),
        ..must(
            "patroni-agrees",
            "patroni.all(p, p.leader == patroni[0].leader)",
            "members that name different leaders have lost sight of each other",
            "definition",
        )
    },
    RuleSpec {
        when: Some(PATRONI),
        ..should(
            "patroni-not-paused",
            "patroni.all(p, !p.paused)",
            "while it is paused nobody takes over",
            "Patroni documentation, Pause/Resume mode",
        )
    },
    // --- archiver ---
    RuleSpec {
        applies: Some(ARCHIVES),
        ..must(
            "archiver-works",
            "archiver.command != 'empty' && !archiver.failing",
            "WAL that cannot be archived piles up, and the backups end at the last archived segment",
            "PostgreSQL documentation, 26.3.1 Setting Up WAL Archiving",
        )
    },
    RuleSpec {
        applies: Some(ARCHIVES),
        ..must(
            "archiver-backlog",
            "archiver.waiting_segments <= 15 && archiver.stalled_seconds < 300.0",
            "segments that wait are lost with the primary's disk; a command that hangs never fails",
            "practice",
        )
    },
    RuleSpec {
        applies: Some(ARCHIVES),
        ..should(
            "archiver-backlog-small",
            "archiver.waiting_segments <= 10",
            "an archiver that keeps up has next to nothing waiting",
            "practice",
        )
    },
    RuleSpec {
        when: Some(Condition {
            text: "`archiving = true` is declared",
            holds: |config| config.archiving,
        }),
        ..must(
            "archiving",
            "archiver.mode != 'off' && archiver.command == 'set' && !archiver.failing && archiver.progress && archiver.stalled_seconds < 60.0 && archiver.oldest_waiting_seconds < 300.0",
            "archiving must be on, and what there was to archive must have been archived",
            "PostgreSQL documentation, 26.3.1 Setting Up WAL Archiving",
        )
    },
    // --- commits ---
    RuleSpec {
        when: Some(WRITES),
        ..must(
            "commits",
            "canary.commit == 'confirmed'",
            "reads still work when commits hang for want of a synchronous standby",
            "PostgreSQL documentation, 27.2.8 Synchronous Replication",
        )
    },
    RuleSpec {
        when: Some(WRITES),
        ..should(
            "canary-removed",
            "canary.removed && canary.left_behind == []",
            "the probe leaves nothing behind",
            "definition",
        )
    },
    // --- load ---
    RuleSpec {
        applies: Some("pooler.kind != 'none'"),
        ..should(
            "pools",
            "pooler.pools.all(p, p.max_wait_seconds < 1.0)",
            "clients that wait for a connection of the pool wait beside all the time that queries take",
            "practice",
        )
    },
    must(
        "connections",
        "connections.used_percent < 100.0",
        "the next client is turned away",
        "PostgreSQL documentation, 20.3 Connections and Authentication",
    ),
    should(
        "connections-headroom",
        "connections.used_percent < 80.0",
        "a burst of clients is turned away",
        "practice",
    ),
    should(
        "prepared-transactions",
        "transactions.oldest_prepared_seconds < 3600.0",
        "a prepared transaction that nobody ends keeps its locks, and dead rows, for ever",
        "PostgreSQL documentation, PREPARE TRANSACTION",
    ),
    should(
        "idle-transactions",
        "transactions.idle_seconds < 3600.0",
        "a transaction that its client has forgotten keeps locks, and dead rows",
        "practice",
    ),
    // --- safety of the data ---
    must(
        "wraparound",
        "wraparound.xid_age < 1400000000 && wraparound.mxid_age < 1400000000",
        "some way further the server stops taking writes",
        "PostgreSQL documentation, 25.1.5 Preventing Transaction ID Wraparound Failures",
    ),
    should(
        "wraparound-far",
        "wraparound.xid_age < 1300000000 && wraparound.mxid_age < 1300000000",
        "vacuum should have frozen old rows long ago",
        "PostgreSQL documentation, 25.1.5 Preventing Transaction ID Wraparound Failures",
    ),
    should(
        "checksums",
        "servers.all(s, s.checksums == 'on')",
        "without data checksums damage on disk is seen only by whoever reads nonsense",
        "PostgreSQL documentation, 30.2 Data Checksums",
    ),
    RuleSpec {
        applies: Some("servers.exists(s, s.checksums == 'on')"),
        ..must(
            "checksum-failures",
            "servers.all(s, s.checksums == 'off' || s.checksum_failures == 0)",
            "a page that fails its checksum is damaged",
            "PostgreSQL documentation, 28.2.17 pg_stat_database",
        )
    },
    // --- settings ---
    RuleSpec {
        when: Some(Condition {
            text: "`settings` is declared",
            holds: |config| !config.settings.is_empty(),
        }),
        ..must(
            "settings",
            "settings.all(s, s.matches && s.overridden == [])",
            "each declared setting has its value on every server, for every role and database",
            "definition",
        )
    },
    RuleSpec {
        when: Some(Condition {
            text: "`settings` is declared",
            holds: |config| !config.settings.is_empty(),
        }),
        ..should(
            "pending-restart",
            "servers.all(s, s.pending_restart == [])",
            "what is written in the files and waits for a restart surprises at the next one",
            "PostgreSQL documentation, 54.24 pg_settings",
        )
    },
    // --- roles, columns, migrations, indexes, hba ---
    database::READERS_CANNOT_WRITE,
    database::READERS_CALL_NO_DEFINERS,
    database::AUDIT_ON,
    database::COLUMNS_ENCRYPTED,
    database::MIGRATIONS_APPLIED,
    database::INDEXES_VALID,
    database::INDEXES_DISTINCT,
    database::FOREIGN_KEYS_INDEXED,
    database::HBA_LOADS,
    database::HBA_NO_TRUST,
    database::HBA_STRONG_PASSWORDS,
    database::HBA_NOT_OPEN,
    database::HBA_ENCRYPTED,
];
