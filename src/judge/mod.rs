//! Judging: rules over facts, their verdicts, the fold and the score. No I/O and no clock: the
//! same evidence gives the same verdict, today and in a replay.

pub mod expr;

mod past;
mod rule;
mod score;
mod status;

pub use past::{BadSoft, FLAPPING_FROM, FLAPPING_RUNS, FLAPPING_UNTIL, Past, Soft};
pub use rule::{Rule, RuleState, RuleVerdict, is_met, judge};
pub(crate) use score::percent;
pub use score::{Basis, Category, CategoryScore, Score, ScoreItem, Shares, Targets};
pub use status::Status;
