//! Task lists that gate a phase: what must hold before, during and after the deploy.

use super::parse::Document;
use super::rows::Section;
use super::text::{slug, words};

/// A heading whose task list must be complete at one phase.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) id: String,
    pub(super) title: String,
    pub(super) line: usize,
}

impl Gate {
    pub(super) fn section(&self) -> Section {
        Section {
            identity: self.id.clone(),
            keyed: true,
            name: self.id.clone(),
            title: self.title.clone(),
        }
    }
}

/// Words in a heading, and the phase that they name.
const PHASES: [(&str, &[&str]); 5] = [
    (
        "pre-deploy",
        &[
            "部署前",
            "上线前",
            "发布前",
            "pre deploy",
            "predeploy",
            "before deploy",
            "before the deploy",
            "pre release",
            "before release",
            "before the release",
            "pre launch",
            "before launch",
        ],
    ),
    (
        "in-deploy",
        &[
            "部署中",
            "上线中",
            "发布中",
            "during deploy",
            "during the deploy",
            "in deploy",
            "during release",
        ],
    ),
    (
        "post-deploy",
        &[
            "部署后",
            "上线后",
            "发布后",
            "post deploy",
            "postdeploy",
            "after deploy",
            "after the deploy",
            "post release",
            "after release",
            "after the release",
            "post launch",
            "after launch",
        ],
    ),
    (
        "acceptance",
        &[
            "成功条件",
            "成功标准",
            "验收",
            "success condition",
            "success criteria",
            "acceptance",
        ],
    ),
    ("", &["必须全部通过", "must all pass", "all must pass"]),
];

/// The gates, and for each task the index of the gate whose bullet it is. Where a document has no
/// other row (`alone`), its bullets are rows as well as others' are.
pub(super) fn find(document: &Document, alone: bool) -> (Vec<Gate>, Vec<Option<usize>>) {
    let headings = &document.headings;
    let mut gate_of: Vec<Option<usize>> = Vec::with_capacity(headings.len());
    let mut gates: Vec<Gate> = Vec::new();
    for heading in headings {
        // The outermost heading that names a phase is the gate; the title of a document is none.
        let inherited = heading.parent.and_then(|parent| gate_of[parent]);
        let own = || {
            let title = words(&heading.title);
            let (id, _) = PHASES
                .iter()
                .filter(|_| heading.level > 1)
                .find(|(_, names)| names.iter().any(|name| title.contains(name)))?;
            let id = if id.is_empty() {
                slug(&heading.title)
            } else {
                (*id).to_owned()
            };
            gates.push(Gate {
                id,
                title: heading.title.clone(),
                line: heading.line,
            });
            Some(gates.len() - 1)
        };
        let gate = inherited.or_else(own);
        gate_of.push(gate);
    }
    let of_task: Vec<Option<usize>> = document
        .tasks
        .iter()
        .map(|task| task.heading.and_then(|heading| gate_of[heading]))
        .collect();
    if alone && of_task.iter().all(Option::is_some) {
        return (Vec::new(), vec![None; of_task.len()]);
    }
    used_only(gates, of_task)
}

/// A heading without any task gates nothing. Those that remain get ids of their own.
fn used_only(gates: Vec<Gate>, of_task: Vec<Option<usize>>) -> (Vec<Gate>, Vec<Option<usize>>) {
    let mut used: Vec<Option<usize>> = vec![None; gates.len()];
    for gate in of_task.iter().flatten() {
        used[*gate] = Some(0);
    }
    let mut kept: Vec<Gate> = Vec::new();
    for (at, mut gate) in gates.into_iter().enumerate() {
        if used[at].is_none() {
            continue;
        }
        let base = gate.id.clone();
        let mut times = 1;
        while kept.iter().any(|other| other.id == gate.id) {
            times += 1;
            gate.id = format!("{base}-{times}");
        }
        used[at] = Some(kept.len());
        kept.push(gate);
    }
    let of_task = of_task
        .into_iter()
        .map(|gate| gate.and_then(|gate| used[gate]))
        .collect();
    (kept, of_task)
}
