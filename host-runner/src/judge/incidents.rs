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
    /// The page is kept out of stage 2 since.
    pub kept_out: Option<Event>,
    /// The record, and its place among the aborts, counted from zero.
    pub abort: Option<(usize, Recorded)>,
}

/// Pairs each abort with an injection of its kind that is not yet answered: the first one that the charged task
/// announced, else the first of all. Injections without an abort follow at the end.
///
/// Of two SErrors the one whose syndrome arrived comes first: the second may have taken the first one's place.
///
/// Two tasks can have announced before the first of them touches its page, so order alone does not tell; and a record
/// that charges the wrong task still has an injection, which shows whom it should have charged.
#[must_use]
pub fn pair(evidence: &Evidence) -> Vec<Incident> {
    let mut open = Open::new(&evidence.injections);
    let mut delivered = Open::new(&evidence.delivered);
    let mut kept_out = Open::new(&evidence.kept_out);
    let mut incidents = Vec::new();
    // First every abort that has an injection by the very task it charges; what is left over goes by order.
    let mut answers: Vec<Option<Event>> = Vec::with_capacity(evidence.aborts.len());
    for abort in &evidence.aborts {
        let slot = abort.record.charged().map(|TaskId(slot)| slot);
        let is_its_own = |event: &Event| can_answer(abort, event) && Some(event.task) == slot;
        let same = open.take(|event| is_its_own(event) && has_syndrome(abort, event));
        answers.push(same.or_else(|| open.take(is_its_own)));
    }
    for (index, (abort, answer)) in evidence.aborts.iter().zip(answers).enumerate() {
        let injection = answer
            .or_else(|| open.take(|event| can_answer(abort, event) && has_syndrome(abort, event)))
            .or_else(|| open.take(|event| can_answer(abort, event)));
        let given = injection.and_then(|injection| delivery(&mut delivered, &injection));
        let out = injection.and_then(|injection| kept_out.take(|event| is_of(event, &injection)));
        incidents.push(Incident {
            injection,
            delivered: given,
            kept_out: out,
            abort: Some((index, *abort)),
        });
    }
    for injection in open.events.into_iter().flatten() {
        let given = delivery(&mut delivered, &injection);
        let out = kept_out.take(|event| is_of(event, &injection));
        incidents.push(Incident {
            injection: Some(injection),
            delivered: given,
            kept_out: out,
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
            What::Opened | What::Poisoned | What::Protected | What::Entered | What::Left | What::HostAbort
        ),
        Cause::SError | Cause::Deferred => matches!(injection.what, What::Pended),
        // The one that names the page, for reports have no task.
        Cause::Patrol => {
            matches!(injection.what, What::Reported)
                && match abort.record.frame {
                    Some(frame) => frame.0 == injection.ipa >> 12,
                    None => true,
                }
        }
    }
}

/// Whether the syndrome that arrived is the injection's, as far as the replayer chose it.
const fn has_syndrome(abort: &Recorded, injection: &Event) -> bool {
    // ISS, but for bit 24 of DISR_EL1, which is IDS as it is there.
    const ISS: u64 = 0x01ff_ffff;
    let arrived = match abort.record.cause {
        Cause::Deferred => abort.record.disr,
        Cause::Synchronous | Cause::SError | Cause::Patrol => abort.record.esr,
    };
    !matches!(injection.what, What::Pended) || arrived & ISS == injection.syndrome & ISS
}

/// The abort that the replayer gave for this injection: one that is entered is its own delivery, if it is an external
/// abort at all; an SError has none.
fn delivery(delivered: &mut Open, injection: &Event) -> Option<Event> {
    match injection.what {
        What::Entered => Esr(injection.syndrome)
            .abort()
            .is_some_and(seawall_agent::syndrome::Abort::is_external)
            .then_some(*injection),
        What::Opened | What::Poisoned | What::Protected | What::HostAbort => {
            delivered.take(|event| event.ipa >> 12 == injection.ipa >> 12)
        }
        _ => None,
    }
}

/// Whether a page is kept out for what this injection did to it.
fn is_of(kept_out: &Event, injection: &Event) -> bool {
    injection.what == What::Poisoned && kept_out.ipa >> 12 == injection.ipa >> 12
}

/// Events that nothing was found to belong to yet, in order.
struct Open {
    events: Vec<Option<Event>>,
    // What is before is taken.
    first: usize,
}

impl Open {
    fn new(events: &[Event]) -> Self {
        Self {
            events: events.iter().copied().map(Some).collect(),
            first: 0,
        }
    }

    /// Takes the first that is wanted. Most are taken in order, and ten thousand must not cost their square.
    fn take(&mut self, wanted: impl Fn(&Event) -> bool) -> Option<Event> {
        while self.events.get(self.first).is_some_and(Option::is_none) {
            self.first += 1;
        }
        self.events
            .iter_mut()
            .skip(self.first)
            .find(|event| event.as_ref().is_some_and(&wanted))?
            .take()
    }
}
