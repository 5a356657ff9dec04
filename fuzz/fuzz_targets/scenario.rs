//! A scenario's text.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| seawall_host_runner::fuzzing::scenario(data));
