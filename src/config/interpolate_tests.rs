use super::*;

fn variables(pairs: &[(&str, &str)]) -> Variables {
    let vars = pairs
        .iter()
        .map(|(name, text)| {
            let var = Var {
                text: (*text).to_owned(),
                dir: PathBuf::from("/conf"),
            };
            ((*name).to_owned(), var)
        })
        .collect();
    Variables {
        vars,
        secrets: RedactorBuilder::default(),
        lookups: 0,
    }
}

fn render(pairs: &[(&str, &str)], text: &str, quote: Quote) -> Result<String, Vec<Problem>> {
    variables(pairs).render(text, quote, Path::new("/conf"))
}

#[test]
fn a_value_is_quoted_for_its_part_of_a_url() {
    let pairs = [
        ("p", "a/b@c:d?e#f%20 ü"),
        ("api", "http://h:1"),
        ("h", "example.org"),
    ];
    let encoded = "a%2Fb%40c%3Ad%3Fe%23f%2520%20%C3%BC";
    let ok = |text| render(&pairs, text, Quote::Url).expect(text);
    assert_eq!(ok("${var:api}/health"), "http://h:1/health");
    assert_eq!(
        ok("http://u:${var:p}@${var:h}/x"),
        format!("http://u:{encoded}@example.org/x")
    );
    assert_eq!(
        ok("http://${var:h}:80/${var:p}/y"),
        format!("http://example.org:80/{encoded}/y")
    );
    assert_eq!(
        ok("http://h/?q=${var:p}&r=1"),
        format!("http://h/?q={encoded}&r=1")
    );
    assert!(render(&pairs, "http://${var:p}/", Quote::Url).is_err());
}

#[test]
fn what_is_missing_is_an_error_with_its_place() {
    let missing =
        render(&[], "x ${env:PROBE_TEST_SURELY_UNSET} y", Quote::Plain).expect_err("unset");
    assert_eq!(missing[0].span, 2..32);
    assert!(missing[0].message.contains("PROBE_TEST_SURELY_UNSET"));
    for bad in [
        "${",
        "${env:}",
        "${nope:x}",
        "${x}",
        "${var:none}",
        "${file:/none/at/all}",
    ] {
        assert!(render(&[], bad, Quote::Plain).is_err(), "{bad}");
    }
}

#[test]
fn defaults_escapes_and_dollars() {
    let ok = |text| render(&[], text, Quote::Plain).expect(text);
    assert_eq!(ok("${env:PROBE_TEST_SURELY_UNSET:-a:-b}"), "a:-b");
    assert_eq!(ok("${file:/none/at/all:-x}"), "x");
    assert_eq!(ok("$${env:X} costs $5 $"), "${env:X} costs $5 $");
}

#[test]
fn a_url_in_vars_is_quoted_where_it_is_put_together() {
    let pairs = [("u", "http://user:${var:p}@h:1"), ("p", "a@b:2/c")];
    assert_eq!(
        render(&pairs, "${var:u}/ok", Quote::Url).expect("renders"),
        "http://user:a%40b%3A2%2Fc@h:1/ok"
    );
}

#[test]
fn variables_that_name_each_other_end() {
    let pairs = [("a", "${var:b}"), ("b", "${var:a}")];
    assert!(render(&pairs, "${var:a}", Quote::Plain).is_err());
}

#[test]
fn an_expression_gets_a_quoted_string() {
    let pairs = [("v", "it's \"x\"\\")];
    assert_eq!(
        render(&pairs, "body == '${var:v}'", Quote::Expr).expect("renders"),
        "body == 'it\\'s \\\"x\\\"\\\\'"
    );
}

#[test]
fn a_value_is_quoted_for_a_connection_string() {
    let pairs = [
        ("p", r"a b'c\d=e"),
        ("dsn", "host=h password=hunter2"),
        ("none", ""),
        ("url", "a://b c"),
        ("whole", "user=u password=${var:p}"),
    ];
    let mut variables = variables(&pairs);
    let mut ok = |text| {
        variables
            .render(text, Quote::Dsn, Path::new("/conf"))
            .expect(text)
    };
    assert_eq!(
        ok("host=h password=${var:p}"),
        r"host=h password=a\ b\'c\\d=e"
    );
    assert_eq!(
        ok("${var:whole} host=h"),
        r"user=u password=a\ b\'c\\d=e host=h"
    );
    assert_eq!(
        ok("password=${var:url} sslpassword=${var:p}"),
        r"password=a://b\ c sslpassword=a\ b\'c\\d=e"
    );
    assert_eq!(ok("password=${var:none} host=h"), "password='' host=h");
    assert_eq!(
        ok("postgres://u:${var:p}@h/d"),
        "postgres://u:a%20b%27c%5Cd%3De@h/d"
    );
    assert_eq!(ok("${var:dsn} user=u"), "host=h password=hunter2 user=u");
    let redactor = variables.secrets.build();
    assert!(!redactor.string("hunter2".to_owned()).contains("hunter2"));
    assert_eq!(redactor.string(r"a b'c\d=e".to_owned()), "[redacted]");
}
