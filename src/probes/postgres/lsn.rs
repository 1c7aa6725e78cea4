//! Positions in the write-ahead log.

/// A position in bytes from `16/B374D848`.
pub(super) fn parse(text: &str) -> Option<i64> {
    let (high, low) = text.split_once('/')?;
    let high = u32::from_str_radix(high, 16).ok()?;
    let low = u32::from_str_radix(low, 16).ok()?;
    i64::try_from((u64::from(high) << 32) | u64::from(low)).ok()
}

/// The timeline in the name of a WAL segment: its first eight digits.
pub(super) fn timeline(segment: &str) -> Option<i64> {
    i64::from_str_radix(segment.get(..8)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_and_timelines_are_read() {
        assert_eq!(parse("16/B374D848"), Some(0x16_B374_D848));
        assert_eq!(parse("0/0"), Some(0));
        assert_eq!(timeline("0000000A000000160000003B"), Some(10));
        for bad in ["", "/", "0", "0/x", "FFFFFFFF/FFFFFFFF", "0/100000000"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(timeline("x"), None);
    }
}
