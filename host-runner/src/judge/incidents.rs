//! Brings injections and aborts together: which record answers which injection.

use seawall_agent::syndrome::Esr;
use seawall_agent::{Cause, TaskId};
use seawall_replay::transcript::{Event, What};

use super::evidence::{Evidence, Recorded};

/// One error's way: what the replayer did, and what the guest's journal says of it. One half can be missing: an
/// injection that never arrived, an abort that nobody injected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Incident {
    /// The injection.
    pub injection: Option<Event>,
    /// The abort as the replayer gave it; hardware and KVM give some by themselves.
    pub delivered: Option<Event>,
    /// The record, and its place among the aborts, counted from zero.
    pub abort: Option<(usize, Recorded)>,
}

/// Pairs each abort with an injection of its kind that is not yet answered: the first one that the charged task
/// announced, else the first of all. Injections without an abort follow at the end.
///
/// Two tasks can have announced before the first of them touches its page, so order alone does not tell; and a record
/// that charges the wrong task still has an injection, which shows whom it should have charged.
#[must_use]
pub fn pair(evidence: &Evidence) -> Vec<Incident> {
    let mut open: Vec<Option<Event>> = evidence.injections.iter().copied().map(Some).collect();
    let mut delivered: Vec<Option<Event>> = evidence.delivered.iter().copied().map(Some).collect();
    let mut incidents = Vec::new();
    // First every abort that has an injection by the very task it charges; what is left over goes by order.
    let mut answers: Vec<Option<Event>> = Vec::with_capacity(evidence.aborts.len());
    for abort in &evidence.aborts {
        let slot = abort.record.charged().map(|TaskId(slot)| slot);
        answers.push(take(&mut open, |event| {
            can_answer(abort, event) && Some(event.task) == slot
        }));
    }
    for (index, (abort, answer)) in evidence.aborts.iter().zip(answers).enumerate() {
        let injection = answer.or_else(|| take(&mut open, |event| can_answer(abort, event)));
        let given = injection.and_then(|injection| delivery(&mut delivered, &injection));
        incidents.push(Incident {
            injection,
            delivered: given,
            abort: Some((index, *abort)),
        });
    }
    for injection in open.into_iter().flatten() {
        let given = delivery(&mut delivered, &injection);
        incidents.push(Incident {
            injection: Some(injection),
            delivered: given,
            abort: None,
        });
    }
    incidents
}

/// Whether this abort can have come of that injection.
const fn can_answer(abort: &Recorded, injection: &Event) -> bool {
    match abort.record.cause {
        Cause::Synchronous => matches!(
            injection.what,
            What::Opened | What::Poisoned | What::Protected | What::Entered | What::Left
        ),
        Cause::SError | Cause::Deferred => matches!(injection.what, What::Pended),
    }
}

/// The abort that the replayer gave for this injection: one that is entered is its own delivery, if it is an external
/// abort at all; an SError has none.
fn delivery(delivered: &mut [Option<Event>], injection: &Event) -> Option<Event> {
    match injection.what {
        What::Entered => Esr(injection.syndrome)
            .abort()
            .is_some_and(seawall_agent::syndrome::Abort::is_external)
            .then_some(*injection),
        What::Opened | What::Poisoned | What::Protected | What::Left => {
            take(delivered, |event| event.ipa >> 12 == injection.ipa >> 12)
        }
        _ => None,
    }
}

fn take(events: &mut [Option<Event>], wanted: impl Fn(&Event) -> bool) -> Option<Event> {
    events
        .iter_mut()
        .find(|event| event.as_ref().is_some_and(&wanted))?
        .take()
}
