//! The answer, the score, and what else is said of a whole run.

use std::collections::HashMap;
use std::io::{self, Write};

use super::text::{Anchor, Bdi, Cut, Esc};
use super::{Page, is_waived, mark};
use crate::checklist::Language;
use crate::judge::{Shares, Status, percent};
use crate::plan::RiskLevel;
use crate::verdict::{GateReport, ItemReport, Mode};

/// More blocking items than this are counted, not shown: the list of items has them all.
const MAX_BLOCKING: usize = 50;

/// The longest text of one line.
const LINE: usize = 600;

/// The gate's answer, what blocks it, and what to do next.
pub(super) fn answer(page: Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let verdict = page.verdict;
    let gate = &verdict.gate;
    write!(
        out,
        "<section class=\"answer {}\" aria-labelledby=answer><h1 id=answer>{} {} {}</h1><p>{}</p>",
        gate.result,
        page.say("Gate", "关卡"),
        Bdi(Cut(&gate.id, LINE)),
        mark(page, gate.result),
        meaning(page, gate.result),
    )?;
    let by_id: HashMap<&str, &ItemReport> = verdict
        .items
        .iter()
        .map(|item| (item.id.as_str(), item))
        .collect();
    blocking(page, gate, &by_id, out)?;
    if verdict.gates.len() > 1 {
        write!(
            out,
            "<h2>{}</h2><ul class=gates>",
            page.say("Every gate", "所有关卡")
        )?;
        for gate in &verdict.gates {
            write!(
                out,
                "<li>{} {}",
                mark(page, gate.result),
                Bdi(Cut(&gate.id, LINE))
            )?;
            if !gate.blocking.is_empty() {
                let blocked = page.say("blocking:", "阻塞项：");
                write!(out, " <small>{blocked} {}</small>", gate.blocking.len())?;
            }
            write!(out, "</li>")?;
        }
        write!(out, "</ul>")?;
    }
    write!(out, "</section>")
}

