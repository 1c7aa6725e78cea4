//! Whether bytes are what an Avro schema says.
//!
//! The datum is walked, not built: what a hostile record claims to hold costs nothing, and one that
//! ends too early is an error, where a lenient reader takes the missing rest for nulls.

use std::fmt;

use apache_avro::Schema;
use apache_avro::schema::{InnerDecimalSchema, NamesRef, RecordSchema, ResolvedSchema, UuidSchema};

/// How deep the schemas may be nested, added up: their parser calls itself.
const MAX_SCHEMA_DEPTH: usize = 256;
/// How deep a datum may be nested.
const MAX_DATUM_DEPTH: usize = 256;
/// How many values a datum may hold: some take no bytes at all.
const MAX_VALUES: u32 = 4_000_000;

/// Why a datum is not known to be what its schema says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// It is not.
    Mismatch(String),
    /// It goes past what is looked at, so that nobody knows.
    TooLarge(String),
}

/// A schema and those that it refers to.
#[derive(Debug)]
pub(super) struct Parsed {
    schema: Schema,
    references: Vec<Schema>,
}

impl Parsed {
    /// Reads a schema; `references` come before those that refer to them.
    ///
    /// # Errors
    /// In words, when it is no Avro schema, or nested too deep.
    pub(super) fn new(schema: &str, references: &[String]) -> Result<Self, String> {
        let texts = references.iter().map(String::as_str).chain([schema]);
        if texts.map(depth).sum::<usize>() > MAX_SCHEMA_DEPTH {
            return Err(format!("nested deeper than {MAX_SCHEMA_DEPTH}"));
        }
        let (schema, references) =
            Schema::parse_str_with_list(schema, references).map_err(|error| error.to_string())?;
        Ok(Self { schema, references })
    }

    /// Whether `datum` is a value of it, whole and with nothing behind.
    pub(super) fn check(&self, datum: &[u8]) -> Result<(), Problem> {
        let schemata = self.references.iter().chain([&self.schema]).collect();
        let resolved = ResolvedSchema::new_with_schemata(schemata)
            .map_err(|error| Problem::Mismatch(format!("the schema: {error}")))?;
        let mut walk = Walk {
            names: resolved.get_names(),
            left: datum,
            values: 0,
        };
        walk.value(&self.schema, None, 0)?;
        match walk.left.len() {
            0 => Ok(()),
            more => Err(mismatch(format_args!("{more} bytes follow its value"))),
        }
    }
}

/// How deep brackets are nested in JSON, outside strings.
fn depth(json: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn mismatch(text: impl fmt::Display) -> Problem {
    Problem::Mismatch(text.to_string())
}

/// On its way through a datum.
struct Walk<'a> {
    names: &'a NamesRef<'a>,
    left: &'a [u8],
    values: u32,
}

type Done = Result<(), Problem>;

impl<'a> Walk<'a> {
    fn value(&mut self, schema: &Schema, namespace: Option<&str>, depth: usize) -> Done {
        self.values += 1;
        if depth > MAX_DATUM_DEPTH {
            let text = format!("nested deeper than {MAX_DATUM_DEPTH}");
            return Err(Problem::TooLarge(text));
        }
        if self.values > MAX_VALUES {
            return Err(Problem::TooLarge(format!("more than {MAX_VALUES} values")));
        }
        match schema {
            Schema::Null => Ok(()),
            Schema::Boolean => self.boolean(),
            Schema::Int | Schema::Date | Schema::TimeMillis => self.int().map(drop),
            Schema::Long
            | Schema::TimeMicros
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => self.long().map(drop),
            Schema::Float => self.take(4).map(drop),
            Schema::Double => self.take(8).map(drop),
            Schema::Bytes | Schema::BigDecimal | Schema::Uuid(UuidSchema::Bytes) => {
                self.bytes().map(drop)
            }
            Schema::String | Schema::Uuid(UuidSchema::String) => self.string(),
            Schema::Decimal(decimal) => match &decimal.inner {
                InnerDecimalSchema::Bytes => self.bytes().map(drop),
                InnerDecimalSchema::Fixed(fixed) => self.take(fixed.size).map(drop),
            },
            Schema::Fixed(fixed)
            | Schema::Duration(fixed)
            | Schema::Uuid(UuidSchema::Fixed(fixed)) => self.take(fixed.size).map(drop),
            Schema::Enum(symbols) => self.one_of("symbol", symbols.symbols.len()).map(drop),
            Schema::Union(union) => {
                let variants = union.variants();
                let at = self.one_of("branch", variants.len())?;
                self.value(&variants[at], namespace, depth + 1)
            }
            Schema::Array(array) => {
                self.blocks(|walk| walk.value(&array.items, namespace, depth + 1))
            }
            Schema::Map(map) => self.blocks(|walk| {
                walk.string()?;
                walk.value(&map.types, namespace, depth + 1)
            }),
            Schema::Record(record) => self.record(record, namespace, depth),
            Schema::Ref { name } => {
                let name = name.fully_qualified_name(namespace);
                let named = *(self.names.get(name.as_ref()))
                    .ok_or_else(|| mismatch(format_args!("the schema does not define {name}")))?;
                self.value(named, name.namespace(), depth + 1)
            }
        }
    }

