//! Reads a configuration file and what it includes.

use std::path::{Path, PathBuf};

use globset::GlobBuilder;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostics::Diagnostics;
use super::sources::{Place, Sources};
use crate::limits::read_file;

/// A configuration larger than this is not one.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// Files one configuration may be made of; also ends what includes itself through links.
const MAX_FILES: usize = 1_000;

/// A parsed file.
pub(super) struct Document<'s> {
    pub(super) file: usize,
    pub(super) table: Spanned<DeTable<'s>>,
}

/// Reads `root` and everything it includes into `sources`, depth first. Errors go to
/// `diagnostics`.
pub(super) fn read_all(root: &Path, sources: &mut Sources, diagnostics: &mut Diagnostics) {
    let mut reader = Reader {
        sources,
        diagnostics,
        open: Vec::new(),
    };
    reader.read(root, None);
}

/// Parses what was read. Errors go to `diagnostics`.
pub(super) fn parse_all<'s>(
    sources: &'s Sources,
    diagnostics: &mut Diagnostics,
) -> Vec<Document<'s>> {
    let mut documents = Vec::new();
    for (file, source) in sources.files().iter().enumerate() {
        let (mut table, errors) = DeTable::parse_recoverable(&source.text);
        for error in &errors {
            let place = error.span().map(|span| Place { file, span });
            // Some errors have no place of their own; the file is then all that can be said.
            let place = place.unwrap_or(Place { file, span: 0..0 });
            diagnostics.error(place, format!("not valid TOML: {}", error.message()));
        }
        table.get_mut().remove("include");
        documents.push(Document { file, table });
    }
    documents
}

struct Reader<'a> {
    sources: &'a mut Sources,
    diagnostics: &'a mut Diagnostics,
    open: Vec<PathBuf>,
}

impl Reader<'_> {
    fn read(&mut self, path: &Path, from: Option<&Place>) {
        let canonical = match path.canonicalize() {
            Ok(canonical) => canonical,
            Err(error) => return self.cannot_read(path, from, &error),
        };
        if self.open.contains(&canonical) {
            self.diagnostics
                .error(from.cloned(), format!("{} includes itself", path.display()));
            return;
        }
        if self.sources.files().len() >= MAX_FILES {
            self.diagnostics.error(
                from.cloned(),
                format!("more than {MAX_FILES} files are included"),
            );
            return;
        }
        let text = match read_file(path, MAX_BYTES) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => text,
                Err(error) => {
                    let at = error.utf8_error().valid_up_to();
                    let line = error.as_bytes()[..at].split(|b| *b == b'\n').count();
                    self.diagnostics.error(
                        from.cloned(),
                        format!("{}:{line}: not UTF-8 text", path.display()),
                    );
                    return;
                }
            },
            Err(error) => return self.cannot_read(path, from, &error),
        };
        let included_by = from.map(|place| place.file);
        let file = self.sources.add(path, text, included_by);
        self.open.push(canonical);
        self.follow(file);
        self.open.pop();
    }

    fn cannot_read(&mut self, path: &Path, from: Option<&Place>, error: &std::io::Error) {
        let diagnostic = self.diagnostics.error(
            from.cloned(),
            format!("cannot read {}: {error}", path.display()),
        );
        if from.is_none() && error.kind() == std::io::ErrorKind::NotFound {
            diagnostic.help(
                "`probe init > probes.toml` writes a starter file; `--config FILE` names another",
            );
        }
    }

    /// Follows the includes of a file. Most files have none, and need not be parsed twice.
    fn follow(&mut self, file: usize) {
        let text = &self.sources.file(file).text;
        if !text.contains("include") && !text.contains('\\') {
            return;
        }
        let text = text.clone();
        // Its errors are reported with those of all files, when what was read is parsed.
        let (table, _) = DeTable::parse_recoverable(&text);
        if let Some(include) = table.get_ref().get("include") {
            self.include(file, include);
        }
    }

    fn include(&mut self, file: usize, include: &Spanned<DeValue<'_>>) {
        let entries: Vec<&Spanned<DeValue<'_>>> = match include.get_ref() {
            DeValue::String(_) => vec![include],
            DeValue::Array(list) => list.iter().collect(),
            _ => vec![],
        };
        if entries.is_empty() {
            let place = Place {
                file,
                span: include.span(),
            };
            self.diagnostics
                .error(place, "`include` is a list of paths")
                .help("for example include = [\"conf.d/*.toml\"]");
        }
        for entry in entries {
            let place = Place {
                file,
                span: entry.span(),
            };
            let Some(pattern) = entry.get_ref().as_str() else {
                self.diagnostics
                    .error(place, "a path to include is a string");
                continue;
            };
            let base = self
                .sources
                .file(file)
                .path
                .parent()
                .unwrap_or(Path::new(""));
            let pattern = base.join(pattern);
            if let Some(dir) = wildcard_dir(&pattern) {
                self.sources.add_included_dir(dir);
            }
            match expand(&pattern) {
                Ok(paths) if paths.is_empty() => {
                    self.diagnostics
                        .error(place, format!("{} matches no file", pattern.display()));
                }
                Ok(paths) => {
                    for path in paths {
                        self.read(&path, Some(&place));
                    }
                }
                Err(error) => {
                    self.diagnostics.error(
                        place,
                        format!("cannot include {}: {error}", pattern.display()),
                    );
                }
            }
        }
    }
}

/// The directory in which a path with a wildcard in its last part looks.
fn wildcard_dir(pattern: &Path) -> Option<&Path> {
    let name = pattern.file_name()?.to_str()?;
    if !name.contains(['*', '?']) {
        return None;
    }
    match pattern.parent() {
        Some(dir) if dir != Path::new("") => Some(dir),
        _ => Some(Path::new(".")),
    }
}

/// The files that a path with a wildcard in its last part names, sorted; without one: itself.
fn expand(pattern: &Path) -> Result<Vec<PathBuf>, String> {
    let name = pattern
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or("not a path of a file")?;
    if !name.contains(['*', '?']) {
        return Ok(vec![pattern.to_owned()]);
    }
    let glob = GlobBuilder::new(name)
        .build()
        .map_err(|error| error.to_string())?
        .compile_matcher();
    let dir = wildcard_dir(pattern).ok_or("not a path of a file")?;
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|error| error.to_string())? {
        let entry = entry.map_err(|error| error.to_string())?;
        if glob.is_match(entry.file_name()) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}
