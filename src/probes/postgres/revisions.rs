//! An Alembic `versions` directory: its revisions and how they follow one another.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::python::{Assigned, assignments};
use crate::limits::read_file;

/// The most files of a directory, and the most bytes of one.
const MAX_FILES: usize = 20_000;
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// The revisions of a directory.
#[derive(Debug, Default)]
pub(super) struct Revisions {
    by_id: BTreeMap<String, Revision>,
    heads: Vec<String>,
}

#[derive(Debug, Default)]
struct Revision {
    /// The file that has it.
    file: String,
    /// Those it was written after.
    down: Vec<String>,
    /// Those of other branches that it needs.
    depends_on: Vec<String>,
}

impl Revisions {
    /// Reads a directory.
    ///
    /// # Errors
    /// What about it Alembic could not read either.
    pub(super) fn read(dir: &Path) -> Result<Self, String> {
        let entries = std::fs::read_dir(dir)
            .map_err(|error| format!("{}: {error}: name a directory", dir.display()))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| format!("{}: {error}", dir.display()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // What Alembic passes over: packages, and the lock files of an editor.
            if name.strip_suffix(".py").is_some()
                && !name.starts_with("__init__")
                && !name.starts_with(".#")
            {
                names.push(name);
            }
            if names.len() > MAX_FILES {
                return Err(format!("{}: more than {MAX_FILES} files", dir.display()));
            }
        }
        names.sort_unstable();
        let mut all = Self::default();
        for name in names {
            let path = dir.join(&name);
            let bytes = read_file(&path, MAX_FILE_BYTES)
                .map_err(|error| format!("{}: {error}", path.display()))?;
            let text = String::from_utf8(bytes)
                .map_err(|_| format!("{}: is not UTF-8", path.display()))?;
            all.add(&name, &text)?;
        }
        all.link(dir)
    }

    fn add(&mut self, file: &str, text: &str) -> Result<(), String> {
        let mut revision = Revision {
            file: file.to_owned(),
            ..Revision::default()
        };
        let mut id = None;
        for (name, value) in assignments(text) {
            let field = match name.as_str() {
                "revision" => None,
                "down_revision" => Some(&mut revision.down),
                "depends_on" => Some(&mut revision.depends_on),
                _ => continue,
            };
            let ids = match value {
                Assigned::Nothing => Vec::new(),
                Assigned::Text(text) => vec![text],
                Assigned::Texts(texts) => texts,
                Assigned::Other => {
                    return Err(format!(
                        "{file}: `{name}` is not written out: write a string, a tuple of strings or None"
                    ));
                }
            };
            match field {
                Some(field) => *field = ids,
                None => id = ids.into_iter().next(),
            }
        }
        let Some(id) = id.filter(|id| !id.is_empty()) else {
            return Err(format!("{file}: has no `revision`"));
        };
        if let Some(other) = self.by_id.get(&id) {
            return Err(format!("{file}: revision {id} is in {} too", other.file));
        }
        self.by_id.insert(id, revision);
        Ok(())
    }

    fn link(mut self, dir: &Path) -> Result<Self, String> {
        let mut followed = BTreeSet::new();
        for (id, revision) in &self.by_id {
            for down in &revision.down {
                if !self.by_id.contains_key(down) {
                    let file = &revision.file;
                    return Err(format!(
                        "{file}: revision {id} comes after {down}, which is in no file of {}",
                        dir.display()
                    ));
                }
                followed.insert(down);
            }
        }
        let heads = self.by_id.keys().filter(|id| !followed.contains(id));
        self.heads = heads.cloned().collect();
        if self.heads.is_empty() {
            return Err(format!("{}: no revision is a head", dir.display()));
        }
        Ok(self)
    }

    /// The revisions that no other one follows.
    pub(super) fn heads(&self) -> &[String] {
        &self.heads
    }

    /// Those of `applied` that are in no file.
    pub(super) fn strangers(&self, applied: &[String]) -> Vec<String> {
        let unknown = applied.iter().filter(|id| !self.by_id.contains_key(*id));
        unknown.cloned().collect()
    }

