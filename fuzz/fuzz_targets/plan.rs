//! A plan's bytes, a transcript's, and the interpreter between them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| seawall_host_runner::fuzzing::plan(data));
