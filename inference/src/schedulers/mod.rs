//! Schedules of denoising.

pub mod discrete;
pub mod euler_ancestral;
pub mod euler_discrete;
pub mod flow_match_euler;
