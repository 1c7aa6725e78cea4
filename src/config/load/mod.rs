//! Loads a configuration: read, parse, check shapes, build probes, compile rules, resolve names.

mod daemon;
mod read;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use jiff::civil::Date;
use sha2::{Digest, Sha256};

use super::attestations::AttestationReader;
use super::diagnostics::Diagnostics;
use super::include::{Document, parse_all, read_all};
use super::interpolate::Variables;
use super::link::{Probes, link};
use super::overlay::overlay;
use super::probe_table::{Draft, ProbeReader, check_interval, digest_value};
use super::sources::{Place, Sources};
use super::tables::{
    AgentTable, CategoryTable, DefaultsTable, GateTable, ItemTable, RiskTable, ScoreTable,
    WaiverTable,
};
use super::{attestations, categories, gates, items, relations, risks};
use crate::evidence::{Redactor, RedactorBuilder};
use crate::judge::Targets;
use crate::plan::{Agent, Gate, Item, Plan, PlannedProbe};
use daemon::fact_of;

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
        self.attestations(&mut documents, &reader.defaults, &mut items, &mut probes);
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

    fn attestations(
        &mut self,
        documents: &mut [Document<'_>],
        defaults: &DefaultsTable,
        items: &mut [Item],
        probes: &mut Vec<PlannedProbe>,
    ) {
        let mut reader = match AttestationReader::new() {
            Ok(reader) => reader,
            Err(message) => {
                self.diagnostics.error(None, message);
                return;
            }
        };
        let mut drafts = Vec::new();
        for document in documents {
            let file = document.file;
            for entry in self.entries(document, "attestation") {
                drafts.extend(self.shaped(file, |shaper| reader.read(entry, defaults, shaper)));
            }
        }
        attestations::attach(drafts, self.today, items, probes, self.diagnostics);
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
        let mut open: Vec<usize> = items.iter().flat_map(Item::probes).collect();
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
