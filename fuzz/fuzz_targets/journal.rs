//! A guest's journal and a replayer's transcript, through judge and reports.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| seawall_host_runner::fuzzing::journal(data));
