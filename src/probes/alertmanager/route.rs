//! The tree of routes: where an alert goes, and which receivers no alert can reach.

use std::time::Duration;

use super::matcher::{Labels, Matcher, all_match, show};
use super::reach::{Found, find};

/// More routes than this are not looked through for the one to blame.
const MAX_BLAMED: usize = 500;

/// One route, with what it takes from its parents.
#[derive(Debug, Clone)]
pub(super) struct Route {
    pub(super) parent: Option<usize>,
    pub(super) children: Vec<usize>,
    pub(super) matchers: Vec<Matcher>,
    pub(super) receiver: String,
    pub(super) is_continue: bool,
    pub(super) group_by: Vec<String>,
    pub(super) group_wait: Duration,
    pub(super) group_interval: Duration,
    pub(super) mute: Vec<String>,
    pub(super) active: Vec<String>,
}

/// All routes; the first is the root, parents come before their children.
#[derive(Debug, Clone)]
pub(super) struct Tree {
    pub(super) routes: Vec<Route>,
}

/// Whether an alert can get to a route and stay there.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reach {
    /// Alerts with these labels do.
    By(Labels),
    /// None does; why, for people.
    Never(String),
    /// It could not be told; why, for people.
    Undecided(String),
}

impl Tree {
    /// The routes that an alert is notified by, as Alertmanager finds them; `None` where a matcher
    /// on the way cannot be told.
    pub(super) fn deliver(&self, labels: &Labels) -> Option<Vec<usize>> {
        let mut found = Vec::new();
        if !self.routes.is_empty() {
            self.deliver_below(0, labels, &mut found)?;
        }
        Some(found)
    }

    fn deliver_below(&self, at: usize, labels: &Labels, found: &mut Vec<usize>) -> Option<()> {
        let before = found.len();
        for &child in &self.routes[at].children {
            let route = &self.routes[child];
            if all_match(&route.matchers, labels)? {
                self.deliver_below(child, labels, found)?;
                if !route.is_continue {
                    break;
                }
            }
        }
        if found.len() == before {
            found.push(at);
        }
        Some(())
    }

    /// Whether any alert is notified by that route itself.
    pub(super) fn reach(&self, at: usize) -> Reach {
        let mut wanted: Vec<&Matcher> = Vec::new();
        let mut excluded: Vec<&[Matcher]> = Vec::new();
        let mut names: Vec<&'static str> = Vec::new();
        for &child in &self.routes[at].children {
            excluded.push(&self.routes[child].matchers);
            names.push("its own child");
        }
        let mut here = at;
        while let Some(parent) = self.routes[here].parent {
            wanted.extend(&self.routes[here].matchers);
            for &sibling in &self.routes[parent].children {
                if sibling == here {
                    break;
                }
                if !self.routes[sibling].is_continue {
                    excluded.push(&self.routes[sibling].matchers);
                    names.push("an earlier sibling without `continue`");
                }
            }
            here = parent;
        }
        match find(&wanted, &excluded) {
            Found::Witness(labels) => Reach::By(labels),
            Found::Nothing => Reach::Never(self.blame(at, &wanted, &excluded, &names)),
            Found::Undecided => Reach::Undecided(format!(
                "whether anything gets past the routes before {} cannot be told from their patterns",
                self.name(at)
            )),
        }
    }

    /// Which route takes all that this one could get.
    fn blame(
        &self,
        at: usize,
        wanted: &[&Matcher],
        excluded: &[&[Matcher]],
        names: &[&str],
    ) -> String {
        let name = self.name(at);
        if find(wanted, &[]) == Found::Nothing {
            return format!("no alert satisfies all matchers on the way to {name}");
        }
        let taker = excluded
            .iter()
            .zip(names)
            .take(MAX_BLAMED)
            .find(|(group, _)| find(wanted, &[**group]) == Found::Nothing);
        match taker {
            Some((group, who)) => format!("{who} {} takes all that {name} could get", show(group)),
            None => format!("the routes before {name} take all that it could get"),
        }
    }

    /// A route for people: its matchers and receiver.
    pub(super) fn name(&self, at: usize) -> String {
        let route = &self.routes[at];
        if route.parent.is_none() {
            return format!("the root route (receiver `{}`)", route.receiver);
        }
        format!(
            "the route {} (receiver `{}`)",
            show(&route.matchers),
            route.receiver
        )
    }
}
