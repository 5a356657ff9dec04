//! A step as bytes, by the table of [`super`].

use super::{Injection, Poison, SERROR_SYNDROME_MASK, STEP_BYTES, Step, When};
use crate::layout::{put, u16_at, u32_at, u64_at};
use crate::port::Window;

const ANY_TASK: u16 = 0xffff;

/// The step of these [`super::STEP_BYTES`] bytes, which are those that it is written as.
pub(super) fn decode_step(raw: &[u8]) -> Option<Step> {
    let task = u16_at(raw, 0)?;
    let syndrome = u64_at(raw, 16)?;
    let injection = match (raw.get(5)?, raw.get(6)?) {
        (1, 0) => Injection::Hole,
        (1, 1) => Injection::HoleBesideSError {
            syndrome: u32::try_from(syndrome).ok()?,
        },
        (2, 0) => Injection::SError { syndrome: None },
        (2, 1) if syndrome & !SERROR_SYNDROME_MASK == 0 => Injection::SError {
            syndrome: Some(u32::try_from(syndrome).ok()?),
        },
        (3, has_far @ (0 | 1)) => {
            let far = (*has_far == 1).then_some(u64_at(raw, 24)?);
            match raw.get(7)? {
                0 => Injection::Abort { esr: syndrome, far },
                1 => Injection::AbortBySErrorVector { esr: syndrome, far },
                _ => return None,
            }
        }
        (4, 0) => Injection::Poison(Poison::Userfault),
        (4, 1) => Injection::Poison(Poison::MemoryFailure),
        (4, 2) => Injection::Poison(Poison::AnnouncedMemoryFailure),
        (4, 3) => Injection::Poison(Poison::ObjectError { addressed: true }),
        (4, 4) => Injection::Poison(Poison::ObjectError { addressed: false }),
        (5, 0) => Injection::ReadOnly,
        (7, 0) => Injection::Save(When::Announced),
        (7, 1) => Injection::Save(When::AbortGiven),
        (10, 0) => Injection::Mend,
        (11, failing @ (0 | 1)) => Injection::Patrol {
            failing: *failing == 1,
        },
        (8, 0) => Injection::Left,
        (9, has_syndrome @ (0 | 1)) => Injection::SErrorLater {
            syndrome: match has_syndrome {
                0 => None,
                _ => Some(u32::try_from(syndrome).ok()?),
            },
            milliseconds: u32::try_from(u64_at(raw, 24)?).ok()?,
        },
        (6, 0) => Injection::HostAbort,
        (15, 0) => Injection::Draw { seed: syndrome },
        (16, 0) => Injection::Nothing,
        _ => return None,
    };
    let step = Step {
        task: (task != ANY_TASK).then_some(task),
        number: u16_at(raw, 2)?,
        window: Window::from_number(*raw.get(4)?)?,
        skip: u32_at(raw, 8)?,
        times: u32_at(raw, 12)?,
        injection,
    };
    let mut written = [0; STEP_BYTES];
    encode_step(&step, &mut written)?;
    // Whatever has no meaning is zero there.
    (step.is_sound() && written == *raw).then_some(step)
}

pub(super) fn encode_step(step: &Step, raw: &mut [u8]) -> Option<()> {
    raw.fill(0);
    let (kind, has_more, syndrome, far) = match step.injection {
        Injection::Hole => (1, 0, 0, 0),
        Injection::SError { syndrome: None } => (2, 0, 0, 0),
        Injection::SError { syndrome: Some(iss) } => (2, 1, u64::from(iss), 0),
        Injection::Abort { esr, far: None } => (3, 0, esr, 0),
        Injection::Abort { esr, far: Some(far) } => (3, 1, esr, far),
        Injection::Poison(Poison::Userfault) => (4, 0, 0, 0),
        Injection::Poison(Poison::MemoryFailure) => (4, 1, 0, 0),
        Injection::Poison(Poison::AnnouncedMemoryFailure) => (4, 2, 0, 0),
        Injection::Poison(Poison::ObjectError { addressed: true }) => (4, 3, 0, 0),
        Injection::Poison(Poison::ObjectError { addressed: false }) => (4, 4, 0, 0),
        Injection::ReadOnly => (5, 0, 0, 0),
        Injection::Save(When::Announced) => (7, 0, 0, 0),
        Injection::Save(When::AbortGiven) => (7, 1, 0, 0),
        Injection::Mend => (10, 0, 0, 0),
        Injection::Patrol { failing } => (11, u8::from(failing), 0, 0),
        Injection::HoleBesideSError { syndrome } => (1, 1, u64::from(syndrome), 0),
        Injection::AbortBySErrorVector { esr, far: None } => (3, 0, esr, 0),
        Injection::AbortBySErrorVector { esr, far: Some(far) } => (3, 1, esr, far),
        Injection::Left => (8, 0, 0, 0),
        Injection::SErrorLater {
            syndrome: None,
            milliseconds,
        } => (9, 0, 0, u64::from(milliseconds)),
        Injection::SErrorLater {
            syndrome: Some(iss),
            milliseconds,
        } => (9, 1, u64::from(iss), u64::from(milliseconds)),
        Injection::HostAbort => (6, 0, 0, 0),
        Injection::Draw { seed } => (15, 0, seed, 0),
        Injection::Nothing => (16, 0, 0, 0),
    };
    put(raw, 0, &step.task.unwrap_or(ANY_TASK).to_le_bytes())?;
    put(raw, 2, &step.number.to_le_bytes())?;
    let by_serror = matches!(step.injection, Injection::AbortBySErrorVector { .. });
    put(raw, 4, &[step.window as u8, kind, has_more, u8::from(by_serror)])?;
    put(raw, 8, &step.skip.to_le_bytes())?;
    put(raw, 12, &step.times.to_le_bytes())?;
    put(raw, 16, &syndrome.to_le_bytes())?;
    put(raw, 24, &far.to_le_bytes())
}
