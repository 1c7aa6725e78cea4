//! "Did you mean".

/// The candidate that is closest to `word`, when one is close enough to be what was meant.
pub fn closest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.chars().count().max(3) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// More candidates than this are counted, not listed.
const MOST: usize = 24;

/// Help text for an unknown word: the closest candidate, else all of them.
pub fn did_you_mean<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str> + Clone,
) -> String {
    if let Some(best) = closest(word, candidates.clone()) {
        return format!("did you mean `{best}`?");
    }
    let mut all: Vec<&str> = candidates.into_iter().collect();
    if all.is_empty() {
        return "there are none".to_owned();
    }
    all.sort_unstable();
    let more = all.len().saturating_sub(MOST);
    all.truncate(MOST);
    let list = all.join("`, `");
    if more > 0 {
        format!("there are `{list}` and {more} more")
    } else {
        format!("there are `{list}`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_only_what_is_close() {
        assert_eq!(closest("statsu", ["status", "body"]), Some("status"));
        assert_eq!(closest("zzz", ["status", "body"]), None);
        assert_eq!(did_you_mean("zzz", ["b", "a"]), "there are `a`, `b`");
    }
}
