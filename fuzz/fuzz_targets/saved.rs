//! A saved VM's file.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| seawall_host_runner::fuzzing::saved(data));
