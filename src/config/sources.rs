//! The files that a configuration is made of, and places in them.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// One file.
#[derive(Debug)]
pub struct SourceFile {
    /// As the user would name it: relative to the working directory where it was given so.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
    /// Index of the file that includes it.
    included_by: Option<usize>,
    line_starts: Vec<usize>,
}

/// A place in a file: bytes of its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Index into [`Sources`].
    pub file: usize,
    /// Bytes of the file's text.
    pub span: Range<usize>,
}

/// All files of a configuration, in the order in which they were read.
#[derive(Debug, Default)]
pub struct Sources {
    files: Vec<SourceFile>,
    included_dirs: Vec<PathBuf>,
}

impl Sources {
    /// Adds a file, included by another or not, and returns its index.
    pub fn add(&mut self, path: &Path, text: String, included_by: Option<usize>) -> usize {
        let line_starts = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        self.files.push(SourceFile {
            path: path.to_owned(),
            text,
            included_by,
            line_starts,
        });
        self.files.len() - 1
    }

    /// Remembers a directory whose files are included by a wildcard.
    pub fn add_included_dir(&mut self, path: &Path) {
        if !self.included_dirs.iter().any(|known| known == path) {
            self.included_dirs.push(path.to_owned());
        }
    }

    /// The directories whose files are included by a wildcard.
    pub fn included_dirs(&self) -> &[PathBuf] {
        &self.included_dirs
    }

    /// The file of that index.
    pub fn file(&self, index: usize) -> &SourceFile {
        &self.files[index]
    }

    /// Whether `outer` includes `inner`, itself or through others.
    pub fn includes(&self, outer: usize, inner: usize) -> bool {
        let parents = std::iter::successors(self.files[inner].included_by, |at| {
            self.files[*at].included_by
        });
        parents.into_iter().any(|parent| parent == outer)
    }

    /// All files.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The line (from 1) on which a place begins.
    pub fn line(&self, place: &Place) -> usize {
        self.files[place.file].line_of(place.span.start)
    }
}

impl SourceFile {
    /// The line, from 1, of a byte.
    pub fn line_of(&self, byte: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= byte)
    }

    /// The bytes of the lines that `span` touches, without the last line break, and the number
    /// of the first.
    pub fn lines_around(&self, span: &Range<usize>) -> (Range<usize>, usize) {
        let first = self.line_of(span.start.min(self.text.len()));
        let last = self.line_of(span.end.min(self.text.len()).max(span.start));
        let start = self.line_starts[first - 1];
        let end = self
            .line_starts
            .get(last)
            .map_or(self.text.len(), |next| next - 1);
        (start..end.max(start), first)
    }
}
