//! The words of reports, in the languages that they are written in.

use std::collections::BTreeMap;

use crate::judge::Status;
use crate::verdict::{Basis, Freshness};

/// A language of reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// Chinese.
    Zh,
    /// English.
    En,
}

impl Language {
    /// Its code, as `titles` have it.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Zh => "zh",
            Self::En => "en",
        }
    }

    /// What people call an item in this language, else in any.
    pub fn title<'t>(self, title: &'t str, titles: &'t BTreeMap<String, String>) -> &'t str {
        titles.get(self.code()).map_or(title, String::as_str)
    }

    /// A result.
    pub const fn status(self, status: Status) -> &'static str {
        match (self, status) {
            (Self::En, status) => status.as_str(),
            (Self::Zh, Status::Pass) => "通过",
            (Self::Zh, Status::Warn) => "警告",
            (Self::Zh, Status::Fail) => "失败",
            (Self::Zh, Status::Unknown) => "未知",
            (Self::Zh, Status::Na) => "不适用",
        }
    }

    /// Where a result comes from.
    pub const fn basis(self, basis: Basis) -> &'static str {
        match (self, basis) {
            (Self::En, Basis::Derived) => "derived",
            (Self::En, Basis::Attested) => "attested",
            (Self::En, Basis::Waived) => "waived",
            (Self::Zh, Basis::Derived) => "推导",
            (Self::Zh, Basis::Attested) => "证明",
            (Self::Zh, Basis::Waived) => "豁免",
        }
    }

    /// How old the evidence is.
    pub const fn freshness(self, freshness: Freshness) -> &'static str {
        match (self, freshness) {
            (Self::En, Freshness::Fresh) => "fresh",
            (Self::En, Freshness::Stale) => "stale",
            (Self::Zh, Freshness::Fresh) => "新鲜",
            (Self::Zh, Freshness::Stale) => "过期",
        }
    }

    /// One of two texts.
    pub const fn pick<'t>(self, en: &'t str, zh: &'t str) -> &'t str {
        match self {
            Self::En => en,
            Self::Zh => zh,
        }
    }
}
