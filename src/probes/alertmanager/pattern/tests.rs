use super::*;

fn shape(source: &str) -> Shape {
    Pattern::new(source).shape
}

#[test]
fn what_a_pattern_accepts_is_told_apart() {
    for every in [".*", "(.*)", "^.*$", "^(.*)$", "(?s).*", "(?s:.*)"] {
        assert_eq!(shape(every), Shape::Every, "{every}");
    }
    for some in [".+", "^(.+)$", "(?s).+"] {
        assert_eq!(shape(some), Shape::NonEmpty, "{some}");
    }
    let finite = |source: &str| match shape(source) {
        Shape::Finite(strings) => strings,
        other => panic!("{source}: {other:?}"),
    };
    assert_eq!(finite("crit|warn"), ["crit", "warn"]);
    assert_eq!(finite("^(foo1|foo2|baz)$"), ["baz", "foo1", "foo2"]);
    assert_eq!(finite("db-?[12]"), ["db-1", "db-2", "db1", "db2"]);
    assert_eq!(finite(""), [""]);
    for open in ["api-.*", "[a-z]+", "a{3,}", "(?i)criticality", "..", "[^x]"] {
        assert!(matches!(shape(open), Shape::Open(_)), "{open}");
    }
}

#[test]
fn one_of_the_first_tries_is_accepted() {
    for source in [
        "api-.*",
        "[a-z]+",
        "db[0-9]{2}",
        "(?i)criticality",
        "a.b",
        "x+y*",
    ] {
        let pattern = Pattern::new(source);
        let Shape::Open(strings) = &pattern.shape else {
            panic!("{source}");
        };
        assert!(
            strings
                .iter()
                .any(|text| pattern.accepts(text) == Some(true)),
            "{source}: {strings:?}"
        );
    }
}

#[test]
fn what_re2_reads_otherwise_is_not_decided() {
    for source in [
        "[a&&b]", "[[a]b]", "[a--b]", "(?x) a", "[]a]", "(?U)a+", "(", "\\Qa\\E",
    ] {
        assert_eq!(Pattern::new(source).accepts("a"), None, "{source}");
    }
    assert_eq!(Pattern::new("\\w+").accepts("é"), None);
    assert_eq!(Pattern::new("[[:alpha:]]+").accepts("ab"), Some(true));
    assert_eq!(Pattern::new("a-b").accepts("a-b"), Some(true));
}

#[test]
fn a_pattern_is_anchored_at_both_ends() {
    let pattern = Pattern::new("a|b");
    assert_eq!(pattern.accepts("a"), Some(true));
    assert_eq!(pattern.accepts("ab"), Some(false));
}

proptest::proptest! {
    #[test]
    fn a_complete_list_holds_all_that_is_accepted(source in "[ab(|)?*+.\\[\\]x]{0,12}", value in "[abx]{0,4}") {
        let pattern = Pattern::new(&source);
        if pattern.accepts(&value) == Some(true) {
            match &pattern.shape {
                Shape::Finite(strings) => proptest::prop_assert!(strings.contains(&value)),
                Shape::NonEmpty => proptest::prop_assert!(!value.is_empty()),
                Shape::Every | Shape::Open(_) => {}
            }
        }
    }
}
