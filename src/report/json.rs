//! `probe.verdict/v1`.

use crate::verdict::Verdict;

pub(super) fn render(verdict: &Verdict) -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string(verdict)?;
    text.push('\n');
    Ok(text)
}
