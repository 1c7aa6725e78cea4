//! Columns that are said to be encrypted.

use serde_json::Value;

use super::database::Database;
use super::{assert_results, reason};

fn declared(columns: &[&str]) -> String {
    format!("encrypted_columns = {columns:?}")
}

fn with_secrets() -> Database {
    Database::with(&[
        "create extension pgcrypto",
        "create table secret (id int, pgp bytea, armored text, aes bytea, base64 text, hexed text, \
         fernet text, as_json jsonb, readable text, readable_bytes bytea, uuid_text text, number int, \
         chinese bytea, zipped bytea, words text, mixed text, nothing text)",
        "insert into secret select g, pgp_sym_encrypt('user' || g, 'k'), \
         armor(pgp_sym_encrypt('user' || g, 'k')), gen_random_bytes(16) || encrypt(('user' || g)::bytea, 'key', 'aes'), \
         encode(gen_random_bytes(48), 'base64'), encode(gen_random_bytes(28), 'hex'), \
         'gAAAAA' || translate(encode(gen_random_bytes(72), 'base64'), E'+/\\n', '-_'), \
         to_jsonb(encode(gen_random_bytes(40), 'base64')), \
         'user' || g || '@example.com', ('user' || g || '@example.com')::bytea, gen_random_uuid()::text, g, \
         convert_to('张伟先生住在北京市朝阳区某某街道' || g, 'UTF8'), \
         '\\x1f8b0800'::bytea || gen_random_bytes(60), \
         'InternationalCustomerIdentification' || g, \
         case when g = 7 then 'plain text' else encode(gen_random_bytes(32), 'base64') end, null \
         from generate_series(1, 150) g",
        "grant select on secret to probe",
    ])
}

#[test]
fn ciphertext_passes_and_anything_else_fails() {
    let database = with_secrets();
    let good = [
        "pgp", "armored", "aes", "base64", "hexed", "fernet", "as_json",
    ];
    let names: Vec<String> = good
        .iter()
        .map(|name| format!("public.secret.{name}"))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let verdict = database.probe(&declared(&names));
    assert_results(&verdict, &[]);
    let columns = &verdict.facts("db")["encrypted_columns"];
    assert_eq!(columns[0]["enveloped"], 150, "{columns:#}");
    assert_eq!(columns[2]["random"], 150, "{columns:#}");

    for (bad, plaintext) in [
        ("readable", 150),
        ("readable_bytes", 150),
        ("uuid_text", 150),
        ("number", 150),
        ("chinese", 150),
        ("zipped", 150),
        ("words", 150),
        ("mixed", 1),
    ] {
        let verdict = database.probe(&declared(&[&format!("secret.{bad}")]));
        assert_results(&verdict, &[("columns-encrypted", "fail")]);
        let column = &verdict.facts("db")["encrypted_columns"][0];
        assert_eq!(column["plaintext"], plaintext, "{column:#}");
        assert!(reason(&verdict, "columns-encrypted").contains(bad));
    }
}

#[test]
fn values_stay_on_the_server() {
    let database = with_secrets();
    let verdict = database.probe(&declared(&["secret.readable", "secret.mixed"]));
    let all = verdict.json.to_string() + &verdict.stderr;
    assert!(!all.contains("@example.com") && !all.contains("plain text"));
}

#[test]
fn what_was_not_seen_is_no_pass() {
    let database = with_secrets();
    let result = |column: &str| {
        let verdict = database.probe(&declared(&[column]));
        let rule = verdict.rule("db/columns-encrypted").clone();
        let text = |key: &str| rule[key].as_str().unwrap_or_default().to_owned();
        (text("result"), text("reason"))
    };
    assert_eq!(result("secret.nothing").0, "unknown");
    let (gone, said) = result("secret.nowhere");
    assert_eq!(gone, "fail");
    assert!(said.contains("secret.nowhere"), "{said}");
    database.sql("revoke select on secret from probe; grant select (id) on secret to probe");
    let (denied, said) = result("secret.pgp");
    assert_eq!(denied, "unknown");
    assert!(
        said.contains("GRANT SELECT (pgp) ON public.secret"),
        "{said}"
    );
    database.sql("grant select (pgp) on secret to probe");
    assert_eq!(result("secret.pgp").0, "pass");
}

#[test]
fn a_large_table_is_sampled_all_over() {
    let database = Database::with(&[
        "create extension pgcrypto",
        "create table secret as select encode(gen_random_bytes(32), 'hex') as v from generate_series(1, 100)",
        "insert into secret select 'user' || g || '@example.com' from generate_series(1, 60000) g",
        "analyze secret",
        "grant select on secret to probe",
    ]);
    let verdict = database.probe(&declared(&["secret.v"]));
    assert_results(&verdict, &[("columns-encrypted", "fail")]);
    let sampled = verdict.facts("db")["encrypted_columns"][0]["sampled"].clone();
    assert!(
        matches!(&sampled, Value::Number(n) if n.as_i64() > Some(150)),
        "{sampled}"
    );
}
