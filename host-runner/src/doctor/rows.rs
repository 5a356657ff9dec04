//! The rows of a report.

use serde::{Deserialize, Serialize};

use crate::events::Unavailable;

/// The version of the shapes here.
pub(super) const SCHEMA: u32 = 1;

/// A report, a row each.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Rows {
    /// It begins.
    DoctorStarted(Started),
    /// Something that was found.
    Fact(Row),
    /// Whether a backend can run scenarios.
    Backend(Row),
    /// Whether there is a way of injection.
    Route(Route),
}

/// A report begins.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Started {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The command's version.
    pub version: String,
    /// Where it looked: `host` or `lab`.
    pub on: String,
}

/// A fact or a backend.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Stable, for machines.
    pub id: String,
    /// For people.
    pub name: String,
    /// What was found.
    pub value: String,
    /// Whether that is as it should be; `None`: a plain statement, or not known.
    pub ok: Option<bool>,
    /// What cannot be done without it.
    pub costs: Option<String>,
    /// How to get it.
    pub fix: Option<String>,
}

/// A way of injection.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Route {
    /// What it shares with the other rows.
    #[serde(flatten)]
    pub row: Row,
    /// The words of the scenario language that inject so; none where it is the guest that is unusual.
    #[serde(default)]
    pub routes: Vec<String>,
    /// The host could do it; this command does not offer it.
    pub planned: bool,
    /// The backends that have it.
    pub on: Vec<String>,
    /// The backends that could run scenarios and lack it.
    pub not: Vec<Unavailable>,
}

impl Row {
    /// A plain statement.
    pub(super) fn new(id: &str, name: &str, value: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            value: value.into(),
            ok: None,
            costs: None,
            fix: None,
        }
    }

    /// As it should be.
    pub(super) fn good(self) -> Self {
        Self {
            ok: Some(true),
            ..self
        }
    }

    /// Missing.
    pub(super) fn bad(self, costs: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            ok: Some(false),
            costs: Some(costs.into()),
            fix: Some(fix.into()),
            ..self
        }
    }

    /// As it should be, or missing.
    pub(super) fn good_if(self, good: bool, costs: &str, fix: &str) -> Self {
        if good { self.good() } else { self.bad(costs, fix) }
    }
}

/// Whether any backend in a report can run scenarios.
#[must_use]
pub fn can_run(rows: &[Rows]) -> bool {
    rows.iter()
        .any(|row| matches!(row, Rows::Backend(Row { ok: Some(true), .. })))
}
