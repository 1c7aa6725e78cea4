//! Tables of the files → typed tables, each held against the schema of its place.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::de::DeValue;

use super::Loader;
use crate::config::include::Document;
use crate::config::interpolate::Var;
use crate::config::schema;
use crate::config::shape::{Shaper, take};
use crate::config::sources::Place;
use crate::config::suggest::did_you_mean;

const SECTIONS: [&str; 15] = [
    "agent",
    "defaults",
    "vars",
    "probe",
    "item",
    "category",
    "score",
    "gate",
    "risk",
    "waiver",
    "attestation",
    "maintenance",
    "history",
    "server",
    "module",
];

impl Loader<'_> {
    pub(super) fn place(file: usize, span: std::ops::Range<usize>) -> Place {
        Place { file, span }
    }

    pub(super) fn check_sections(&mut self, document: &Document<'_>) {
        for (key, _) in document.table.get_ref() {
            let name: &str = key.get_ref();
            if !SECTIONS.contains(&name) {
                self.diagnostics
                    .error(
                        Self::place(document.file, key.span()),
                        format!("`{name}` is not a section of a configuration"),
                    )
                    .label("unknown key")
                    .help(did_you_mean(name, SECTIONS));
            }
        }
    }

    pub(super) fn collect_vars(&mut self, document: &Document<'_>) {
        let Some(vars) = document.table.get_ref().get("vars") else {
            return;
        };
        let Some(table) = vars.get_ref().as_table() else {
            self.diagnostics.error(
                Self::place(document.file, vars.span()),
                "`vars` is a table: write [vars]",
            );
            return;
        };
        for (key, value) in table {
            let text = match value.get_ref() {
                DeValue::String(text) => text.clone().into_owned(),
                DeValue::Integer(number) => number.to_string(),
                DeValue::Float(number) => number.to_string(),
                DeValue::Boolean(value) => value.to_string(),
                _ => {
                    self.diagnostics.error(
                        Self::place(document.file, value.span()),
                        "a variable is a string, a number or true or false",
                    );
                    continue;
                }
            };
            let var = Var {
                text,
                dir: self.dir(document.file),
            };
            if self
                .variables
                .vars
                .insert(key.get_ref().clone().into_owned(), var)
                .is_some()
            {
                self.diagnostics.error(
                    Self::place(document.file, key.span()),
                    format!("the variable `{}` is in two files", key.get_ref()),
                );
            }
        }
    }

    pub(super) fn dir(&self, file: usize) -> PathBuf {
        let parent = self.sources.file(file).path.parent();
        parent.map_or_else(PathBuf::new, Path::to_owned)
    }

    /// Runs `f` with a shaper for one file.
    pub(super) fn shaped<T>(&mut self, file: usize, f: impl FnOnce(&mut Shaper<'_>) -> T) -> T {
        let dir = self.dir(file);
        f(&mut Shaper {
            sources: self.sources,
            variables: &mut self.variables,
            diagnostics: self.diagnostics,
            file,
            dir: &dir,
        })
    }

    /// A table that stands in at most one of the files.
    pub(super) fn single<T>(&mut self, documents: &mut [Document<'_>], name: &str) -> T
    where
        T: Default + schemars::JsonSchema + for<'de> Deserialize<'de>,
    {
        let found = self.optional(documents, name);
        found.map(|(_, table)| table).unwrap_or_default()
    }

    /// The same where its absence says something; with the file that it stands in.
    pub(super) fn optional<T>(
        &mut self,
        documents: &mut [Document<'_>],
        name: &str,
    ) -> Option<(usize, T)>
    where
        T: schemars::JsonSchema + for<'de> Deserialize<'de>,
    {
        let schema = schema::of::<T>();
        let mut found = None;
        for document in documents {
            let file = document.file;
            let Some(entry) = document.table.get_mut().get_mut(name) else {
                continue;
            };
            if found.is_some() {
                self.diagnostics.error(
                    Self::place(file, entry.span()),
                    format!("[{name}] is in two files"),
                );
            }
            found = self
                .table_of(file, entry, &schema, &format!("[{name}]"))
                .map(|table| (file, table))
                .or(found);
        }
        found
    }

    pub(super) fn table_of<T: for<'de> Deserialize<'de>>(
        &mut self,
        file: usize,
        entry: &mut Spanned<DeValue<'_>>,
        schema: &serde_json::Value,
        what: &str,
    ) -> Option<T> {
        let span = entry.span();
        let DeValue::Table(table) = entry.get_mut() else {
            self.diagnostics
                .error(Self::place(file, span), format!("{what} is a table"));
            return None;
        };
        self.shaped(file, |shaper| {
            shaper.drop_absent(table);
            let fits = shaper.table(table, span.clone(), schema, what);
            fits.then(|| take(std::mem::take(table), span, shaper))
                .flatten()
        })
    }

    /// All tables of `[[name]]`, in order.
    pub(super) fn list<T>(&mut self, documents: &mut [Document<'_>], name: &str) -> Vec<(usize, T)>
    where
        T: schemars::JsonSchema + for<'de> Deserialize<'de>,
    {
        let schema = schema::of::<T>();
        let mut all = Vec::new();
        for document in documents {
            let file = document.file;
            for entry in self.entries(document, name) {
                if let Some(table) = self.table_of(file, entry, &schema, &format!("this {name}")) {
                    all.push((file, table));
                }
            }
        }
        all
    }

    /// The entries of an array of tables; anything else is an error.
    pub(super) fn entries<'d, 'i>(
        &mut self,
        document: &'d mut Document<'i>,
        name: &str,
    ) -> Vec<&'d mut Spanned<DeValue<'i>>> {
        let file = document.file;
        let Some(value) = document.table.get_mut().get_mut(name) else {
            return Vec::new();
        };
        let span = value.span();
        let DeValue::Array(list) = value.get_mut() else {
            self.diagnostics.error(
                Self::place(file, span),
                format!("`{name}` is a list of tables: write [[{name}]]"),
            );
            return Vec::new();
        };
        list.iter_mut().collect()
    }
}
