//! Numbers in the detail column that a rule could hold against facts: proposals, never rules.

use std::sync::LazyLock;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::{narrow, plain};

/// How a value is to be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Comparison {
    /// At least.
    #[serde(rename = ">=")]
    AtLeast,
    /// More than.
    #[serde(rename = ">")]
    MoreThan,
    /// Exactly, or nothing is said.
    #[serde(rename = "==")]
    Equal,
    /// Less than.
    #[serde(rename = "<")]
    LessThan,
    /// At most.
    #[serde(rename = "<=")]
    AtMost,
}

/// A number in a row's details.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Threshold {
    /// As it stands there.
    pub text: String,
    /// The number.
    pub value: f64,
    /// Its unit, as it stands there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// How it is to be compared, as far as the words around it say.
    pub comparison: Comparison,
}

/// Chinese units, the longer ones first; then those that end with a word.
const NUMBER: &str = r"(?x)
    (?P<before> >= | <= | [<>≥≤] | 最大连接数 | 最大 | 最多 | 上限 | 不超过 | 最小 | 最少 | 至少 | 不低于
        | at\ most\  | at\ least\  | max(?:imum)?\  | min(?:imum)?\  | up\ to\  )? [\ :]*
    (?P<number> \d+ (?:\.\d+)? )
    (?P<plus1> \+ )? \ ?
    (?P<unit> % | 个月 | 分钟 | 小时 | 毫秒 | 并发用户 | 用户 | 端口 | 核 | 天 | 周 | 月 | 年 | 秒 | 条 | 个 | 次 | 倍 | 台 | 份 | 人
        | (?: [KMGTP]i?B | [km]?bps | [mun]?s | min(?:utes?)? | seconds? | hours? | days? | weeks? | months? | years?
            | cores? | v?CPUs? | rps | qps | users? | connections? | ports? | rules? | replicas? | copies ) (?-u:\b) )?
    (?P<plus2> \+ )?
    (?P<after> 以上 | 以内 | 以下 | \ or\ more | \ at\ least )?";

static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(NUMBER).ok());

/// All thresholds of a cell.
pub(super) fn mine(cell: &str) -> Vec<Threshold> {
    let text = narrow(&plain(cell));
    let Some(pattern) = PATTERN.as_ref() else {
        return Vec::new();
    };
    let mut found: Vec<(Threshold, usize)> = Vec::new();
    // `80/443端口`: numbers that a stroke joins share the unit of the last.
    let mut sharing = 0;
    for captures in pattern.captures_iter(&text) {
        let (Some(all), Some(number)) = (captures.get(0), captures.name("number")) else {
            continue;
        };
        let part_of_name = text[..number.start()]
            .ends_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
        let Ok(value) = number.as_str().parse::<f64>() else {
            continue;
        };
        let joined = text[all.end()..].starts_with('/');
        if part_of_name || (text[..number.start()].ends_with('/') && sharing == 0) {
            sharing = 0;
            continue;
        }
        let has = |name: &str| captures.name(name).is_some();
        let unit = captures.name("unit").map(|unit| unit.as_str().to_owned());
        let stated = unit.is_some() || ["before", "plus1", "plus2", "after"].into_iter().any(has);
        let threshold = Threshold {
            text: all.as_str().trim_matches([' ', ':']).to_owned(),
            value,
            comparison: comparison(&captures),
            unit,
        };
        if joined && !stated {
            found.push((threshold, all.end()));
            sharing += 1;
            continue;
        }
        let shared = std::mem::take(&mut sharing);
        if stated {
            let from = found.len() - shared;
            for (earlier, _) in &mut found[from..] {
                earlier.unit.clone_from(&threshold.unit);
            }
            found.push((threshold, all.end()));
        } else {
            found.truncate(found.len() - shared);
        }
    }
    let kept = found.len() - sharing;
    found.truncate(kept);
    found.into_iter().map(|(threshold, _)| threshold).collect()
}

fn comparison(captures: &regex::Captures<'_>) -> Comparison {
    let text = |name: &str| {
        captures
            .name(name)
            .map_or("", |found| found.as_str().trim())
    };
    if !text("plus1").is_empty() || !text("plus2").is_empty() {
        return Comparison::AtLeast;
    }
    match text("after") {
        "以上" | "or more" | "at least" => return Comparison::AtLeast,
        "以内" | "以下" => return Comparison::AtMost,
        _ => {}
    }
    match text("before") {
        "" => Comparison::Equal,
        ">" => Comparison::MoreThan,
        "<" => Comparison::LessThan,
        ">=" | "≥" | "最小" | "最少" | "至少" | "不低于" | "at least" | "min" | "minimum" => {
            Comparison::AtLeast
        }
        _ => Comparison::AtMost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(cell: &str) -> Vec<String> {
        mine(cell).into_iter().map(|t| t.text).collect()
    }

    #[test]
    fn the_pattern_is_valid() {
        assert!(Regex::new(NUMBER).is_ok());
    }

    #[test]
    fn numbers_are_found_with_unit_and_direction() {
        assert_eq!(
            texts("CPU: 8核, 内存: 16GB, 存储: 100GB SSD"),
            ["8核", "16GB", "100GB"]
        );
        assert_eq!(texts("对象存储服务, 1TB初始容量"), ["1TB"]);
        assert_eq!(texts("7天、4周、3个月保留"), ["7天", "4周", "3个月"]);
        assert_eq!(texts("25条告警规则配置"), ["25条"]);
        let version = mine("PostgreSQL 15+, 主从架构");
        assert_eq!(version[0].text, "15+");
        assert_eq!(version[0].comparison, Comparison::AtLeast);
        let coverage = mine("70%+测试覆盖率");
        assert_eq!(
            (coverage[0].text.as_str(), coverage[0].value),
            ("70%+", 70.0)
        );
        assert_eq!(coverage[0].unit.as_deref(), Some("%"));
        let limits = mine("最大连接数100, 连接超时30秒");
        assert_eq!(limits[0].comparison, Comparison::AtMost);
        assert_eq!(limits[1].text, "30秒");
        let ports = mine("开放80/443端口, 限制数据库端口访问");
        assert_eq!(
            ports
                .iter()
                .map(|t| (t.value, t.unit.as_deref()))
                .collect::<Vec<_>>(),
            [(80.0, Some("端口")), (443.0, Some("端口"))]
        );
        assert_eq!(mine("99.9%以上")[0].comparison, Comparison::AtLeast);
        assert_eq!(mine("平均<100ms")[0].comparison, Comparison::LessThan);
        assert_eq!(mine("at least 3 replicas")[0].text, "at least 3 replicas");
    }

    #[test]
    fn numbers_in_names_are_no_thresholds() {
        for cell in [
            "K8s",
            "S3 bucket",
            "ipv4",
            "see 3",
            "a/b",
            "1/2",
            "RFC-3339",
            "v1.2.3",
            "",
        ] {
            assert_eq!(texts(cell), Vec::<String>::new(), "{cell}");
        }
    }
}
