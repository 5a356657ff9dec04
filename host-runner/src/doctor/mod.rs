//! `seawall doctor`: what this host can do, and which injection routes that gives.
//!
//! Apart from each other: [`gather`] looks and judges nothing, [`judge`] is a function from what was found to rows, and
//! [`text`] draws them. [`inside`] has the command look from inside the lab.
//!
//! `--format ndjson` prints the rows, one JSON object a line. The shape is stable: fields are added, never changed or
//! taken away, ids are never given another meaning, and a reader ignores what it does not know. What is not known is
//! `null`.
//!
//! | event | fields |
//! | --- | --- |
//! | `doctor-started` | once, first: `schema`, `version`, `on` (`host` or `lab`) |
//! | `fact` | `id`, `name`, `value`, `ok`, `costs`, `fix` |
//! | `backend` | the same; `ok`: whether it can run scenarios |
//! | `route` | the same and `routes`, `planned`, `on`, `not` |
//!
//! `ok` is `true`, `false`, or `null` where the row is a plain statement or could not be found out. Where it is `false`,
//! `costs` says what cannot be done and `fix`, in one line, how to get it. Of a route, `routes` lists
//! the words by which scenarios ask for it, `on` lists the backends that have
//! it and `not` those that could run scenarios but lack it, each with `backend`, `reason` and `fix`. A `planned` route is
//! one that the host could do and this command does not offer.

#[cfg(all(target_arch = "aarch64", target_os = "linux"))]
mod ask;
mod gather;
pub mod host;
pub mod inside;
mod judge;
mod routes;
mod rows;
pub mod text;

pub use gather::gather;
pub use judge::{Scope, judge};
pub use rows::{Route, Row, Rows, Started, can_run};

#[cfg(test)]
mod tests;
