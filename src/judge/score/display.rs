//! The score in print.

use std::fmt;

use super::{CategoryScore, Score, Shares};

/// Whole per cent, rounded down: 99.9% is not 100%. The small addition takes back what binary
/// fractions lose (0.29 × 100 is 28.999…).
pub(crate) fn percent(share: f64) -> f64 {
    (share * 100.0 + 1e-9).floor()
}

/// `62% [62–84], coverage 78%, derived 55 + attested 7`. Each number is rounded down by itself.
impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let low = percent(self.low);
        write!(
            f,
            "{low}% [{low}–{}], coverage {}%, derived {} + attested {}",
            percent(self.high),
            percent(self.coverage),
            percent(self.derived),
            percent(self.attested)
        )
    }
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_shares(self.shares, f)?;
        write_target(self.target, self.met, f)
    }
}

impl fmt::Display for CategoryScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_shares(self.shares, f)?;
        write_target(self.target, self.met, f)
    }
}

fn write_shares(shares: Option<Shares>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match shares {
        Some(shares) => write!(f, "{shares}"),
        None => f.write_str("no applicable item"),
    }
}

fn write_target(target: Option<f64>, met: Option<bool>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if let Some(target) = target {
        write!(f, "; target {}%", percent(target))?;
    }
    match met {
        Some(true) => f.write_str(", met"),
        Some(false) => f.write_str(", not met"),
        None => Ok(()),
    }
}
