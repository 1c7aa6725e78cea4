//! Which part of a URL a variable stands in: each is quoted in its own way.

use super::segments::Segment;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum UrlPart {
    Start,
    UserInfo,
    Host,
    Path,
    Query,
}

impl UrlPart {
    /// The part of a URL that follows `before`; `after` tells user info from host.
    pub(super) fn at(before: &str, after: &[Segment<'_>]) -> Self {
        let Some((_, rest)) = before.split_once("://") else {
            return if before.is_empty() {
                Self::Start
            } else {
                Self::Host
            };
        };
        if rest.contains(['?', '#']) {
            return Self::Query;
        }
        if rest.contains('/') {
            return Self::Path;
        }
        let ends_in_at = after
            .iter()
            .find_map(|segment| match segment {
                Segment::Literal(literal) => {
                    literal.find(['@', '/', '?', '#']).map(|at| &literal[at..])
                }
                Segment::Variable { .. } => None,
            })
            .is_some_and(|delimiter| delimiter.starts_with('@'));
        if !rest.contains('@') && ends_in_at {
            Self::UserInfo
        } else {
            Self::Host
        }
    }
}
