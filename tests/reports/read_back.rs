//! What each format says of each item, read as its readers do.

use std::collections::BTreeMap;

use probe::report::Format;
use serde_json::Value;

/// Of each item by its id: the result, as far as the format tells results apart, and whether it is waived.
pub type Items = BTreeMap<String, (String, bool)>;

/// Reads a report; `None` for a format that holds no single items.
pub fn read(format: Format, text: &str) -> Option<Items> {
    Some(match format {
        Format::Json => json_items(&parse(text)["items"]),
        Format::Jsonl => json_items(&Value::Array(text.lines().map(parse).collect())),
        Format::Junit => junit(text),
        Format::Sarif => sarif(&parse(text)),
        Format::Tap => tap(text),
        Format::Prometheus => prometheus(text),
        Format::Cdevents => cdevents(text),
        Format::Ohdf => ohdf(&parse(text)),
        Format::Github => github(text),
        Format::Table | Format::Markdown | Format::Nagios | Format::Summary | Format::Html => {
            return None;
        }
    })
}

pub fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

fn word(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}

fn array(value: &Value) -> &Vec<Value> {
    value.as_array().expect("an array")
}

fn json_items(items: &Value) -> Items {
    let of = |item: &Value| {
        (
            word(&item["id"]),
            (word(&item["result"]), item["basis"] == "waived"),
        )
    };
    array(items).iter().map(of).collect()
}

/// The first word of a case's name is the item; what is counted must be what is there.
fn junit(text: &str) -> Items {
    let document = roxmltree::Document::parse(text).expect("XML");
    let root = document.root_element();
    let mut items = Items::new();
    let mut all = [0; 3];
    for suite in root.children().filter(roxmltree::Node::is_element) {
        let mut counted = [0; 3];
        for case in suite
            .children()
            .filter(|node| node.has_tag_name("testcase"))
        {
            let child = |name| case.children().find(|node| node.has_tag_name(name));
            let name = case.attribute("name").expect("a name");
            let id = name.split(' ').next().expect("an id").to_owned();
            let out = child("system-out").expect("an output");
            let line = out.text().expect("text").lines().next().expect("a line");
            let (result, basis) = line
                .strip_prefix("result ")
                .and_then(|rest| rest.split_once(", basis "))
                .expect("result and basis");
            let waived = basis == "waived";
            let expected = match result {
                "na" => Some("skipped"),
                _ if waived => Some("skipped"),
                "fail" => Some("failure"),
                "unknown" => Some("error"),
                _ => None,
            };
            for (index, element) in ["failure", "error", "skipped"].into_iter().enumerate() {
                let there = child(element).is_some();
                assert_eq!(there, expected == Some(element), "{id}: {element}");
                counted[index] += usize::from(there);
            }
            assert!(items.insert(id, (result.to_owned(), waived)).is_none());
        }
        for (index, name) in ["failures", "errors", "skipped"].into_iter().enumerate() {
            assert_eq!(
                suite.attribute(name),
                Some(counted[index].to_string().as_str())
            );
            all[index] += counted[index];
        }
    }
    assert_eq!(
        root.attribute("tests"),
        Some(items.len().to_string().as_str())
    );
    assert_eq!(
        root.attribute("failures"),
        Some(all[0].to_string().as_str())
    );
    assert_eq!(root.attribute("errors"), Some(all[1].to_string().as_str()));
    items
}

fn sarif(log: &Value) -> Items {
    let run = &log["runs"][0];
    let rules = array(&run["tool"]["driver"]["rules"]);
    let of = |result: &Value| {
        let index =
            usize::try_from(result["ruleIndex"].as_u64().expect("an index")).expect("small");
        assert_eq!(rules[index]["id"], result["ruleId"]);
        let properties = &result["properties"];
        let (kind, level) = match properties["result"].as_str().expect("a result") {
            "fail" | "unknown" => ("fail", "error"),
            "warn" => ("fail", "warning"),
            "pass" => ("pass", "none"),
            _ => ("notApplicable", "none"),
        };
        assert_eq!(
            (&result["kind"], &result["level"]),
            (&kind.into(), &level.into())
        );
        let waived = !array(&result["suppressions"]).is_empty();
        assert_eq!(waived, properties["basis"] == "waived");
        (
            word(&result["ruleId"]),
            (word(&properties["result"]), waived),
        )
    };
    array(&run["results"]).iter().map(of).collect()
}

