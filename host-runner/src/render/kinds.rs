//! A timeline by kinds: of a scenario that meets many different errors, each kind in a line.

use std::io::{self, Write};

use super::sentences::{count, injection_text, row};
use crate::events::{Abort, Event, Injected};

/// Up to so many aborts are told one by one; equal ones in a row are one.
const MOST_SINGLE: usize = 8;

/// Whether there are more aborts than anyone would read one by one.
pub(super) fn are_many(events: &[Event]) -> bool {
    let aborts = events.iter().filter(|event| matches!(event, Event::Abort(_)));
    aborts.count() > MOST_SINGLE
}

/// Whether [`draw`] tells of this event.
pub(super) const fn is_counted(event: &Event) -> bool {
    matches!(
        event,
        Event::Trigger(_) | Event::Injection(_) | Event::Delivery(_) | Event::KeptOut(_) | Event::Abort(_)
    )
}

/// Each kind of injection in a line, and each kind of abort with what was decided; gives the highest cost.
pub(super) fn draw(events: &[Event], out: &mut dyn Write) -> io::Result<Option<u64>> {
    let (mut injections, mut aborts) = (Vec::<Injected>::new(), Vec::<Abort>::new());
    for event in events {
        match event {
            Event::Injection(injection) => {
                let like = |known: &&mut Injected| {
                    (&known.route, &known.syndrome) == (&injection.route, &injection.syndrome)
                };
                match injections.iter_mut().find(like) {
                    Some(known) => known.times = known.times.saturating_add(injection.times),
                    None => injections.push(injection.clone()),
                }
            }
            Event::Abort(abort) => match aborts.iter_mut().find(|known| is_like(known, abort)) {
                Some(known) => {
                    known.times = known.times.saturating_add(abort.times);
                    known.cost = known.cost.max(abort.cost);
                }
                None => aborts.push((**abort).clone()),
            },
            _ => {}
        }
    }
    injections.sort_by_key(|injection| std::cmp::Reverse(injection.times));
    aborts.sort_by_key(|abort| std::cmp::Reverse(abort.times));
    let mut label = "injection";
    for injection in &injections {
        row(out, std::mem::take(&mut label), &injection_text(injection))?;
    }
    let mut label = "aborts";
    for abort in &aborts {
        row(out, std::mem::take(&mut label), &abort_text(abort))?;
    }
    if let Some(first) = aborts.first() {
        row(out, "decode", &format!("{} says what one means", command(first)))?;
    }
    Ok(aborts.iter().filter_map(|abort| abort.cost).max())
}

/// Whether both would have the same line.
fn is_like(one: &Abort, other: &Abort) -> bool {
    let line = |abort: &Abort| {
        (
            abort.decision.clone(),
            abort.register.clone(),
            abort.syndrome.clone(),
            abort.severity.clone(),
            abort.vector.clone(),
        )
    };
    line(one) == line(other)
}

fn abort_text(abort: &Abort) -> String {
    // A deferred one has no vector; where it was found is too long for a line that is one of many.
    let (register, place) = if abort.register == "disr" {
        ("DISR", format!("deferred, {}", abort.from.to_uppercase()))
    } else {
        ("ESR", abort.vector.clone())
    };
    format!(
        "{}{} · {register} {} · {} · {place}",
        count(abort.times),
        abort.decision,
        abort.syndrome,
        abort.severity
    )
}

/// The command that says what its syndrome means.
fn command(abort: &Abort) -> String {
    let register = if abort.register == "disr" {
        " --as disr"
    } else {
        ""
    };
    format!("seawall explain {}{register}", abort.syndrome)
}
