//! Runs the real binary and reads its verdict.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

/// One run of the binary in a directory of its own, with a scrubbed environment.
pub struct Run {
    dir: TempDir,
    command: Command,
}

impl Run {
    /// `probe` with `config` as `./probes.toml`.
    pub fn with_config(config: &str) -> Self {
        let dir = TempDir::new().expect("temporary directory");
        std::fs::write(dir.path().join("probes.toml"), config).expect("write the configuration");
        let mut command = Command::new(env!("CARGO_BIN_EXE_probe"));
        command
            .current_dir(dir.path())
            .env_clear()
            .stdin(Stdio::null());
        Self { dir, command }
    }

    /// The same where `hosts` is the hosts file of the system: names with the addresses that a
    /// test wants, in a mount namespace of their own.
    pub fn with_hosts(config: &str, hosts: &str) -> Self {
        let mut run = Self::with_config(config).file("hosts", hosts);
        let mut command = Command::new(super::process::require("unshare"));
        command
            .args(["--map-root-user", "--mount", "sh", "-c"])
            .arg("mount --bind hosts /etc/hosts && exec \"$0\" \"$@\"")
            .arg(run.command.get_program())
            .current_dir(run.dir.path())
            .env_clear()
            .stdin(Stdio::null());
        run.command = command;
        run
    }

    /// The directory it runs in.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Adds a file beside the configuration.
    #[must_use]
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        std::fs::write(self.dir.path().join(name), content).expect("write a file");
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<'a>(mut self, args: impl IntoIterator<Item = &'a str>) -> Self {
        self.command.args(args);
        self
    }

    /// Runs it as it is.
    pub fn output(mut self) -> Output {
        self.command.output().expect("run probe")
    }

    /// Starts `probe --once --format json`.
    pub fn start(self) -> Started {
        let mut run = self.args(["--once", "--format", "json"]);
        let child = run
            .command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Started {
            child: child.expect("start probe"),
            _dir: run.dir,
        }
    }

    /// The most memory that `probe --once` holds, KiB; what it sees must be no pass.
    pub fn peak_kib(self) -> u64 {
        let mut run = self.args(["--once", "--format", "json"]);
        let file =
            |name: &str| std::fs::File::create(run.dir.path().join(name)).expect("create a file");
        let (verdict, log) = (file("verdict.json"), file("log"));
        let mut child = run
            .command
            .stdout(verdict)
            .stderr(log)
            .spawn()
            .expect("start probe");
        let status = format!("/proc/{}/status", child.id());
        let mut peak = 0;
        while child.try_wait().expect("wait").is_none() {
            let status = std::fs::read_to_string(&status).unwrap_or_default();
            let now = status.lines().find_map(|line| {
                let kib = line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?;
                kib.parse().ok()
            });
            peak = now.unwrap_or(peak);
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let text = std::fs::read_to_string(run.dir.path().join("verdict.json"));
        let verdict: Value = serde_json::from_str(&text.expect("a verdict")).expect("JSON");
        assert_ne!(verdict["gate"]["result"], "pass");
        assert!(peak > 0, "the peak was never read");
        peak
    }

    /// Runs `probe --once --format json` and checks the verdict against the published schema.
    pub fn once(self) -> Verdict {
        let output = self.args(["--once", "--format", "json"]).output();
        Verdict::read(&output)
    }
}

/// A run that is under way.
pub struct Started {
    child: Child,
    _dir: TempDir,
}

impl Started {
    /// Sends it a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let kill = Command::new("kill")
            .args([format!("-{name}"), self.child.id().to_string()])
            .status();
        assert!(kill.expect("run kill").success(), "it has ended already");
    }

    /// Waits until it has ended.
    pub fn verdict(self) -> Verdict {
        Verdict::read(&self.output())
    }

    /// The same, whatever it printed.
    pub fn output(self) -> Output {
        self.child.wait_with_output().expect("wait for probe")
    }
}

/// A verdict and the exit code it came with.
pub struct Verdict {
    /// The JSON.
    pub json: Value,
    /// The exit code.
    pub code: i32,
    /// What was printed on stderr.
    pub stderr: String,
}

impl Verdict {
    /// Reads and validates what a run printed.
    pub fn read(output: &Output) -> Self {
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let stdout = String::from_utf8_lossy(&output.stdout);
        let code = output.status.code().unwrap_or(-1);
        let json: Value = serde_json::from_str(&stdout).unwrap_or_else(|error| {
            panic!("no verdict ({error}), exit {code}:\n{stdout}\n{stderr}")
        });
        let errors: Vec<String> = schema()
            .iter_errors(&json)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(
            errors.is_empty(),
            "the verdict breaks its schema: {errors:#?}\n{json:#}"
        );
        Self { json, code, stderr }
    }

    /// The probe of that id.
    pub fn probe(&self, id: &str) -> &Value {
        find(&self.json["probes"], id)
    }

    /// The facts of the probe of that id.
    pub fn facts(&self, id: &str) -> &Value {
        &self.probe(id)["facts"]
    }

    /// The item of that id.
    pub fn item(&self, id: &str) -> &Value {
        find(&self.json["items"], id)
    }

    /// The result of a rule named `PROBE/RULE`: `pass`, `fail`, …
    pub fn result(&self, rule: &str) -> &str {
        self.rule(rule)["result"].as_str().expect("a result")
    }

    /// The verdict of a rule named `PROBE/RULE`.
    pub fn rule(&self, rule: &str) -> &Value {
        let (probe, _) = rule.split_once('/').expect("PROBE/RULE");
        find(&self.probe(probe)["rules"], rule)
    }
}

fn find<'v>(list: &'v Value, id: &str) -> &'v Value {
    list.as_array()
        .and_then(|list| list.iter().find(|entry| entry["id"] == id))
        .unwrap_or_else(|| panic!("no `{id}` in {list:#}"))
}

fn schema() -> &'static jsonschema::Validator {
    static SCHEMA: OnceLock<jsonschema::Validator> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/schema/verdict.json");
        let text = std::fs::read_to_string(path).expect("read the schema of the verdict");
        let schema = serde_json::from_str(&text).expect("the schema is JSON");
        jsonschema::validator_for(&schema).expect("the schema is a schema")
    })
}