fn tap(text: &str) -> Items {
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("TAP version 14"));
    let plan = lines
        .next()
        .and_then(|line| line.strip_prefix("1.."))
        .expect("a plan");
    let mut items = Items::new();
    let mut lines = lines.filter(|line| !line.starts_with('#'));
    while let Some(point) = lines.next() {
        let (ok, rest) = match point.strip_prefix("not ok ") {
            Some(rest) => (false, rest),
            None => (true, point.strip_prefix("ok ").expect("a test point")),
        };
        assert!(
            rest.starts_with(&format!("{} - ", items.len() + 1)),
            "{point}"
        );
        assert_eq!(lines.next(), Some("  ---"));
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "  ...").collect();
        let block: Value = serde_saphyr::from_str(&block.join("\n")).expect("YAML");
        let result = word(&block["result"]);
        assert_eq!(
            ok,
            !matches!(result.as_str(), "fail" | "unknown"),
            "{point}"
        );
        let directive = directive(point);
        let waived = block["basis"] == "waived";
        assert_eq!(directive == Some("TODO"), waived, "{point}");
        assert_eq!(directive == Some("SKIP"), result == "na", "{point}");
        assert!(items.insert(word(&block["id"]), (result, waived)).is_none());
    }
    assert_eq!(plan, items.len().to_string());
    items
}

/// The word behind the first number sign that nothing escapes.
fn directive(point: &str) -> Option<&str> {
    let mut escaped = false;
    for (at, c) in point.char_indices() {
        match c {
            '#' if !escaped => return point[at + 1..].split_whitespace().next(),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    None
}

fn label<'l>(line: &'l str, name: &str) -> Option<&'l str> {
    let (_, rest) = line.split_once(&format!("{name}=\""))?;
    rest.split_once('"').map(|(value, _)| value)
}

fn prometheus(text: &str) -> Items {
    let mut items = Items::new();
    for line in text.lines() {
        if line.starts_with("readiness_item_result{") && line.ends_with(" 1") {
            let id = label(line, "item").expect("an item").to_owned();
            let result = label(line, "result").expect("a result").to_owned();
            assert!(
                items.insert(id, (result, false)).is_none(),
                "two results: {line}"
            );
        }
    }
    for line in text.lines() {
        if line.starts_with("readiness_item_waived{") && line.ends_with(" 1") {
            let id = label(line, "item").expect("an item");
            items.get_mut(id).expect("it has a result").1 = true;
        }
    }
    items
}

fn cdevents(text: &str) -> Items {
    let mut items = Items::new();
    let events: Vec<Value> = text.lines().map(parse).collect();
    let (last, cases) = events.split_last().expect("events");
    assert_eq!(
        last["context"]["type"],
        "dev.cdevents.testsuiterun.finished.0.3.0"
    );
    for event in cases {
        let result = word(&event["customData"]["result"]);
        let outcome = &event["subject"]["content"]["outcome"];
        let expected = match result.as_str() {
            "fail" => "failure".into(),
            "unknown" => "error".into(),
            "na" => Value::Null,
            _ => "success".into(),
        };
        assert_eq!(*outcome, expected, "{event}");
        let waived = event["customData"]["basis"] == "waived";
        let id = word(&event["subject"]["content"]["testCase"]["id"]);
        assert!(items.insert(id, (result, waived)).is_none());
    }
    items
}

fn ohdf(execution: &Value) -> Items {
    let of = |control: &Value| {
        let result = word(&control["tags"]["result"]);
        let expected = match result.as_str() {
            "fail" => "failed",
            "unknown" => "error",
            "na" => "skipped",
            _ => "passed",
        };
        assert_eq!(control["results"][0]["status"], expected, "{control}");
        let waived = control["tags"]["basis"] == "waived";
        assert_eq!(waived, control.get("waiver_data").is_some());
        (word(&control["id"]), (result, waived))
    };
    array(&execution["profiles"][0]["controls"])
        .iter()
        .map(of)
        .collect()
}

/// Annotations for what needs work, plain lines for the rest; the first command is the gate's.
fn github(text: &str) -> Items {
    let mut items = Items::new();
    for line in text.lines().skip(1) {
        if line.starts_with("::group::") || line == "::endgroup::" {
            continue;
        }
        let Some(command) = line.strip_prefix("::") else {
            let mut words = line.split([' ', ':']);
            let result = words.next().expect("a result").to_owned();
            let id = words.next().expect("an item").to_owned();
            assert!(items.insert(id, (result, false)).is_none());
            continue;
        };
        let (head, data) = command.split_once("::").expect("data");
        let (name, properties) = head.split_once(' ').expect("properties");
        let (_, title) = properties.rsplit_once(",title=").expect("a title");
        let (label, result) = title.rsplit_once("%3A ").expect("a result");
        let id = label.split(' ').next().expect("an item").to_owned();
        let (result, waived) = match result.strip_suffix("%2C waived") {
            Some(result) => (result, true),
            None => (result, false),
        };
        assert!(!data.is_empty(), "{line}");
        let warns = waived || result == "warn";
        assert_eq!(name, if warns { "warning" } else { "error" }, "{line}");
        assert!(items.insert(id, (result.to_owned(), waived)).is_none());
    }
    items
}
