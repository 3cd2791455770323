//! Schedules of denoising.

pub mod flow_match_euler;
