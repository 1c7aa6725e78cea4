//! Reports: every format of one verdict, read back by those who read it.

mod delivery;
mod hostile;
mod read_back;
mod same_items;
mod schema_growth;
mod standards;

use std::io::{self, Write};

use probe::checklist::Language;
use probe::report::{Format, Style, write};
use probe::verdict::Verdict;
use serde_json::Value;

/// A verdict with an item of each result, as version 1 has written it.
fn frozen() -> Value {
    serde_json::from_str(include_str!("verdict-v1.json")).expect("JSON")
}

fn verdict(json: Value) -> Verdict {
    serde_json::from_value(json).expect("a verdict")
}

/// All formats that are made from the verdict alone.
const FORMATS: [Format; 12] = [
    Format::Json,
    Format::Jsonl,
    Format::Table,
    Format::Junit,
    Format::Sarif,
    Format::Tap,
    Format::Nagios,
    Format::Prometheus,
    Format::Summary,
    Format::Github,
    Format::Cdevents,
    Format::Ohdf,
];

fn render_in(verdict: &Verdict, format: Format, language: Language) -> String {
    let mut out = Vec::new();
    let style = Style {
        colour: false,
        width: None,
        language,
        root: Some(std::path::Path::new("/repo")),
    };
    write(verdict, None, format, style, &mut out).expect("written to memory");
    String::from_utf8(out).expect("UTF-8")
}

fn render(verdict: &Verdict, format: Format) -> String {
    render_in(verdict, format, Language::En)
}

/// Takes so many bytes and no more.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0 == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_an_error_in_every_format() {
    let verdict = verdict(frozen());
    let style = Style {
        colour: false,
        width: None,
        language: Language::En,
        root: None,
    };
    for format in FORMATS {
        let length = render(&verdict, format).len();
        for room in [0, 1, length / 2, length - 1] {
            let error = write(&verdict, None, format, style, &mut Full(room))
                .expect_err("there is no room");
            assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{format:?}");
        }
    }
}

#[test]
fn the_same_verdict_gives_the_same_bytes() {
    let verdict = verdict(frozen());
    for format in FORMATS {
        assert_eq!(render(&verdict, format), render(&verdict, format));
    }
}
