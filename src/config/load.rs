//! Loads a configuration: read, parse, check shapes, build probes, compile rules, resolve names.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::Date;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use toml::Spanned;
use toml::de::DeValue;

use super::diagnostics::Diagnostics;
use super::history::{HistoryTable, history};
use super::include::{Document, parse_all, read_all};
use super::interpolate::{Var, Variables};
use super::link::{Probes, link};
use super::overlay::overlay;
use super::probe_table::{Draft, ProbeReader, check_interval, digest_value};
use super::shape::{Shaper, take};
use super::sources::{Place, Sources};
use super::suggest::did_you_mean;
use super::tables::{
    AgentTable, CategoryTable, DefaultsTable, GateTable, ItemTable, MaintenanceTable, RiskTable,
    ScoreTable, ServerTable, WaiverTable,
};
use super::{categories, gates, items, maintenance, relations, risks, server};
use crate::evidence::{Redactor, RedactorBuilder};
use crate::history::HistorySettings;
use crate::plan::{
    Agent, FactRef, Gate, Item, Maintenance, Module, Plan, PlannedProbe, ServerSettings, Targets,
};

/// A plan and what is worth knowing about it.
pub struct Loaded {
    /// What runs.
    pub plan: Plan,
    /// Warnings only.
    pub diagnostics: Diagnostics,
    /// The files, to render the warnings with.
    pub sources: Sources,
}

/// A configuration that cannot be used.
#[derive(Debug)]
pub struct LoadError {
    /// All that is wrong.
    pub diagnostics: Diagnostics,
    /// The files, to render the errors with.
    pub sources: Sources,
}

/// Loads the configuration at `path`. `today` (UTC) decides whether waivers hold.
///
/// # Errors
/// All that is wrong with it, at once. Nothing is probed.
pub fn load(path: &Path, today: Date) -> Result<Loaded, Box<LoadError>> {
    let mut sources = Sources::default();
    let mut diagnostics = Diagnostics::default();
    read_all(path, &mut sources, &mut diagnostics);
    let documents = parse_all(&sources, &mut diagnostics);
    if diagnostics.has_errors() {
        return Err(Box::new(LoadError {
            diagnostics,
            sources,
        }));
    }
    let plan = Loader::new(&sources, &mut diagnostics, today).load(documents);
    if diagnostics.has_errors() {
        return Err(Box::new(LoadError {
            diagnostics,
            sources,
        }));
    }
    Ok(Loaded {
        plan,
        diagnostics,
        sources,
    })
}

const SECTIONS: [&str; 14] = [
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
    "maintenance",
    "history",
    "server",
    "module",
];

/// Sections that say how the agent is reached, and nothing of what it sees.
const NO_PART_OF_THE_DIGEST: [&str; 1] = ["server"];

struct Loader<'s> {
    sources: &'s Sources,
    diagnostics: &'s mut Diagnostics,
    today: Date,
    variables: Variables,
}

impl<'s> Loader<'s> {
    fn new(sources: &'s Sources, diagnostics: &'s mut Diagnostics, today: Date) -> Self {
        Self {
            sources,
            diagnostics,
            today,
            variables: Variables {
                vars: BTreeMap::new(),
                secrets: RedactorBuilder::default(),
                lookups: 0,
            },
        }
    }

