//! Steps that are drawn from.

use super::{Interpreter, Reaction, is_draw};
use crate::draw;
use crate::plan::Injection;
use crate::port::{Announcement, Window};

impl Interpreter {
    /// Draws one of the steps behind the one that draws, if one speaks of this announcement and errors are left.
    pub(super) fn draw(
        &mut self,
        draw: usize,
        window: Window,
        announcement: Announcement,
    ) -> Option<Reaction> {
        let Some(Injection::Draw { seed }) = self.plan.steps().nth(draw).map(|step| step.injection) else {
            return None;
        };
        let behind = || self.plan.steps().enumerate().skip(draw).skip(1);
        let matching = || behind().filter(|(_, step)| step.matches(window, announcement));
        let weights = matching().fold(0_u32, |sum, (_, step)| sum.saturating_add(step.skip));
        let left = self.left();
        if weights == 0 || left == 0 {
            return None;
        }
        let drawn_before = self.seen.get_mut(draw)?;
        let mut below = draw::below(weights, seed, u64::from(*drawn_before));
        let (index, step) = matching().find(|(_, step)| {
            let is_it = below < step.skip;
            below = below.saturating_sub(step.skip);
            is_it
        })?;
        *drawn_before = drawn_before.saturating_add(1);
        let number = u16::try_from(index).ok()?;
        let bit = 1_u64.checked_shl(u32::from(number)).unwrap_or(0);
        let is_beside = matches!(step.injection, Injection::HoleBesideSError { .. });
        let errors = step.injection.errors();
        // What does not fit any more, or would hide an SError that is still to come, is left out.
        let is_fit = u64::from(errors) <= left && !(is_beside && self.beside & bit != 0);
        if errors == 0 || !is_fit {
            return Some(Reaction::Announced {
                step: Some(number),
                announcement,
                window,
            });
        }
        if is_beside {
            self.beside |= bit;
        }
        for (place, more) in [(draw, errors), (index, 1)] {
            let fired = self.fired.get_mut(place)?;
            *fired = fired.saturating_add(more);
        }
        Some(Reaction::Inject {
            step: number,
            injection: step.injection,
            announcement,
            window,
        })
    }

    /// How many errors the plan has still to draw. It is the first step that draws which does: one behind it draws nothing.
    pub(super) fn left(&self) -> u64 {
        let mut steps = self.plan.steps().zip(self.fired);
        let draw = steps.find(|(step, _)| is_draw(*step));
        draw.map_or(0, |(step, fired)| u64::from(step.times.saturating_sub(fired)))
    }
}
