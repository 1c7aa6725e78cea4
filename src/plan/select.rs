//! What `--select` names.

use super::{Item, Plan, wildcard};

/// A selection that names nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// No probe, tag or item of that name.
    #[error("--select {0}: no probe, tag or item of that name")]
    NoMatch(String),
}

impl Plan {
    /// Which probes run: those that `patterns` (`ID` or `tag:NAME`, `*` as wildcard; an item's id stands for
    /// its probes) select, and what they depend on. No pattern selects all.
    ///
    /// # Errors
    /// When a pattern matches nothing.
    pub fn select(&self, patterns: &[String]) -> Result<Vec<bool>, SelectError> {
        if patterns.is_empty() {
            return Ok(vec![true; self.probes.len()]);
        }
        let mut selected = vec![false; self.probes.len()];
        for pattern in patterns {
            let matched = self.matching(pattern);
            if matched.is_empty() {
                return Err(SelectError::NoMatch(pattern.clone()));
            }
            for index in matched {
                self.select_with_dependencies(index, &mut selected);
            }
        }
        Ok(selected)
    }

    fn matching(&self, pattern: &str) -> Vec<usize> {
        let indices = 0..self.probes.len();
        if let Some(tag) = pattern.strip_prefix("tag:") {
            return indices
                .filter(|i| self.probes[*i].tags.iter().any(|t| wildcard(tag, t)))
                .collect();
        }
        let by_id: Vec<usize> = indices
            .filter(|i| wildcard(pattern, &self.probes[*i].id))
            .collect();
        if !by_id.is_empty() {
            return by_id;
        }
        self.items
            .iter()
            .filter(|item| wildcard(pattern, &item.id))
            .flat_map(Item::probes)
            .collect()
    }

    fn select_with_dependencies(&self, index: usize, selected: &mut [bool]) {
        let mut open = vec![index];
        while let Some(index) = open.pop() {
            if !std::mem::replace(&mut selected[index], true) {
                open.extend(&self.probes[index].depends_on);
            }
        }
    }
}