    fn load(mut self, mut documents: Vec<Document<'_>>) -> Plan {
        let config_digest = digest(&documents);
        overlay(&mut documents, self.sources);
        for document in &documents {
            self.check_sections(document);
            self.collect_vars(document);
        }
        let server = self.server(&mut documents);
        let agent = self.optional::<AgentTable>(&mut documents, "agent");
        let history = self.history(&mut documents);
        let defaults = self.optional::<DefaultsTable>(&mut documents, "defaults");
        if let Some((file, table)) = &defaults
            && let Some(interval) = &table.interval
        {
            check_interval(interval, *file, self.diagnostics);
        }
        let defaults = defaults.map(|(_, table)| table).unwrap_or_default();
        let mut reader = ProbeReader::new(defaults);
        let drafts = self.drafts(&mut documents, &mut reader);
        let modules = self.modules(&mut documents, &mut reader);
        let probes = link(drafts, history.as_ref(), self.sources, self.diagnostics);
        let mut agent = self.agent(agent, &probes);
        let tables = self.list::<ItemTable>(&mut documents, "item");
        let mut targets = self.targets(&mut documents, &tables);
        let mut items = self.items(tables, &probes);
        let mut probes = probes.list;
        self.waivers(&mut documents, &mut items);
        let gates = self.gates(&mut documents, &items);
        let risks = self.list::<RiskTable>(&mut documents, "risk");
        let mut risks = risks::risks(risks, &items, self.diagnostics);
        let mut maintenance = self.maintenance(&mut documents, &items, &probes);
        if probes.is_empty() && !self.diagnostics.has_errors() {
            self.diagnostics
                .error(
                    None,
                    "this configuration has no [[probe]]: there is nothing to see",
                )
                .help("`probe init` writes a starter file");
        }
        self.warn_unused(&probes, &items);
        let redactor = Arc::new(self.redactor(&probes));
        self.diagnostics.redact_with(Arc::clone(&redactor));
        for probe in &mut probes {
            redactor.replace(&mut probe.target);
            probe.tags.iter_mut().for_each(|tag| {
                redactor.replace(tag);
            });
        }
        let agent_texts = [
            &mut agent.environment,
            &mut agent.service,
            &mut agent.git_commit,
            &mut agent.vantage,
        ];
        for text in agent_texts.into_iter().flatten().chain(&mut agent.digests) {
            redactor.replace(text);
        }
        let titles = targets.categories.iter_mut().flat_map(|category| {
            category
                .title
                .iter_mut()
                .chain(category.titles.values_mut())
        });
        let risk_titles = risks
            .iter_mut()
            .flat_map(|risk| std::iter::once(&mut risk.title).chain(risk.titles.values_mut()));
        let reasons = maintenance.iter_mut().map(|window| &mut window.reason);
        let titles = titles.chain(risk_titles).chain(reasons);
        for text in items.iter_mut().flat_map(Item::texts).chain(titles) {
            redactor.replace(text);
        }
        Plan {
            agent,
            probes,
            items,
            gates,
            risks,
            maintenance,
            targets,
            modules,
            server,
            checklist: None,
            history,
            redactor,
            config_digest,
        }
    }

    /// Knows the secrets that were put in, and those that the kinds make of them.
    fn redactor(&mut self, probes: &[PlannedProbe]) -> Redactor {
        let mut secrets = std::mem::take(&mut self.variables.secrets);
        for secret in probes.iter().flat_map(|probe| probe.probe.secrets()) {
            secrets.add(&secret);
        }
        secrets.build()
    }

    fn place(file: usize, span: std::ops::Range<usize>) -> Place {
        Place { file, span }
    }

