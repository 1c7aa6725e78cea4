//! Whole-process figures of `probe` with a checklist of 10,000 rows: `cargo bench --bench checklist`.
//!
//! Reading it, locking it, reading it beside its lock, and with every row renamed; holding its claims against the
//! results of a run whose one probe is refused at once, and writing it anew. Prints minimum, median and
//! maximum over the runs; asserts nothing.

#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a benchmark reports on stdout and stops at the first surprise"
)]

mod figures;

use std::fmt::Write as _;
use std::path::Path;

use figures::{report, run};

const ROWS: usize = 10_000;
const ROWS_PER_SECTION: usize = 5;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    write(dir, "probes.toml", &config());
    write(dir, "fresh.md", &document("监控配置"));
    report("checklist read, no lock", None, || {
        run(dir, &["checklist", "read", "fresh.md", "--format", "json"])
    });
    write(dir, "list.md", &document("监控配置"));
    report("checklist lock", None, || {
        run(dir, &["checklist", "lock", "list.md"])
    });
    report("checklist read, locked", None, || {
        run(dir, &["checklist", "read", "list.md", "--format", "json"])
    });
    report("--once --checklist", None, || {
        run(dir, &["--once", "--checklist", "list.md"])
    });
    report("--once --checklist --output markdown", None, || {
        write(dir, "list.md", &document("监控配置"));
        let output = "markdown=list.md";
        run(
            dir,
            &["--once", "--checklist", "list.md", "--output", output],
        )
    });
    report("--once --checklist --check", None, || {
        run(dir, &["--once", "--checklist", "list.md", "--check"])
    });
    write(dir, "list.md", &document("监控与告警的配置"));
    report("checklist read, every row renamed", None, || {
        run(dir, &["checklist", "read", "list.md", "--format", "json"])
    });
}

fn write(dir: &Path, name: &str, text: &str) {
    std::fs::write(dir.join(name), text).unwrap();
}

/// One probe, and an item for every tenth section.
fn config() -> String {
    let mut text =
        "[[probe]]\nid = \"refused\"\nkind = \"tcp\"\nhost = \"127.0.0.1\"\nport = 1\n".to_owned();
    for section in (0..ROWS / ROWS_PER_SECTION).step_by(10) {
        let _ = write!(
            text,
            "[[item]]\nid = \"A{section}.1\"\nneeds = [\"refused/*\"]\n"
        );
    }
    text
}

fn document(title: &str) -> String {
    let mut text = String::new();
    for row in 0..ROWS {
        if row % ROWS_PER_SECTION == 0 {
            let section = row / ROWS_PER_SECTION;
            let _ = write!(
                text,
                "\n#### A{section}. 服务器资源配置\n\n| 检查项 | 状态 | 详情 | 负责人 | 完成时间 |\n|---|---|---|---|---|\n",
            );
        }
        let _ = writeln!(
            text,
            "| **{title}** {row} | ✅ 已验证 | CPU: 8核, 内存: 16GB, 存储: 100GB SSD | 运维团队 | 已完成 |"
        );
    }
    text
}
