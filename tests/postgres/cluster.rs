//! A primary and its standbys.

use super::{assert_results, probe};
use crate::lab::postgres::{Postgres, Setup};

#[test]
fn a_healthy_cluster_passes() {
    let primary = Postgres::start(&Setup::default());
    let standby = primary.standby("standby1", "");
    let params = format!(
        "standbys = [{:?}]\nexpect_standbys = [\"standby1\"]",
        standby.dsn("probe")
    );
    let verdict = probe(&primary, &params);
    assert_results(&verdict, &[]);
    let servers = verdict.facts("db")["servers"].as_array().expect("servers");
    assert_eq!(servers[0]["role"], "primary");
    assert_eq!(servers[1]["role"], "standby");
    assert_eq!(servers[1]["encrypted"], true);
}
