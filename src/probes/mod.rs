//! The probe kinds, and the one table that names them.

mod clean_up;
mod context;
mod kind;

mod alertmanager;
mod dns;
mod document;
mod elasticsearch;
mod grafana;
mod history;
mod http;
mod kafka;
mod loki;
mod newest_line;
mod postgres;
mod prometheus;
mod redis;
mod tcp;
mod template;
mod tls;

pub use clean_up::{CleanUp, CleanUps};
pub use context::{Context, Earlier};
pub use template::{Sample, TargetParams, Template};

pub use kind::{
    BoxFuture, BuildError, Built, BuiltinRule, Condition, Effect, HistoryOf, InitHint, KindEntry,
    KindInfo, ParamError, Probe, ProbeKind, RuleSpec, Severity,
};

/// Every kind, in the order in which `probe kinds` prints them. Adding one is one line.
pub const KINDS: &[KindEntry] = &[
    KindEntry::of::<alertmanager::Alertmanager>(),
    KindEntry::of::<dns::Dns>(),
    KindEntry::of::<document::Document>(),
    KindEntry::of::<elasticsearch::Elasticsearch>(),
    KindEntry::of::<grafana::Grafana>(),
    KindEntry::of::<history::History>(),
    KindEntry::of::<http::Http>(),
    KindEntry::of::<kafka::Kafka>(),
    KindEntry::of::<loki::Loki>(),
    KindEntry::of::<postgres::Postgres>(),
    KindEntry::of::<prometheus::Prometheus>(),
    KindEntry::of::<redis::Redis>(),
    KindEntry::of::<tcp::Tcp>(),
    KindEntry::of::<tls::Tls>(),
];

/// The kind that looks at what people attest.
pub const ATTESTED: &KindEntry = &KindEntry::of::<document::Document>();

/// The kind of that name.
pub fn find(name: &str) -> Option<&'static KindEntry> {
    KINDS.iter().find(|kind| kind.info.name == name)
}
