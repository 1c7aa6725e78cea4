//! Resolves what probes call each other: duplicates, unknown names and cycles.

use std::collections::{HashMap, HashSet};

use super::diagnostics::Diagnostics;
use super::probe_table::Draft;
use super::sources::{Place, Sources};
use super::suggest::did_you_mean;
use crate::history::HistorySettings;
use crate::plan::PlannedProbe;

/// The probes, and how items find them.
#[derive(Default)]
pub(super) struct Probes {
    pub(super) list: Vec<PlannedProbe>,
    /// Index into the list, by id.
    pub(super) index: HashMap<String, usize>,
    /// Ids of probes that have errors of their own: naming one is no further error.
    pub(super) broken: Vec<String>,
}

/// Resolves `depends_on`, and reports duplicates, unknown names and cycles.
pub(super) fn link(
    drafts: Vec<Draft>,
    history: Option<&HistorySettings>,
    sources: &Sources,
    diagnostics: &mut Diagnostics,
) -> Probes {
    let mut linked = Probes::default();
    check_names(&drafts, sources, diagnostics);
    check_histories(&drafts, history, diagnostics);
    let mut places = Vec::with_capacity(drafts.len());
    let mut wanted = Vec::with_capacity(drafts.len());
    for draft in drafts {
        match draft.probe {
            Some(probe) => {
                linked.index.insert(draft.id, linked.list.len());
                linked.list.push(probe);
                places.push(draft.id_place);
                wanted.push(draft.depends_on);
            }
            None => linked.broken.push(draft.id),
        }
    }
    for (probe, wanted) in linked.list.iter_mut().zip(wanted) {
        probe.depends_on = wanted
            .iter()
            .filter_map(|(name, _)| linked.index.get(name).copied())
            .collect();
    }
    if let Some(cycle) = find_cycle(&linked.list) {
        let path: Vec<&str> = cycle.iter().map(|i| linked.list[*i].id.as_str()).collect();
        diagnostics
            .error(
                places[cycle[0]].clone(),
                format!("probes depend on each other: {}", path.join(" → ")),
            )
            .help("remove one of these dependencies");
    }
    linked
}

fn check_names(drafts: &[Draft], sources: &Sources, diagnostics: &mut Diagnostics) {
    let mut names: HashMap<&str, &Place> = HashMap::with_capacity(drafts.len());
    for draft in drafts {
        if let Some(first) = names.insert(&draft.id, &draft.id_place) {
            let path = sources.file(first.file).path.display();
            let line = sources.line(first);
            diagnostics
                .error(
                    draft.id_place.clone(),
                    format!("a second probe with the id `{}`", draft.id),
                )
                .help(format!("the first one is at {path}:{line}"));
        }
    }
    for draft in drafts {
        for (name, place) in &draft.depends_on {
            if !names.contains_key(name.as_str()) {
                let searching = diagnostics.is_short();
                let diagnostic = diagnostics.error(
                    place.clone(),
                    format!("`{}` depends on `{name}`, which is no probe", draft.id),
                );
                if searching {
                    diagnostic.help(did_you_mean(name, names.keys().copied()));
                }
            }
        }
    }
}

/// A probe that reads the history of another names one, and looks no further back than is kept.
fn check_histories(
    drafts: &[Draft],
    history: Option<&HistorySettings>,
    diagnostics: &mut Diagnostics,
) {
    let names: HashSet<&str> = drafts.iter().map(|draft| &*draft.id).collect();
    for draft in drafts {
        let of = draft
            .probe
            .as_ref()
            .and_then(|probe| probe.probe.history_of());
        let (Some(of), Some(place)) = (of, &draft.history_of) else {
            continue;
        };
        if of.probe == draft.id {
            let text = format!("`{}` reads its own history: name another probe", draft.id);
            diagnostics.error(place.clone(), text);
        } else if !names.contains(of.probe) {
            let text = format!(
                "`{}` reads the history of `{}`, which is no probe",
                draft.id, of.probe
            );
            let others = names.iter().copied().filter(|name| *name != draft.id);
            diagnostics
                .error(place.clone(), text)
                .help(did_you_mean(of.probe, others));
        }
        if let Some(history) = history.filter(|history| history.retention < of.window) {
            let text = format!(
                "`{}` looks back {:?}, and the history is kept for {:?}: keep it longer",
                draft.id, of.window, history.retention
            );
            diagnostics
                .error(place.clone(), text)
                .help("[history] retention says how long");
        }
    }
}

/// A cycle of dependencies, first index repeated at its end.
fn find_cycle(probes: &[PlannedProbe]) -> Option<Vec<usize>> {
    const NEW: u8 = 0;
    const OPEN: u8 = 1;
    const DONE: u8 = 2;
    let mut colour = vec![NEW; probes.len()];
    for root in 0..probes.len() {
        if colour[root] != NEW {
            continue;
        }
        // An explicit stack: a chain of ten thousand probes must not exhaust the thread's.
        let mut path = vec![(root, 0)];
        colour[root] = OPEN;
        while let Some((at, next)) = path.last_mut() {
            let Some(to) = probes[*at].depends_on.get(*next).copied() else {
                colour[*at] = DONE;
                path.pop();
                continue;
            };
            *next += 1;
            if colour[to] == OPEN {
                let begin = path.iter().position(|(on, _)| *on == to).unwrap_or(0);
                let mut cycle: Vec<usize> = path[begin..].iter().map(|(on, _)| *on).collect();
                cycle.push(to);
                return Some(cycle);
            }
            if colour[to] == NEW {
                colour[to] = OPEN;
                path.push((to, 0));
            }
        }
    }
    None
}