fn meaning(page: Page<'_>, gate: Status) -> &'static str {
    match gate {
        Status::Pass => page.say(
            "Everything that it asks for was seen to hold.",
            "所要求的一切均已观测到成立。",
        ),
        Status::Warn => page.say(
            "It may be passed; look at what warns or is waived.",
            "可以放行；请查看警告与豁免的项目。",
        ),
        Status::Fail => page.say("It must not be passed.", "不得放行。"),
        Status::Unknown | Status::Na => page.say(
            "It must not be passed: evidence is missing, and what was not seen does not pass.",
            "不得放行：缺少证据，未观测到的不算通过。",
        ),
    }
}

fn blocking(
    page: Page<'_>,
    gate: &GateReport,
    by_id: &HashMap<&str, &ItemReport>,
    out: &mut dyn Write,
) -> io::Result<()> {
    if gate.blocking.is_empty() {
        return Ok(());
    }
    write!(
        out,
        "<h2>{}</h2><ol class=block>",
        page.say("What blocks it, and what to do next", "阻塞原因与下一步")
    )?;
    for id in gate.blocking.iter().take(MAX_BLOCKING) {
        write!(out, "<li><a href=\"#{}\">{}</a>", Anchor('i', id), Esc(id))?;
        if let Some(item) = by_id.get(id.as_str()) {
            let title = Bdi(Cut(page.title_of(item), LINE));
            write!(out, " {} {title}", mark(page, item.result))?;
            next_step(page, item, out)?;
        }
        write!(out, "</li>")?;
    }
    write!(out, "</ol>")?;
    if gate.blocking.len() > MAX_BLOCKING {
        let more = gate.blocking.len() - MAX_BLOCKING;
        let text = page.say("more of them are in the list below", "项在下面的列表中");
        write!(out, "<p>{more} {text}</p>")?;
    }
    Ok(())
}

fn next_step(page: Page<'_>, item: &ItemReport, out: &mut dyn Write) -> io::Result<()> {
    if !item.reason.is_empty() {
        write!(out, "<br>{}", Bdi(Cut(&item.reason, LINE)))?;
    }
    if let Some(remediation) = &item.remediation {
        let next = page.say("Next:", "下一步：");
        write!(out, "<br><b>{next}</b> {}", Bdi(Cut(remediation, LINE)))?;
    }
    if let Some(owner) = &item.owner {
        let name = page.say("Owner:", "负责人：");
        write!(out, " <small>{name} {}</small>", Bdi(Cut(owner, LINE)))?;
    }
    Ok(())
}

/// The score by category, each with its interval.
pub(super) fn score(page: Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let verdict = page.verdict;
    let mut counts = Status::ALL.map(|status| (status, 0_usize));
    for item in &verdict.items {
        for (status, count) in &mut counts {
            *count += usize::from(*status == item.result);
        }
    }
    write!(
        out,
        "<section aria-labelledby=score><h2 id=score>{}</h2><p>",
        page.say("Score", "得分")
    )?;
    for (status, count) in counts.iter().rev() {
        write!(out, "<span class=n>{} {count}</span> ", mark(page, *status))?;
    }
    let waived = verdict.items.iter().filter(|item| is_waived(item)).count();
    if waived > 0 {
        let name = page.say("waived", "豁免");
        write!(
            out,
            "<span class=n><span class=\"m waived\">{name}</span> {waived}</span>"
        )?;
    }
    write!(
        out,
        "</p><div class=wide tabindex=0 role=region aria-labelledby=score><table><thead><tr><th scope=col>{}<th scope=col>{}\
         <th scope=col>{}<th scope=col>{}<th scope=col>{}</thead><tbody>",
        page.say("Category", "类别"),
        page.say("Interval", "区间"),
        page.say("Share", "占比"),
        page.say("Target", "目标"),
        page.say("Met", "达标"),
    )?;
    let all = &verdict.score;
    let name = page.say("all", "全部");
    row(page, name, (all.shares, all.target, all.met), out)?;
    for category in &all.categories {
        let title = category.title.as_deref().or(category.category.as_deref());
        let title = title.unwrap_or(page.say("(no category)", "（无类别）"));
        let title = page.language.title(title, &category.titles);
        let reached = (category.shares, category.target, category.met);
        row(page, title, reached, out)?;
    }
    write!(out, "</tbody></table></div>")?;
    risks(page, out)?;
    write!(out, "</section>")
}

/// What was reached, what is wanted, and whether that is met.
type Reached = (Option<Shares>, Option<f64>, Option<bool>);

fn row(
    page: Page<'_>,
    title: &str,
    (shares, target, met): Reached,
    out: &mut dyn Write,
) -> io::Result<()> {
    write!(out, "<tr><th scope=row>{}<td>", Bdi(Cut(title, LINE)))?;
    if let Some(shares) = shares {
        interval(shares, target, out)?;
    }
    let text = match (shares, page.language) {
        (None, _) => page.say("no applicable item", "无适用项目").to_owned(),
        (Some(shares), Language::En) => shares.to_string(),
        (Some(shares), Language::Zh) => format!(
            "{}% [{}–{}]，覆盖 {}%，推导 {} + 证明 {}",
            percent(shares.low),
            percent(shares.low),
            percent(shares.high),
            percent(shares.coverage),
            percent(shares.derived),
            percent(shares.attested)
        ),
    };
    let target = target.map_or_else(|| "–".to_owned(), |target| format!("{}%", percent(target)));
    let met = match met {
        Some(true) => page.say("yes", "是"),
        Some(false) => page.say("no", "否"),
        None => "–",
    };
    write!(out, "<td>{}<td>{target}<td>{met}", Esc(&text))
}

/// From what is known to what is possible, and where the target is.
fn interval(shares: Shares, target: Option<f64>, out: &mut dyn Write) -> io::Result<()> {
    let (low, high) = (shares.low * 100.0, (shares.high - shares.low) * 100.0);
    write!(
        out,
        "<svg class=iv viewBox=\"0 0 100 10\" width=160 height=16 preserveAspectRatio=none aria-hidden=true><rect class=bg width=100 height=10 />\
         <rect class=lo width={low:.1} height=10 /><rect class=hi x={low:.1} width={high:.1} height=10 />"
    )?;
    if let Some(target) = target {
        let at = (target * 100.0).min(99.0);
        write!(out, "<rect class=tg x={at:.1} width=1 height=10 />")?;
    }
    write!(out, "</svg>")
}

fn risks(page: Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    if page.verdict.risks.is_empty() {
        return Ok(());
    }
    write!(
        out,
        "<h3>{}</h3><ul class=gates>",
        page.say("Risks", "风险")
    )?;
    for risk in &page.verdict.risks {
        let level = match risk.level {
            RiskLevel::High => page.say("high", "高"),
            RiskLevel::Medium => page.say("medium", "中"),
            RiskLevel::Low => page.say("low", "低"),
        };
        let title = page.language.title(&risk.title, &risk.titles);
        write!(
            out,
            "<li>{} {} ({level})",
            mark(page, risk.result),
            Bdi(Cut(title, LINE))
        )?;
        if !risk.open.is_empty() {
            let open = page.say("open:", "未决：");
            write!(out, " <small>{open} {}</small>", Esc(&shown(&risk.open)))?;
        }
        write!(out, "</li>")?;
    }
    write!(out, "</ul>")
}

/// The first of some ids.
fn shown(ids: &[String]) -> String {
    const MOST: usize = 12;
    let mut shown: Vec<String> = ids.iter().take(MOST).cloned().collect();
    if ids.len() > MOST {
        shown.push(format!("+{}", ids.len() - MOST));
    }
    shown.join(", ")
}

/// What is odd about the configuration or the checklist.
pub(super) fn findings(page: Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    const MOST: usize = 200;
    let findings = &page.verdict.findings;
    if findings.is_empty() {
        return Ok(());
    }
    write!(
        out,
        "<section aria-labelledby=findings><h2 id=findings>{} <small>{}</small></h2><ul>",
        page.say("Findings", "发现"),
        findings.len()
    )?;
    for finding in findings.iter().take(MOST) {
        write!(out, "<li><code>{}</code> ", Cut(&finding.code, 80))?;
        if let (Some(file), Some(line)) = (&finding.file, finding.line) {
            write!(out, "<small>{}:{line}</small> ", Cut(file, 200))?;
        }
        write!(out, "{}</li>", Bdi(Cut(&finding.text, 300)))?;
    }
    write!(out, "</ul>")?;
    if findings.len() > MOST {
        let more = findings.len() - MOST;
        let text = page.say("more are in the JSON report", "条在 JSON 报告中");
        write!(out, "<p>{more} {text}</p>")?;
    }
    write!(out, "</section>")
}

/// Where all this comes from.
pub(super) fn about(page: Page<'_>, out: &mut dyn Write) -> io::Result<()> {
    let verdict = page.verdict;
    let mode = match verdict.mode {
        Mode::Once => page.say("one run", "单次运行"),
        Mode::Daemon => page.say("the daemon", "守护进程"),
        Mode::Replay => page.say("stored evidence, judged again", "对已存证据的重新判定"),
    };
    let subject = &verdict.subject;
    let health = verdict.health;
    let seconds = verdict
        .finished_at
        .duration_since(verdict.started_at)
        .as_secs_f64();
    let probes = format!(
        "{} {}, {} {}, {} {}",
        health.planned,
        page.say("planned", "计划"),
        health.ran,
        page.say("ran", "运行"),
        health.errored,
        page.say("could not look", "无法观测"),
    );
    let finished = format!("{} ({seconds:.2} s)", verdict.finished_at);
    let digests = subject.digests.join(", ");
    let rows: [(&str, &str); 11] = [
        (
            page.say("Service", "服务"),
            subject.service.as_deref().unwrap_or_default(),
        ),
        (
            page.say("Environment", "环境"),
            subject.environment.as_deref().unwrap_or_default(),
        ),
        (
            page.say("Commit", "提交"),
            subject.git_commit.as_deref().unwrap_or_default(),
        ),
        (page.say("Images", "镜像"), &digests),
        (page.say("Seen from", "观测点"), &verdict.vantage.host),
        (page.say("Finished", "完成于"), &finished),
        (page.say("Comes from", "来源"), mode),
        (page.say("Probes", "探测"), &probes),
        (page.say("Run", "运行编号"), &verdict.run_id),
        (
            page.say("Configuration", "配置"),
            &verdict.tool.config_digest,
        ),
        (page.say("Version", "版本"), &verdict.tool.version),
    ];
    write!(
        out,
        "<section aria-labelledby=about><h2 id=about>{}</h2><dl>",
        page.say("About this verdict", "关于本结论")
    )?;
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        write!(out, "<dt>{name}</dt><dd>{}</dd>", Bdi(Cut(value, 2000)))?;
    }
    write!(out, "</dl></section>")
}
