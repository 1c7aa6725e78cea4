use super::Facts;
use super::check::features;
use super::security::{Mechanism, Protocol, Security};
use crate::evidence::FactSchema;

#[test]
fn every_fact_has_a_type() {
    FactSchema::of::<Facts>().expect("a schema");
}

fn login(features: &str) -> Vec<String> {
    let security = Security {
        protocol: Protocol::SaslSsl,
        mechanism: Some(Mechanism::Scram512),
        username: Some("probe".to_owned()),
        password: Some("secret".to_owned().into()),
        token: None,
        ca_file: None,
        client_cert_file: None,
        client_key_file: None,
    };
    let mut errors = Vec::new();
    security.settings(features, &mut errors);
    errors.into_iter().map(|error| error.to_string()).collect()
}

#[test]
fn this_build_has_tls_and_every_mechanism() {
    assert_eq!(login(&features()), [""; 0]);
    for feature in ["ssl", "sasl_plain", "sasl_scram", "sasl_oauthbearer"] {
        assert!(features().contains(feature), "{feature}: {}", features());
    }
}

#[test]
fn a_build_without_tls_refuses_it_with_a_hint() {
    let errors = login("gzip,snappy,sasl,sasl_plain,lz4");
    assert_eq!(errors.len(), 2, "{errors:?}");
    for error in errors {
        assert!(error.contains("build with the `ssl` feature"), "{error}");
    }
}
