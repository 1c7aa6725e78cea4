//! The `prometheus` kind.

mod faults;
mod hostile;
mod queries;
mod retention;

use crate::lab::{Run, RunningPrometheus, Verdict};

/// The verdict on one probe `p` with these parameters.
fn judge(url: &str, params: &str) -> Verdict {
    Run::with_config(&config(url, params)).once()
}

fn config(url: &str, params: &str) -> String {
    format!("[[probe]]\nid = 'p'\nkind = 'prometheus'\nurl = '{url}'\ntimeout = '10s'\n{params}\n")
}

/// The rules of probe `p` that neither pass nor do not apply, with their results.
fn not_passed(verdict: &Verdict) -> Vec<(String, String)> {
    let rules = verdict.probe("p")["rules"].as_array().expect("rules");
    rules
        .iter()
        .filter(|rule| {
            let result = rule["result"].as_str();
            !matches!(result, Some("pass" | "na")) && rule["enabled"] != false && result.is_some()
        })
        .map(|rule| {
            let text = |key: &str| rule[key].as_str().unwrap_or_default().to_owned();
            (
                text("id").trim_start_matches("p/").to_owned(),
                text("result"),
            )
        })
        .collect()
}

fn reason(verdict: &Verdict, rule: &str) -> String {
    let reason = verdict.rule(&format!("p/{rule}"))["reason"].as_str();
    reason.unwrap_or_default().to_owned()
}

/// A probe of a running server with these parameters.
fn probe(server: &RunningPrometheus, params: &str) -> Verdict {
    judge(&server.url(), params)
}