    fn record(&mut self, record: &RecordSchema, namespace: Option<&str>, depth: usize) -> Done {
        let name = record.name.fully_qualified_name(namespace);
        for field in &record.fields {
            self.value(&field.schema, name.namespace(), depth + 1)
                .map_err(|problem| match problem {
                    // Only the innermost field is named: a path could be as deep as the datum.
                    Problem::Mismatch(text) if !text.starts_with("field ") => {
                        mismatch(format_args!("field {}: {text}", field.name))
                    }
                    problem => problem,
                })?;
        }
        Ok(())
    }

    /// Items in blocks, each with a count; a negative one has its length in bytes behind it.
    fn blocks(&mut self, mut item: impl FnMut(&mut Self) -> Done) -> Done {
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                self.long()?;
            }
            for _ in 0..count.unsigned_abs() {
                item(self)?;
            }
        }
    }

    fn boolean(&mut self) -> Done {
        match self.take(1)? {
            [0 | 1] => Ok(()),
            _ => Err(mismatch("a boolean that is neither 0 nor 1")),
        }
    }

    fn string(&mut self) -> Done {
        let bytes = self.bytes()?;
        std::str::from_utf8(bytes).map_err(|_| mismatch("a string that is not UTF-8"))?;
        Ok(())
    }

    fn bytes(&mut self) -> Result<&'a [u8], Problem> {
        let length = self.long()?;
        let length = usize::try_from(length)
            .map_err(|_| mismatch(format_args!("a length of {length} bytes")))?;
        self.take(length)
    }

    fn one_of(&mut self, what: &str, count: usize) -> Result<usize, Problem> {
        let at = self.int()?;
        usize::try_from(at)
            .ok()
            .filter(|at| *at < count)
            .ok_or_else(|| mismatch(format_args!("{what} {at} of {count}")))
    }

    fn int(&mut self) -> Result<i32, Problem> {
        let long = self.long()?;
        i32::try_from(long).map_err(|_| mismatch(format_args!("{long} is no int")))
    }

    /// A zigzag number of variable length.
    fn long(&mut self) -> Result<i64, Problem> {
        let mut raw = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = self.take(1)?[0];
            raw |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed());
            }
        }
        Err(mismatch("a number of more than ten bytes"))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Problem> {
        let (taken, left) = self
            .left
            .split_at_checked(count)
            .ok_or_else(|| mismatch("it ends too early"))?;
        self.left = left;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use apache_avro::types::Value;
    use apache_avro::writer::datum::GenericDatumWriter;
    use proptest::prelude::{any, prop, proptest};

    use super::*;

    const MATCH: &str = r#"{"type": "record", "name": "Match", "namespace": "football", "fields": [
        {"name": "id", "type": {"type": "string", "logicalType": "uuid"}},
        {"name": "home", "type": {"type": "record", "name": "Team", "fields": [
            {"name": "name", "type": "string"}, {"name": "goals", "type": "int"}]}},
        {"name": "away", "type": ["null", "Team"]},
        {"name": "odds", "type": {"type": "map", "values": {"type": "array", "items": "double"}}},
        {"name": "stage", "type": {"type": "enum", "name": "Stage", "symbols": ["GROUP", "FINAL"]}},
        {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
        {"name": "digest", "type": {"type": "fixed", "name": "Digest", "size": 4}},
        {"name": "played", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "over", "type": "boolean"}]}"#;

    fn parsed(schema: &str) -> Parsed {
        Parsed::new(schema, &[]).expect("a schema")
    }

    fn team(name: &str, goals: i32) -> Value {
        Value::Record(vec![
            ("name".into(), Value::String(name.into())),
            ("goals".into(), Value::Int(goals)),
        ])
    }

    fn datum() -> Vec<u8> {
        let odds = vec![Value::Double(1.5), Value::Double(3.0)];
        let value = Value::Record(vec![
            (
                "id".into(),
                Value::String("7f1f1d3e-7d5a-4f0e-9d0b-0f6f6f2f1a11".into()),
            ),
            ("home".into(), team("Bern", 2)),
            ("away".into(), Value::Union(1, Box::new(team("Linz", -1)))),
            (
                "odds".into(),
                Value::Map([("x".into(), Value::Array(odds))].into()),
            ),
            ("stage".into(), Value::Enum(1, "FINAL".into())),
            ("price".into(), Value::Decimal(vec![0, 0, 1, 2].into())),
            ("digest".into(), Value::Fixed(4, vec![1; 4])),
            ("played".into(), Value::TimestampMillis(1_790_000_000_000)),
            ("over".into(), Value::Boolean(true)),
        ]);
        let schema = Schema::parse_str(MATCH).expect("a schema");
        let writer = GenericDatumWriter::builder(&schema)
            .build()
            .expect("a writer");
        let value = value.resolve(&schema).expect("a value of the schema");
        writer.write_value_to_vec(value).expect("a datum")
    }

    #[test]
    fn what_a_writer_wrote_is_taken_and_nothing_shorter_or_longer() {
        let (schema, datum) = (parsed(MATCH), datum());
        assert_eq!(schema.check(&datum), Ok(()));
        for end in 0..datum.len() {
            let cut = schema.check(&datum[..end]);
            assert!(
                matches!(cut, Err(Problem::Mismatch(_))),
                "cut at {end}: {cut:?}"
            );
        }
        let longer = [&datum[..], &[0]].concat();
        let text = "1 bytes follow its value".to_owned();
        assert_eq!(schema.check(&longer), Err(Problem::Mismatch(text)));
    }

    #[test]
    fn a_wrong_value_names_its_field() {
        let schema = parsed(
            r#"{"type": "record", "name": "A", "fields": [
            {"name": "kind", "type": {"type": "enum", "name": "K", "symbols": ["X"]}}]}"#,
        );
        let text = "field kind: symbol 3 of 1".to_owned();
        assert_eq!(schema.check(&[6]), Err(Problem::Mismatch(text)));
    }

    #[test]
    fn names_are_found_in_references() {
        let base =
            r#"{"type": "record", "name": "a.Base", "fields": [{"name": "x", "type": "int"}]}"#;
        let middle = r#"{"type": "record", "name": "a.Middle", "fields": [{"name": "base", "type": "Base"}]}"#;
        let top = r#"{"type": "record", "name": "b.Top", "fields": [
            {"name": "m", "type": "a.Middle"}, {"name": "n", "type": "a.Base"}]}"#;
        let schema = Parsed::new(top, &[base.to_owned(), middle.to_owned()]).expect("a schema");
        assert_eq!(schema.check(&[2, 4]), Ok(()));
        assert!(schema.check(&[2]).is_err());
        assert!(Parsed::new(top, &[]).is_err());
    }

    #[test]
    fn what_claims_too_much_ends_soon_and_is_unknown() {
        let huge = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0];
        let nulls = parsed(r#"{"type": "array", "items": "null"}"#);
        assert!(matches!(nulls.check(&huge), Err(Problem::TooLarge(_))));
        let list = parsed(
            r#"{"type": "record", "name": "L", "fields": [
            {"name": "next", "type": ["null", "L"]}]}"#,
        );
        assert_eq!(list.check(&[2, 2, 0]), Ok(()));
        assert!(matches!(
            list.check(&[2].repeat(100_000)),
            Err(Problem::TooLarge(_))
        ));
        let own =
            parsed(r#"{"type": "record", "name": "L", "fields": [{"name": "me", "type": "L"}]}"#);
        assert!(matches!(own.check(&[]), Err(Problem::TooLarge(_))));
        let bytes = parsed(r#""bytes""#);
        assert!(matches!(bytes.check(&huge), Err(Problem::Mismatch(_))));
        let blocks = parsed(r#"{"type": "array", "items": "int"}"#);
        assert!(
            blocks.check(&[1, 0, 0]).is_err(),
            "a count of i64::MIN is not huge here: -1"
        );
    }

    #[test]
    fn a_schema_nested_too_deep_is_not_read() {
        let nested = |levels: usize| {
            let (open, close) = (
                r#"{"type": "array", "items": "#.repeat(levels),
                "}".repeat(levels),
            );
            format!(r#"{open}"int"{close}"#)
        };
        assert!(Parsed::new(&nested(40), &[]).is_ok());
        assert!(Parsed::new(&nested(100_000), &[]).is_err());
        let many: Vec<String> = (0..5)
            .map(|at| format!(
                r#"{{"type": "record", "name": "R{at}", "fields": [{{"name": "x", "type": {}}}]}}"#,
                nested(100)
            ))
            .collect();
        assert!(Parsed::new(r#""int""#, &many).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            parsed(MATCH).check(&bytes).ok();
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in r#"[\[\]{}",: a-z0-9]{0,80}"#) {
            Parsed::new(&text, &[]).ok();
        }
    }
}
