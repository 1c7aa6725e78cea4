//! Claims → the plan: each item is told what the document says of it.

use std::collections::{BTreeMap, HashMap};

use super::{Checklist, Row};
use crate::plan::{Claim, Item, Plan, SourceRef, wildcard};

impl Checklist {
    /// Tells the plan what the document claims. A row that no item answers for becomes an item of its
    /// own, unknown, in every gate whose patterns name it.
    pub fn join(&self, plan: &mut Plan) {
        let by_id: HashMap<String, usize> = plan
            .items
            .iter()
            .enumerate()
            .map(|(at, item)| (item.id.clone(), at))
            .collect();
        let mut categories: HashMap<String, Option<String>> = HashMap::new();
        for item in &plan.items {
            if let Some(section) = &item.section {
                categories
                    .entry(section.clone())
                    .or_insert_with(|| item.category.clone());
            }
        }
        for row in &self.rows {
            let mut claim = row.claim.clone();
            plan.redactor.replace(&mut claim.text);
            if let Some(at) = by_id.get(&row.id) {
                plan.items[*at].claim = Some(claim);
            } else if row.gate.is_none() {
                let category = categories.get(&row.section).cloned().flatten();
                let mut item = unmapped(row, claim, category);
                for text in item.texts() {
                    plan.redactor.replace(text);
                }
                let index = plan.items.len();
                let gates = plan.gates.iter_mut();
                let gates = gates.map(|gate| (&gate.patterns, &mut gate.items));
                let risks = plan.risks.iter_mut();
                let risks = risks.map(|risk| (&risk.patterns, &mut risk.items));
                for (patterns, items) in gates.chain(risks) {
                    if patterns.iter().any(|pattern| wildcard(pattern, &item.id)) {
                        items.push(index);
                    }
                }
                plan.items.push(item);
            }
        }
    }
}

fn unmapped(row: &Row, claim: Claim, category: Option<String>) -> Item {
    Item {
        id: row.id.clone(),
        title: row.title.clone(),
        titles: BTreeMap::new(),
        section: Some(row.section.clone()).filter(|section| !section.is_empty()),
        category,
        weight: 1.0,
        owner: row.owner.clone(),
        needs: Vec::new(),
        ttl: None,
        misses: None,
        remediation: None,
        waiver: None,
        attestation: None,
        alias_of: None,
        prerequisites: Vec::new(),
        source: SourceRef {
            file: claim.file.clone(),
            line: claim.line,
        },
        claim: Some(claim),
        unmapped: true,
    }
}
