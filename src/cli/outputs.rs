//! Where reports go: told apart, and found to be writable before anything is probed.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use rustix::fs::{Access, AtFlags, CWD, accessat};

use super::args::{ReportArgs, RunArgs};
use super::exit::ExitMap;
use crate::report::Format;

/// The path that stands for stdout.
const STDOUT: &str = "-";

impl ReportArgs {
    /// The report that stdout is: that of `--output FORMAT=-`, else the one that `--format` names.
    pub(super) fn on_stdout(&self) -> Option<Format> {
        let mut outputs = self.output.iter();
        let named = outputs.find(|(_, path)| path.as_os_str() == STDOUT);
        named.map(|(format, _)| *format).or(self.format)
    }

    /// The reports that are files.
    pub(super) fn files(&self) -> impl Iterator<Item = (Format, &Path)> {
        let outputs = self.output.iter();
        outputs
            .filter(|(_, path)| path.as_os_str() != STDOUT)
            .map(|(format, path)| (*format, path.as_path()))
    }

    /// Whose exit codes are used: who reads a plugin's line on stdout reads its exit code with it.
    pub(super) fn exit_map(&self, run: &RunArgs) -> ExitMap {
        run.exit_map.unwrap_or(match self.on_stdout() {
            Some(Format::Nagios) => ExitMap::Nagios,
            _ => ExitMap::Probe,
        })
    }

    /// Refuses what could not be delivered, as far as that can be known before a run.
    pub(super) fn check_outputs(&self, config: &Path) -> anyhow::Result<()> {
        let on_stdout = self.output.len() - self.files().count();
        ensure!(
            on_stdout <= 1,
            "--output: `-` is stdout, which holds one report; {on_stdout} were asked for"
        );
        let mut seen: HashMap<PathBuf, &Path> = HashMap::new();
        for (format, path) in self.files() {
            let shown = path.display();
            let checklist = self.checklist.as_deref();
            let checklist = checklist.filter(|_| format != Format::Markdown);
            for read in [Some(config), checklist].into_iter().flatten() {
                let same = identity(path).is_some_and(|id| Some(id) == identity(read));
                ensure!(!same, "--output: a report would take the place of {shown}");
            }
            if let Some(other) = identity(path).and_then(|id| seen.insert(id, path)) {
                bail!(
                    "--output: two reports would be written to one file: {} and {shown}",
                    other.display()
                );
            }
            let written = format != Format::Markdown || !self.check;
            if let Err(error) = check_writable(path).and_then(|()| {
                // A checklist is written with its lock beside it.
                match format {
                    Format::Markdown => check_writable(&crate::checklist::lock_path(path)),
                    _ => Ok(()),
                }
            }) && written
            {
                bail!("cannot write {shown}: {error}; nothing was probed");
            }
        }
        Ok(())
    }
}

/// Which file a path means, whether or not it is there; none for what is no regular file, such as /dev/null.
fn identity(path: &Path) -> Option<PathBuf> {
    match std::fs::metadata(path) {
        Ok(meta) if !meta.is_file() => None,
        Ok(_) => std::fs::canonicalize(path).ok(),
        Err(_) => {
            let folder = std::fs::canonicalize(folder(path)).ok()?;
            Some(folder.join(path.file_name()?))
        }
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

fn check_writable(path: &Path) -> io::Result<()> {
    let may = |path: &Path, access| Ok(accessat(CWD, path, access, AtFlags::EACCESS)?);
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
        Ok(meta) if !meta.is_file() => may(path, Access::WRITE_OK),
        Ok(_) => {
            // Whoever may not write a file is not to replace it either.
            may(path, Access::WRITE_OK)?;
            let real = std::fs::canonicalize(path)?;
            may(folder(&real), Access::WRITE_OK | Access::EXEC_OK)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = folder(path);
            if path.as_os_str().to_string_lossy().ends_with('/') {
                return Err(io::ErrorKind::IsADirectory.into());
            }
            if !std::fs::metadata(folder)?.is_dir() {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            may(folder, Access::WRITE_OK | Access::EXEC_OK)
        }
        Err(error) => Err(error),
    }
}
