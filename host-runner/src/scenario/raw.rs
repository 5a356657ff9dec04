//! The file as serde reads it: shapes and types, every value that is checked later with its place.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

pub(super) type Text = Spanned<String>;
pub(super) type Number = Spanned<Whole>;

/// A whole number as it is written, also one that is too large for whatever it is for: the check of its key says how
/// large it may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Whole(pub(super) i128);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WholeVisitor;
        impl Visitor<'_> for WholeVisitor {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Whole, E> {
                Ok(Whole(value.into()))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Whole, E> {
                Ok(Whole(value.into()))
            }

            fn visit_i128<E: Error>(self, value: i128) -> Result<Whole, E> {
                Ok(Whole(value))
            }

            fn visit_u128<E: Error>(self, value: u128) -> Result<Whole, E> {
                Ok(Whole(i128::try_from(value).unwrap_or(i128::MAX)))
            }
        }
        deserializer.deserialize_any(WholeVisitor)
    }
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct RawScenario {
    pub(super) title: Text,
    pub(super) teaches: Text,
    pub(super) cites: Vec<Text>,
    pub(super) linux: Option<String>,
    #[serde(default)]
    pub(super) tags: Vec<Text>,
    pub(super) backends: Option<Spanned<Vec<Text>>>,
    pub(super) timeout_s: Option<Number>,
    pub(super) guest: RawGuest,
    pub(super) budget: Option<Spanned<RawBudget>>,
    pub(super) random: Option<Spanned<RawRandom>>,
    #[serde(default)]
    pub(super) inject: Vec<Spanned<RawInject>>,
    pub(super) expect: RawExpect,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGuest {
    pub(super) memory: Option<Text>,
    pub(super) tasks: Spanned<Vec<Text>>,
    #[serde(default)]
    pub(super) policy: BTreeMap<Text, Text>,
    pub(super) ease: Option<bool>,
    pub(super) el2: Option<bool>,
    pub(super) cpu: Option<Text>,
    pub(super) nisv_exits: Option<bool>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBudget {
    pub(super) pages: Option<Number>,
    pub(super) aborts: Option<Text>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct RawRandom {
    pub(super) seed: Number,
    pub(super) aborts: Number,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct RawInject {
    pub(super) name: Option<Text>,
    pub(super) weight: Option<Number>,
    pub(super) task: Option<Text>,
    #[serde(default)]
    pub(super) any: bool,
    pub(super) checkpoint: Option<Number>,
    pub(super) at: Option<Text>,
    pub(super) route: Text,
    pub(super) syndrome: Option<Number>,
    pub(super) far: Option<Spanned<RawFar>>,
    pub(super) vector: Option<Text>,
    pub(super) with_serror: Option<Number>,
    pub(super) after_ms: Option<Number>,
    pub(super) what: Option<Text>,
    pub(super) skip: Option<Number>,
    pub(super) times: Option<Number>,
    pub(super) after: Option<Text>,
    pub(super) failing: Option<bool>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct RawExpect {
    pub(super) end: Text,
    #[serde(default)]
    pub(super) console: Vec<String>,
    pub(super) retired: Option<Number>,
    pub(super) advised: Option<Number>,
    pub(super) evacuations: Option<Number>,
    pub(super) reboots: Option<Number>,
    #[serde(default)]
    pub(super) abort: Vec<Spanned<RawAbort>>,
    #[serde(default)]
    pub(super) pending: Vec<RawPending>,
    #[serde(default)]
    pub(super) mapping: Vec<RawMapping>,
    #[serde(default)]
    pub(super) told: Vec<RawTold>,
    #[serde(default)]
    pub(super) tasks: BTreeMap<Text, Text>,
    #[serde(default)]
    pub(super) restarts: BTreeMap<Text, Number>,
    pub(super) linux: Option<Spanned<RawLinux>>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLinux {
    pub(super) does: Text,
    pub(super) outcome: Text,
    pub(super) panic_on_oops: Option<bool>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPending {
    pub(super) serror: bool,
    pub(super) handled: Number,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMapping {
    pub(super) esr: Number,
    pub(super) sound: Number,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTold {
    pub(super) task: Text,
    pub(super) address: Number,
    pub(super) touch: Option<Text>,
    pub(super) times: Option<Number>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAbort {
    pub(super) of: Option<Text>,
    pub(super) task: Option<Text>,
    pub(super) cause: Text,
    pub(super) from: Text,
    pub(super) esr: Option<Number>,
    pub(super) disr: Option<Number>,
    pub(super) or_disr: Option<Number>,
    #[serde(default)]
    pub(super) esr_before: Vec<RawBefore>,
    pub(super) far: Option<Spanned<RawFar>>,
    pub(super) severity: Text,
    pub(super) decision: Text,
    pub(super) frame: Option<Text>,
    pub(super) times: Option<Number>,
}

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBefore {
    pub(super) linux: Text,
    pub(super) esr: Number,
    pub(super) frame: Option<Text>,
    pub(super) because: String,
}

/// A number, or the word `any`. TOML's integers have 63 bits, and an address in the upper half has more: it is written
/// as a string.
#[derive(Debug)]
pub(super) enum RawFar {
    Number(Whole),
    Text(String),
}

impl<'de> Deserialize<'de> for RawFar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FarVisitor;
        impl Visitor<'_> for FarVisitor {
            type Value = RawFar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an address, or \"any\"")
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<RawFar, E> {
                Ok(RawFar::Number(Whole(value.into())))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<RawFar, E> {
                Ok(RawFar::Number(Whole(value.into())))
            }

            fn visit_i128<E: Error>(self, value: i128) -> Result<RawFar, E> {
                Ok(RawFar::Number(Whole(value)))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<RawFar, E> {
                Ok(RawFar::Text(value.to_owned()))
            }
        }
        deserializer.deserialize_any(FarVisitor)
    }
}
