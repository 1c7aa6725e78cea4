//! Version 1 of the verdict only grows: what a reader relies on stays, and what was written can be read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{frozen, verdict};

type Names = BTreeSet<String>;

fn names(value: &Value) -> Names {
    let list = value.as_array().into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Each object with the names of its properties and the required ones, each enumeration with its values.
fn shape(schema: &Value) -> BTreeMap<String, [Names; 3]> {
    let definitions = schema["$defs"].as_object().expect("definitions");
    let mut all: BTreeMap<String, &Value> = definitions
        .iter()
        .map(|(name, one)| (name.clone(), one))
        .collect();
    all.insert("verdict".to_owned(), schema);
    let of = |(name, one): (String, &Value)| {
        let properties = one["properties"].as_object();
        let properties = properties
            .into_iter()
            .flat_map(|map| map.keys().cloned())
            .collect();
        let mut values = names(&one["enum"]);
        for choice in one["oneOf"].as_array().into_iter().flatten() {
            values.extend(choice["const"].as_str().map(str::to_owned));
            values.extend(names(&choice["enum"]));
        }
        (name, [properties, names(&one["required"]), values])
    };
    all.into_iter().map(of).collect()
}

fn current() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/schema/verdict.json");
    serde_json::from_str(&std::fs::read_to_string(path).expect("the schema")).expect("JSON")
}

fn breaks(schema: &Value) -> Vec<String> {
    let before: Value = serde_json::from_str(include_str!("schema-v1.json")).expect("JSON");
    let now = shape(schema);
    let mut broken = Vec::new();
    for (name, before) in before.as_object().expect("objects") {
        let Some([properties, required, values]) = now.get(name) else {
            broken.push(format!("`{name}` is gone"));
            continue;
        };
        let was_required = names(&before["required"]);
        let lists = [
            ("is gone", names(&before["properties"]), properties),
            ("is gone", names(&before["values"]), values),
            ("is no longer there always", was_required.clone(), required),
            ("became required", required.clone(), &was_required),
        ];
        for (what, wanted, there) in lists {
            let missing = wanted.difference(there);
            broken.extend(missing.map(|one| format!("`{name}`: `{one}` {what}")));
        }
    }
    broken
}

#[test]
fn the_published_schema_only_grows() {
    assert_eq!(breaks(&current()), Vec::<String>::new());
}

#[test]
fn a_break_would_be_seen() {
    let mut schema = current();
    let item = &mut schema["$defs"]["ItemReport"];
    item["properties"]
        .as_object_mut()
        .expect("properties")
        .remove("owner");
    item["required"]
        .as_array_mut()
        .expect("required")
        .push("claim".into());
    item["required"]
        .as_array_mut()
        .expect("required")
        .retain(|name| name != "result");
    let broken = breaks(&schema);
    for wanted in [
        "`ItemReport`: `owner` is gone",
        "`ItemReport`: `claim` became required",
        "`ItemReport`: `result` is no longer there always",
    ] {
        assert!(broken.iter().any(|one| one == wanted), "{broken:?}");
    }
}

#[test]
fn what_version_1_wrote_is_valid_and_can_be_read() {
    let written = frozen();
    let schema = jsonschema::validator_for(&current()).expect("a schema");
    let errors: Vec<String> = schema
        .iter_errors(&written)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let read = serde_json::to_value(verdict(written.clone())).expect("JSON");
    assert_eq!(read, written, "nothing is lost on the way");
}