    fn check_sections(&mut self, document: &Document<'_>) {
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

    fn collect_vars(&mut self, document: &Document<'_>) {
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

    fn dir(&self, file: usize) -> PathBuf {
        let parent = self.sources.file(file).path.parent();
        parent.map_or_else(PathBuf::new, Path::to_owned)
    }

    /// Runs `f` with a shaper for one file.
    fn shaped<T>(&mut self, file: usize, f: impl FnOnce(&mut Shaper<'_>) -> T) -> T {
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
    fn single<T>(&mut self, documents: &mut [Document<'_>], name: &str) -> T
    where
        T: Default + schemars::JsonSchema + for<'de> Deserialize<'de>,
    {
        let found = self.optional(documents, name);
        found.map(|(_, table)| table).unwrap_or_default()
    }

    /// The same where its absence says something; with the file that it stands in.
    fn optional<T>(&mut self, documents: &mut [Document<'_>], name: &str) -> Option<(usize, T)>
    where
        T: schemars::JsonSchema + for<'de> Deserialize<'de>,
    {
        let schema = super::schema::of::<T>();
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

    fn history(&mut self, documents: &mut [Document<'_>]) -> Option<HistorySettings> {
        let (file, table) = self.optional::<HistoryTable>(documents, "history")?;
        history(table, file, &self.dir(file), self.diagnostics)
    }

    fn table_of<T: for<'de> Deserialize<'de>>(
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
    fn list<T>(&mut self, documents: &mut [Document<'_>], name: &str) -> Vec<(usize, T)>
    where
        T: schemars::JsonSchema + for<'de> Deserialize<'de>,
    {
        let schema = super::schema::of::<T>();
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
    fn entries<'d, 'i>(
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

    fn drafts(&mut self, documents: &mut [Document<'_>], reader: &mut ProbeReader) -> Vec<Draft> {
        let mut drafts = Vec::new();
        for document in documents {
            let file = document.file;
            for entry in self.entries(document, "probe") {
                let draft = self.shaped(file, |shaper| reader.read(entry, shaper));
                drafts.extend(draft);
            }
        }
        drafts
    }

    fn modules(&mut self, documents: &mut [Document<'_>], reader: &mut ProbeReader) -> Vec<Module> {
        let mut modules: Vec<Module> = Vec::new();
        for document in documents {
            let file = document.file;
            for entry in self.entries(document, "module") {
                let place = Self::place(file, entry.span());
                let Some(module) = self.shaped(file, |shaper| reader.read_module(entry, shaper))
                else {
                    continue;
                };
                if modules.iter().any(|other| other.id == module.id) {
                    let message = format!("a second module with the id `{}`", module.id);
                    self.diagnostics.error(place, message);
                }
                modules.push(module);
            }
        }
        modules
    }

    /// `[server]`. Nothing in it is left out because its variables are empty: without its tokens the
    /// daemon would be open.
    fn server(&mut self, documents: &mut [Document<'_>]) -> ServerSettings {
        let schema = super::schema::of::<ServerTable>();
        let mut found: Option<ServerSettings> = None;
        for document in documents {
            let file = document.file;
            let Some(entry) = document.table.get_mut().get_mut("server") else {
                continue;
            };
            let span = entry.span();
            let place = Self::place(file, span.clone());
            if found.is_some() {
                self.diagnostics.error(place, "[server] is in two files");
                continue;
            }
            let DeValue::Table(table) = entry.get_mut() else {
                self.diagnostics.error(place, "[server] is a table");
                continue;
            };
            let table = self.shaped(file, |shaper| {
                let fits = shaper.table(table, span.clone(), &schema, "[server]");
                fits.then(|| take::<ServerTable>(std::mem::take(table), span, shaper))
                    .flatten()
            });
            found = table.map(|table| server::settings(table, file, self.diagnostics));
        }
        found.unwrap_or_default()
    }

    fn agent(&mut self, table: Option<(usize, AgentTable)>, probes: &Probes) -> Agent {
        let (file, table) = table.unwrap_or_default();
        let digest_from = table
            .digest_from
            .and_then(|from| fact_of(&from, file, probes, self.diagnostics));
        Agent {
            digest_from,
            environment: table.environment,
            service: table.service,
            git_commit: table.git_commit,
            digests: table.digests,
            vantage: table.vantage,
            max_per_target: table.max_per_target,
        }
    }

    fn targets(&mut self, documents: &mut [Document<'_>], items: &[(usize, ItemTable)]) -> Targets {
        let score = self.single::<ScoreTable>(documents, "score");
        let tables = self.list::<CategoryTable>(documents, "category");
        categories::targets(&score, tables, items, self.diagnostics)
    }

    fn items(&mut self, tables: Vec<(usize, ItemTable)>, probes: &Probes) -> Vec<Item> {
        if tables.is_empty() {
            return items::one_per_probe(&probes.list);
        }
        let mut seen: HashMap<String, Place> = HashMap::new();
        let relations = relations::Relations::of(&tables);
        let mut all = Vec::with_capacity(tables.len());
        for (file, table) in tables {
            let place = Self::place(file, table.id.span());
            if let Some(first) = seen.insert(table.id.get_ref().clone(), place.clone()) {
                let line = self.sources.line(&first);
                self.diagnostics
                    .error(
                        place,
                        format!("a second item with the id `{}`", table.id.get_ref()),
                    )
                    .help(format!("the first one is on line {line}"));
            }
            all.push(items::item(
                table,
                file,
                probes,
                self.sources,
                self.diagnostics,
            ));
        }
        relations.resolve(&mut all, self.diagnostics);
        all
    }

    fn waivers(&mut self, documents: &mut [Document<'_>], items: &mut [Item]) {
        let index: HashMap<String, usize> = items
            .iter()
            .enumerate()
            .map(|(at, item)| (item.id.clone(), at))
            .collect();
        for (file, table) in self.list::<WaiverTable>(documents, "waiver") {
            gates::waiver(table, file, self.today, items, &index, self.diagnostics);
        }
    }

    fn maintenance(
        &mut self,
        documents: &mut [Document<'_>],
        items: &[Item],
        probes: &[PlannedProbe],
    ) -> Vec<Maintenance> {
        self.list::<MaintenanceTable>(documents, "maintenance")
            .into_iter()
            .filter_map(|(file, table)| {
                maintenance::maintenance(table, file, items, probes, self.diagnostics)
            })
            .collect()
    }

    fn gates(&mut self, documents: &mut [Document<'_>], items: &[Item]) -> Vec<Gate> {
        let tables = self.list::<GateTable>(documents, "gate");
        if tables.is_empty() {
            return vec![Gate {
                id: "default".to_owned(),
                items: (0..items.len()).collect(),
                patterns: vec!["*".to_owned()],
            }];
        }
        let mut all: Vec<Gate> = Vec::with_capacity(tables.len());
        for (file, table) in tables {
            let place = Self::place(file, table.id.span());
            if all.iter().any(|gate| gate.id == *table.id.get_ref()) {
                self.diagnostics.error(
                    place,
                    format!("a second gate with the id `{}`", table.id.get_ref()),
                );
            }
            all.push(gates::gate(table, file, items, self.diagnostics));
        }
        all
    }

    fn warn_unused(&mut self, probes: &[PlannedProbe], items: &[Item]) {
        let mut used = vec![false; probes.len()];
        let needs = items.iter().flat_map(|item| &item.needs);
        let mut open: Vec<usize> = needs.map(|need| need.probe).collect();
        while let Some(index) = open.pop() {
            if !std::mem::replace(&mut used[index], true) {
                open.extend(&probes[index].depends_on);
            }
        }
        for (probe, _) in probes.iter().zip(used).filter(|(_, used)| !used) {
            self.diagnostics.warning(
                None,
                format!(
                    "{}:{}: no rule of the probe `{}` is needed by an item: it runs and decides nothing",
                    probe.source.file, probe.source.line, probe.id
                ),
            );
        }
    }
}

/// SHA-256 over what the files say, as written.
fn digest(documents: &[Document<'_>]) -> String {
    let mut hash = Sha256::new();
    for document in documents {
        let table = document.table.get_ref();
        let sections = table.iter().filter(|(key, _)| {
            let name: &str = key.get_ref();
            !NO_PART_OF_THE_DIGEST.contains(&name)
        });
        for (key, value) in sections {
            hash.update((key.get_ref().len() as u64).to_be_bytes());
            hash.update(key.get_ref().as_bytes());
            digest_value(value.get_ref(), &mut hash);
        }
    }
    format!("sha256:{:x}", hash.finalize())
}

/// The fact that `PROBE/fact` names.
fn fact_of(
    written: &Spanned<String>,
    file: usize,
    probes: &Probes,
    diagnostics: &mut Diagnostics,
) -> Option<FactRef> {
    let span = written.span();
    let place = Place { file, span };
    let text = written.get_ref();
    let Some((id, fact)) = text.split_once('/') else {
        diagnostics
            .error(place, format!("`{text}` names no fact"))
            .help("write PROBE/fact, such as app/image_digest");
        return None;
    };
    if probes.broken.iter().any(|broken| broken == id) {
        return None;
    }
    let Some(probe) = probes.index.get(id).copied() else {
        let ids = probes.index.keys().map(String::as_str);
        diagnostics
            .error(place, format!("there is no probe `{id}`"))
            .help(did_you_mean(id, ids));
        return None;
    };
    let kind = probes.list[probe].kind;
    let known = crate::probes::find(kind).and_then(|entry| (entry.facts)().ok())?;
    let first = fact.split('.').next().unwrap_or_default();
    if !known.facts.contains_key(first) {
        diagnostics
            .error(place, format!("the kind `{kind}` has no fact `{first}`"))
            .help(did_you_mean(first, known.facts.keys().map(String::as_str)));
        return None;
    }
    Some(FactRef {
        probe,
        path: fact.split('.').map(str::to_owned).collect(),
    })
}
