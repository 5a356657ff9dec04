//! The device tree that the runner writes for its guests.
