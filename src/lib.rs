//! `probe` derives the status of a checklist from what it observes on real endpoints.

pub mod evidence;
pub mod judge;
pub mod limits;
pub mod net;
pub mod params;
pub mod probes;