    /// Those of `applied` that came before another one of them: Alembic replaces them, so that both
    /// rows together are of no upgrade.
    pub(super) fn redundant(&self, applied: &[String]) -> Vec<String> {
        let mut before = BTreeSet::new();
        let down_of = |id: &String| self.by_id.get(id).map(|revision| &revision.down);
        let mut next: Vec<&String> = applied.iter().filter_map(down_of).flatten().collect();
        while let Some(id) = next.pop() {
            if before.insert(id) {
                next.extend(down_of(id).into_iter().flatten());
            }
        }
        let twice = applied.iter().filter(|id| before.contains(id));
        twice.cloned().collect()
    }

    /// The heads that a database at `applied` does not have. It has these revisions and all that
    /// they came after or depend on: Alembic keeps no row for what another row implies.
    pub(super) fn missing(&self, applied: &[String]) -> Vec<String> {
        let mut has = BTreeSet::new();
        let mut next: Vec<&String> = applied.iter().collect();
        while let Some(id) = next.pop() {
            if let (true, Some(revision)) = (has.insert(id), self.by_id.get(id)) {
                next.extend(&revision.down);
                next.extend(&revision.depends_on);
            }
        }
        let missing = self.heads.iter().filter(|head| !has.contains(head));
        missing.cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revisions(files: &[&str]) -> Result<Revisions, String> {
        let mut all = Revisions::default();
        for (at, text) in files.iter().enumerate() {
            all.add(&format!("{at}.py"), text)?;
        }
        all.link(Path::new("versions"))
    }

    fn ids(ids: &[&str]) -> Vec<String> {
        ids.iter().map(|id| (*id).to_owned()).collect()
    }

    #[test]
    fn a_merge_joins_two_heads() {
        let mut files = vec![
            "revision = 'a'\ndown_revision = None",
            "revision = 'b'\ndown_revision = 'a'",
            "revision: str = 'c'\ndown_revision: Union[str, None] = 'a'",
        ];
        let branched = revisions(&files).unwrap();
        assert_eq!(branched.heads(), ids(&["b", "c"]));
        assert_eq!(branched.missing(&ids(&["b", "c"])), ids(&[]));
        assert_eq!(branched.missing(&ids(&["c"])), ids(&["b"]));
        assert_eq!(branched.redundant(&ids(&["b", "c"])), ids(&[]));
        assert_eq!(branched.redundant(&ids(&["a", "b", "c"])), ids(&["a"]));
        files.push("revision = 'd'\ndown_revision = ('b', 'c')");
        let merged = revisions(&files).unwrap();
        assert_eq!(merged.heads(), ids(&["d"]));
        assert_eq!(merged.missing(&ids(&["b", "c"])), ids(&["d"]));
        assert_eq!(merged.strangers(&ids(&["d", "x"])), ids(&["x"]));
    }

    #[test]
    fn a_dependency_implies_its_row() {
        let all = revisions(&[
            "revision = 'a'\ndown_revision = None",
            "revision = 'n'\ndown_revision = None\ndepends_on = 'a'",
        ])
        .unwrap();
        assert_eq!(all.heads(), ids(&["a", "n"]));
        assert_eq!(all.missing(&ids(&["n"])), ids(&[]));
    }

    #[test]
    fn what_alembic_cannot_read_is_an_error() {
        for (files, part) in [
            (vec![], "no revision is a head"),
            (vec!["x = 1"], "has no `revision`"),
            (vec!["revision = make()"], "not written out"),
            (vec!["revision = 'a'\ndown_revision = 'gone'"], "gone"),
            (vec!["revision = 'a'", "revision = 'a'"], "0.py too"),
            (
                vec![
                    "revision = 'a'\ndown_revision = 'b'",
                    "revision = 'b'\ndown_revision = 'a'",
                ],
                "no revision is a head",
            ),
        ] {
            let error = revisions(&files).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
