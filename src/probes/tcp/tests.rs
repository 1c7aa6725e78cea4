use super::*;
use crate::evidence::FactSchema;

fn build(toml: &str) -> Result<Tcp, Vec<ParamError>> {
    Tcp::new(toml::from_str(toml).expect("the shape of the parameters"))
}

fn problems(toml: &str) -> Vec<String> {
    match build(toml) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.into_iter().map(|problem| problem.param).collect(),
    }
}

#[test]
fn every_fact_has_a_type_that_rules_know() {
    let schema = FactSchema::of::<Facts>().unwrap();
    assert!(schema.facts.values().all(|fact| !fact.doc.is_empty()));
}

#[test]
fn parameters_that_make_no_sense_are_named() {
    assert_eq!(problems("host = 'a'\nport = 1"), [""; 0]);
    assert_eq!(problems("host = '[::1]'\nport = 1"), [""; 0]);
    assert_eq!(problems("host = '::1'\nport = 1"), [""; 0]);
    assert_eq!(problems("host = 'a'\nport = 0"), ["port"]);
    assert_eq!(problems(""), ["host", "port"]);
    assert_eq!(problems("host = 'http://a'\nport = 0"), ["host", "port"]);
    assert_eq!(problems("host = 'a:1'\nport = 1"), ["host"]);
    assert_eq!(problems("path = '/run/x'\nhost = 'a'"), ["path"]);
    assert_eq!(problems("path = '/run/x'\nexpect = 'closed'"), ["expect"]);
    assert_eq!(
        problems(&format!("path = '/{}'", "x".repeat(200))),
        ["path"]
    );
    let closed = |control: &str| {
        problems(&format!(
            "host = 'a'\nport = 1\nexpect = 'closed'\n{control}"
        ))
    };
    assert_eq!(closed(""), ["control"]);
    assert_eq!(closed("control = 'b:2'"), [""; 0]);
    assert_eq!(closed("control = '[::1]:2'"), [""; 0]);
    for bad in [
        "b",
        "b:",
        "b:0",
        "b:99999",
        ":2",
        "::1:2",
        "a:1",
        "http://b:2",
    ] {
        assert_eq!(closed(&format!("control = '{bad}'")), ["control"], "{bad}");
    }
    assert_eq!(closed("control = 'b:2'\nbanner = true"), ["banner"]);
    assert_eq!(
        problems("host = 'a'\nport = 1\ncontrol = 'b:2'"),
        ["control"]
    );
}

#[test]
fn the_missing_control_is_explained() {
    let errors = build("host = 'a'\nport = 1\nexpect = 'closed'")
        .err()
        .unwrap();
    assert!(
        errors[0].message.contains("positive control"),
        "{}",
        errors[0].message
    );
}

#[test]
fn a_target_is_printed_as_it_is_dialled() {
    assert_eq!(
        build("host = '[::1]'\nport = 5").ok().unwrap().target(),
        "[::1]:5"
    );
    assert_eq!(build("host = 'a'\nport = 5").ok().unwrap().target(), "a:5");
    assert_eq!(
        build("path = '/run/x'").ok().unwrap().target(),
        "unix:/run/x"
    );
}

#[test]
fn localhost_need_not_listen_on_both_of_its_addresses() {
    let rule = &Tcp::RULES[1];
    let enabled = |toml: &str| {
        let tcp = build(toml).ok().unwrap();
        (rule.when.as_ref().unwrap().holds)(tcp.config())
    };
    assert!(enabled("host = 'db.example'\nport = 5"));
    assert!(!enabled("host = 'Localhost'\nport = 5"));
    assert!(!enabled("path = '/run/x'"));
    assert!(!enabled(
        "host = 'db.example'\nport = 5\nexpect = 'closed'\ncontrol = 'db.example:6'"
    ));
}

fn reached(unreachable: Option<&str>) -> Reached {
    Reached {
        state: State::Refused,
        addresses: Vec::new(),
        stream: None,
        unreachable: unreachable.map(str::to_owned),
    }
}

#[test]
fn a_closed_port_is_proof_only_beside_an_open_control() {
    let open = Observed::Value(State::Open);
    assert_eq!(controlled(&open, &reached(None)), Observed::Value(true));
    assert!(
        controlled(&open, &reached(Some("no route")))
            .value()
            .is_none()
    );
    for state in [State::Refused, State::Filtered] {
        let Observed::Unknown(unknown) = controlled(&Observed::Value(state), &reached(None)) else {
            panic!("{state:?} is no proof");
        };
        assert!(unknown.detail.contains(state.as_str()), "{unknown}");
    }
    let unresolved = Control::Failed(Failure::probe("resolve b: no such name")).state();
    assert!(controlled(&unresolved, &reached(None)).value().is_none());
}

proptest::proptest! {
    #[test]
    fn any_first_line_is_text_or_unknown(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..200)) {
        let line = as_line(&bytes);
        if let Some(text) = line.value() {
            proptest::prop_assert!(!text.contains('\n'));
        }
    }
}

fn as_line(bytes: &[u8]) -> Observed<String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        let (ours, theirs) = tokio::io::duplex(4096);
        let mut theirs = theirs;
        tokio::io::AsyncWriteExt::write_all(&mut theirs, bytes)
            .await
            .unwrap();
        drop(theirs);
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(5);
        dial::banner(Box::new(ours), b"", deadline).await
    })
}
