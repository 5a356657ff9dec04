//! A guest's accesses to its devices, in any order, of any width, at any address.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| seawall_host_runner::fuzzing::port(data));
