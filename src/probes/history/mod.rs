//! `history`: what a window of another probe's past adds up to: availability, error rate, stability,
//! burn rates.

mod facts;
mod observe;
mod window;

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::kind::HistoryOf;
use super::{Condition, Context, Effect, KindInfo, ParamError, ProbeKind, RuleSpec, Severity};
use crate::evidence::Failure;
use crate::params::DurationText;
pub use facts::Facts;

/// Without `slot`.
const DEFAULT_SLOT: Duration = Duration::from_secs(60);
/// A finer grid has slots in which nothing can have run.
const SHORTEST_SLOT: Duration = Duration::from_millis(100);
/// The most slots of a window: 90 days of minutes, and some.
const MAX_SLOTS: u128 = 200_000;

/// Parameters.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Config {
    /// The id of the probe whose history is read.
    of: String,
    /// The length of the window, such as `7d`: a whole number of slots.
    window: DurationText,
    /// The length of a slot; it should hold two runs of the probe. Without it: 1m. Whole minutes are kept for
    /// as long as the history, others only as long as single runs.
    slot: Option<DurationText>,
    /// The least share of good slots, above 0 and at most 1, such as 0.999.
    #[schemars(range(min = 0, max = 1))]
    objective: Option<f64>,
    /// The highest share of bad slots among those that were measured, such as 0.001; it needs enough of them.
    #[schemars(range(min = 0, max = 1))]
    max_error_rate: Option<f64>,
    /// For how long no slot may have been bad, such as `24h`.
    stable_for: Option<DurationText>,
}

/// The kind.
pub struct History {
    config: Config,
    slot: Duration,
}

const OBJECTIVE: Condition<Config> = Condition {
    text: "`objective` is declared",
    holds: |config| config.objective.is_some(),
};

impl ProbeKind for History {
    const INFO: KindInfo = KindInfo {
        name: "history",
        summary: "a window of another probe's past: availability by slots, error rate, stability, burn rates",
        privileges: "reads the history of [history]; no target is contacted",
        effect: Effect::Read,
        side_effects: "none",
        example: "of = \"api\"\nwindow = \"7d\"\nslot = \"1m\"\nobjective = 0.999\n",
        init: &[],
    };
    const RULES: &'static [RuleSpec<Config>] = &[
        RuleSpec {
            name: "objective",
            expr: "lower_bound >= objective || (upper_bound >= objective && availability >= objective)",
            applies: None,
            severity: Severity::Must,
            why: "enough of the window was seen to be good; what was not measured is not good, and until it is bad beyond the budget not bad either",
            source: "availability by slots, as service level objectives count it",
            when: Some(OBJECTIVE),
        },
        RuleSpec {
            name: "error-rate",
            expr: "error_rate_at_most < max_error_rate || (error_rate_at_least <= max_error_rate && error_rate <= max_error_rate)",
            applies: None,
            severity: Severity::Must,
            why: "few errors in few samples prove nothing: the claim holds at 95 % or is not made",
            source: "exact binomial confidence bounds (Clopper and Pearson)",
            when: Some(Condition {
                text: "`max_error_rate` is declared",
                holds: |config| config.max_error_rate.is_some(),
            }),
        },
        RuleSpec {
            name: "stable",
            expr: "good_seconds >= stable_for_seconds || seconds_since_bad >= stable_for_seconds",
            applies: None,
            severity: Severity::Must,
            why: "what broke a short while ago has not shown that it holds",
            source: "the acceptance window of a release",
            when: Some(Condition {
                text: "`stable_for` is declared",
                holds: |config| config.stable_for.is_some(),
            }),
        },
    ];
    type Config = Config;
    type Facts = Facts;

    fn new(config: Config) -> Result<Self, Vec<ParamError>> {
        let slot = config.slot.map_or(DEFAULT_SLOT, |slot| slot.0);
        let mut errors = Vec::new();
        let mut wrong = |param: &str, message: String| errors.push(ParamError::new(param, message));
        let window = config.window.0;
        if slot < SHORTEST_SLOT {
            wrong("slot", format!("`slot` is at least {SHORTEST_SLOT:?}"));
        } else if !window.as_millis().is_multiple_of(slot.as_millis()) {
            let text = format!(
                "`window` ({window:?}) is a whole number of slots ({slot:?}): write one that `slot` divides"
            );
            wrong("window", text);
        } else if window.as_millis() / slot.as_millis() > MAX_SLOTS {
            let text = format!("`window` has more than {MAX_SLOTS} slots: write a longer `slot`");
            wrong("window", text);
        }
        if config.objective.is_some_and(|objective| objective <= 0.0) {
            wrong(
                "objective",
                "`objective` is above 0 and at most 1, such as 0.999".to_owned(),
            );
        }
        if config
            .stable_for
            .is_some_and(|stable_for| stable_for.0 > window)
        {
            wrong(
                "stable_for",
                "`stable_for` is longer than `window`: what was before it is not seen".to_owned(),
            );
        }
        if errors.is_empty() {
            Ok(Self { config, slot })
        } else {
            Err(errors)
        }
    }

    fn config(&self) -> &Config {
        &self.config
    }

    fn target(&self) -> String {
        format!("history of {}", self.config.of)
    }

    fn history_of(&self) -> Option<HistoryOf<'_>> {
        Some(HistoryOf {
            param: "of",
            probe: &self.config.of,
            window: self.config.window.0,
        })
    }

    async fn observe(&self, ctx: &Context) -> Result<Facts, Failure> {
        observe::observe(self, ctx).await
    }
}
