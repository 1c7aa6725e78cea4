//! Patroni's REST API.

use super::{assert_results, probe, reason};
use crate::lab::patroni::Patroni;
use crate::lab::postgres::{Postgres, Setup};

#[test]
fn a_managed_cluster_has_a_leader_is_not_paused_and_answers() {
    let primary = Postgres::start(&Setup::default());
    let mut patroni = Patroni::start();
    let declared = format!("patroni = [\"http://127.0.0.1:{}\"]", patroni.port);
    let verdict = probe(&primary, &declared);
    assert_results(
        &verdict,
        &[("patroni-cluster", "pass"), ("patroni-not-paused", "pass")],
    );
    let seen = &verdict.facts("db")["patroni"][0];
    assert_eq!(seen["leader"], "member1");
    assert_eq!(seen["members"][0]["timeline"], 1);

    patroni.request("PATCH /config", "{\"pause\": true}");
    patroni.wait_for("\"pause\": true");
    assert_results(
        &probe(&primary, &declared),
        &[("patroni-not-paused", "warn")],
    );

    patroni.stop();
    let verdict = probe(&primary, &declared);
    assert_eq!(verdict.result("db/patroni-cluster"), "fail");
    assert!(
        reason(&verdict, "patroni-cluster").contains("refused"),
        "{}",
        reason(&verdict, "patroni-cluster")
    );
}
